//! `TeacherTraining`: a teacher's trainer with its dataset and its snapshots, as the training loop drives it.

use burn::module::Module;
use indexmap::IndexMap;

use super::{Memory, Training};
use crate::{
    Result,
    diffusion::{Codec, Encoder, Sampler},
    nn::Network,
    ranks::Ranks,
    seed::Phase,
    stages::{
        context::Context,
        dataset_batches::DatasetBatches,
        dataset_file,
        fitting::{Taken, fits},
        guard::{Loss, Vitals},
        network_file,
        snapshots::Snapshooter,
        stats_jsonl::{Period, Quantity},
    },
    state_dict::StateDict,
    teach::{TeacherIteration, TeacherObjective, TeacherSupply, TeacherTrainer, TrainTeacher},
    training::Pending,
};

/// An iteration reads one batch.
const PHASES: u64 = 1;

/// A teacher under way.
pub(in crate::stages) struct TeacherTraining<'a> {
    /// Its average is what the stage hands on.
    pub(in crate::stages) trainer: TeacherTrainer<Network>,
    recipe: &'a TrainTeacher,
    batches: DatasetBatches,
    ranks: Ranks,
    snapshooter: Option<Snapshooter<'a>>,
    values_per_image: usize,
}

impl<'a> TeacherTraining<'a> {
    pub(in crate::stages) fn new(
        recipe: &'a TrainTeacher,
        sampler: Sampler,
        context: &'a Context<'_>,
    ) -> Result<Self> {
        let dataset = dataset_file::open(context, &recipe.dataset)?;
        fits((&recipe.network, &Encoder::Rgb), (&recipe.dataset, &dataset), Taken::Samples)?;
        let config = &recipe.network;
        let compute = network_file::compute_training(recipe.precision, config, &context.device)?;
        let network = config.init(context.seed.at(Phase::Init, 0), &context.device)?.with_compute(compute);
        let network = network.with_recompute(recipe.recompute).valid();
        let snapshooter = recipe.snapshots.as_ref().map(|snapshots| {
            Snapshooter::new(
                context,
                snapshots,
                (config, &Encoder::Rgb),
                sampler,
                (Codec::Rgb, recipe.precision),
                Some(&dataset),
            )
        });
        let values_per_image = dataset.shape().iter().product();
        let dataset = Some(dataset);
        Ok(Self {
            trainer: TeacherTrainer::new(recipe.clone(), TeacherObjective::new(recipe), network),
            batches: DatasetBatches::new(context, dataset, Codec::Rgb, config, recipe.pace(), PHASES),
            ranks: context.ranks.clone(),
            recipe,
            snapshooter: snapshooter.transpose()?,
            values_per_image,
        })
    }
}

impl Training for TeacherTraining<'_> {
    type Iteration = TeacherIteration;

    fn nimg(&self) -> u64 {
        self.trainer.nimg()
    }

    fn step(&mut self) -> Result<Pending<TeacherIteration>> {
        let draws = self.batches.draws(self.recipe.augment, &self.recipe.network);
        let mut supply = TeacherSupply { recipe: self.recipe, draws };
        self.trainer.step(&mut supply, &self.ranks)
    }

    fn quantities(&self, iteration: &TeacherIteration) -> Vec<(&'static str, Quantity)> {
        quantities(iteration)
    }

    fn vitals(&self, period: &Period) -> Vitals {
        let value = period.get("loss").unwrap_or(f64::NAN);
        let losses = vec![Loss { name: "the loss", value }];
        Vitals { losses, error: self.error(period), masked_share: 0.0, spread: None }
    }

    fn error(&self, period: &Period) -> Loss {
        let value = period.get("denoising_error").unwrap_or(f64::NAN) / self.values_per_image as f64;
        Loss { name: "the denoising error", value }
    }

    fn headline(&self) -> &'static [&'static str] {
        &["loss"]
    }

    fn fingerprint(&self) -> u64 {
        self.trainer.fingerprint()
    }

    fn state(&self) -> StateDict {
        self.trainer.state()
    }

    fn restore(&mut self, state: &StateDict, origin: &str) -> Result<()> {
        self.batches.rewind();
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
        ("denoising_error", Mean(iteration.error)),
        ("gradient_norm", Mean(iteration.gradients.norm)),
        ("gradients_cleaned", Total(iteration.gradients.cleaned as f64)),
        ("lr", Last(iteration.lr)),
        ("ema_beta", Last(iteration.ema_beta)),
    ]
}
