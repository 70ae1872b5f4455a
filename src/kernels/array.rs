//! Contiguous f32 arrays in the memory of Burn's CPU backend.

use std::ops::Range;

use burn::tensor::{Bytes, DType, Shape};
use burn_flex::{FlexTensor, Layout};

use super::cpu::filled;

/// A contiguous array of f32. Clones share their memory.
#[derive(Clone, Debug)]
pub(crate) struct Array(FlexTensor);

impl Array {
    /// Takes any layout; copies where it must.
    pub(crate) fn from_flex(tensor: FlexTensor) -> Self {
        if tensor.as_slice::<f32>().is_some() { Self(tensor) } else { Self(tensor.to_contiguous()) }
    }

    /// An array with these extents, filled by `fill`, which must write every element.
    pub(crate) fn build<const D: usize>(extents: [usize; D], fill: impl FnOnce(&mut [f32])) -> Self {
        Self::from_values(filled(extents.iter().product(), fill), extents)
    }

    /// These values, row-major.
    pub(crate) fn from_values<const D: usize>(values: Vec<f32>, extents: [usize; D]) -> Self {
        debug_assert_eq!(values.len(), extents.iter().product::<usize>());
        let layout = Layout::contiguous(Shape::from(extents));
        Self(FlexTensor::new(Bytes::from_elems(values), layout, DType::F32))
    }

    /// The values, row-major.
    pub(crate) fn values(&self) -> &[f32] {
        self.0.as_slice().expect("made contiguous when it was taken")
    }

    /// The values, to write to. Where another handle shares the memory, this one gets a copy first.
    pub(crate) fn values_mut(&mut self) -> &mut [f32] {
        let (start, end) = self.0.layout().contiguous_offsets().expect("made contiguous when it was taken");
        &mut self.0.storage_mut()[start..end]
    }

    /// These of the values of an array of one axis; both share the memory.
    pub(crate) fn narrow(&self, range: Range<usize>) -> Self {
        Self(self.0.narrow(0, range.start, range.len()))
    }

    /// The extents, of a known rank.
    pub(crate) fn dims<const D: usize>(&self) -> [usize; D] {
        self.0.layout().shape().dims()
    }

    /// The backend's own handle.
    pub(crate) fn into_flex(self) -> FlexTensor {
        self.0
    }
}
