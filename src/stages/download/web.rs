//! `Web`: what of the network may be used, and how long it is waited for.

use std::time::Duration;

use super::mirror::Mirrors;

/// What of the network may be used.
#[derive(Clone, Debug)]
pub struct Web {
    /// Nobody is asked.
    pub offline: bool,
    /// Who is asked in the place of others.
    pub mirrors: Mirrors,
    /// A server that sends less than `download::LEAST` bytes in so long is given up.
    pub patience: Duration,
    /// The wait before the second attempt, doubled before each further one.
    pub pause: Duration,
}

impl Default for Web {
    fn default() -> Self {
        Self {
            offline: false,
            mirrors: Mirrors::default(),
            patience: Duration::from_mins(1),
            pause: Duration::from_secs(1),
        }
    }
}
