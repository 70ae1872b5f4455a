//! Every number of the language: what may be written for it, and what is said where it may not.

use std::{collections::HashSet, path::PathBuf};

use serde_json::{Map, Value, json};

use super::{
    document::dotted,
    repair::{Filling, Repair},
    schema::{self, PIPELINE_SCHEMA},
    schema_walk::{branches, expected, resolve, schema_at},
    source::Source,
};

/// What stands where a number is replaced.
const HOLE: &str = "hole";
/// Words of those who wrote the parser, for those who wrote programs.
const RUST: [&str; 10] =
    ["u32", "u64", "usize", "f64", "expected u", "expected f", "invalid", "serde", "Option", "Some("];

/// A stage for every number that one may have, with what else it needs, and where that number is.
fn stages() -> Vec<(Value, String)> {
    let root = &PIPELINE_SCHEMA.schema;
    let stage = schema_at(root, "/stages/a");
    let mut paths = Vec::new();
    numbers(root, stage, &mut Vec::new(), &mut HashSet::new(), &mut paths);
    let repair = Repair { root, wrong: &HashSet::new(), filling: Filling::First };
    let made = paths.into_iter().enumerate().map(|(i, path)| {
        let around = |value, key: &String| if key == "0" { json!([value]) } else { json!({ key: value }) };
        let bare = path.iter().rev().fold(Value::from(HOLE), around);
        let pointer = format!("/stages/s{i}");
        (repair.value(&bare, stage, &pointer), format!("{pointer}/{}", path.join("/")))
    });
    made.collect()
}

/// The paths to all numbers below a schema, each of which is `seen` once, however many ways lead to it.
fn numbers<'a>(
    root: &'a Value,
    schema: &'a Value,
    path: &mut Vec<String>,
    seen: &mut HashSet<*const Value>,
    found: &mut Vec<Vec<String>>,
) {
    for schema in branches(root, resolve(root, schema)) {
        let is_number = expected(schema, root).contains("number");
        if is_number && seen.insert(std::ptr::from_ref(schema)) {
            found.push(path.clone());
        }
        let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
        let properties = properties.map(|(key, value)| (key.as_str(), value));
        let items = schema.get("items").map(|items| ("0", items));
        let others = schema.get("additionalProperties").filter(|others| others.is_object());
        for (key, schema) in properties.chain(items).chain(others.map(|others| ("any", others))) {
            path.push(key.to_owned());
            numbers(root, schema, path, seen, found);
            path.pop();
        }
    }
}

/// The numbers of a kind of which nothing is said where all are written so, or something in Rust's words.
fn accepted(written: &str, of_kind: &str) -> Vec<String> {
    let (root, stages) = (&PIPELINE_SCHEMA.schema, stages());
    assert!(stages.len() > 100, "{}", stages.len());
    let entries: Map<String, Value> =
        stages.iter().enumerate().map(|(i, (stage, _))| (format!("s{i}"), stage.clone())).collect();
    let text = json!({ "stages": entries }).to_string().replace(&format!("\"{HOLE}\""), written);
    let source = Source { path: PathBuf::from("t.yaml"), text, search: Vec::new() };
    let mistakes = source.judge(&[]).err().unwrap_or_default();
    let is_said = |pointer: &String| {
        let path = dotted(pointer);
        let mut said = mistakes.iter().filter(|mistake| mistake.path == path).peekable();
        said.peek().is_some() && said.all(|mistake| RUST.iter().all(|word| !mistake.message.contains(word)))
    };
    let of_kind = |pointer: &String| expected(schema_at(root, pointer), root).contains(of_kind);
    stages.into_iter().map(|(_, pointer)| pointer).filter(|at| of_kind(at) && !is_said(at)).collect()
}

#[test]
fn what_cannot_be_kept_is_said_wherever_a_number_stands() {
    for written in [
        "010",
        "0b10",
        "1_0",
        "1e400",
        "1e-400",
        ".inf",
        ".nan",
        "\"7\"",
        "1e16",
        "-1e16",
        "18446744073709551616",
    ] {
        assert_eq!(accepted(written, "number"), [] as [&str; 0], "{written}");
    }
}

#[test]
fn a_whole_number_has_no_point_and_no_power_wherever_it_stands() {
    for written in ["64.0", "1e3", "6.4e1", "64.5", "-1"] {
        assert_eq!(accepted(written, "whole number"), [] as [&str; 0], "{written}");
    }
}

#[test]
fn what_no_float_can_hold_is_said_wherever_one_stands() {
    assert_eq!(accepted("9007199254740993", "a number"), [] as [&str; 0]);
}

/// A number without an end is one that nobody has thought of.
#[test]
fn every_number_has_a_range() {
    fn walk(value: &Value, seen: &mut usize) {
        let is = |word: &str| match &value["type"] {
            Value::Array(types) => types.contains(&word.into()),
            one => one == word,
        };
        if is("integer") || is("number") {
            *seen += 1;
            let [least, most] = ["minimum", "maximum"].map(|end| value[end].as_f64());
            assert!(least.is_some() && most.is_some(), "{value}");
            assert!(is("integer") || most.unwrap().max(-least.unwrap()) <= 1e15, "{value}");
        }
        match value {
            Value::Array(list) => list.iter().for_each(|value| walk(value, seen)),
            Value::Object(map) => map.values().for_each(|value| walk(value, seen)),
            _ => {}
        }
    }
    for (name, text) in schema::generate() {
        let mut seen = 0;
        walk(&serde_json::from_str(&text).unwrap(), &mut seen);
        assert!(seen > 1, "{name}");
    }
}
