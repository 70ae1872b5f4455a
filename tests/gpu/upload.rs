//! What the host knows and a device shall have arrives there.

use burn::tensor::Device;
use libtest_mimic::Failed;
use sida::kernels;

/// Bytes, of which words of four leave a rest, and classes.
pub(crate) fn bytes_and_classes(gpu: &Device) -> Result<(), Failed> {
    let bytes: Vec<u8> = (0..=255).chain(0..5).collect();
    let classes = [0, 6, 3, 3, 1];
    let arrived = |device: &Device| {
        let images = kernels::from_bytes(&bytes, [3, 29, 3], device).into_data();
        (images, kernels::one_hot(&classes, 7, device).into_data())
    };
    let (ours, theirs) = (arrived(gpu), arrived(&Device::flex()));
    if ours != theirs {
        return Err(format!("{ours:?} instead of {theirs:?}").into());
    }
    Ok(())
}
