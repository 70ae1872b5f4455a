//! The one-dimensional transforms, on vectors of channels, and their application to both dimensions of a tile.
//!
//! `N` is the tile's side: 4 with the points 0, 1, -1, infinity; 6 with 0, +-P, +-Q, infinity. Arrays always have 6
//! entries, of which the first `N` (or `N - 2`, or 3) count.

use super::super::simd::Simd;

const P: f32 = 5.0 / 8.0;
const Q: f32 = 3.0 / 2.0;
const P2: f32 = P * P;
const Q2: f32 = Q * Q;
/// One over the derivative of the points' polynomial at 0, at +-P and at +-Q.
const AT_0: f32 = 1.0 / (P2 * Q2);
const AT_P: f32 = 1.0 / (2.0 * P2 * (P2 - Q2));
const AT_Q: f32 = 1.0 / (2.0 * Q2 * (Q2 - P2));

pub(super) type Line<V> = [V; 6];
pub(super) type Tile<V> = [Line<V>; 6];

/// A transform of one line of a tile, from `FROM` to `TO` entries.
pub(super) trait Transform {
    const FROM: usize;
    const TO: usize;
    fn line<V: Simd>(line: Line<V>) -> Line<V>;

    /// Both dimensions: columns, then rows.
    #[inline(always)]
    fn tile<V: Simd>(tile: Tile<V>) -> Tile<V> {
        let mut half = [[tile[0][0]; 6]; 6];
        for j in 0..Self::FROM {
            let mut column = [tile[0][0]; 6];
            for i in 0..Self::FROM {
                column[i] = tile[i][j];
            }
            let column = Self::line(column);
            for i in 0..Self::TO {
                half[i][j] = column[i];
            }
        }
        let mut whole = half;
        for i in 0..Self::TO {
            whole[i] = Self::line(half[i]);
        }
        whole
    }
}

/// Input tiles: `B^T d`.
pub(super) struct Input<const N: usize>;

impl<const N: usize> Transform for Input<N> {
    const FROM: usize = N;
    const TO: usize = N;
    #[inline(always)]
    fn line<V: Simd>(d: Line<V>) -> Line<V> {
        let s = |x| d[0].all(x);
        if N == 4 {
            return [d[0].sub(d[2]), d[1].add(d[2]), d[2].sub(d[1]), d[3].sub(d[1]), d[0], d[0]];
        }
        let even_p = d[2].mul_sub_from(s(Q2), d[4]);
        let odd_p = d[1].mul_sub_from(s(Q2), d[3]);
        let even_q = d[2].mul_sub_from(s(P2), d[4]);
        let odd_q = d[1].mul_sub_from(s(P2), d[3]);
        [
            d[0].mul_add(s(P2 * Q2), d[2].mul_sub_from(s(P2 + Q2), d[4])),
            odd_p.mul_add(s(P), even_p),
            odd_p.mul_sub_from(s(P), even_p),
            odd_q.mul_add(s(Q), even_q),
            odd_q.mul_sub_from(s(Q), even_q),
            d[1].mul_add(s(P2 * Q2), d[3].mul_sub_from(s(P2 + Q2), d[5])),
        ]
    }
}

/// Products back to outputs: `A^T m`.
pub(super) struct Output<const N: usize>;

impl<const N: usize> Transform for Output<N> {
    const FROM: usize = N;
    const TO: usize = N - 2;
    #[inline(always)]
    fn line<V: Simd>(m: Line<V>) -> Line<V> {
        let s = |x| m[0].all(x);
        let (sum_p, difference_p) = (m[1].add(m[2]), m[1].sub(m[2]));
        if N == 4 {
            let first = m[0].add(sum_p);
            return [first, difference_p.add(m[3]), first, first, first, first];
        }
        let (sum_q, difference_q) = (m[3].add(m[4]), m[3].sub(m[4]));
        let first = m[0].add(sum_p).add(sum_q);
        [
            first,
            difference_p.mul_add(s(P), difference_q.mul(s(Q))),
            sum_p.mul_add(s(P2), sum_q.mul(s(Q2))),
            difference_q.mul_add(s(Q2 * Q), difference_p.mul_add(s(P2 * P), m[5])),
            first,
            first,
        ]
    }
}

/// Output gradients to products: `A y`.
pub(super) struct OutputGradient<const N: usize>;

impl<const N: usize> Transform for OutputGradient<N> {
    const FROM: usize = N - 2;
    const TO: usize = N;
    #[inline(always)]
    fn line<V: Simd>(y: Line<V>) -> Line<V> {
        let s = |x| y[0].all(x);
        if N == 4 {
            return [y[0], y[0].add(y[1]), y[0].sub(y[1]), y[1], y[0], y[0]];
        }
        let (even_p, odd_p) = (y[2].mul_add(s(P2), y[0]), y[3].mul_add(s(P2), y[1]));
        let (even_q, odd_q) = (y[2].mul_add(s(Q2), y[0]), y[3].mul_add(s(Q2), y[1]));
        [
            y[0],
            odd_p.mul_add(s(P), even_p),
            odd_p.mul_sub_from(s(P), even_p),
            odd_q.mul_add(s(Q), even_q),
            odd_q.mul_sub_from(s(Q), even_q),
            y[3],
        ]
    }
}

/// Weights: `G g`.
pub(super) struct Weights<const N: usize>;

impl<const N: usize> Transform for Weights<N> {
    const FROM: usize = 3;
    const TO: usize = N;
    #[inline(always)]
    fn line<V: Simd>(g: Line<V>) -> Line<V> {
        let s = |x| g[0].all(x);
        if N == 4 {
            let even = g[0].add(g[2]).mul(s(0.5));
            let odd = g[1].mul(s(0.5));
            return [g[0], even.add(odd), even.sub(odd), g[2], even, even];
        }
        let even_p = g[2].mul_add(s(P2), g[0]).mul(s(AT_P));
        let even_q = g[2].mul_add(s(Q2), g[0]).mul(s(AT_Q));
        [
            g[0].mul(s(AT_0)),
            g[1].mul_add(s(P * AT_P), even_p),
            g[1].mul_sub_from(s(P * AT_P), even_p),
            g[1].mul_add(s(Q * AT_Q), even_q),
            g[1].mul_sub_from(s(Q * AT_Q), even_q),
            g[2],
        ]
    }
}

/// Products back to weight gradients: `G^T u`.
pub(super) struct WeightGradient<const N: usize>;

impl<const N: usize> Transform for WeightGradient<N> {
    const FROM: usize = N;
    const TO: usize = 3;
    #[inline(always)]
    fn line<V: Simd>(u: Line<V>) -> Line<V> {
        let s = |x| u[0].all(x);
        let (sum_p, difference_p) = (u[1].add(u[2]), u[1].sub(u[2]));
        if N == 4 {
            let half = sum_p.mul(s(0.5));
            return [u[0].add(half), difference_p.mul(s(0.5)), half.add(u[3]), half, half, half];
        }
        let (sum_q, difference_q) = (u[3].add(u[4]), u[3].sub(u[4]));
        [
            u[0].mul(s(AT_0)).add(sum_p.mul(s(AT_P)).add(sum_q.mul(s(AT_Q)))),
            difference_p.mul(s(P * AT_P)).add(difference_q.mul(s(Q * AT_Q))),
            sum_p.mul(s(P2 * AT_P)).add(sum_q.mul(s(Q2 * AT_Q)).add(u[5])),
            u[0],
            u[0],
            u[0],
        ]
    }
}
