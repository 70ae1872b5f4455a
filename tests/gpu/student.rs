//! A student learns on the GPU as on the CPU.

use std::{ops::Range, sync::Arc};

use burn::tensor::{Device, Tensor};
use libtest_mimic::Failed;
use sida::{
    kernels,
    nn::{Condition, Denoiser, Dropout, NetworkConfig},
    seed::{Phase, Seed},
    state_dict::StateDict,
    training::{
        AdamSettings, Average, Ema, GradientSum, Gradients, Sanitized, Student, state::join, student::Names,
    },
};

use crate::{TOLERANCE, normals};

/// Gradients summed, cleaned and clipped, Adam, the average; and a pass with parameters that are views of a flat tensor.
pub(crate) fn learns(gpu: &Device) -> Result<(), Failed> {
    let ((ours, of_ours), (theirs, of_theirs)) = (learnt(gpu)?, learnt(&Device::flex())?);
    for (a, b) in of_ours.iter().zip(&of_theirs) {
        let near = (a.norm - b.norm).abs() < 1e-5 * b.norm;
        if !near || (a.cleaned, a.clipped, &a.nan) != (b.cleaned, b.clipped, &b.nan) || b.clipped == 0 {
            return Err(format!("{a:?}, but on the CPU {b:?}").into());
        }
    }
    for ((name, ours), (other, theirs)) in ours.iter().zip(&theirs) {
        let [ours, theirs] = [ours, theirs].map(|data| data.iter::<f32>().collect::<Vec<_>>());
        let largest = theirs.iter().fold(1e-6f32, |largest, v| largest.max(v.abs()));
        let gap = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / largest;
        let tolerance = if name == "pass" { TOLERANCE } else { 1e-5 };
        if name != other || ours.len() != theirs.len() || gap > tolerance || ours.iter().any(|v| v.is_nan()) {
            return Err(format!("`{name}` is off by {gap:.1e} of its largest value").into());
        }
    }
    Ok(())
}

/// The state after three steps with made-up gradients, the average, and the images of a pass; what was met on the way.
fn learnt(device: &Device) -> Result<(StateDict, Vec<Sanitized>), Failed> {
    let config: NetworkConfig = serde_json::from_value(serde_json::json!({ "ddpmpp": {
        "img_resolution": 8, "img_channels": 1, "model_channels": 16, "channel_mult": [1], "num_blocks": 1,
        "attn_resolutions": [], "dropout": 0.0
    } }))?;
    let network = config.init(Seed(0).at(Phase::Sample, 0), device)?;
    let names = Names { network: "network", optimizer: "optimizer" };
    let settings = AdamSettings { betas: [0.5, 0.999], eps: 1e-8 };
    let mut student = Student::new(names, network, settings, Some(1.5));
    let mut average = Average::new("ema", student.network().clone(), Ema::default());
    let layout = Arc::clone(student.flat().layout());
    // All parameters but one in the middle have a gradient; that of one holds a NaN once.
    let gradients = |step: u64, round: u64| -> Gradients {
        let gradient = |(i, (name, place)): (usize, (&String, &Range<usize>))| {
            let draw = Seed(0).at(Phase::Sample, 10 * step + round).purpose(name);
            let mut values = draw.normals(0..1, place.len());
            if (i, step, round) == (2, 1, 1) {
                values[0] = f32::NAN;
            }
            let gradient = layout.lying(i, Tensor::from_floats(values.as_slice(), device));
            (i != 5).then_some((name.clone(), gradient))
        };
        layout.names().iter().zip(layout.places().ranges()).enumerate().filter_map(gradient).collect()
    };
    let mut met = Vec::new();
    for step in 0..3 {
        let first = GradientSum::of(&layout, gradients(step, 0)).with(gradients(step, 1));
        let unread = student.learn(first.and(GradientSum::of(&layout, gradients(step, 2))), 1e-3);
        average.follow(student.flat(), 1000 * step, 64);
        let numbers: Vec<f64> = kernels::host(unread.numbers()).iter::<f64>().collect();
        met.push(unread.sanitized(&mut numbers.into_iter()));
    }
    let (noisy, sigma) = (normals("noisy", [2, 1, 8, 8], device), Tensor::ones([2, 1, 1, 1], device));
    let pass = student.network().denoise(noisy, sigma, &Condition::default(), Dropout::Off).images;
    let mut state = join(student.state().into_iter().chain([average.state()]), 0);
    state.insert("pass".to_owned(), kernels::host(pass));
    Ok((state, met))
}
