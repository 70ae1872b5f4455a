//! The CPU's draws (`src/kernels/cpu/random.rs` says which), on a GPU: a unit takes a counter. Whole numbers, uniforms and
//! masks are the same bits, normals the same but for their last digits.

use burn_backend::DType;
use burn_cubecl::{kernel::into_contiguous, tensor::CubeTensor};
use cubecl::{ir::ElemType, prelude::*};

use crate::{
    box_muller::box_muller,
    launch::{cubes_for, dims, element, empty, empty_of},
    upload::words as uploaded,
};

/// Values of a counter.
const FOUR: usize = 4;
/// Masks of a counter.
const EIGHT: usize = 8;
/// Words of a draw in memory: its key and the first sample.
const KEY: usize = 5;

/// Which draws: Philox's key and the second word of its counters; the number of the first sample, its lower half first.
#[derive(Clone, Copy, Debug)]
pub struct Draws {
    /// Of the CPU's `Key`.
    pub key: [u32; 3],
    /// The first sample.
    pub first: u64,
}

/// Standard normals, the first extent counts samples; on the device of `like`. f32
pub fn normals<const D: usize>(draws: Draws, shape: [usize; D], like: &CubeTensor) -> CubeTensor {
    drawn(draws, shape, like, true)
}

/// Uniforms in [0, 1), likewise.
pub fn uniforms<const D: usize>(draws: Draws, shape: [usize; D], like: &CubeTensor) -> CubeTensor {
    drawn(draws, shape, like, false)
}

fn drawn<const D: usize>(draws: Draws, shape: [usize; D], like: &CubeTensor, normal: bool) -> CubeTensor {
    let out = empty_of(like, shape, DType::F32);
    let (samples, per_sample) = (shape[0], shape[1..].iter().product::<usize>());
    let counters = per_sample.div_ceil(FOUR);
    if samples * per_sample == 0 {
        return out;
    }
    let (cubes, units) = cubes_for(samples * counters);
    let Draws { key: [low, high, stream], first } = draws;
    draw_kernel::launch(
        &like.client,
        cubes,
        units,
        out.clone().into_buffer_arg(),
        per_sample,
        counters,
        low,
        high,
        stream,
        first as u32,
        (first >> 32) as u32,
        normal,
    );
    out
}

/// Draws in memory, on the device of `there`; their kernels can be launched again with others.
pub fn keys(draws: &[Draws], there: &CubeTensor) -> CubeTensor {
    let words = |Draws { key: [low, high, stream], first }: &Draws| {
        [*low, *high, *stream, *first as u32, (first >> 32) as u32]
    };
    let bytes: Vec<u8> = draws.iter().flat_map(words).flat_map(u32::to_le_bytes).collect();
    uploaded(&bytes, there)
}

/// `x` times its mask, which is 0 for `threshold` of 65,536 activations and `kept` for the others; by the draw of this
/// number among `keys`. `[n, ..]` => `[n, ..]`
pub fn drop_activations(
    x: CubeTensor,
    keys: CubeTensor,
    draw: usize,
    threshold: u32,
    kept: f32,
) -> CubeTensor {
    let x = into_contiguous(x);
    let shape @ [samples, h, w, c] = dims(&x);
    let (out, dtype, client) = (empty(&x, shape), element(&x), x.client.clone());
    let per_sample = h * w * c;
    let counters = per_sample.div_ceil(EIGHT);
    if samples * per_sample == 0 {
        return out;
    }
    let (cubes, units) = cubes_for(samples * counters);
    drop_kernel::launch(
        &client,
        cubes,
        units,
        x.into_buffer_arg(),
        keys.into_buffer_arg(),
        out.clone().into_buffer_arg(),
        draw * KEY,
        per_sample,
        counters,
        threshold,
        kept,
        dtype,
    );
    out
}

/// Normals or uniforms; out `[samples, per_sample]`.
#[cube(launch)]
#[expect(clippy::too_many_arguments, reason = "a kernel's arguments are plain numbers")]
fn draw_kernel(
    out: &mut [f32],
    per_sample: usize,
    counters: usize,
    low: u32,
    high: u32,
    stream: u32,
    first_low: u32,
    first_high: u32,
    #[comptime] normal: bool,
) {
    let sample = ABSOLUTE_POS / counters;
    let counter = ABSOLUTE_POS % counters;
    let at = sample * per_sample;
    if at < out.len() {
        let (a, b, c, d) = words(low, high, stream, first_low, first_high, sample as u32, counter as u32);
        let mut values = Array::<f32>::new(FOUR);
        if normal {
            let (w, x) = box_muller(a, b);
            let (y, z) = box_muller(c, d);
            values[0] = w;
            values[1] = x;
            values[2] = y;
            values[3] = z;
        } else {
            values[0] = uniform(a);
            values[1] = uniform(b);
            values[2] = uniform(c);
            values[3] = uniform(d);
        }
        let start = counter * FOUR;
        #[unroll]
        for i in 0..FOUR {
            if start + i < per_sample {
                out[at + start + i] = values[i];
            }
        }
    }
}

/// x and out `[samples, per_sample]`; the draw's words are those of `keys` from `key` on.
#[cube(launch)]
#[expect(clippy::too_many_arguments, reason = "a kernel's arguments are plain numbers")]
fn drop_kernel<F: Float>(
    x: &[F],
    keys: &[u32],
    out: &mut [F],
    key: usize,
    per_sample: usize,
    counters: usize,
    threshold: u32,
    kept: f32,
    #[define(F)] _dtype: ElemType,
) {
    let sample = ABSOLUTE_POS / counters;
    let counter = ABSOLUTE_POS % counters;
    let at = sample * per_sample;
    if at < out.len() {
        let (a, b, c, d) = words(
            keys[key],
            keys[key + 1],
            keys[key + 2],
            keys[key + 3],
            keys[key + 4],
            sample as u32,
            counter as u32,
        );
        let mut bits = Array::<u32>::new(EIGHT);
        bits[0] = a & 0xffffu32;
        bits[1] = a >> 16u32;
        bits[2] = b & 0xffffu32;
        bits[3] = b >> 16u32;
        bits[4] = c & 0xffffu32;
        bits[5] = c >> 16u32;
        bits[6] = d & 0xffffu32;
        bits[7] = d >> 16u32;
        let start = counter * EIGHT;
        #[unroll]
        for i in 0..EIGHT {
            if start + i < per_sample {
                let mask = select(bits[i] >= threshold, kept, 0.0f32);
                let place = at + start + i;
                out[place] = F::cast_from(f32::cast_from(x[place]) * mask);
            }
        }
    }
}

#[cube]
fn uniform(word: u32) -> f32 {
    f32::cast_from(word >> 8u32) * 5.960_464_5e-8f32
}

/// Philox4x32-10 of a sample's counter.
#[cube]
fn words(
    low: u32,
    high: u32,
    stream: u32,
    first_low: u32,
    first_high: u32,
    sample: u32,
    counter: u32,
) -> (u32, u32, u32, u32) {
    let mut a = counter;
    let mut b = stream;
    let mut c = first_low + sample;
    let mut d = first_high + select(c < first_low, 1u32, 0u32);
    let mut key_low = low;
    let mut key_high = high;
    #[unroll]
    for _ in 0..10 {
        let high_a = a.mul_hi(0xD251_1F53u32);
        let low_a = a * 0xD251_1F53u32;
        let high_c = c.mul_hi(0xCD9E_8D57u32);
        let low_c = c * 0xCD9E_8D57u32;
        a = high_c ^ b ^ key_low;
        b = low_c;
        c = high_a ^ d ^ key_high;
        d = low_a;
        key_low += 0x9E37_79B9u32;
        key_high += 0xBB67_AE85u32;
    }
    (a, b, c, d)
}
