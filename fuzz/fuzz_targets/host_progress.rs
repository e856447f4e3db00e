//! Parses the progress that a git host sends while it prepares a pack.

#![no_main]

use libfuzzer_sys::fuzz_target;
use remote::fuzzing::host_progress;

const WORDS: [&str; 8] = [
    "the",
    "git",
    "host",
    "lists",
    "counts",
    "compresses",
    "objects:",
    "%",
];

fuzz_target!(|said: &[u8]| {
    let told = host_progress(said).unwrap_or_default();
    // Only numbers may come from the host.
    assert!(
        told.split_whitespace()
            .all(|word| WORDS.contains(&word) || word.parse::<u64>().is_ok())
    );
});
