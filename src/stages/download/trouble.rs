//! `Trouble`: why an attempt failed, and whether another one may help.

use std::time::{Duration, SystemTime};

use ureq::http::{HeaderMap, StatusCode, header::RETRY_AFTER};

/// Nobody waits longer because a server says so.
const LONGEST_WAIT: Duration = Duration::from_mins(10);
/// Nor between two attempts without such a word.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// Why an attempt failed.
#[derive(Debug)]
pub(super) struct Trouble {
    /// What was seen.
    pub(super) said: String,
    /// Whether another attempt may help.
    pub(super) again: Again,
}

/// Whether another attempt may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// It will not.
    Never,
    /// After a pause; the server may say how long it is at least.
    After(Option<Duration>),
    /// After a pause, from the first byte on: what is there does not fit.
    Anew,
}

impl Trouble {
    /// One that stays.
    pub(super) fn lasting(said: impl Into<String>) -> Self {
        Self { said: said.into(), again: Again::Never }
    }

    /// One that may pass.
    pub(super) fn passing(said: impl Into<String>) -> Self {
        Self { said: said.into(), again: Again::After(None) }
    }

    /// What came before does not fit what the server has now.
    pub(super) fn unfit(said: impl Into<String>) -> Self {
        Self { said: said.into(), again: Again::Anew }
    }

    /// An answer that holds no file.
    pub(super) fn status(status: StatusCode, headers: &HeaderMap) -> Self {
        let name = status.canonical_reason().map(|reason| format!(" {reason}")).unwrap_or_default();
        let said = format!("the server answers {}{name}", status.as_u16());
        let may_pass = status.is_server_error()
            || matches!(
                status,
                StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
            );
        if may_pass {
            let header = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
            let wait = header.and_then(|text| retry_after(text, SystemTime::now()));
            return match wait.filter(|wait| *wait > LONGEST_WAIT) {
                Some(wait) => {
                    Self::lasting(format!("{said}, and to ask again in {} s: run it then", wait.as_secs()))
                }
                None => Self { said, again: Again::After(wait) },
            };
        }
        Self::lasting(match status.as_u16() {
            401 | 403 => format!(
                "{said}: it wants credentials, or others (of Hugging Face, a token in `HF_TOKEN`); or the address has expired"
            ),
            404 | 410 => format!("{said}: there is nothing at this address"),
            _ => said,
        })
    }

    /// What went wrong before or within an answer.
    pub(super) fn of(error: &ureq::Error) -> Self {
        use ureq::Error as E;
        let said = error.to_string();
        match error {
            E::Timeout(_) => Self::passing("the server does not answer in time"),
            E::HostNotFound => Self::passing("the host's name is not known (or the network is not there)"),
            E::Http(_)
            | E::BadUri(_)
            | E::InvalidProxyUrl
            | E::Tls(_)
            | E::Rustls(_)
            | E::LargeResponseHeader(..) => Self::lasting(said),
            _ => Self::passing(said),
        }
    }
}

/// How long to wait, by `Retry-After`: seconds, or a date (RFC 9110, 10.2.3).
fn retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    if text.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty() {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

/// The pause before attempt `next` (the second is 1): doubled each time, and between half of it and all of it by chance, so that
/// many who were refused together do not come together again.
pub(super) fn pause(first: Duration, next: u32, chance: f64) -> Duration {
    let whole = first.saturating_mul(1 << (next - 1).min(16)).min(LONGEST_PAUSE);
    whole.mul_f64(0.5 + 0.5 * chance)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn again(status: u16, retry_after: Option<&'static str>) -> Again {
        let mut headers = HeaderMap::new();
        if let Some(value) = retry_after {
            headers.insert(RETRY_AFTER, value.parse().unwrap());
        }
        Trouble::status(StatusCode::from_u16(status).unwrap(), &headers).again
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        for status in [408, 425, 429, 500, 502, 503, 504, 522] {
            assert_eq!(again(status, None), Again::After(None), "{status}");
        }
        for status in [204, 304, 400, 401, 403, 404, 410, 416, 451] {
            assert_eq!(again(status, None), Again::Never, "{status}");
        }
        assert_eq!(again(429, Some("7")), Again::After(Some(Duration::from_secs(7))));
        assert_eq!(again(503, Some("99999999999999999999999")), Again::Never, "nobody waits so long");
        assert_eq!(again(503, Some("3601")), Again::Never);
        assert_eq!(again(503, Some("soon")), Again::After(None));
        assert_eq!(again(503, Some("")), Again::After(None));
    }

    #[test]
    fn a_server_gives_seconds_or_a_date() {
        // RFC 9110's own example of a date.
        let now = UNIX_EPOCH + Duration::from_secs(784111777 - 30);
        for (text, wait) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(30)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(30)),
            ("Sun Nov  6 08:49:37 1994", Some(30)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("-1", None),
            ("1.5", None),
        ] {
            assert_eq!(retry_after(text, now), wait.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn pauses_double_and_differ() {
        let second = Duration::from_secs(1);
        let longest: Vec<u64> = (1..=9).map(|next| pause(second, next, 1.0).as_secs()).collect();
        assert_eq!(longest, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(pause(second, 3, 0.0), Duration::from_secs(2));
        assert_eq!(pause(second, u32::MAX, 0.0), Duration::from_secs(30));
    }
}
