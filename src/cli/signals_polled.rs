//! Ctrl-C where the system has no signals to wait for, such as Windows: it is noted, and the note is looked at.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use signal_hook::{consts::SIGINT, flag};

const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// What was pressed.
pub(super) struct Signals(Arc<AtomicUsize>);

impl Signals {
    /// Notes Ctrl-C from now on.
    pub(super) fn new() -> io::Result<Self> {
        let noted = Arc::new(AtomicUsize::new(0));
        flag::register_usize(SIGINT, Arc::clone(&noted), 1)?;
        Ok(Self(noted))
    }

    /// Every Ctrl-C, when it comes.
    pub(super) fn forever(&mut self) -> impl Iterator<Item = i32> {
        std::iter::repeat_with(|| {
            while self.0.swap(0, Ordering::SeqCst) == 0 {
                thread::sleep(LOOK_AGAIN);
            }
            SIGINT
        })
    }
}
