//! Runs many histories, each from a seed of its own.

#![expect(clippy::expect_used, reason = "a malformed number fails the test")]

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The default number of histories. Before a change of the order is published, ten times as many are worth their time.
const HISTORIES: u64 = 3_000;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().expect("a number"))
}

fn explain(seed: u64, workspace: &Path) -> String {
    let report = simulator::run(seed, true, workspace);
    format!(
        "{}\n\nThe history of seed {seed} is wrong:\n  {}\nSIMULATOR_SEED={seed} cargo test -p simulator runs it again.",
        report.trace.join("\n"),
        report.wrong.join("\n  ")
    )
}

#[test]
fn whatever_happens_the_destination_has_what_the_ref_points_to() {
    if let Some(seed) = number("SIMULATOR_SEED") {
        let folder = tempfile::tempdir().unwrap();
        let workspace = folder.path().join("staged");
        let report = simulator::run(seed, true, &workspace);
        println!("{}", report.trace.join("\n"));
        assert!(report.wrong.is_empty(), "{}", report.wrong.join("\n"));
        return;
    }
    let histories = number("SIMULATOR_HISTORIES").unwrap_or(HISTORIES);
    let (next, has_failed) = (AtomicU64::new(0), AtomicBool::new(false));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let failed: Vec<u64> = std::thread::scope(|scope| {
        let run = || {
            let folder = tempfile::tempdir().unwrap();
            let workspace = folder.path().join("staged");
            while !has_failed.load(Ordering::Relaxed) {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= histories {
                    break;
                }
                if !simulator::run(seed, false, &workspace).wrong.is_empty() {
                    has_failed.store(true, Ordering::Relaxed);
                    return Some(seed);
                }
            }
            None
        };
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        threads
            .into_iter()
            .filter_map(|thread| thread.join().unwrap())
            .collect()
    });
    if let Some(seed) = failed.into_iter().min() {
        let folder = tempfile::tempdir().unwrap();
        panic!("{}", explain(seed, &folder.path().join("staged")));
    }
}

#[test]
fn the_same_seed_is_the_same_history() {
    let folder = tempfile::tempdir().unwrap();
    let workspace = folder.path().join("staged");
    for seed in 0..50 {
        let first = simulator::run(seed, true, &workspace);
        let second = simulator::run(seed, true, &workspace);
        assert!(first == second, "seed {seed} is not always the same");
        assert!(!first.trace.is_empty());
    }
}
