//! What reaches the terminal: no secret, nothing that it would obey; and what happens when it has gone away.
#![expect(clippy::unwrap_used, reason = "a test may fail")]
#![cfg(unix)]

mod program;
mod server;

use std::{
    fs::{self, File},
    path::Path,
    process::Stdio,
};

use program::{Bench, TEACHER, root};
use server::{Server, answer};

#[test]
fn a_lost_standard_error_costs_nothing() {
    let bench = Bench::new();
    let file = bench.write("t.yaml", TEACHER);
    for (i, format) in ["text", "json"].into_iter().enumerate() {
        // A full disk, then a reader that has gone away.
        for broken in [0, 1] {
            let runs = bench.path(&format!("runs-{i}-{broken}")).display().to_string();
            let mut command = bench.command(&["--log-format", format, "run", &file, "--runs", &runs]);
            command.env("RUST_LOG", "trace");
            let err: Stdio = if broken == 0 {
                File::options().write(true).open("/dev/full").unwrap().into()
            } else {
                let (reader, writer) = std::io::pipe().unwrap();
                drop(reader);
                writer.into()
            };
            let output =
                command.stderr(err).stdout(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
            assert_eq!(output.status.code(), Some(0), "{format} {broken}");
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(said.contains("2 stages ran"), "{said}");
            assert!(Path::new(&runs).join("t").read_dir().unwrap().count() >= 2);
        }
    }
    // Conversions report from a thread of their own.
    let convert = bench.write(
        "c.yaml",
        "stages:\n  c:\n    prepare_dataset: { source: { convert: { path: datasets/digits-8x8.zip } } }\n",
    );
    let mut command = bench.command(&["run", &convert]);
    let full = File::options().write(true).open("/dev/full").unwrap();
    assert_eq!(command.stderr(full).stdout(Stdio::null()).status().unwrap().code(), Some(0));
}

/// Every file below a folder, as text.
fn all_text(folder: &Path, into: &mut String) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            all_text(&entry.path(), into);
        } else {
            into.push_str(&entry.path().display().to_string());
            into.push_str(&String::from_utf8_lossy(&fs::read(entry.path()).unwrap()));
        }
    }
}

#[test]
fn credentials_are_neither_printed_nor_stored() {
    let bench = Bench::new();
    // Nothing is there: the download fails at once.
    let server = Server::new(|_, _| answer("404 Not Found", &[], b""));
    let host = server.url("").replace("http://", "").replace('/', "");
    let text = |address: &str| {
        format!(
            "stages:\n  teacher:\n    load_teacher: {{ weights: {{ edm_pickle: \"{address}\" }}, sampler: {{}} }}\n"
        )
    };
    let direct = text(&format!("http://me:hunter2@{host}/net.pkl?token=hunter3&v=2"));
    let through = text("${BASE}/net.pkl?sig=${SIGNATURE}");
    for text in [&direct, &through] {
        let wrong = bench.write("wrong.yaml", text);
        let file = bench.write("p.yaml", text.replace(", sampler: {}", ""));
        for arguments in [
            vec!["check", &wrong],
            vec!["check", "--json", &wrong],
            vec!["check", &file],
            vec!["plan", &file],
            vec!["plan", "--json", &file],
            vec!["run", &file],
            vec!["--log-format", "json", "run", &file],
            vec![
                "run",
                &file,
                "--set",
                "stages.teacher.load_teacher.sha256=http://me:hunter2@h/?key=hunter3",
            ],
        ] {
            let mut command = bench.command(&arguments);
            command.env("RUST_LOG", "trace").env("BASE", format!("http://me:hunter2@{host}"));
            let output = command.env("SIGNATURE", "hunter3").output().unwrap();
            let mut said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            all_text(&bench.runs(), &mut said);
            all_text(&bench.path("cache"), &mut said);
            assert!(!said.contains("hunter"), "{arguments:?}\n{said}");
        }
    }
    let record = |text: &str| {
        let file = bench.write("p.yaml", text.replace(", sampler: {}", ""));
        bench
            .command(&["run", &file])
            .env("BASE", format!("http://{host}"))
            .env("SIGNATURE", "x")
            .output()
            .unwrap();
        fs::read_to_string(bench.runs().join("p/pipeline.yaml")).unwrap()
    };
    let shown = format!("http://***:***@{host}/net.pkl?token=***&v=2");
    assert!(record(&direct).contains(&shown));
    assert!(record(&through).contains("${BASE}/net.pkl?sig=${SIGNATURE}"));
    // Something that came from there: the stage begins, and its record says from where.
    let address = format!("http://me:hunter2@{host}/net.pkl?token=hunter3&v=2");
    let location = sida::location::Location::new(address);
    let sida::location::Resolved::Url(url) = location.resolve().unwrap() else { panic!("an address") };
    let cache = bench.path("cache");
    fs::create_dir_all(&cache).unwrap();
    let network = root().join("tests/fixtures/pickle-01-edm-snapshot/network-snapshot-000512.pkl");
    fs::copy(network, sida::stages::download::cached(&cache, &url)).unwrap();
    record(&direct);
    let dir = program::folder(&bench.runs().join("p"), "teacher");
    let kept = fs::read_to_string(dir.join("stage.json")).unwrap();
    assert!(kept.contains(&shown), "{kept}");
    let mut all = String::new();
    all_text(&bench.runs(), &mut all);
    assert!(all.contains("sha256") && !all.contains("hunter"), "{all}");
}

/// A safetensors file with one tensor and one line of metadata, whatever their names.
fn weights(tensor: &str, key: &str) -> Vec<u8> {
    let header = serde_json::json!({
        "__metadata__": { key: "evil\u{1b}]0;value" },
        tensor: { "dtype": "F32", "shape": [1], "data_offsets": [0, 4] },
    })
    .to_string();
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &1.0f32.to_le_bytes()].concat()
}

#[test]
fn other_peoples_text_is_shown_and_not_obeyed() {
    let bench = Bench::new();
    let evil = "evil\u{1b}[2J\u{7}\u{9b}31m\u{202e}";
    let file =
        bench.write(&format!("{evil}.safetensors"), weights(&format!("{evil}\nw"), &format!("{evil}\nk")));
    let folder = bench.write("evil.yaml", "stages: {}\n");
    let folder = Path::new(&folder).parent().unwrap().display().to_string();
    let of_file = format!(
        "stages:\n  t:\n    load_teacher:\n      weights: {{ safetensors: {} }}\n      network: {{ ddpmpp: {{ img_resolution: 8 }} }}\n",
        serde_json::to_string(&file).unwrap()
    );
    let yaml = bench.write("of-file.yaml", of_file);
    let wrong =
        bench.write(&format!("wrong{evil}.yaml"), format!("stages:\n  \"{}\": 1\n", r"evil\e[2J\a\nx"));
    let raw = bench.write("raw.yaml", "stages: # \u{9b}31m \u{202e}\n  a: 1\n");
    let absent = format!("{folder}/absent\u{1b}[2J\nx.yaml");
    for arguments in [
        vec!["inspect", &file],
        vec!["run", &yaml],
        vec!["check", &wrong],
        vec!["check", "--json", &wrong],
        vec!["check", &raw],
        vec!["check", &absent],
        vec!["plan", &yaml],
        vec!["export", &file, "out\u{1b}.txt/none"],
    ] {
        let said = bench.sida(&arguments);
        let all = format!("{}{}", said.out, said.err);
        let obeyed = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!all.contains(obeyed), "{arguments:?}\n{all:?}");
        assert!(!all.lines().any(|line| line.starts_with('x')), "a line of its own: {all}");
    }
    let said = bench.sida(&["inspect", &file]);
    assert!(said.out.contains(r"evil\u001b[2J\u0007\u009b31m\u202e\u000aw"), "{}", said.out);
}
