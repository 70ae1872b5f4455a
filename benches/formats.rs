//! How long reading and writing weights takes, against plain reads and writes of as many bytes.
//!
//! `cargo bench --bench formats`; `SIDA_BENCH_MB` changes the size. Medians over interleaved rounds; the files
//! are in the page cache, so what is compared is work, not disks.

use std::{fs, hint::black_box, io::Write, path::Path, time::Instant};

use burn::tensor::TensorData;
use sida::{
    checkpoint::ReferenceSnapshot,
    formats::safetensors::{self, Metadata},
    state_dict::StateDict,
};

const ROUNDS: usize = 9;

fn main() {
    let megabytes: usize = std::env::var("SIDA_BENCH_MB").ok().and_then(|n| n.parse().ok()).unwrap_or(200);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let snapshot = folder.path().join("network-snapshot-000000.pkl");
    write_snapshot(&snapshot, megabytes);
    let tensors = load(&snapshot);
    compare(
        "snapshot pickle: load / read",
        || drop(black_box(load(&snapshot))),
        || {
            drop(black_box(fs::read(&snapshot).expect("a readable file")));
        },
    );
    let weights = folder.path().join("weights.safetensors");
    let plain = folder.path().join("plain");
    let bytes = fs::read(&snapshot).expect("a readable file");
    compare(
        "safetensors: write / plain write, both flushed to disk",
        || safetensors::write(&weights, &tensors, &Metadata::new()).expect("room on the disk"),
        || {
            let mut file = fs::File::create(&plain).expect("a writable folder");
            file.write_all(&bytes).and_then(|()| file.sync_all()).expect("room on the disk");
        },
    );
    compare(
        "safetensors: load / read",
        || drop(black_box(safetensors::read(&weights).expect("what was just written"))),
        || drop(black_box(fs::read(&weights).expect("a readable file"))),
    );
}

fn load(path: &Path) -> StateDict {
    ReferenceSnapshot::open(path)
        .and_then(|snapshot| snapshot.ema())
        .expect("what was just written")
        .state_dict
}

fn compare(what: &str, mut ours: impl FnMut(), mut plain: impl FnMut()) {
    let time = |work: &mut dyn FnMut()| {
        let start = Instant::now();
        work();
        start.elapsed().as_secs_f64()
    };
    let rounds: Vec<(f64, f64)> = (0..ROUNDS).map(|_| (time(&mut ours), time(&mut plain))).collect();
    let median = |pick: fn(&(f64, f64)) -> f64| {
        let mut times: Vec<f64> = rounds.iter().map(pick).collect();
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    let (ours, plain) = (median(|r| r.0), median(|r| r.1));
    println!("{what}: {:.1} ms / {:.1} ms = {:.2}", ours * 1e3, plain * 1e3, ours / plain);
}

/// A snapshot of one module with parameters of 1 MB, as EDM writes them: every storage is a legacy torch archive
/// in a byte string.
fn write_snapshot(path: &Path, megabytes: usize) {
    let mut program =
        b"\x80\x04}\x8c\x03emactorch_utils.persistence\n_reconstruct_persistent_obj\n}(".to_vec();
    let text = |program: &mut Vec<u8>, text: &str| {
        program.extend([0x8c, text.len() as u8]);
        program.extend(text.as_bytes());
    };
    text(&mut program, "class_name");
    text(&mut program, "EDMPrecond");
    text(&mut program, "state");
    program.extend(b"}(");
    for (name, empty) in
        [("_init_args", &b")"[..]), ("_init_kwargs", b"}"), ("_buffers", b"}"), ("_modules", b"}")]
    {
        text(&mut program, name);
        program.extend(empty);
    }
    text(&mut program, "_parameters");
    program.extend(b"}(");
    let values: Vec<f32> = (0..1 << 18).map(|i| i as f32).collect();
    let archive = archive(&values);
    for i in 0..megabytes {
        text(&mut program, &format!("weight{i}"));
        program.extend(b"ctorch._utils\n_rebuild_tensor_v2\n(ctorch.storage\n_load_from_bytes\nB");
        program.extend((archive.len() as u32).to_le_bytes());
        program.extend(&archive);
        program.extend(b"\x85RK\x00J");
        program.extend((values.len() as i32).to_le_bytes());
        program.extend(b"\x85K\x01\x85\x89}tR");
    }
    program.extend(b"uuu\x85Rs.");
    fs::write(path, program).expect("room on the disk");
}

/// Five pickles, then the element count and the elements.
fn archive(values: &[f32]) -> Vec<u8> {
    let data = TensorData::new(values.to_vec(), [values.len()]);
    [
        &b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."[..],
        b"\x80\x02M\xe9\x03.",
        b"\x80\x02}X\x0d\x00\x00\x00little_endian\x88s.",
        b"\x80\x02(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuJ",
        &(values.len() as i32).to_le_bytes(),
        b"NtQ.",
        b"\x80\x02]X\x01\x00\x00\x000a.",
        &(values.len() as u64).to_le_bytes(),
        data.as_bytes(),
    ]
    .concat()
}
