//! What an iteration of a distillation takes on many GPUs, on paper; and how long sums over ranks really take, to check it.
//!
//! `cargo run --release --example scaling -- table [--share 0.4] [--fp32 67] [--fp16 989] [--latency-us 10]` prints
//! the table of docs/many-gpus.md: the card's peaks in TFLOP/s, and the share of them that is reached.
//! `scaling exchange SIZE...` adds up so many f32 with the other ranks that the environment names, seven times each;
//! rank 0 prints the bytes and the median of the seconds. `benches/throttled.sh` starts that between slow links.
#![expect(clippy::print_stdout, reason = "that is what it is for")]

use std::{env, path::Path, sync::Arc, time::Instant};

use serde_json::Value;
use sida::{
    Error, Result,
    nn::NetworkConfig,
    pipeline::{Parsed, Source},
    ranks::{PATIENCE, Place, Ranks},
    stages::work::parameters,
};

const RECIPES: [(&str, &str); 4] = [
    ("CIFAR-10", "cifar10-uncond-sid"),
    ("ImageNet 64 (ADM)", "imagenet64-sid"),
    ("EDM2-XS", "edm2-img512-xs-sid"),
    ("EDM2-XXL", "edm2-img512-xxl-sid"),
];
/// Bytes per second that a rank sends, and receives at the same time.
const NETWORKS: [(&str, f64); 4] =
    [("NVLink", 450e9), ("400 Gbit/s", 50e9), ("100 Gbit/s", 12.5e9), ("25 Gbit/s", 3.125e9)];
const RANKS: [u64; 5] = [1, 8, 16, 32, 64];
/// Forward passes' worth of work per image: the fake score's phase makes an image (1) and learns from it (3); the
/// generator's makes one and learns (3), through the fake score and the teacher, each forward and back to its input (2 and 2).
const PASSES: f64 = 1.0 + 3.0 + 3.0 + 2.0 + 2.0;
/// In which the numbers of an iteration travel.
const NUMBERS: u64 = 512;

fn main() -> Result<()> {
    let words: Vec<String> = env::args().skip(1).collect();
    match words.first().map(String::as_str) {
        Some("table") => table(&words[1..]),
        Some("exchange") => exchange(&words[1..]),
        _ => Err(Error::Usage("`table`, or `exchange SIZE...`".to_owned())),
    }
}

/// What a recipe says.
struct Recipe {
    images: f64,
    precision: String,
    /// Multiplications and additions of a forward pass of one image.
    forward: f64,
    /// Of the sum of each phase: the fake score's, and the generator's, which has no head for the error's size.
    bytes: [u64; 2],
}

fn recipe(file: &str) -> Result<Recipe> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("pipelines/{file}.yaml"));
    let Parsed::Pipeline(pipeline) = Source::read(&path)?.parse(&[])? else {
        return Err(Error::Usage(format!("`{file}` is a sweep")));
    };
    let stages = serde_json::to_value(&pipeline.stages).unwrap_or_default();
    let of = |verb: &str| {
        let found = stages.as_object().and_then(|all| all.values().find_map(|stage| stage.get(verb)));
        found.ok_or_else(|| Error::Usage(format!("`{file}` has no `{verb}`")))
    };
    let network = of("load_teacher")?["network"].clone();
    let network: NetworkConfig = serde_json::from_value(network)
        .map_err(|error| Error::Usage(format!("the network of `{file}`: {error}")))?;
    let distill = of("distill")?;
    let text = |value: &Value| value.as_str().unwrap_or("fp32").to_owned();
    let bytes = |network: &NetworkConfig| 4 * parameters(network).unwrap_or(0) + NUMBERS;
    Ok(Recipe {
        images: distill["batch_size"].as_f64().unwrap_or(0.0),
        precision: text(&distill["precision"]),
        forward: forward(&network)?,
        bytes: [bytes(&network), bytes(&network.clone().without_logvar())],
    })
}

/// A weight is used once at each pixel of its block, whose side the reference's names say (`32x32_block0`), a dense layer's once;
/// attention compares each pixel with each.
fn forward(network: &NetworkConfig) -> Result<f64> {
    let mut sum = 0.0;
    for entry in network.shapes()?.iter().filter(|entry| entry.is_parameter() && entry.shape.len() > 1) {
        let side = entry.name.split('.').find_map(|part| part.split_once('x')?.0.parse::<u64>().ok());
        let pixels = side.filter(|_| entry.shape.len() == 4).map_or(1.0, |side| (side * side) as f64);
        sum += 2.0 * entry.shape.iter().product::<usize>() as f64 * pixels;
        if entry.name.contains("qkv") {
            sum += 4.0 * entry.shape[1] as f64 * pixels * pixels;
        }
    }
    Ok(sum)
}

fn table(words: &[String]) -> Result<()> {
    let input = |name: &str, default: f64| match words.iter().position(|word| word == name) {
        None => Ok(default),
        Some(i) => words
            .get(i + 1)
            .and_then(|value| value.parse().ok())
            .filter(|value| *value > 0.0)
            .ok_or_else(|| Error::Usage(format!("`{name}` needs a number above 0"))),
    };
    let (share, latency) = (input("--share", 0.4)?, input("--latency-us", 10.0)? * 1e-6);
    let peaks = [input("--fp32", 67.0)?, input("--fp16", 989.0)?];
    println!("| recipe | sum, MB | network | {} |", RANKS.map(|n| format!("{n}")).join(" | "));
    println!("| --- | --- | --- |{}", " --- |".repeat(RANKS.len()));
    for (name, file) in RECIPES {
        let recipe = recipe(file)?;
        let peak = peaks[usize::from(recipe.precision != "fp32")] * 1e12;
        // Every image's work is the same, and ranks have equally many.
        let alone = PASSES * recipe.forward * recipe.images / (peak * share);
        for (network, speed) in NETWORKS {
            let cells = RANKS.map(|n| {
                let ranks = n as f64;
                let sums: f64 =
                    recipe.bytes.iter().map(|bytes| sum_takes(*bytes, ranks, speed, latency)).sum();
                let step = alone / ranks + sums;
                format!("{} ({:.0} %)", seconds(step), 100.0 * alone / (ranks * step))
            });
            let megabytes = recipe.bytes[0] as f64 / 1e6;
            println!("| {name}, {} | {megabytes:.0} | {network} | {} |", recipe.precision, cells.join(" | "));
        }
    }
    Ok(())
}

/// Each rank sends all but its share once to be added up and once as the sum; in as many steps as halves can be halved.
fn sum_takes(bytes: u64, ranks: f64, speed: f64, latency: f64) -> f64 {
    2.0 * (ranks - 1.0) / ranks * bytes as f64 / speed + 2.0 * ranks.log2() * latency
}

fn seconds(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.0} ms", seconds * 1e3) } else { format!("{seconds:.2} s") }
}

fn exchange(sizes: &[String]) -> Result<()> {
    let place =
        Place::given()?.ok_or_else(|| Error::Usage("the environment names no other ranks".to_owned()))?;
    let alike = [("the sizes", sizes.join(" "))];
    let secret = env::var("SIDA_SECRET").unwrap_or_default();
    let ranks = Ranks::meet(&place, &alike, &secret, PATIENCE, Arc::default())?;
    for size in sizes {
        let size = size.parse().map_err(|_| Error::Usage(format!("`{size}` is no number of values")))?;
        let mut values = vec![1f32; size];
        let mut took = Vec::new();
        for _ in 0..7 {
            ranks.sum(&mut [0.0])?; // all begin together
            let began = Instant::now();
            ranks.sum(&mut values)?;
            took.push(began.elapsed().as_secs_f64());
            values.fill(1.0);
        }
        took.sort_by(f64::total_cmp);
        if ranks.is_first() {
            println!("{} {:.6}", 4 * size, took[3]);
        }
    }
    ranks.part();
    Ok(())
}
