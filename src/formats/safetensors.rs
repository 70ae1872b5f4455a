//! `.safetensors` files: named tensors behind a JSON header, with a map of texts as metadata.

use std::{collections::HashMap, fs, io::Write, path::Path};

use burn::tensor::{DType, TensorData};
use indexmap::IndexMap;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::{Error, Result, state_dict::StateDict};

const FORMAT: &str = "safetensors file";

/// The texts beside the tensors.
pub type Metadata = IndexMap<String, String>;

/// Reads all tensors, in the order of their data, and the metadata.
///
/// # Errors
/// `Io`, or `BadFile` for a header that lies about its data, or a type of number that is not known here.
pub fn read(path: &Path) -> Result<(StateDict, Metadata)> {
    let bytes = fs::read(path).map_err(Error::io("read", path))?;
    let bad = |problem: String| Error::bad_file(path, FORMAT, problem);
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| bad(e.to_string()))?;
    let metadata = header.metadata().clone().unwrap_or_default().into_iter().collect();
    let tensors = SafeTensors::deserialize(&bytes).map_err(|e| bad(e.to_string()))?;
    let mut names: Vec<(usize, String)> =
        header.tensors().into_iter().map(|(name, info)| (info.data_offsets.0, name)).collect();
    names.sort();
    let mut state = StateDict::new();
    for (_, name) in names {
        let view = tensors.tensor(&name).map_err(|e| bad(e.to_string()))?;
        let dtype = from_file(view.dtype()).ok_or_else(|| {
            bad(format!("tensor `{name}` is of type {:?}, which is not known here", view.dtype()))
        })?;
        let data = TensorData::from_bytes_vec(view.data().to_vec(), view.shape().to_vec(), dtype);
        state.insert(name, data);
    }
    Ok((state, metadata))
}

/// Writes tensors and metadata through a temporary file that is renamed into place.
///
/// # Errors
/// `Io`; a file that was there before is untouched then.
pub fn write(path: &Path, tensors: &StateDict, metadata: &Metadata) -> Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let views = tensors.iter().map(|(name, data)| {
        let dtype = to_file(data.dtype()).expect("weights and states are of plain types");
        let view = TensorView::new(dtype, data.shape().to_vec(), data.as_bytes()).expect("sizes agree");
        (name.clone(), view)
    });
    let metadata: HashMap<String, String> = metadata.clone().into_iter().collect();
    let bytes = safetensors::serialize(views, Some(metadata))
        .map_err(|e| Error::bad_file(path, FORMAT, e.to_string()))?;
    let mut file = tempfile::Builder::new()
        .prefix(".tmp-")
        .tempfile_in(folder)
        .map_err(Error::io("write in the folder", folder))?;
    file.write_all(&bytes).and_then(|()| file.as_file().sync_all()).map_err(Error::io("write", path))?;
    file.persist(path).map_err(|e| Error::Io {
        action: "write",
        path: path.to_path_buf(),
        source: e.error,
    })?;
    Ok(())
}

fn from_file(dtype: Dtype) -> Option<DType> {
    Some(match dtype {
        Dtype::F64 => DType::F64,
        Dtype::F32 => DType::F32,
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        Dtype::I64 => DType::I64,
        Dtype::I32 => DType::I32,
        Dtype::U8 => DType::U8,
        _ => return None,
    })
}

fn to_file(dtype: DType) -> Option<Dtype> {
    Some(match dtype {
        DType::F64 => Dtype::F64,
        DType::F32 => Dtype::F32,
        DType::F16 => Dtype::F16,
        DType::BF16 => Dtype::BF16,
        DType::I64 => Dtype::I64,
        DType::I32 => Dtype::I32,
        DType::U8 => Dtype::U8,
        _ => return None,
    })
}
