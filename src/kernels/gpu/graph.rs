//! Launches that are recorded once and replayed: on CUDA a graph of the driver's, elsewhere what `CubeCL` makes of it.

use burn_cubecl::{kernel::into_contiguous, tensor::CubeTensor};
use cubecl::{client, future::block_on, prelude::*, server::ServerError};

use crate::launch::{cubes_for, empty_like};

/// Runs before the one that is recorded. Nothing can be allocated while that runs: it takes what the others left.
const WARM: usize = 2;

/// Recorded launches. `CubeCL` hands out none of the memory that they touch while the graph lives.
#[derive(Clone, Debug)]
pub struct Graph(client::Graph);

impl Graph {
    /// Records what `run` launches on the device of `there`, after it ran a few times for its memory. What is recorded does
    /// not run: the tensors that come out are written by each replay.
    ///
    /// # Errors
    /// The device records nothing, or not this; the stream is as it was.
    pub fn record<T>(there: &CubeTensor, mut run: impl FnMut() -> T) -> Result<(Self, T), ServerError> {
        let client = &there.client;
        client.graph_prepare()?;
        let warmed = (0..WARM).try_for_each(|_| {
            drop(run());
            block_on(client.sync())
        });
        if let Err(refused) = warmed.and_then(|()| client.start_capture()) {
            // From here it ends what was prepared.
            let _ = client.stop_capture();
            return Err(refused);
        }
        let output = run();
        Ok((Self(client.stop_capture()?), output))
    }

    /// Launches all of them again, behind what was launched before.
    ///
    /// # Errors
    /// The driver refuses; whoever reads what would have been written gets the error, too.
    #[allow(unsafe_code, reason = "CubeCL does not look after the memory of graphs")]
    pub fn replay(&self) -> Result<(), ServerError> {
        // SAFETY: the graph guards the pages of all memory that it touches, so that none of it is another's by now; and it
        // runs on the stream that it was recorded on, that of a training's thread, behind what was launched there before.
        unsafe { self.0.replay() }
    }
}

/// The number of a tensor's memory, which no other memory has or will have.
pub fn memory(tensor: &CubeTensor) -> usize {
    tensor.handle.memory.clone().binding().id().value
}

/// Whether one can be written over the other.
pub fn fits(into: &CubeTensor, from: &CubeTensor) -> bool {
    into.meta.shape() == from.meta.shape() && into.dtype == from.dtype && into.device == from.device
}

/// A copy of its own, its values one after another.
pub fn own(tensor: CubeTensor) -> CubeTensor {
    let own = empty_like(&tensor);
    overwrite(&own, tensor);
    own
}

/// Words of 32 bits, whatever they mean.
#[cube(launch)]
fn overwrite_kernel(from: &[u32], into: &mut [u32], len: usize) {
    if ABSOLUTE_POS < len {
        into[ABSOLUTE_POS] = from[ABSOLUTE_POS];
    }
}

/// Writes the values of `from` to the memory of `into`, whoever else has it. Values of 32 bits; `into` is contiguous.
pub fn overwrite(into: &CubeTensor, from: CubeTensor) {
    assert!(fits(into, &from) && into.dtype.size() == 4 && into.is_contiguous());
    let len = into.meta.num_elements();
    let (cubes, units) = cubes_for(len);
    let (from, to) = (into_contiguous(from).into_buffer_arg(), into.clone().into_buffer_arg());
    overwrite_kernel::launch(&into.client, cubes, units, from, to, len);
}

/// The values of `new`, in the memory of `old` where nobody else has that.
pub fn settle(old: CubeTensor, new: CubeTensor) -> CubeTensor {
    if !(old.can_mut() && fits(&old, &new) && old.is_contiguous()) {
        return new;
    }
    overwrite(&old, new);
    old
}
