//! Kind `dataset` of the fixtures' README.

use burn::tensor::TensorData;
use serde::Deserialize;
use sida::data::{DatasetOptions, ImageDataset, Order, OrderOptions, PreviewGrid, Samples, epoch_seed};

use crate::case::Case;

pub fn run(case: &mut Case) -> Result<(), String> {
    match case.json["config"]["sub"].as_str() {
        Some("class") => class(case),
        Some("sampler") => sampler(case),
        Some("grid") => grid(case),
        other => Err(format!("unknown sub {other:?}")),
    }
}

fn indices(values: impl IntoIterator<Item = usize>) -> TensorData {
    let values: Vec<i64> = values.into_iter().map(|v| v as i64).collect();
    let n = values.len();
    TensorData::new(values, [n])
}

// ---------------------------------------------------------------------------------------------------- class

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClassConfig {
    #[serde(rename = "sub")]
    _sub: String,
    source: String,
    variants: Vec<Variant>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Variant {
    prefix: String,
    args: DatasetOptions,
    length: usize,
    label_dim: usize,
    resolution: usize,
    num_channels: usize,
    has_labels: bool,
    image_fnames: Vec<String>,
}

fn class(case: &mut Case) -> Result<(), String> {
    let config: ClassConfig = case.config()?;
    let path = case.dir.join(&config.source);
    for variant in config.variants {
        // Once from memory and once from the file.
        for cache_bytes in [u64::MAX, 0] {
            let dataset = ImageDataset::open_with_cache(&path, &variant.args, cache_bytes)
                .map_err(|e| format!("{}: {e}", variant.prefix))?;
            let found = (dataset.len(), dataset.label_dim(), dataset.shape(), dataset.has_labels());
            let [c, r] = [variant.num_channels, variant.resolution];
            let expected = (variant.length, variant.label_dim, [c, r, r], variant.has_labels);
            case.expect(found == expected, || format!("{}: {found:?}, not {expected:?}", variant.prefix));
            case.expect(dataset.names() == variant.image_fnames, || format!("{}names", variant.prefix));
            let n = dataset.len();
            let all: Vec<usize> = (0..n).collect();
            let batch = dataset.batch(&all).map_err(|e| e.to_string())?;
            let Samples::Images(images) = batch.samples() else { return Err("not images".to_owned()) };
            let name = |what: &str| format!("{}{what}", variant.prefix);
            case.check(&name("images"), TensorData::new(images.clone(), [n, c, r, r]))?;
            case.check(&name("labels"), TensorData::new(batch.one_hot(), [n, dataset.label_dim()]))?;
            case.check(&name("raw_idx"), indices(all.iter().map(|&i| dataset.raw_index(i))))?;
            case.check(&name("xflip"), indices(all.iter().map(|&i| usize::from(dataset.is_flipped(i)))))?;
        }
    }
    Ok(())
}

// ---------------------------------------------------------------------------------------------------- sampler

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SamplerConfig {
    #[serde(rename = "sub")]
    _sub: String,
    #[serde(default)]
    edm: Vec<EdmSampler>,
    #[serde(default)]
    edm2: Vec<Edm2Sampler>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EdmSampler {
    key: String,
    dataset_size: usize,
    seed: i64,
    num_replicas: usize,
    rank: usize,
    shuffle: bool,
    window_size: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Edm2Sampler {
    key: String,
    dataset_size: usize,
    seed: i64,
    num_replicas: usize,
    rank: usize,
    start_idx: u64,
    shuffle: bool,
    epoch_seeds: std::collections::BTreeMap<u64, u32>,
}

fn sampler(case: &mut Case) -> Result<(), String> {
    let config: SamplerConfig = case.config()?;
    for EdmSampler { key, dataset_size, seed, num_replicas, rank, shuffle, window_size } in config.edm {
        let options = OrderOptions { dataset_size, seed, num_replicas, rank };
        let order = Order::edm_windowed(options, window_size, shuffle).map_err(|e| e.to_string())?;
        order_is(case, &key, &order)?;
    }
    for edm2 in config.edm2 {
        let Edm2Sampler { key, dataset_size, seed, num_replicas, rank, start_idx, shuffle, epoch_seeds } =
            edm2;
        for (epoch, expected) in epoch_seeds {
            let found = epoch_seed(seed, epoch);
            case.expect(found == expected, || {
                format!("{key}: epoch {epoch} has seed {found}, not {expected}")
            });
        }
        let options = OrderOptions { dataset_size, seed, num_replicas, rank };
        let order = Order::edm2_shuffled(options, start_idx, shuffle).map_err(|e| e.to_string())?;
        order_is(case, &key, &order)?;
    }
    Ok(())
}

/// From the beginning, and taken up again in the middle.
fn order_is(case: &mut Case, key: &str, order: &Order) -> Result<(), String> {
    let count = case.tensor(key)?.num_elements();
    case.check(key, indices(order.clone().take(count)))?;
    let half = count / 2;
    let resumed = order.clone().skip_samples(half as u64).take(count - half);
    case.check(key, indices(order.clone().take(half).chain(resumed)))
}

// ---------------------------------------------------------------------------------------------------- grid

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GridConfig {
    #[serde(rename = "sub")]
    _sub: String,
    grids: Vec<Grid>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Grid {
    key: String,
    #[serde(rename = "loop")]
    training_loop: String,
    dataset_size: usize,
    resolution: usize,
    raw_labels: Option<Vec<u32>>,
    gw: usize,
    gh: usize,
    random_seed: u32,
}

fn grid(case: &mut Case) -> Result<(), String> {
    let config: GridConfig = case.config()?;
    for Grid { key, training_loop, dataset_size: n, resolution: r, raw_labels, gw, gh, random_seed } in
        config.grids
    {
        let labels = raw_labels.as_deref();
        let grid = match training_loop.as_str() {
            "edm" => PreviewGrid::edm(r, r, n, labels, random_seed),
            "edm2" => PreviewGrid::edm2(n, labels, random_seed),
            other => return Err(format!("unknown loop `{other}`")),
        };
        let found = (grid.columns, grid.rows);
        case.expect(found == (gw, gh), || format!("{key}: {found:?} cells, not {gw} x {gh}"));
        case.check(&key, indices(grid.indices))?;
    }
    Ok(())
}
