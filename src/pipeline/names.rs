//! The names in a file that need not be whole yet: what a shell offers while a command about it is typed.

use std::path::Path;

use serde_json::Value;

use super::{
    document::Document,
    source::{Parsed, Source},
};

/// Files between a sweep and the pipeline at its base, with room.
const MAX_BASES: usize = 4;
/// Characters of a stage's name.
const MAX_NAME: usize = 64;

/// The stages of a pipeline, or of the base of a derived one or a sweep; of a file that is no YAML yet, what looks like them.
/// None where nothing can be read: whoever types is not told why.
pub fn stage_names(file: &Path) -> Vec<String> {
    let Ok(source) = Source::read(file) else { return Vec::new() };
    let names = match source.document() {
        Ok(document) => of_document(&source, &document, MAX_BASES),
        Err(_) => of_lines(&source.text),
    };
    names.into_iter().filter(|name| is_name(name)).collect()
}

/// The labels of a sweep's points, in order; none of a file that has mistakes.
pub fn point_labels(file: &Path) -> Vec<String> {
    match Source::read(file).and_then(|source| source.parse(&[])) {
        Ok(Parsed::Sweep(_, points)) => points.into_iter().map(|point| point.label).collect(),
        _ => Vec::new(),
    }
}

fn of_document(source: &Source, document: &Document, bases: usize) -> Vec<String> {
    let base = document.value.get("base").and_then(Value::as_str).filter(|_| bases > 0);
    let base = base.and_then(|base| source.base(document, base).ok());
    let mut names =
        base.map_or_else(Vec::new, |(source, document)| of_document(&source, &document, bases - 1));
    if let Some(removed) = document.value.get("remove").and_then(Value::as_array) {
        names.retain(|name| !removed.iter().any(|removed| removed == name.as_str()));
    }
    let own = document.value.get("stages").and_then(Value::as_object);
    for (name, _) in own.into_iter().flatten() {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

/// The keys one step below a line `stages:`.
fn of_lines(text: &str) -> Vec<String> {
    let indent = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let below = text.lines().skip_while(|line| line.trim_end() != "stages:").skip(1);
    let below = below.filter(|line| !line.trim_start().starts_with('#') && !line.trim().is_empty());
    let below: Vec<&str> = below.take_while(|line| indent(line) > 0).collect();
    let step = below.iter().map(|line| indent(line)).min().unwrap_or(0);
    let keys = below.iter().filter(|line| indent(line) == step);
    keys.filter_map(|line| Some(line.trim_start().split_once(':')?.0.to_owned())).collect()
}

fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    text.len() <= MAX_NAME && text.starts_with(|c: char| c.is_ascii_lowercase()) && text.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn names_come_from_files_of_every_form_and_from_broken_ones() {
        let folder = tempfile::tempdir().unwrap();
        let whole = "stages:\n  digits:\n    prepare_dataset: {}\n  sid: { distill: {} }\n";
        let table: &[(&str, &str, &[&str])] = &[
            ("whole", whole, &["digits", "sid"]),
            ("derived", "base: whole.yaml\nremove: [sid]\nstages: { more: {} }\n", &["digits", "more"]),
            ("sweep", "base: derived.yaml\naxes: {}\n", &["digits", "more"]),
            ("circle", "base: circle.yaml\nstages: { a: 1 }\n", &["a"]),
            ("broken", "stages:\n  digits:\n    x: [\n  # sid:\n\n  sid:\n    y: \"\n", &["digits", "sid"]),
            ("hostile", "stages:\n  \"a\\e[2J\": 1\n  $(touch x): 1\n  `b`: 1\n  b c: 1\n  ok: 1\n", &["ok"]),
            ("hostile_lines", "stages:\n  a\u{1b}[2J: [\n  $(touch x): 1\n  ok: 1\n", &["ok"]),
            ("nothing", "", &[]),
            ("list", "stages: [a, b]\n", &[]),
        ];
        for (name, text, names) in table {
            let path = folder.path().join(format!("{name}.yaml"));
            fs::write(&path, text).unwrap();
            assert_eq!(stage_names(&path), *names, "{name}");
            assert_eq!(point_labels(&path), Vec::<String>::new(), "{name}");
        }
        assert_eq!(stage_names(&folder.path().join("absent.yaml")), Vec::<String>::new());
        assert_eq!(stage_names(folder.path()), Vec::<String>::new());
    }
}
