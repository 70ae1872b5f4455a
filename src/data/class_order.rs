//! The order of class folders, and the classes that follow from it.

use std::{cmp::Ordering, collections::HashMap};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// In which order the names of folders become classes 0, 1, 2, ...
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClassOrder {
    /// As text, as EDM's and EDM2's tools sort: 0, 1, 10, 2.
    #[default]
    Text,
    /// Numbers by their value: 0, 1, 2, 10.
    Natural,
}

impl ClassOrder {
    fn compare(self, a: &str, b: &str) -> Ordering {
        match self {
            Self::Text => a.cmp(b),
            Self::Natural => natural(a, b).then_with(|| a.cmp(b)),
        }
    }
}

/// Where images lie in two or more top folders: the class of each, and the folders' names in the order of the classes.
/// Images at the top have the name "".
pub(in crate::data) fn of_folders(names: &[&str], order: ClassOrder) -> Option<(Vec<u32>, Vec<String>)> {
    let mut tops: Vec<&str> = names.iter().map(|name| top(name)).collect();
    tops.sort_unstable();
    tops.dedup();
    if tops.len() < 2 {
        return None;
    }
    tops.sort_unstable_by(|a, b| order.compare(a, b));
    let numbers: HashMap<&str, u32> = tops.iter().copied().zip(0..).collect();
    let classes = names.iter().map(|name| numbers[top(name)]).collect();
    Some((classes, tops.into_iter().map(str::to_owned).collect()))
}

fn top(name: &str) -> &str {
    name.split_once('/').map_or("", |(top, _)| top)
}

/// `class 0 = "cat", class 1 = "dog"`; of many, the first few and how many there are.
pub fn class_list(names: &[String]) -> String {
    const SHOWN: usize = 12;
    let shown = names.iter().take(SHOWN).enumerate().map(|(i, name)| format!("class {i} = {name:?}"));
    let shown = shown.collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN { format!("{shown}, ... ({} classes)", names.len()) } else { shown }
}

/// Whether the names would have another order if numbers in them counted by their value.
pub fn counts_otherwise(names: &[String]) -> bool {
    !names.is_sorted_by(|a, b| ClassOrder::Natural.compare(a, b).is_le())
}

/// Runs of digits by their value, the rest as text.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let (digits_a, digits_b) = (digits(a), digits(b));
        if digits_a.is_empty() || digits_b.is_empty() {
            let (Some(first_a), Some(first_b)) = (a.chars().next(), b.chars().next()) else {
                return a.len().cmp(&b.len());
            };
            if first_a != first_b {
                return first_a.cmp(&first_b);
            }
            (a, b) = (&a[first_a.len_utf8()..], &b[first_b.len_utf8()..]);
            continue;
        }
        let (value_a, value_b) = (digits_a.trim_start_matches('0'), digits_b.trim_start_matches('0'));
        let order = value_a.len().cmp(&value_b.len()).then_with(|| value_a.cmp(value_b));
        if order.is_ne() {
            return order;
        }
        (a, b) = (&a[digits_a.len()..], &b[digits_b.len()..]);
    }
}

/// The digits at the beginning.
fn digits(text: &str) -> &str {
    &text[..text.bytes().take_while(u8::is_ascii_digit).count()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(order: ClassOrder, names: &str) -> String {
        let mut names: Vec<&str> = names.split(' ').collect();
        names.sort_by(|a, b| order.compare(a, b));
        names.join(" ")
    }

    #[test]
    fn numbers_are_sorted_as_text_or_by_their_value() {
        for (given, text, natural) in [
            ("2 10 0 11 1", "0 1 10 11 2", "0 1 2 10 11"),
            ("c10 c9 c09 b", "b c09 c10 c9", "b c09 c9 c10"),
            ("v1.10 v1.9 v1", "v1 v1.10 v1.9", "v1 v1.9 v1.10"),
            ("a B b A", "A B a b", "A B a b"),
            ("\u{e9}2 \u{e9}10 e", "e \u{e9}10 \u{e9}2", "e \u{e9}2 \u{e9}10"),
            ("99999999999999999999999 3", "3 99999999999999999999999", "3 99999999999999999999999"),
            ("1 01 001 1a", "001 01 1 1a", "001 01 1 1a"),
        ] {
            assert_eq!(sorted(ClassOrder::Text, given), text);
            assert_eq!(sorted(ClassOrder::Natural, given), natural);
        }
    }

    #[test]
    fn folders_are_classes_where_there_are_two_or_more() {
        let names = ["10/a.png", "2/b/c.png", "top.png"];
        let of = |names: &[&str], order| of_folders(names, order);
        let (classes, called) = of(&names, ClassOrder::Natural).unwrap();
        assert_eq!((classes, called), (vec![2, 1, 0], vec![String::new(), "2".to_owned(), "10".to_owned()]));
        assert_eq!(of(&names, ClassOrder::Text).unwrap().0, [1, 2, 0]);
        assert_eq!(of(&["a/1.png", "a/b/2.png"], ClassOrder::Text), None);
        assert_eq!(of(&["1.png"], ClassOrder::Text), None);
    }

    #[test]
    fn many_classes_are_shown_in_part() {
        let names = |n: usize| (0..n).map(|i| i.to_string()).collect::<Vec<_>>();
        assert!(counts_otherwise(&["1", "10", "2"].map(str::to_owned)) && !counts_otherwise(&names(12)));
        assert_eq!(class_list(&names(2)), r#"class 0 = "0", class 1 = "1""#);
        assert!(class_list(&names(1000)).ends_with(r#"class 11 = "11", ... (1000 classes)"#));
    }
}
