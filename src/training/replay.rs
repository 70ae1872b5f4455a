//! `Replay`: rounds that are recorded once as a graph of launches, and replayed with other inputs.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};

use super::{
    gradients::{GradientSum, Gradients},
    layout::Layout,
    supply::Inputs,
};
use crate::{
    Result,
    kernels::{Graph, Home, Slots},
};

/// The rounds of one phase. On a GPU, and where it is wanted, the first one runs as it is, so that kernels are compiled
/// and chosen; the second is recorded; from then on the host launches one graph instead of all that is in it. The numbers
/// are the same, bit for bit. Where something is not in its place any more, a round is recorded anew.
#[derive(Debug, Default)]
pub struct Replay {
    wanted: bool,
    warm: bool,
    recorded: Option<Recorded>,
}

#[derive(Debug)]
struct Recorded {
    graph: Graph,
    inputs: Slots,
    /// Of the networks' parameters.
    homes: Vec<Option<Home>>,
    outcome: Outcome,
}

/// What a round comes to, in memory that the next replay writes to: gradients, where it has any, and its report.
type Outcome = (Option<GradientSum>, Tensor<1>);

/// A round that was run, or replayed.
pub(super) struct Round {
    /// Adds its gradients to those of the rounds before it, where it has any.
    pub(super) sum: Option<Box<dyn FnOnce(Option<GradientSum>) -> GradientSum>>,
    pub(super) report: Tensor<1>,
}

impl Round {
    fn run(layout: &Arc<Layout>, (gradients, report): (Gradients, Tensor<1>)) -> Self {
        if gradients.is_empty() {
            return Self { sum: None, report };
        }
        let layout = Arc::clone(layout);
        let sum = move |before: Option<GradientSum>| match before {
            Some(before) => before.with(gradients),
            None => GradientSum::of(&layout, gradients),
        };
        Self { sum: Some(Box::new(sum)), report }
    }

    fn replayed((gradients, report): Outcome) -> Self {
        let sum = gradients.map(|gradients| {
            let sum = move |before: Option<GradientSum>| match before {
                Some(before) => before.and(gradients),
                None => gradients.copied(),
            };
            Box::new(sum) as Box<_>
        });
        Self { sum, report: report.mul_scalar(1.0) }
    }
}

impl Replay {
    /// Where it is `wanted`; else every round is run.
    pub fn new(wanted: bool) -> Self {
        Self { wanted, ..Self::default() }
    }

    /// Lets go of what was recorded: from now on rounds are others.
    pub fn forget(&mut self) {
        self.recorded = None;
    }

    /// One round on a device, of networks whose parameters are at `homes`. `run` is a function of its argument and of
    /// these networks alone.
    ///
    /// # Errors
    /// Those of `run`.
    pub(super) fn round<B: Inputs>(
        &mut self,
        device: &Device,
        layout: &Arc<Layout>,
        homes: Vec<Option<Home>>,
        mut batch: B,
        run: impl Fn(&B) -> Result<(Gradients, Tensor<1>)>,
    ) -> Result<Round> {
        if !(self.wanted && self.warm) || homes.contains(&None) {
            self.warm = true;
            return Ok(Round::run(layout, run(&batch)?));
        }
        if let Some(Recorded { graph, inputs, homes: before, outcome }) = &self.recorded
            && *before == homes
            && inputs.overwrite(Slots::of(|slots| batch.each(slots)))
        {
            graph.replay();
            return Ok(Round::replayed(outcome.clone()));
        }
        self.recorded = None;
        let inputs = Slots::own(|slots| batch.each(slots));
        let recorded = Graph::record(device, || -> Result<Outcome> {
            let (gradients, report) = run(&batch)?;
            let gradients = (!gradients.is_empty()).then(|| GradientSum::of(layout, gradients));
            Ok((gradients, report))
        });
        match recorded {
            Ok((graph, outcome)) => {
                let outcome = outcome?;
                graph.replay();
                self.recorded = Some(Recorded { graph, inputs, homes, outcome: outcome.clone() });
                Ok(Round::replayed(outcome))
            }
            Err(why) => {
                tracing::warn!(
                    "`graphs: true`: this device does not record them, and is told of every launch: {why}"
                );
                self.wanted = false;
                Ok(Round::run(layout, run(&batch)?))
            }
        }
    }
}
