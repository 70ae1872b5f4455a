//! Kind `trajectory` of the fixtures' README: iterations of the training loops.

use std::ops::Range;

use burn::tensor::{Device, TensorData};
use serde::Deserialize;
use sida::{
    Error, Result as SidaResult,
    distill::{MicroBatch, Networks, Trainer},
    nn::Network,
    ranks::Ranks,
    seed::Phase,
    training::Supply,
};

use crate::{
    case::Case,
    compare::to_f64,
    distillation::{Shared, split},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Own {
    #[serde(rename = "loop")]
    training_loop: Loop,
    cur_nimg: Vec<u64>,
    num_accumulation_rounds: u32,
    batch_gpu: u32,
    world_size: u32,
    batch_size: u32,
    optimizer: Optimizer,
    ema_halflife_kimg: f64,
    ema_rampup_ratio: Option<f64>,
    g_start_nimg: u64,
    gan_start_nimg: u64,
    clip_grad_value: Option<f64>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Loop {
    Sid,
    Sida,
    SidaEdm2,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Optimizer {
    kind: String,
    lr: f64,
    glr: f64,
    beta1: f64,
    g_beta1: f64,
    beta2: f64,
    eps: f64,
    weight_decay: f64,
    amsgrad: bool,
}

const OWN: [&str; 12] = [
    "loop",
    "cur_nimg",
    "num_accumulation_rounds",
    "batch_gpu",
    "world_size",
    "batch_size",
    "optimizer",
    "ema_halflife_kimg",
    "ema_rampup_ratio",
    "g_start_nimg",
    "gan_start_nimg",
    "clip_grad_value",
];

pub fn run(case: &mut Case) -> Result<(), String> {
    let (shared, own): (Shared, Own) = split(case, &OWN)?;
    if case.json["g_ema_init"] != "equal to the initial G" {
        return Err(format!("g_ema_init: {}", case.json["g_ema_init"]));
    }
    let recipe = shared.recipe(own.recipe(&shared)?)?;
    let objective = shared.objective(&recipe)?;
    let device = crate::case::device();
    let networks = shared.networks(case, &device)?;
    let initial = [
        ("fake", networks.fake_score.state_dict()),
        ("G", networks.generator.state_dict()),
        ("G_ema", networks.generator.state_dict()),
    ];
    let networks = Networks {
        teacher: networks.teacher,
        fake_score: networks.fake_score,
        generator_ema: networks.generator.clone(),
        generator: networks.generator,
    };
    let mut trainer = Trainer::new(recipe, objective, networks);
    for (k, &nimg) in own.cur_nimg.iter().enumerate() {
        trainer.set_nimg(nimg);
        let mut recorded =
            Recorded { case, shared: &shared, iteration: k, batch_gpu: own.batch_gpu, device: &device };
        let iteration = trainer.step(&mut recorded, &Ranks::alone()).map_err(|e| e.to_string())?.wait();
        for (i, round) in iteration.rounds.into_iter().enumerate() {
            let r = i % own.num_accumulation_rounds as usize;
            let (phase, adversarial) =
                if round.phase == Phase::FakeScore { ("fs", "loss_D") } else { ("g", "loss_gan") };
            let prefix = format!("it{k}.{phase}.r{r}.out.scalar");
            let scalar = |value: f64| TensorData::new(vec![value], Vec::<usize>::new());
            case.check(&format!("{prefix}.loss"), scalar(round.loss))?;
            if let Some(value) = round.adversarial {
                case.check(&format!("{prefix}.{adversarial}"), scalar(value))?;
            }
        }
    }
    let finals = [trainer.fake_score(), trainer.generator(), trainer.generator_ema()];
    for ((which, initial), network) in initial.into_iter().zip(finals) {
        compare_final(case, which, &initial, network)?;
    }
    Ok(())
}

impl Own {
    fn recipe(&self, shared: &Shared) -> Result<serde_json::Value, String> {
        let optimizer = &self.optimizer;
        let loops = match self.training_loop {
            Loop::Sid | Loop::Sida => crate::distillation::Family::Edm,
            Loop::SidaEdm2 => crate::distillation::Family::Edm2,
        };
        if optimizer.kind != "Adam"
            || optimizer.weight_decay != 0.0
            || optimizer.amsgrad
            || self.world_size != 1
            || self.batch_gpu * self.num_accumulation_rounds != self.batch_size
            || shared.batch_gpu_total != self.batch_size
            || loops != shared.family
            || self.training_loop == Loop::Sid && shared.use_gan
        {
            return Err("a loop that we do not have".to_owned());
        }
        let mut recipe = serde_json::json!({
            "microbatch_size": self.batch_gpu,
            "generator": {
                "lr": optimizer.glr, "betas": [optimizer.g_beta1, optimizer.beta2], "epsilon": optimizer.eps,
            },
            "fake_score": {
                "lr": optimizer.lr, "betas": [optimizer.beta1, optimizer.beta2], "epsilon": optimizer.eps,
            },
            "ema": { "half_life_kimg": self.ema_halflife_kimg, "rampup_ratio": self.ema_rampup_ratio },
        });
        if let Some(limit) = self.clip_grad_value {
            recipe["fake_score"]["clip_grad_value"] = limit.into();
        }
        if shared.use_gan {
            recipe["method"]["sida"]["adversarial"] = serde_json::json!({
                "generator_starts_at_kimg": self.g_start_nimg as f64 / 1000.0,
                "starts_at_kimg": self.gan_start_nimg as f64 / 1000.0,
            });
        }
        Ok(recipe)
    }
}

/// The recorded micro-batches of one iteration.
struct Recorded<'a> {
    case: &'a mut Case,
    shared: &'a Shared,
    iteration: usize,
    batch_gpu: u32,
    device: &'a Device,
}

impl Supply for Recorded<'_> {
    type MicroBatch = MicroBatch;

    fn micro_batch(&mut self, phase: Phase, _: u64, samples: Range<u64>) -> SidaResult<MicroBatch> {
        let name = if phase == Phase::FakeScore { "fs" } else { "g" };
        let round = samples.start / u64::from(self.batch_gpu);
        let prefix = format!("it{}.{name}.r{round}", self.iteration);
        self.shared.micro_batch(self.case, &prefix, phase, self.device).map_err(Error::Unusable)
    }
}

/// Metric `delta_l2`: the distance of the final parameters, relative to the way that they went.
fn compare_final(
    case: &mut Case,
    which: &str,
    initial: &sida::state_dict::StateDict,
    network: &Network,
) -> Result<(), String> {
    let tolerance = case.extra_tolerance("final")[which].clone();
    if tolerance["metric"] != "delta_l2" {
        return Err(format!("tolerances.final.{which}: metric {}", tolerance["metric"]));
    }
    let limit = tolerance["tol"].as_f64().ok_or("no final tolerance")?;
    let skip: Vec<String> = serde_json::from_value(tolerance["skip"].clone()).map_err(|e| e.to_string())?;
    let (mut distance, mut way) = (0.0, 0.0);
    let state = network.state_dict();
    for entry in network.entries().iter().filter(|e| e.is_parameter()) {
        let name = format!("final.{which}.{}", entry.name);
        let recorded = case.tensor(&name)?;
        let found = &state[&entry.name];
        if recorded.shape() != found.shape() {
            return Err(format!("{name}: shape {:?}, recorded {:?}", found.shape(), recorded.shape()));
        }
        case.mark_checked(&name);
        if skip.contains(&name) {
            continue;
        }
        let values = to_f64(found).into_iter().zip(to_f64(&recorded)).zip(to_f64(&initial[&entry.name]));
        for ((ours, theirs), before) in values {
            distance += (ours - theirs).powi(2);
            way += (theirs - before).powi(2);
        }
    }
    let error = f64::sqrt(distance / way);
    case.expect(error <= limit, || format!("final.{which}: delta_l2 {error:.3e} > {limit:.1e}"));
    Ok(())
}
