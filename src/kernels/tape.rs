//! How an operation on arrays becomes a differentiable operation on Burn's tensors.

use std::{fmt, marker::PhantomData, sync::Arc};

use burn::{
    backend::{
        BackendTensor, DispatchAutodiffContext, DispatchTensor, DispatchTensorKind,
        autodiff::{
            checkpoint::{base::Checkpointer, strategy::NoCheckpointing},
            grads::Gradients,
            ops::{Backward, NodeGuard, Ops, OpsKind},
        },
    },
    tensor::Tensor,
};

use super::{
    accumulate::pass,
    engine::{Engine, Tracked, assemble, on_tape},
};

/// A tensor of an engine, taken apart.
#[derive(Clone)]
pub(crate) struct Operand<E: Engine> {
    /// Its values.
    pub(crate) array: E::Array,
    tracked: Option<Tracked<E>>,
    context: DispatchAutodiffContext,
}

impl<E: Engine> Operand<E> {
    /// The parts of a tensor of this engine; gives any other tensor back.
    #[allow(clippy::result_large_err, reason = "a tensor given back is not an error but the other path")]
    #[allow(clippy::match_wildcard_for_single_variants, reason = "features add backends")]
    pub(crate) fn try_from<const D: usize>(tensor: Tensor<D>) -> Result<Self, Tensor<D>> {
        if !E::computes(tensor.dtype()) {
            return Err(tensor);
        }
        let DispatchTensor { kind, autodiff } = tensor.into_dispatch();
        let (inner, on_tape) = match kind {
            DispatchTensorKind::Autodiff(inner) => (*inner, true),
            plain => (plain, false),
        };
        let again = |kind| if on_tape { DispatchTensorKind::Autodiff(Box::new(kind)) } else { kind };
        match E::unwrap(inner) {
            Ok(BackendTensor::Float(plain)) => {
                Ok(Self { array: E::take(plain), tracked: None, context: autodiff })
            }
            Ok(BackendTensor::Autodiff(tracked)) => Ok(Self {
                array: E::take(tracked.primitive().clone()),
                tracked: Some(tracked),
                context: autodiff,
            }),
            Ok(other) => Err(assemble(again(E::wrap(other)), autodiff)),
            Err(other) => Err(assemble(again(other), autodiff)),
        }
    }

    /// A further operand of an operation whose first one is of this engine.
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

    /// The extents, of a known rank.
    pub(crate) fn dims<const D: usize>(&self) -> [usize; D] {
        E::dims(&self.array)
    }

    /// The values alone.
    pub(crate) fn into_array(self) -> E::Array {
        self.array
    }

    /// The values, not held by anything of the tape any more, and where results belong.
    pub(crate) fn into_parts(self) -> (Context, E::Array) {
        (Context(self.context), self.array)
    }

    /// Its place on the tape; a place of its own where it has none.
    pub(crate) fn into_node(self) -> NodeGuard {
        self.tracked.unwrap_or_else(|| Tracked::<E>::new(E::give(self.array))).node()
    }

    /// Where it belongs.
    pub(crate) fn context(&self) -> Context {
        Context(self.context)
    }

    /// Whether a gradient is wanted.
    pub(crate) fn is_tracked(&self) -> bool {
        self.tracked.as_ref().is_some_and(Tracked::<E>::is_tracked)
    }
}

/// Whether tensors belong to the device with or without automatic differentiation.
#[derive(Clone, Copy)]
pub(crate) struct Context(DispatchAutodiffContext);

impl Context {
    /// Without automatic differentiation.
    pub(crate) fn off() -> Self {
        Self(DispatchAutodiffContext::Disabled)
    }

    /// Where the result of an operation on both belongs.
    pub(crate) fn merge(self, other: Self) -> Self {
        Self(self.0.merge(other.0))
    }

    /// A tensor with history.
    pub(crate) fn tracked<E: Engine, const D: usize>(self, tensor: Tracked<E>) -> Tensor<D> {
        assemble(on_tape::<E>(tensor), self.0)
    }

    /// A tensor without history.
    pub(crate) fn constant<E: Engine, const D: usize>(self, array: E::Array) -> Tensor<D> {
        let tensor = E::give(array);
        let kind = match self.0 {
            DispatchAutodiffContext::Disabled => E::wrap(BackendTensor::Float(tensor)),
            DispatchAutodiffContext::Enabled(_) => on_tape(Tracked::<E>::new(tensor)),
        };
        assemble(kind, self.0)
    }
}

/// The backward pass of one operation with `N` operands, some of which may be absent: from the gradient to the output,
/// the gradients to those operands that are wanted. Holds what it needs of the forward pass.
pub(crate) trait Gradient<E: Engine, const N: usize>:
    FnOnce(E::Array, [bool; N]) -> [Option<E::Array>; N] + Clone + Send + Sync + 'static
{
}

impl<E: Engine, F, const N: usize> Gradient<E, N> for F where
    F: FnOnce(E::Array, [bool; N]) -> [Option<E::Array>; N] + Clone + Send + Sync + 'static
{
}

/// Records an operation: the tensor that holds its `output` and knows how to pass gradients on. `backward` makes the
/// backward pass of the operands' values; where no operand is tracked, nothing is recorded and it is not even asked.
pub(crate) fn record<E: Engine, F: Gradient<E, N>, const N: usize, const D: usize>(
    operands: [Option<Operand<E>>; N],
    output: E::Array,
    backward: impl FnOnce([Option<E::Array>; N]) -> F,
) -> Tensor<D> {
    let contexts = operands.iter().flatten().map(Operand::context);
    let context = contexts.fold(Context::off(), Context::merge);
    if !operands.iter().flatten().any(Operand::is_tracked) {
        return context.constant::<E, D>(output);
    }
    let output = E::give(output);
    let mut arrays = [const { None }; N];
    let mut guards = Vec::with_capacity(N);
    for (operand, array) in operands.into_iter().zip(&mut arrays) {
        // The place of an absent or untracked operand is taken by a constant.
        let constant = || Tracked::<E>::new(output.clone());
        guards.push(match operand {
            Some(operand) => {
                *array = Some(operand.array);
                operand.tracked.unwrap_or_else(constant).node()
            }
            None => constant().node(),
        });
    }
    let Ok(guards) = <[_; N]>::try_from(guards) else { unreachable!("one guard per operand") };
    let step = Step::<E, F, N>(PhantomData);
    let tracked = match step.prepare::<NoCheckpointing>(guards).compute_bound().stateful() {
        OpsKind::Tracked(step) => step.finish(Saved(Arc::new(backward(arrays))), output),
        OpsKind::UnTracked(step) => step.finish(output),
    };
    context.tracked(tracked)
}

struct Step<E, F, const N: usize>(PhantomData<(E, F)>);

impl<E, F, const N: usize> fmt::Debug for Step<E, F, N> {
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

impl<E: Engine, F: Gradient<E, N>, const N: usize> Backward<E, N> for Step<E, F, N> {
    type State = Saved<F>;

    fn backward(self, ops: Ops<Self::State, N>, tape: &mut Gradients, _: &mut Checkpointer) {
        let Ops { parents, node, state } = ops;
        let gradient = E::take(tape.consume::<E>(&node));
        let wanted = parents.each_ref().map(Option::is_some);
        let gradients = Arc::unwrap_or_clone(state.0)(gradient, wanted);
        pass::<E, _, N>(tape, &Ops { parents, node, state: () }, gradients);
    }
}
