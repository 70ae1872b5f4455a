//! `DatasetSource`: where the images of a dataset come from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    data::{ClassOrder, Rules, Transform},
    location::Location,
};

/// Where the images come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DatasetSource {
    /// A zip or a folder that EDM's dataset tool, or `convert`, has made.
    Edm(EdmSource),
    /// Images to convert: a folder, a zip, CIFAR's archives, MNIST's files or LSUN's databases.
    Convert(ConvertSource),
    /// Images in one array, without classes: a reference batch or a batch of samples of ADM's.
    Npz(NpzSource),
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
    #[schemars(range(min = 1, max = 1000000000))]
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
    /// A folder of images, a zip of images, CIFAR-10's or CIFAR-100's archive (`cifar-10-python.tar.gz`), MNIST's
    /// `images-idx3-ubyte`, or LSUN's folder such as `cat_lmdb`; a URL is downloaded.
    pub path: Location,
    /// Whose rules of order and colour hold, EDM's or EDM2's.
    #[serde(default)]
    pub rules: Rules,
    /// How an image is cropped before it is scaled. Default: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transform: Option<Transform>,
    /// Side of the square result, a power of two. Default: the images' own size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4096))]
    pub resolution: Option<u32>,
    /// Red, green and blue, 0 to 255, of what images with transparency are laid over: `[255, 255, 255]` is white. Default: the edm
    /// rules refuse alpha channels, the edm2 rules drop them, as the release does, and colours show that nobody was to see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub background: Option<[u8; 3]>,
    /// At most so many images, the first ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000000000))]
    pub max_images: Option<u64>,
    /// Whether classes are kept: from a `dataset.json`, else from the names of the top folders. Of CIFAR-100, the fine ones.
    #[serde(default)]
    pub use_labels: bool,
    /// In which order the names of folders become classes 0, 1, 2, ...
    #[serde(default, skip_serializing_if = "is_default")]
    pub class_order: ClassOrder,
    /// Leaves out, with a warning, pictures of formats that are not read and images that do not decode. Default: they are
    /// errors.
    #[serde(default, skip_serializing_if = "is_default")]
    pub skip_unreadable: bool,
    /// Adds a mirrored copy of every image.
    #[serde(default)]
    pub xflip: bool,
    /// SHA-256 of the file in hexadecimal, to make sure that it is the right one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[0-9a-f]{64}$"))]
    pub sha256: Option<String>,
}

/// Images in one array.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NpzSource {
    /// An `.npz` whose array `arr_0` holds the images, uint8 `[n, height, width, channels]`; a URL is downloaded.
    pub path: Location,
    /// SHA-256 of the file in hexadecimal, to make sure that it is the right one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[0-9a-f]{64}$"))]
    pub sha256: Option<String>,
}

/// Labels alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LabelsSource {
    /// A `dataset.json`, path or URL.
    pub path: Location,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
