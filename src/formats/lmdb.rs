//! LMDB: the values of a database's only table, in the order of their keys. Read only, and every number in the file is doubted.
//!
//! The format is that of `mdb.c`, version 1: pages of one size, two of them "meta", and a B+tree whose leaves hold keys and values, or
//! where a value is large, the number of the pages that hold it. Numbers are as a 64-bit little-endian machine writes them.

use super::{FileBytes, Span};
use crate::{Error, Result};

/// How the first page goes on behind its header.
const MAGIC: [u8; 4] = 0xbeef_c0de_u32.to_le_bytes();
/// Bytes of a page's header.
const HEAD: usize = 16;
/// Bytes of a meta page that say something.
const META: u64 = 0x98;
/// More levels than a tree of all the bytes there are has.
const DEEPEST: usize = 32;
const NOTHING: u64 = u64::MAX;

const BRANCH: u16 = 1;
const LEAF: u16 = 2;
const OVERFLOW: u16 = 4;
const KIND: u16 = BRANCH | LEAF | OVERFLOW | 8 | 0x20 | 0x40;
/// A value that lies in pages of its own.
const BIG: u16 = 1;

/// Whether a file begins as a database does.
///
/// # Errors
/// `Io`.
pub fn is_one(file: &FileBytes) -> Result<bool> {
    let Some(head) = file.span(0, HEAD as u64 + 4) else { return Ok(false) };
    Ok(file.read(head)?[HEAD..] == MAGIC)
}

/// Where the values lie, `at_most` so many, in the order of their keys.
///
/// # Errors
/// `Io`; `BadFile` for what is no database, is cut off or damaged, or holds several tables.
pub fn values(file: &FileBytes, at_most: usize) -> Result<Vec<Span>> {
    let Meta { page, root, entries } = meta(file)?;
    let mut tree = Tree { file, page, left: file.len() / page, values: Vec::new(), at_most };
    if root != NOTHING {
        tree.walk(root, 0)?;
    }
    let found = tree.values.len();
    if found as u64 != entries.min(at_most as u64) {
        return Err(bad(file, format!("it has {found} values where it says {entries}: copy it again")));
    }
    Ok(tree.values)
}

/// What a meta page says: the size of pages, where the tree begins, and how many values are in it.
struct Meta {
    page: u64,
    root: u64,
    entries: u64,
}

fn bad(file: &FileBytes, problem: impl Into<String>) -> Error {
    file.bad("LMDB database", problem)
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// The newer of the two meta pages.
fn meta(file: &FileBytes) -> Result<Meta> {
    let none = || bad(file, "it does not begin as one that a 64-bit little-endian machine wrote");
    let read = |start: u64| -> Result<Option<(u64, Meta)>> {
        let cut = || bad(file, "it is cut off: copy it again");
        let bytes = file.read(file.span(start, META).ok_or_else(cut)?)?;
        let word = |at| number(&bytes, at).map_or(0, u64::from_le_bytes);
        let is_meta = bytes[HEAD..HEAD + 4] == MAGIC && bytes[HEAD + 4..HEAD + 8] == 1_u32.to_le_bytes();
        let page = number(&bytes, 0x28).map_or(0, u32::from_le_bytes);
        let is_size = page.is_power_of_two() && (512..=1 << 16).contains(&page);
        Ok((is_meta && is_size)
            .then(|| (word(0x90), Meta { page: page.into(), root: word(0x80), entries: word(0x78) })))
    };
    let (age, first) = read(0)?.ok_or_else(none)?;
    match read(first.page)? {
        Some((newer, second)) if newer > age && second.page == first.page => Ok(second),
        _ => Ok(first),
    }
}

/// A walk over the pages of a tree.
struct Tree<'a> {
    file: &'a FileBytes,
    page: u64,
    /// Pages that may still be looked at: each is once, or the tree bites its tail.
    left: u64,
    values: Vec<Span>,
    at_most: usize,
}

impl Tree<'_> {
    fn walk(&mut self, number_of: u64, depth: usize) -> Result<()> {
        if depth > DEEPEST || self.left == 0 {
            return Err(self.damaged(number_of, "is below itself"));
        }
        self.left -= 1;
        let start = self.start(number_of)?;
        let bytes = self.file.read(Span { start, len: self.page })?;
        let short = |at| number(&bytes, at).map(u16::from_le_bytes);
        let kind = short(10).unwrap_or_default() & KIND;
        let keys = usize::from(short(12).unwrap_or_default()).checked_sub(HEAD).map(|lower| lower / 2);
        let keys = keys.filter(|keys| HEAD + 2 * keys <= bytes.len());
        let keys = keys.ok_or_else(|| self.damaged(number_of, "has more keys than room"))?;
        if kind != BRANCH && kind != LEAF {
            return Err(self.damaged(number_of, "is neither a branch nor a leaf"));
        }
        for key in 0..keys {
            if self.values.len() >= self.at_most {
                return Ok(());
            }
            let node = short(HEAD + 2 * key).map(usize::from);
            let fields =
                node.and_then(|at| Some((at, [short(at)?, short(at + 2)?, short(at + 4)?, short(at + 6)?])));
            let (at, [low, high, flags, key_len]) =
                fields.ok_or_else(|| self.damaged(number_of, "has a key outside of itself"))?;
            let below = u64::from(low) | (u64::from(high) << 16);
            if kind == BRANCH {
                self.walk(below | (u64::from(flags) << 32), depth + 1)?;
                continue;
            }
            let value = at + 8 + usize::from(key_len);
            let span = match flags {
                0 => Some(value as u64 + below)
                    .filter(|end| *end <= self.page)
                    .map(|_| Span { start: start + value as u64, len: below }),
                BIG => match number(&bytes, value).map(u64::from_le_bytes) {
                    Some(first) => Some(self.large(first, below)?),
                    None => None,
                },
                _ => {
                    return Err(bad(
                        self.file,
                        "it holds several tables, or several values of one key: LSUN's have one of each",
                    ));
                }
            };
            self.values.push(span.ok_or_else(|| self.damaged(number_of, "has a value outside of itself"))?);
        }
        Ok(())
    }

    /// A value in pages of its own.
    fn large(&self, first: u64, len: u64) -> Result<Span> {
        let start = self.start(first)?;
        let head = self.file.read(Span { start, len: HEAD as u64 })?;
        let kind = number(&head, 10).map_or(0, u16::from_le_bytes) & KIND;
        let pages = number(&head, 12).map_or(0, u32::from_le_bytes);
        let room = (u64::from(pages) * self.page).saturating_sub(HEAD as u64);
        let span = self.file.span(start + HEAD as u64, len).filter(|_| kind == OVERFLOW && len <= room);
        span.ok_or_else(|| self.damaged(first, "does not hold the large value that it should"))
    }

    /// Where a page begins, all of which is there.
    fn start(&self, page: u64) -> Result<u64> {
        let start = page.checked_mul(self.page).filter(|start| self.file.span(*start, self.page).is_some());
        start
            .filter(|_| page > 1)
            .ok_or_else(|| self.damaged(page, "is not in the file, which may be cut off: copy it again"))
    }

    fn damaged(&self, page: u64, problem: &str) -> Error {
        bad(self.file, format!("page {page} {problem}"))
    }
}
