//! CIFAR-10 as its authors publish it for Python: a `.tar.gz` of pickled batches.

use std::{
    fs::File,
    io::{BufReader, Read},
    path::Path,
};

use burn::tensor::DType;
use flate2::bufread::GzDecoder;

use crate::{
    Error, Result,
    formats::{
        FileBytes,
        pickle::{Pickle, Value},
    },
};

/// `[channels, height, width]`.
pub(in crate::data) const SHAPE: [usize; 3] = [3, 32, 32];
/// The archive has five batches to train with; `test_batch` is left alone.
const BATCHES: usize = 5;
/// A batch of 10000 images takes 31 MB; more than this is not one.
const MAX_BATCH_BYTES: u64 = 256 << 20;
const FORMAT: &str = "CIFAR-10 archive";

/// Images `[n, 3, 32, 32]` and classes of the five training batches, in order.
pub(in crate::data) fn read(path: &Path) -> Result<(Vec<u8>, Vec<u32>)> {
    let file = File::open(path).map_err(Error::io("read", path))?;
    let damaged =
        |e: std::io::Error| Error::bad_file(path, FORMAT, format!("it is damaged ({e}): download it again"));
    let mut batches: [Option<(Vec<u8>, Vec<u32>)>; BATCHES] = Default::default();
    let mut archive = tar::Archive::new(GzDecoder::new(BufReader::new(file)));
    for entry in archive.entries().map_err(damaged)? {
        let entry = entry.map_err(damaged)?;
        let Some(number) = entry.path().ok().as_deref().and_then(batch_number) else { continue };
        let mut bytes = Vec::new();
        entry.take(MAX_BATCH_BYTES).read_to_end(&mut bytes).map_err(damaged)?;
        batches[number - 1] = Some(batch(path, number, bytes)?);
    }
    let (mut images, mut classes) = (Vec::new(), Vec::new());
    for (i, batch) in batches.into_iter().enumerate() {
        let Some(batch) = batch else {
            let problem = format!("it has no data_batch_{}: download cifar-10-python.tar.gz again", i + 1);
            return Err(Error::bad_file(path, FORMAT, problem));
        };
        images.extend(batch.0);
        classes.extend(batch.1);
    }
    Ok((images, classes))
}

/// 1 to 5 for `.../data_batch_1` to `.../data_batch_5`.
fn batch_number(path: &Path) -> Option<usize> {
    let number = path.file_name()?.to_str()?.strip_prefix("data_batch_")?.parse().ok()?;
    (1..=BATCHES).contains(&number).then_some(number)
}

/// Images and classes of one batch.
fn batch(path: &Path, number: usize, bytes: Vec<u8>) -> Result<(Vec<u8>, Vec<u32>)> {
    let bad = |what: &str| {
        Error::bad_file(path, FORMAT, format!("data_batch_{number} {what}: download the archive again"))
    };
    let pickle =
        Pickle::read(FileBytes::memory(path.join(format!("data_batch_{number}")), bytes), "CIFAR-10 batch")?;
    let field = |name: &str| pickle.get(pickle.root(), name);
    let data = field("data").ok_or_else(|| bad("has no `data`"))?;
    let data = pickle.array(data)?.filter(|array| array.dtype() == DType::U8);
    let data = data.ok_or_else(|| bad("has `data` that are not an array of bytes"))?;
    let labels = field("labels").and_then(|labels| pickle.items(labels));
    let labels = labels.ok_or_else(|| bad("has no list of `labels`"))?;
    let class = |label: &Value| match label {
        Value::Int(class @ 0..10) => Some(*class as u32),
        _ => None,
    };
    let classes: Option<Vec<u32>> = labels.iter().map(class).collect();
    let classes = classes.ok_or_else(|| bad("has labels other than 0 to 9"))?;
    if data.shape().to_vec() != [classes.len(), SHAPE.iter().product()] {
        return Err(bad(&format!("has {} labels for data of shape {:?}", classes.len(), data.shape())));
    }
    let images = data.try_into_vec::<u8>().map_err(|_| bad("has `data` that are not an array of bytes"))?;
    Ok((images, classes))
}

#[cfg(test)]
mod tests {
    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn archive(files: &[(&str, &[u8])]) -> Error {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cifar-10-python.tar.gz");
        let mut tar = tar::Builder::new(GzEncoder::new(File::create(&path).unwrap(), Compression::fast()));
        for (name, bytes) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_cksum();
            tar.append_data(&mut header, name, *bytes).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap();
        read(&path).unwrap_err()
    }

    #[test]
    fn damaged_archives_are_refused() {
        let missing = archive(&[("cifar-10-batches-py/test_batch", b"")]).to_string();
        assert!(missing.contains("it has no data_batch_1: download"), "{missing}");
        // The dict {} in protocol 2.
        let empty = archive(&[("cifar-10-batches-py/data_batch_3", b"\x80\x02}.")]).to_string();
        assert!(empty.contains("data_batch_3 has no `data`"), "{empty}");
        let evil = archive(&[("x/data_batch_2", b"cos\nsystem\n(S'true'\ntR.")]);
        assert!(matches!(evil, Error::ForbiddenGlobal { .. }), "{evil}");
    }

    #[test]
    fn a_truncated_archive_is_refused() {
        let whole = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/fixtures/dataset-04-cifar10-mini/cifar-10-python.tar.gz");
        let bytes = std::fs::read(whole).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cifar-10-python.tar.gz");
        for length in [0, 100, bytes.len() / 2] {
            std::fs::write(&path, &bytes[..length]).unwrap();
            let error = read(&path).unwrap_err().to_string();
            assert!(error.contains("download"), "{length}: {error}");
        }
    }
}
