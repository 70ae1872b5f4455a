//! `sida doctor`: what this machine has, and whether it computes right.

use std::{env, fs, path::Path};

use serde_json::{Map, Value, json};

use super::{
    columns::bytes,
    device, output,
    places::{cache, runs},
    self_test,
};
use crate::{
    BURN_VERSION, Error, Result,
    host_memory::{self, HostMemory},
    kernels::{self, Nccl},
    secret,
    stages::download::free,
    terminal,
};

/// What is found, said line by line as it is found, or all at once as JSON.
struct Findings {
    json: bool,
    found: Map<String, Value>,
}

impl Findings {
    /// A finding: its name, its words, and what it is to a program.
    fn add(&mut self, name: &str, text: &str, value: impl Into<Value>) {
        if !self.json {
            say!("{name:>10}  {text}");
        }
        self.found.insert(name.replace('-', "_"), value.into());
    }

    /// More words about the last finding.
    fn more(&self, text: &str) {
        if !self.json {
            say!("{:>10}  {text}", "");
        }
    }

    fn same(&mut self, name: &str, text: &str) {
        self.add(name, text, text);
    }
}

/// Prints what was found.
///
/// # Errors
/// `NoDevice` for a device that is not there; `Unusable` for one that computes wrongly.
pub(super) fn doctor(asked: &str, json: bool) -> Result<()> {
    let mut findings = Findings { json, found: Map::new() };
    let ended = examine(asked, &mut findings);
    if json {
        findings.found.insert("well".to_owned(), ended.is_ok().into());
        output::json(&Value::Object(findings.found));
    } else if ended.is_ok() {
        say!("all is well");
    }
    ended
}

fn examine(asked: &str, findings: &mut Findings) -> Result<()> {
    findings.same("sida", &format!("{} on Burn {BURN_VERSION}", env!("CARGO_PKG_VERSION")));
    findings.same("system", &format!("{} {}", env::consts::OS, env::consts::ARCH));
    findings.same("memory", &memory());
    folder(findings, "runs", &runs());
    folder(findings, "cache", &cache());
    let variables = variables();
    let shown: Vec<String> = variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let value: Map<String, Value> = variables.into_iter().map(|(name, value)| (name, value.into())).collect();
    findings.add("variables", shown.first().map_or("no `SIDA_*` is set", |first| first), value);
    shown.iter().skip(1).for_each(|more| findings.more(more));
    findings.same("CPU", &device::choose("cpu")?.1);
    let built = |built_in: bool, feature: &str| {
        if built_in { "built in".to_owned() } else { format!("not built in (`--features {feature}`)") }
    };
    findings.same("CUDA", &built(cfg!(feature = "cuda"), "cuda"));
    findings.same("Vulkan, Metal, DirectX", &built(cfg!(feature = "wgpu"), "wgpu"));
    let advice = cuda_advice();
    advice.iter().for_each(|advice| findings.more(advice));
    if !advice.is_empty() {
        findings.found.insert("advice".to_owned(), advice.into());
    }
    let found = device::gpus();
    let nccl = found.iter().find_map(|gpu| kernels::nccl(&gpu.device));
    let gpus: Vec<String> = found.into_iter().map(|gpu| gpu.name).collect();
    if let Some(first) = gpus.first() {
        findings.add("GPU", first, gpus.clone());
    }
    gpus.iter().skip(1).for_each(|gpu| findings.more(gpu));
    match nccl {
        Some(Nccl::Found(version)) => findings.same("NCCL", &version),
        Some(Nccl::Missing) => {
            let missing = "`libnccl.so` was not found, without which several GPUs sum through the host";
            findings.add("NCCL", missing, Value::Null);
            findings.more("install `libnccl-dev`, or NVIDIA's wheel `nvidia-nccl-cu13`, and link the");
            findings.more("`libnccl.so.2` that it has as `libnccl.so` in a folder of LD_LIBRARY_PATH");
        }
        None => {}
    }
    let (device, name) = device::choose(asked)?;
    findings.add("device", &format!("`{asked}` means {name}"), name.as_str());
    let (error, speed) = self_test::run(&device);
    findings.add(
        "self-test",
        &format!("largest error {error:.1e}, {speed:.1} GFLOP/s in a 3x3 convolution with gradients"),
        json!({ "largest_error": error, "gflops": speed }),
    );
    // NaN must fail as well; an accelerator may round its inputs to ten bits.
    if error < 5e-3 {
        return Ok(());
    }
    let problem = format!("the self-test on {name} is off by {error:.1e}: this device computes wrongly");
    Err(Error::Unusable(problem))
}

/// A folder and the room on its disk.
fn folder(findings: &mut Findings, name: &str, folder: &Path) {
    let there = if folder.is_dir() { "" } else { ", which does not exist yet" };
    let free = free(folder);
    let room = free.map_or_else(|| "room not known".to_owned(), |free| format!("{} free", bytes(free)));
    let text = format!("{}{there}, {room}", terminal::path(folder));
    findings.add(
        name,
        &text,
        json!({ "folder": output::path(folder), "exists": folder.is_dir(), "free_bytes": free }),
    );
}

/// The variables that sida reads, without what may be a secret.
fn variables() -> Vec<(String, String)> {
    let all = env::vars_os().map(|(name, value)| (name.to_string_lossy().into_owned(), value));
    let mut ours: Vec<(String, String)> = all
        .filter(|(name, _)| name.starts_with("SIDA_"))
        .map(|(name, value)| {
            (terminal::name(&name).into_owned(), secret::of_variable(&name, &value.to_string_lossy()))
        })
        .collect();
    ours.sort();
    ours
}

fn memory() -> String {
    let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    match host_memory::read() {
        Some(HostMemory { total, available }) => {
            format!("{:.1} GiB, {:.1} GiB available", gib(total), gib(available))
        }
        None => "unknown".to_owned(),
    }
}

/// What a CUDA build needs at run time and does not find.
fn cuda_advice() -> Vec<String> {
    if !cfg!(feature = "cuda") {
        return Vec::new();
    }
    let folders =
        ["/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib/aarch64-linux-gnu", "/usr/local/cuda/lib64"];
    let path = env::var("LD_LIBRARY_PATH").unwrap_or_default();
    let anywhere = |name: &str| {
        let candidates = path.split(':').filter(|p| !p.is_empty()).chain(folders);
        candidates.filter_map(|folder| fs::read_dir(folder).ok()).any(|entries| {
            entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with(name))
        })
    };
    let toolkit = env::var("CUDA_PATH").unwrap_or_else(|_| "/usr/local/cuda".to_owned());
    let header = Path::new(&toolkit).join("include/cuda_fp16.h");
    let mut advice = Vec::new();
    if !anywhere("libcuda.so") {
        advice.push("`libcuda.so.1` was not found: install the NVIDIA driver".to_owned());
    }
    if !anywhere("libnvrtc.so") {
        advice.push(
            "`libnvrtc` was not found: install the CUDA toolkit, or add it to LD_LIBRARY_PATH".to_owned(),
        );
    }
    if !header.exists() {
        advice.push(format!("`{}` was not found: set CUDA_PATH to the toolkit", header.display()));
    }
    advice
}
