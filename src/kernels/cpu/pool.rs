//! A fork-join pool: workers spin for a moment after a job, then park, so that the thousands of short jobs of
//! a training step pay no wake-up. Which thread runs which part never changes a result.

use std::{
    cell::{Cell, UnsafeCell},
    ffi::OsStr,
    sync::{
        Mutex, OnceLock, TryLockError,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread::{self, Thread},
};

/// Work below this many floating-point operations (or bytes moved) is not worth a second thread.
const WORTH_SHARING: usize = 200_000;
/// Rounds that an idle worker looks for the next job before it parks: some tens of microseconds.
const SPINS: u32 = 20_000;

/// Everything that the caller and the workers share.
struct Shared {
    /// Number of jobs posted so far; a change wakes spinning workers.
    epoch: AtomicUsize,
    /// Whether the job may still be joined.
    open: AtomicBool,
    /// Number of workers looking at the job.
    active: AtomicUsize,
    /// Number of workers that may join this job.
    wanted: AtomicUsize,
    /// Next part to run.
    next: AtomicUsize,
    job: UnsafeCell<Job>,
}

#[derive(Clone, Copy)]
struct Job {
    parts: usize,
    run: Option<*const (dyn Fn(usize) + Sync)>,
}

// SAFETY: `job` is written only while the job is closed and no worker is active, and read only by active workers.
unsafe impl Sync for Shared {}

static SHARED: Shared = Shared {
    epoch: AtomicUsize::new(0),
    open: AtomicBool::new(false),
    active: AtomicUsize::new(0),
    wanted: AtomicUsize::new(0),
    next: AtomicUsize::new(0),
    job: UnsafeCell::new(Job { parts: 0, run: None }),
};

struct Worker {
    thread: Thread,
    asleep: &'static AtomicBool,
}

/// Held by the one caller that has the workers; others run their parts alone meanwhile.
static WORKERS: Mutex<Vec<Worker>> = Mutex::new(Vec::new());

thread_local! {
    static LIMIT: Cell<Option<usize>> = const { Cell::new(None) };
}

/// The variable that says how many threads there are.
pub const THREADS: &str = "RAYON_NUM_THREADS";
/// Threads beyond so many on a processor, or so many at all, only wait for each other.
const MOST: [usize; 2] = [4, 64];

/// Number of threads that work on one call: `RAYON_NUM_THREADS` where set, within reason, else the processors there are.
pub fn threads() -> usize {
    static COUNT: OnceLock<usize> = OnceLock::new();
    LIMIT.get().unwrap_or_else(|| *COUNT.get_or_init(|| asked(std::env::var_os(THREADS).as_deref()).0))
}

/// The number of threads where the variable has this value, and what is wrong with that.
pub fn asked(value: Option<&OsStr>) -> (usize, Option<String>) {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let most = MOST[1].max(MOST[0] * processors);
    let Some(value) = value.filter(|value| !value.is_empty()) else { return (processors, None) };
    let text = value.to_string_lossy();
    let shown: String = text.chars().take(20).flat_map(char::escape_default).collect();
    match text.trim().parse::<u128>() {
        // Rayon's own way to say that it may choose.
        Ok(0) => (processors, None),
        Ok(count) if count <= most as u128 => (count as usize, None),
        Ok(_) => (
            most,
            Some(format!(
                "`{THREADS}={shown}` is too many: there are {most} threads on {processors} processors"
            )),
        ),
        Err(_) => {
            (processors, Some(format!("`{THREADS}={shown}` is no number of threads: there are {processors}")))
        }
    }
}

/// Runs `f` with calls from this thread spread over exactly `count` threads.
pub fn with_threads<R>(count: usize, f: impl FnOnce() -> R) -> R {
    struct Restore(Option<usize>);
    impl Drop for Restore {
        fn drop(&mut self) {
            LIMIT.set(self.0);
        }
    }
    let _restore = Restore(LIMIT.replace(Some(count.max(1))));
    f()
}

/// Runs `run(part)` for every part below `parts`, on several threads where `work` (operations or bytes, all
/// parts together) is worth it. Parts must write to disjoint memory.
pub(crate) fn for_each(parts: usize, work: usize, run: impl Fn(usize) + Sync) {
    let alone = || (0..parts).for_each(&run);
    let threads = threads().min(parts);
    if threads <= 1 || work < WORTH_SHARING {
        return alone();
    }
    // Busy: another thread (a test, a data loader) or an outer call has the workers.
    let mut workers = match WORKERS.try_lock() {
        Ok(workers) => workers,
        Err(TryLockError::Poisoned(workers)) => workers.into_inner(),
        Err(TryLockError::WouldBlock) => return alone(),
    };
    while workers.len() + 1 < threads {
        let worker = spawn(workers.len());
        workers.push(worker);
    }
    post(&workers[..threads - 1], parts, &run);
}

/// Offers the job to these workers, joins in, and returns when it is done.
fn post(workers: &[Worker], parts: usize, run: &(dyn Fn(usize) + Sync)) {
    /// Closes the job even when a part panics: no worker may outlive the borrow of `run`.
    struct Close;
    impl Drop for Close {
        fn drop(&mut self) {
            SHARED.next.store(usize::MAX / 2, SeqCst);
            SHARED.open.store(false, SeqCst);
            let mut spins = 0u32;
            while SHARED.active.load(SeqCst) != 0 {
                // A worker that lost its processor gets no further while we spin.
                if spins < SPINS {
                    std::hint::spin_loop();
                } else {
                    thread::yield_now();
                }
                spins = spins.saturating_add(1);
            }
        }
    }
    #[expect(clippy::transmute_ptr_to_ptr, reason = "a cast cannot erase the lifetime of a trait object")]
    // SAFETY: erases the lifetime only; `Close` waits for every worker before the borrow ends.
    let run_static = unsafe {
        std::mem::transmute::<*const (dyn Fn(usize) + Sync), *const (dyn Fn(usize) + Sync + 'static)>(run)
    };
    // SAFETY: the lock of `WORKERS` is held and the last job is closed with no worker active.
    unsafe { *SHARED.job.get() = Job { parts, run: Some(run_static) } };
    SHARED.next.store(0, SeqCst);
    SHARED.wanted.store(workers.len(), SeqCst);
    SHARED.open.store(true, SeqCst);
    let close = Close;
    SHARED.epoch.fetch_add(1, SeqCst);
    for worker in workers {
        if worker.asleep.load(SeqCst) {
            worker.thread.unpark();
        }
    }
    take_parts(parts, run);
    drop(close);
}

fn take_parts(parts: usize, run: &(dyn Fn(usize) + Sync)) {
    loop {
        let part = SHARED.next.fetch_add(1, SeqCst);
        if part >= parts {
            return;
        }
        run(part);
    }
}

fn spawn(index: usize) -> Worker {
    let asleep: &'static AtomicBool = Box::leak(Box::default());
    let handle = thread::Builder::new()
        .name(format!("kernels-{}", index + 1))
        .spawn(move || work(index, asleep))
        .expect("the system starts a worker thread");
    Worker { thread: handle.thread().clone(), asleep }
}

/// A worker's life.
fn work(index: usize, asleep: &AtomicBool) {
    let mut seen = 0;
    loop {
        seen = wait(seen, asleep);
        SHARED.active.fetch_add(1, SeqCst);
        if SHARED.open.load(SeqCst) && index < SHARED.wanted.load(SeqCst) {
            // SAFETY: the job is open and we are active, so its caller waits for us before it goes away.
            let job = unsafe { *SHARED.job.get() };
            let run = job.run.expect("an open job has something to run");
            // SAFETY: as above.
            let run = unsafe { &*run };
            // A part that panics on a worker would leave its caller with half a result.
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| take_parts(job.parts, run)));
            if done.is_err() {
                std::process::abort();
            }
        }
        SHARED.active.fetch_sub(1, SeqCst);
    }
}

/// Waits for a job after the one `seen`; returns its number.
fn wait(seen: usize, asleep: &AtomicBool) -> usize {
    let mut spins = 0;
    loop {
        let epoch = SHARED.epoch.load(SeqCst);
        if epoch != seen {
            return epoch;
        }
        if spins < SPINS {
            spins += 1;
            std::hint::spin_loop();
            continue;
        }
        asleep.store(true, SeqCst);
        if SHARED.epoch.load(SeqCst) == seen {
            thread::park();
        }
        asleep.store(false, SeqCst);
    }
}

/// The memory of one array, for parts that write to disjoint places of it.
#[derive(Clone, Copy)]
pub(crate) struct Shares(*mut f32, usize);

// SAFETY: only hands out what the callers of `range` promise to be disjoint.
unsafe impl Send for Shares {}
// SAFETY: as above.
unsafe impl Sync for Shares {}

impl Shares {
    pub(crate) fn new(array: &mut [f32]) -> Self {
        Self(array.as_mut_ptr(), array.len())
    }

    /// # Safety
    /// No two live ranges overlap, and the array outlives them.
    #[expect(clippy::mut_from_ref, reason = "the point of this type; see Safety")]
    pub(crate) unsafe fn range(&self, start: usize, len: usize) -> &mut [f32] {
        assert!(start + len <= self.1, "range {start}+{len} of an array of {}", self.1);
        // SAFETY: in bounds as just checked, disjoint as the caller promises.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(start), len) }
    }

    /// Floats of the whole array.
    pub(crate) fn len(&self) -> usize {
        self.1
    }

    /// The address of one element, for kernels that write scattered places.
    pub(crate) fn at(&self, start: usize) -> *mut f32 {
        assert!(start <= self.1, "element {start} of an array of {}", self.1);
        self.0.wrapping_add(start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_threads_as_make_sense() {
        let asked = |text: &str| asked(Some(OsStr::new(text)));
        let processors = asked("").0;
        assert_eq!(asked("3"), (3, None));
        assert_eq!((asked("0"), super::asked(None)), ((processors, None), (processors, None)));
        for text in ["100000", "99999999999999999999999", "65537"] {
            let (count, said) = asked(text);
            assert!(count >= 64 && count <= 64.max(4 * processors), "{text}");
            assert!(said.unwrap().contains("too many"), "{text}");
        }
        for text in
            ["many", "-1", "2.5", "1e3", "\u{1b}[31m", "999999999999999999999999999999999999999999999999"]
        {
            let (count, said) = asked(text);
            let said = said.unwrap();
            assert!(count == processors && said.contains("no number") && !said.contains('\u{1b}'), "{said}");
        }
    }
}
