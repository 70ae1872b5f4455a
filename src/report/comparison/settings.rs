//! The settings that differ, one by one.

use serde_json::{Map, Value};

use super::{pairs::Pair, side::Side};

/// A setting that is not the same on both sides.
#[derive(Debug, PartialEq)]
pub(super) struct SettingPair {
    /// `sid.distill.method.sid.alpha`
    pub(super) path: String,
    /// In A, and in B; `None` where it is not set.
    pub(super) of: [Option<Value>; 2],
}

/// The seeds, where they are known and differ.
pub(super) fn of_seeds(a: &Side, b: &Side) -> Vec<SettingPair> {
    match (a.identity.seed, b.identity.seed) {
        (Some(a), Some(b)) if a != b => {
            vec![SettingPair { path: "seed".to_owned(), of: [a, b].map(|s| Some(s.into())) }]
        }
        _ => Vec::new(),
    }
}

/// What differs between two stages; of different verbs nothing but these.
pub(super) fn of(pair: &Pair<'_>) -> Vec<SettingPair> {
    let Some([a, b]) = pair.both() else { return Vec::new() };
    let mut differing = Vec::new();
    if a.verb != b.verb {
        differing.push(SettingPair {
            path: pair.path("verb"),
            of: [&a.verb, &b.verb].map(|verb| Some(verb.as_str().into())),
        });
        return differing;
    }
    // Of two single stages it is said where they are named.
    let path = if pair.name().is_some() { pair.path(&a.verb) } else { String::new() };
    differ(&path, &a.values, &b.values, &mut differing);
    for (field, before) in &a.contents {
        if let Some(after) = b.contents.get(field).filter(|after| *after != before) {
            let path = format!("{} (contents)", join(&path, &field.replace('/', ".")));
            differing.push(SettingPair { path, of: [before, after].map(|hash| Some(hash.as_str().into())) });
        }
    }
    differing
}

fn join(path: &str, field: &str) -> String {
    if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") }
}

/// What is on one side only is one setting, whatever is in it.
fn differ(path: &str, a: &Value, b: &Value, into: &mut Vec<SettingPair>) {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => match variants(a, b) {
            Some([(a_name, a), (b_name, b)]) => {
                let of = [a_name, b_name].map(|name| Some(name.as_str().into()));
                into.push(SettingPair { path: path.to_owned(), of });
                differ(&join(path, &format!("{{{a_name},{b_name}}}")), a, b, into);
            }
            None => {
                let new = b.keys().filter(|name| !a.contains_key(*name));
                for name in a.keys().chain(new) {
                    fields(join(path, name), a.get(name), b.get(name), into);
                }
            }
        },
        (Value::Array(a), Value::Array(b)) if a.iter().chain(b).any(Value::is_object) => {
            for i in 0..a.len().max(b.len()) {
                fields(join(path, &i.to_string()), a.get(i), b.get(i), into);
            }
        }
        (a, b) if is_same(a, b) => {}
        (a, b) => {
            into.push(SettingPair { path: path.to_owned(), of: [a, b].map(|value| Some(value.clone())) });
        }
    }
}

fn fields(path: String, a: Option<&Value>, b: Option<&Value>, into: &mut Vec<SettingPair>) {
    match (a, b) {
        (Some(a), Some(b)) => differ(&path, a, b, into),
        (a, b) => into.push(SettingPair { path, of: [a.cloned(), b.cloned()] }),
    }
}

/// Two variants of a choice, such as `{ sid: {...} }` and `{ sida: {...} }`.
fn variants<'a>(
    a: &'a Map<String, Value>,
    b: &'a Map<String, Value>,
) -> Option<[(&'a String, &'a Value); 2]> {
    let only = |map: &'a Map<String, Value>| {
        let (name, value) = map.iter().next()?;
        (map.len() == 1 && value.is_object()).then_some((name, value))
    };
    let (a, b) = (only(a)?, only(b)?);
    (a.0 != b.0).then_some([a, b])
}

/// 1 is 1.0.
fn is_same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) if a.is_f64() != b.is_f64() => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b))
        }
        (a, b) => a == b,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn differing(a: Value, b: Value) -> Vec<(String, [Option<Value>; 2])> {
        let mut found = Vec::new();
        differ("s", &a, &b, &mut found);
        found.into_iter().map(|pair| (pair.path, pair.of)).collect()
    }

    #[test]
    fn one_change_is_one_setting() {
        let base =
            json!({ "lr": 1.0, "betas": [0.0, 0.9], "method": { "sid": { "alpha": 1.0, "tmax": 800 } } });
        assert!(differing(base.clone(), base.clone()).is_empty());
        let mut other = base.clone();
        other["betas"] = json!([0, 0.999]);
        let of = [Some(json!([0.0, 0.9])), Some(json!([0, 0.999]))];
        assert_eq!(differing(base.clone(), other), [("s.betas".to_owned(), of)]);
        let mut other = base.clone();
        other["snapshots"] = json!({ "every_kimg": 5, "keep": "last" });
        let of = [None, Some(json!({ "every_kimg": 5, "keep": "last" }))];
        assert_eq!(differing(base.clone(), other), [("s.snapshots".to_owned(), of)]);
        let mut other = base.clone();
        (other["lr"], other["betas"]) = (json!(1), json!([0, 0.9]));
        assert!(differing(base, other).is_empty());
    }

    #[test]
    fn variants_of_a_choice_are_named_and_compared() {
        let a = json!({ "method": { "sid": { "alpha": 1.0, "tmax": 800 } } });
        let b = json!({ "method": { "sida": { "alpha": 1.2, "tmax": 800 } } });
        let found = differing(a, b);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0], ("s.method".to_owned(), [Some(json!("sid")), Some(json!("sida"))]));
        assert_eq!(found[1], ("s.method.{sid,sida}.alpha".to_owned(), [Some(json!(1.0)), Some(json!(1.2))]));
    }

    #[test]
    fn lists_of_things_are_compared_one_by_one() {
        let metric = |images: u32| json!({ "frechet_distance": { "detector": "pixels", "images": images } });
        let found = differing(json!([metric(100)]), json!([metric(200), metric(300)]));
        assert_eq!(found[0].0, "s.0.frechet_distance.images");
        assert_eq!(found[1], ("s.1".to_owned(), [None, Some(metric(300))]));
    }
}
