//! The papers' recipes, unchanged but for their sizes, through all stages to their reports: with networks of the real
//! architectures in files as the releases have them, downloaded, loaded, distilled, measured and shown.
#![expect(unreachable_pub, clippy::unwrap_used, reason = "a test may fail, and has no outside")]
#![cfg(unix)]

#[path = "rehearsal/checks.rs"]
mod checks;
#[path = "rehearsal/files.rs"]
mod files;
#[path = "rehearsal/layout.rs"]
mod layout;
#[path = "rehearsal/module.rs"]
mod module;
#[path = "rehearsal/pickle.rs"]
mod pickle;
mod program;
#[path = "rehearsal/snapshot.rs"]
mod snapshot;
#[path = "rehearsal/stand.rs"]
mod stand;
#[path = "rehearsal/torch.rs"]
mod torch;

use std::{fs, path::PathBuf, process::Child};

use burn::tensor::{Device, Tensor};
use checks::{every_phase_was_there, is_reported, only_sizes_differ, same_ends, the_best_is_handed_on};
use files::Reference;
use program::{Said, folder, folders, root, signal, wait, works_in};
use serde_json::Value;
use sida::{
    data::{DatasetOptions, ImageDataset},
    formats::safetensors,
    nn::NetworkConfig,
    seed::{Phase, Seed},
};
use stand::{Stand, made};

/// The network of a `load_teacher` stage.
fn network(values: &Value, stage: &str) -> NetworkConfig {
    serde_json::from_value(values["stages"][stage]["load_teacher"]["network"].clone()).unwrap()
}

#[test]
fn sid2a_on_cifar10() {
    let stand = Stand::new("cifar10");
    // The dataset, from the archive of its authors.
    let archive = root().join("tests/fixtures/dataset-04-cifar10-mini/cifar-10-python.tar.gz");
    stand.publish("cifar-10-python.tar.gz", &fs::read(archive).unwrap());
    let convert = format!(
        "stages: {{ cifar10: {{ prepare_dataset: {{ source: {{ convert: {{ path: {}, use_labels: true }} }} }} }} }}",
        stand.address_of("cifar-10-python.tar.gz")
    );
    let prepare = stand.bench.write("prepare.yaml", convert);
    stand.bench.sida(&["run", &prepare]).exits(0);
    let zip = stand.dataset("cifar10-32x32.zip");
    fs::copy(folder(&stand.bench.runs().join("prepare"), "cifar10").join("dataset.zip"), &zip).unwrap();
    let dataset = ImageDataset::open(&zip, &DatasetOptions::default()).unwrap();
    let images = dataset.batch(&(0..dataset.len()).collect::<Vec<_>>()).unwrap();
    let images: Tensor<4> = images.raw(&Device::flex()).unwrap();
    stand.publish("cifar10-32x32.npz", &Reference::of(images).npz());

    let config = network(&stand.values(&[]), "edm");
    // Seeds with which the best snapshot is not the last one.
    let pickles =
        [("edm", "edm-cifar10-32x32-cond-vp.pkl", 3), ("sid", "network-snapshot-1.200000-713312.pkl", 4)];
    let sets = pickles.map(|(stage, name, seed)| {
        let weights = snapshot::weights(&config, Seed(seed).at(Phase::Init, 0));
        stand.publish_for(stage, name, &snapshot::edm(&config, &weights))
    });
    let expected =
        ["metric", "at_most", "source"].map(|name| format!("stages.scores.evaluate.expect.0.{name}"));
    only_sizes_differ(&stand.differences(&sets), &expected);

    let said = stand.run(&sets, "runs").exits(0);
    assert!(said.out.contains("7 stages ran") && said.out.contains("PASS: 1 of 1"), "{}", said.out);
    let home = stand.home("runs");
    every_phase_was_there(&home, "sid2a");
    let best = the_best_is_handed_on(&home, "sid2a", "fd_random_conv_64", 11);
    assert_ne!(best, 160, "the last one says nothing about which is the best");
    is_reported(&home, "SiD2A, alpha=1.0", "fd_random_conv_64");
    let said = stand.run(&sets, "runs").exits(0);
    assert!(said.out.contains("nothing to do: 7 stages"), "{}", said.out);
    // The files are those that were asked for, or nothing is made of them.
    let other = format!("--set=stages.edm.load_teacher.sha256={}", "a".repeat(64));
    stand
        .run(&[other], "others")
        .exits(1)
        .complains(&["edm-cifar10-32x32-cond-vp.pkl", "the pipeline asks for SHA-256 aaaa"]);

    // Killed in the middle it goes on and ends the same.
    let other = stand.home("killed");
    let mut child = stand.start(&sets, "killed");
    let checkpoint = |dir: &PathBuf| dir.join("checkpoint-0000000064").exists();
    let is_in_the_middle = |child: &Child| {
        works_in(child, &stand.bench.path("killed")) && folders(&other, "sid2a").iter().any(checkpoint)
    };
    assert!(wait(&mut child, is_in_the_middle));
    signal(&child, "KILL");
    assert_eq!(Said::end(child).code, None);
    let said = stand.run(&sets, "killed").exits(0);
    assert!(said.out.contains("4 stages ran, 3 were done before"), "{}", said.out);
    same_ends(&home, &other, "sid2a");
}

#[test]
fn sida_on_latents_of_imagenet_from_edm2() {
    let stand = Stand::new("edm2");
    let draw = Seed(3).at(Phase::Init, 0);
    let config = network(&stand.values(&[]), "edm2");
    let device = Device::flex();
    let latents = files::latents(draw, 40, config.img_resolution());
    fs::write(stand.dataset("img512-sd.zip"), files::latent_zip(&latents, config.label_dim())).unwrap();
    let autoencoder = files::autoencoder(draw);
    let file = stand.bench.path("served/diffusion_pytorch_model.safetensors");
    safetensors::write(&file, &autoencoder, &safetensors::Metadata::new()).unwrap();
    let images = files::decoded(&latents, &autoencoder, &device);
    stand.publish("img512.pkl", &Reference::of(images).pkl());
    let weights = snapshot::weights(&config, draw);
    let name = "edm2-img512-xs-2147483-0.135.pkl";
    let sets = [stand.publish_for("edm2", name, &snapshot::edm2(&config, &weights))];
    only_sizes_differ(&stand.differences(&sets), &[]);

    let said = stand.run(&sets, "runs").exits(0);
    assert!(said.out.contains("6 stages ran"), "{}", said.out);
    let home = stand.home("runs");
    every_phase_was_there(&home, "sida");
    // Which one that is depends on the last digits, and so on the processor.
    the_best_is_handed_on(&home, "sida", "fd_random_conv_16", 4);
    is_reported(&home, "SiDA", "fd_random_conv_16");
    // Only the networks that denoise have the head that says how uncertain they are.
    let head = |stage: &str| {
        let dir = folder(&home, stage);
        let weights = dir.join(made(&dir)["weights"].as_str().unwrap());
        safetensors::read(&weights).unwrap().0.keys().any(|name| name.starts_with("logvar_"))
    };
    assert!(head("edm2") && !head("sida"));
    let said = stand.run(&sets, "runs").exits(0);
    assert!(said.out.contains("nothing to do: 6 stages"), "{}", said.out);
}
