//! What one iteration may ask of a GPU, and what it does ask.

use std::{env, fs, path::Path, process::Command, sync::Mutex, time::Duration};

use burn::tensor::Device;
use indexmap::IndexMap;
use libtest_mimic::{Failed, Trial};
use serde::{Deserialize, Serialize};
use sida::{
    cli::device,
    kernels::{self, Seat},
    training::Replicas,
};

use crate::{
    ptxas,
    rank::Seated,
    trace::{self, Trace},
    work::{self, Work},
};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cuda/budgets.json");
/// Where the launches of each piece of work are listed by kernel.
const LISTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/cuda/launches");
const ASKED: &str = "TEST_CUDA_WORK";
const UPDATE: &str = "UPDATE_BUDGETS";

/// One part in so many may be more, or fewer: when a tensor is dropped by another thread decides where the next one lies.
const ALLOWANCE: u64 = 50;

/// Pools of memory grow by pages, and how many a network needs differs from run to run: so many of the largest are let pass.
const PAGES: u64 = 2;

/// Iterations before the one that is counted: the adversarial term takes part from the second on, and Adam's moments
/// and the pools of memory are there.
const WARM_UP: usize = 2;

/// Iterations that are counted, of which the second was queued before anybody waited for the first.
const COUNTED: u64 = 2;

/// Work of which another rank does the other half. Each phase of an iteration is one collective.
const OF_TWO: &str = " of two ranks";
const SHARED: [&str; 2] = ["teacher", "sida"];

const PEAK: &str = "peak_bytes";
const COLLECTIVES: &str = "collectives";

/// The share of the memory that `plan` says, within which the peak has to be.
const PLANNED: std::ops::RangeInclusive<f64> = 0.85..=1.15;

/// What is asked of the GPU: at most so much of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Budget {
    launches: u64,
    /// Sums over processes: neither more nor fewer.
    collectives: u64,
    /// Copies from the host to the device.
    uploads: u64,
    upload_bytes: u64,
    /// Copies from the device to the host.
    reads: u64,
    read_bytes: u64,
    /// Most memory that was allocated at a time, from the first iteration on.
    peak_bytes: u64,
}

/// What one of the iterations asks for, of what all that are counted do.
fn each(all: u64) -> u64 {
    all.div_ceil(COUNTED)
}

impl Budget {
    /// Of one of the iterations in `trace`.
    fn of(trace: &Trace, whole: &Trace) -> Self {
        Self {
            launches: each(trace.launches() as u64),
            collectives: each(trace.collectives as u64),
            uploads: each(trace.uploads.len() as u64),
            upload_bytes: each(trace.uploads.iter().sum()),
            reads: each(trace.reads.len() as u64),
            read_bytes: each(trace.reads.iter().sum()),
            peak_bytes: whole.peak,
        }
    }

    fn each(&self) -> [(&'static str, u64); 7] {
        [
            ("launches", self.launches),
            (COLLECTIVES, self.collectives),
            ("uploads", self.uploads),
            ("upload_bytes", self.upload_bytes),
            ("reads", self.reads),
            ("read_bytes", self.read_bytes),
            (PEAK, self.peak_bytes),
        ]
    }
}

/// By network, then by work.
type Budgets = IndexMap<String, IndexMap<String, Budget>>;

/// The work that this process is to do for another one.
pub(crate) fn asked() -> Option<String> {
    env::var(ASKED).ok()
}

/// Does the work `NETWORK WORK`, and says where in the trace the iterations that are counted begin and end.
pub(crate) fn work(asked: &str) {
    let (network, work) = asked.split_once(' ').expect("a network and a work");
    let subject = work::counted().into_iter().find(|subject| subject.name == network);
    let subject = subject.expect("a network that is counted");
    let of_two = work.strip_suffix(OF_TWO);
    if of_two.is_some() {
        // Nobody is there, and the null NCCL does not look.
        kernels::meet_at("127.0.0.1:1");
    }
    let (device, _) = device::choose("cuda:0").unwrap_or_else(|error| panic!("{error}"));
    kernels::allow_tf32(subject.tf32);
    match of_two {
        None => {
            let work = Work::new(work, &subject, &device);
            if let Some(planned) = work.planned_bytes().filter(|_| network.starts_with("cifar10")) {
                println!("planned {planned}");
            }
            iterations(work, &device);
        }
        Some(work) => {
            let seat = Seat { rank: 0, ranks: 2 };
            kernels::join(&device, seat, Duration::from_mins(1)).expect("the null NCCL is there");
            iterations(Work::new(work, &subject, &device).among(Seated(seat)), &device);
        }
    }
}

fn iterations<R: Replicas>(mut work: Work<R>, device: &Device) {
    let mark = || mark(device);
    (0..WARM_UP).for_each(|_| drop(work.step()));
    mark();
    let [first, second] = [work.begin(), work.begin()];
    first();
    second();
    mark();
}

/// Says how long the trace is when all that was asked for is in it. Launches are submitted by a thread of the device: it
/// waits until that has nothing left.
pub(crate) fn mark(device: &Device) {
    device.sync().expect("the device goes on");
    let trace = env::var(trace::VARIABLE).expect("a trace");
    println!("mark {}", fs::metadata(trace).map_or(0, |file| file.len()));
}

/// Each piece of work of each network.
pub(crate) fn trials() -> Vec<Trial> {
    let pairs = work::counted()
        .into_iter()
        .flat_map(|subject| subject.works.iter().map(move |work| (subject.name, (*work).to_owned())));
    let of_two = SHARED.map(|work| ("cifar10", format!("{work}{OF_TWO}")));
    pairs
        .chain(of_two)
        .map(|(network, work)| Trial::test(format!("{network} {work}"), move || trial(network, &work)))
        .collect()
}

fn trial(network: &str, work: &str) -> Result<(), Failed> {
    let Measured { text, whole, planned } = measure(network, work)?;
    let counted = Trace::read(&text);
    let found = Budget::of(&counted, &whole);
    let list: Vec<_> =
        counted.by_kind().iter().map(|(kernel, n)| format!("{:7} {kernel}", each(*n as u64))).collect();
    fs::write(Path::new(LISTS).join(format!("{network}-{work}.txt")), list.join("\n") + "\n")?;
    let (mut wrong, spilling) = ptxas::judge(&whole.compiled)?;
    println!(
        "{network:<8} {work:<8} {:>6} launches, {} collectives, {} uploads of {} bytes, {} reads of {} bytes, {} copies, {} MiB at most; \
         {} kernels compiled and assembled, {spilling} of Burn's spill registers",
        found.launches,
        found.collectives,
        found.uploads,
        found.upload_bytes,
        found.reads,
        found.read_bytes,
        each(counted.copies as u64),
        found.peak_bytes >> 20,
        whole.compiled.len(),
    );
    if env::var_os(UPDATE).is_some() {
        update(network, work, found)?;
    }
    wrong.extend(judge(network, work, found, PAGES * whole.page)?);
    // Images are read when somebody wants them. The numbers of an iteration are copied as soon as they are there, not
    // after all that is queued behind them.
    let behind = text.split_once("\nread ").and_then(|(_, behind)| behind.split_once('\n'));
    let behind = behind.map_or(0, |(_, behind)| Trace::read(behind).launches());
    let launches = found.launches - found.launches / ALLOWANCE;
    if work != "heun" && (behind as u64) < launches {
        wrong.push(format!("only {behind} launches are queued behind the read of the iteration before"));
    }
    if let Some(planned) = planned {
        let share = found.peak_bytes as f64 / planned as f64;
        println!("{network} {work}: {share:.2} of the memory that `plan` says");
        if !PLANNED.contains(&share) {
            wrong.push(format!("memory is {} bytes, `plan` says {planned}", found.peak_bytes));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
}

/// What a piece of work asked of the driver.
struct Measured {
    /// The trace's lines of the iterations that are counted.
    text: String,
    /// Everything from the beginning.
    whole: Trace,
    /// The memory that `plan` says the work needs, where the network is a released one.
    planned: Option<u64>,
}

/// Runs one piece of work in a process of its own.
fn measure(network: &str, work: &str) -> Result<Measured, Failed> {
    fs::create_dir_all(LISTS)?;
    let path = Path::new(LISTS).join(format!("{network}-{work}.trace"));
    fs::write(&path, "")?;
    let child = Command::new(env::current_exe()?)
        .env(ASKED, format!("{network} {work}"))
        .env(trace::VARIABLE, &path)
        .output()?;
    let text = fs::read_to_string(&path)?;
    fs::remove_file(&path)?;
    let whole = Trace::read(&text);
    if !whole.refused.is_empty() {
        return Err(format!("NVRTC refuses {}", whole.refused.join(", ")).into());
    }
    let said = String::from_utf8_lossy(&child.stdout);
    let marks: Vec<usize> =
        said.lines().filter_map(|line| line.strip_prefix("mark ")?.parse().ok()).collect();
    match (&marks[..], child.status.success()) {
        ([begin, end], true) => {
            let planned = said.lines().find_map(|line| line.strip_prefix("planned ")?.parse().ok());
            Ok(Measured { text: text[*begin..*end].trim_start().to_owned(), whole, planned })
        }
        _ => Err(format!("{}\n{}", child.status, String::from_utf8_lossy(&child.stderr)).into()),
    }
}

/// One trial at a time has the file.
static HELD: Mutex<()> = Mutex::new(());

fn budgets() -> Result<Budgets, Failed> {
    Ok(serde_json::from_str(&fs::read_to_string(FILE)?)?)
}

fn update(network: &str, work: &str, found: Budget) -> Result<(), Failed> {
    let _held = HELD.lock();
    let mut all = budgets()?;
    all.entry(network.to_owned()).or_default().insert(work.to_owned(), found);
    all.sort_keys();
    all.values_mut().for_each(IndexMap::sort_keys);
    Ok(fs::write(FILE, serde_json::to_string_pretty(&all)? + "\n")?)
}

/// What goes beyond its budget, of memory by more than so many bytes; what is far below one is printed.
fn judge(network: &str, work: &str, found: Budget, pages: u64) -> Result<Vec<String>, Failed> {
    let held = HELD.lock();
    let all = budgets()?;
    drop(held);
    let Some(budget) = all.get(network).and_then(|works| works.get(work)) else {
        return Err(format!("it has no budget: {UPDATE}=1 writes {FILE} anew").into());
    };
    let mut wrong = Vec::new();
    for ((what, found), (_, budget)) in found.each().into_iter().zip(budget.each()) {
        let pages = if what == PEAK { pages } else { 0 };
        if what == COLLECTIVES && found != budget {
            wrong.push(format!("{what} are {found}, and have to be {budget}"));
        } else if found > budget + pages.max(budget / ALLOWANCE) {
            wrong.push(format!("{what} are {found}, the budget is {budget}; {LISTS}/{network}-{work}.txt lists launches by kernel"));
        } else if found * 11 < budget * 10 {
            println!(
                "{network} {work}: {what} are {found}, the budget of {budget} could be tighter: {UPDATE}=1"
            );
        }
    }
    Ok(wrong)
}
