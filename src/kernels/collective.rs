//! Sums over processes, where a device forms them by itself: NVIDIA's GPUs, each of one process, through NCCL.

use std::time::Duration;

use burn::tensor::{DType, Device, Tensor};

use super::engine::Placed;
#[cfg(any(feature = "cuda", feature = "wgpu"))]
use super::{engine::Cube, gpu::collective as gpu, tape::Operand};

/// The place of this process among those that sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    /// From 0; no other process has it.
    pub rank: usize,
    /// How many processes there are.
    pub ranks: usize,
}

/// What sums over processes on NVIDIA's GPUs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Nccl {
    /// Its version.
    Found(String),
    /// It is not installed, or not where libraries are looked for.
    Missing,
}

/// Says where processes meet that will `join`: `host:port` of the one with rank 0, where nobody listens yet. Every process
/// needs a network interface in that host's subnet, and whoever reaches the port can take a place there. To be called
/// before any thread is started; without CUDA, or NCCL, nothing follows from it.
///
/// # Panics
/// This process has more than one thread already, where the system tells.
pub fn meet_at(address: &str) {
    #[cfg(feature = "cuda")]
    gpu::meet_at(address);
    #[cfg(not(feature = "cuda"))]
    let _ = address;
}

/// Whether NCCL is there for a device, which is opened; none where it would be of no use: the device is not CUDA's.
pub fn nccl(device: &Device) -> Option<Nccl> {
    match on(device) {
        #[cfg(any(feature = "cuda", feature = "wgpu"))]
        Placed::Gpu(there) => {
            let there = there.into_array();
            gpu::is_cuda(&there).then(|| gpu::version(&there).map_or(Nccl::Missing, Nccl::Found))
        }
        Placed::Cpu(_) | Placed::Elsewhere(_) => None,
    }
}

/// Joins the others, before anything is summed, and waits for all at most so long. Where `nccl` is not `Found` by one
/// process, none is to join.
///
/// # Errors
/// What went wrong, in words, and what to do. The device may be waiting for ever then: the process is to end.
pub fn join(device: &Device, seat: Seat, patience: Duration) -> Result<(), String> {
    match (on(device), nccl(device)) {
        #[cfg(any(feature = "cuda", feature = "wgpu"))]
        (Placed::Gpu(there), Some(Nccl::Found(_))) => {
            gpu::join(&there.into_array(), seat.rank, seat.ranks, patience)
        }
        _ => {
            let (Seat { rank, ranks }, _) = (seat, patience);
            Err(format!(
                "rank {rank} of {ranks} cannot join: there is no NCCL for its device; `sida doctor` says more"
            ))
        }
    }
}

/// The sum over all processes of each value. All call it equally often, each time with equally many values in the same
/// order; the tensor has no tape. In place where `own` is the only handle to its memory; the host waits for nothing. NCCL's
/// order of addition is its own: the sum is the same for all, and equals a sum in another order but for rounding.
///
/// Where NCCL refuses, what is read of the sum, or of anything computed from it, panics as reads of a failed device do: there
/// are no wrong numbers. A process that died without NCCL noticing is waited for; to see that and to end is the caller's.
///
/// # Errors
/// The tensor as it was, where its device does not sum by itself: on the CPU, by wgpu, and without NCCL. The caller goes
/// through the host then, as all other processes must.
#[allow(clippy::result_large_err, reason = "a tensor given back is not an error but the other path")]
pub fn all_reduce(own: Tensor<1>, seat: Seat) -> Result<Tensor<1>, Tensor<1>> {
    #[cfg(any(feature = "cuda", feature = "wgpu"))]
    let own = match Operand::<Cube>::try_from(own) {
        Ok(own) => {
            let (context, own) = own.into_parts();
            let tensor = |array| context.constant::<Cube, 1>(array);
            return gpu::all_reduce(own, seat.rank, seat.ranks).map(tensor).map_err(tensor);
        }
        Err(own) => own,
    };
    let _ = seat;
    Err(own)
}

fn on(device: &Device) -> Placed<1> {
    Placed::of(Tensor::<1>::empty([1], (device, DType::F32)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_gives_back_what_others_have_to_sum() {
        let seat = Seat { rank: 1, ranks: 2 };
        let own = Tensor::<1>::from_floats([1.0, 2.0], &Device::flex());
        let again = all_reduce(own.clone(), seat).expect_err("there is no NCCL for it");
        assert_eq!(again.into_data(), own.into_data());
        assert_eq!(nccl(&Device::flex()), None);
        let error = join(&Device::flex(), seat, Duration::from_secs(1)).expect_err("nor to join");
        assert!(error.starts_with("rank 1 of 2 cannot join: "), "{error}");
    }
}
