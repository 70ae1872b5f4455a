//! The loss of the fake score network: it denoises what the generator makes, and with an adversarial term its
//! encoder tells generated from real images. A pure function; noise and sigma are arguments.

use burn::tensor::Tensor;

use super::{kept::Kept, round::LossTerms, sida_loss};
use crate::{
    diffusion::denoising_loss::{denoising_loss, weight},
    nn::Denoised,
};

/// The settings of the fake score network's loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FakeScoreLoss {
    /// Standard deviation of the data that the networks assume.
    pub sigma_data: f64,
    /// Weight the losses by the network's own uncertainty (EDM2).
    pub weight_by_logvar: bool,
}

impl FakeScoreLoss {
    /// The losses (SiD's denoising loss; SiDA's discriminator where `real_logits` are given).
    ///
    /// generated: the clean (augmented) images of the generator `[n, c, h, w]`; judged: what the network says about
    /// them under noise; `real_logits`: what its encoder says about real images under the same noise `[n, 1, h', w']`;
    /// sigma `[n, 1, 1, 1]`
    pub fn terms(
        &self,
        generated: Tensor<4>,
        judged: Denoised,
        real_logits: Option<Tensor<4>>,
        sigma: &Tensor<4>,
    ) -> LossTerms {
        let logits = real_logits.map(|real| [real, judged.logits()]);
        let logvar = judged.logvar.filter(|_| self.weight_by_logvar);
        let judges = [&generated, &judged.images].into_iter().chain(logits.iter().flatten()).chain(&logvar);
        let kept = Kept::judge(judges);
        let logvar = logvar.map(|logvar| kept.only(logvar));
        let weight = weight(sigma, self.sigma_data);
        let adversarial = logits.map(|[real, generated]| {
            let cost = sida_loss::discriminator(real, generated, &kept);
            let weight = match &logvar {
                Some(logvar) => weight.clone() / logvar.clone().exp(),
                None => weight.clone(),
            };
            kept.only(weight * cost)
        });
        let (clean, denoised) = (kept.only(generated), kept.only(judged.images));
        let error = logvar.is_some().then(|| {
            let [clean, denoised, weight] = [&clean, &denoised, &weight].map(|tensor| tensor.clone().inner());
            denoising_loss(clean, denoised, weight, None)
        });
        let score = denoising_loss(clean, denoised, weight, logvar);
        LossTerms { score, error, adversarial, kept }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Shape, TensorData};

    use super::*;

    fn tensor(values: impl IntoIterator<Item = f32>, shape: [usize; 4]) -> Tensor<4> {
        Tensor::from_data(
            TensorData::new(values.into_iter().collect::<Vec<_>>(), Shape::from(shape)),
            &Device::flex(),
        )
    }

    #[test]
    fn the_error_is_the_loss_as_if_there_were_no_uncertainty() {
        let terms = |weight_by_logvar, logvar: f32| {
            let (clean, images) =
                (tensor([0.1, -0.4, 0.9], [1, 3, 1, 1]), tensor([0.3, 0.2, -0.5], [1, 3, 1, 1]));
            let judged = Denoised {
                images,
                encoding: tensor([0.0], [1, 1, 1, 1]),
                logvar: Some(tensor([logvar], [1, 1, 1, 1])),
            };
            let sigma = tensor([0.7], [1, 1, 1, 1]);
            FakeScoreLoss { sigma_data: 0.5, weight_by_logvar }.terms(clean, judged, None, &sigma)
        };
        let values = |tensor: Tensor<4>| tensor.into_data().try_into_vec::<f32>().unwrap();
        let unweighted = terms(false, -3.0);
        assert!(unweighted.error.is_none(), "it is the loss");
        let (loss, error) = (values(unweighted.score), values(terms(true, -3.0).error.unwrap()));
        assert_eq!(error, loss);
        assert_ne!(values(terms(true, -3.0).score), loss);
    }

    /// The second of three samples is spoiled in one of the tensors; the release drops it from both losses, whichever
    /// tensor that is, and the others' losses are what they are without it.
    #[test]
    fn a_sample_with_a_nan_anywhere_takes_part_in_no_loss() {
        let loss = FakeScoreLoss { sigma_data: 0.5, weight_by_logvar: true };
        let terms = |spoiled: usize, samples: &[usize]| {
            let make = |which: usize, c: usize, first: f32| {
                let value = |(n, i): (usize, usize)| {
                    if which == spoiled && n == 1 {
                        f32::NAN
                    } else {
                        first + n as f32 * 0.3 + i as f32 * 0.1
                    }
                };
                let values = samples.iter().flat_map(|&n| (0..c).map(move |i| (n, i))).map(value);
                tensor(values, [samples.len(), c, 1, 1])
            };
            let judged = Denoised {
                images: make(1, 3, 0.2),
                encoding: make(2, 1, -0.4),
                logvar: Some(make(3, 1, 0.1)),
            };
            loss.terms(make(0, 3, 0.5), judged, Some(make(4, 1, 0.7)), &make(9, 1, 1.0))
        };
        let values = |tensor: Tensor<4>| tensor.into_data().try_into_vec::<f32>().unwrap();
        let without = terms(9, &[0, 2]);
        let (denoising, discriminator) = (values(without.score), values(without.adversarial.unwrap()));
        for spoiled in 0..5 {
            let terms = terms(spoiled, &[0, 1, 2]);
            assert_eq!(terms.kept.count_dropped().into_scalar::<f32>(), 1.0, "tensor {spoiled}");
            let found = values(terms.score);
            assert_eq!([&found[..3], &found[6..]].concat(), denoising, "tensor {spoiled}");
            assert_eq!(found[3..6], [0.0; 3]);
            let found = values(terms.adversarial.unwrap());
            assert_eq!(found, [discriminator[0], 0.0, discriminator[1]], "tensor {spoiled}");
        }
    }
}
