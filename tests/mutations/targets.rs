//! What is damaged, and who reads it then. A reader gives the words of its errors: they are looked at, too.

use std::{
    fs,
    path::{Path, PathBuf},
};

use sida::{
    Result,
    checkpoint::{
        CheckpointStore, ReferenceSnapshot, ReferenceTrainingState, TorchFile, read_state_dict_file,
    },
    data::{self, DatasetOptions, Glance, ImageDataset, PrepareOptions},
    formats::{
        FidStatistics, FileBytes, NpzImages, npy,
        pickle::Pickle,
        safetensors,
        zip::{Limits, ZipArchive},
    },
    pipeline::{Source, store},
    stages::Artifact,
};

use super::{edit, random::Random};

/// The words of errors.
pub type Said = Vec<String>;

/// Undamaged files of one kind, how they are damaged, and who reads them.
pub struct Target {
    pub name: &'static str,
    /// How many of a hundred mutations are of it.
    pub weight: usize,
    files: Vec<Vec<u8>>,
    damage: fn(&mut Random, &[u8]) -> Vec<u8>,
    /// In a folder that is empty.
    read: fn(&Path, &[u8]) -> Said,
}

impl Target {
    /// A damaged file; sometimes one that is whole.
    pub fn made(&self, random: &mut Random) -> Vec<u8> {
        let file = random.pick(&self.files).clone();
        if random.percent(1) { file } else { (self.damage)(random, &file) }
    }

    pub fn read(&self, folder: &Path, bytes: &[u8]) -> Said {
        (self.read)(folder, bytes)
    }
}

pub fn all() -> Vec<Target> {
    let target = |name, weight, files: Vec<Vec<u8>>, damage, read| {
        assert!(!files.is_empty(), "{name}");
        Target { name, weight, files, damage, read }
    };
    let (png, jpeg) = (
        found("tests/fixtures", "png"),
        [found("tests/jpeg", "jpg"), found("tests/fixtures", "jpg")].concat(),
    );
    let zips = [
        found("tests/fixtures/dataset-05-class", "zip"),
        found("tests/fixtures/dataset-01-folder-rgb", "zip"),
    ];
    vec![
        target("pickle", 14, found("tests/fixtures", "pkl"), by_instruction, torch),
        target("torch zip", 10, found("tests/fixtures", "pt"), torch_zip, torch),
        target(
            "torch file",
            14,
            [
                found("tests/torch_files", "pkl"),
                found("tests/torch_files", "pth"),
                found("tests/torch_files", "pt"),
            ]
            .concat(),
            by_instruction,
            torch,
        ),
        target("torchscript", 3, found("tests/torchscript", "pt"), torch_zip, torch),
        target("zip", 8, zips.concat(), |r, b| edit::damaged(r, b, &edit::headers(b)), dataset_zip),
        target("zip contents", 6, found("tests/fixtures/dataset-05-class", "zip"), contents, dataset_zip),
        target("safetensors", 10, found("tests/fixtures", "safetensors"), edit::safetensors, weights),
        target("png", 10, png.clone(), edit::png, |dir, b| images(dir, "png", b)),
        target("jpeg", 10, jpeg, |r, b| edit::damaged(r, b, &[]), |dir, b| images(dir, "jpg", b)),
        target(
            "bmp",
            2,
            encoded(&png, bmp),
            |r, b| edit::damaged(r, b, HEAD),
            |dir, b| images(dir, "bmp", b),
        ),
        target(
            "webp",
            2,
            encoded(&png, webp),
            |r, b| edit::damaged(r, b, HEAD),
            |dir, b| images(dir, "webp", b),
        ),
        target("latents", 3, vec![Vec::new()], |r, _| edit::npy(r), |dir, b| images(dir, "npy", b)),
        target("npz", 3, found("tests/fixtures", "npz"), |r, b| edit::damaged(r, b, &edit::headers(b)), npz),
        target(
            "labels",
            3,
            vec![br#"{"labels": [["a/b.png", 0], ["c\\d.png", 7], ["e.png", 1]]}"#.to_vec()],
            |r, b| edit::damaged(r, b, &[]),
            labels,
        ),
        target(
            "tar",
            1,
            found("tests/fixtures/dataset-04-cifar10-mini", "gz"),
            |r, b| edit::damaged(r, b, HEAD),
            tar,
        ),
        target(
            "yaml",
            5,
            [found("tests/pipelines", "yaml"), found("pipelines", "yaml")].concat(),
            edit::yaml,
            yaml,
        ),
        target("records", 4, records(), |r, b| edit::damaged(r, b, &[]), record),
    ]
}

// ------------------------------------------------------------------ files

const HEAD: &[usize] = &[0, 2, 4, 8, 10, 14, 18, 22, 26, 28, 30, 34, 46, 50];

/// All small files with an extension below a folder of the repository.
fn found(folder: &str, extension: &str) -> Vec<Vec<u8>> {
    let mut paths = Vec::new();
    below(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), extension, &mut paths);
    paths.sort();
    paths
        .iter()
        .map(|path| fs::read(path).expect("a fixture"))
        .filter(|bytes| bytes.len() < 400_000)
        .collect()
}

fn below(folder: &Path, extension: &str, paths: &mut Vec<PathBuf>) {
    for path in fs::read_dir(folder).expect("fixtures").flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            below(&path, extension, paths);
        } else if path.extension().is_some_and(|e| e.eq_ignore_ascii_case(extension)) {
            paths.push(path);
        }
    }
}

/// The same images in another format.
fn encoded(png: &[Vec<u8>], encode: fn(&image::RgbImage) -> Vec<u8>) -> Vec<Vec<u8>> {
    let read = |bytes: &Vec<u8>| Some(encode(&image::load_from_memory(bytes).ok()?.into_rgb8()));
    png.iter().filter_map(read).collect()
}

fn webp(image: &image::RgbImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    let encoder = image_webp::WebPEncoder::new(&mut bytes);
    encoder.encode(image, image.width(), image.height(), image_webp::ColorType::Rgb8).expect("memory");
    bytes
}

/// With a palette of grays; rows from the bottom up, each of whole words.
fn bmp(image: &image::RgbImage) -> Vec<u8> {
    let (width, height) = image.dimensions();
    let stride = width.next_multiple_of(4);
    let start = 14 + 40 + 4 * 256;
    let mut bytes = b"BM".to_vec();
    for field in [start + stride * height, 0, start, 40, width, height, 1 | 8 << 16, 0, 0, 0, 0, 256, 0] {
        bytes.extend(field.to_le_bytes());
    }
    bytes.extend((0..=255).flat_map(|gray| [gray, gray, gray, 0]));
    for y in (0..height).rev() {
        bytes.extend((0..stride).map(|x| if x < width { image.get_pixel(x, y).0[1] } else { 0 }));
    }
    bytes
}

/// The three files that say what a stage's folder holds, one behind the other.
fn records() -> Vec<Vec<u8>> {
    let artifact = r#"{"format": 2, "artifact": {"dataset": {"path": "a.zip", "images": 5, "has_images": true, "resolution": 8,
        "channels": 1, "label_dim": 10, "xflip": false, "max_images": null, "identity": "0123"}}, "files": {"a.zip":
        {"bytes": 3, "files": 1, "written_ns": 7, "blake3": "00"}}}"#;
    let scores = r#"{"format": 2, "artifact": {"scores": {"network": "sid", "nfe": 1, "scores": {"fd_pixels_100":
        {"mean": 0.2, "std": 0.0, "min": 0.2, "trials": [0.2]}}}}, "files": {}}"#;
    let stage =
        r#"{"format": 2, "stage": "digits", "key": "0011", "spec": {"prepare_dataset": {}}, "inputs": {}}"#;
    let state = r#"{"format": 3, "nimg": 100, "state": {"bytes": 3, "files": 1, "written_ns": 7, "blake3": "00"}, "progress": 7}"#;
    [artifact, scores].map(|artifact| [artifact, stage, state].join(PARTED).into_bytes()).to_vec()
}

const PARTED: &str = "\n----\n";

// ------------------------------------------------------------------ damage

fn by_instruction(random: &mut Random, bytes: &[u8]) -> Vec<u8> {
    if bytes.starts_with(b"PK") {
        torch_zip(random, bytes)
    } else {
        edit::damaged(random, bytes, &edit::instructions(bytes))
    }
}

/// Mostly the pickle in it, at times the zip around it or a tensor.
fn torch_zip(random: &mut Random, bytes: &[u8]) -> Vec<u8> {
    let whole = edit::unzipped(bytes).filter(|_| random.percent(75));
    let Some(mut files) = whole else { return edit::damaged(random, bytes, &edit::headers(bytes)) };
    for (name, contents) in &mut files {
        if name.contains(".pkl") {
            *contents = edit::damaged(random, contents, &edit::instructions(contents));
        } else if random.percent(1) {
            contents.truncate(random.below(contents.len() + 1));
        }
    }
    edit::zipped(&files, false)
}

/// A whole zip of damaged files.
fn contents(random: &mut Random, bytes: &[u8]) -> Vec<u8> {
    let mut files = edit::unzipped(bytes).expect("a fixture");
    for (name, contents) in &mut files {
        if random.percent(70) {
            continue;
        }
        *contents = if name.contains(".png") {
            edit::png(random, contents)
        } else {
            edit::damaged(random, contents, &[])
        };
    }
    let deflated = random.percent(50);
    edit::zipped(&files, deflated)
}

// ------------------------------------------------------------------ readers

fn said<T>(outcome: Result<T>) -> Option<String> {
    outcome.err().map(|error| error.to_string())
}

fn memory(bytes: &[u8]) -> FileBytes {
    FileBytes::memory("damaged", bytes.to_vec())
}

fn written(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, bytes).expect("a folder to write in");
    path
}

fn torch(_: &Path, bytes: &[u8]) -> Said {
    let mut all = vec![said(FidStatistics::read(memory(bytes)))];
    match TorchFile::read(memory(bytes)) {
        Ok(TorchFile::Snapshot(snapshot)) => {
            all.push(said(snapshot.ema().and_then(|network| network.config())));
            all.push(said(snapshot.encoder()));
        }
        Ok(_) => {}
        Err(error) => {
            all.push(Some(error.to_string()));
            all.push(said(ReferenceSnapshot::read(memory(bytes)).and_then(|snapshot| snapshot.ema())));
            all.push(said(ReferenceTrainingState::read(memory(bytes))));
        }
    }
    if let Ok(pickle) = Pickle::read(memory(bytes), "pickle") {
        let root = pickle.root();
        all.extend([said(pickle.json(root)), said(pickle.tensor(root)), said(pickle.array(root))]);
        for (_, value) in pickle.fields(root).unwrap_or_default().into_iter().take(100) {
            all.extend([said(pickle.json(value)), said(pickle.array(value)), said(pickle.bytes(value))]);
        }
    }
    all.into_iter().flatten().collect()
}

fn dataset_zip(folder: &Path, bytes: &[u8]) -> Said {
    let path = written(folder, "data.zip", bytes);
    let mut all = vec![said(ImageDataset::open(&path, &labelled())), prepared(&path, folder)];
    let _ = (Glance::at(&path), data::identity(&path), data::missing_labels(&path));
    let limits = Limits { entries: 10_000, entry_size: 16 << 20 };
    match ZipArchive::new(memory(bytes), "zip", limits) {
        Ok(zip) => all.extend(zip.entries().iter().take(50).map(|entry| said(zip.read(entry)))),
        Err(error) => all.push(Some(error.to_string())),
    }
    all.into_iter().flatten().collect()
}

fn labelled() -> DatasetOptions {
    DatasetOptions { use_labels: true, ..DatasetOptions::default() }
}

fn prepared(source: &Path, folder: &Path) -> Option<String> {
    said(data::prepare(source, &folder.join("made.zip"), &PrepareOptions::default(), &|_, _| {}))
}

fn images(folder: &Path, extension: &str, bytes: &[u8]) -> Said {
    let images = folder.join("images");
    fs::create_dir(&images).expect("an empty folder");
    written(&images, &format!("a.{extension}"), bytes);
    let mut all = vec![said(ImageDataset::open(&images, &labelled())), prepared(&images, folder)];
    if extension == "npy" {
        all.push(npy::parse(bytes.to_vec()).err().map(|problem| sida::terminal::name(&problem).into_owned()));
    }
    let _ = (Glance::at(&images), data::identity(&images));
    all.into_iter().flatten().collect()
}

fn weights(folder: &Path, bytes: &[u8]) -> Said {
    let path = written(folder, "a.safetensors", bytes);
    [said(safetensors::read(&path)), said(read_state_dict_file(&path))].into_iter().flatten().collect()
}

fn npz(folder: &Path, bytes: &[u8]) -> Said {
    let path = written(folder, "a.npz", bytes);
    let all = [
        said(FidStatistics::read(memory(bytes))),
        said(NpzImages::open(&path)),
        said(ImageDataset::open(&path, &labelled())),
    ];
    all.into_iter().flatten().collect()
}

fn labels(folder: &Path, bytes: &[u8]) -> Said {
    let path = written(folder, "dataset.json", bytes);
    let _ = Glance::at(&path);
    said(ImageDataset::open(&path, &labelled())).into_iter().collect()
}

fn tar(folder: &Path, bytes: &[u8]) -> Said {
    prepared(&written(folder, "cifar-10-python.tar.gz", bytes), folder).into_iter().collect()
}

fn yaml(folder: &Path, bytes: &[u8]) -> Said {
    let path = written(folder, "a.yaml", bytes);
    match Source::read(&path) {
        // Line ends are the page's own, and a tab keeps its width only if it stays one.
        Ok(source) => match source.judge(&[]) {
            Ok(_) => Vec::new(),
            Err(mistakes) => {
                mistakes.iter().map(|mistake| mistake.render().replace(['\n', '\t'], " ")).collect()
            }
        },
        Err(error) => vec![error.to_string()],
    }
}

fn record(folder: &Path, bytes: &[u8]) -> Said {
    let text = String::from_utf8_lossy(bytes);
    let mut parts = text.split(PARTED);
    for name in ["artifact.json", "stage.json"] {
        written(folder, name, parts.next().unwrap_or_default().as_bytes());
    }
    let checkpoint = folder.join("checkpoint-0000000100");
    fs::create_dir(&checkpoint).expect("an empty folder");
    written(&checkpoint, "checkpoint.json", parts.next().unwrap_or_default().as_bytes());
    written(&checkpoint, "state.safetensors", b"abc");
    let checkpoints = CheckpointStore::new(folder);
    let all = [
        said(store::state(folder, true)),
        said(store::verify(folder)),
        said(checkpoints.latest::<u8>(u64::MAX)),
        said(checkpoints.damaged()),
    ];
    let _ = serde_json::from_slice::<Artifact>(bytes);
    all.into_iter().flatten().collect()
}
