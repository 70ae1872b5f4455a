//! Kind `pickle` of the fixtures' README.

use std::collections::{BTreeMap, BTreeSet};

use burn::tensor::{DType, TensorData};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sida::{
    Error,
    checkpoint::{
        ReferenceAdam, ReferenceNetwork, ReferenceSnapshot, ReferenceTrainingState, TrainedNetwork,
        TrainingStateStyle, check_shapes,
    },
    formats::{
        FileBytes,
        zip::{Limits, ZipArchive},
    },
    nn::NetworkConfig,
};

use crate::case::Case;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    file: String,
    format: Format,
    expect: Expect,
    #[serde(default)]
    top_keys: Vec<String>,
    #[serde(default)]
    globals: Vec<String>,
    // Network snapshots.
    ema: Option<Constructor>,
    pickle_protocol: Option<u8>,
    source_family: Option<String>,
    dtype: Option<String>,
    encoder: Option<Encoder>,
    // Training states.
    style: Option<Style>,
    #[serde(default)]
    nets: BTreeMap<String, Constructor>,
    #[serde(default)]
    param_order: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    param_groups: BTreeMap<String, Vec<Value>>,
    resume_kimg: Option<u64>,
    zip_entries_prefix: Option<String>,
    // Files that must be refused.
    error_kind: Option<ErrorKind>,
    #[serde(default)]
    forbidden: Vec<String>,
    tensor: Option<String>,
    found: Option<Vec<usize>>,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Format {
    NetworkSnapshot,
    TrainingState,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Expect {
    Ok,
    Error,
}

#[derive(Clone, Copy, PartialEq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Style {
    State,
    StateFp16,
    Modules,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ErrorKind {
    Truncated,
    ForbiddenGlobal,
    ShapeMismatch,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Constructor {
    class_name: String,
    init_args: Vec<Value>,
    init_kwargs: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Encoder {
    class_name: String,
    init_kwargs: Map<String, Value>,
    vae_name: Option<String>,
    scale: Vec<f32>,
    bias: Vec<f32>,
}

pub fn run(case: &mut Case) -> Result<(), String> {
    let config: Config = case.config()?;
    match (config.expect, config.format) {
        (Expect::Error, format) => refused(case, &config, format),
        (Expect::Ok, Format::NetworkSnapshot) => snapshot(case, &config),
        (Expect::Ok, Format::TrainingState) => training_state(case, &config),
    }
}

fn refused(case: &mut Case, config: &Config, format: Format) -> Result<(), String> {
    let path = case.dir.join(&config.file);
    let result = match format {
        Format::NetworkSnapshot => ReferenceSnapshot::open(&path)
            .and_then(|s| s.ema())
            .and_then(|network| network.config())
            .map(drop),
        Format::TrainingState => ReferenceTrainingState::open(&path).map(drop),
    };
    let Err(error) = result else { return Err("the file was accepted".to_owned()) };
    let text = error.to_string();
    let fits = match (config.error_kind.ok_or("no error_kind")?, &error) {
        (ErrorKind::Truncated, Error::BadFile { problem, .. }) => problem.contains("truncated"),
        (ErrorKind::ForbiddenGlobal, Error::ForbiddenGlobal { global, .. }) => {
            config.forbidden.iter().any(|forbidden| forbidden.replace(' ', ".") == *global)
        }
        (ErrorKind::ShapeMismatch, Error::ShapeMismatch { tensor, found, .. }) => {
            Some(tensor) == config.tensor.as_ref() && Some(found) == config.found.as_ref()
        }
        _ => false,
    };
    case.expect(fits, || format!("refused for another reason: {text}"));
    Ok(())
}

fn snapshot(case: &mut Case, config: &Config) -> Result<(), String> {
    let say = |e: Error| e.to_string();
    let path = case.dir.join(&config.file);
    let snapshot = ReferenceSnapshot::open(&path).map_err(say)?;
    let keys: Vec<&str> = snapshot.top_keys().collect();
    case.expect(keys == config.top_keys, || format!("top_keys are {keys:?}"));
    check_globals(case, config, snapshot.pickle().globals());
    if let Some(protocol) = config.pickle_protocol {
        let head = std::fs::read(&path).map_err(|e| e.to_string())?;
        case.expect(head[..2] == [0x80, protocol], || "pickle_protocol differs".to_owned());
    }
    let network = snapshot.ema().map_err(say)?;
    check_constructor(case, &network, config.ema.as_ref().ok_or("no ema")?);
    let built = network.config();
    case.expect(built.is_ok(), || format!("{:?}", built.err()));
    if let Some(family) = &config.source_family {
        let found = network.family();
        case.expect(found == Some(family), || format!("source_family is {found:?}"));
    }
    if let Some(dtype) = &config.dtype {
        let all = network.state_dict.values().all(|data| name_of(data.dtype()) == Some(dtype));
        case.expect(all, || format!("not all tensors are {dtype}"));
    }
    let encoder = snapshot.encoder().map_err(say)?;
    match (&config.encoder, encoder) {
        (Some(expected), Some(found)) => {
            let equal = found.class_name == expected.class_name
                && found.init_kwargs == expected.init_kwargs
                && found.vae_name == expected.vae_name
                && found.scale == expected.scale
                && found.bias == expected.bias;
            case.expect(equal, || format!("encoder is {found:?}"));
        }
        (None, None) => {}
        (_, found) => case.expect(false, || format!("encoder is {found:?}")),
    }
    let order: Vec<String> = case.listed().iter().map(|t| t.name.clone()).collect();
    let found: Vec<&String> = network.state_dict.keys().collect();
    case.expect(found == order.iter().collect::<Vec<_>>(), || format!("state_dict is {found:?}"));
    for (name, data) in network.state_dict {
        check_tensor(case, &name, data)?;
    }
    Ok(())
}

fn training_state(case: &mut Case, config: &Config) -> Result<(), String> {
    let path = case.dir.join(&config.file);
    let state = ReferenceTrainingState::open(&path).map_err(|e| e.to_string())?;
    case.expect(state.top_keys == config.top_keys, || format!("top_keys are {:?}", state.top_keys));
    check_globals(case, config, state.globals.iter().map(String::as_str));
    let style = match state.style {
        TrainingStateStyle::State => Style::State,
        TrainingStateStyle::StateFp16 => Style::StateFp16,
        TrainingStateStyle::Modules => Style::Modules,
    };
    case.expect(Some(style) == config.style, || format!("style is {style:?}"));
    case.expect(state.resume_kimg == config.resume_kimg, || {
        format!("resume_kimg is {:?}", state.resume_kimg)
    });
    if let Some(prefix) = &config.zip_entries_prefix {
        let archive = FileBytes::open(&path)
            .and_then(|source| ZipArchive::new(source, "training state", Limits::default()));
        let archive = archive.map_err(|e| e.to_string())?;
        let all = archive.entries().iter().all(|entry| entry.name.starts_with(prefix));
        case.expect(all, || format!("not all entries are in `{prefix}`"));
    }
    for (key, network) in
        [("fake_score", &state.fake_score), ("G", &state.generator), ("G_ema", &state.generator_ema)]
    {
        check_network(case, config, key, network)?;
    }
    check_adam(case, config, "fake_score_optimizer", &state.fake_score_optimizer)?;
    check_adam(case, config, "g_optimizer", &state.generator_optimizer)
}

fn check_network(
    case: &mut Case,
    config: &Config,
    key: &str,
    network: &TrainedNetwork,
) -> Result<(), String> {
    let expected = config.nets.get(key).ok_or(format!("no nets.{key}"))?;
    if let Some(network) = &network.network {
        check_constructor(case, network, expected);
    }
    let settings = NetworkConfig::from_reference(&expected.class_name, &expected.init_kwargs, key);
    let checked = settings.and_then(|settings| check_shapes(&network.state_dict, &settings, key));
    case.expect(checked.is_ok(), || format!("{:?}", checked.err()));
    if let Some(order) = config.param_order.get(key) {
        case.expect(network.parameters == *order, || format!("param_order of {key} differs"));
    }
    let found: Vec<String> = network.state_dict.keys().map(|name| format!("{key}/{name}")).collect();
    let order: Vec<String> = case
        .listed()
        .iter()
        .map(|t| t.name.clone())
        .filter(|name| name.starts_with(&format!("{key}/")))
        .collect();
    case.expect(found == order, || format!("state_dict of {key} is {found:?}"));
    for (name, data) in &network.state_dict {
        check_tensor(case, &format!("{key}/{name}"), data.clone())?;
    }
    Ok(())
}

fn check_adam(case: &mut Case, config: &Config, key: &str, adam: &ReferenceAdam) -> Result<(), String> {
    let groups = config.param_groups.get(key).ok_or(format!("no param_groups.{key}"))?;
    let found: Vec<Value> = adam.groups.iter().cloned().map(Value::Object).collect();
    case.expect(found == *groups, || format!("param_groups of {key} are {}", json!(found)));
    let mut names = BTreeSet::new();
    for (index, moments) in &adam.state {
        for (what, data) in
            [("step", &moments.step), ("exp_avg", &moments.exp_avg), ("exp_avg_sq", &moments.exp_avg_sq)]
        {
            let name = format!("{key}/state/{index}/{what}");
            check_tensor(case, &name, data.clone())?;
            names.insert(name);
        }
    }
    let listed: BTreeSet<String> = case
        .listed()
        .iter()
        .map(|t| t.name.clone())
        .filter(|name| name.starts_with(&format!("{key}/")))
        .collect();
    case.expect(listed == names, || format!("the state of {key} has other entries"));
    Ok(())
}

/// Types of storages are no globals for torch's own reader, which names them in references only.
fn check_globals<'a>(case: &mut Case, config: &Config, found: impl Iterator<Item = &'a str>) {
    let storage_type = |name: &&str| name.starts_with("torch ") && name.ends_with("Storage");
    let found: BTreeSet<&str> = found.filter(|name| !storage_type(name)).collect();
    let expected: BTreeSet<&str> = config.globals.iter().map(String::as_str).collect();
    case.expect(found == expected, || format!("globals are {found:?}"));
}

fn check_constructor(case: &mut Case, network: &ReferenceNetwork, expected: &Constructor) {
    let equal = network.class_name == expected.class_name
        && network.init_args == expected.init_args
        && network.init_kwargs == expected.init_kwargs;
    case.expect(equal, || {
        format!("constructor is {} {:?} {:?}", network.class_name, network.init_args, network.init_kwargs)
    });
}

fn check_tensor(case: &mut Case, name: &str, data: TensorData) -> Result<(), String> {
    let dtype = case.listed().iter().find(|t| t.name == name).map(|t| t.dtype.clone());
    let found = name_of(data.dtype());
    case.expect(found == dtype.as_deref(), || format!("{name} is {found:?}, recorded {dtype:?}"));
    case.check(name, data)
}

fn name_of(dtype: DType) -> Option<&'static str> {
    Some(match dtype {
        DType::F64 => "float64",
        DType::F32 => "float32",
        DType::F16 => "float16",
        DType::BF16 => "bfloat16",
        DType::I64 => "int64",
        DType::I32 => "int32",
        DType::U8 => "uint8",
        DType::Bool(_) => "bool",
        _ => return None,
    })
}
