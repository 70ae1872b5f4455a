//! Why a list of labels has no entry for an image: how the entry that is meant is written.

use unicode_normalization::UnicodeNormalization as _;

/// Whether an entry of the list means an image.
type IsMeant = fn(&str, &str) -> bool;

/// How an entry may differ from the name of the image that it means, and what to do.
const DIFFERENCES: [(IsMeant, &str); 7] = [
    (
        |entry, image| entry.strip_prefix("./") == Some(image),
        "with a `./` that no image's name has: leave it out",
    ),
    (
        |entry, image| !(entry.is_ascii() && image.is_ascii()) && composed(entry) == composed(image),
        "in another of Unicode's normal forms (NFC and NFD differ in bytes): write the names as the files have them",
    ),
    (|entry, image| entry.eq_ignore_ascii_case(image), "in other letters (upper and lower case differ)"),
    (|entry, image| entry.trim() == image.trim(), "with other spaces at its ends"),
    (
        |entry, image| entry.strip_suffix(image).is_some_and(|folder| folder.ends_with('/')),
        "in another folder: names are relative to the folder of `dataset.json`",
    ),
    (
        |entry, image| image.strip_suffix(entry).is_some_and(|folder| folder.ends_with('/')),
        "without the image's folder: names are relative to the folder of `dataset.json`",
    ),
    (|entry, image| stem(entry).is_some() && stem(entry) == stem(image), "with another ending"),
];

/// What is wrong with the entry that means this image, and what to do; else that there is none.
pub(in crate::data) fn cause<'a>(image: &str, list: impl Iterator<Item = &'a str> + Clone) -> String {
    for (is_meant, difference) in DIFFERENCES {
        if let Some(entry) = list.clone().find(|entry| is_meant(entry, image)) {
            return format!("the list has `{entry}`, {difference}");
        }
    }
    "no entry names it: add what is missing, or leave `use_labels` out".to_owned()
}

fn composed(name: &str) -> String {
    name.nfc().collect()
}

/// The name without its ending.
fn stem(name: &str) -> Option<&str> {
    name.rsplit_once('.').map(|(stem, _)| stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entry_that_is_meant_is_named_with_what_is_wrong_in_it() {
        for (image, entry, said) in [
            ("cat/1.png", "./cat/1.png", "`./cat/1.png`, with a `./`"),
            ("A\u{308}rger/1.png", "\u{c4}rger/1.png", "normal forms (NFC and NFD"),
            ("caf\u{e9}.png", "cafe\u{301}.png", "normal forms"),
            ("cat/1.png", "cat/1.PNG", "upper and lower case"),
            ("cat/1.png", "cat/1.png ", "other spaces"),
            ("cat/1.png", "/home/me/set/cat/1.png", "in another folder"),
            ("cat/1.png", "C:/set/cat/1.png", "in another folder"),
            ("set/cat/1.png", "cat/1.png", "without the image's folder"),
            ("cat/1.png", "1.png", "without the image's folder"),
            ("cat/1.png", "cat/1.jpg", "with another ending"),
            ("cat/1.png", "dog/1.png", "no entry names it"),
            ("cat/1.png", "tomcat/1.png", "no entry names it"),
            ("a", "b", "no entry names it"),
        ] {
            let found = cause(image, ["x.png", entry].into_iter());
            assert!(found.contains(said), "{image}, {entry}: {found}");
        }
    }
}
