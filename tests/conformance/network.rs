//! Kind `network` of the fixtures' README.

use std::collections::HashMap;

use burn::{
    module::{Module, ModuleVisitor, Param},
    tensor::{Device, Gradients, Tensor, TensorData},
};
use serde::Deserialize;
use serde_json::{Map, Value};
use sida::nn::{Condition, Denoiser, Dropout, Network, NetworkConfig};

use crate::case::Case;

/// `config` of kind `network`, and wherever else a network is described.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Net {
    precond: String,
    precond_args: Map<String, Value>,
    model: String,
    model_args: Map<String, Value>,
}

impl Net {
    /// One of the arguments, as recorded.
    pub fn argument(&self, name: &str) -> Option<&Value> {
        self.precond_args.get(name).or_else(|| self.model_args.get(name))
    }

    /// The settings in our own words.
    pub fn config(&self) -> Result<NetworkConfig, String> {
        let mut kwargs = self.precond_args.clone();
        let model = kwargs.get("model_type").and_then(Value::as_str).unwrap_or(&self.model);
        let edm2 = matches!(self.model.as_str(), "UNet" | "UNet_EncoderDecoder");
        if model != self.model || edm2 == self.precond_args.contains_key("model_type") {
            return Err(format!("model `{}` of precond `{}`", self.model, self.precond));
        }
        for (name, value) in &self.model_args {
            if kwargs.insert(name.clone(), value.clone()).is_some() {
                return Err(format!("argument `{name}` is given twice"));
            }
        }
        NetworkConfig::from_reference(&self.precond, &kwargs, "the case").map_err(|e| e.to_string())
    }
}

pub fn run(case: &mut Case) -> Result<(), String> {
    let net: Net = case.config()?;
    let device = crate::case::device().autodiff();
    let weights = case.weights(None)?;
    let network = net.config()?.load(&weights, "the case", &device).map_err(|e| e.to_string())?;
    drop(weights);
    judge(case, &network, &device)
}

fn judge(case: &mut Case, network: &Network, device: &Device) -> Result<(), String> {
    let images = |data: TensorData| Tensor::<4>::from_data(data, device);
    let x = images(case.tensor("in.x")?).require_grad();
    let n = x.dims()[0];
    let sigma = Tensor::<1>::from_data(case.tensor("in.sigma")?, device).reshape([n, 1, 1, 1]);
    let labels = |data: Option<TensorData>| data.map(|data| Tensor::<2>::from_data(data, device));
    let condition = Condition {
        class_labels: labels(case.optional("in.class_labels")?),
        augment_labels: labels(case.optional("in.augment_labels")?),
    };
    let denoise = |condition: &Condition| network.denoise(x.clone(), sigma.clone(), condition, Dropout::Off);

    let denoised = denoise(&condition);
    case.check("out.D_x", denoised.images.to_data())?;
    check_if_listed(case, "out.encdec_logits", &denoised.logits())?;
    check_if_listed(case, "out.dec_D_x", &denoised.images)?;
    let mut loss = (denoised.images.clone() * images(case.tensor("in.R")?)).sum();
    if case.has("in.R_logits") {
        loss = loss + (denoised.logits() * images(case.tensor("in.R_logits")?)).sum();
    }
    match denoised.logvar {
        Some(logvar) => {
            check_if_listed(case, "out.logvar", &logvar)?;
            loss = loss + (logvar * images(case.tensor("in.R_logvar")?)).sum();
        }
        None => case.expect(!case.has("out.logvar"), || "the network has no logvar head".to_owned()),
    }
    case.check("out.L", reshaped(loss.to_data(), &[]))?;
    let gradients = loss.backward();
    let grad_x = x.grad(&gradients).ok_or("no gradient reaches the input")?;
    case.check("grad.in.x", grad_x.into_data())?;
    check_parameters(case, network, &gradients)?;

    let raw = network.raw(&x, sigma.clone(), &condition, Dropout::Off);
    case.check("out.F_x", raw.f_x.to_data())?;
    case.check("out.c_noise", raw.scaled.c_noise.to_data())?;
    if case.has("out.enc_logits") {
        let logits = network.encode(x.clone(), sigma.clone(), &condition, Dropout::Off);
        case.check("out.enc_logits", logits.to_data())?;
    }
    if case.has("out.D_x_nolabels") {
        let without = Condition { class_labels: None, ..condition.clone() };
        case.check("out.D_x_nolabels", denoise(&without).images.to_data())?;
    }
    if case.has("out.D_x_noaug") {
        let without = Condition { augment_labels: None, ..condition.clone() };
        case.check("out.D_x_noaug", denoise(&without).images.to_data())?;
    }
    if case.has("aux.u") {
        let u = network.state_dict().get("u").cloned().ok_or("the network has no table of noise levels")?;
        case.check("aux.u", u)?;
    }
    Ok(())
}

fn check_if_listed(case: &mut Case, name: &str, actual: &Tensor<4>) -> Result<(), String> {
    if case.has(name) { case.check(name, actual.to_data()) } else { Ok(()) }
}

/// Every `grad.param.<name>` that the case lists.
fn check_parameters(case: &mut Case, network: &Network, gradients: &Gradients) -> Result<(), String> {
    let mut found = gradients_by_name(network, gradients);
    let shapes: HashMap<&str, &[usize]> =
        network.entries().iter().map(|e| (e.name.as_str(), e.shape.as_slice())).collect();
    let listed: Vec<String> = case.listed().iter().map(|t| t.name.clone()).collect();
    for name in listed.iter().filter_map(|n| n.strip_prefix("grad.param.")) {
        let gradient = found.remove(name).ok_or(format!("no gradient for `{name}`"))?;
        case.check(&format!("grad.param.{name}"), reshaped(gradient, shapes[name]))?;
    }
    Ok(())
}

/// The gradients of all parameters that have one, under the reference's names.
pub fn gradients_by_name(network: &Network, gradients: &Gradients) -> HashMap<String, TensorData> {
    struct Collect<'a> {
        gradients: &'a Gradients,
        names: std::vec::IntoIter<String>,
        found: HashMap<String, TensorData>,
    }
    impl ModuleVisitor for Collect<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let name = self.names.next().expect("a name for every parameter");
            if let Some(gradient) = param.val().grad(self.gradients) {
                self.found.insert(name, gradient.into_data());
            }
        }
    }
    let names = network.parameter_names().into_iter();
    let mut collect = Collect { gradients, names, found: HashMap::new() };
    network.visit(&mut collect);
    assert!(collect.names.next().is_none(), "a parameter for every name");
    collect.found
}

/// The same values in another shape: Burn has no tensor without dimensions.
pub fn reshaped(data: TensorData, shape: &[usize]) -> TensorData {
    let dtype = data.dtype();
    TensorData::from_bytes(data.into_bytes(), shape.to_vec(), dtype)
}
