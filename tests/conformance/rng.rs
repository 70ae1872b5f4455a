//! Kind `rng` of the fixtures' README.

use burn::tensor::TensorData;
use serde::Deserialize;
use sida::rng::{Gpu, NumpyRandomState, Philox, TorchCpu, TorchCuda};

use crate::{case::Case, compare::Tolerance};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    device: Device,
    stacked: Vec<Stacked>,
    #[serde(default)]
    edge_seeds: Vec<u64>,
    #[serde(default)]
    edge_sizes: Vec<usize>,
    #[serde(default)]
    loop_seeding: Vec<LoopSeeding>,
    #[serde(default)]
    published_seed0_first12: Vec<f32>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Device {
    Cpu,
    CudaModel,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stacked {
    prefix: String,
    seeds: Vec<u64>,
    shape: [usize; 3],
    label_dim: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LoopSeeding {
    seed: u64,
    world_size: u64,
    rank: u64,
    torch_seed: u64,
    first_randn: Vec<f32>,
}

/// Small enough that the recorded draws do not depend on it.
const GPU: Gpu = Gpu::A100;

pub fn run(case: &mut Case) -> Result<(), String> {
    let config: Config = case.config()?;
    for stacked in &config.stacked {
        check_stacked(case, stacked, config.device)?;
    }
    for &seed in &config.edge_seeds {
        for &n in &config.edge_sizes {
            check_edge(case, seed, n)?;
        }
    }
    for expected in &config.loop_seeding {
        check_loop_seeding(case, expected);
    }
    if !config.published_seed0_first12.is_empty() {
        let drawn = TorchCuda::new(0, GPU).randn_f32(config.published_seed0_first12.len());
        let off = largest_difference(&drawn, &config.published_seed0_first12);
        case.expect(off <= 2e-6, || format!("published values of seed 0: off by {off:e}"));
    }
    let listed: Vec<String> = case.listed().iter().map(|t| t.name.clone()).collect();
    for name in listed {
        if let Some(seed) = name.strip_prefix("philox_u32.") {
            let seed = seed.parse().map_err(|e| format!("{name}: its seed: {e}"))?;
            check_words(case, &name, seed)?;
            continue;
        }
        let known = config.stacked.iter().any(|s| name.starts_with(&s.prefix)) || name.starts_with("edge.");
        case.expect(known, || format!("{name}: no rule for this tensor"));
    }
    Ok(())
}

fn check_stacked(case: &mut Case, stacked: &Stacked, device: Device) -> Result<(), String> {
    let [c, h, w] = stacked.shape;
    let name = |what: &str| format!("{}out.{what}", stacked.prefix);
    let (mut normals, mut labels, mut churn) = (Vec::new(), Vec::new(), Vec::new());
    for &seed in &stacked.seeds {
        let seed = seed % (1 << 32);
        match device {
            Device::Cpu => {
                let mut generator = TorchCpu::new(seed);
                normals.extend(generator.randn_f32(c * h * w));
                labels.extend(generator.randint(1, stacked.label_dim));
                let wide = generator.randn_f64(c * h * w);
                let corner = |i: &usize| (i / w) % h < 8 && i % w < 8;
                churn.extend((0..wide.len()).filter(corner).map(|i| wide[i]));
            }
            Device::CudaModel => {
                let mut generator = TorchCuda::new(seed, GPU);
                normals.extend(generator.randn_f32(c * h * w));
                labels.extend(generator.randint(1, stacked.label_dim));
            }
        }
    }
    let n = stacked.seeds.len();
    case.check(&name("randn"), TensorData::new(normals, [n, c, h, w]))?;
    case.check(&name("label"), TensorData::new(labels, [n]))?;
    if case.has(&name("churn_f64")) {
        case.check(&name("churn_f64"), TensorData::new(churn, [n, c, 8, 8]))?;
    }
    Ok(())
}

fn check_edge(case: &mut Case, seed: u64, n: usize) -> Result<(), String> {
    let name = |what: &str| format!("edge.{seed}.{n}.{what}");
    let mut generator = TorchCpu::new(seed);
    case.check(&name("randn"), TensorData::new(generator.randn_f32(n), [n]))?;
    case.check(&name("then_randn"), TensorData::new(generator.randn_f32(3), [3]))?;
    case.check(&name("then_randint1000"), TensorData::new(generator.randint(4, 1000), [4]))?;
    case.check(&name("then_rand"), TensorData::new(generator.rand_f32(3), [3]))?;
    let mut generator = TorchCpu::new(seed);
    case.check(&name("randn_f64"), TensorData::new(generator.randn_f64(n), [n]))?;
    case.check(&name("then_rand_f64"), TensorData::new(generator.rand_f64(2), [2]))
}

fn check_loop_seeding(case: &mut Case, expected: &LoopSeeding) {
    let seed = (expected.seed * expected.world_size + expected.rank) % (1 << 31);
    let torch_seed = NumpyRandomState::new(seed as u32).randint(1 << 31);
    case.expect(torch_seed == expected.torch_seed, || format!("torch_seed of {seed} is {torch_seed}"));
    let drawn = TorchCpu::new(torch_seed).randn_f32(expected.first_randn.len());
    let off = largest_difference(&drawn, &expected.first_randn);
    case.expect(off <= 2e-6, || format!("first_randn of {seed}: off by {off:e}"));
}

/// `philox_u32.<seed>`: the words of positions and threads from 0 on.
fn check_words(case: &mut Case, name: &str, seed: u64) -> Result<(), String> {
    let shape = case.tensor(name)?.shape().clone();
    let philox = Philox::new(seed);
    let mut words = Vec::new();
    for position in 0..shape[0] {
        for thread in 0..shape[1] {
            words.extend(philox.words(position as u64, thread as u64).map(i64::from));
        }
    }
    case.check_within(name, TensorData::new(words, shape), &Tolerance::Exact { tol: 0.0 })
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    if a.len() != b.len() {
        return f32::INFINITY;
    }
    a.iter().zip(b).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max)
}
