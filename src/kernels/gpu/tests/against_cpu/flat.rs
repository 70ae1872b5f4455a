//! Flat tensors: gathered, seen, cleaned, updated.

use std::ops::Range;

use burn_backend::DType;
use burn_cubecl::tensor::CubeTensor;
use sida_cpu_kernels::{adam as cpu_adam, flat as cpu};
use sida_gpu_kernels::{adam, flat};

use super::support::{close, device, host, tensor, values};

/// More tensors than one launch takes, of lengths below and above a cube; and where each lies.
fn places() -> (Vec<Range<usize>>, usize) {
    let mut total = 0usize;
    let places = (0..40).map(|i| {
        let (start, length) = (total, [1, 17, 64, 70_003, 300][i % 5]);
        total = (start + length).next_multiple_of(128);
        start..start + length
    });
    let places = places.collect();
    (places, total)
}

fn vector(values: &[f32], device: &burn_cubecl::CubeDevice) -> CubeTensor {
    tensor(values, &[values.len()], DType::F32, device)
}

#[test]
fn tensors_are_put_in_their_places_and_added_there() {
    let Some(device) = device() else { return };
    let (places, total) = places();
    let arrays: Vec<_> =
        (0..).zip(&places).map(|(i, place)| (place.clone(), values(i, place.len()))).collect();
    let slices: Vec<_> = arrays.iter().map(|(place, array)| (place.clone(), array.as_slice())).collect();
    let tensors =
        || arrays.iter().map(|(place, array)| (place.clone(), vector(array, &device))).collect::<Vec<_>>();
    let mut truth = vec![f32::NAN; total];
    cpu::gather(&slices, false, &mut truth);
    let gathered = flat::gather(tensors(), total);
    assert_eq!(host(gathered.clone()), truth);
    for (place, array) in &arrays {
        assert_eq!(host(flat::view(&gathered, place.clone())), *array, "the view of {place:?}");
    }
    let before = truth.clone();
    cpu::gather(&slices[1..], true, &mut truth);
    let sum = flat::add_gathered(gathered.clone(), tensors().split_off(1));
    assert_eq!(host(sum), truth);
    assert_eq!(host(gathered), before, "another handle must not see the sum");
}

#[test]
fn a_view_shares_the_memory() {
    let Some(device) = device() else { return };
    let all = values(1, 1000);
    let whole = vector(&all, &device);
    assert!(whole.can_mut());
    let view = flat::view(&whole, 128..131);
    assert!(!whole.can_mut() && view.is_contiguous());
    // A view of a view counts from where that begins.
    assert_eq!(host(flat::view(&flat::view(&whole, 64..300), 64..67)), host(view));
    assert!(whole.can_mut());
    // A place where the device takes no memory from is copied.
    assert_eq!(host(flat::view(&whole, 129..131)), all[129..131]);
}

#[test]
fn gradients_are_cleaned_and_counted() {
    let Some(device) = device() else { return };
    let (places, total) = places();
    let mut odd = vec![0.0; total];
    for place in &places {
        odd[place.clone()].copy_from_slice(&values(place.start as u32 + 1, place.len()));
    }
    let plain = odd.clone();
    let at = places[3].start;
    for (i, value) in [(0, f32::NAN), (5, -f32::NAN), (69_000, f32::INFINITY), (70_000, f32::NEG_INFINITY)] {
        odd[at + i] = value;
    }
    odd[places[1].start] = 7e4;
    let longest = places.iter().map(Range::len).max().unwrap();
    let cases = [(&plain, None), (&odd, None), (&odd, Some(0.5)), (&plain, Some(0.25))];
    // By as many cubes as the longest place is worth, and by one.
    for ((values, limit), longest) in cases.into_iter().flat_map(|case| [(case, longest), (case, 1)]) {
        let mut truth = values.clone();
        let numbers = cpu::clean(&mut truth, &places, limit).concat();
        let given = vector(values, &device);
        let kept = given.clone();
        let (clean, found) = flat::clean(given, flat::table(&kept, &places), longest, limit);
        assert_eq!(host(clean), truth);
        let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        // Which of all NaN it is may change on the way.
        let kept: Vec<_> = host(kept)
            .iter()
            .zip(values)
            .map(|(a, b)| if b.is_nan() && a.is_nan() { *b } else { *a })
            .collect();
        assert_eq!(bits(&kept), bits(values), "another handle must not see it");
        for (found, truth) in host(found).chunks(4).zip(numbers.chunks(4)) {
            assert!((found[0] - truth[0]).abs() <= 1e-5 * truth[0], "{found:?} {truth:?}");
            assert_eq!(found[1..], truth[1..]);
        }
    }
}

#[test]
fn twenty_steps_of_adam_and_of_an_average() {
    let Some(device) = device() else { return };
    let (runs, count) = ([0..300, 320..2000], 2000);
    let start = values(1, count);
    let (mut p, mut m, mut v) = (start.clone(), vec![0.0; count], vec![0.0; count]);
    let mut average = values(2, count);
    let mut state = [&p, &m, &v].map(|values| vector(values, &device));
    let mut of_gpu = vector(&average, &device);
    let beginning = state[0].clone();
    for step in 1..=20i32 {
        let g = values(100 + step as u32, count);
        let (beta1, beta2) = ([0.3f32, 0.7], [0.999f32, 0.001]);
        let root_correction = (1.0 - 0.999f32.powi(step)).sqrt();
        let step = 1e-3 / (1.0 - 0.3f32.powi(step));
        let eps = 1e-8;
        for run in &runs {
            let constants = cpu_adam::Constants { beta1, beta2, step, root_correction, eps };
            cpu_adam::adam(&mut p, &mut m, &mut v, &g, run.clone(), constants);
        }
        cpu_adam::lerp(&mut average, &p, 0.1);
        let constants = adam::Constants { beta1, beta2, step, root_correction, eps };
        state = adam::adam(state, vector(&g, &device), &runs, constants);
        of_gpu = adam::lerp(of_gpu, state[0].clone(), 0.1);
    }
    for (what, found, truth) in [("parameters", 0, &p), ("first moments", 1, &m), ("second moments", 2, &v)] {
        close(what, &host(state[found].clone()), truth, 2e-6);
    }
    assert_eq!(host(state[0].clone())[300..320], start[300..320], "not in a run");
    close("average", &host(of_gpu), &average, 2e-6);
    assert_eq!(host(beginning), start, "another handle must not see the update");
}
