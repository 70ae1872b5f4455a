//! `Detections`: what detectors saw of some images.

use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::turns::Packed;
use crate::{
    Error, Result,
    metrics::{Detected, DetectorName},
};

/// What detectors saw of some images.
pub(super) struct Detections(pub(super) Vec<(DetectorName, Detected)>);

/// What is sent before the values of one detector, which are f32: features, then probabilities.
#[derive(Serialize, Deserialize)]
struct Header {
    detector: DetectorName,
    features: [usize; 2],
    probabilities: Option<[usize; 2]>,
}

impl Packed for Detections {
    fn pack(self) -> Vec<u8> {
        let headers: Vec<Header> = self.0.iter().map(|(detector, seen)| header(*detector, seen)).collect();
        let headers = serde_json::to_vec(&headers).expect("a header is plain data");
        let mut bytes = (headers.len() as u64).to_le_bytes().to_vec();
        bytes.extend(headers);
        for (_, seen) in self.0 {
            for rows in [Some(seen.features), seen.probabilities].into_iter().flatten() {
                bytes.extend_from_slice(rows.into_data().convert::<f32>().as_bytes());
            }
        }
        bytes
    }

    fn unpack(bytes: &[u8]) -> Result<Self> {
        read(bytes).ok_or_else(|| Error::Unusable("a rank sent no features of images".to_owned()))
    }
}

fn header(detector: DetectorName, seen: &Detected) -> Header {
    let probabilities = seen.probabilities.as_ref().map(Tensor::dims);
    Header { detector, features: seen.features.dims(), probabilities }
}

fn read(bytes: &[u8]) -> Option<Detections> {
    let (length, rest) = bytes.split_at_checked(8)?;
    let (headers, mut rest) = rest.split_at_checked(u64::from_le_bytes(length.try_into().ok()?) as usize)?;
    let headers: Vec<Header> = serde_json::from_slice(headers).ok()?;
    let mut rows = |dims: [usize; 2]| {
        let (values, after) = rest.split_at_checked(dims[0].checked_mul(dims[1])?.checked_mul(4)?)?;
        rest = after;
        let values: Vec<f32> =
            values.chunks(4).map(|v| f32::from_le_bytes([v[0], v[1], v[2], v[3]])).collect();
        // Whatever device saw them: they are added up on the host.
        Some(Tensor::from_data(TensorData::new(values, dims), &Device::flex()))
    };
    let seen = headers.into_iter().map(|Header { detector, features, probabilities }| {
        let features = rows(features)?;
        let probabilities = match probabilities {
            Some(dims) => Some(rows(dims)?),
            None => None,
        };
        Some((detector, Detected { features, probabilities }))
    });
    let seen: Option<Vec<_>> = seen.collect();
    seen.filter(|_| rest.is_empty()).map(Detections)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_arrives_bit_for_bit() {
        let rows = |rows: [[f32; 2]; 3]| Tensor::<2>::from_floats(rows, &Device::flex());
        let features = rows([[0.1, -2.0], [3.5e-30, f32::INFINITY], [4.0, 5.0]]);
        let seen = || {
            let probabilities = Some(rows([[0.5, 0.5], [0.25, 0.75], [1.0, 0.0]]));
            Detections(vec![
                (DetectorName::Inception, Detected { features: features.clone(), probabilities }),
                (DetectorName::Pixels, Detected { features: features.clone(), probabilities: None }),
            ])
        };
        let packed = seen().pack();
        let found = Detections::unpack(&packed).unwrap();
        assert_eq!(found.pack(), packed);
        let found = Detections::unpack(&packed).unwrap().0;
        assert_eq!(found[0].1.features.to_data(), features.to_data());
        assert!(found[0].1.probabilities.is_some() && found[1].1.probabilities.is_none());
        for length in [0, 7, 20, packed.len() - 1] {
            assert!(Detections::unpack(&packed[..length]).is_err());
        }
    }
}
