//! Where a recipe is rehearsed: its files at an address of this machine, the program, and what it made.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::{Child, Stdio},
};

use serde_json::Value;
use sida::formats::sha256;

use crate::program::{Bench, Said, json, root, serve};

/// A recipe with small sizes, and the files that it downloads.
pub struct Stand {
    pub bench: Bench,
    recipe: &'static str,
    address: String,
}

impl Stand {
    /// For `tests/rehearsal/<recipe>.yaml`.
    pub fn new(recipe: &'static str) -> Self {
        let bench = Bench::new();
        for folder in ["served", "datasets"] {
            fs::create_dir(bench.path(folder)).unwrap();
        }
        // A copy, for its lock file to stand beside.
        let here = root().join("tests/rehearsal");
        let text = fs::read_to_string(here.join(format!("{recipe}.yaml"))).unwrap();
        bench.write(&format!("{recipe}.yaml"), text.replace("base: ", &format!("base: {}/", here.display())));
        let address = serve(bench.path("served"));
        Self { bench, recipe, address }
    }

    /// Puts a file where it can be downloaded, and gives its SHA-256.
    pub fn publish(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.bench.path("served").join(name);
        fs::write(&path, bytes).unwrap();
        sha256::of_file(&path).unwrap()
    }

    /// The same, and a setting that demands just this file of a `load_teacher` stage.
    pub fn publish_for(&self, stage: &str, name: &str, bytes: &[u8]) -> String {
        format!("--set=stages.{stage}.load_teacher.sha256={}", self.publish(name, bytes))
    }

    pub fn address_of(&self, name: &str) -> String {
        format!("{}/{name}", self.address)
    }

    pub fn dataset(&self, name: &str) -> PathBuf {
        self.bench.path("datasets").join(name)
    }

    /// Starts the program with a file; what it makes goes to the folder `runs` of the bench.
    fn start_in(&self, verb: &[&str], file: &Path, sets: &[String], runs: &str) -> Child {
        let file = file.display().to_string();
        let mut words = verb.to_vec();
        words.push(&file);
        words.extend(sets.iter().map(String::as_str));
        let mut command = self.bench.command(&words);
        command.env("SIDA_REHEARSAL", &self.address).env("SIDA_DATASETS", self.bench.path("datasets"));
        command.env("SIDA_RUNS", self.bench.path(runs));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Starts the rehearsal.
    pub fn start(&self, sets: &[String], runs: &str) -> Child {
        self.start_in(&["run", "--device", "cpu"], &self.file(), sets, runs)
    }

    pub fn run(&self, sets: &[String], runs: &str) -> Said {
        Said::end(self.start(sets, runs))
    }

    /// Where the results are.
    pub fn home(&self, runs: &str) -> PathBuf {
        self.bench.path(runs).join(self.recipe)
    }

    fn file(&self) -> PathBuf {
        self.bench.path(&format!("{}.yaml", self.recipe))
    }

    /// All values of a pipeline file.
    fn resolved(&self, file: &Path, sets: &[String]) -> Value {
        let said = Said::end(self.start_in(&["plan", "--resolved"], file, sets, "runs")).exits(0);
        serde_saphyr::from_str(&said.out).unwrap()
    }

    /// All values of the rehearsal.
    pub fn values(&self, sets: &[String]) -> Value {
        self.resolved(&self.file(), sets)
    }

    /// The paths of the values in which the rehearsal differs from its recipe.
    pub fn differences(&self, sets: &[String]) -> Vec<String> {
        let written: Value = serde_saphyr::from_str(&fs::read_to_string(self.file()).unwrap()).unwrap();
        let recipe = PathBuf::from(written["base"].as_str().unwrap());
        let [small, real] = [self.values(sets), self.resolved(&recipe, &[])].map(|values| leaves(&values));
        let all: BTreeSet<_> = small.keys().chain(real.keys()).collect();
        all.into_iter().filter(|path| small.get(*path) != real.get(*path)).cloned().collect()
    }
}

/// Every value that is no mapping, by its path; a list of plain values is one value.
fn leaves(value: &Value) -> BTreeMap<String, Value> {
    fn walk(value: &Value, path: &str, into: &mut BTreeMap<String, Value>) {
        let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        match value {
            Value::Object(fields) => {
                fields.iter().for_each(|(name, value)| walk(value, &below(name), into));
            }
            Value::Array(items) if items.iter().any(Value::is_object) => {
                items.iter().enumerate().for_each(|(i, value)| walk(value, &below(&i.to_string()), into));
            }
            value => {
                into.insert(path.to_owned(), value.clone());
            }
        }
    }
    let mut all = BTreeMap::new();
    walk(value, "", &mut all);
    all
}

/// The lines of a file of statistics.
pub fn statistics(path: &Path) -> Vec<Value> {
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The network that a stage says it made.
pub fn made(folder: &Path) -> Value {
    json(&folder.join("artifact.json"))["artifact"]["network"].clone()
}
