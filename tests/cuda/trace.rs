//! What the driver without a GPU wrote down: one line for each call that counts (`tools/`).

use std::path::PathBuf;

use indexmap::IndexMap;

/// Where the driver's lines go.
pub(crate) const VARIABLE: &str = "TEST_CUDA_TRACE";

/// What a stretch of the trace comes to.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    /// How often each kernel was launched, by its name.
    pub(crate) kernels: IndexMap<String, usize>,
    /// Replays of captured graphs.
    pub(crate) graphs: usize,
    /// Bytes of each copy from the host to the device, and back.
    pub(crate) uploads: Vec<u64>,
    pub(crate) reads: Vec<u64>,
    /// Copies and fillings by the driver, within the device.
    pub(crate) copies: usize,
    /// Sums over processes.
    pub(crate) collectives: usize,
    /// How often the host waited for the device.
    pub(crate) waits: usize,
    /// Most bytes that were allocated at a time, up to the end of the stretch.
    pub(crate) peak: u64,
    /// Bytes of the largest allocation.
    pub(crate) page: u64,
    /// Names and files of the kernels that the compiler refused.
    pub(crate) refused: Vec<String>,
    /// Files of compiled kernels, by their names.
    pub(crate) compiled: Vec<(String, PathBuf)>,
}

impl Trace {
    pub(crate) fn read(text: &str) -> Self {
        let mut all = Self::default();
        for line in text.lines() {
            let (what, rest) = line.split_once(' ').unwrap_or((line, ""));
            let first = rest.split(' ').next().unwrap_or_default();
            let bytes =
                || first.parse::<u64>().unwrap_or_else(|_| panic!("`{line}` is no line of the trace"));
            match what {
                "launch" => *all.kernels.entry(first.to_owned()).or_default() += 1,
                "graph" => all.graphs += 1,
                "upload" => all.uploads.push(bytes()),
                "read" => all.reads.push(bytes()),
                "copy" | "set" => all.copies += 1,
                "collective" => all.collectives += 1,
                "sync" => all.waits += 1,
                "alloc" => {
                    all.page = all.page.max(bytes());
                    let peak = rest.rsplit(' ').next().and_then(|n| n.parse().ok());
                    all.peak = peak.unwrap_or_else(|| panic!("`{line}` is no line of the trace"));
                }
                "refused" => all.refused.push(rest.to_owned()),
                "kernel" => {
                    let file = rest.split_once(' ').map_or("-", |(_, file)| file);
                    all.compiled.push((first.to_owned(), PathBuf::from(file)));
                }
                // These cost nothing that is counted.
                "free" | "pinned" | "wait" | "capture" | "join" => {}
                _ => panic!("`{line}` is no line of the trace"),
            }
        }
        all
    }

    pub(crate) fn launches(&self) -> usize {
        self.kernels.values().sum::<usize>() + self.graphs
    }

    /// Kernels with their counts, the most frequent first. CubeCL's hash at the end of a name tells variants apart, and is
    /// left out.
    pub(crate) fn by_kind(&self) -> Vec<(&str, usize)> {
        let mut kinds = IndexMap::<&str, usize>::new();
        for (name, n) in &self.kernels {
            *kinds.entry(name.rsplit_once('_').map_or(name.as_str(), |(kind, _)| kind)).or_default() += n;
        }
        let mut kinds: Vec<_> = kinds.into_iter().collect();
        kinds.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        kinds
    }
}
