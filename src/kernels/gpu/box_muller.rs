//! Box and Muller's normals as the CPU makes them (`src/kernels/cpu/box_muller.rs` says why each step is as it is).

use cubecl::prelude::*;

/// Two standard normals: a point at the distance sqrt(-2 ln((x + 1) / 2^32)), in one of 2^26 directions.
#[cube]
pub(crate) fn box_muller(x: u32, y: u32) -> (f32, f32) {
    let radius = minus_two_ln(x).sqrt();
    let (cos, sin) = direction(y);
    (radius * cos, radius * sin)
}

#[cube]
fn minus_two_ln(x: u32) -> f32 {
    let bits = u32::reinterpret(halves(x, 1.0f32)) + (0x3f80_0000u32 - 0x3f35_04f3u32);
    let power = i32::cast_from(bits >> 23u32) - 159i32;
    let mantissa = f32::reinterpret((bits & 0x007f_ffffu32) + 0x3f35_04f3u32);
    let near = halves(!x, 0.0f32) * -2.328_306_4e-10f32;
    let f = select(power == 0i32, near, mantissa - 1.0f32);
    let power = f32::cast_from(power);
    let mut p = f * -0.079_027_44f32 + 0.126_223_19f32;
    p = p * f - 0.129_981_83f32;
    p = p * f + 0.142_144_96f32;
    p = p * f - 0.166_412_82f32;
    p = p * f + 0.200_010_45f32;
    p = p * f - 0.250_003_07f32;
    p = p * f + 0.333_333_3f32;
    let ln = f * f * (p * f - 0.5f32) + f;
    // No root of less than nothing.
    max(-2.0f32 * (power * 0.693_359_4f32 + (power * -2.121_944_4e-4f32 + ln)), 0.0f32)
}

#[cube]
fn halves(x: u32, more: f32) -> f32 {
    f32::cast_from(x >> 16u32) * 65536.0f32 + (f32::cast_from(x & 0xffffu32) + more)
}

#[cube]
fn direction(y: u32) -> (f32, f32) {
    let odd = i32::cast_from((y >> 5u32) & 0x01ff_fffeu32) - 0x00ff_ffffi32;
    let t = f32::cast_from(odd) * 2.980_232_2e-8f32;
    let square = t * t;
    let mut sin = square * -0.004_602_149f32 + 0.079_680_22f32;
    sin = sin * square - 0.645_963_5f32;
    sin = (sin * square + 1.570_796_4f32) * t;
    let mut cos = square * 0.000_906_739_9f32 - 0.020_861_529f32;
    cos = cos * square + 0.253_669_4f32;
    cos = (cos * square - 1.233_700_5f32) * square + 1.0f32;
    let swapped = (y & 0x4000_0000u32) != 0u32;
    let along = select(swapped, sin, cos);
    let across = select(swapped, cos, sin);
    let along = u32::reinterpret(along) ^ ((y + 0x4000_0000u32) & 0x8000_0000u32);
    let across = u32::reinterpret(across) ^ (y & 0x8000_0000u32);
    (f32::reinterpret(along), f32::reinterpret(across))
}
