//! Writes Python's values as pickles of protocol 4.

use std::collections::HashMap;

use burn::tensor::{DType, TensorData};
use serde_json::Value;

/// A pickle under construction. What stands between `dict`, `tuple` and the like is written by their closures.
pub struct Pickler {
    bytes: Vec<u8>,
    /// Texts and globals are written once; their places in the memo.
    memo: HashMap<String, u32>,
}

impl Pickler {
    /// A whole file, of what `object` writes.
    pub fn file(object: impl FnOnce(&mut Self)) -> Vec<u8> {
        let mut pickler = Self { bytes: vec![0x80, 4], memo: HashMap::new() };
        object(&mut pickler);
        pickler.op(b'.');
        pickler.bytes
    }

    fn op(&mut self, code: u8) {
        self.bytes.push(code);
    }

    /// An instruction with an argument.
    fn with(&mut self, code: u8, argument: &[u8]) {
        self.op(code);
        self.bytes.extend_from_slice(argument);
    }

    /// Writes a value that is worth remembering, or says where it is.
    fn once(&mut self, name: String, write: impl FnOnce(&mut Self)) {
        if let Some(place) = self.memo.get(&name) {
            return self.with(b'j', &place.to_le_bytes());
        }
        write(self);
        self.op(0x94);
        self.memo.insert(name, self.memo.len() as u32);
    }

    pub fn text(&mut self, text: &str) {
        self.once(format!("'{text}"), |p| {
            p.with(b'X', &(text.len() as u32).to_le_bytes());
            p.bytes.extend_from_slice(text.as_bytes());
        });
    }

    pub fn none(&mut self) {
        self.op(b'N');
    }

    pub fn bool(&mut self, value: bool) {
        self.op(if value { 0x88 } else { 0x89 });
    }

    pub fn int(&mut self, value: i32) {
        self.with(b'J', &value.to_le_bytes());
    }

    pub fn raw(&mut self, bytes: &[u8]) {
        self.with(b'B', &(bytes.len() as u32).to_le_bytes());
        self.bytes.extend_from_slice(bytes);
    }

    /// Keys and values in turn.
    pub fn dict(&mut self, entries: impl FnOnce(&mut Self)) {
        self.op(b'}');
        self.entries(entries);
    }

    /// The same for a dict that stands there.
    pub fn entries(&mut self, entries: impl FnOnce(&mut Self)) {
        self.op(b'(');
        entries(self);
        self.op(b'u');
    }

    pub fn tuple(&mut self, items: impl FnOnce(&mut Self)) {
        self.op(b'(');
        items(self);
        self.op(b't');
    }

    pub fn extents(&mut self, extents: &[usize]) {
        self.tuple(|p| extents.iter().for_each(|&n| p.int(n as i32)));
    }

    pub fn empty_set(&mut self) {
        self.op(0x8f);
    }

    pub fn global(&mut self, module: &str, name: &str) {
        self.once(format!("{module} {name}"), |p| {
            p.text(module);
            p.text(name);
            p.op(0x93);
        });
    }

    pub fn call(&mut self, module: &str, name: &str, arguments: impl FnOnce(&mut Self)) {
        self.global(module, name);
        self.tuple(arguments);
        self.op(b'R');
    }

    /// An object of a class, without arguments.
    pub fn new_object(&mut self, module: &str, name: &str) {
        self.global(module, name);
        self.bytes.extend([b')', 0x81]);
    }

    /// An object that `make` writes, with its state.
    pub fn build(&mut self, make: impl FnOnce(&mut Self), state: impl FnOnce(&mut Self)) {
        make(self);
        state(self);
        self.op(b'b');
    }

    pub fn ordered_dict(&mut self) {
        self.call("collections", "OrderedDict", |_| {});
    }

    /// Plain values.
    pub fn json(&mut self, value: &Value) {
        match value {
            Value::Null => self.none(),
            Value::Bool(value) => self.bool(*value),
            Value::Number(number) => match number.as_i64() {
                Some(value) => self.int(value as i32),
                None => self.with(b'G', &number.as_f64().unwrap().to_be_bytes()),
            },
            Value::String(text) => self.text(text),
            Value::Array(items) => {
                self.bytes.extend(b"](");
                items.iter().for_each(|item| self.json(item));
                self.op(b'e');
            }
            Value::Object(fields) => self.dict(|p| {
                for (name, value) in fields {
                    p.text(name);
                    p.json(value);
                }
            }),
        }
    }

    /// A numpy array of doubles or floats.
    pub fn array(&mut self, data: &TensorData) {
        let code = if data.dtype() == DType::F64 { "f8" } else { "f4" };
        let empty = |p: &mut Self| {
            p.call("numpy.core.multiarray", "_reconstruct", |p| {
                p.global("numpy", "ndarray");
                p.extents(&[0]);
                p.raw(b"b");
            });
        };
        let dtype = |p: &mut Self| {
            p.call("numpy", "dtype", |p| {
                p.text(code);
                p.bool(false);
                p.bool(true);
            });
        };
        self.build(empty, |p| {
            p.tuple(|p| {
                p.int(1);
                p.extents(&data.shape().to_vec());
                p.build(dtype, |p| {
                    p.tuple(|p| {
                        p.int(3);
                        p.text("<");
                        (0..3).for_each(|_| p.none());
                        [-1, -1, 0].into_iter().for_each(|n| p.int(n));
                    });
                });
                p.bool(false);
                p.raw(data.as_bytes());
            });
        });
    }
}
