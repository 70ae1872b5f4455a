//! Reads the `class_names` of a `dataset.json`, which EDM's tools ignore and others may use for something else.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::{
    label_list::{MAX_ENTRY_BYTES, State},
    labels::MAX_CLASSES,
};

/// A list of names, each the name of the class with its number; anything else is somebody else's, and no matter.
pub(in crate::data) struct ClassNames<'a>(pub(in crate::data) &'a State);

impl<'de> DeserializeSeed<'de> for ClassNames<'_> {
    type Value = Option<Vec<String>>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ClassNames<'_> {
    type Value = Option<Vec<String>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of names")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut names = Some(Vec::new());
        while let Some(value) = list.next_element::<Value>()? {
            names = match (names, value) {
                (Some(mut names), Value::String(name)) if names.len() < MAX_CLASSES as usize => {
                    names.push(name);
                    Some(names)
                }
                _ => None,
            };
            self.0.left.set(MAX_ENTRY_BYTES);
        }
        Ok(names)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        self.0.left.set(usize::MAX);
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }
}
