//! The memory that `plan` says a training needs, against the most that iterations on the CPU have in use at a time. Each in a
//! process of its own. (What the system sees of a process is up to a quarter more: the allocator keeps what was freed for the
//! next who asks.)

#[allow(dead_code, reason = "what only GPUs are asked")]
#[path = "cuda/work.rs"]
mod work;

use std::{env, process::Command};

use burn::tensor::Device;
use serde_json::json;
use sida::kernels::Recycler;
use work::{Subject, Work};

#[global_allocator]
static ALLOCATOR: Recycler = Recycler;

const ASKED: &str = "TEST_MEMORY";
/// The share of the memory that `plan` says, within which the peak has to be.
const PLANNED: std::ops::RangeInclusive<f64> = 0.85..=1.15;

fn subjects() -> Vec<Subject> {
    let ddpmpp = json!({ "img_resolution": 32, "model_channels": 64, "channel_mult": [2, 2, 2], "augment_dim": 9, "dropout": 0.1 });
    let adm = json!({ "img_resolution": 32, "model_channels": 64, "channel_mult": [1, 2], "num_blocks": 2, "label_dim": 10 });
    let edm2 = json!({ "img_resolution": 32, "model_channels": 64, "num_blocks": 1, "label_dim": 10 });
    let subject = |name, batch, network, works| Subject { works, ..Subject::new(name, batch, network) };
    vec![
        subject("ddpmpp", 16, json!({ "ddpmpp": ddpmpp }), &["teacher", "sida"]),
        // So few images that the weights are a third of it.
        subject("ddpmpp-8", 8, json!({ "ddpmpp": ddpmpp }), &["teacher"]),
        subject("adm", 8, json!({ "adm": adm }), &["sid"]),
        subject("edm2", 8, json!({ "edm2": edm2 }), &["sid"]),
    ]
}

#[test]
fn iterations_on_a_cpu_take_what_plan_says() {
    if let Some((network, work)) = env::var(ASKED).ok().as_deref().and_then(|asked| asked.split_once(' ')) {
        return measured(network, work);
    }
    let mut wrong = Vec::new();
    for subject in subjects() {
        for work in subject.works {
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
    let subjects = subjects();
    let subject = subjects.iter().find(|subject| subject.name == network).expect("one of them");
    let mut work = Work::new(work, subject, &Device::flex());
    (0..2).for_each(|_| assert!(work.step().iter().all(|loss| loss.is_finite())));
    let (found, planned) = (Recycler::most_in_use(), work.planned_bytes().expect("a training"));
    println!("\nshare {}\n{} MiB of {}", found as f64 / planned as f64, found >> 20, planned >> 20);
}
