//! Torch's own files: the legacy archive of several pickles, and storages that a pickle refers to.

use burn::tensor::DType;

use super::{
    super::{
        elements,
        file_bytes::{FileBytes, Span},
        zip::ZipArchive,
    },
    budget::Budget,
    machine::Machine,
    object::{Object, Storage, Value},
    place::Place,
};
use crate::Result;

/// The first pickle of a legacy archive, as little-endian bytes of the integer.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/// The same in protocol 1.
const MAGIC_IN_WORDS: &[u8] = b"L119547037146038801333356L\n.";
const PROTOCOL: i64 = 1001;
pub(super) const FORMAT: &str = "torch archive";
/// Stands for a legacy storage whose place is known only after all pickles.
const LATER: Place = Place::File(Span { start: u64::MAX, len: 0 });

/// Where a pickle's storages are.
pub(super) enum Persistent<'a> {
    /// The pickle stands alone.
    Nowhere,
    /// Behind the pickles of a legacy archive.
    Behind,
    /// In the entries `<prefix>data/<key>` of a zip.
    Zip { archive: &'a ZipArchive, prefix: String },
}

/// `("storage", type, key, location, numel, view)`
pub(super) struct StorageId {
    pub(super) key: String,
    pub(super) dtype: DType,
    pub(super) numel: u64,
}

impl Persistent<'_> {
    /// Where the storage's data lie; `None` where there can be none.
    pub(super) fn place(&self, storage: &StorageId, source: &FileBytes) -> Result<Option<Place>> {
        match self {
            Self::Nowhere => Ok(None),
            Self::Behind => Ok(Some(LATER)),
            Self::Zip { archive, prefix } => {
                let name = format!("{prefix}data/{}", storage.key);
                let lost = || source.bad(FORMAT, format!("the tensor data `{name}` are missing"));
                let span = archive.span(archive.entry(&name).ok_or_else(lost)?)?;
                check_len(source, storage, span.len)?;
                Ok(Some(Place::File(Span { len: storage.numel * storage.dtype.size() as u64, ..span })))
            }
        }
    }
}

/// The data must hold all elements; the product must not overflow.
fn check_len(source: &FileBytes, storage: &StorageId, len: u64) -> Result<()> {
    let wanted = storage.numel.checked_mul(storage.dtype.size() as u64);
    if wanted.is_some_and(|wanted| wanted <= len) {
        return Ok(());
    }
    let StorageId { key, dtype, numel } = storage;
    let dtype = elements::type_name(*dtype);
    Err(source.bad(FORMAT, format!("storage `{key}` should hold {numel} of {dtype}, but has {len} bytes")))
}

impl StorageId {
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

/// Whether a file begins as a legacy archive: with a pickle of the magic number.
pub(super) fn is_legacy(source: &FileBytes) -> Result<bool> {
    let head = source.read(Span { start: 0, len: source.len().min(32) })?;
    Ok(head.starts_with(MAGIC_IN_WORDS) || head.windows(MAGIC.len()).any(|w| w == MAGIC))
}

/// Reads a legacy archive whose object is one storage.
pub(super) fn load_storage(
    source: &FileBytes,
    span: Span,
    budget: &mut Budget,
    depth: u32,
) -> Result<Storage> {
    let mut machine = Machine::new(source, span, FORMAT, Persistent::Behind, budget, depth);
    let value = load_legacy(&mut machine)?;
    match machine.object_at(value) {
        Some(&Object::Storage(storage)) => Ok(storage),
        _ => Err(source.bad(FORMAT, "an archive in a byte string that holds no storage")),
    }
}

/// Runs the five pickles of a legacy archive and finds the data behind them; returns the archive's object.
pub(super) fn load_legacy(machine: &mut Machine<'_>) -> Result<Value> {
    let magic = machine.run()?;
    let is_magic = matches!(machine.object_at(magic), Some(Object::BigInt(bytes)) if *bytes == MAGIC);
    if !is_magic || machine.run()? != Value::Int(PROTOCOL) {
        return Err(machine.bad("its magic number or protocol is another one"));
    }
    let system = machine.run()?;
    if declares_big_endian(machine, system) {
        return Err(machine.bad("its numbers are big-endian"));
    }
    let object = machine.run()?;
    let keys = machine.run()?;
    place_storages(machine, keys)?;
    Ok(object)
}

fn declares_big_endian(machine: &Machine<'_>, system: Value) -> bool {
    let Some(Object::Dict(items)) = machine.object_at(system) else { return false };
    let is = |key: Value| machine.to_text(key).as_deref() == Some("little_endian");
    items.iter().any(|(key, value)| is(*key) && *value == Value::Bool(false))
}

/// Each key's data: an element count of 8 bytes, then the elements.
fn place_storages(machine: &mut Machine<'_>, keys: Value) -> Result<()> {
    let Some(Object::List(keys)) = machine.object_at(keys) else {
        return Err(machine.bad("its list of storages is no list"));
    };
    for key in keys.clone() {
        let key = match key {
            Value::Int(key) => Some(key.to_string()),
            key => machine.to_text(key),
        };
        let Some(&Value::Object(id)) = key.and_then(|key| machine.referred.get(&key)) else {
            return Err(machine.bad("data of a storage that nobody refers to"));
        };
        let count = i64::from_le_bytes(machine.cursor.array()?);
        let Object::Storage(storage) = &mut machine.objects[id.0 as usize] else { continue };
        let len = u64::try_from(count).ok().filter(|count| *count == storage.numel);
        let len = len.and_then(|count| count.checked_mul(storage.dtype.size() as u64)).ok_or_else(|| {
            machine.cursor.bad(format!("{count} elements where {} were announced", storage.numel))
        })?;
        storage.data = Place::File(machine.cursor.skip(len)?);
    }
    let placed = |object: &Object| !matches!(object, Object::Storage(storage) if storage.data == LATER);
    if machine.objects.iter().all(placed) {
        return Ok(());
    }
    Err(machine.bad("the data of a storage are missing"))
}
