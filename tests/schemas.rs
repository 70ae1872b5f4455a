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
