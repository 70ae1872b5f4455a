//! Draws: what they follow from, and how they are distributed.

use super::{
    super::{InstructionSet, with_threads},
    *,
};

const KEY: Key = Key { philox: Philox { key: [7, 8] }, stream: 9 };

type Fill = fn(&mut [f32], u64, usize);

/// Each kind of draw, into zeros.
const FILLS: [Fill; 3] = [
    |out, first, per_sample| normals(KEY, first, per_sample, out),
    |out, first, per_sample| uniforms(KEY, first, per_sample, out),
    |out, first, per_sample| {
        let x = vec![1.0; out.len()];
        drop_activations(KEY, first, per_sample, Dropping::share(0.3), &x, out);
    },
];

fn filled(fill: Fill, samples: Range<u64>, per_sample: usize) -> Vec<f32> {
    let mut out = vec![0.0; (samples.end - samples.start) as usize * per_sample];
    fill(&mut out, samples.start, per_sample);
    out
}

#[test]
fn a_draw_follows_from_its_sample_and_its_place_alone() {
    for fill in FILLS {
        // Tails of counters, several samples in a part, several parts in a sample.
        for per_sample in [1, 3, 64, 1021, 2 * PART + 5] {
            let whole = filled(fill, 5..11, per_sample);
            assert_eq!(whole, [filled(fill, 5..6, per_sample), filled(fill, 6..11, per_sample)].concat());
            assert_eq!(whole[..per_sample], filled(fill, 5..6, per_sample + 2)[..per_sample]);
        }
        let whole = filled(fill, 0..2, 64);
        assert_ne!(whole[..64], whole[64..]);
    }
}

#[test]
fn bits_do_not_depend_on_instructions_or_threads() {
    for fill in FILLS {
        let drawn: Vec<Vec<u32>> = [InstructionSet::Portable, InstructionSet::Avx2, InstructionSet::Avx512]
            .into_iter()
            .flat_map(|set| [(set, 1), (set, 3)])
            .map(|(set, threads)| {
                set.force();
                let out = with_threads(threads, || filled(fill, 3..6, 3 * PART + 1));
                out.into_iter().map(f32::to_bits).collect()
            })
            .collect();
        assert!(drawn.iter().all(|other| *other == drawn[0]));
    }
}

#[test]
fn every_number_is_its_word() {
    // Slowly, from the counter's definition.
    let word = |sample: u64, element: usize| {
        let low = (element / 4) as u64 | 9 << 32;
        Philox::new(8 << 32 | 7).words(low, sample)[element % 4]
    };
    let sample = u64::from(u32::MAX) + 2;
    assert_eq!(words(KEY, sample..sample + 1, 5), [0, 1, 2, 3, 4].map(|i| word(sample, i)));
    let uniforms = filled(FILLS[1], sample..sample + 1, 999);
    let masks = filled(FILLS[2], sample..sample + 1, 999);
    for i in 0..999 {
        assert_eq!(f64::from(uniforms[i]), f64::from(word(sample, i) >> 8) / 2f64.powi(24));
        let bits = word(sample, i / 2) >> (16 * (i % 2)) & 0xffff;
        assert_eq!(masks[i], if bits < 19661 { 0.0 } else { (1.0 / 0.7f64) as f32 });
    }
}

#[test]
fn the_asked_share_is_dropped() {
    const N: usize = 1 << 20;
    let x = vec![2.0; N];
    for share in [0.0, 0.13, 0.5, 1.0] {
        let mut out = vec![0.0; N];
        drop_activations(KEY, 0, N, Dropping::share(share), &x, &mut out);
        let dropped = out.iter().filter(|value| **value == 0.0).count() as f64 / N as f64;
        // Four standard deviations, and what rounding to 16 bits does.
        let bound = 4.0 * (share * (1.0 - share) / N as f64).sqrt() + 0.5 / 65536.0;
        assert!((dropped - share).abs() <= bound, "{dropped} of {share}");
        let kept = (1.0 / (1.0 - share)) as f32 * 2.0;
        assert!(out.iter().all(|value| *value == 0.0 || *value == kept));
    }
}

/// Kolmogorov and Smirnov's largest distance from a distribution, times the root of the count.
fn distance(mut values: Vec<f32>, cumulative: fn(f64) -> f64) -> f64 {
    values.sort_by(f32::total_cmp);
    let n = values.len() as f64;
    let gap = |(i, value): (usize, &f32)| {
        let p = cumulative(f64::from(*value));
        (p - i as f64 / n).abs().max((p - (i + 1) as f64 / n).abs())
    };
    values.iter().enumerate().map(gap).fold(0.0, f64::max) * n.sqrt()
}

/// The normal distribution's cumulative function, to 8e-8 (Abramowitz and Stegun 7.1.26).
fn normal_cumulative(z: f64) -> f64 {
    let x = z.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let sum = [1.061_405_429, -1.453_152_027, 1.421_413_741, -0.284_496_736, 0.254_829_592]
        .into_iter()
        .fold(0.0, |sum, c| (sum + c) * t);
    let upper = 0.5 * sum * (-x * x).exp();
    if z > 0.0 { 1.0 - upper } else { upper }
}

/// The mean of a function of neighbours, in standard deviations of that mean; the function has mean 0 and variance 1.
fn deviation(values: &[f32], apart: usize, f: fn(f64, f64) -> f64) -> f64 {
    let pairs = values.iter().zip(&values[apart..]);
    let n = values.len() - apart;
    pairs.map(|(a, b)| f(f64::from(*a), f64::from(*b))).sum::<f64>() / (n as f64).sqrt()
}

#[test]
fn uniforms_are_uniform() {
    let values = filled(FILLS[1], 0..1000, 1000);
    assert!(values.iter().all(|u| (0.0..1.0).contains(u)));
    // One set of a thousand lies further off than 1.95 (its distribution is Kolmogorov's).
    assert!(distance(values.clone(), |u| u) < 1.95);
    let centred: Vec<f32> = values.iter().map(|u| (u - 0.5) * 12f32.sqrt()).collect();
    for apart in [1, 2, 3, 4, 8, 1000] {
        assert!(deviation(&centred, apart, |a, b| a * b).abs() < 4.0, "{apart} apart");
    }
}

#[test]
fn normals_are_normal() {
    let values = filled(FILLS[0], 0..1000, 1000);
    assert!(distance(values.clone(), normal_cumulative) < 1.95);
    // Hermite's polynomials: mean 0 and, so divided, variance 1, if these are the moments of a normal.
    let moments: [fn(f64, f64) -> f64; 4] = [
        |z, _| z,
        |z, _| (z * z - 1.0) / 2f64.sqrt(),
        |z, _| (z * z * z - 3.0 * z) / 6f64.sqrt(),
        |z, _| (z.powi(4) - 6.0 * z * z + 3.0) / 24f64.sqrt(),
    ];
    for (i, moment) in moments.into_iter().enumerate() {
        assert!(deviation(&values, 0, moment).abs() < 4.0, "moment {}", i + 1);
    }
    // The two of a pair share their distance from the origin: squares tell more than products.
    for apart in [1, 2, 3, 4, 1000] {
        assert!(deviation(&values, apart, |a, b| a * b).abs() < 4.0, "{apart} apart");
        let squares = |a: f64, b: f64| (a * a - 1.0) * (b * b - 1.0) / 2.0;
        assert!(deviation(&values, apart, squares).abs() < 4.0, "squares {apart} apart");
    }
}
