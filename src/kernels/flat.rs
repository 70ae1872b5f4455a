//! Flat tensors: many tensors one after another in one, so that what is done to all of them is one operation. Not
//! differentiable.

use std::ops::Range;
#[cfg(any(feature = "cuda", feature = "wgpu"))]
use std::sync::OnceLock;

use burn::{backend::Flex, tensor::Tensor};

use super::{
    array::Array,
    cpu::flat::{self as cpu, NUMBERS},
    engine::{Engine, on_engine},
    meaning,
    tape::Operand,
};
#[cfg(any(feature = "cuda", feature = "wgpu"))]
use super::{engine::Cube, gpu::flat as gpu};

/// Every tensor begins at a multiple of so many values: 512 bytes, the most that a GPU wants of the memory it is given. Where
/// one began between, each update would copy it to look at it.
const ALIGNMENT: usize = 128;

/// Where each of several tensors lies within a flat one, and a margin at its end for numbers that travel with them. Nobody
/// reads what is between them; `gather` makes all of that zero.
#[derive(Debug)]
pub struct Places {
    ranges: Vec<Range<usize>>,
    len: usize,
    /// The same for the GPU's kernels, on the device that asked first.
    #[cfg(any(feature = "cuda", feature = "wgpu"))]
    table: OnceLock<<Cube as Engine>::Array>,
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
        Self {
            ranges,
            len: len + ALIGNMENT,
            #[cfg(any(feature = "cuda", feature = "wgpu"))]
            table: OnceLock::new(),
        }
    }

    /// Where each tensor lies, in their order.
    pub fn ranges(&self) -> &[Range<usize>] {
        &self.ranges
    }

    /// The length of the flat tensor.
    pub fn total(&self) -> usize {
        self.len
    }

    /// The first so many values of the margin.
    pub fn margin(&self, length: usize) -> Range<usize> {
        assert!(length <= ALIGNMENT, "the margin has {ALIGNMENT} values");
        self.len - ALIGNMENT..self.len - ALIGNMENT + length
    }
}

/// One tensor of those in a flat one: a view, nothing is copied. `[total]` => `[length of the range]`
pub fn view(flat: &Tensor<1>, place: Range<usize>) -> Tensor<1> {
    on_engine!(flat.clone(), |flat| seen(flat, place), |flat| flat.slice([place]))
}

/// A flat tensor of `total` values with each tensor in its place, and zeros where there is none; places are in order.
///
/// # Panics
/// There is no tensor at all.
pub fn gather(tensors: Vec<(Range<usize>, Tensor<1>)>, total: usize) -> Tensor<1> {
    let first = tensors.first().expect("a tensor to gather").1.clone();
    on_engine!(first, |first| gathered(first, tensors, total), |_| meaning::gather(tensors, total))
}

/// `flat`, with each tensor added to what is in its place. In place where `flat` is the only handle to its memory.
pub fn add_gathered(flat: Tensor<1>, tensors: Vec<(Range<usize>, Tensor<1>)>) -> Tensor<1> {
    on_engine!(flat, |flat| added(flat, tensors), |flat| meaning::add_gathered(flat, tensors))
}

/// In each of the places NaN becomes 0 and an infinity +-1e5; then, with a `limit`, every value is held within +-limit.
/// In place where `flat` is the only handle to its memory. => the flat tensor, and four numbers for each of the places:
/// the sum of squares, cleaned but not held (infinite where it overflows); how many values were NaN; how many infinite;
/// how many were held (rounded above 2^24). `[total]`, `[4 * places]`
pub fn clean(flat: Tensor<1>, places: &Places, limit: Option<f64>) -> (Tensor<1>, Tensor<1>) {
    on_engine!(flat, |flat| cleaned(flat, places, limit), |flat| meaning::clean(flat, places, limit))
}

fn seen<E: Flat>(flat: Operand<E>, place: Range<usize>) -> Tensor<1> {
    let (context, flat) = flat.into_parts();
    context.constant::<E, 1>(E::view(flat, place))
}

fn gathered<E: Flat>(first: Operand<E>, tensors: Vec<(Range<usize>, Tensor<1>)>, total: usize) -> Tensor<1> {
    let (context, _) = first.into_parts();
    context.constant::<E, 1>(E::gather(arrays::<E>(tensors), total))
}

fn added<E: Flat>(flat: Operand<E>, tensors: Vec<(Range<usize>, Tensor<1>)>) -> Tensor<1> {
    let (context, flat) = flat.into_parts();
    context.constant::<E, 1>(E::add_gathered(flat, arrays::<E>(tensors)))
}

fn cleaned<E: Flat>(flat: Operand<E>, places: &Places, limit: Option<f64>) -> (Tensor<1>, Tensor<1>) {
    let (context, flat) = flat.into_parts();
    let (flat, numbers) = E::clean(flat, places, limit.map(|limit| limit as f32));
    (context.constant::<E, 1>(flat), context.constant::<E, 1>(numbers))
}

fn arrays<E: Engine>(tensors: Vec<(Range<usize>, Tensor<1>)>) -> Vec<(Range<usize>, E::Array)> {
    tensors.into_iter().map(|(place, tensor)| (place, Operand::<E>::of(tensor).into_array())).collect()
}

/// What an engine computes.
trait Flat: Engine {
    fn view(flat: Self::Array, place: Range<usize>) -> Self::Array;

    fn gather(tensors: Vec<(Range<usize>, Self::Array)>, total: usize) -> Self::Array;

    fn add_gathered(flat: Self::Array, tensors: Vec<(Range<usize>, Self::Array)>) -> Self::Array;

    fn clean(flat: Self::Array, places: &Places, limit: Option<f32>) -> (Self::Array, Self::Array);
}

impl Flat for Flex {
    fn view(flat: Array, place: Range<usize>) -> Array {
        flat.narrow(place)
    }

    fn gather(tensors: Vec<(Range<usize>, Array)>, total: usize) -> Array {
        Array::build([total], |flat| cpu::gather(&slices(&tensors), false, flat))
    }

    fn add_gathered(mut flat: Array, tensors: Vec<(Range<usize>, Array)>) -> Array {
        cpu::gather(&slices(&tensors), true, flat.values_mut());
        flat
    }

    fn clean(mut flat: Array, places: &Places, limit: Option<f32>) -> (Array, Array) {
        let numbers = cpu::clean(flat.values_mut(), &places.ranges, limit).concat();
        (flat, Array::from_values(numbers, [places.ranges.len() * NUMBERS]))
    }
}

fn slices(tensors: &[(Range<usize>, Array)]) -> Vec<(Range<usize>, &[f32])> {
    tensors.iter().map(|(place, array)| (place.clone(), array.values())).collect()
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
impl Flat for Cube {
    fn view(flat: Self::Array, place: Range<usize>) -> Self::Array {
        gpu::view(&flat, place)
    }

    fn gather(tensors: Vec<(Range<usize>, Self::Array)>, total: usize) -> Self::Array {
        gpu::gather(tensors, total)
    }

    fn add_gathered(flat: Self::Array, tensors: Vec<(Range<usize>, Self::Array)>) -> Self::Array {
        gpu::add_gathered(flat, tensors)
    }

    fn clean(flat: Self::Array, places: &Places, limit: Option<f32>) -> (Self::Array, Self::Array) {
        let table = places.table.get_or_init(|| gpu::table(&flat, &places.ranges)).clone();
        let longest = places.ranges.iter().map(Range::len).max().unwrap_or(0);
        gpu::clean(flat, table, longest, limit)
    }
}
