//! The stack machine: instructions in, objects out, nothing called.

use std::collections::HashMap;

use indexmap::IndexSet;

use super::{
    super::{
        cursor::Cursor,
        source::{Source, Span},
    },
    budget::Budget,
    globals,
    object::{Blob, Id, Instance, Object, Storage, Value},
    torch_file::{self, Persistent},
};
use crate::{Error, Result};

/// Byte strings up to this length are held in memory; longer ones stay in the file.
const SHORT: u64 = 256;
/// The longest line of a text instruction.
const LINE: usize = 4096;
/// The longest integer, in bytes.
const LONGEST_INT: u64 = 64;
/// Values on the stack; writers flush containers every thousand items.
const DEEPEST_STACK: usize = 2_000_000;
/// Numbered values that may be asked for again.
const LARGEST_MEMO: usize = 2_000_000;
/// The longest text that is a name: of a global, of a storage.
const LONGEST_NAME: usize = 4096;
/// Archives in byte strings in archives in byte strings: real files have one level.
const DEEPEST: u32 = 2;

/// The machine and what it has made. Several pickles of one file may be run on one machine.
pub(super) struct Machine<'a> {
    pub(super) source: &'a Source,
    pub(super) objects: Vec<Object>,
    /// `module name` of every global, in order of appearance.
    pub(super) globals: IndexSet<String>,
    pub(super) persistent: Persistent<'a>,
    pub(super) budget: &'a mut Budget,
    pub(super) depth: u32,
    stack: Vec<Value>,
    marks: Vec<usize>,
    memo: HashMap<u32, Value>,
    known_globals: HashMap<String, Id>,
    /// Storages that came out of byte strings, by where the bytes are.
    loaded: HashMap<(u64, u64), Value>,
}

impl<'a> Machine<'a> {
    pub(super) fn new(
        source: &'a Source,
        persistent: Persistent<'a>,
        budget: &'a mut Budget,
        depth: u32,
    ) -> Self {
        Self {
            source,
            objects: Vec::new(),
            globals: IndexSet::new(),
            persistent,
            budget,
            depth,
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            known_globals: HashMap::new(),
            loaded: HashMap::new(),
        }
    }

    /// Runs one pickle to its end and returns what it holds.
    pub(super) fn run(&mut self, cursor: &mut Cursor<'_>) -> Result<Value> {
        self.stack.clear();
        self.marks.clear();
        self.memo.clear();
        loop {
            let at = cursor.position();
            self.budget.instruction().map_err(|why| cursor.bad(why))?;
            match cursor.byte()? {
                b'.' => return self.pop(cursor),
                opcode => self.step(opcode, cursor, at)?,
            }
        }
    }

    #[expect(clippy::too_many_lines, reason = "one arm per instruction")]
    fn step(&mut self, opcode: u8, cursor: &mut Cursor<'_>, at: u64) -> Result<()> {
        match opcode {
            // ---------------------------------------------------------------- framing
            0x80 => match cursor.byte()? {
                0..=5 => Ok(()),
                version => {
                    Err(cursor.bad(format!("it is of pickle protocol {version}; 5 is the newest known")))
                }
            },
            0x95 => cursor.array::<8>().map(drop),
            // ---------------------------------------------------------------- values
            b'N' => self.push(Value::None, cursor),
            0x88 => self.push(Value::Bool(true), cursor),
            0x89 => self.push(Value::Bool(false), cursor),
            b'K' => {
                let byte = cursor.byte()?;
                self.push(Value::Int(byte.into()), cursor)
            }
            b'M' => {
                let value = u16::from_le_bytes(cursor.array()?);
                self.push(Value::Int(value.into()), cursor)
            }
            b'J' => {
                let value = i32::from_le_bytes(cursor.array()?);
                self.push(Value::Int(value.into()), cursor)
            }
            b'G' => {
                let value = f64::from_be_bytes(cursor.array()?);
                self.push(Value::Float(value), cursor)
            }
            b'I' | b'L' | b'F' => {
                let line = cursor.line(LINE)?;
                let value =
                    number(opcode, &line).ok_or_else(|| cursor.bad(format!("no number at byte {at}")))?;
                self.push(value, cursor)
            }
            0x8a => {
                let len = cursor.byte()?;
                self.long(len.into(), cursor)
            }
            0x8b => {
                let len = u32::from_le_bytes(cursor.array()?);
                self.long(len.into(), cursor)
            }
            // ---------------------------------------------------------------- text and bytes
            0x8c => {
                let len = cursor.byte()?;
                self.text(len.into(), cursor)
            }
            b'X' => {
                let len = u32::from_le_bytes(cursor.array()?);
                self.text(len.into(), cursor)
            }
            0x8d => {
                let len = u64::from_le_bytes(cursor.array()?);
                self.text(len, cursor)
            }
            b'U' | b'C' => {
                let len = cursor.byte()?;
                self.bytes(len.into(), cursor)
            }
            b'T' | b'B' => {
                let len = u32::from_le_bytes(cursor.array()?);
                self.bytes(len.into(), cursor)
            }
            0x8e | 0x96 => {
                let len = u64::from_le_bytes(cursor.array()?);
                self.bytes(len, cursor)
            }
            b'S' | b'V' => {
                let line = cursor.line(LINE)?;
                let text =
                    quoted(opcode, &line).ok_or_else(|| cursor.bad(format!("no text at byte {at}")))?;
                self.push_object(text, cursor)
            }
            // ---------------------------------------------------------------- containers
            b'(' => {
                self.budget.object().map_err(|why| cursor.bad(why))?;
                self.marks.push(self.stack.len());
                Ok(())
            }
            b')' => self.push_object(Object::Tuple(Vec::new()), cursor),
            0x85..=0x87 => {
                let items = self.pop_many(usize::from(opcode - 0x84), cursor)?;
                self.push_object(Object::Tuple(items), cursor)
            }
            b't' => {
                let items = self.pop_to_mark(cursor)?;
                self.push_object(Object::Tuple(items), cursor)
            }
            b']' => self.push_object(Object::List(Vec::new()), cursor),
            b'l' => {
                let items = self.pop_to_mark(cursor)?;
                self.push_object(Object::List(items), cursor)
            }
            b'}' => self.push_object(Object::Dict(Vec::new()), cursor),
            b'd' => {
                let items = self.pop_to_mark(cursor)?;
                let items =
                    pairs(&items).ok_or_else(|| cursor.bad(format!("half a dict item at byte {at}")))?;
                self.push_object(Object::Dict(items), cursor)
            }
            0x8f => self.push_object(Object::Set(Vec::new()), cursor),
            0x91 => {
                let items = self.pop_to_mark(cursor)?;
                self.push_object(Object::Set(items), cursor)
            }
            b'a' => {
                let item = self.pop_many(1, cursor)?;
                self.append(item, cursor)
            }
            b'e' | 0x90 => {
                let items = self.pop_to_mark(cursor)?;
                self.append(items, cursor)
            }
            b's' => {
                let item = self.pop_many(2, cursor)?;
                self.set_items(&item, cursor)
            }
            b'u' => {
                let items = self.pop_to_mark(cursor)?;
                self.set_items(&items, cursor)
            }
            // ---------------------------------------------------------------- stack and memo
            b'0' => self.discard(cursor),
            b'1' => self.pop_to_mark(cursor).map(drop),
            b'2' => {
                let top = self.top(cursor)?;
                self.push(top, cursor)
            }
            b'p' | b'g' => {
                let line = cursor.line(LINE)?;
                let key = std::str::from_utf8(&line).ok().and_then(|line| line.trim().parse().ok());
                let key = key.ok_or_else(|| cursor.bad(format!("no memo number at byte {at}")))?;
                if opcode == b'p' { self.put(key, cursor) } else { self.get(key, cursor) }
            }
            b'q' => {
                let key = cursor.byte()?;
                self.put(key.into(), cursor)
            }
            b'r' => {
                let key = u32::from_le_bytes(cursor.array()?);
                self.put(key, cursor)
            }
            0x94 => self.put(self.memo.len() as u32, cursor),
            b'h' => {
                let key = cursor.byte()?;
                self.get(key.into(), cursor)
            }
            b'j' => {
                let key = u32::from_le_bytes(cursor.array()?);
                self.get(key, cursor)
            }
            // ---------------------------------------------------------------- what would be code
            b'c' => {
                let global = self.named_global(cursor)?;
                self.push(global, cursor)
            }
            0x93 => {
                let names = self.pop_many(2, cursor)?;
                let (module, name) = (self.owned_text(names[0], cursor)?, self.owned_text(names[1], cursor)?);
                let global = self.global(&module, &name, cursor)?;
                self.push(global, cursor)
            }
            b'R' | 0x81 => {
                let call = self.pop_many(2, cursor)?;
                self.instance(call[0], call[1], cursor)
            }
            0x92 => {
                // Keyword arguments follow the positional ones in the list of arguments.
                let call = self.pop_many(3, cursor)?;
                let args = self.object(Object::Tuple(vec![call[1], call[2]]), cursor)?;
                self.instance(call[0], args, cursor)
            }
            b'i' => {
                let class = self.named_global(cursor)?;
                let args = self.pop_to_mark(cursor)?;
                let args = self.object(Object::Tuple(args), cursor)?;
                self.instance(class, args, cursor)
            }
            b'o' => {
                let mut args = self.pop_to_mark(cursor)?;
                if args.is_empty() {
                    return Err(cursor.bad(format!("an object without a class at byte {at}")));
                }
                let class = args.remove(0);
                let args = self.object(Object::Tuple(args), cursor)?;
                self.instance(class, args, cursor)
            }
            b'b' => {
                let state = self.pop(cursor)?;
                self.build(state, cursor)
            }
            b'Q' => {
                let reference = self.pop(cursor)?;
                let storage = self.persistent_load(reference, cursor)?;
                self.push(storage, cursor)
            }
            0x98 => Ok(()), // a buffer becomes read-only: it is so anyway
            _ => Err(cursor.bad(format!("unknown or unsupported instruction {opcode:#04x} at byte {at}"))),
        }
    }

    // -------------------------------------------------------------------- stack

    fn push(&mut self, value: Value, cursor: &Cursor<'_>) -> Result<()> {
        if self.stack.len() >= DEEPEST_STACK {
            return Err(cursor.bad("its stack grows too large"));
        }
        self.stack.push(value);
        Ok(())
    }

    fn push_object(&mut self, object: Object, cursor: &Cursor<'_>) -> Result<()> {
        let value = self.object(object, cursor)?;
        self.push(value, cursor)
    }

    pub(super) fn object(&mut self, object: Object, cursor: &Cursor<'_>) -> Result<Value> {
        self.budget.object().map_err(|why| cursor.bad(why))?;
        self.objects.push(object);
        Ok(Value::Object(Id(self.objects.len() as u32 - 1)))
    }

    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn pop(&mut self, cursor: &Cursor<'_>) -> Result<Value> {
        Ok(self.pop_many(1, cursor)?[0])
    }

    fn pop_many(&mut self, n: usize, cursor: &Cursor<'_>) -> Result<Vec<Value>> {
        match self.stack.len().checked_sub(n) {
            Some(start) if start >= self.floor() => Ok(self.stack.split_off(start)),
            _ => Err(underflow(cursor)),
        }
    }

    fn pop_to_mark(&mut self, cursor: &Cursor<'_>) -> Result<Vec<Value>> {
        let start = self.marks.pop().ok_or_else(|| underflow(cursor))?;
        Ok(self.stack.split_off(start))
    }

    /// `POP` drops a value or, where there is none above it, the mark.
    fn discard(&mut self, cursor: &Cursor<'_>) -> Result<()> {
        if self.stack.len() > self.floor() {
            self.pop(cursor).map(drop)
        } else {
            self.marks.pop().map(drop).ok_or_else(|| underflow(cursor))
        }
    }

    fn top(&self, cursor: &Cursor<'_>) -> Result<Value> {
        if self.stack.len() > self.floor() {
            return self.stack.last().copied().ok_or_else(|| underflow(cursor));
        }
        Err(underflow(cursor))
    }

    fn put(&mut self, key: u32, cursor: &Cursor<'_>) -> Result<()> {
        let top = self.top(cursor)?;
        if self.memo.len() >= LARGEST_MEMO {
            return Err(cursor.bad("its memo grows too large"));
        }
        self.memo.insert(key, top);
        Ok(())
    }

    fn get(&mut self, key: u32, cursor: &Cursor<'_>) -> Result<()> {
        let value = self.memo.get(&key).copied();
        let value = value.ok_or_else(|| cursor.bad(format!("memo {key} was never set")))?;
        self.push(value, cursor)
    }

    // -------------------------------------------------------------------- data

    fn long(&mut self, len: u64, cursor: &mut Cursor<'_>) -> Result<()> {
        if len > LONGEST_INT {
            return Err(cursor.bad(format!("an integer of {len} bytes")));
        }
        let bytes = cursor.take(len)?;
        match small_int(&bytes) {
            Some(value) => self.push(Value::Int(value), cursor),
            None => self.push_object(Object::BigInt(bytes), cursor),
        }
    }

    fn text(&mut self, len: u64, cursor: &mut Cursor<'_>) -> Result<()> {
        self.budget.text(len).map_err(|why| cursor.bad(why))?;
        let bytes = cursor.take(len)?;
        // Python writes lone surrogates as three bytes that UTF-8 does not know.
        let text =
            String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned());
        self.push_object(Object::Text(text), cursor)
    }

    fn bytes(&mut self, len: u64, cursor: &mut Cursor<'_>) -> Result<()> {
        let blob = if len <= SHORT {
            let span = Some(Span { start: cursor.position(), len });
            Blob::Held { bytes: cursor.take(len)?, span }
        } else {
            Blob::Filed(cursor.skip(len)?)
        };
        self.push_object(Object::Bytes(blob), cursor)
    }

    fn append(&mut self, items: Vec<Value>, cursor: &Cursor<'_>) -> Result<()> {
        match self.top_object(cursor)? {
            Object::List(list) | Object::Set(list) => list.extend(items),
            Object::Instance(instance) => instance.appended.extend(items),
            _ => return Err(cursor.bad("something is appended to what is not a list")),
        }
        Ok(())
    }

    fn set_items(&mut self, items: &[Value], cursor: &Cursor<'_>) -> Result<()> {
        let items = pairs(items).ok_or_else(|| cursor.bad("half an item is set"))?;
        match self.top_object(cursor)? {
            Object::Dict(dict) => dict.extend(items),
            Object::Instance(instance) => instance.items.extend(items),
            _ => return Err(cursor.bad("an item of what is not a dict is set")),
        }
        Ok(())
    }

    fn top_object(&mut self, cursor: &Cursor<'_>) -> Result<&mut Object> {
        match self.top(cursor)? {
            Value::Object(id) => Ok(&mut self.objects[id.0 as usize]),
            _ => Err(cursor.bad("a plain value is used as a container")),
        }
    }

    // -------------------------------------------------------------------- what would be code

    fn named_global(&mut self, cursor: &mut Cursor<'_>) -> Result<Value> {
        let (module, name) = (cursor.line(LINE)?, cursor.line(LINE)?);
        let (module, name) = (String::from_utf8_lossy(&module), String::from_utf8_lossy(&name));
        self.global(&module, &name, cursor)
    }

    fn global(&mut self, module: &str, name: &str, cursor: &Cursor<'_>) -> Result<Value> {
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

    fn instance(&mut self, callee: Value, args: Value, cursor: &Cursor<'_>) -> Result<()> {
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

    fn build(&mut self, state: Value, cursor: &Cursor<'_>) -> Result<()> {
        match self.top_object(cursor)? {
            Object::Instance(instance) => instance.state = Some(state),
            _ => return Err(cursor.bad("the state of what is not an object is set")),
        }
        Ok(())
    }

    /// A torch archive in a byte string: read at once, so that what it refers to is judged too.
    fn load_from_bytes(&mut self, args: Value, cursor: &Cursor<'_>) -> Result<Value> {
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

    fn persistent_load(&mut self, reference: Value, cursor: &Cursor<'_>) -> Result<Value> {
        let Some(reference) = torch_file::Reference::parse(self, reference) else {
            return Err(cursor.bad("a reference to something outside that is not a storage"));
        };
        if let Some(known) = self.persistent.known(&reference.key) {
            return Ok(known);
        }
        let data = match self.persistent.place(&reference, self.source)? {
            Some(span) => span,
            None => return Err(cursor.bad("a reference to something outside of a pickle that stands alone")),
        };
        let storage = Storage { dtype: reference.dtype, numel: reference.numel, data };
        let value = self.object(Object::Storage(storage), cursor)?;
        self.persistent.remember(reference.key, value);
        Ok(value)
    }

    // -------------------------------------------------------------------- looking at objects

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

    fn owned_text(&self, value: Value, cursor: &Cursor<'_>) -> Result<String> {
        self.to_text(value).ok_or_else(|| cursor.bad("a global whose name is not text"))
    }
}

fn underflow(cursor: &Cursor<'_>) -> Error {
    cursor.bad(format!("the stack runs empty at byte {}", cursor.position()))
}

fn pairs(items: &[Value]) -> Option<Vec<(Value, Value)>> {
    items.len().is_multiple_of(2).then(|| items.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect())
}

/// Little-endian two's complement of at most eight bytes.
fn small_int(bytes: &[u8]) -> Option<i64> {
    if bytes.len() > 8 {
        return None;
    }
    let sign = if bytes.last().is_some_and(|b| b & 0x80 != 0) { 0xff } else { 0 };
    Some(i64::from_le_bytes(std::array::from_fn(|i| bytes.get(i).copied().unwrap_or(sign))))
}

/// The number of a text instruction.
fn number(opcode: u8, line: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(line).ok()?.trim();
    Some(match (opcode, text) {
        (b'I', "00") => Value::Bool(false),
        (b'I', "01") => Value::Bool(true),
        (b'F', text) => Value::Float(text.parse().ok()?),
        (_, text) => Value::Int(text.strip_suffix('L').unwrap_or(text).parse().ok()?),
    })
}

/// The text of a text instruction: `S` is a Python literal in quotes, `V` has `\uXXXX` escapes.
fn quoted(opcode: u8, line: &[u8]) -> Option<Object> {
    if opcode == b'V' {
        return Some(Object::Text(unescape(line, true)?.into_iter().collect()));
    }
    let line = line.trim_ascii();
    let quote = *line.first().filter(|q| matches!(q, b'\'' | b'"'))?;
    let inner = line.get(1..line.len().checked_sub(1)?)?;
    if line.len() < 2 || line.last() != Some(&quote) {
        return None;
    }
    let bytes: Option<Vec<u8>> =
        unescape(inner, false)?.into_iter().map(|c| u8::try_from(u32::from(c)).ok()).collect();
    Some(Object::Bytes(Blob::Held { bytes: bytes?, span: None }))
}

fn unescape(bytes: &[u8], unicode: bool) -> Option<Vec<char>> {
    let mut rest = bytes.iter().copied();
    let mut out = Vec::with_capacity(bytes.len());
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            out.push(char::from(byte));
            continue;
        }
        let escape = rest.next()?;
        let digits = match (escape, unicode) {
            (b'x', false) => 2,
            (b'u', true) => 4,
            (b'U', true) => 8,
            (_, true) => {
                out.extend(['\\', char::from(escape)]);
                continue;
            }
            (b'n', false) => {
                out.push('\n');
                continue;
            }
            (b't', false) => {
                out.push('\t');
                continue;
            }
            (b'r', false) => {
                out.push('\r');
                continue;
            }
            (_, false) => {
                out.push(char::from(escape));
                continue;
            }
        };
        let hex: String = rest.by_ref().take(digits).map(char::from).collect();
        let code = (hex.len() == digits).then(|| u32::from_str_radix(&hex, 16).ok())??;
        out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
    }
    Some(out)
}
