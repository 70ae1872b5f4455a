//! A block that is run again in the backward pass comes to the bits of one whose activations are kept.

use burn::{
    module::Param,
    tensor::{Device, Tensor},
};
use libtest_mimic::Failed;
use sida::kernels;

use crate::normals;

pub(crate) fn is_bit_for_bit(gpu: &Device) -> Result<(), Failed> {
    kernels::allow_tf32(false);
    let [kept, again] = [false, true].map(|recompute| results(recompute, gpu));
    for ((what, kept), (_, again)) in kept.into_iter().zip(again) {
        // NaN is not equal to itself.
        if kept != again || kept.iter().all(|v| *v == 0.0) {
            return Err(format!("{what} differs, or is nothing").into());
        }
    }
    Ok(())
}

/// The output of a block, and the gradients to all that goes into it.
fn results(recompute: bool, gpu: &Device) -> [(&'static str, Vec<f32>); 4] {
    let device = gpu.clone().autodiff();
    let x = normals("x", [2, 8, 8, 16], &device).require_grad();
    let emb: Tensor<2> = normals("emb", [2, 16, 1, 1], &device).reshape([2, 16]);
    let emb = Tensor::from_data(emb.into_data(), &device).require_grad();
    let weight = Param::from_tensor(normals("w", [16, 16, 3, 3], &device));
    let y = kernels::block(recompute, &weight, x.clone(), &emb, |weight: &Param<Tensor<4>>, x, emb| {
        let inner = kernels::silu(x.clone() + emb.clone().reshape([2, 1, 1, 16]));
        kernels::weighted_sum(x, 0.7, kernels::conv2d(inner, weight.val(), None), 0.3, None)
    });
    let pull = normals("pull", y.dims(), &device);
    let gradients = (y.clone() * pull).sum().backward();
    let host = |t: Option<Tensor<4>>| t.expect("a gradient").into_data().try_to_vec().expect("f32");
    let to_emb = emb.grad(&gradients).map(|gradient| gradient.reshape([2, 16, 1, 1]));
    [
        ("output", host(Some(y.inner()))),
        ("gradient to x", host(x.grad(&gradients))),
        ("gradient to the conditioning vector", host(to_emb)),
        ("gradient to the weights", host(weight.val().grad(&gradients))),
    ]
}
