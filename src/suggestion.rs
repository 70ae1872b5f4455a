//! "did you mean": the known name that is most like a wrong one.

use std::cell::Cell;

/// The name among `known` that is most like `wrong`, if one is alike enough to be meant.
pub fn closest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = wrong.to_lowercase();
    let likeness = |name: &'a str| {
        let distance = strsim::damerau_levenshtein(&lower, &name.to_lowercase());
        (distance, name)
    };
    known
        .into_iter()
        .take(1000)
        .map(likeness)
        .filter(|(distance, name)| *distance <= name.chars().count().max(lower.chars().count()).div_ceil(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Advice about a wrong name: the closest known one, else all of them if they are few.
pub fn advice(wrong: &str, known: &[&str]) -> Option<String> {
    match closest(wrong, known.iter().copied()) {
        Some(name) => Some(format!("did you mean `{name}`?")),
        None if known.is_empty() => None,
        None => Some(format!("known here: {}", listed(known))),
    }
}

/// Advice about many wrong names: the first thousand get some, which is more than anybody reads, and takes a moment.
#[derive(Debug, Default)]
pub struct Adviser(Cell<usize>);

impl Adviser {
    /// See `advice`.
    pub fn advice<S: AsRef<str>>(&self, wrong: &str, known: impl FnOnce() -> Vec<S>) -> Option<String> {
        self.0.set(self.0.get() + 1);
        if self.0.get() > 1000 {
            return None;
        }
        let known = known();
        advice(wrong, &known.iter().map(AsRef::as_ref).collect::<Vec<_>>())
    }
}

/// Names, ticked, and the first twelve only.
pub fn listed(names: &[&str]) -> String {
    let shown: Vec<String> = names.iter().take(12).map(|name| format!("`{name}`")).collect();
    let more = if names.len() > 12 { ", ..." } else { "" };
    format!("{}{more}", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_are_recognised_and_strangers_are_not() {
        let known = ["alpha", "tmax", "adversarial"];
        assert_eq!(closest("alhpa", known), Some("alpha"));
        assert_eq!(closest("Tmax", known), Some("tmax"));
        assert_eq!(closest("adversaria", known), Some("adversarial"));
        assert_eq!(closest("kernel", known), None);
        assert_eq!(advice("kernel", &known).unwrap(), "known here: `alpha`, `tmax`, `adversarial`");
    }
}
