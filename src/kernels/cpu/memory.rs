//! Memory that nobody clears: working memory of a thread, and arrays that are written at once.

use std::cell::RefCell;

/// Runs `f` on working memory of this thread: at least `len` floats of arbitrary but initialised values.
pub(crate) fn with_scratch<R>(len: usize, f: impl FnOnce(&mut [f32]) -> R) -> R {
    /// Cache-line alignment.
    #[repr(align(64))]
    #[derive(Clone, Copy)]
    struct Line(#[expect(dead_code, reason = "memory, seen as a slice")] [f32; 16]);
    thread_local! {
        static FREE: RefCell<Vec<Vec<Line>>> = const { RefCell::new(Vec::new()) };
    }
    // A stack, so that nested calls find again what they had last time.
    let mut lines = FREE.with_borrow_mut(Vec::pop).unwrap_or_default();
    let needed = len.div_ceil(16);
    if lines.len() < needed {
        lines = vec![Line([0.0; 16]); needed];
    }
    // SAFETY: `Line` is 16 f32 without padding.
    let floats =
        unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast::<f32>(), lines.len() * 16) };
    let result = f(&mut floats[..len]);
    FREE.with_borrow_mut(|free| free.push(lines));
    result
}

/// `len` values, all of which `fill` must write. Spares the pass over memory that zeros would take.
pub fn filled(len: usize, fill: impl FnOnce(&mut [f32])) -> Vec<f32> {
    let mut values = arbitrary(len);
    fill(&mut values);
    values
}

/// Values that nobody has written, so that some are not what anybody expects.
#[cfg(all(not(debug_assertions), any(target_arch = "x86_64", target_arch = "aarch64")))]
fn arbitrary(len: usize) -> Vec<f32> {
    let mut values = Vec::<f32>::with_capacity(len);
    // SAFETY: any bits are an f32. There is no instruction in this assembly; but for all that the compiler knows it
    // has written them, so that to read one is to read an unknown value, and not undefined behaviour.
    unsafe {
        std::arch::asm!("/* {} */", in(reg) values.as_mut_ptr(), options(nostack, preserves_flags));
        values.set_len(len);
    }
    values
}

/// The same where a forgotten element should show up in every test.
#[cfg(not(all(not(debug_assertions), any(target_arch = "x86_64", target_arch = "aarch64"))))]
fn arbitrary(len: usize) -> Vec<f32> {
    vec![f32::NAN; len]
}
