//! Weighted sums: a unit, a vector of values.

use burn_cubecl::{kernel::into_contiguous, tensor::CubeTensor};
use cubecl::{ir::ElemType, prelude::*};

use crate::{
    launch::{cubes_for, element, empty_like, empty_words, vector},
    silu::splat,
};

#[cube(launch)]
fn weighted_sum_kernel<F: Float, N: Size>(
    a: &[Vector<F, N>],
    b: &[Vector<F, N>],
    sum: &mut [Vector<F, N>],
    held: ComptimeOption<&mut [u32]>,
    weight_a: f32,
    weight_b: f32,
    limit: f32,
    count: usize,
    #[comptime] equal: bool,
    #[define(F)] _dtype: ElemType,
) {
    if ABSOLUTE_POS < count {
        let a = Vector::<f32, N>::cast_from(a[ABSOLUTE_POS]);
        let b = Vector::<f32, N>::cast_from(b[ABSOLUTE_POS]);
        // Equal weights: one rounding less, and what PyTorch's `(a + b) * weight` computes.
        let mut total = if equal {
            (a + b) * splat::<N>(weight_a)
        } else {
            a * splat::<N>(weight_a) + b * splat::<N>(weight_b)
        };
        #[comptime]
        match held {
            ComptimeOption::Some(held) => {
                let mut bits = 0u32;
                #[unroll]
                for i in 0..N::value() {
                    // NaN is neither, and stays what it is.
                    let value = total.extract(i);
                    if value > limit {
                        total.insert(i, limit);
                        bits |= comptime!(1u32 << i);
                    }
                    if value < -limit {
                        total.insert(i, -limit);
                        bits |= comptime!(1u32 << i);
                    }
                }
                held[ABSOLUTE_POS] = bits;
            }
            ComptimeOption::None => {}
        }
        sum[ABSOLUTE_POS] = Vector::cast_from(total);
    }
}

/// Which values of a sum were beyond its limit: a bit each, a word for each vector.
#[derive(Clone, Debug)]
pub struct Held(CubeTensor);

/// `a * weights[0] + b * weights[1]`. With a limit, values beyond +-limit are held there, and which ones is kept.
pub fn weighted_sum(
    a: CubeTensor,
    b: CubeTensor,
    weights: [f32; 2],
    limit: Option<f32>,
) -> (CubeTensor, Option<Held>) {
    let [a, b] = [a, b].map(into_contiguous);
    let sum = empty_like(&a);
    let (elements, client, dtype) = (a.meta.num_elements(), a.client.clone(), element(&a));
    let n = vector(&[&a], elements);
    let held = limit.map(|_| empty_words(&a, elements / n));
    let (count, dim) = cubes_for(elements / n);
    weighted_sum_kernel::launch(
        &client,
        count,
        dim,
        n,
        a.into_buffer_arg(),
        b.into_buffer_arg(),
        sum.clone().into_buffer_arg(),
        held.clone().map(CubeTensor::into_buffer_arg).into(),
        weights[0],
        weights[1],
        limit.unwrap_or_default(),
        elements / n,
        weights[0].to_bits() == weights[1].to_bits(),
        dtype,
    );
    (sum, held.map(Held))
}

#[cube(launch)]
fn weighted_sum_gradients_kernel<F: Float, N: Size>(
    gradient: &[Vector<F, N>],
    held: ComptimeOption<&[u32]>,
    da: &mut [Vector<F, N>],
    db: ComptimeOption<&mut [Vector<F, N>]>,
    weight_a: f32,
    weight_b: f32,
    count: usize,
    #[define(F)] _dtype: ElemType,
) {
    if ABSOLUTE_POS < count {
        let mut passed = Vector::<f32, N>::cast_from(gradient[ABSOLUTE_POS]);
        #[comptime]
        match held {
            ComptimeOption::Some(held) => {
                let bits = held[ABSOLUTE_POS];
                #[unroll]
                for i in 0..N::value() {
                    if bits & comptime!(1u32 << i) != 0u32 {
                        passed.insert(i, 0.0f32);
                    }
                }
            }
            ComptimeOption::None => {}
        }
        da[ABSOLUTE_POS] = Vector::cast_from(passed * splat::<N>(weight_a));
        #[comptime]
        match db {
            ComptimeOption::Some(db) => {
                db[ABSOLUTE_POS] = Vector::cast_from(passed * splat::<N>(weight_b));
            }
            ComptimeOption::None => {}
        }
    }
}

/// The gradients to both, those that are wanted: none passes where the limit held.
pub fn weighted_sum_gradients(
    gradient: CubeTensor,
    held: Option<Held>,
    weights: [f32; 2],
    wanted: [bool; 2],
) -> [Option<CubeTensor>; 2] {
    let equal = weights[0].to_bits() == weights[1].to_bits();
    if held.is_none() && equal && weights[0] == 1.0 {
        return wanted.map(|wanted| wanted.then(|| gradient.clone()));
    }
    let gradient = into_contiguous(gradient);
    let (elements, client, dtype) =
        (gradient.meta.num_elements(), gradient.client.clone(), element(&gradient));
    let n = vector(&[&gradient], elements);
    let (count, dim) = cubes_for(elements / n);
    // Equal weights have equal gradients; and where one is wanted, it comes first.
    let (first, second) = if wanted[0] { (weights[0], weights[1]) } else { (weights[1], weights[0]) };
    let one = empty_like(&gradient);
    let other = (wanted == [true, true] && !equal).then(|| empty_like(&gradient));
    weighted_sum_gradients_kernel::launch(
        &client,
        count,
        dim,
        n,
        gradient.into_buffer_arg(),
        held.map(|Held(words)| words.into_buffer_arg()).into(),
        one.clone().into_buffer_arg(),
        other.clone().map(CubeTensor::into_buffer_arg).into(),
        first,
        second,
        elements / n,
        dtype,
    );
    match (wanted, other) {
        ([true, true], Some(other)) => [Some(one), Some(other)],
        (wanted, _) => wanted.map(|wanted| wanted.then(|| one.clone())),
    }
}
