//! `Half`: an iteration that was stopped in its middle, when the fake score network has learnt and the generator not yet.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};

use super::round::REPORT;
use crate::{
    Error, Result,
    training::{Layout, Unread},
};

/// What the half is called in a state.
pub(super) const HALF: &str = "fake_score_phase";

/// What the fake score network met with, for the numbers of the whole iteration.
#[derive(Debug)]
pub(super) struct Half {
    /// What its rounds add up to. `[REPORT]`
    pub(super) report: Tensor<1>,
    /// Those of this replica, where this process made them.
    pub(super) rounds: Vec<Tensor<1>>,
    /// What was done to its gradients.
    pub(super) met: Option<Unread>,
}

impl Half {
    /// As a state keeps it.
    pub(super) fn numbers(&self) -> TensorData {
        let numbers = [self.report.clone()].into_iter().chain(self.met.iter().map(Unread::numbers));
        Tensor::cat(numbers.collect(), 0).into_data()
    }

    /// From what a state keeps; `layout` is the fake score network's, `origin` names the file in errors.
    ///
    /// # Errors
    /// It is of another network.
    pub(super) fn of(
        numbers: &TensorData,
        layout: &Arc<Layout>,
        device: &Device,
        origin: &str,
    ) -> Result<Self> {
        let (found, expected) = (numbers.num_elements(), REPORT + Unread::count(layout));
        if found != REPORT && found != expected {
            let tensor = HALF.to_owned();
            let (found, expected) = (numbers.shape().to_vec(), vec![expected]);
            return Err(Error::ShapeMismatch { origin: origin.to_owned(), tensor, found, expected });
        }
        let all = Tensor::<1>::from_data(numbers.clone(), device);
        let met = || Unread::new(Arc::clone(layout), all.clone().narrow(0, REPORT, found - REPORT));
        let met = (found > REPORT).then(met);
        Ok(Self { report: all.narrow(0, 0, REPORT), rounds: Vec::new(), met })
    }
}
