//! Kind `inception` of the fixtures' README.

use burn::tensor::{DType, Tensor, TensorData};
use serde::Deserialize;
use sida::nn::{InceptionInput, InceptionV3};

use crate::case::Case;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    variants: Vec<Variant>,
    bn_eps: f64,
    num_classes: usize,
    resized_rows: Vec<usize>,
    sizes: Vec<usize>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Variant {
    Tf,
    PytorchFid,
}

pub fn run(case: &mut Case) -> Result<(), String> {
    let config: Config = case.config()?;
    if (config.bn_eps - 0.001).abs() > 1e-12 || config.num_classes != 1008 {
        return Err(format!("not the FID network: eps {}, {} classes", config.bn_eps, config.num_classes));
    }
    let device = crate::case::device();
    let mut weights = case.weights(None)?;
    // Published files may hold such counters.
    weights.insert("Conv2d_1a_3x3.bn.num_batches_tracked".to_owned(), TensorData::from([0i64]));
    let network = InceptionV3::load(&weights, "the case", &device).map_err(|e| e.to_string())?;
    for size in config.sizes {
        let images = case.tensor(&format!("{size}px.in.images"))?.convert_dtype(DType::F32);
        let images = Tensor::<4>::from_data(images, &device);
        for variant in &config.variants {
            match variant {
                Variant::Tf => check_tf(case, &network, images.clone(), size, &config.resized_rows)?,
                Variant::PytorchFid => {
                    let outputs = network.outputs(images.clone(), InceptionInput::PytorchFid);
                    case.check(&format!("{size}px.out.pytorch_fid.2048"), outputs.features_2048.into_data())?;
                }
            }
        }
    }
    Ok(())
}

fn check_tf(
    case: &mut Case,
    network: &InceptionV3,
    images: Tensor<4>,
    size: usize,
    rows: &[usize],
) -> Result<(), String> {
    let resized = InceptionInput::Tensorflow.resize(images.clone());
    let rows = Tensor::cat(rows.iter().map(|&row| resized.clone().narrow(2, row, 1)).collect(), 2);
    let outputs = network.outputs(images, InceptionInput::Tensorflow);
    for (name, actual) in [
        ("64", outputs.features_64),
        ("192", outputs.features_192),
        ("768", outputs.features_768),
        ("2048", outputs.features_2048),
        ("logits", outputs.logits),
        ("logits_unbiased", outputs.logits_unbiased),
        ("probs_no_bias", outputs.probs_no_bias),
    ] {
        case.check(&format!("{size}px.out.tf.{name}"), actual.into_data())?;
    }
    case.check(&format!("{size}px.out.tf.resized_rows"), rows.into_data())
}
