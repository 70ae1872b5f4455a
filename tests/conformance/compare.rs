//! The tolerances of a case and the metrics they name (section 1.1 of the fixtures' README).

use std::collections::BTreeMap;

use burn::tensor::TensorData;
use serde::Deserialize;

/// `tolerances`.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Tolerances {
    pub default: Option<Tolerance>,
    #[serde(default)]
    pub per_tensor: BTreeMap<String, Tolerance>,
}

/// One tolerance.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "metric", rename_all = "snake_case", deny_unknown_fields)]
pub enum Tolerance {
    Relmax {
        tol: f64,
    },
    RelmaxPerSample {
        tol: f64,
    },
    Maxabs {
        tol: f64,
    },
    Exact {
        #[serde(default)]
        #[expect(dead_code, reason = "always 0")]
        tol: f64,
    },
    Uint8 {
        max_abs: f64,
        max_frac_off: f64,
    },
}

impl Tolerances {
    /// The tolerance of one tensor; exact where the case names none.
    pub fn of(&self, name: &str) -> Tolerance {
        self.per_tensor.get(name).or(self.default.as_ref()).cloned().unwrap_or(Tolerance::Exact { tol: 0.0 })
    }
}

impl Tolerance {
    /// Compares a result with the recorded tensor; says by how much it is off.
    pub fn compare(&self, actual: &TensorData, expected: &TensorData) -> Result<(), String> {
        if actual.shape() != expected.shape() {
            return Err(format!("shape {:?}, recorded {:?}", actual.shape(), expected.shape()));
        }
        let (a, b) = (to_f64(actual), to_f64(expected));
        for (i, (x, y)) in a.iter().zip(&b).enumerate() {
            if x.is_nan() != y.is_nan() || (x.is_infinite() || y.is_infinite()) && x.to_bits() != y.to_bits()
            {
                return Err(format!("element {i} is {x}, recorded {y}"));
            }
        }
        let within = |error: f64, tol: f64, what: &str| {
            if error <= tol { Ok(()) } else { Err(format!("{what} {error:.3e} > {tol:.1e}")) }
        };
        match *self {
            Self::Relmax { tol } => within(relmax(&a, &b), tol, "relmax"),
            Self::RelmaxPerSample { tol } => {
                let n = expected.shape().iter().next().copied().unwrap_or(1).max(1);
                let size = (a.len() / n).max(1);
                let worst = a.chunks(size).zip(b.chunks(size)).map(|(a, b)| relmax(a, b)).fold(0.0, f64::max);
                within(worst, tol, "relmax_per_sample")
            }
            Self::Maxabs { tol } => within(max_difference(&a, &b), tol, "maxabs"),
            Self::Exact { .. } => {
                let off = a.iter().zip(&b).filter(|(x, y)| !(x.is_nan() && y.is_nan()) && x != y).count();
                if off == 0 {
                    Ok(())
                } else {
                    Err(format!(
                        "{off} of {} values differ, by {:.3e} at most",
                        a.len(),
                        max_difference(&a, &b)
                    ))
                }
            }
            Self::Uint8 { max_abs, max_frac_off } => {
                let off = a.iter().zip(&b).filter(|(x, y)| x != y).count();
                within(max_difference(&a, &b), max_abs, "uint8 max_abs")?;
                within(off as f64 / a.len().max(1) as f64, max_frac_off, "uint8 share off")
            }
        }
    }
}

/// Any numeric tensor as f64.
pub fn to_f64(data: &TensorData) -> Vec<f64> {
    data.clone().convert::<f64>().try_into_vec::<f64>().expect("f64 after conversion")
}

fn max_difference(a: &[f64], b: &[f64]) -> f64 {
    // Equal infinities were let through above; their difference is NaN, which `max` ignores.
    a.iter().zip(b).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max)
}

fn relmax(a: &[f64], b: &[f64]) -> f64 {
    let scale = b.iter().map(|y| y.abs()).filter(|y| y.is_finite()).fold(0.0, f64::max);
    let error = max_difference(a, b);
    if scale == 0.0 { error } else { error / scale }
}
