//! The defaults that the recipes of both trainings share.

use crate::kimg::Kimg;

pub(crate) fn duration_kimg() -> Kimg {
    Kimg(200_000.0)
}

pub(crate) fn batch_size() -> u32 {
    512
}

pub(crate) fn augment() -> f64 {
    0.12
}

pub(crate) fn p_mean() -> f64 {
    -1.2
}

pub(crate) fn p_std() -> f64 {
    1.2
}
