//! Group normalisation with what surrounds it.

use burn_backend::DType;
use burn_cubecl::{CubeDevice, tensor::CubeTensor};
use sida_cpu_kernels::{
    norm::{self as cpu, Normalization},
    norm_gradient::{self, Gradients},
};
use sida_gpu_kernels::group_norm::{Parameters, group_norm, group_norm_gradients};

use super::support::{close, device, host, rounded, tensor, types, values};

/// Values of the parameters: weight, bias, and one row per sample for shift before, scale and shift.
struct Given {
    e: Normalization,
    weight: Vec<f32>,
    bias: Vec<f32>,
    before: Option<Vec<f32>>,
    scale_shift: Option<Vec<f32>>,
}

impl Given {
    fn new(e: Normalization, before: bool, scale_shift: bool, dtype: DType) -> Self {
        let row = |seed| rounded(&values(seed, e.n * e.c), dtype);
        let pairs = |scale: Vec<f32>, shift: Vec<f32>| {
            scale
                .chunks(e.c)
                .zip(shift.chunks(e.c))
                .flat_map(|(scale, shift)| [scale, shift].concat())
                .collect()
        };
        Self {
            e,
            weight: values(1, e.c).iter().map(|v| v + 1.0).collect(),
            bias: values(2, e.c),
            before: before.then(|| row(3)),
            scale_shift: scale_shift.then(|| pairs(row(4), row(5))),
        }
    }

    fn on_cpu(&self) -> cpu::Parameters<'_> {
        cpu::Parameters {
            weight: &self.weight,
            bias: &self.bias,
            shift_before: self.before.as_deref(),
            scale_shift: self.scale_shift.as_deref(),
        }
    }

    /// Weight and bias in f32, whatever the type of the rest.
    fn on_gpu(&self, dtype: DType, device: &CubeDevice) -> Parameters {
        let row = |values: &Vec<f32>| tensor(values, &[self.e.n, values.len() / self.e.n], dtype, device);
        Parameters {
            weight: tensor(&self.weight, &[self.e.c], DType::F32, device),
            bias: tensor(&self.bias, &[self.e.c], DType::F32, device),
            shift_before: self.before.as_ref().map(row),
            scale_shift: self.scale_shift.as_ref().map(row),
        }
    }

    /// Gradients to x, weight, bias, shift before, scale with shift; empty where there is none.
    fn cpu_gradients(&self, x: &[f32], stats: &[f32], dy: &[f32]) -> [Vec<f32>; 5] {
        let like = |part: &Option<Vec<f32>>| vec![0.0; part.as_ref().map_or(0, Vec::len)];
        let mut found = [
            vec![0.0; x.len()],
            vec![0.0; self.e.c],
            vec![0.0; self.e.c],
            like(&self.before),
            like(&self.scale_shift),
        ];
        let [x_to, weight, bias, shift_before, scale_shift] = &mut found;
        let to = Gradients { x: x_to, weight, bias, shift_before, scale_shift };
        norm_gradient::backward(self.e, x, self.on_cpu(), stats, dy, to);
        found
    }
}

#[test]
fn group_norm_and_its_gradients() {
    let Some(device) = device() else { return };
    for (dtype, tolerance) in types(&device) {
        // Groups of one vector; of less; that vectors straddle; of odd length; of all channels; many positions.
        for ([n, h, w, c], groups) in [
            ([2, 3, 5, 32], 8),
            ([3, 4, 4, 24], 12),
            ([2, 8, 8, 48], 8),
            ([2, 3, 3, 15], 5),
            ([1, 4, 4, 20], 1),
            ([2, 32, 32, 64], 16),
        ] {
            // All combinations of parts with one shape; with the others all parts, as every one is a kernel to compile.
            let all = [(true, true, true), (false, false, false), (true, false, true), (false, true, true)];
            for &(before, scale_shift, silu) in if c == 32 { &all[..] } else { &all[..1] } {
                let e = Normalization { n, hw: h * w, c, groups, eps: 1e-5, silu };
                let given = Given::new(e, before, scale_shift, dtype);
                // Far from zero, as what would cancel in a plain sum of squares.
                let x: Vec<f32> = values(6, n * h * w * c).iter().map(|v| v + 3.0).collect();
                let [x, dy] = [x, values(7, n * h * w * c)].map(|values| rounded(&values, dtype));
                let what = format!("{:?} {dtype:?} {before} {scale_shift} {silu}", [n, h, w, c, groups]);
                let (mut truth, mut stats) = (vec![0.0; x.len()], vec![0.0; n * groups * 2]);
                cpu::forward(e, &x, given.on_cpu(), &mut truth, &mut stats);
                let put = |values: &[f32]| tensor(values, &[n, h, w, c], dtype, &device);
                let (y, kept) = group_norm(put(&x), groups, 1e-5, silu, given.on_gpu(dtype, &device));
                close(&format!("norm {what}"), &host(y), &truth, tolerance);

                let truths = given.cpu_gradients(&x, &stats, &dy);
                let gradients = |wanted: [bool; 5]| -> [Option<CubeTensor>; 5] {
                    let p = given.on_gpu(dtype, &device);
                    group_norm_gradients(put(&x), groups, silu, p, kept.clone(), put(&dy), wanted)
                };
                for (i, (found, truth)) in gradients([true; 5]).into_iter().zip(&truths).enumerate() {
                    assert_eq!(found.is_some(), !truth.is_empty(), "gradient {i} of {what}");
                    if let Some(found) = found {
                        close(&format!("gradient {i}, {what}"), &host(found), truth, tolerance);
                    }
                }
                let [dx, rest @ ..] = gradients([true, false, false, false, false]);
                close(&format!("of x alone, {what}"), &host(dx.unwrap()), &truths[0], tolerance);
                assert!(rest.iter().all(Option::is_none), "what nobody wants is not computed");
            }
        }
    }
}
