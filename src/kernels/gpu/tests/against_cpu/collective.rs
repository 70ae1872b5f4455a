//! What processes that sum tell `CubeCL` and are told by NCCL; how they sum is shown by `tests/cuda`.

use sida_gpu_kernels::collective::{seats, written};

/// `CubeCL` looks for the index of its device in the list, in order.
#[test]
fn a_device_sits_where_its_rank_says() {
    for (index, rank, ranks) in [(0, 0, 1), (0, 0, 2), (1, 1, 2), (0, 5, 8), (7, 3, 8), (3, 9, 16)] {
        let given = seats(index, rank, ranks);
        let mut seats = given.clone();
        seats.sort();
        assert_eq!((seats.len(), &seats), (ranks, &given), "in order");
        let places: Vec<_> = (0..ranks).filter(|&seat| seats[seat].index_id == index).collect();
        assert_eq!(places, [rank]);
    }
}

#[test]
fn a_version_has_three_parts() {
    assert_eq!([23203, 22700, 2804].map(written), ["2.32.3", "2.27.0", "2.8.4"]);
}
