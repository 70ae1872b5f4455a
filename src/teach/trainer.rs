//! `TeacherTrainer`: a student and its average; and one iteration of teacher training.

use burn::tensor::Tensor;

use super::{batch::TeacherBatch, objective::TeacherObjective, recipe::TrainTeacher};
use crate::{
    Result, kernels,
    nn::Denoiser,
    seed::Phase,
    state_dict::StateDict,
    training::{
        AdamSettings, Average, Pending, Replay, Replicas, Sanitized, Student, Supply, Unread,
        state::{join, nimg},
        student::Names,
    },
};

/// A teacher under way.
#[derive(Debug)]
pub struct TeacherTrainer<D> {
    recipe: TrainTeacher,
    objective: TeacherObjective,
    student: Student<D>,
    ema: Average<D>,
    rounds: Replay,
    nimg: u64,
}

/// What happened in one iteration of a teacher.
#[derive(Clone, Debug, PartialEq)]
pub struct TeacherIteration {
    /// Images seen when it began.
    pub nimg: u64,
    /// Sum over the batch divided by its size.
    pub loss: f64,
    /// The same without the weight of the network's own uncertainty (EDM2); else `loss`.
    pub error: f64,
    /// Gradients.
    pub gradients: Sanitized,
    /// Learning rate.
    pub lr: f64,
    /// What was kept of the old average.
    pub ema_beta: f64,
}

impl<D: Denoiser> TeacherTrainer<D> {
    /// A training that has seen nothing.
    pub fn new(recipe: TrainTeacher, objective: TeacherObjective, network: D) -> Self {
        let names = Names { network: "network", optimizer: "optimizer" };
        let settings = AdamSettings::new(recipe.betas, recipe.epsilon, recipe.precision);
        Self {
            ema: Average::new("ema", network.clone(), recipe.ema.clone()),
            student: Student::new(names, network, settings, None),
            rounds: Replay::new(recipe.graphs),
            recipe,
            objective,
            nimg: 0,
        }
    }

    /// One iteration: the student learns, and the average follows it. What they learnt is in the networks; the numbers may
    /// still be on their way.
    ///
    /// # Errors
    /// The dataset cannot be read; another replica is lost.
    pub fn step(
        &mut self,
        supply: &mut impl Supply<MicroBatch = TeacherBatch>,
        replicas: &impl Replicas,
    ) -> Result<Pending<TeacherIteration>> {
        let (nimg, batch_size, objective) = (self.nimg, self.recipe.batch_size, &self.objective);
        let rounds = self.recipe.pace().samples(replicas.share(u64::from(batch_size)));
        let batches = rounds.map(|samples| supply.micro_batch(Phase::Teacher, nimg, samples));
        let sums = self.student.rounds(
            self.recipe.pace().rounds(),
            batches,
            objective.forced_normalization,
            (&mut self.rounds, &[]),
            |network, batch| {
                let (losses, gradients) = objective.round(network, batch, f64::from(batch_size));
                Ok((gradients, losses))
            },
        )?;
        let sums = sums.reduced(replicas)?;
        let lr = self.recipe.lr_at(nimg);
        let met = sums.gradients.map(|gradients| self.student.learn(gradients, lr));
        let ema_beta = self.ema.follow(self.student.flat(), nimg, batch_size);
        self.nimg += u64::from(batch_size);

        let numbers = [sums.report].into_iter().chain(met.iter().map(Unread::numbers)).collect();
        Ok(Pending::new(kernels::read(Tensor::cat(numbers, 0)), move |mut numbers| {
            let [loss, error] = std::array::from_fn(|_| numbers.next().expect("a report is two numbers"));
            let gradients = met.map_or_else(Sanitized::default, |met| met.sanitized(&mut numbers));
            TeacherIteration { nimg, loss, error, gradients, lr, ema_beta }
        }))
    }

    /// Images seen so far.
    pub fn nimg(&self) -> u64 {
        self.nimg
    }

    /// The average of the network: what the training hands on.
    pub fn ema(&self) -> &D {
        self.ema.network()
    }

    /// A number that other weights of the network do not have.
    pub fn fingerprint(&self) -> u64 {
        self.student.flat().fingerprint()
    }

    /// Everything that changes, as named tensors: `network/`, `ema/`, `optimizer/`, `nimg`.
    pub fn state(&self) -> StateDict {
        let [network, optimizer] = self.student.state();
        join([network, self.ema.state(), optimizer], self.nimg)
    }

    /// Continues from a `state`; `origin` names the file in errors. On an error nothing has changed.
    ///
    /// # Errors
    /// The state lacks something, or belongs to another network.
    pub fn restore(&mut self, state: &StateDict, origin: &str) -> Result<()> {
        let nimg = nimg(state, origin)?;
        let student = self.student.restored(state, origin)?;
        let ema = self.ema.restored(state, origin)?;
        (self.student, self.ema, self.nimg) = (student, ema, nimg);
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::{
        nn::gaussian::Gaussian,
        ranks::Ranks,
        seed::Seed,
        teach::TeacherSupply,
        training::{Batch, Draws, Request},
    };

    pub(crate) fn recipe() -> TrainTeacher {
        serde_json::from_value(serde_json::json!({
            "dataset": "normal", "network": { "ddpmpp": { "img_resolution": 8, "augment_dim": 0 } },
            "batch_size": 32, "microbatch_size": 16, "lr": 0.02, "lr_rampup_kimg": 1.0,
            "ema": { "half_life_kimg": 0.5, "rampup_ratio": 0.05 }, "augment": 0.0,
        }))
        .unwrap()
    }

    pub(crate) fn trainer(recipe: &TrainTeacher, network: Gaussian) -> TeacherTrainer<Gaussian> {
        TeacherTrainer::new(recipe.clone(), TeacherObjective::new(recipe), network)
    }

    pub(crate) fn supply(recipe: &TrainTeacher) -> impl Supply<MicroBatch = TeacherBatch> + use<'_> {
        let batches = |request: Request| Ok(Batch::of_normals(request));
        let draws = Draws::new(Seed(5), recipe.augment, &recipe.network, batches, Device::flex());
        TeacherSupply { recipe, draws }
    }

    #[test]
    fn a_teacher_learns_the_distribution_of_its_images() {
        let recipe = recipe();
        let mut trainer = trainer(&recipe, Gaussian::new(-0.3, 1.0));
        let mut supply = supply(&recipe);
        for _ in 0..400 {
            trainer.step(&mut supply, &Ranks::alone()).unwrap().wait();
        }
        let (mean, std) = (trainer.ema().mean(), trainer.ema().std());
        assert!((mean - 0.5).abs() < 0.02, "mean {mean}");
        assert!((std - 0.25).abs() < 0.02, "std {std}");
    }

    #[test]
    fn uncertainty_settles_at_the_log_of_the_loss() {
        let recipe = recipe();
        let plain = TeacherObjective::new(&recipe);
        let objective = TeacherObjective { learns_uncertainty: true, ..plain.clone() };
        let mut trainer = trainer(&recipe, Gaussian::with_logvar(0.5, 0.25, 1.0));
        trainer.objective = objective;
        let mut supply = supply(&recipe);
        let mut loss = 0.0;
        for i in 0..300u32 {
            trainer.step(&mut supply, &Ranks::alone()).unwrap().wait();
            if i >= 200 {
                let recipe = TrainTeacher { lr: 0.0, ..recipe.clone() };
                let mut judge = TeacherTrainer::new(recipe, plain.clone(), trainer.ema().clone());
                judge.nimg = trainer.nimg();
                loss += judge.step(&mut supply, &Ranks::alone()).unwrap().wait().loss / 64.0 / 100.0;
            }
        }
        let logvar = f64::from(trainer.ema().logvar());
        assert!((logvar - loss.ln()).abs() < 0.05, "{logvar} is not ln {loss}");
    }

    #[test]
    fn the_learning_rate_grows_from_zero() {
        let recipe = recipe();
        let mut trainer = trainer(&recipe, Gaussian::new(0.1, 1.0));
        let mut supply = supply(&recipe);
        let rates: Vec<f64> =
            (0..40).map(|_| trainer.step(&mut supply, &Ranks::alone()).unwrap().wait().lr).collect();
        assert_eq!(rates[0].to_bits(), 0f64.to_bits());
        assert!((rates[10] - 0.02 * 0.32).abs() < 1e-12);
        assert!((rates[39] - 0.02).abs() < 1e-12);
    }

    #[test]
    fn a_restored_teacher_continues_bit_for_bit() {
        let recipe = recipe();
        let mut supply = supply(&recipe);
        let mut uninterrupted = trainer(&recipe, Gaussian::new(-0.3, 1.0));
        (0..3).for_each(|_| drop(uninterrupted.step(&mut supply, &Ranks::alone()).unwrap().wait()));
        let mut resumed = trainer(&recipe, Gaussian::new(7.0, 7.0));
        resumed.restore(&uninterrupted.state(), "a checkpoint").unwrap();
        for _ in 0..3 {
            let found = resumed.step(&mut supply, &Ranks::alone()).unwrap().wait();
            assert_eq!(found, uninterrupted.step(&mut supply, &Ranks::alone()).unwrap().wait());
        }
        assert_eq!(resumed.state(), uninterrupted.state());
    }
}
