//! `PeakMemory`: the most memory that this process held at once since a moment, where the system says so (Linux).

use std::fs;

/// A moment from which on the system keeps a new maximum.
#[derive(Debug)]
pub struct PeakMemory {
    /// Whether it does. Where it does not, its maximum is that of the work before, too.
    begun: bool,
}

impl PeakMemory {
    /// Begins now; what another one has begun ends.
    pub fn begin() -> Self {
        Self { begun: fs::write("/proc/self/clear_refs", "5").is_ok() }
    }

    /// In MiB; `None` where the system keeps no maximum of its own from that moment on.
    pub fn mib(&self) -> Option<f64> {
        if self.begun { of_process() } else { None }
    }
}

/// The peak of this process in MiB, since the last `PeakMemory` began, else since itself did; `None` where the system does
/// not say.
pub fn of_process() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<f64>().ok().map(|kib| kib / 1024.0)
}
