//! Whatever is written, the language answers with mistakes and never with a panic.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use sida::pipeline::{Setting, Source};

fn quickstart() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines/quickstart.yaml")).unwrap()
}

/// Words of parsers and programs, which help nobody who writes a pipeline.
const STRANGE: [&str; 16] = [
    "from_str",
    "Option<",
    "Policy",
    "policy",
    "recursion",
    "scalar",
    "budget",
    "strict mode",
    "simple key",
    "this context",
    "serde",
    "deserialize",
    "Some(",
    "{ dims",
    "expected u",
    "while parsing",
];

fn judge(text: String) {
    judge_at("fuzz.yaml", text);
}

fn judge_at(path: &str, text: String) {
    let source = Source { path: PathBuf::from(path), text, search: Vec::new() };
    if let Err(mistakes) = source.judge(&[]) {
        assert!(!mistakes.is_empty());
        for mistake in &mistakes {
            let strange = STRANGE.iter().find(|word| mistake.message.contains(**word));
            assert_eq!(strange, None, "{}", mistake.message);
            assert!(mistake.line > 0 && mistake.column > 0);
            assert!(mistake.file == path || mistake.file == "pipelines/quickstart.yaml", "{}", mistake.file);
            assert!(mistake.render().starts_with(&format!("{}:", mistake.file)));
        }
    }
}

/// Bits of the language, and what people and hostile files write between them.
fn fragment() -> impl Strategy<Value = String> {
    let words = [
        "stages:",
        "base: x.yaml",
        "axes:",
        "  a:",
        "    distill:",
        "    report:",
        "      method:",
        "{",
        "}",
        "[",
        "]",
        "- ",
        ": ",
        "\n",
        "\n  ",
        "\n    ",
        "\n      ",
        "&a ",
        "*a",
        "<<: ",
        "!!int ",
        "!x ",
        "|\n",
        ">-\n",
        "'",
        "\"",
        "\t",
        "#",
        "---\n",
        "...",
        "? ",
        "null",
        "~",
        "true",
        "1e999",
        ".inf",
        ".nan",
        "0x",
        "-0",
        "18446744073709551616",
        "1_000",
        "${A:-b}",
        "${",
        "\u{0}",
        "\u{feff}",
        "\u{85}",
        "é",
        "𝄞",
        "\r\n",
        "seeds: 0-9999999999",
        "teacher: a",
        "batch_size: 0",
        "edm: {path: /}",
        "stage/with~tilde: 1",
    ];
    prop_oneof![
        prop::sample::select(words.to_vec()).prop_map(str::to_owned),
        "[ -~]{0,12}",
        any::<char>().prop_map(String::from),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics(fragments in prop::collection::vec(fragment(), 0..60)) {
        judge(fragments.concat());
    }

    #[test]
    fn no_damage_to_a_valid_file_panics(at in 0usize..10_000, length in 0usize..40, insert in fragment()) {
        let text = quickstart();
        let characters: Vec<char> = text.chars().collect();
        let at = at % characters.len();
        let end = (at + length).min(characters.len());
        let damaged: String = characters[..at].iter().chain(&insert.chars().collect::<Vec<_>>()).chain(&characters[end..]).collect();
        judge(damaged);
    }

    #[test]
    fn no_derived_pipeline_panics(keys in prop::collection::vec(0usize..8, 1..5), fragments in prop::collection::vec(fragment(), 0..12)) {
        let lines = [
            "set:\n  stages.sid.distill.", "set: {stages.sid: ", "remove: [sid", "remove:\n", "stages:\n  sid:\n    ",
            "stages:\n  more: ", "axes: ", "description: ",
        ];
        let text: Vec<String> = keys.iter().map(|key| lines[*key].to_owned() + &fragments.concat() + "\n").collect();
        judge_at("pipelines/fuzz.yaml", format!("base: quickstart.yaml\n{}", text.concat()));
    }

    #[test]
    fn no_setting_panics(path in "[a-z0-9_.~/]{0,40}", value in fragment()) {
        if let Ok(setting) = Setting::parse(&format!("{path}={value}")) {
            let source = Source { path: PathBuf::from("fuzz.yaml"), text: quickstart(), search: Vec::new() };
            let _ = source.judge(&[setting]);
        }
    }

    #[test]
    fn no_value_at_a_real_path_panics(which in 0usize..6, value in fragment()) {
        let paths = [
            "seed", "stages.sid", "stages.sid.distill.method", "stages.sid.distill.batch_size", "stages.table.report.rows.0",
            "stages.teacher.train_teacher.network.ddpmpp.channel_mult",
        ];
        if let Ok(setting) = Setting::parse(&format!("{}={value}", paths[which])) {
            let source = Source { path: PathBuf::from("fuzz.yaml"), text: quickstart(), search: Vec::new() };
            let _ = source.judge(&[setting]);
        }
    }
}

#[test]
fn an_alias_bomb_is_refused_and_does_not_explode() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..12 {
        let line = format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 9].join(", "));
        text += &line;
    }
    judge(text);
}
