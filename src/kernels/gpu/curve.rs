//! Curves of what was drawn, with as many digits as f32 has. A device's own may be off by several units in the last place,
//! and one that rearranges sums of floats cannot be told to keep what they lose: arguments are whole numbers, in fixed
//! point, which are the same everywhere.

use burn_cubecl::{kernel::into_contiguous, tensor::CubeTensor};
use cubecl::{ir::ElemType, prelude::*};

use crate::launch::{cubes_for, element, empty_like};

/// Bits behind the point of a normal, which is below 8.
const NORMAL_BITS: i32 = 28;
/// At most so many bits behind the point of an exponent of 2.
const EXPONENT_BITS: i32 = 26;
/// Bits of a uniform.
const UNIFORM_BITS: i32 = 24;

/// `exp(slope * x + offset)` of numbers between -8 and 8, as long as `slope * x + offset` is between -80 and 80.
pub fn exponential(x: CubeTensor, slope: f64, offset: f64) -> CubeTensor {
    let x = into_contiguous(x);
    let (y, len) = (empty_like(&x), x.meta.num_elements());
    let (client, dtype, (cubes, units)) = (x.client.clone(), element(&x), cubes_for(len));
    // The same with powers of 2. The largest exponent has to fit 31 bits.
    let [slope, offset] = [slope, offset].map(|number| number * std::f64::consts::LOG2_E);
    let whole_bits = (8.0 * slope.abs() + offset.abs() + 1.0).log2().ceil() as i32;
    let bits = (31 - whole_bits).clamp(1, EXPONENT_BITS);
    let fixed = |number: f64, bits: i32| (number * 2f64.powi(bits)).round();
    exponential_kernel::launch(
        &client,
        cubes,
        units,
        x.into_buffer_arg(),
        y.clone().into_buffer_arg(),
        fixed(slope.abs(), bits + 32 - NORMAL_BITS) as u32,
        if slope < 0.0 { -1 } else { 1 },
        fixed(offset, bits) as i32,
        len,
        bits as u32,
        dtype,
    );
    y
}

/// `(slope * x + offset)^exponent` of uniforms in [0, 1), which have 24 bits. Slope and offset are not below zero, the
/// offset not much smaller than the slope; the exponent is at least 1.
pub fn power(x: CubeTensor, slope: f64, offset: f64, exponent: u32) -> CubeTensor {
    let x = into_contiguous(x);
    let (y, len) = (empty_like(&x), x.meta.num_elements());
    let (client, dtype, (cubes, units)) = (x.client.clone(), element(&x), cubes_for(len));
    // The largest root has to fit 32 bits.
    let bits = 31 - (slope + offset).log2().floor() as i32;
    let fixed = |number: f64| (number * 2f64.powi(bits)).round() as u32;
    power_kernel::launch(
        &client,
        cubes,
        units,
        x.into_buffer_arg(),
        y.clone().into_buffer_arg(),
        fixed(slope),
        fixed(offset),
        2f32.powi(-bits),
        len,
        exponent,
        dtype,
    );
    y
}

/// y = 2^(direction slope x + offset), both with `bits` behind the point, slope with as many more as x lacks to 32.
#[cube(launch)]
fn exponential_kernel<F: Float>(
    x: &[F],
    y: &mut [F],
    slope: u32,
    direction: i32,
    offset: i32,
    len: usize,
    #[comptime] bits: u32,
    #[define(F)] _dtype: ElemType,
) {
    if ABSOLUTE_POS < len {
        let x = f32::cast_from(x[ABSOLUTE_POS]);
        let size = u32::cast_from(min(x.abs(), 7.999_999_5f32) * comptime!(2f32.powi(NORMAL_BITS)));
        let product = i32::cast_from(size.mul_hi(slope));
        let product = product * select(x < 0.0f32, -direction, direction);
        let half = comptime!(1i32 << (bits - 1));
        let exponent = product + offset + half;
        // Of a negative number this is the whole number below.
        let whole = exponent >> comptime!(bits as i32);
        let part = exponent - (whole << comptime!(bits as i32)) - half;
        // 2^r by its Taylor polynomial: r is between -1/2 and 1/2.
        let r = f32::cast_from(part) * comptime!(2f32.powi(-(bits as i32)));
        let mut p = r * 1.525_273_4e-5f32 + 1.540_353e-4f32;
        p = p * r + 0.001_333_355_8f32;
        p = p * r + 0.009_618_129f32;
        p = p * r + 0.055_504_11f32;
        p = p * r + 0.240_226_5f32;
        p = p * r + comptime!(std::f32::consts::LN_2);
        let power = u32::cast_from(min(max(whole, -126i32), 127i32) + 127i32) << 23u32;
        y[ABSOLUTE_POS] = F::cast_from((p * r + 1.0f32) * f32::reinterpret(power));
    }
}

/// y = (slope x + offset)^exponent, slope and offset in multiples of `unit`.
#[cube(launch)]
fn power_kernel<F: Float>(
    x: &[F],
    y: &mut [F],
    slope: u32,
    offset: u32,
    unit: f32,
    len: usize,
    #[comptime] exponent: u32,
    #[define(F)] _dtype: ElemType,
) {
    if ABSOLUTE_POS < len {
        let x = f32::cast_from(x[ABSOLUTE_POS]);
        let size =
            u32::cast_from(x * comptime!(2f32.powi(UNIFORM_BITS))) << comptime!((32 - UNIFORM_BITS) as u32);
        let root = size.mul_hi(slope) + offset;
        // What f32 can hold, and the rest, of which the first order is enough.
        let most = f32::cast_from(root >> 8u32) * 256.0f32 * unit;
        let rest = f32::cast_from(root & 255u32) * unit;
        let mut power = most + rest * comptime!(exponent as f32);
        #[unroll]
        for _ in 1..exponent {
            power *= most;
        }
        y[ABSOLUTE_POS] = F::cast_from(power);
    }
}
