//! The stack machine: instructions in, objects out, nothing called.

use std::collections::HashMap;

use indexmap::IndexMap;

use super::{
    super::{
        cursor::Cursor,
        file_bytes::{FileBytes, Span},
    },
    budget::Budget,
    literals::{number, quoted},
    object::{Object, Value},
    place::LongText,
    stack::SHORT,
    torch_file::Persistent,
};
use crate::{Error, Result};

/// The longest line of a text instruction.
pub(super) const LINE: usize = 4096;

/// The machine and what it has made. Several pickles of one file may be run on one machine, one after another.
pub(super) struct Machine<'a> {
    pub(super) source: &'a FileBytes,
    pub(super) cursor: Cursor<'a>,
    pub(super) objects: Vec<Object>,
    /// Every global by `module name`, in order of appearance.
    pub(super) globals: IndexMap<String, Value>,
    pub(super) persistent: Persistent<'a>,
    /// Storages that were referred to, by their keys.
    pub(super) referred: HashMap<String, Value>,
    pub(super) budget: &'a mut Budget,
    pub(super) depth: u32,
    /// Whether classes of TorchScript may be mentioned: their code lies in the same archive.
    pub(super) script: bool,
    pub(super) stack: Vec<Value>,
    pub(super) marks: Vec<usize>,
    pub(super) memo: HashMap<u64, Value>,
    /// Storages that came out of byte strings, by where the bytes are.
    pub(super) loaded: HashMap<(u64, u64), Value>,
}

impl<'a> Machine<'a> {
    /// A machine for the pickles in a part of a file; `format` is what messages call it.
    pub(super) fn new(
        source: &'a FileBytes,
        span: Span,
        format: &'static str,
        persistent: Persistent<'a>,
        budget: &'a mut Budget,
        depth: u32,
    ) -> Self {
        Self {
            source,
            cursor: Cursor::new(source, span, format),
            objects: Vec::new(),
            globals: IndexMap::new(),
            persistent,
            referred: HashMap::new(),
            budget,
            depth,
            script: false,
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            loaded: HashMap::new(),
        }
    }

    /// What was made, and `module name` of every global in order of appearance.
    pub(super) fn into_parts(self) -> (Vec<Object>, Vec<String>) {
        (self.objects, self.globals.into_keys().collect())
    }

    /// A complaint about the file.
    pub(super) fn bad(&self, problem: impl Into<String>) -> Error {
        self.cursor.bad(problem)
    }

    /// Runs one pickle to its end and returns what it holds.
    pub(super) fn run(&mut self) -> Result<Value> {
        self.stack.clear();
        self.marks.clear();
        self.memo.clear();
        loop {
            let at = self.cursor.position();
            self.budget.instruction().map_err(|why| self.bad(why))?;
            let opcode = self.cursor.byte()?;
            if opcode == b'.' {
                return self.pop();
            }
            if let Some(value) = self.value_of(opcode, at)? {
                self.push(value)?;
            } else if let Some(object) = self.object_of(opcode, at)? {
                self.push_object(object)?;
            } else {
                self.act(opcode, at)?;
            }
        }
    }

    /// The value that an instruction spells out.
    fn value_of(&mut self, opcode: u8, at: u64) -> Result<Option<Value>> {
        let cursor = &mut self.cursor;
        Ok(Some(match opcode {
            b'N' => Value::None,
            0x88 => Value::Bool(true),
            0x89 => Value::Bool(false),
            b'K' => Value::Int(cursor.byte()?.into()),
            b'M' => Value::Int(u16::from_le_bytes(cursor.array()?).into()),
            b'J' => Value::Int(i32::from_le_bytes(cursor.array()?).into()),
            b'G' => Value::Float(f64::from_be_bytes(cursor.array()?)),
            b'I' | b'F' => {
                let line = cursor.line(LINE)?;
                number(opcode, &line).ok_or_else(|| cursor.bad(format!("no number at byte {at}")))?
            }
            _ => return Ok(None),
        }))
    }

    /// The text, bytes or container that an instruction makes.
    fn object_of(&mut self, opcode: u8, at: u64) -> Result<Option<Object>> {
        Ok(Some(match opcode {
            0x8c => self.text::<1>()?,
            b'X' => self.text::<4>()?,
            0x8d => self.text::<8>()?,
            b'U' | b'C' => self.bytes::<1>()?,
            b'T' | b'B' => self.bytes::<4>()?,
            0x8e | 0x96 => self.bytes::<8>()?,
            b'V' => {
                let span = self.cursor.line_span()?;
                if span.len > SHORT {
                    return Ok(Some(Object::LongText(LongText { span, escaped: true })));
                }
                self.budget.text(span.len).map_err(|why| self.bad(why))?;
                let line = self.source.read(span)?;
                quoted(opcode, &line).ok_or_else(|| self.bad(format!("no text at byte {at}")))?
            }
            b'S' => {
                let line = self.cursor.line(LINE)?;
                self.budget.text(line.len() as u64).map_err(|why| self.bad(why))?;
                quoted(opcode, &line).ok_or_else(|| self.bad(format!("no text at byte {at}")))?
            }
            b')' => Object::Tuple(Vec::new()),
            0x85..=0x87 => Object::Tuple(
                self.pop_many(usize::from(opcode - 0x84)).and_then(|items| self.paid(items, 1))?,
            ),
            b't' => Object::Tuple(self.pop_to_mark().and_then(|items| self.paid(items, 1))?),
            b']' => Object::List(Vec::new()),
            b'l' => Object::List(self.pop_to_mark().and_then(|items| self.paid(items, 1))?),
            b'}' => Object::Dict(Vec::new()),
            b'd' => Object::Dict(self.pairs_to_mark().and_then(|items| self.paid(items, 2))?),
            0x8f => Object::Set(Vec::new()),
            0x91 => Object::Set(self.pop_to_mark().and_then(|items| self.paid(items, 1))?),

            _ => return Ok(None),
        }))
    }

    /// What changes what is there, and what would be code.
    fn act(&mut self, opcode: u8, at: u64) -> Result<()> {
        match opcode {
            // ---------------------------------------------------------------- framing
            0x80 => match self.cursor.byte()? {
                0..=5 => Ok(()),
                version => {
                    Err(self.bad(format!("it is of pickle protocol {version}; 5 is the newest known")))
                }
            },
            0x95 => self.cursor.skip(8).map(drop),
            // ---------------------------------------------------------------- integers of any length
            0x8a => self.long::<1>(),
            0x8b => self.long::<4>(),
            b'L' => self.long_line(at),
            // ---------------------------------------------------------------- stack and memo
            b'(' => {
                self.budget.object().map_err(|why| self.bad(why))?;
                self.marks.push(self.stack.len());
                Ok(())
            }
            b'0' => self.discard(),
            b'1' => self.pop_to_mark().map(drop),
            b'2' => self.top().and_then(|top| self.push(top)),
            b'p' | b'g' => {
                let line = self.cursor.line(LINE)?;
                let key = std::str::from_utf8(&line).ok().and_then(|line| line.trim().parse().ok());
                let key = key.ok_or_else(|| self.bad(format!("no memo number at byte {at}")))?;
                if opcode == b'p' { self.put(key) } else { self.get(key) }
            }
            b'q' => self.cursor.unsigned::<1>().and_then(|key| self.put(key)),
            b'r' => self.cursor.unsigned::<4>().and_then(|key| self.put(key)),
            0x94 => self.put(self.memo.len() as u64),
            b'h' => self.cursor.unsigned::<1>().and_then(|key| self.get(key)),
            b'j' => self.cursor.unsigned::<4>().and_then(|key| self.get(key)),
            // ---------------------------------------------------------------- items of containers
            b'a' => self.pop_many(1).and_then(|item| self.append(item)),
            b'e' | 0x90 => self.pop_to_mark().and_then(|items| self.append(items)),
            b's' => self.pop_many(2).and_then(|item| self.set_items(vec![(item[0], item[1])])),
            b'u' => self.pairs_to_mark().and_then(|items| self.set_items(items)),
            // ---------------------------------------------------------------- what would be code
            b'c' => self.named_global().and_then(|global| self.push(global)),
            0x93 => {
                let names = self.pop_many(2)?;
                let (module, name) = (self.owned_text(names[0])?, self.owned_text(names[1])?);
                self.global(&module, &name).and_then(|global| self.push(global))
            }
            b'R' => self.pop_many(2).and_then(|call| self.instance(call[0], call[1])),
            0x81 => self.pop_many(2).and_then(|call| self.new_object(call[0], call[1])),
            0x92 => {
                // Keyword arguments follow the positional ones in the list of arguments.
                let call = self.pop_many(3)?;
                self.instance_of(call[0], vec![call[1], call[2]])
            }
            b'i' => {
                let class = self.named_global()?;
                self.pop_to_mark().and_then(|args| self.instance_of(class, args))
            }
            b'o' => {
                let mut args = self.pop_to_mark()?;
                if args.is_empty() {
                    return Err(self.bad(format!("an object without a class at byte {at}")));
                }
                let class = args.remove(0);
                self.instance_of(class, args)
            }
            b'b' => self.pop().and_then(|state| self.build(state)),
            b'Q' => self.pop().and_then(|id| self.persistent_load(id)),
            0x98 => Ok(()), // a buffer becomes read-only: it is so anyway
            _ => Err(self.bad(format!("unknown or unsupported instruction {opcode:#04x} at byte {at}"))),
        }
    }
}
