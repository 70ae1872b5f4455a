//! Plain values of a pickle as JSON: constructor arguments, settings, labels.

use serde_json::{Map, Number, Value as Json};

use super::{
    numpy,
    object::{Object, Value},
    reader::Pickle,
};
use crate::Result;

/// Arguments nest a few levels; a pickle may hold circles.
const DEEPEST: usize = 16;
/// Arguments are short; lists that refer to each other could unfold without end.
const LONGEST: usize = 10_000;
/// Settings are words.
const LONGEST_TEXT: u64 = 1 << 16;

impl Pickle {
    /// A plain value: tuples become arrays, numpy scalars numbers, infinities `"inf"` and `"-inf"`, and what is not a
    /// plain value its name, such as `"<torch float16>"`.
    ///
    /// # Errors
    /// `BadFile` where the values nest too deeply or are too many for settings.
    pub fn json(&self, value: Value) -> Result<Json> {
        unfold(self, value, 0, &mut LONGEST.clone())
    }
}

fn unfold(pickle: &Pickle, value: Value, depth: usize, left: &mut usize) -> Result<Json> {
    if depth > DEEPEST || *left == 0 {
        return Err(pickle.bad("values nest too deeply or are too many for settings"));
    }
    *left -= 1;
    Ok(match value {
        Value::None => Json::Null,
        Value::Bool(value) => Json::Bool(value),
        Value::Int(value) => Json::Number(value.into()),
        Value::Float(value) => float(value),
        Value::Object(_) => {
            if let Some(text) = pickle.long_text(value, LONGEST_TEXT)? {
                // The same text may be mentioned again and again.
                *left = left.saturating_sub(text.len() / 64);
                return Ok(Json::String(text.into_owned()));
            }
            if let Some(Object::LongText(_)) = pickle.object(value) {
                return Err(pickle.bad("a text too long for a setting"));
            }
            if let Some(items) = pickle.items(value) {
                let items: Result<_> =
                    items.iter().map(|&item| unfold(pickle, item, depth + 1, left)).collect();
                return Ok(Json::Array(items?));
            }
            if pickle.entries(value).is_some_and(|entries| entries.len() > *left) {
                return Err(pickle.bad("too many values for settings"));
            }
            if let Some(fields) = pickle.fields(value) {
                *left = left.saturating_sub(pickle.entries(value).map_or(0, |entries| entries.len()));
                let mut object = Map::new();
                for (key, value) in fields {
                    object.insert(key.into_owned(), unfold(pickle, value, depth + 1, left)?);
                }
                return Ok(Json::Object(object));
            }
            match numpy::short_array(pickle, value)? {
                Some(array) => numbers(array),
                None => Json::String(name(pickle, value)),
            }
        }
    })
}

fn float(value: f64) -> Json {
    Number::from_f64(value).map_or_else(|| value.to_string().to_lowercase().into(), Json::Number)
}

/// A scalar as a number, an array as a flat list.
fn numbers(array: burn::tensor::TensorData) -> Json {
    let scalar = array.shape().is_empty();
    let whole = array.dtype().is_int() || array.dtype().is_uint();
    let boolean = array.dtype().is_bool();
    let values: Vec<f64> = array.convert::<f64>().try_into_vec().unwrap_or_default();
    let one = |&value: &f64| match (boolean, whole) {
        (true, _) => Json::Bool(value != 0.0),
        (_, true) => Json::Number((value as i64).into()),
        _ => float(value),
    };
    match (scalar, values.first()) {
        (true, Some(value)) => one(value),
        _ => Json::Array(values.iter().map(one).collect()),
    }
}

fn name(pickle: &Pickle, value: Value) -> String {
    let global = match pickle.object(value) {
        Some(Object::Global { module, name }) => Some((module.as_str(), name.as_str())),
        _ => pickle.callee(value),
    };
    match global {
        Some((module, name)) => format!("<{module} {name}>"),
        None => "<data>".to_owned(),
    }
}
