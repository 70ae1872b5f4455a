//! What is drawn, and what is done with it, is the same on every device.

use burn::tensor::{Device, Tensor};
use libtest_mimic::Failed;
use sida::{
    data::{Augment, AugmentDraw},
    diffusion::{LogNormal, noise_level::JUDGED},
    kernels,
    seed::{Phase, Seed},
};

use crate::normals;

/// Uniforms are the same bits, normals the same to 1e-6.
pub(crate) fn numbers(gpu: &Device) -> Result<(), Failed> {
    let draw = Seed(5).at(Phase::Generator, 64).purpose("z");
    let numbers = |device: &Device| {
        let host = |t: Tensor<4>| t.into_data().try_to_vec::<f32>().expect("f32");
        let dims = [3, 5, 7, 9];
        let first = u64::from(u32::MAX);
        (
            host(kernels::uniforms(draw, first, dims, device)),
            host(kernels::normals(draw, first, dims, device)),
        )
    };
    let (ours, theirs) = (numbers(gpu), numbers(&Device::flex()));
    if ours.0 != theirs.0 {
        return Err("uniforms differ".into());
    }
    near("normals", &ours.1, &theirs.1, 1e-6)
}

/// Noise levels of a million samples: of denoising, and those at which a generator is judged.
pub(crate) fn levels(gpu: &Device) -> Result<(), Failed> {
    let draw = Seed(5).at(Phase::FakeScore, 64).purpose("sigma");
    let host = |t: Tensor<4>| t.into_data().try_to_vec::<f32>().expect("f32");
    let drawn = |device: &Device| {
        let dims = [1 << 20, 1, 1, 1];
        (kernels::normals(draw, 0, dims, device), kernels::uniforms(draw, 0, dims, device))
    };
    let (ours, theirs) = (drawn(gpu), drawn(&Device::flex()));
    let agree = |what: &str, ours: Tensor<4>, theirs: Tensor<4>| {
        let (ours, theirs) = (host(ours), host(theirs));
        let shares: Vec<f32> = ours.iter().zip(&theirs).map(|(a, b)| a / b).collect();
        near(&format!("{what}, a share"), &shares, &vec![1.0; theirs.len()], 1e-6)
    };
    for levels in [LogNormal { p_mean: -1.2, p_std: 1.2 }, LogNormal { p_mean: -0.4, p_std: 1.0 }] {
        let [ours, theirs] = [&ours.0, &theirs.0].map(|z| levels.levels(z.clone()));
        agree(&format!("{levels:?}"), ours, theirs)?;
    }
    for tmax in [800, 1000] {
        let [ours, theirs] = [&ours.1, &theirs.1].map(|u| JUDGED.levels_up_to(tmax, u.clone()));
        agree(&format!("judged up to {tmax}"), ours, theirs)?;
    }
    Ok(())
}

/// EDM's, of images that are not square and whose flips matter, with all transforms and with none.
pub(crate) fn augmentation(gpu: &Device) -> Result<(), Failed> {
    for (p, dims) in [(1.0, [6, 3, 20, 16]), (0.0, [2, 1, 8, 8]), (0.5, [8, 2, 5, 9])] {
        let draws = AugmentDraw::make(Seed(3).at(Phase::FakeScore, 0), 0..dims[0] as u64);
        let [ours, theirs] = [gpu, &Device::flex()].map(|device| {
            let augmented = Augment::edm(p).apply(normals("images", dims, device), &draws);
            augmented.images.into_data().try_to_vec::<f32>().expect("f32")
        });
        near(&format!("augmented with probability {p}"), &ours, &theirs, 2e-4)?;
    }
    Ok(())
}

/// No two numbers are further apart than so much.
fn near(what: &str, ours: &[f32], theirs: &[f32], tolerance: f32) -> Result<(), Failed> {
    let gap = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    println!("{what}: {gap:.1e}");
    if ours.len() != theirs.len() || gap > tolerance || ours.iter().any(|v| v.is_nan()) {
        return Err(format!("{what}: off by {gap:.1e}").into());
    }
    Ok(())
}
