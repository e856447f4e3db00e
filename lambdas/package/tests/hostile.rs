//! Packages trees that no honest git writes, and commits that are far larger than they look.

#![expect(clippy::unwrap_used, reason = "the helpers of tests")]

mod scene;

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Instant;

use domain::error::{Code, Coded};
use domain::source::{Options, Symlinks};
use package::Error;
use scene::{Scene, block_on};

fn refused(scene: &Scene, tree: &str, options: Options) -> Error {
    block_on(scene.package(&scene.commit_tree(tree), options)).unwrap_err()
}

#[test]
fn a_name_that_leads_elsewhere_on_any_system_is_refused() {
    for name in [
        "..",
        ".",
        "/etc",
        "a/../../b",
        "..\\b",
        "a\\..\\..\\b",
        "\\b",
        "C:\\b",
        "C:b",
        ".git",
        ".GIT",
        ".git.",
        ".git ",
        "git~1",
        "GIT~1",
        ".git::$INDEX_ALLOCATION",
        ".g\u{200c}it",
        "\u{feff}.Git",
    ] {
        let scene = Scene::new();
        let blob = scene.blob(b"x");
        for (mode, object) in [
            ("100644", blob.clone()),
            ("40000", scene.tree(&[("100644", &blob, b"x")])),
        ] {
            let tree = scene.tree(&[(mode, &object, name.as_bytes())]);
            let error = refused(&scene, &tree, Options::default());
            assert_eq!(error.code(), Code::PathUnsafe, "{name:?}: {error}");
        }
    }
}

#[test]
fn a_file_and_a_folder_of_one_name_are_refused() {
    let scene = Scene::new();
    let blob = scene.blob(b"x");
    let folder = scene.tree(&[("100644", &blob, b"x")]);
    let tree = scene.tree(&[
        ("120000", &blob, b"a"),
        ("100644", &blob, b"b"),
        ("40000", &folder, b"a"),
    ]);
    let error = refused(&scene, &tree, Options::default());
    assert_eq!(error.code(), Code::PathUnsafe, "{error}");
}

#[test]
fn names_that_differ_in_case_only_are_delivered_with_a_warning() {
    let scene = Scene::new();
    let blob = scene.blob(b"x");
    let folder = scene.tree(&[("100644", &blob, b"x")]);
    let tree = scene.tree(&[
        ("40000", &folder, b"DOCS"),
        ("100644", &blob, b"Readme"),
        ("40000", &folder, b"docs"),
        ("100644", &blob, b"readme"),
        ("100644", &blob, "\u{c4}".as_bytes()),
        ("100644", &blob, "\u{e4}".as_bytes()),
    ]);
    let archive = block_on(scene.package(&scene.commit_tree(&tree), Options::default())).unwrap();
    assert_eq!(archive.entries, 7);
    let warned: Vec<_> = archive
        .warnings
        .iter()
        .map(|text| text.split(' ').next().unwrap())
        .collect();
    assert_eq!(warned, ["docs", "readme", "\u{e4}"]);
}

#[test]
fn a_link_that_leaves_the_tree_is_kept_as_a_link_or_refused() {
    for (target, leaves) in [
        ("../../etc/passwd", true),
        ("/etc/passwd", true),
        ("..\\..\\x", true),
        ("x", false),
    ] {
        let scene = Scene::new();
        let blob = scene.blob(target.as_bytes());
        let folder = scene.tree(&[("120000", &blob, b"link")]);
        let tree = scene.tree(&[("40000", &folder, b"dir")]);
        let with = |symlinks| Options {
            symlinks,
            ..Options::default()
        };
        let kept = block_on(scene.package(&scene.commit_tree(&tree), with(Symlinks::Keep))).unwrap();
        assert_eq!(
            scene.unzip(&kept)["dir/link"],
            (0o120_777, target.as_bytes().to_vec())
        );
        let inside = block_on(scene.package(&scene.commit_tree(&tree), with(Symlinks::Inside)));
        assert_eq!(
            inside.err().map(|error| error.code()),
            leaves.then_some(Code::SymlinkRefused),
            "{target}"
        );
        let error = refused(&scene, &tree, with(Symlinks::Refuse));
        assert_eq!(error.code(), Code::SymlinkRefused);
        assert!(
            error
                .to_string()
                .contains(&format!("\"dir/link\" leads to {target:?}")),
            "{error}"
        );
    }
}

#[test]
fn a_link_that_leaves_the_tree_by_way_of_another_is_refused() {
    let scene = Scene::new();
    let (up, out, etc) = (
        scene.blob(b".."),
        scene.blob(b"dir/up/.."),
        scene.blob(b"dir/up/etc"),
    );
    let folder = scene.tree(&[("120000", &up, b"up")]);
    let options = || Options {
        symlinks: Symlinks::Inside,
        ..Options::default()
    };
    let tree = scene.tree(&[("40000", &folder, b"dir"), ("120000", &etc, b"etc")]);
    block_on(scene.package(&scene.commit_tree(&tree), options())).unwrap();
    let tree = scene.tree(&[("40000", &folder, b"dir"), ("120000", &out, b"out")]);
    let error = refused(&scene, &tree, options());
    assert_eq!(error.code(), Code::SymlinkRefused);
    assert!(error.to_string().contains("\"out\" leads to"), "{error}");
}

#[test]
fn a_link_with_an_endless_target_is_refused() {
    let scene = Scene::new();
    let blob = scene.blob(&b"x/".repeat(10_000));
    let tree = scene.tree(&[("120000", &blob, b"link")]);
    let error = refused(&scene, &tree, Options::default());
    assert_eq!(error.code(), Code::PathUnsafe, "{error}");
}

#[test]
fn a_tree_that_is_10_000_deep_is_refused() {
    let scene = Scene::new();
    // By default, git packs no tree that is deeper than 2,048.
    scene.git(&["config", "core.maxTreeDepth", "20000"], b"");
    let blob = scene.blob(b"x");
    let mut child = testkit::git::command(&scene.folder)
        .args(["mktree", "--batch"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut entry = format!("100644 blob {blob}\tf");
    let mut tree = String::new();
    for _ in 0..10_000 {
        write!(input, "{entry}\n\n").unwrap();
        tree.clear();
        output.read_line(&mut tree).unwrap();
        entry = format!("040000 tree {}\td", tree.trim());
    }
    drop(input);
    assert!(child.wait().unwrap().success());
    let error = refused(&scene, tree.trim(), Options::default());
    assert_eq!(error.code(), Code::PathUnsafe);
    assert!(
        error.to_string().contains("4,096 bytes") && error.to_string().len() < 300,
        "{error}"
    );
}

/// Makes ten trees, each of which lists the next one ten times: ten thousand million entries.
fn bomb(scene: &Scene, leaf: &str, mode: &str) -> String {
    let (mut object, mut mode) = (leaf.to_owned(), mode);
    for _ in 0..10 {
        let names: Vec<String> = (0..10).map(|number| number.to_string()).collect();
        let entries: Vec<_> = names
            .iter()
            .map(|name| (mode, object.as_str(), name.as_bytes()))
            .collect();
        object = scene.tree(&entries);
        mode = "40000";
    }
    object
}

#[test]
fn trees_that_name_each_other_many_times_exceed_the_limit_of_entries() {
    let scene = Scene::new();
    let files = bomb(&scene, &scene.blob(b"x"), "100644");
    // Folders count too, without a single file.
    let folders = bomb(&scene, &scene.tree(&[]), "40000");
    for tree in [files, folders] {
        let mut options = Options::default();
        options.limits.entries = 100_000;
        let error = refused(&scene, &tree, options);
        assert_eq!(error.code(), Code::LimitExceeded);
        assert!(error.to_string().contains("options.limits.entries"), "{error}");
    }
}

#[test]
fn a_small_pack_of_large_files_exceeds_the_limit_of_all_files() {
    let scene = Scene::new();
    let zeros = scene.blob(&vec![0; 20 << 20]);
    let names: Vec<String> = (0..50).map(|number| number.to_string()).collect();
    let entries: Vec<_> = names
        .iter()
        .map(|name| ("100644", zeros.as_str(), name.as_bytes()))
        .collect();
    let tree = scene.tree(&entries);
    let mut options = Options::default();
    options.limits.total_bytes = 100 << 20;
    let error = refused(&scene, &tree, options);
    assert_eq!(error.code(), Code::LimitExceeded);
    assert!(
        error.to_string().contains("options.limits.total_bytes"),
        "{error}"
    );
}

/// Packages a commit of these files, with attributes applied.
fn with_attributes(
    scene: &Scene,
    message: &str,
    files: &[(&str, &[u8])],
    change: impl FnOnce(&mut Options),
) -> Result<domain::contract::Archive, Error> {
    let blobs: Vec<_> = files
        .iter()
        .map(|(name, content)| (*name, scene.blob(content)))
        .collect();
    let entries: Vec<_> = blobs
        .iter()
        .map(|(name, blob)| ("100644", blob.as_str(), name.as_bytes()))
        .collect();
    let tree = scene.tree(&entries);
    let commit = scene.line(&["commit-tree", &tree, "-F", "-"], message.as_bytes());
    let mut options = Options {
        attributes: true,
        build_info: false,
        ..Options::default()
    };
    change(&mut options);
    block_on(scene.package(&commit, options))
}

#[test]
fn one_format_that_would_make_gigabytes_is_left_with_a_warning() {
    let scene = Scene::new();
    let format = format!("$Format:{}$", "%B".repeat(20_000)).into_bytes();
    let files: [(&str, &[u8]); 2] = [(".gitattributes", b"a export-subst\n"), ("a", &format)];
    let archive = with_attributes(&scene, &"long ".repeat(200_000), &files, |_| ()).unwrap();
    assert_eq!(scene.unzip(&archive)["a"].1, format);
    assert_eq!(archive.warnings.len(), 1, "{:?}", archive.warnings);
}

#[test]
fn warnings_are_few_and_short_whatever_the_repository_holds() {
    let scene = Scene::new();
    let format = format!("$Format:%(trailers{})$", "x".repeat(300_000)).into_bytes();
    let files: [(&str, &[u8]); 2] = [(".gitattributes", b"a export-subst\n"), ("a", &format)];
    let archive = with_attributes(&scene, "short", &files, |_| ()).unwrap();
    assert_eq!(archive.warnings.len(), 1);
    assert!(archive.warnings[0].len() < 400);
}

#[test]
fn formats_that_would_be_looked_through_again_and_again_take_little_time() {
    let scene = Scene::new();
    for (subject, placeholder) in [
        ("open", "%("),
        ("open", "%(count"),
        ("open", "%+("),
        ("!", "%f"),
        ("!", "%-f"),
    ] {
        // A megabyte, in which each placeholder could be searched through to its end, or have the subject
        // searched.
        let format = format!("$Format:{}$", placeholder.repeat((1 << 20) / placeholder.len())).into_bytes();
        let files: [(&str, &[u8]); 2] = [(".gitattributes", b"a export-subst\n"), ("a", &format)];
        let start = Instant::now();
        with_attributes(&scene, &subject.repeat(1 << 20), &files, |_| ()).unwrap();
        let took = start.elapsed();
        // It takes a second on a busy machine, and took minutes before, even with optimisation.
        assert!(took.as_secs() < 60, "{placeholder}: {took:?}");
    }
}

#[test]
fn attributes_whose_lines_take_too_long_exceed_their_limit() {
    let scene = Scene::new();
    let files: [(&str, &[u8]); 1] = [(".gitattributes", &b"?z eol\n".repeat(10_000))];
    let error = with_attributes(&scene, "long", &files, |options| {
        options.limits.attributes_steps = 10_000;
    });
    let error = error.unwrap_err();
    assert_eq!(error.code(), Code::LimitExceeded);
    assert!(
        error.to_string().contains("options.limits.attributes_steps"),
        "{error}"
    );
    with_attributes(&scene, "long", &files, |_| ()).unwrap();
}

#[test]
fn build_info_is_not_written_through_a_link_of_its_name() {
    let scene = Scene::new();
    let link = scene.blob(b"/tmp/x");
    let tree = scene.tree(&[("120000", &link, b"Build-Info.JSON")]);
    let archive = block_on(scene.package(&scene.commit_tree(&tree), Options::default())).unwrap();
    assert_eq!(archive.entries, 1);
    assert!(
        archive.warnings[0].contains("build-info.json"),
        "{:?}",
        archive.warnings
    );
}

#[test]
fn attributes_of_many_megabytes_exceed_their_limit() {
    let scene = Scene::new();
    let files: [(&str, &[u8]); 1] = [(".gitattributes", &b"a text\n".repeat(400_000))];
    let error = with_attributes(&scene, "many", &files, |_| ()).unwrap_err();
    assert_eq!(error.code(), Code::LimitExceeded);
    assert!(
        error.to_string().contains("options.limits.attributes_bytes"),
        "{error}"
    );
}

#[test]
fn a_file_that_is_too_large_to_be_converted_exceeds_its_limit() {
    let scene = Scene::new();
    let large = vec![b'\n'; 9 << 20];
    let files: [(&str, &[u8]); 2] = [(".gitattributes", b"a text eol=crlf\n"), ("a", &large)];
    let error = with_attributes(&scene, "large", &files, |options| {
        options.limits.converted_file_bytes = 8 << 20;
    });
    let error = error.unwrap_err();
    assert_eq!(error.code(), Code::LimitExceeded);
    assert!(
        error.to_string().contains("options.limits.converted_file_bytes"),
        "{error}"
    );
    // By default, a file of this size is converted.
    let archive = with_attributes(&scene, "large", &files, |_| ()).unwrap();
    assert_eq!(scene.unzip(&archive)["a"].1.len(), 18 << 20);
}

#[test]
fn a_large_file_that_becomes_nothing_is_an_empty_file() {
    let scene = Scene::new();
    let format = format!("$Format:{}$", "%gd".repeat(3 << 20)).into_bytes();
    let files: [(&str, &[u8]); 2] = [(".gitattributes", b"a export-subst\n"), ("a", &format)];
    let archive = with_attributes(&scene, "nothing", &files, |_| ()).unwrap();
    assert_eq!(scene.unzip(&archive)["a"].1, b"");
    let zip = scene.staging().path(&archive.object.key);
    let tested = Command::new(tools::program("unzip"))
        .arg("-tq")
        .arg(zip)
        .output()
        .unwrap();
    assert!(
        tested.status.success(),
        "{}",
        String::from_utf8_lossy(&tested.stdout)
    );
}

/// git would not check it out either.
#[test]
fn a_file_or_link_that_is_no_blob_is_an_error() {
    let scene = Scene::new();
    let folder = scene.tree(&[("100644", &scene.blob(b"content"), b"file")]);
    for mode in ["100644", "100755", "120000"] {
        let tree = scene.tree(&[(mode, &folder, b"a")]);
        let error = refused(&scene, &tree, Options::default());
        assert_eq!(error.code(), Code::RepositoryInvalid, "{mode}");
        let told = aws::failure::chain(&error);
        assert!(told.contains("tree and not a blob"), "{told}");
    }
}
