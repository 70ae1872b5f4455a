//! The gradients of one network by parameter name: collected, summed over micro-batches, cleaned and clipped.

use burn::{
    module::{Module, ModuleVisitor, Param},
    tensor::Tensor,
};
use indexmap::IndexMap;

use super::parameters::flat;
use crate::kernels;

/// What an infinite gradient becomes.
const LARGEST: f32 = 1e5;

/// Gradients by parameter name, flat. A parameter that the loss does not depend on has none, and an optimizer
/// leaves it alone.
#[derive(Clone, Debug, Default)]
pub struct Gradients(IndexMap<String, Tensor<1>>);

/// What `sanitize` found and did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sanitized {
    /// L2 norm of all gradients together, cleaned but not clipped.
    pub norm: f64,
    /// How many values were NaN or infinite.
    pub cleaned: u64,
    /// How many values were clipped.
    pub clipped: u64,
    /// The parameters whose gradients held a NaN.
    pub nan: Vec<String>,
}

impl Gradients {
    /// Takes a network's gradients from the tape; `names` in the order of registration.
    pub fn collect<M: Module>(network: &M, names: &[String], tape: &mut burn::tensor::Gradients) -> Self {
        struct Visitor<'a> {
            names: std::slice::Iter<'a, String>,
            tape: &'a mut burn::tensor::Gradients,
            found: IndexMap<String, Tensor<1>>,
        }
        impl ModuleVisitor for Visitor<'_> {
            fn visit_float<const R: usize>(&mut self, param: &Param<Tensor<R>>) {
                let name = self.names.next().expect("one name per parameter");
                if let Some(gradient) = param.val().grad_remove(self.tape) {
                    self.found.insert(name.clone(), flat(gradient));
                }
            }
        }
        let mut visitor = Visitor { names: names.iter(), tape, found: IndexMap::new() };
        network.visit(&mut visitor);
        Self(visitor.found)
    }

    /// Adds the gradients of another micro-batch.
    pub fn add(&mut self, other: Self) {
        for (name, gradient) in other.0 {
            let sum = match self.0.shift_remove(&name) {
                Some(sum) => sum + gradient,
                None => gradient,
            };
            self.0.insert(name, sum);
        }
    }

    /// Replaces all gradients at once; `all` keeps their order and their lengths.
    #[must_use]
    pub fn map(self, all: impl FnOnce(Vec<Tensor<1>>) -> Vec<Tensor<1>>) -> Self {
        let (names, gradients): (Vec<_>, Vec<_>) = self.0.into_iter().unzip();
        names.into_iter().zip(all(gradients)).collect()
    }

    /// The gradient of one parameter, flat.
    pub fn get(&self, name: &str) -> Option<Tensor<1>> {
        self.0.get(name).cloned()
    }

    /// Takes the gradient of one parameter, flat.
    pub fn remove(&mut self, name: &str) -> Option<Tensor<1>> {
        self.0.swap_remove(name)
    }

    /// NaN becomes 0 and an infinity +-1e5; then, where a limit is given, every value is held within +-limit.
    ///
    /// One reduction per tensor and one read decide which tensors need any work at all: as a rule, none.
    pub fn sanitize(&mut self, clip_value: Option<f64>) -> Sanitized {
        let mut result = Sanitized::default();
        if self.0.is_empty() {
            return result;
        }
        let squares = kernels::square_sums(&self.0.values().cloned().collect::<Vec<_>>());
        let squares =
            squares.into_data().convert::<f64>().try_into_vec::<f64>().expect("f64 after conversion");
        let mut total = 0.0;
        for ((name, gradient), mut square) in self.0.iter_mut().zip(squares) {
            if !square.is_finite() {
                let (clean, nan, infinite) = cleaned(gradient.clone());
                result.cleaned += nan + infinite;
                if nan > 0 {
                    result.nan.push(name.clone());
                }
                square = read(kernels::square_sums(std::slice::from_ref(&clean)));
                *gradient = clean;
            }
            total += square;
            if let Some(limit) = clip_value
                && square > limit * limit
            {
                result.clipped += count(gradient.clone().abs().greater_elem(limit));
                *gradient = gradient.clone().clamp(-limit, limit);
            }
        }
        result.norm = total.sqrt();
        result
    }
}

impl FromIterator<(String, Tensor<1>)> for Gradients {
    /// From flat gradients by name.
    fn from_iter<I: IntoIterator<Item = (String, Tensor<1>)>>(gradients: I) -> Self {
        Self(gradients.into_iter().collect())
    }
}

/// The gradient without NaN and infinity, and how many there were of each.
fn cleaned(gradient: Tensor<1>) -> (Tensor<1>, u64, u64) {
    let nan = gradient.clone().is_nan();
    let up = gradient.clone().equal_elem(f32::INFINITY);
    let down = gradient.clone().equal_elem(f32::NEG_INFINITY);
    let counts = (count(nan.clone()), count(up.clone()) + count(down.clone()));
    let gradient = gradient.mask_fill(nan, 0.0).mask_fill(up, LARGEST).mask_fill(down, -LARGEST);
    (gradient, counts.0, counts.1)
}

fn count(mask: Tensor<1, burn::tensor::Bool>) -> u64 {
    let counted = mask.int().sum().into_data().convert::<i64>();
    counted.try_into_vec::<i64>().expect("i64 after conversion")[0] as u64
}

fn read(value: Tensor<1>) -> f64 {
    value.into_data().convert::<f64>().try_into_vec::<f64>().expect("f64 after conversion")[0]
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn gradients(values: &[(&str, &[f32])]) -> Gradients {
        let tensor = |v: &[f32]| Tensor::from_floats(v, &Device::flex());
        Gradients(values.iter().map(|(name, v)| ((*name).to_owned(), tensor(v))).collect())
    }

    fn values(gradients: &Gradients, name: &str) -> Vec<f32> {
        gradients.get(name).unwrap().into_data().try_to_vec().unwrap()
    }

    #[test]
    fn what_is_not_a_number_is_cleaned_and_large_finite_values_are_not() {
        let mut g =
            gradients(&[("a", &[f32::NAN, 2e5, f32::INFINITY, f32::NEG_INFINITY]), ("b", &[3.0, 4.0])]);
        let seen = g.sanitize(None);
        assert_eq!(values(&g, "a"), [0.0, 2e5, 1e5, -1e5]);
        assert_eq!(values(&g, "b"), [3.0, 4.0]);
        assert_eq!((seen.cleaned, seen.clipped, seen.nan), (3, 0, vec!["a".to_owned()]));
    }

    #[test]
    fn clipping_is_by_value_after_cleaning_and_the_norm_is_before() {
        let mut g = gradients(&[("a", &[0.5, -4.0, 1.0]), ("b", &[f32::INFINITY]), ("c", &[0.1])]);
        let seen = g.sanitize(Some(1.0));
        assert_eq!(values(&g, "a"), [0.5, -1.0, 1.0]);
        assert_eq!(values(&g, "b"), [1.0]);
        assert_eq!((seen.cleaned, seen.clipped), (1, 2));
        assert!((seen.norm - 1e5).abs() < 1.0);
        let mut g = gradients(&[("a", &[3.0]), ("b", &[-4.0])]);
        assert!((g.sanitize(None).norm - 5.0).abs() < 1e-6);
    }

    #[test]
    fn micro_batches_add_up_and_absence_is_kept() {
        let mut g = gradients(&[("a", &[1.0, 2.0])]);
        g.add(gradients(&[("a", &[10.0, 20.0]), ("b", &[5.0])]));
        assert_eq!(values(&g, "a"), [11.0, 22.0]);
        assert_eq!(values(&g, "b"), [5.0]);
        assert!(g.get("c").is_none());
    }
}
