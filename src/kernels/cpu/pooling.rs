//! Pools of three by three pixels.

use super::{
    pool::{self, Shares},
    simd::{Simd, dispatch, for_lanes, load, store},
};

/// Pixels of a window.
const AREA: usize = 9;

/// One pool and its extents.
#[derive(Clone, Copy, Debug)]
pub struct Pooling {
    /// Images, and their rows, columns and channels.
    pub x: [usize; 4],
    /// Rows and columns of the output.
    pub out: [usize; 2],
    /// Distance between windows.
    pub stride: usize,
    /// Pixels that the first window lies outside of the image, above and to the left.
    pub padding: usize,
}

/// The largest value of every window, as far as it lies within the image.
pub fn max(e: Pooling, x: &[f32], y: &mut [f32]) {
    // SAFETY: as `for_windows` promises.
    for_windows(e, x, y, |taps, c, to| unsafe { max_raw(taps.as_ptr(), taps.len(), c, to) });
}

/// The average of every window, over the pixels that lie within the image.
pub fn average(e: Pooling, x: &[f32], y: &mut [f32]) {
    // SAFETY: as `for_windows` promises.
    for_windows(e, x, y, |taps, c, to| unsafe { average_raw(taps.as_ptr(), taps.len(), c, to) });
}

/// Calls `f(pixels of the window, channels, output)` for every window. There is at least one pixel; all of them
/// and the output are valid for that many channels, and no output is another one's.
fn for_windows(e: Pooling, x: &[f32], y: &mut [f32], f: impl Fn(&[*const f32], usize, *mut f32) + Sync) {
    let [n, h, w, c] = e.x;
    let [rows, columns] = e.out;
    assert_eq!(x.len(), n * h * w * c);
    assert_eq!(y.len(), n * rows * columns * c);
    let reaches = |out: usize, len: usize| out == 0 || (out - 1) * e.stride < len + e.padding;
    assert!(e.padding < 3 && reaches(rows, h) && reaches(columns, w), "every window meets the image");
    let inside = |i: usize, len: usize| {
        let start = i * e.stride;
        start.saturating_sub(e.padding)..(start + 3 - e.padding).min(len)
    };
    let shares = Shares::new(y);
    pool::for_each(n * rows, (AREA * x.len() + y.len()) * size_of::<f32>(), |row| {
        let image = row / rows * h * w * c;
        let mut taps = [std::ptr::null(); AREA];
        for column in 0..columns {
            let mut count = 0;
            for i in inside(row % rows, h) {
                for j in inside(column, w) {
                    taps[count] = x[image + (i * w + j) * c..][..c].as_ptr();
                    count += 1;
                }
            }
            // One part, one row of the output, whose length was checked above.
            f(&taps[..count], c, shares.at((row * columns + column) * c));
        }
    });
}

dispatch!(
    unsafe fn max_raw<V: Simd>(taps: *const *const f32, count: usize, c: usize, to: *mut f32) {
        for_lanes!(V, c, |i, lanes| {
            let mut largest = load::<V>((*taps).add(i), lanes);
            for tap in 1..count {
                largest = largest.max(load::<V>((*taps.add(tap)).add(i), lanes));
            }
            store(largest, to.add(i), lanes);
        });
    }
);

dispatch!(
    unsafe fn average_raw<V: Simd>(taps: *const *const f32, count: usize, c: usize, to: *mut f32) {
        let share = V::splat(1.0 / count as f32);
        for_lanes!(V, c, |i, lanes| {
            let mut sum = load::<V>((*taps).add(i), lanes);
            for tap in 1..count {
                sum = sum.add(load::<V>((*taps.add(tap)).add(i), lanes));
            }
            store(sum.mul(share), to.add(i), lanes);
        });
    }
);
