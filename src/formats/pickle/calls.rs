//! Where a pickle would run code: the name is judged, and the request is kept.

use super::{
    super::cursor::Cursor,
    globals,
    machine::Machine,
    object::{Blob, Id, Instance, Object, Storage, Value},
    torch_file,
};
use crate::{Error, Result};

/// The longest line of a text instruction.
const LINE: usize = 4096;
/// The longest text that is a name: of a global, of a storage.
const LONGEST_NAME: usize = 4096;
/// Archives in byte strings in archives in byte strings: real files have one level.
const DEEPEST: u32 = 2;

impl Machine<'_> {
    /// A global whose names follow as two lines.
    pub(super) fn named_global(&mut self, cursor: &mut Cursor<'_>) -> Result<Value> {
        let (module, name) = (cursor.line(LINE)?, cursor.line(LINE)?);
        let (module, name) = (String::from_utf8_lossy(&module), String::from_utf8_lossy(&name));
        self.global(&module, &name, cursor)
    }

    /// Judges a name.
    pub(super) fn global(&mut self, module: &str, name: &str, cursor: &Cursor<'_>) -> Result<Value> {
        if !globals::is_data(module, name) {
            let global = format!("{module}.{name}");
            return Err(Error::ForbiddenGlobal { path: self.source.path().to_path_buf(), global });
        }
        let key = format!("{module} {name}");
        if let Some(&id) = self.known_globals.get(&key) {
            return Ok(Value::Object(id));
        }
        let value =
            self.object(Object::Global { module: module.to_owned(), name: name.to_owned() }, cursor)?;
        if let Value::Object(id) = value {
            self.known_globals.insert(key.clone(), id);
        }
        self.globals.insert(key);
        Ok(value)
    }

    /// Keeps a call; only the storages of `_load_from_bytes` are looked into.
    pub(super) fn instance(&mut self, callee: Value, args: Value, cursor: &Cursor<'_>) -> Result<()> {
        let Some((callee, module, name)) = self.as_global(callee) else {
            return Err(cursor.bad("it calls something that is not a function by name"));
        };
        if (module, name) == ("torch.storage", "_load_from_bytes") {
            let storage = self.load_from_bytes(args, cursor)?;
            return self.push(storage, cursor);
        }
        let instance = Instance { callee, args, state: None, items: Vec::new(), appended: Vec::new() };
        self.push_object(Object::Instance(instance), cursor)
    }

    /// Keeps the state of the object on top.
    pub(super) fn build(&mut self, state: Value, cursor: &Cursor<'_>) -> Result<()> {
        match self.top_object(cursor)? {
            Object::Instance(instance) => instance.state = Some(state),
            _ => return Err(cursor.bad("the state of what is not an object is set")),
        }
        Ok(())
    }

    /// A torch archive in a byte string: read at once, so that what it refers to is judged too.
    pub(super) fn load_from_bytes(&mut self, args: Value, cursor: &Cursor<'_>) -> Result<Value> {
        let bytes = match self.tuple(args) {
            Some([bytes]) => *bytes,
            _ => return Err(cursor.bad("`_load_from_bytes` without its bytes")),
        };
        let Value::Object(id) = bytes else {
            return Err(cursor.bad("`_load_from_bytes` of what is not bytes"));
        };
        let span = match &self.objects[id.0 as usize] {
            Object::Bytes(Blob::Filed(span) | Blob::Held { span: Some(span), .. }) => *span,
            _ => return Err(cursor.bad("`_load_from_bytes` of what is not bytes")),
        };
        if let Some(&storage) = self.loaded.get(&(span.start, span.len)) {
            return Ok(storage);
        }
        if self.depth >= DEEPEST {
            return Err(cursor.bad("archives nested too deeply"));
        }
        let storage = torch_file::load_storage(self.source, span, self.budget, self.depth + 1)?;
        let storage = self.object(Object::Storage(storage), cursor)?;
        self.loaded.insert((span.start, span.len), storage);
        Ok(storage)
    }

    /// A storage that lies beside the pickle.
    pub(super) fn persistent_load(&mut self, reference: Value, cursor: &Cursor<'_>) -> Result<Value> {
        let Some(reference) = torch_file::Reference::parse(self, reference) else {
            return Err(cursor.bad("a reference to something outside that is not a storage"));
        };
        if let Some(known) = self.persistent.known(&reference.key) {
            return Ok(known);
        }
        let Some(data) = self.persistent.place(&reference, self.source)? else {
            return Err(cursor.bad("a reference to something outside of a pickle that stands alone"));
        };
        let storage = Storage { dtype: reference.dtype, numel: reference.numel, data };
        let value = self.object(Object::Storage(storage), cursor)?;
        self.persistent.remember(reference.key, value);
        Ok(value)
    }

    /// The module and name of a global.
    pub(super) fn as_global(&self, value: Value) -> Option<(Id, &str, &str)> {
        let Value::Object(id) = value else { return None };
        match &self.objects[id.0 as usize] {
            Object::Global { module, name } => Some((id, module, name)),
            _ => None,
        }
    }

    /// The items of a tuple.
    pub(super) fn tuple(&self, value: Value) -> Option<&[Value]> {
        let Value::Object(id) = value else { return None };
        match &self.objects[id.0 as usize] {
            Object::Tuple(items) => Some(items),
            _ => None,
        }
    }

    /// A name: short text, or short bytes read as Latin-1.
    pub(super) fn to_text(&self, value: Value) -> Option<String> {
        let Value::Object(id) = value else { return None };
        match &self.objects[id.0 as usize] {
            Object::Text(text) => (text.len() <= LONGEST_NAME).then(|| text.clone()),
            Object::Bytes(Blob::Held { bytes, .. }) => Some(bytes.iter().map(|&b| char::from(b)).collect()),
            _ => None,
        }
    }

    /// A name that must be there.
    pub(super) fn owned_text(&self, value: Value, cursor: &Cursor<'_>) -> Result<String> {
        self.to_text(value).ok_or_else(|| cursor.bad("a global whose name is not text"))
    }
}
