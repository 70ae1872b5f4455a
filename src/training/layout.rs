//! `Layout`: where each parameter of a network lies in a flat tensor.

use burn::tensor::{Tensor, TensorData};

use super::parameters::{order, shapes};
use crate::{
    kernels::{self, Places, WeightOrder},
    nn::Denoiser,
    state_dict::StateDict,
};

/// Where each parameter of a network lies in a flat tensor: of its values, gradients, moments, average.
#[derive(Debug)]
pub struct Layout {
    names: Vec<String>,
    shapes: Vec<Vec<usize>>,
    places: Places,
    order: WeightOrder,
}

impl Layout {
    /// The layout of a network's parameters, in the order of registration.
    pub fn of<D: Denoiser>(network: &D) -> Self {
        let shapes = shapes(network);
        let places = Places::new(shapes.iter().map(|shape| shape.iter().product()));
        Self { names: network.parameter_names(), shapes, places, order: order(network) }
    }

    /// The parameters' names, in the order of registration.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// In which order the values of each lie.
    pub fn order(&self) -> WeightOrder {
        self.order
    }

    /// A tensor of the parameter of this number, its values as the shape says, as it lies. `[length]` => `[length]`
    pub fn lying(&self, index: usize, tensor: Tensor<1>) -> Tensor<1> {
        match self.shapes[index][..] {
            [k, c, kh, kw] => self.order.flatten(tensor.reshape([k, c, kh, kw])),
            _ => tensor,
        }
    }

    /// The values of the parameter of this number, of all that lie in a flat tensor, as its shape says.
    pub fn rows(&self, index: usize, all: &[f32]) -> Vec<f32> {
        self.order.rows(&all[self.places.ranges()[index].clone()], &self.shapes[index])
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
        let parameter = |(index, (name, shape)): (usize, (&String, &Vec<usize>))| {
            (name.clone(), TensorData::new(self.rows(index, &values), shape.clone()))
        };
        self.names.iter().zip(&self.shapes).enumerate().map(parameter).collect()
    }
}

/// The values of a flat tensor, in one read.
pub(super) fn values(flat: &Tensor<1>) -> Vec<f32> {
    kernels::host(flat.clone()).try_into_vec().expect("flat tensors are f32")
}
