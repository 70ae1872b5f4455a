//! What `evaluate` does with pictures that are there already, in place of a network's.

use std::path::Path;

use burn::tensor::TensorData;
use indexmap::IndexMap;

use super::{
    artifact::ScoresArtifact,
    context::Context,
    download::Wanted,
    evaluate::{ClassLabels, Evaluate},
    facts::Facts,
    picture,
    scoring::{RealImages, Scoring},
    seeds::Rng,
    stage::Objection,
    world::World,
};
use crate::{
    Error, Result,
    data::{DatasetKind, DatasetOptions, Glance, ImageDataset, Samples},
    diffusion::Precision,
    location::Location,
    metrics::{Metric, Score},
    seed::Phase,
    stage_name::StageName,
    terminal,
};

/// Either a network or pictures; what says how a network makes images says nothing of pictures.
pub(super) fn one_of_two(stage: &Evaluate) -> Vec<Objection> {
    match (&stage.network, &stage.pictures) {
        (Some(_), None) => Vec::new(),
        (None, None) => {
            let help = "name the stage that makes a network in `network:`, or a folder, a zip or an .npz in `pictures:`";
            let problem = "there is nothing to measure: neither `network` nor `pictures` is given";
            vec![Objection::new("", problem).help(help)]
        }
        (Some(_), Some(_)) => {
            let problem = "`network` and `pictures` are both given, and one of them is measured";
            vec![Objection::new("pictures", problem).help("leave one of them out")]
        }
        (None, Some(_)) => {
            let of_networks = [
                ("sampler", stage.sampler.is_some()),
                ("trials", stage.trials > 1),
                ("class_labels", stage.class_labels != ClassLabels::default()),
                ("rng", stage.rng != Rng::default()),
                ("first_seed", stage.first_seed != 0),
                ("precision", stage.precision != Precision::default()),
            ];
            let objection = |(field, _)| {
                let problem =
                    format!("`{field}` is about a network, but `pictures` are measured as they are");
                Objection::new(field, problem).help("leave it out")
            };
            of_networks.into_iter().filter(|(_, given)| *given).map(objection).collect()
        }
    }
}

/// Too few pictures, or of another size than those that they are compared with.
pub(super) fn agrees(
    stage: &Evaluate,
    reference: Option<(&StageName, Facts)>,
    world: &World<'_>,
) -> Vec<Objection> {
    let seen = stage.pictures.as_ref().and_then(|location| Glance::at(&world.locate(location)?));
    let Some(seen) = seen else { return Vec::new() };
    if seen.latents || seen.images == 0 {
        let holds = if seen.latents { "latents" } else { "labels" };
        return vec![Objection::new("pictures", format!("`pictures` holds {holds}, and no pictures"))];
    }
    let mut objections = Vec::new();
    for (i, metric) in stage.metrics.iter().enumerate() {
        if (metric.needs().generated as u64) > seen.images {
            objections.push(Objection::new(format!("metrics/{i}"), too_few(metric, seen.images)));
        }
    }
    if let Some((name, facts)) = reference
        && let (Some(side), Some(channels)) = (seen.resolution, seen.channels)
        && !facts.latents
    {
        let problem = other_size([channels, side], [facts.channels, facts.resolution], name);
        let help = "nothing is resized here: resize the pictures, or name another reference";
        objections.extend(problem.map(|problem| Objection::new("pictures", problem).help(help)));
    }
    objections
}

/// The pictures' file or folder.
pub(super) fn wanted(location: &Location) -> Wanted<'_> {
    let accepts = |path: &Path| ImageDataset::open(path, &DatasetOptions::default()).map(drop);
    Wanted::new("pictures", location, accepts)
}

/// Measures pictures.
pub(super) fn run(
    stage: &Evaluate,
    location: &Location,
    real_images: RealImages,
    context: &Context<'_>,
) -> Result<ScoresArtifact> {
    let path = context.fetch(&wanted(location))?;
    let unusable = |problem: String| Error::Unusable(format!("`{}`: {problem}", terminal::path(&path)));
    let pictures = ImageDataset::open(&path, &DatasetOptions::default())?;
    if pictures.kind() != DatasetKind::Images {
        return Err(unusable("it holds no pictures".to_owned()));
    }
    let (found, count) = (pictures.len(), stage.images());
    if let Some(metric) = stage.metrics.iter().find(|metric| metric.needs().generated > found) {
        return Err(unusable(too_few(metric, found as u64)));
    }
    let [c, h, w] = pictures.shape();
    if let Some(reference) = real_images.dataset.as_ref().filter(|set| set.kind() == DatasetKind::Images) {
        let [channels, side, _] = reference.shape();
        if let Some(problem) = other_size([c, h], [Some(channels), Some(side)], reference.name()) {
            return Err(unusable(problem));
        }
    }
    let mut scoring = Scoring::new(&stage.metrics, real_images, context)?;
    let mut progress = context.progress(0, count as u64);
    if let Some(left_out) = pictures.left_out() {
        progress.say(&format!("  {}: {left_out}", context.name));
    }
    if found > count {
        progress.say(&format!("  {}: measures the first {count} of {found} pictures", context.name));
    }
    let make = |range: std::ops::Range<usize>| {
        let indices: Vec<usize> = range.collect();
        match pictures.batch(&indices)?.samples {
            Samples::Images(bytes) => Ok(TensorData::new(bytes, [indices.len(), c, h, w])),
            _ => Err(unusable("it holds no pictures".to_owned())),
        }
    };
    let each = |done: usize| progress.at(done as u64, &[]);
    let draw = context.seed.at(Phase::Sample, 0);
    let measured = scoring.measure(stage.batch_size as usize, draw, make, each)?;
    progress.finish();
    context.ranks.first(|| picture::write_set(&context.dir.join(picture::GRID), &pictures, count))?;
    let scores: IndexMap<String, Score> =
        measured.into_iter().map(|(name, value)| (name, Score::of_trials(vec![value]))).collect();
    Ok(ScoresArtifact { network: None, nfe: None, scores })
}

fn too_few(metric: &Metric, found: u64) -> String {
    let (name, needed) = (&metric.names()[0], metric.needs().generated);
    format!("`{name}` needs {needed} pictures, but there are {found}")
}

/// What is wrong where pictures and images differ in `[channels, side]`, as far as these are known.
fn other_size(
    pictures: [usize; 2],
    images: [Option<usize>; 2],
    reference: impl std::fmt::Display,
) -> Option<String> {
    let differs = |i: usize| images[i].filter(|found| *found != pictures[i]);
    if let Some(other) = differs(1) {
        let side = pictures[1];
        return Some(format!(
            "the pictures are {side}x{side}, but the images of `{reference}` are {other}x{other}"
        ));
    }
    let channels = |n: usize| format!("{n} channel{}", if n == 1 { "" } else { "s" });
    let other = channels(differs(0)?);
    Some(format!("the pictures have {}, but the images of `{reference}` have {other}", channels(pictures[0])))
}
