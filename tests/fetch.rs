//! `sida fetch`, `--offline`, `--mirror`, lock files, and addresses of Hugging Face, by the real program.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod program;
mod server;

use std::{fs, path::Path, sync::Arc};

use program::{Bench, Said, root};
use serde_json::Value;
use server::{Asked, Server, answer, whole};

fn pickle() -> Vec<u8> {
    fs::read(root().join("tests/fixtures/pickle-01-edm-snapshot/network-snapshot-000512.pkl")).unwrap()
}

/// A pipeline that loads networks from these places.
fn pipeline(weights: &[&str]) -> String {
    let stage = |(i, place): (usize, &&str)| {
        format!("  net{i}: {{ load_teacher: {{ weights: {{ edm_pickle: \"{place}\" }} }} }}\n")
    };
    format!("stages:\n{}", weights.iter().enumerate().map(stage).collect::<String>())
}

/// Serves the network at every path that does not begin so, and the network with another end at `/changed`.
fn server() -> Server {
    Server::new(|number, asked| match asked.path.as_str() {
        path if path.starts_with("/lost") => answer("404 Not Found", &[], b""),
        path if path.starts_with("/changes") && number > 1 && asked.method == "GET" => {
            whole(&[pickle().as_slice(), b"\0"].concat(), &[])
        }
        _ => whole(&pickle(), &[]),
    })
}

fn sida(bench: &Bench, arguments: &[&str], variables: &[(&str, &str)]) -> Said {
    let mut command = bench.command(arguments);
    command.env("NO_PROXY", "*").env_remove("HF_TOKEN").env_remove("HF_ENDPOINT");
    let output = command.envs(variables.iter().copied()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

fn gets(server: &Server) -> Vec<Asked> {
    server.heard().into_iter().filter(|asked| asked.method == "GET").collect()
}

#[test]
fn everything_is_brought_sizes_first_and_what_fails_is_said() {
    let (server, bench) = (server(), Bench::new());
    let bytes = pickle().len();
    let good = [server.url("a.pkl"), server.url("b.pkl")];
    let file = bench
        .write("p.yaml", pipeline(&[&good[0], &good[1], &good[0], "no/such.pkl", &server.url("lost.pkl")]));
    let said = sida(&bench, &["fetch", &file], &[]).exits(1);
    let size = format!("{:.1} kB", bytes as f64 / 1000.0);
    assert!(
        said.err.contains(&format!("to fetch:  {}  ", good[0])) && said.err.contains(&size),
        "{}",
        said.err
    );
    assert!(said.err.contains("size not known"), "{}", said.err);
    assert!(said.err.find("to fetch:") < said.err.find("downloading"), "{}", said.err);
    for part in ["2 of 4 files are not here", "404 Not Found", "`no/such.pkl`, which `net3` reads"] {
        assert!(said.err.contains(part), "{part}: {}", said.err);
    }
    assert_eq!(said.out.lines().filter(|line| line.starts_with("fetched:")).count(), 2, "{}", said.out);
    // What is there is not asked for again; another file of pipelines has its own lock file.
    let before = server.heard().len();
    let file = bench.write("q.yaml", pipeline(&[&good[0], &good[1]]));
    let said = sida(&bench, &["fetch", &file, "--json"], &[]).exits(0);
    assert_eq!(server.heard().len(), before);
    let found: Value = serde_json::from_str(&said.out).unwrap();
    for (i, file) in found["files"].as_array().unwrap().iter().enumerate() {
        assert_eq!((file["state"].as_str(), file["bytes"].as_u64()), (Some("here"), Some(bytes as u64)));
        assert_eq!(
            (file["address"].as_str(), file["sha256"].as_str().map(str::len)),
            (Some(&*good[i]), Some(64))
        );
    }
    let lock = fs::read_to_string(bench.path("q.lock")).unwrap();
    assert!(good.iter().all(|url| lock.contains(&format!("  {bytes}  {url}\n"))), "{lock}");
    // And nobody is asked by what follows, not even where that is forbidden.
    sida(&bench, &["run", &file, "--device", "cpu", "--offline"], &[]).exits(0);
    assert_eq!(server.heard().len(), before);
    let mistake = bench.write("m.yaml", "stages: { a: { load_teacher: {} } }");
    sida(&bench, &["fetch", &file, &mistake], &[]).exits(2);
}

#[test]
fn offline_nobody_is_asked_and_all_that_is_missing_is_named() {
    let (server, bench) = (server(), Bench::new());
    let urls = [server.url("a.pkl"), server.url("b.pkl?token=hunter2")];
    let file = bench.write("p.yaml", pipeline(&[&urls[0], &urls[1], &urls[0]]));
    for (command, code) in [
        (&["check", "--offline"][..], 2),
        (&["plan", "--offline"], 1),
        (&["run", "--offline", "--device", "cpu"], 1),
        (&["fetch", "--offline"], 1),
    ] {
        let said = sida(&bench, &[command, &[&file]].concat(), &[]).exits(code);
        for part in [urls[0].as_str(), "b.pkl?token=***", "`net0`", "`net1`", "`net2`", "`sida fetch`"] {
            assert!(said.err.contains(part), "{command:?}: {part}: {}", said.err);
        }
        assert!(!said.err.contains("hunter2"));
    }
    sida(&bench, &["check", &file], &[]).exits(0);
    assert_eq!(server.heard().len(), 0);
}

#[test]
fn a_change_is_an_error_until_it_is_accepted_and_the_pipelines_own_hash_comes_first() {
    let (server, bench) = (server(), Bench::new());
    let url = server.url("changes.pkl");
    let file = bench.write("p.yaml", pipeline(&[&url]));
    sida(&bench, &["run", &file, "--device", "cpu"], &[]).exits(0);
    let lock = bench.path("p.lock");
    let first = fs::read_to_string(&lock).unwrap();
    let empty = |name: &str| drop(fs::remove_dir_all(bench.path(name)));
    for command in [&["fetch"][..], &["run", "--device", "cpu"]] {
        empty("cache");
        empty("runs");
        let before = gets(&server).len();
        let said = sida(&bench, &[command, &[&file]].concat(), &[]).exits(1);
        for part in
            [&url, "p.lock` was written", "delete the address' line", &format!("of {} bytes", pickle().len())]
        {
            assert!(said.err.contains(part), "{part}: {}", said.err);
        }
        assert_eq!(gets(&server).len(), before + 2, "once more, and no more");
        assert_eq!(fs::read_to_string(&lock).unwrap(), first);
    }
    // A pipeline that asks for the new contents has them, and its lock file says so.
    let found = sida(&bench, &["fetch", &bench.write("new.yaml", pipeline(&[&url])), "--json"], &[]).exits(0);
    let found: Value = serde_json::from_str(&found.out).unwrap();
    let hash = found["files"][0]["sha256"].as_str().unwrap();
    let asks = pipeline(&[&url]).replace("} } }", &format!("}}, sha256: {hash} }} }}"));
    sida(&bench, &["fetch", &bench.write("p.yaml", asks)], &[]).exits(0);
    assert!(fs::read_to_string(&lock).unwrap().contains(hash));
    // Who deletes the line accepts what comes.
    fs::write(&lock, first).unwrap();
    let file = bench.write("p.yaml", pipeline(&[&url]));
    sida(&bench, &["fetch", &file], &[]).exits(1);
    fs::write(&lock, "# nothing\n").unwrap();
    sida(&bench, &["run", &file, "--device", "cpu"], &[]).exits(0);
    assert!(fs::read_to_string(&lock).unwrap().contains(hash));
    fs::write(&lock, "<<<<<<< ours\n").unwrap();
    let said = sida(&bench, &["run", &file, "--device", "cpu"], &[]).exits(2);
    said.complains(&["p.lock`: line 1"]);
}

#[cfg(unix)]
#[test]
fn a_folder_of_pipelines_that_is_read_only_is_no_error() {
    use std::os::unix::fs::PermissionsExt as _;
    let (server, bench) = (server(), Bench::new());
    let file = bench.write("p.yaml", pipeline(&[&server.url("a.pkl")]));
    let folder = Path::new(&file).parent().unwrap();
    for name in ["cache", "runs"] {
        fs::create_dir(folder.join(name)).unwrap();
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o555)).unwrap();
    let is_obeyed = fs::write(folder.join("try"), "").is_err();
    let said = sida(&bench, &["run", &file, "--device", "cpu"], &[]);
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    let said = said.exits(0);
    // Root may write everywhere.
    assert_eq!(said.err.contains("is not pinned"), is_obeyed, "{}", said.err);
    assert_eq!(bench.path("p.lock").exists(), !is_obeyed);
}

#[test]
fn mirrors_are_asked_and_the_file_keeps_its_name() {
    let (server, bench) = (server(), Bench::new());
    let file = bench
        .write("p.yaml", pipeline(&["https://nobody.invalid/deep/a.pkl", "https://nobody.invalid/b.pkl"]));
    let all = format!("https://nobody.invalid/={}", server.url("all/"));
    let deep = format!("https://nobody.invalid/deep={}", server.url("deep"));
    sida(&bench, &["fetch", &file, "--mirror", &all, "--mirror", &deep], &[]).exits(0);
    let mut paths: Vec<String> = gets(&server).into_iter().map(|asked| asked.path).collect();
    paths.sort();
    assert_eq!(paths, ["/all/b.pkl", "/deep/a.pkl"]);
    let lock = fs::read_to_string(bench.path("p.lock")).unwrap();
    assert!(lock.contains("https://nobody.invalid/deep/a.pkl") && !lock.contains("127.0.0.1"), "{lock}");
    sida(&bench, &["run", &file, "--device", "cpu", "--offline"], &[]).exits(0);
    sida(&bench, &["fetch", &file, "--mirror", "https://a.org"], &[]).exits(2).complains(&["--mirror"]);
}

#[test]
fn files_of_hugging_face_are_asked_for_with_the_token_which_goes_nowhere_else() {
    let other = Arc::new(server());
    let (to, bench) = (other.url("blob"), Bench::new());
    let hub = Server::new(move |_, asked| match asked.header("authorization") {
        Some("Bearer hf_hunter2") => answer("302 Found", &[("Location", &to)], b""),
        _ => answer("401 Unauthorized", &[], b""),
    });
    let names = ["hf://org/repo/deep/net.pkl@v1.0", "hf://datasets/org/repo/net.pkl"];
    let elsewhere = other.url("plain.pkl");
    let file = bench.write("p.yaml", pipeline(&[names[0], names[1], &elsewhere]));
    let endpoint = hub.url("");
    let said = sida(&bench, &["fetch", &file], &[("HF_ENDPOINT", &endpoint)]).exits(1);
    assert!(said.err.contains("401 Unauthorized") && said.err.contains("HF_TOKEN"), "{}", said.err);
    let variables = [("HF_ENDPOINT", endpoint.as_str()), ("HF_TOKEN", "hf_hunter2")];
    let said = sida(&bench, &["fetch", &file, "-v"], &variables).exits(0);
    let paths: Vec<String> = gets(&hub).into_iter().map(|asked| asked.path).collect();
    for path in ["/org/repo/resolve/v1.0/deep/net.pkl", "/datasets/org/repo/resolve/main/net.pkl"] {
        assert!(paths.iter().any(|asked| asked == path), "{path}: {paths:?}");
    }
    assert!(other.heard().iter().all(|asked| asked.header("authorization").is_none()));
    let lock = fs::read_to_string(bench.path("p.lock")).unwrap();
    assert!(names.iter().all(|name| lock.contains(name)) && !lock.contains("127.0.0.1:0"), "{lock}");
    for text in [said.out, said.err, lock] {
        assert!(!text.contains("hunter2"), "{text}");
    }
    // The cache knows them by their names, whoever serves them.
    sida(&bench, &["run", &file, "--device", "cpu", "--offline"], &[]).exits(0);
}

#[test]
fn an_address_that_nobody_here_speaks_is_a_mistake_with_advice() {
    let bench = Bench::new();
    for (place, advice) in [
        ("s3://bucket/net.pkl", "https://bucket.s3.amazonaws.com/net.pkl"),
        ("gs://bucket/net.pkl", "https://storage.googleapis.com/bucket/net.pkl"),
        ("ftp://host/net.pkl", "give the path"),
        ("file:///data/net.pkl", "`/data/net.pkl`"),
        ("hf://repo", "hf://org/repo/path@revision"),
        ("http://[::1/net.pkl", "is no address"),
        ("https://host/a b.pkl", "%20"),
    ] {
        let file = bench.write("p.yaml", pipeline(&[place]));
        for command in [&["check"][..], &["run", "--device", "cpu"], &["fetch"]] {
            let said = sida(&bench, &[command, &[&file]].concat(), &[]).exits(2);
            assert!(said.err.contains(advice) && said.err.contains("p.yaml:2:"), "{place}: {}", said.err);
        }
    }
}
