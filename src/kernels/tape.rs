//! How an operation on arrays becomes a differentiable operation on Burn's tensors.

use std::{fmt, marker::PhantomData, sync::Arc};

use burn::{
    backend::{
        Autodiff, BackendTensor, DispatchAutodiffContext, DispatchTensor, DispatchTensorKind, Flex,
        autodiff::{
            checkpoint::{base::Checkpointer, strategy::NoCheckpointing},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
        tensor::FloatTensor,
    },
    tensor::{DType, Tensor},
};

use super::array::Array;

type Tracked = FloatTensor<Autodiff<Flex>>;

/// A tensor on the CPU, taken apart.
pub(crate) struct Operand {
    /// Its values.
    pub(crate) array: Array,
    tracked: Option<Tracked>,
    context: DispatchAutodiffContext,
}

impl Operand {
    /// The parts of an f32 tensor of the CPU; `None` where it is another.
    pub(crate) fn of_cpu<const D: usize>(tensor: &Tensor<D>) -> Option<Self> {
        Self::try_from(tensor.clone()).ok()
    }

    /// The same for those that work in place, which need a tensor's only handle; gives any other tensor back.
    #[allow(clippy::result_large_err, reason = "a tensor given back is not an error but the other path")]
    #[allow(
        unreachable_patterns,
        clippy::match_wildcard_for_single_variants,
        reason = "other backends are compiled in by features"
    )]
    pub(crate) fn try_from<const D: usize>(tensor: Tensor<D>) -> Result<Self, Tensor<D>> {
        if tensor.dtype() != DType::F32 {
            return Err(tensor);
        }
        let DispatchTensor { kind, autodiff } = tensor.into_dispatch();
        let back = |kind| Tensor::from_dispatch(DispatchTensor { kind, autodiff });
        match kind {
            DispatchTensorKind::Flex(BackendTensor::Float(flex)) => {
                Ok(Self { array: Array::from_flex(flex), tracked: None, context: autodiff })
            }
            DispatchTensorKind::Autodiff(inner) => match *inner {
                DispatchTensorKind::Flex(BackendTensor::Autodiff(tracked)) => Ok(Self {
                    array: Array::from_flex(tracked.primitive().clone()),
                    tracked: Some(tracked),
                    context: autodiff,
                }),
                other => Err(back(DispatchTensorKind::Autodiff(Box::new(other)))),
            },
            other => Err(back(other)),
        }
    }

    /// A further operand of an operation whose first one is an f32 tensor of the CPU.
    pub(crate) fn of<const D: usize>(tensor: Tensor<D>) -> Self {
        match Self::try_from(tensor) {
            Ok(operand) => operand,
            Err(tensor) => panic!(
                "operands of one operation share device and type, but one is {:?} on {:?}",
                tensor.dtype(),
                tensor.device()
            ),
        }
    }

    /// The values alone.
    pub(crate) fn into_array(self) -> Array {
        self.array
    }

    /// The values, not held by anything of the tape any more, and where results belong.
    pub(crate) fn into_parts(self) -> (Context, Array) {
        (Context(self.context), self.array)
    }

    /// Whether a gradient is wanted.
    pub(crate) fn is_tracked(&self) -> bool {
        self.tracked.as_ref().is_some_and(Tracked::is_tracked)
    }
}

/// Whether tensors belong to the device with or without automatic differentiation.
#[derive(Clone, Copy)]
pub(crate) struct Context(DispatchAutodiffContext);

impl Context {
    /// A tensor without history.
    pub(crate) fn constant<const D: usize>(self, array: Array) -> Tensor<D> {
        let flex = array.into_flex();
        let kind = match self.0 {
            DispatchAutodiffContext::Disabled => DispatchTensorKind::Flex(BackendTensor::Float(flex)),
            DispatchAutodiffContext::Enabled(_) => on_tape(Tracked::new(flex)),
        };
        Tensor::from_dispatch(DispatchTensor { kind, autodiff: self.0 })
    }
}

fn on_tape(tracked: Tracked) -> DispatchTensorKind {
    DispatchTensorKind::Autodiff(Box::new(DispatchTensorKind::Flex(BackendTensor::Autodiff(tracked))))
}

/// The backward pass of one operation with `N` operands, some of which may be absent: from the gradient to the output,
/// the gradients to those operands that are wanted. Holds what it needs of the forward pass.
pub(crate) trait Gradient<const N: usize>:
    FnOnce(Array, [bool; N]) -> [Option<Array>; N] + Clone + Send + Sync + 'static
{
}

impl<F, const N: usize> Gradient<N> for F where
    F: FnOnce(Array, [bool; N]) -> [Option<Array>; N] + Clone + Send + Sync + 'static
{
}

/// Records an operation: the tensor that holds its `output` and knows how to pass gradients on. `backward` makes the
/// backward pass of the operands' values; where no operand is tracked, nothing is recorded and it is not even asked.
pub(crate) fn record<F: Gradient<N>, const N: usize, const D: usize>(
    operands: [Option<Operand>; N],
    output: Array,
    backward: impl FnOnce([Option<Array>; N]) -> F,
) -> Tensor<D> {
    let context = operands
        .iter()
        .flatten()
        .map(|operand| operand.context)
        .fold(DispatchAutodiffContext::Disabled, DispatchAutodiffContext::merge);
    if !operands.iter().flatten().any(Operand::is_tracked) {
        return Context(context).constant(output);
    }
    let output = output.into_flex();
    let mut arrays = [const { None }; N];
    let mut guards = Vec::with_capacity(N);
    for (operand, array) in operands.into_iter().zip(&mut arrays) {
        // The place of an absent or untracked operand is taken by a constant.
        let constant = || Tracked::new(output.clone());
        guards.push(match operand {
            Some(operand) => {
                *array = Some(operand.array);
                operand.tracked.unwrap_or_else(constant).node()
            }
            None => constant().node(),
        });
    }
    let Ok(guards) = <[_; N]>::try_from(guards) else { unreachable!("one guard per operand") };
    let step = Step::<F, N>(PhantomData);
    let tracked = match step.prepare::<NoCheckpointing>(guards).compute_bound().stateful() {
        OpsKind::Tracked(step) => step.finish(Saved(Arc::new(backward(arrays))), output),
        OpsKind::UnTracked(step) => step.finish(output),
    };
    Tensor::from_dispatch(DispatchTensor { kind: on_tape(tracked), autodiff: context })
}

struct Step<F, const N: usize>(PhantomData<F>);

impl<F, const N: usize> fmt::Debug for Step<F, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::any::type_name::<F>())
    }
}

/// What an operation keeps for its backward pass.
struct Saved<F>(Arc<F>);

impl<F> Clone for Saved<F> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<F> fmt::Debug for Saved<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::any::type_name::<F>())
    }
}

impl<F: Gradient<N>, const N: usize> Backward<Flex, N> for Step<F, N> {
    type State = Saved<F>;

    fn backward(self, ops: Ops<Self::State, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = Array::from_flex(gradients.consume::<Flex>(&ops.node));
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let backward = Arc::unwrap_or_clone(ops.state.0);
        for (parent, gradient) in ops.parents.iter().zip(backward(gradient, wanted)) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                gradients.register::<Flex>(parent.id, gradient.into_flex());
            }
        }
    }
}
