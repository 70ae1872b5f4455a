//! `Trainer`: the four networks of a distillation, two optimizers, and one iteration.

use std::ops::Range;

use burn::tensor::Tensor;

use super::{
    generator_round::{Learning, frozen},
    iteration::{Iteration, Round},
    kept::Kept,
    micro_batch::Supply,
    objective::Objective,
    recipe::Distill,
};
use crate::{
    Result,
    nn::Denoiser,
    seed::Phase,
    state_dict::StateDict,
    training::{
        Adam, AdamSettings, Gradients, Sanitized, ema, parameters,
        state::{join, nimg, part},
    },
};

/// A distillation under way. All networks rest without a tape; a phase puts one on the network that it trains.
#[derive(Debug)]
pub struct Trainer<D> {
    recipe: Distill,
    objective: Objective,
    teacher: D,
    fake_score: D,
    generator: D,
    generator_ema: D,
    fake_score_optimizer: Adam,
    generator_optimizer: Adam,
    nimg: u64,
}

/// The networks that a distillation starts from.
#[derive(Clone, Debug)]
pub struct Networks<D> {
    /// Knows the data's score; never changes.
    pub teacher: D,
    /// Learns the generator's score; its encoder is the discriminator.
    pub fake_score: D,
    /// Makes images in one step.
    pub generator: D,
    /// The moving average of the generator.
    pub generator_ema: D,
}

impl<D: Clone> Networks<D> {
    /// Everything starts as the teacher; the generator, where there is one already, as that.
    pub fn of(teacher: D, initial_generator: Option<D>) -> Self {
        let generator = initial_generator.unwrap_or_else(|| teacher.clone());
        Self { fake_score: teacher.clone(), generator_ema: generator.clone(), teacher, generator }
    }
}

/// What the rounds of one phase add up to; the numbers still on the device.
#[derive(Default)]
struct Sums {
    gradients: Gradients,
    /// Loss, adversarial loss and number of dropped samples of each round. `[3]`
    rounds: Vec<Tensor<1>>,
}

impl Sums {
    fn add(&mut self, gradients: Gradients, loss: Tensor<1>, adversarial: Option<Tensor<1>>, kept: &Kept) {
        self.gradients.add(gradients);
        let loss = loss.inner();
        let adversarial = adversarial.map_or_else(|| loss.zeros_like(), Tensor::inner);
        self.rounds.push(Tensor::cat(vec![loss, adversarial, kept.count_dropped()], 0));
    }
}

impl<D: Denoiser> Trainer<D> {
    /// A distillation that has seen nothing.
    pub fn new(recipe: Distill, objective: Objective, networks: Networks<D>) -> Self {
        let settings = |betas, epsilon| AdamSettings::new(betas, epsilon, recipe.precision);
        let Networks { teacher, fake_score, generator, generator_ema } = networks;
        Self {
            fake_score_optimizer: Adam::new(settings(recipe.fake_score.betas, recipe.fake_score.epsilon)),
            generator_optimizer: Adam::new(settings(recipe.generator.betas, recipe.generator.epsilon)),
            teacher: teacher.valid(),
            fake_score: fake_score.valid(),
            generator: generator.valid(),
            generator_ema: generator_ema.valid(),
            recipe,
            objective,
            nimg: 0,
        }
    }

    /// One iteration: the fake score network, the generator, the average.
    ///
    /// # Errors
    /// The dataset cannot be read.
    pub fn step(&mut self, supply: &mut impl Supply) -> Result<Iteration> {
        let nimg = self.nimg;
        let (fake_score, fake_score_gradients) = self.step_fake_score(supply)?;
        let learning = self.learning();
        let (generator, generator_gradients) = self.step_generator(supply, learning)?;
        let ema_beta = self.update_ema();
        self.nimg += u64::from(self.recipe.batch_size);

        let rounds = self.read(fake_score, generator);
        let sum = |phase: Phase, of: &dyn Fn(&Round) -> f64| -> f64 {
            rounds.iter().filter(|round| round.phase == phase).map(of).sum()
        };
        let adversarial = |phase: Phase| {
            let exists = self.objective.generator.adversarial;
            exists.then(|| sum(phase, &|round| round.adversarial.unwrap_or_default()))
        };
        let dropped = |phase: Phase| sum(phase, &|round| round.dropped as f64) as u64;
        Ok(Iteration {
            nimg,
            fake_score_loss: sum(Phase::FakeScore, &|round| round.loss),
            discriminator_loss: adversarial(Phase::FakeScore),
            generator_loss: sum(Phase::Generator, &|round| round.loss),
            adversarial_loss: adversarial(Phase::Generator),
            fake_score_dropped: dropped(Phase::FakeScore),
            generator_dropped: dropped(Phase::Generator),
            fake_score_gradients,
            generator_gradients,
            adversarial_active: learning == Learning::ScoreAndAdversarial,
            ema_beta,
            rounds,
        })
    }

    /// The numbers of an iteration, in one read.
    fn read(&self, fake_score: Sums, generator: Sums) -> Vec<Round> {
        let phases =
            [(Phase::FakeScore, fake_score.rounds.len()), (Phase::Generator, generator.rounds.len())];
        let all = fake_score.rounds.into_iter().chain(generator.rounds).collect();
        let values = Tensor::cat(all, 0).into_data().convert::<f64>();
        let values = values.try_into_vec::<f64>().expect("f64 after conversion");
        let phases = phases.into_iter().flat_map(|(phase, rounds)| std::iter::repeat_n(phase, rounds));
        let round = |(phase, values): (Phase, &[f64])| Round {
            phase,
            loss: values[0],
            adversarial: self.objective.generator.adversarial.then_some(values[1]),
            dropped: values[2] as u64,
        };
        phases.zip(values.chunks_exact(3)).map(round).collect()
    }

    /// What the generator learns from at this time.
    pub fn learning(&self) -> Learning {
        match self.recipe.method.terms().adversarial {
            None => Learning::Score,
            Some(adversarial) if self.nimg <= adversarial.generator_starts_at_kimg.nimg() => {
                Learning::Nothing
            }
            Some(adversarial) if self.nimg <= adversarial.starts_at_kimg.nimg() => Learning::Score,
            Some(_) => Learning::ScoreAndAdversarial,
        }
    }

    // Rounds: load this rank's share of the batch, backward, sum. Then clean, clip, step. With several ranks the
    // reduction stands between the sum and the cleaning; with one it is nothing.
    fn step_fake_score(&mut self, supply: &mut impl Supply) -> Result<(Sums, Sanitized)> {
        let mut sums = Sums::default();
        for samples in self.rounds() {
            let batch = supply.micro_batch(Phase::FakeScore, self.nimg, samples)?;
            if self.objective.forced_normalization.fake_score {
                self.fake_score = take(&mut self.fake_score, &self.teacher).force_weight_normalization();
            }
            let round = self.objective.fake_score_round(
                &self.generator,
                &self.fake_score,
                &batch,
                f64::from(self.recipe.batch_size),
            )?;
            sums.add(round.gradients, round.loss, round.discriminator_loss, &round.terms.kept);
        }
        let mut gradients = std::mem::take(&mut sums.gradients);
        let sanitized = gradients.sanitize(self.recipe.fake_score.clip_grad_value);
        let fake_score = take(&mut self.fake_score, &self.teacher);
        self.fake_score = self.fake_score_optimizer.step(fake_score, gradients, self.recipe.fake_score.lr);
        Ok((sums, sanitized))
    }

    fn step_generator(
        &mut self,
        supply: &mut impl Supply,
        learning: Learning,
    ) -> Result<(Sums, Option<Sanitized>)> {
        let learns = learning != Learning::Nothing;
        let judge = |network: &D| if learns { frozen(network) } else { network.clone() };
        let (teacher, fake_score) = (judge(&self.teacher), judge(&self.fake_score));
        let mut sums = Sums::default();
        for samples in self.rounds() {
            let batch = supply.micro_batch(Phase::Generator, self.nimg, samples)?;
            if self.objective.forced_normalization.generator {
                self.generator = take(&mut self.generator, &self.teacher).force_weight_normalization();
            }
            let round = self.objective.generator_round(
                &self.generator,
                &teacher,
                &fake_score,
                &batch,
                learning,
                f64::from(self.recipe.batch_size),
            );
            sums.add(round.gradients, round.loss, round.adversarial_loss, &round.terms.kept);
        }
        let mut gradients = std::mem::take(&mut sums.gradients);
        if !learns {
            return Ok((sums, None));
        }
        let sanitized = gradients.sanitize(None);
        drop((teacher, fake_score));
        let generator = take(&mut self.generator, &self.teacher);
        self.generator = self.generator_optimizer.step(generator, gradients, self.recipe.generator.lr);
        Ok((sums, Some(sanitized)))
    }

    fn update_ema(&mut self) -> f64 {
        let beta = self.recipe.ema.beta(self.nimg, u64::from(self.recipe.batch_size));
        let average = take(&mut self.generator_ema, &self.teacher);
        self.generator_ema = ema::update(average, &self.generator, beta);
        beta
    }

    fn rounds(&self) -> impl Iterator<Item = Range<u64>> + use<D> {
        self.recipe.pace().samples(0..u64::from(self.recipe.batch_size))
    }

    /// Images seen so far.
    pub fn nimg(&self) -> u64 {
        self.nimg
    }

    /// Sets the clock, which a state of another program may not carry.
    pub fn set_nimg(&mut self, nimg: u64) {
        self.nimg = nimg;
    }

    /// The fake score network.
    pub fn fake_score(&self) -> &D {
        &self.fake_score
    }

    /// The generator in training.
    pub fn generator(&self) -> &D {
        &self.generator
    }

    /// The average of the generator: what the distillation hands on.
    pub fn generator_ema(&self) -> &D {
        &self.generator_ema
    }

    /// Everything that changes, as named tensors: `fake_score/`, `generator/`, `generator_ema/`,
    /// `fake_score_optimizer/`, `generator_optimizer/`, `nimg`.
    pub fn state(&self) -> StateDict {
        let parts = [
            ("fake_score", parameters::state(&self.fake_score)),
            ("generator", parameters::state(&self.generator)),
            ("generator_ema", parameters::state(&self.generator_ema)),
            ("fake_score_optimizer", self.fake_score_optimizer.state()),
            ("generator_optimizer", self.generator_optimizer.state()),
        ];
        join(parts, self.nimg)
    }

    /// Continues from a `state`; `origin` names the file in errors. On an error nothing has changed.
    ///
    /// # Errors
    /// The state lacks something, or belongs to other networks.
    pub fn restore(&mut self, state: &StateDict, origin: &str) -> Result<()> {
        let nimg = nimg(state, origin)?;
        let network = |old: &D, name: &str| parameters::restore(old.clone(), &part(state, name), origin);
        let fake_score = network(&self.fake_score, "fake_score")?;
        let generator = network(&self.generator, "generator")?;
        let generator_ema = network(&self.generator_ema, "generator_ema")?;
        let optimizer = |old: &Adam, network: &D, name: &str| {
            Adam::restore(old.settings(), network, &part(state, name), origin)
        };
        let fake_score_optimizer =
            optimizer(&self.fake_score_optimizer, &fake_score, "fake_score_optimizer")?;
        let generator_optimizer = optimizer(&self.generator_optimizer, &generator, "generator_optimizer")?;
        (self.fake_score_optimizer, self.generator_optimizer) = (fake_score_optimizer, generator_optimizer);
        (self.fake_score, self.generator, self.generator_ema) = (fake_score, generator, generator_ema);
        self.nimg = nimg;
        Ok(())
    }
}

/// Takes a network that is about to be replaced, so that its memory has one owner and can be written in place;
/// the teacher keeps its seat meanwhile.
fn take<D: Clone>(seat: &mut D, teacher: &D) -> D {
    std::mem::replace(seat, teacher.clone())
}
