//! What is recorded once comes, replayed, to what it would come to if it were run again.

use burn::tensor::{Device, Tensor};
use libtest_mimic::Failed;
use sida::{
    kernels::{self, Graph, Keys, Slots},
    seed::{Phase, Seed},
};

use crate::normals;

const DIMS: [usize; 4] = [2, 4, 4, 16];

/// Inputs that differ from time to time.
struct Inputs {
    x: Tensor<4>,
    keys: Keys,
}

impl Inputs {
    fn of(time: u64, device: &Device) -> Self {
        let keys = Keys::new([Seed(3).at(Phase::FakeScore, time).purpose("dropout")], time, device);
        Self { x: normals(&format!("x{time}"), DIMS, device), keys }
    }

    fn each(&mut self, slots: &mut Slots) {
        slots.tensor(&mut self.x);
        slots.keys(&mut self.keys);
    }

    fn outcome(&self) -> Tensor<4> {
        kernels::drop_activations(kernels::silu(self.x.clone() * 2.0), &self.keys, 0, 0.25)
    }
}

/// The inputs of other times are written over the first ones; inputs of another shape are not.
pub(crate) fn replayed(gpu: &Device) -> Result<(), Failed> {
    let mut first = Inputs::of(0, gpu);
    let slots = Slots::own(|slots| first.each(slots));
    let (graph, outcome) = Graph::record(gpu, || first.outcome())?;
    for time in [0, 1, 2] {
        let mut inputs = Inputs::of(time, gpu);
        let wanted = kernels::host(inputs.outcome());
        if !slots.overwrite(Slots::of(|slots| inputs.each(slots))) {
            return Err("equal shapes are said not to fit".into());
        }
        graph.replay();
        if kernels::host(outcome.clone()) != wanted {
            return Err(format!("the replay of {time} comes to other numbers").into());
        }
    }
    let mut other = Inputs { x: normals("x", [1, 4, 4, 16], gpu), ..Inputs::of(3, gpu) };
    if slots.overwrite(Slots::of(|slots| other.each(slots))) {
        return Err("another shape is said to fit".into());
    }
    Ok(())
}

/// Values move into the memory of others where nobody else has that.
pub(crate) fn settled(gpu: &Device) -> Result<(), Failed> {
    let row = |what: &str| normals(what, [1, 1, 8, 32], gpu).reshape([256]);
    let wanted = kernels::host(row("new"));
    for held in [false, true] {
        let old = row("old");
        let (home, holder) = (kernels::home(&old), held.then(|| old.clone()));
        let settled = kernels::settle(old, row("new"));
        let moved = kernels::home(&settled) != home;
        if home.is_none() || moved != held || kernels::host(settled) != wanted {
            return Err(format!("moved {moved}, and somebody else has the memory: {held}").into());
        }
        if holder.is_some_and(|holder| kernels::host(holder) != kernels::host(row("old"))) {
            return Err("what somebody else has was changed".into());
        }
    }
    Ok(())
}
