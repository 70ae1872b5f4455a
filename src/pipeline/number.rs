//! What a number of the language looks like, and what to write instead of what only looks like one.

use super::text::{Span, Text};

/// What stands in a text where a value was read; nothing where it goes over several lines.
pub(super) fn written(text: &Text, span: Span) -> Option<String> {
    let line = text.line(span.line)?;
    let written: String = line.chars().skip(span.column - 1).take(span.length).collect();
    (written.chars().count() == span.length).then_some(written)
}

/// Whether a number is kept as it is written: not one that is infinite, too small for all of its digits to be kept, or of
/// another base than 10 and 16 (`0x`) and 8 (`0o`), which all readers of YAML 1.2 know.
pub(super) fn is_kept(written: &str, value: f64) -> bool {
    let written = written.trim_matches(['"', '\'']);
    let is_zero =
        || !written.split(['e', 'E']).next().unwrap_or_default().contains(|c| ('1'..='9').contains(&c));
    let is_decimal = !written.contains(['x', 'X', 'o', 'O', 'b', 'B', '_']);
    let is_binary = written.trim_start_matches(['+', '-']).to_ascii_lowercase().starts_with("0b");
    !is_binary && value.is_finite() && (value.is_normal() || !is_decimal || is_zero())
}

/// What to write where a text stands instead of a number that it looks like.
pub(super) fn instead(text: &str) -> Option<String> {
    let plain: String = text.chars().filter(|c| !is_invisible(*c)).collect();
    if plain != text && plain.parse::<f64>().is_ok() {
        return Some(format!("there is an invisible character beside the number: write `{plain}`"));
    }
    let ascii: String = text.chars().map(|c| if is_minus(c) { '-' } else { c }).collect();
    if ascii != text && ascii.parse::<f64>().is_ok() {
        return Some(format!("its minus is another character: write `{ascii}`"));
    }
    if text.chars().any(|c| !c.is_ascii() && c.is_numeric()) {
        return Some("digits are `0` to `9`".to_owned());
    }
    let (sign, digits) =
        text.strip_prefix('-').map_or(("", text.trim_start_matches('+')), |rest| ("-", rest));
    let is_all = |digits: &str| !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit());
    if is_all(digits) && digits.len() > 1 && digits.starts_with('0') {
        let decimal = digits.trim_start_matches('0');
        let decimal = format!("{sign}{}", if decimal.is_empty() { "0" } else { decimal });
        return Some(format!("a leading zero means base 8 to some readers of YAML: write `{decimal}`"));
    }
    if let Some(bits) = digits.strip_prefix("0b").or_else(|| digits.strip_prefix("0B")) {
        let value = u64::from_str_radix(&bits.replace('_', ""), 2).ok()?;
        return Some(format!("write `{sign}{value}`"));
    }
    if text.contains('_') {
        let joined = text.replace('_', "");
        let is_number = joined.parse::<f64>().is_ok() || u64::from_str_radix(joined.get(2..)?, 16).is_ok();
        return is_number.then(|| format!("write `{joined}`"));
    }
    if text.contains(',') {
        let pointed = text.replacen(',', ".", 1);
        return pointed.parse::<f64>().is_ok().then(|| "a number has a point, and no comma".to_owned());
    }
    if text.contains("${") {
        return Some("variables are filled in where files are named, and nowhere else".to_owned());
    }
    match text.trim_start_matches(['+', '-']).to_ascii_lowercase().as_str() {
        ".inf" | "inf" | "infinity" | ".nan" | "nan" => Some("a number has to be finite".to_owned()),
        _ => match text.parse::<f64>() {
            Ok(value) if value.is_infinite() => Some("no number beyond 1.8e308 can be kept".to_owned()),
            Ok(value) if !is_kept(text, value) => Some("no number so close to zero can be kept".to_owned()),
            Ok(_) => Some("write the number without quotes".to_owned()),
            Err(_) => None,
        },
    }
}

fn is_minus(c: char) -> bool {
    matches!(c, '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe63}' | '\u{ff0d}')
}

/// Blanks that are none to YAML, and what takes no room at all.
pub(super) fn is_invisible(c: char) -> bool {
    (c.is_whitespace() && !c.is_ascii())
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{ad}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_kept_as_they_are_written_or_not_at_all() {
        for (text, value) in
            [("0", 0.0), ("-0.0", 0.0), ("0e5", 0.0), ("1e-307", 1e-307), ("0x0", 0.0), ("64", 64.0)]
        {
            assert!(is_kept(text, value), "{text}");
        }
        for (text, value) in [("1e-400", 0.0), ("4e-320", 4e-320), ("1e400", f64::INFINITY), ("0b10", 2.0)] {
            assert!(!is_kept(text, value), "{text}");
        }
    }

    #[test]
    fn what_is_meant_is_known() {
        for (text, words) in [
            ("010", "write `10`"),
            ("-007", "write `-7`"),
            ("00", "write `0`"),
            ("0b1000000", "write `64`"),
            ("1_000", "write `1000`"),
            ("0x_ff", "write `0xff`"),
            ("1,5", "a point"),
            ("64\u{200b}", "write `64`"),
            ("\u{a0}64", "write `64`"),
            ("1e\u{2212}5", "write `1e-5`"),
            ("٦٤", "`0` to `9`"),
            ("-.inf", "finite"),
            ("nan", "finite"),
            ("1e400", "1.8e308"),
            ("1e-400", "close to zero"),
            ("1e-5", "without quotes"),
            ("${LR:-1}", "variables"),
        ] {
            let said = instead(text).unwrap_or_else(|| panic!("nothing is said of {text}"));
            assert!(said.contains(words), "{text}: {said}");
        }
        for text in ["fast", "", "_", "a_b", "1/2", "0b", "0b2", "x,y"] {
            assert_eq!(instead(text), None, "{text}");
        }
    }
}
