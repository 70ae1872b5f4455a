//! One register-blocked matrix product for everything: C = A B + initial values, f32.

use std::ptr::null;

use super::{
    pool::{self, Shares},
    simd::{Simd, dispatch, for_lanes},
    transpose::columns,
};

/// Columns that the micro-kernel takes at a time, and the width of a packed panel of B.
pub(crate) const PANEL: usize = 32;

/// One product: C `[rows, columns]` = A `[rows, inner]` times B `[inner, columns]`, plus initial values.
/// Strides are distances between rows, in floats. Who multiplies vouches that the pointers are valid for that.
#[derive(Clone, Copy)]
pub(crate) struct Product {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) inner: usize,
    pub(crate) a: *const f32,
    pub(crate) a_stride: usize,
    pub(crate) b: *const f32,
    pub(crate) b_stride: usize,
    /// Distance between panels of [`PANEL`] columns: `PANEL` for a plain matrix, `PANEL * inner` for packed panels.
    pub(crate) b_panel: usize,
    pub(crate) c: *mut f32,
    pub(crate) c_stride: usize,
    /// What C starts from: null for zero, C itself to accumulate, a row (stride 0) for a bias.
    pub(crate) initial: *const f32,
    pub(crate) initial_stride: usize,
}

impl Product {
    /// C starts from zero, B is a plain matrix.
    pub(crate) fn plain(
        [rows, columns, inner]: [usize; 3],
        (a, a_stride): (*const f32, usize),
        (b, b_stride): (*const f32, usize),
        (c, c_stride): (*mut f32, usize),
    ) -> Self {
        Self {
            rows,
            columns,
            inner,
            a,
            a_stride,
            b,
            b_stride,
            b_panel: PANEL,
            c,
            c_stride,
            initial: null(),
            initial_stride: 0,
        }
    }

    /// The same with B in packed panels.
    pub(crate) fn packed(
        extents: [usize; 3],
        a: (*const f32, usize),
        b: *const f32,
        c: (*mut f32, usize),
    ) -> Self {
        Self { b_panel: PANEL * extents[2], ..Self::plain(extents, a, (b, PANEL), c) }
    }

    /// C starts from what it holds.
    pub(crate) fn accumulate(self) -> Self {
        Self { initial: self.c, initial_stride: self.c_stride, ..self }
    }

    /// Every row of C starts from this row, where there is one.
    pub(crate) fn starting_from(self, row: Option<&[f32]>) -> Self {
        Self { initial: row.map_or(null(), <[f32]>::as_ptr), initial_stride: 0, ..self }
    }
}

/// A block of `MR` rows and at most `NV` vectors of columns, held in registers throughout. `TA`: A is stored
/// transposed. `PART`: only `last` lanes of the last vector exist.
#[inline(always)]
unsafe fn block<V: Simd, const MR: usize, const NV: usize, const TA: bool, const PART: bool>(
    p: Product,
    last: usize,
) {
    let whole = |j: usize| !PART || j + 1 < NV;
    // SAFETY: the caller vouches for the product's pointers.
    unsafe {
        let mut sums = [[V::splat(0.0); NV]; MR];
        if !p.initial.is_null() {
            for (r, row) in sums.iter_mut().enumerate() {
                for (j, sum) in row.iter_mut().enumerate() {
                    let from = p.initial.add(r * p.initial_stride + j * V::LANES);
                    *sum = if whole(j) { V::load(from) } else { V::load_part(from, last) };
                }
            }
        }
        for k in 0..p.inner {
            let mut b = [V::splat(0.0); NV];
            for (j, b) in b.iter_mut().enumerate() {
                let from = p.b.add(k * p.b_stride + j * V::LANES);
                *b = if whole(j) { V::load(from) } else { V::load_part(from, last) };
            }
            for (r, row) in sums.iter_mut().enumerate() {
                let a = V::splat(*p.a.add(if TA { k * p.a_stride + r } else { r * p.a_stride + k }));
                for (sum, b) in row.iter_mut().zip(b) {
                    *sum = a.mul_add(b, *sum);
                }
            }
        }
        for (r, row) in sums.into_iter().enumerate() {
            for (j, sum) in row.into_iter().enumerate() {
                let to = p.c.add(r * p.c_stride + j * V::LANES);
                if whole(j) { sum.store(to) } else { sum.store_part(to, last) }
            }
        }
    }
}

/// All rows of at most `NV` vectors of columns.
#[inline(always)]
unsafe fn column_block<V: Simd, const NV: usize, const TA: bool, const PART: bool>(p: Product, last: usize) {
    // SAFETY: the caller vouches for the product's pointers.
    unsafe {
        let at = |row: usize| Product {
            a: p.a.add(if TA { row } else { row * p.a_stride }),
            c: p.c.add(row * p.c_stride),
            initial: if p.initial.is_null() { null() } else { p.initial.add(row * p.initial_stride) },
            ..p
        };
        let mut row = 0;
        if V::ROWS == 8 {
            while row + 8 <= p.rows {
                block::<V, 8, NV, TA, PART>(at(row), last);
                row += 8;
            }
        }
        if V::ROWS == 6 {
            while row + 6 <= p.rows {
                block::<V, 6, NV, TA, PART>(at(row), last);
                row += 6;
            }
        }
        while row + 4 <= p.rows {
            block::<V, 4, NV, TA, PART>(at(row), last);
            row += 4;
        }
        while row < p.rows {
            block::<V, 1, NV, TA, PART>(at(row), last);
            row += 1;
        }
    }
}

#[inline(always)]
unsafe fn blocks<V: Simd, const TA: bool>(p: Product) {
    // SAFETY: the caller vouches for the product's pointers.
    unsafe {
        let pair = 2 * V::LANES;
        let mut column = 0;
        while column < p.columns {
            let block = Product {
                b: p.b.add(column / PANEL * p.b_panel + column % PANEL),
                c: p.c.add(column),
                initial: if p.initial.is_null() { null() } else { p.initial.add(column) },
                ..p
            };
            let left = p.columns - column;
            if left >= pair {
                column_block::<V, 2, TA, false>(block, V::LANES);
            } else if left > V::LANES {
                column_block::<V, 2, TA, true>(block, left - V::LANES);
            } else if left == V::LANES {
                column_block::<V, 1, TA, false>(block, V::LANES);
            } else {
                column_block::<V, 1, TA, true>(block, left);
            }
            column += pair;
        }
    }
}

dispatch!(
    pub(crate) unsafe fn multiply<V: Simd>(p: Product) {
        blocks::<V, false>(p);
    }
);

dispatch!(
    pub(crate) unsafe fn multiply_transposed_a<V: Simd>(p: Product) {
        blocks::<V, true>(p);
    }
);

/// Floats that [`pack`] and [`pack_transposed`] write.
pub(crate) fn packed_len(inner: usize, columns: usize) -> usize {
    columns.next_multiple_of(PANEL) * inner
}

/// Packs B `[inner, columns]` into panels `[inner, PANEL]`; the missing columns of the last panel become zero.
pub(crate) fn pack(b: &[f32], inner: usize, columns: usize, packed: &mut [f32]) {
    assert_eq!(b.len(), inner * columns);
    by_panels(inner, columns, packed, |first, width, panel| {
        for (row, to) in panel.chunks_exact_mut(PANEL).enumerate() {
            to[..width].copy_from_slice(&b[row * columns + first..][..width]);
            to[width..].fill(0.0);
        }
    });
}

/// Packs the transpose of `b_t` `[columns, inner]` likewise.
pub(crate) fn pack_transposed(b_t: &[f32], inner: usize, columns: usize, packed: &mut [f32]) {
    assert_eq!(b_t.len(), inner * columns);
    by_panels(inner, columns, packed, |first, width, panel| {
        let from = b_t[first * inner..][..width * inner].as_ptr();
        // SAFETY: `width` rows of `inner` floats; the panel holds as many columns and the missing ones.
        unsafe { transpose_panel(from, inner, width, panel.as_mut_ptr()) }
    });
}

/// Runs `f(first column, columns, panel)` for every panel.
fn by_panels(inner: usize, columns: usize, packed: &mut [f32], f: impl Fn(usize, usize, &mut [f32]) + Sync) {
    let len = PANEL * inner;
    let shares = Shares::new(&mut packed[..packed_len(inner, columns)]);
    pool::for_each(columns.div_ceil(PANEL), 8 * inner * columns, |index| {
        let first = index * PANEL;
        // SAFETY: one panel, one part.
        f(first, PANEL.min(columns - first), unsafe { shares.range(index * len, len) });
    });
}

dispatch!(
    unsafe fn transpose_panel<V: Simd>(from: *const f32, inner: usize, width: usize, panel: *mut f32) {
        for_lanes!(V, PANEL, |lane, _count| {
            let lanes = width.saturating_sub(lane).min(V::LANES);
            let from = from.wrapping_add(lane * inner);
            columns::<V>(from, (lanes, inner), inner, panel.add(lane), PANEL as isize);
        });
    }
);
