//! `Layout`: where each parameter of a network lies in a flat tensor.

use burn::tensor::{Tensor, TensorData};

use super::parameters::shapes;
use crate::{
    kernels::{self, Places},
    nn::Denoiser,
    state_dict::StateDict,
};

/// Where each parameter of a network lies in a flat tensor: of its values, gradients, moments, average.
#[derive(Debug)]
pub struct Layout {
    names: Vec<String>,
    shapes: Vec<Vec<usize>>,
    places: Places,
}

impl Layout {
    /// The layout of a network's parameters, in the order of registration.
    pub fn of<D: Denoiser>(network: &D) -> Self {
        let shapes = shapes(network);
        let places = Places::new(shapes.iter().map(|shape| shape.iter().product()));
        Self { names: network.parameter_names(), shapes, places }
    }

    /// The parameters' names, in the order of registration.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Where they lie.
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// One tensor of each parameter, in their order, as a flat one.
    pub fn gather(&self, tensors: impl IntoIterator<Item = Tensor<1>>) -> Tensor<1> {
        let places = self.places.ranges().iter().cloned();
        kernels::gather(places.zip(tensors).collect(), self.places.total())
    }

    /// The parameters on the host, by name, in one read.
    pub fn state(&self, flat: &Tensor<1>) -> StateDict {
        let values = values(flat);
        let parameter = |((name, shape), place): ((&String, &Vec<usize>), &std::ops::Range<usize>)| {
            (name.clone(), TensorData::new(values[place.clone()].to_vec(), shape.clone()))
        };
        self.names.iter().zip(&self.shapes).zip(self.places.ranges()).map(parameter).collect()
    }
}

/// The values of a flat tensor, in one read.
pub(super) fn values(flat: &Tensor<1>) -> Vec<f32> {
    kernels::host(flat.clone()).try_into_vec().expect("flat tensors are f32")
}
