//! `Pickle`: a file that was read, and questions to it.

use std::{borrow::Cow, collections::HashMap, path::Path};

use super::{
    super::{
        file_bytes::FileBytes,
        recognised::Kind,
        zip::{Limits, ZipArchive},
    },
    budget::Budget,
    literals,
    machine::Machine,
    object::{Blob, Id, Instance, Object, Value},
    script,
    torch_file::{self, Persistent},
};
use crate::{Error, Result};

/// Names of tensors and settings are shorter.
const LONGEST_KEY: usize = 512;

/// The data of a pickle, of a legacy torch archive or of a `.pt` zip.
#[derive(Debug)]
pub struct Pickle {
    source: FileBytes,
    format: &'static str,
    objects: Vec<Object>,
    globals: Vec<String>,
    root: Value,
}

impl Pickle {
    /// Reads a file; whether it is a bare pickle, a legacy torch archive or a `.pt` zip is seen from its
    /// first bytes. `format` is what error messages call it.
    ///
    /// # Errors
    /// `ForbiddenGlobal` where it refers to anything but data, `BadFile` where it is damaged, truncated or
    /// costs too much to read.
    pub fn read(source: FileBytes, format: &'static str) -> Result<Self> {
        if source.starts_with(b"PK\x03\x04")? {
            return Self::read_zip(source, format);
        }
        Self::read_bare(&source, format)
            .map_err(|error| source.explained(format, &[Kind::Pickle], error))
            .map(|(objects, globals, root)| Self { source, format, objects, globals, root })
    }

    fn read_bare(source: &FileBytes, format: &'static str) -> Result<(Vec<Object>, Vec<String>, Value)> {
        let mut budget = Budget::default();
        let legacy = torch_file::is_legacy(source)?;
        let (name, persistent) =
            if legacy { (torch_file::FORMAT, Persistent::Behind) } else { (format, Persistent::Nowhere) };
        let mut machine = Machine::new(source, source.whole(), name, persistent, &mut budget, 0);
        let root = if legacy { torch_file::load_legacy(&mut machine)? } else { machine.run()? };
        let (objects, globals) = machine.into_parts();
        Ok((objects, globals, root))
    }

    fn read_zip(source: FileBytes, format: &'static str) -> Result<Self> {
        let archive = ZipArchive::new(source, format, Limits { entries: 1_000_000, entry_size: 4096 })?;
        let bad = |problem: &str| archive.source().bad(format, problem);
        let name = |wanted: &str| {
            let at = |name: &str| name.strip_suffix(wanted).is_some_and(|p| p.is_empty() || p.ends_with('/'));
            archive.entries().iter().find(|entry| at(&entry.name))
        };
        let pickle = name("data.pkl").ok_or_else(|| bad("it has no `data.pkl`: it is not a torch file"))?;
        let prefix = pickle.name.strip_suffix("data.pkl").unwrap_or_default().to_owned();
        if let Some(order) = archive.entry(&format!("{prefix}byteorder"))
            && archive.read(order)?.trim_ascii() != b"little"
        {
            return Err(bad("its numbers are big-endian"));
        }
        let mut budget = Budget::default();
        let span = archive.span(pickle)?;
        let script = script::is_archive(&archive, &prefix);
        let persistent = Persistent::Zip { archive: &archive, prefix };
        let mut machine = Machine::new(archive.source(), span, format, persistent, &mut budget, 0);
        machine.script = script;
        let root = machine.run()?;
        let (objects, globals) = machine.into_parts();
        Ok(Self { source: archive.into_source(), format, objects, globals, root })
    }

    /// What the pickle holds.
    pub fn root(&self) -> Value {
        self.root
    }

    /// `module name` of everything that the (outer) pickle refers to, in order of appearance.
    pub fn globals(&self) -> impl Iterator<Item = &str> {
        self.globals.iter().map(String::as_str)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        self.source.path()
    }

    /// The file's bytes.
    pub fn source(&self) -> &FileBytes {
        &self.source
    }

    /// `Error::BadFile` about this file.
    pub fn bad(&self, problem: impl Into<String>) -> Error {
        self.source.bad(self.format, problem)
    }

    /// The object behind a value.
    pub fn object(&self, value: Value) -> Option<&Object> {
        match value {
            Value::Object(Id(id)) => self.objects.get(id as usize),
            _ => None,
        }
    }

    /// An inert call or object.
    pub fn instance(&self, value: Value) -> Option<&Instance> {
        match self.object(value)? {
            Object::Instance(instance) => Some(instance),
            _ => None,
        }
    }

    /// Module and name of a function or class.
    pub fn global(&self, id: Id) -> Option<(&str, &str)> {
        match self.objects.get(id.0 as usize)? {
            Object::Global { module, name } => Some((module, name)),
            _ => None,
        }
    }

    /// Module and name of what an inert call would have called.
    pub fn callee(&self, value: Value) -> Option<(&str, &str)> {
        self.global(self.instance(value)?.callee)
    }

    /// Module and name of the class of an inert object. Before protocol 2, `copyreg._reconstructor(class, base, state)` makes
    /// those that say nothing else.
    pub fn class(&self, value: Value) -> Option<(&str, &str)> {
        match (self.callee(value)?, self.items(self.instance(value)?.args)?) {
            (("copyreg" | "copy_reg", "_reconstructor"), &[Value::Object(class), ..]) => self.global(class),
            (callee, _) => Some(callee),
        }
    }

    /// Items of a tuple or a list.
    pub fn items(&self, value: Value) -> Option<&[Value]> {
        match self.object(value)? {
            Object::Tuple(items) | Object::List(items) => Some(items),
            _ => None,
        }
    }

    /// Text that may be a name. The short byte strings of Python 2 pickles count as Latin-1 text.
    pub fn text(&self, value: Value) -> Option<Cow<'_, str>> {
        match self.object(value)? {
            Object::Text(text) => Some(Cow::Borrowed(text)),
            Object::Bytes(Blob::Held { bytes, .. }) => {
                Some(Cow::Owned(bytes.iter().map(|&b| char::from(b)).collect()))
            }
            _ => None,
        }
    }

    /// The same, also of a text that is too long for a name; `None` for one of more than `most` bytes.
    ///
    /// # Errors
    /// `Io`.
    pub(super) fn long_text(&self, value: Value, most: u64) -> Result<Option<Cow<'_, str>>> {
        match self.object(value) {
            Some(Object::LongText(text)) if text.span.len <= most => {
                let bytes = self.source.read(text.span)?;
                let lossy = || Object::Text(String::from_utf8_lossy(&bytes).into_owned());
                let text = if text.escaped { literals::quoted(b'V', &bytes) } else { None };
                match text.unwrap_or_else(lossy) {
                    Object::Text(text) => Ok(Some(Cow::Owned(text))),
                    _ => Ok(None),
                }
            }
            _ => Ok(self.text(value)),
        }
    }

    /// Key-value pairs of a dict, an `OrderedDict`, a `defaultdict` or an `EasyDict`; of equal keys the last counts.
    pub fn entries(&self, value: Value) -> Option<Cow<'_, [(Value, Value)]>> {
        match self.object(value)? {
            Object::Dict(items) => Some(Cow::Borrowed(items)),
            Object::Instance(instance) => match self.class(value)? {
                ("collections", "OrderedDict" | "defaultdict") | ("dnnlib.util", "EasyDict") => {
                    let pairs = self.pairs_among(instance.args);
                    if pairs.is_empty() {
                        return Some(Cow::Borrowed(&instance.items));
                    }
                    Some(Cow::Owned([pairs, instance.items.clone()].concat()))
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// How many values are looked at to find the entries of a dict.
    pub fn looked_through(&self, value: Value) -> usize {
        match self.object(value) {
            Some(Object::Dict(items)) => items.len(),
            Some(Object::Instance(instance)) => {
                let within = |&arg: &Value| match self.object(arg) {
                    Some(Object::Dict(items)) => items.len(),
                    _ => self.items(arg).map_or(0, <[Value]>::len),
                };
                instance.items.len()
                    + self.items(instance.args).unwrap_or_default().iter().map(within).sum::<usize>()
            }
            _ => 0,
        }
    }

    /// `OrderedDict([[key, value], ...])`, or `_reconstructor(EasyDict, dict, {...})`
    fn pairs_among(&self, args: Value) -> Vec<(Value, Value)> {
        if let Some(&[Value::Object(_), _, state]) = self.items(args)
            && let Some(Object::Dict(items)) = self.object(state)
        {
            return items.clone();
        }
        let first = self.items(args).and_then(|args| args.first());
        let list = first.and_then(|&first| self.items(first)).unwrap_or_default();
        let pair = |&item: &Value| match self.items(item) {
            Some(&[key, value]) => Some((key, value)),
            _ => None,
        };
        list.iter().filter_map(pair).collect()
    }

    /// A dict's entries with short text for keys, in order of first insertion; other keys are left out.
    pub fn fields(&self, value: Value) -> Option<Vec<(Cow<'_, str>, Value)>> {
        let entries = self.entries(value)?;
        let mut fields: Vec<(Cow<'_, str>, Value)> = Vec::with_capacity(entries.len());
        let mut places: HashMap<Cow<'_, str>, usize> = HashMap::new();
        for &(key, value) in entries.iter() {
            let Some(key) = self.text(key).filter(|key| key.len() <= LONGEST_KEY) else { continue };
            if let Some(&place) = places.get(&key) {
                fields[place].1 = value;
            } else {
                places.insert(key.clone(), fields.len());
                fields.push((key, value));
            }
        }
        Some(fields)
    }

    /// The value under a key of a dict.
    pub fn get(&self, dict: Value, key: &str) -> Option<Value> {
        let entries = self.entries(dict)?;
        entries.iter().rev().find(|(k, _)| self.text(*k).as_deref() == Some(key)).map(|(_, value)| *value)
    }

    /// Bytes, read from the file if they are still there; also `_codecs.encode(text, "latin1")`, in which
    /// protocol 2 wraps bytes.
    ///
    /// # Errors
    /// `Io` where the file cannot be read any more; `BadFile` for a text that stands for no bytes.
    pub fn bytes(&self, value: Value) -> Result<Option<Vec<u8>>> {
        match self.object(value) {
            Some(Object::Bytes(Blob::Held { bytes, .. })) => Ok(Some(bytes.clone())),
            Some(Object::Bytes(Blob::Filed(span))) => self.source.read(*span).map(Some),
            Some(Object::Instance(instance)) => self.encoded(instance),
            _ => Ok(None),
        }
    }

    fn encoded(&self, instance: &Instance) -> Result<Option<Vec<u8>>> {
        let called = self.global(instance.callee) == Some(("_codecs", "encode"));
        let Some(&[text, encoding]) = self.items(instance.args).filter(|_| called) else { return Ok(None) };
        if !self.text(encoding).is_some_and(|encoding| literals::is_latin(&encoding)) {
            return Ok(None);
        }
        if let Some(Object::LongText(text)) = self.object(text) {
            return text.bytes(&self.source).map(Some);
        }
        let byte = |c: char| u8::try_from(u32::from(c)).ok();
        Ok(self.text(text).and_then(|text| text.chars().map(byte).collect()))
    }
}
