//! Kind `phema` of the fixtures' README.

use burn::tensor::TensorData;
use serde::Deserialize;
use sida::{
    diffusion::phema::{
        Profile, correlation, exp_to_std, power_function_beta, solve_posthoc_coefficients, std_to_exp,
    },
    kimg::Kimg,
    training::Ema,
};

use crate::{case::Case, compare::to_f64};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    emas: Vec<PowerFunction>,
    traditional: Vec<Traditional>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PowerFunction {
    name: String,
    stds: Vec<f64>,
    steps: usize,
    start_nimg: u64,
    batch_size: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Traditional {
    name: String,
    #[serde(rename = "halflife_Mimg")]
    halflife_mimg: f64,
    rampup_ratio: Option<f64>,
    steps: usize,
    start_nimg: u64,
    batch_size: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    std_to_exp: Vec<StdToExp>,
    beta: Vec<Beta>,
    correlation: Vec<Correlation>,
    posthoc: Vec<Posthoc>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StdToExp {
    std: f64,
    exp: f64,
    back: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "the names of the format")]
struct Beta {
    std: f64,
    t_next: u64,
    t_delta: u64,
    beta: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Correlation {
    a_ofs: u64,
    a_std: f64,
    b_ofs: u64,
    b_std: f64,
    value: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Posthoc {
    in_nimg: Vec<u64>,
    in_std: Vec<f64>,
    out_nimg: u64,
    out_std: Vec<f64>,
    coefs: Vec<Vec<f64>>,
    cond: f64,
}

/// `tolerances.scalars`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tolerances {
    std_to_exp: f64,
    beta: f64,
    correlation: f64,
    posthoc_coefs: String,
}

pub fn run(case: &mut Case) -> Result<(), String> {
    let config: Config = case.config()?;
    for ema in &config.emas {
        run_power_function(case, ema)?;
    }
    for ema in &config.traditional {
        run_traditional(case, ema)?;
    }
    check_expected(case)
}

/// `[steps + 1, ...]` weights to one average: `beta` of (images after the update).
fn average(
    weights: &TensorData,
    steps: usize,
    start_nimg: u64,
    batch_size: u64,
    beta: impl Fn(u64) -> Result<f64, String>,
) -> Result<TensorData, String> {
    let shape = weights.shape();
    if shape[0] != steps + 1 {
        return Err(format!("{} weights for {steps} steps", shape[0]));
    }
    let values = to_f64(weights);
    let mut rows = values.chunks(values.len() / (steps + 1));
    let mut ema = rows.next().ok_or("no initial weight")?.to_vec();
    let mut nimg = start_nimg;
    for row in rows {
        nimg += batch_size;
        let beta = beta(nimg)?;
        for (ema, weight) in ema.iter_mut().zip(row) {
            *ema += (1.0 - beta) * (weight - *ema);
        }
    }
    Ok(TensorData::new(ema, shape[1..].to_vec()))
}

fn run_power_function(case: &mut Case, ema: &PowerFunction) -> Result<(), String> {
    let weights = case.tensor(&format!("{}.in.weights", ema.name))?;
    for std in &ema.stds {
        let beta = |nimg| power_function_beta(*std, nimg, ema.batch_size).map_err(|e| e.to_string());
        let averaged = average(&weights, ema.steps, ema.start_nimg, ema.batch_size, beta)?;
        case.check(&format!("{}.out.ema_{std:.3}", ema.name), averaged)?;
    }
    Ok(())
}

fn run_traditional(case: &mut Case, ema: &Traditional) -> Result<(), String> {
    let weights = case.tensor(&format!("{}.in.weights", ema.name))?;
    let half_life_kimg = Kimg(ema.halflife_mimg * 1000.0);
    let half_life = Ema { half_life_kimg, rampup_ratio: ema.rampup_ratio };
    let beta = |nimg| Ok(half_life.beta(nimg, ema.batch_size));
    let averaged = average(&weights, ema.steps, ema.start_nimg, ema.batch_size, beta)?;
    case.check(&format!("{}.out.ema", ema.name), averaged)
}

fn check_expected(case: &mut Case) -> Result<(), String> {
    let parse = |value: &serde_json::Value| value.clone();
    let expected: Expected =
        serde_json::from_value(parse(&case.json["expected"])).map_err(|e| format!("expected: {e}"))?;
    let tolerances: Tolerances = serde_json::from_value(parse(case.extra_tolerance("scalars")))
        .map_err(|e| format!("tolerances.scalars: {e}"))?;
    if tolerances.posthoc_coefs != "max |a-b| <= 1e-12 * cond + 1e-9" {
        return Err(format!("unknown tolerance `{}`", tolerances.posthoc_coefs));
    }
    let mut near = |what: String, actual: f64, expected: f64, tol: f64| {
        // Absolute below 1: the digits of a tiny power are those of its exponent, which has a tolerance of its own.
        case.expect((actual - expected).abs() <= tol * expected.abs().max(1.0), || {
            format!("{what}: {actual:e}, recorded {expected:e}")
        });
    };
    let fail = |e: sida::Error| e.to_string();
    for e in &expected.std_to_exp {
        let exp = std_to_exp(e.std).map_err(fail)?;
        near(format!("std_to_exp({})", e.std), exp, e.exp, tolerances.std_to_exp);
        near(format!("exp_to_std({exp})"), exp_to_std(exp), e.back, tolerances.std_to_exp);
    }
    for e in &expected.beta {
        let beta = power_function_beta(e.std, e.t_next, e.t_delta).map_err(fail)?;
        near(format!("beta({}, {}, {})", e.std, e.t_next, e.t_delta), beta, e.beta, tolerances.beta);
    }
    for e in &expected.correlation {
        let a = Profile { nimg: e.a_ofs, std: e.a_std };
        let b = Profile { nimg: e.b_ofs, std: e.b_std };
        let value = correlation(a, b).map_err(fail)?;
        near(format!("correlation({a:?}, {b:?})"), value, e.value, tolerances.correlation);
    }
    for (i, e) in expected.posthoc.iter().enumerate() {
        let inputs = e.in_nimg.iter().zip(&e.in_std).map(|(&nimg, &std)| Profile { nimg, std });
        let inputs: Vec<_> = inputs.collect();
        let outputs: Vec<_> = e.out_std.iter().map(|&std| Profile { nimg: e.out_nimg, std }).collect();
        let coefficients = solve_posthoc_coefficients(&inputs, &outputs).map_err(fail)?;
        let shape_of = |m: &[Vec<f64>]| m.iter().map(Vec::len).collect::<Vec<_>>();
        if shape_of(&coefficients) != shape_of(&e.coefs) {
            return Err(format!("posthoc {i}: coefficients of another shape than recorded"));
        }
        let pairs = coefficients.iter().flatten().zip(e.coefs.iter().flatten());
        let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        let bound = 1e-12 * e.cond + 1e-9;
        case.expect(worst <= bound, || format!("posthoc {i}: off by {worst:e} > {bound:e}"));
    }
    Ok(())
}
