//! `Labels`: the class of every image, as a `dataset.json` gives it, and the one check of it against the images.

use std::{collections::HashMap, fs::File, path::Path};

use super::{label_list, mislabelled};
use crate::{Error, Result};

/// Classes beyond this are taken for a mistake: a one-hot label has as many numbers as there are classes.
pub(in crate::data) const MAX_CLASSES: u32 = 1 << 20;

/// Names of images and their classes, in the order of the list. Names lie one behind another: a list may have millions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::data) struct Labels {
    names: String,
    /// Where each name ends.
    ends: Vec<usize>,
    classes: Vec<u32>,
    /// What the classes are called, if the file says so.
    pub(in crate::data) class_names: Option<Vec<String>>,
}

impl Labels {
    /// Reads a `dataset.json` on its own; `None` where its labels are `null`.
    ///
    /// # Errors
    /// `Io`; `BadFile` for what is no such list.
    pub(in crate::data) fn open(path: &Path) -> Result<Option<Self>> {
        let bad = |problem: String| Error::bad_file(path, "list of labels", format!("it {problem}"));
        let metadata = std::fs::metadata(path).map_err(Error::io("read", path))?;
        if !metadata.is_file() {
            return Err(bad("is not a regular file".to_owned()));
        }
        let file = File::open(path).map_err(Error::io("read", path))?;
        label_list::read(file, metadata.len()).map_err(bad)
    }

    /// Adds an image; a name has `/` between its parts.
    pub(in crate::data) fn push(&mut self, name: &str, class: u32) {
        let parts = name.split('\\');
        parts.enumerate().for_each(|(i, part)| {
            self.names.push_str(if i == 0 { "" } else { "/" });
            self.names.push_str(part);
        });
        self.ends.push(self.names.len());
        self.classes.push(class);
    }

    /// Number of images.
    pub(in crate::data) fn len(&self) -> usize {
        self.classes.len()
    }

    /// Whether there are none.
    pub(in crate::data) fn is_empty(&self) -> bool {
        self.classes.is_empty()
    }

    /// The greatest class + 1.
    pub(in crate::data) fn class_count(&self) -> usize {
        self.classes.iter().max().map_or(0, |&most| most as usize + 1)
    }

    /// The names, in the order of the list.
    pub(in crate::data) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.names[start..end])
    }

    /// The class of each image, in their order. Entries for what `is_left_out` are not missed.
    ///
    /// # Errors
    /// Where list and images disagree: images without a class, classes without an image, the same name twice. A fragment,
    /// for the caller to put behind the list's name.
    pub(in crate::data) fn assign<N: AsRef<str>>(
        &self,
        images: &[N],
        is_left_out: impl Fn(&str) -> bool,
    ) -> Result<Vec<u32>, String> {
        let mut by_name: HashMap<&str, u32> = HashMap::with_capacity(self.len());
        for (name, &class) in self.names().zip(&self.classes) {
            if let Some(other) = by_name.insert(name, class) {
                return Err(format!("lists `{name}` twice, with the classes {other} and {class}: keep one"));
            }
        }
        let classes: Option<Vec<u32>> =
            images.iter().map(|image| by_name.get(image.as_ref()).copied()).collect();
        let Some(classes) = classes else {
            let mut missing = images.iter().map(AsRef::as_ref).filter(|image| !by_name.contains_key(image));
            let first = missing.next().unwrap_or_default();
            return Err(format!(
                "gives no class to {} of {} images, `{first}` the first: {}",
                1 + missing.count(),
                images.len(),
                mislabelled::cause(first, self.names())
            ));
        };
        for image in images {
            by_name.remove(image.as_ref());
        }
        by_name.retain(|name, _| !is_left_out(name));
        match by_name.keys().min() {
            None => Ok(classes),
            Some(unknown) => Err(format!(
                "names {} images that are not there, `{unknown}` the first ({} labels, {} images): add the images or remove the labels",
                by_name.len(),
                self.len(),
                images.len()
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, u32)]) -> Labels {
        let mut labels = Labels::default();
        pairs.iter().for_each(|(name, class)| labels.push(name, *class));
        labels
    }

    #[test]
    fn labels_are_found_by_name() {
        let list = labels(&[("b\\2.png", 4), ("a.png", 0), ("gone.gif", 1)]);
        assert_eq!(list.names().collect::<Vec<_>>(), ["b/2.png", "a.png", "gone.gif"]);
        assert_eq!((list.len(), list.class_count()), (3, 5));
        assert_eq!(list.assign(&["a.png", "b/2.png"], |name| name == "gone.gif").unwrap(), [0, 4]);
    }

    #[test]
    fn disagreement_with_the_images_names_the_first() {
        let list = labels(&[("a.png", 1), ("b.png", 2)]);
        let problem = |images: &[&str]| list.assign(images, |_| false).unwrap_err();
        let missing = problem(&["a.png", "c.png", "d.png"]);
        assert!(missing.contains("no class to 2 of 3 images, `c.png` the first: no entry"), "{missing}");
        let unknown = problem(&["a.png"]);
        assert!(unknown.contains("names 1 images that are not there, `b.png` the first"), "{unknown}");
        let twice = labels(&[("a.png", 1), ("a.png", 2)]).assign(&["a.png"], |_| false).unwrap_err();
        assert!(twice.contains("lists `a.png` twice, with the classes 1 and 2"), "{twice}");
    }

    #[test]
    fn only_a_regular_file_is_read() {
        let said = Labels::open(Path::new("/dev/zero")).unwrap_err().to_string();
        assert!(said.contains("not a regular file"), "{said}");
    }
}
