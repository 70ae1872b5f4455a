//! `Remedy`: what a local file is that is not here, where it comes from, and what brings or makes it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    data::known::{Form, KNOWN, Known, Original},
    location::Resolved,
    stages::progress,
    suggestion::closest,
    terminal::{self, quoted},
};

/// Where the teachers and statistics of the papers are, by what their files' names begin and end with.
const PUBLISHED: [(&str, &str, &str); 3] = [
    ("edm-", ".pkl", "https://nvlabs-fi-cdn.nvidia.com/edm/pretrained"),
    ("edm2-", ".pkl", "https://nvlabs-fi-cdn.nvidia.com/edm2/posthoc-reconstructions"),
    ("img", ".pkl", "https://nvlabs-fi-cdn.nvidia.com/edm2/dataset-refs"),
];
/// Statistics are called as their dataset.
const STATISTICS: &str = "https://nvlabs-fi-cdn.nvidia.com/edm/fid-refs";

/// What is known of a file that is not here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Remedy {
    /// What it is, in words.
    pub(super) what: Option<&'static str>,
    /// About how many bytes it has.
    pub(super) bytes: Option<u64>,
    /// Where it, or what it is made from, is to be had.
    pub(super) from: Option<String>,
    /// The command that makes it.
    pub(super) command: Option<String>,
    /// What to do, in words.
    pub(super) help: String,
}

impl Remedy {
    /// For a path as it is looked for, in the folders `search` where it is relative.
    pub(super) fn of(path: &Path, search: &[PathBuf]) -> Self {
        let help = |help: String| Self { help, ..Self::default() };
        if let Some(known) = Known::at(path) {
            return Self::known(known, path);
        }
        if let Some(link) = candidates(path, search).find(|path| path.is_symlink()) {
            return help(format!("`{}` is a link that leads nowhere", terminal::path(&link)));
        }
        if let Some(address) = published(path) {
            return Self {
                help: format!("write `{address}` in its place, and it is downloaded"),
                from: Some(address),
                ..Self::default()
            };
        }
        if let Some(meant) = candidates(path, search).find_map(|path| sibling(&path)) {
            return help(format!("did you mean `{}`?", terminal::path(&path.with_file_name(meant))));
        }
        let looked =
            "it is looked for from the working directory, and from the pipeline file's folder upwards";
        help(if path.is_relative() { format!("put it there: {looked}") } else { "put it there".to_owned() })
    }

    fn known(known: &'static Known, path: &Path) -> Self {
        let mut command = known.command();
        let (from, of) = match &known.original {
            Original::Address { url, bytes, .. } => (*url, format!("{} from {url}", progress::bytes(*bytes))),
            Original::ByHand { called, bytes } => {
                let size = bytes.map(|bytes| format!(" ({})", progress::bytes(bytes))).unwrap_or_default();
                (known.page, format!("`{called}` of {}{size}", known.page))
            }
        };
        if !known.location().resolve().is_ok_and(|usual| usual == Resolved::Path(path.to_path_buf())) {
            command = format!("{command} --to {}", quoted(&path.to_string_lossy()));
        }
        let on_a_gpu = if known.form == Form::Latents { ", on a GPU in hours" } else { "" };
        Self {
            what: Some(known.title),
            bytes: Some(known.bytes),
            from: Some(from.to_owned()),
            help: format!("`{command}` makes it of {of}{on_a_gpu}"),
            command: Some(command),
        }
    }
}

/// The address of a file that the papers' authors publish.
fn published(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    let is_of = |(start, end, _): &&(&str, &str, &str)| name.starts_with(start) && name.ends_with(end);
    if KNOWN.iter().any(|known| name.strip_suffix(".npz") == Some(known.name)) {
        return Some(format!("{STATISTICS}/{name}"));
    }
    PUBLISHED.iter().find(is_of).filter(|_| is_plain).map(|(.., folder)| format!("{folder}/{name}"))
}

/// Where a path is looked for.
fn candidates<'a>(path: &'a Path, search: &'a [PathBuf]) -> impl Iterator<Item = PathBuf> + 'a {
    search.iter().map(move |folder| folder.join(path))
}

/// The name in the same folder that is most like that of an absent file.
fn sibling(path: &Path) -> Option<String> {
    let wrong = path.file_name()?.to_str()?;
    let names = fs::read_dir(path.parent()?).ok()?.take(1000).flatten();
    let names: Vec<String> = names.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    let same_kind = |name: &&str| Path::new(name).extension() == Path::new(wrong).extension();
    closest(wrong, names.iter().map(String::as_str).filter(same_kind)).map(str::to_owned)
}
