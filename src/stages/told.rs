//! What a stage says when it starts: the nouns of its sentence, with the numbers that are known by then.

use super::{artifact::Artifact, context::Context, progress::grouped, work::parameters};
use crate::{location::Location, nn::NetworkConfig, stage_name::StageName, terminal};

/// Parameters below which a network is called small, and from which on it is called large: those of EDM's for CIFAR-10
/// lie between, as do EDM2's smaller ones.
const SMALL: u64 = 10_000_000;
const LARGE: u64 = 500_000_000;

/// `a small diffusion model (180,369 parameters)`.
pub(super) fn model(network: &NetworkConfig) -> String {
    let Some(count) = parameters(network) else { return "a diffusion model".to_owned() };
    let size = match count {
        0..SMALL => "small ",
        SMALL..LARGE => "",
        _ => "large ",
    };
    format!("a {size}diffusion model ({} parameters)", grouped(count))
}

/// ``` the 1,797 images of `digits` ```, of a finished stage.
pub(super) fn images(context: &Context<'_>, dataset: &StageName) -> String {
    match context.finished.get(dataset).map(|finished| &finished.artifact) {
        Some(Artifact::Dataset(made)) => {
            let one = if made.has_images { "image" } else { "label" };
            format!("the {} of `{dataset}`", count(made.images, one))
        }
        _ => format!("the images of `{dataset}`"),
    }
}

/// ``` `teacher` (35 network evaluations per image) ```, of a finished stage.
pub(super) fn teacher(context: &Context<'_>, network: &StageName) -> String {
    match context.finished.get(network).map(|finished| &finished.artifact) {
        Some(Artifact::Network(made)) if made.sampler.nfe() > 1 => {
            format!("`{network}` ({} per image)", evaluations(made.sampler.nfe()))
        }
        _ => format!("`{network}`"),
    }
}

/// `1 network evaluation`, `35 network evaluations`.
pub(super) fn evaluations(nfe: u32) -> String {
    count(nfe.into(), "network evaluation")
}

/// What a place is called, on one line.
pub(super) fn place(location: &Location) -> String {
    format!("`{}`", terminal::name(&location.to_string()))
}

/// `1 image`, `1,797 images`.
pub(super) fn count(count: u64, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{} {one}s", grouped(count)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_called_small_or_large_by_its_parameters() {
        let said = |text: &str| model(&serde_json::from_str(text).unwrap());
        let digits = r#"{"ddpmpp": {"img_resolution": 8, "img_channels": 1, "label_dim": 10, "model_channels": 16,
            "channel_mult": [1, 2], "num_blocks": 1, "attn_resolutions": []}}"#;
        assert_eq!(said(digits), "a small diffusion model (180,369 parameters)");
        let cifar10 = said(r#"{"ddpmpp": {"img_resolution": 32, "channel_mult": [2, 2, 2]}}"#);
        assert!(cifar10.starts_with("a diffusion model (5"), "{cifar10}");
        assert_eq!((count(1, "image").as_str(), count(1797, "image").as_str()), ("1 image", "1,797 images"));
    }
}
