//! What rank 0 writes is seen by the others, though perhaps not at once.

use std::{thread::sleep, time::Duration};

use crate::Result;

/// How often, and after what time each, a file system is looked at again.
const LOOKS: u32 = 100;
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// What rank 0 has written, as soon as another rank sees it: a network's file system may be slow to show it. `None` where it
/// does not.
///
/// # Errors
/// What `look` returns.
pub fn shown<T>(mut look: impl FnMut() -> Result<Option<T>>) -> Result<Option<T>> {
    for _ in 0..LOOKS {
        if let Some(seen) = look()? {
            return Ok(Some(seen));
        }
        sleep(LOOK_AGAIN);
    }
    Ok(None)
}
