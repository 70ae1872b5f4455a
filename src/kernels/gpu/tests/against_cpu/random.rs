//! Draws: the CPU's bits, but for a normal's last digits.

use burn_backend::DType;
use sida_cpu_kernels::random::{self as cpu, Dropping, Key};
use sida_gpu_kernels::random::{self as gpu, Draws};

use super::support::{device, host, rounded, tensor, types, values};

const KEY: [u32; 3] = [0xdead_beef, 0x8765_4321, 0xf000_000f];
/// The number of the third sample does not fit 32 bits.
const FIRST: u64 = u32::MAX as u64 - 1;
const SHAPES: [[usize; 4]; 3] = [[5, 3, 5, 7], [2, 32, 32, 24], [3, 1, 1, 1]];

#[test]
fn uniforms_are_the_same_bits_and_normals_the_same_numbers() {
    let Some(device) = device() else { return };
    let (draws, like) = (Draws { key: KEY, first: FIRST }, tensor(&[0.0], &[1], DType::F32, &device));
    for shape in SHAPES {
        let (len, per_sample) = (shape.iter().product(), shape[1..].iter().product());
        let mut truth = vec![0.0; len];
        cpu::uniforms(Key::new(KEY), FIRST, per_sample, &mut truth);
        assert!(host(gpu::uniforms(draws, shape, &like)) == truth, "uniforms {shape:?}");

        cpu::normals(Key::new(KEY), FIRST, per_sample, &mut truth);
        let found = host(gpu::normals(draws, shape, &like));
        let gap = found.iter().zip(&truth).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        println!("normals {shape:?}: off by {gap:.1e}");
        assert!(gap <= 1e-6 && found.iter().all(|v| v.is_finite()), "normals {shape:?}: off by {gap:.1e}");
    }
}

/// A million of them: their tails, too.
#[test]
fn normals_are_right_to_one_millionth() {
    let Some(device) = device() else { return };
    let like = tensor(&[0.0], &[1], DType::F32, &device);
    let mut truth = vec![0.0; 1 << 20];
    cpu::normals(Key::new([1, 2, 3]), 0, 1 << 20, &mut truth);
    let found = host(gpu::normals(Draws { key: [1, 2, 3], first: 0 }, [1, 1 << 20], &like));
    let gap = found.iter().zip(&truth).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    println!("a million normals: off by {gap:.1e}");
    assert!(gap <= 1e-6 && found.len() == truth.len() && found.iter().all(|v| v.is_finite()));
}

#[test]
fn the_same_activations_are_dropped() {
    let Some(device) = device() else { return };
    for (dtype, _) in types(&device) {
        for shape in SHAPES {
            let x = rounded(&values(1, shape.iter().product()), dtype);
            let dropping = Dropping::share(0.13);
            let mut truth = vec![0.0; x.len()];
            cpu::drop_activations(
                Key::new(KEY),
                FIRST,
                shape[1..].iter().product(),
                dropping,
                &x,
                &mut truth,
            );
            let x = tensor(&x, &shape, dtype, &device);
            // Behind another draw.
            let draws = [Draws { key: [1, 2, 3], first: 0 }, Draws { key: KEY, first: FIRST }];
            let keys = gpu::keys(&draws, &x);
            let found = host(gpu::drop_activations(x, keys, 1, dropping.threshold, dropping.kept));
            assert!(found == rounded(&truth, dtype), "{shape:?} {dtype:?}");
        }
    }
}
