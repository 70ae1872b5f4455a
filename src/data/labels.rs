//! `dataset.json`: the class of every image, as EDM's tools write it.

use std::collections::HashMap;

use serde_json::Value;

/// Classes beyond this are taken for a mistake: a one-hot label has as many numbers as there are classes.
const MAX_CLASSES: u64 = 1 << 20;

/// The `labels` of a `dataset.json`: image name and class, or `None` where it says `null`.
///
/// # Errors
/// A fragment that says what is wrong, for the caller to put behind the file's name.
pub(in crate::data) fn parse(bytes: &[u8]) -> Result<Option<Vec<(String, u32)>>, String> {
    let json: Value = serde_json::from_slice(bytes).map_err(|e| format!("is not JSON ({e})"))?;
    let labels = match json.get("labels") {
        None => {
            return Err("has no `labels`: write {\"labels\": [[\"name.png\", 0], ...]} or null".to_owned());
        }
        Some(Value::Null) => return Ok(None),
        Some(Value::Array(labels)) => labels,
        Some(_) => return Err("has `labels` that are not a list of [name, class] pairs".to_owned()),
    };
    labels.iter().enumerate().map(|(i, entry)| pair(i, entry)).collect::<Result<_, _>>().map(Some)
}

fn pair(i: usize, entry: &Value) -> Result<(String, u32), String> {
    let Some([Value::String(name), class]) = entry.as_array().map(Vec::as_slice) else {
        return Err(format!("has {entry} as number {i} of `labels`, which is not a [name, class] pair"));
    };
    match class.as_u64() {
        Some(class) if class < MAX_CLASSES => Ok((name.replace('\\', "/"), class as u32)),
        _ => Err(format!(
            "gives `{name}` the class {class}: a class is a whole number from 0 to {}",
            MAX_CLASSES - 1
        )),
    }
}

/// The class of each name, in their order.
///
/// # Errors
/// Where the two disagree: names without a class, classes without an image, the same name twice.
pub(in crate::data) fn assign(labels: Vec<(String, u32)>, names: &[String]) -> Result<Vec<u32>, String> {
    let count = labels.len();
    let mut by_name: HashMap<String, u32> = HashMap::with_capacity(count);
    for (name, class) in labels {
        if by_name.contains_key(&name) {
            return Err(format!("lists `{name}` twice"));
        }
        by_name.insert(name, class);
    }
    let missing: Vec<&String> = names.iter().filter(|name| !by_name.contains_key(*name)).collect();
    if let Some(first) = missing.first() {
        return Err(format!(
            "gives no class to {} of {} images, `{first}` the first: add them, or switch labels off",
            missing.len(),
            names.len()
        ));
    }
    let classes = names.iter().map(|name| by_name.remove(name).expect("checked above")).collect();
    if let Some(unknown) = by_name.keys().min() {
        return Err(format!(
            "names {} images that are not there, `{unknown}` the first ({count} labels, {} images): add the images or remove the labels",
            by_name.len(),
            names.len()
        ));
    }
    Ok(classes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&n| n.to_owned()).collect()
    }

    #[test]
    fn labels_are_found_by_name() {
        let labels = parse(br#"{"labels": [["b\\2.png", 4], ["a.png", 0]]}"#).unwrap().unwrap();
        assert_eq!(assign(labels, &names(&["a.png", "b/2.png"])).unwrap(), [0, 4]);
        assert_eq!(parse(br#"{"labels": null}"#).unwrap(), None);
    }

    #[test]
    fn malformed_files_are_refused_with_the_place() {
        for (labels, said) in [
            ("{", "is not JSON"),
            ("{}", "has no `labels`"),
            (r#"{"labels": 3}"#, "not a list"),
            (r#"{"labels": [["a.png", 1], ["b.png"]]}"#, "number 1 of `labels`"),
            (r#"{"labels": [["a.png", "cat"]]}"#, "`a.png` the class \"cat\""),
            (r#"{"labels": [["a.png", -1]]}"#, "the class -1"),
            (r#"{"labels": [["a.png", 1.5]]}"#, "the class 1.5"),
            (r#"{"labels": [["a.png", [0, 1]]]}"#, "the class [0,1]"),
            (r#"{"labels": [["a.png", 99999999]]}"#, "from 0 to 1048575"),
        ] {
            let problem = parse(labels.as_bytes()).unwrap_err();
            assert!(problem.contains(said), "{problem}");
        }
    }

    #[test]
    fn disagreement_with_the_images_names_the_first() {
        let labels = || vec![("a.png".to_owned(), 1), ("b.png".to_owned(), 2)];
        let missing = assign(labels(), &names(&["a.png", "c.png", "d.png"])).unwrap_err();
        assert!(missing.contains("no class to 2 of 3 images, `c.png` the first"), "{missing}");
        let unknown = assign(labels(), &names(&["a.png"])).unwrap_err();
        assert!(unknown.contains("names 1 images that are not there, `b.png` the first"), "{unknown}");
        let twice = [labels(), labels()].concat();
        assert!(assign(twice, &names(&["a.png", "b.png"])).unwrap_err().contains("lists `a.png` twice"));
    }
}
