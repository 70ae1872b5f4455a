//! The parameters of any network, by the reference's names: read, written, and replaced in order.

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    tensor::{Device, Tensor, TensorData},
};

use crate::{
    Error, Result,
    kernels::WeightOrder,
    nn::Denoiser,
    state_dict::{self, StateDict},
};

/// A tensor with its shape set aside: what everything that does not care for shapes works on.
pub fn flat<const R: usize>(tensor: Tensor<R>) -> Tensor<1> {
    let length = tensor.shape().num_elements();
    tensor.reshape([length])
}

/// All parameters in the order of registration, flat, their values in this order.
pub fn flat_parameters<M: Module>(network: &M, order: WeightOrder) -> Vec<Tensor<1>> {
    struct Visitor(WeightOrder, Vec<Tensor<1>>);
    impl ModuleVisitor for Visitor {
        fn visit_float<const R: usize>(&mut self, param: &Param<Tensor<R>>) {
            self.1.push(self.0.flatten(param.val()));
        }
    }
    let mut visitor = Visitor(order, Vec::new());
    network.visit(&mut visitor);
    visitor.1
}

/// Replaces every parameter in the order of registration; both ways flat. Without a tape.
pub fn map_flat<M: Module>(network: M, replace: impl FnMut(Tensor<1>) -> Tensor<1>) -> M {
    struct Mapper<F>(F);
    impl<F: FnMut(Tensor<1>) -> Tensor<1>> ModuleMapper for Mapper<F> {
        fn map_float<const R: usize>(&mut self, param: Param<Tensor<R>>) -> Param<Tensor<R>> {
            param.map(|tensor| {
                let shape = tensor.shape();
                (self.0)(flat(tensor)).reshape(shape)
            })
        }
    }
    network.map(&mut Mapper(replace))
}

/// Puts `next`, flat and with its values in this order, in the place of every parameter in the order of registration,
/// whatever that held. Without a tape.
pub fn fill<M: Module>(network: M, order: WeightOrder, next: impl FnMut() -> Tensor<1>) -> M {
    struct Mapper<F>(WeightOrder, F);
    impl<F: FnMut() -> Tensor<1>> ModuleMapper for Mapper<F> {
        fn map_float<const R: usize>(&mut self, param: Param<Tensor<R>>) -> Param<Tensor<R>> {
            param.map(|tensor| self.0.shaped((self.1)(), tensor.shape()))
        }
    }
    network.map(&mut Mapper(order, next))
}

/// The shapes of all parameters in the order of registration.
pub fn shapes<M: Module>(network: &M) -> Vec<Vec<usize>> {
    struct Visitor(Vec<Vec<usize>>);
    impl ModuleVisitor for Visitor {
        fn visit_float<const R: usize>(&mut self, param: &Param<Tensor<R>>) {
            self.0.push(param.val().dims().to_vec());
        }
    }
    let mut visitor = Visitor(Vec::new());
    network.visit(&mut visitor);
    visitor.0
}

/// In which order the device of a network keeps the values of its parameters.
pub fn order<M: Module>(network: &M) -> WeightOrder {
    network.devices().first().map_or(WeightOrder::Rows, WeightOrder::of)
}

/// The network with parameters that keep their shapes but hold no values: one number for all of them.
pub fn hollow<M: Module>(network: M) -> M {
    struct Mapper(Option<Tensor<1>>);
    impl ModuleMapper for Mapper {
        fn map_float<const R: usize>(&mut self, param: Param<Tensor<R>>) -> Param<Tensor<R>> {
            param.map(|tensor| {
                let zero = self.0.get_or_insert_with(|| Tensor::zeros([1], &tensor.device()));
                zero.clone().reshape([1; R]).expand(tensor.shape())
            })
        }
    }
    network.map(&mut Mapper(None))
}

/// The network with other parameters: exactly those that it has, by name. Values in half precision are widened.
///
/// # Errors
/// A parameter is missing, of another size, or unknown.
pub fn restore<N: Denoiser>(network: N, state: &StateDict, origin: &str) -> Result<N> {
    let names = network.parameter_names();
    if let Some(name) = state.keys().find(|name| !names.contains(name)) {
        return Err(Error::UnexpectedTensor { origin: origin.to_owned(), tensor: name.clone() });
    }
    let mut names = names.iter();
    let mut failed = None;
    let network = map_flat(network, |parameter| {
        let name = names.next().expect("one name per parameter");
        read_flat(state, name, parameter.dims()[0], &parameter.device(), origin).unwrap_or_else(|error| {
            failed.get_or_insert(error);
            parameter
        })
    });
    failed.map_or(Ok(network), Err)
}

/// One tensor of a state, of `length` values, on `device`, in f32.
pub(super) fn read_flat(
    state: &StateDict,
    name: &str,
    length: usize,
    device: &Device,
    origin: &str,
) -> Result<Tensor<1>> {
    let (origin, tensor) = (origin.to_owned(), name.to_owned());
    let Some(data) = state.get(name) else { return Err(Error::MissingTensor { origin, tensor }) };
    if data.num_elements() != length {
        let found = data.shape().to_vec();
        return Err(Error::ShapeMismatch { origin, tensor, found, expected: vec![length] });
    }
    let values = state_dict::finite(data, &tensor, &origin)?;
    Ok(Tensor::from_data(TensorData::new(values, [length]), device))
}
