//! What tensor cores multiply at once, and from where.

use burn_backend::DType;
use burn_cubecl::tensor::CubeTensor;
use cubecl::{
    cmma::{Matrix, MatrixIdent, MatrixLayout},
    features::MmaConfig,
    ir::{ElemType, FloatKind},
    prelude::*,
};

use super::super::{
    panels::{LANES, TILE},
    whole_vectors,
};
use crate::{launch::element, tf32};

/// Units of a plane.
pub(super) const PLANE: usize = 32;
/// Rows and columns of a fragment.
pub(super) const SIDE: usize = 16;
/// From one row of a panel in shared memory to the next: fragments begin at multiples of 32 bytes, rows at other banks.
pub(super) const PITCH: usize = TILE + 8;

/// What tensor cores multiply at once.
#[derive(Clone, Copy)]
pub(super) struct Fragments {
    /// What the values are rounded to.
    pub(super) operand: ElemType,
    /// Steps of the sum.
    pub(super) depth: usize,
}

impl Fragments {
    /// Where the device has tensor cores that may be used, and channels lie in rows of whole vectors.
    pub(super) fn of(x: &CubeTensor, gradient: &CubeTensor) -> Option<Self> {
        let (operand, depth) = match x.dtype {
            DType::F32 if tf32::allowed() => (ElemType::Float(FloatKind::TF32), 8),
            DType::F16 | DType::BF16 => (element(x), 16),
            _ => return None,
        };
        let (properties, side) = (x.client.properties(), SIDE as u32);
        let cd_type = ElemType::Float(FloatKind::F32);
        let has = MmaConfig { a_type: operand, b_type: operand, cd_type, m: side, n: side, k: depth as u32 };
        let planes = &properties.hardware;
        let usable = properties.features.matmul.cmma.contains(&has)
            && [planes.plane_size_min, planes.plane_size_max] == [PLANE as u32; 2];
        (usable && whole_vectors([x, gradient]) == LANES).then_some(Self { operand, depth })
    }
}

/// A fragment of a panel, from this value on. Rows of A, and columns of B, lie side by side.
#[cube]
pub(super) fn fragment<S: Float>(
    panel: &Shared<[S]>,
    from: usize,
    #[comptime] which: MatrixIdent,
    #[comptime] depth: usize,
) -> Matrix<S> {
    let layout = comptime!(match which {
        MatrixIdent::A => MatrixLayout::ColMajor,
        _ => MatrixLayout::RowMajor,
    });
    Matrix::from_slice(which, SIDE, SIDE, depth, layout, &panel[from..], PITCH as u32)
}
