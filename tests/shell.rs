//! What shells offer while a command is typed, by the scripts that the program prints, in the shells themselves where they
//! are; and the manual's pages.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod program;

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use program::Bench;

const WHOLE: &str = "stages:
  digits:
    prepare_dataset: { source: { edm: { path: digits.zip } } }
  teacher:
    train_teacher: { dataset: digits, network: { ddpmpp: { img_resolution: 8, img_channels: 1 } }, duration_kimg: 1, augment: 0 }
";

/// What is typed, the word under the cursor last; what has to be offered, and nothing else where `only`.
struct Row {
    typed: &'static [&'static str],
    offers: &'static [&'static str],
    only: bool,
}

const fn only(typed: &'static [&'static str], offers: &'static [&'static str]) -> Row {
    Row { typed, offers, only: true }
}

const TABLE: &[Row] = &[
    Row { typed: &[""], offers: &["run", "check", "plan", "completions", "man"], only: false },
    only(&["che"], &["check"]),
    only(&["run", "whole.yaml", "--only", ""], &["digits", "teacher"]),
    only(&["run", "whole.yaml", "--until", "t"], &["teacher"]),
    only(&["run", "--device", "cpu", "derived.yaml", "--force", ""], &["digits", "more"]),
    only(&["run", "broken.yaml", "--only", ""], &["digits", "sid"]),
    only(&["run", "hostile.yaml", "--only", ""], &["ok"]),
    only(&["run", "absent.yaml", "--only", ""], &[]),
    only(&["run", "--only", ""], &[]),
    only(&["run", "sweep.yaml", "--point", ""], &["1", "2", "seed=1", "seed=2"]),
    only(&["run", "whole.yaml", "--point", ""], &[]),
    only(&["completions", "b"], &["bash"]),
    only(&["run", "wh"], &["whole.yaml"]),
    only(&["check", "sub/"], &["sub/inner.yml"]),
    Row { typed: &["run", "whole.yaml", "--device", ""], offers: &["auto", "cpu"], only: false },
];

fn bench() -> Bench {
    let bench = Bench::inside();
    bench.write("whole.yaml", WHOLE);
    bench.write(
        "derived.yaml",
        "base: whole.yaml\nremove: [teacher]\nstages: { more: { generate: { network: a } } }\n",
    );
    bench.write("broken.yaml", "stages:\n  digits:\n    x: [\n  sid:\n    y: \"\n");
    bench.write(
        "hostile.yaml",
        "stages:\n  \"a\\e[2J\": 1\n  $(touch pwned): 1\n  `touch pwned`: 1\n  ok: 1\n",
    );
    bench.write("sweep.yaml", "base: whole.yaml\naxes: { seed: { paths: [seed], values: [1, 2] } }\n");
    bench.write("notes.txt", "");
    fs::create_dir(bench.path("sub")).unwrap();
    bench.write("sub/inner.yml", "");
    bench.write("sub/b\u{1b}[2J.yml", "");
    bench
}

/// The program is found as `sida`, as it is where it is installed.
fn within(bench: &Bench, shell: &str) -> Command {
    let folder = Path::new(env!("CARGO_BIN_EXE_sida")).parent().unwrap();
    let mut path = folder.as_os_str().to_owned();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let mut command = Command::new(shell);
    command
        .current_dir(bench.path("."))
        .env("PATH", path)
        .env("HOME", bench.path("."))
        .env_remove("RUST_LOG");
    command
}

/// Offers, each on a line, of what a shell does with the script; `None` where there is no such shell.
fn offered(bench: &Bench, shell: &str, typed: &[&str]) -> Option<Vec<String>> {
    let bash = r#"source <(sida completions bash)
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_TYPE=9
        _clap_complete_sida sida "${@: -1}" "${@: -2:1}"
        printf '%s\n' "${COMPREPLY[@]}""#;
    let zsh = r#"compdef() { :; }
        _describe() { local each; for each in "${(@P)3}"; print -r -- "${each%%:*}"; }
        source <(sida completions zsh)
        words=("$@") CURRENT=$#
        _clap_dynamic_completer_sida"#;
    let mut command = within(bench, shell);
    match shell {
        "bash" => command.args(["--norc", "-c", bash, "bash", "sida"]).args(typed),
        "zsh" => command.args(["-f", "-c", zsh, "zsh", "sida"]).args(typed),
        _ => {
            let line = format!("sida {}", typed.join(" "));
            command.args(["--no-config", "-c", "sida completions fish | source; complete -C $argv[1]", &line])
        }
    };
    let started = Instant::now();
    let output = command.output().ok()?;
    assert!(started.elapsed() < Duration::from_secs(30), "{shell} {typed:?} takes {:?}", started.elapsed());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{shell} {typed:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains('\u{1b}'), "{shell} {typed:?}: {text:?}");
    let words = text.lines().map(|line| line.split('\t').next().unwrap().to_owned());
    Some(words.filter(|word| !word.is_empty()).collect())
}

#[test]
fn shells_offer_what_the_command_can_go_on_with() {
    let bench = bench();
    for shell in ["bash", "zsh", "fish"] {
        if within(&bench, shell).arg("--version").output().is_err() {
            println!("left out: there is no {shell}");
            continue;
        }
        for Row { typed, offers, only } in TABLE {
            let mut found = offered(&bench, shell, typed).unwrap();
            found.sort();
            found.dedup();
            // Of a folder, zsh shows the name and adds the bar itself.
            let absent: Vec<_> =
                offers.iter().filter(|word| !found.iter().any(|each| each == *word)).collect();
            assert!(absent.is_empty(), "{shell} {typed:?} does not offer {absent:?}, but {found:?}");
            assert!(!only || found.len() == offers.len(), "{shell} {typed:?} offers {found:?}");
        }
    }
    assert!(!bench.path("pwned").exists());
}

/// Whatever stands in the variable, and whatever is asked: an answer in words that are offered, or none.
#[test]
fn a_shell_that_asks_strangely_is_told_nothing() {
    let bench = bench();
    for (shell, arguments) in [
        ("nosuchshell", &["--", "sida", ""][..]),
        ("bash", &["--", "sida", "run", "hostile.yaml", "--only", "\u{1b}"]),
        ("zsh", &["--"]),
        ("elvish", &["--", "sida", "run", "sub/", "--only", ""]),
        ("powershell", &["--", "sida", "run", "broken.yaml", "--only", ""]),
    ] {
        let mut command = bench.command(arguments);
        let output = command.env("SIDA_COMPLETE", shell).env("_CLAP_COMPLETE_INDEX", "99").output().unwrap();
        assert_eq!((output.status.code(), &*output.stderr), (Some(0), &b""[..]), "{shell} {arguments:?}");
        assert!(!output.stdout.contains(&0x1b));
    }
}

/// A large sweep with a mistake in every point costs no more than the patience of who types.
#[test]
fn what_takes_long_is_not_waited_for() {
    let bench = bench();
    let values: Vec<String> = (0..5000).map(|i| i.to_string()).collect();
    let sweep =
        format!("base: whole.yaml\naxes: {{ seed: {{ paths: [seed], values: [{}] }} }}\n", values.join(", "));
    bench.write("large.yaml", sweep);
    let started = Instant::now();
    let mut command = bench.command(&["--", "sida", "run", "large.yaml", "--point", ""]);
    let output = command.env("SIDA_COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", "4").output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty());
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

#[test]
fn every_verb_has_a_page_and_every_shell_a_script() {
    let bench = bench();
    let said = bench.sida(&["man", "--out", "man"]).exits(0);
    let help = bench.sida(&["--help"]).exits(0).out;
    let commands = help.split_once("Commands:").unwrap().1.split_once("Options:").unwrap().0;
    let verbs = commands.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let verbs: Vec<&str> =
        verbs.filter_map(|line| line.split_whitespace().next()).filter(|v| *v != "help").collect();
    assert!(verbs.len() > 10, "{verbs:?}");
    for verb in &verbs {
        let page = fs::read_to_string(bench.path(&format!("man/sida-{verb}.1"))).unwrap();
        assert!(page.contains(&format!(".TH sida-{verb} 1")) && page.contains(".SH OPTIONS"), "{page}");
        assert_eq!(bench.sida(&["man", verb]).exits(0).out.trim_end(), page.trim_end());
    }
    assert_eq!(said.out.lines().count(), verbs.len() + 1, "{}", said.out);
    let page = bench.sida(&["man"]).exits(0).out;
    assert!(page.contains(".TH sida 1") && page.contains("sida\\-run(1)"), "{page}");
    bench.sida(&["man", "rnu"]).exits(2).complains(&["`rnu`"]);
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        assert!(bench.sida(&["completions", shell]).exits(0).out.contains("SIDA_COMPLETE"), "{shell}");
    }
    bench.sida(&["completions", "sh"]).exits(2);
}
