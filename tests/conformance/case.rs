//! One recorded case: its configuration, its tensors, and the list of what has been checked.

use std::{collections::BTreeMap, path::PathBuf};

use burn::tensor::{DType, Device, TensorData};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use sida::state_dict::StateDict;

use crate::compare::{Tolerance, Tolerances};

/// Where networks are judged: the CPU, or what `SIDA_DEVICE` says (`cuda:0`, in a build with that feature).
pub fn device() -> Device {
    let asked = std::env::var("SIDA_DEVICE").unwrap_or_else(|_| "cpu".to_owned());
    sida::cli::device::choose(&asked).unwrap_or_else(|error| panic!("SIDA_DEVICE: {error}")).0
}

/// A case as its harness sees it.
pub struct Case {
    /// The folder.
    pub dir: PathBuf,
    /// What kind of case.
    pub kind: String,
    /// Uses a full-size network.
    pub heavy: bool,
    /// The whole of `case.json`.
    pub json: Value,
    tolerances: Tolerances,
    tensors: Vec<Listed>,
    loaded: BTreeMap<String, StateDict>,
    checked: Vec<String>,
    failures: Vec<String>,
}

/// One entry of `tensors`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    pub file: String,
    pub name: String,
    pub dtype: String,
    #[expect(dead_code, reason = "part of the format; the file itself says the same")]
    pub shape: Vec<usize>,
    pub role: String,
}

impl Case {
    pub fn open(dir: PathBuf) -> Result<Self, String> {
        let path = dir.join("case.json");
        let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        let json: Value = serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))?;
        if json["format"] != 1 {
            return Err(format!("unknown format {}", json["format"]));
        }
        let parse = |field: &str| json.get(field).cloned().unwrap_or(Value::Null);
        let tensors = match parse("tensors") {
            Value::Null => Vec::new(),
            value => serde_json::from_value(value).map_err(|e| format!("tensors: {e}"))?,
        };
        let tolerances = match parse("tolerances") {
            Value::Null => Tolerances::default(),
            value => serde_json::from_value(value).map_err(|e| format!("tolerances: {e}"))?,
        };
        Ok(Self {
            kind: json["kind"].as_str().unwrap_or_default().to_owned(),
            heavy: json["heavy"].as_bool().unwrap_or(false),
            dir,
            json,
            tolerances,
            tensors,
            loaded: BTreeMap::new(),
            checked: Vec::new(),
            failures: Vec::new(),
        })
    }

    /// `config`, as a typed value; unknown fields are failures where the type denies them.
    pub fn config<T: DeserializeOwned>(&self) -> Result<T, String> {
        serde_json::from_value(self.json["config"].clone()).map_err(|e| format!("config: {e}"))
    }

    /// What `tensors` lists.
    pub fn listed(&self) -> &[Listed] {
        &self.tensors
    }

    /// Whether a tensor of this name is listed.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.iter().any(|t| t.name == name)
    }

    /// A whole `.safetensors` file of the case.
    pub fn file(&mut self, file: &str) -> Result<&StateDict, String> {
        if !self.loaded.contains_key(file) {
            let tensors = read_safetensors(&self.dir.join(file))?;
            self.loaded.insert(file.to_owned(), tensors);
        }
        Ok(&self.loaded[file])
    }

    /// A listed tensor.
    pub fn tensor(&mut self, name: &str) -> Result<TensorData, String> {
        let listed =
            self.tensors.iter().find(|t| t.name == name).ok_or(format!("no tensor `{name}` is listed"))?;
        let file = listed.file.clone();
        self.file(&file)?.get(name).cloned().ok_or(format!("`{file}` lacks `{name}`"))
    }

    /// A listed tensor, or `None` where the case has none of that name.
    pub fn optional(&mut self, name: &str) -> Result<Option<TensorData>, String> {
        if self.has(name) { self.tensor(name).map(Some) } else { Ok(None) }
    }

    /// Weights: `weights` itself or, with a name, `weights[name]`; from the file or by the hash rule.
    pub fn weights(&mut self, which: Option<&str>) -> Result<StateDict, String> {
        let spec = match which {
            Some(name) => self.json["weights"][name].clone(),
            None => self.json["weights"].clone(),
        };
        match spec["source"].as_str() {
            Some("file") => {
                let file = spec["file"].as_str().ok_or("weights.file is missing")?.to_owned();
                self.file(&file).cloned()
            }
            Some("hash") => hash_weights(&spec["tensors"]),
            other => Err(format!("unknown weights.source {other:?}")),
        }
    }

    /// Compares a result with the recorded tensor of that name, by the case's own tolerance.
    pub fn check(&mut self, name: &str, actual: TensorData) -> Result<(), String> {
        let tolerance = self.tolerances.of(name);
        self.check_within(name, actual, &tolerance)
    }

    /// Compares with a tolerance that the specification gives instead of the case.
    pub fn check_within(
        &mut self,
        name: &str,
        actual: TensorData,
        tolerance: &Tolerance,
    ) -> Result<(), String> {
        let expected = self.tensor(name)?;
        self.checked.push(name.to_owned());
        if let Err(why) = tolerance.compare(&actual, &expected) {
            self.failures.push(format!("{name}: {why}"));
        }
        Ok(())
    }

    /// Notes that a tensor was compared by other means.
    pub fn mark_checked(&mut self, name: &str) {
        self.checked.push(name.to_owned());
    }

    /// Records a failed comparison that is not of a listed tensor.
    pub fn expect(&mut self, condition: bool, why: impl FnOnce() -> String) {
        if !condition {
            self.failures.push(why());
        }
    }

    /// `tolerances.<field>` for kinds with tolerances of their own.
    pub fn extra_tolerance(&self, field: &str) -> &Value {
        &self.json["tolerances"][field]
    }

    /// All comparisons held, and every output and gradient was compared.
    pub fn finish(mut self) -> Result<(), String> {
        for listed in &self.tensors {
            let wanted = matches!(listed.role.as_str(), "output" | "gradient");
            if wanted && !self.checked.contains(&listed.name) {
                self.failures.push(format!("{}: never compared", listed.name));
            }
            if !matches!(
                listed.role.as_str(),
                "weight" | "input" | "draw" | "output" | "gradient" | "debug" | "data"
            ) {
                self.failures.push(format!("{}: unknown role `{}`", listed.name, listed.role));
            }
        }
        if self.failures.is_empty() {
            return Ok(());
        }
        let count = self.failures.len();
        self.failures.truncate(20);
        Err(format!("{count} failures\n  {}", self.failures.join("\n  ")))
    }
}

fn read_safetensors(path: &std::path::Path) -> Result<StateDict, String> {
    let bytes = std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let tensors =
        safetensors::SafeTensors::deserialize(&bytes).map_err(|e| format!("{}: {e}", path.display()))?;
    tensors
        .tensors()
        .into_iter()
        .map(|(name, view)| {
            let dtype = dtype(view.dtype()).ok_or(format!("{name}: dtype {:?}", view.dtype()))?;
            let data = TensorData::from_bytes_vec(view.data().to_vec(), view.shape().to_vec(), dtype);
            Ok((name, data))
        })
        .collect()
}

fn dtype(dtype: safetensors::Dtype) -> Option<DType> {
    Some(match dtype {
        safetensors::Dtype::F64 => DType::F64,
        safetensors::Dtype::F32 => DType::F32,
        safetensors::Dtype::F16 => DType::F16,
        safetensors::Dtype::I64 => DType::I64,
        safetensors::Dtype::I32 => DType::I32,
        safetensors::Dtype::U32 => DType::U32,
        safetensors::Dtype::U8 => DType::U8,
        _ => return None,
    })
}

/// Weights by the hash rule (section 1.2 of the fixtures' README).
fn hash_weights(tensors: &Value) -> Result<StateDict, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Hashed {
        name: String,
        shape: Vec<usize>,
        offset: f64,
        terms: Vec<Term>,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Term {
        seed: u64,
        scale: f64,
    }
    let tensors: Vec<Hashed> =
        serde_json::from_value(tensors.clone()).map_err(|e| format!("weights.tensors: {e}"))?;
    let make = |t: Hashed| {
        let hash = fnv1a64(&t.name);
        let value = |i: u64| {
            t.terms.iter().fold(t.offset, |sum, term| sum + term.scale * unit(hash ^ term.seed, i)) as f32
        };
        let count = t.shape.iter().product::<usize>() as u64;
        let values: Vec<f32> = (0..count).map(value).collect();
        (t.name, TensorData::new(values, t.shape))
    };
    Ok(tensors.into_iter().map(make).collect())
}

fn fnv1a64(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The i-th uniform in [-1, 1) of a hashed tensor.
fn unit(hash: u64, i: u64) -> f64 {
    let z = hash.wrapping_add((i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 40) as f64 / f64::from(1u32 << 23) - 1.0
}
