//! `schemas/` is what the types say. `UPDATE_SCHEMAS=1 cargo test --release --test schemas` rewrites it.

use std::{env, fs, path::Path};

use sida::pipeline::schema;

#[test]
fn the_committed_schemas_are_current() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
    for (name, generated) in schema::generate() {
        let path = folder.join(name);
        if env::var_os("UPDATE_SCHEMAS").is_some() {
            fs::write(&path, &generated).unwrap();
        }
        let committed = fs::read_to_string(&path).unwrap();
        assert!(committed == generated, "schemas/{name} is not what the types say: run `sida schema`");
    }
}

/// Names of tables such as `fd_pixels_2000` are no metrics of the language: whatever takes either says which is which.
#[test]
fn the_help_for_metrics_lists_the_one_with_detectors() {
    let schema = |file: &str| -> serde_json::Value {
        let found = schema::generate().into_iter().find(|(name, _)| *name == file).unwrap();
        serde_json::from_str(&found.1).unwrap()
    };
    let (pipeline, sweep) = (schema("pipeline.schema.json"), schema("sweep.schema.json"));
    let said = |schema: &serde_json::Value, pointer: &str| {
        schema.pointer(pointer).unwrap()["description"].as_str().unwrap().to_owned()
    };
    let of_evaluate = said(&pipeline, "/$defs/Evaluate/properties/metrics");
    let detectors = pipeline["$defs"]["DetectorName"]["enum"].as_array().unwrap();
    let words = pipeline.pointer("/$defs/Metric/anyOf/0/enum").unwrap().as_array().unwrap();
    assert_eq!((detectors.len(), words.len()), (3, 4));
    for name in detectors.iter().chain(words) {
        assert!(of_evaluate.contains(name.as_str().unwrap()), "{name}: {of_evaluate}");
    }
    for text in [
        of_evaluate,
        said(&pipeline, "/$defs/Snapshots/properties/metrics"),
        said(&pipeline, "/$defs/Expectation/properties/metric"),
        said(&pipeline, "/$defs/Report/properties/columns"),
        said(&sweep, "/$defs/Cell/properties/metric"),
    ] {
        assert!(text.contains("frechet_distance: { detector: pixels, images: 2000 }"), "{text}");
    }
}

#[test]
fn every_field_is_described() {
    for (name, text) in schema::generate() {
        let schema: serde_json::Value = serde_json::from_str(&text).unwrap();
        undescribed(&schema, name);
    }
}

fn undescribed(schema: &serde_json::Value, place: &str) {
    if let Some(properties) = schema.get("properties").and_then(|p| p.as_object()) {
        for (key, value) in properties {
            assert!(value.get("description").is_some(), "{place}/{key} has no description");
        }
    }
    match schema {
        serde_json::Value::Object(map) => {
            map.iter().for_each(|(k, v)| undescribed(v, &format!("{place}/{k}")));
        }
        serde_json::Value::Array(list) => list.iter().for_each(|v| undescribed(v, place)),
        _ => {}
    }
}
