//! Warping, against its steps one after another in f64.

use burn_backend::DType;
use sida_gpu_kernels::warp::warp;

use super::support::{close, device, host, tensor, values};

const TAPS: usize = 12;

/// An image with zeros around it.
struct Plane {
    pixels: Vec<f64>,
    h: usize,
    w: usize,
}

impl Plane {
    fn of(h: usize, w: usize, pixel: impl Fn(usize, usize) -> f64) -> Self {
        Self { pixels: (0..h * w).map(|i| pixel(i / w, i % w)).collect(), h, w }
    }

    fn at(&self, y: f64, x: f64) -> f64 {
        let inside = y >= 0.0 && x >= 0.0 && y < self.h as f64 && x < self.w as f64;
        if inside { self.pixels[y as usize * self.w + x as usize] } else { 0.0 }
    }
}

fn warped(image: &Plane, pose: &[f32; 8], margin: [usize; 4], filter: &[f32]) -> Plane {
    let [left, top, right, bottom] = margin;
    let ([h, w], filter) = ([image.h, image.w], |i: i64| {
        usize::try_from(i).ok().and_then(|i| filter.get(i)).map_or(0.0, |f| f64::from(*f))
    });
    let flipped = Plane::of(h, w, |y, x| {
        let y = if pose[7] == 1.0 { h - 1 - y } else { y };
        let x = if pose[6] == 1.0 { w - 1 - x } else { x };
        image.at(y as f64, x as f64)
    });
    let reflected = |i: usize, margin: usize, size: usize| {
        let i = i.abs_diff(margin);
        (if i < size { i } else { 2 * (size - 1) - i }) as f64
    };
    let continued = Plane::of(h + top + bottom, w + left + right, |y, x| {
        flipped.at(reflected(y, top, h), reflected(x, left, w))
    });
    let tap = |pixel: usize, source: usize| filter(TAPS as i64 / 2 - 1 + pixel as i64 - 2 * source as i64);
    let upsampled = Plane::of(2 * continued.h, 2 * continued.w, |y, x| {
        let row =
            |s: usize| (0..continued.w).map(|t| tap(x, t) * continued.at(s as f64, t as f64)).sum::<f64>();
        (0..continued.h).filter(|s| tap(y, *s) != 0.0).map(|s| tap(y, s) * row(s)).sum()
    });
    let sampled = Plane::of(2 * h + TAPS, 2 * w + TAPS, |row, column| {
        let [a, b, c, d, e, f, ..] = pose.map(f64::from);
        let x = a * column as f64 + b * row as f64 + c;
        let y = d * column as f64 + e * row as f64 + f;
        let (left, above) = (x.floor(), y.floor());
        let (right, down) = (x - left, y - above);
        let line = |y| upsampled.at(y, left) * (1.0 - right) + upsampled.at(y, left + 1.0) * right;
        line(above) * (1.0 - down) + line(above + 1.0) * down
    });
    Plane::of(h, w, |y, x| {
        let line = |i: usize| {
            (0..TAPS)
                .map(|j| filter(j as i64) * sampled.at((2 * y + 1 + i) as f64, (2 * x + 1 + j) as f64))
                .sum::<f64>()
        };
        (0..TAPS).map(|i| filter(i as i64) * line(i)).sum()
    })
}

#[test]
fn warping() {
    let Some(device) = device() else { return };
    let (shape @ [n, c, h, w], margin) = ([5, 2, 7, 10], [5, 6, 9, 4]);
    let images = values(1, n * c * h * w);
    let filter = values(2, TAPS);
    let poses: [[f32; 8]; 5] = [
        // Shrunken and turned; moved; flipped; mostly and wholly beyond the image.
        [1.1, -0.4, 6.0, 0.5, 0.9, -4.0, 0.0, 0.0],
        [1.0, 0.0, 7.25, 0.0, 1.0, 5.75, 1.0, 0.0],
        [-0.8, 0.3, 30.0, 0.2, 1.2, 3.0, 1.0, 1.0],
        [1.0, 0.0, -25.3, 0.0, 1.0, 25.1, 0.0, 1.0],
        [1.0, 0.0, 1e9, 0.0, 1.0, -1e9, 0.0, 0.0],
    ];
    let mut truth = Vec::new();
    for (plane, pixels) in images.chunks(h * w).enumerate() {
        let plane_of = Plane::of(h, w, |y, x| f64::from(pixels[y * w + x]));
        let out = warped(&plane_of, &poses[plane / c], margin, &filter);
        truth.extend(out.pixels.iter().map(|v| *v as f32));
    }
    assert!(truth[..n * c * h * w / 5 * 4].iter().filter(|v| **v != 0.0).count() > n * c * h * w / 2);
    let on = |values: &[f32], shape: &[usize]| tensor(values, shape, DType::F32, &device);
    let numbers: Vec<f32> =
        poses.iter().flat_map(|pose| pose.iter().copied().chain(margin.map(|side| side as f32))).collect();
    let found = host(warp(on(&images, &shape), on(&numbers, &[n, 12]), &filter));
    close("warping", &found, &truth, 1e-5);
}
