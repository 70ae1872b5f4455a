//! `stats.jsonl`: one line of JSON per status, for curves and for machines.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    Error, Result,
    formats::{open_own, read_at_most},
};

/// One quantity of one iteration, and how a status sums up many of them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Quantity {
    /// The mean of the period.
    Mean(#[serde(with = "bits")] f64),
    /// The total of the period.
    Total(#[serde(with = "bits")] f64),
    /// Its last value.
    Last(#[serde(with = "bits")] f64),
}

/// The quantities of a status period.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Period(IndexMap<String, (Quantity, u64)>);

impl Period {
    /// Adds an iteration.
    pub(super) fn add(&mut self, quantities: impl IntoIterator<Item = (&'static str, Quantity)>) {
        for (name, new) in quantities {
            let (sum, count) = self.0.entry(name.to_owned()).or_insert((zero(new), 0));
            *count += 1;
            *sum = match (*sum, new) {
                (Quantity::Mean(a), Quantity::Mean(b)) => Quantity::Mean(a + b),
                (Quantity::Total(a), Quantity::Total(b)) => Quantity::Total(a + b),
                (_, last) => last,
            };
        }
    }

    /// Whether there was no iteration yet.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The iterations in it.
    pub(super) fn iterations(&self) -> u64 {
        self.0.values().map(|(_, count)| *count).max().unwrap_or(0)
    }

    /// One quantity, summed up.
    pub(super) fn get(&self, name: &str) -> Option<f64> {
        self.0.get(name).map(|(quantity, count)| match quantity {
            Quantity::Mean(sum) => sum / *count as f64,
            Quantity::Total(value) | Quantity::Last(value) => *value,
        })
    }

    /// All of them as JSON; what is not a number is null.
    pub(super) fn line(&self, more: impl IntoIterator<Item = (&'static str, f64)>) -> Map<String, Value> {
        let own = self.0.keys().map(|name| (name.as_str(), self.get(name).expect("its own key")));
        let more = more.into_iter().map(|(name, value): (&str, f64)| (name, value));
        more.chain(own).map(|(name, value)| (name.to_owned(), Value::from(value))).collect()
    }
}

fn zero(like: Quantity) -> Quantity {
    match like {
        Quantity::Mean(_) => Quantity::Mean(0.0),
        Quantity::Total(_) => Quantity::Total(0.0),
        last @ Quantity::Last(_) => last,
    }
}

/// A number as its bits: a sum may not be finite, and goes on as it was.
mod bits {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
    pub(super) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        value.to_bits().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        u64::deserialize(deserializer).map(f64::from_bits)
    }
}

/// The file. Lines after the point from which a training continues are dropped: they will be written again.
#[derive(Debug)]
pub(super) struct StatisticsFile {
    path: PathBuf,
    file: File,
}

impl StatisticsFile {
    /// Opens `path`, keeping the lines of at most `nimg` images.
    pub(super) fn open(path: PathBuf, nimg: u64) -> Result<Self> {
        let mut kept = String::new();
        for line in read(&path) {
            // At 0 there was no checkpoint: all is written again, what belongs to 0 too.
            if nimg > 0 && line.get("nimg").and_then(Value::as_f64).is_some_and(|n| n <= nimg as f64) {
                kept += &Value::Object(line).to_string();
                kept.push('\n');
            }
        }
        crate::checkpoint::atomic::write(&path, kept.as_bytes())?;
        let file = open_own(OpenOptions::new().append(true), &path).map_err(Error::io("write", &path))?;
        Ok(Self { path, file })
    }

    /// Appends a line.
    pub(super) fn write(&mut self, line: Map<String, Value>) -> Result<()> {
        writeln!(self.file, "{}", Value::Object(line)).map_err(Error::io("write", &self.path))
    }
}

/// A million lines and more.
const LARGEST: u64 = 512 << 20;

/// The readable lines of a file; none where it is absent. A damaged line costs no other.
pub(super) fn read(path: &Path) -> Vec<Map<String, Value>> {
    let bytes = read_at_most(path, LARGEST).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_period_sums_up_each_quantity_in_its_own_way() {
        let mut period = Period::default();
        for value in [1.0, 2.0, 6.0] {
            let all = [
                ("loss", Quantity::Mean(value)),
                ("masked", Quantity::Total(value)),
                ("lr", Quantity::Last(value)),
            ];
            period.add(all);
        }
        let line = period.line([("nimg", 192.0), ("odd", f64::NAN)]);
        assert_eq!(
            Value::Object(line).to_string(),
            r#"{"nimg":192.0,"odd":null,"loss":3.0,"masked":9.0,"lr":6.0}"#
        );
    }

    #[test]
    fn a_resumed_file_forgets_what_will_come_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stats.jsonl");
        fs::write(&path, "{\"nimg\":64}\n{\"nimg\":128}\n{\"nimg\":19").unwrap();
        let mut file = StatisticsFile::open(path.clone(), 100).unwrap();
        file.write(Period::default().line([("nimg", 128.0)])).unwrap();
        let nimg: Vec<f64> = read(&path).iter().map(|line| line["nimg"].as_f64().unwrap()).collect();
        assert_eq!(nimg, [64.0, 128.0]);
        drop(StatisticsFile::open(path.clone(), 0).unwrap());
        assert!(read(&path).is_empty(), "from the beginning, everything comes again");
    }

    #[test]
    fn a_period_goes_on_from_a_checkpoint_as_if_nothing_had_been() {
        let mut straight = Period::default();
        let first = [
            ("loss", Quantity::Mean(0.1)),
            ("odd", Quantity::Mean(f64::INFINITY)),
            ("n", Quantity::Total(2.0)),
        ];
        straight.add(first);
        let mut resumed: Period = serde_json::from_str(&serde_json::to_string(&straight).unwrap()).unwrap();
        for period in [&mut straight, &mut resumed] {
            period.add([("loss", Quantity::Mean(0.2)), ("n", Quantity::Total(3.0))]);
        }
        assert_eq!(straight, resumed);
        assert_eq!(resumed.get("odd"), Some(f64::INFINITY));
    }

    #[test]
    fn a_damaged_line_is_dropped_and_costs_no_other() {
        let damaged: [&[u8]; 9] = [
            b"{}",
            b"{\"kimg\":1}",
            b"{\"nimg\":\"64\"}",
            b"{\"nimg\":null}",
            b"[1]",
            b"7",
            b"\xff\xfe",
            b"{\"nimg\":6\0",
            b"",
        ];
        for line in damaged {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("stats.jsonl");
            fs::write(&path, [b"{\"nimg\":64}\n", line, b"\n{\"nimg\":128}\n"].concat()).unwrap();
            drop(StatisticsFile::open(path.clone(), 128).unwrap());
            let kept = fs::read_to_string(&path).unwrap();
            assert_eq!(kept, "{\"nimg\":64}\n{\"nimg\":128}\n", "{}", String::from_utf8_lossy(line));
        }
    }
}
