//! Compares attributes with git itself: each path must have the states that `git check-attr --source` shows.

#![expect(clippy::unwrap_used, reason = "the helpers of tests")]

use std::collections::{BTreeMap, HashMap};

use domain::error::{Code, Coded};
use domain::limits::TreeLimits;
use domain::source::Symlinks;
use git2::{ObjectType, Oid, Repository};
use proptest::prelude::*;
use tempfile::TempDir;
use testkit::git;
use tree::{Attributes, Entry, PathAttributes, Rules, State};

const NAMES: [&str; 8] = [
    "export-ignore",
    "export-subst",
    "text",
    "eol",
    "crlf",
    "ident",
    "working-tree-encoding",
    "filter",
];

struct Scene {
    folder: TempDir,
    repository: Repository,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(folder.path()).unwrap();
        Self { folder, repository }
    }

    fn tree(&self, files: &BTreeMap<String, Vec<u8>>) -> Oid {
        let odb = self.repository.odb().unwrap();
        let mut index = git2::Index::new().unwrap();
        for (path, content) in files {
            let id = odb.write(ObjectType::Blob, content).unwrap();
            let entry = git2::IndexEntry {
                ctime: git2::IndexTime::new(0, 0),
                mtime: git2::IndexTime::new(0, 0),
                dev: 0,
                ino: 0,
                mode: 0o100_644,
                uid: 0,
                gid: 0,
                file_size: 0,
                id,
                flags: 0,
                flags_extended: 0,
                path: path.clone().into_bytes(),
            };
            index.add(&entry).unwrap();
        }
        index.write_tree_to(&self.repository).unwrap()
    }

    fn entries(&self, tree: Oid, submodules: &HashMap<Vec<u8>, Oid>) -> Vec<Entry> {
        let rules = Rules {
            limits: TreeLimits::default(),
            symlinks: Symlinks::Keep,
            submodules,
        };
        tree::list(&self.repository, tree, &rules).unwrap().entries
    }

    fn read(&self, tree: Oid) -> Attributes {
        Attributes::read(
            &self.repository,
            &self.entries(tree, &HashMap::new()),
            &[],
            TreeLimits::default(),
        )
        .unwrap()
    }

    /// Returns what git says of each path and attribute: path, name and state.
    fn check_attr(&self, tree: Oid, paths: &[String]) -> Vec<(String, String, String)> {
        let input = paths.iter().map(|path| format!("{path}\0")).collect::<String>();
        let mut check = git::command(&self.folder);
        check.args(["check-attr", "-z", "--stdin", "--source", &tree.to_string()]);
        let text = String::from_utf8(git::output(check.args(NAMES), input.as_bytes())).unwrap();
        let fields: Vec<&str> = text.split_terminator('\0').collect();
        fields
            .chunks(3)
            .map(|line| (line[0].to_owned(), line[1].to_owned(), line[2].to_owned()))
            .collect()
    }
}

fn said(state: &State) -> String {
    match state {
        State::Unspecified => "unspecified".to_owned(),
        State::Set => "set".to_owned(),
        State::Unset => "unset".to_owned(),
        State::Value(value) => String::from_utf8_lossy(value).into_owned(),
    }
}

fn state<'a>(found: &PathAttributes<'a>, name: &str) -> &'a State {
    match name {
        "export-ignore" => found.export_ignore,
        "export-subst" => found.export_subst,
        "text" => found.text,
        "eol" => found.eol,
        "crlf" => found.crlf,
        "ident" => found.ident,
        "working-tree-encoding" => found.working_tree_encoding,
        _ => found.filter,
    }
}

/// Compares the attributes of all files and folders of the tree. No path in it may be both a file and a folder.
fn compare(files: &BTreeMap<String, Vec<u8>>) {
    let scene = Scene::new();
    let tree = scene.tree(files);
    let attributes = scene.read(tree);
    let mut paths: Vec<String> = files.keys().cloned().collect();
    for path in files.keys() {
        paths.extend(
            path.match_indices('/')
                .map(|(slash, _)| path[..=slash].to_owned()),
        );
    }
    for (path, name, expected) in scene.check_attr(tree, &paths) {
        let found = attributes.of(path.as_bytes()).unwrap();
        assert_eq!(
            said(state(&found, &name)),
            expected,
            "{name} of {path} in {files:?}"
        );
        assert_eq!(
            attributes.is_lfs(path.as_bytes()).unwrap(),
            said(found.filter) == "lfs",
            "{path} in {files:?}"
        );
        assert_eq!(
            attributes.is_export_ignored(path.as_bytes()).unwrap(),
            *found.export_ignore == State::Set,
            "{path} in {files:?}"
        );
    }
}

fn files<const N: usize>(files: [(&str, &str); N]) -> BTreeMap<String, Vec<u8>> {
    files
        .into_iter()
        .map(|(path, content)| (path.to_owned(), content.as_bytes().to_vec()))
        .collect()
}

#[test]
fn macros_stand_for_what_they_say() {
    compare(&files([
        (
            ".gitattributes",
            "[attr]lfs filter=lfs diff=lfs -text\n[attr]big lfs eol=lf\n[attr]big lfs eol=crlf\n[attr]loop loop2 ident\n\
             [attr]loop2 loop\n*.big big\n*.bin binary\n*.x text binary\n*.y binary text\n*.z loop\n*.n -big\n*.m big filter\n",
        ),
        ("a.big", ""),
        ("a.bin", ""),
        ("a.x", ""),
        ("a.y", ""),
        ("a.z", ""),
        ("a.n", ""),
        ("a.m", ""),
        (
            "d/.gitattributes",
            "[attr]mine text\n*.bin mine\na.big -big\na.z !loop\n*.y binary\n",
        ),
        ("d/a.big", ""),
        ("d/a.bin", ""),
        ("d/a.y", ""),
        ("d/a.z", ""),
    ]));
}

#[test]
fn lines_that_git_ignores_are_ignored() {
    let long = format!("a text {}\n", "x".repeat(2_041));
    let short = format!("b text {}", "x".repeat(2_040));
    compare(&files([
        (
            ".gitattributes",
            &format!(
                "{long}{short}\r\n# c text\n\t c ident -\nd text !=\n!e text\n\\!f text\n  g\ttext\r\n\"h\\t i\" text\n\
                 \"j text\n[attr]-k text\n[attr] text\nl builtin_x text\nm text=\nn -text=x\n"
            ),
        ),
        ("!e", ""),
        ("!f", ""),
        ("\"j", ""),
        ("a", ""),
        ("b", ""),
        ("c", ""),
        ("d", ""),
        ("e", ""),
        ("g", ""),
        ("h\t i", ""),
        ("k", ""),
        ("l", ""),
        ("m", ""),
        ("n", ""),
        ("nul/.gitattributes", "a text\nb te\0xt\nc text\n"),
        ("nul/a", ""),
        ("nul/b", ""),
        ("nul/c", ""),
        ("bom/.gitattributes", "\u{feff}a text\nb text\n"),
        ("bom/a", ""),
        ("bom/b", ""),
    ]));
}

#[test]
fn a_submodule_has_attributes_of_its_own() {
    let scene = Scene::new();
    let module = scene.tree(&files([("sub/a.txt", "/sub/*.txt eol=lf\n"), ("a.bin", "")]));
    let other = scene.tree(&files([
        (".gitattributes", "[attr]lfs filter=lfs\n/a.bin lfs\n"),
        ("a.bin", ""),
        ("a.txt", ""),
    ]));
    let submodules = HashMap::from([(b"m/".to_vec(), module), (b"d/n/".to_vec(), other)]);
    let odb = scene.repository.odb().unwrap();
    let blob = odb
        .write(
            ObjectType::Blob,
            b"* text\nm/ export-ignore\n[attr]lfs ident\n*.lfs lfs\n",
        )
        .unwrap();
    let mut builder = scene.repository.treebuilder(None).unwrap();
    builder.insert(".gitattributes", blob, 0o100_644).unwrap();
    builder.insert("x.lfs", blob, 0o100_644).unwrap();
    let without = scene.repository.find_tree(builder.write().unwrap()).unwrap();
    // The listing looks only at the mode and the path.
    let mut raw = Vec::new();
    for (mode, name, id) in [
        ("100644", ".gitattributes", blob),
        ("40000", "d", {
            let raw = [&b"160000 n\0"[..], &[7; 20]].concat();
            odb.write(ObjectType::Tree, &raw).unwrap()
        }),
        ("160000", "m", without.id()),
        ("100644", "x.lfs", blob),
    ] {
        raw.extend(format!("{mode} {name}\0").into_bytes());
        raw.extend(id.as_bytes());
    }
    let root = odb.write(ObjectType::Tree, &raw).unwrap();
    let entries = scene.entries(root, &submodules);
    let roots: Vec<Vec<u8>> = submodules.keys().cloned().collect();
    let attributes = Attributes::read(&scene.repository, &entries, &roots, TreeLimits::default()).unwrap();
    assert!(attributes.is_export_ignored(b"m/").unwrap());
    assert_eq!(*attributes.of(b"x.lfs").unwrap().ident, State::Set);
    assert!(!attributes.is_lfs(b"x.lfs").unwrap());
    assert_eq!(*attributes.of(b"m/a.bin").unwrap().text, State::Unspecified);
    assert_eq!(*attributes.of(b"m/sub/a.txt").unwrap().eol, State::Unspecified);
    assert!(attributes.is_lfs(b"d/n/a.bin").unwrap());
    assert_eq!(*attributes.of(b"d/n/a.bin").unwrap().ident, State::Unspecified);
    assert!(!attributes.is_lfs(b"d/n/a.txt").unwrap());
    assert_eq!(*attributes.of(b"d/n/a.txt").unwrap().text, State::Unspecified);
}

#[test]
fn many_files_and_lines_take_little_time() {
    let scene = Scene::new();
    let mut many: BTreeMap<String, Vec<u8>> = (0..90_000)
        .map(|number| {
            (
                format!("{}/{}/{}/{number}.dat", number % 7, number % 31, number % 101),
                Vec::new(),
            )
        })
        .collect();
    let lines: String = (0..10_000)
        .map(|number| {
            format!(
                "/{}/{}/{}/{number}.dat filter=lfs\n",
                number % 7,
                number % 31,
                number % 101
            )
        })
        .collect();
    many.insert(
        ".gitattributes".into(),
        format!("* text=auto\n*.dat -diff\n{lines}").into(),
    );
    many.insert("3/.gitattributes".into(), b"*.c ident\n".to_vec());
    let tree = scene.tree(&many);
    let entries = scene.entries(tree, &HashMap::new());
    let start = std::time::Instant::now();
    let attributes = Attributes::read(&scene.repository, &entries, &[], TreeLimits::default()).unwrap();
    let lfs = entries
        .iter()
        .filter(|entry| attributes.is_lfs(&entry.path).unwrap())
        .count();
    let auto = entries
        .iter()
        .filter(|entry| attributes.of(&entry.path).unwrap().text.is("auto"))
        .count();
    assert_eq!((lfs, auto), (10_000, 90_002));
    // It takes far less, even without optimisation on a busy machine; without the index by names it takes minutes.
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
    println!("{:?}", start.elapsed());
}

/// Compares which patterns match which paths. The paths need not exist, and each pattern is in a folder of its own.
fn compare_patterns(patterns: &[String], paths: &[String]) {
    let scene = Scene::new();
    let lines = patterns.iter().enumerate();
    let files = lines.map(|(number, pattern)| {
        let line = format!("{pattern} text\n").into_bytes();
        (format!("{number}/.gitattributes"), line)
    });
    let tree = scene.tree(&files.collect());
    let attributes = scene.read(tree);
    let numbers = 0..patterns.len();
    let asked: Vec<String> = numbers
        .flat_map(|number| paths.iter().map(move |path| format!("{number}/{path}")))
        .collect();
    for (path, name, expected) in scene.check_attr(tree, &asked) {
        if name == "text" {
            let number: usize = path.split('/').next().unwrap().parse().unwrap();
            let found = attributes.of(path.as_bytes()).unwrap();
            assert_eq!(said(found.text), expected, "{} of {path:?}", patterns[number]);
        }
    }
}

#[test]
fn classes_have_the_same_bytes_as_in_git() {
    let mut patterns: Vec<String> = [
        "alnum", "alpha", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper",
        "xdigit", "word",
    ]
    .iter()
    .flat_map(|name| {
        [
            format!("[[:{name}:]]"),
            format!("[^[:{name}:]]"),
            format!("[![:{name}:]-z]"),
        ]
    })
    .collect();
    patterns.extend(
        [
            "[]]",
            "[]-a]",
            "[!]-a]",
            "[a-]",
            "[-a]",
            "[--0]",
            "[a-c-e]",
            "[\\]]",
            "[\\a-\\c]",
            "[a\\-c]",
            "[[:alpha]",
            "[[:]",
            "[[::]]",
            "[[:x:]]",
            "[",
            "[]",
            "[a",
            "[!",
            "[^]",
            "[\\",
            "[a-",
            "[a-\\",
            "[z-a]",
            "[[a]",
            "[/]",
            "[!/]",
            "[.-0]",
            "x[/]",
            "[^^]",
            "[!!]",
            "[[:alpha:]-0]",
            "[0-[:alpha:]]",
            "\\",
            "a\\",
            "?",
            "[a]]",
        ]
        .map(str::to_owned),
    );
    let bytes = (1..128_u8).filter(|byte| !matches!(byte, b'.' | b'/'));
    let mut paths: Vec<String> = bytes.map(|byte| char::from(byte).to_string()).collect();
    paths.extend(["x/a", "xa", "[a", "a]", "[]", "a-", "[a]"].map(str::to_owned));
    compare_patterns(&patterns, &paths);
}

/// To git an escape ends what stands before the first special byte, after which `**` means folders.
#[test]
fn a_pattern_whose_first_byte_is_escaped_matches_as_in_git() {
    let ends = ["", "**/a", "**\\/a", "**\\/*", "**", "*", "?", "a/**", "/**/a"];
    let patterns = ["!", "#", "a"].map(|first| ends.map(|end| format!("\\{first}{end}")));
    let paths = ["", "a", "/a", "x/a", "/x/a", "/x/y/a", "b", "a/b", "/x"];
    let paths = ["!", "#", "a"].map(|first| paths.map(|end| format!("{first}{end}")));
    compare_patterns(&patterns.concat(), &paths.concat());
}

#[test]
fn too_many_steps_exceed_their_limit() {
    let scene = Scene::new();
    let deep = format!("{}c", "a/".repeat(200));
    // Every two more of these would take git four times as long.
    let line = format!("{}b export-ignore\n", "**/a/".repeat(40));
    let tree = scene.tree(&files([(".gitattributes", line.as_str()), (&deep, "")]));
    let entries = scene.entries(tree, &HashMap::new());
    let with = |attributes_steps| {
        let limits = TreeLimits {
            attributes_steps,
            ..TreeLimits::default()
        };
        let attributes = Attributes::read(&scene.repository, &entries, &[], limits).unwrap();
        attributes.is_export_ignored(deep.as_bytes())
    };
    assert!(!with(100_000).unwrap());
    let error = with(100).unwrap_err();
    assert_eq!(error.code(), Code::LimitExceeded);
    assert!(
        error.to_string().contains("options.limits.attributes_steps"),
        "{error}"
    );
}

#[test]
fn lines_times_paths_are_limited_macros_too() {
    let scene = Scene::new();
    let macros: String = (0..100).map(|number| format!("[attr]m{number} text\n")).collect();
    for (lines, least) in [("?z eol\n".repeat(1_000), 100_000), (macros + "* m1\n", 10_000)] {
        let tree = scene.tree(&files([(".gitattributes", lines.as_str())]));
        let entries = scene.entries(tree, &HashMap::new());
        let limits = TreeLimits {
            attributes_steps: least,
            ..TreeLimits::default()
        };
        let attributes = Attributes::read(&scene.repository, &entries, &[], limits).unwrap();
        let asked = (0..).position(|number| attributes.of(format!("{number}").as_bytes()).is_err());
        assert!(asked.unwrap() <= 100, "{asked:?}");
    }
}

fn hostile_pattern() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "*",
        "*",
        "**",
        "**/",
        "/**/",
        "/**",
        "/",
        "/",
        "?",
        "a",
        "b",
        "a",
        "[ab]",
        "[!a]",
        "[^b/]",
        "[a-c]",
        "[]a]",
        "[[:alpha:]]",
        "\\a",
        "\\*",
        "\\/",
        "**\\/",
        "[",
        "\\",
        "[a",
        "***",
        "]",
        "-",
        "!",
        ".",
    ]);
    prop::collection::vec(piece, 1..12).prop_map(|pieces| pieces.concat())
}

fn path() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "a", "b", "ab", "ba", "aab", "c", "*", "[", "\\", "-", "]", "!", ".a", "[a", "a]",
    ]);
    (prop::collection::vec(name, 1..7), prop::bool::ANY)
        .prop_map(|(names, folder)| names.join("/") + if folder { "/" } else { "" })
}

fn line() -> impl Strategy<Value = String> {
    let pattern = prop_oneof![
        3 => prop::sample::select(vec![
            "*", "*.c", "a", "b/", "/a", "/b/", "b/a.c", "/b/a.c", "**/a", "b/**", "**", "a*", "?", "[ab]", "[!a]*", "b/*",
            "*/a", "\"a\"", "\\a", "b/**/a", "*/", "**/", "a.c", "/*.c", "[[:alpha:]]", "a**c", "!a", "x y", "b", "/**/b/",
        ]).prop_map(str::to_owned),
        1 => "[ab/*?.!\\[\\]\\\\]{1,6}",
    ];
    let attribute = prop::sample::select(vec![
        "export-ignore",
        "-export-ignore",
        "!export-ignore",
        "export-subst",
        "text",
        "-text",
        "!text",
        "text=auto",
        "eol=lf",
        "eol=crlf",
        "crlf",
        "-crlf",
        "crlf=input",
        "ident",
        "-ident",
        "working-tree-encoding=UTF-16",
        "filter=lfs",
        "-filter",
        "!filter",
        "binary",
        "-binary",
        "!binary",
        "own",
        "-own",
        "other",
        "diff=x",
        "-=",
    ]);
    let assignments = prop::collection::vec(attribute, 0..4).prop_map(|all| all.join(" "));
    let subject = prop_oneof![
        6 => pattern,
        1 => prop::sample::select(vec!["[attr]own", "[attr]other", "[attr]binary", "[attr]text"]).prop_map(str::to_owned),
    ];
    (subject, assignments).prop_map(|(subject, assignments)| format!("{subject} {assignments}\n"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_pattern_matches_the_same_paths_as_in_git(
        patterns in prop::collection::vec(hostile_pattern(), 40),
        paths in prop::collection::vec(path(), 60),
    ) {
        compare_patterns(&patterns, &paths);
    }

    #[test]
    fn any_attributes_are_found_as_git_finds_them(
        lines in prop::collection::btree_map(
            prop::sample::select(vec!["", "b/", "b/b/", "a.c/"]),
            prop::collection::vec(line(), 1..8).prop_map(|lines| lines.concat()),
            0..4,
        ),
    ) {
        let mut files = files([
            ("a", ""), ("c.c", ""), ("b/a", ""), ("b/a.c", ""), ("b/b/a", ""), ("b/b/b/a.c", ""), ("b/c/a", ""), ("a.c/b", ""),
            ("x y", ""), ("x/b/b", ""),
        ]);
        for (folder, lines) in lines {
            files.insert(format!("{folder}.gitattributes"), lines.into_bytes());
        }
        compare(&files);
    }
}
