//! The memory that `plan` says a training needs, against the peak of iterations on the CPU. Each in a process of its own:
//! memory that was given back is not always the system's again. With the system's allocator: the program's own keeps up to a
//! quarter more of what was freed, for the next who asks (`kernels::Recycler`).
#![cfg(target_os = "linux")]

#[allow(dead_code, reason = "what only GPUs are asked")]
#[path = "cuda/work.rs"]
mod work;

use std::{env, process::Command};

use burn::tensor::Device;
use serde_json::json;
use sida::peak_memory::PeakMemory;
use work::{Subject, Work};

const ASKED: &str = "TEST_MEMORY";
/// The share of the memory that `plan` says, within which the peak has to be.
const PLANNED: std::ops::RangeInclusive<f64> = 0.85..=1.15;

fn subjects() -> Vec<Subject> {
    let ddpmpp = json!({ "img_resolution": 32, "model_channels": 64, "channel_mult": [2, 2, 2], "augment_dim": 9, "dropout": 0.1 });
    let adm = json!({ "img_resolution": 32, "model_channels": 64, "channel_mult": [1, 2], "num_blocks": 2, "label_dim": 10 });
    let edm2 = json!({ "img_resolution": 32, "model_channels": 64, "num_blocks": 1, "label_dim": 10 });
    vec![
        Subject::new("ddpmpp", 8, json!({ "ddpmpp": ddpmpp })),
        Subject::new("adm", 8, json!({ "adm": adm })),
        Subject::new("edm2", 8, json!({ "edm2": edm2 })),
    ]
}

#[test]
fn iterations_on_a_cpu_take_what_plan_says() {
    if let Some((network, work)) = env::var(ASKED).ok().as_deref().and_then(|asked| asked.split_once(' ')) {
        return measured(network, work);
    }
    let mut wrong = Vec::new();
    for subject in subjects() {
        for work in if subject.name == "ddpmpp" { &["teacher", "sid"][..] } else { &["sid"] } {
            let asked = format!("{} {work}", subject.name);
            let mut child = Command::new(env::current_exe().expect("this test"));
            let child = child.args(["--exact", "iterations_on_a_cpu_take_what_plan_says", "--nocapture"]);
            let child = child.env(ASKED, &asked).output().expect("a process");
            let said = String::from_utf8_lossy(&child.stdout);
            let share = said.lines().find_map(|line| line.strip_prefix("share ")?.parse::<f64>().ok());
            println!("{asked}: {said}");
            if share.is_none_or(|share| !PLANNED.contains(&share)) {
                wrong.push(format!("{asked}: {share:?} {}", String::from_utf8_lossy(&child.stderr)));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Two iterations: Adam's moments and the adversarial term are there from the second on.
fn measured(network: &str, work: &str) {
    let iterations = |subject: &Subject| {
        let mut work = Work::new(work, subject, &Device::flex());
        (0..2).for_each(|_| assert!(work.step().iter().all(|loss| loss.is_finite())));
        work.planned_bytes().expect("a training") as f64 / f64::from(1 << 20)
    };
    // Code and threads are there before.
    iterations(&work::emulated()[0]);
    let before = PeakMemory::begin().mib().expect("Linux says it");
    let peak = PeakMemory::begin();
    let subjects = subjects();
    let planned = iterations(subjects.iter().find(|subject| subject.name == network).expect("one of them"));
    let found = peak.mib().expect("Linux says it") - before;
    println!("\nshare {}\n{found:.0} MiB of {planned:.0}", found / planned);
}
