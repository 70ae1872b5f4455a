//! Multi-head self-attention, one head of one image at a time, in blocks of queries: the weights of all pairs of
//! positions are never held at once, and are computed again for the backward pass.

use super::{
    gemm::{Product, multiply, multiply_transposed_a, pack_transposed, packed_len},
    memory::with_scratch,
    pool::{self, Shares},
    simd::{Simd, dispatch, exp, for_lanes},
};

/// Queries that are handled at a time.
const QUERIES: usize = 64;

/// One attention and its extents.
#[derive(Clone, Copy, Debug)]
pub struct SelfAttention {
    /// Images.
    pub n: usize,
    /// Positions of an image.
    pub hw: usize,
    /// Heads.
    pub heads: usize,
    /// Channels of a head.
    pub d: usize,
    /// Where given, queries, keys and values are divided by this plus their root mean square.
    pub normalize_eps: Option<f32>,
}

impl SelfAttention {
    fn channels(&self) -> usize {
        self.heads * self.d
    }

    fn work(&self) -> usize {
        4 * self.n * self.hw * self.hw * self.channels()
    }
}

/// Queries, keys and values of one head of one image, `[3][hw][d]`, from its interleaved channels; and what each was
/// divided by less eps, `[3][hw]`.
fn take_head(e: &SelfAttention, qkv: &[f32], head: usize, parts: &mut [f32], rms: &mut [f32]) {
    let (d, len) = (e.d, e.hw * e.d);
    for p in 0..e.hw {
        let row = &qkv[(p * e.heads + head) * 3 * d..][..3 * d];
        for (j, part) in parts.chunks_exact_mut(len).enumerate() {
            let part = &mut part[p * d..][..d];
            for (to, from) in part.iter_mut().zip(row.chunks_exact(3)) {
                *to = from[j];
            }
            if let Some(eps) = e.normalize_eps {
                let r = (part.iter().map(|x| x * x).sum::<f32>() / d as f32).sqrt();
                rms[j * e.hw + p] = r;
                let factor = 1.0 / (r + eps);
                for x in part {
                    *x *= factor;
                }
            }
        }
    }
}

/// The reverse for gradients; `parts` holds what `take_head` gave.
fn put_head(
    e: &SelfAttention,
    parts: &[f32],
    rms: &[f32],
    gradients: &mut [f32],
    head: usize,
    to: &Shares,
    image: usize,
) {
    let (d, len) = (e.d, e.hw * e.d);
    for p in 0..e.hw {
        let start = ((image * e.hw + p) * e.heads + head) * 3 * d;
        // SAFETY: each head of each image is one part's own.
        let row = unsafe { to.range(start, 3 * d) };
        for (j, gradient) in gradients.chunks_exact_mut(len).enumerate() {
            let gradient = &mut gradient[p * d..][..d];
            if let Some(eps) = e.normalize_eps {
                let part = &parts[j * len + p * d..][..d];
                let r = rms[j * e.hw + p];
                let dot: f32 = gradient.iter().zip(part).map(|(a, b)| a * b).sum();
                // Where all is zero, so is the direction in which the length would change.
                let along = if r > 0.0 { dot / (d as f32 * r) } else { 0.0 };
                let factor = 1.0 / (r + eps);
                for (g, x) in gradient.iter_mut().zip(part) {
                    *g = *g * factor - x * along;
                }
            }
            for (to, from) in row.chunks_exact_mut(3).zip(gradient) {
                to[j] = *from;
            }
        }
    }
}

/// y `[n, hw, heads * d]` from qkv `[n, hw, 3 * heads * d]`; keeps the logarithm of each softmax's denominator in
/// `log_sums` `[n, heads, hw]`.
pub fn forward(e: SelfAttention, qkv: &[f32], y: &mut [f32], log_sums: &mut [f32]) {
    let SelfAttention { n, hw, heads, d, .. } = e;
    let c = e.channels();
    assert!(qkv.len() == n * hw * 3 * c && y.len() == n * hw * c && log_sums.len() == n * heads * hw);
    let (y, log_sums) = (Shares::new(y), Shares::new(log_sums));
    pool::for_each(n * heads, e.work(), |part| {
        let (image, head) = (part / heads, part % heads);
        let qkv = &qkv[image * hw * 3 * c..][..hw * 3 * c];
        // SAFETY: one part, one head of one image.
        let log_sums = unsafe { log_sums.range(part * hw, hw) };
        with_scratch(3 * hw * d + 3 * hw + packed_len(d, hw) + QUERIES * hw, |scratch| {
            let (parts, rest) = scratch.split_at_mut(3 * hw * d);
            let (rms, rest) = rest.split_at_mut(3 * hw);
            let (keys, weights) = rest.split_at_mut(packed_len(d, hw));
            take_head(&e, qkv, head, parts, rms);
            pack_transposed(&parts[hw * d..2 * hw * d], d, hw, keys);
            for first in (0..hw).step_by(QUERIES) {
                let rows = QUERIES.min(hw - first);
                let scale = (d as f32).sqrt().recip();
                // SAFETY: within the lengths checked above; each head writes its own channels.
                unsafe {
                    let weights = weights.as_mut_ptr();
                    let queries = (parts.as_ptr().add(first * d), d);
                    multiply(Product::packed([rows, hw, d], queries, keys.as_ptr(), (weights, hw)));
                    softmax(rows, hw, weights, scale, log_sums.as_mut_ptr().add(first));
                    let to = y.at((image * hw + first) * c + head * d);
                    let values = (parts.as_ptr().add(2 * hw * d), d);
                    multiply(Product::plain([rows, d, hw], (weights, hw), values, (to, c)));
                }
            }
        });
    });
}

dispatch!(
    /// Rows become `softmax(scale * row)`; `log_sums` gets `ln(sum exp(scale * row))`.
    unsafe fn softmax<V: Simd>(rows: usize, columns: usize, x: *mut f32, scale: f32, log_sums: *mut f32) {
        for r in 0..rows {
            let row = x.add(r * columns);
            let mut maxima = V::splat(f32::NEG_INFINITY);
            let whole = columns / V::LANES * V::LANES;
            for_lanes!(V, whole, |i, _count| {
                maxima = maxima.max(V::load(row.add(i)));
            });
            let largest = (whole..columns).fold(maxima.largest(), |largest, i| largest.max(*row.add(i)));
            let shift = V::splat(scale * largest);
            let mut sums = V::splat(0.0);
            for_lanes!(V, columns, |i, count| {
                let z = V::load_part(row.add(i), count).mul(V::splat(scale)).sub(shift);
                exp(z).store_part(row.add(i), count);
                // Loaded again: lanes beyond the row count as zero.
                sums = sums.add(V::load_part(row.add(i), count));
            });
            let sum = sums.sum();
            let factor = V::splat(1.0 / sum);
            for_lanes!(V, columns, |i, count| {
                V::load_part(row.add(i), count).mul(factor).store_part(row.add(i), count);
            });
            *log_sums.add(r) = scale * largest + sum.ln();
        }
    }
);

/// dqkv from qkv, what `forward` kept, and the output gradient `[n, hw, heads * d]`.
pub fn backward(e: SelfAttention, qkv: &[f32], log_sums: &[f32], gradient: &[f32], dqkv: &mut [f32]) {
    let SelfAttention { n, hw, heads, d, .. } = e;
    let c = e.channels();
    assert!(qkv.len() == n * hw * 3 * c && gradient.len() == n * hw * c && dqkv.len() == qkv.len());
    assert_eq!(log_sums.len(), n * heads * hw);
    let dqkv = Shares::new(dqkv);
    pool::for_each(n * heads, 2 * e.work(), |part| {
        let (image, head) = (part / heads, part % heads);
        let qkv = &qkv[image * hw * 3 * c..][..hw * 3 * c];
        let (len, packed) = (hw * d, packed_len(d, hw));
        with_scratch(6 * len + 3 * hw + 2 * packed + 2 * QUERIES * hw, |scratch| {
            let (parts, rest) = scratch.split_at_mut(3 * len);
            let (gradients, rest) = rest.split_at_mut(3 * len);
            let (rms, rest) = rest.split_at_mut(3 * hw);
            let (keys, rest) = rest.split_at_mut(packed);
            let (values, blocks) = rest.split_at_mut(packed);
            take_head(&e, qkv, head, parts, rms);
            pack_transposed(&parts[len..2 * len], d, hw, keys);
            pack_transposed(&parts[2 * len..], d, hw, values);
            for first in (0..hw).step_by(QUERIES) {
                let block = Block {
                    e,
                    first,
                    rows: QUERIES.min(hw - first),
                    parts: parts.as_ptr(),
                    keys: keys.as_ptr(),
                    values: values.as_ptr(),
                    log_sums: log_sums[part * hw + first..].as_ptr(),
                    gradient: gradient[(image * hw + first) * c + head * d..].as_ptr(),
                };
                let (weights, slopes) = blocks.split_at_mut(QUERIES * hw);
                // SAFETY: within the lengths checked above.
                unsafe { block.backward(weights.as_mut_ptr(), slopes.as_mut_ptr(), gradients.as_mut_ptr()) };
            }
            put_head(&e, parts, rms, gradients, head, &dqkv, image);
        });
    });
}

/// A block of queries of one head of one image.
struct Block {
    e: SelfAttention,
    first: usize,
    rows: usize,
    /// Queries, keys, values. `[3][hw][d]`
    parts: *const f32,
    /// Keys, packed as `[d, hw]`.
    keys: *const f32,
    /// Values, packed as `[d, hw]`.
    values: *const f32,
    log_sums: *const f32,
    /// The output gradient of the block's first query; rows `heads * d` apart.
    gradient: *const f32,
}

impl Block {
    /// Adds to the gradients `[3][hw][d]` of keys and values, writes those of the queries. `weights` and `slopes`:
    /// `[rows, hw]` each.
    unsafe fn backward(&self, weights: *mut f32, slopes: *mut f32, gradients: *mut f32) {
        let SelfAttention { hw, d, .. } = self.e;
        let (c, len, rows) = (self.e.channels(), hw * d, self.rows);
        let scale = (d as f32).sqrt().recip();
        // SAFETY: as the caller vouches, who owns all these arrays.
        unsafe {
            let queries = self.parts.add(self.first * d);
            multiply(Product::packed([rows, hw, d], (queries, d), self.keys, (weights, hw)));
            multiply(Product::packed([rows, hw, d], (self.gradient, c), self.values, (slopes, hw)));
            softmax_gradient(rows, hw, weights, slopes, scale, self.log_sums);
            let to_query = (gradients.add(self.first * d), d);
            multiply(Product::plain([rows, d, hw], (slopes, hw), (self.parts.add(len), d), to_query));
            for (a, b, to) in [
                (slopes, (queries, d), gradients.add(len)),
                (weights, (self.gradient, c), gradients.add(2 * len)),
            ] {
                let product = Product::plain([hw, d, rows], (a, hw), b, (to, d));
                multiply_transposed_a(if self.first == 0 { product } else { product.accumulate() });
            }
        }
    }
}

dispatch!(
    /// Scores in `weights` become the softmax's weights; gradients to the weights in `slopes` become those to the
    /// scores.
    unsafe fn softmax_gradient<V: Simd>(
        rows: usize,
        columns: usize,
        weights: *mut f32,
        slopes: *mut f32,
        scale: f32,
        log_sums: *const f32,
    ) {
        for r in 0..rows {
            let (weights, slopes) = (weights.add(r * columns), slopes.add(r * columns));
            let shift = V::splat(*log_sums.add(r));
            let mut sums = V::splat(0.0);
            for_lanes!(V, columns, |i, count| {
                let w = exp(V::load_part(weights.add(i), count).mul(V::splat(scale)).sub(shift));
                w.store_part(weights.add(i), count);
                sums = w.mul_add(V::load_part(slopes.add(i), count), sums);
            });
            let mean = V::splat(sums.sum());
            for_lanes!(V, columns, |i, count| {
                let w = V::load_part(weights.add(i), count).mul(V::splat(scale));
                w.mul(V::load_part(slopes.add(i), count).sub(mean)).store_part(slopes.add(i), count);
            });
        }
    }
);
