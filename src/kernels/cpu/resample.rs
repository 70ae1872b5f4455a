//! Halving and doubling the resolution with a separable filter, NHWC.

use super::{
    pool::{self, Shares},
    simd::{Simd, dispatch, for_lanes, load, store},
};

/// One change of resolution. The small side's pixel (y, x) sees the large side's pixels `2 y + t - padding`, for taps
/// t of the filter.
#[derive(Clone, Copy, Debug)]
pub struct Resampling<'a> {
    /// Images.
    pub n: usize,
    /// Rows and columns of the large side.
    pub large: [usize; 2],
    /// Rows and columns of the small side.
    pub small: [usize; 2],
    /// Channels.
    pub c: usize,
    /// One-dimensional weights, normalised.
    pub taps: &'a [f32],
    /// Zeros around the large side.
    pub padding: usize,
}

impl Resampling<'_> {
    /// small = gain * filtered large.
    pub fn down(self, large: &[f32], gain: f32, small: &mut [f32]) {
        self.check(large.len(), small.len());
        let [h, w] = self.large;
        self.rows(self.small, small, |image, y, out| {
            // SAFETY: the taps kept lie within the image; `out` is one row of the small side.
            unsafe {
                let image = large.as_ptr().add(image * h * w * self.c);
                for x in 0..self.small[1] {
                    let first = |i: usize| 2 * i as isize - self.padding as isize;
                    let to = out.as_mut_ptr().add(x * self.c);
                    let range = |first: isize, len: usize| {
                        let from = (-first).max(0) as usize;
                        from..self.taps.len().min((len as isize - first).max(0) as usize)
                    };
                    let (rows, columns) = (range(first(y), h), range(first(x), w));
                    let corner = image.wrapping_offset((first(y) * w as isize + first(x)) * self.c as isize);
                    let taps = (self.taps.as_ptr(), rows.start, rows.end, columns.start, columns.end);
                    gather(corner, w, self.c, taps, gain, to);
                }
            }
        });
    }

    /// large = gain * the transposed filter of small.
    pub fn up(self, small: &[f32], gain: f32, large: &mut [f32]) {
        self.check(large.len(), small.len());
        let [h, w] = self.small;
        // Pixel Y of the large side sees the small side's pixels (Y + padding - t) / 2 where that is whole: taps of
        // one parity. These are kept in the order of the pixels.
        let parity: [Vec<f32>; 2] =
            std::array::from_fn(|odd| self.taps.iter().skip(odd).step_by(2).rev().copied().collect());
        self.rows(self.large, large, |image, y, out| {
            // SAFETY: the taps kept lie within the image; `out` is one row of the large side.
            unsafe {
                let image = small.as_ptr().add(image * h * w * self.c);
                let (row_taps, first_y) = self.seen(y, &parity);
                for x in 0..self.large[1] {
                    let (column_taps, first_x) = self.seen(x, &parity);
                    let to = out.as_mut_ptr().add(x * self.c);
                    std::slice::from_raw_parts_mut(to, self.c).fill(0.0);
                    for (i, a) in row_taps.iter().enumerate() {
                        for (j, b) in column_taps.iter().enumerate() {
                            let (y, x) = (first_y + i as isize, first_x + j as isize);
                            if (0..h as isize).contains(&y) && (0..w as isize).contains(&x) {
                                let from = image.add((y as usize * w + x as usize) * self.c);
                                add_scaled(from, gain * a * b, to, self.c);
                            }
                        }
                    }
                }
            }
        });
    }

    /// The taps that pixel `i` of the large side sees, and the first pixel of the small side that it sees.
    fn seen<'t>(&self, i: usize, parity: &'t [Vec<f32>; 2]) -> (&'t [f32], isize) {
        let reach = i + self.padding;
        let taps = &parity[reach % 2];
        (taps, (reach / 2) as isize + 1 - taps.len() as isize)
    }

    fn check(&self, large: usize, small: usize) {
        let len = |[h, w]: [usize; 2]| self.n * h * w * self.c;
        assert!(large == len(self.large) && small == len(self.small));
    }

    /// Runs `f(image, y, row)` for every row of every image of `out`.
    fn rows(&self, [h, w]: [usize; 2], out: &mut [f32], f: impl Fn(usize, usize, &mut [f32]) + Sync) {
        let work = self.n * h * w * self.c * self.taps.len() * 8;
        let shares = Shares::new(out);
        // A few rows per part, so that small images are not split too finely.
        let per_part = (16 * 1024 / (w * self.c).max(1)).clamp(1, h.max(1));
        let parts = h.div_ceil(per_part);
        pool::for_each(self.n * parts, work, |part| {
            let (image, first) = (part / parts, part % parts * per_part);
            for y in first..(first + per_part).min(h) {
                // SAFETY: every row belongs to one part.
                let row = unsafe { shares.range((image * h + y) * w * self.c, w * self.c) };
                f(image, y, row);
            }
        });
    }
}

dispatch!(
    /// to = gain * sum of taps over a window whose first pixel is `corner`;
    /// `taps`: all of them, and where the rows and columns within the image begin and end.
    unsafe fn gather<V: Simd>(
        corner: *const f32,
        w: usize,
        c: usize,
        taps: (*const f32, usize, usize, usize, usize),
        gain: f32,
        to: *mut f32,
    ) {
        let (taps, top, bottom, left, right) = taps;
        for_lanes!(V, c, |i, count| {
            let mut sum = V::splat(0.0);
            for row in top..bottom {
                for column in left..right {
                    let from = corner.wrapping_add((row * w + column) * c + i);
                    let value: V = load(from, count);
                    sum = value.mul_add(V::splat(*taps.add(row) * *taps.add(column) * gain), sum);
                }
            }
            store(sum, to.add(i), count);
        });
    }
);

dispatch!(
    /// to += from * factor.
    unsafe fn add_scaled<V: Simd>(from: *const f32, factor: f32, to: *mut f32, len: usize) {
        for_lanes!(V, len, |i, count| {
            let old = V::load_part(to.add(i), count);
            V::load_part(from.add(i), count).mul_add(V::splat(factor), old).store_part(to.add(i), count);
        });
    }
);
