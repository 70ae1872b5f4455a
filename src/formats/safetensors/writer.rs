//! Writes safetensors, tensor by tensor, through a temporary file.

use std::{io::Write, path::Path};

use safetensors::tensor::TensorInfo;
use serde_json::{Map, json};

use super::{
    super::{atomic_file::AtomicFile, elements},
    FORMAT, METADATA, Metadata,
};
use crate::{Error, Result, state_dict::StateDict};

/// The data begin at a multiple of this, as the format's own library does it.
const ALIGNMENT: usize = 8;

/// Writes tensors and metadata through a temporary file that is renamed into place. The header keeps the order
/// of `tensors`; the data are ordered by size of element, so that every tensor is aligned to its elements.
///
/// # Errors
/// `Io`, and a file that was there before is untouched then; `BadFile` for a type that the format has no name for.
pub fn write(path: &Path, tensors: &StateDict, metadata: &Metadata) -> Result<()> {
    let mut order: Vec<usize> = (0..tensors.len()).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(tensors[i].dtype().size()));
    let mut header = header(path, tensors, &order, metadata)?;
    header.resize(header.len().next_multiple_of(ALIGNMENT), b' ');
    let mut file = AtomicFile::create(path)?;
    let mut put = |bytes: &[u8]| file.write_all(bytes).map_err(Error::io("write", path));
    put(&(header.len() as u64).to_le_bytes())?;
    put(&header)?;
    for i in order {
        put(tensors[i].as_bytes())?;
    }
    file.commit()
}

fn header(path: &Path, tensors: &StateDict, order: &[usize], metadata: &Metadata) -> Result<Vec<u8>> {
    let mut offsets = vec![(0, 0); tensors.len()];
    let mut at = 0;
    for &i in order {
        let end = at + tensors[i].as_bytes().len();
        offsets[i] = (at, end);
        at = end;
    }
    let mut header = Map::new();
    if !metadata.is_empty() {
        header.insert(METADATA.to_owned(), json!(metadata));
    }
    for ((name, data), data_offsets) in tensors.iter().zip(offsets) {
        let dtype = elements::to_safetensors(data.dtype()).ok_or_else(|| {
            let problem =
                format!("tensor `{name}` of type {} cannot be written", elements::type_name(data.dtype()));
            Error::bad_file(path, FORMAT, problem)
        })?;
        let info = TensorInfo { dtype, shape: data.shape().to_vec(), data_offsets };
        header.insert(name.clone(), json!(info));
    }
    serde_json::to_vec(&header).map_err(|e| Error::bad_file(path, FORMAT, e.to_string()))
}

#[cfg(test)]
mod tests {
    use burn::tensor::{BoolStore, DType, TensorData};

    use super::{
        super::{super::file_bytes::FileBytes, read, read_source},
        *,
    };

    fn sample() -> (StateDict, Metadata) {
        let mut tensors = StateDict::new();
        tensors.insert("z.odd".to_owned(), TensorData::new(vec![1u8, 2, 3], [3]));
        tensors.insert("a.weight".to_owned(), TensorData::new(vec![1.5f32, -2.0], [2, 1]));
        tensors.insert("step".to_owned(), TensorData::new(vec![7i64], Vec::<usize>::new()));
        tensors.insert("half".to_owned(), TensorData::new(vec![half::f16::ONE; 4], [2, 2]));
        tensors.insert("empty".to_owned(), TensorData::new(Vec::<f64>::new(), [0, 4]));
        (tensors, Metadata::from_iter([("config".to_owned(), "{\"a\": 1}".to_owned())]))
    }

    #[test]
    fn what_is_written_is_read_back_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        let (tensors, metadata) = sample();
        write(&path, &tensors, &metadata).unwrap();
        let (again, metadata_again) = read(&path).unwrap();
        assert_eq!(metadata, metadata_again);
        assert_eq!(tensors.keys().collect::<Vec<_>>(), again.keys().collect::<Vec<_>>());
        for (name, data) in &tensors {
            assert_eq!((data.dtype(), data.shape()), (again[name].dtype(), again[name].shape()), "{name}");
            assert_eq!(data.as_bytes(), again[name].as_bytes(), "{name}");
        }
        let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(files.len(), 1, "no temporary file is left");
    }

    #[test]
    fn the_formats_own_library_reads_it_aligned() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        let (tensors, metadata) = sample();
        write(&path, &tensors, &metadata).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let theirs = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        for (name, data) in &tensors {
            let view = theirs.tensor(name).unwrap();
            assert_eq!(view.data(), data.as_bytes(), "{name}");
            let start = view.data().as_ptr() as usize - bytes.as_ptr() as usize;
            assert!(
                data.as_bytes().is_empty() || start.is_multiple_of(data.dtype().size()),
                "{name} at {start}"
            );
        }
        let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
        assert_eq!(header.metadata().as_ref().unwrap()["config"], "{\"a\": 1}");
    }

    #[test]
    fn lying_headers_are_errors() {
        let file = |header: &str, data: usize| {
            let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
            bytes.extend(header.as_bytes());
            bytes.resize(bytes.len() + data, 0);
            read_source(&FileBytes::memory("x", bytes))
        };
        assert!(file(r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 8).is_ok());
        for (header, data) in [
            (r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 7),
            (r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 9),
            (r#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#, 8),
            (r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#, 8),
            (r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#, 8),
            (r#"{"a":{"dtype":"Q3","shape":[2],"data_offsets":[0,8]}}"#, 8),
            (r#"{"a":{"dtype":"F64","shape":[4611686018427387904,4],"data_offsets":[0,0]}}"#, 0),
            (
                r#"{"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}}"#,
                16,
            ),
            (
                r#"{"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"a":{"dtype":"U8","shape":[8],"data_offsets":[8,16]}}"#,
                16,
            ),
            ("[]", 0),
            ("{", 0),
        ] {
            assert!(file(header, data).is_err(), "{header} with {data} bytes");
        }
        for bytes in [vec![], vec![1; 7], u64::MAX.to_le_bytes().to_vec(), 50u64.to_le_bytes().to_vec()] {
            assert!(read_source(&FileBytes::memory("x", bytes)).is_err());
        }
    }

    #[test]
    fn types_without_a_name_are_errors_not_panics() {
        let folder = tempfile::tempdir().unwrap();
        let data = TensorData::from_bytes_vec(vec![0; 4], [1], DType::Bool(BoolStore::U32));
        let tensors = StateDict::from_iter([("x".to_owned(), data)]);
        assert!(write(&folder.path().join("x"), &tensors, &Metadata::new()).is_err());
    }
}
