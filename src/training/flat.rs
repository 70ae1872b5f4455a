//! `Flat`: a network whose parameters lie one after another in one tensor, so that an update of all is one operation.

use std::sync::Arc;

use burn::tensor::Tensor;

use super::{
    layout::Layout,
    parameters::{self, fill, flat_parameters, hollow},
};
use crate::{Result, kernels, nn::Denoiser, state_dict::StateDict};

/// A network, without a tape, whose parameters are views of one flat tensor.
#[derive(Debug)]
pub struct Flat<D> {
    layout: Arc<Layout>,
    /// The network with parameters that hold nothing.
    hollow: D,
    /// `None` only while the values are being replaced.
    filled: Option<Filled<D>>,
}

#[derive(Debug)]
struct Filled<D> {
    network: D,
    values: Tensor<1>,
}

/// Values of a fingerprint's row; flat tensors have a multiple of it.
const ROW: usize = 128;
const TAKEN: &str = "there are no values only while they are being replaced";

impl<D: Denoiser> Flat<D> {
    /// `network` with its parameters copied: whoever has it, too, does not see what happens to this one.
    pub fn new(network: D) -> Self {
        let network = network.valid();
        let layout = Arc::new(Layout::of(&network));
        let filled = Some(Filled::of(&network, &layout));
        Self { layout, hollow: hollow(network), filled }
    }

    /// The network, as it is now: a clone of it keeps these values, and costs the next update a copy of them.
    pub fn network(&self) -> &D {
        &self.filled.as_ref().expect(TAKEN).network
    }

    /// The values of all parameters.
    pub fn values(&self) -> &Tensor<1> {
        &self.filled.as_ref().expect(TAKEN).values
    }

    /// A number that other values do not have, but by a chance of nothing: the hash of the sums of their rows.
    pub fn fingerprint(&self) -> u64 {
        let rows = self.values().clone().reshape([-1, ROW as i32]).sum_dim(1);
        let hash = blake3::hash(kernels::host(rows).as_bytes());
        u64::from_le_bytes(*hash.as_bytes().first_chunk().expect("a hash has 32 bytes"))
    }

    /// Where each parameter lies.
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// Puts in the values' place what `next` makes of them. The network lets go of them before, so that their memory has
    /// one owner and kernels may write in place.
    pub fn update(&mut self, next: impl FnOnce(Tensor<1>) -> Tensor<1>) {
        let Filled { network, values } = self.filled.take().expect(TAKEN);
        drop(network);
        self.filled = Some(Filled::with(self.hollow.clone(), next(values), &self.layout));
    }

    /// Puts in the network's place what `next` makes of it: the same with other values, on a GPU in the same memory.
    pub fn rebuild(&mut self, next: impl FnOnce(D) -> D) {
        let Filled { network, values } = self.filled.take().expect(TAKEN);
        let next = self.layout.gather(flat_parameters(&next(network), self.layout.order()));
        let network = self.hollow.clone();
        self.filled = Some(Filled::with(network, kernels::settle(values, next), &self.layout));
    }

    /// The parameters on the host, by name.
    pub fn state(&self) -> StateDict {
        self.layout.state(self.values())
    }

    /// The same network with other parameters: exactly those that it has, by name.
    ///
    /// # Errors
    /// A parameter is missing, of another size, or unknown; `origin` names the file.
    pub fn restored(&self, state: &StateDict, origin: &str) -> Result<Self> {
        Ok(Self::new(parameters::restore(self.network().clone(), state, origin)?))
    }
}

impl<D: Denoiser> Filled<D> {
    fn of(network: &D, layout: &Layout) -> Self {
        let values = layout.gather(flat_parameters(network, layout.order()));
        Self::with(network.clone(), values, layout)
    }

    fn with(network: D, values: Tensor<1>, layout: &Layout) -> Self {
        let mut places = layout.places().ranges().iter();
        let network = fill(network, layout.order(), || {
            kernels::view(&values, places.next().expect("one place per parameter").clone())
        });
        Self { network, values }
    }
}

#[cfg(test)]
mod tests {
    use burn::{module::Module, tensor::TensorData};

    use super::*;
    use crate::nn::gaussian::Gaussian;

    #[test]
    fn what_is_done_to_the_values_is_done_to_the_network() {
        let mut flat = Flat::new(Gaussian::with_logvar(1.0, 2.0, 3.0));
        flat.update(|values| values * 2.0);
        let all = |network: &Gaussian| [network.mean(), network.std(), network.logvar()];
        assert_eq!(all(flat.network()), [2.0, 4.0, 6.0]);
        flat.rebuild(Denoiser::force_weight_normalization);
        assert_eq!(all(flat.network()), [2.0, 2.0, 6.0]);
        assert_eq!(flat.state()["std"], TensorData::from([2f32]));
        flat.update(|values| values + 1.0);
        assert_eq!(all(flat.network()), [3.0, 3.0, 7.0]);
    }

    #[test]
    fn a_fingerprint_sees_the_last_bit() {
        let of = |mean: f32| Flat::new(Gaussian::with_logvar(mean, 2.0, 3.0)).fingerprint();
        assert_eq!(of(1.0), of(1.0));
        assert_ne!(of(1.0), of(1.0f32.next_up()));
    }

    #[test]
    fn clones_keep_their_values_while_kernels_work_in_place() {
        let network = Gaussian::new(1.0, 2.0);
        let (mut flat, other) = (Flat::new(network.clone()), Flat::new(network.clone()));
        let (clone, taped, view) =
            (flat.network().clone(), flat.network().clone().train(), flat.values().clone());
        for _ in 0..2 {
            flat.update(|values| kernels::lerp(values.clone(), values.zeros_like(), 0.5));
            flat.update(|values| {
                let zeros = values.zeros_like();
                kernels::lerp(values, zeros, 0.5)
            });
        }
        assert_eq!((flat.network().mean(), flat.network().std()), (0.0625, 0.125));
        for old in [&network, other.network(), &clone, &taped] {
            assert_eq!((old.mean(), old.std()), (1.0, 2.0));
        }
        assert_eq!(flat.layout().state(&view)["std"], TensorData::from([2f32]));
    }

    #[test]
    fn memory_that_nobody_else_has_is_written_in_place() {
        let mut flat = Flat::new(Gaussian::new(1.0, 2.0));
        let pointer = |values: Tensor<1>| -> (Tensor<1>, usize) {
            let data = values.into_data();
            let address = data.as_bytes().as_ptr() as usize;
            (Tensor::from_data(data, &burn::tensor::Device::flex()), address)
        };
        let mut addresses = Vec::new();
        for _ in 0..2 {
            flat.update(|values| {
                let zeros = values.zeros_like();
                let (values, address) = pointer(values);
                addresses.push(address);
                kernels::lerp(values, zeros, 0.5)
            });
        }
        assert_eq!(addresses[0], addresses[1], "a copy was made");
    }
}
