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
    data::{DatasetOptions, ImageDataset},
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

/// A zip that holds a pickle of one tensor again and again, which lies in 16 bytes.
fn torch_zip(size: &[i64], stride: &[i64], copies: usize) -> Vec<u8> {
    torch_zip_of(4, size, stride, copies)
}

/// The same with so many numbers in its storage.
fn torch_zip_of(numbers: u32, size: &[i64], stride: &[i64], copies: usize) -> Vec<u8> {
    let int = |n: &i64| [&[0x8a, 9][..], &n.to_le_bytes(), &[0]].concat();
    let ints = |all: &[i64]| all.iter().flat_map(int).collect::<Vec<u8>>();
    let numel = [&b"J"[..], &numbers.to_le_bytes()].concat();
    let storage = b"((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpu";
    let tensor = [
        &b"ctorch._utils\n_rebuild_tensor_v2\n"[..],
        storage,
        &numel,
        b"tQK\0(",
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
    let storage = vec![0; 4 * numbers as usize];
    for (name, contents) in [("a/data.pkl", &data[..]), ("a/version", b"3\n"), ("a/data/0", &storage)] {
        zip.start_file(name, options).unwrap();
        std::io::Write::write_all(&mut zip, contents).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn header(json: &[u8], len: Option<u64>) -> Vec<u8> {
    [&len.unwrap_or(json.len() as u64).to_le_bytes()[..], json].concat()
}

/// A zip of one packed file: a beginning, and zeros up to a length.
fn packed(name: &str, head: &[u8], len: usize) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_level(Some(1));
    zip.start_file(name, options).unwrap();
    std::io::Write::write_all(&mut zip, head).unwrap();
    std::io::copy(&mut std::io::Read::take(std::io::repeat(0), (len - head.len()) as u64), &mut zip).unwrap();
    zip.finish().unwrap().into_inner()
}

fn npy(descr: &str, shape: &str) -> Vec<u8> {
    let dict = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}\n");
    [&b"\x93NUMPY\x01\x00"[..], &(dict.len() as u16).to_le_bytes(), dict.as_bytes()].concat()
}

/// Images of one colour, which would unpack to a thousand times their length.
fn blank_images() -> Vec<u8> {
    let head = npy("|u1", "100000, 32, 32, 3");
    packed("arr_0.npy", &head, head.len() + 100_000 * 32 * 32 * 3)
}

/// A zip of so many empty files.
fn entries(count: usize) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    (0..count).for_each(|i| zip.start_file(format!("{i}.npy"), options).unwrap());
    zip.finish().unwrap().into_inner()
}

/// Statistics of far more features than any detector has.
fn wide_statistics() -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_level(Some(1));
    for (name, shape, len) in [("mu.npy", "8000,", 64_000), ("sigma.npy", "8000, 8000", 512_000_000)] {
        zip.start_file(name, options).unwrap();
        std::io::Write::write_all(&mut zip, &npy("<f8", shape)).unwrap();
        std::io::copy(&mut std::io::Read::take(std::io::repeat(0), len), &mut zip).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A dict of so many values under one key.
fn wide_dict(len: usize) -> Vec<u8> {
    [&b"}(U\x01kq\x01K\0"[..], &b"h\x01K\0".repeat(len), b"u"].concat()
}

/// A container that holds modules, each described by the same long dict.
fn described_modules(count: usize) -> Vec<u8> {
    let empty = |name: &str| format!("X{}{name}}}", length(name)).into_bytes();
    let tables = [empty("_parameters"), empty("_buffers")].concat();
    let state = [&b"}("[..], &tables, &empty("_modules"), b"u"].concat();
    let text = |text: &str| format!("X{}{text}", length(text)).into_bytes();
    let meta = [&b"}("[..], &text("class_name"), b"U\x01M", &text("state"), &state, b"u"].concat();
    let meta = [meta, b"(U\x01kq\x01K\0".to_vec(), b"h\x01K\0".repeat(190_000), b"u\x85".to_vec()].concat();
    let module = [&b"ctorch_utils.persistence\n_reconstruct_persistent_obj\n"[..], &meta, b"Rq\x02"].concat();
    let children: Vec<u8> =
        (0..count).flat_map(|i| [text(&format!("m{i:05}")), b"h\x02".to_vec()].concat()).collect();
    let children = [&text("_modules")[..], b"}(", &children, b"u"].concat();
    let container = b"ctorch.nn.modules.container\nSequential\n)R";
    pickle(&[&module, b"0", container, b"}(", &tables, &children, b"ub"])
}

/// Four bytes of a text's length, as text, for texts of less than 128 bytes.
fn length(text: &str) -> String {
    format!("{}\0\0\0", text.len() as u8 as char)
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
        "0,".repeat(8_000_000)
    );
    let tuple = [&b"("[..], &b"h\0".repeat(390_000), b"t"].concat();
    let globals: Vec<u8> =
        (0..20_000).flat_map(|i| format!("ctorch.nn.modules.m\nA{i:0>3999}\n").into_bytes()).collect();
    let keys: Vec<u8> = (0..20_000).flat_map(|i| format!("U\x05{i:05}h\0").into_bytes()).collect();
    let mut small = std::io::Cursor::new(Vec::new());
    image::GrayImage::new(8, 8).write_to(&mut small, image::ImageFormat::Png).unwrap();
    let small = small.into_inner();
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
        ("long tuples", "pkl", pickle(&[b"Nq\0", &tuple.repeat(20)])),
        ("long names", "pkl", pickle(&[&globals])),
        ("dicts of one dict", "pkl", pickle(&[&wide_dict(150_000), b"q\0}(", &keys, b"u"])),
        ("modules of one description", "pkl", described_modules(20_000)),
        ("far elements", "pt", torch_zip_of(4_000_000, &[2], &[3_999_999], 4000)),
        ("an expanded tensor", "pt", torch_zip(&[1 << 40], &[0], 1)),
        ("expanded tensors", "pt", torch_zip(&[200_000_000], &[0], 50)),
        ("more than there is", "pt", torch_zip(&[1 << 32, 1 << 32], &[1, 1], 1)),
        ("many dimensions", "pt", torch_zip(&[1; 100_000], &[1; 100_000], 1)),
        ("a long header", "safetensors", header(format!("{{{}}}", tensors.join(",")).as_bytes(), None)),
        ("a header that lies", "safetensors", header(b"{}", Some(1 << 63))),
        ("a deep header", "safetensors", header(&deep, None)),
        ("dimensions", "safetensors", header(shape.as_bytes(), None)),
        ("zeros for a picture", "zip", packed("a.png", b"", 300_000_000)),
        ("a small picture and zeros", "zip", packed("a.png", &small, 300_000_000)),
        ("large latents", "zip", packed("a.npy", &npy("<f4", "2, 6000, 6000"), 288_000_000)),
        ("small latents and zeros", "zip", packed("a.npy", &npy("<f4", "2, 6, 6"), 288_000_000)),
        ("blank images", "npz", blank_images()),
        ("many arrays", "npz", entries(300_000)),
        ("wide statistics", "npz", wide_statistics()),
        ("no statistics", "npz", b"PK\x05\x06".repeat(200_000)),
    ]
}

fn refuses(path: &Path) -> bool {
    match path.extension().unwrap().to_str().unwrap() {
        "safetensors" => safetensors::read(path).is_err(),
        "zip" => ImageDataset::open(path, &DatasetOptions::default()).is_err(),
        "npz" => {
            NpzImages::open(path).is_err() && FidStatistics::read(FileBytes::open(path).unwrap()).is_err()
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
