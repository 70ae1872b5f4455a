//! What stands before `://`, and what to do where nobody here speaks it.

use crate::{Error, Result, secret};

/// How a location is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Of this machine.
    Path,
    /// `http://` or `https://`.
    Web,
    /// `hf://`.
    Hub,
}

/// The kind of a location whose variables are replaced; `shown` is what may be shown of it.
///
/// # Errors
/// `Usage` with what to do, for the kinds that are not spoken here.
pub(super) fn of(value: &str, shown: &str) -> Result<Kind> {
    let text = value.trim_start();
    let Some((scheme, rest)) = text.split_once(':').filter(|(scheme, _)| is_scheme(scheme)) else {
        return Ok(Kind::Path);
    };
    let scheme = scheme.to_ascii_lowercase();
    let kind = match scheme.as_str() {
        "http" | "https" => Some(Kind::Web),
        "hf" => Some(Kind::Hub),
        _ => None,
    };
    if !rest.starts_with("//") {
        return match kind {
            Some(_) => Err(refused(shown, &format!("write `{scheme}://`, with two slashes"))),
            None => Ok(Kind::Path),
        };
    }
    match kind {
        Some(kind) if text.len() == value.len() => Ok(kind),
        Some(_) => Err(refused(shown, "there is a blank before it")),
        None => Err(refused(shown, &advice(&scheme, shown))),
    }
}

/// Letters, digits and `+-.` after a letter (RFC 3986); one letter is a disk of Windows.
fn is_scheme(text: &str) -> bool {
    text.len() > 1
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
}

fn advice(scheme: &str, shown: &str) -> String {
    let rest = shown.split_once("://").map_or("...", |(_, rest)| rest);
    let (bucket, object) = rest.split_once('/').unwrap_or((rest, "..."));
    let instead = match scheme {
        "s3" | "s3a" | "s3n" => format!(
            "copy it with `aws s3 cp` and give the path, or give its address: `https://{bucket}.s3.amazonaws.com/{object}`, or what `aws s3 presign` prints"
        ),
        "gs" | "gcs" => format!(
            "copy it with `gcloud storage cp` and give the path, or give its address: `https://storage.googleapis.com/{bucket}/{object}`, or what `gcloud storage sign-url` prints"
        ),
        "az" | "abfs" | "abfss" | "wasb" | "wasbs" => {
            "copy it with `az storage blob download` and give the path, or give its `https://` address"
                .to_owned()
        }
        "file" => format!("a file of this machine is given by its path: `{}`", local(rest)),
        "ftp" | "ftps" | "sftp" | "scp" | "ssh" | "rsync" => {
            "fetch it with a program of that protocol and give the path".to_owned()
        }
        _ => "download it and give the path, or give an address of one of these kinds".to_owned(),
    };
    format!("`{scheme}://` is not spoken here, only `https://`, `http://` and `hf://`; {instead}")
}

/// The path of `file://host/path`.
fn local(rest: &str) -> &str {
    rest.find('/').map_or(rest, |slash| &rest[slash..])
}

fn refused(shown: &str, problem: &str) -> Error {
    Error::Usage(format!("`{}`: {problem}", secret::masked(shown)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_told_apart_or_refused_with_advice() {
        for (text, kind) in [
            ("a.zip", Kind::Path),
            ("/a:b/c.zip", Kind::Path),
            (r"C:\data\a.zip", Kind::Path),
            ("name: with blank", Kind::Path),
            ("k=1,s3://x", Kind::Path),
            ("HTTPS://host/a", Kind::Web),
            ("http://host/a", Kind::Web),
            ("hf://org/repo/a", Kind::Hub),
        ] {
            assert_eq!(of(text, text).unwrap(), kind, "{text}");
        }
        for (text, advice) in [
            ("s3://bucket/a/b.pkl", "`https://bucket.s3.amazonaws.com/a/b.pkl`"),
            ("gs://bucket/a/b.pkl", "`https://storage.googleapis.com/bucket/a/b.pkl`"),
            ("abfs://c@account/x", "az storage blob download"),
            ("file:///data/a.zip", "its path: `/data/a.zip`"),
            ("ftp://me:hunter2@host/a", "give the path"),
            ("htps://host/a", "`htps://` is not spoken here"),
            ("https:/host/a", "with two slashes"),
            ("hf:org/repo/a", "with two slashes"),
            (" https://host/a", "a blank before it"),
        ] {
            let error = of(text, text).unwrap_err().to_string();
            assert!(error.contains(advice) && !error.contains("hunter2"), "{error}");
        }
    }
}
