//! `Known`: the datasets that recipes name: what they are, where they come from, and how they are prepared.

use std::path::Path;

use super::{
    class_order::ClassOrder,
    prepare::PrepareOptions,
    transform::{Rules, Transform},
};
use crate::location::Location;

/// A dataset that recipes, and the papers, call by its file's name.
#[derive(Debug)]
pub struct Known {
    /// The file's name without `.zip`, as the release writes it.
    pub name: &'static str,
    /// What it is, in words.
    pub title: &'static str,
    /// Number of images.
    pub images: u64,
    /// Number of classes; 0 where there are none that mean anything.
    pub classes: u32,
    /// Bytes of the prepared file, about.
    pub bytes: u64,
    /// The page of those who made it, with its terms.
    pub page: &'static str,
    /// Its licence or terms, in a few words.
    pub terms: &'static str,
    /// What it is prepared from.
    pub original: Original,
    rules: Rules,
    transform: Option<Transform>,
    /// `None` keeps the size.
    side: Option<usize>,
    /// What is kept of the images.
    pub form: Form,
}

/// What a dataset is prepared from.
#[derive(Debug)]
pub enum Original {
    /// A file at an address.
    Address {
        /// The address.
        url: &'static str,
        /// What it holds, in hexadecimal.
        sha256: &'static str,
        /// Its size.
        bytes: u64,
    },
    /// A file or a folder that people get themselves, because there are terms to accept or no address that lasts.
    ByHand {
        /// As it is called there, for `--from`.
        called: &'static str,
        /// Bytes of what is downloaded, about, where that is known.
        bytes: Option<u64>,
    },
}

/// What is kept of the images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Their pixels.
    Pixels,
    /// What the Stability autoencoder makes of them: means and standard deviations of latents.
    Latents,
}

const IMAGENET: Original =
    Original::ByHand { called: "ILSVRC/Data/CLS-LOC/train", bytes: Some(147_897_477_120) };
const IMAGENET_PAGE: &str = "https://image-net.org/download.php";
const IMAGENET_TERMS: &str = "ImageNet's terms of access, non-commercial research";

/// All of them.
pub static KNOWN: [Known; 6] = [
    Known {
        name: "cifar10-32x32",
        title: "CIFAR-10, its 50,000 training images of 32x32",
        images: 50_000,
        classes: 10,
        bytes: 166_300_000,
        page: "https://www.cs.toronto.edu/~kriz/cifar.html",
        terms: "no licence is given; cite Krizhevsky 2009",
        original: Original::Address {
            url: "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
            // As Keras pins it.
            sha256: "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
            bytes: 170_498_071,
        },
        rules: Rules::Edm,
        transform: None,
        side: None,
        form: Form::Pixels,
    },
    Known {
        name: "ffhq-64x64",
        title: "FFHQ, 70,000 faces of 64x64",
        images: 70_000,
        classes: 0,
        bytes: 880_000_000,
        page: "https://github.com/NVlabs/ffhq-dataset",
        terms: "CC BY-NC-SA 4.0, the images under licences of their own",
        original: Original::ByHand { called: "images1024x1024", bytes: Some(95_700_000_000) },
        rules: Rules::Edm,
        transform: None,
        side: Some(64),
        form: Form::Pixels,
    },
    Known {
        name: "afhqv2-64x64",
        title: "AFHQ-v2, 15,803 animal faces of 64x64",
        images: 15_803,
        classes: 0,
        bytes: 199_000_000,
        page: "https://github.com/clovaai/stargan-v2",
        terms: "CC BY-NC 4.0",
        original: Original::ByHand { called: "afhq_v2.zip", bytes: None },
        rules: Rules::Edm,
        transform: None,
        side: Some(64),
        form: Form::Pixels,
    },
    Known {
        name: "imagenet-64x64",
        title: "ImageNet, 1,281,167 training images of 64x64",
        images: 1_281_167,
        classes: 1000,
        bytes: 16_100_000_000,
        page: IMAGENET_PAGE,
        terms: IMAGENET_TERMS,
        original: IMAGENET,
        // A few of its JPEGs have four inks, which EDM's rules refuse; the order of its folders is the same by both.
        rules: Rules::Edm2,
        transform: Some(Transform::CenterCrop),
        side: Some(64),
        form: Form::Pixels,
    },
    Known {
        name: "img512-sd",
        title: "ImageNet, 1,281,167 training images of 512x512 as latents",
        images: 1_281_167,
        classes: 1000,
        bytes: 168_300_000_000,
        page: IMAGENET_PAGE,
        terms: IMAGENET_TERMS,
        original: IMAGENET,
        rules: Rules::Edm2,
        transform: Some(Transform::CenterCropDhariwal),
        side: Some(512),
        form: Form::Latents,
    },
    Known {
        name: "mnist-32x32",
        title: "MNIST, its 60,000 training images with a border, 32x32",
        images: 60_000,
        classes: 10,
        bytes: 76_700_000,
        page: "https://yann.lecun.org/exdb/mnist/",
        terms: "CC BY-SA 3.0",
        original: Original::ByHand { called: "train-images-idx3-ubyte.gz", bytes: Some(9_941_303) },
        rules: Rules::Edm,
        transform: None,
        side: None,
        form: Form::Pixels,
    },
];

impl Known {
    /// The one of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        KNOWN.iter().find(|known| known.name == name)
    }

    /// The one that a path means by the name of its file.
    pub fn at(path: &Path) -> Option<&'static Self> {
        Self::named(path.file_name()?.to_str()?.strip_suffix(".zip")?)
    }

    /// Where recipes look for it: the folder `SIDA_DATASETS` names, else `datasets`.
    pub fn location(&self) -> Location {
        Location::new(format!("${{SIDA_DATASETS:-datasets}}/{}.zip", self.name))
    }

    /// The command that prepares it where recipes look for it.
    pub fn command(&self) -> String {
        match self.original {
            Original::Address { .. } => format!("sida prepare {}", self.name),
            Original::ByHand { called, .. } => format!("sida prepare {} --from {called}", self.name),
        }
    }

    /// How it is prepared, as the release's dataset tool does.
    pub fn options(&self) -> PrepareOptions {
        PrepareOptions {
            rules: self.rules,
            transform: self.transform,
            resolution: self.side.map(|side| [side; 2]),
            background: None,
            max_images: None,
            use_labels: self.classes > 0,
            class_order: ClassOrder::Text,
            skip_unreadable: false,
        }
    }
}
