//! `Target`: an address without its credentials, and the header that says them to its own server alone.

use std::env;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use percent_encoding::percent_decode_str;
use ureq::http::Uri;

use super::trouble::Trouble;
use crate::{location::is_hub, secret};

const TOKEN: &str = "HF_TOKEN";

/// Where a request goes.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) uri: Uri,
    /// The `Authorization` header: for this server and no other.
    pub(super) authorization: Option<String>,
}

impl Target {
    /// Of an address with or without credentials; those that stand in it come before `HF_TOKEN`.
    pub(super) fn of(address: &str) -> Result<Self, Trouble> {
        let (plain, user_info) = split(address);
        let uri: Uri = plain.parse().map_err(|_| Trouble::lasting("it is no address"))?;
        let authorization = match user_info {
            Some(user_info) => Some(basic(user_info)),
            None if is_hub(&plain) => token(env::var(TOKEN).ok())?,
            None => None,
        };
        Ok(Self { uri, authorization })
    }

    /// Where a redirect leads. Credentials do not follow it to another server, and `https` does not become `http`.
    pub(super) fn moved(&self, to: &str) -> Result<Self, Trouble> {
        let shown = secret::masked(to);
        let uri = join(&self.uri, to).ok_or_else(|| {
            Trouble::lasting(format!("it has moved to `{shown}`, which is no http(s) address"))
        })?;
        if self.uri.scheme_str() == Some("https") && uri.scheme_str() != Some("https") {
            return Err(Trouble::lasting(format!(
                "it has moved from https to `{shown}`, which anybody on the way could change: refused"
            )));
        }
        let authorization = self.authorization.clone().filter(|_| origin(&uri) == origin(&self.uri));
        Ok(Self { uri, authorization })
    }
}

/// The address without what stands before the `@`, and that.
fn split(address: &str) -> (String, Option<&str>) {
    let start = address.find("://").map_or(0, |at| at + 3);
    let rest = &address[start..];
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    match authority.rfind('@') {
        Some(at) => (format!("{}{}", &address[..start], &rest[at + 1..]), Some(&authority[..at])),
        None => (address.to_owned(), None),
    }
}

/// RFC 7617, of `user:password` as an address writes it; a name alone has an empty password.
fn basic(user_info: &str) -> String {
    let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
    let [user, password] = [user, password].map(|part| percent_decode_str(part).collect::<Vec<u8>>());
    format!("Basic {}", BASE64_STANDARD.encode([user, b":".to_vec(), password].concat()))
}

/// The header of a token, which a header has to be able to hold.
fn token(said: Option<String>) -> Result<Option<String>, Trouble> {
    let said = said.map(|token| token.trim().to_owned()).filter(|token| !token.is_empty());
    match said {
        Some(token) if !token.bytes().all(|b| b.is_ascii_graphic()) => {
            Err(Trouble::lasting(format!("`{TOKEN}` holds characters that no token has")))
        }
        token => Ok(token.map(|token| format!("Bearer {token}"))),
    }
}

/// A server: the kind of its addresses, its name and its port.
fn origin(uri: &Uri) -> (Option<&str>, Option<String>, Option<u16>) {
    let usual = match uri.scheme_str() {
        Some("http") => Some(80),
        Some("https") => Some(443),
        _ => None,
    };
    (uri.scheme_str(), uri.host().map(str::to_ascii_lowercase), uri.port_u16().or(usual))
}

/// The address that `to` means on a page at `from` (RFC 3986, 5.2, as far as servers use it); credentials in it are left out.
fn join(from: &Uri, to: &str) -> Option<Uri> {
    let to = to.split('#').next().unwrap_or_default();
    let (scheme, authority) = (from.scheme_str()?, from.authority()?);
    let is_absolute = to.find("://").is_some_and(|at| to[..at].bytes().all(|b| b.is_ascii_alphanumeric()));
    let whole = if is_absolute {
        to.to_owned()
    } else if let Some(rest) = to.strip_prefix("//") {
        format!("{scheme}://{rest}")
    } else if to.starts_with('/') {
        format!("{scheme}://{authority}{to}")
    } else {
        let folder = from.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        let (path, query) = to.split_at(to.find('?').unwrap_or(to.len()));
        let path =
            if path.is_empty() { from.path().to_owned() } else { dotless(&format!("{folder}/{path}")) };
        format!("{scheme}://{authority}{path}{query}")
    };
    let uri: Uri = split(&whole).0.parse().ok()?;
    let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
    (is_web && uri.host().is_some_and(|host| !host.is_empty())).then_some(uri)
}

/// A path without `.` and `..`.
fn dotless(path: &str) -> String {
    let mut steps: Vec<&str> = Vec::new();
    for step in path.split('/').skip(1) {
        match step {
            "." => {}
            ".." => drop(steps.pop()),
            step => steps.push(step),
        }
    }
    format!("/{}", steps.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(address: &str) -> Target {
        Target::of(address).map_err(|trouble| trouble.said).unwrap()
    }

    #[test]
    fn credentials_become_a_header() {
        let said = |address: &str| target(address).authorization;
        // RFC 7617's own example.
        let aladdin = Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==".to_owned());
        assert_eq!(said("https://Aladdin:open%20sesame@host/a"), aladdin);
        assert_eq!(said("https://token@host/a"), Some(format!("Basic {}", BASE64_STANDARD.encode("token:"))));
        assert_eq!(said("https://host/a@b"), None);
        assert_eq!(target("https://u:p@host:1/a?b=c@d").uri.to_string(), "https://host:1/a?b=c@d");
        assert_eq!(token(Some(" hf_x\n".into())).ok().flatten().as_deref(), Some("Bearer hf_x"));
        assert!(
            token(Some("a\r\nb".into()))
                .is_err_and(|trouble| !trouble.said.contains('b') || trouble.said.contains(TOKEN))
        );
    }

    #[test]
    fn redirects_keep_to_the_rules() {
        let from = target("https://u:p@host/a/b?c");
        for (to, uri, keeps) in [
            ("/x", "https://host/x", true),
            ("x?y", "https://host/a/x?y", true),
            ("../x", "https://host/x", true),
            ("?y", "https://host/a/b?y", true),
            ("HTTPS://HOST:443/x", "https://host:443/x", true),
            ("//other/x", "https://other/x", false),
            ("https://host:444/x", "https://host:444/x", false),
            ("https://sub.host/x", "https://sub.host/x", false),
            ("https://u:p@other/x#f", "https://other/x", false),
        ] {
            let moved = from.moved(to).map_err(|trouble| trouble.said).unwrap();
            assert_eq!(moved.uri.to_string().to_lowercase(), uri, "{to}");
            assert_eq!(moved.authorization.is_some(), keeps, "{to}");
            let back = moved.moved("https://host/back").map_err(|trouble| trouble.said).unwrap();
            assert_eq!(back.authorization.is_some(), keeps, "what is gone stays gone");
        }
        for refused in [
            "http://host/x",
            "http://other/x",
            "file:///etc/passwd",
            "ftp://host/x",
            "https://",
            "data://x y",
        ] {
            assert!(from.moved(refused).is_err(), "{refused}");
        }
        assert!(target("http://host/a").moved("https://host/a").is_ok());
    }
}
