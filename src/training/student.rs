//! `Student`: a network that learns, and all that it needs for it.

use burn::tensor::Tensor;

use super::{
    adam::{Adam, AdamSettings},
    flat::Flat,
    gradients::{GradientSum, Gradients},
    replay::Replay,
    replicas::Replicas,
    sanitized::Unread,
    state::part,
    supply::Inputs,
    tree::Tree,
};
use crate::{Result, kernels, nn::Denoiser, state_dict::StateDict};

/// A network with its optimizer. The network rests without a tape; a round puts one on a clone of it.
#[derive(Debug)]
pub struct Student<D> {
    names: Names,
    flat: Flat<D>,
    optimizer: Adam,
    clip_value: Option<f64>,
}

/// What a student's two parts are called in a training's state.
#[derive(Clone, Copy, Debug)]
pub struct Names {
    /// The parameters.
    pub network: &'static str,
    /// The optimizer's moments.
    pub optimizer: &'static str,
}

/// What the rounds of a phase add up to, of one replica or of all; everything still on the device.
#[derive(Debug)]
pub struct Sums {
    /// The gradients; `None` where no round had any.
    pub gradients: Option<GradientSum>,
    /// What each of this replica's rounds reported.
    pub reports: Vec<Tensor<1>>,
    /// The reports, added up in the order of the gradients.
    pub report: Tensor<1>,
}

impl Sums {
    /// The sums over all replicas, in one reduction.
    ///
    /// # Errors
    /// Another replica is lost.
    pub fn reduced(self, replicas: &impl Replicas) -> Result<Self> {
        if replicas.are_one() {
            return Ok(self);
        }
        let (gradients, report) = match self.gradients {
            Some(gradients) => {
                let (gradients, report) = gradients.reduced(self.report, replicas)?;
                (Some(gradients), report)
            }
            None => (None, replicas.reduce(self.report)?),
        };
        Ok(Self { gradients, report, ..self })
    }
}

impl<D: Denoiser> Student<D> {
    /// A student that has learnt nothing; `clip_value`, where given, limits every value of its gradients.
    pub fn new(names: Names, network: D, settings: AdamSettings, clip_value: Option<f64>) -> Self {
        let flat = Flat::new(network);
        let optimizer = Adam::new(settings, flat.layout());
        Self { names, flat, optimizer, clip_value }
    }

    /// The network, as it is now.
    pub fn network(&self) -> &D {
        self.flat.network()
    }

    /// The same with its parameters in one tensor.
    pub fn flat(&self) -> &Flat<D> {
        &self.flat
    }

    /// The rounds of one phase: every micro-batch a training pass and its gradients, by `round`, from the network as it
    /// is; with its weights normalised before each, where that is asked for. They are a share `of_all` rounds. Where they
    /// can be replayed, `round` is a function of its arguments and of the `others`, networks that learn elsewhere.
    ///
    /// # Errors
    /// There is no micro-batch to be had, or `round` fails.
    pub fn rounds<B: Inputs>(
        &mut self,
        of_all: u32,
        micro_batches: impl Iterator<Item = Result<B>>,
        forced_normalization: bool,
        (replay, others): (&mut Replay, &[&Flat<D>]),
        round: impl Fn(&D, &B) -> Result<(Gradients, Tensor<1>)>,
    ) -> Result<Sums> {
        let of_all = of_all as usize;
        let (mut gradients, mut report, mut reports) = (Tree::of(of_all), Tree::of(of_all), Vec::new());
        for micro_batch in micro_batches {
            let micro_batch = micro_batch?;
            if forced_normalization {
                self.flat.rebuild(D::force_weight_normalization);
            }
            let (values, layout) = (self.flat.values(), self.flat.layout());
            let networks = [&self.flat].into_iter().chain(others.iter().copied());
            let homes = networks.map(|network| kernels::home(network.values())).collect();
            let run = |micro_batch: &B| round(self.network(), micro_batch);
            let round = replay.round(&values.device(), layout, homes, micro_batch, run)?;
            if let Some(sum) = round.sum {
                gradients.push(sum, GradientSum::and);
            }
            reports.push(round.report.clone());
            report.push(|before| add_to(before, round.report), |a, b| a + b);
        }
        let report = report.total(|a, b| a + b).expect("a phase has a round");
        Ok(Sums { gradients: gradients.total(GradientSum::and), reports, report })
    }

    /// One step along `gradients`, all replicas': clean, clip, step. Says what that met with.
    pub fn learn(&mut self, gradients: GradientSum, lr: f64) -> Unread {
        let (gradients, met) = gradients.sanitize(self.clip_value);
        self.flat.update(|values| self.optimizer.step(values, gradients, lr));
        met
    }

    /// Network and optimizer, each with its name.
    pub fn state(&self) -> [(&'static str, StateDict); 2] {
        let Names { network, optimizer } = self.names;
        [(network, self.flat.state()), (optimizer, self.optimizer.state())]
    }

    /// The student as a training's state knows it; `origin` names the file in errors.
    ///
    /// # Errors
    /// The state lacks something, or belongs to another network.
    pub fn restored(&self, state: &StateDict, origin: &str) -> Result<Self> {
        let Names { network, optimizer } = self.names;
        let flat = self.flat.restored(&part(state, network), origin)?;
        let optimizer = self.optimizer.restored(flat.values(), &part(state, optimizer), origin)?;
        Ok(Self { flat, optimizer, ..*self })
    }
}

fn add_to(sum: Option<Tensor<1>>, leaf: Tensor<1>) -> Tensor<1> {
    match sum {
        Some(sum) => sum + leaf,
        None => leaf,
    }
}
