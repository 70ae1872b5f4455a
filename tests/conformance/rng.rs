//! Kind `rng` of the fixtures' README.

use crate::case::Case;

pub fn run(_case: &mut Case) -> Result<(), String> {
    Err("kind `rng` is not judged yet".to_owned())
}
