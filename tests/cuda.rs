//! The CUDA path without a GPU. `tests/cuda/tools/with.sh null|emulator`, as cargo's runner, puts a driver in place; without
//! one these tests say so and skip themselves. `docs/gpu.md` says how, what this proves, and what not.
//!
//! With the null driver: iterations of every training, and sampling, by every family of networks; what they ask of the
//! driver stays within `budgets.json`, and NVIDIA's compilers take every kernel. `UPDATE_BUDGETS=1` writes the budgets anew.
//! With the emulator: the same iterations, of tiny networks, come to what the CPU comes to; two processes sum as NCCL would,
//! and learn what one learns.

#[path = "cuda/budgets.rs"]
mod budgets;
#[path = "cuda/collective.rs"]
mod collective;
#[path = "cuda/emulated.rs"]
mod emulated;
#[path = "cuda/graphs.rs"]
mod graphs;
#[path = "program/mod.rs"]
mod program;
#[path = "cuda/ptxas.rs"]
mod ptxas;
#[path = "cuda/rank.rs"]
mod rank;
#[path = "cuda/trace.rs"]
mod trace;
#[path = "cuda/work.rs"]
mod work;

use libtest_mimic::{Arguments, Trial};

fn main() {
    // Each piece of work is measured in a process of its own: memory that one left would be another's.
    if let Some(work) = budgets::asked() {
        return budgets::work(&work);
    }
    if let Some(rank) = rank::asked() {
        return rank::work(&rank);
    }
    let arguments = Arguments::from_args();
    let trials = match std::env::var("TEST_CUDA_NVRTC").as_deref() {
        Ok("") => {
            emulated::trials().into_iter().chain(graphs::trials()).chain(collective::emulated()).collect()
        }
        Ok(_) => budgets::trials().into_iter().chain(collective::counted()).collect(),
        Err(_) => {
            println!("skipped: run it within tests/cuda/tools/with.sh");
            let skipped = |name| Trial::test(name, || Ok(())).with_ignored_flag(true);
            vec![skipped("null driver"), skipped("emulator")]
        }
    };
    libtest_mimic::run(&arguments, trials).exit();
}
