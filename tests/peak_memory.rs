//! The peak of a piece of work is its own, not that of the work before. Alone here: other tests of a process hold memory, too.
#![cfg(target_os = "linux")]

use sida::peak_memory::PeakMemory;

#[test]
fn what_was_held_before_is_forgotten_and_what_is_held_is_seen() {
    let held = |mib: usize| std::hint::black_box(vec![1u8; mib << 20]).len();
    let all = PeakMemory::begin();
    assert_eq!(held(96), 96 << 20);
    let before = all.mib().expect("Linux says it");
    assert!(before > 96.0, "{before}");
    let next = PeakMemory::begin().mib().expect("Linux says it");
    assert!(next < before - 48.0, "{before} {next}");
}
