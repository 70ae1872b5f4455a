//! Weights into the tiles' domain, packed as the matrix product wants them.

use super::{
    super::{
        gemm::PANEL,
        pool::{self, Shares},
        simd::{Simd, dispatch},
        transpose::columns,
    },
    SKEW,
    transform::{Transform, Weights},
};

/// Weights as they lie in memory. `flip` false: `[k, c, 3, 3]`. `flip` true: `[c, k, 3, 3]`, to be turned by 180
/// degrees, for the convolution that takes output gradients (c channels) to input gradients (k channels).
#[derive(Clone, Copy)]
pub(super) struct Filters<'a> {
    pub(super) values: &'a [f32],
    pub(super) c: usize,
    pub(super) k: usize,
    pub(super) flip: bool,
}

/// Floats between the elements of a transformed panel, `[element][c][PANEL]`.
pub(super) fn plane(c: usize) -> usize {
    c * PANEL + SKEW
}

/// Rows of c that one part transforms, and how many of them are gathered at a time.
const ROWS: usize = 2 * BLOCK;
const BLOCK: usize = 14;

impl Filters<'_> {
    /// Floats of one transformed panel.
    pub(super) fn panel_len<const N: usize>(&self) -> usize {
        N * N * plane(self.c)
    }

    /// Number of panels: of [`PANEL`] outputs each, the last one perhaps of fewer.
    pub(super) fn panels(&self) -> usize {
        self.k.div_ceil(PANEL)
    }

    /// All panels, `[panel][element][c][PANEL]`.
    pub(super) fn transform<const N: usize>(&self, to: &mut [f32]) {
        assert_eq!(to.len(), self.panels() * self.panel_len::<N>());
        let shares = Shares::new(to);
        let blocks = self.c.div_ceil(ROWS);
        pool::for_each(self.panels() * blocks, 4 * N * N * self.c * self.k, |part| {
            let (panel, first) = (part / blocks, part % blocks * ROWS);
            let rows = (first, (first + ROWS).min(self.c));
            // SAFETY: parts write disjoint rows of their panels.
            unsafe { self.rows::<N>(panel, rows, shares.at(panel * self.panel_len::<N>())) }
        });
    }

    /// One panel, `[element][c][PANEL]`.
    pub(super) fn transform_panel<const N: usize>(&self, panel: usize, to: &mut [f32]) {
        assert_eq!(to.len(), self.panel_len::<N>());
        // SAFETY: `to` holds the panel.
        unsafe { self.rows::<N>(panel, (0, self.c), to.as_mut_ptr()) }
    }

    /// Rows `from..to` of c of one panel.
    ///
    /// # Safety
    /// `u` is valid for the panel, and nobody else has these rows.
    unsafe fn rows<const N: usize>(&self, panel: usize, rows: (usize, usize), u: *mut f32) {
        assert!(self.values.len() == 9 * self.c * self.k && rows.1 <= self.c);
        let first = panel * PANEL;
        let width = PANEL.min(self.k - first);
        // Distances between the nine taps of neighbouring outputs and of neighbouring inputs.
        let (along_k, along_c) = if self.flip { (9, 9 * self.k) } else { (9 * self.c, 9) };
        let w = self.values[first * along_k..].as_ptr();
        // SAFETY: the weights are as many as just checked; the rest as the caller vouches.
        unsafe {
            some_rows::<Weights<N>>(w, along_k, along_c, self.flip, width, plane(self.c), rows, u);
        }
    }
}

dispatch!(
    unsafe fn some_rows<V: Simd, T: Transform>(
        w: *const f32,
        along_k: usize,
        along_c: usize,
        flip: bool,
        width: usize,
        plane: usize,
        rows: (usize, usize),
        u: *mut f32,
    ) {
        let (from, to) = rows;
        let mut gathered = [[0.0f32; PANEL]; 9 * BLOCK];
        for first in (from..to).step_by(BLOCK) {
            let rows = BLOCK.min(to - first);
            for lane in (0..width).step_by(V::LANES) {
                let lanes = V::LANES.min(width - lane);
                let w = w.add(lane * along_k + first * along_c);
                let to = gathered.as_mut_ptr().cast::<f32>().add(lane);
                if flip {
                    // A row's taps of neighbouring outputs are neighbours.
                    for row in 0..rows {
                        let last = to.add((row * 9 + 8) * PANEL);
                        columns::<V>(w.add(row * along_c), (lanes, along_k), 9, last, -(PANEL as isize));
                    }
                } else {
                    // An output's taps of neighbouring rows are neighbours.
                    columns::<V>(w, (lanes, along_k), 9 * rows, to, PANEL as isize);
                }
            }
            for (row, taps) in gathered.chunks_exact(9).enumerate().take(rows) {
                for lane in (0..width).step_by(V::LANES) {
                    let mut tile = [[V::splat(0.0); 6]; 6];
                    for (tap, lanes) in taps.iter().enumerate() {
                        tile[tap / 3][tap % 3] = V::load(lanes.as_ptr().add(lane));
                    }
                    let tile = T::tile(tile);
                    let to = u.add((first + row) * PANEL + lane);
                    for (i, line) in tile.iter().enumerate().take(T::TO) {
                        for (j, value) in line.iter().enumerate().take(T::TO) {
                            value.store(to.add((i * T::TO + j) * plane));
                        }
                    }
                }
            }
        }
    }
);
