//! Convolutions of any kernel, stride and padding: windows laid out as rows of a matrix.

use super::{
    dense::add_rows,
    gemm::{Product, multiply, multiply_transposed_a, pack, pack_transposed, packed_len},
    memory::with_scratch,
    pool::{self, Shares},
};

/// Outputs whose windows are laid out at a time.
const PIXELS: usize = 64;

/// One convolution and its extents.
#[derive(Clone, Copy, Debug)]
pub struct AnyConvolution {
    /// Images, and their rows, columns and channels.
    pub x: [usize; 4],
    /// Rows and columns of the output.
    pub out: [usize; 2],
    /// Output channels.
    pub k: usize,
    /// Rows and columns of the kernel.
    pub kernel: [usize; 2],
    /// Distance between windows.
    pub stride: usize,
    /// Zeros above and below, left and right.
    pub padding: [usize; 2],
}

impl AnyConvolution {
    /// Floats of one window, in the order (row, column, channel).
    fn window(&self) -> usize {
        self.kernel[0] * self.kernel[1] * self.x[3]
    }

    /// Outputs of one image.
    fn pixels(&self) -> usize {
        self.out[0] * self.out[1]
    }

    fn work(&self) -> usize {
        2 * self.x[0] * self.pixels() * self.window() * self.k
    }

    fn check(&self, x: usize, weights: usize, y: usize) {
        assert_eq!(x, self.x.iter().product::<usize>());
        assert_eq!(weights, self.window() * self.k);
        assert_eq!(y, self.x[0] * self.pixels() * self.k);
    }

    /// Calls `f(pixel of the window, place in the image)` for every pixel of output `pixel`'s window that lies
    /// within the image, both counted in pixels.
    fn for_window(&self, pixel: usize, mut f: impl FnMut(usize, Option<usize>)) {
        let [_, h, w, _] = self.x;
        let origin = |i: usize, axis: usize| (i * self.stride) as isize - self.padding[axis] as isize;
        let (y, x) = (origin(pixel / self.out[1], 0), origin(pixel % self.out[1], 1));
        for i in 0..self.kernel[0] {
            for j in 0..self.kernel[1] {
                let (y, x) = (y + i as isize, x + j as isize);
                let inside = (0..h as isize).contains(&y) && (0..w as isize).contains(&x);
                f(i * self.kernel[1] + j, inside.then(|| y as usize * w + x as usize));
            }
        }
    }

    /// Lays out the windows of the outputs `first..first + count` of one image.
    fn lay_out(&self, image: &[f32], first: usize, count: usize, windows: &mut [f32]) {
        let c = self.x[3];
        for (i, window) in windows.chunks_exact_mut(self.window()).take(count).enumerate() {
            self.for_window(first + i, |at, from| {
                let to = &mut window[at * c..][..c];
                match from {
                    Some(from) => to.copy_from_slice(&image[from * c..][..c]),
                    None => to.fill(0.0),
                }
            });
        }
    }

    /// Weights `[k, c, rows, columns]` as `[k, window]`.
    fn weights_by_window(&self, weights: &[f32], out: &mut [f32]) {
        let (c, area) = (self.x[3], self.kernel[0] * self.kernel[1]);
        let shares = Shares::new(out);
        pool::for_each(self.k, weights.len() * 8, |row| {
            let from = &weights[row * c * area..][..c * area];
            // SAFETY: one row, one part.
            let to = unsafe { shares.range(row * c * area, c * area) };
            for (tap, to) in to.chunks_exact_mut(c).enumerate() {
                for (to, from) in to.iter_mut().zip(from.chunks_exact(area)) {
                    *to = from[tap];
                }
            }
        });
    }
}

/// y `[n, out, k]` = x * weights + bias.
pub fn forward(e: AnyConvolution, x: &[f32], weights: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
    e.check(x.len(), weights.len(), y.len());
    assert!(bias.is_none_or(|bias| bias.len() == e.k));
    let (window, image_len) = (e.window(), x.len() / e.x[0].max(1));
    let parts = e.pixels().div_ceil(PIXELS);
    let shares = Shares::new(y);
    with_scratch(weights.len() + packed_len(window, e.k), |scratch| {
        let (by_window, packed) = scratch.split_at_mut(weights.len());
        e.weights_by_window(weights, by_window);
        pack_transposed(by_window, window, e.k, packed);
        let packed = &*packed;
        pool::for_each(e.x[0] * parts, e.work(), |part| {
            let (image, first) = (part / parts, part % parts * PIXELS);
            let count = PIXELS.min(e.pixels() - first);
            with_scratch(PIXELS * window, |windows| {
                e.lay_out(&x[image * image_len..][..image_len], first, count, windows);
                // SAFETY: parts write disjoint pixels; all lengths were checked above.
                unsafe {
                    let to = shares.at((image * e.pixels() + first) * e.k);
                    let from = (windows.as_ptr(), window);
                    let product = Product::packed([count, e.k, window], from, packed.as_ptr(), (to, e.k));
                    multiply(product.starting_from(bias));
                }
            });
        });
    });
}

/// dx from the output gradient `[n, out, k]`.
pub fn input_gradient(e: AnyConvolution, gradient: &[f32], weights: &[f32], dx: &mut [f32]) {
    e.check(dx.len(), weights.len(), gradient.len());
    let (window, c, image_len) = (e.window(), e.x[3], dx.len() / e.x[0].max(1));
    let shares = Shares::new(dx);
    with_scratch(weights.len() + packed_len(e.k, window), |scratch| {
        let (by_window, packed) = scratch.split_at_mut(weights.len());
        e.weights_by_window(weights, by_window);
        pack(by_window, e.k, window, packed);
        let packed = &*packed;
        // Windows overlap, so an image is one thread's.
        pool::for_each(e.x[0], e.work(), |image| {
            // SAFETY: one part, one image.
            let dx = unsafe { shares.range(image * image_len, image_len) };
            dx.fill(0.0);
            with_scratch(PIXELS * window, |windows| {
                for first in (0..e.pixels()).step_by(PIXELS) {
                    let count = PIXELS.min(e.pixels() - first);
                    // SAFETY: within the lengths checked above.
                    unsafe {
                        let from = gradient.as_ptr().add((image * e.pixels() + first) * e.k);
                        let to = (windows.as_mut_ptr(), window);
                        multiply(Product::packed([count, window, e.k], (from, e.k), packed.as_ptr(), to));
                    }
                    for (i, window) in windows.chunks_exact(window).take(count).enumerate() {
                        e.for_window(first + i, |at, to| {
                            let Some(to) = to else { return };
                            let from = &window[at * c..][..c];
                            dx[to * c..][..c].iter_mut().zip(from).for_each(|(a, b)| *a += b);
                        });
                    }
                }
            });
        });
    });
}

/// dw `[k, c, rows, columns]` from x and the output gradient.
pub fn weight_gradient(e: AnyConvolution, x: &[f32], gradient: &[f32], dw: &mut [f32]) {
    e.check(x.len(), dw.len(), gradient.len());
    let (window, image_len, len) = (e.window(), x.len() / e.x[0].max(1), dw.len());
    let blocks_per_image = e.pixels().div_ceil(PIXELS);
    let blocks = e.x[0] * blocks_per_image;
    // A split that depends on the extents alone: the same result for any number of threads.
    let slices = blocks.min(16).min((8 << 20) / len.max(1)).max(1);
    let slice = blocks.div_ceil(slices);
    with_scratch((slices + 1) * len, |scratch| {
        let (total, sums) = scratch.split_at_mut(len);
        let shares = Shares::new(sums);
        pool::for_each(slices, e.work(), |part| {
            // SAFETY: one slice, one part.
            let sum = unsafe { shares.range(part * len, len) };
            sum.fill(0.0);
            with_scratch(PIXELS * window, |windows| {
                for block in part * slice..((part + 1) * slice).min(blocks) {
                    let (image, first) = (block / blocks_per_image, block % blocks_per_image * PIXELS);
                    let count = PIXELS.min(e.pixels() - first);
                    e.lay_out(&x[image * image_len..][..image_len], first, count, windows);
                    // SAFETY: within the lengths checked above.
                    unsafe {
                        let from = gradient.as_ptr().add((image * e.pixels() + first) * e.k);
                        let windows = (windows.as_ptr(), window);
                        let to = (sum.as_mut_ptr(), window);
                        multiply_transposed_a(
                            Product::plain([e.k, window, count], (from, e.k), windows, to).accumulate(),
                        );
                    }
                }
            });
        });
        add_rows(sums, len, total);
        let (c, area) = (e.x[3], e.kernel[0] * e.kernel[1]);
        for (from, to) in total.chunks_exact(window).zip(dw.chunks_exact_mut(window)) {
            for (i, value) in from.iter().enumerate() {
                to[i % c * area + i / c] = *value;
            }
        }
    });
}
