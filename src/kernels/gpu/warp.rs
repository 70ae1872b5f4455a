//! Affine warping without aliasing: reflection, upsampling, bilinear sampling, downsampling, as the host does it
//! (`src/data/warp.rs` says what each step is), in two launches and without the upsampled image in memory.

use burn_cubecl::{kernel::into_contiguous, tensor::CubeTensor};
use cubecl::prelude::*;

use crate::launch::{cubes_for, dims, empty};

/// The bits of a filter's taps: kernels are compiled for it.
type Filter = Vec<u32>;

/// Numbers of an image's pose: an affine map, two flips, four margins.
pub const POSE: usize = 12;
/// Source pixels along an axis that two neighbours of the upsampled image are made of, and one more.
const TAPS: i32 = 8;

/// Warps f32 images `[n, c, h, w]`. Every pose `[n, 12]` is a map from pixels of the sampled image, `2 (w + filter / 2)` wide,
/// to those of the continued and upsampled one (six numbers, x first), then whether the image is flipped along x, along y
/// before that (1 or 0), and the pixels by which it is continued: left, top, right, bottom. `filter`: low-pass, even.
pub fn warp(images: CubeTensor, poses: CubeTensor, filter: &[f32]) -> CubeTensor {
    let images = into_contiguous(images);
    let ([n, c, h, w], taps) = (dims(&images), filter.len());
    let filter: Filter = filter.iter().map(|tap| tap.to_bits()).collect();
    let (sampled_h, sampled_w) = (2 * h + taps, 2 * w + taps);
    let client = images.client.clone();
    let sampled = empty(&images, [n, c, sampled_h, sampled_w]);
    let out = empty(&images, [n, c, h, w]);
    if n * c * h * w == 0 {
        return out;
    }
    let (cubes, units) = cubes_for(n * c * sampled_h * sampled_w);
    sample_kernel::launch(
        &client,
        cubes,
        units,
        images.into_buffer_arg(),
        into_contiguous(poses).into_buffer_arg(),
        sampled.clone().into_buffer_arg(),
        c,
        h as i32,
        w as i32,
        filter.clone(),
    );
    let (cubes, units) = cubes_for(n * c * h * w);
    shrink_kernel::launch(
        &client,
        cubes,
        units,
        sampled.into_buffer_arg(),
        out.clone().into_buffer_arg(),
        h,
        w,
        filter,
    );
    out
}

/// images `[n, c, h, w]`, sampled `[n, c, 2 h + taps, 2 w + taps]`
#[cube(launch)]
#[expect(clippy::too_many_arguments, reason = "a kernel's arguments are plain numbers")]
fn sample_kernel(
    images: &[f32],
    poses: &[f32],
    sampled: &mut [f32],
    c: usize,
    h: i32,
    w: i32,
    #[comptime] filter: Filter,
) {
    if ABSOLUTE_POS < sampled.len() {
        let taps = comptime!(filter.len() as i32);
        let (sampled_w, sampled_h) = ((2 * w + taps) as usize, (2 * h + taps) as usize);
        let column = f32::cast_from(ABSOLUTE_POS % sampled_w);
        let row = f32::cast_from(ABSOLUTE_POS / sampled_w % sampled_h);
        let plane = ABSOLUTE_POS / (sampled_w * sampled_h);
        let pose = plane / c * POSE;
        let x = poses[pose] * column + poses[pose + 1] * row + poses[pose + 2];
        let y = poses[pose + 3] * column + poses[pose + 4] * row + poses[pose + 5];
        let left = i32::cast_from(poses[pose + 8]);
        let top = i32::cast_from(poses[pose + 9]);
        let continued_w = w + left + i32::cast_from(poses[pose + 10]);
        let continued_h = h + top + i32::cast_from(poses[pose + 11]);
        // Beyond the image all is zero, however far.
        let x = min(max(x, -4.0f32), f32::cast_from(2 * continued_w + 4));
        let y = min(max(y, -4.0f32), f32::cast_from(2 * continued_h + 4));
        let x_floor = x.floor();
        let y_floor = y.floor();
        let x_low = i32::cast_from(x_floor);
        let y_low = i32::cast_from(y_floor);
        let x_start = first_source(x_low);
        let y_start = first_source(y_low);
        let x_flip = poses[pose + 6] != 0.0f32;
        let y_flip = poses[pose + 7] != 0.0f32;
        let mut sum = 0.0f32;
        #[unroll]
        for i in 0..TAPS {
            let weight_y = weight(y_low, y - y_floor, continued_h, comptime!(filter.clone()), i);
            if weight_y != 0.0f32 {
                let source_y = source(y_start + i, top, h, y_flip);
                let line = plane * (h * w) as usize + (source_y * w) as usize;
                let mut across = 0.0f32;
                #[unroll]
                for j in 0..TAPS {
                    let at_x = x_start + j;
                    let weight_x = weight(x_low, x - x_floor, continued_w, comptime!(filter.clone()), j);
                    if weight_x != 0.0f32 {
                        across += weight_x * images[line + source(at_x, left, w, x_flip) as usize];
                    }
                }
                sum += weight_y * across;
            }
        }
        sampled[ABSOLUTE_POS] = sum;
    }
}

/// The first source pixel that the upsampled pixels `low` and `low + 1` are made of; `low` is at least -4.
#[cube]
fn first_source(low: i32) -> i32 {
    (low + 4) / 2 - 5
}

/// What the source pixel `i`, counted from the first one, contributes to the point that lies `way` between the upsampled
/// pixels `low` and `low + 1`.
#[cube]
fn weight(low: i32, way: f32, size: i32, #[comptime] filter: Filter, #[comptime] i: i32) -> f32 {
    let source = first_source(low) + i;
    // Of a pixel of even number; that of an odd one is the next.
    let first = comptime!(filter.len() as i32 / 2 + 5 - 2 * i);
    let odd = low % 2 != 0;
    let to_low =
        select(odd, tap(comptime!(filter.clone()), first + 1), tap(comptime!(filter.clone()), first));
    let to_next = select(odd, tap(comptime!(filter.clone()), first + 2), tap(filter, first + 1));
    let from_low = select(low >= 0 && low < 2 * size, to_low * (1.0f32 - way), 0.0f32);
    let from_next = select(low + 1 >= 0 && low + 1 < 2 * size, to_next * way, 0.0f32);
    select(source >= 0 && source < size, from_low + from_next, 0.0f32)
}

/// A tap; beyond the filter's ends, zero.
#[cube]
fn tap(#[comptime] filter: Filter, #[comptime] at: i32) -> f32 {
    comptime!(usize::try_from(at).ok().and_then(|at| filter.get(at)).map_or(0.0, |tap| f32::from_bits(*tap)))
}

/// The pixel of an image that stands at a position of the continued one.
#[cube]
fn source(position: i32, margin: i32, size: i32, flipped: bool) -> i32 {
    let i = position - margin;
    let i = select(i < 0, -i, i);
    let i = select(i < size, i, 2 * (size - 1) - i);
    select(flipped, size - 1 - i, i)
}

/// sampled `[planes, 2 h + taps, 2 w + taps]`, out `[planes, h, w]`
#[cube(launch)]
fn shrink_kernel(sampled: &[f32], out: &mut [f32], h: usize, w: usize, #[comptime] filter: Filter) {
    if ABSOLUTE_POS < out.len() {
        let taps = comptime!(filter.len());
        let (sampled_w, sampled_h) = (2 * w + taps, 2 * h + taps);
        let column = ABSOLUTE_POS % w;
        let row = ABSOLUTE_POS / w % h;
        let corner = (ABSOLUTE_POS / (w * h) * sampled_h + 2 * row + 1) * sampled_w + 2 * column + 1;
        let mut sum = 0.0f32;
        #[unroll]
        for i in 0..taps {
            let mut across = 0.0f32;
            #[unroll]
            for j in 0..taps {
                across += comptime!(f32::from_bits(filter[j])) * sampled[corner + i * sampled_w + j];
            }
            sum += comptime!(f32::from_bits(filter[i])) * across;
        }
        out[ABSOLUTE_POS] = sum;
    }
}
