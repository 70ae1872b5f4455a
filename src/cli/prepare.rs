//! `sida prepare`: the datasets that recipes name, made where these look for them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::{Value, json};

use super::{
    columns::{aligned, bytes, grouped},
    device, output,
    places::cache,
    signals,
};
use crate::{
    Error, Result,
    checkpoint::atomic,
    data::known::{KNOWN, Known},
    location::Resolved,
    stages::{Addresses, Downloads, Mirrors, Web, download::free, prepare_known},
    stop::Stop,
    suggestion::advice,
    terminal,
};

/// What is prepared, from what, and where.
#[derive(Debug, Args)]
pub(super) struct PrepareArgs {
    /// Datasets, such as `cifar10-32x32`; without any, all that are known are listed.
    names: Vec<String>,
    /// The file or the folder that it is made of, where that is not fetched by itself.
    #[arg(long, value_name = "PATH")]
    from: Option<PathBuf>,
    /// The zip to write. Default: in the folder that `SIDA_DATASETS` names, else in `datasets`.
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// What makes latents of images: `auto`, `cpu`, `cuda:N`, or `wgpu:N`.
    #[arg(long, default_value = "auto")]
    device: String,
    /// Ask for addresses that begin with the first at the second. Can be repeated.
    #[arg(long, value_name = "PREFIX=PREFIX")]
    mirror: Vec<String>,
    /// Print the result as JSON.
    #[arg(long)]
    pub(super) json: bool,
}

/// Prepares the datasets, one after the other, or lists those that are known.
///
/// # Errors
/// `Usage` for a name that none has, and where the original has to be given; what downloads and the preparation can do.
pub(super) fn prepare(args: &PrepareArgs) -> Result<()> {
    if args.names.is_empty() {
        return list(args.json);
    }
    if args.names.len() > 1 && (args.from.is_some() || args.to.is_some()) {
        return Err(Error::Usage("`--from` and `--to` are for one dataset at a time".to_owned()));
    }
    let known = args.names.iter().map(|name| named(name)).collect::<Result<Vec<_>>>()?;
    if let Some(from) = &args.from {
        output::exists(from)?;
    }
    let stop = signals::listen()?;
    let made = known.into_iter().map(|known| one(known, args, &stop)).collect::<Result<Vec<Value>>>()?;
    if args.json {
        output::json(&json!({ "datasets": made }));
    }
    Ok(())
}

fn named(name: &str) -> Result<&'static Known> {
    Known::named(name).or_else(|| Known::at(Path::new(name))).ok_or_else(|| {
        let names: Vec<&str> = KNOWN.iter().map(|known| known.name).collect();
        let help = advice(name, &names).unwrap_or_default();
        let own =
            "images of your own are converted by a stage, `prepare_dataset: { source: { convert: ... } }`";
        Error::Usage(format!("`{}` is no dataset that recipes name; {help}; {own}", terminal::name(name)))
    })
}

/// Where recipes look for a dataset.
fn usual(known: &Known) -> Result<PathBuf> {
    match known.location().resolve()? {
        Resolved::Path(path) => Ok(path),
        Resolved::Url(url) => {
            Err(Error::Usage(format!("`SIDA_DATASETS` is an address, {url}: give `--to FILE`")))
        }
    }
}

fn one(known: &'static Known, args: &PrepareArgs, stop: &Stop) -> Result<Value> {
    let to = match &args.to {
        Some(to) => to.clone(),
        None => usual(known)?,
    };
    let shown = terminal::path(&to);
    if to.exists() {
        if !args.json {
            say!("{shown}: here already; remove it to make it again");
        }
        return Ok(json!({ "name": known.name, "path": output::path(&to), "state": "here" }));
    }
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if args.to.is_some() {
        output::can_hold(&to)?;
    } else {
        fs::create_dir_all(folder).map_err(Error::io("create the folder", folder))?;
    }
    if let Some(free) = free(folder).filter(|free| *free < known.bytes) {
        let (needs, free) = (bytes(known.bytes), bytes(free));
        return Err(Error::Unusable(format!(
            "`{}` has room for {free}, and `{}` needs about {needs}: make room, or give another place as `--to`",
            terminal::path(folder),
            known.name
        )));
    }
    atomic::remove_leftovers_of_the_dead(folder);
    let cache = cache();
    let web = Web { mirrors: Mirrors::parse(&args.mirror)?, ..Web::default() };
    let addresses = Addresses::new(&cache.join("addresses"), None);
    let downloads =
        Downloads { name: known.name, cache: &cache, addresses: &addresses, search: &[], web: &web, stop };
    let device = || device::choose(&args.device).map(|(device, _)| device);
    let made = prepare_known(known, args.from.as_deref(), &to, &downloads, device)?;
    let size = to.metadata().map_or(0, |file| file.len());
    let remarks = made.remarks.iter().map(|remark| format!("{}: {remark}", known.name));
    remarks.for_each(|remark| tracing::info!("{remark}"));
    if made.images as u64 != known.images {
        let (found, whole) = (grouped(made.images as u64), grouped(known.images));
        tracing::warn!(
            "{}: {found} images, where the dataset has {whole}: results are not the published ones",
            known.name
        );
    }
    if !args.json {
        say!("{shown}: {} images, {}", grouped(made.images as u64), bytes(size));
    }
    Ok(json!({
        "name": known.name, "path": output::path(&to), "state": "made", "images": made.images, "bytes": size,
    }))
}

/// All that are known, with the commands that prepare them.
fn list(as_json: bool) -> Result<()> {
    let (mut rows, mut found) = (Vec::new(), Vec::new());
    for known in &KNOWN {
        let path = usual(known)?;
        let state = if path.exists() { "here" } else { "not here" };
        rows.push(vec![known.name.to_owned(), state.to_owned(), bytes(known.bytes), known.title.to_owned()]);
        rows.push(vec![String::new(), String::new(), String::new(), known.command()]);
        found.push(json!({
            "name": known.name, "title": known.title, "state": state, "path": output::path(&path),
            "images": known.images, "classes": known.classes, "bytes": known.bytes,
            "page": known.page, "terms": known.terms, "command": known.command(),
        }));
    }
    if as_json {
        output::json(&json!({ "datasets": found }));
    } else {
        say!("{}", aligned(&rows));
    }
    Ok(())
}
