//! `Distillation`: a distillation's trainer with its dataset and its snapshots, as the training loop drives it.

use burn::module::Module;
use indexmap::IndexMap;

use super::{Memory, Training};
use crate::{
    Error, Result,
    diffusion::{MultiStep, OneStep, Sampler},
    distill::{Distill, DistillSupply, Iteration, Networks, Objective, Trainer},
    nn::{Network, NetworkConfig},
    ranks::Ranks,
    stages::{
        context::Context,
        dataset_batches::DatasetBatches,
        dataset_file,
        fitting::fits,
        guard::{Loss, Vitals},
        network_file, reference_state,
        snapshots::Snapshooter,
        stats_jsonl::{Period, Quantity},
    },
    state_dict::StateDict,
    terminal,
    training::Pending,
};

/// Both phases of an iteration read a batch.
const PHASES: u64 = 2;

/// A distillation under way.
pub(in crate::stages) struct Distillation<'a> {
    trainer: Trainer<Network>,
    recipe: &'a Distill,
    network: &'a NetworkConfig,
    batches: DatasetBatches,
    ranks: Ranks,
    snapshooter: Snapshooter<'a>,
    image_shape: [usize; 3],
}

impl<'a> Distillation<'a> {
    pub(in crate::stages) fn new(recipe: &'a Distill, context: &'a Context<'_>) -> Result<Self> {
        let (_, artifact) = network_file::artifact(context, &recipe.teacher)?;
        let network = &artifact.network;
        network_file::compute_training(recipe.precision, network, &context.device)?;
        let teacher = network_file::load(context, &recipe.teacher, recipe.precision)?;
        let teacher = teacher.with_recompute(recipe.recompute);
        let terms = recipe.method.terms();
        let initial = terms
            .initial_generator
            .map(|name| initial_generator(context, name, &teacher, recipe))
            .transpose()?
            .unwrap_or_else(|| teacher.clone())
            .without_logvar()?;
        let dataset = recipe.dataset.as_ref().map(|name| dataset_file::open(context, name)).transpose()?;
        let made = (network, &artifact.encoder);
        if let (Some(name), Some(dataset)) = (&recipe.dataset, &dataset) {
            fits(made, (name, dataset), recipe.taken())?;
        }
        let codec = network_file::codec(context, &artifact.encoder)?;
        let snapshooter = Snapshooter::new(
            context,
            &recipe.snapshots,
            made,
            sampler(recipe),
            (codec.clone(), recipe.precision),
            dataset.as_ref(),
        )?;
        let objective = Objective::new(recipe, network);
        let mut trainer = Trainer::new(recipe.clone(), objective, Networks::of(teacher, Some(initial)));
        if let Some(start) = &recipe.start_from {
            let path = context.fetch(&reference_state::wanted(start))?;
            trainer.restore(
                &reference_state::read(&path, start.kimg)?,
                &format!("`{}`", terminal::path(&path)),
            )?;
        }
        let side = network.img_resolution();
        Ok(Self {
            image_shape: [network.img_channels(), side, side],
            batches: DatasetBatches::new(context, dataset, codec, network, recipe.pace(), PHASES),
            ranks: context.ranks.clone(),
            trainer,
            recipe,
            network,
            snapshooter,
        })
    }
}

impl Distillation<'_> {
    /// The generator's settings.
    pub(in crate::stages) fn generator(&self) -> &NetworkConfig {
        self.trainer.generator_ema().config()
    }
}

/// How the distilled generator makes images.
pub(in crate::stages) fn sampler(recipe: &Distill) -> Sampler {
    let init_sigma = recipe.generator.init_sigma;
    match recipe.generator.num_steps {
        1 => Sampler::OneStep(OneStep { init_sigma }),
        num_steps => Sampler::MultiStep(MultiStep { init_sigma, num_steps }),
    }
}

fn initial_generator(
    context: &Context<'_>,
    name: &crate::stage_name::StageName,
    teacher: &Network,
    recipe: &Distill,
) -> Result<Network> {
    let generator = network_file::load(context, name, recipe.precision)?.without_logvar()?;
    let shape = |n: &Network| (n.img_resolution(), n.img_channels(), n.label_dim());
    if shape(&generator) == shape(teacher) {
        // It brings its weights; what else it is, such as its dropout, the recipe says with its teacher.
        let config = teacher.config().clone().without_logvar();
        let generator = config.load(&generator.state_dict(), &format!("`{name}`"), &context.device)?;
        let compute = network_file::compute(recipe.precision, &context.device)?;
        let generator = generator.with_compute(compute);
        return Ok(generator.with_recompute(recipe.recompute).valid());
    }
    let (side, channels, classes) = shape(&generator);
    Err(Error::Unusable(format!(
        "the initial generator `{name}` makes {side}x{side} images of {channels} channels and {classes} classes, \
         which is not what the teacher makes"
    )))
}

impl Training for Distillation<'_> {
    type Iteration = Iteration;

    fn nimg(&self) -> u64 {
        self.trainer.nimg()
    }

    fn step(&mut self) -> Result<Pending<Iteration>> {
        let draws = self.batches.draws(self.recipe.augment, self.network);
        let mut supply = DistillSupply { recipe: self.recipe, image_shape: self.image_shape, draws };
        self.trainer.step(&mut supply, &self.ranks)
    }

    fn quantities(&self, iteration: &Iteration) -> Vec<(&'static str, Quantity)> {
        quantities(iteration, self.recipe)
    }

    fn vitals(&self, period: &Period) -> Vitals {
        let loss = |name, quantity| Loss { name, value: period.get(quantity).unwrap_or(f64::NAN) };
        let masked = |name| period.get(name).unwrap_or(0.0);
        let share = (masked("fake_score_dropped_share")).max(masked("generator_dropped_share"));
        let learns = period.get("generator_gradient_norm").is_some();
        Vitals {
            losses: vec![
                loss("the fake score network's loss", "fake_score_loss"),
                loss("the generator's loss", "generator_loss"),
            ],
            error: self.error(period),
            masked_share: share,
            spread: learns.then(|| self.spread()).flatten(),
        }
    }

    fn error(&self, period: &Period) -> Loss {
        let values = self.image_shape.iter().product::<usize>() as f64;
        let name = "the fake score network's denoising error";
        Loss { name, value: period.get("fake_score_error").unwrap_or(f64::NAN) / values }
    }

    fn spread(&self) -> Option<f64> {
        Some(self.snapshooter.spread(self.trainer.generator()))
    }

    fn headline(&self) -> &'static [&'static str] {
        &["fake_score_loss", "generator_loss"]
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
        self.snapshooter.take(self.trainer.generator_ema(), self.trainer.nimg(), memory)
    }
}

fn quantities(iteration: &Iteration, recipe: &Distill) -> Vec<(&'static str, Quantity)> {
    use Quantity::{Last, Mean, Total};
    let share = |count: u64| count as f64 / f64::from(recipe.batch_size);
    // A loss of factor 0 is 0.
    let scale = if recipe.fake_score.loss_scale > 0.0 { recipe.fake_score.loss_scale } else { 1.0 };
    let mut all = vec![
        ("fake_score_loss", Mean(iteration.fake_score.loss)),
        ("generator_loss", Mean(iteration.generator.loss)),
        ("fake_score_error", Mean(iteration.fake_score.error / scale)),
        ("fake_score_gradient_norm", Mean(iteration.fake_score_gradients.norm)),
        ("fake_score_gradients_cleaned", Total(iteration.fake_score_gradients.cleaned as f64)),
        ("fake_score_gradients_clipped", Total(iteration.fake_score_gradients.clipped as f64)),
        ("fake_score_dropped", Total(iteration.fake_score.dropped as f64)),
        ("generator_dropped", Total(iteration.generator.dropped as f64)),
        ("fake_score_dropped_share", Mean(share(iteration.fake_score.dropped))),
        ("generator_dropped_share", Mean(share(iteration.generator.dropped))),
        ("ema_beta", Last(iteration.ema_beta)),
        ("adversarial_active", Last(f64::from(u8::from(iteration.adversarial_active)))),
    ];
    all.extend(iteration.fake_score.adversarial.map(|loss| ("discriminator_loss", Mean(loss))));
    all.extend(iteration.generator.adversarial.map(|loss| ("adversarial_loss", Mean(loss))));
    if let Some(gradients) = &iteration.generator_gradients {
        all.push(("generator_gradient_norm", Mean(gradients.norm)));
        all.push(("generator_gradients_cleaned", Total(gradients.cleaned as f64)));
    }
    all
}
