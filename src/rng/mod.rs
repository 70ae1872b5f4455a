//! The random streams of torch, numpy and `CPython`, bit for bit, so that seeds mean what they mean there.

mod mt19937;
mod numpy;
mod torch_cpu;
mod torch_cuda;
mod tuple_hash;

pub use numpy::NumpyRandomState;
pub use sida_cpu_kernels::Philox;
pub use torch_cpu::TorchCpu;
pub use torch_cuda::{Gpu, TorchCuda};
pub use tuple_hash::tuple_hash;
