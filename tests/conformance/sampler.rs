//! Kind `sampler` of the fixtures' README: noise becomes images.

use burn::tensor::{DType, Device, Tensor, TensorData};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use sida::{
    checkpoint::ReferenceSnapshot,
    diffusion::{
        EdmSampler, MultiStep, OneStep, Rounding, Sampler,
        heun::{Denoise, Drawing, home},
        quantize::to_uint8,
        sample::ask,
    },
    nn::Condition,
    rng::TorchCpu,
};

use crate::{case::Case, network::Net};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sampled {
    net: Net,
    sampler: Named,
    record_calls: Vec<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Generated {
    sampler: Named,
    network_file: String,
    ema: Ema,
    png_names: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ema {
    class_name: String,
    init_args: Vec<Value>,
    init_kwargs: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(tag = "name", rename_all = "snake_case", deny_unknown_fields)]
enum Named {
    Edm(HeunSettings),
    Edm2 {
        guidance: f64,
        num_steps: u32,
        sigma_min: f64,
        sigma_max: f64,
        rho: f64,
        #[serde(rename = "S_churn")]
        s_churn: f64,
        #[serde(rename = "S_min")]
        s_min: f64,
        #[serde(rename = "S_max", deserialize_with = "finite")]
        s_max: Option<f64>,
        #[serde(rename = "S_noise")]
        s_noise: f64,
    },
    Onestep {
        init_sigma: f64,
    },
    Multistep {
        init_sigma: f64,
        num_steps: u32,
    },
    Generate {
        init_sigma: f64,
        class_idx: Option<usize>,
        seeds: Vec<u64>,
        rng: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HeunSettings {
    num_steps: u32,
    sigma_min: f64,
    sigma_max: f64,
    rho: f64,
    #[serde(rename = "S_churn")]
    s_churn: f64,
    #[serde(rename = "S_min")]
    s_min: f64,
    #[serde(rename = "S_max", deserialize_with = "finite")]
    s_max: Option<f64>,
    #[serde(rename = "S_noise")]
    s_noise: f64,
}

/// JSON cannot hold infinity: `"inf"` stands for it, and no limit for that.
fn finite<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::String(text) if text == "inf" => Ok(None),
        value => value.as_f64().map(Some).ok_or_else(|| serde::de::Error::custom("not a number")),
    }
}

impl Named {
    fn sampler(&self) -> Result<Sampler, String> {
        Ok(match *self {
            Self::Edm(HeunSettings {
                num_steps,
                sigma_min,
                sigma_max,
                rho,
                s_churn,
                s_min,
                s_max,
                s_noise,
            }) => Sampler::Edm(EdmSampler {
                num_steps,
                sigma_min,
                sigma_max,
                rho,
                s_churn,
                s_min,
                s_max,
                s_noise,
            }),
            Self::Edm2 { guidance, num_steps, sigma_min, sigma_max, rho, s_churn, s_min, s_max, s_noise } => {
                if guidance != 1.0 {
                    return Err(format!("guidance {guidance}: there is no second network"));
                }
                Sampler::Edm2(EdmSampler {
                    num_steps,
                    sigma_min,
                    sigma_max,
                    rho,
                    s_churn,
                    s_min,
                    s_max,
                    s_noise,
                })
            }
            Self::Onestep { init_sigma } | Self::Generate { init_sigma, .. } => {
                Sampler::OneStep(OneStep { init_sigma })
            }
            Self::Multistep { init_sigma, num_steps } => {
                Sampler::MultiStep(MultiStep { init_sigma, num_steps })
            }
        })
    }
}

pub fn run(case: &mut Case) -> Result<(), String> {
    if case.json["config"]["sampler"]["name"] == "generate" { generate(case) } else { sample(case) }
}

fn sample(case: &mut Case) -> Result<(), String> {
    let Sampled { net, sampler: named, record_calls } = case.config()?;
    let sampler = named.sampler()?;
    let device = crate::case::device();
    let weights = case.weights(None)?;
    let network = net.config()?.load(&weights, "the case", &device).map_err(|e| e.to_string())?;
    let latents = Tensor::<4>::from_data(case.tensor("in.latents")?, &device);
    let labels = case.optional("in.class_labels")?;
    let condition = Condition {
        class_labels: labels.map(|labels| Tensor::from_data(labels, &device)),
        augment_labels: None,
    };
    if case.has("aux.u") {
        let u = network.state_dict().get("u").cloned().ok_or("the network has no table of noise levels")?;
        case.check("aux.u", u)?;
    }

    let mut recorded = Recorded::of(case)?;
    let mut calls = Vec::new();
    let mut denoise = |x: Tensor<4>, sigma: f64| {
        calls.push((x.clone(), sigma));
        ask(&network, &device, &condition, x, sigma)
    };
    let denoise: &mut Denoise<'_> = &mut denoise;
    let mut fresh = |_: usize| recorded.next(&device);
    let x = sampler.walk(&network, latents, denoise, &mut fresh, Drawing::Always);
    let left = recorded.draws.len();
    case.expect(left == 0, || format!("{left} draws were not asked for"));

    for call in record_calls {
        let (x, sigma) = calls.get(call).ok_or(format!("there is no call {call}"))?;
        case.check(&format!("out.call{call}.x"), x.clone().into_data())?;
        case.check(&format!("out.call{call}.sigma"), TensorData::new(vec![*sigma], [1]))?;
    }
    if case.has("out.num_calls") {
        let count = TensorData::new(vec![calls.len() as i64], Vec::<usize>::new());
        case.check("out.num_calls", count)?;
    }
    let name = if case.has("out.x_f64") { "out.x_f64" } else { "out.x" };
    case.check(name, x.clone().into_data())?;
    for (name, rounding) in [("out.uint8", Rounding::Truncate), ("out.uint8_grid", Rounding::Nearest)] {
        if case.has(name) {
            case.check(name, to_uint8(x.clone(), rounding))?;
        }
    }
    Ok(())
}

/// The recorded draws, handed out in their order.
struct Recorded {
    draws: std::vec::IntoIter<TensorData>,
}

impl Recorded {
    fn of(case: &mut Case) -> Result<Self, String> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Drawn {
            name: String,
            #[serde(rename = "fn")]
            function: String,
        }
        let listed: Vec<Drawn> =
            serde_json::from_value(case.json["draws"].clone()).map_err(|e| format!("draws: {e}"))?;
        let mut draws = Vec::new();
        for Drawn { name, function } in listed {
            if function != "randn" {
                return Err(format!("`{name}` is drawn by `{function}`"));
            }
            draws.push(case.tensor(&name)?);
        }
        Ok(Self { draws: draws.into_iter() })
    }

    fn next(&mut self, device: &Device) -> Tensor<4> {
        let data = self.draws.next().expect("a recorded draw for every draw");
        let dtype = data.dtype();
        Tensor::from_data(data, (&home(dtype, device), dtype))
    }
}

/// From a snapshot and seeds to the files of the generation scripts.
fn generate(case: &mut Case) -> Result<(), String> {
    let Generated { sampler, network_file, ema, png_names } = case.config()?;
    let one_step = sampler.sampler()?;
    let Named::Generate { class_idx, seeds, rng, .. } = sampler else {
        return Err("not the sampler `generate`".to_owned());
    };
    if rng != "cpu" {
        return Err(format!("unknown rng `{rng}`"));
    }
    let device = crate::case::device();
    let snapshot = ReferenceSnapshot::open(case.dir.join(network_file)).map_err(|e| e.to_string())?;
    let found = snapshot.ema().map_err(|e| e.to_string())?;
    case.expect(found.class_name == ema.class_name, || format!("class `{}`", found.class_name));
    case.expect(found.init_args == ema.init_args, || format!("arguments {:?}", found.init_args));
    case.expect(found.init_kwargs == ema.init_kwargs, || format!("arguments {:?}", found.init_kwargs));
    let config = found.config().map_err(|e| e.to_string())?;
    let network = config.load(&found.state_dict, &found.origin, &device).map_err(|e| e.to_string())?;

    let (n, classes) = (seeds.len(), network.label_dim());
    let shape = [n, network.img_channels(), network.img_resolution(), network.img_resolution()];
    let mut unit = Vec::new();
    let mut drawn = Vec::new();
    for &seed in &seeds {
        let mut generator = TorchCpu::new(seed & 0xffff_ffff);
        unit.extend(generator.randn_f32(shape[1..].iter().product()));
        if classes > 0 {
            drawn.extend(generator.randint(1, classes as u64));
        }
    }
    let latents = TensorData::new(unit, shape);
    case.check("out.latents", latents.clone())?;
    let mut class_labels = None;
    if classes > 0 {
        let mut one_hot = vec![0f32; n * classes];
        for (row, class) in one_hot.chunks_mut(classes).zip(&drawn) {
            row[class_idx.unwrap_or(*class as usize)] = 1.0;
        }
        let one_hot = TensorData::new(one_hot, [n, classes]);
        case.check("out.drawn_class", TensorData::new(drawn, [n]))?;
        case.check("out.class_labels", one_hot.clone())?;
        class_labels = Some(Tensor::from_data(one_hot, &device));
    }
    let condition = Condition { class_labels, augment_labels: None };
    let latents = Tensor::from_data(latents, &device);
    let mut no_noise = |_: usize| unreachable!("one step draws nothing more");
    let images = one_step.sample(&network, &condition, latents, &mut no_noise, Drawing::Always);
    case.check("out.images", images.clone().into_data())?;
    let bytes = to_uint8(images, Rounding::Truncate);
    let hwc = Tensor::<4, burn::tensor::Int>::from_data(bytes.convert_dtype(DType::I64), &device);
    case.check("out.uint8", hwc.permute([0, 2, 3, 1]).into_data().convert_dtype(DType::U8))?;
    let names: Vec<String> = seeds.iter().map(|seed| format!("{seed:06}.png")).collect();
    case.expect(names == png_names, || format!("files {names:?}"));
    Ok(())
}
