//! The stack machine: instructions in, objects out, nothing called.

use std::collections::HashMap;

use indexmap::IndexSet;

use super::{
    super::{cursor::Cursor, source::Source},
    budget::Budget,
    literals::{number, quoted},
    object::{Id, Object, Value},
    stack::pairs,
    torch_file::Persistent,
};
use crate::Result;

/// The longest line of a text instruction.
const LINE: usize = 4096;

/// The machine and what it has made. Several pickles of one file may be run on one machine.
pub(super) struct Machine<'a> {
    pub(super) source: &'a Source,
    pub(super) objects: Vec<Object>,
    /// `module name` of every global, in order of appearance.
    pub(super) globals: IndexSet<String>,
    pub(super) persistent: Persistent<'a>,
    pub(super) budget: &'a mut Budget,
    pub(super) depth: u32,
    pub(super) stack: Vec<Value>,
    pub(super) marks: Vec<usize>,
    pub(super) memo: HashMap<u32, Value>,
    pub(super) known_globals: HashMap<String, Id>,
    /// Storages that came out of byte strings, by where the bytes are.
    pub(super) loaded: HashMap<(u64, u64), Value>,
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
}
