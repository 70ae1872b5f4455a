//! Blocks whose activations are made again in the backward pass instead of being kept.

use std::{
    fmt,
    marker::PhantomData,
    sync::{Arc, Mutex, PoisonError},
};

use burn::{
    backend::autodiff::{
        checkpoint::{base::Checkpointer, strategy::NoCheckpointing},
        grads::Gradients,
        ops::{Backward, Ops, OpsKind},
    },
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    tensor::Tensor,
};

use super::{
    accumulate::pass,
    engine::{Engine, on_engine},
    tape::{Context, Operand, record},
};

/// What a block computes from x `[n, h, w, c]` and the conditioning vector `[n, e]`.
pub trait Block<M>: Fn(&M, Tensor<4>, &Tensor<2>) -> Tensor<4> + Clone + Send + Sync + 'static {}

impl<M, F: Fn(&M, Tensor<4>, &Tensor<2>) -> Tensor<4> + Clone + Send + Sync + 'static> Block<M> for F {}

/// The output of a block. Where `recompute`, the tape keeps its inputs alone, and the backward pass begins with the block
/// once more (Chen et al. 2016). The gradients are the same, bit for bit: those to x are summed within the block before
/// they meet others either way, those
/// to the conditioning vector block by block.
pub fn block<M: Module + 'static>(
    recompute: bool,
    module: &M,
    x: Tensor<4>,
    emb: &Tensor<2>,
    run: impl Block<M>,
) -> Tensor<4> {
    on_engine!(x, |x| on_tape(recompute, module, x, emb, run), |x| run(module, x, emb))
}

fn on_tape<E: Engine, M: Module + 'static>(
    recompute: bool,
    module: &M,
    x: Operand<E>,
    emb: &Tensor<2>,
    run: impl Block<M>,
) -> Tensor<4> {
    let emb = Operand::<E>::of(emb.clone());
    if !recompute || !x.is_tracked() {
        let (x, emb) = entrance(x, emb);
        return run(module, x, &emb);
    }
    let off = Context::off();
    let inputs = (off.constant::<E, 4>(x.array.clone()), off.constant::<E, 2>(emb.array.clone()));
    let output = Operand::<E>::of(run(&module.clone().valid(), inputs.0, &inputs.1)).into_array();
    let context = x.context().merge(emb.context());
    let kept = Kept { module: Mutex::new(module.clone()), x: x.array.clone(), emb: emb.array.clone(), run };
    let guards = [x, emb].map(Operand::into_node);
    let step = Step::<E, M, _>(PhantomData);
    let tracked = match step.prepare::<NoCheckpointing>(guards).compute_bound().stateful() {
        OpsKind::Tracked(step) => step.finish(Shared(Arc::new(kept)), E::give(output)),
        OpsKind::UnTracked(step) => step.finish(E::give(output)),
    };
    context.tracked::<E, 4>(tracked)
}

/// Both inputs as they are, with places on the tape at the entrance of the block. What flows back to each is summed within
/// the block first, and leaves it when the block is through.
fn entrance<E: Engine>(x: Operand<E>, emb: Operand<E>) -> (Tensor<4>, Tensor<2>) {
    let (at_x, of_x, of_emb) = (x.clone(), x.array.clone(), emb.array.clone());
    let back = |gradient: E::Array, wanted: [bool; 2]| [wanted[0].then_some(gradient), None];
    let emb = record([Some(emb), Some(at_x)], of_emb, |_| back);
    let x = record([Some(x)], of_x, |_| |gradient: E::Array, _: [bool; 1]| [Some(gradient)]);
    (x, emb)
}

/// What it takes to run a block again.
struct Kept<E: Engine, M, F> {
    /// Modules may not be looked at by two threads at once.
    module: Mutex<M>,
    x: E::Array,
    emb: E::Array,
    run: F,
}

struct Shared<E: Engine, M, F>(Arc<Kept<E, M, F>>);

impl<E: Engine, M, F> Clone for Shared<E, M, F> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<E: Engine, M, F> fmt::Debug for Shared<E, M, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a block to run again")
    }
}

/// The operation. It holds nothing: the types say which.
struct Step<E, M, F>(Types<E, M, F>);

type Types<E, M, F> = PhantomData<fn() -> (E, M, F)>;

impl<E, M, F> fmt::Debug for Step<E, M, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a block that is run again")
    }
}

impl<E: Engine, M: Module + 'static, F: Block<M>> Backward<E, 2> for Step<E, M, F> {
    type State = Shared<E, M, F>;

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = E::take(gradients.consume::<E>(&ops.node));
        let Kept { module, x, emb, run } = &*ops.state.0;
        let module = module.lock().unwrap_or_else(PoisonError::into_inner);
        let off = Context::off();
        let [wants_x, wants_emb] = ops.parents.each_ref().map(Option::is_some);
        let x = off.constant::<E, 4>(x.clone()).autodiff().set_require_grad(wants_x);
        let emb = off.constant::<E, 2>(emb.clone()).autodiff().set_require_grad(wants_emb);
        // Leaves of their own: the tape that is running must not be met again.
        let fresh = module.clone().map(&mut Fresh);
        let y = run(&fresh, x.clone(), &emb);
        let mut tape = (y * off.constant::<E, 4>(gradient).autodiff()).sum().backward();
        let [dx, demb] = [
            x.grad_remove(&mut tape).map(|dx| Operand::<E>::of(dx).into_array()),
            emb.grad_remove(&mut tape).map(|demb| Operand::<E>::of(demb).into_array()),
        ];
        pass::<E, _, 2>(gradients, &ops, [dx, demb]);
        let mut found = Found::<E> { tape: &mut tape, found: Vec::new() };
        fresh.visit(&mut found);
        module.visit(&mut Register::<E> { found: found.found.into_iter(), gradients });
    }
}

/// Parameters as leaves of a tape that is not there yet.
struct Fresh;

impl ModuleMapper for Fresh {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let learns = param.val().is_require_grad();
        param.map(|tensor| tensor.inner().autodiff().set_require_grad(learns))
    }
}

/// The gradients to parameters, in their order.
struct Found<'a, E: Engine> {
    tape: &'a mut burn::tensor::Gradients,
    found: Vec<Option<E::Array>>,
}

impl<E: Engine> ModuleVisitor for Found<'_, E> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let gradient = param.val().grad_remove(self.tape);
        self.found.push(gradient.map(|gradient| Operand::<E>::of(gradient).into_array()));
    }
}

/// Hands them to the tape that is running.
struct Register<'a, E: Engine> {
    found: std::vec::IntoIter<Option<E::Array>>,
    gradients: &'a mut Gradients,
}

impl<E: Engine> ModuleVisitor for Register<'_, E> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.found.next().flatten() {
            let node = Operand::<E>::of(param.val()).into_node();
            self.gradients.register::<E>(node.id(), E::give(gradient));
        }
    }
}
