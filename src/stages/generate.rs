//! `generate`: images from a network, one seed each.

use std::{fs, ops::Range, path::Path};

use burn::tensor::{Device, TensorData};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_inline_default::serde_inline_default;

use super::{
    artifact::{Artifact, ImagesArtifact},
    context::Context,
    cost::{self, Load, Meter, RECORDS, Seen, Task},
    network_file,
    picture::GRID,
    rules,
    sampling::{Classes, Sampling},
    seeds::{Rng, Seeds},
    snapshots,
    stage::{Input, Kind, Objection, Stage, Verb},
    told,
    turns::Turns,
    work::Work,
    world::World,
};
use crate::{
    Error, Result,
    data::{Pixels, write_png},
    diffusion::{Precision, Sampler},
    formats::NpzImageWriter,
    nn::NetworkConfig,
    stage_name::StageName,
};

/// Makes images with a network, one seed each: PNG files, a grid, an `.npz`.
#[serde_inline_default]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Generate {
    /// The stage that makes the network.
    pub network: StageName,
    /// How noise becomes images. Default: the network's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampler: Option<Sampler>,
    /// Number of images: those of the seeds from 0 on. Default: 64, where `seeds` is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100000000))]
    pub images: Option<u32>,
    /// Seeds of the images: `0-63`, or `1,2,5-10`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seeds: Option<Seeds>,
    /// One class for all images. Default: each image draws its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 16777216))]
    pub class: Option<u32>,
    /// The generator of random numbers behind the seeds.
    #[serde(default)]
    pub rng: Rng,
    /// Images that are made at once.
    #[serde_inline_default(64)]
    #[schemars(range(min = 1, max = 65536))]
    pub batch_size: u32,
    /// Arithmetic of the network.
    #[serde(default)]
    pub precision: Precision,
    /// Also writes an `.npz` with all images: `arr_0`, uint8, `[n, h, w, c]`.
    #[serde_inline_default(true)]
    pub npz: bool,
}

impl Generate {
    /// The seeds that the fields mean.
    pub fn seeds(&self) -> Seeds {
        self.seeds.clone().unwrap_or_else(|| Seeds::first(self.images.unwrap_or(64)))
    }
}

impl Generate {
    /// Its images, as far as it is known what the network is.
    fn task(&self, world: &World<'_>) -> Option<Task> {
        let network = world.network(&self.network)?;
        let own = || world.evaluations(&self.network);
        let evaluations = self.sampler.as_ref().map(Sampler::nfe).or_else(own)?;
        Some(task(network, self.precision, evaluations, self.batch_size))
    }
}

/// Images of a network.
fn task(network: &NetworkConfig, precision: Precision, evaluations: u32, batch_size: u32) -> Task {
    Task::Generation { network: Box::new(network.clone()), precision, evaluations, batch_size }
}

impl Verb for Generate {
    const NAME: &'static str = "generate";
    const MAKES: Kind = Kind::Images;
}

impl Stage for Generate {
    fn inputs(&self) -> Vec<Input<'_>> {
        vec![Input::new("network", &self.network, Kind::Network)]
    }

    fn runs_on(&self, device: &Device) -> Result<()> {
        network_file::compute(self.precision, device).map(drop)
    }

    fn check(&self) -> Vec<Objection> {
        let mut objections = Vec::new();
        if self.images.is_some() && self.seeds.is_some() {
            let problem = "`images` and `seeds` both say how many images there are";
            let help = "keep one: `images: 64` means `seeds: 0-63`";
            objections.push(Objection::new("images", problem).help(help));
        }
        if let Some(seeds) = &self.seeds
            && let Err(problem) = seeds.check(self.rng)
        {
            objections.push(Objection::new("seeds", problem));
        }
        objections
    }

    fn agrees(&self, world: &World<'_>) -> Vec<Objection> {
        let network = world.network(&self.network);
        let mut objections = rules::sampler(self.sampler.as_ref(), network);
        let (Some(class), Some(network)) = (self.class, network) else { return objections };
        let classes = network.label_dim();
        if (class as usize) < classes {
            return objections;
        }
        let problem = match classes {
            0 => format!("`class` is {class}, but the network knows no classes"),
            _ => format!("`class` is {class}, but the network knows the classes 0 to {}", classes - 1),
        };
        objections.push(Objection::new("class", problem));
        objections
    }

    fn work(&self, _world: &World<'_>, _cache: &Path) -> Work {
        Work { images: self.seeds().count(), ..Work::default() }
    }

    fn loads(&self, world: &World<'_>, _: u64) -> Option<Vec<Load>> {
        let [rows, columns] = snapshots::grid(world.network(&self.network)?.label_dim());
        let images = self.seeds().count()? + (rows * columns) as u64;
        Some(vec![Load { task: self.task(world)?, images }])
    }

    fn disk_bytes(&self, world: &World<'_>, _: Option<u64>) -> Option<u64> {
        let network = world.network(&self.network)?;
        let (encoder, [rows, columns]) = (world.encoder(&self.network), snapshots::grid(network.label_dim()));
        let images = self.seeds().count()?;
        let copies = if self.npz { 2 } else { 1 };
        let grid = cost::of_pictures(network, &encoder, (rows * columns) as u64, false);
        Some(copies * cost::of_pictures(network, &encoder, images, true) + grid + RECORDS)
    }

    fn is_spread(&self) -> bool {
        true
    }

    fn told(&self, context: &Context<'_>) -> String {
        let images = told::count(self.seeds().count().unwrap_or(0), "image");
        let made = context.finished.get(&self.network).map(|finished| &finished.artifact);
        let nfe = match (&self.sampler, made) {
            (Some(sampler), _) => Some(sampler.nfe()),
            (None, Some(Artifact::Network(network))) => Some(network.sampler.nfe()),
            _ => None,
        };
        let each = nfe.map(|nfe| format!(", with {} each", told::evaluations(nfe)));
        format!("makes {images} with `{}`{}", self.network, each.unwrap_or_default())
    }

    fn run(&self, context: &mut Context<'_>) -> Result<Artifact> {
        let context = &*context;
        let (_, artifact) = network_file::artifact(context, &self.network)?;
        let network = network_file::load(context, &self.network, self.precision)?;
        let codec = network_file::codec(context, &artifact.encoder)?;
        let sampler = self.sampler.as_ref().unwrap_or(&artifact.sampler);
        if let Some(class) = self.class
            && class as usize >= network.label_dim()
        {
            let classes = network.label_dim();
            return Err(Error::Unusable(format!("there is no class {class}: the network knows {classes}")));
        }
        let sampling = Sampling {
            network: &network,
            codec: &codec,
            sampler,
            rng: self.rng,
            classes: self.class.map_or(Classes::Drawn, Classes::Fixed),
            device: &context.device,
        };
        let seeds = self.seeds().list()?;
        let folder = context.dir.join("images");
        let create = || fs::create_dir_all(&folder).map_err(Error::io("create the folder", &folder));
        context.ranks.first(create)?;
        let mut npz: Option<NpzImageWriter> = None;
        let mut progress = context.progress(0, seeds.len() as u64);
        let task = task(&artifact.network, self.precision, sampler.nfe(), self.batch_size);
        let mut meter = Meter::default();
        meter.on();
        let make = |range: Range<usize>| sampling.images(&seeds[range]);
        let take = |range: Range<usize>, images: TensorData| {
            context.still_ours()?;
            let images_now = range.len() as u64;
            let [_, c, h, w]: [usize; 4] = std::array::from_fn(|i| images.shape()[i]);
            let pixels: Vec<Pixels> = images
                .as_bytes()
                .chunks(c * h * w)
                .map(|planes| Pixels::from_chw(planes, [c, h, w]))
                .collect();
            // Compression is what takes long.
            seeds[range]
                .par_iter()
                .zip(&pixels)
                .try_for_each(|(seed, pixels)| write_png(&folder.join(format!("{seed:06}.png")), pixels))?;
            if self.npz && npz.is_none() {
                let path = context.dir.join("images.npz");
                npz = Some(NpzImageWriter::create(&path, [seeds.len(), h, w, c])?);
            }
            if let Some(npz) = &mut npz {
                pixels.iter().try_for_each(|image| npz.write(&image.data))?;
            }
            meter.count(images_now);
            Ok(())
        };
        let turns = Turns { total: seeds.len(), chunk: self.batch_size as usize, stop: context.stop };
        let made = turns.go(&context.ranks, make, take, |done| progress.at(done as u64, &[]));
        progress.finish();
        made?;
        meter.keep(&task, &Seen::by(context));
        context.ranks.first(|| {
            let grid = snapshots::picture(&network, &codec, sampler, &context.device)?;
            npz.map(NpzImageWriter::finish).transpose()?;
            write_png(&context.dir.join(GRID), &grid)
        })?;
        Ok(Artifact::Images(ImagesArtifact {
            images: seeds.len() as u64,
            folder: "images".into(),
            grid: GRID.into(),
            npz: (self.npz && !seeds.is_empty()).then(|| "images.npz".into()),
            nfe: sampler.nfe(),
        }))
    }
}
