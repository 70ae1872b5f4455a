//! `prepare_dataset`: finds an image dataset, or converts images into one.

use std::{path::Path, sync::Mutex};

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    artifact::Artifact,
    context::Context,
    dataset_file,
    dataset_source::{ConvertSource, DatasetSource},
    download::Wanted,
    facts::Facts,
    picture::{self, REALS},
    progress::Progress,
    stage::{Input, Kind, Objection, Stage, Verb},
    told,
    work::Work,
    world::World,
};
use crate::{
    Error, Result,
    data::{
        ClassOrder, DatasetKind, DatasetOptions, Encode, ImageDataset, PrepareOptions, Prepared, Rules,
        Transform, can_prepare, class_list, counts_otherwise, missing_labels, prepare_as,
    },
    location::Location,
};

/// Makes an image dataset ready: finds it, or converts images into it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrepareDataset {
    /// Where the images come from.
    pub source: DatasetSource,
}

impl PrepareDataset {
    /// Where it is.
    pub fn location(&self) -> &Location {
        match &self.source {
            DatasetSource::Edm(source) => &source.path,
            DatasetSource::Convert(source) => &source.path,
            DatasetSource::Npz(source) => &source.path,
            DatasetSource::Labels(source) => &source.path,
        }
    }

    /// Whether classes are used.
    pub fn use_labels(&self) -> bool {
        match &self.source {
            DatasetSource::Edm(source) => source.use_labels,
            DatasetSource::Convert(source) => source.use_labels,
            DatasetSource::Npz(_) => false,
            DatasetSource::Labels(_) => true,
        }
    }

    /// How the dataset is read.
    fn options(&self) -> DatasetOptions {
        let (xflip, max_images) = match &self.source {
            DatasetSource::Edm(source) => (source.xflip, source.max_images),
            DatasetSource::Convert(source) => (source.xflip, None),
            DatasetSource::Npz(_) | DatasetSource::Labels(_) => (false, None),
        };
        let max_size = max_images.map(|most| most as usize);
        DatasetOptions { use_labels: self.use_labels(), max_size, xflip, random_seed: 0 }
    }

    /// The file or folder itself.
    fn file(&self) -> Wanted<'_> {
        let (field, sha256) = match &self.source {
            DatasetSource::Edm(source) => ("source/edm/path", &source.sha256),
            DatasetSource::Convert(source) => ("source/convert/path", &source.sha256),
            DatasetSource::Npz(source) => ("source/npz/path", &source.sha256),
            DatasetSource::Labels(_) => ("source/labels/path", &None),
        };
        let accepts = |path: &Path| match &self.source {
            DatasetSource::Convert(source) => can_prepare(path, source.rules),
            _ => ImageDataset::open(path, &self.options()).map(drop),
        };
        Wanted::new(field, self.location(), accepts).with_sha256(sha256.as_deref())
    }

    /// Whether there are images, and not only labels.
    pub fn has_images(&self) -> bool {
        !matches!(self.source, DatasetSource::Labels(_))
    }
}

impl ConvertSource {
    /// Writes `dataset.zip` into the stage's folder.
    fn convert(&self, source: &Path, context: &Context<'_>) -> Result<std::path::PathBuf> {
        let destination = context.dir.join("dataset.zip");
        let options = PrepareOptions {
            rules: self.rules,
            transform: self.transform,
            resolution: self.resolution.map(|side| [side as usize; 2]),
            background: self.background,
            max_images: self.max_images.map(|most| most as usize),
            use_labels: self.use_labels,
            class_order: self.class_order,
            skip_unreadable: self.skip_unreadable,
        };
        let prepared = prepared(context.name.as_str(), source, &destination, &options, None)?;
        self.report(context, &prepared);
        Ok(destination)
    }

    /// Says what was left out, and which class is what.
    fn report(&self, context: &Context<'_>, prepared: &Prepared) {
        let Prepared { images, left_out, unreadable, class_names, remarks, .. } = prepared;
        let stage = &context.name;
        if *left_out > 0 {
            tracing::info!("{stage}: the transform leaves out {left_out} images");
        }
        if unreadable.count > 0 {
            let (count, first) = (unreadable.count, &unreadable.first);
            tracing::warn!("{stage}: {count} pictures are skipped, {images} are kept; the first: {first}");
        }
        for remark in remarks {
            tracing::info!("{stage}: {remark}");
        }
        if let Some(names) = class_names.as_ref().filter(|_| self.use_labels) {
            let by_text = counts_otherwise(names) && self.class_order == ClassOrder::Text;
            let hint = if by_text { "; `class_order: natural` counts 2 before 10" } else { "" };
            tracing::info!("{stage}: {}{hint}", class_list(names));
        }
    }
}

impl Verb for PrepareDataset {
    const NAME: &'static str = "prepare_dataset";
    const MAKES: Kind = Kind::Dataset;
}

/// Prepares a dataset, and shows how far it is under a name; `encode` as for `prepare_as`.
pub(super) fn prepared(
    name: &str,
    original: &Path,
    to: &Path,
    options: &PrepareOptions,
    encode: Option<Encode<'_>>,
) -> Result<Prepared> {
    let progress = Mutex::new(Progress::new(name, "images", 0, 0));
    let prepared = prepare_as(encode, original, to, options, &|done, of| {
        if let Ok(mut progress) = progress.lock() {
            progress.of(of as u64);
            progress.at(done as u64, &[]);
        }
    })?;
    if let Ok(progress) = progress.into_inner() {
        progress.finish();
    }
    Ok(prepared)
}

impl Stage for PrepareDataset {
    fn inputs(&self) -> Vec<Input<'_>> {
        Vec::new()
    }

    fn check(&self) -> Vec<Objection> {
        let DatasetSource::Convert(source) = &self.source else { return Vec::new() };
        let ConvertSource { rules, transform, resolution, class_order, use_labels, .. } = source;
        let mut objections = Vec::new();
        if let Some(side) = *resolution
            && !side.is_power_of_two()
        {
            let (below, above) = (side.next_power_of_two() / 2, side.next_power_of_two());
            let problem = format!("`resolution` {side} is not a power of two");
            let objection = Objection::new("source/convert/resolution", problem);
            objections.push(objection.help(format!("the nearest are {below} and {above}")));
        }
        if transform.is_some() && resolution.is_none() {
            let problem = "a `transform` needs a `resolution` to crop for";
            objections.push(Objection::new("source/convert/transform", problem));
        }
        if *transform == Some(Transform::CenterCropDhariwal) && *rules == Rules::Edm {
            let problem = "`center_crop_dhariwal` is a crop of EDM2's tool";
            objections.push(Objection::new("source/convert/transform", problem).help("add `rules: edm2`"));
        }
        if *class_order != ClassOrder::default() && !use_labels {
            let problem = "`class_order` orders classes, which `use_labels` does not ask for";
            objections
                .push(Objection::new("source/convert/class_order", problem).help("add `use_labels: true`"));
        }
        objections
    }

    /// Labels that are asked for and absent: a network would learn without classes, and nobody would know.
    fn agrees(&self, world: &World<'_>) -> Vec<Objection> {
        let DatasetSource::Edm(source) = &self.source else { return Vec::new() };
        let absent = source.use_labels && Facts::of(self, world).label_dim == Some(0);
        let problem =
            world.locate(&source.path).filter(|_| absent).and_then(|path| missing_labels(&path).ok());
        let objection = |problem: String| {
            Objection::new("source/edm/use_labels", format!("`use_labels` is true, but {problem}"))
                .help("write `use_labels: false`, or add the classes; `convert` takes the names of two or more top folders")
        };
        problem.map(objection).into_iter().collect()
    }

    fn wanted(&self) -> Vec<Wanted<'_>> {
        vec![self.file()]
    }

    fn work(&self, _world: &World<'_>, cache: &Path) -> Work {
        Work::default().with_file(self.location(), None, cache)
    }

    fn facts(&self, world: &World<'_>) -> Option<Facts> {
        Some(Facts::of(self, world))
    }

    fn told(&self, context: &Context<'_>) -> String {
        let from = told::place(self.location());
        let world = World { stages: &IndexMap::new(), search: context.search };
        let images = Facts::of(self, &world).images;
        let images = images.map_or_else(|| "the images".to_owned(), |count| told::count(count, "image"));
        match &self.source {
            DatasetSource::Edm(_) | DatasetSource::Npz(_) => format!("finds {images} in {from}"),
            DatasetSource::Convert(_) => format!("makes a dataset of the pictures in {from}"),
            DatasetSource::Labels(_) => format!("finds the labels in {from}"),
        }
    }

    fn run(&self, context: &mut Context<'_>) -> Result<Artifact> {
        let options = self.options();
        let path = match &self.source {
            DatasetSource::Convert(source) => source.convert(&context.fetch(&self.file())?, context)?,
            _ => context.fetch(&self.file())?,
        };
        let path = std::path::absolute(&path).map_err(Error::io("find", &path))?;
        let dataset = ImageDataset::open(&path, &options)?;
        if options.use_labels && dataset.label_dim() == 0 {
            let problem = missing_labels(&path)?;
            let advice = "write `use_labels: false`, or add the classes";
            return Err(Error::bad_file(&path, "dataset with labels", format!("{problem}; {advice}")));
        }
        if let DatasetSource::Edm(_) | DatasetSource::Labels(_) = self.source {
            let remarks = [dataset.left_out().map(str::to_owned), dataset.class_names().map(class_list)];
            remarks.iter().flatten().for_each(|remark| tracing::info!("{}: {remark}", context.name));
        }
        if !dataset.is_empty() && dataset.kind() == DatasetKind::Images {
            picture::write_set(&context.dir.join(REALS), &dataset, dataset.len())?;
        }
        // What this stage wrote is named relative to its folder, so that the folder may move.
        let within = path.strip_prefix(std::path::absolute(context.dir).unwrap_or_default());
        let named = within.map_or_else(|_| path.clone(), Path::to_path_buf);
        Ok(Artifact::Dataset(dataset_file::describe(&dataset, named, &options)))
    }
}
