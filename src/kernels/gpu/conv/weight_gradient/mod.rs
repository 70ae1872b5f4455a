//! The gradients of a convolution to its weight and bias: one product of matrices, whose columns are looked up in the
//! images, over all pixels. Small weights are summed in parts of the pixels, which are then added.

mod everywhere;
mod fragments;
mod parts;
mod tensor_cores;

use burn_backend::DType;
use burn_cubecl::{ops::reshape, tensor::CubeTensor};
use cubecl::prelude::CubeCount;

use super::{Windows, panels::TILE};
use crate::launch::{dims, empty_of};

/// Cubes that keep a GPU busy.
const BUSY: usize = 256;

/// Pixels that are worth a cube of their own.
const PIXELS: usize = 1024;

/// What a kernel is to fill, a tile of the weight and a part of the pixels for each cube.
struct Sums {
    /// `[parts, k, kh, kw, c]`
    dw: CubeTensor,
    /// `[parts, k]`
    db: CubeTensor,
    parts: usize,
    /// Pixels of a part; the last one may have fewer.
    part: usize,
    /// Tiles along the weight's columns and rows.
    tiles: [usize; 2],
}

impl Sums {
    fn cubes(&self) -> CubeCount {
        let [x, y, z] = [self.tiles[0], self.tiles[1], self.parts].map(|n| n as u32);
        CubeCount::new_3d(x, y, z)
    }
}

/// x `[n, h, w, c]`, gradient `[n, h', w', k]` => that to the weight `[k, kh, kw, c]`, to the bias `[k]`. One launch, or
/// two.
pub(super) fn weight_gradient(
    x: CubeTensor,
    gradient: CubeTensor,
    kernel @ [kh, kw]: [usize; 2],
    windows: Windows,
) -> [CubeTensor; 2] {
    let ([_, _, _, c], [n, h, w, k], dtype) = (dims(&x), dims(&gradient), x.dtype);
    let (pixels, tiles) = (n * h * w, [(kh * kw * c).div_ceil(TILE), k.div_ceil(TILE)]);
    let parts = (BUSY / (tiles[0] * tiles[1])).min(pixels / PIXELS).max(1);
    let of_parts = if parts == 1 { dtype } else { DType::F32 };
    let sums = Sums {
        dw: empty_of(&x, [parts, k, kh, kw, c], of_parts),
        db: empty_of(&x, [parts, k], of_parts),
        parts,
        part: pixels.div_ceil(parts),
        tiles,
    };
    match fragments::Fragments::of(&x, &gradient) {
        Some(fragments) => tensor_cores::sums(x, gradient, windows.shape(kernel), &sums, fragments),
        None => everywhere::sums(x, gradient, windows.shape(kernel), &sums),
    }
    let (shape, Sums { dw, db, .. }) = ([k, kh, kw, c], sums);
    if parts == 1 {
        [reshape(dw, shape.into()), reshape(db, [k].into())]
    } else {
        parts::add_parts([dw, db], shape, dtype)
    }
}
