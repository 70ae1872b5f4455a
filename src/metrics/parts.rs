//! Into how many parts products and decompositions of matrices are split: always as many, on however many threads they then
//! run, because their rounding follows from it.

use faer::Par;

const PARTS: usize = 8;

/// To be called before anything that asks no more than the library's own setting.
pub(super) fn fix() {
    faer::set_global_parallelism(Par::rayon(PARTS));
}
