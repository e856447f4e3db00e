//! The progress of a fetch.

use std::sync::mpsc;
use std::time::Duration;

use fetch::Progress;
use reporter::ProgressReporter;
use testkit::http::Host;

use crate::scene::{Ask, Scene};

#[tokio::test]
async fn a_fetch_reports_the_hosts_progress_the_objects_and_the_deltas() {
    let scene = Scene::new();
    scene.allow_any_id();
    // One of the files is sent as a delta of the other.
    let text: String = (0..2_000).map(|line| format!("line {line}\n")).collect();
    let blobs = [text.clone(), text + "end\n"]
        .map(|text| scene.line(&["hash-object", "-w", "--stdin"], text.as_bytes()));
    let tree = format!("100644 blob {}\ta\n100644 blob {}\tb\n", blobs[0], blobs[1]);
    let tree = scene.line(&["mktree"], tree.as_bytes());
    let commit = scene.line(&["commit-tree", &tree, "-m", "two files"], b"");
    scene.git(&["update-ref", "refs/heads/main", &commit], b"");
    let host = Host::of(&scene).await;
    let (sender, told) = mpsc::channel();
    let mut ask = Ask::new(&host.url(), &commit);
    // The receiver may be gone.
    ask.progress = ProgressReporter::every(Duration::ZERO, move |progress| {
        let _ = sender.send(progress);
    });
    scene.fetch(&ask).await.unwrap();
    let told: Vec<Progress> = told.try_iter().collect();
    let told: Vec<remote::Progress> = told
        .into_iter()
        .map(|progress| match progress {
            Progress::Transfer(progress) => progress,
            Progress::Lfs(progress) => panic!("{progress}"),
        })
        .collect();
    let has = |wanted: fn(&remote::Progress) -> bool| told.iter().any(wanted);
    assert!(
        has(|told| matches!(told, remote::Progress::Host { done: 1.., .. })),
        "{told:?}"
    );
    assert!(
        has(|told| matches!(
            told,
            remote::Progress::Objects {
                objects: 1..,
                total: 4,
                bytes: 1..
            }
        )),
        "{told:?}"
    );
    assert!(
        has(|told| matches!(told, remote::Progress::Deltas { deltas: 1, total: 1 })),
        "{told:?}"
    );
}
