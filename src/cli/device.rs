//! `auto`, `cpu`, `cuda:N` => a device, or why not.

use burn::tensor::Device;

use crate::{Error, Result};

/// The device that was asked for, and its name.
///
/// # Errors
/// `NoDevice` for a GPU that is not there, and for words that mean none.
pub(super) fn choose(asked: &str) -> Result<(Device, String)> {
    let none = |reason: String| Error::NoDevice { asked: asked.to_owned(), reason };
    match asked {
        "auto" if cuda_devices() > 0 => cuda(0),
        "auto" | "cpu" => Ok((Device::flex(), "cpu".to_owned())),
        _ => {
            let index = match asked.split_once(':') {
                None if asked == "cuda" => Some(0),
                Some(("cuda", index)) => index.parse::<usize>().ok(),
                _ => None,
            };
            let index = index.ok_or_else(|| none("a device is `auto`, `cpu` or `cuda:N`".to_owned()))?;
            if !cfg!(feature = "cuda") {
                return Err(none(
                    "this program was built for CPUs only: build it with `--features cuda`, or use `cpu`".to_owned(),
                ));
            }
            match cuda_devices() {
                0 => Err(none("no NVIDIA driver, or no GPU, was found: `sida doctor` says more; `cpu` works".to_owned())),
                count if index >= count => Err(none(format!("there are {count}, from `cuda:0` to `cuda:{}`", count - 1))),
                _ => cuda(index),
            }
        }
    }
}

/// Number of usable GPUs.
#[cfg(feature = "cuda")]
pub(super) fn cuda_devices() -> usize {
    use burn::tensor::DeviceType;
    // Without a driver the enumeration is empty; whatever else it may do, it is not worth ending a CPU run.
    std::panic::catch_unwind(|| Device::enumerate(DeviceType::Cuda).len()).unwrap_or(0)
}

/// Number of usable GPUs.
#[cfg(not(feature = "cuda"))]
pub(super) fn cuda_devices() -> usize {
    0
}

#[cfg(feature = "cuda")]
#[expect(clippy::unnecessary_wraps, reason = "the other build cannot")]
fn cuda(index: usize) -> Result<(Device, String)> {
    Ok((Device::cuda(index), format!("cuda:{index}")))
}

#[cfg(not(feature = "cuda"))]
fn cuda(index: usize) -> Result<(Device, String)> {
    Err(Error::NoDevice { asked: format!("cuda:{index}"), reason: "built for CPUs only".to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_mean_no_device_are_refused() {
        assert!(choose("cpu").is_ok());
        for wrong in ["gpu", "cuda:x", "cuda:-1", "cpu:0", ""] {
            let error = choose(wrong).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{wrong}");
        }
    }

    #[test]
    #[cfg(not(feature = "cuda"))]
    fn a_gpu_asked_for_where_there_is_none() {
        assert!(choose("cuda:0").unwrap_err().to_string().contains("`--features cuda`"));
    }
}
