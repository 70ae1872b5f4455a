//! The names that published files give to the tensors of Inception v3.

use std::borrow::Cow;

use burn::tensor::TensorData;

use crate::{Error, Result, state_dict::StateDict, terminal};

/// Units: their public names beside those in NVIDIA's TorchScript, which takes them from TensorFlow's graph.
type Units = &'static [(&'static str, &'static str)];

const STEM: Units = &[
    ("Conv2d_1a_3x3", "conv"),
    ("Conv2d_2a_3x3", "conv_1"),
    ("Conv2d_2b_3x3", "conv_2"),
    ("Conv2d_3b_1x1", "conv_3"),
    ("Conv2d_4a_3x3", "conv_4"),
];
/// Mixed blocks under both names, and the units in them.
const BLOCKS: [(&str, &str, Units); 11] = [
    ("Mixed_5b", "mixed", A),
    ("Mixed_5c", "mixed_1", A),
    ("Mixed_5d", "mixed_2", A),
    ("Mixed_6a", "mixed_3", B),
    ("Mixed_6b", "mixed_4", C),
    ("Mixed_6c", "mixed_5", C),
    ("Mixed_6d", "mixed_6", C),
    ("Mixed_6e", "mixed_7", C),
    ("Mixed_7a", "mixed_8", D),
    ("Mixed_7b", "mixed_9", E),
    ("Mixed_7c", "mixed_10", E),
];
const A: Units = &[
    ("branch1x1", "conv"),
    ("branch5x5_1", "tower.conv"),
    ("branch5x5_2", "tower.conv_1"),
    ("branch3x3dbl_1", "tower_1.conv"),
    ("branch3x3dbl_2", "tower_1.conv_1"),
    ("branch3x3dbl_3", "tower_1.conv_2"),
    ("branch_pool", "tower_2.conv"),
];
const B: Units = &[
    ("branch3x3", "conv"),
    ("branch3x3dbl_1", "tower.conv"),
    ("branch3x3dbl_2", "tower.conv_1"),
    ("branch3x3dbl_3", "tower.conv_2"),
];
const C: Units = &[
    ("branch1x1", "conv"),
    ("branch7x7_1", "tower.conv"),
    ("branch7x7_2", "tower.conv_1"),
    ("branch7x7_3", "tower.conv_2"),
    ("branch7x7dbl_1", "tower_1.conv"),
    ("branch7x7dbl_2", "tower_1.conv_1"),
    ("branch7x7dbl_3", "tower_1.conv_2"),
    ("branch7x7dbl_4", "tower_1.conv_3"),
    ("branch7x7dbl_5", "tower_1.conv_4"),
    ("branch_pool", "tower_2.conv"),
];
const D: Units = &[
    ("branch3x3_1", "tower.conv"),
    ("branch3x3_2", "tower.conv_1"),
    ("branch7x7x3_1", "tower_1.conv"),
    ("branch7x7x3_2", "tower_1.conv_1"),
    ("branch7x7x3_3", "tower_1.conv_2"),
    ("branch7x7x3_4", "tower_1.conv_3"),
];
const E: Units = &[
    ("branch1x1", "conv"),
    ("branch3x3_1", "tower_conv"),
    ("branch3x3_2a", "tower_mixed_conv"),
    ("branch3x3_2b", "tower_mixed_conv_1"),
    ("branch3x3dbl_1", "tower_1_conv"),
    ("branch3x3dbl_2", "tower_1_conv_1"),
    ("branch3x3dbl_3a", "tower_1_mixed_conv"),
    ("branch3x3dbl_3b", "tower_1_mixed_conv_1"),
    ("branch_pool", "tower_2_conv"),
];
/// The tensors of a unit. NVIDIA's have no factor behind the normalisation: it is one.
const TENSORS: [(&str, &str); 4] =
    [("conv.weight", "weight"), ("bn.bias", "beta"), ("bn.running_mean", "mean"), ("bn.running_var", "var")];

/// How many names an error shows.
const SHOWN: usize = 3;

/// The weights under the public names; `origin` names them in errors.
///
/// # Errors
/// Names of neither kind; `MissingTensor` for NVIDIA's.
pub(super) fn public<'a>(dict: &'a StateDict, origin: &str) -> Result<Cow<'a, StateDict>> {
    let any = |start: &str| dict.keys().any(|name| name.starts_with(start));
    if any("Conv2d_1a_3x3.") {
        Ok(Cow::Borrowed(dict))
    } else if any("layers.conv.") {
        from_nvidia(dict, origin).map(Cow::Owned)
    } else {
        Err(unknown(dict, origin))
    }
}

/// What is left over keeps its name, under which it will be refused.
fn from_nvidia(dict: &StateDict, origin: &str) -> Result<StateDict> {
    let mut left = dict.clone();
    let mut take = |name: String| {
        let found = left.shift_remove(&name);
        found.ok_or_else(|| Error::MissingTensor { origin: origin.to_owned(), tensor: name })
    };
    let mut public = StateDict::new();
    for (ours, theirs) in units() {
        for (tensor, name) in TENSORS {
            let data = take(format!("{theirs}.{name}"))?;
            if tensor == "conv.weight" {
                let outputs = data.shape().first().copied().unwrap_or_default();
                let factors = TensorData::new(vec![1f32; outputs], [outputs]);
                public.insert(format!("{ours}.bn.weight"), factors);
            }
            public.insert(format!("{ours}.{tensor}"), data);
        }
    }
    for part in ["weight", "bias"] {
        public.insert(format!("fc.{part}"), take(format!("output.{part}"))?);
    }
    public.extend(left);
    Ok(public)
}

/// Every unit under both names.
fn units() -> impl Iterator<Item = (String, String)> {
    let stem = STEM.iter().map(|&(ours, theirs)| (ours.to_owned(), format!("layers.{theirs}")));
    let mixed = BLOCKS.iter().flat_map(|&(block, layer, units)| {
        units
            .iter()
            .map(move |(ours, theirs)| (format!("{block}.{ours}"), format!("layers.{layer}.{theirs}")))
    });
    stem.chain(mixed)
}

fn unknown(dict: &StateDict, origin: &str) -> Error {
    let shown = |names: &mut dyn Iterator<Item = String>| {
        let names: Vec<String> =
            names.take(SHOWN).map(|name| format!("`{}`", terminal::name(&name))).collect();
        if names.is_empty() { "none".to_owned() } else { format!("{}, ...", names.join(", ")) }
    };
    let found = shown(&mut dict.keys().cloned());
    let ours =
        shown(&mut units().flat_map(|(ours, _)| TENSORS.map(|(tensor, _)| format!("{ours}.{tensor}"))));
    let theirs =
        shown(&mut units().flat_map(|(_, theirs)| TENSORS.map(|(_, tensor)| format!("{theirs}.{tensor}"))));
    Error::Unusable(format!(
        "{origin} does not name its tensors as a known file of Inception does: expected are {ours} (pytorch-fid) or \
         {theirs} (NVIDIA's TorchScript), found {found}; `SIDA_INCEPTION` can name pytorch-fid's \
         `pt_inception-2015-12-05-6726825d.pth`"
    ))
}
