//! Bytes that stages leave in the folder of runs, at most.

use super::task::{picture_shape, snapshots_in};
use crate::{
    diffusion::Encoder,
    nn::NetworkConfig,
    stages::snapshots::grid,
    training::{Keep, Pace},
};

/// Names and shapes of tensors, records and the like.
pub(in crate::stages) const RECORDS: u64 = 1 << 18;
/// Of a PNG besides its pixels, which noise leaves as they are: what begins and ends it, and what goes before every block.
const PNG: u64 = 1 << 10;

/// A training of a network of so many parameters, whose state holds them so many times: the last state, the weights of
/// snapshots that stay, and the pictures of all.
pub(in crate::stages) fn of_training(
    pace: &Pace<'_>,
    network: &NetworkConfig,
    encoder: &Encoder,
    [parameters, copies]: [u64; 2],
) -> u64 {
    let weights = 4 * parameters + RECORDS;
    let duration = pace.duration_kimg.nimg();
    let statuses = duration / pace.status_every_kimg.nimg().max(1) + 1;
    let (kept, pictures) = match pace.snapshots {
        None => (1, 0),
        Some(settings) => {
            let all = snapshots_in(settings, [0, duration]);
            let kept = match settings.keep {
                Keep::All => all,
                Keep::Last => 1,
                Keep::BestAndLast if settings.metrics.is_empty() => 1,
                Keep::BestAndLast => 2,
            };
            let [rows, columns] = grid(network.label_dim());
            (kept, all * of_pictures(network, encoder, (rows * columns) as u64, false))
        }
    };
    copies * 4 * parameters + kept * weights + pictures + statuses * PNG + RECORDS
}

/// So many images of a network: in one picture, or in a file each.
pub(in crate::stages) fn of_pictures(
    network: &NetworkConfig,
    encoder: &Encoder,
    images: u64,
    apart: bool,
) -> u64 {
    let [channels, side] = picture_shape(network, encoder);
    // A filter stands before every row.
    let pixels = images * (channels * side * side + side) as u64;
    pixels + pixels / 1000 + PNG * if apart { images } else { 1 }
}
