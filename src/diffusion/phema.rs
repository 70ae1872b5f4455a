//! Post-hoc EMA (Karras et al., "Analyzing and Improving the Training Dynamics of Diffusion Models", section 3):
//! power-function EMA profiles, and any width of them rebuilt after training from a few stored ones.

use burn::tensor::TensorData;
use faer::{Mat, linalg::solvers::Solve};

use crate::{Error, Result, state_dict::StateDict};

/// One averaging profile: how wide, and at which point of training it ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Profile {
    /// Images seen in training when the average was taken.
    pub nimg: u64,
    /// Width, as the standard deviation relative to the length of training so far.
    pub std: f64,
}

/// The exponent gamma of the profile of relative width `std`: weights proportional to t^gamma.
/// The largest real root of (g + 2)^2 (g + 3) = (g + 1) / std^2.
///
/// # Errors
///
/// Widths that no power function has: not above 0, or above about 0.3003.
pub fn std_to_exp(std: f64) -> Result<f64> {
    /// Where the width is largest: the root of g^2 + 3 g + 1.
    const WIDEST: f64 = -0.381_966_011_250_105_15;
    if !(std > 0.0 && std <= exp_to_std(WIDEST)) {
        let widest = exp_to_std(WIDEST);
        return Err(Error::Unusable(format!(
            "no power-function EMA has the relative width {std}: it must be above 0 and at most {widest:.4}"
        )));
    }
    let t = std.powi(-2);
    // From the right of all roots, where the cubic is convex, Newton's steps go straight down to the largest.
    let mut g = 1.0 / std;
    for _ in 0..200 {
        let value = ((g + 7.0) * g + 16.0 - t) * g + 12.0 - t;
        let slope = (3.0 * g + 14.0) * g + 16.0 - t;
        let next = g - value / slope;
        if next.is_nan() || next >= g {
            break;
        }
        g = next;
    }
    Ok(g)
}

/// The relative width of the profile t^exp.
pub fn exp_to_std(exp: f64) -> f64 {
    ((exp + 1.0) / ((exp + 2.0).powi(2) * (exp + 3.0))).sqrt()
}

/// The decay of one update of a power-function EMA, `ema = ema + (1 - beta) (w - ema)`, which brings the count of
/// images to `nimg` by `batch_size`.
///
/// # Errors
///
/// As for `std_to_exp`.
pub fn power_function_beta(std: f64, nimg: u64, batch_size: u64) -> Result<f64> {
    let exp = std_to_exp(std)?;
    Ok((1.0 - batch_size as f64 / nimg as f64).powf(exp + 1.0))
}

/// The inner product of two averaging profiles.
///
/// # Errors
///
/// As for `std_to_exp`.
pub fn correlation(a: Profile, b: Profile) -> Result<f64> {
    Ok(inner_product((a.nimg as f64, std_to_exp(a.std)?), (b.nimg as f64, std_to_exp(b.std)?)))
}

/// Of two profiles as (end, exponent).
fn inner_product((a, p): (f64, f64), (b, q): (f64, f64)) -> f64 {
    let exponent = if a < b { q } else { -p };
    (p + 1.0) * (q + 1.0) * (a / b).powf(exponent) / ((p + q + 1.0) * a.max(b))
}

/// The combination of the stored profiles `inputs` that comes closest to each of `outputs` in the least-squares
/// sense. => `[inputs][outputs]`; every column sums to one
///
/// # Errors
///
/// Widths out of range, no inputs, or inputs that are not distinct.
pub fn solve_posthoc_coefficients(inputs: &[Profile], outputs: &[Profile]) -> Result<Vec<Vec<f64>>> {
    let with_exponents = |profiles: &[Profile]| -> Result<Vec<(f64, f64)>> {
        profiles.iter().map(|p| Ok((p.nimg as f64, std_to_exp(p.std)?))).collect()
    };
    let (ins, outs) = (with_exponents(inputs)?, with_exponents(outputs)?);
    let repeated = inputs.iter().enumerate().any(|(i, a)| inputs[..i].contains(a));
    if ins.is_empty() || repeated {
        let problem =
            "post-hoc EMA needs stored averages that all differ in their width or their point in training";
        return Err(Error::Unusable(problem.to_owned()));
    }
    let gram = Mat::from_fn(ins.len(), ins.len(), |i, j| inner_product(ins[i], ins[j]));
    let target = Mat::from_fn(ins.len(), outs.len(), |i, j| inner_product(ins[i], outs[j]));
    let solution = gram.partial_piv_lu().solve(&target);
    let sums: Vec<f64> = (0..outs.len()).map(|j| (0..ins.len()).map(|i| solution[(i, j)]).sum()).collect();
    Ok((0..ins.len()).map(|i| (0..outs.len()).map(|j| solution[(i, j)] / sums[j]).collect()).collect())
}

/// The weights of the profile `output`, from stored averages of the same training. Sums are taken in f64;
/// tensors that are the same in all stored averages (constants) stay exactly that.
///
/// # Errors
///
/// As for `solve_posthoc_coefficients`, and stored averages that do not hold the same tensors.
pub fn reconstruct(stored: &[(Profile, &StateDict)], output: Profile) -> Result<StateDict> {
    let profiles: Vec<Profile> = stored.iter().map(|(profile, _)| *profile).collect();
    let coefficients = solve_posthoc_coefficients(&profiles, &[output])?;
    let (_, first) = stored[0];
    if let Some((profile, _)) = stored.iter().find(|(_, dict)| dict.len() != first.len()) {
        return Err(differ(*profile, "number of tensors"));
    }
    let mut result = StateDict::with_capacity(first.len());
    for (name, like) in first {
        let mut parts = Vec::with_capacity(stored.len());
        for (profile, dict) in stored {
            let part = dict.get(name).ok_or_else(|| differ(*profile, name))?;
            if part.shape() != like.shape() {
                return Err(differ(*profile, name));
            }
            parts.push(part);
        }
        let combined = if parts.iter().all(|part| *part == like) {
            like.clone()
        } else {
            combine(&parts, coefficients.iter().map(|row| row[0]))
        };
        result.insert(name.clone(), combined);
    }
    Ok(result)
}

/// The weighted sum of tensors of one shape, in f32.
fn combine(parts: &[&TensorData], coefficients: impl Iterator<Item = f64>) -> TensorData {
    let mut sum = vec![0f64; parts[0].shape().num_elements()];
    for (part, coefficient) in parts.iter().zip(coefficients) {
        let values = (*part).clone().convert::<f64>();
        for (sum, value) in sum.iter_mut().zip(values.iter::<f64>()) {
            *sum += coefficient * value;
        }
    }
    let sum: Vec<f32> = sum.into_iter().map(|value| value as f32).collect();
    TensorData::new(sum, parts[0].shape().clone())
}

fn differ(profile: Profile, what: &str) -> Error {
    let Profile { nimg, std } = profile;
    Error::Unusable(format!(
        "the stored average of width {std} at {nimg} images is of another network than the first: `{what}` differs"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn width_and_exponent_are_inverse() {
        for std in [0.001, 0.01, 0.05, 0.1, 0.135, 0.2, 0.28, 0.2886, 0.295, 0.3] {
            let exp = std_to_exp(std).unwrap();
            assert!((exp_to_std(exp) - std).abs() < 1e-12, "{std} -> {exp}");
        }
        // sqrt(1 / 12) is the width of the plain average.
        assert!(std_to_exp((1f64 / 12.0).sqrt()).unwrap().abs() < 1e-9);
        for std in [0.0, -0.1, 0.31, f64::NAN] {
            assert!(std_to_exp(std).is_err());
        }
    }

    /// Updating step by step is the same as summing with weights proportional to the increase of t^(gamma + 1).
    #[test]
    fn updates_are_the_power_function_average() {
        let (std, batch) = (0.1, 64u64);
        let exp = std_to_exp(std).unwrap();
        let signal = |step: u64| ((step * 37) % 11) as f64;
        let steps = 50;
        let mut ema = 123.0; // The first beta is zero: the start is forgotten.
        for step in 1..=steps {
            let beta = power_function_beta(std, step * batch, batch).unwrap();
            ema += (1.0 - beta) * (signal(step) - ema);
        }
        let power = |step: u64| (step as f64 / steps as f64).powf(exp + 1.0);
        let direct: f64 = (1..=steps).map(|step| (power(step) - power(step - 1)) * signal(step)).sum();
        assert!((ema - direct).abs() < 1e-9, "{ema} {direct}");
    }

    /// Against numerical integration of the product of two densities (p + 1) t^p / a^(p + 1).
    #[test]
    fn correlation_is_the_integral_of_the_product() {
        for (a, b) in [((1000, 0.05), (2000, 0.1)), ((2000, 0.1), (2000, 0.05)), ((4000, 0.15), (1500, 0.1))]
        {
            let [a, b] = [a, b].map(|(nimg, std)| Profile { nimg, std });
            let density = |p: Profile, t: f64| {
                let exp = std_to_exp(p.std).unwrap();
                (exp + 1.0) * (t / p.nimg as f64).powf(exp) / p.nimg as f64
            };
            let end = a.nimg.min(b.nimg) as f64;
            let n = 20_000;
            let step = end / f64::from(n);
            let integral: f64 = (0..n)
                .map(|i| (f64::from(i) + 0.5) * step)
                .map(|t| density(a, t) * density(b, t) * step)
                .sum();
            let closed = correlation(a, b).unwrap();
            assert!((closed / integral - 1.0).abs() < 1e-5, "{closed} {integral}");
        }
    }

    /// Stored averages of a smooth path of weights give back the average of another width.
    #[test]
    fn reconstruction_finds_the_average_of_another_width() {
        let (batch, steps) = (1u64, 4096u64);
        let weight = |step: u64| (step as f64 / 700.0).sin() + 2.0;
        let average = |std: f64, until: u64| {
            (1..=until).fold(0.0, |ema, step| {
                let beta = power_function_beta(std, step * batch, batch).unwrap();
                ema + (1.0 - beta) * (weight(step) - ema)
            })
        };
        let mut stored = Vec::new();
        for nimg in (1..=8).map(|i| i * steps / 8) {
            for std in [0.05, 0.1] {
                let of = |value: f64| TensorData::new(vec![value as f32], [1]);
                let dict = StateDict::from_iter([
                    ("w".to_owned(), of(average(std, nimg))),
                    ("constant".to_owned(), of(0.1)),
                ]);
                stored.push((Profile { nimg, std }, dict));
            }
        }
        let stored: Vec<_> = stored.iter().map(|(profile, dict)| (*profile, dict)).collect();
        let rebuilt = reconstruct(&stored, Profile { nimg: steps, std: 0.075 }).unwrap();
        let found: f64 = rebuilt["w"].iter::<f64>().next().unwrap();
        assert!((found - average(0.075, steps)).abs() < 2e-3, "{found} {}", average(0.075, steps));
        assert_eq!(rebuilt["constant"], stored[0].1["constant"]);
    }

    #[test]
    fn a_stored_profile_is_given_back() {
        let profiles = [(1000, 0.05), (1000, 0.1), (2000, 0.05)].map(|(nimg, std)| Profile { nimg, std });
        let coefficients = solve_posthoc_coefficients(&profiles, &profiles[1..2]).unwrap();
        for (row, expected) in coefficients.iter().zip([0.0, 1.0, 0.0]) {
            assert!((row[0] - expected).abs() < 1e-9);
        }
        assert!(solve_posthoc_coefficients(&[profiles[0], profiles[0]], &profiles[1..]).is_err());
    }
}
