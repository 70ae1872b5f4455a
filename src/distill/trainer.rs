//! `Trainer`: a teacher, two students and an average; and one iteration of their distillation.

use std::iter::repeat_n;

use burn::tensor::Tensor;

use super::{
    generator_round::{Learning, frozen},
    half::{HALF, Half},
    iteration::{Iteration, Round},
    micro_batch::MicroBatch,
    objective::Objective,
    recipe::Distill,
};
use crate::{
    Result, kernels,
    nn::Denoiser,
    seed::Phase,
    state_dict::StateDict,
    training::{
        AdamSettings, Average, Pending, Replay, Replicas, Sanitized, Student, Sums, Supply, Unread,
        state::{join, nimg},
        student::Names,
    },
};

/// What the fake score network is called in a state.
pub const FAKE_SCORE: Names = Names { network: "fake_score", optimizer: "fake_score_optimizer" };
/// What the generator is called in a state.
pub const GENERATOR: Names = Names { network: "generator", optimizer: "generator_optimizer" };
/// What the generator's average is called in a state.
pub const GENERATOR_EMA: &str = "generator_ema";

/// A distillation under way.
#[derive(Debug)]
pub struct Trainer<D> {
    recipe: Distill,
    objective: Objective,
    teacher: D,
    fake_score: Student<D>,
    generator: Student<D>,
    generator_ema: Average<D>,
    /// What the fake score network met with in an iteration whose other half is still to come.
    half: Option<Half>,
    /// The rounds of both phases, and what those of the generator learn from.
    fake_score_rounds: Replay,
    generator_rounds: (Learning, Replay),
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

impl<D: Denoiser> Trainer<D> {
    /// A distillation that has seen nothing.
    pub fn new(recipe: Distill, objective: Objective, networks: Networks<D>) -> Self {
        let (of_fake_score, of_generator) = (&recipe.fake_score, &recipe.generator);
        let adam = |betas, epsilon| AdamSettings::new(betas, epsilon, recipe.precision);
        let fake_score = Student::new(
            FAKE_SCORE,
            networks.fake_score,
            adam(of_fake_score.betas, of_fake_score.epsilon),
            of_fake_score.clip_grad_value,
        );
        let settings = adam(of_generator.betas, of_generator.epsilon);
        Self {
            teacher: networks.teacher.valid(),
            fake_score,
            generator: Student::new(GENERATOR, networks.generator, settings, None),
            generator_ema: Average::new(GENERATOR_EMA, networks.generator_ema, recipe.ema.clone()),
            fake_score_rounds: Replay::new(recipe.graphs),
            generator_rounds: (Learning::Nothing, Replay::new(recipe.graphs)),
            recipe,
            objective,
            half: None,
            nimg: 0,
        }
    }

    /// One iteration: the fake score network learns, then the generator, and the average follows it. What they learnt is
    /// in the networks; the numbers may still be on their way. After an error of the supply's, also in the middle, the
    /// state is one to go on from.
    ///
    /// # Errors
    /// The supply's; another replica is lost.
    pub fn step(
        &mut self,
        supply: &mut impl Supply<MicroBatch = MicroBatch>,
        replicas: &impl Replicas,
    ) -> Result<Pending<Iteration>> {
        let (nimg, learning) = (self.nimg, self.learning());
        let samples = self.recipe.pace().samples(replicas.share(u64::from(self.recipe.batch_size)));
        if self.half.is_none() {
            let batches = samples.clone().map(|samples| supply.micro_batch(Phase::FakeScore, nimg, samples));
            let Sums { gradients, report, reports } = self.fake_score_rounds(batches)?.reduced(replicas)?;
            let lr = self.recipe.fake_score.lr;
            let met = gradients.map(|gradients| self.fake_score.learn(gradients, lr));
            self.half = Some(Half { report, rounds: reports, met });
        }

        let batches = samples.map(|samples| supply.micro_batch(Phase::Generator, nimg, samples));
        let generator = self.generator_rounds(batches, learning)?.reduced(replicas)?;
        let lr = self.recipe.generator.lr;
        let generator_met = generator.gradients.map(|gradients| self.generator.learn(gradients, lr));
        let ema_beta = self.generator_ema.follow(self.generator.flat(), nimg, self.recipe.batch_size);
        self.nimg += u64::from(self.recipe.batch_size);

        let half = self.half.take().expect("made above");
        let phases = [Phase::FakeScore, Phase::Generator].into_iter().chain(
            [(Phase::FakeScore, half.rounds.len()), (Phase::Generator, generator.reports.len())]
                .into_iter()
                .flat_map(|(phase, rounds)| repeat_n(phase, rounds)),
        );
        let mut reports = vec![half.report, generator.report];
        reports.extend(half.rounds.into_iter().chain(generator.reports));
        reports.extend([&half.met, &generator_met].into_iter().flatten().map(Unread::numbers));
        let numbers = kernels::read(Tensor::cat(reports, 0));
        let adversarial = self.objective.generator.adversarial;
        Ok(Pending::new(numbers, move |mut numbers| {
            let mut rounds = phases.map(|phase| Round::next(phase, &mut numbers, adversarial));
            let mut next = || rounds.next().expect("a report of each phase");
            let (fake_score, generator) = (next(), next());
            let rounds = rounds.collect();
            let fake_score_gradients =
                half.met.map_or_else(Sanitized::default, |met| met.sanitized(&mut numbers));
            let generator_gradients = generator_met.map(|met| met.sanitized(&mut numbers));
            Iteration {
                nimg,
                fake_score,
                generator,
                fake_score_gradients,
                generator_gradients,
                adversarial_active: learning == Learning::ScoreAndAdversarial,
                ema_beta,
                rounds,
            }
        }))
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

    fn fake_score_rounds(&mut self, batches: impl Iterator<Item = Result<MicroBatch>>) -> Result<Sums> {
        let (objective, generator) = (&self.objective, self.generator.flat());
        let (batch_size, of_all) = (f64::from(self.recipe.batch_size), self.recipe.pace().rounds());
        self.fake_score.rounds(
            of_all,
            batches,
            objective.forced_normalization.fake_score,
            (&mut self.fake_score_rounds, &[generator]),
            |fake_score, batch| {
                let round = objective.fake_score_round(generator.network(), fake_score, batch, batch_size);
                Ok(round?.reported())
            },
        )
    }

    fn generator_rounds(
        &mut self,
        batches: impl Iterator<Item = Result<MicroBatch>>,
        learning: Learning,
    ) -> Result<Sums> {
        let learns = learning != Learning::Nothing;
        let judge = |network: &D| if learns { frozen(network) } else { network.clone() };
        let (teacher, fake_score) = (judge(&self.teacher), judge(self.fake_score.network()));
        let (objective, batch_size) = (&self.objective, f64::from(self.recipe.batch_size));
        let of_all = self.recipe.pace().rounds();
        let (before, replay) = &mut self.generator_rounds;
        if std::mem::replace(before, learning) != learning {
            replay.forget();
        }
        self.generator.rounds(
            of_all,
            batches,
            objective.forced_normalization.generator,
            (replay, &[self.fake_score.flat()]),
            |generator, batch| {
                let round =
                    objective.generator_round(generator, &teacher, &fake_score, batch, learning, batch_size);
                Ok(round.reported())
            },
        )
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
        self.fake_score.network()
    }

    /// The generator in training.
    pub fn generator(&self) -> &D {
        self.generator.network()
    }

    /// The average of the generator: what the distillation hands on.
    pub fn generator_ema(&self) -> &D {
        self.generator_ema.network()
    }

    /// A number that other weights of the students do not have.
    pub fn fingerprint(&self) -> u64 {
        self.fake_score.flat().fingerprint().rotate_left(1) ^ self.generator.flat().fingerprint()
    }

    /// Everything that changes, as named tensors: the parts of both students, the average, `nimg`; in the middle of an
    /// iteration what the fake score network met with in it.
    pub fn state(&self) -> StateDict {
        let [fake_score, fake_score_optimizer] = self.fake_score.state();
        let [generator, generator_optimizer] = self.generator.state();
        let average = self.generator_ema.state();
        let mut state =
            join([fake_score, generator, average, fake_score_optimizer, generator_optimizer], self.nimg);
        state.extend(self.half.iter().map(|half| (HALF.to_owned(), half.numbers())));
        state
    }

    /// Continues from a `state`; `origin` names the file in errors. On an error nothing has changed.
    ///
    /// # Errors
    /// The state lacks something, or belongs to other networks.
    pub fn restore(&mut self, state: &StateDict, origin: &str) -> Result<()> {
        let nimg = nimg(state, origin)?;
        let fake_score = self.fake_score.restored(state, origin)?;
        let generator = self.generator.restored(state, origin)?;
        let generator_ema = self.generator_ema.restored(state, origin)?;
        let flat = fake_score.flat();
        let (layout, device) = (flat.layout(), flat.values().device());
        let half = state.get(HALF).map(|numbers| Half::of(numbers, layout, &device, origin)).transpose()?;
        (self.fake_score, self.generator, self.generator_ema) = (fake_score, generator, generator_ema);
        (self.half, self.nimg) = (half, nimg);
        Ok(())
    }
}
