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
        if !set(&mut draws, &drawn.what, &values) {
            return Err(format!("unknown draw `{}` of {} values", drawn.what, values.len()));
        }
    }
    let augmented = augment.apply(images, &draws);
    case.check("out.images", augmented.images.into_data())?;
    case.check("out.labels", augmented.labels.into_data())
}

/// Sets one quantity of a whole batch by the reference's name for it (`scale.w`, `aniso.rotate_u`, ...).
/// `values` has one number per sample; `translate_frac.w` has all x first, then all y.
/// Returns whether there is such a quantity and the count fits.
pub fn set(batch: &mut [AugmentDraw], what: &str, values: &[f32]) -> bool {
    let n = batch.len();
    let per_sample = if what == "translate_frac.w" { 2 } else { 1 };
    if values.len() != n * per_sample {
        return false;
    }
    for (i, draw) in batch.iter_mut().enumerate() {
        let value = values[i];
        match what {
            "xflip.w" => draw.xflip_w = value == 1.0,
            "xflip.u" => draw.xflip_u = value,
            "yflip.w" => draw.yflip_w = value == 1.0,
            "yflip.u" => draw.yflip_u = value,
            "scale.w" => draw.scale_w = value,
            "scale.u" => draw.scale_u = value,
            "rotate_frac.w" => draw.rotate_frac_w = value,
            "rotate_frac.u" => draw.rotate_frac_u = value,
            "aniso.w" => draw.aniso_w = value,
            "aniso.r" => draw.aniso_r = value,
            "aniso.u" => draw.aniso_u = value,
            "aniso.rotate_u" => draw.aniso_rotate_u = value,
            "translate_frac.w" => draw.translate_frac_w = [value, values[n + i]],
            "translate_frac.u" => draw.translate_frac_u = value,
            _ => return false,
        }
    }
    true
}
