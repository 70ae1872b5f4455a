//! The gradients of one network: collected by parameter name, summed over micro-batches in a flat tensor, cleaned and
//! clipped there.

use std::{ops::Range, sync::Arc};

use burn::{
    module::{Module, ModuleVisitor, Param},
    tensor::Tensor,
};
use indexmap::IndexMap;

use super::{layout::Layout, parameters, replicas::Replicas, sanitized::Unread};
use crate::{
    Result,
    kernels::{self, WeightOrder},
};

/// Gradients of one micro-batch by parameter name, flat, their values as the parameters' lie. A parameter that the loss does not depend on has none, and an
/// optimizer leaves it alone.
#[derive(Clone, Debug, Default)]
pub struct Gradients(IndexMap<String, Tensor<1>>);

impl Gradients {
    /// Takes a network's gradients from the tape; `names` in the order of registration.
    pub fn collect<M: Module>(network: &M, names: &[String], tape: &mut burn::tensor::Gradients) -> Self {
        struct Visitor<'a> {
            names: std::slice::Iter<'a, String>,
            tape: &'a mut burn::tensor::Gradients,
            found: IndexMap<String, Tensor<1>>,
            order: WeightOrder,
        }
        impl ModuleVisitor for Visitor<'_> {
            fn visit_float<const R: usize>(&mut self, param: &Param<Tensor<R>>) {
                let name = self.names.next().expect("one name per parameter");
                if let Some(gradient) = param.val().grad_remove(self.tape) {
                    self.found.insert(name.clone(), self.order.flatten(gradient));
                }
            }
        }
        let order = parameters::order(network);
        let mut visitor = Visitor { names: names.iter(), tape, found: IndexMap::new(), order };
        network.visit(&mut visitor);
        Self(visitor.found)
    }

    /// With those of the same network's other passes, which had a tape of their own.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        for (name, gradient) in other.0 {
            let sum = match self.0.swap_remove(&name) {
                Some(first) => kernels::plus(first, gradient),
                None => gradient,
            };
            self.0.insert(name, sum);
        }
        self
    }

    /// The gradient of one parameter, flat.
    pub fn get(&self, name: &str) -> Option<Tensor<1>> {
        self.0.get(name).cloned()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, with their places.
    fn placed(mut self, layout: &Layout) -> Vec<(Range<usize>, Tensor<1>)> {
        let places = layout.names().iter().zip(layout.places().ranges());
        let placed =
            places.filter_map(|(name, place)| Some((place.clone(), self.0.swap_remove(name)?))).collect();
        assert!(self.0.is_empty(), "gradients of parameters that the network does not have");
        placed
    }
}

impl FromIterator<(String, Tensor<1>)> for Gradients {
    /// From flat gradients by name.
    fn from_iter<I: IntoIterator<Item = (String, Tensor<1>)>>(gradients: I) -> Self {
        Self(gradients.into_iter().collect())
    }
}

/// Gradients of one or more micro-batches, summed, in one flat tensor.
#[derive(Clone, Debug)]
pub struct GradientSum {
    layout: Arc<Layout>,
    /// Zero where a parameter has no gradient.
    values: Tensor<1>,
    present: Vec<bool>,
}

impl GradientSum {
    /// The gradients of one micro-batch.
    ///
    /// # Panics
    /// There is none.
    pub fn of(layout: &Arc<Layout>, gradients: Gradients) -> Self {
        let present = layout.names().iter().map(|name| gradients.0.contains_key(name)).collect();
        let values = kernels::gather(gradients.placed(layout), layout.places().total());
        Self { layout: Arc::clone(layout), values, present }
    }

    /// With those of another micro-batch.
    #[must_use]
    pub fn with(mut self, gradients: Gradients) -> Self {
        for (present, name) in self.present.iter_mut().zip(self.layout.names()) {
            *present |= gradients.0.contains_key(name);
        }
        let placed = gradients.placed(&self.layout);
        Self { values: kernels::add_gathered(self.values, placed), ..self }
    }

    /// The same in memory of its own.
    #[must_use]
    pub fn copied(self) -> Self {
        Self { values: self.values.mul_scalar(1.0), ..self }
    }

    /// With those of several others.
    #[must_use]
    pub fn and(mut self, later: Self) -> Self {
        for (present, other) in self.present.iter_mut().zip(later.present) {
            *present |= other;
        }
        let all = 0..self.layout.places().total();
        Self { values: kernels::add_gathered(self.values, vec![(all, later.values)]), ..self }
    }

    /// The sums over all replicas of the gradients, and of a few `numbers` that travel with them.
    pub(super) fn reduced(self, numbers: Tensor<1>, replicas: &impl Replicas) -> Result<(Self, Tensor<1>)> {
        let margin = self.layout.places().margin(numbers.dims()[0]);
        let values = replicas.reduce(kernels::add_gathered(self.values, vec![(margin.clone(), numbers)]))?;
        // A copy: a view would keep the gradients from being cleaned in place.
        let numbers = kernels::view(&values, margin).mul_scalar(1.0);
        Ok((Self { values, ..self }, numbers))
    }

    /// NaN becomes 0 and an infinity +-1e5; then, where a limit is given, every value is held within +-limit.
    #[must_use]
    pub fn sanitize(self, clip_value: Option<f64>) -> (Self, Unread) {
        let (values, numbers) = kernels::clean(self.values, self.layout.places(), clip_value);
        let unread = Unread::new(Arc::clone(&self.layout), numbers);
        (Self { values, ..self }, unread)
    }

    /// All of them, flat.
    pub fn values(&self) -> &Tensor<1> {
        &self.values
    }

    /// Which parameters have one, in the order of registration.
    pub fn present(&self) -> &[bool] {
        &self.present
    }

    /// The gradient of one parameter, flat.
    pub fn get(&self, name: &str) -> Option<Tensor<1>> {
        let index = self.layout.names().iter().position(|known| known == name)?;
        let place = self.layout.places().ranges()[index].clone();
        self.present[index].then(|| kernels::view(&self.values, place))
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::{nn::gaussian::Gaussian, training::Sanitized};

    fn gradients(values: &[(&str, f32)]) -> Gradients {
        let tensor = |v: f32| Tensor::from_floats([v], &Device::flex());
        values.iter().map(|(name, v)| ((*name).to_owned(), tensor(*v))).collect()
    }

    fn sum(values: &[(&str, f32)]) -> GradientSum {
        let layout = Layout::of(&Gaussian::with_logvar(0.0, 0.0, 0.0));
        GradientSum::of(&Arc::new(layout), gradients(values))
    }

    fn value(sum: &GradientSum, name: &str) -> Option<f32> {
        sum.get(name).map(|gradient| gradient.into_scalar())
    }

    fn sanitize(gradients: GradientSum, clip_value: Option<f64>) -> (GradientSum, Sanitized) {
        let (gradients, unread) = gradients.sanitize(clip_value);
        let numbers: Vec<f64> = unread.numbers().into_data().iter::<f64>().collect();
        (gradients, unread.sanitized(&mut numbers.into_iter()))
    }

    #[test]
    fn what_is_not_a_number_is_cleaned_and_large_finite_values_are_not() {
        let (g, seen) =
            sanitize(sum(&[("mean", f32::NAN), ("std", f32::NEG_INFINITY), ("logvar", 2e5)]), None);
        let found = ["mean", "std", "logvar"].map(|name| value(&g, name));
        assert_eq!(found, [Some(0.0), Some(-1e5), Some(2e5)]);
        assert_eq!((seen.cleaned, seen.clipped, seen.nan), (2, 0, vec!["mean".to_owned()]));
        assert!((seen.norm - 5e10f64.sqrt()).abs() < 1.0);
    }

    #[test]
    fn clipping_is_by_value_after_cleaning_and_the_norm_is_before() {
        let (g, seen) = sanitize(sum(&[("mean", 0.5), ("std", f32::INFINITY), ("logvar", -4.0)]), Some(1.0));
        assert_eq!(["mean", "std", "logvar"].map(|name| value(&g, name)), [Some(0.5), Some(1.0), Some(-1.0)]);
        assert_eq!((seen.cleaned, seen.clipped, seen.nan), (1, 2, Vec::new()));
        assert!((seen.norm - 1e5).abs() < 1.0);
        let (_, seen) = sanitize(sum(&[("mean", 3.0), ("std", -4.0)]), None);
        assert!((seen.norm - 5.0).abs() < 1e-6);
    }

    #[test]
    fn micro_batches_add_up_and_absence_is_kept() {
        let g = sum(&[("mean", 1.0)]).with(gradients(&[("mean", 10.0), ("std", 5.0)]));
        let g = g.and(sum(&[("mean", 100.0)]));
        let found = ["mean", "std", "logvar"].map(|name| value(&g, name));
        assert_eq!(found, [Some(111.0), Some(5.0), None]);
        assert_eq!(g.present(), [true, true, false]);
        let host = kernels::host(g.values().clone()).try_into_vec::<f32>().unwrap();
        assert!(host.iter().enumerate().all(|(i, v)| i % 64 == 0 || *v == 0.0), "zeros in between");
    }
}
