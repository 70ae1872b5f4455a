//! What goes up to a GPU in few bytes and is spread out there.

use burn_backend::DType;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use crate::launch::{cubes_for, empty_of};

/// These words on the device of `there`; `bytes` are theirs, the lowest first.
pub(crate) fn words(bytes: &[u8], there: &CubeTensor) -> CubeTensor {
    let (client, device) = (there.client.clone(), there.device.clone());
    let handle = client.create_from_slice(bytes);
    CubeTensor::new_contiguous(client, device, [bytes.len() / 4].into(), handle, DType::U32)
}

/// Bytes, four to a word, as f32.
#[cube(launch)]
fn bytes_kernel(words: &[u32], y: &mut [f32], len: usize) {
    let i = ABSOLUTE_POS;
    if i < len {
        let shift = (i % 4) as u32 * 8;
        y[i] = f32::cast_from((words[i / 4] >> shift) & 255);
    }
}

/// Bytes as f32 from 0 to 255, on the device of `there`.
pub fn bytes<const D: usize>(bytes: &[u8], shape: [usize; D], there: &CubeTensor) -> CubeTensor {
    assert_eq!(bytes.len(), shape.iter().product::<usize>());
    let mut padded = bytes.to_vec();
    padded.resize(bytes.len().next_multiple_of(4), 0);
    let (y, words) = (empty_of(there, shape, DType::F32), words(&padded, there));
    let (count, dim) = cubes_for(bytes.len());
    let (from, to) = (words.into_buffer_arg(), y.clone().into_buffer_arg());
    bytes_kernel::launch(&there.client, count, dim, from, to, bytes.len());
    y
}

/// One row for each class.
#[cube(launch)]
fn one_hot_kernel(classes: &[u32], y: &mut [f32], len: usize, count: usize) {
    let i = ABSOLUTE_POS;
    if i < len {
        let class = classes[i / count] as usize;
        y[i] = f32::cast_from(u32::cast_from(class == i % count));
    }
}

/// Ones where the class of a row says, f32, on the device of `there`. `[n, count]`
pub fn one_hot(classes: &[u32], count: usize, there: &CubeTensor) -> CubeTensor {
    let y = empty_of(there, [classes.len(), count], DType::F32);
    let bytes: Vec<u8> = classes.iter().flat_map(|class| class.to_le_bytes()).collect();
    let len = classes.len() * count;
    let (cubes, dim) = cubes_for(len);
    let (classes, rows) = (words(&bytes, there).into_buffer_arg(), y.clone().into_buffer_arg());
    one_hot_kernel::launch(&there.client, cubes, dim, classes, rows, len, count);
    y
}
