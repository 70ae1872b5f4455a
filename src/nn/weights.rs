//! `Weights`: tensors taken from a `StateDict` by name and put on a device.

use std::cell::RefCell;

use burn::tensor::{DType, Device, Tensor, TensorData};
use indexmap::IndexMap;

use crate::{Error, Result, state_dict::StateDict};

/// A state dict with the name of where it came from, for networks that are only ever loaded (never trained).
pub(super) struct Weights<'a> {
    /// The file, or what else the weights come from.
    pub(super) origin: &'a str,
    /// Where the tensors go.
    pub(super) device: &'a Device,
    /// `None`: only names and shapes are wanted, and every tensor is zero.
    dict: Option<&'a StateDict>,
    /// What was asked for, in order.
    taken: RefCell<IndexMap<String, Vec<usize>>>,
}

impl<'a> Weights<'a> {
    /// `origin` is the file, or what else the weights come from.
    pub(super) fn new(dict: &'a StateDict, origin: &'a str, device: &'a Device) -> Self {
        Self { origin, device, dict: Some(dict), taken: RefCell::default() }
    }

    /// No weights: a network loaded from here is good for the names and shapes of its tensors only.
    pub(super) fn nowhere(device: &'a Device) -> Self {
        Self { origin: "nowhere", device, dict: None, taken: RefCell::default() }
    }

    /// A tensor as it is stored.
    pub(super) fn data(&self, name: &str) -> Result<&TensorData> {
        self.dict
            .and_then(|dict| dict.get(name))
            .ok_or_else(|| Error::MissingTensor { origin: self.origin.to_owned(), tensor: name.to_owned() })
    }

    /// A tensor of this shape, as f32 on the device.
    pub(super) fn tensor<const D: usize>(&self, name: &str, shape: [usize; D]) -> Result<Tensor<D>> {
        self.take(name, &shape);
        if self.dict.is_none() {
            return Ok(Tensor::zeros(shape, self.device));
        }
        let data = self.shaped(name, &shape)?.clone();
        Ok(Tensor::from_data(data.convert_dtype(DType::F32), self.device))
    }

    /// A tensor's values in f64.
    pub(super) fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f64>> {
        self.take(name, shape);
        let data = self.shaped(name, shape)?.clone().convert::<f64>();
        Ok(data.try_into_vec().expect("f64 after conversion"))
    }

    /// Nothing was left over, apart from what `ignored` says of a name.
    pub(super) fn finish(self, ignored: impl Fn(&str) -> bool) -> Result<()> {
        let taken = self.taken.into_inner();
        let mut names = self.dict.into_iter().flat_map(IndexMap::keys);
        match names.find(|name| !taken.contains_key(*name) && !ignored(name)) {
            Some(name) => {
                Err(Error::UnexpectedTensor { origin: self.origin.to_owned(), tensor: name.clone() })
            }
            None => Ok(()),
        }
    }

    /// Names and shapes of what was asked for, in order.
    pub(super) fn into_taken(self) -> IndexMap<String, Vec<usize>> {
        self.taken.into_inner()
    }

    fn take(&self, name: &str, shape: &[usize]) {
        self.taken.borrow_mut().insert(name.to_owned(), shape.to_vec());
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
