//! `--device`: the one place where `auto`, `cpu` and `cuda:N` become a device.

use burn::tensor::Device;

use crate::{
    Error, Result,
    kernels::{InstructionSet, threads},
};

/// The device that `--device` names, and what it is in words.
///
/// # Errors
/// `NoDevice` for a word that names none, and for a GPU that is not there.
pub fn choose(asked: &str) -> Result<(Device, String)> {
    match asked {
        "cpu" => Ok(cpu()),
        "auto" => Ok(gpus().into_iter().next().unwrap_or_else(cpu)),
        _ => gpu(asked),
    }
}

fn cpu() -> (Device, String) {
    let set = match InstructionSet::detect() {
        InstructionSet::Avx512 => "AVX-512",
        InstructionSet::Avx2 => "AVX2",
        InstructionSet::Portable => "portable kernels",
    };
    let name = match threads() {
        1 => format!("CPU, 1 thread, {set}"),
        n => format!("CPU, {n} threads, {set}"),
    };
    (Device::flex(), name)
}

fn gpu(asked: &str) -> Result<(Device, String)> {
    let refuse = |reason: String| Error::NoDevice { asked: asked.to_owned(), reason };
    let index = match asked.strip_prefix("cuda") {
        Some("") => 0,
        Some(rest) => rest
            .strip_prefix(':')
            .and_then(|n| n.parse::<usize>().ok())
            .ok_or_else(|| refuse("after `cuda:` comes a number, such as `cuda:0`".to_owned()))?,
        None => return Err(refuse("it is one of `auto`, `cpu`, `cuda` and `cuda:N`".to_owned())),
    };
    if !cfg!(feature = "cuda") {
        let reason =
            "this sida was built without CUDA; build it with `cargo build --release --features cuda`";
        return Err(refuse(reason.to_owned()));
    }
    let found = gpus();
    let count = found.len();
    found.into_iter().nth(index).ok_or_else(|| {
        refuse(match count {
            0 => "no NVIDIA GPU or no driver was found; `sida doctor` says more, `--device cpu` needs none"
                .to_owned(),
            1 => "there is one GPU, `cuda:0`".to_owned(),
            n => format!("there are {n} GPUs, `cuda:0` to `cuda:{}`", n - 1),
        })
    })
}

/// All GPUs that can be used.
#[cfg(feature = "cuda")]
pub(super) fn gpus() -> Vec<(Device, String)> {
    // Without a driver there are none; whatever else may happen, it is not worth ending a run on the CPU.
    let devices = std::panic::catch_unwind(|| Device::enumerate(burn::tensor::DeviceType::Cuda).into_vec());
    devices
        .unwrap_or_default()
        .into_iter()
        .enumerate()
        .map(|(i, device)| (device, format!("CUDA GPU {i}")))
        .collect()
}

/// All GPUs that can be used: none, since this program was built without CUDA.
#[cfg(not(feature = "cuda"))]
pub(super) fn gpus() -> Vec<(Device, String)> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_names_no_device_is_refused_with_what_there_is() {
        for asked in ["gpu", "cuda:x", "cuda:99"] {
            let error = choose(asked).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(asked), "{error}");
        }
        assert!(choose("cpu").unwrap().1.starts_with("CPU"));
    }
}
