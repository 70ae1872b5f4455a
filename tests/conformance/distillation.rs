//! What the kinds `loss` and `trajectory` share: a recorded configuration as our recipe, recorded draws as micro-batches.

use burn::tensor::{DType, Device, Tensor, TensorData};
use serde::Deserialize;
use serde_json::{Value, json};
use sida::{
    data::{Augment, AugmentDraw},
    diffusion::LatentStatistics,
    diffusion::{LogNormal, noise_level::JUDGED},
    distill::{Distill, MicroBatch, Objective},
    nn::{Dropout, Network},
    seed::Phase,
    training::{Pass, Real},
};

use crate::{case::Case, compare::to_f64, network::Net};

/// The fields of `config` that both kinds have.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shared {
    pub family: Family,
    pub init_sigma: f64,
    pub alpha: f64,
    pub tmax: u32,
    pub use_gan: bool,
    pub return_logvar: bool,
    pub augment: Option<Augment>,
    pub loss_scaling: f64,
    #[serde(rename = "loss_scaling_G")]
    pub loss_scaling_generator: f64,
    #[serde(rename = "loss_scaling_D")]
    pub loss_scaling_discriminator: f64,
    #[serde(rename = "loss_scaling_G_gan")]
    pub loss_scaling_adversarial: f64,
    pub loss: Loss,
    pub nets: Nets,
    pub batch_gpu_total: u32,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    Edm,
    Edm2,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loss {
    pub class: LossClass,
    #[serde(rename = "P_mean")]
    pub p_mean: f64,
    #[serde(rename = "P_std")]
    pub p_std: f64,
    pub sigma_data: f64,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub enum LossClass {
    #[serde(rename = "SID_EDMLoss")]
    Sid,
    #[serde(rename = "SIDA_EDMLoss")]
    Sida,
    #[serde(rename = "SIDA_EDM_2_Loss")]
    SidaEdm2,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nets {
    pub true_score: Net,
    pub fake_score: Net,
    #[serde(rename = "G")]
    pub generator: Net,
}

/// One entry of `draws`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drawn {
    pub name: String,
    #[serde(rename = "fn")]
    pub function: String,
    pub what: String,
}

/// The case's `config` in two parts: the shared fields, and those that the kind names.
pub fn split<T: for<'de> Deserialize<'de>>(case: &Case, own: &[&str]) -> Result<(Shared, T), String> {
    let Value::Object(mut shared) = case.json["config"].clone() else {
        return Err("config is not an object".to_owned());
    };
    let mut kinds_own = serde_json::Map::new();
    for &name in own {
        if let Some(value) = shared.shift_remove(name) {
            kinds_own.insert(name.to_owned(), value);
        }
    }
    let read = |e: serde_json::Error| format!("config: {e}");
    Ok((
        serde_json::from_value(Value::Object(shared)).map_err(read)?,
        serde_json::from_value(Value::Object(kinds_own)).map_err(read)?,
    ))
}

/// The networks of a case.
pub struct Networks {
    pub teacher: Network,
    pub fake_score: Network,
    pub generator: Network,
}

impl Shared {
    /// The recipe that a pipeline would hold; `more` overrides parts of it.
    pub fn recipe(&self, more: Value) -> Result<Distill, String> {
        let expected = match (self.family, self.use_gan) {
            (Family::Edm2, _) => [LossClass::SidaEdm2; 2],
            (Family::Edm, true) => [LossClass::Sida; 2],
            (Family::Edm, false) => [LossClass::Sid, LossClass::Sida],
        };
        if !expected.contains(&self.loss.class) {
            return Err(format!(
                "loss class {:?} for family {:?}, use_gan {}",
                self.loss.class, self.family, self.use_gan
            ));
        }
        let method = if self.use_gan {
            json!({ "sida": { "alpha": self.alpha, "tmax": self.tmax, "adversarial": {
                "discriminator_weight": self.loss_scaling_discriminator,
                "generator_weight": self.loss_scaling_adversarial,
                "generator_starts_at_kimg": 0, "starts_at_kimg": 0,
            }}})
        } else {
            json!({ "sid": { "alpha": self.alpha, "tmax": self.tmax } })
        };
        let flag = |net: &Net, name: &str| net.argument(name).and_then(Value::as_bool);
        let force_normalization = flag(&self.nets.generator, "force_normalization").unwrap_or(false);
        let mut recipe = json!({
            "teacher": "teacher",
            "method": method,
            "generator": { "init_sigma": self.init_sigma, "loss_scale": self.loss_scaling_generator },
            "fake_score": {
                "loss_scale": self.loss_scaling, "p_mean": self.loss.p_mean, "p_std": self.loss.p_std,
            },
            "edm2": { "weight_by_logvar": self.return_logvar, "force_normalization": force_normalization },
            "batch_size": self.batch_gpu_total,
        });
        merge(&mut recipe, more);
        serde_json::from_value(recipe).map_err(|e| format!("recipe: {e}"))
    }

    /// What the recipe means for the case's networks.
    pub fn objective(&self, recipe: &Distill) -> Result<Objective, String> {
        let network = self.nets.fake_score.config()?;
        if network.is_edm2() != (self.family == Family::Edm2) {
            return Err(format!("family {:?} with other networks", self.family));
        }
        let mut objective = Objective::new(recipe, &network);
        objective.fake_score.sigma_data = self.loss.sigma_data;
        Ok(objective)
    }

    /// The networks with the recorded weights.
    pub fn networks(&self, case: &mut Case, device: &Device) -> Result<Networks, String> {
        let mut load = |net: &Net, which: &str| {
            let weights = case.weights(Some(which))?;
            net.config()?.load(&weights, which, device).map_err(|e| e.to_string())
        };
        Ok(Networks {
            teacher: load(&self.nets.true_score, "true")?,
            fake_score: load(&self.nets.fake_score, "fake")?,
            generator: load(&self.nets.generator, "G")?,
        })
    }

    /// One recorded round: `prefix` is `fs` or `it0.g.r1`.
    pub fn micro_batch(
        &self,
        case: &mut Case,
        prefix: &str,
        phase: Phase,
        device: &Device,
    ) -> Result<MicroBatch, String> {
        let draws: Vec<Drawn> = serde_json::from_value(case.json["draws"][prefix].clone())
            .map_err(|e| format!("draws of {prefix}: {e}"))?;
        let mut latents = None;
        let mut latent_eps = None;
        let mut sigma = None;
        let mut noise = None;
        let mut augmented: [Vec<AugmentDraw>; 2] = [Vec::new(), Vec::new()];
        for drawn in draws {
            let data = case.tensor(&drawn.name)?;
            let values: Vec<f32> = to_f64(&data).into_iter().map(|v| v as f32).collect();
            let column = || {
                let data = TensorData::new(values.clone(), [values.len(), 1, 1, 1]);
                Tensor::<4>::from_data(data, device)
            };
            let image = |data: TensorData| Some(Tensor::<4>::from_data(data, device));
            match (drawn.what.as_str(), drawn.function.as_str()) {
                ("z_unit", "randn") => latents = image(data),
                ("latent_eps", "randn") => latent_eps = image(data),
                ("noise_unit", "randn") => noise = image(data),
                ("rnd_normal", "randn") if phase == Phase::FakeScore => {
                    let (p_mean, p_std) = (self.loss.p_mean, self.loss.p_std);
                    sigma = Some(LogNormal { p_mean, p_std }.levels(column()));
                }
                ("rnd_t", "rand") if phase == Phase::Generator => {
                    sigma = Some(JUDGED.levels_up_to(self.tmax, column()));
                }
                (what, _) => {
                    let (side, quantity) = match what.split_once('.') {
                        Some(("augment_fake", quantity)) => (0, quantity),
                        Some(("augment_real", quantity)) => (1, quantity),
                        _ => return Err(format!("unknown draw `{what}` in {prefix}")),
                    };
                    if augmented[side].is_empty() {
                        let n = latents.as_ref().map_or(0, |z: &Tensor<4>| z.dims()[0]);
                        augmented[side] = vec![AugmentDraw::default(); n];
                    }
                    if !crate::augment::set(&mut augmented[side], quantity, &values) {
                        return Err(format!("draw `{what}` of {} values in {prefix}", values.len()));
                    }
                }
            }
        }
        let missing = |what: &str| format!("{prefix} has no draw `{what}`");
        let [fake, real] = augmented;
        let latents = latents.ok_or_else(|| missing("z_unit"))?;
        let [_, c, h, w] = latents.dims();
        let augmentation = |draws: Vec<AugmentDraw>| {
            let augment = self.augment.as_ref().filter(|_| !draws.is_empty());
            augment.map(|augment| augment.drawn(&draws, [c, h, w], device))
        };
        if phase == Phase::FakeScore && self.augment.is_some() == fake.is_empty() {
            return Err(format!("{prefix} has draws for {} augmented images", fake.len()));
        }
        let real = if self.use_gan && phase == Phase::FakeScore {
            let images = self.real_images(case.tensor(&format!("{prefix}.batch"))?, latent_eps, device)?;
            Some(Real::new(images, augmentation(real)))
        } else {
            None
        };
        let labels = case.optional(&format!("{prefix}.labels"))?;
        let labels =
            labels.map(|data| Tensor::<2>::from_data(data, device)).filter(|labels| labels.dims()[1] > 0);
        Ok(MicroBatch {
            latents,
            step_noise: Vec::new(),
            pass: Pass {
                sigma: sigma.ok_or_else(|| missing("rnd_normal or rnd_t"))?,
                noise: noise.ok_or_else(|| missing("noise_unit"))?,
                class_labels: labels,
                // The recorded networks have none.
                dropout: Dropout::Off,
            },
            augmentation: augmentation(fake),
            real,
            real_dropout: Dropout::Off,
        })
    }

    /// Images as networks see them, from uint8 pixels or raw latents.
    fn real_images(
        &self,
        batch: TensorData,
        eps: Option<Tensor<4>>,
        device: &Device,
    ) -> Result<Tensor<4>, String> {
        let batch = Tensor::<4>::from_data(batch.convert_dtype(DType::F32), device);
        match self.family {
            Family::Edm => Ok(batch / 127.5 - 1.0),
            Family::Edm2 => {
                let statistics = LatentStatistics::from(&sida::diffusion::StabilityVae::default());
                Ok(statistics.finish(batch, eps.ok_or("no draw `latent_eps`")?))
            }
        }
    }
}

/// Puts the values of `more` into `into`, object by object.
fn merge(into: &mut Value, more: Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (key, value) in more {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, more) => *into = more,
    }
}
