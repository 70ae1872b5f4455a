//! Kind `loss` of the fixtures' README: one fake score phase and one generator phase.

use std::{collections::BTreeMap, sync::Arc};

use burn::tensor::{Tensor, TensorData};
use serde::Deserialize;
use sida::{
    distill::{Kept, Learning, MicroBatch, Objective, frozen},
    kernels::WeightOrder,
    nn::{Denoiser, Network},
    seed::Phase,
    training::{GradientSum, Gradients, Layout},
};

use crate::{
    case::Case,
    compare::to_f64,
    distillation::{Shared, split},
    network::reshaped,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Own {
    gan_active: bool,
    #[serde(default)]
    nan_z: Vec<[usize; 4]>,
}

pub fn run(case: &mut Case) -> Result<(), String> {
    let (shared, own): (Shared, Own) = split(case, &["gan_active", "nan_z"])?;
    let recipe = shared.recipe(serde_json::json!({}))?;
    let objective = shared.objective(&recipe)?;
    let device = crate::case::device();
    let batch_size = f64::from(shared.batch_gpu_total);
    let batch = |case: &mut Case, prefix: &str, phase: Phase| {
        let mut batch = shared.micro_batch(case, prefix, phase, &device)?;
        batch.latents = poison(batch.latents, &own.nan_z);
        Ok::<MicroBatch, String>(batch)
    };

    let networks = shared.networks(case, &device)?;
    let fake_score = normalised(&networks.fake_score, objective.forced_normalization.fake_score);
    let micro_batch = batch(case, "fs", Phase::FakeScore)?;
    let round = objective
        .fake_score_round(&networks.generator, &fake_score, &micro_batch, batch_size)
        .map_err(|e| e.to_string())?;
    let kept = &round.terms.kept;
    case.check("fs.out.images", round.images.into_data())?;
    case.check("fs.out.loss", rows(kept, round.terms.score))?;
    scalar(case, "fs.out.scalar.loss", Some(round.loss))?;
    term(case, "fs.out.loss_D", kept, round.terms.adversarial)?;
    scalar(case, "fs.out.scalar.loss_D", round.adversarial_loss)?;
    gradients(case, "fs", &fake_score, round.gradients)?;
    changed_in_place(case, "fs", &networks.fake_score, &fake_score)?;

    let generator = normalised(&networks.generator, objective.forced_normalization.generator);
    let micro_batch = batch(case, "g", Phase::Generator)?;
    let learning = if own.gan_active { Learning::ScoreAndAdversarial } else { Learning::Score };
    let (teacher, fake_score) = (frozen(&networks.teacher), frozen(&networks.fake_score));
    let round =
        objective.generator_round(&generator, &teacher, &fake_score, &micro_batch, learning, batch_size);
    let kept = &round.terms.kept;
    case.check("g.out.images", round.images.inner().into_data())?;
    case.check("g.out.loss", rows(kept, round.terms.score))?;
    scalar(case, "g.out.scalar.loss", Some(round.loss))?;
    term(case, "g.out.loss_gan", kept, round.terms.adversarial)?;
    scalar(case, "g.out.scalar.loss_gan", round.adversarial_loss)?;
    gradients(case, "g", &generator, round.gradients)?;
    changed_in_place(case, "g", &networks.generator, &generator)?;
    demand_adversarial(case, &objective);
    Ok(())
}

fn poison(latents: Tensor<4>, places: &[[usize; 4]]) -> Tensor<4> {
    places.iter().fold(latents, |latents, &[n, c, y, x]| {
        let nan = Tensor::<4>::from_data([[[[f32::NAN]]]], &latents.device());
        latents.slice_assign([n..n + 1, c..c + 1, y..y + 1, x..x + 1], nan)
    })
}

fn normalised(network: &Network, forced: bool) -> Network {
    if forced { network.clone().force_weight_normalization() } else { network.clone() }
}

/// The rows of the samples that took part.
fn rows(kept: &Kept, values: Tensor<4>) -> TensorData {
    let dropped = to_f64(&kept.dropped().into_data());
    let values = values.inner();
    let rows = (0..values.dims()[0]).filter(|&i| dropped[i] == 0.0);
    Tensor::cat(rows.map(|i| values.clone().narrow(0, i, 1)).collect(), 0).into_data()
}

/// A term that exists where there is an adversarial term.
fn term(case: &mut Case, name: &str, kept: &Kept, values: Option<Tensor<4>>) -> Result<(), String> {
    match values {
        Some(values) => case.check(name, rows(kept, values)),
        None => Ok(()),
    }
}

fn scalar(case: &mut Case, name: &str, value: Option<Tensor<1>>) -> Result<(), String> {
    match value {
        Some(value) => case.check(name, reshaped(value.inner().into_data(), &[])),
        None => Ok(()),
    }
}

fn demand_adversarial(case: &mut Case, objective: &Objective) {
    let recorded = case.has("fs.out.loss_D") && case.has("g.out.loss_gan");
    let ours = objective.generator.adversarial;
    case.expect(recorded == ours, || format!("an adversarial term: {ours}, recorded {recorded}"));
}

/// `<phase>.grad.*`, which parameters have none, which held a NaN, and the distance of all of them together.
fn gradients(case: &mut Case, phase: &str, network: &Network, found: Gradients) -> Result<(), String> {
    let (found, unread) = GradientSum::of(&Arc::new(Layout::of(network)), found).sanitize(None);
    let sanitized = unread.sanitized(&mut to_f64(&unread.numbers().into_data()).into_iter());
    let names = |list: &str| -> Result<Vec<String>, String> {
        let names = case.json[list][phase].clone();
        let mut names: Vec<String> =
            serde_json::from_value(names).map_err(|e| format!("{list}.{phase}: {e}"))?;
        names.sort();
        Ok(names)
    };
    let (none, nan) = (names("none_grads")?, names("nan_grads")?);
    let mut nan_found = sanitized.nan;
    nan_found.sort();
    case.expect(nan_found == nan, || {
        format!("{phase}: {} gradients held a NaN, recorded {}", nan_found.len(), nan.len())
    });
    let shapes: BTreeMap<String, Vec<usize>> =
        network.entries().iter().map(|e| (e.name.clone(), e.shape.clone())).collect();
    let mut none_found = Vec::new();
    let (mut distance, mut length) = (0.0, 0.0);
    for name in network.parameter_names() {
        let Some(gradient) = found.get(&name) else {
            none_found.push(name);
            continue;
        };
        let listed = format!("{phase}.grad.{name}");
        // As they lie on the device, and then as the shape says.
        let lying = gradient.into_data().try_to_vec::<f32>().map_err(|e| format!("{listed}: {e:?}"))?;
        let order = WeightOrder::of(&crate::case::device());
        let gradient = TensorData::new(order.rows(&lying, &shapes[&name]), shapes[&name].clone());
        let recorded = to_f64(&case.tensor(&listed)?);
        for (a, b) in to_f64(&gradient).iter().zip(&recorded) {
            distance += (a - b).powi(2);
            length += b * b;
        }
        case.check(&listed, gradient)?;
    }
    none_found.sort();
    case.expect(none_found == none, || {
        format!("{phase}: without gradient {none_found:?}, recorded {none:?}")
    });
    let distance = if length > 0.0 { (distance / length).sqrt() } else { f64::sqrt(distance) };
    let tolerance = case.extra_tolerance("grad_l2")[phase].as_f64().ok_or("no tolerance grad_l2")?;
    case.expect(distance <= tolerance, || format!("{phase}: grad_l2 {distance:.3e} > {tolerance:.1e}"));
    Ok(())
}

/// `<phase>.after.*`: every parameter that the phase changed itself, and no other.
fn changed_in_place(case: &mut Case, phase: &str, before: &Network, after: &Network) -> Result<(), String> {
    let before = before.state_dict();
    for (name, data) in after.state_dict() {
        let listed = format!("{phase}.after.{name}");
        if case.has(&listed) {
            case.check(&listed, data)?;
        } else {
            case.expect(data == before[&name], || format!("{phase} changed `{name}`"));
        }
    }
    Ok(())
}
