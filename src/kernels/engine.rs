//! Where operations are computed: on the CPU, by kernels for slices; on a GPU, by kernels in CubeCL. The tape, the
//! shapes and what an operation is stand once, over an engine.

use std::fmt::Debug;

use burn::{
    backend::{
        Autodiff, Backend, BackendTensor, DispatchTensor, DispatchTensorKind, Flex, tensor::FloatTensor,
    },
    tensor::{DType, Tensor},
};

use super::{array::Array, tape::Operand};

/// A GPU's backend. One for all: a tensor's device says which GPU, and by which interface.
#[cfg(any(feature = "cuda", feature = "wgpu"))]
pub(crate) use burn::backend::Cube;

/// A tensor that may be on the tape, of one backend.
pub(crate) type Tracked<E> = FloatTensor<Autodiff<E>>;

/// A backend with kernels of ours.
pub(crate) trait Engine: Backend {
    /// Values as the kernels take them. Clones share their memory.
    type Array: Clone + Debug + Send + Sync + 'static;

    /// Whether there are kernels for values of this type.
    fn computes(dtype: DType) -> bool;

    /// The values of a tensor.
    fn take(tensor: FloatTensor<Self>) -> Self::Array;

    /// The tensor of these values.
    fn give(array: Self::Array) -> FloatTensor<Self>;

    /// The extents, of a known rank.
    fn dims<const D: usize>(array: &Self::Array) -> [usize; D];

    /// The sum of arrays of the same extents.
    fn plus(a: Self::Array, b: Self::Array) -> Self::Array {
        Self::take(Self::float_add(Self::give(a), Self::give(b)))
    }

    /// The backend's tensor among those of all backends.
    fn wrap(tensor: BackendTensor<Self>) -> DispatchTensorKind;

    /// The other way; gives a tensor of another backend back.
    #[allow(clippy::result_large_err, reason = "a tensor given back is not an error but the other path")]
    fn unwrap(kind: DispatchTensorKind) -> Result<BackendTensor<Self>, DispatchTensorKind>;
}

impl Engine for Flex {
    type Array = Array;

    fn computes(dtype: DType) -> bool {
        dtype == DType::F32
    }

    fn take(tensor: FloatTensor<Self>) -> Array {
        Array::from_flex(tensor)
    }

    fn give(array: Array) -> FloatTensor<Self> {
        array.into_flex()
    }

    fn dims<const D: usize>(array: &Array) -> [usize; D] {
        array.dims()
    }

    fn plus(a: Array, b: Array) -> Array {
        a.plus(&b)
    }

    fn wrap(tensor: BackendTensor<Self>) -> DispatchTensorKind {
        DispatchTensorKind::Flex(tensor)
    }

    #[allow(clippy::match_wildcard_for_single_variants, reason = "features add backends")]
    fn unwrap(kind: DispatchTensorKind) -> Result<BackendTensor<Self>, DispatchTensorKind> {
        match kind {
            DispatchTensorKind::Flex(tensor) => Ok(tensor),
            other => Err(other),
        }
    }
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
impl Engine for Cube {
    /// In any layout: a kernel that wants rows asks for them.
    type Array = FloatTensor<Cube>;

    fn computes(dtype: DType) -> bool {
        matches!(dtype, DType::F32 | DType::F16 | DType::BF16)
    }

    fn take(tensor: FloatTensor<Self>) -> Self::Array {
        tensor
    }

    fn give(array: Self::Array) -> FloatTensor<Self> {
        array
    }

    fn dims<const D: usize>(array: &Self::Array) -> [usize; D] {
        array.meta.shape().dims()
    }

    fn wrap(tensor: BackendTensor<Self>) -> DispatchTensorKind {
        DispatchTensorKind::Cube(tensor)
    }

    #[allow(clippy::match_wildcard_for_single_variants, reason = "features add backends")]
    fn unwrap(kind: DispatchTensorKind) -> Result<BackendTensor<Self>, DispatchTensorKind> {
        match kind {
            DispatchTensorKind::Cube(tensor) => Ok(tensor),
            other => Err(other),
        }
    }
}

/// A tensor, taken apart for the engine that computes with it.
pub(crate) enum Placed<const D: usize> {
    Cpu(Operand<Flex>),
    #[cfg(any(feature = "cuda", feature = "wgpu"))]
    Gpu(Operand<Cube>),
    /// There are no kernels for it: half precision on the CPU.
    Elsewhere(Tensor<D>),
}

impl<const D: usize> Placed<D> {
    /// Consumes the tensor, so that kernels may work in place where it was the only handle.
    pub(crate) fn of(tensor: Tensor<D>) -> Self {
        let tensor = match Operand::<Flex>::try_from(tensor) {
            Ok(operand) => return Self::Cpu(operand),
            Err(tensor) => tensor,
        };
        #[cfg(any(feature = "cuda", feature = "wgpu"))]
        let tensor = match Operand::<Cube>::try_from(tensor) {
            Ok(operand) => return Self::Gpu(operand),
            Err(tensor) => tensor,
        };
        Self::Elsewhere(tensor)
    }
}

/// `on_engine!(x, |operand| over any engine, |tensor| elsewhere)`: what computes with x. Elsewhere is half precision on the
/// CPU: through f32 and back, or in Burn's operations where these cost no more.
macro_rules! on_engine {
    ($tensor:expr, |$operand:pat_param| $ours:expr, |$other:pat_param| $elsewhere:expr) => {
        match $crate::kernels::engine::Placed::of($tensor) {
            $crate::kernels::engine::Placed::Cpu($operand) => $ours,
            #[cfg(any(feature = "cuda", feature = "wgpu"))]
            $crate::kernels::engine::Placed::Gpu($operand) => $ours,
            $crate::kernels::engine::Placed::Elsewhere($other) => $elsewhere,
        }
    };
}
pub(crate) use on_engine;

/// `on_device!(device, |there| over any engine)`: what is made on a device; `there` is an operand that says where.
macro_rules! on_device {
    ($device:expr, |$there:pat_param| $ours:expr) => {{
        let there = burn::tensor::Tensor::<1>::empty([1], ($device, burn::tensor::DType::F32));
        $crate::kernels::engine::on_engine!(there, |$there| $ours, |there| unreachable!(
            "{:?} has no kernels for f32",
            there.device()
        ))
    }};
}
pub(crate) use on_device;

/// Something on a device, where that is a GPU: it says where.
#[cfg(any(feature = "cuda", feature = "wgpu"))]
pub(super) fn on_gpu(device: &burn::tensor::Device) -> Option<<Cube as Engine>::Array> {
    if super::host::is_host(device) {
        return None;
    }
    let there = Tensor::<1>::empty([1], (&device.clone().inner(), DType::F32));
    Operand::<Cube>::try_from(there).ok().map(Operand::into_array)
}

/// Of a tensor that is on the tape or not, what its backend calls it.
pub(super) fn on_tape<E: Engine>(tracked: Tracked<E>) -> DispatchTensorKind {
    DispatchTensorKind::Autodiff(Box::new(E::wrap(BackendTensor::Autodiff(tracked))))
}

/// Puts a tensor together again.
pub(super) fn assemble<const D: usize>(
    kind: DispatchTensorKind,
    autodiff: burn::backend::DispatchAutodiffContext,
) -> Tensor<D> {
    Tensor::from_dispatch(DispatchTensor { kind, autodiff })
}
