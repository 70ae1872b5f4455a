//! `--device`: the one place where `auto`, `cpu`, `cuda:N` and `wgpu:N` become a device.

use burn::tensor::Device;

use super::places::cache;
use crate::{
    Error, Result,
    kernels::{self, InstructionSet, threads},
};

/// The device that `--device` names, and what it is in words.
///
/// # Errors
/// `NoDevice` for a word that names none, and for a GPU that is not there.
pub fn choose(asked: &str) -> Result<(Device, String)> {
    choose_for(None, asked)
}

/// The same for one of several ranks of this machine, of which each has a GPU of its own, by its number.
///
/// # Errors
/// `NoDevice`, also where there are fewer GPUs than ranks.
pub(super) fn choose_for(rank: Option<usize>, asked: &str) -> Result<(Device, String)> {
    match asked {
        "cpu" => Ok(cpu()),
        // A program that stands in for a card is slower than the CPU alone.
        "auto" if rank.is_none() => {
            let mut gpus = Interface::ALL.into_iter().flat_map(Interface::gpus);
            Ok(gpus.find(|gpu| gpu.card).map_or_else(cpu, Gpu::chosen))
        }
        "auto" => match Interface::ALL.into_iter().find(|interface| interface.cards() > 0) {
            Some(interface) => gpu(interface.word(), rank),
            None => Ok(cpu()),
        },
        _ => gpu(asked, rank),
    }
}

/// Whether so many ranks of this machine have a device each: those of a CPU share it.
///
/// # Errors
/// `NoDevice` where they have not.
pub(super) fn enough(asked: &str, ranks: usize) -> Result<()> {
    let word = asked.split_once(':').map_or(asked, |(word, _)| word);
    let found = match Interface::ALL.into_iter().find(|interface| interface.word() == word) {
        Some(interface) => interface.devices().len(),
        None if asked == "auto" => {
            let cards = Interface::ALL.into_iter().map(Interface::cards);
            cards.into_iter().find(|count| *count > 0).unwrap_or(ranks)
        }
        None => ranks,
    };
    if found == 0 || found >= ranks { Ok(()) } else { Err(too_few(asked, ranks - 1, found)) }
}

/// The number of a rank's own device. What starts ranks may show each its own alone.
fn own(asked: &str, rank: Option<usize>, found: usize) -> Result<usize> {
    let own = rank.filter(|_| found > 1).unwrap_or(0);
    if own > 0 && own >= found { Err(too_few(asked, own, found)) } else { Ok(own) }
}

fn too_few(asked: &str, rank: usize, found: usize) -> Error {
    let are = if found == 1 { "there is one GPU".to_owned() } else { format!("there are {found} GPUs") };
    let reason = format!("each rank takes one, and {are}: rank {rank} of this machine has none");
    Error::NoDevice { asked: asked.to_owned(), reason }
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

/// What a device is called, without what makes no difference to its numbers.
pub(super) fn kind(name: &str) -> &str {
    match name.strip_prefix("CPU, ").and_then(|rest| rest.split_once(", ")) {
        Some((_, set)) => set,
        None => name,
    }
}

/// By what a GPU is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interface {
    /// NVIDIA's own.
    Cuda,
    /// Vulkan, Metal or DirectX: GPUs of all makers.
    Wgpu,
}

impl Interface {
    /// The best first.
    const ALL: [Self; 2] = [Self::Cuda, Self::Wgpu];

    /// On the command line, and among Cargo's features.
    fn word(self) -> &'static str {
        match self {
            Self::Cuda => "cuda",
            Self::Wgpu => "wgpu",
        }
    }

    fn built_in(self) -> bool {
        match self {
            Self::Cuda => cfg!(feature = "cuda"),
            Self::Wgpu => cfg!(feature = "wgpu"),
        }
    }

    /// All its devices: cards first, then what stands in for one, such as Mesa's lavapipe. CUDA's are not opened for
    /// that: each would be given a context.
    #[cfg(any(feature = "cuda", feature = "wgpu"))]
    fn devices(self) -> Vec<Device> {
        // Without a driver there are none; whatever else may happen, it is not worth ending a run on the CPU.
        let mut devices = std::panic::catch_unwind(|| self.enumerate()).unwrap_or_default();
        if self == Self::Wgpu {
            devices.sort_by_cached_key(|device| !self.opened(device.clone()).is_some_and(|gpu| gpu.card));
        }
        devices
    }

    /// There are none in a build for the CPU alone.
    #[cfg(not(any(feature = "cuda", feature = "wgpu")))]
    #[allow(clippy::unused_self, reason = "the other one needs it")]
    fn devices(self) -> Vec<Device> {
        Vec::new()
    }

    #[cfg(any(feature = "cuda", feature = "wgpu"))]
    fn enumerate(self) -> Vec<Device> {
        match self {
            #[cfg(feature = "cuda")]
            Self::Cuda => Device::enumerate(burn::tensor::DeviceType::Cuda).into_vec(),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => Device::enumerate(burn::tensor::DeviceType::Wgpu).into_vec(),
            #[allow(unreachable_patterns, reason = "what features leave out")]
            _ => Vec::new(),
        }
    }

    #[cfg(any(feature = "cuda", feature = "wgpu"))]
    fn opened(self, device: Device) -> Option<Gpu> {
        let identity = std::panic::catch_unwind(|| device.identity()).ok()??;
        let card = self == Self::Cuda || identity.physical.is_some();
        Some(Gpu { device, name: format!("{}, {}", identity.name, self.word()), card })
    }

    #[cfg(not(any(feature = "cuda", feature = "wgpu")))]
    #[allow(clippy::unused_self, reason = "the other one needs it")]
    fn opened(self, _: Device) -> Option<Gpu> {
        None
    }

    /// How many of its devices are cards. They come first; CUDA's are, and are not opened for that.
    fn cards(self) -> usize {
        match self {
            Self::Cuda => self.devices().len(),
            Self::Wgpu => self.gpus().filter(|gpu| gpu.card).count(),
        }
    }

    /// All its devices, opened: those that can be.
    fn gpus(self) -> impl Iterator<Item = Gpu> {
        self.devices().into_iter().filter_map(move |device| self.opened(device))
    }
}

/// A device that is not the CPU.
pub(super) struct Gpu {
    pub(super) device: Device,
    /// As it names itself, and by what it is spoken to.
    pub(super) name: String,
    /// Whether it is a card, and not a program that stands in for one.
    card: bool,
}

impl Gpu {
    /// The device to work on, and what it is in words.
    fn chosen(self) -> (Device, String) {
        kernels::keep_choices(&cache().join("autotune"), &self.name);
        (self.device, self.name)
    }
}

fn gpu(asked: &str, rank: Option<usize>) -> Result<(Device, String)> {
    let refuse = |reason: String| Error::NoDevice { asked: asked.to_owned(), reason };
    let (word, number) = asked.split_once(':').map_or((asked, None), |(word, number)| (word, Some(number)));
    let Some(interface) = Interface::ALL.into_iter().find(|interface| interface.word() == word) else {
        return Err(refuse("it is one of `auto`, `cpu`, `cuda`, `cuda:N`, `wgpu` and `wgpu:N`".to_owned()));
    };
    let parse = |number: &str| {
        number
            .parse::<usize>()
            .map_err(|_| refuse(format!("after `{word}:` comes a number, such as `{word}:0`")))
    };
    let number = number.map(parse).transpose()?;
    if !interface.built_in() {
        return Err(refuse(format!(
            "this sida was built without it; build it with `cargo build --release --features {word}`"
        )));
    }
    let found = interface.devices();
    let count = found.len();
    let index = match number {
        None => own(asked, rank, count)?,
        Some(_) if rank.is_some() => {
            return Err(refuse(format!("each rank takes a GPU of its own: write `--device {word}`")));
        }
        Some(number) => number,
    };
    let nothing = match interface {
        Interface::Cuda => "no NVIDIA GPU or no driver was found",
        Interface::Wgpu => "no GPU with a driver for Vulkan, Metal or DirectX was found",
    };
    let chosen = found.into_iter().nth(index).ok_or_else(|| {
        refuse(match count {
            0 => format!("{nothing}; `sida doctor` says more, `--device cpu` needs none"),
            1 => format!("there is one, `{word}:0`"),
            n => format!("there are {n}, `{word}:0` to `{word}:{}`", n - 1),
        })
    })?;
    let gpu = interface.opened(chosen);
    let gpu =
        gpu.ok_or_else(|| refuse("it is there, but cannot be opened; `sida doctor` says more".to_owned()))?;
    Ok(gpu.chosen())
}

/// All devices that are not the CPU.
pub(super) fn gpus() -> Vec<Gpu> {
    Interface::ALL.into_iter().flat_map(Interface::gpus).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_make_no_other_kind_of_device() {
        assert_eq!(kind("CPU, 2 threads, AVX-512"), kind("CPU, 1 thread, AVX-512"));
        assert_ne!(kind("CPU, 1 thread, AVX-512"), kind("CPU, 1 thread, AVX2"));
        assert_eq!(kind("NVIDIA H100, cuda"), "NVIDIA H100, cuda");
    }

    #[test]
    fn a_word_that_names_no_device_is_refused_with_what_there_is() {
        for asked in ["gpu", "cuda:x", "cuda:99", "wgpu:x", "wgpu:99", "wgpu0"] {
            let error = choose(asked).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(asked), "{error}");
        }
        assert!(choose("cpu").unwrap().1.starts_with("CPU"));
    }
}
