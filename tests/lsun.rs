//! LSUN's images as EDM's tool takes them: a database of LMDB, whole, cut off and damaged.
//!
//! `tests/lsun/data.mdb` was written by the package `lmdb` for Python (LMDB 0.9): under the key `'%040x' % (i * 2654435761 % 2**32)`,
//! for i from 0 to 59, lies a lossless WebP of 8 rows and 8 + i % 3 columns, all of the gray 7 i % 256 but for the corner; under that of
//! i = 3 noise of 32x28, which needs pages of its own.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod program;

use std::{fs, path::Path};

use program::{Bench, root};
use sida::{
    data::{DatasetOptions, ImageDataset, PrepareOptions, Transform, prepare},
    formats::{FileBytes, lmdb},
};

fn database() -> Vec<u8> {
    fs::read(root().join("tests/lsun/data.mdb")).unwrap()
}

fn options(max_images: Option<usize>) -> PrepareOptions {
    PrepareOptions {
        transform: Some(Transform::CenterCrop),
        resolution: Some([8, 8]),
        max_images,
        ..PrepareOptions::default()
    }
}

#[test]
fn images_come_in_the_order_of_their_keys() {
    let dir = tempfile::tempdir().unwrap();
    let mut order: Vec<u64> = (0..60).collect();
    order.sort_by_key(|i| i * 2_654_435_761 % (1 << 32));
    let sources = [root().join("tests/lsun"), root().join("tests/lsun/data.mdb")];
    for (source, most) in sources.iter().zip([None, Some(10)]) {
        let to = dir.path().join("out.zip");
        let prepared = prepare(source, &to, &options(most), &|_, _| {}).unwrap();
        assert_eq!((prepared.images, prepared.shape), (most.unwrap_or(60), [3, 8, 8]));
        let dataset = ImageDataset::open(&to, &DatasetOptions::default()).unwrap();
        for (place, i) in order.iter().take(prepared.images).enumerate().filter(|(_, i)| **i != 3) {
            let image = dataset.image(place).unwrap();
            assert_eq!(u64::from(image[3 * 8 + 3]), i * 7 % 256, "image {place}");
        }
    }
}

#[test]
fn a_pipeline_converts_it_and_classes_are_not_asked_of_it() {
    let bench = Bench::new();
    let folder = root().join("tests/lsun").display().to_string();
    let convert = |more: &str| {
        format!(
            "stages: {{ cats: {{ prepare_dataset: {{ source: {{ convert: {{ path: '{folder}', resolution: 8, transform: center_crop{more} }} }} }} }} }}\n"
        )
    };
    bench.sida(&["run", &bench.write("p.yaml", convert(", max_images: 12")), "--device", "cpu"]).exits(0);
    let labelled = bench.write("l.yaml", convert(", use_labels: true"));
    bench.sida(&["run", &labelled, "--device", "cpu"]).exits(1).complains(&["data.mdb", "no classes"]);
}

/// What becomes of the bytes: the values' lengths, or the words of an error.
fn read(bytes: Vec<u8>) -> Result<Vec<usize>, String> {
    let file = FileBytes::memory("data.mdb", bytes);
    let values = lmdb::values(&file, usize::MAX).map_err(|error| error.to_string())?;
    assert!(values.len() as u64 <= file.len() / 2, "no more than there is room for");
    values
        .iter()
        .map(|span| file.read(*span).map(|value| value.len()).map_err(|error| error.to_string()))
        .collect()
}

#[test]
fn what_is_cut_off_or_damaged_is_an_error_and_no_endless_loop() {
    let whole = database();
    assert_eq!(read(whole.clone()).unwrap().len(), 60);
    for len in (0..whole.len()).step_by(97).chain([whole.len() - 1]) {
        let said = read(whole[..len].to_vec()).unwrap_err();
        assert!(said.contains("cut off") || said.contains("does not begin"), "{len}: {said}");
    }
    // Every byte of what says where things are: the metas and the heads of pages, each with values that lead astray.
    let page = 4096;
    let heads = (0..whole.len() / page).flat_map(|i| i * page..i * page + 200);
    for at in heads.chain((0..whole.len()).step_by(31)) {
        for value in [0, 1, 2, 4, 0x7f, 0xff, whole[at] ^ 1] {
            let mut bytes = whole.clone();
            bytes[at] = value;
            drop(read(bytes));
        }
    }
    // A branch that leads to itself: the root's first child is the root.
    let root_page = u64::from_le_bytes(whole[page + 0x80..page + 0x88].try_into().unwrap()) as usize;
    let node = usize::from(u16::from_le_bytes(whole[root_page * page + 16..][..2].try_into().unwrap()));
    let mut circle = whole;
    circle[root_page * page + node..][..4].copy_from_slice(&(root_page as u32).to_le_bytes());
    assert!(read(circle).unwrap_err().contains("is below itself"));
    assert!(
        !lmdb::is_one(&FileBytes::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap())
            .unwrap()
    );
}
