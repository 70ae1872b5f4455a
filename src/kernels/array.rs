//! Contiguous f32 arrays in the memory of Burn's CPU backend.

use std::ops::Range;

use burn::tensor::{Bytes, DType, Shape};
use burn_flex::{FlexTensor, Layout};

use super::cpu::{filled, flat::gather};

/// A contiguous array of f32. Clones share their memory.
#[derive(Clone, Debug)]
pub(crate) struct Array {
    tensor: FlexTensor,
    /// Where its values lie in the tensor's memory.
    place: Range<usize>,
}

impl Array {
    /// Takes any layout; copies where it must.
    pub(crate) fn from_flex(tensor: FlexTensor) -> Self {
        let (tensor, place) = match place_in_rows(tensor.layout()) {
            Some(place) => (tensor, place),
            None => {
                let copy = tensor.to_contiguous();
                let place = place_in_rows(copy.layout()).expect("a copy lies in rows");
                (copy, place)
            }
        };
        Self { tensor, place }
    }

    /// An array with these extents, filled by `fill`, which must write every element.
    pub(crate) fn build<const D: usize>(extents: [usize; D], fill: impl FnOnce(&mut [f32])) -> Self {
        Self::from_values(filled(extents.iter().product(), fill), extents)
    }

    /// These values, row-major.
    pub(crate) fn from_values<const D: usize>(values: Vec<f32>, extents: [usize; D]) -> Self {
        debug_assert_eq!(values.len(), extents.iter().product::<usize>());
        let place = 0..values.len();
        Self { tensor: FlexTensor::new(Bytes::from_elems(values), rows(extents), DType::F32), place }
    }

    /// The values, row-major.
    pub(crate) fn values(&self) -> &[f32] {
        &self.tensor.storage()[self.place.clone()]
    }

    /// The values, to write to. Where another handle shares the memory, this one gets a copy first.
    pub(crate) fn values_mut(&mut self) -> &mut [f32] {
        &mut self.tensor.storage_mut()[self.place.clone()]
    }

    /// The sum of two arrays of the same extents; in this one's memory, where no other handle shares it.
    pub(crate) fn plus(mut self, other: &Self) -> Self {
        let values = other.values();
        gather(&[(0..values.len(), values)], true, self.values_mut());
        self
    }

    /// These of the values of an array of one axis; both share the memory.
    pub(crate) fn narrow(&self, range: Range<usize>) -> Self {
        Self::from_flex(self.tensor.narrow(0, range.start, range.len()))
    }

    /// The extents, of a known rank.
    pub(crate) fn dims<const D: usize>(&self) -> [usize; D] {
        self.tensor.layout().shape().dims()
    }

    /// The backend's own handle.
    pub(crate) fn into_flex(self) -> FlexTensor {
        self.tensor
    }
}

// Burn's own of these two are not optimised (see Cargo.toml), and every operation asks for them.

/// The layout of an array of its own memory.
fn rows<const D: usize>(extents: [usize; D]) -> Layout {
    let mut strides = vec![1; D];
    for axis in (1..D).rev() {
        strides[axis - 1] = strides[axis] * extents[axis] as isize;
    }
    Layout::new(Shape::from(extents), strides, 0)
}

/// Where the values lie, if they lie one after the other.
fn place_in_rows(layout: &Layout) -> Option<Range<usize>> {
    let (mut count, mut in_rows) = (1, true);
    for (&extent, &stride) in layout.shape().iter().zip(layout.strides()).rev() {
        in_rows &= extent == 1 || stride == count as isize;
        count *= extent;
    }
    let start = layout.start_offset();
    (in_rows || count == 0).then_some(start..start + count)
}
