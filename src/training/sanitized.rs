//! `Sanitized`: what was found in gradients and done to them; and the same while it is still on the device.

use std::sync::Arc;

use burn::tensor::Tensor;

use super::layout::Layout;

/// What cleaning and clipping found and did.
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

/// The same as numbers that nobody has read yet, four of each parameter: see `kernels::clean`.
#[derive(Debug)]
pub struct Unread {
    layout: Arc<Layout>,
    numbers: Tensor<1>,
}

/// Numbers of each parameter.
const OF_EACH: usize = 4;

impl Unread {
    /// Of the parameters of `layout`, from their `numbers`, as many as `count` says.
    pub fn new(layout: Arc<Layout>, numbers: Tensor<1>) -> Self {
        Self { layout, numbers }
    }

    /// How many numbers there are.
    pub fn count(layout: &Layout) -> usize {
        OF_EACH * layout.names().len()
    }

    /// The numbers, to be read with others.
    pub fn numbers(&self) -> Tensor<1> {
        self.numbers.clone()
    }

    /// What they say: these are the next ones of those that were read.
    pub fn sanitized(&self, read: &mut impl Iterator<Item = f64>) -> Sanitized {
        let mut sanitized = Sanitized::default();
        let mut next = || read.next().expect("four numbers of each parameter");
        for name in self.layout.names() {
            let [square, nan, infinite, clipped]: [f64; OF_EACH] = std::array::from_fn(|_| next());
            sanitized.norm += square;
            sanitized.cleaned += (nan + infinite) as u64;
            sanitized.clipped += clipped as u64;
            if nan > 0.0 {
                sanitized.nan.push(name.clone());
            }
        }
        sanitized.norm = sanitized.norm.sqrt();
        sanitized
    }
}
