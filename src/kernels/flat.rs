//! Flat tensors: many tensors one after another in one, so that what is done to all of them is one operation. Not
//! differentiable.

use std::ops::Range;

use burn::tensor::Tensor;

use super::{
    array::Array,
    cpu::flat::{self as cpu, NUMBERS},
    meaning,
    tape::{Context, Operand},
};

/// Every tensor begins at a multiple of so many values: 256 bytes, which is what a GPU wants of the memory it is given.
const ALIGNMENT: usize = 64;

/// Where each of several tensors lies within a flat one. Nobody reads what is between them; `gather` makes it zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    ranges: Vec<Range<usize>>,
    len: usize,
}

impl Places {
    /// Places for tensors of these lengths.
    pub fn new(lengths: impl IntoIterator<Item = usize>) -> Self {
        let mut len = 0usize;
        let place = |length: usize| {
            let start = len;
            len = (start + length).next_multiple_of(ALIGNMENT);
            start..start + length
        };
        let ranges = lengths.into_iter().map(place).collect();
        Self { ranges, len }
    }

    /// Where each tensor lies, in their order.
    pub fn ranges(&self) -> &[Range<usize>] {
        &self.ranges
    }

    /// The length of the flat tensor.
    pub fn total(&self) -> usize {
        self.len
    }
}

/// One tensor of those in a flat one: a view, nothing is copied. `[total]` => `[length of the range]`
pub fn view(flat: &Tensor<1>, place: Range<usize>) -> Tensor<1> {
    flat.clone().narrow(0, place.start, place.len())
}

/// A flat tensor of `total` values with each tensor in its place, and zeros where there is none; places are in order.
///
/// # Panics
/// There is no tensor at all.
pub fn gather(tensors: Vec<(Range<usize>, Tensor<1>)>, total: usize) -> Tensor<1> {
    let Some((context, arrays)) = arrays(&tensors) else { return meaning::gather(tensors, total) };
    let arrays: Vec<_> = arrays.iter().map(|(place, array)| (place.clone(), array.values())).collect();
    context.constant(Array::build([total], |flat| cpu::gather(&arrays, false, flat)))
}

/// `flat`, with each tensor added to what is in its place. On the CPU it works in place where `flat` is the only handle
/// to its memory.
pub fn add_gathered(flat: Tensor<1>, tensors: Vec<(Range<usize>, Tensor<1>)>) -> Tensor<1> {
    let Some((context, arrays)) = arrays(&tensors) else { return meaning::add_gathered(flat, tensors) };
    let arrays: Vec<_> = arrays.iter().map(|(place, array)| (place.clone(), array.values())).collect();
    let mut flat = Operand::of(flat).into_array();
    cpu::gather(&arrays, true, flat.values_mut());
    context.constant(flat)
}

/// In each of the places NaN becomes 0 and an infinity +-1e5; then, with a `limit`, every value is held within +-limit.
/// On the CPU it works in place where `flat` is the only handle to its memory. => the flat tensor, and four numbers for
/// each of the places: the sum of squares, cleaned but not held (infinite where it overflows); how many values were NaN;
/// how many infinite; how many were held (rounded above 2^24). `[total]`, `[4 * places]`
pub fn clean(flat: Tensor<1>, places: &[Range<usize>], limit: Option<f64>) -> (Tensor<1>, Tensor<1>) {
    let flat = match Operand::try_from(flat) {
        Ok(flat) => flat,
        Err(flat) => return meaning::clean(flat, places, limit),
    };
    let (context, mut flat) = flat.into_parts();
    let numbers = cpu::clean(flat.values_mut(), places, limit.map(|limit| limit as f32)).concat();
    let count = places.len() * NUMBERS;
    (context.constant(flat), context.constant(Array::from_values(numbers, [count])))
}

/// The values of tensors that all are f32 on the CPU.
fn arrays(tensors: &[(Range<usize>, Tensor<1>)]) -> Option<(Context, Vec<(Range<usize>, Array)>)> {
    let mut context = None;
    let mut arrays = Vec::with_capacity(tensors.len());
    for (place, tensor) in tensors {
        let (of_tensor, array) = Operand::of_cpu(tensor)?.into_parts();
        context = Some(of_tensor);
        arrays.push((place.clone(), array));
    }
    Some((context?, arrays))
}
