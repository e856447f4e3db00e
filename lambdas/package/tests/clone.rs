//! Runs git in full clones that were unpacked from the zip.

#![expect(clippy::unwrap_used, reason = "the helpers of tests")]

mod scene;

use std::process::Command;

use domain::contract::Archive;
use domain::source::Options;
use scene::{Scene, block_on};

/// Makes a scene with a history of two commits on `ref_name`.
fn scene(ref_name: &str) -> (Scene, String) {
    let mut scene = Scene::new();
    scene.ref_name = ref_name.to_owned();
    let tree = |content: &str| {
        let blob = scene.blob(content.as_bytes());
        let link = scene.blob(b"file");
        scene.tree(&[
            ("100644", &blob, b"file"),
            ("120000", &link, b"link"),
            ("100755", &blob, b"run"),
        ])
    };
    let first = scene.commit_tree(&tree("first\n"));
    let arguments = ["commit-tree", &tree("second\n"), "-p", &first, "-m", "Second"];
    let second = scene.line(&arguments, b"");
    (scene, second)
}

fn package(scene: &Scene, commit: &str) -> Archive {
    let options = Options {
        full_clone: true,
        ..Options::default()
    };
    block_on(scene.package(commit, options)).unwrap()
}

/// Unpacks the zip, and returns git's output for each command.
fn git(scene: &Scene, archive: &Archive, questions: &[&[&str]]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let zip = scene.staging().path(&archive.object.key);
    let unzipped = Command::new(tools::program("unzip"))
        .arg("-q")
        .arg(zip)
        .current_dir(folder.path())
        .status();
    assert!(unzipped.unwrap().success());
    let answer =
        |arguments: &&[&str]| testkit::git::line(testkit::git::command(&folder).args(*arguments), b"");
    questions.iter().map(answer).collect()
}

#[test]
fn git_works_in_a_full_clone_whatever_its_branch_is_called() {
    for branch in ["main", "fix#123", "x;y", "a\"b", "feature/\u{fc}ber"] {
        let (scene, commit) = scene(&format!("refs/heads/{branch}"));
        let upstream = format!("{branch}@{{upstream}}");
        let answers = git(
            &scene,
            &package(&scene, &commit),
            &[
                &["status", "--porcelain"],
                &["symbolic-ref", "HEAD"],
                &["rev-list", "--count", "HEAD"],
                &["rev-parse", &upstream],
                &["config", &format!("branch.{branch}.merge")],
                &["fsck", "--strict"],
            ],
        );
        let expected = [
            "",
            &format!("refs/heads/{branch}"),
            "2",
            &commit,
            &format!("refs/heads/{branch}"),
            "",
        ];
        assert_eq!(answers, expected, "{branch}");
    }
}

#[test]
fn the_same_history_gives_the_same_bytes_however_it_was_packed() {
    let (scene, commit) = scene("refs/heads/main");
    let first = package(&scene, &commit);
    for (key, value) in [
        ("pack.window", "0"),
        ("pack.compression", "1"),
        ("pack.depth", "1"),
    ] {
        scene.git(&["config", key, value], b"");
        let again = package(&scene, &commit);
        assert_eq!(first.sha256, again.sha256, "{key} = {value}");
    }
}
