//! Raw latents as EDM2's `encode` writes them: `.npy` files of f32 `[channels, size, size]`, mean before std.

use burn::tensor::{DType, TensorData};

/// Longest header of a `.npy` file that is believed.
pub(in crate::data) const HEADER_BYTES: u64 = 4096;

/// Shape and the position of the data, from the beginning of a `.npy` file.
///
/// # Errors
/// A fragment that says what is wrong, for the caller to put behind the file's name.
pub(in crate::data) fn npy_header(bytes: &[u8]) -> Result<([usize; 3], usize), String> {
    if bytes.is_empty() {
        return Err("is empty (0 bytes): it was not written completely; replace or remove it".to_owned());
    }
    let not_npy = "is not a .npy file, or cut off";
    if !bytes.starts_with(b"\x93NUMPY") {
        return Err(not_npy.to_owned());
    }
    let (start, length) = match bytes.get(6) {
        Some(1) => (10, bytes.get(8..10).map(|b| usize::from(u16::from_le_bytes([b[0], b[1]])))),
        Some(2 | 3) => (12, bytes.get(8..12).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as usize)),
        _ => return Err(not_npy.to_owned()),
    };
    let end = start + length.filter(|&l| l as u64 <= HEADER_BYTES).ok_or(not_npy)?;
    let text = bytes.get(start..end).and_then(|b| std::str::from_utf8(b).ok()).ok_or(not_npy)?;
    let flat: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    if !flat.contains("'descr':'<f4'") || !flat.contains("'fortran_order':False") {
        return Err(format!("holds other numbers than f32 in C order ({})", text.trim()));
    }
    let shape = flat.split_once("'shape':(").and_then(|(_, rest)| rest.split_once(')')).map(|(dims, _)| dims);
    let dims: Option<Vec<usize>> =
        shape.map(|dims| dims.split(',').filter(|d| !d.is_empty()).map_while(|d| d.parse().ok()).collect());
    match dims.as_deref() {
        Some(&[c, h, w]) if c % 2 == 0 && c > 0 && h == w && h > 0 => Ok(([c, h, w], end)),
        _ => Err(format!("is not [mean and std, size, size] in shape ({})", text.trim())),
    }
}

/// The numbers of a `.npy` file, `[channels, size, size]`.
///
/// # Errors
/// As `npy_header`; also where the file ends too early.
pub(in crate::data) fn npy_read(bytes: Vec<u8>) -> Result<([usize; 3], Vec<f32>), String> {
    let (shape, start) = npy_header(&bytes)?;
    let wanted = shape.iter().try_fold(4_usize, |n, &d| n.checked_mul(d));
    let data =
        bytes.get(start..).filter(|data| Some(data.len()) == wanted).ok_or("is cut off, or too long")?;
    let values = TensorData::from_bytes_vec(data.to_vec(), shape.to_vec(), DType::F32);
    let values = values.try_into_vec::<f32>().map_err(|e| format!("cannot be read ({e:?})"))?;
    match values.iter().find(|value| !value.is_finite()) {
        None => Ok((shape, values)),
        Some(value) => Err(format!("holds {value}: encode the image again")),
    }
}

#[cfg(test)]
pub(in crate::data) mod tests {
    use super::*;

    /// A `.npy` file as numpy writes it.
    pub(in crate::data) fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
        while (10 + header.len() + 1) % 64 != 0 {
            header.push(' ');
        }
        header.push('\n');
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    #[test]
    fn latents_are_read() {
        let values: Vec<f32> = (0..16).map(|i| i as f32 / 3.0).collect();
        let data: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let file = npy("<f4", "(4, 2, 2)", &data);
        assert_eq!(npy_read(file.clone()).unwrap(), ([4, 2, 2], values));
        assert!(npy_read(file[..file.len() - 1].to_vec()).unwrap_err().contains("is cut off"));
        let nan = [&data[..60], &f32::NAN.to_le_bytes()].concat();
        assert_eq!(npy_read(npy("<f4", "(4, 2, 2)", &nan)).unwrap_err(), "holds NaN: encode the image again");
    }

    #[test]
    fn other_arrays_are_refused() {
        assert!(npy_read(npy("<f8", "(4, 2, 2)", &[])).unwrap_err().contains("other numbers than f32"));
        assert!(npy_read(npy("<f4", "(4, 2, 3)", &[])).unwrap_err().contains("(4, 2, 3)"));
        assert!(npy_read(npy("<f4", "(3, 2, 2)", &[])).unwrap_err().contains("mean and std"));
        assert!(npy_read(b"\x93NUMPY\x01".to_vec()).unwrap_err().contains("cut off"));
        assert!(npy_read(Vec::new()).unwrap_err().contains("0 bytes"));
    }
}
