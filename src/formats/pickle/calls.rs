//! Where a pickle would run code: the name is judged, and the request is kept.

use super::{
    globals, literals,
    machine::{LINE, Machine},
    object::{Blob, Id, Instance, Object, Storage, Value},
    place::{LongText, Place},
    script, torch_file,
};
use crate::{Error, Result};

/// The longest text that is a name: of a global, of a storage.
const LONGEST_NAME: usize = 4096;
/// Archives in byte strings in archives in byte strings: real files have one level.
const DEEPEST: u32 = 2;

impl Machine<'_> {
    /// A global whose names follow as two lines.
    pub(super) fn named_global(&mut self) -> Result<Value> {
        let (module, name) = (self.cursor.line(LINE)?, self.cursor.line(LINE)?);
        let (module, name) = (String::from_utf8_lossy(&module), String::from_utf8_lossy(&name));
        self.global(&module, &name)
    }

    /// Judges a name.
    pub(super) fn global(&mut self, module: &str, name: &str) -> Result<Value> {
        if !(globals::is_data(module, name) || self.script && script::is_class(module, name)) {
            return Err(self.forbidden(format!("{module}.{name}")));
        }
        let key = format!("{module} {name}");
        if let Some(&known) = self.globals.get(&key) {
            return Ok(known);
        }
        self.budget.text(2 * key.len() as u64).map_err(|why| self.bad(why))?;
        let value = self.object(Object::Global { module: module.to_owned(), name: name.to_owned() })?;
        self.globals.insert(key, value);
        Ok(value)
    }

    /// Keeps a call; only the storages of `_load_from_bytes` are looked into.
    pub(super) fn instance(&mut self, callee: Value, args: Value) -> Result<()> {
        let Some((callee, module, name)) = self.as_global(callee) else {
            return Err(self.bad("it calls something that is not a function by name"));
        };
        if script::is_class(module, name) {
            return Err(self.forbidden(format!("{module}.{name}(...)")));
        }
        if (module, name) == ("torch.storage", "_load_from_bytes") {
            return self.load_from_bytes(args).and_then(|storage| self.push(storage));
        }
        self.push_object(Object::Instance(Box::new(Instance::new(callee, args))))
    }

    /// An object of a class. One of TorchScript is a record to be filled: it takes no arguments.
    pub(super) fn new_object(&mut self, class: Value, args: Value) -> Result<()> {
        match self.as_global(class) {
            Some((id, module, name)) if script::is_class(module, name) && self.tuple(args) == Some(&[]) => {
                self.push_object(Object::Instance(Box::new(Instance::new(id, args))))
            }
            _ => self.instance(class, args),
        }
    }

    /// The same with arguments that are no tuple yet.
    pub(super) fn instance_of(&mut self, callee: Value, args: Vec<Value>) -> Result<()> {
        let args = self.paid(args, 1)?;
        self.object(Object::Tuple(args)).and_then(|args| self.instance(callee, args))
    }

    fn forbidden(&self, global: String) -> Error {
        Error::ForbiddenGlobal { path: self.source.path().to_path_buf(), global }
    }

    /// Keeps the state of the object on top.
    pub(super) fn build(&mut self, state: Value) -> Result<()> {
        match self.top_object()? {
            Object::Instance(instance) => instance.state = Some(state),
            _ => return Err(self.bad("the state of what is not an object is set")),
        }
        Ok(())
    }

    /// A torch archive in a byte string: read at once, so that what it refers to is judged too.
    fn load_from_bytes(&mut self, args: Value) -> Result<Value> {
        let place = match self.tuple(args) {
            Some(&[bytes]) => self.place_of(bytes),
            _ => None,
        };
        let Some(place) = place else { return Err(self.bad("`_load_from_bytes` of what is not bytes")) };
        let (Place::File(span) | Place::Text(LongText { span, .. }, _)) = place;
        if let Some(&storage) = self.loaded.get(&(span.start, span.len)) {
            return Ok(storage);
        }
        if self.depth >= DEEPEST {
            return Err(self.bad("archives nested too deeply"));
        }
        let storage = match place {
            Place::File(span) => torch_file::load_storage(self.source, span, self.budget, self.depth + 1)?,
            Place::Text(text, _) => {
                let beginning = text.beginning(self.source)?;
                let whole = beginning.whole();
                let storage = torch_file::load_storage(&beginning, whole, self.budget, self.depth + 1)?;
                let Place::File(span) = storage.data else {
                    return Err(self.bad("bytes in text in bytes in text"));
                };
                Storage { data: Place::Text(text, span), ..storage }
            }
        };
        let storage = self.object(Object::Storage(storage))?;
        self.loaded.insert((span.start, span.len), storage);
        Ok(storage)
    }

    /// Where bytes are: in the file, or in the text of `_codecs.encode(text, "latin1")`.
    fn place_of(&self, bytes: Value) -> Option<Place> {
        match self.object_at(bytes)? {
            Object::Bytes(Blob::Filed(span) | Blob::Held { span: Some(span), .. }) => {
                Some(Place::File(*span))
            }
            Object::Instance(call) if self.as_global(Value::Object(call.callee))?.1 == "_codecs" => {
                let &[text, encoding] = self.tuple(call.args)? else { return None };
                let latin = literals::is_latin(&self.to_text(encoding)?);
                match self.object_at(text)? {
                    &Object::LongText(text) if latin => Some(Place::Text(text, text.span)),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// A storage that lies beside the pickle, or a class with the source that it had: `("module", class, file, source)`.
    pub(super) fn persistent_load(&mut self, id: Value) -> Result<()> {
        if let Some(&[kind, class, _file, _source]) = self.tuple(id)
            && self.to_text(kind).as_deref() == Some("module")
            && self.as_global(class).is_some()
        {
            return self.push(class);
        }
        let Some(id) = torch_file::StorageId::parse(self, id) else {
            return Err(self.bad("a reference to something outside that is not a storage"));
        };
        if let Some(&known) = self.referred.get(&id.key) {
            return self.push(known);
        }
        let Some(data) = self.persistent.place(&id, self.source)? else {
            return Err(self.bad("a reference to something outside of a pickle that stands alone"));
        };
        let storage = Storage { dtype: id.dtype, numel: id.numel, data };
        let value = self.object(Object::Storage(storage))?;
        self.referred.insert(id.key, value);
        self.push(value)
    }

    /// The object behind a value.
    pub(super) fn object_at(&self, value: Value) -> Option<&Object> {
        let Value::Object(id) = value else { return None };
        self.objects.get(id.0 as usize)
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
        match self.object_at(value)? {
            Object::Tuple(items) => Some(items),
            _ => None,
        }
    }

    /// A name: short text, or short bytes read as Latin-1.
    pub(super) fn to_text(&self, value: Value) -> Option<String> {
        match self.object_at(value)? {
            Object::Text(text) => (text.len() <= LONGEST_NAME).then(|| text.clone()),
            Object::Bytes(Blob::Held { bytes, .. }) => Some(bytes.iter().map(|&b| char::from(b)).collect()),
            _ => None,
        }
    }

    /// A name that must be there.
    pub(super) fn owned_text(&self, value: Value) -> Result<String> {
        self.to_text(value).ok_or_else(|| self.bad("a global whose name is not text"))
    }
}
