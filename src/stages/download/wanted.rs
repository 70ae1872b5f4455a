//! `Wanted`: a file that a stage reads and no stage makes.

use std::{fmt, path::Path};

use crate::{
    Result,
    location::{Location, Url},
};

type Accepts<'a> = Box<dyn Fn(&Path) -> Result<()> + 'a>;

/// A file that a stage reads and no stage makes.
pub struct Wanted<'a> {
    /// The field that names it; `None` where what it holds decides nothing of what the stage makes.
    pub field: Option<String>,
    /// Where it is.
    pub location: &'a Location,
    /// Its SHA-256, where that is known before it comes.
    pub sha256: Option<&'a str>,
    accepts: Accepts<'a>,
}

impl<'a> Wanted<'a> {
    /// What the field `field` names; `accepts` reads it as the stage will, and says what is wrong with it.
    pub fn new(
        field: impl Into<String>,
        location: &'a Location,
        accepts: impl Fn(&Path) -> Result<()> + 'a,
    ) -> Self {
        Self { field: Some(field.into()), location, sha256: None, accepts: Box::new(accepts) }
    }

    /// With its SHA-256, where that is known.
    #[must_use]
    pub fn with_sha256(self, sha256: Option<&'a str>) -> Self {
        Self { sha256, ..self }
    }

    /// One that decides nothing of what the stage makes.
    #[must_use]
    pub fn that_decides_nothing(self) -> Self {
        Self { field: None, ..self }
    }

    /// Whether its reader takes what came.
    pub(super) fn accepts(&self, path: &Path) -> Result<()> {
        (self.accepts)(path)
    }
}

impl fmt::Debug for Wanted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wanted({:?}, {})", self.field, self.location)
    }
}

/// What may be wrong with an address that leads to something else than a file.
pub(super) fn advice(url: &Url) -> &'static str {
    let address = url.public();
    let is_of = |host: &str| address.starts_with(&format!("https://{host}/"));
    if !address.contains("/blob/") {
        ""
    } else if is_of("huggingface.co") {
        "; the address is that of a page about the file: write `/resolve/` in the place of `/blob/`"
    } else if is_of("github.com") {
        "; the address is that of a page about the file: write `/raw/` in the place of `/blob/`"
    } else {
        ""
    }
}
