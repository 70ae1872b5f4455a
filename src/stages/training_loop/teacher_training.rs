//! `TeacherTraining`: a teacher's trainer with its dataset and its snapshots, as the training loop drives it.

use std::{ops::Range, sync::Arc};

use burn::{module::Module, tensor::Device};
use indexmap::IndexMap;

use super::{Memory, Training};
use crate::{
    Error, Result,
    data::{Augment, ImageDataset},
    diffusion::{Codec, LogNormal, Sampler},
    nn::Network,
    seed::{Phase, Seed},
    stages::{
        context::Context,
        dataset_batches::DatasetBatches,
        dataset_file,
        guard::{DENOISING_LIMIT, Loss, Vitals},
        network_file,
        snapshots::Snapshooter,
        stats_jsonl::{Period, Quantity},
    },
    state_dict::StateDict,
    teach::{TeacherDraws, TeacherIteration, TeacherSettings, TeacherTrainer, TrainTeacher},
    training::AdamSettings,
};

/// A teacher under way.
pub(in crate::stages) struct TeacherTraining<'a> {
    trainer: TeacherTrainer<Network>,
    recipe: &'a TrainTeacher,
    draws: TeacherDraws,
    dataset: Arc<ImageDataset>,
    codec: Codec,
    stream: Option<DatasetBatches>,
    snapshooter: Option<Snapshooter<'a>>,
    seed: Seed,
    device: Device,
}

impl<'a> TeacherTraining<'a> {
    pub(in crate::stages) fn new(
        recipe: &'a TrainTeacher,
        sampler: Sampler,
        context: &'a Context<'_>,
    ) -> Result<Self> {
        let dataset = dataset_file::open(context, &recipe.dataset)?;
        fits(recipe, &dataset)?;
        let device = context.device.clone().without_autodiff();
        let config = &recipe.network;
        let network = config.init(context.seed.at(Phase::Init, 0), &device)?;
        let network = network.with_compute(network_file::compute(recipe.precision)).valid();
        let settings = TeacherSettings {
            sigma_data: config.sigma_data(),
            learns_uncertainty: config.is_edm2(),
            forced_normalization: config.is_edm2(),
            batch_size: recipe.batch_size,
            microbatch_size: recipe.pace().microbatch_size(),
            lr: recipe.lr,
            lr_rampup: recipe.lr_rampup_kimg,
            adam: AdamSettings::new(recipe.betas, recipe.epsilon, recipe.precision),
            ema: recipe.ema.clone(),
        };
        let snapshooter = recipe
            .snapshots
            .as_ref()
            .map(|snapshots| Snapshooter::new(context, snapshots, sampler, Codec::Rgb, Some(&dataset)));
        Ok(Self {
            trainer: TeacherTrainer::new(settings, network),
            draws: TeacherDraws {
                seed: context.seed,
                noise_levels: LogNormal { p_mean: recipe.p_mean, p_std: recipe.p_std },
                augment: (recipe.augment > 0.0).then(|| Augment::edm(recipe.augment)),
                device: device.clone(),
            },
            recipe,
            dataset,
            codec: Codec::Rgb,
            stream: None,
            snapshooter: snapshooter.transpose()?,
            seed: context.seed,
            device,
        })
    }

    /// The network's average: what the stage hands on.
    pub(in crate::stages) fn ema(&self) -> &Network {
        self.trainer.ema()
    }
}

/// The network has to make what the dataset holds.
fn fits(recipe: &TrainTeacher, dataset: &ImageDataset) -> Result<()> {
    let [channels, height, _] = dataset.shape();
    let network = &recipe.network;
    let pairs = [
        ("img_resolution", network.img_resolution(), height),
        ("img_channels", network.img_channels(), channels),
        ("label_dim", network.label_dim(), dataset.label_dim()),
    ];
    for (field, of_network, of_dataset) in pairs {
        let unconditional = field == "label_dim" && of_network == 0;
        if of_network != of_dataset && !unconditional {
            return Err(Error::Unusable(format!(
                "`{field}` of the network is {of_network}, but dataset `{}` has {of_dataset}",
                recipe.dataset
            )));
        }
    }
    Ok(())
}

impl Training for TeacherTraining<'_> {
    fn nimg(&self) -> u64 {
        self.trainer.nimg()
    }

    fn step(&mut self) -> Result<Vec<(&'static str, Quantity)>> {
        let label_dim = self.recipe.network.label_dim();
        if self.stream.is_none() {
            let (skip, size) = (self.trainer.nimg(), self.recipe.pace().microbatch_size() as usize);
            let stream = DatasetBatches::new(&self.dataset, self.seed, skip, size, label_dim, &self.device)?;
            self.stream = Some(stream);
        }
        let stream = self.stream.as_mut().expect("made above");
        let (draws, codec, dataset) = (&self.draws, &self.codec, &self.dataset);
        let iteration = self.trainer.step(|nimg, samples: Range<u64>| {
            let batch = stream.next()?;
            let draw = draws.draw(nimg).purpose("dataset");
            let images = stream.images(&batch, codec, draw, samples.clone()).ok_or_else(|| {
                Error::Unusable(format!(
                    "`{}` holds labels only: there is nothing to learn from",
                    dataset.name()
                ))
            })?;
            Ok(draws.complete(images, stream.labels(&batch), nimg, samples))
        })?;
        Ok(quantities(&iteration))
    }

    fn vitals(&self, period: &Period) -> Vitals {
        let limit = DENOISING_LIMIT * self.dataset.shape().iter().product::<usize>() as f64;
        let value = period.get("loss").unwrap_or(f64::NAN);
        Vitals { losses: vec![Loss { name: "the loss", value, limit }], masked_share: 0.0, spread: None }
    }

    fn headline(&self) -> &'static [&'static str] {
        &["loss"]
    }

    fn state(&self) -> StateDict {
        self.trainer.state()
    }

    fn restore(&mut self, state: &StateDict, origin: &str) -> Result<()> {
        self.stream = None;
        self.trainer.restore(state, origin)
    }

    fn snapshot(&mut self, memory: &mut Memory) -> Result<IndexMap<String, f64>> {
        match &mut self.snapshooter {
            Some(snapshooter) => snapshooter.take(self.trainer.ema(), self.trainer.nimg(), memory),
            None => Ok(IndexMap::new()),
        }
    }
}

fn quantities(iteration: &TeacherIteration) -> Vec<(&'static str, Quantity)> {
    use Quantity::{Last, Mean, Total};
    vec![
        ("loss", Mean(iteration.loss)),
        ("gradient_norm", Mean(iteration.gradients.norm)),
        ("gradients_cleaned", Total(iteration.gradients.cleaned as f64)),
        ("lr", Last(iteration.lr)),
        ("ema_beta", Last(iteration.ema_beta)),
    ]
}
