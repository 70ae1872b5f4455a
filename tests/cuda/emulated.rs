//! Tiny networks of every family learn one iteration on the emulated GPU, and on the CPU.

use burn::tensor::Device;
use libtest_mimic::{Failed, Trial};
use sida::{cli::device, diffusion::Precision, kernels, state_dict::StateDict};

use crate::work::{self, Work};

/// Of the largest value of a tensor. Products and convolutions round to TF32 (2^-11 of each factor), as f16 does all
/// activations; bf16 to 2^-8, eight times as coarsely.
fn tolerance(precision: Precision) -> f64 {
    match precision {
        Precision::Fp32 | Precision::Fp16 => 2e-2,
        Precision::Bf16 => 1.6e-1,
    }
}

pub(crate) fn trials() -> Vec<Trial> {
    let pairs = work::emulated()
        .into_iter()
        .flat_map(|subject| subject.works.iter().map(move |work| (subject.clone(), *work)));
    pairs
        .map(|(subject, work)| {
            let name = subject.name;
            Trial::test(format!("{name} {work}"), move || {
                let (gpu, _) = device::choose("cuda:0")?;
                let run = |device: &Device| {
                    let mut work = Work::new(work, &subject, device);
                    let numbers = work.step();
                    (numbers, work.state())
                };
                kernels::allow_tf32(subject.tf32);
                let ((found, state), (wanted, reference)) = (run(&gpu), run(&Device::flex()));
                let gap = judge((&found, &state), (&wanted, &reference), subject.precision)?;
                println!("{name} {work}: within {gap:.1e}");
                Ok(())
            })
        })
        .collect()
}

/// How far losses and states are apart at most.
pub(crate) fn judge(
    (losses, state): (&[f64], &StateDict),
    (wanted, reference): (&[f64], &StateDict),
    precision: Precision,
) -> Result<f64, Failed> {
    let tolerance = tolerance(precision);
    Ok(numbers(losses, wanted, tolerance)?.max(states(state, reference, tolerance)?))
}

fn numbers(found: &[f64], wanted: &[f64], tolerance: f64) -> Result<f64, Failed> {
    let gap = found.iter().zip(wanted).map(|(a, b)| (a - b).abs() / b.abs().max(1e-6)).fold(0.0, f64::max);
    if found.len() != wanted.len() || gap.is_nan() || gap > tolerance || found.iter().any(|v| v.is_nan()) {
        return Err(format!("{found:?} instead of {wanted:?}").into());
    }
    Ok(gap)
}

/// Weights, averages and moments: after one iteration the first moments are the gradients.
fn states(found: &StateDict, reference: &StateDict, tolerance: f64) -> Result<f64, Failed> {
    let mut widest = 0f64;
    if found.len() != reference.len() {
        return Err(format!("{} tensors instead of {}", found.len(), reference.len()).into());
    }
    for (name, wanted) in reference {
        let values = |data: &burn::tensor::TensorData| data.iter::<f64>().collect::<Vec<_>>();
        let found = values(found.get(name).ok_or_else(|| format!("there is no {name}"))?);
        let wanted = values(wanted);
        // A single number may be a sum of what cancels: the largest of its kind in that network is its measure.
        let kind = |name: &str| {
            let (network, parameter) = (name.split('/').next(), name.rsplit('.').next());
            (network.map(str::to_owned), parameter.map(str::to_owned))
        };
        let alike = reference.iter().filter(|(other, data)| {
            wanted.len() == 1 && data.shape().num_elements() == 1 && kind(other) == kind(name)
        });
        let alike = alike.flat_map(|(_, data)| values(data));
        let largest = wanted.iter().copied().chain(alike).fold(1e-6f64, |largest, v| largest.max(v.abs()));
        let gap = found.iter().zip(&wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / largest;
        if found.len() != wanted.len() || found.iter().any(|v| v.is_nan()) || gap > tolerance {
            return Err(format!("{name} is off by {gap:.1e} of its largest value, {largest:.1e}").into());
        }
        widest = widest.max(gap);
    }
    Ok(widest)
}
