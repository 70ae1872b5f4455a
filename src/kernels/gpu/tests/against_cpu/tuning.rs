//! Where choices of kernels are kept.

use std::path::Path;

use cubecl::environment;
use sida_gpu_kernels::tuning::keep;

#[test]
fn each_card_has_a_file_in_the_folder() {
    let folder = Path::new("somewhere");
    keep(folder, "NVIDIA H100 80GB HBM3, cuda");
    assert_eq!(environment::path(), folder.join("NVIDIA_H100_80GB_HBM3__cuda.db"));
    keep(folder, "../Iris(R) Xe, wgpu");
    assert_eq!(environment::path().parent(), Some(folder));
}
