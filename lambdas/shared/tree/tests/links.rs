//! Compares the rules for links with a file system: whatever is listed is unpacked, and each link is followed.

#![expect(clippy::unwrap_used, reason = "the helpers of tests")]

use std::collections::{BTreeMap, HashMap};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Instant;

use domain::error::{Code, Coded};
use domain::limits::TreeLimits;
use domain::source::Symlinks;
use git2::{ObjectType, Oid, Repository};
use proptest::prelude::*;
use tree::{Content, Entry, Error, Rules, Tree};

/// A tree to be written as git objects.
#[derive(Debug, Clone)]
enum Node {
    File,
    Link(String),
    Folder(BTreeMap<String, Node>),
}

struct Scene {
    repository: Repository,
}

impl Scene {
    fn new() -> Self {
        let odb = git2::Odb::new().unwrap();
        odb.add_new_mempack_backend(1).unwrap();
        Self {
            repository: Repository::from_odb(odb).unwrap(),
        }
    }

    fn write(&self, kind: ObjectType, data: &[u8]) -> Oid {
        self.repository.odb().unwrap().write(kind, data).unwrap()
    }

    fn tree<'a>(&self, entries: impl IntoIterator<Item = (&'a str, &'a [u8], Oid)>) -> Oid {
        let mut raw = Vec::new();
        for (mode, name, id) in entries {
            raw.extend([mode.as_bytes(), b" ", name, b"\0", id.as_bytes()].concat());
        }
        self.write(ObjectType::Tree, &raw)
    }

    fn folder(&self, nodes: &BTreeMap<String, Node>) -> Oid {
        let entries: Vec<_> = nodes
            .iter()
            .map(|(name, node)| {
                let (mode, id) = match node {
                    Node::File => ("100644", self.write(ObjectType::Blob, b"x")),
                    Node::Link(target) => ("120000", self.write(ObjectType::Blob, target.as_bytes())),
                    Node::Folder(nodes) => ("40000", self.folder(nodes)),
                };
                (mode, name.as_bytes(), id)
            })
            .collect();
        self.tree(entries)
    }

    fn list(&self, tree: Oid, symlinks: Symlinks, limits: TreeLimits) -> Result<Tree, Error> {
        let rules = Rules {
            limits,
            symlinks,
            submodules: &HashMap::new(),
        };
        tree::list(&self.repository, tree, &rules)
    }

    fn target(&self, blob: Oid) -> String {
        let blob = self.repository.find_blob(blob).unwrap();
        String::from_utf8(blob.content().to_vec()).unwrap()
    }
}

/// Unpacks the entries below `root`, links last, and follows each link. `spell` converts a path as a system reads it.
fn unpack(scene: &Scene, entries: &[Entry], root: &Path, spell: impl Fn(&str) -> String) {
    std::fs::create_dir_all(root).unwrap();
    let path = |entry: &Entry| root.join(spell(std::str::from_utf8(&entry.path).unwrap()));
    let is_link = |entry: &&Entry| matches!(entry.content, Content::Symlink { .. });
    let (links, files): (Vec<&Entry>, Vec<&Entry>) = entries.iter().partition(is_link);
    for entry in files {
        let path = path(entry);
        // If two paths are the same, the first one stays.
        let _ = std::fs::create_dir_all(path.parent().unwrap());
        let _ = std::fs::write(&path, "x");
    }
    for entry in &links {
        let Content::Symlink { blob } = entry.content else {
            continue;
        };
        let path = path(entry);
        let _ = std::fs::create_dir_all(path.parent().unwrap());
        let _ = symlink(spell(&scene.target(blob)), &path);
    }
    let root = root.canonicalize().unwrap();
    for entry in links {
        if let Ok(real) = path(entry).canonicalize() {
            assert!(real.starts_with(&root), "{entry:?} is {real:?} in {entries:?}");
        }
    }
}

fn node() -> impl Strategy<Value = Node> {
    let name = || prop::sample::select(vec!["a", "b", "a\\b", "b\\a\\a", "c", "A", "a.", "..."]);
    let part = prop::sample::select(vec![
        "..", "..", "..", "..", "..", "..", "d\\e\\f", "d\\e\\f", "d\\e\\f", "d\\e\\f", "a", "b", "a\\b",
        "b\\a\\a", "c", "A", ".", ".. ", "...", "a.",
    ]);
    let separator = prop::sample::select(vec!["/", "/", "/", "\\", "//"]);
    let target = prop::collection::vec((part, separator), 1..7).prop_map(|parts| {
        let text: String = parts
            .into_iter()
            .map(|(part, separator)| format!("{part}{separator}"))
            .collect();
        Node::Link(text.trim_end_matches('/').to_owned())
    });
    let leaf = prop_oneof![1 => Just(Node::File), 2 => target];
    leaf.prop_recursive(3, 24, 4, move |inner| {
        prop::collection::btree_map(name().prop_map(str::to_owned), inner, 1..5).prop_map(Node::Folder)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_096))]

    #[test]
    fn no_link_that_is_inside_leads_out(mut nodes in prop::collection::btree_map("[a-c]", node(), 1..3)) {
                // Three folders on Windows, and one elsewhere.
        let file = BTreeMap::from([("f".to_owned(), Node::File)]);
        nodes.insert("d\\e\\f".to_owned(), Node::Folder(file));
        let scene = Scene::new();
        let root = scene.folder(&nodes);
        if let Ok(tree) = scene.list(root, Symlinks::Inside, TreeLimits::default()) {
            let out = tempfile::tempdir().unwrap();
                        // It is deep, so that a link that leads out still ends inside the temporary folder.
            unpack(&scene, &tree.entries, &out.path().join("1/2/3/4/5/6/7/8/posix"), str::to_owned);
            unpack(&scene, &tree.entries, &out.path().join("1/2/3/4/5/6/7/8/windows"), |path| {
                let parts = path.split(['/', '\\']).map(|part| part.trim_end_matches(' '));
                parts.collect::<Vec<_>>().join("/")
            });
        }
    }
}

#[test]
fn a_folder_whose_name_has_backslashes_counts_as_one() {
    let scene = Scene::new();
    let with = |target: &str| {
        let nodes = BTreeMap::from([
            (
                "a\\b\\c\\d\\e".to_owned(),
                Node::Folder(BTreeMap::from([("f".to_owned(), Node::File)])),
            ),
            ("link".to_owned(), Node::Link(target.to_owned())),
        ]);
        scene.list(scene.folder(&nodes), Symlinks::Inside, TreeLimits::default())
    };
    let error = with("a\\b\\c\\d\\e/../../../../../etc/passwd").unwrap_err();
    assert_eq!(error.code(), Code::SymlinkRefused, "{error}");
    with("a\\b\\c\\d\\e/f").unwrap();
}

#[test]
fn a_link_and_another_path_of_its_name_are_refused() {
    let scene = Scene::new();
    let file = scene.write(ObjectType::Blob, b"x");
    let link = scene.write(ObjectType::Blob, b"/tmp");
    let folder = scene.tree([("100644", &b"evil"[..], file)]);
    for (name, other) in [
        ("A", "a"),
        ("\u{e9}", "e\u{301}"),
        ("a", "a."),
        ("a", "a "),
        ("\u{df}", "ss"),
        ("stra\u{df}e", "STRASSE"),
        ("a\u{200d}", "a"),
        ("a", "A\\b"),
    ] {
        for symlinks in [Symlinks::Keep, Symlinks::Inside] {
            for (mode, object) in [("40000", folder), ("100644", file), ("120000", link)] {
                let tree = scene.tree([
                    ("120000", name.as_bytes(), link),
                    (mode, other.as_bytes(), object),
                ]);
                let error = scene.list(tree, symlinks, TreeLimits::default()).unwrap_err();
                let told = error.to_string();
                assert_eq!(error.code(), Code::PathUnsafe, "{told}");
                assert!(
                    told.contains(&format!("{name:?}")) && told.contains(&format!("{other:?}")),
                    "{told}"
                );
            }
        }
        // Two files, or a file and a folder, of the same name do no harm to anything else.
        let tree = scene.tree([
            ("100644", name.as_bytes(), file),
            ("40000", other.as_bytes(), folder),
        ]);
        let tree = scene.list(tree, Symlinks::Inside, TreeLimits::default()).unwrap();
        assert_eq!(
            tree.warnings.len(),
            usize::from(!other.contains('\\')),
            "{:?}",
            tree.warnings
        );
    }
}

#[test]
fn a_link_in_a_folder_that_is_spelled_differently_is_refused_too() {
    let scene = Scene::new();
    let file = scene.write(ObjectType::Blob, b"x");
    let link = scene.write(ObjectType::Blob, b"/tmp");
    let inner = scene.tree([("100644", &b"evil"[..], file)]);
    let links = scene.tree([("120000", &b"out"[..], link)]);
    let folders = scene.tree([("40000", &b"OUT"[..], inner)]);
    let tree = scene.tree([("40000", &b"Docs"[..], links), ("40000", &b"docs"[..], folders)]);
    let error = scene
        .list(tree, Symlinks::Keep, TreeLimits::default())
        .unwrap_err();
    let told = error.to_string();
    assert!(
        told.contains("\"Docs/out\" and \"docs/OUT\"") && told.contains("rename"),
        "{told}"
    );
}

#[test]
fn the_time_for_a_link_grows_as_its_target_does() {
    let scene = Scene::new();
    let names: Vec<String> = (0..100).map(|number| format!("{number:03}")).collect();
    let took = |times: usize| {
        // The target goes up after a name, so all of it is examined, in each folder.
        let target = format!("{}a", "a/../".repeat(times));
        let link = scene.write(ObjectType::Blob, target.as_bytes());
        let leaf = scene.tree([("120000", &b"l"[..], link)]);
        let tree = scene.tree(names.iter().map(|name| ("40000", name.as_bytes(), leaf)));
        let run = || {
            let start = Instant::now();
            scene.list(tree, Symlinks::Inside, TreeLimits::default()).unwrap();
            start.elapsed().as_secs_f64()
        };
        (0..3).map(|_| run()).fold(f64::INFINITY, f64::min)
    };
    let ratio = took(800) / took(40);
    assert!(
        ratio < 100.0,
        "twenty times the target takes {ratio} times as long, where 400 is its square"
    );
}

#[test]
fn paths_that_are_large_together_exceed_their_limit() {
    let scene = Scene::new();
    let file = scene.write(ObjectType::Blob, b"x");
    let names: Vec<String> = (0..46).map(|number| format!("{number:02}")).collect();
    let mut tree = scene.tree(names.iter().map(|name| ("100644", name.as_bytes(), file)));
    for _ in 0..2 {
        tree = scene.tree(names.iter().map(|name| ("40000", name.as_bytes(), tree)));
    }
    // A few hundred bytes of objects list 97,336 paths of four kilobytes each.
    for _ in 0..16 {
        tree = scene.tree([("40000", &[b'n'; 250][..], tree)]);
    }
    let limits = TreeLimits::default();
    let error = scene.list(tree, Symlinks::Keep, limits).unwrap_err();
    assert_eq!(error.code(), Code::LimitExceeded);
    assert!(error.to_string().contains("options.limits.path_bytes"), "{error}");
    let larger = TreeLimits {
        path_bytes: 1 << 30,
        ..limits
    };
    assert_eq!(
        scene.list(tree, Symlinks::Keep, larger).unwrap().entries.len(),
        97_336
    );
}
