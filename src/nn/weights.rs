//! `Weights`: tensors taken from a `StateDict` by name, for a network whose widths the file says.

use std::{cell::RefCell, collections::HashSet};

use burn::tensor::{DType, Device, Tensor, TensorData};

use crate::{
    Error, Result,
    state_dict::{self, StateDict},
};

/// A state dict, and what has been taken from it. A network of known widths uses the `Registry` instead.
pub(super) struct Weights<'a> {
    /// The file, or what else the weights come from.
    pub(super) origin: &'a str,
    /// Where the tensors go.
    pub(super) device: &'a Device,
    dict: &'a StateDict,
    taken: RefCell<HashSet<String>>,
}

impl<'a> Weights<'a> {
    /// `origin` is the file, or what else the weights come from.
    pub(super) fn new(dict: &'a StateDict, origin: &'a str, device: &'a Device) -> Self {
        Self { origin, device, dict, taken: RefCell::default() }
    }

    /// A tensor as it is stored.
    pub(super) fn data(&self, name: &str) -> Result<&TensorData> {
        self.taken.borrow_mut().insert(name.to_owned());
        self.dict
            .get(name)
            .ok_or_else(|| Error::MissingTensor { origin: self.origin.to_owned(), tensor: name.to_owned() })
    }

    /// A tensor of this shape, as f32 on the device.
    pub(super) fn tensor<const D: usize>(&self, name: &str, shape: [usize; D]) -> Result<Tensor<D>> {
        let values = state_dict::finite(self.shaped(name, &shape)?, name, self.origin)?;
        Ok(Tensor::from_data(TensorData::new(values, shape), (self.device, DType::F32)))
    }

    /// A tensor's values in f64.
    pub(super) fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f64>> {
        let data = self.shaped(name, shape)?;
        state_dict::finite(data, name, self.origin)?;
        Ok(data.iter::<f64>().collect())
    }

    /// Nothing was left over, apart from what `ignored` says of a name.
    pub(super) fn finish(self, ignored: impl Fn(&str) -> bool) -> Result<()> {
        let taken = self.taken.into_inner();
        match self.dict.keys().find(|name| !taken.contains(*name) && !ignored(name)) {
            Some(name) => {
                Err(Error::UnexpectedTensor { origin: self.origin.to_owned(), tensor: name.clone() })
            }
            None => Ok(()),
        }
    }

    fn shaped(&self, name: &str, shape: &[usize]) -> Result<&TensorData> {
        let data = self.data(name)?;
        if data.shape().as_slice() == shape {
            return Ok(data);
        }
        Err(Error::ShapeMismatch {
            origin: self.origin.to_owned(),
            tensor: name.to_owned(),
            found: data.shape().to_vec(),
            expected: shape.to_vec(),
        })
    }
}
