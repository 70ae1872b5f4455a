//! Whether products of f32 may be rounded to TF32.

use std::cell::Cell;

thread_local! {
    static ALLOWED: Cell<bool> = const { Cell::new(false) };
}

/// Lets this thread's products and convolutions of f32 run on tensor cores, which round what they multiply to TF32's ten
/// bits and add in f32; or, from the beginning, not.
pub fn allow(allowed: bool) {
    ALLOWED.set(allowed);
}

/// Whether they may.
pub(crate) fn allowed() -> bool {
    ALLOWED.get()
}
