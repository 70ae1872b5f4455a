//! Sums over processes, each with a GPU of its own: NVIDIA's NCCL, by way of `CubeCL`, on a stream beside the one that
//! kernels run on. There is none by other interfaces than CUDA.
//!
//! `CubeCL` has its collectives for the GPUs of one process, and asks NCCL for an id of the group in every process. With
//! `NCCL_COMM_ID`, NCCL answers with the same id everywhere, the address where the processes meet, which the one with rank
//! 0 opens as it joins. `CubeCL` takes a process' rank from where the index of its device stands in a list, in the order
//! of the types and then of the indices that the list says: it is told of one type for each rank.

use std::{env, sync::mpsc, thread, time::Duration};

use burn_backend::DType;
use burn_cubecl::{kernel::into_contiguous, tensor::CubeTensor};
use cubecl::{
    RuntimeId,
    device::DeviceId,
    server::{ReduceOperation, ServerError},
};

use crate::launch::element;

/// Names the address where processes meet, to NCCL.
const ADDRESS: &str = "NCCL_COMM_ID";

/// Says where the processes of one group meet: `host:port` of the one with rank 0, which opens it. NCCL wants every
/// process to have a network interface in that host's subnet, and whoever reaches the port can take a place there.
///
/// # Panics
/// The process has more than one thread, where the system tells.
#[allow(unsafe_code, reason = "NCCL takes the address from nowhere else")]
pub fn meet_at(address: &str) {
    if let Ok(threads) = std::fs::read_dir("/proc/self/task") {
        assert_eq!(threads.count(), 1, "where to meet is said before any thread is started");
    }
    // SAFETY: no other thread reads or writes the environment meanwhile, since there is none.
    unsafe { env::set_var(ADDRESS, address) };
}

/// Whether tensors of the device of `there` are CUDA's.
pub fn is_cuda(there: &CubeTensor) -> bool {
    there.device.runtime() == RuntimeId::Cuda
}

/// The version of the NCCL that was found; none where there is none, and by other interfaces than CUDA.
pub fn version(there: &CubeTensor) -> Option<String> {
    #[cfg(feature = "cuda")]
    let code = || cudarc::nccl::result::get_nccl_version().unwrap_or_default();
    #[cfg(not(feature = "cuda"))]
    let code = || 0;
    reduces(there).then(code).map(written)
}

/// NCCL's number of a version, as it is written elsewhere.
pub fn written(code: i32) -> String {
    // Up to 2.8 the major version stood at the thousands.
    let major = if code < 10_000 { 1000 } else { 10_000 };
    format!("{}.{}.{}", code / major, code % major / 100, code % 100)
}

/// Whether the device of `there` sums over processes by itself.
fn reduces(there: &CubeTensor) -> bool {
    is_cuda(there) && there.client.has_device_transport()
}

/// Joins the others as `rank` of `ranks`, where there is a `version`, and sums one number to see that all are there; it waits for them at most so
/// long. Whoever reduces without it joins then, and where somebody is missing waits for ever.
///
/// # Errors
/// What went wrong, in words. A thread of this process may be waiting in NCCL from then on, and the device with it: the
/// process is to end.
pub fn join(there: &CubeTensor, rank: usize, ranks: usize, patience: Duration) -> Result<(), String> {
    let address = env::var(ADDRESS).unwrap_or_else(|_| "no address".to_owned());
    let whom = format!("as rank {rank} of {ranks} at {address}");
    let (client, device) = (there.client.clone(), there.device.clone());
    let (sender, summed) = mpsc::channel();
    let sum = move || -> Result<f32, ServerError> {
        let one = client.create_from_slice(&1f32.to_le_bytes());
        let one = CubeTensor::new_contiguous(client.clone(), device, [1].into(), one, DType::F32);
        let sum = all_reduce(one, rank, ranks).unwrap_or_else(|one| one);
        let bytes = client.read_one(sum.handle)?;
        Ok(f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    };
    let waiting = thread::Builder::new().name("joins".to_owned()).spawn(move || sender.send(sum()));
    waiting.map_err(|error| format!("there is no thread to wait in: {error}"))?;
    match summed.recv_timeout(patience) {
        Ok(Ok(sum)) if sum == ranks as f32 => Ok(()),
        Ok(Ok(sum)) => Err(format!("NCCL joined {whom}, and sums one of each to {sum}")),
        Ok(Err(_)) | Err(mpsc::RecvTimeoutError::Disconnected) => {
            Err(format!("NCCL does not join {whom}; with NCCL_DEBUG=WARN it says why"))
        }
        Err(mpsc::RecvTimeoutError::Timeout) => Err(format!(
            "NCCL waited {} s for the others {whom}; with NCCL_DEBUG=WARN it says what it does",
            patience.as_secs()
        )),
    }
}

/// The sum over all processes of each value, f32, of the process with `rank` of `ranks`. All call it equally often, with
/// equally many values. In place where `own` is the only handle to its memory. The host goes on at once; kernels that are
/// launched from then on wait for the sum. The order in which NCCL adds up is its own, and the same for all.
///
/// A sum that NCCL refuses (a failed join, a peer that it knows to be gone) leaves no numbers: the memory is marked, kernels
/// that would read it do not run and mark what they would have written, and whoever reads any of that gets the error. A
/// peer that died without NCCL noticing is waited for, by the device and whoever reads from it: someone else has to see
/// that, and end the process.
///
/// # Errors
/// The tensor as it was, where the device does not sum over processes by itself.
#[allow(clippy::result_large_err, reason = "a tensor given back is not an error but the other path")]
pub fn all_reduce(own: CubeTensor, rank: usize, ranks: usize) -> Result<CubeTensor, CubeTensor> {
    if !reduces(&own) {
        return Err(own);
    }
    assert_eq!(own.dtype, DType::F32);
    let own = into_contiguous(own);
    let own = if own.can_mut() { own } else { own.copy() };
    // Memory is handed out in whole portions, and NCCL is told how much there is.
    let bytes = (own.meta.num_elements() * own.dtype.size()) as u64;
    let spare = own.handle.size_in_used() - bytes;
    let place = || own.handle.clone().offset_end(spare);
    let devices = seats(own.device.to_id().index_id, rank, ranks);
    let mut client = own.client.clone();
    client.all_reduce(place(), place(), element(&own), devices, ReduceOperation::Sum);
    client.sync_collective();
    Ok(own)
}

/// The list of `ranks` devices in which the one with this index stands at `rank`, and nowhere else.
pub fn seats(index: u16, rank: usize, ranks: usize) -> Vec<DeviceId> {
    assert!(rank < ranks && u16::try_from(ranks).is_ok(), "{rank} is no rank of {ranks}");
    let other = index ^ 1;
    let seat = |seat| DeviceId { type_id: seat as u16, index_id: if seat == rank { index } else { other } };
    (0..ranks).map(seat).collect()
}
