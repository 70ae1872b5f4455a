//! Raw latents as EDM2's `encode` writes them: `.npy` files of f32 `[channels, size, size]`, mean before std.

use crate::formats::npy;

/// Longer than any header.
pub(in crate::data) const HEADER_BYTES: u64 = 4096;
/// Values of one latent; Stable Diffusion's of 1024 pixels, means and deviations, are 131,072.
const MOST_VALUES: usize = 1 << 22;

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
        [c, h, w] if c.saturating_mul(h).saturating_mul(w) > MOST_VALUES => {
            Err(format!("claims {c} x {h} x {w} values, and {MOST_VALUES} are the limit"))
        }
        [c, h, w] if c % 2 == 0 && c > 0 && h == w && h > 0 => Ok([c, h, w]),
        _ => Err(format!("is not [mean and std, size, size] in shape {shape:?}")),
    }
}

/// Refuses a file of so many bytes that is longer than latents of this shape are, before it is read.
pub(in crate::data) fn check_file(shape: [usize; 3], bytes: u64) -> Result<(), String> {
    let values = 4 * shape.iter().product::<usize>() as u64;
    if bytes <= values + HEADER_BYTES { Ok(()) } else { Err(format!("is too long for its shape {shape:?}")) }
}

/// The numbers of a `.npy` file, `[channels, size, size]`; all of them finite.
///
/// # Errors
/// As `npy_shape`; also where the file ends too early.
pub(in crate::data) fn npy_read(bytes: Vec<u8>) -> Result<([usize; 3], Vec<f32>), String> {
    let shape = npy_shape(&bytes)?;
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
        assert_eq!(npy_read(file.clone()).unwrap(), ([4, 2, 2], values));
        assert!(npy_read(file[..file.len() - 1].to_vec()).unwrap_err().contains("is cut off"));
        let nan = [&data[..60], &f32::NAN.to_le_bytes()].concat();
        assert_eq!(npy_read(npy("<f4", &[4, 2, 2], &nan)).unwrap_err(), "holds NaN: encode the image again");
    }

    #[test]
    fn other_arrays_are_refused() {
        let problem = |bytes: &[u8]| npy_shape(bytes).unwrap_err();
        assert!(problem(&npy("<f8", &[4, 2, 2], &[])).contains("other numbers than f32"));
        assert!(problem(&npy("<f4", &[4, 2, 3], &[])).contains("[4, 2, 3]"));
        assert!(problem(&npy("<f4", &[3, 2, 2], &[])).contains("mean and std"));
        assert!(problem(&npy("<f4", &[8, 9999, 9999], &[])).contains("are the limit"));
        assert!(problem(b"\x93NUMPY\x01").contains("cut off"));
        assert!(problem(&[]).contains("0 bytes"));
        assert!(check_file([4, 2, 2], 1 << 20).unwrap_err().contains("too long"));
    }
}
