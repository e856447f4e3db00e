//! Compares the zip with git itself: it must hold what `git ls-tree` and `git cat-file` show of the commit.

#![expect(clippy::unwrap_used, reason = "the helpers of tests")]

mod scene;

use std::collections::BTreeMap;
use std::process::Command;

use domain::error::{Code, Coded};
use domain::source::Options;
use package::{Error, METRICS};
use proptest::prelude::*;
use testkit::logs::captured;

use scene::{Scene, block_on, files, without_build_info};

#[test]
fn the_zip_is_the_commits_tree() {
    let scene = Scene::new();
    let commit = scene.commit(&files([
        (".github/workflows/ci.yml", "100644", b"on: push\n"),
        (".gitignore", "100644", b"/target\n"),
        ("bin/run", "100755", b"#!/bin/sh\n"),
        ("dir/with space/\u{fc}n\u{ef}", "100644", b"x"),
        ("empty", "100644", b""),
        ("link", "120000", b"../outside"),
        ("large", "100644", &b"0123456789abcdef".repeat(200_000)),
        ("larger", "100755", &b"0123456789abcdef".repeat(600_000)),
        ("random", "100644", &(0..=255).collect::<Vec<u8>>()),
    ]));
    let archive = block_on(scene.package(&commit, without_build_info())).unwrap();
    // Not assert_eq, which would print megabytes.
    assert!(scene.unzip(&archive) == scene.list(&commit));
    assert_eq!(archive.entries, 9);
    assert_eq!(archive.object.size, scene.bytes(&archive).len() as u64);
}

#[test]
fn the_line_in_the_log_has_the_entries_that_are_metrics() {
    let scene = Scene::new();
    let commit = scene.commit(&files([("a", "100644", b"a"), ("z", "100644", b"z")]));
    let package = scene.package(&commit, without_build_info());
    let (archive, lines) = block_on(captured(package, |lines| aws::telemetry::json(None, lines)));
    let archive = archive.unwrap();
    let logged = lines.fields("packaged");
    assert_eq!(logged.len(), 1, "{logged:?}");
    for field in METRICS {
        assert!(logged[0][field].is_u64(), "{field}: {logged:?}");
    }
    assert_eq!(logged[0]["entries_made"], archive.entries);
}

#[test]
fn a_submodule_is_an_empty_folder() {
    let scene = Scene::new();
    let tree = scene.tree(&[("160000", &"1".repeat(40), b"module")]);
    let commit = scene.commit_tree(&tree);
    let archive = block_on(scene.package(&commit, without_build_info())).unwrap();
    assert_eq!(scene.unzip(&archive), scene.list(&commit));
}

#[test]
fn a_commit_without_files_is_an_empty_zip() {
    let scene = Scene::new();
    let commit = scene.commit(&BTreeMap::new());
    let archive = block_on(scene.package(&commit, without_build_info())).unwrap();
    assert_eq!(archive.entries, 0);
    assert_eq!(archive.object.size, 22);
}

#[test]
fn build_info_says_what_the_zip_was_made_of() {
    let scene = Scene::new();
    let commit = scene.commit(&files([("a", "100644", b"a"), ("z", "100644", b"z")]));
    let archive = block_on(scene.package(&commit, Options::default())).unwrap();
    let unzipped = scene.unzip(&archive);
    let info: serde_json::Value = serde_json::from_slice(&unzipped[package::BUILD_INFO].1).unwrap();
    assert_eq!(info["commit"], commit);
    assert_eq!(info["repository"], "group/project");
    assert_eq!(info["committed_at"], "2023-11-14T22:13:20+00:00");
    assert_eq!(unzipped.len(), 3);
}

#[test]
fn a_repositorys_own_build_info_is_kept_and_the_trail_says_so() {
    let scene = Scene::new();
    let commit = scene.commit(&files([(package::BUILD_INFO, "100644", b"mine")]));
    let archive = block_on(scene.package(&commit, Options::default())).unwrap();
    assert_eq!(scene.unzip(&archive), scene.list(&commit));
    assert_eq!(archive.warnings.len(), 1);
}

#[test]
fn the_same_commit_gives_the_same_bytes_however_it_was_packed() {
    let scene = Scene::new();
    let numbered = |number: u32| format!("{number}\n").repeat(1_000).into_bytes();
    let many: BTreeMap<_, _> = (0..300)
        .map(|number| {
            (
                format!("{:02}/{number}", number % 7),
                ("100644", numbered(number)),
            )
        })
        .collect();
    let commit = scene.commit(&many);
    let first = block_on(scene.package(&commit, Options::default())).unwrap();
    let bytes = scene.bytes(&first);
    // The second pack has no deltas.
    scene.git(&["config", "pack.window", "0"], b"");
    let second = block_on(scene.package(&commit, Options::default())).unwrap();
    assert_eq!(first.sha256, second.sha256);
    assert!(bytes == scene.bytes(&second));
}

#[test]
fn a_large_file_that_was_sent_as_a_delta_gives_the_same_bytes() {
    let scene = Scene::new();
    // The lines differ, so that a delta is worth while, and one file has noise at its end.
    let text: String = (0..1_200_000_u32)
        .map(|number| format!("{number:08}\n"))
        .collect();
    let commit = scene.commit(&files([
        ("a", "100644", text.as_bytes()),
        ("b", "100644", format!("{text}end").as_bytes()),
    ]));
    let first = block_on(scene.package(&commit, Options::default())).unwrap();
    let deltas = scene.deltas();
    scene.git(&["config", "pack.window", "0"], b"");
    let second = block_on(scene.package(&commit, Options::default())).unwrap();
    assert_eq!((deltas, scene.deltas()), (1, 0));
    assert_eq!(first.sha256, second.sha256);
    // A file sent as a delta is held in memory, for which there is a limit.
    scene.git(&["config", "pack.window", "10"], b"");
    let mut options = Options::default();
    options.limits.delta_file_bytes = 10_000_000;
    let error = block_on(scene.package(&commit, options)).unwrap_err();
    assert_eq!(error.code(), Code::LimitExceeded, "{error}");
    assert!(error.to_string().contains("delta_file_bytes"), "{error}");
}

#[test]
fn python_reads_the_zip_and_its_checksums_agree() {
    let scene = Scene::new();
    let large = b"0123456789abcdef".repeat(600_000);
    let commit = scene.commit(&files([
        ("a/b", "100644", b"content"),
        ("c", "120000", b"a/b"),
        ("large", "100644", &large),
    ]));
    let archive = block_on(scene.package(&commit, Options::default())).unwrap();
    let path = scene.staging().path(&archive.object.key);
    let output = Command::new("python3")
        .args(["-m", "zipfile", "-t"])
        .arg(path)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_path_that_leads_elsewhere_is_refused() {
    for name in [&b".."[..], b".", b".git", b".GIT", b"a/b"] {
        let scene = Scene::new();
        let blob = scene.blob(b"x");
        let tree = scene.tree(&[("100644", &blob, name)]);
        let commit = scene.commit_tree(&tree);
        let error = block_on(scene.package(&commit, Options::default())).unwrap_err();
        assert_eq!(error.code(), Code::PathUnsafe, "{error}");
    }
}

#[test]
fn a_path_that_occurs_twice_is_refused() {
    let scene = Scene::new();
    let blob = scene.blob(b"x");
    let tree = scene.tree(&[("100644", &blob, b"a"), ("120000", &blob, b"a")]);
    let error = block_on(scene.package(&scene.commit_tree(&tree), Options::default())).unwrap_err();
    assert_eq!(error.code(), Code::PathUnsafe, "{error}");
}

#[test]
fn a_name_that_is_not_utf8_keeps_its_bytes() {
    let scene = Scene::new();
    let blob = scene.blob(b"x");
    let tree = scene.tree(&[("100644", &blob, b"caf\xe9")]);
    let archive = block_on(scene.package(&scene.commit_tree(&tree), without_build_info())).unwrap();
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(scene.bytes(&archive))).unwrap();
    assert_eq!(zip.by_index(0).unwrap().name_raw(), b"caf\xe9");
}

#[test]
fn an_object_that_the_host_did_not_send_is_named() {
    let scene = Scene::new();
    let commit = scene.commit(&files([("a", "100644", b"a"), ("b", "100644", b"b")]));
    let tree = scene.line(&["rev-parse", &format!("{commit}^{{tree}}")], b"");
    let other = scene.commit(&files([("a", "100644", b"a")]));
    let packed = format!("{other}\n{tree}\n^{commit}:b");
    let error = block_on(scene.package_pack(&commit, &tree, &packed, Options::default())).unwrap_err();
    assert_eq!(error.code(), Code::RepositoryInvalid, "{error}");
    assert!(error.to_string().contains("(b)"), "{error}");
}

#[test]
fn a_limit_that_is_exceeded_is_named() {
    let scene = Scene::new();
    let commit = scene.commit(&files([("a", "100644", b"0123456789"), ("b", "100644", b"")]));
    let mut options = Options::default();
    options.limits.entries = 1;
    let error = block_on(scene.package(&commit, options.clone())).unwrap_err();
    assert_eq!(error.code(), Code::LimitExceeded);
    assert!(error.to_string().contains("entries"), "{error}");
    options.limits.entries = 10;
    options.limits.file_bytes = 9;
    let error = block_on(scene.package(&commit, options)).unwrap_err();
    assert!(
        error.to_string().contains("file_bytes: a has 10 bytes"),
        "{error}"
    );
}

/// Generates trees of a few files with awkward names and contents.
fn tree() -> impl Strategy<Value = BTreeMap<String, (&'static str, Vec<u8>)>> {
    let part =
        "[a-c.\u{e4} ~-]{1,3}".prop_filter("git forbids these", |part| !matches!(part.as_str(), "." | ".."));
    let path = prop::collection::vec(part, 1..4).prop_map(|parts| parts.join("/"));
    let mode = prop::sample::select(vec!["100644", "100755", "120000"]);
    let content = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..100),
        (any::<u8>(), 0..70_000_usize).prop_map(|(byte, count)| vec![byte; count]),
    ];
    prop::collection::btree_map(path, (mode, content), 0..8).prop_map(|mut tree| {
        // Longer targets are refused.
        for (mode, content) in tree.values_mut() {
            if *mode == "120000" {
                content.truncate(4_096);
            }
        }
        // A path cannot be both a file and a folder.
        let paths: Vec<String> = tree.keys().cloned().collect();
        tree.retain(|path, _| !paths.iter().any(|other| other.starts_with(&format!("{path}/"))));
        tree
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_tree_is_zipped_as_git_lists_it(tree in tree()) {
        let scene = Scene::new();
        let commit = scene.commit(&tree);
        let archive = match block_on(scene.package(&commit, without_build_info())) {
                        // Some trees have a link whose name differs from another name only by a dot or blank at the
                        // end.
            Err(Error::Tree(tree::Error::Alias { .. })) => return Ok(()),
            archive => archive.unwrap(),
        };
        prop_assert_eq!(scene.unzip(&archive), scene.list(&commit));
    }
}
