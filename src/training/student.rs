//! `Student`: a network that learns, and all that it needs for it.

use burn::tensor::Tensor;

use super::{
    adam::{Adam, AdamSettings},
    gradients::{Gradients, Sanitized},
    parameters,
    replicas::Replicas,
    seat::Seat,
    state::part,
};
use crate::{Result, nn::Denoiser, state_dict::StateDict};

/// A network with its optimizer. The network rests without a tape; a round puts one on a clone of it.
#[derive(Debug)]
pub struct Student<D> {
    names: Names,
    seat: Seat<D>,
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

/// The gradients of all rounds of a phase together, and what each round reports; everything still on the device.
pub type Sums = (Gradients, Vec<Tensor<1>>);

impl<D: Denoiser> Student<D> {
    /// A student that has learnt nothing; `clip_value`, where given, limits every value of its gradients.
    pub fn new(names: Names, network: D, settings: AdamSettings, clip_value: Option<f64>) -> Self {
        Self { names, seat: Seat::new(network.valid()), optimizer: Adam::new(settings), clip_value }
    }

    /// The network, as it is now.
    pub fn network(&self) -> &D {
        self.seat.network()
    }

    /// The rounds of one phase: every micro-batch a training pass and its gradients, by `round`, from the network as it
    /// is; with its weights normalised before each, where that is asked for.
    ///
    /// # Errors
    /// There is no micro-batch to be had, or `round` fails.
    pub fn rounds<B>(
        &mut self,
        micro_batches: impl Iterator<Item = Result<B>>,
        forced_normalization: bool,
        round: impl Fn(&D, B) -> Result<(Gradients, Tensor<1>)>,
    ) -> Result<Sums> {
        let (mut gradients, mut reports) = (Gradients::default(), Vec::new());
        for micro_batch in micro_batches {
            let micro_batch = micro_batch?;
            if forced_normalization {
                self.seat.replace(D::force_weight_normalization);
            }
            let (of_round, report) = round(self.network(), micro_batch)?;
            gradients.add(of_round);
            reports.push(report);
        }
        Ok((gradients, reports))
    }

    /// One step along this replica's `gradients`: reduce, clean, clip, step.
    pub fn learn(&mut self, gradients: Gradients, lr: f64, replicas: &impl Replicas) -> Sanitized {
        let mut gradients = gradients.map(|own| replicas.reduce(own));
        let sanitized = gradients.sanitize(self.clip_value);
        self.seat.replace(|network| self.optimizer.step(network, gradients, lr));
        sanitized
    }

    /// Network and optimizer, each with its name.
    pub fn state(&self) -> [(&'static str, StateDict); 2] {
        let Names { network, optimizer } = self.names;
        [(network, parameters::state(self.network())), (optimizer, self.optimizer.state())]
    }

    /// The student as a training's state knows it; `origin` names the file in errors.
    ///
    /// # Errors
    /// The state lacks something, or belongs to another network.
    pub fn restored(&self, state: &StateDict, origin: &str) -> Result<Self> {
        let Names { network, optimizer } = self.names;
        let network = parameters::restore(self.network().clone(), &part(state, network), origin)?;
        let moments = part(state, optimizer);
        let optimizer = Adam::restore(self.optimizer.settings(), &network, &moments, origin)?;
        Ok(Self { seat: Seat::new(network), optimizer, ..*self })
    }
}
