//! Flat tensors: many f32 tensors one after another in one. Putting them there, seeing one of them, cleaning all.

use std::ops::Range;

use burn_backend::DType;
use burn_cubecl::{
    kernel::{into_contiguous, slice},
    ops::numeric::zeros_client,
    tensor::CubeTensor,
};
use cubecl::prelude::*;

use crate::{
    launch::{UNITS, dims, empty},
    sum::row_sum,
};

/// What an infinity becomes when it is cleaned.
const LARGEST: f32 = 1e5;
/// How many numbers `clean` says of a place.
const NUMBERS: usize = 4;
/// Cubes that share a place, at most.
const SHARES: u32 = 32;
/// Cubes that share a tensor, at most.
const PUT_SHARES: u32 = 64 * SHARES;
/// Values that a unit goes through before it is worth another cube.
const VALUES: u32 = 8;
/// No more tensors than this in one launch; some devices bind fewer.
const TENSORS: usize = 48;

/// The tensor itself where nobody else has its memory, else a copy.
pub(crate) fn owned(tensor: CubeTensor) -> CubeTensor {
    assert_eq!(tensor.dtype, DType::F32, "flat tensors are f32");
    let tensor = into_contiguous(tensor);
    if tensor.can_mut() { tensor } else { tensor.copy() }
}

/// One tensor of those in a flat one: a view where the device takes memory from there, else a copy.
pub fn view(flat: &CubeTensor, place: Range<usize>) -> CubeTensor {
    let bytes = |values: usize| (values * flat.dtype.size()) as u64;
    if !bytes(place.start).is_multiple_of(flat.client.properties().memory.alignment) {
        return slice(flat.clone(), &[place]);
    }
    let [total] = dims(flat);
    let rest = bytes(total - place.end);
    let handle = flat.handle.clone().offset_start(bytes(place.start)).offset_end(rest);
    let (client, device) = (flat.client.clone(), flat.device.clone());
    CubeTensor::new_contiguous(client, device, [place.len()].into(), handle, flat.dtype)
}

/// A flat tensor of `total` values with each tensor in its place, and zeros elsewhere; there is at least one.
pub fn gather(tensors: Vec<(Range<usize>, CubeTensor)>, total: usize) -> CubeTensor {
    let (client, device) = (tensors[0].1.client.clone(), tensors[0].1.device.clone());
    put(tensors, zeros_client(client, device, [total].into(), DType::F32), false)
}

/// `flat`, with each tensor added to what is in its place.
pub fn add_gathered(flat: CubeTensor, tensors: Vec<(Range<usize>, CubeTensor)>) -> CubeTensor {
    put(tensors, owned(flat), true)
}

/// Along y, the tensors.
#[cube(launch)]
fn put_kernel(
    tensors: &Sequence<Box<[f32]>>,
    starts: &Sequence<usize>,
    lengths: &Sequence<usize>,
    flat: &mut [f32],
    #[comptime] add: bool,
) {
    let step = (CUBE_COUNT_X * CUBE_DIM_X) as usize;
    #[unroll]
    for which in 0..tensors.len() {
        if CUBE_POS_Y as usize == which {
            let (start, length) = (starts[which], lengths[which]);
            let mut i = (CUBE_POS_X * CUBE_DIM_X + UNIT_POS_X) as usize;
            while i < length {
                let value = tensors[which][i];
                if comptime!(add) {
                    flat[start + i] += value;
                } else {
                    flat[start + i] = value;
                }
                i += step;
            }
        }
    }
}

fn put(tensors: Vec<(Range<usize>, CubeTensor)>, flat: CubeTensor, add: bool) -> CubeTensor {
    let client = flat.client.clone();
    // Beside the tensors, `flat` and the scalars are bound.
    let at_once = TENSORS.min(client.properties().hardware.max_bindings as usize - 2);
    let mut tensors = tensors.into_iter().peekable();
    while tensors.peek().is_some() {
        let (mut buffers, mut starts, mut lengths) =
            (SequenceArg::new(), SequenceArg::new(), SequenceArg::new());
        let (mut count, mut longest) = (0, 0);
        for (place, tensor) in tensors.by_ref().take(at_once) {
            assert_eq!(
                (tensor.dtype, dims(&tensor)),
                (DType::F32, [place.len()]),
                "each as long as its place"
            );
            buffers.push(into_contiguous(tensor).into_buffer_arg());
            starts.push(place.start);
            lengths.push(place.len());
            count += 1;
            longest = longest.max(place.len());
        }
        let along_x = shares(longest, PUT_SHARES);
        let (cubes, units) = (CubeCount::new_2d(along_x, count), CubeDim::new_1d(UNITS));
        put_kernel::launch(
            &client,
            cubes,
            units,
            buffers,
            starts,
            lengths,
            flat.clone().into_buffer_arg(),
            add,
        );
    }
    flat
}

/// How many cubes, up to `most`, are to share so many values.
fn shares(values: usize, most: u32) -> u32 {
    (values as u32).div_ceil(UNITS * VALUES).clamp(1, most)
}

/// Where places begin and how long they are, as the device reads them: made once, for `clean`.
pub fn table(like: &CubeTensor, places: &[Range<usize>]) -> CubeTensor {
    let values: Vec<u32> = places.iter().flat_map(|p| [p.start as u32, p.len() as u32]).collect();
    let handle = like.client.create_from_slice(u32::as_bytes(&values));
    let (client, device) = (like.client.clone(), like.device.clone());
    CubeTensor::new_contiguous(client, device, [values.len()].into(), handle, DType::U32)
}

/// Along y, the places; along x, cubes that share one. Into partials `[places, cubes, 4]`
#[cube(launch)]
fn clean_kernel(
    flat: &mut [f32],
    table: &[u32],
    partials: &mut [f32],
    limit: f32,
    #[comptime] limited: bool,
    #[comptime] units: u32,
) {
    let place = CUBE_POS_Y as usize;
    let start = table[2 * place] as usize;
    let length = table[2 * place + 1] as usize;
    let step = (CUBE_COUNT_X * CUBE_DIM_X) as usize;
    let mut square = 0.0f32;
    let mut nans = 0.0f32;
    let mut infinities = 0.0f32;
    let mut held = 0.0f32;
    let mut i = (CUBE_POS_X * CUBE_DIM_X + UNIT_POS_X) as usize;
    while i < length {
        let at = start + i;
        let mut value = flat[at];
        // By its bits: compilers may take it that there is no NaN.
        let bits = u32::reinterpret(value);
        let magnitude = bits & 0x7fff_ffffu32;
        if magnitude >= 0x7f80_0000u32 {
            if magnitude > 0x7f80_0000u32 {
                value = 0.0f32;
                nans += 1.0f32;
            } else {
                value = LARGEST;
                if bits != magnitude {
                    value = -LARGEST;
                }
                infinities += 1.0f32;
            }
            flat[at] = value;
        }
        square += value * value;
        if comptime!(limited) {
            if value > limit {
                flat[at] = limit;
                held += 1.0f32;
            } else if value < -limit {
                flat[at] = -limit;
                held += 1.0f32;
            }
        }
        i += step;
    }
    let square = row_sum(square, units, 1u32);
    let nans = row_sum(nans, units, 1u32);
    let infinities = row_sum(infinities, units, 1u32);
    let held = row_sum(held, units, 1u32);
    if UNIT_POS_X == 0 {
        let to = ((CUBE_POS_Y * CUBE_COUNT_X + CUBE_POS_X) * 4) as usize;
        partials[to] = square;
        partials[to + 1] = nans;
        partials[to + 2] = infinities;
        partials[to + 3] = held;
    }
}

/// The sums of the cubes that share a place; a unit for each place and number.
#[cube(launch)]
fn sum_kernel(partials: &[f32], numbers: &mut [f32], count: usize, #[comptime] shares: u32) {
    let i = ABSOLUTE_POS;
    if i < count {
        let from = (i / 4) * 4 * shares as usize + i % 4;
        let mut sum = 0.0f32;
        for share in 0..shares as usize {
            sum += partials[from + share * 4];
        }
        numbers[i] = sum;
    }
}

/// In each place of `table` NaN becomes 0 and an infinity +-1e5; then, with a `limit`, every value is held within +-limit.
/// => the flat tensor; of each place the sum of squares, cleaned but not held, and how many values were NaN, infinite,
/// held `[4 * places]`. The longest place has `longest` values. Two launches.
pub fn clean(
    flat: CubeTensor,
    table: CubeTensor,
    longest: usize,
    limit: Option<f32>,
) -> (CubeTensor, CubeTensor) {
    let flat = owned(flat);
    let client = flat.client.clone();
    let [twice] = dims(&table);
    let places = twice / 2;
    let count = places * NUMBERS;
    let shares = shares(longest, SHARES);
    let (partials, numbers) = (empty(&flat, [count * shares as usize]), empty(&flat, [count]));
    clean_kernel::launch(
        &client,
        CubeCount::new_2d(shares, places as u32),
        CubeDim::new_1d(UNITS),
        flat.clone().into_buffer_arg(),
        table.into_buffer_arg(),
        partials.clone().into_buffer_arg(),
        limit.unwrap_or(0.0),
        limit.is_some(),
        UNITS,
    );
    let (cubes, units) = crate::launch::cubes_for(count);
    sum_kernel::launch(
        &client,
        cubes,
        units,
        partials.into_buffer_arg(),
        numbers.clone().into_buffer_arg(),
        count,
        shares,
    );
    (flat, numbers)
}
