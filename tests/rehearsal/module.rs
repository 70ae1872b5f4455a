//! Writes networks as EDM, EDM2 and SiD pickle them: a tree of modules whose classes carry their source, each with its
//! parameters, buffers and modules. What nobody reads is left out: the source, and what a layer knows besides its tensors.

use burn::tensor::TensorData;
use indexmap::IndexMap;
use serde_json::{Map, Value};
use sida::{nn::NetworkConfig, state_dict::StateDict};

use super::pickle::Pickler;

/// What torch keeps in every module, and is empty where nobody hooks in.
const HOOKS: [&str; 11] = [
    "_backward_pre_hooks",
    "_backward_hooks",
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_state_dict_hooks",
    "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
];

/// One module: its tensors by their own names, in order, and the modules in it.
#[derive(Default)]
struct Module<'a> {
    parameters: Vec<(&'a str, &'a TensorData)>,
    buffers: Vec<(&'a str, &'a TensorData)>,
    modules: IndexMap<&'a str, Module<'a>>,
}

/// Writes a network of a class, made with the arguments `keywords`, with the tensors of `weights`.
pub fn network(
    p: &mut Pickler,
    class: &str,
    keywords: &Map<String, Value>,
    weights: &StateDict,
    config: &NetworkConfig,
) {
    let mut root = Module::default();
    for entry in config.shapes().unwrap() {
        let Some((name, data)) = weights.get_key_value(&entry.name) else { continue };
        let (path, name) = name.rsplit_once('.').map_or(("", name.as_str()), |(path, name)| (path, name));
        let module = path.split('.').filter(|part| !part.is_empty());
        let module = module.fold(&mut root, |module, part| module.modules.entry(part).or_default());
        let list = if entry.is_parameter() { &mut module.parameters } else { &mut module.buffers };
        list.push((name, data));
    }
    persistent(p, class, |p| {
        root.attributes(p, config.is_edm2());
        for (name, value) in keywords {
            p.text(name);
            p.json(value);
        }
        arguments(p, keywords);
    });
}

/// Writes an object of a class whose source travels with it; `state` writes its attributes, names and values in turn.
pub fn persistent(p: &mut Pickler, class: &str, state: impl FnOnce(&mut Pickler)) {
    p.call("torch_utils.persistence", "_reconstruct_persistent_obj", |p| {
        p.dict(|p| {
            p.text("type");
            p.text("class");
            p.text("version");
            p.int(6);
            p.text("module_src");
            p.text("# left out\n");
            p.text("class_name");
            p.text(class);
            p.text("state");
            p.dict(state);
        });
    });
}

/// The attributes that say how a persistent object was made.
pub fn arguments(p: &mut Pickler, keywords: &Map<String, Value>) {
    p.text("_init_args");
    p.tuple(|_| {});
    p.text("_init_kwargs");
    p.json(&Value::Object(keywords.clone()));
}

impl Module<'_> {
    fn write(&self, p: &mut Pickler, name: &str, edm2: bool) {
        match class(name, edm2) {
            "ModuleDict" => {
                let make = |p: &mut Pickler| p.new_object("torch.nn.modules.container", "ModuleDict");
                p.build(make, |p| p.dict(|p| self.attributes(p, edm2)));
            }
            class => persistent(p, class, |p| {
                self.attributes(p, edm2);
                arguments(p, &Map::new());
            }),
        }
    }

    fn attributes(&self, p: &mut Pickler, edm2: bool) {
        p.text("training");
        p.bool(false);
        p.text("_parameters");
        p.dict(|p| {
            for (name, data) in &self.parameters {
                p.text(name);
                p.parameter(data);
            }
        });
        p.text("_buffers");
        p.dict(|p| {
            for (name, data) in &self.buffers {
                p.text(name);
                p.tensor(data);
            }
        });
        p.text("_non_persistent_buffers_set");
        p.empty_set();
        for hook in HOOKS {
            p.text(hook);
            p.ordered_dict();
        }
        p.text("_modules");
        p.dict(|p| {
            for (name, module) in &self.modules {
                p.text(name);
                module.write(p, name, edm2);
            }
        });
    }
}

/// The class of a module within EDM's `SongUNet` or EDM2's `UNet`, by its name.
fn class(name: &str, edm2: bool) -> &'static str {
    let is_block = ["_block", "_in", "_down", "_up"].iter().any(|part| name.contains(part));
    match name {
        "model" => "SongUNet",
        "unet" => "UNet",
        "enc" | "dec" => "ModuleDict",
        _ if is_block && edm2 => "Block",
        _ if is_block => "UNetBlock",
        _ if name.contains("fourier") => "MPFourier",
        _ if edm2 => "MPConv",
        _ if name.contains("norm") => "GroupNorm",
        _ if name.starts_with("map_") || name == "affine" => "Linear",
        _ => "Conv2d",
    }
}
