//! Reads a `dataset.json` entry by entry: a list may be hundreds of megabytes, and what it claims may be a lie.

use std::{
    cell::{Cell, RefCell},
    fmt,
    io::{self, BufRead as _, BufReader, Read},
};

use encoding_rs_io::DecodeReaderBytesBuilder;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Value, error::Category};

use super::{
    class_names::ClassNames,
    labels::{Labels, MAX_CLASSES},
};
use crate::formats::{Kind, Recognised, zip::Limits};

/// Four million labels with names of sixty letters.
const MAX_BYTES: u64 = 256 << 20;
/// A name, with its class, has no more.
pub(in crate::data) const MAX_ENTRY_BYTES: usize = 1 << 16;
const NO_LABELS: &str = "has no `labels`: write {\"labels\": [[\"name.png\", 0], ...]} or null";

/// The `labels` of a `dataset.json` of `size` bytes, or `None` where it says `null`. It may be in UTF-8 or, with a mark at
/// its beginning, in UTF-16.
///
/// # Errors
/// A fragment that says what is wrong, for the caller to put behind the file's name.
pub(in crate::data) fn read(file: impl Read, size: u64) -> Result<Option<Labels>, String> {
    if size > MAX_BYTES {
        return Err(format!("has {size} bytes, where a list of labels has {MAX_BYTES} at most"));
    }
    let mut file = BufReader::new(file);
    let head = Recognised::of(file.fill_buf().map_err(|e| e.to_string())?);
    let decoded =
        DecodeReaderBytesBuilder::new().utf8_passthru(true).strip_bom(true).build(file.take(size + 1));
    let state = State { left: Cell::new(MAX_ENTRY_BYTES), problem: RefCell::default() };
    let paced = Paced { file: BufReader::new(decoded), left: &state.left };
    let mut json = serde_json::Deserializer::from_reader(paced);
    let read = Top(&state).deserialize(&mut json);
    state.left.set(usize::MAX);
    read.and_then(|labels| json.end().map(|()| labels)).map_err(|error| match (error.classify(), head) {
        (Category::Data, _) => state.problem.take().unwrap_or_else(|| NO_LABELS.to_owned()),
        (Category::Io, _) => error.to_string(),
        (_, Some(found)) if !matches!(found.kind, Kind::Json | Kind::Text) => format!("is {found}"),
        (_, _) => format!("is not JSON ({error})"),
    })
}

/// What the parts of the parser share.
pub(in crate::data) struct State {
    /// How many bytes may come before the entry at hand has to end.
    pub(in crate::data) left: Cell<usize>,
    /// What is wrong with the list, in our words.
    problem: RefCell<Option<String>>,
}

impl State {
    fn refuse<E: serde::de::Error>(&self, problem: impl Into<String>) -> E {
        self.problem.replace(Some(problem.into()));
        E::custom("see `problem`")
    }
}

/// Gives so many bytes as the entry at hand may have: a parser would hold a name of any length.
struct Paced<'a, R> {
    file: R,
    left: &'a Cell<usize>,
}

impl<R: Read> Read for Paced<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        let left = self.left.get().checked_sub(count);
        self.left.set(
            left.ok_or_else(|| {
                io::Error::other(format!("has an entry of more than {MAX_ENTRY_BYTES} bytes"))
            })?,
        );
        Ok(count)
    }
}

/// The object around the list.
struct Top<'a>(&'a State);

impl<'de> DeserializeSeed<'de> for Top<'_> {
    type Value = Option<Labels>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Top<'_> {
    type Value = Option<Labels>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `labels`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut found, mut class_names) = (None, None);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "labels" => found = Some(map.next_value_seed(List(self.0))?),
                "class_names" => class_names = map.next_value_seed(ClassNames(self.0))?,
                _ => {
                    self.0.left.set(usize::MAX);
                    map.next_value::<IgnoredAny>()?;
                }
            }
            self.0.left.set(MAX_ENTRY_BYTES);
        }
        let labels = found.ok_or_else(|| self.0.refuse::<A::Error>(NO_LABELS))?;
        Ok(labels.map(|mut labels| {
            labels.class_names = class_names;
            labels
        }))
    }
}

/// The list of `[name, class]` pairs, or `null`.
struct List<'a>(&'a State);

impl<'de> DeserializeSeed<'de> for List<'_> {
    type Value = Option<Labels>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        self.0.problem.replace(Some("has `labels` that are not a list of [name, class] pairs".to_owned()));
        let read = json.deserialize_any(Self(self.0))?;
        self.0.problem.take();
        Ok(read)
    }
}

impl<'de> Visitor<'de> for List<'_> {
    type Value = Option<Labels>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of [name, class] pairs")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let (mut labels, most) = (Labels::default(), Limits::default().entries);
        while let Some(entry) = list.next_element::<Value>()? {
            if labels.len() as u64 == most {
                return Err(self.0.refuse(format!("has more than {most} labels, as a dataset may have")));
            }
            let (name, class) =
                pair(labels.len(), &entry).map_err(|problem| self.0.refuse::<A::Error>(problem))?;
            labels.push(name, class);
            self.0.left.set(MAX_ENTRY_BYTES);
        }
        Ok(Some(labels))
    }
}

fn pair(i: usize, entry: &Value) -> Result<(&str, u32), String> {
    let shown = |value: &Value| {
        let text = value.to_string();
        if text.chars().count() > 80 { text.chars().take(80).chain("...".chars()).collect() } else { text }
    };
    let Some([Value::String(name), class]) = entry.as_array().map(Vec::as_slice) else {
        let problem = format!("has {} as number {i} of `labels`", shown(entry));
        return Err(format!("{problem}, which is not a [name, class] pair"));
    };
    let number = class.as_u64().and_then(|class| u32::try_from(class).ok());
    number.filter(|&class| class < MAX_CLASSES).map(|class| (name.as_str(), class)).ok_or_else(|| {
        let given = shown(class);
        format!("gives `{name}` the class {given}: a class is a whole number from 0 to {}", MAX_CLASSES - 1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(bytes: &[u8]) -> Result<Option<Labels>, String> {
        read(bytes, bytes.len() as u64)
    }

    #[test]
    fn lists_are_read_however_they_are_written() {
        let text =
            r#"{"author": {"a": [1]}, "labels": [["b\\2.png", 4], ["ä.png", 0]], "class_names": ["x", "y"]}"#;
        let of = |text: &str| parse(text.as_bytes()).unwrap();
        let plain = of(text).unwrap();
        assert_eq!(plain.names().collect::<Vec<_>>(), ["b/2.png", "ä.png"]);
        assert_eq!(plain.class_names, Some(vec!["x".to_owned(), "y".to_owned()]));
        let units = |of: fn(u16) -> [u8; 2], mark: u16| -> Vec<u8> {
            [mark].into_iter().chain(text.encode_utf16()).flat_map(of).collect()
        };
        let (little, big) = (units(u16::to_le_bytes, 0xfeff), units(u16::to_be_bytes, 0xfeff));
        for bytes in [[b"\xef\xbb\xbf", text.as_bytes()].concat(), little, big] {
            assert_eq!(parse(&bytes).unwrap().unwrap(), plain);
        }
        assert_eq!(of(r#"{"labels": null}"#), None);
        assert_eq!(of(r#"{"labels": []}"#), Some(Labels::default()));
        // Somebody else's key.
        for names in ["null", "3", "-1", "0.5", "true", "\"x\"", "{\"0\": [\"x\"]}", "[1]"] {
            let text = format!(r#"{{"class_names": {names}, "labels": [["a.png", 1]]}}"#);
            assert_eq!(of(&text).unwrap().class_names, None, "{text}");
        }
    }

    #[test]
    fn malformed_files_are_refused_with_the_place() {
        for (labels, said) in [
            ("{", "is not JSON"),
            ("", "is empty"),
            ("<html><title>Sign in</title>", "is an HTML page (`Sign in`)"),
            ("version https://git-lfs.github.com/spec/v1\nsize 3\n", "is a Git LFS pointer"),
            ("{}", "has no `labels`"),
            ("[]", "has no `labels`"),
            (r#"{"labels": 3}"#, "not a list"),
            (r#"{"labels": {"a.png": 3}}"#, "not a list"),
            (r#"{"labels": [["a.png", 1], ["b.png"]]}"#, "number 1 of `labels`"),
            (r#"{"labels": [["a.png", "cat"]]}"#, "`a.png` the class \"cat\""),
            (r#"{"labels": [["a.png", -1]]}"#, "the class -1"),
            (r#"{"labels": [["a.png", 1.5]]}"#, "the class 1.5"),
            (r#"{"labels": [["a.png", [0, 1]]]}"#, "the class [0,1]"),
            (r#"{"labels": [["a.png", NaN]]}"#, "is not JSON"),
            (r#"{"labels": [["a.png", 99999999]]}"#, "from 0 to 1048575"),
            (r#"{"labels": [["a.png", 1]]} x"#, "is not JSON"),
        ] {
            let problem = parse(labels.as_bytes()).unwrap_err();
            assert!(problem.contains(said), "{problem}");
        }
    }

    /// Begins with one text, and repeats the other for ever.
    struct Endless {
        bytes: Box<dyn Iterator<Item = u8>>,
        left: usize,
    }

    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.left = self.left.checked_sub(buffer.len()).expect("no more is read than an entry may have");
            buffer.iter_mut().zip(&mut self.bytes).for_each(|(byte, next)| *byte = next);
            Ok(buffer.len())
        }
    }

    /// What is too long is refused while it is read: no memory is asked for what a file claims.
    #[test]
    fn a_bomb_ends_early() {
        for (begin, again, said) in [
            ("", " ", "more than 65536 bytes"),
            ("{\"labels\": [[\"", "a", "more than 65536 bytes"),
            ("{\"labels\": ", "[", "recursion"),
            ("{\"labels\": [", "0,", "number 0 of `labels`"),
            ("{\"", "k", "more than 65536 bytes"),
        ] {
            let bytes = Box::new(begin.bytes().chain(again.bytes().cycle()));
            let problem = read(Endless { bytes, left: 1 << 20 }, MAX_BYTES).unwrap_err();
            assert!(problem.contains(said), "{problem}");
        }
        assert!(read(io::empty(), MAX_BYTES + 1).unwrap_err().contains("bytes, where a list"));
    }
}
