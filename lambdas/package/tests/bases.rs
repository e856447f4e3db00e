//! Zips that take what has not changed from the zip of an earlier push: the bytes are those of a zip that is made from
//! nothing.

#![expect(clippy::unwrap_used, reason = "the helpers of tests")]

mod scene;

use std::collections::BTreeMap;

use domain::contract::Archive;
use domain::source::{Options, Submodules};
use proptest::prelude::*;
use scene::Scene;

type Files = BTreeMap<String, (&'static str, Vec<u8>)>;

/// Packages `other` with and without the zip of `one`, and checks that the bytes are equal. Returns how many entries
/// were taken.
fn taken(scene: &Scene, one: &str, other: &str, options: &Options) -> Option<u64> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let earlier = scene.package(one, options.clone()).await.unwrap();
        let whole = scene.package(other, options.clone()).await.unwrap();
        let expected = scene.bytes(&whole);
        // Both zips are staged as the same object.
        let earlier = Archive {
            object: scene.keep(&scene.package(one, options.clone()).await.unwrap()),
            ..earlier
        };
        let packaged = scene
            .package_after((one, &earlier), other, options.clone())
            .await
            .unwrap();
        assert!(scene.bytes(&packaged) == expected, "other bytes");
        assert_eq!(
            Archive {
                object: whole.object.clone(),
                taken_entries: None,
                ..packaged.clone()
            },
            whole
        );
        packaged.taken_entries
    })
}

fn files() -> impl Strategy<Value = Files> {
    let path = "((x|y|z)/){0,2}(a|b|c|d)[.]txt";
    let mode = prop_oneof![4 => Just("100644"), 1 => Just("100755"), 1 => Just("120000")];
    let content =
        (0..4_usize, 0..3_u8).prop_map(|(size, letter)| vec![b'a' + letter; [0, 1, 40, 3_000][size]]);
    proptest::collection::btree_map(path, (mode, content), 1..20).prop_map(|mut files| {
        for (mode, content) in files.values_mut() {
            // A link leads somewhere.
            if *mode == "120000" && content.is_empty() {
                content.push(b'a');
            }
            content.truncate(if *mode == "120000" { 40 } else { usize::MAX });
        }
        files
    })
}

/// A project whose `x` may be a submodule, of which `y` may be another one.
#[derive(Debug, Clone)]
struct Project {
    files: Files,
    submodule: Option<Files>,
    nested: Option<Files>,
}

impl Project {
    fn commit(&self, scene: &Scene) -> String {
        let with = |files: &Files, name: &str, submodule: Option<&str>| {
            let mut files = files.clone();
            if let Some(commit) = submodule {
                files.retain(|path, _| !path.starts_with(&format!("{name}/")));
                files.insert(name.to_owned(), ("160000", commit.bytes().collect()));
            }
            scene.commit(&files)
        };
        let nested = self.nested.as_ref().map(|files| with(files, "", None));
        let submodule = self
            .submodule
            .as_ref()
            .map(|files| with(files, "y", nested.as_deref()));
        with(&self.files, "x", submodule.as_deref())
    }
}

fn projects() -> impl Strategy<Value = [Project; 2]> {
    let project = || {
        let some_files = || proptest::option::weighted(0.8, files());
        (files(), some_files(), some_files()).prop_map(|(files, submodule, nested)| Project {
            files,
            submodule,
            nested,
        })
    };
    (project(), project(), any::<[bool; 3]>()).prop_map(|(one, mut other, same)| {
        // Mostly some of it changes.
        if same[0] {
            other.files.clone_from(&one.files);
        }
        if same[1] {
            other.submodule.clone_from(&one.submodule);
        }
        if same[2] {
            other.nested.clone_from(&one.nested);
        }
        [one, other]
    })
}

fn with_submodules() -> Options {
    Options {
        submodules: Submodules::Recursive,
        ..Options::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn with_submodules_too(projects in projects(), lacks_earlier_submodules in any::<bool>()) {
        let scene = Scene { lacks_earlier_submodules, ..Scene::new() };
        let [one, other] = projects.map(|project| project.commit(&scene));
        prop_assert!(taken(&scene, &one, &other, &with_submodules()).is_some());
    }

    #[test]
    fn the_bytes_are_those_of_a_zip_from_nothing(one in files(), other in files(), change in any::<bool>()) {
        // Mostly a few files change.
        let other = if change { other } else {
            let mut some = one.clone();
            some.extend(other.into_iter().take(2));
            some
        };
        let scene = Scene::new();
        let commits = [&one, &other].map(|files| scene.commit(files));
        let same = one.iter().filter(|(path, file)| file.0 != "120000" && other.get(*path) == Some(*file));
        let count = same.count() as u64;
        prop_assert_eq!(taken(&scene, &commits[0], &commits[1], &Options::default()), Some(count));
    }
}

fn of(files: &[(&str, &[u8])]) -> Files {
    files
        .iter()
        .map(|(path, content)| ((*path).to_owned(), ("100644", content.to_vec())))
        .collect()
}

fn large() -> Vec<u8> {
    (0..9_u32 << 20)
        .map(|byte| (byte.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}

/// Text as people write it, half of which could be anything.
fn text(bytes: usize) -> Vec<u8> {
    let words = [
        "let", "value", "=", "return", "if", "the", "(", ")", "{\n", "}\n", "of", ";\n",
    ];
    let mut state = 1_u32;
    let mut text = Vec::new();
    while text.len() < bytes {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let number = (state >> 16) as usize;
        text.extend(words[number % words.len()].bytes());
        text.push(b' ');
        if number.is_multiple_of(7) {
            text.extend(number.to_string().bytes());
        }
    }
    text.truncate(bytes);
    text
}

/// If it fails what deflates has changed, and entries must not be taken from previous zips: raise `FORMAT`, and write
/// the new versions and checksum here.
#[tokio::test]
async fn the_bytes_are_those_of_this_format() {
    let lock = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock")).unwrap();
    for (name, version) in [("libdeflate-sys", "1.26.1"), ("zlib-rs", "0.6.8")] {
        let entry = format!("name = \"{name}\"\nversion = \"{version}\"\n");
        assert!(lock.contains(&entry), "{name} is not {version}");
    }
    let scene = Scene::new();
    let commit = scene.commit(&of(&[
        ("empty", b""),
        ("large", &large()),
        ("large text", &text(9 << 20)),
        ("text", &text(300_000)),
        ("x", b"x"),
    ]));
    let options = Options {
        build_info: false,
        ..Options::default()
    };
    let archive = scene.package(&commit, options).await.unwrap();
    assert_eq!(
        (archive.format, archive.sha256.as_str()),
        (
            Some(1),
            "f3df266613bd20e0f972224a6263345c5cb48876bf3ba12baf9350c2a94f4c3b"
        )
    );
}

#[test]
fn a_large_file_is_taken_too() {
    let large = large();
    let scene = Scene::new();
    let one = scene.commit(&of(&[("large", &large), ("small", b"1")]));
    let other = scene.commit(&of(&[("large", &large), ("small", b"2")]));
    assert_eq!(taken(&scene, &one, &other, &Options::default()), Some(1));
}

/// What attributes convert may name the commit, and a change of attributes may change any file.
#[test]
fn what_attributes_decide_is_made_anew() {
    let attributes = Options {
        attributes: true,
        ..Options::default()
    };
    let first = of(&[
        (".gitattributes", b"version export-subst\n"),
        ("version", b"$Format:%H$"),
        ("a", b"a\r\nb\r\n"),
        ("b", b"1"),
    ]);
    let mut second = first.clone();
    second.insert("b".to_owned(), ("100644", b"2".to_vec()));
    let mut third = second.clone();
    third.insert(
        ".gitattributes".to_owned(),
        ("100644", b"a text eol=lf\n".to_vec()),
    );
    let scene = Scene::new();
    let [first, second, third] = [&first, &second, &third].map(|files| scene.commit(files));
    assert_eq!(taken(&scene, &first, &second, &attributes), Some(2));
    assert_eq!(taken(&scene, &second, &third, &attributes), None);
    assert_eq!(taken(&scene, &second, &third, &Options::default()), Some(3));
}

/// The blob of a pointer stays the same when attributes begin or cease to say that it is one.
#[test]
fn lfs_objects_are_taken_from_no_zip() {
    let lfs = Options {
        lfs: true,
        ..Options::default()
    };
    let scene = Scene::new();
    let pointer = scene.lfs(&text(1_000));
    let with = |attributes: &[u8], other: &[u8]| {
        scene.commit(&of(&[
            (".gitattributes", attributes),
            ("large.bin", &pointer),
            ("other", other),
        ]))
    };
    let [on, next, off] = [
        with(b"*.bin filter=lfs\n", b"1"),
        with(b"*.bin filter=lfs\n", b"2"),
        with(b"*.txt filter=lfs\n", b"2"),
    ];
    // The attributes alone.
    assert_eq!(taken(&scene, &on, &next, &lfs), Some(1));
    assert_eq!(taken(&scene, &next, &off, &lfs), None);
    assert_eq!(taken(&scene, &off, &next, &lfs), None);
}

/// A file that was a folder, a folder that was a file, and a name that is not UTF-8.
#[test]
fn a_file_and_a_folder_of_the_same_name_are_different() {
    let scene = Scene::new();
    let blob = scene.blob(b"content");
    let folder = scene.tree(&[("100644", &blob, b"b")]);
    let one = scene.tree(&[
        ("100644", &blob, b"a"),
        ("40000", &folder, b"b"),
        ("100644", &blob, b"caf\xe9"),
    ]);
    let other = scene.tree(&[
        ("40000", &folder, b"a"),
        ("100644", &blob, b"b"),
        ("100644", &blob, b"caf\xe9"),
    ]);
    let [one, other] = [one, other].map(|tree| scene.commit_tree(&tree));
    assert_eq!(taken(&scene, &one, &other, &Options::default()), Some(1));
    assert_eq!(taken(&scene, &other, &one, &Options::default()), Some(1));
}

#[test]
fn the_files_of_submodules_are_taken_where_their_commits_are_known() {
    let library = |content: &[u8]| of(&[("a", content), ("b", b"1")]);
    for (lacks_earlier_submodules, expected) in [(false, 1 + 2 + 1), (true, 1 + 2)] {
        let scene = Scene {
            lacks_earlier_submodules,
            ..Scene::new()
        };
        let [same, before, after] = [b"1", b"2", b"3"].map(|content| scene.commit(&library(content)));
        let [one, other] = [before, after].map(|changed| {
            let mut files = of(&[("c", b"1")]);
            files.insert("same".to_owned(), ("160000", same.clone().into_bytes()));
            files.insert("changed".to_owned(), ("160000", changed.into_bytes()));
            scene.commit(&files)
        });
        assert_eq!(taken(&scene, &one, &other, &with_submodules()), Some(expected));
    }
}

/// A folder that was a submodule, and a file in its place.
#[test]
fn a_file_that_was_something_else_is_made_anew() {
    let scene = Scene::new();
    let blob = scene.blob(b"content");
    let tree = scene.tree(&[("160000", &"1".repeat(40), b"a"), ("100644", &blob, b"b")]);
    let one = scene.commit_tree(&tree);
    let tree = scene.tree(&[("100644", &blob, b"a"), ("100644", &blob, b"b")]);
    let other = scene.commit_tree(&tree);
    assert_eq!(taken(&scene, &one, &other, &Options::default()), Some(1));
    assert_eq!(taken(&scene, &other, &one, &Options::default()), Some(1));
}

#[tokio::test]
async fn an_earlier_zip_that_cannot_be_used_is_put_aside() {
    let scene = Scene::new();
    let one = scene.commit(&of(&[("a", b"1"), ("b", b"1")]));
    let other = scene.commit(&of(&[("a", b"1"), ("b", b"2")]));
    let earlier = scene.package(&one, Options::default()).await.unwrap();
    let good = scene.keep(&earlier);
    let file = scene.staging().path(&good.key);
    let bytes = std::fs::read(&file).unwrap();
    let expected = scene.package(&other, Options::default()).await.unwrap();
    let expected = scene.bytes(&expected);
    let after = async |object, base: &str| {
        let earlier = Archive {
            object,
            ..earlier.clone()
        };
        let packaged = scene
            .package_after((base, &earlier), &other, Options::default())
            .await
            .unwrap();
        assert!(scene.bytes(&packaged) == expected);
        packaged.taken_entries
    };
    assert_eq!(after(good.clone(), &one).await, Some(1));
    let other_format = Archive {
        format: Some(0),
        object: good.clone(),
        ..earlier.clone()
    };
    let packaged = scene
        .package_after((&one, &other_format), &other, Options::default())
        .await
        .unwrap();
    assert_eq!(
        (scene.bytes(&packaged) == expected, packaged.taken_entries),
        (true, None)
    );
    // The commit of the base is in no pack.
    assert_eq!(after(good.clone(), &"1".repeat(40)).await, None);
    std::fs::write(&file, &bytes[..bytes.len() - 1]).unwrap();
    assert_eq!(after(good.clone(), &one).await, None);
    let mut spoilt = bytes.clone();
    spoilt[40] ^= 1;
    std::fs::write(&file, &spoilt).unwrap();
    assert_eq!(after(good.clone(), &one).await, None);
    // What is recorded and what is there agree, and it is no zip.
    std::fs::write(&file, b"no zip").unwrap();
    let mut no_zip = good.clone();
    (no_zip.size, no_zip.sha256) = (6, None);
    assert_eq!(after(no_zip, &one).await, None);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(after(good, &one).await, None);
}
