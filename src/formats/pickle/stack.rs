//! The machine's stack and memo, and the containers on top of it.

use super::{
    super::file_bytes::Span,
    literals::{number, small_int, wide_int},
    machine::{LINE, Machine},
    object::{Blob, Id, Object, Value},
    place::LongText,
};
use crate::{Error, Result};

/// Texts and byte strings up to this length are held in memory; longer ones stay in the file.
pub(super) const SHORT: u64 = 256;
/// The longest integer, in bytes.
const LONGEST_INT: u64 = 64;
/// Values on the stack; writers flush containers every thousand items.
const DEEPEST_STACK: usize = 400_000;
/// Numbered values that may be asked for again.
const LARGEST_MEMO: usize = 400_000;

impl Machine<'_> {
    /// Pushes a value.
    pub(super) fn push(&mut self, value: Value) -> Result<()> {
        if self.stack.len() >= DEEPEST_STACK {
            return Err(self.bad("its stack grows too large"));
        }
        self.stack.push(value);
        Ok(())
    }

    /// Makes an object and pushes it.
    pub(super) fn push_object(&mut self, object: Object) -> Result<()> {
        self.object(object).and_then(|value| self.push(value))
    }

    /// Makes an object; the stack stays as it is.
    pub(super) fn object(&mut self, object: Object) -> Result<Value> {
        self.budget.object().map_err(|why| self.bad(why))?;
        self.objects.push(object);
        Ok(Value::Object(Id(self.objects.len() as u32 - 1)))
    }

    /// Where the values above the last mark begin.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    /// Takes the top value.
    pub(super) fn pop(&mut self) -> Result<Value> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    /// Takes the top `n` values, the top one last; never below a mark.
    pub(super) fn pop_many(&mut self, n: usize) -> Result<Vec<Value>> {
        match self.stack.len().checked_sub(n) {
            Some(start) if start >= self.floor() => Ok(self.stack.split_off(start)),
            _ => Err(self.underflow()),
        }
    }

    /// Takes the values above the last mark, and the mark.
    pub(super) fn pop_to_mark(&mut self) -> Result<Vec<Value>> {
        let start = self.marks.pop().ok_or_else(|| self.underflow())?;
        Ok(self.stack.split_off(start))
    }

    /// The same, keys and values by turns.
    pub(super) fn pairs_to_mark(&mut self) -> Result<Vec<(Value, Value)>> {
        match self.pop_to_mark()?.as_chunks() {
            (pairs, []) => Ok(pairs.iter().map(|&[key, value]| (key, value)).collect()),
            _ => Err(self.bad("half an item is set")),
        }
    }

    /// `POP` drops a value or, where there is none above it, the mark.
    pub(super) fn discard(&mut self) -> Result<()> {
        if self.stack.len() > self.floor() {
            self.pop().map(drop)
        } else {
            self.marks.pop().map(drop).ok_or_else(|| self.underflow())
        }
    }

    /// The top value, above the last mark.
    pub(super) fn top(&self) -> Result<Value> {
        let above = self.stack.get(self.floor()..).unwrap_or_default();
        above.last().copied().ok_or_else(|| self.underflow())
    }

    /// Writes the top value into the memo.
    pub(super) fn put(&mut self, key: u64) -> Result<()> {
        let top = self.top()?;
        if self.memo.len() >= LARGEST_MEMO {
            return Err(self.bad("its memo grows too large"));
        }
        self.memo.insert(key, top);
        Ok(())
    }

    /// Pushes a value of the memo.
    pub(super) fn get(&mut self, key: u64) -> Result<()> {
        let value = self.memo.get(&key).copied();
        self.push(value.ok_or_else(|| self.bad(format!("memo {key} was never set")))?)
    }

    /// Reads an integer behind its length of `N` bytes.
    pub(super) fn long<const N: usize>(&mut self) -> Result<()> {
        let len = self.cursor.unsigned::<N>()?;
        if len > LONGEST_INT {
            return Err(self.bad(format!("an integer of {len} bytes")));
        }
        let bytes = self.cursor.take(len)?;
        match small_int(&bytes) {
            Some(value) => self.push(Value::Int(value)),
            None => self.push_object(Object::BigInt(bytes)),
        }
    }

    /// Reads an integer in decimal.
    pub(super) fn long_line(&mut self, at: u64) -> Result<()> {
        let line = self.cursor.line(LINE)?;
        if let Some(value) = number(b'L', &line) {
            return self.push(value);
        }
        let wide = wide_int(&line).ok_or_else(|| self.bad(format!("no number at byte {at}")))?;
        self.push_object(Object::BigInt(wide))
    }

    /// Reads a text behind its length of `N` bytes.
    pub(super) fn text<const N: usize>(&mut self) -> Result<Object> {
        let len = self.cursor.unsigned::<N>()?;
        if len > SHORT {
            return Ok(Object::LongText(LongText { span: self.cursor.skip(len)?, escaped: false }));
        }
        self.budget.text(len).map_err(|why| self.bad(why))?;
        let bytes = self.cursor.take(len)?;
        // Python writes lone surrogates as three bytes that UTF-8 does not know.
        let lossy = |e: std::string::FromUtf8Error| String::from_utf8_lossy(e.as_bytes()).into_owned();
        Ok(Object::Text(String::from_utf8(bytes).unwrap_or_else(lossy)))
    }

    /// Reads a byte string behind its length of `N` bytes, or where it is.
    pub(super) fn bytes<const N: usize>(&mut self) -> Result<Object> {
        let len = self.cursor.unsigned::<N>()?;
        Ok(Object::Bytes(if len <= SHORT {
            self.budget.text(len).map_err(|why| self.bad(why))?;
            let span = Some(Span { start: self.cursor.position(), len });
            Blob::Held { bytes: self.cursor.take(len)?, span }
        } else {
            Blob::Filed(self.cursor.skip(len)?)
        }))
    }

    /// Pays for items of so many values each that go into a container.
    pub(super) fn paid<T>(&mut self, items: Vec<T>, each: usize) -> Result<Vec<T>> {
        self.budget.values(each * items.len()).map_err(|why| self.bad(why))?;
        Ok(items)
    }

    /// Appends to the list on top.
    pub(super) fn append(&mut self, items: Vec<Value>) -> Result<()> {
        let items = self.paid(items, 1)?;
        match self.top_object()? {
            Object::List(list) | Object::Set(list) => list.extend(items),
            Object::Instance(instance) => instance.appended.extend(items),
            _ => return Err(self.bad("something is appended to what is not a list")),
        }
        Ok(())
    }

    /// Sets items of the dict on top.
    pub(super) fn set_items(&mut self, items: Vec<(Value, Value)>) -> Result<()> {
        let items = self.paid(items, 2)?;
        match self.top_object()? {
            Object::Dict(dict) => dict.extend(items),
            Object::Instance(instance) => instance.items.extend(items),
            _ => return Err(self.bad("an item of what is not a dict is set")),
        }
        Ok(())
    }

    /// The object on top.
    pub(super) fn top_object(&mut self) -> Result<&mut Object> {
        match self.top()? {
            Value::Object(id) => Ok(&mut self.objects[id.0 as usize]),
            _ => Err(self.bad("a plain value is used as a container")),
        }
    }

    fn underflow(&self) -> Error {
        self.bad(format!("the stack runs empty at byte {}", self.cursor.position()))
    }
}
