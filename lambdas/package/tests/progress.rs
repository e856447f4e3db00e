//! The progress of a packaging.

#![expect(clippy::unwrap_used, reason = "the helpers of tests")]

mod scene;

use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use domain::source::Options;
use package::Progress;
use reporter::ProgressReporter;
use scene::{Scene, block_on, files, without_build_info};

fn reporting() -> (Scene, Receiver<Progress>) {
    let mut scene = Scene::new();
    let (sender, reported) = channel();
    // The receiver may be gone.
    scene.progress = ProgressReporter::every(Duration::ZERO, move |progress| {
        let _ = sender.send(progress);
    });
    (scene, reported)
}

#[test]
fn the_bytes_of_a_large_file_are_reported_while_it_is_written() {
    let (scene, reported) = reporting();
    let size = 20 << 20;
    let commit = scene.commit(&files([
        ("a", "100644", b"small"),
        ("large", "100644", &vec![0; size]),
    ]));
    block_on(scene.package(&commit, without_build_info())).unwrap();
    let reported: Vec<Progress> = reported.try_iter().collect();
    let entries = |wanted: u64| {
        reported
            .iter()
            .filter_map(move |reported| match reported {
                Progress::Entries {
                    entries,
                    total: 2,
                    bytes,
                } if *entries == wanted => Some(*bytes),
                _ => None,
            })
            .collect::<Vec<u64>>()
    };
    // Once the small file is written, the bytes of the large one are counted.
    let meanwhile = entries(1);
    assert!(meanwhile.len() > 2 && meanwhile.is_sorted(), "{reported:?}");
    assert_eq!(entries(2), [size as u64 + 5]);
    assert_eq!(reported.last().unwrap().to_string(), "2 of 2 entries, 20.0 MiB");
}

#[test]
fn the_history_of_a_full_clone_is_reported_while_it_is_packed() {
    let (scene, reported) = reporting();
    let text: String = (0..2_000).map(|line| format!("line {line}\n")).collect();
    let more = format!("{text}end\n");
    let commit = scene.commit(&files([("a", "100644", b"a"), ("b", "100644", b"b")]));
    let next = scene.blob(text.as_bytes());
    let tree = scene.tree(&[
        ("100644", &next, b"a"),
        ("100644", &scene.blob(more.as_bytes()), b"b"),
    ]);
    let commit = scene.line(&["commit-tree", &tree, "-p", &commit, "-m", "More"], b"");
    let options = Options {
        full_clone: true,
        ..Options::default()
    };
    block_on(scene.package(&commit, options)).unwrap();
    let packing = |reported: &Progress| matches!(reported, Progress::Packing { total: 1.., .. });
    assert!(reported.try_iter().any(|reported| packing(&reported)));
}
