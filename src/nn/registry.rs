//! `Registry`: the one path on which a network is built, whether its weights are drawn, loaded or only listed.
//!
//! Networks are written down once, in the reference's order of registration; names, shapes, initial
//! distributions and the order of parameters all follow from that.

use std::collections::HashSet;

use burn::{
    module::{Module, ModuleVisitor, Param, ParamId},
    tensor::{DType, Device, Tensor, TensorData},
};
use indexmap::IndexMap;

use crate::{
    Error, Result,
    formats::type_name,
    kernels::{self, WeightOrder},
    seed::Draw,
    state_dict::{self, StateDict},
};

/// What the values of a fresh tensor are drawn from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Init {
    /// The same value everywhere.
    Constant(f64),
    /// Uniform between plus and minus the bound.
    Uniform(f64),
    /// Normal around 0 with this standard deviation.
    Normal(f64),
}

impl Init {
    /// All zeros.
    pub(crate) const ZERO: Self = Self::Constant(0.0);
    /// All ones.
    pub(crate) const ONE: Self = Self::Constant(1.0);

    fn values(self, draw: Draw, count: usize) -> Vec<f32> {
        match self {
            Self::Constant(value) => vec![value as f32; count],
            Self::Uniform(bound) => {
                let scale = |u: f32| ((f64::from(u) * 2.0 - 1.0) * bound) as f32;
                draw.uniforms(0..1, count).into_iter().map(scale).collect()
            }
            Self::Normal(std) => {
                draw.normals(0..1, count).into_iter().map(|z| (f64::from(z) * std) as f32).collect()
            }
        }
    }
}

/// One tensor of a network's state.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The reference's name.
    pub name: String,
    /// The reference's shape.
    pub shape: Vec<usize>,
    /// The values of a buffer, which training does not change; `None` for a parameter.
    pub buffer: Option<Vec<f32>>,
}

impl Entry {
    /// Whether it is trained.
    pub fn is_parameter(&self) -> bool {
        self.buffer.is_none()
    }
}

/// Where the values of the tensors come from.
enum Fill<'a> {
    Shapes,
    Drawn(Draw),
    Weights { weights: &'a StateDict, origin: &'a str },
}

/// Hands out the tensors of a network under construction, and writes down which.
pub(crate) struct Registry<'a> {
    fill: Fill<'a>,
    device: Device,
    path: String,
    entries: Vec<Entry>,
}

impl<'a> Registry<'a> {
    /// Lists tensors without making them.
    pub(crate) fn shapes() -> Self {
        Self::new(Fill::Shapes, &Device::flex())
    }

    /// Draws tensors from their initial distributions.
    pub(crate) fn drawn(draw: Draw, device: &Device) -> Self {
        Self::new(Fill::Drawn(draw), device)
    }

    /// Takes tensors from `weights`; `origin` names them in errors.
    pub(crate) fn weights(weights: &'a StateDict, origin: &'a str, device: &Device) -> Self {
        Self::new(Fill::Weights { weights, origin }, device)
    }

    fn new(fill: Fill<'a>, device: &Device) -> Self {
        Self { fill, device: device.clone(), path: String::new(), entries: Vec::new() }
    }

    /// Builds a child module: the names that it registers begin with `name` and a dot.
    pub(crate) fn within<T>(&mut self, name: &str, build: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let parent = self.path.len();
        self.path.push_str(name);
        self.path.push('.');
        let built = build(self);
        self.path.truncate(parent);
        built
    }

    /// Builds a child module where it is wanted.
    pub(crate) fn optional<T>(
        &mut self,
        wanted: bool,
        name: &str,
        build: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<Option<T>> {
        if wanted { self.within(name, build).map(Some) } else { Ok(None) }
    }

    /// The full name of the module under construction, such as `model.enc.8x8_block0`.
    pub(crate) fn module_name(&self) -> &str {
        self.path.trim_end_matches('.')
    }

    /// A trained tensor.
    pub(crate) fn parameter<const D: usize>(
        &mut self,
        name: &str,
        shape: [usize; D],
        init: Init,
    ) -> Result<Param<Tensor<D>>> {
        self.parameter_named_as(name, shape, shape.to_vec(), init)
    }

    /// A trained number; the reference's tensor has no dimensions, Burn's has one.
    pub(crate) fn scalar(&mut self, name: &str, init: Init) -> Result<Param<Tensor<1>>> {
        self.parameter_named_as(name, [1], Vec::new(), init)
    }

    fn parameter_named_as<const D: usize>(
        &mut self,
        name: &str,
        shape: [usize; D],
        reference_shape: Vec<usize>,
        init: Init,
    ) -> Result<Param<Tensor<D>>> {
        let name = format!("{}{name}", self.path);
        let values = self.filled(&name, &reference_shape, init)?;
        self.entries.push(Entry { name, shape: reference_shape, buffer: None });
        if let Some(values) = values {
            let values = Tensor::from_data(TensorData::new(values, shape), &self.device);
            return Ok(Param::from_tensor(WeightOrder::of(&self.device).laid(values)));
        }
        // Never made unless somebody looks at it, which nobody does: only the shape is wanted.
        let zeros = move |device: &Device, _| Tensor::zeros(shape, device);
        Ok(Param::uninitialized(ParamId::new(), zeros, self.device.clone(), true, shape.into()))
    }

    /// The values of a tensor that is not trained, of any shape, on the host.
    pub(crate) fn values(&mut self, name: &str, shape: &[usize], init: Init) -> Result<Vec<f32>> {
        let name = format!("{}{name}", self.path);
        let values = self.filled(&name, shape, init)?.unwrap_or_else(|| vec![0.0; shape.iter().product()]);
        self.entries.push(Entry { name, shape: shape.to_vec(), buffer: Some(values.clone()) });
        Ok(values)
    }

    /// The values of the tensor of this full name; `None` where only shapes are wanted.
    fn filled(&self, name: &str, shape: &[usize], init: Init) -> Result<Option<Vec<f32>>> {
        match &self.fill {
            Fill::Shapes => Ok(None),
            Fill::Drawn(draw) => Ok(Some(init.values(draw.purpose(name), shape.iter().product()))),
            Fill::Weights { weights, origin } => {
                find(weights, origin, name, shape)?.ok_or_else(|| missing(origin, name)).map(Some)
            }
        }
    }

    /// The first extent of a tensor, for networks whose widths are the weights' own; at least 1.
    pub(crate) fn width(&self, name: &str) -> Result<usize> {
        let Fill::Weights { weights, origin } = &self.fill else { return Ok(1) };
        let name = format!("{}{name}", self.path);
        let data = weights.get(&name).ok_or_else(|| missing(origin, &name))?;
        Ok(data.shape().first().copied().unwrap_or_default().max(1))
    }

    /// Where tensors are made.
    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    /// A tensor that follows from the settings. Weights may leave it out, but must not contradict it.
    pub(crate) fn derived(&mut self, name: &str, shape: &[usize], values: Vec<f32>) -> Result<()> {
        let name = format!("{}{name}", self.path);
        if let Fill::Weights { weights, origin } = &self.fill
            && let Some(found) = find(weights, origin, &name, shape)?
        {
            let scale = values.iter().fold(0f32, |m, v| m.max(v.abs()));
            // A released file may hold it in float16.
            if let Some((a, b)) = found.iter().zip(&values).find(|(a, b)| (**a - **b).abs() > 1e-3 * scale) {
                return Err(Error::Unusable(format!(
                    "{origin}: tensor `{name}` holds {a} where the network's settings make it {b}"
                )));
            }
        }
        self.entries.push(Entry { name, shape: shape.to_vec(), buffer: Some(values) });
        Ok(())
    }

    /// Everything that was registered, in order; weights must have nothing left.
    pub(crate) fn finish(self) -> Result<Vec<Entry>> {
        self.finish_without(|_| false)
    }

    /// The same where weights may have something left if `ignored` says so of its name.
    pub(crate) fn finish_without(self, ignored: impl Fn(&str) -> bool) -> Result<Vec<Entry>> {
        if let Fill::Weights { weights, origin } = self.fill {
            let known: HashSet<&str> = self.entries.iter().map(|e| e.name.as_str()).collect();
            if let Some(name) = weights.keys().find(|name| !known.contains(name.as_str()) && !ignored(name)) {
                return Err(Error::UnexpectedTensor { origin: origin.to_owned(), tensor: name.clone() });
            }
        }
        Ok(self.entries)
    }
}

fn missing(origin: &str, name: &str) -> Error {
    Error::MissingTensor { origin: origin.to_owned(), tensor: name.to_owned() }
}

/// A tensor of the weights as float32; its shape must be `shape`.
fn find(weights: &StateDict, origin: &str, name: &str, shape: &[usize]) -> Result<Option<Vec<f32>>> {
    let Some(data) = weights.get(name) else { return Ok(None) };
    let found: Vec<usize> = data.shape().to_vec();
    if found != shape {
        return Err(Error::ShapeMismatch {
            origin: origin.to_owned(),
            tensor: name.to_owned(),
            found,
            expected: shape.to_vec(),
        });
    }
    if !matches!(data.dtype(), DType::F64 | DType::F32 | DType::F16 | DType::BF16) {
        return Err(Error::Unusable(format!(
            "{origin}: tensor `{name}` holds {}, but a network needs real numbers",
            type_name(data.dtype())
        )));
    }
    state_dict::finite(data, name, origin).map(Some)
}

/// The parameters of a module on the host, in the order of registration.
fn parameter_values(module: &impl Module) -> Vec<TensorData> {
    struct Values(Vec<TensorData>);
    impl ModuleVisitor for Values {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.push(kernels::host(param.val()));
        }
    }
    let mut values = Values(Vec::new());
    module.visit(&mut values);
    values.0
}

/// The parameters of a module and the buffers of its entries, under their names and in their order.
pub(crate) fn state_dict(module: &impl Module, entries: &[Entry]) -> StateDict {
    let mut values = parameter_values(module).into_iter();
    let mut state = IndexMap::with_capacity(entries.len());
    for entry in entries {
        let data = if let Some(buffer) = &entry.buffer {
            TensorData::new(buffer.clone(), entry.shape.clone())
        } else {
            let data = values.next().expect("the visit meets every registered parameter");
            let dtype = data.dtype();
            TensorData::from_bytes(data.into_bytes(), entry.shape.clone(), dtype)
        };
        state.insert(entry.name.clone(), data);
    }
    state
}
