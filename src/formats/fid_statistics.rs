//! `FidStatistics`: mean and covariance of a dataset's features, in the two public formats.

use burn::tensor::TensorData;

use super::{file_bytes::FileBytes, npz, pickle::Pickle};
use crate::Result;

const FORMAT: &str = "file of FID reference statistics";
/// The most features; Inception has 2048.
const MOST_FEATURES: usize = 4096;
/// Their covariance.
const LONGEST_ARRAY: u64 = (MOST_FEATURES * MOST_FEATURES * 8) as u64 + (1 << 16);

/// What the Fréchet distance compares with.
#[derive(Clone, Debug, PartialEq)]
pub struct FidStatistics {
    /// Mean of the features, `[d]`.
    pub mu: Vec<f64>,
    /// Their covariance, row by row, `[d, d]`.
    pub sigma: Vec<f64>,
}

impl FidStatistics {
    /// Reads EDM's `.npz` (`mu`, `sigma`) or EDM2's `.pkl` (`{fid: {mu, sigma}}`); which of them
    /// is seen from the first bytes.
    ///
    /// # Errors
    /// `Io`; `BadFile` where it is something else, or the shapes do not fit each other.
    pub fn read(source: FileBytes) -> Result<Self> {
        if !source.starts_with(b"PK")? {
            return Self::from_pickle(source);
        }
        let npz = npz::open(source, LONGEST_ARRAY)?;
        // Before anything is unpacked: a few bytes may claim any size.
        let shape = |name| npz::shape(&npz, name);
        let [mu, sigma] = [shape("mu")?, shape("sigma")?];
        let shapes = mu.zip(sigma).map_or(Ok(()), |(mu, sigma)| check(&mu, &sigma));
        shapes.map_err(|problem| npz.source().bad(FORMAT, problem))?;
        let array = |name| npz::array(&npz, name);
        Self::new(array("mu")?, array("sigma")?).map_err(|problem| npz.source().bad(FORMAT, problem))
    }

    fn from_pickle(source: FileBytes) -> Result<Self> {
        let pickle = Pickle::read(source, FORMAT)?;
        // Some tools write the statistics at the top, without `fid`.
        let fid = pickle.get(pickle.root(), "fid").unwrap_or(pickle.root());
        let array = |name| match pickle.get(fid, name) {
            Some(value) => pickle.array(value),
            None => Ok(None),
        };
        Self::new(array("mu")?, array("sigma")?).map_err(|problem| pickle.bad(problem))
    }

    fn new(mu: Option<TensorData>, sigma: Option<TensorData>) -> Result<Self, &'static str> {
        let (mu, sigma) = (mu.ok_or("it has no `mu`")?, sigma.ok_or("it has no `sigma`")?);
        check(mu.shape().as_slice(), sigma.shape().as_slice())?;
        let floats =
            |data: TensorData| data.convert::<f64>().try_into_vec::<f64>().map_err(|_| "it holds no numbers");
        let (mu, sigma) = (floats(mu)?, floats(sigma)?);
        if !mu.iter().all(|x| x.is_finite()) {
            return Err("its `mu` holds infinities or NaN");
        }
        if !sigma.iter().all(|x| x.is_finite()) {
            return Err("its `sigma` holds infinities or NaN");
        }
        Ok(Self { mu, sigma })
    }
}

/// Whether a mean and a covariance go together.
fn check(mu: &[usize], sigma: &[usize]) -> Result<(), &'static str> {
    match *mu {
        [d] if d > MOST_FEATURES => Err("it has more than 4096 features, which no detector has"),
        [d] if d == 0 || sigma != [d, d] => Err("its `sigma` is not a square of `mu`'s length"),
        [_] => Ok(()),
        _ => Err("its `mu` is not a vector"),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Cursor, Write},
        path::Path,
    };

    use super::*;

    #[test]
    fn both_public_formats_say_the_same() {
        let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/metrics-01-fid");
        let read = |name| FidStatistics::read(FileBytes::open(case.join(name)).unwrap()).unwrap();
        let npz = read("ref.npz");
        let pkl = read("ref.pkl");
        assert_eq!((&npz.mu, &npz.sigma), (&pkl.mu, &pkl.sigma));
        let (recorded, _) = crate::formats::safetensors::read(&case.join("io.safetensors")).unwrap();
        assert_eq!(npz.mu, recorded["out.edm.mu_real"].as_slice::<f64>().unwrap());
        assert_eq!(npz.sigma, recorded["out.edm.sigma_real"].as_slice::<f64>().unwrap());
    }

    #[test]
    fn other_files_are_errors() {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default();
        for (name, shape) in [("mu.npy", &[2][..]), ("sigma.npy", &[2, 3])] {
            zip.start_file(name, options).unwrap();
            zip.write_all(&crate::formats::npy::written("|u1", shape)).unwrap();
            zip.write_all(&vec![0; shape.iter().product()]).unwrap();
        }
        let crooked = zip.finish().unwrap().into_inner();
        for bytes in [crooked, b"}.".to_vec(), b"N.".to_vec(), b"PK".to_vec(), Vec::new()] {
            assert!(FidStatistics::read(FileBytes::memory("x", bytes)).is_err());
        }
    }
}
