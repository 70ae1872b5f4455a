//! Torch's own files: the legacy archive of several pickles, and storages that a pickle refers to.

use std::collections::HashMap;

use burn::tensor::DType;

use super::{
    super::{
        cursor::Cursor,
        elements,
        source::{Source, Span},
        zip::ZipArchive,
    },
    budget::Budget,
    machine::Machine,
    object::{Object, Storage, Value},
};
use crate::Result;

/// The first pickle of a legacy archive, as little-endian bytes of the integer.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
const PROTOCOL: i64 = 1001;
const FORMAT: &str = "torch archive";
/// Stands for a legacy storage whose place is known only after all pickles.
const LATER: Span = Span { start: u64::MAX, len: 0 };

/// Where a pickle's storages are.
pub(super) struct Persistent<'a> {
    place: Place<'a>,
    known: HashMap<String, Value>,
}

enum Place<'a> {
    /// The pickle stands alone.
    Nowhere,
    /// Behind the pickles of a legacy archive.
    Behind,
    /// In the entries `<prefix>data/<key>` of a zip.
    Zip { archive: &'a ZipArchive, prefix: String },
}

/// `("storage", type, key, location, numel, view)`
pub(super) struct Reference {
    pub(super) key: String,
    pub(super) dtype: DType,
    pub(super) numel: u64,
}

impl<'a> Persistent<'a> {
    pub(super) fn nowhere() -> Self {
        Self { place: Place::Nowhere, known: HashMap::new() }
    }

    fn behind() -> Self {
        Self { place: Place::Behind, known: HashMap::new() }
    }

    pub(super) fn zip(archive: &'a ZipArchive, prefix: String) -> Self {
        Self { place: Place::Zip { archive, prefix }, known: HashMap::new() }
    }

    /// The storage that was referred to before.
    pub(super) fn known(&self, key: &str) -> Option<Value> {
        self.known.get(key).copied()
    }

    pub(super) fn remember(&mut self, key: String, value: Value) {
        self.known.insert(key, value);
    }

    /// Where the referred storage's data lie; `None` where there can be none.
    pub(super) fn place(&self, reference: &Reference, source: &Source) -> Result<Option<Span>> {
        match &self.place {
            Place::Nowhere => Ok(None),
            Place::Behind => Ok(Some(LATER)),
            Place::Zip { archive, prefix } => {
                let name = format!("{prefix}data/{}", reference.key);
                let lost = || source.bad(FORMAT, format!("the tensor data `{name}` are missing"));
                let span = archive.span(archive.entry(&name).ok_or_else(lost)?)?;
                check_len(source, reference, span.len)?;
                Ok(Some(Span { len: reference.numel * reference.dtype.size() as u64, ..span }))
            }
        }
    }
}

/// The data must hold all elements; the product must not overflow.
fn check_len(source: &Source, reference: &Reference, len: u64) -> Result<()> {
    let wanted = reference.numel.checked_mul(reference.dtype.size() as u64);
    if wanted.is_some_and(|wanted| wanted <= len) {
        return Ok(());
    }
    let Reference { key, dtype, numel } = reference;
    Err(source.bad(FORMAT, format!("storage `{key}` should hold {numel} of {dtype:?}, but has {len} bytes")))
}

impl Reference {
    pub(super) fn parse(machine: &Machine<'_>, value: Value) -> Option<Self> {
        let items = machine.tuple(value)?;
        let [kind, class, key, _location, numel, rest @ ..] = items else { return None };
        let plain = matches!(rest, [] | [Value::None]);
        let (_, module, name) = machine.as_global(*class)?;
        let dtype = match (module, name) {
            ("torch", storage) => elements::of_torch(storage)?,
            ("torch.storage", "UntypedStorage") => DType::U8,
            _ => return None,
        };
        let key = match key {
            Value::Int(key) => key.to_string(),
            key => machine.to_text(*key)?,
        };
        let Value::Int(numel) = numel else { return None };
        let numel = u64::try_from(*numel).ok()?;
        (plain && machine.to_text(*kind)? == "storage").then_some(Self { key, dtype, numel })
    }
}

/// Whether a legacy archive begins here: a pickle of the magic number.
pub(super) fn is_legacy(source: &Source, span: Span) -> Result<bool> {
    let head = source.read(Span { len: span.len.min(16), ..span })?;
    Ok(head.windows(MAGIC.len()).any(|w| w == MAGIC))
}

/// Reads a legacy archive whose object is one storage.
pub(super) fn load_storage(source: &Source, span: Span, budget: &mut Budget, depth: u32) -> Result<Storage> {
    let mut machine = Machine::new(source, Persistent::behind(), budget, depth);
    let value = load_legacy(&mut machine, span)?;
    match value {
        Value::Object(id) => match machine.objects[id.0 as usize] {
            Object::Storage(storage) => Ok(storage),
            _ => Err(source.bad(FORMAT, "an archive in a byte string that holds no storage")),
        },
        _ => Err(source.bad(FORMAT, "an archive in a byte string that holds no storage")),
    }
}

/// A machine for a whole legacy file.
pub(super) fn legacy_machine<'a>(source: &'a Source, budget: &'a mut Budget) -> Machine<'a> {
    Machine::new(source, Persistent::behind(), budget, 0)
}

/// Runs the five pickles of a legacy archive and finds the data behind them; returns the archive's object.
pub(super) fn load_legacy(machine: &mut Machine<'_>, span: Span) -> Result<Value> {
    let source = machine.source;
    let mut cursor = Cursor::new(source, span, FORMAT);
    let magic = machine.run(&mut cursor)?;
    let is_magic = match magic {
        Value::Object(id) => {
            matches!(&machine.objects[id.0 as usize], Object::BigInt(bytes) if *bytes == MAGIC)
        }
        _ => false,
    };
    if !is_magic || machine.run(&mut cursor)? != Value::Int(PROTOCOL) {
        return Err(cursor.bad("its magic number or protocol is another one"));
    }
    let system = machine.run(&mut cursor)?;
    if declares_big_endian(machine, system) {
        return Err(cursor.bad("its numbers are big-endian"));
    }
    let object = machine.run(&mut cursor)?;
    let keys = machine.run(&mut cursor)?;
    place_storages(machine, &mut cursor, keys)?;
    Ok(object)
}

fn declares_big_endian(machine: &Machine<'_>, system: Value) -> bool {
    let Value::Object(id) = system else { return false };
    let Object::Dict(items) = &machine.objects[id.0 as usize] else { return false };
    let is = |key: Value| machine.to_text(key).as_deref() == Some("little_endian");
    items.iter().any(|(key, value)| is(*key) && *value == Value::Bool(false))
}

/// Each key's data: an element count of 8 bytes, then the elements.
fn place_storages(machine: &mut Machine<'_>, cursor: &mut Cursor<'_>, keys: Value) -> Result<()> {
    let keys = match keys {
        Value::Object(id) => match &machine.objects[id.0 as usize] {
            Object::List(keys) => keys.clone(),
            _ => return Err(cursor.bad("its list of storages is no list")),
        },
        _ => return Err(cursor.bad("its list of storages is no list")),
    };
    for key in keys {
        let key = match key {
            Value::Int(key) => Some(key.to_string()),
            key => machine.to_text(key),
        };
        let known = key.and_then(|key| machine.persistent.known(&key));
        let Some(Value::Object(id)) = known else {
            return Err(cursor.bad("data of a storage that nobody refers to"));
        };
        let count = i64::from_le_bytes(cursor.array()?);
        let Object::Storage(storage) = &mut machine.objects[id.0 as usize] else { continue };
        let len = u64::try_from(count).ok().filter(|count| *count == storage.numel);
        let len = len.and_then(|count| count.checked_mul(storage.dtype.size() as u64));
        let len = len
            .ok_or_else(|| cursor.bad(format!("{count} elements where {} were announced", storage.numel)))?;
        storage.data = cursor.skip(len)?;
    }
    let placed = |object: &Object| !matches!(object, Object::Storage(storage) if storage.data == LATER);
    if machine.objects.iter().all(placed) {
        return Ok(());
    }
    Err(cursor.bad("the data of a storage are missing"))
}
