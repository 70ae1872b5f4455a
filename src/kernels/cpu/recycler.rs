//! An allocator that keeps large blocks for the next one who asks. A training step allocates the same hundreds of
//! megabytes again and again; given back to the system each time, they would cost a page fault per 4 KiB.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    io::Write as _,
    ptr::null_mut,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// The global allocator of programs that train: `#[global_allocator] static ALLOCATOR: Recycler = Recycler;`.
///
/// Blocks from 16 KiB on are rounded up by at most an eighth and kept when they are freed, as long as blocks in
/// use and kept together do not exceed the most that was ever in use by more than a quarter.
///
/// mimalloc 0.1.52 in its place (whole steps in turns, two cores, a busy machine): digits and small32 take 0.9-1.0 of
/// the time, digits with up to twice the memory; but the teachers of wide32 and edm2 take 1.1-1.3, because by default it
/// soon gives large blocks back to the system.
#[derive(Debug)]
pub struct Recycler;

impl Recycler {
    /// The most bytes that were in use at a time, in blocks that it keeps.
    pub fn most_in_use() -> usize {
        MOST_IN_USE.load(Relaxed)
    }
}

/// Smaller blocks are left to the system.
const SMALLEST: usize = 1 << SMALLEST_LOG;
const SMALLEST_LOG: usize = 14;
/// Sizes are a multiple of an eighth of the power of two below them.
const STEPS_LOG: usize = 3;
const CLASSES: usize = (48 - SMALLEST_LOG) << STEPS_LOG;
/// All kept blocks begin on a cache line.
const ALIGN: usize = 64;
/// What may be kept in any case.
const SLACK: usize = 32 << 20;

/// Kept blocks: the address of the first, which begins with the rest of the list; null at the end.
struct List(*mut List);

// SAFETY: kept blocks belong to their list alone.
unsafe impl Send for List {}

/// The kept blocks of every class.
static KEPT: [Mutex<List>; CLASSES] = [const { Mutex::new(List(null_mut())) }; CLASSES];
static BYTES_IN_USE: AtomicUsize = AtomicUsize::new(0);
static BYTES_KEPT: AtomicUsize = AtomicUsize::new(0);
static MOST_IN_USE: AtomicUsize = AtomicUsize::new(0);

/// The class whose blocks hold `size` bytes, and their size.
fn class(size: usize) -> (usize, usize) {
    let log = size.ilog2() as usize;
    let step = 1 << (log - STEPS_LOG);
    let rounded = size.next_multiple_of(step);
    // Rounding up may reach the next power of two, whose first class comes next anyway.
    let index = ((log - SMALLEST_LOG) << STEPS_LOG) + (rounded - (1 << log)) / step;
    (index, rounded)
}

fn list(class: usize) -> MutexGuard<'static, List> {
    KEPT[class].lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes a kept block of this class; null where there is none.
fn take(class: usize, size: usize) -> *mut u8 {
    let mut list = list(class);
    let block = list.0;
    if !block.is_null() {
        // SAFETY: kept blocks are ours and begin with the rest of their list.
        *list = unsafe { block.read() };
        BYTES_KEPT.fetch_sub(size, Relaxed);
    }
    block.cast()
}

fn handled(layout: &Layout) -> bool {
    layout.size() >= SMALLEST && layout.align() <= ALIGN && layout.size() < 1 << 47
}

/// Gives kept blocks back to the system until the limit holds.
fn trim() {
    let limit = || MOST_IN_USE.load(Relaxed) / 4 * 5 + SLACK;
    give_back(|| BYTES_IN_USE.load(Relaxed) + BYTES_KEPT.load(Relaxed) > limit());
}

/// Gives kept blocks back to the system, the largest first, as long as there are `too_many`.
fn give_back(too_many: impl Fn() -> bool) {
    for class in (0..CLASSES).rev() {
        let step = 1usize << ((class >> STEPS_LOG) + SMALLEST_LOG - STEPS_LOG);
        let size = ((1 << STEPS_LOG) + (class & ((1 << STEPS_LOG) - 1))) * step;
        while too_many() {
            let block = take(class, size);
            if block.is_null() {
                break;
            }
            // SAFETY: allocated by us with this layout.
            unsafe { System.dealloc(block, Layout::from_size_align_unchecked(size, ALIGN)) };
        }
    }
}

/// A block of this size; whether it is fresh from the system, hence zero where `zeroed` asked for it.
fn allocate(size: usize, zeroed: bool) -> (*mut u8, bool) {
    let (class, size) = class(size);
    let in_use = BYTES_IN_USE.fetch_add(size, Relaxed) + size;
    MOST_IN_USE.fetch_max(in_use, Relaxed);
    let kept = take(class, size);
    if !kept.is_null() {
        return (kept, false);
    }
    trim();
    // SAFETY: the size is not zero and the alignment a power of two.
    let ask = || unsafe {
        let layout = Layout::from_size_align_unchecked(size, ALIGN);
        if zeroed { System.alloc_zeroed(layout) } else { System.alloc(layout) }
    };
    let mut block = ask();
    if block.is_null() {
        give_back(|| true);
        block = ask();
    }
    (there(block, size), true)
}

/// A block that the system gave; where it gave none the program ends, in a sentence and without asking for more.
fn there(block: *mut u8, size: usize) -> *mut u8 {
    if block.is_null() { out_of_memory(size) } else { block }
}

#[cfg(unix)]
fn out_of_memory(size: usize) -> ! {
    let mut buffer = [0; 256];
    let mut rest = &mut buffer[..];
    // It fits; a shorter sentence would do, too.
    let _ = writeln!(
        rest,
        "error: out of memory: {} MiB more were asked for. A smaller `microbatch_size` or `batch_size` needs less (`sida plan` says \
         how much); what is finished is saved",
        size.div_ceil(1 << 20)
    );
    let left = rest.len();
    let text = &buffer[..buffer.len() - left];
    // SAFETY: the text is there for as long as it is read. No destructor of another thread's has to run: all that matters is
    // written whole or not at all.
    unsafe {
        libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len());
        libc::_exit(1)
    }
}

#[cfg(not(unix))]
fn out_of_memory(size: usize) -> ! {
    let layout = Layout::from_size_align(size, ALIGN).unwrap_or(Layout::new::<u8>());
    std::alloc::handle_alloc_error(layout)
}

// SAFETY: blocks come from `System` with at least the size and alignment asked for, and belong to one owner at a
// time: they are either in use or in exactly one list.
unsafe impl GlobalAlloc for Recycler {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if handled(&layout) {
            return allocate(layout.size(), false).0;
        }
        // SAFETY: as the caller vouches.
        there(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if !handled(&layout) {
            // SAFETY: as the caller vouches.
            return there(unsafe { System.alloc_zeroed(layout) }, layout.size());
        }
        let (block, fresh) = allocate(layout.size(), true);
        if !fresh {
            // SAFETY: the block is as large, and the caller's alone from here on.
            unsafe { block.write_bytes(0, layout.size()) }
        }
        block
    }

    #[expect(clippy::cast_ptr_alignment, reason = "blocks begin on a cache line")]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if !handled(&layout) {
            // SAFETY: it came from there; the rest as the caller vouches.
            return unsafe { System.dealloc(block, layout) };
        }
        let (class, size) = class(layout.size());
        let block = block.cast::<List>();
        let mut list = list(class);
        // SAFETY: the caller gives the block away, which is large enough and on a cache line.
        unsafe { block.write(std::mem::replace(&mut *list, List(block))) };
        BYTES_IN_USE.fetch_sub(size, Relaxed);
        BYTES_KEPT.fetch_add(size, Relaxed);
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let Ok(new) = Layout::from_size_align(new_size, layout.align()) else { return null_mut() };
        match (handled(&layout), handled(&new)) {
            // SAFETY: it came from there; the rest as the caller vouches.
            (false, false) => there(unsafe { System.realloc(block, layout, new_size) }, new_size),
            (true, true) if class(layout.size()) == class(new_size) => block,
            // SAFETY: both blocks hold what is copied; the rest as the caller vouches.
            _ => unsafe {
                let to = self.alloc(new);
                to.copy_from_nonoverlapping(block, layout.size().min(new_size));
                self.dealloc(block, layout);
                to
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_hold_what_they_are_for() {
        let mut last = 0;
        for size in (SMALLEST..1 << 20).step_by(7) {
            let (class, rounded) = class(size);
            assert!(rounded >= size && rounded - size <= size / 8, "{size} in {rounded}");
            assert!(class >= last && super::class(rounded) == (class, rounded), "{size} in class {class}");
            last = class;
        }
    }

    #[test]
    fn blocks_come_back() {
        let layout = Layout::from_size_align(100_003, 4).unwrap();
        // SAFETY: used as any allocator.
        unsafe {
            let first = Recycler.alloc(layout);
            first.write_bytes(7, layout.size());
            Recycler.dealloc(first, layout);
            let second = Recycler.alloc_zeroed(layout);
            assert_eq!(first, second);
            assert!(std::slice::from_raw_parts(second, layout.size()).iter().all(|byte| *byte == 0));
            *second = 9;
            let third = Recycler.realloc(second, layout, 300_000);
            assert_eq!(*third, 9);
            let large = Layout::from_size_align(300_000, 4).unwrap();
            let fourth = Recycler.realloc(third, large, 1000);
            assert_eq!(*fourth, 9);
            Recycler.dealloc(fourth, Layout::from_size_align(1000, 4).unwrap());
        }
    }
}
