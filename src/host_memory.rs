//! The memory of this machine, and what of it this process may have.

use std::{fs, path::Path};

/// Bytes of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostMemory {
    /// All, or as much as a container may have.
    pub total: u64,
    /// What can be given to programs without another's being taken.
    pub available: u64,
}

/// The memory of this machine; `None` where the system does not say, which Linux does.
pub fn read() -> Option<HostMemory> {
    of(Path::new("/"))
}

/// What the files below a root say: those of the machine, and those of the control groups that this process is in.
fn of(root: &Path) -> Option<HostMemory> {
    let text = fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let [total, available] =
        ["MemTotal:", "MemAvailable:"].map(|name| field(&text, name).map(|kib| kib << 10));
    let mut memory = HostMemory { total: total?, available: available? };
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    for group in groups.lines() {
        // `4:memory:/a/b`, or `0::/a/b` of the second version.
        let mut parts = group.splitn(3, ':').skip(1);
        let (Some(of), Some(path)) = (parts.next(), parts.next()) else { continue };
        let (mount, limit, used, cache) = match of {
            "" => ("sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
            "memory" => (
                "sys/fs/cgroup/memory",
                "memory.limit_in_bytes",
                "memory.usage_in_bytes",
                "total_inactive_file",
            ),
            _ => continue,
        };
        // A group's limits hold for those in it; a container may see its own as the outermost.
        for folder in Path::new(path.trim_start_matches('/')).ancestors() {
            let folder = root.join(mount).join(folder);
            let number = |name: &str| fs::read_to_string(folder.join(name)).ok()?.trim().parse::<u64>().ok();
            let (Some(limit), Some(used)) = (number(limit), number(used)) else { continue };
            let stat = fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
            let used = used.saturating_sub(field(&stat, cache).unwrap_or(0));
            memory.total = memory.total.min(limit);
            memory.available = memory.available.min(limit.saturating_sub(used));
        }
    }
    Some(memory)
}

/// The number of the line that begins with a name.
fn field(text: &str, name: &str) -> Option<u64> {
    let mut fields = text.lines().map(str::split_whitespace);
    fields.find_map(|mut line| (line.next()? == name).then(|| line.next())?)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(files: &[(&str, &str)]) -> Option<HostMemory> {
        let root = tempfile::tempdir().unwrap();
        let meminfo = ("proc/meminfo", "MemTotal:  1000 kB\nMemFree: 1 kB\nMemAvailable:  600 kB\n");
        for (name, text) in [meminfo].iter().chain(files) {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        of(root.path())
    }

    #[test]
    fn what_a_container_may_have_is_what_there_is() {
        let kib =
            |total: u64, available: u64| Some(HostMemory { total: total << 10, available: available << 10 });
        assert_eq!(machine(&[]), kib(1000, 600));
        let second = [
            ("proc/self/cgroup", "1:name=systemd:/x\n0::/a/b\n"),
            ("sys/fs/cgroup/a/memory.max", "512000\n"),
            ("sys/fs/cgroup/a/memory.current", "204800\n"),
            ("sys/fs/cgroup/a/memory.stat", "anon 7\ninactive_file 102400\n"),
            ("sys/fs/cgroup/a/b/memory.max", "max\n"),
            ("sys/fs/cgroup/a/b/memory.current", "204800\n"),
        ];
        assert_eq!(machine(&second), kib(500, 400));
        // A container sees its own limits as those of all.
        let first = [
            ("proc/self/cgroup", "4:memory:/docker/1234\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "307200\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "409600\n"),
        ];
        assert_eq!(machine(&first), kib(300, 0), "more is used than may be");
        let unlimited = [
            ("proc/self/cgroup", "4:memory:/\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "409600\n"),
        ];
        assert_eq!(machine(&unlimited), kib(1000, 600));
        assert_eq!(of(Path::new("/nowhere")), None);
    }
}
