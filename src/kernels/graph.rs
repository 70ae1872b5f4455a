//! Launches that are recorded once and replayed, where the device is a GPU: what it is told in thousands of launches then
//! takes the host one.

use burn::tensor::{Device, Tensor};

use super::random::Keys;
#[cfg(any(feature = "cuda", feature = "wgpu"))]
use super::{
    engine::{Cube, Engine, on_gpu},
    gpu::graph as gpu,
    tape::{Context, Operand},
};

/// Recorded launches. Each replay reads and writes the same memory, which is nobody else's while the graph lives.
#[derive(Debug)]
pub struct Graph {
    #[cfg(any(feature = "cuda", feature = "wgpu"))]
    recorded: gpu::Graph,
    #[cfg(not(any(feature = "cuda", feature = "wgpu")))]
    never: std::convert::Infallible,
}

impl Graph {
    /// Records what `run` launches; it is run a few times for that, reads nothing and uploads nothing that another replay
    /// should find changed. The tensors that come out are written by each replay, and by nothing before.
    ///
    /// # Errors
    /// The device records no launches, or not these: why.
    pub fn record<T>(device: &Device, run: impl FnMut() -> T) -> Result<(Self, T), String> {
        #[cfg(any(feature = "cuda", feature = "wgpu"))]
        if let Some(there) = on_gpu(device) {
            let (recorded, output) = gpu::Graph::record(&there, run).map_err(|error| error.to_string())?;
            return Ok((Self { recorded }, output));
        }
        let _ = run;
        Err(format!("{device:?} is no GPU"))
    }

    /// Launches everything again.
    ///
    /// # Panics
    /// The driver refuses, as where what was computed cannot be read.
    pub fn replay(&self) {
        #[cfg(any(feature = "cuda", feature = "wgpu"))]
        self.recorded.replay().unwrap_or_else(|error| panic!("a graph cannot be launched: {error}"));
        #[cfg(not(any(feature = "cuda", feature = "wgpu")))]
        match self.never {}
    }
}

/// What a graph reads and others write: memory of a GPU, of whatever rank and type. On a CPU there is none.
#[derive(Debug)]
pub struct Slots {
    /// Whether tensors are replaced by copies of their own.
    own: bool,
    #[cfg(any(feature = "cuda", feature = "wgpu"))]
    slots: Vec<<Cube as Engine>::Array>,
}

impl Slots {
    /// The memory of all that `each` shows.
    pub fn of(each: impl FnOnce(&mut Self)) -> Self {
        Self::with(false, each)
    }

    /// Puts copies in the place of all that `each` shows: memory that nobody else looks at.
    pub fn own(each: impl FnOnce(&mut Self)) -> Self {
        Self::with(true, each)
    }

    fn with(own: bool, each: impl FnOnce(&mut Self)) -> Self {
        let mut slots = Self {
            own,
            #[cfg(any(feature = "cuda", feature = "wgpu"))]
            slots: Vec::new(),
        };
        each(&mut slots);
        slots
    }

    /// Shows a tensor without a tape.
    pub fn tensor<const D: usize>(&mut self, tensor: &mut Tensor<D>) {
        #[cfg(any(feature = "cuda", feature = "wgpu"))]
        if let Ok(operand) = Operand::<Cube>::try_from(tensor.clone()) {
            let mut array = operand.into_array();
            if self.own {
                array = gpu::own(array);
                *tensor = Context::off().constant::<Cube, D>(array.clone());
            }
            self.slots.push(array);
        }
        let _ = (tensor, self.own);
    }

    /// Shows keys.
    pub fn keys(&mut self, keys: &mut Keys) {
        #[cfg(any(feature = "cuda", feature = "wgpu"))]
        if let Some(there) = keys.there_mut() {
            if self.own {
                *there = gpu::own(there.clone());
            }
            self.slots.push(there.clone());
        }
        let _ = keys;
    }

    /// Writes what the `others` hold over these, one by one; nothing where they are not of the same shapes. => whether
    /// they are
    pub fn overwrite(&self, others: Self) -> bool {
        #[cfg(any(feature = "cuda", feature = "wgpu"))]
        {
            let fit = self.slots.len() == others.slots.len()
                && self.slots.iter().zip(&others.slots).all(|(into, from)| gpu::fits(into, from));
            if fit {
                self.slots.iter().zip(others.slots).for_each(|(into, from)| gpu::overwrite(into, from));
            }
            fit
        }
        #[cfg(not(any(feature = "cuda", feature = "wgpu")))]
        {
            let _ = others;
            false
        }
    }
}

/// Which memory a tensor has: where two differ, a graph that read the one does not read the other. A CPU's is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Home(#[cfg(any(feature = "cuda", feature = "wgpu"))] usize);

/// Which memory a tensor on a GPU has.
pub fn home(tensor: &Tensor<1>) -> Option<Home> {
    #[cfg(any(feature = "cuda", feature = "wgpu"))]
    return Operand::<Cube>::try_from(tensor.clone()).ok().map(|there| Home(gpu::memory(&there.array)));
    #[cfg(not(any(feature = "cuda", feature = "wgpu")))]
    {
        let _ = tensor;
        None
    }
}

/// The values of `new`; on a GPU in the memory of `old`, where nobody else has that. Both `[m]`
pub fn settle(old: Tensor<1>, new: Tensor<1>) -> Tensor<1> {
    #[cfg(any(feature = "cuda", feature = "wgpu"))]
    if !super::host::is_host(&new.device()) {
        let old = Operand::<Cube>::of(old).into_array();
        let (context, new) = Operand::<Cube>::of(new).into_parts();
        return context.constant::<Cube, 1>(gpu::settle(old, new));
    }
    drop(old);
    new
}
