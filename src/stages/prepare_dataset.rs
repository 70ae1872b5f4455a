//! `prepare_dataset`: finds an image dataset, or converts images into one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    artifact::Artifact,
    context::Context,
    stage::{Input, Kind, Objection, Stage},
};
use crate::{Error, Result, location::Location};

/// Makes an image dataset ready: finds it, or converts images into it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrepareDataset {
    /// Where the images come from.
    pub source: DatasetSource,
}

/// Where the images come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DatasetSource {
    /// A zip or a folder that EDM's dataset tool, or `convert`, has made.
    Edm(EdmSource),
    /// Images to convert: a folder, a zip, or CIFAR-10's Python archive.
    Convert(ConvertSource),
    /// Labels alone, for SiD with classes: a `dataset.json`.
    Labels(LabelsSource),
}

/// A zip or a folder in EDM's format.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EdmSource {
    /// The zip or the folder.
    pub path: Location,
    /// Whether the classes in its `dataset.json` are used.
    #[serde(default)]
    pub use_labels: bool,
    /// Adds a mirrored copy of every image.
    #[serde(default)]
    pub xflip: bool,
    /// At most so many images: a random subset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_images: Option<u64>,
    /// SHA-256 of the zip in hexadecimal, to make sure that it is the right one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[0-9a-f]{64}$"))]
    pub sha256: Option<String>,
}

/// Images to convert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConvertSource {
    /// A folder of images, a zip of images, or `cifar-10-python.tar.gz`; a URL is downloaded.
    pub path: Location,
    /// How an image is cropped before it is scaled. Default: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transform: Option<Transform>,
    /// Side of the square result, a power of two. Default: the images' own size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4096))]
    pub resolution: Option<u32>,
    /// At most so many images, the first ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_images: Option<u64>,
    /// Whether classes are kept: from a `dataset.json`, else from the names of the top folders.
    #[serde(default)]
    pub use_labels: bool,
    /// Adds a mirrored copy of every image.
    #[serde(default)]
    pub xflip: bool,
    /// SHA-256 of the file in hexadecimal, to make sure that it is the right one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[0-9a-f]{64}$"))]
    pub sha256: Option<String>,
}

/// How an image is cropped before it is scaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Transform {
    /// The largest centred square.
    CenterCrop,
    /// The centred part with the target's aspect ratio, on a black square.
    CenterCropWide,
    /// Halved with a box filter while it is large, then bicubic, then the centred square (ADM's ImageNet).
    CenterCropDhariwal,
}

/// Labels alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LabelsSource {
    /// A `dataset.json`, path or URL.
    pub path: Location,
}

impl PrepareDataset {
    /// Where it is.
    pub fn location(&self) -> &Location {
        match &self.source {
            DatasetSource::Edm(source) => &source.path,
            DatasetSource::Convert(source) => &source.path,
            DatasetSource::Labels(source) => &source.path,
        }
    }

    /// Whether classes are used.
    pub fn use_labels(&self) -> bool {
        match &self.source {
            DatasetSource::Edm(source) => source.use_labels,
            DatasetSource::Convert(source) => source.use_labels,
            DatasetSource::Labels(_) => true,
        }
    }

    /// Whether there are images, and not only labels.
    pub fn has_images(&self) -> bool {
        !matches!(self.source, DatasetSource::Labels(_))
    }
}

impl Stage for PrepareDataset {
    fn inputs(&self) -> Vec<Input<'_>> {
        Vec::new()
    }

    fn makes(&self) -> Kind {
        Kind::Dataset
    }

    fn check(&self) -> Vec<Objection> {
        let DatasetSource::Convert(ConvertSource { transform, resolution, .. }) = &self.source else {
            return Vec::new();
        };
        let mut objections = Vec::new();
        if let Some(side) = *resolution
            && !side.is_power_of_two()
        {
            let (below, above) = (side.next_power_of_two() / 2, side.next_power_of_two());
            objections.push(
                Objection::new(
                    "source/convert/resolution",
                    format!("`resolution` {side} is not a power of two"),
                )
                .help(format!("the nearest are {below} and {above}")),
            );
        }
        if transform.is_some() && resolution.is_none() {
            objections.push(Objection::new(
                "source/convert/transform",
                "a `transform` needs a `resolution` to crop for",
            ));
        }
        objections
    }

    fn run(&self, _context: &mut Context<'_>) -> Result<Artifact> {
        Err(Error::Unusable("`prepare_dataset` is not implemented".into()))
    }
}
