//! Whether a network and a dataset go together: judged of what is known before anything runs, and again of what is there.

use super::{facts::Facts, stage::Objection};
use crate::{
    Error, Result,
    data::{DatasetKind, ImageDataset},
    diffusion::Encoder,
    nn::NetworkConfig,
    stage_name::StageName,
};

/// What a stage takes of a dataset: each of these with those before it.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(super) enum Taken {
    /// Images to compare with, where there are any.
    Images,
    /// Classes to draw from, where there are labels.
    Classes,
    /// Labels, which a network with classes needs.
    Labels,
    /// Samples to learn from.
    Samples,
}

/// What a network, whose images are what `encoder` says, and a dataset have against each other.
pub(super) fn network_and_dataset(
    field: &str,
    (network, encoder): (&NetworkConfig, &Encoder),
    (name, facts): (&StageName, &Facts),
    taken: Taken,
) -> Vec<Objection> {
    let in_pixels = matches!(encoder, Encoder::Rgb);
    let (side, channels, classes) = (network.img_resolution(), network.img_channels(), network.label_dim());
    let is_known = facts.latents || facts.images.is_some();
    if taken == Taken::Samples && facts.has_images && is_known && in_pixels == facts.latents {
        let words = |pixels: bool| if pixels { "pixels" } else { "an autoencoder's latents" };
        let (works, holds) = (words(in_pixels), words(!in_pixels));
        let problem = format!("the network works in {works}, but `{name}` holds {holds}");
        let help = "the `encoder` of the network's stage says what it works in";
        return vec![Objection::new(field, problem).help(help)];
    }
    // Latents are stored as means and deviations; an autoencoder's pixels are not the network's.
    let comparable = facts.has_images && in_pixels != facts.latents && (in_pixels || taken == Taken::Samples);
    let stored = if in_pixels { channels } else { 2 * channels };
    let differs = |setting: &str, of_network: usize, but: String| {
        Objection::new(field, format!("the network's `{setting}` is {of_network}, but {but}"))
    };
    let side = facts
        .resolution
        .filter(|found| comparable && *found != side)
        .map(|found| differs("img_resolution", side, format!("the images of `{name}` are {found}x{found}")));
    let of_channels = facts.channels.filter(|found| comparable && *found != stored);
    let but = |found| {
        if in_pixels {
            return format!("the images of `{name}` have {found}");
        }
        format!("the latents of `{name}` have {found}, means and deviations")
    };
    let channels = of_channels.map(|found| differs("img_channels", channels, but(found)));
    let draws = taken >= Taken::Classes && classes > 0;
    let classes = match facts.label_dim.filter(|found| draws && *found != classes) {
        Some(0) if taken >= Taken::Labels => Some(
            differs("label_dim", classes, format!("`{name}` gives no labels"))
                .help("write `use_labels: true` in that stage, or `label_dim: 0` in the network"),
        ),
        None | Some(0) => None,
        Some(found) => Some(differs("label_dim", classes, format!("`{name}` has {found} classes"))),
    };
    [side, channels, classes].into_iter().flatten().collect()
}

/// The same of what is there: a network may say only in its file what it is, and a dataset in its own.
///
/// # Errors
/// The first objection.
pub(super) fn fits(
    network: (&NetworkConfig, &Encoder),
    (name, dataset): (&StageName, &ImageDataset),
    taken: Taken,
) -> Result<()> {
    if taken == Taken::Samples && dataset.kind() == DatasetKind::LabelsOnly {
        return Err(Error::Unusable(format!(
            "`{name}` holds labels only, and there are no images to learn from"
        )));
    }
    match network_and_dataset("", network, (name, &Facts::found(dataset)), taken).into_iter().next() {
        None => Ok(()),
        Some(Objection { problem, help: None, .. }) => Err(Error::Unusable(problem)),
        Some(Objection { problem, help: Some(help), .. }) => {
            Err(Error::Unusable(format!("{problem}: {help}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{
        Taken::{Classes, Images, Labels, Samples},
        *,
    };
    use crate::data::DatasetOptions;

    /// A network's side, channels and classes, against 8x8 digits of 10 classes.
    #[test]
    fn what_is_there_is_judged_as_what_is_known_before() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let open = |use_labels| {
            let options = DatasetOptions { use_labels, ..DatasetOptions::default() };
            ImageDataset::open(&root.join("datasets/digits-8x8.zip"), &options).unwrap()
        };
        let (labelled, unlabelled) = (open(true), open(false));
        let latents = Encoder::StabilityVae(crate::diffusion::StabilityVae::default());
        let name = StageName::new("digits");
        for (shape, encoder, dataset, taken, words) in [
            ([8, 1, 10], &Encoder::Rgb, &labelled, Samples, None),
            ([8, 1, 0], &Encoder::Rgb, &labelled, Samples, None),
            ([8, 1, 10], &Encoder::Rgb, &unlabelled, Classes, None),
            ([8, 1, 7], &Encoder::Rgb, &labelled, Images, None),
            ([64, 4, 10], &latents, &labelled, Labels, None),
            ([8, 1, 7], &Encoder::Rgb, &labelled, Classes, Some("`label_dim` is 7, but `digits` has 10")),
            ([8, 1, 12], &Encoder::Rgb, &labelled, Labels, Some("`label_dim` is 12, but `digits` has 10")),
            ([8, 1, 10], &Encoder::Rgb, &unlabelled, Labels, Some("gives no labels: write `use_labels")),
            ([16, 1, 10], &Encoder::Rgb, &labelled, Images, Some("`img_resolution` is 16")),
            ([8, 3, 10], &Encoder::Rgb, &labelled, Samples, Some("`img_channels` is 3")),
            ([64, 4, 10], &latents, &labelled, Samples, Some("latents, but `digits` holds pixels")),
        ] {
            let [side, channels, classes] = shape;
            let network: NetworkConfig = serde_json::from_value(serde_json::json!({ "ddpmpp": {
                "img_resolution": side, "img_channels": channels, "label_dim": classes
            } }))
            .unwrap();
            let error =
                fits((&network, encoder), (&name, dataset), taken).err().map(|error| error.to_string());
            match words {
                None => assert_eq!(error, None, "{shape:?} {taken:?}"),
                Some(words) => {
                    assert!(error.as_ref().is_some_and(|e| e.contains(words)), "{words}: {error:?}");
                }
            }
        }
    }
}
