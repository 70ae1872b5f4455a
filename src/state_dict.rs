//! `StateDict`: named host tensors in the order of registration, the common tongue of weights.

use burn::tensor::TensorData;
use indexmap::IndexMap;

use crate::{Error, Result};

/// Parameters and buffers by the reference's own names (`model.enc.8x8_conv.weight`, ...), in the order of
/// registration. Every reader of weights makes one; every network takes and gives one.
pub type StateDict = IndexMap<String, TensorData>;

/// The values of a tensor as f32, each of them finite.
///
/// # Errors
/// `NotFinite` names the tensor; a double too large for f32 counts as infinite. `origin` is the file.
pub fn finite(data: &TensorData, tensor: &str, origin: &str) -> Result<Vec<f32>> {
    if let Some(value) = not_finite(data) {
        return Err(Error::NotFinite { origin: origin.to_owned(), tensor: tensor.to_owned(), value });
    }
    Ok(match data.as_slice::<f32>() {
        Ok(values) => values.to_vec(),
        Err(_) => data.iter::<f32>().collect(),
    })
}

/// The first value that is NaN or infinite as f32.
fn not_finite(data: &TensorData) -> Option<f32> {
    match data.as_slice::<f32>() {
        Ok(values) => values.iter().copied().find(|value| !value.is_finite()),
        Err(_) => data.iter::<f32>().find(|value| !value.is_finite()),
    }
}

/// The first tensor that holds NaN or infinity, and the value.
pub fn first_not_finite(state: &StateDict) -> Option<(&str, f32)> {
    state.iter().find_map(|(name, data)| Some((name.as_str(), not_finite(data)?)))
}

#[cfg(test)]
mod tests {
    use burn::tensor::DType;

    use super::*;

    #[test]
    fn what_is_not_finite_is_refused_by_name() {
        let doubles = |last: f64| TensorData::new(vec![1.0, last], [2]);
        assert_eq!(finite(&doubles(2.0), "w", "a.pkl").unwrap(), [1.0, 2.0]);
        for data in [
            doubles(f64::NAN),
            doubles(1e300),
            doubles(f64::NEG_INFINITY).convert_dtype(DType::F32),
            doubles(65_520.0).convert_dtype(DType::F16),
        ] {
            let said = finite(&data, "model.w", "`a.pkl`").unwrap_err().to_string();
            assert!(said.starts_with("`a.pkl`: tensor `model.w` holds "), "{said}");
        }
    }
}
