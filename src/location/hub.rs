//! Files of repositories on Hugging Face, or what `HF_ENDPOINT` names in its place.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::variable;

const HUB: &str = "https://huggingface.co";

/// What stands as it is in a path (RFC 3986: unreserved characters).
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The address of `hf://[datasets/]org/repo/path[@revision]`; the revision may also stand behind the repository's name, as
/// Hugging Face's own tools write it.
pub(super) fn address(named: &str) -> Result<String, String> {
    let form = "write `hf://org/repo/path@revision`, or `hf://datasets/org/repo/path@revision`";
    let rest = named.split_once("://").map_or(named, |(_, rest)| rest);
    let (kind, rest) = match rest.split_once('/') {
        Some(("datasets", rest)) => ("datasets/", rest),
        Some(("models", rest)) => ("", rest),
        Some(("spaces", _)) => return Err(format!("spaces hold programs, not files to read; {form}")),
        _ => ("", rest),
    };
    let mut parts = rest.splitn(3, '/');
    let (org, repo, path) = (parts.next(), parts.next(), parts.next());
    let (Some(org), Some(repo), Some(path)) = (org, repo, path) else { return Err(form.to_owned()) };
    let (repo, early) = split_revision(repo);
    let (path, late) = split_revision(path);
    let revision = match (early, late) {
        (Some(_), Some(_)) => return Err(format!("it names two revisions; {form}")),
        (early, late) => early.or(late).unwrap_or("main"),
    };
    let steps: Vec<&str> = path.split('/').collect();
    let all = [&[org, repo, revision], steps.as_slice()].concat();
    if all.iter().any(|part| part.is_empty() || matches!(*part, "." | "..")) {
        return Err(format!("a part of it is empty; {form}"));
    }
    let escaped = |part: &str| utf8_percent_encode(part, IN_PATH).to_string();
    let path: Vec<String> = steps.into_iter().map(escaped).collect();
    let (org, repo, revision) = (escaped(org), escaped(repo), escaped(revision));
    Ok(format!("{}/{kind}{org}/{repo}/resolve/{revision}/{}", endpoint(), path.join("/")))
}

fn split_revision(text: &str) -> (&str, Option<&str>) {
    text.rsplit_once('@').map_or((text, None), |(text, revision)| (text, Some(revision)))
}

fn endpoint() -> String {
    let endpoint = variable("HF_ENDPOINT").unwrap_or_else(|| HUB.to_owned());
    endpoint.trim_end_matches('/').to_owned()
}

/// Whether an address is of Hugging Face, or of what `HF_ENDPOINT` names in its place: `HF_TOKEN` is for these alone.
pub fn is_hub(address: &str) -> bool {
    [HUB.to_owned(), endpoint()].iter().any(|hub| {
        let rest = address.get(..hub.len()).filter(|start| start.eq_ignore_ascii_case(hub));
        rest.is_some_and(|_| address[hub.len()..].starts_with(['/', '?']) || address.len() == hub.len())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_repositories_have_addresses() {
        for (named, path) in [
            ("hf://org/repo/a/b c.pkl", "/org/repo/resolve/main/a/b%20c.pkl"),
            ("hf://org/repo/a.pkl@v1.0", "/org/repo/resolve/v1.0/a.pkl"),
            ("hf://org/repo@v1.0/a.pkl", "/org/repo/resolve/v1.0/a.pkl"),
            ("hf://org/repo/a.pkl@refs/pr/1", "/org/repo/resolve/refs%2Fpr%2F1/a.pkl"),
            ("hf://datasets/org/repo/a.zip@abc", "/datasets/org/repo/resolve/abc/a.zip"),
            ("hf://models/org/repo/a.zip", "/org/repo/resolve/main/a.zip"),
        ] {
            assert_eq!(address(named).unwrap(), format!("{}{path}", endpoint()), "{named}");
        }
        for named in [
            "hf://org/repo",
            "hf://repo",
            "hf://",
            "hf://org//a",
            "hf://org/repo/",
            "hf://org/repo/a@",
            "hf://org/repo/../a",
            "hf://spaces/org/repo/a",
            "hf://org/repo@a/b@c",
            "hf://datasets/org/repo",
        ] {
            assert!(address(named).is_err(), "{named}");
        }
    }

    #[test]
    fn a_token_is_for_the_hub_alone() {
        for (address, is) in [
            ("https://huggingface.co/org/repo/resolve/main/a", true),
            ("https://huggingface.co", true),
            ("http://huggingface.co/a", false),
            ("https://huggingface.co.evil.org/a", false),
            ("https://huggingface.co:444/a", false),
            ("https://huggingface.co@evil.org/a", false),
            ("https://cdn-lfs.huggingface.co/a", false),
        ] {
            assert_eq!(is_hub(address), is, "{address}");
        }
    }
}
