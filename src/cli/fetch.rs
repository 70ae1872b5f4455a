//! `sida fetch`: what pipelines read from addresses, brought onto a machine that has a network.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use serde_json::{Value, json};

use super::{
    columns::{aligned, bytes},
    output,
    places::{PlaceArgs, cache},
    signals,
};
use crate::{
    Error, Result,
    location::{Resolved, Url},
    pipeline::{Parsed, Places, Source, absent},
    stages::{
        Addresses, Downloads, Wanted, World,
        download::{cached, free, missing, none_missing},
    },
    stop::Stop,
    terminal,
};

/// What the stages of one file read.
struct Needs<'a> {
    places: Places,
    addresses: Addresses,
    /// By address and SHA-256: the first stage that reads it.
    web: IndexMap<(String, Option<String>), (&'a str, Url, Wanted<'a>)>,
    /// Paths that lead nowhere on this machine, and what to do about them.
    absent: IndexMap<String, String>,
}

/// Brings everything that the files read, says the sizes first, and goes on after what fails.
///
/// # Errors
/// `Mistakes` of a file; `Unusable` with everything that is not here at the end; `Interrupted`.
pub(super) fn fetch(files: &[PathBuf], args: &PlaceArgs, json: bool) -> Result<()> {
    let settings = args.settings()?;
    let parsed = files.iter().map(|file| {
        let source = Source::read(file)?;
        let parsed = source.parse_without_baselines(&settings)?;
        Ok((args.places(&source)?, parsed))
    });
    let parsed = parsed.collect::<Result<Vec<_>>>()?;
    let needs: Vec<Needs<'_>> = parsed.iter().map(|(places, parsed)| Needs::of(places, parsed)).collect();
    if args.is_offline() {
        all_here(parsed.iter().map(|(_, parsed)| parsed), &cache())?;
    }
    let stop = signals::listen()?;
    sizes(&needs, &stop)?;
    let mut rows = Vec::new();
    let mut found: Vec<Value> = Vec::new();
    let mut failures = Vec::new();
    for needs in &needs {
        for (name, url, wanted) in needs.web.values() {
            let was_here = needs.path(url).is_file();
            match needs.downloads(name, &stop).fetch(wanted) {
                Ok(path) => {
                    let size = path.metadata().map_or(0, |file| file.len());
                    let state = if was_here { "here" } else { "fetched" };
                    rows.push(vec![format!("{state}:"), url.to_string(), bytes(size)]);
                    let sha256 = needs.addresses.sha256(url);
                    found.push(json!({
                        "address": url.to_string(), "stage": name, "state": state, "path": output::path(&path),
                        "bytes": size, "sha256": sha256,
                    }));
                }
                Err(Error::Interrupted) => return Err(Error::Interrupted),
                Err(error) => {
                    rows.push(vec!["failed:".to_owned(), url.to_string(), String::new()]);
                    let error = error.to_string();
                    found.push(json!({
                        "address": url.to_string(), "stage": name, "state": "failed", "error": error,
                    }));
                    failures.push(error);
                }
            }
        }
        for (said, help) in &needs.absent {
            rows.push(vec!["absent:".to_owned(), said.clone(), String::new()]);
            found.push(json!({ "path": said, "state": "absent" }));
            failures.push(format!("{said} is not on this machine and has no address: {help}"));
        }
    }
    if json {
        output::json(&json!({ "files": found }));
    } else if rows.is_empty() {
        say!("nothing to fetch: no stage reads from an address");
    } else {
        say!("{}", aligned(&rows));
    }
    if failures.is_empty() {
        return Ok(());
    }
    let (failed, total) = (failures.len(), found.len());
    Err(Error::Unusable(format!("{failed} of {total} files are not here:\n  {}", failures.join("\n  "))))
}

/// Says what there is to fetch, and whether the disk has room for it.
fn sizes(needs: &[Needs<'_>], stop: &Stop) -> Result<()> {
    let mut sizes: IndexMap<PathBuf, (String, Option<u64>)> = IndexMap::new();
    for needs in needs {
        for (name, url, _) in needs.web.values() {
            let path = needs.path(url);
            if !path.is_file() && !sizes.contains_key(&path) {
                let size = needs.downloads(name, stop).size(url)?;
                sizes.insert(path, (url.to_string(), size));
            }
        }
    }
    let Some(cache) = sizes.keys().next().and_then(|path| path.parent()) else { return Ok(()) };
    let said = |size: Option<u64>| size.map_or_else(|| "size not known".to_owned(), bytes);
    let rows: Vec<Vec<String>> =
        sizes.values().map(|(url, size)| vec!["to fetch:".to_owned(), url.clone(), said(*size)]).collect();
    terminal::note(&aligned(&rows));
    let total: u64 = sizes.values().filter_map(|(_, size)| *size).sum();
    terminal::note(&format!("{} files, {}, into `{}`", sizes.len(), bytes(total), terminal::path(cache)));
    match free(cache) {
        Some(free) if free < total => Err(Error::Unusable(format!(
            "`{}` has room for {}, and the files need {}: make room, or give another folder in `SIDA_CACHE`",
            terminal::path(cache),
            bytes(free),
            bytes(total)
        ))),
        _ => Ok(()),
    }
}

impl<'a> Needs<'a> {
    fn of(places: &Places, parsed: &'a Parsed) -> Self {
        let (places, addresses) = (places.clone(), places.addresses());
        let mut needs = Self { places, addresses, web: IndexMap::new(), absent: IndexMap::new() };
        for (name, spec) in parsed.stages() {
            for wanted in spec.stage().wanted() {
                needs.add(name.as_str(), wanted);
            }
        }
        needs
    }

    fn add(&mut self, name: &'a str, wanted: Wanted<'a>) {
        let world = World { stages: &IndexMap::new(), search: &self.places.search };
        match wanted.location.resolve() {
            Ok(Resolved::Url(url)) => {
                let key = (url.public().into_owned(), wanted.sha256.map(str::to_owned));
                self.web.entry(key).or_insert((name, url, wanted));
            }
            Ok(Resolved::Path(path)) if world.locate(wanted.location).is_none() => {
                let said = format!("`{}`, which `{name}` reads,", terminal::path(&path));
                self.absent.entry(said).or_insert_with(|| absent::advice(&path, &self.places.search));
            }
            // What cannot be resolved is a mistake, which was said.
            _ => {}
        }
    }

    fn path(&self, url: &Url) -> PathBuf {
        cached(&self.places.cache, url)
    }

    fn downloads<'b>(&'b self, name: &'b str, stop: &'b Stop) -> Downloads<'b> {
        let Places { cache, search, web, .. } = &self.places;
        Downloads { name, cache, addresses: &self.addresses, search, web, stop }
    }
}

/// Whether the cache has what the stages of files read from addresses.
///
/// # Errors
/// `Unusable` with all of it.
pub(super) fn all_here<'a>(parsed: impl Iterator<Item = &'a Parsed>, cache: &Path) -> Result<()> {
    let stages = parsed.flat_map(Parsed::stages);
    let missing = stages.flat_map(|(name, spec)| missing(name.as_str(), spec.stage(), cache));
    none_missing(&missing.collect::<Vec<_>>(), cache)
}
