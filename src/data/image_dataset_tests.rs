//! What `ImageDataset` accepts, and every sentence with which it refuses.

use std::{
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

use burn::tensor::Device;
use zip::{CompressionMethod, write::SimpleFileOptions};

use super::{
    batch::{Batches, Samples},
    image_dataset::{DatasetKind, DatasetOptions, ImageDataset},
    latents::tests::npy,
    order::{Order, OrderOptions},
    pixels::Pixels,
};
use crate::Result;

/// Writes a zip of the given entries.
fn write_zip(path: &Path, entries: &[(&str, &[u8])], method: CompressionMethod) {
    let mut zip = zip::ZipWriter::new(std::fs::File::create(path).unwrap());
    for (name, bytes) in entries {
        zip.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
}

fn png(side: usize, channels: usize, value: u8) -> Vec<u8> {
    let data = (0..side * side * channels).map(|i| value.wrapping_add(i as u8)).collect();
    Pixels::new(side, side, channels, data).to_png()
}

const JSON: &[u8] = br#"{"labels": [["b.png", 0], ["a.png", 2]]}"#;

fn labelled() -> DatasetOptions {
    DatasetOptions { use_labels: true, ..DatasetOptions::default() }
}

/// Opens a zip of the given entries, with labels.
fn open(entries: &[(&str, &[u8])]) -> Result<ImageDataset> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("set.zip");
    write_zip(&path, entries, CompressionMethod::Stored);
    ImageDataset::open(&path, &labelled())
}

#[track_caller]
fn problem(entries: &[(&str, &[u8])], expected: &str) {
    let error = open(entries).unwrap_err().to_string();
    assert!(error.contains("set.zip` is not a usable dataset zip"), "{error}");
    assert!(error.contains(expected), "{error}");
}

#[test]
fn images_and_labels_are_found_by_name() {
    let (a, b) = (png(4, 3, 1), png(4, 3, 2));
    let set = open(&[("b.png", &b), ("a.png", &a), ("dataset.json", JSON), ("notes.txt", b"")]).unwrap();
    assert_eq!((set.name(), set.len(), set.shape(), set.label_dim()), ("set", 2, [3, 4, 4], 3));
    assert_eq!(set.names(), ["a.png", "b.png"]);
    assert_eq!(set.classes(), Some(vec![2, 0]));
    assert_eq!(*set.image(1).unwrap(), Pixels::decode(&b).unwrap().to_chw());
    let labels = set.batch(&[1, 0]).unwrap().labels(&Device::flex()).unwrap().into_data();
    assert_eq!(labels.try_into_vec::<f32>().unwrap(), [1.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
}

#[test]
fn a_folder_and_its_zips_have_one_identity() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (png(4, 1, 1), png(4, 1, 2));
    let entries: [(&str, &[u8]); 3] = [("a.png", &a), ("b.png", &b), ("dataset.json", JSON)];
    let identity = |path: PathBuf| ImageDataset::open(&path, &labelled()).unwrap().identity();
    let folder = dir.path().join("folder");
    std::fs::create_dir(&folder).unwrap();
    for (name, bytes) in entries {
        std::fs::write(folder.join(name), bytes).unwrap();
    }
    let from_folder = identity(folder.clone());
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        let path = dir.path().join("x.zip");
        write_zip(&path, &entries, method);
        assert_eq!(identity(path), from_folder);
    }
    std::fs::write(folder.join("b.png"), png(4, 1, 3)).unwrap();
    assert_ne!(identity(folder.clone()), from_folder);
    std::fs::write(folder.join("b.png"), &b).unwrap();
    std::fs::rename(folder.join("b.png"), folder.join("c.png")).unwrap();
    let options = DatasetOptions::default();
    assert_ne!(ImageDataset::open(&folder, &options).unwrap().identity(), from_folder);
}

#[test]
fn disagreeing_labels_name_the_entry() {
    let (a, b) = (png(4, 1, 1), png(4, 1, 2));
    problem(&[("a.png", &a), ("dataset.json", JSON)], "`b.png` the first");
    problem(
        &[("a.png", &a), ("b.png", &b), ("c.png", &a), ("dataset.json", JSON)],
        "entry `dataset.json` gives no class to 1 of 3 images, `c.png` the first",
    );
    problem(&[("a.png", &a), ("dataset.json", br#"{"labels": [["a.png", "x"]]}"#)], "the class \"x\"");
    problem(&[("a.png", &a), ("dataset.json", b"{")], "entry `dataset.json` is not JSON");
}

#[test]
fn labels_that_are_not_used_do_not_matter() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.zip");
    write_zip(&path, &[("a.png", &png(4, 1, 1)), ("dataset.json", JSON)], CompressionMethod::Stored);
    let set = ImageDataset::open(&path, &DatasetOptions::default()).unwrap();
    assert!(set.label_dim() == 0 && set.class(0).is_none());
}

#[test]
fn unusable_images_are_named() {
    let a = png(4, 1, 1);
    problem(&[("a.png", &a), ("b.png", b"")], "entry `b.png` is empty (0 bytes)");
    problem(&[("a.png", &a), ("b.png", &a[..40])], "entry `b.png` cannot be decoded");
    problem(
        &[("a.png", &a), ("b.png", &png(8, 1, 0))],
        "entry `b.png` is 8 x 8 with 1 channel, but the first image is 4 x 4 with 1 channel",
    );
    problem(&[("a.png", &a), ("b.png", &png(4, 3, 0))], "entry `b.png` is 4 x 4 with 3 channels");
    problem(&[("a.png", &png(4, 4, 0))], "entry `a.png` has an alpha channel");
    let wide = Pixels::new(6, 4, 1, vec![0; 24]).to_png();
    problem(&[("a.png", &wide)], "entry `a.png` is 6 x 4 pixels, but networks work on squares");
    problem(&[("a.png", &a), ("b.tiff", b"II")], "entry `b.tiff` is of a format that is not read");
    problem(&[("a.txt", b"")], "it holds no images");
    problem(&[("../a.png", &a)], "entry `../a.png` points outside of the zip");
    problem(&[("dataset.json", br#"{"labels": null}"#)], "neither images nor labels");
    let latent = npy("<f4", &[8, 2, 2], &[0; 128]);
    problem(&[("a.png", &a), ("b.npy", &latent)], "entry `b.npy` holds latents, but there are images too");
}

#[test]
fn an_image_on_disk_is_checked_too() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.png"), png(4, 1, 1)).unwrap();
    std::fs::write(dir.path().join("b.png"), png(8, 1, 1)).unwrap();
    let error = ImageDataset::open_with_cache(dir.path(), &DatasetOptions::default(), 0).unwrap_err();
    let expected = "b.png` is not a usable file of a dataset: it is 8 x 8";
    assert!(error.to_string().contains(expected), "{error}");
}

#[test]
fn latents_and_labels_are_datasets_too() {
    let values: Vec<f32> = (0..32).map(|i| i as f32).collect();
    let data: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let latent = npy("<f4", &[8, 2, 2], &data);
    let json = br#"{"labels": [["00000/img-mean-std-00000000.npy", 5]]}"#;
    let set = open(&[("00000/img-mean-std-00000000.npy", &latent), ("dataset.json", json)]).unwrap();
    assert_eq!((set.kind(), set.shape(), set.label_dim()), (DatasetKind::RawLatents, [8, 2, 2], 6));
    assert_eq!(set.batch(&[0]).unwrap().samples, Samples::RawLatents(values));
    assert!(set.image(0).unwrap_err().to_string().contains("has no images"));

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dataset.json");
    std::fs::write(&path, JSON).unwrap();
    let set = ImageDataset::open(&path, &labelled()).unwrap();
    assert_eq!((set.kind(), set.len(), set.classes()), (DatasetKind::LabelsOnly, 2, Some(vec![2, 0])));
    assert_eq!(set.batch(&[0, 1]).unwrap().samples, Samples::Nothing);
    std::fs::write(&path, br#"{"labels": null}"#).unwrap();
    let error = ImageDataset::open(&path, &labelled()).unwrap_err().to_string();
    assert!(error.contains("no labels, and there are no images"), "{error}");
}

#[test]
fn batches_follow_the_order() {
    let images: Vec<(String, Vec<u8>)> = (0..7).map(|i| (format!("{i}.png"), png(4, 1, i * 9))).collect();
    let entries: Vec<(&str, &[u8])> = images.iter().map(|(n, b)| (n.as_str(), b.as_slice())).collect();
    let set = Arc::new(open(&entries).unwrap());
    let order = Order::edm(OrderOptions::new(7, 1)).unwrap();
    let mut batches = Batches::start(Arc::clone(&set), order.clone(), 3).unwrap();
    let expected: Vec<usize> = order.take(30).collect();
    for indices in expected.chunks(3) {
        assert_eq!(batches.next_batch().unwrap(), set.batch(indices).unwrap());
    }
}
