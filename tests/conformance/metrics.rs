//! Kind `metrics` of the fixtures' README.

use burn::tensor::TensorData;
use serde::Deserialize;
use sida::metrics::{
    Divisor, Features, KernelPrecision, Moments, Statistics, Subset, frechet_distance, inception_score,
    kernel_distance, precision_recall,
};

use crate::{case::Case, compare::to_f64};

/// `config`, by metric.
#[derive(Deserialize)]
#[serde(tag = "metric", rename_all = "snake_case", deny_unknown_fields)]
enum Config {
    Fid {
        feature_dim: usize,
        num_gen: usize,
        num_real: usize,
    },
    Is {
        num_gen: usize,
        num_splits: usize,
    },
    Kid {
        num_gen: usize,
        num_real: usize,
        num_subsets: usize,
        max_subset_size: usize,
        #[expect(dead_code, reason = "the subsets are recorded")]
        numpy_seed: u64,
    },
    Pr {
        num_gen: usize,
        num_real: usize,
        nhood_size: usize,
    },
}

pub(crate) fn run(case: &mut Case) -> Result<(), String> {
    match case.config()? {
        Config::Fid { feature_dim, num_gen, num_real } => {
            let (generated, real) =
                (features(case, "in.gen_features", num_gen)?, features(case, "in.real_features", num_real)?);
            case.expect(generated.dim() == feature_dim, || "feature_dim".to_owned());
            fid(case, &generated, &real)?;
            published(case)
        }
        Config::Is { num_gen, num_splits } => {
            let probabilities = features(case, "in.probs", num_gen)?;
            let score = inception_score(&probabilities, num_splits).map_err(|e| e.to_string())?;
            case.check("out.is_mean", scalar(score.mean))?;
            case.check("out.is_std", scalar(score.std))
        }
        Config::Kid { num_gen, num_real, num_subsets, max_subset_size, .. } => {
            let (generated, real) =
                (features(case, "in.gen_features", num_gen)?, features(case, "in.real_features", num_real)?);
            let size = num_gen.min(num_real).min(max_subset_size);
            let subsets = subsets(case, num_subsets, size)?;
            for (name, precision) in
                [("out.kid", KernelPrecision::Single), ("out.kid_f64", KernelPrecision::Double)]
            {
                let kid =
                    kernel_distance(&generated, &real, &subsets, precision).map_err(|e| e.to_string())?;
                case.check(name, scalar(kid))?;
            }
            Ok(())
        }
        Config::Pr { num_gen, num_real, nhood_size } => {
            let (generated, real) =
                (features(case, "in.gen_features", num_gen)?, features(case, "in.real_features", num_real)?);
            let shares = precision_recall(&generated, &real, nhood_size).map_err(|e| e.to_string())?;
            case.check("out.precision", scalar(shares.precision))?;
            case.check("out.recall", scalar(shares.recall))
        }
    }
}

fn fid(case: &mut Case, generated: &Features, real: &Features) -> Result<(), String> {
    for (tool, divisor) in [("sid", Divisor::Population), ("edm", Divisor::Sample)] {
        let (generated, real) = (statistics(generated, divisor)?, statistics(real, divisor)?);
        for (whose, statistics) in [("gen", &generated), ("real", &real)] {
            check_statistics(case, tool, whose, statistics)?;
        }
        let distance = frechet_distance(&generated, &real).map_err(|e| e.to_string())?;
        case.check(&format!("out.fid_{tool}"), scalar(distance))?;
        case.check(&format!("out.fid_{tool}_eigh"), scalar(distance))?;
    }
    Ok(())
}

/// The reference's statistics of the real features in both public file formats.
fn published(case: &mut Case) -> Result<(), String> {
    let Some(files) = case.json["native_files"].as_object().cloned() else { return Ok(()) };
    for (format, file) in files {
        if !matches!(format.as_str(), "npz" | "pkl") {
            return Err(format!("unknown file format `{format}`"));
        }
        let file = file.as_str().ok_or("native_files: a name")?;
        let statistics = Statistics::open(&case.dir.join(file)).map_err(|e| e.to_string())?;
        check_statistics(case, "edm", "real", &statistics)?;
    }
    Ok(())
}

fn check_statistics(case: &mut Case, tool: &str, whose: &str, statistics: &Statistics) -> Result<(), String> {
    let d = statistics.dim();
    case.check(&format!("out.{tool}.mu_{whose}"), TensorData::new(statistics.mean.clone(), [d]))?;
    let covariance = (0..d * d).map(|i| statistics.covariance[(i / d, i % d)]).collect::<Vec<_>>();
    case.check(&format!("out.{tool}.sigma_{whose}"), TensorData::new(covariance, [d, d]))
}

fn features(case: &mut Case, name: &str, rows: usize) -> Result<Features, String> {
    let data = case.tensor(name)?;
    let shape: Vec<usize> = data.shape().to_vec();
    let [n, dim] = shape[..] else { return Err(format!("{name}: shape {shape:?}")) };
    case.expect(n == rows, || format!("{name}: {n} rows, the config says {rows}"));
    let values = data.try_into_vec::<f32>().map_err(|e| format!("{name}: {e:?}"))?;
    Features::from_rows(values, dim).map_err(|e| e.to_string())
}

fn statistics(features: &Features, divisor: Divisor) -> Result<Statistics, String> {
    let mut moments = Moments::new(features.dim());
    moments.extend(features.values());
    moments.statistics(divisor).map_err(|e| e.to_string())
}

fn subsets(case: &mut Case, count: usize, size: usize) -> Result<Vec<Subset>, String> {
    let mut indices = |name: &str| -> Result<Vec<Vec<usize>>, String> {
        let data = case.tensor(name)?;
        case.expect(data.shape().to_vec() == [count, size], || format!("{name}: {:?}", data.shape()));
        let values: Vec<usize> = to_f64(&data).into_iter().map(|i| i as usize).collect();
        Ok(values.chunks(size).map(<[usize]>::to_vec).collect())
    };
    let (generated, real) = (indices("draw.gen_idx")?, indices("draw.real_idx")?);
    Ok(generated.into_iter().zip(real).map(|(generated, real)| Subset { generated, real }).collect())
}

fn scalar(value: f64) -> TensorData {
    TensorData::new(vec![value], [0usize; 0])
}
