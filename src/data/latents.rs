//! Raw latents as EDM2's `encode` writes them: `.npy` files of f32 `[channels, size, size]`, mean before std.

use crate::formats::npy;

/// Longer than any header.
pub(in crate::data) const HEADER_BYTES: u64 = 4096;

/// Shape of the latents, from the beginning of a `.npy` file.
///
/// # Errors
/// A fragment that says what is wrong, for the caller to put behind the file's name.
pub(in crate::data) fn npy_shape(bytes: &[u8]) -> Result<[usize; 3], String> {
    if bytes.is_empty() {
        return Err("is empty (0 bytes): it was not written completely; replace or remove it".to_owned());
    }
    let npy::Header { descr, fortran_order, shape } = npy::header(bytes)?;
    if descr != "<f4" || fortran_order {
        return Err(format!("holds other numbers than f32 in C order (`{descr}`)"));
    }
    match shape[..] {
        [c, h, w] if c % 2 == 0 && c > 0 && h == w && h > 0 => Ok([c, h, w]),
        _ => Err(format!("is not [mean and std, size, size] in shape {shape:?}")),
    }
}

/// The numbers of a `.npy` file, `[channels, size, size]`; all of them finite.
///
/// # Errors
/// As `npy_shape`; also where the file ends too early.
pub(in crate::data) fn npy_read(bytes: &[u8]) -> Result<([usize; 3], Vec<f32>), String> {
    let shape = npy_shape(bytes)?;
    let values = npy::parse(bytes)?.try_into_vec::<f32>();
    let values = values.map_err(|_| "cannot be read as f32".to_owned())?;
    match values.iter().find(|value| !value.is_finite()) {
        None => Ok((shape, values)),
        Some(value) => Err(format!("holds {value}: encode the image again")),
    }
}

#[cfg(test)]
pub(in crate::data) mod tests {
    use super::*;

    /// A `.npy` file as numpy writes it.
    pub(in crate::data) fn npy(descr: &str, shape: &[usize], data: &[u8]) -> Vec<u8> {
        [&npy::written(descr, shape), data].concat()
    }

    #[test]
    fn latents_are_read() {
        let values: Vec<f32> = (0..16).map(|i| i as f32 / 3.0).collect();
        let data: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let file = npy("<f4", &[4, 2, 2], &data);
        assert_eq!(npy_read(&file).unwrap(), ([4, 2, 2], values));
        assert!(npy_read(&file[..file.len() - 1]).unwrap_err().contains("is cut off"));
        let nan = [&data[..60], &f32::NAN.to_le_bytes()].concat();
        assert_eq!(npy_read(&npy("<f4", &[4, 2, 2], &nan)).unwrap_err(), "holds NaN: encode the image again");
    }

    #[test]
    fn other_arrays_are_refused() {
        assert!(npy_read(&npy("<f8", &[4, 2, 2], &[])).unwrap_err().contains("other numbers than f32"));
        assert!(npy_read(&npy("<f4", &[4, 2, 3], &[])).unwrap_err().contains("[4, 2, 3]"));
        assert!(npy_read(&npy("<f4", &[3, 2, 2], &[])).unwrap_err().contains("mean and std"));
        assert!(npy_read(b"\x93NUMPY\x01").unwrap_err().contains("cut off"));
        assert!(npy_read(&[]).unwrap_err().contains("0 bytes"));
    }
}
