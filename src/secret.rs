//! Credentials in addresses: recognised, and replaced before anything is printed or stored.

use std::borrow::Cow;

/// Parts of the names of query values that are secrets with everybody who signs addresses.
const SECRET_NAMES: [&str; 11] =
    ["token", "key", "sig", "secret", "pass", "pwd", "auth", "cred", "session", "jwt", "code"];

/// The text with the credentials of its addresses replaced: what stands before an `@`, and query values with the name
/// of a secret. A variable such as `${TOKEN}` is not a secret, its value is.
pub fn masked(text: &str) -> Cow<'_, str> {
    replaced(text, |_| "***".to_owned())
}

/// The same, as wide as the text: for lines with a caret below.
pub fn covered(text: &str) -> Cow<'_, str> {
    replaced(text, |secret| "*".repeat(secret.chars().count()))
}

/// A variable's value as it may be shown: not at all where its name is a secret's.
pub fn of_variable(name: &str, value: &str) -> String {
    if is_secret(name) { "***".to_owned() } else { masked(value).into_owned() }
}

fn replaced(text: &str, cover: impl Fn(&str) -> String) -> Cow<'_, str> {
    if !text.contains("://") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("://") {
        let (before, after) = rest.split_at(start + 3);
        out.push_str(before);
        let (address, others) = after.split_at(after.find(ends_address).unwrap_or(after.len()));
        cover_address(address, &cover, &mut out);
        rest = others;
    }
    out.push_str(rest);
    Cow::Owned(out)
}

fn ends_address(c: char) -> bool {
    c.is_whitespace() || c.is_control() || matches!(c, '`' | '"' | '\'' | '<' | '>' | '|' | '\\')
}

/// `user:password@host/path?token=value`, without what comes before `//`.
fn cover_address(address: &str, cover: &impl Fn(&str) -> String, out: &mut String) {
    let hide = |secret: &str| if is_visible(secret) { secret.to_owned() } else { cover(secret) };
    let authority = address.find(['/', '?', '#']).unwrap_or(address.len());
    // A password may hold a `/` or `?` that should have been escaped: then the `@` comes later, and before any of them
    // there is a `:` that no port follows.
    let user_info = address[..authority].rfind('@').or_else(|| {
        let (_, port) = address[..authority].split_once(':')?;
        let is_port = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
        if is_port || port.starts_with("${") { None } else { address.rfind('@') }
    });
    let rest = match user_info {
        Some(at) => {
            // A name alone may be a token.
            let user_info: Vec<String> = address[..at].splitn(2, ':').map(hide).collect();
            out.push_str(&user_info.join(":"));
            &address[at..]
        }
        None => address,
    };
    let mut name = None;
    let mut from = 0;
    for (i, c) in rest.char_indices().chain([(rest.len(), '&')]) {
        match (c, name) {
            ('=', None) => {
                name = Some(&rest[from..i]);
                out.push_str(&rest[from..=i]);
                from = i + 1;
            }
            ('?' | '#' | '&' | ';', _) => {
                let value = &rest[from..i];
                let secret = name.is_some_and(is_secret);
                out.push_str(&if secret { hide(value) } else { value.to_owned() });
                out.push_str(&rest[i..(i + 1).min(rest.len())]);
                (name, from) = (None, i + 1);
            }
            _ => {}
        }
    }
}

/// Whether nothing stands here but a variable's name.
fn is_visible(secret: &str) -> bool {
    let is_variable = secret
        .strip_prefix("${")
        .and_then(|rest| rest.strip_suffix('}'))
        .is_some_and(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'));
    secret.is_empty() || is_variable
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_NAMES.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_vanish_and_everything_else_stays() {
        for (text, shown) in [
            ("https://user:hunter2@host:8080/a.pkl", "https://***:***@host:8080/a.pkl"),
            ("https://ghp_abc@host/a.pkl", "https://***@host/a.pkl"),
            ("https://user:pa/ss?w@host/a.pkl", "https://***:***@host/a.pkl"),
            ("https://host/a.pkl?token=abc&v=2", "https://host/a.pkl?token=***&v=2"),
            (
                "https://host/a?v=2&X-Amz-Signature=ab;sig=c#access_token=d",
                "https://host/a?v=2&X-Amz-Signature=***;sig=***#access_token=***",
            ),
            (
                "cannot read `https://u:p@h/a?api_key=x`: 404",
                "cannot read `https://***:***@h/a?api_key=***`: 404",
            ),
            ("\"s3://k:s@b/x\", \"http://a/b\"", "\"s3://***:***@b/x\", \"http://a/b\""),
            ("https://user:${TOKEN}@host/a?key=${KEY}", "https://***:${TOKEN}@host/a?key=${KEY}"),
            ("https://user:${TOKEN:-abc}@host/a", "https://***:***@host/a"),
            ("https://host:443/a@b.zip?x=y", "https://host:443/a@b.zip?x=y"),
            ("a b@c ?token=1", "a b@c ?token=1"),
            ("https://", "https://"),
            ("https://host/ä?token=ö&ü=ß", "https://host/ä?token=***&ü=ß"),
        ] {
            assert_eq!(masked(text), shown);
            assert_eq!(masked(shown), shown, "masking twice");
            assert_eq!(covered(text).chars().count(), text.chars().count());
        }
        assert_eq!(covered("a: https://me:pä@h/x # c"), "a: https://**:**@h/x # c");
    }
}
