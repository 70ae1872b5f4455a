//! What the environment and the names of files do to a run: said before it begins.

mod program;

use std::{fs, process::Command};

use program::{Bench, TEACHER};

#[test]
fn a_file_whose_name_is_no_folder_s_is_refused_and_nothing_is_made() {
    let bench = Bench::inside();
    for name in ["...yaml", "..yaml", ".yaml", "_store.yaml", " a.yaml"] {
        bench.write(name, TEACHER);
        for verb in [&["check"][..], &["plan"], &["run", "--device", "cpu"]] {
            let said = bench.sida(&[&verb[..1], &[name], &verb[1..]].concat()).exits(2);
            assert!(said.err.contains("rename the file"), "{name}: {}", said.err);
        }
        fs::remove_file(bench.path(name)).unwrap();
    }
    assert!(!bench.runs().exists());
}

#[cfg(unix)]
#[test]
fn a_folder_that_no_record_can_hold_is_refused_at_the_start() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};
    let bench = Bench::inside();
    let file = bench.write("p.yaml", TEACHER);
    let odd = OsStr::from_bytes(b"runs-\xff");
    let of = |change: &dyn Fn(&mut Command) -> &mut Command| {
        let mut command = bench.command(&["run", &file, "--device", "cpu"]);
        change(&mut command);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("not UTF-8 text"), "{said}");
    };
    of(&|command| command.arg("--runs").arg(odd));
    of(&|command| command.env("SIDA_RUNS", odd));
    of(&|command| command.env("SIDA_CACHE", odd));
    fs::create_dir(bench.path("").join(odd)).unwrap();
    of(&|command| command.current_dir(bench.path("").join(odd)));
    fs::write(bench.path("").join(odd).join("p.yaml"), TEACHER).unwrap();
    let path = bench.path("").join(odd).join("p.yaml");
    let output = bench.command(&["check"]).arg(path).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(!bench.runs().exists());
}

/// Bytes that are no text reach the program in words, variables and paths; none of them is a mistake of ours.
#[cfg(unix)]
#[test]
fn what_is_no_text_is_shown_as_far_as_it_is() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};
    let bench = Bench::inside();
    let odd = OsStr::from_bytes(b"a\xff");
    let zip = bench.path("").join(OsStr::from_bytes(b"a\xff.zip"));
    fs::copy(program::root().join("datasets/digits-8x8.zip"), &zip).unwrap();
    let weights = bench.write("w.safetensors", [&8u64.to_le_bytes()[..], b"{}      "].concat());
    let to = OsStr::from_bytes(b"b\xff.safetensors");
    let cases: [(&[&str], &[&OsStr], &str, i32); 7] = [
        (&["inspect", "--json"], &[zip.as_os_str()], "", 0),
        (&["export", &weights], &[to, OsStr::new("--json")], "", 0),
        (&["doctor", "--json", "--device", "cpu"], &[], "SIDA_RUNS", 0),
        (&["doctor", "--json", "--device", "cpu"], &[], "SIDA_CACHE", 0),
        (&["check", "--json"], &[zip.as_os_str()], "", 2),
        (&["run", "--no-such-word"], &[odd], "", 2),
        (&["fetch", "--json", &weights], &[], "SIDA_CACHE", 2),
    ];
    for (words, rest, variable, code) in cases {
        let mut command = bench.command(words);
        command.args(rest);
        if !variable.is_empty() {
            command.env(variable, odd);
        }
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{words:?} {variable}: {said}");
        if code == 0 {
            let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            assert!(result.is_object() && said.is_empty(), "{words:?}: {said}");
        }
    }
}

#[test]
fn too_many_threads_are_capped_with_a_word() {
    let bench = Bench::new();
    for (count, words) in [("100000", "is too many"), ("many", "is no number of threads")] {
        let output =
            bench.command(&["doctor", "--device", "cpu"]).env("RAYON_NUM_THREADS", count).output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(&format!("`RAYON_NUM_THREADS={count}` {words}")), "{said}");
    }
    let output =
        bench.command(&["doctor", "--device", "cpu"]).env("RAYON_NUM_THREADS", "0").output().unwrap();
    assert!(!String::from_utf8(output.stderr).unwrap().contains("RAYON"));
}
