//! EDM's sampler keeps its state in f64, which not every GPU has.

use burn::tensor::{DType, Device};
use libtest_mimic::Failed;
use sida::{
    diffusion::{
        EdmSampler, Sampler,
        heun::{Drawing, Heun},
        sample::ask,
    },
    nn::{Condition, NetworkConfig},
    seed::{Phase, Seed},
};

use crate::normals;

/// With its state on the host and the network on the GPU it makes the images that it makes all on the GPU, with churn too.
pub(crate) fn at_home_on_the_host(gpu: &Device) -> Result<(), Failed> {
    let config: NetworkConfig = serde_json::from_value(serde_json::json!({ "ddpmpp": {
        "img_resolution": 8, "img_channels": 1, "model_channels": 16, "channel_mult": [1], "num_blocks": 1,
        "attn_resolutions": [], "dropout": 0.0
    } }))?;
    let network = config.init(Seed(0).at(Phase::Sample, 0), gpu)?;
    let condition = Condition::default();
    let settings = EdmSampler { num_steps: 4, s_churn: 2.0, ..EdmSampler::default() };
    let latents = normals("z", [2, 1, 8, 8], gpu);
    // Torch's are drawn on the host, in f64.
    let mut noise = |step: usize| {
        let device = if step == 0 { gpu } else { &Device::flex() };
        let drawn = normals(&format!("step {step}"), [2, 1, 8, 8], device);
        if step == 0 { drawn } else { drawn.cast(DType::F64) }
    };

    let sampler = Sampler::Edm(settings.clone());
    let drawing = Drawing::WhereAdded;
    let wherever = sampler.sample(&network, &condition, latents.clone(), &mut noise, drawing);
    let (precision, home) = (DType::F64, Device::flex());
    let heun = Heun { settings: &settings, precision, home, round_sigma: &|sigma| sigma, drawing };
    let mut denoise = |x, sigma| ask(&network, gpu, &condition, x, sigma);
    let on_host = heun.sample(latents, &mut denoise, &mut noise);

    if on_host.device() != Device::flex() || gpu.supports_dtype(DType::F64) != (wherever.device() == *gpu) {
        return Err(format!("at home on {:?} and {:?}", on_host.device(), wherever.device()).into());
    }
    let [a, b] = [on_host, wherever].map(|images| images.into_data().try_to_vec::<f64>().expect("f64"));
    let gap = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    println!("a sampler at home on the host: {gap:.1e}");
    if a.len() != b.len() || gap > 1e-6 || a.iter().any(|v| v.is_nan()) {
        return Err(format!("images are off by {gap:.1e}").into());
    }
    Ok(())
}
