//! Bad input and bad luck through the real program: the right exit code, one clear sentence, and nothing finished is lost.
#![expect(clippy::unwrap_used, reason = "a test may fail")]
#![cfg(unix)]

mod program;

use std::{
    fs::{self, File},
    io::{Cursor, Write},
    path::Path,
    process::Command,
};

use program::{Bench, SCORES, TEACHER, folder, json, root};
use sida::location::{Location, Resolved};

const SMALL: &str = "tests/pipelines/quickstart-small.yaml";

fn png(side: u32) -> Vec<u8> {
    let pixels = image::GrayImage::from_fn(side, side, |x, y| image::Luma([(x * 9 + y * 5) as u8]));
    let mut bytes = Cursor::new(Vec::new());
    pixels.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

fn write_zip(path: &Path, entries: &[(&str, &[u8])]) {
    let mut zip = zip::ZipWriter::new(File::create(path).unwrap());
    for (name, bytes) in entries {
        zip.start_file::<_, ()>((*name).to_owned(), zip::write::FileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
}

/// Runs a pipeline whose dataset is `data.zip` of the bench, and expects words about it.
#[track_caller]
fn refuses(bench: &Bench, parts: &[&str]) {
    let zip = bench.path("data.zip").display().to_string();
    for source in ["edm", "convert"] {
        let text = format!(
            "stages:\n  data:\n    prepare_dataset: {{ source: {{ {source}: {{ path: '{zip}', use_labels: true }} }} }}\n"
        );
        let file = bench.write("data.yaml", text);
        let said = bench.sida(&["run", &file]).exits(1).complains(&["data.zip"]);
        if source == "edm" {
            said.complains(parts);
        }
    }
}

#[test]
fn a_folder_of_images_becomes_a_dataset_with_the_classes_of_its_folders() {
    let bench = Bench::new();
    for (name, side) in [("cat/a.png", 16), ("cat/b.png", 16), ("dog/c.png", 16)] {
        let path = bench.path("photos").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, png(side)).unwrap();
    }
    let photos = bench.path("photos").display().to_string();
    let text = format!(
        "stages:\n  data:\n    prepare_dataset: {{ source: {{ convert: {{ path: '{photos}', resolution: 8, transform: center_crop, use_labels: true }} }} }}\n"
    );
    let file = bench.write("data.yaml", text);
    let said = bench.sida(&["run", &file]).exits(0).err.clone();
    assert!(said.contains(r#"data: class 0 = "cat", class 1 = "dog""#), "{said}");
    let made = json(&folder(&bench.runs().join("data"), "data").join("artifact.json"));
    let made = &made["artifact"]["dataset"];
    assert_eq!([&made["images"], &made["resolution"], &made["label_dim"]], [3, 8, 2]);
    assert_eq!(made["class_names"], serde_json::json!(["cat", "dog"]));
}

#[test]
fn datasets_that_cannot_be_used_are_named_with_the_entry_and_what_to_do() {
    let bench = Bench::new();
    let zip = bench.path("data.zip");
    let absent = format!(
        "stages: {{ data: {{ prepare_dataset: {{ source: {{ edm: {{ path: '{}' }} }} }} }} }}",
        zip.display()
    );
    bench
        .sida(&["run", &bench.write("absent.yaml", absent)])
        .exits(2)
        .complains(&["data.zip` is not here, and nothing was started"]);
    let (small, large) = (png(8), png(16));
    let labels = |text: &str| format!("{{\"labels\": {text}}}").into_bytes();
    let two = labels(r#"[["a.png", 0], ["b.png", 1]]"#);

    write_zip(
        &zip,
        &[("a.png", &small), ("b.png", &small), ("dataset.json", &labels(r#"[["a.png", 0], ["c.png", 1]]"#))],
    );
    refuses(&bench, &["dataset.json", "b.png"]);
    write_zip(&zip, &[("a.png", &small), ("b.png", b""), ("dataset.json", &two)]);
    refuses(&bench, &["b.png", "empty (0 bytes)"]);
    write_zip(&zip, &[("a.png", &small), ("b.png", &large), ("dataset.json", &two)]);
    refuses(&bench, &["b.png", "16 x 16", "8 x 8"]);
    write_zip(&zip, &[("dataset.json", b"{")]);
    refuses(&bench, &["data.zip"]);

    let digits = fs::read(root().join("datasets/digits-8x8.zip")).unwrap();
    fs::write(&zip, b"").unwrap();
    refuses(&bench, &["empty (0 bytes)", "again"]);
    for length in [1000, digits.len() / 2, digits.len() - 10] {
        fs::write(&zip, &digits[..length]).unwrap();
        refuses(&bench, &[if length == 0 { "empty" } else { "truncated" }, "again"]);
    }
}

/// What is left out is said: a picture that nobody can read with its name, everything else in a line.
#[test]
fn what_is_left_out_of_a_dataset_is_said() {
    let bench = Bench::new();
    let image = png(8);
    for (name, bytes) in
        [("10/a.png", &image[..]), ("9/a.png", &image), ("9/b.heic", b"?"), ("9/c.png", &image[..50])]
    {
        let path = bench.path("photos").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    fs::write(bench.path("photos/README.txt"), "hello").unwrap();
    fs::write(bench.path("photos/.DS_Store"), "?").unwrap();
    let photos = bench.path("photos").display().to_string();
    let pipeline = |more: &str| {
        format!(
            "stages:\n  data:\n    prepare_dataset: {{ source: {{ convert: {{ path: '{photos}', use_labels: true{more} }} }} }}\n"
        )
    };
    let file = bench.write("data.yaml", pipeline(""));
    bench.sida(&["run", &file]).exits(1).complains(&["9/b.heic", "`skip_unreadable: true`"]);
    let file = bench.write("data.yaml", pipeline(", skip_unreadable: true"));
    let said = bench.sida(&["run", &file]).exits(0).err.clone();
    for words in [
        "2 pictures are skipped, 2 are kept; the first: `9/b.heic`",
        "left out: 1 other file, `README.txt`; 1 hidden file or folder, `.DS_Store`",
        r#"class 0 = "10", class 1 = "9"; `class_order: natural`"#,
    ] {
        assert!(said.contains(words), "{said}");
    }
    let file = bench.write("data.yaml", pipeline(", skip_unreadable: true, class_order: natural"));
    let said = bench.sida(&["run", &file]).exits(0).err.clone();
    assert!(said.contains(r#"class 0 = "9", class 1 = "10""#) && !said.contains("2 before 10"), "{said}");
}

/// Without this, a network would learn without classes, and nobody would know.
#[test]
fn labels_that_are_asked_for_and_absent_are_refused() {
    let bench = Bench::new();
    let image = png(8);
    let zip = bench.path("data.zip");
    let cases: [(&str, &[u8], &str); 4] = [
        ("notes.txt", b"", "there is no `dataset.json` at its top"),
        ("dataset.json", br#"{"labels": null}"#, "its `dataset.json` has `labels: null`"),
        ("Dataset.json", br#"{"labels": [["a.png", 1]]}"#, "the file is called `Dataset.json`: rename it"),
        ("digits/dataset.json", br#"{"labels": [["a.png", 1]]}"#, "it lies in `digits/dataset.json`"),
    ];
    for (name, json, words) in cases {
        write_zip(&zip, &[("a.png", &image), (name, json)]);
        let pipeline = |path: &str, labels: bool| {
            format!(
                "stages:\n  data:\n    prepare_dataset: {{ source: {{ edm: {{ path: '{path}', use_labels: {labels} }} }} }}\n"
            )
        };
        // Where the file is at hand, before anything runs.
        let local = zip.display().to_string();
        let file = bench.write("data.yaml", pipeline(&local, true));
        for command in [&["check"][..], &["run"]] {
            let said = bench.sida(&[command, &[file.as_str()]].concat()).exits(2);
            assert!(said.err.contains(words) && said.err.contains("`use_labels` is true"), "{}", said.err);
        }
        bench.sida(&["run", &bench.write("without.yaml", pipeline(&local, false))]).exits(0);
        // A download is looked at when it is there.
        let address = format!("https://host.invalid/{}.zip", name.replace('/', "-"));
        let Resolved::Url(url) = Location::new(&address).resolve().unwrap() else { panic!("an address") };
        let cached = sida::stages::download::cached(&bench.path("cache"), &url);
        fs::create_dir_all(cached.parent().unwrap()).unwrap();
        fs::copy(&zip, cached).unwrap();
        let file = bench.write("url.yaml", pipeline(&address, true));
        bench.sida(&["run", &file]).exits(1).complains(&[words, "write `use_labels: false`"]);
    }
    // A conversion takes the names of folders, too.
    write_zip(&zip, &[("one/a.png", &image), ("one/b.png", &image)]);
    let text = format!(
        "stages:\n  data:\n    prepare_dataset: {{ source: {{ convert: {{ path: '{}', use_labels: true }} }} }}\n",
        zip.display()
    );
    let file = bench.write("convert.yaml", text);
    bench.sida(&["run", &file]).exits(1).complains(&[
        "2 of 2 images have no class",
        "top folders",
        "dataset.json",
    ]);
}

#[test]
fn an_entry_that_points_outside_is_refused_and_nothing_is_written_there() {
    let bench = Bench::new();
    let image = png(8);
    for name in ["../../evil.png", "/tmp/sida-evil/evil.png", "a/../../../evil.png"] {
        write_zip(&bench.path("data.zip"), &[(name, &image), ("a.png", &image)]);
        refuses(&bench, &[name, "outside"]);
    }
    let evil = |folder: &Path| folder.join("evil.png").exists();
    assert!(
        !evil(&bench.path(""))
            && !evil(&bench.runs())
            && !evil(root())
            && !Path::new("/tmp/sida-evil").exists()
    );
    assert!(!evil(bench.path("").parent().unwrap()));
}

/// A device may have no end, and a pipe waits for somebody to write.
#[test]
fn only_regular_files_are_read() {
    let bench = Bench::new();
    let pipe = bench.path("pipe").display().to_string();
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let made = bench.path("made.safetensors").display().to_string();
    for path in ["/dev/zero", "/dev/null", &pipe] {
        for command in [
            &["check", path][..],
            &["plan", path],
            &["run", path],
            &["inspect", path],
            &["export", path, &made],
        ] {
            let said = bench.sida(command);
            assert!([Some(1), Some(2)].contains(&said.code), "{command:?}");
            said.complains(&[path, "not a regular file"]);
        }
        let verbs = ["labels", "edm", "convert"]
            .map(|source| format!("prepare_dataset: {{ source: {{ {source}: {{ path: {path} }} }} }}"));
        let loads = ["edm_pickle", "safetensors", "training_state"]
            .map(|weights| format!("load_teacher: {{ weights: {{ {weights}: {path} }} }}"));
        for verb in verbs.into_iter().chain(loads) {
            let file = bench.write("p.yaml", format!("stages: {{ a: {{ {verb} }} }}\n"));
            bench.sida(&["check", &file]);
            let said = bench.sida(&["run", &file]);
            assert!([Some(1), Some(2)].contains(&said.code), "{verb}: {}", said.err);
            assert!(said.err.contains("not a regular file"), "{verb}: {}", said.err);
        }
    }
}

/// What people have in place of weights is said by every command that takes weights.
#[test]
fn what_is_no_file_of_weights_is_recognised() {
    let bench = Bench::new();
    let made = bench.path("made.safetensors").display().to_string();
    let pointer = format!(
        "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 223000000\n",
        "a".repeat(64)
    );
    let kinds: [(&[u8], &str); 7] = [
        (b"", "empty (0 bytes)"),
        (b"<!DOCTYPE html><title>Quota exceeded</title>", "an HTML page (`Quota exceeded`)"),
        (b"{\"error\":\"Entry not found\"}", "Entry not found"),
        (b"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>", "XML (`AccessDenied`)"),
        (pointer.as_bytes(), "a Git LFS pointer to 223000000 bytes"),
        (b"\x1f\x8b\x08\0\0\0\0\0", "packed with gzip"),
        (&[0; 5000], "full of zeros"),
    ];
    for (bytes, words) in kinds {
        for (name, weights) in [
            ("a.pkl", "edm_pickle"),
            ("a.pt", "training_state"),
            ("a.pth", "edm_pickle"),
            ("a.safetensors", "safetensors"),
        ] {
            let file = bench.write(name, bytes);
            bench.sida(&["inspect", &file]).exits(1).complains(&[name, words]);
            bench.sida(&["export", &file, &made]).exits(1).complains(&[name, words]);
            let text =
                format!("stages: {{ a: {{ load_teacher: {{ weights: {{ {weights}: {file} }} }} }} }}\n");
            let pipeline = bench.write("p.yaml", text);
            bench.sida(&["run", &pipeline]).exits(1).complains(&[name, words]);
        }
        for name in ["a.zip", "a.npz"] {
            let file = bench.write(name, bytes);
            bench.sida(&["inspect", &file]).exits(1).complains(&[name, words]);
        }
    }
}

#[test]
fn wrong_commands_say_what_is_right() {
    let bench = Bench::new();
    let run = |more: &[&str]| bench.sida(&[&["run", SMALL][..], more].concat()).exits(2);
    if cfg!(not(feature = "cuda")) {
        run(&["--device", "cuda:0"]).complains(&["cuda:0", "built without it", "--features cuda"]);
    }
    run(&["--device", "gpu"]).complains(&["`gpu`", "auto"]);
    for (setting, suggestion) in
        [("stages.sid.distill.generatr.lr=1", "generator"), ("stages.sdi.distill.batch_size=64", "sid")]
    {
        let said = run(&["--set", setting]);
        assert!(said.err.contains(&format!("did you mean `{suggestion}`")), "{}", said.err);
    }
    let said = run(&["--set", "stages.sid.distill.batch_size=many"]);
    assert!(said.err.contains("many"), "{}", said.err);
    run(&["--until", "sidd"]).complains(&["did you mean `sid`"]);
    run(&["--only", "sid"]).complains(&["--until sid"]);
    bench.sida(&["run", "pipelines/quikstart.yaml"]).exits(2).complains(&["pipelines/quikstart.yaml"]);
    assert!(!bench.runs().exists(), "a wrong command leaves no folder");
}

#[test]
fn a_folder_of_runs_that_cannot_be_written_is_named() {
    let bench = Bench::new();
    let file = bench.write("runs", "a file");
    bench.sida(&["run", SMALL]).exits(1).complains(&["cannot create the folder", &file]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "a file");

    let folder = bench.path("read-only");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o555)).unwrap();
    // The superuser may write everywhere.
    if File::create(folder.join("probe")).is_err() {
        let folder = folder.display().to_string();
        bench.sida(&["run", SMALL, "--runs", &folder]).exits(1).complains(&[&folder, "denied"]);
    }
}

#[test]
fn a_full_disk_costs_nothing_that_was_finished() {
    let bench = Bench::new();
    let file = bench.write("p.yaml", format!("{TEACHER}{SCORES}"));
    let disk = bench.path("disk");
    fs::create_dir(&disk).unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=160k", "tmpfs"])
        .arg(&disk)
        .output()
        .is_ok_and(|output| output.status.success());
    // Where nothing can be mounted, files may not grow: the same errors at the same places.
    let limit = if mounted { "unlimited" } else { "100" };
    let program = env!("CARGO_BIN_EXE_sida");
    let script =
        format!("trap '' XFSZ; ulimit -f {limit}; exec '{program}' run '{file}' --runs '{}'", disk.display());
    let mut command = Command::new("bash");
    command.args(["-c", &script]).current_dir(root()).env("SIDA_CACHE", bench.path("cache"));
    let output = command.output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    let kept = bench.path("kept");
    program::copy(&disk, &kept);
    if mounted {
        assert!(Command::new("umount").arg(&disk).status().unwrap().success());
    }
    let runs = kept.join("p");
    let finished = folder(&runs, "digits").join("artifact.json").is_file();
    let litter = fs::read_dir(folder(&runs, "teacher")).unwrap().flatten();
    let litter = litter.filter(|entry| entry.file_name().to_string_lossy().starts_with(".tmp-")).count();
    assert_eq!(output.status.code(), Some(1), "{err}");
    let last = err.trim_end().lines().last().unwrap();
    let why = if mounted { "the disk is full: make room" } else { "File too large" };
    assert!(
        last.starts_with("error: cannot write") && last.contains("teacher-") && last.contains(why),
        "{err}"
    );
    assert!(finished && litter == 0, "{litter}");
    // With room again the same command goes on.
    let said = bench.sida(&["run", &file, "--runs", &kept.display().to_string()]).exits(0);
    assert!(said.out.contains("3 stages ran, 1 was done before"), "{}", said.out);
}

#[test]
fn a_training_that_diverges_stops_and_keeps_its_last_good_checkpoint() {
    let bench = Bench::new();
    let dir = bench.runs().join("quickstart-small");
    let until = |stage: &str, settings: &[&str]| {
        let mut arguments = vec!["run", SMALL, "--until", stage];
        settings.iter().for_each(|setting| arguments.extend(["--set", setting]));
        bench.sida(&arguments)
    };
    // The generator of SiDA rests until 0.2 kimg, so there is something good to keep.
    for known in [false, true] {
        let said = until("sida", &["stages.sida.distill.generator.lr=0.5"]).exits(4);
        // The same values would end the same way: nobody waits for that twice.
        assert_eq!(said.err.contains("sida: distill runs"), !known, "{}", said.err);
        assert_eq!(said.err.contains("`--force sida` tries again"), known, "{}", said.err);
        said.complains(&[
            "stage `sida` diverged at",
            "the checkpoint of 0.16 kimg is kept",
            "lower learning rate",
        ]);
        assert!(folder(&dir, "sida").join("checkpoint-0000000160/state.safetensors").is_file());
        assert!(folder(&dir, "teacher").join("artifact.json").is_file());
        assert!(!folder(&dir, "sida").join("artifact.json").exists());
    }
    let rates = ["stages.sid.distill.generator.lr=0.1", "stages.sid.distill.fake_score.lr=0.1"];
    until("sid", &rates).exits(4).complains(&["stage `sid` diverged at", "at the beginning"]);
    // A teacher that runs away is noticed as well.
    let said = until("teacher", &["stages.teacher.train_teacher.lr=1"]).exits(4);
    said.complains(&["stage `teacher` diverged at", "the denoising error"]);
}

#[test]
fn a_changed_guard_tries_again_and_a_finished_training_stays_finished() {
    let bench = Bench::new();
    let run = |verb: &str, guard: &str| {
        let settings =
            ["generator.lr=0.01", "fake_score.lr=0.1", guard].map(|s| format!("stages.sid.distill.{s}"));
        let mut arguments = vec![verb, SMALL];
        if verb == "run" {
            arguments.extend(["--until", "sid"]);
        }
        settings.iter().for_each(|setting| arguments.extend(["--set", setting]));
        bench.sida(&arguments)
    };
    let strict = "guard={ patience: 1, explosion: 1.0, collapse: 1.0 }";
    run("run", strict).exits(4);
    for (guard, again) in [(strict, false), ("guard={}", true), ("guard=off", true)] {
        let plan = run("plan", guard).exits(0).out;
        assert_eq!(plan.contains("its `guard` has changed: it is tried again"), again, "{guard}: {plan}");
        assert_eq!(plan.contains("`--force` tries again"), !again, "{guard}: {plan}");
    }
    let said = run("run", strict).exits(4);
    assert!(!said.err.contains("sid: distill runs"), "{}", said.err);
    let said = run("run", "guard=off").exits(0);
    assert!(said.err.contains("sid: distill runs (diverged at"), "{}", said.err);
    // It is the same stage, and done.
    for guard in [strict, "guard={}"] {
        let said = run("run", guard).exits(0);
        assert!(!said.err.contains("sid: distill runs"), "{guard}: {}", said.err);
    }
}

#[test]
fn an_expectation_that_is_not_met_is_exit_code_3_with_a_report() {
    let bench = Bench::new();
    let file = bench.write("p.yaml", format!("{TEACHER}{SCORES}"));
    let strict = "stages.scores.evaluate.expect=[{ metric: fd_pixels_100, at_most: 0.001 }]";
    let said = bench.sida(&["run", &file, "--set", strict]).exits(3);
    assert!(said.out.contains("FAIL"), "{}", said.out);
    said.complains(&["1 of 1 expectations not met"]);
    let report = json(&bench.runs().join("p/report.json"));
    assert_eq!(report["verdict"], "fail");
    assert_eq!(report["expectations"][0]["pass"], false);
    for name in ["report.html", "report.md", "junit.xml"] {
        assert!(bench.runs().join("p").join(name).is_file(), "{name}");
    }
    // What is only judged differently is not trained again, and a run that does nothing still says it.
    bench.sida(&["run", &file, "--set", strict]).exits(3);
    let said = bench.sida(&["run", &file]).exits(0);
    assert!(said.out.contains("1 stage ran, 3 were done before"), "{}", said.out);
}

/// Before anything runs nobody can know that they do not fit: what the network is stands in its file alone.
#[test]
fn a_network_that_its_file_describes_is_compared_with_the_dataset() {
    let bench = Bench::new();
    let file = bench.write("t.yaml", TEACHER);
    bench.sida(&["run", &file]).exits(0);
    let weights = folder(&bench.runs().join("t"), "teacher").join("network.safetensors");
    for name in ["cat/a.png", "dog/b.png"] {
        let path = bench.path("photos").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, png(8)).unwrap();
    }
    let photos = bench.path("photos").display().to_string();
    let photos = format!("convert: {{ path: '{photos}', use_labels: true }}");
    let unlabelled = "edm: { path: datasets/digits-8x8.zip }".to_owned();
    let distill = "distill: { teacher: teacher, dataset: data, method: { sid: { alpha: 1.0 } }, duration_kimg: 0.1, batch_size: 32, augment: 0 }";
    let metrics = "[{ frechet_distance: { detector: pixels, images: 10 } }]";
    let evaluate = format!("evaluate: {{ network: teacher, reference: data, metrics: {metrics} }}");
    for (source, stage, words) in [
        (&unlabelled, distill, "`label_dim` is 10, but `data` gives no labels"),
        (&photos, distill, "`label_dim` is 10, but `data` has 2 classes"),
        (&photos, &evaluate, "`label_dim` is 10, but `data` has 2 classes"),
    ] {
        let text = format!(
            "stages:\n  data:\n    prepare_dataset: {{ source: {{ {source} }} }}\n  teacher:\n    load_teacher: {{ weights: {{ safetensors: '{}' }} }}\n  out:\n    {stage}\n",
            weights.display()
        );
        bench.sida(&["run", &bench.write("p.yaml", text)]).exits(1).complains(&[words]);
    }
}
