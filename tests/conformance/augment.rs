//! Kind `augment` of the fixtures' README.

use burn::tensor::Tensor;
use serde::Deserialize;
use sida::data::{Augment, AugmentDraw};

use crate::{case::Case, compare::to_f64};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    augment: Augment,
}

/// One entry of `draws`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Drawn {
    name: String,
    #[serde(rename = "fn")]
    _function: String,
    what: String,
}

pub fn run(case: &mut Case) -> Result<(), String> {
    let augment = case.config::<Config>()?.augment;
    let device = crate::case::device();
    let images = Tensor::<4>::from_data(case.tensor("in.images")?, &device);
    let mut draws = vec![AugmentDraw::default(); images.dims()[0]];
    let listed: Vec<Drawn> =
        serde_json::from_value(case.json["draws"].clone()).map_err(|e| format!("draws: {e}"))?;
    for drawn in listed {
        let values: Vec<f32> = to_f64(&case.tensor(&drawn.name)?).into_iter().map(|v| v as f32).collect();
        if !AugmentDraw::set(&mut draws, &drawn.what, &values) {
            return Err(format!("unknown draw `{}` of {} values", drawn.what, values.len()));
        }
    }
    let augmented = augment.apply(images, &draws);
    case.check("out.images", augmented.images.into_data())?;
    case.check("out.labels", augmented.labels.into_data())
}
