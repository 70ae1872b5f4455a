//! What reading costs, whatever is in a file: at most 64 MiB of memory beyond what is returned, and seconds.
//!
//! One test, because the memory of the whole process is measured.
#![expect(clippy::unwrap_used, reason = "a test may fail")]
#![cfg(target_os = "linux")]

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use sida::{
    checkpoint::TorchFile,
    formats::{FidStatistics, FileBytes, NpzImages, safetensors},
};

const MEMORY: u64 = 64 << 20;
const TIME: Duration = Duration::from_secs(5);

fn status(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// The most memory that was in use at once, beyond what was in use before.
fn cost(read: impl FnOnce() -> bool) -> (u64, Duration, bool) {
    // From here on the system keeps a new maximum.
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let (before, started) = (status("VmRSS"), Instant::now());
    let refused = read();
    (status("VmHWM").saturating_sub(before), started.elapsed(), refused)
}

fn pickle(body: &[&[u8]]) -> Vec<u8> {
    [&[&b"\x80\x04"[..]], body, &[b"."]].concat().concat()
}

/// A zip that holds a pickle of one tensor, which lies in 16 bytes.
fn torch_zip(size: &[i64], stride: &[i64], copies: usize) -> Vec<u8> {
    let int = |n: &i64| [&[0x8a, 9][..], &n.to_le_bytes(), &[0]].concat();
    let ints = |all: &[i64]| all.iter().flat_map(int).collect::<Vec<u8>>();
    let storage = b"((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x04tQK\0(";
    let tensor = [
        &b"ctorch._utils\n_rebuild_tensor_v2\n"[..],
        storage,
        &ints(size),
        b"t(",
        &ints(stride),
        b"t\x89ccollections\nOrderedDict\n)RtR",
    ]
    .concat();
    let items = (0..copies)
        .flat_map(|i| [format!("X\x08\0\0\0w{i:07}").into_bytes(), tensor.clone(), b"s".to_vec()].concat());
    let data = [b"\x80\x02}".to_vec(), items.collect(), b".".to_vec()].concat();
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, contents) in [("a/data.pkl", &data[..]), ("a/version", b"3\n"), ("a/data/0", &[0; 16])] {
        zip.start_file(name, options).unwrap();
        std::io::Write::write_all(&mut zip, contents).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn header(json: &[u8], len: Option<u64>) -> Vec<u8> {
    [&len.unwrap_or(json.len() as u64).to_le_bytes()[..], json].concat()
}

/// Each with a name, its reader's extension and bytes.
fn bombs() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let text = |len: usize| [b"X", &(len as u32).to_le_bytes()[..], &vec![b'a'; len]].concat();
    let doubling = b"(h\0h\0e".repeat(1_000_000);
    let deep = [&b"{\"a\":"[..], &b"[".repeat(5_000_000)].concat();
    let tensors: Vec<String> = (0..1_700_000)
        .map(|i| format!("\"{i}\":{{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}"))
        .collect();
    let shape = format!(
        "{{\"a\":{{\"dtype\":\"F32\",\"shape\":[{}0],\"data_offsets\":[0,0]}}}}",
        "0,".repeat(1_000_000)
    );
    vec![
        ("nulls", "pkl", pickle(&[&b"N".repeat(30_000_000)])),
        ("marks", "pkl", pickle(&[&b"(".repeat(20_000_000)])),
        ("dicts", "pkl", pickle(&[&b"}".repeat(20_000_000)])),
        ("tuples", "pkl", pickle(&[b"N", &b"\x85".repeat(5_000_000)])),
        ("memos", "pkl", pickle(&[b"N", &b"\x94".repeat(5_000_000)])),
        ("items", "pkl", pickle(&[b"]", &b"Na".repeat(5_000_000)])),
        ("doubled items", "pkl", pickle(&[b"]q\0", &doubling])),
        ("calls", "pkl", pickle(&[b"cbuiltins\ndict\nq\0", &b"h\0)R".repeat(2_000_000)])),
        ("short texts", "pkl", pickle(&[&[&b"U\xff"[..], &[b'a'; 255]].concat().repeat(250_000)])),
        ("a long text", "pkl", pickle(&[&text(150_000_000)])),
        ("a long line", "pkl", pickle(&[b"V", &b"a".repeat(100_000_000), b"\n"])),
        ("a long number", "pkl", pickle(&[b"L", &b"9".repeat(50_000_000), b"L\n"])),
        ("an expanded tensor", "pt", torch_zip(&[1 << 40], &[0], 1)),
        ("expanded tensors", "pt", torch_zip(&[200_000_000], &[0], 50)),
        ("more than there is", "pt", torch_zip(&[1 << 32, 1 << 32], &[1, 1], 1)),
        ("many dimensions", "pt", torch_zip(&[1; 100_000], &[1; 100_000], 1)),
        ("a long header", "safetensors", header(format!("{{{}}}", tensors.join(",")).as_bytes(), None)),
        ("a header that lies", "safetensors", header(b"{}", Some(1 << 63))),
        ("a deep header", "safetensors", header(&deep, None)),
        ("dimensions", "safetensors", header(shape.as_bytes(), None)),
        ("no statistics", "npz", b"PK\x05\x06".repeat(200_000)),
    ]
}

fn refuses(path: &Path) -> bool {
    match path.extension().unwrap().to_str().unwrap() {
        "safetensors" => safetensors::read(path).is_err(),
        "npz" => {
            NpzImages::open(path, 1 << 30).is_err()
                && FidStatistics::read(FileBytes::open(path).unwrap()).is_err()
        }
        _ => TorchFile::open(path).is_err(),
    }
}

#[test]
fn nothing_in_a_file_takes_much_memory_or_time() {
    let folder = tempfile::tempdir().unwrap();
    // What is set up once is no part of any file's cost.
    refuses(&kept(folder.path(), "first", "pkl", b"N."));
    let mut found = Vec::new();
    for (name, extension, bytes) in bombs() {
        let path = kept(folder.path(), name, extension, &bytes);
        drop(bytes);
        let (memory, time, refused) = cost(|| refuses(&path));
        if memory > MEMORY || time > TIME || !refused {
            found.push(format!("{name}: {} MiB, {time:?}, refused: {refused}", memory >> 20));
        }
        fs::remove_file(path).unwrap();
    }
    assert!(found.is_empty(), "{found:#?}");
}

fn kept(folder: &Path, name: &str, extension: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name).with_extension(extension);
    fs::write(&path, bytes).unwrap();
    path
}
