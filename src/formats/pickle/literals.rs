//! Numbers and texts as the instructions of the oldest protocols write them.

use super::object::{Blob, Object, Value};

/// Little-endian two's complement of at most eight bytes.
pub(super) fn small_int(bytes: &[u8]) -> Option<i64> {
    if bytes.len() > 8 {
        return None;
    }
    let sign = if bytes.last().is_some_and(|b| b & 0x80 != 0) { 0xff } else { 0 };
    Some(i64::from_le_bytes(std::array::from_fn(|i| bytes.get(i).copied().unwrap_or(sign))))
}

/// The number of a text instruction.
pub(super) fn number(opcode: u8, line: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(line).ok()?.trim();
    Some(match (opcode, text) {
        (b'I', "00") => Value::Bool(false),
        (b'I', "01") => Value::Bool(true),
        (b'F', text) => Value::Float(text.parse().ok()?),
        (_, text) => Value::Int(text.strip_suffix('L').unwrap_or(text).parse().ok()?),
    })
}

/// Whether an encoding is the one in which every byte is a character.
pub(super) fn is_latin(encoding: &str) -> bool {
    matches!(encoding, "latin1" | "latin-1" | "iso-8859-1")
}

/// A decimal integer of at most sixteen bytes, as little-endian two's complement without what follows from its sign.
pub(super) fn wide_int(line: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(line).ok()?.trim();
    let number: i128 = text.strip_suffix('L').unwrap_or(text).parse().ok()?;
    let mut bytes = number.to_le_bytes().to_vec();
    let filler = if number < 0 { 0xff } else { 0 };
    while let [.., before, last] = *bytes
        && last == filler
        && (before ^ last) & 0x80 == 0
    {
        bytes.pop();
    }
    Some(bytes)
}

/// The text of a text instruction: `S` is a Python literal in quotes, `V` has `\uXXXX` escapes.
pub(super) fn quoted(opcode: u8, line: &[u8]) -> Option<Object> {
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
            (_, false) => {
                out.push(match escape {
                    b'n' => '\n',
                    b't' => '\t',
                    b'r' => '\r',
                    other => char::from(other),
                });
                continue;
            }
        };
        let hex: String = rest.by_ref().take(digits).map(char::from).collect();
        let code = (hex.len() == digits).then(|| u32::from_str_radix(&hex, 16).ok())??;
        out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_twos_complement() {
        assert_eq!(small_int(&[]), Some(0));
        assert_eq!(small_int(&[0xff]), Some(-1));
        assert_eq!(small_int(&[0xff, 0]), Some(255));
        assert_eq!(small_int(&i64::MIN.to_le_bytes()), Some(i64::MIN));
        assert_eq!(small_int(&[0; 9]), None);
        let magic = wide_int(b"119547037146038801333356L").unwrap();
        assert_eq!(magic, [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19]);
        assert_eq!(
            wide_int(b"-9223372036854775809").unwrap(),
            [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0xff]
        );
        assert_eq!(wide_int(b"1e3"), None);
    }

    #[test]
    fn text_instructions_are_read() {
        assert_eq!(number(b'I', b"01"), Some(Value::Bool(true)));
        assert_eq!(number(b'L', b"-12L"), Some(Value::Int(-12)));
        assert_eq!(number(b'F', b"1e3"), Some(Value::Float(1000.0)));
        assert_eq!(number(b'I', b"x"), None);
        let bytes = |line: &[u8]| match quoted(b'S', line) {
            Some(Object::Bytes(Blob::Held { bytes, .. })) => Some(bytes),
            _ => None,
        };
        assert_eq!(bytes(br"'a\x00\'\n'").as_deref(), Some(&b"a\0'\n"[..]));
        assert_eq!(bytes(b"'"), None);
        assert_eq!(bytes(br"'\x0'"), None);
        assert!(matches!(quoted(b'V', br"\u00e9\n"), Some(Object::Text(text)) if text == "\u{e9}\\n"));
    }
}
