//! Affine warping without aliasing: reflection, upsampling, bilinear sampling, downsampling, as the host does it
//! (`src/data/warp.rs` says what each step is), in two launches and without the upsampled image in memory.

use burn_cubecl::{kernel::into_contiguous, tensor::CubeTensor};
use cubecl::prelude::*;

use crate::launch::{cubes_for, dims, empty};

/// Numbers of an image's pose: an affine map and two flips.
pub const POSE: usize = 8;
/// Source pixels along an axis that two neighbours of the upsampled image are made of, and one more.
const TAPS: i32 = 8;

/// Warps f32 images `[n, c, h, w]`. Every pose `[n, 8]` is a map from pixels of the sampled image, `2 (w + filter / 2)` wide, to
/// those of the continued and upsampled one (six numbers, x first), then whether the image is flipped along x, along y
/// before that (1 or 0). `margin`: pixels by which images are continued: left, top, right, bottom. `filter`: low-pass, even.
pub fn warp(images: CubeTensor, poses: CubeTensor, filter: CubeTensor, margin: [usize; 4]) -> CubeTensor {
    let images = into_contiguous(images);
    let ([n, c, h, w], [taps]) = (dims(&images), dims(&filter));
    let [left, top, right, bottom] = margin;
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
        filter.clone().into_buffer_arg(),
        sampled.clone().into_buffer_arg(),
        c,
        h as i32,
        w as i32,
        left as i32,
        top as i32,
        (w + left + right) as i32,
        (h + top + bottom) as i32,
        taps as i32,
    );
    let (cubes, units) = cubes_for(n * c * h * w);
    shrink_kernel::launch(
        &client,
        cubes,
        units,
        sampled.into_buffer_arg(),
        filter.into_buffer_arg(),
        out.clone().into_buffer_arg(),
        h,
        w,
        taps,
    );
    out
}

/// images `[n, c, h, w]`, sampled `[n, c, 2 h + taps, 2 w + taps]`
#[cube(launch)]
#[expect(clippy::too_many_arguments, reason = "a kernel's arguments are plain numbers")]
fn sample_kernel(
    images: &[f32],
    poses: &[f32],
    filter: &[f32],
    sampled: &mut [f32],
    c: usize,
    h: i32,
    w: i32,
    left: i32,
    top: i32,
    continued_w: i32,
    continued_h: i32,
    taps: i32,
) {
    if ABSOLUTE_POS < sampled.len() {
        let (sampled_w, sampled_h) = ((2 * w + taps) as usize, (2 * h + taps) as usize);
        let column = f32::cast_from(ABSOLUTE_POS % sampled_w);
        let row = f32::cast_from(ABSOLUTE_POS / sampled_w % sampled_h);
        let plane = ABSOLUTE_POS / (sampled_w * sampled_h);
        let pose = plane / c * POSE;
        let x = poses[pose] * column + poses[pose + 1] * row + poses[pose + 2];
        let y = poses[pose + 3] * column + poses[pose + 4] * row + poses[pose + 5];
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
        for i in 0..TAPS {
            let at_y = y_start + i;
            let weight_y = weight(filter, y_low, y - y_floor, at_y, continued_h, taps);
            if weight_y != 0.0f32 {
                let source_y = source(at_y, top, h, y_flip);
                let line = plane * (h * w) as usize + (source_y * w) as usize;
                let mut across = 0.0f32;
                for j in 0..TAPS {
                    let at_x = x_start + j;
                    let weight_x = weight(filter, x_low, x - x_floor, at_x, continued_w, taps);
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

/// What a source pixel contributes to the point that lies `way` between the upsampled pixels `low` and `low + 1`.
#[cube]
fn weight(filter: &[f32], low: i32, way: f32, source: i32, size: i32, taps: i32) -> f32 {
    let mut sum = 0.0f32;
    if source >= 0 && source < size {
        let tap = taps / 2 - 1 + low - 2 * source;
        if low >= 0 && low < 2 * size && tap >= 0 && tap < taps {
            sum += filter[tap as usize] * (1.0f32 - way);
        }
        if low + 1 >= 0 && low + 1 < 2 * size && tap + 1 >= 0 && tap + 1 < taps {
            sum += filter[(tap + 1) as usize] * way;
        }
    }
    sum
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
fn shrink_kernel(sampled: &[f32], filter: &[f32], out: &mut [f32], h: usize, w: usize, taps: usize) {
    if ABSOLUTE_POS < out.len() {
        let (sampled_w, sampled_h) = (2 * w + taps, 2 * h + taps);
        let column = ABSOLUTE_POS % w;
        let row = ABSOLUTE_POS / w % h;
        let corner = (ABSOLUTE_POS / (w * h) * sampled_h + 2 * row + 1) * sampled_w + 2 * column + 1;
        let mut sum = 0.0f32;
        for i in 0..taps {
            let mut across = 0.0f32;
            for j in 0..taps {
                across += filter[j] * sampled[corner + i * sampled_w + j];
            }
            sum += filter[i] * across;
        }
        out[ABSOLUTE_POS] = sum;
    }
}
