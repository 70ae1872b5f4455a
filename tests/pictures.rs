//! `evaluate` of pictures that are there already, and a reference that is one array, through the real binary.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod program;

use std::{fs, path::Path};

use program::{Bench, folder, json, root};
use serde_json::json;
use sida::{
    data::{DatasetOptions, ImageDataset, Pixels},
    formats::NpzImageWriter,
};

/// Pictures, an array of the digits to compare with, and a report.
const PIPELINE: &str = "
stages:
  digits:
    prepare_dataset: { source: { npz: { path: digits.npz } } }
  scores:
    evaluate:
      pictures: PICTURES
      reference: digits
      metrics:
        - { frechet_distance: { detector: pixels, images: 100 } }
        - { kid: { detector: pixels, images: 120 } }
        - { precision_recall: { detector: pixels, images: 120 } }
  table:
    report: { caption: Digits, columns: [nfe, fd_pixels_100, pr_pixels_120_recall], rows: [{ label: Ours, scores: { stage: scores } }] }
";

fn digits() -> ImageDataset {
    ImageDataset::open(&root().join("datasets/digits-8x8.zip"), &DatasetOptions::default()).unwrap()
}

/// The top left corners of the first digits, as an array.
fn array(path: &Path, count: usize, side: usize) {
    let digits = digits();
    let mut writer = NpzImageWriter::create(path, [count, side, side, 1]).unwrap();
    for i in 0..count {
        let image = digits.image(i).unwrap();
        let cut: Vec<u8> = image.chunks(8).take(side).flat_map(|row| row[..side].to_vec()).collect();
        writer.write(&cut).unwrap();
    }
    writer.finish().unwrap();
}

/// The first digits as PNG files in two folders, in the order of their names.
fn pictures(folder: &Path, count: usize) {
    let digits = digits();
    for i in 0..count {
        let below = folder.join(format!("{}", i / 100));
        fs::create_dir_all(&below).unwrap();
        let png = Pixels::from_chw(&digits.image(i).unwrap(), [1, 8, 8]).to_png();
        fs::write(below.join(format!("{i:04}.png")), png).unwrap();
    }
}

#[test]
fn pictures_are_measured_as_they_are() {
    let bench = Bench::inside();
    array(&bench.path("digits.npz"), 120, 8);
    pictures(&bench.path("pictures"), 130);
    array(&bench.path("pictures.npz"), 130, 8);
    let of = |pictures: &str| PIPELINE.replace("PICTURES", pictures);
    bench.write("folder.yaml", of("pictures"));
    bench.write("array.yaml", of("pictures.npz"));

    let said = bench.sida(&["run", "folder.yaml"]).exits(0);
    assert!(said.err.contains("scores: measures the first 120 of 130 pictures"), "{}", said.err);
    let made = folder(&bench.runs().join("folder"), "scores");
    let artifact = json(&made.join("artifact.json"));
    let scores = &artifact["artifact"]["scores"];
    assert_eq!((scores.get("nfe"), scores.get("network")), (None, None), "{artifact}");
    let mean = |name: &str| scores["scores"][name]["mean"].as_f64().unwrap();
    // The first 120 are the reference itself.
    assert_eq!([mean("pr_pixels_120_precision"), mean("pr_pixels_120_recall")], [1.0, 1.0]);
    assert!(mean("kid_pixels_120").abs() < 0.2, "{artifact}");
    assert!(mean("fd_pixels_100") > 1e-3, "100 of 120 differ from all");

    let page = json(&bench.runs().join("folder/report.json"));
    assert_eq!(page["rows"][0]["nfe"], json!(null), "{page}");
    assert!(
        said.out.lines().any(|line| line.trim_start().starts_with("Ours") && line.contains('–')),
        "{}",
        said.out
    );
    let html = fs::read_to_string(bench.runs().join("folder/report.html")).unwrap();
    assert!(html.contains("measured as they are") && made.join("grid.png").is_file());

    // The same pictures in an array give the same numbers.
    bench.sida(&["run", "array.yaml"]).exits(0);
    let other = json(&folder(&bench.runs().join("array"), "scores").join("artifact.json"));
    assert_eq!(other["artifact"]["scores"]["scores"], scores["scores"]);

    // The key follows what the pictures are.
    let said = bench.sida(&["run", "folder.yaml"]).exits(0);
    assert!(said.out.contains("nothing to do"), "{}", said.out);
    fs::copy(bench.path("pictures/1/0129.png"), bench.path("pictures/0/0000.png")).unwrap();
    let said = bench.sida(&["plan", "folder.yaml"]).exits(0);
    let line = said.out.lines().find(|line| line.contains("scores")).unwrap();
    assert!(line.contains("to run"), "{}", said.out);
}

#[test]
fn pictures_that_do_not_fit_are_refused_before_anything_is_measured() {
    let bench = Bench::inside();
    array(&bench.path("digits.npz"), 120, 8);
    array(&bench.path("few.npz"), 110, 8);
    array(&bench.path("small.npz"), 120, 4);
    for (pictures, said) in [
        ("few.npz", "`kid_pixels_120` needs 120 pictures, but there are 110"),
        ("small.npz", "the pictures are 4x4, but the images of `digits` are 8x8"),
    ] {
        bench.write("wrong.yaml", PIPELINE.replace("PICTURES", pictures));
        let heard = bench.sida(&["run", "wrong.yaml"]).exits(2);
        assert!(heard.err.contains(said), "{}", heard.err);
        assert!(!bench.runs().join("wrong").exists(), "nothing ran");
    }
    // What a check cannot know is found by the run.
    fs::write(bench.path("broken.npz"), b"no zip").unwrap();
    fs::create_dir(bench.path("empty")).unwrap();
    for (pictures, said) in [("broken.npz", "it is text (`no zip`)"), ("empty", "holds no images")] {
        bench.write("wrong.yaml", PIPELINE.replace("PICTURES", pictures));
        bench.sida(&["run", "wrong.yaml"]).exits(1).complains(&[said]);
    }
}

#[test]
fn an_array_is_inspected() {
    let bench = Bench::inside();
    array(&bench.path("digits.npz"), 120, 8);
    let said = bench.sida(&["inspect", "digits.npz"]).exits(0);
    assert!(said.out.contains("120 images, 8x8, 1 channel"), "{}", said.out);
}

/// A folder of one image, converted.
fn converted(bench: &Bench, image: &Pixels, options: &str) -> Result<Vec<u8>, String> {
    fs::create_dir_all(bench.path("one")).unwrap();
    fs::write(bench.path("one/a.png"), image.to_png()).unwrap();
    let source = format!("{{ convert: {{ path: one{options} }} }}");
    bench.write("one.yaml", format!("stages:\n  one:\n    prepare_dataset: {{ source: {source} }}\n"));
    drop(fs::remove_dir_all(bench.runs()));
    let said = bench.sida(&["run", "one.yaml"]);
    if said.code != Some(0) {
        assert_eq!(said.code, Some(1), "{}", said.err);
        return Err(said.err);
    }
    let made = folder(&bench.runs().join("one"), "one").join("dataset.zip");
    Ok(ImageDataset::open(&made, &DatasetOptions::default()).unwrap().image(0).unwrap().into_owned())
}

#[test]
fn a_background_is_laid_under_what_is_transparent() {
    let bench = Bench::inside();
    let rgba = Pixels::new(2, 1, 4, vec![10, 20, 30, 0, 10, 20, 30, 255]);
    let rgba = Pixels::new(2, 2, 4, rgba.data.repeat(2));
    // Nothing is asked: what the release does.
    let said = converted(&bench, &rgba, "").unwrap_err();
    assert!(
        said.contains("a.png` is not a usable file of a dataset: it has an alpha channel, which EDM refuses"),
        "{said}"
    );
    assert_eq!(converted(&bench, &rgba, ", rules: edm2").unwrap(), [[10; 4], [20; 4], [30; 4]].concat());
    let white = [[255, 10, 255, 10], [255, 20, 255, 20], [255, 30, 255, 30]].concat();
    for rules in ["edm", "edm2"] {
        let options = format!(", rules: {rules}, background: [255, 255, 255]");
        assert_eq!(converted(&bench, &rgba, &options).unwrap(), white, "{rules}");
    }
    let gray = Pixels::new(1, 1, 2, vec![100, 51]);
    assert_eq!(converted(&bench, &gray, ", background: [0, 0, 0]").unwrap(), [20]);
    assert_eq!(converted(&bench, &gray, ", background: [255, 0, 0]").unwrap(), [224, 20, 20]);
}
