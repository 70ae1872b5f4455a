//! The machine's stack and memo, and the containers on top of it.

use super::{
    super::{cursor::Cursor, source::Span},
    literals::small_int,
    machine::Machine,
    object::{Blob, Id, Object, Value},
};
use crate::{Error, Result};

/// Byte strings up to this length are held in memory; longer ones stay in the file.
const SHORT: u64 = 256;
/// The longest integer, in bytes.
const LONGEST_INT: u64 = 64;
/// Values on the stack; writers flush containers every thousand items.
const DEEPEST_STACK: usize = 2_000_000;
/// Numbered values that may be asked for again.
const LARGEST_MEMO: usize = 2_000_000;

impl Machine<'_> {
    /// Pushes a value.
    pub(super) fn push(&mut self, value: Value, cursor: &Cursor<'_>) -> Result<()> {
        if self.stack.len() >= DEEPEST_STACK {
            return Err(cursor.bad("its stack grows too large"));
        }
        self.stack.push(value);
        Ok(())
    }

    /// Makes an object and pushes it.
    pub(super) fn push_object(&mut self, object: Object, cursor: &Cursor<'_>) -> Result<()> {
        let value = self.object(object, cursor)?;
        self.push(value, cursor)
    }

    /// Makes an object; the stack stays as it is.
    pub(super) fn object(&mut self, object: Object, cursor: &Cursor<'_>) -> Result<Value> {
        self.budget.object().map_err(|why| cursor.bad(why))?;
        self.objects.push(object);
        Ok(Value::Object(Id(self.objects.len() as u32 - 1)))
    }

    /// Where the values above the last mark begin.
    pub(super) fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    /// Takes the top value.
    pub(super) fn pop(&mut self, cursor: &Cursor<'_>) -> Result<Value> {
        Ok(self.pop_many(1, cursor)?[0])
    }

    /// Takes the top `n` values, the top one last; never below a mark.
    pub(super) fn pop_many(&mut self, n: usize, cursor: &Cursor<'_>) -> Result<Vec<Value>> {
        match self.stack.len().checked_sub(n) {
            Some(start) if start >= self.floor() => Ok(self.stack.split_off(start)),
            _ => Err(underflow(cursor)),
        }
    }

    /// Takes the values above the last mark, and the mark.
    pub(super) fn pop_to_mark(&mut self, cursor: &Cursor<'_>) -> Result<Vec<Value>> {
        let start = self.marks.pop().ok_or_else(|| underflow(cursor))?;
        Ok(self.stack.split_off(start))
    }

    /// `POP` drops a value or, where there is none above it, the mark.
    pub(super) fn discard(&mut self, cursor: &Cursor<'_>) -> Result<()> {
        if self.stack.len() > self.floor() {
            self.pop(cursor).map(drop)
        } else {
            self.marks.pop().map(drop).ok_or_else(|| underflow(cursor))
        }
    }

    /// The top value.
    pub(super) fn top(&self, cursor: &Cursor<'_>) -> Result<Value> {
        if self.stack.len() > self.floor() {
            return self.stack.last().copied().ok_or_else(|| underflow(cursor));
        }
        Err(underflow(cursor))
    }

    /// Writes the top value into the memo.
    pub(super) fn put(&mut self, key: u32, cursor: &Cursor<'_>) -> Result<()> {
        let top = self.top(cursor)?;
        if self.memo.len() >= LARGEST_MEMO {
            return Err(cursor.bad("its memo grows too large"));
        }
        self.memo.insert(key, top);
        Ok(())
    }

    /// Pushes a value of the memo.
    pub(super) fn get(&mut self, key: u32, cursor: &Cursor<'_>) -> Result<()> {
        let value = self.memo.get(&key).copied();
        let value = value.ok_or_else(|| cursor.bad(format!("memo {key} was never set")))?;
        self.push(value, cursor)
    }

    /// Reads an integer of `len` bytes.
    pub(super) fn long(&mut self, len: u64, cursor: &mut Cursor<'_>) -> Result<()> {
        if len > LONGEST_INT {
            return Err(cursor.bad(format!("an integer of {len} bytes")));
        }
        let bytes = cursor.take(len)?;
        match small_int(&bytes) {
            Some(value) => self.push(Value::Int(value), cursor),
            None => self.push_object(Object::BigInt(bytes), cursor),
        }
    }

    /// Reads a text of `len` bytes.
    pub(super) fn text(&mut self, len: u64, cursor: &mut Cursor<'_>) -> Result<()> {
        self.budget.text(len).map_err(|why| cursor.bad(why))?;
        let bytes = cursor.take(len)?;
        // Python writes lone surrogates as three bytes that UTF-8 does not know.
        let text =
            String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned());
        self.push_object(Object::Text(text), cursor)
    }

    /// Reads a byte string, or where it is.
    pub(super) fn bytes(&mut self, len: u64, cursor: &mut Cursor<'_>) -> Result<()> {
        let blob = if len <= SHORT {
            let span = Some(Span { start: cursor.position(), len });
            Blob::Held { bytes: cursor.take(len)?, span }
        } else {
            Blob::Filed(cursor.skip(len)?)
        };
        self.push_object(Object::Bytes(blob), cursor)
    }

    /// Appends to the list on top.
    pub(super) fn append(&mut self, items: Vec<Value>, cursor: &Cursor<'_>) -> Result<()> {
        match self.top_object(cursor)? {
            Object::List(list) | Object::Set(list) => list.extend(items),
            Object::Instance(instance) => instance.appended.extend(items),
            _ => return Err(cursor.bad("something is appended to what is not a list")),
        }
        Ok(())
    }

    /// Sets items of the dict on top.
    pub(super) fn set_items(&mut self, items: &[Value], cursor: &Cursor<'_>) -> Result<()> {
        let items = pairs(items).ok_or_else(|| cursor.bad("half an item is set"))?;
        match self.top_object(cursor)? {
            Object::Dict(dict) => dict.extend(items),
            Object::Instance(instance) => instance.items.extend(items),
            _ => return Err(cursor.bad("an item of what is not a dict is set")),
        }
        Ok(())
    }

    /// The object on top.
    pub(super) fn top_object(&mut self, cursor: &Cursor<'_>) -> Result<&mut Object> {
        match self.top(cursor)? {
            Value::Object(id) => Ok(&mut self.objects[id.0 as usize]),
            _ => Err(cursor.bad("a plain value is used as a container")),
        }
    }
}

fn underflow(cursor: &Cursor<'_>) -> Error {
    cursor.bad(format!("the stack runs empty at byte {}", cursor.position()))
}

/// Keys and values by turns.
pub(super) fn pairs(items: &[Value]) -> Option<Vec<(Value, Value)>> {
    items.len().is_multiple_of(2).then(|| items.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect())
}
