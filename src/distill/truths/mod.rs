//! What must hold for the losses and the trainer whatever the networks: tested where the exact answer is known.

mod losses;
mod replicas;
mod training;

use burn::tensor::{Device, Tensor, TensorData};

use super::*;
use crate::{
    Error,
    diffusion::{LogNormal, noise_level::JUDGED},
    kimg::Kimg,
    nn::{NetworkConfig, gaussian::Gaussian},
    ranks::Ranks,
    seed::{Phase, Seed},
    state_dict::StateDict,
    training::{Batch, Draws, Gradients, Real, Replicas, Request, Supply},
};

fn network() -> NetworkConfig {
    serde_json::from_value(serde_json::json!({ "ddpmpp": { "img_resolution": 8, "augment_dim": 0 } }))
        .unwrap()
}

fn recipe(method: serde_json::Value, rest: serde_json::Value) -> Distill {
    let mut recipe = serde_json::json!({
        "teacher": "teacher", "method": method, "batch_size": 8, "duration_kimg": 1, "augment": 0.0,
        "generator": { "init_sigma": 1.0, "lr": 0.01, "betas": [0.5, 0.999] },
        "fake_score": { "lr": 0.05, "betas": [0.5, 0.999] },
        "ema": { "half_life_kimg": 0.1 }
    });
    let object = recipe.as_object_mut().unwrap();
    object.extend(rest.as_object().unwrap().clone());
    serde_json::from_value(recipe).unwrap()
}

fn sid() -> serde_json::Value {
    serde_json::json!({ "sid": { "alpha": 1.0 } })
}

fn sida(generator_starts: f64, starts: f64) -> serde_json::Value {
    let adversarial =
        serde_json::json!({ "generator_starts_at_kimg": generator_starts, "starts_at_kimg": starts });
    serde_json::json!({ "sida": { "adversarial": adversarial } })
}

fn supply(recipe: &Distill) -> impl Supply<MicroBatch = MicroBatch> + use<'_> {
    let batches = |request: Request| Ok(Batch::of_normals(request));
    let draws = Draws::new(Seed(7), recipe.augment, &network(), batches, Device::flex());
    DistillSupply { recipe, image_shape: [1, 8, 8], draws }
}

fn trainer(recipe: &Distill, generator: Gaussian) -> Trainer<Gaussian> {
    let teacher = Gaussian::new(0.5, 0.25);
    let objective = Objective::new(recipe, &network());
    Trainer::new(recipe.clone(), objective, Networks::of(teacher, Some(generator)))
}

/// A generator that makes exactly N(0.5, 0.25) of unit noise at `init_sigma` 1: D = (v z + m) / (v + 1).
fn perfect() -> Gaussian {
    let v = 0.25 / (1.0 - 0.25);
    Gaussian::new(0.5 * (v + 1.0), v.sqrt())
}

fn values(tensor: Tensor<4>) -> Vec<f32> {
    tensor.into_data().try_into_vec().unwrap()
}

fn gradient(gradients: &Gradients, name: &str) -> f32 {
    gradients.get(name).unwrap().into_scalar()
}
