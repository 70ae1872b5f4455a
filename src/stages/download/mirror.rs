//! `Mirrors`: servers that are asked in the place of others.

use std::borrow::Cow;

use crate::{Error, Result, secret};

/// Beginnings of addresses, and what stands in their place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mirrors(Vec<(String, String)>);

impl Mirrors {
    /// Of texts `PREFIX=PREFIX`.
    ///
    /// # Errors
    /// `Usage` for anything else.
    pub fn parse(texts: &[String]) -> Result<Self> {
        texts.iter().map(|text| one(text)).collect::<Result<_>>().map(Self)
    }

    /// Where an address is asked for: of all beginnings that fit, the longest counts. A beginning ends where a part of the
    /// address does: no other host is meant by a name that goes on.
    pub(super) fn apply<'a>(&self, address: &'a str) -> Cow<'a, str> {
        let rest = |from: &str| {
            let rest = address.strip_prefix(from)?;
            (from.ends_with('/') || rest.is_empty() || rest.starts_with(['/', '?'])).then_some(rest)
        };
        let fitting = self.0.iter().filter_map(|(from, to)| Some((from.len(), to, rest(from)?)));
        match fitting.max_by_key(|(length, ..)| *length) {
            Some((_, to, rest)) => Cow::Owned(format!("{to}{rest}")),
            None => Cow::Borrowed(address),
        }
    }
}

fn one(text: &str) -> Result<(String, String)> {
    let is_web = |text: &str| text.starts_with("https://") || text.starts_with("http://");
    // A `=` may stand in a query, too.
    let halves = text.match_indices('=').map(|(at, _)| (&text[..at], &text[at + 1..]));
    let (from, to) = halves.into_iter().find(|(from, to)| is_web(from) && is_web(to)).ok_or_else(|| {
        Error::Usage(format!(
            "`--mirror {}`: write `https://BEGINNING=https://BEGINNING`, what addresses begin with and what is asked for instead",
            secret::masked(text)
        ))
    })?;
    if from.starts_with("https://") && to.starts_with("http://") {
        tracing::warn!("`--mirror {}`: what comes is not encrypted on its way", secret::masked(text));
    }
    Ok((from.to_owned(), to.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_beginning_counts_and_only_whole_parts() {
        let mirrors = [
            "https://a.org=http://m/a",
            "https://a.org/deep/=https://deep/",
            "https://b.org/?x=1=https://m/b?y=1",
        ];
        let mirrors = Mirrors::parse(&mirrors.map(str::to_owned)).unwrap();
        for (address, asked) in [
            ("https://a.org/x.pkl", "http://m/a/x.pkl"),
            ("https://a.org", "http://m/a"),
            ("https://a.org/deep/x.pkl?v=1", "https://deep/x.pkl?v=1"),
            ("https://a.org/deeper", "http://m/a/deeper"),
            ("https://a.org.evil.com/x", "https://a.org.evil.com/x"),
            ("https://b.org/?x=1", "https://m/b?y=1"),
            ("https://c.org/x", "https://c.org/x"),
        ] {
            assert_eq!(mirrors.apply(address), asked, "{address}");
        }
        for wrong in ["https://a.org", "a=b", "https://a=", "=https://a", "s3://a=https://b"] {
            assert!(Mirrors::parse(&[wrong.to_owned()]).is_err(), "{wrong}");
        }
    }
}
