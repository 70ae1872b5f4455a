//! Readers of foreign files get damaged and hostile ones: they answer, never panic, and stay within time and memory.
//!
//! A few seconds as it is; `SIDA_FUZZ_CASES=100000 cargo test --release --test fuzz` for a night.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
    time::{Duration, Instant},
};

use proptest::{prelude::*, sample::Index, test_runner::TestRunner};
use sida::{
    checkpoint::{ReferenceSnapshot, ReferenceTrainingState, ScriptModule},
    formats::{
        FidStatistics, FileBytes, npy,
        pickle::Pickle,
        safetensors,
        zip::{Limits, ZipArchive},
    },
};

/// No file of the corpus is larger than a megabyte; nothing made from one may cost much more.
const SLOWEST: Duration = Duration::from_secs(10);
const MEMORY: u64 = 1 << 30;

// ------------------------------------------------------------------ the corpus

fn corpus(extensions: &[&str]) -> Vec<Vec<u8>> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut paths: Vec<PathBuf> = fs::read_dir(fixtures)
        .expect("readable fixtures")
        .flat_map(|case| fs::read_dir(case.expect("readable fixtures").path()).into_iter().flatten())
        .map(|entry| entry.expect("readable fixtures").path())
        .filter(|path| path.extension().is_some_and(|e| extensions.iter().any(|wanted| e == *wanted)))
        .filter(|path| fs::metadata(path).is_ok_and(|m| m.len() < 1 << 20))
        .collect();
    paths.sort();
    let files: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).expect("readable fixtures")).collect();
    assert!(!files.is_empty(), "the fixtures hold no {extensions:?}");
    files
}

/// The Python 2 pickles of CIFAR-10.
fn cifar_batches() -> Vec<Vec<u8>> {
    let path = "tests/fixtures/dataset-04-cifar10-mini/cifar-10-python.tar.gz";
    let file = fs::File::open(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("readable fixtures");
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(file));
    let read = |entry: std::io::Result<tar::Entry<_>>| {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut entry.expect("readable fixtures"), &mut bytes)
            .expect("readable fixtures");
        bytes
    };
    archive.entries().expect("readable fixtures").map(read).filter(|bytes| !bytes.is_empty()).collect()
}

// ------------------------------------------------------------------ mutations

#[derive(Clone, Debug)]
enum Mutation {
    Flip(Index, u8),
    Set(Index, u8),
    Number(Index, u64),
    Truncate(Index),
    Delete(Index, Index),
    Repeat(Index, Index),
    Splice { file: Index, from: Index, at: Index, len: Index },
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = any::<Index>;
    let number = prop_oneof![
        Just(0),
        Just(u64::MAX),
        Just(1 << 63),
        Just(0xffff_ffff),
        Just(0x7fff_ffff_ffff_ffff),
        any::<u64>(),
        0u64..100_000
    ];
    prop_oneof![
        4 => (at(), 0u8..8).prop_map(|(i, bit)| Mutation::Flip(i, bit)),
        4 => (at(), any::<u8>()).prop_map(|(i, byte)| Mutation::Set(i, byte)),
        3 => (at(), number).prop_map(|(i, n)| Mutation::Number(i, n)),
        1 => at().prop_map(Mutation::Truncate),
        2 => (at(), at()).prop_map(|(i, n)| Mutation::Delete(i, n)),
        2 => (at(), at()).prop_map(|(i, n)| Mutation::Repeat(i, n)),
        2 => (at(), at(), at(), at()).prop_map(|(file, from, at, len)| Mutation::Splice { file, from, at, len }),
    ]
}

/// Headers, directories and instructions are where damage is interesting: half of the places are near an end.
fn place(index: Index, len: usize) -> usize {
    match index.index(4) {
        0 => index.index(len.min(2048)),
        1 => len - 1 - index.index(len.min(2048)),
        _ => index.index(len),
    }
}

fn mutate(corpus: &[Vec<u8>], start: Index, mutations: &[Mutation]) -> Vec<u8> {
    let mut bytes = start.get(corpus).clone();
    for mutation in mutations {
        if bytes.is_empty() {
            break;
        }
        let len = bytes.len();
        let stretch = |from: usize, n: Index, most: usize| from..(from + 1 + n.index(most)).min(len);
        match *mutation {
            Mutation::Flip(i, bit) => bytes[place(i, len)] ^= 1 << bit,
            Mutation::Set(i, byte) => bytes[place(i, len)] = byte,
            Mutation::Number(i, number) => {
                let at = place(i, len);
                let width = (len - at).min(if number > u64::from(u32::MAX) { 8 } else { 4 });
                bytes[at..at + width].copy_from_slice(&number.to_le_bytes()[..width]);
            }
            Mutation::Truncate(i) => bytes.truncate(place(i, len)),
            Mutation::Delete(i, n) => drop(bytes.drain(stretch(place(i, len), n, 64))),
            Mutation::Repeat(i, n) => {
                let range = stretch(place(i, len), n, 4096);
                let (end, copy) = (range.end, bytes[range].to_vec());
                bytes.splice(end..end, copy);
            }
            Mutation::Splice { file, from, at, len: n } => {
                let other = file.get(corpus);
                let from = place(from, other.len());
                let copy = other[from..(from + 1 + n.index(4096)).min(other.len())].to_vec();
                let at = place(at, len);
                bytes.splice(at..at, copy);
            }
        }
    }
    bytes
}

// ------------------------------------------------------------------ running

fn cases() -> u32 {
    std::env::var("SIDA_FUZZ_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(400)
}

/// Feeds `read` with values of `strategy`; watches the clock and the process's peak memory.
fn fuzz<S: Strategy>(strategy: S, bytes: impl Fn(S::Value) -> Vec<u8>, read: impl Fn(Vec<u8>)) {
    let config = ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() };
    let outcome = TestRunner::new(config).run(&strategy, |value| {
        let bytes = bytes(value);
        let start = Instant::now();
        read(bytes);
        prop_assert!(start.elapsed() < SLOWEST, "took {:?}", start.elapsed());
        Ok(())
    });
    if let Err(why) = outcome {
        panic!("{why}");
    }
    if let Some(peak) = peak_memory() {
        assert!(peak < MEMORY, "{peak} bytes of memory were in use at once");
    }
}

fn fuzz_files(files: &[Vec<u8>], read: impl Fn(Vec<u8>)) {
    files.iter().cloned().for_each(&read); // undamaged first
    let strategy = (any::<Index>(), prop::collection::vec(mutation(), 1..6));
    fuzz(strategy, |(start, mutations)| mutate(files, start, &mutations), read);
}

fn peak_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
}

fn memory(bytes: Vec<u8>) -> FileBytes {
    FileBytes::memory("fuzzed", bytes)
}

/// Everything that is ever asked of a pickle, whatever it claims to be.
fn read_pickle(bytes: Vec<u8>) {
    if let Ok(pickle) = Pickle::read(memory(bytes.clone()), "pickle") {
        let root = pickle.root();
        let _ = (pickle.json(root).is_ok(), pickle.tensor(root).is_ok(), pickle.array(root).is_ok());
        for (_, value) in pickle.fields(root).unwrap_or_default() {
            let _ = (pickle.json(value).is_ok(), pickle.array(value).is_ok(), pickle.bytes(value).is_ok());
        }
    }
    if let Ok(snapshot) = ReferenceSnapshot::read(memory(bytes.clone())) {
        let _ = snapshot.encoder();
        if let Ok(network) = snapshot.ema() {
            let _ = network.config();
        }
    }
    let _ = ReferenceTrainingState::read(memory(bytes.clone()));
    let _ = ScriptModule::read(memory(bytes.clone()));
    let _ = FidStatistics::read(memory(bytes));
}

fn read_zip(bytes: Vec<u8>) {
    let limits = Limits { entries: 10_000, entry_size: 16 << 20 };
    if let Ok(archive) = ZipArchive::new(memory(bytes), "zip", limits) {
        for entry in archive.entries().iter().take(100) {
            let _ = (archive.read(entry).is_ok(), archive.span(entry).is_ok());
        }
    }
}

fn read_npz(bytes: Vec<u8>) {
    let limits = Limits { entries: 10_000, entry_size: 16 << 20 };
    if let Ok(npz) = ZipArchive::new(memory(bytes.clone()), "npz", limits) {
        for entry in npz.entries().iter().take(100) {
            let _ = npz.read(entry).map(npy::parse);
        }
    }
    let _ = FidStatistics::read(memory(bytes));
}

fn read_safetensors(bytes: Vec<u8>) {
    let _ = safetensors::read_source(&memory(bytes));
}

// ------------------------------------------------------------------ the properties

fn snapshots() -> &'static [Vec<u8>] {
    static FILES: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    FILES.get_or_init(|| corpus(&["pkl"]))
}

#[test]
fn damaged_snapshots() {
    fuzz_files(snapshots(), read_pickle);
}

#[test]
fn damaged_training_states() {
    fuzz_files(&corpus(&["pt"]), read_pickle);
}

#[test]
fn damaged_torchscript() {
    let file =
        |name: &str| fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/torchscript").join(name));
    let files = ["module.pt", "traced.pt"].map(|name| file(name).expect("readable fixtures"));
    let whole = |bytes: &Vec<u8>| matches!(ScriptModule::read(memory(bytes.clone())), Ok(Some(_)));
    assert!(files.iter().all(whole), "damaged before anything was done to them");
    fuzz_files(&files, read_pickle);
}

#[test]
fn damaged_python_2_pickles() {
    fuzz_files(&cifar_batches(), read_pickle);
}

#[test]
fn damaged_zips() {
    fuzz_files(&corpus(&["zip"]), read_zip);
}

#[test]
fn damaged_npz() {
    fuzz_files(&corpus(&["npz"]), read_npz);
}

#[test]
fn damaged_safetensors() {
    fuzz_files(&corpus(&["safetensors"]), read_safetensors);
}

#[test]
fn bytes_of_any_kind() {
    let heads: [&[u8]; 6] =
        [b"", b"\x80\x04", b"PK\x03\x04", b"\x93NUMPY\x01\x00", b"\x80\x02\x8a\x0a", b"PK\x05\x06"];
    let strategy = (any::<Index>(), prop::collection::vec(any::<u8>(), 0..2000));
    fuzz(
        strategy,
        |(head, tail)| [*head.get(&heads), &tail].concat(),
        |bytes| {
            read_pickle(bytes.clone());
            read_zip(bytes.clone());
            read_npz(bytes.clone());
            read_safetensors(bytes);
        },
    );
}

/// One well-formed instruction: programs of these reach much further than random bytes.
fn instruction() -> impl Strategy<Value = Vec<u8>> {
    let text = prop_oneof![
        Just("ema".to_owned()),
        Just("state".to_owned()),
        Just("class_name".to_owned()),
        Just("_parameters".to_owned()),
        Just("_modules".to_owned()),
        Just("latin1".to_owned()),
        "[a-z]{0,6}",
    ];
    let global = prop_oneof![
        Just("collections\nOrderedDict\n"),
        Just("torch_utils.persistence\n_reconstruct_persistent_obj\n"),
        Just("torch._utils\n_rebuild_tensor_v2\n"),
        Just("torch._utils\n_rebuild_parameter\n"),
        Just("torch.storage\n_load_from_bytes\n"),
        Just("torch.nn.modules.container\nModuleDict\n"),
        Just("numpy\ndtype\n"),
        Just("numpy.core.multiarray\n_reconstruct\n"),
        Just("numpy.core.multiarray\nscalar\n"),
        Just("_codecs\nencode\n"),
        Just("dnnlib.util\nEasyDict\n"),
        Just("builtins\ngetattr\n"),
        Just("os\nsystem\n"),
    ];
    let lone = prop::sample::select(
        b"N\x88\x89)]}\x8f(teuslado012RQbi\x81\x85\x86\x87\x90\x91\x92\x93\x94\x98".to_vec(),
    );
    prop_oneof![
        8 => lone.prop_map(|opcode| vec![opcode]),
        2 => any::<u8>().prop_map(|n| vec![b'K', n]),
        1 => any::<i32>().prop_map(|n| [b"J", &n.to_le_bytes()[..]].concat()),
        1 => any::<f64>().prop_map(|x| [b"G", &x.to_be_bytes()[..]].concat()),
        1 => prop::collection::vec(any::<u8>(), 0..12).prop_map(|n| [&[0x8a, n.len() as u8], &n[..]].concat()),
        3 => text.prop_map(|t| [&[0x8c, t.len() as u8], t.as_bytes()].concat()),
        1 => prop::collection::vec(any::<u8>(), 0..300).prop_map(|b| [b"B", &(b.len() as u32).to_le_bytes()[..], &b].concat()),
        3 => global.prop_map(|g| [b"c", g.as_bytes()].concat()),
        3 => (0u8..8).prop_map(|n| vec![b'q', n]),
        4 => (0u8..8).prop_map(|n| vec![b'h', n]),
    ]
}

#[test]
fn programs_of_random_instructions() {
    let programs = prop::collection::vec(instruction(), 0..200);
    fuzz(programs, |program| [&b"\x80\x04"[..], &program.concat(), b"."].concat(), read_pickle);
}

/// A program grown on values that are known to be there: containers, calls and circles that hold together.
#[test]
fn programs_that_hold_together() {
    let step = (0u8..10, any::<u8>());
    let build = |steps: Vec<(u8, u8)>| {
        // Memo 0 is a dict, 1 a list, 2 an OrderedDict that will hold themselves and each other.
        let mut program = b"\x80\x04}q\x00]q\x01ccollections\nOrderedDict\n)Rq\x02".to_vec();
        for (step, n) in steps {
            let memo = n % 3;
            match step {
                0 | 1 => program.extend([b'h', 0, 0x8c, 1, b'a' + n % 26, b'h', memo, b's', b'0']),
                2 | 3 => program.extend([b'h', 1, b'h', memo, b'a', b'0']),
                4 | 5 => program.extend([b'h', 2, b'K', n, b'h', memo, b's', b'0']),
                6 => program.extend([b'h', memo, b'h', 1, 0x86, b'h', 2, 0x85, b'0', b'0']),
                7 => program.extend([b'h', 2, b'h', 0, b'b', b'0']),
                8 => program.extend([b'h', 1, b'(', b'h', memo, b'h', memo, b'h', 1, b'e', b'0']),
                _ => program.extend([b'h', 0, b'(', 0x8c, 3, b'e', b'm', b'a', b'h', memo, b'u', b'0']),
            }
        }
        program.extend(b"h\x00.");
        program
    };
    fuzz(prop::collection::vec(step, 0..300), build, |bytes| {
        assert!(Pickle::read(memory(bytes.clone()), "pickle").is_ok(), "the program is well-formed");
        read_pickle(bytes);
    });
}

// ------------------------------------------------------------------ known tricks

fn refused(bytes: Vec<u8>) -> bool {
    let start = Instant::now();
    let refused = Pickle::read(memory(bytes), "pickle").is_err();
    assert!(start.elapsed() < SLOWEST);
    refused
}

#[test]
fn floods_are_refused() {
    let flood = |instruction: &[u8], n: usize| [instruction.repeat(n), b".".to_vec()].concat();
    assert!(refused(flood(b"}", 10_000_000)), "objects");
    assert!(refused(flood(b"N", 10_000_000)), "the stack");
    assert!(refused(flood(b"(", 10_000_000)), "marks");
    assert!(refused(flood(b"N0", 10_000_000)), "instructions");
    assert!(refused([&b"N"[..], &b"\x94".repeat(10_000_000), b"."].concat()), "the memo");
    assert!(refused(b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7f".to_vec()), "a text longer than memory");
    assert!(refused(b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff".to_vec()), "bytes longer than a length can be");
    assert!(refused(b"\x8b\xff\xff\xff\xff.".to_vec()), "an integer of four gigabytes");
    assert!(peak_memory().is_none_or(|peak| peak < MEMORY), "{:?}", peak_memory());
}

#[test]
fn a_small_file_does_not_unfold() {
    // Thirty lists, each holding the one before twice: 2^30 values when written out.
    let mut lists = b"\x80\x04]q\x00".to_vec();
    for _ in 0..30 {
        lists.extend(b"](h\x00h\x00eq\x00");
    }
    lists.extend(b".");
    let pickle = Pickle::read(memory(lists), "pickle").unwrap();
    assert!(pickle.json(pickle.root()).is_err());
    // A dict that holds itself.
    let pickle = Pickle::read(memory(b"\x80\x04}q\x00\x8c\x01ah\x00s.".to_vec()), "pickle").unwrap();
    assert!(pickle.json(pickle.root()).is_err());
}

#[test]
fn a_long_text_mentioned_often_is_not_copied_often() {
    let text = vec![b'x'; 1 << 20];
    let mut program = [b"\x80\x04X", &(text.len() as u32).to_le_bytes()[..], &text, b"q\x00]("].concat();
    program.extend(b"h\x00".repeat(9000));
    program.extend(b"e.");
    let pickle = Pickle::read(memory(program), "pickle").unwrap();
    assert!(pickle.json(pickle.root()).is_err());
}
