//! `Warp`: an affine map of images without aliasing, as EDM's augmentation does it.
//!
//! Pad by reflection, upsample twofold, sample bilinearly, downsample twofold; both resamplings with the 12-tap
//! low-pass filter of the sym6 wavelet. Only the part of the upsampled image that is sampled is ever computed.

use std::ops::{Mul, Range};

/// The low-pass filter of sym6.
pub(in crate::data) const SYM6: [f32; 12] = [
    0.015_404_109_327_027_373,
    0.003_490_712_084_217_470_2,
    -0.117_990_111_148_190_57,
    -0.048_311_742_585_633,
    0.491_055_941_926_746_7,
    0.787_641_141_030_194,
    0.337_929_421_727_621_8,
    -0.072_637_522_786_462_52,
    -0.021_060_292_512_300_564,
    0.044_724_901_770_665_78,
    0.001_767_711_864_242_803_6,
    -0.007_800_708_325_034_148,
];

/// Half the filter's length, in pixels of the upsampled image: what is computed beyond the image and cut again.
const RIM: usize = SYM6.len() / 4;

/// An affine map of the plane: the upper two rows of a homogeneous 3x3 matrix.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::data) struct Affine([[f64; 3]; 2]);

impl Affine {
    pub(in crate::data) fn identity() -> Self {
        Self::scale(1.0, 1.0)
    }

    pub(in crate::data) fn scale(x: f64, y: f64) -> Self {
        Self([[x, 0.0, 0.0], [0.0, y, 0.0]])
    }

    pub(in crate::data) fn rotation(angle: f64) -> Self {
        let (sin, cos) = angle.sin_cos();
        Self([[cos, -sin, 0.0], [sin, cos, 0.0]])
    }

    pub(in crate::data) fn translation(x: f64, y: f64) -> Self {
        Self([[1.0, 0.0, x], [0.0, 1.0, y]])
    }

    /// Its six numbers, row by row.
    pub(in crate::data) fn rows(self) -> [f32; 6] {
        let Self([[a, b, c], [d, e, f]]) = self;
        [a, b, c, d, e, f].map(|number| number as f32)
    }

    fn at(&self, x: f64, y: f64) -> [f64; 2] {
        self.0.map(|[a, b, c]| a * x + b * y + c)
    }
}

impl Mul for Affine {
    type Output = Self;

    /// The matrix product: the right-hand map happens first.
    fn mul(self, right: Self) -> Self {
        let Self([top, bottom]) = right;
        let product = |[a, b, c]: [f64; 3]| {
            let mut row = [0, 1, 2].map(|j| a * top[j] + b * bottom[j]);
            row[2] += c;
            row
        };
        Self(self.0.map(product))
    }
}

/// How far images are continued by reflection, in pixels. One margin serves a whole batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::data) struct Margin {
    left: usize,
    top: usize,
    right: usize,
    bottom: usize,
}

impl Margin {
    /// Left, top, right, bottom.
    pub(in crate::data) fn sides(self) -> [usize; 4] {
        [self.left, self.top, self.right, self.bottom]
    }

    /// What the maps of a batch need: the images of the corners, and the filters' reach beyond them.
    pub(in crate::data) fn around(maps: &[Affine], w: usize, h: usize) -> Self {
        let (cx, cy) = ((w as f64 - 1.0) / 2.0, (h as f64 - 1.0) / 2.0);
        let mut reach = [f64::NEG_INFINITY; 4];
        for map in maps {
            for [x, y] in [(-cx, -cy), (cx, -cy), (cx, cy), (-cx, cy)].map(|(x, y)| map.at(x, y)) {
                for (most, value) in reach.iter_mut().zip([-x, -y, x, y]) {
                    *most = most.max(value);
                }
            }
        }
        let beyond = |reach: f64, centre: f64, size: usize| {
            (reach + (2 * RIM) as f64 - centre).clamp(0.0, size as f64 - 1.0).ceil() as usize
        };
        Self {
            left: beyond(reach[0], cx, w),
            top: beyond(reach[1], cy, h),
            right: beyond(reach[2], cx, w),
            bottom: beyond(reach[3], cy, h),
        }
    }
}

/// The warping of one size of image.
#[derive(Clone, Debug)]
pub(in crate::data) struct Warp {
    pub(in crate::data) shape: [usize; 3],
    pub(in crate::data) margin: Margin,
}

impl Warp {
    /// Warps one image `[c, h, w]` in place; `map` takes output pixels to input pixels, from the centre.
    pub(in crate::data) fn apply(&self, image: &mut [f32], map: &Affine) {
        let [_, h, w] = self.shape;
        let padded = self.padded();
        let map = self.upsampled(map);
        let [sh, sw] = self.sampled();
        let points = sample_points(&map, [sh, sw], [2 * padded[0], 2 * padded[1]]);
        let Some((rows, columns)) = bounds(&points, [2 * padded[0], 2 * padded[1]]) else {
            image.fill(0.0);
            return;
        };

        let mut sampled = vec![0.0; sh * sw];
        for plane in image.chunks_mut(h * w) {
            let upsampled = self.upsample(plane, rows.clone(), columns.clone());
            let window = Window { pixels: &upsampled, rows: &rows, columns: &columns };
            for (out, point) in sampled.iter_mut().zip(&points) {
                *out = window.bilinear(point);
            }
            downsample(&sampled, sw, plane, w);
        }
    }

    /// The map in pixels of the upsampled image, whose centres lie a quarter of an original pixel off, from the centres.
    fn upsampled(&self, map: &Affine) -> Affine {
        let Margin { left, top, right, bottom } = self.margin;
        let shift =
            Affine::translation((left as f64 - right as f64) / 2.0, (top as f64 - bottom as f64) / 2.0);
        Affine::translation(-0.5, -0.5)
            * Affine::scale(2.0, 2.0)
            * shift
            * *map
            * Affine::scale(0.5, 0.5)
            * Affine::translation(0.5, 0.5)
    }

    /// The same from pixel numbers of the sampled image to those of the padded and upsampled one.
    pub(in crate::data) fn between_pixels(&self, map: &Affine) -> Affine {
        let ([h, w], [sh, sw]) = (self.padded(), self.sampled());
        Affine::translation(w as f64 - 0.5, h as f64 - 0.5)
            * self.upsampled(map)
            * Affine::translation(0.5 - sw as f64 / 2.0, 0.5 - sh as f64 / 2.0)
    }

    /// Height and width of the image continued by reflection.
    fn padded(&self) -> [usize; 2] {
        let ([_, h, w], Margin { left, top, right, bottom }) = (self.shape, self.margin);
        [h + top + bottom, w + left + right]
    }

    /// Height and width of what is sampled: the upsampled output with its rim.
    fn sampled(&self) -> [usize; 2] {
        let [_, h, w] = self.shape;
        [h, w].map(|size| 2 * (size + 2 * RIM))
    }

    /// The given rows and columns of the padded image, upsampled twofold.
    fn upsample(&self, plane: &[f32], rows: Range<usize>, columns: Range<usize>) -> Vec<f32> {
        let [_, h, w] = self.shape;
        let Margin { left, top, right, bottom } = self.margin;
        let (padded_h, padded_w) = (h + top + bottom, w + left + right);
        let (_, first) = taps(rows.start);
        let (_, last) = taps(rows.end - 1);
        let sources = first.max(0) as usize..((last + 6) as usize).min(padded_h);

        // Along x, for the source rows that will be needed; outside of the padded image there are zeros.
        let width = columns.len();
        let mut padded_row = vec![0.0; padded_w + 12];
        let mut stretched = vec![0.0; sources.len() * width];
        for (out, y) in stretched.chunks_mut(width).zip(sources.clone()) {
            let row = &plane[reflect(y, top, h) * w..][..w];
            for (x, value) in padded_row[6..6 + padded_w].iter_mut().enumerate() {
                *value = row[reflect(x, left, w)];
            }
            for (value, x) in out.iter_mut().zip(columns.clone()) {
                let (filter, start) = taps(x);
                let source = &padded_row[(start + 6) as usize..][..6];
                *value = filter.iter().zip(source).map(|(f, s)| f * s).sum();
            }
        }

        // Along y, whole rows at a time.
        let mut upsampled = vec![0.0; rows.len() * width];
        for (out, y) in upsampled.chunks_mut(width).zip(rows) {
            let (filter, start) = taps(y);
            for (f, source) in filter.iter().zip(start..) {
                if source < sources.start as isize || source >= sources.end as isize {
                    continue;
                }
                let row = &stretched[(source as usize - sources.start) * width..][..width];
                out.iter_mut().zip(row).for_each(|(o, s)| *o += f * s);
            }
        }
        upsampled
    }
}

/// The six taps that make upsampled pixel `j`, and the source pixel of the first of them. Every other pixel of
/// the sequence that the filter runs over is an inserted zero, so half of the taps never matter.
fn taps(j: usize) -> ([f32; 6], isize) {
    let odd = j % 2;
    (std::array::from_fn(|m| SYM6[11 - 2 * m - odd]), (j / 2) as isize - 3 + odd as isize)
}

/// The pixel of an image of `size` that lies `margin` before position `i` of the image continued by reflection.
fn reflect(i: usize, margin: usize, size: usize) -> usize {
    let i = i.abs_diff(margin);
    if i < size { i } else { 2 * (size - 1) - i }
}

/// A point to sample: the pixel above and to the left of it, and the way to the next one.
#[derive(Clone, Copy)]
struct Point {
    x: isize,
    y: isize,
    right: f32,
    down: f32,
}

/// Where the pixels of the output lie in the upsampled image; both centred on each other.
fn sample_points(map: &Affine, [sh, sw]: [usize; 2], [h, w]: [usize; 2]) -> Vec<Point> {
    let point = |row: usize, column: usize| {
        let from_centre = map.at(column as f64 + 0.5 - sw as f64 / 2.0, row as f64 + 0.5 - sh as f64 / 2.0);
        let x = from_centre[0] + (w as f64 - 1.0) / 2.0;
        let y = from_centre[1] + (h as f64 - 1.0) / 2.0;
        let (left, above) = (x.floor(), y.floor());
        Point { x: left as isize, y: above as isize, right: (x - left) as f32, down: (y - above) as f32 }
    };
    (0..sh).flat_map(|row| (0..sw).map(move |column| (row, column))).map(|(r, c)| point(r, c)).collect()
}

/// The rows and columns of an image that bilinear sampling touches; `None` if it misses the image.
fn bounds(points: &[Point], [h, w]: [usize; 2]) -> Option<(Range<usize>, Range<usize>)> {
    let span = |of: fn(&Point) -> isize, size: usize| {
        let low = points.iter().map(of).min().unwrap_or(0).max(0);
        let high = (points.iter().map(of).max().unwrap_or(0) + 2).min(size as isize);
        (low < high).then_some(low as usize..high as usize)
    };
    Some((span(|p| p.y, h)?, span(|p| p.x, w)?))
}

/// A part of the upsampled image.
struct Window<'a> {
    pixels: &'a [f32],
    rows: &'a Range<usize>,
    columns: &'a Range<usize>,
}

impl Window<'_> {
    /// The window covers all of the image that is sampled: outside of it is outside of the image, and zero.
    fn pixel(&self, x: isize, y: isize) -> f32 {
        let inside = |range: &Range<usize>, i: isize| i >= range.start as isize && i < range.end as isize;
        if !inside(self.columns, x) || !inside(self.rows, y) {
            return 0.0;
        }
        self.pixels[(y as usize - self.rows.start) * self.columns.len() + x as usize - self.columns.start]
    }

    fn bilinear(&self, &Point { x, y, right, down }: &Point) -> f32 {
        (self.pixel(x, y) * (1.0 - right) + self.pixel(x + 1, y) * right) * (1.0 - down)
            + (self.pixel(x, y + 1) * (1.0 - right) + self.pixel(x + 1, y + 1) * right) * down
    }
}

/// Downsamples twofold, without the rim.
fn downsample(sampled: &[f32], sw: usize, plane: &mut [f32], w: usize) {
    let rows = sampled.len() / sw;
    let mut narrow = vec![0.0; rows * w];
    for (out, row) in narrow.chunks_mut(w).zip(sampled.chunks(sw)) {
        for (x, value) in out.iter_mut().enumerate() {
            *value = SYM6.iter().zip(&row[2 * x + 1..]).map(|(f, s)| f * s).sum();
        }
    }
    for (y, out) in plane.chunks_mut(w).enumerate() {
        out.fill(0.0);
        for (f, row) in SYM6.iter().zip(narrow[(2 * y + 1) * w..].chunks(w)) {
            out.iter_mut().zip(row).for_each(|(o, s)| *o += f * s);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reflection_does_not_repeat_the_border() {
        let seen: Vec<usize> = (0..9).map(|i| reflect(i, 3, 4)).collect();
        assert_eq!(seen, [3, 2, 1, 0, 1, 2, 3, 2, 1]);
    }

    #[test]
    fn maps_compose_like_matrices() {
        let map = Affine::translation(1.0, 2.0) * Affine::rotation(std::f64::consts::FRAC_PI_2);
        let [x, y] = map.at(3.0, 0.0);
        assert!((x - 1.0).abs() < 1e-12 && (y - 5.0).abs() < 1e-12);
    }

    #[test]
    fn the_identity_needs_the_reach_of_the_filters() {
        let margin = Margin::around(&[Affine::identity()], 16, 8);
        assert_eq!(margin, Margin { left: 6, top: 6, right: 6, bottom: 6 });
        assert_eq!(Margin::around(&[Affine::scale(9.0, 9.0)], 16, 8).top, 7);
    }

    #[test]
    fn a_map_that_misses_the_image_gives_black() {
        let map = Affine::translation(1000.0, 0.0);
        let warp = Warp { shape: [1, 8, 8], margin: Margin::around(&[map], 8, 8) };
        let mut image = vec![1.0; 64];
        warp.apply(&mut image, &map);
        assert_eq!(image, vec![0.0; 64]);
    }
}
