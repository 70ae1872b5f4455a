//! Kind `dataset` of the fixtures' README.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use burn::tensor::{Tensor, TensorData};
use serde::Deserialize;
use serde_json::Value;
use sida::data::{
    DatasetOptions, ImageDataset, Order, OrderOptions, Pixels, PrepareOptions, Rules, Samples, Transform,
    epoch_seed, prepare, preview_samples,
};

use crate::{
    case::Case,
    compare::{Tolerance, to_f64},
};

pub fn run(case: &mut Case) -> Result<(), String> {
    match case.json["config"]["sub"].as_str() {
        Some("tool") => tool(case),
        Some("cifar10") => cifar10(case),
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

// ---------------------------------------------------------------------------------------------------- tool

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToolConfig {
    #[serde(rename = "sub")]
    _sub: String,
    source: String,
    outputs: Vec<Output>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Output {
    tool: String,
    transform: Option<String>,
    #[serde(default)]
    resolution: Option<[usize; 2]>,
    #[serde(default)]
    max_images: Option<usize>,
    key: String,
    expect: String,
    #[serde(default)]
    zip: Option<String>,
    #[serde(default)]
    archive_names: Vec<String>,
    #[serde(default)]
    dataset_json: Value,
    /// The reference's words; ours are our own.
    #[serde(default, rename = "error")]
    _error: Option<String>,
}

impl Output {
    fn options(&self) -> Result<PrepareOptions, String> {
        let rules = match self.tool.as_str() {
            "edm" => Rules::Edm,
            "edm2" => Rules::Edm2,
            other => return Err(format!("unknown tool `{other}`")),
        };
        let transform = match self.transform.as_deref() {
            None => None,
            Some("center-crop") => Some(Transform::CenterCrop),
            Some("center-crop-wide") => Some(Transform::CenterCropWide),
            Some("center-crop-dhariwal") => Some(Transform::CenterCropDhariwal),
            Some(other) => return Err(format!("unknown transform `{other}`")),
        };
        let (resolution, max_images) = (self.resolution, self.max_images);
        Ok(PrepareOptions { rules, transform, resolution, max_images, ..PrepareOptions::default() })
    }
}

fn tool(case: &mut Case) -> Result<(), String> {
    let config: ToolConfig = case.config()?;
    let source = case.dir.join(&config.source);
    let scratch = tempfile::tempdir().map_err(|e| e.to_string())?;
    let tight = case.json["tolerances"]["default"].clone();
    let mut loose = case.json["tolerances"]["jpeg"].clone();
    loose.as_object_mut().map(|fields| fields.remove("note"));
    decoders_agree(case, &source, &tight, &loose)?;
    for output in config.outputs {
        let options = output.options()?;
        let made = scratch.path().join(format!("{}.zip", output.key));
        let prepared = prepare(&source, &made, &options, &|_, _| {});
        match (output.expect.as_str(), prepared) {
            ("error", prepared) => {
                case.expect(prepared.is_err(), || format!("{}: prepared, but should fail", output.key));
                case.expect(!made.exists(), || format!("{}: a failure left a file", output.key));
            }
            ("ok", Err(e)) => case.expect(false, || format!("{}: {e}", output.key)),
            ("ok", Ok(_)) => {
                archive_is(case, &made, &output, &|jpeg| if jpeg { loose.clone() } else { tight.clone() })?;
                // The transform on what the reference decoded: no tolerance for decoders is needed.
                let decoded = decoded_source(case, &source, &scratch.path().join(&config.source))?;
                let made = scratch.path().join(format!("{}-decoded.zip", output.key));
                prepare(&decoded, &made, &options, &|_, _| {}).map_err(|e| format!("{}: {e}", output.key))?;
                archive_is(case, &made, &output, &|_| tight.clone())?;
                // What the reference wrote is a dataset too.
                let zip = case.dir.join(output.zip.as_ref().ok_or("an output without zip")?);
                archive_is(case, &zip, &output, &|_| serde_json::json!({ "metric": "exact" }))?;
            }
            (other, _) => return Err(format!("unknown expectation `{other}`")),
        }
    }
    Ok(())
}

/// Our decoders against the reference's.
fn decoders_agree(case: &mut Case, source: &Path, tight: &Value, loose: &Value) -> Result<(), String> {
    let listed: Vec<String> = case.listed().iter().map(|t| t.name.clone()).collect();
    for name in listed.iter().filter_map(|name| name.strip_prefix("decoded.")) {
        let pixels = Pixels::decode(&std::fs::read(source.join(name)).map_err(|e| e.to_string())?)?;
        let Pixels { width, height, channels, data } = pixels;
        let shape = if channels == 1 { vec![height, width] } else { vec![height, width, channels] };
        let tolerance = if is_jpeg(name) { loose } else { tight };
        let tolerance: Tolerance = serde_json::from_value(tolerance.clone()).map_err(|e| e.to_string())?;
        case.check_within(&format!("decoded.{name}"), TensorData::new(data, shape), &tolerance)?;
    }
    Ok(())
}

/// The source folder with every image replaced by the decoded one, as PNG under the same name.
fn decoded_source(case: &mut Case, source: &Path, copy: &Path) -> Result<PathBuf, String> {
    let write = |name: &str, bytes: &[u8]| {
        let path = copy.join(name);
        std::fs::create_dir_all(path.parent().expect("a file in a folder"))
            .and_then(|()| std::fs::write(path, bytes))
            .map_err(|e| e.to_string())
    };
    let listed: Vec<String> = case.listed().iter().map(|t| t.name.clone()).collect();
    for name in listed.iter().filter_map(|name| name.strip_prefix("decoded.")) {
        let tensor = case.tensor(&format!("decoded.{name}"))?;
        let dims = tensor.shape().to_vec();
        let bytes: Vec<u8> = to_f64(&tensor).into_iter().map(|v| v as u8).collect();
        let pixels = Pixels::new(dims[1], dims[0], dims.get(2).copied().unwrap_or(1), bytes);
        write(name, &pixels.to_png())?;
    }
    if let Ok(json) = std::fs::read(source.join("dataset.json")) {
        write("dataset.json", &json)?;
    }
    Ok(copy.to_path_buf())
}

/// Names, labels and images of an archive; `tolerance` depends on whether an image comes from a JPEG file.
fn archive_is(
    case: &mut Case,
    zip: &Path,
    output: &Output,
    tolerance: &dyn Fn(bool) -> Value,
) -> Result<(), String> {
    let key = &output.key;
    let dataset = ImageDataset::open(zip, &DatasetOptions::default()).map_err(|e| format!("{key}: {e}"))?;
    case.expect(dataset.names() == output.archive_names, || format!("{key}: names {:?}", dataset.names()));
    let json = dataset_json(zip)?;
    // What classes are called is ours; EDM's tools do not look at it.
    case.expect(json["labels"] == output.dataset_json["labels"], || format!("{key}: dataset.json is {json}"));

    let expected = case.tensor(&format!("{key}.images"))?;
    case.mark_checked(&format!("{key}.images"));
    let [n, h, w, c] = *expected.shape().to_vec() else { return Err(format!("{key}: not [n, h, w, c]")) };
    case.expect(dataset.len() == n, || format!("{key}: {} images, not {n}", dataset.len()));
    let jpegs = sources(case, output)?;
    let size = h * w * c;
    let expected = to_f64(&expected);
    // JPEG and other images are judged apart, each kind as a whole.
    for jpeg in [false, true] {
        let (mut found, mut wanted) = (Vec::new(), Vec::new());
        for i in 0..dataset.len().min(n) {
            let number: usize = dataset.names()[i][9..17]
                .parse()
                .map_err(|_| format!("{key}: name {}", dataset.names()[i]))?;
            if jpegs[number] == jpeg {
                let image = dataset.image(i).map_err(|e| e.to_string())?;
                found.extend(Pixels::from_chw(&image, dataset.shape()).data);
                wanted.extend(expected[i * size..][..size].iter().map(|&v| v as u8));
            }
        }
        if wanted.is_empty() {
            continue;
        }
        let tolerance: Tolerance = serde_json::from_value(tolerance(jpeg)).map_err(|e| e.to_string())?;
        let count = wanted.len();
        case.expect(found.len() == count, || format!("{key}: other size, {:?}", dataset.shape()));
        let data = |values: Vec<u8>| {
            let n = values.len();
            TensorData::new(values, [n])
        };
        let verdict = tolerance.compare(&data(found), &data(wanted));
        case.expect(verdict.is_ok(), || format!("{key}, from JPEG {jpeg}: {verdict:?}"));
    }
    Ok(())
}

fn is_jpeg(name: &str) -> bool {
    [".jpg", ".jpeg"].iter().any(|end| name.to_lowercase().ends_with(end))
}

/// Whether each source image, in the tool's order, is a JPEG file.
fn sources(case: &Case, output: &Output) -> Result<Vec<bool>, String> {
    let mut names: Vec<&str> =
        case.listed().iter().filter_map(|tensor| tensor.name.strip_prefix("decoded.")).collect();
    match output.tool.as_str() {
        "edm" => names.sort_by_key(|name| name.split('/').collect::<Vec<_>>()),
        "edm2" => names.sort_unstable(),
        other => return Err(format!("unknown tool `{other}`")),
    }
    Ok(names.into_iter().map(is_jpeg).collect())
}

fn dataset_json(zip: &Path) -> Result<Value, String> {
    let file = std::fs::File::open(zip).map_err(|e| e.to_string())?;
    let mut archive = zip::ZipArchive::new(file).map_err(|e| e.to_string())?;
    let entry = archive.by_name("dataset.json").map_err(|e| e.to_string())?;
    serde_json::from_reader(entry).map_err(|e| e.to_string())
}

// ---------------------------------------------------------------------------------------------------- cifar10

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CifarConfig {
    #[serde(rename = "sub")]
    _sub: String,
    source: String,
    zip: String,
    archive_names: Vec<String>,
    dataset_json: Value,
    num_per_batch: usize,
}

fn cifar10(case: &mut Case) -> Result<(), String> {
    let config: CifarConfig = case.config()?;
    let scratch = tempfile::tempdir().map_err(|e| e.to_string())?;
    let made = scratch.path().join("made.zip");
    let source = case.dir.join(&config.source);
    let prepared = prepare(&source, &made, &PrepareOptions::default(), &|_, _| {});
    let prepared = prepared.map_err(|e| e.to_string())?;
    case.expect(prepared.images == 5 * config.num_per_batch, || format!("{} images", prepared.images));
    for zip in [made, case.dir.join(&config.zip)] {
        let dataset = ImageDataset::open(&zip, &DatasetOptions::default()).map_err(|e| e.to_string())?;
        case.expect(dataset.names() == config.archive_names, || format!("names {:?}", dataset.names()));
        let json = dataset_json(&zip)?;
        case.expect(json == config.dataset_json, || format!("dataset.json is {json}"));
        let mut images = Vec::new();
        for i in 0..dataset.len() {
            images.extend(
                Pixels::from_chw(&dataset.image(i).map_err(|e| e.to_string())?, dataset.shape()).data,
            );
        }
        let [c, h, w] = dataset.shape();
        case.check("images", TensorData::new(images, [dataset.len(), h, w, c]))?;
    }
    Ok(())
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
    // Every image and, behind it, its mirror.
    let all = ImageDataset::open(&path, &DatasetOptions::default()).map_err(|e| e.to_string())?;
    let mut whole = Vec::new();
    for i in 0..all.len() {
        let image = all.image(i).map_err(|e| e.to_string())?.into_owned();
        whole.push(image.clone());
        whole.push(image.chunks(all.shape()[2]).flat_map(|row| row.iter().rev()).copied().collect());
    }
    for variant in config.variants {
        // Once from memory and once from the file.
        for cache_bytes in [u64::MAX, 0] {
            let dataset = ImageDataset::open_with_cache(&path, &variant.args, cache_bytes)
                .map_err(|e| format!("{}: {e}", variant.prefix))?;
            let found = (dataset.len(), dataset.label_dim(), dataset.shape(), dataset.label_dim() > 0);
            let [c, r] = [variant.num_channels, variant.resolution];
            let expected = (variant.length, variant.label_dim, [c, r, r], variant.has_labels);
            case.expect(found == expected, || format!("{}: {found:?}, not {expected:?}", variant.prefix));
            case.expect(dataset.names() == variant.image_fnames, || format!("{}names", variant.prefix));
            let n = dataset.len();
            let all: Vec<usize> = (0..n).collect();
            let batch = dataset.batch(&all).map_err(|e| e.to_string())?;
            let Samples::Images(images) = &batch.samples else { return Err("not images".to_owned()) };
            let name = |what: &str| format!("{}{what}", variant.prefix);
            case.check(&name("images"), TensorData::new(images.clone(), [n, c, r, r]))?;
            let labels = batch.labels(&crate::case::device());
            let none = || TensorData::new(Vec::<f32>::new(), [n, 0]);
            case.check(&name("labels"), labels.map_or_else(none, Tensor::into_data))?;
            let shown = images.chunks(c * r * r).map(|image| whole.iter().position(|other| other == image));
            let shown: Vec<usize> = shown.collect::<Option<_>>().ok_or("an image of no file")?;
            case.check(&name("raw_idx"), indices(shown.iter().map(|i| i / 2)))?;
            case.check(&name("xflip"), indices(shown.iter().map(|i| i % 2)))?;
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
    epoch_seeds: BTreeMap<u64, u32>,
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
    #[serde(rename = "resolution")]
    _resolution: usize,
    raw_labels: Option<Vec<u32>>,
    gw: usize,
    gh: usize,
    random_seed: u32,
}

fn grid(case: &mut Case) -> Result<(), String> {
    let config: GridConfig = case.config()?;
    for Grid { key, training_loop, dataset_size: n, raw_labels, gw, gh, random_seed, .. } in config.grids {
        case.expect(["edm", "edm2"].contains(&&*training_loop), || format!("unknown loop `{training_loop}`"));
        case.check(&key, indices(preview_samples([gh, gw], n, raw_labels.as_deref(), random_seed)))?;
    }
    Ok(())
}
