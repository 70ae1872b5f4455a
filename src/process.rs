//! `Process`: who wrote something, so that what the dead left behind can be told from what the living write.

use std::{fs, sync::LazyLock};

use serde::{Deserialize, Serialize};

/// A process on some machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// When it began, in the system's ticks: numbers come again. Empty where the system does not say.
    started: String,
    /// The machine since it was started, and its space of process numbers: a container may have its own. Empty where the
    /// system does not say.
    machine: String,
}

impl Process {
    /// This one.
    pub fn this() -> Self {
        let pid = std::process::id();
        Self { pid, started: started(pid).unwrap_or_default(), machine: machine().to_owned() }
    }

    /// One of which nothing is known.
    pub fn unknown() -> Self {
        Self { pid: 0, started: String::new(), machine: String::new() }
    }

    /// Whether it is of this machine and has ended. Of others nothing is known.
    pub fn has_died(&self) -> bool {
        !self.machine.is_empty()
            && self.machine == machine()
            && started(self.pid).as_ref() != Some(&self.started)
    }

    /// A part of a file's name from which `of_name` knows the process.
    pub fn name(&self) -> String {
        format!("{}-{}-{}", self.machine, self.pid, self.started)
    }

    /// The process in a name that begins with what `name` gave.
    pub fn of_name(name: &str) -> Option<Self> {
        let mut parts = name.split('-').map(str::to_owned);
        let (machine, pid, started) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Self { pid: pid.parse().ok()?, started, machine })
    }
}

/// The machine's name.
pub fn host() -> String {
    system("/proc/sys/kernel/hostname").unwrap_or_else(|| "this machine".to_owned())
}

fn machine() -> &'static str {
    static MACHINE: LazyLock<String> = LazyLock::new(|| {
        let of_system = || {
            let numbers = fs::read_link("/proc/self/ns/pid").ok()?;
            Some(format!("{} {}", system("/proc/sys/kernel/random/boot_id")?, numbers.display()))
        };
        of_system().map_or_else(String::new, |text| blake3::hash(text.as_bytes()).to_hex()[..16].to_owned())
    });
    &MACHINE
}

/// When a process that lives began.
fn started(pid: u32) -> Option<String> {
    let stat = system(&format!("/proc/{pid}/stat"))?;
    // The name, in parentheses, may hold anything; the state follows it.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let ended = matches!(fields.next()?, "Z" | "X");
    (!ended).then(|| fields.nth(18).map(str::to_owned))?
}

fn system(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_dead_are_known_and_strangers_are_not() {
        let this = Process::this();
        assert!(!this.has_died());
        assert_eq!(Process::of_name(&format!("{}-x7Gh", this.name())), Some(this.clone()));
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let process =
            Process { pid: child.id(), started: started(child.id()).unwrap_or_default(), ..this.clone() };
        child.wait().unwrap();
        assert!(process.has_died());
        assert!(Process { started: "1".into(), ..this.clone() }.has_died(), "its number came again");
        assert!(!Process { machine: "another".into(), ..process }.has_died());
        assert!(!Process::unknown().has_died());
    }
}
