//! Gradients that several operations pass to one tensor, summed by the engine's kernel.

use std::{cell::RefCell, collections::HashSet, mem};

use burn::{
    backend::autodiff::{NodeId, grads::Gradients as Tape, ops::Ops},
    tensor::{Gradients, Tensor},
};

use super::{
    engine::{Engine, on_engine},
    tape::Operand,
};

thread_local! {
    /// The nodes of the tape that runs on this thread to which a gradient of ours was passed.
    static WAITING: RefCell<Option<HashSet<NodeId>>> = const { RefCell::new(None) };
}

/// The gradients of a loss. What operations of `kernels` pass to one tensor is summed by a kernel, but for parameters,
/// which Burn's tape keeps to itself; bits and order are those of `Tensor::backward`.
pub fn backward(loss: &Tensor<1>) -> Gradients {
    /// A block that is run again has a tape within the tape.
    struct Outer(Option<HashSet<NodeId>>);
    impl Drop for Outer {
        fn drop(&mut self) {
            WAITING.set(mem::take(&mut self.0));
        }
    }
    let _outer = Outer(WAITING.replace(Some(HashSet::new())));
    loss.backward()
}

/// The sum of two flat tensors, off the tape.
pub fn plus(a: Tensor<1>, b: Tensor<1>) -> Tensor<1> {
    on_engine!(a, |a| added(a, b), |a| a + b)
}

fn added<E: Engine>(a: Operand<E>, b: Tensor<1>) -> Tensor<1> {
    let b = Operand::<E>::of(b).into_array();
    let (context, a) = a.into_parts();
    context.constant::<E, 1>(E::plus(a, b))
}

/// Passes gradients on to the operands of an operation, to those that want one.
pub(super) fn pass<E: Engine, S, const N: usize>(
    tape: &mut Tape,
    ops: &Ops<S, N>,
    gradients: [Option<E::Array>; N],
) {
    for (operand, gradient) in ops.parents.iter().zip(gradients) {
        let (Some(operand), Some(gradient)) = (operand, gradient) else { continue };
        let is_leaf = operand.parents.is_empty();
        let again = |nodes: &mut Option<HashSet<NodeId>>| {
            nodes.as_mut().is_some_and(|nodes| !nodes.insert(operand.id))
        };
        let sum = if !is_leaf && WAITING.with_borrow_mut(again) {
            E::plus(gradient, E::take(tape.consume::<E>(operand)))
        } else {
            gradient
        };
        tape.register::<E>(operand.id, E::give(sum));
    }
}
