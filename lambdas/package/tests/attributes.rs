//! Compares `options.attributes` with git itself: the zip must hold what `git archive` makes of the commit.

#![expect(clippy::unwrap_used, reason = "the helpers of tests")]

mod scene;

use std::collections::BTreeMap;
use std::io::Read;

use domain::source::Options;
use proptest::prelude::*;

use scene::{Scene, block_on, files, without_build_info};

type Files = BTreeMap<String, (&'static str, Vec<u8>)>;
type Unzipped = BTreeMap<String, (u32, Vec<u8>)>;

fn attributes() -> Options {
    Options {
        attributes: true,
        ..without_build_info()
    }
}

/// Returns the files of `git archive`, in the form of [`Scene::unzip`], without folders.
fn archive(scene: &Scene, commit: &str) -> Unzipped {
    let bytes = scene.git(&["archive", "--format=zip", commit], b"");
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(bytes)).unwrap();
    (0..zip.len())
        .filter_map(|index| {
            let mut file = zip.by_index(index).unwrap();
            let path = file.name().unwrap().into_owned();
            // git's zips have modes only for executable files and links.
            let mode = file.unix_mode().filter(|mode| mode & 0o111 != 0);
            let mode = mode.map_or(0o100_644, |mode| {
                if mode & 0o170_000 == 0o120_000 {
                    0o120_777
                } else {
                    0o100_755
                }
            });
            let mut content = Vec::new();
            file.read_to_end(&mut content).unwrap();
            (!path.ends_with('/')).then_some((path, (mode, content)))
        })
        .collect()
}

/// Returns the files of our zip, and the warnings.
fn zip(scene: &Scene, commit: &str) -> (Unzipped, Vec<String>) {
    let archive = block_on(scene.package(commit, attributes())).unwrap();
    let mut unzipped = scene.unzip(&archive);
    unzipped.retain(|path, _| !path.ends_with('/'));
    (unzipped, archive.warnings)
}

/// Checks that our zip has the files of `git archive`, and returns them.
fn same(files: &Files) -> Unzipped {
    let scene = Scene::new();
    let commit = scene.commit(files);
    let (ours, warnings) = zip(&scene, &commit);
    assert_eq!(ours, archive(&scene, &commit));
    assert_eq!(warnings, [""; 0]);
    ours
}

fn paths(unzipped: &Unzipped) -> Vec<&str> {
    unzipped.keys().map(String::as_str).collect()
}

/// Makes a commit object that has `text` after its tree and two parents.
fn commit_of(scene: &Scene, files: &Files, text: &[u8]) -> String {
    let plain = scene.commit(files);
    let tree = scene.line(&["rev-parse", &format!("{plain}^{{tree}}")], b"");
    let other = scene.line(&["commit-tree", &tree, "-m", "Other"], b"");
    let head = format!("tree {tree}\nparent {plain}\nparent {other}\n");
    let object = [head.as_bytes(), text].concat();
    let commit = scene.line(
        &["hash-object", "-w", "-t", "commit", "--literally", "--stdin"],
        &object,
    );
    // HEAD points elsewhere, or git would show it in %d, which we never do.
    scene.git(&["symbolic-ref", "HEAD", "refs/heads/elsewhere"], b"");
    scene.git(&["update-ref", &scene.ref_name, &commit], b"");
    commit
}

/// Checks that git replaces a format in the same way, and returns the result.
fn substituted(commit: &[u8], format: &str) -> String {
    let scene = Scene::new();
    let content = format!("$Format:{format}$");
    let files = files([
        (".gitattributes", "100644", b"a export-subst\n"),
        ("a", "100644", content.as_bytes()),
    ]);
    let commit = commit_of(&scene, &files, commit);
    let (ours, warnings) = zip(&scene, &commit);
    let (ours, gits) = (&ours["a"].1, &archive(&scene, &commit)["a"].1);
    assert_eq!(
        String::from_utf8_lossy(ours),
        String::from_utf8_lossy(gits),
        "{format}"
    );
    assert_eq!(ours, gits);
    assert_eq!(warnings, [""; 0]);
    String::from_utf8_lossy(ours).into_owned()
}

const COMMIT: &[u8] = b"author Jo Doe <jo@example.com> 1700000000 +0530\n\
committer C. M. <cm> 1704067199 -0330\n\
\n\
\n  Fix: the (first) thing..  \nand the second\n\n\nBody\n\nmore $ text\n\n";

#[test]
fn without_the_option_attributes_change_nothing() {
    let scene = Scene::new();
    let commit = scene.commit(&files([
        (
            ".gitattributes",
            "100644",
            b"* text eol=crlf ident export-subst\nb export-ignore\n",
        ),
        ("a", "100644", b"$Id$ $Format:%H$\n"),
        ("b", "100644", b"\n"),
    ]));
    let archive = block_on(scene.package(&commit, without_build_info())).unwrap();
    assert_eq!(scene.unzip(&archive), scene.list(&commit));
}

#[test]
fn what_is_export_ignored_is_left_out() {
    let made = same(&files([
        (
            ".gitattributes",
            "100644",
            b".gitattributes export-ignore\n/docs/ export-ignore\n*.tmp export-ignore\nempty/* export-ignore\n\
              kept.tmp -export-ignore\nvalue export-ignore=yes\nlink export-ignore\na/b export-ignore\nfile/ export-ignore\n",
        ),
        ("docs/a", "100644", b""),
        ("docs/b/c", "100644", b""),
        ("docs-not/a", "100644", b""),
        ("docs.md", "100644", b""),
        ("sub/docs/a", "100644", b""),
        ("x.tmp/y/z", "100644", b""),
        ("x.tmp2", "100644", b""),
        ("y.tmp", "100644", b""),
        ("kept.tmp", "100644", b""),
        ("empty/a", "100644", b""),
        ("value", "100644", b""),
        ("link", "120000", b"value"),
        ("other", "120000", b"value"),
        ("a/b/c", "100644", b""),
        ("a/c/b", "100644", b""),
        ("file", "100755", b""),
        ("sub/.gitattributes", "100644", b"own export-ignore\n"),
        ("sub/own", "100644", b""),
        ("own", "100644", b""),
    ]));
    assert_eq!(
        paths(&made),
        [
            "a/c/b",
            "docs-not/a",
            "docs.md",
            "file",
            "kept.tmp",
            "other",
            "own",
            "sub/docs/a",
            "value",
            "x.tmp2"
        ]
    );
}

#[test]
fn a_submodules_folder_may_be_left_out() {
    for (line, count) in [
        ("module export-ignore", 1),
        ("module/ export-ignore", 1),
        ("x export-ignore", 2),
    ] {
        let scene = Scene::new();
        let blob = scene.blob(line.as_bytes());
        let tree = scene.tree(&[
            ("100644", &blob, b".gitattributes"),
            ("160000", &"1".repeat(40), b"module"),
        ]);
        let archive = block_on(scene.package(&scene.commit_tree(&tree), attributes())).unwrap();
        assert_eq!(archive.entries, count, "{line}");
    }
}

#[test]
fn line_ends_are_what_text_and_eol_say() {
    let contents: [(&str, &[u8]); 9] = [
        ("lf", b"a\nb\n"),
        ("crlf", b"a\r\nb\r\n"),
        ("mixed", b"a\r\nb\nc"),
        ("cr", b"a\rb\nc\n"),
        ("nul", b"a\n\0b\n"),
        ("dos", b"a\nb\n\x1a"),
        ("controls", b"a\n\x01\x02\n"),
        ("end", b"\n"),
        ("none", b""),
    ];
    let attributes = [
        "text",
        "-text",
        "text=auto",
        "text=input",
        "text=x",
        "crlf",
        "-crlf",
        "crlf=input",
        "crlf=auto",
        "binary",
        "!text",
    ];
    let mut files = Files::new();
    for (number, attribute) in attributes.into_iter().enumerate() {
        for eol in [
            "eol=crlf",
            "eol=lf",
            "eol",
            "!eol",
            "eol=crlf crlf=auto",
            "eol=crlf -crlf",
        ] {
            let folder = format!("{number}{eol}").replace(' ', "-");
            files.insert(
                format!("{folder}/.gitattributes"),
                ("100644", format!("* {attribute} {eol}\n").into_bytes()),
            );
            for (name, content) in contents {
                files.insert(format!("{folder}/{name}"), ("100644", content.to_vec()));
            }
        }
    }
    let made = same(&files);
    assert_eq!(made["0eol=crlf/mixed"].1, b"a\r\nb\r\nc");
    assert_eq!(made["2eol=crlf/mixed"].1, b"a\r\nb\nc");
}

#[test]
fn ids_are_expanded() {
    let made = same(&files([
        (
            ".gitattributes",
            "100644",
            b"* ident\nd eol=crlf\nno -ident\nvalue ident=x\n",
        ),
        (
            "a",
            "100755",
            b"$Id$ $Id: old $ $Id: a b $ $Id:$ $Id: $\n$Id\n$Id: x\n$ $Id$",
        ),
        ("d", "100644", b"$Id$\n"),
        ("no", "100644", b"$Id$\n"),
        ("value", "100644", b"$Id$\n"),
        ("link", "120000", b"$Id$"),
        ("none", "100644", b"$ $I $Id $Identity$"),
    ]));
    assert_eq!(made["link"].1, b"$Id$");
    assert!(made["d"].1.starts_with(b"$Id: ") && made["d"].1.ends_with(b" $\r\n"));
}

#[test]
fn content_is_encoded() {
    let text = "a\u{e9}\u{20ac}\u{feff}\u{3042}\u{1f600}\nb\0";
    let euro = "na\u{ef}ve \u{20ac}\n";
    let latin = "na\u{ef}ve \u{85}\n";
    let mut files = Files::new();
    let unicode = [
        "UTF-16",
        "UTF-16LE",
        "UTF-16BE",
        "UTF-16LE-BOM",
        "UTF-16BE-BOM",
        "utf16",
        "utf16le",
        "UTF16be-bom",
        "UTF-32",
        "UTF-32LE",
        "UTF-32BE",
        "UTF32",
        "UCS-4",
        "UCS-4LE",
        "UTF-8",
        "utf8",
        "UTF-16//",
    ];
    let western = ["windows-1252", "CP1252", "ISO-8859-15"];
    let latins = ["latin1", "latin-1", "ISO-8859-1", "iso8859-1", "ISO-8859-2"];
    let others = [
        ("SHIFT_JIS", "\u{3042}\u{30a2}a"),
        ("SHIFT-JIS", "\u{3042}"),
        ("EUC-JP", "\u{3042}\u{6f22}\n"),
        ("GB18030", "\u{4e2d}\u{6587}"),
        ("GBK", "\u{4e2d}\u{6587}"),
        ("BIG5", "\u{4e2d}\u{6587}"),
        ("EUC-KR", "\u{d55c}"),
        ("KOI8-R", "\u{416}"),
        ("windows-1251", "\u{416}"),
        ("ISO-8859-5", "\u{416}"),
        ("ISO-8859-9", "\u{11e}\u{131}\u{e9}\u{85}"),
        ("ISO-8859-7", "\u{3b1}"),
        ("UCS-2", "\u{3042}"),
        ("UCS-2BE", "\u{3042}"),
        ("ASCII", "a"),
        ("US-ASCII", "a"),
    ];
    let all = unicode
        .map(|name| (name, text))
        .into_iter()
        .chain(western.map(|name| (name, euro)))
        .chain(latins.map(|name| {
            (
                name,
                if name == "ISO-8859-2" {
                    "\u{e9}\u{85}"
                } else {
                    latin
                },
            )
        }))
        .chain(others);
    for (number, (name, content)) in all.enumerate() {
        let folder = format!("{number}-{}", name.replace('/', "s"));
        files.insert(
            format!("{folder}/.gitattributes"),
            (
                "100644",
                format!("* working-tree-encoding={name}\ncrlf eol=crlf ident\n").into(),
            ),
        );
        files.insert(format!("{folder}/text"), ("100644", content.into()));
        files.insert(
            format!("{folder}/crlf"),
            ("100644", format!("{content}\n$Id$\n").into()),
        );
        files.insert(format!("{folder}/empty"), ("100644", vec![]));
    }
    let made = same(&files);
    assert_eq!(made["0-UTF-16/empty"].1, b"");
}

#[test]
fn what_cannot_be_encoded_is_left_as_it_is() {
    let scene = Scene::new();
    let mut all = files([
        (
            ".gitattributes",
            "100644",
            b"ascii working-tree-encoding=ASCII eol=crlf\nutf16 working-tree-encoding=UTF-16\nlatin5 working-tree-encoding=ISO-8859-9\n\
              ucs2 working-tree-encoding=UCS-2\nunknown working-tree-encoding=nonsense\nempty working-tree-encoding=ASCII\n",
        ),
        ("ascii", "100644", "\u{e9}\n".as_bytes()),
        ("utf16", "100644", b"\xff\n"),
        ("latin5", "100644", "\u{20ac}".as_bytes()),
        ("ucs2", "100644", "\u{1f600}".as_bytes()),
        ("unknown", "100644", b"a"),
        ("empty", "100644", b""),
    ]);
    let commit = scene.commit(&all);
    let (ours, warnings) = zip(&scene, &commit);
    assert_eq!(ours, archive(&scene, &commit));
    assert_eq!(warnings.len(), 5, "{warnings:?}");
    assert!(
        warnings[0].contains("unknown") && warnings[0].contains("nonsense"),
        "{warnings:?}"
    );
    assert!(
        warnings[1].contains("ascii cannot be encoded as ASCII"),
        "{warnings:?}"
    );
    // git archive fails at this line. One such file should not keep all others from being delivered.
    all.insert(
        ".gitattributes".into(),
        ("100644", b"* working-tree-encoding\n".to_vec()),
    );
    let commit = scene.commit(&all);
    let (ours, warnings) = zip(&scene, &commit);
    assert_eq!(ours, scene.list(&commit));
    assert_eq!(warnings.len(), 7, "{warnings:?}");
}

#[test]
fn only_a_few_warnings_of_each_kind_are_kept() {
    let scene = Scene::new();
    let mut all = files([(
        ".gitattributes",
        "100644",
        b"[0-9]* working-tree-encoding=ASCII\n",
    )]);
    for number in 0..100 {
        all.insert(format!("{number:02}"), ("100644", b"\xff".to_vec()));
    }
    let (_, warnings) = zip(&scene, &scene.commit(&all));
    assert_eq!(warnings.len(), 11, "{warnings:?}");
    assert_eq!(warnings[10], "there are 90 more files that cannot be encoded");
}

#[test]
fn formats_are_replaced_as_git_replaces_them() {
    for format in [
        "%H|%T|%P|%h|%t|%p",
        "%an|%aN|%ae|%aE|%al|%aL|%ad|%aD|%at|%ai|%aI|%as",
        "%cn|%cN|%ce|%cE|%cl|%cL|%cd|%cD|%ct|%ci|%cI|%cs",
        "%s|%f",
        "%b|%B|",
        "%e|%n|%%|%x41%x00%x7|%m|%d|%D|%S",
        "%q %a %ax %(x) %g %gd%gs%gn %",
        "%+s%-e%+e% H\n\n\n%-e|%- s%+q|%+%%+wx",
        "",
    ] {
        substituted(COMMIT, format);
    }
    assert_eq!(
        substituted(COMMIT, "%s|%f|%cI|%cD|%D"),
        "  Fix: the (first) thing.. and the second|Fix-the-first-thing|2023-12-31T20:29:59-03:30|\
         Sun, 31 Dec 2023 20:29:59 -0330|main"
    );
}

#[test]
fn malformed_commits_are_read_as_git_reads_them() {
    let all = "%an|%ae|%al|%ad|%aD|%at|%ai|%aI|%as|%cn|%ce|%ct|%cd|%P|%e|%s|%f|%b|%B|%x";
    for commit in [
        &b"author A <a@b> 0 +0000\ncommitter A <a@b> 1 -0000\n\n"[..],
        b"author  <> 1700000000 +1400\ncommitter A <a@b@c> 1700000000 +9999\n\nx",
        b"author A <a> b> 1700000000 +0100\ncommitter A <a@b>\n\n\n\n x \n \ny\n",
        b"author A a@b 1700000000 +0100\ncommitter A <a@b 17 +0100\n\nx\r\n\r\ny\r\n",
        b"author A <a@b> 99999999999999999 +0100\ncommitter A <a@b> 1700000000\n\n...\n",
        b"author A <a@b> 253402300800 +0100\ncommitter A <a@b> 1700000000 +-1\n\n...\n",
        b"author A <a@b> 99999999999999999999999 +0100\ncommitter A <a@b> 1700000000 -99999999999\n\n...\n",
        b"author A <a@b> 1700000000 +0100\ncommitter A <a@b> 1 +0100\ngpgsig x\n y\n\n-a.-.b-.\n\0z\n",
        b"author A <a@b> 1700000000 +0100\ncommitter A <a@b> 1700000000 +0100\nencoding UTF-8\n\n\xc3\xa9\n",
        b"author A <a@b> 1700000000 +0100\ncommitter A <a@b> 1700000000 +0100\n",
    ] {
        substituted(commit, all);
    }
}

#[test]
fn a_tag_is_shown_as_one() {
    let mut scene = Scene::new();
    scene.ref_name = "refs/tags/v1".into();
    let files = files([
        (".gitattributes", "100644", b"a export-subst\n"),
        ("a", "100644", b"$Format:%d$|$Format:%D$"),
    ]);
    let commit = commit_of(&scene, &files, COMMIT);
    let (ours, _) = zip(&scene, &commit);
    assert_eq!(ours, archive(&scene, &commit));
    assert_eq!(ours["a"].1, b" (tag: v1)|tag: v1");
}

#[test]
fn formats_are_found_where_git_finds_them() {
    same(&files([
        (
            ".gitattributes",
            "100644",
            b"* export-subst\nno -export-subst\nvalue export-subst=x\ncrlf eol=crlf ident\nwide working-tree-encoding=UTF-16\n",
        ),
        ("a", "100755", b"$Format:%T$$Format:%s$ $Format: $ $$Format:%s$ $Format:a\nb %s$\n$format:%s$ $Format:%s"),
        ("b", "100644", b"$Format:%s\0%s$ $Format$ $Format:%an$Format:%s$"),
        ("crlf", "100644", b"$Id$ $Format:%B$\n$Format:%n$\n"),
        ("wide", "100644", b"$Format:%T$"),
        ("no", "100644", b"$Format:%T$"),
        ("value", "100644", b"$Format:%T$"),
        ("link", "120000", b"$Format:%T$"),
    ]));
}

#[test]
fn placeholders_that_need_more_than_the_commit_are_left_as_they_are() {
    let scene = Scene::new();
    let content = "$Format:%(describe) %(describe:tags=true)%ar|%N|%G?|%<(9)%s|%Cred|%w(1)|%(trailers:key=x)|%+(decorate)$";
    let files = files([
        (".gitattributes", "100644", b"* export-subst\n"),
        ("a", "100644", content.as_bytes()),
    ]);
    let commit = commit_of(
        &scene,
        &files,
        b"author A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nsubject\n",
    );
    let (ours, warnings) = zip(&scene, &commit);
    let expected = content
        .replace("$Format:", "")
        .replace('$', "")
        .replace("%s", "subject");
    assert_eq!(String::from_utf8_lossy(&ours["a"].1), expected);
    let all = warnings.join("\n");
    for placeholder in ["%(describe)", "%(describe:tags=true)", "%ar", "%G?", "%w"] {
        assert!(
            all.contains(&format!("a has the placeholder {placeholder} of")),
            "{all}"
        );
    }
    assert_eq!(warnings.len(), 10, "{all}");
}

#[test]
fn a_format_that_would_fill_the_memory_is_not_applied() {
    let scene = Scene::new();
    let files = files([
        (".gitattributes", "100644", b"* export-subst\n"),
        ("a", "100644", &b"$Format:%B$".repeat(50_000)),
    ]);
    let message = "x".repeat(100_000);
    let commit = format!("author A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\n{message}\n");
    let commit = commit_of(&scene, &files, commit.as_bytes());
    let (ours, warnings) = zip(&scene, &commit);
    assert_eq!(ours, scene.list(&commit));
    assert!(warnings[0].contains("far too large"), "{warnings:?}");
}

#[test]
fn a_large_file_is_converted_too() {
    let text: String = (0..1_000_000_u32)
        .map(|number| format!("{number:09}\n"))
        .collect();
    let scene = Scene::new();
    let commit = scene.commit(&files([
        (
            ".gitattributes",
            "100644",
            b"a eol=crlf\nb text=auto eol=crlf\nc working-tree-encoding=UTF-16\n",
        ),
        ("a", "100755", text.as_bytes()),
        ("b", "100644", format!("{text}\r\n").as_bytes()),
        ("c", "100644", text.as_bytes()),
    ]));
    let (ours, _) = zip(&scene, &commit);
    // Not assert_eq: a difference would be printed as megabytes.
    assert!(ours == archive(&scene, &commit));
    assert_eq!(ours["a"].1.len(), 11_000_000);
}

#[test]
fn build_info_is_written_if_the_repositorys_own_is_left_out() {
    let scene = Scene::new();
    let commit = scene.commit(&files([
        (".gitattributes", "100644", b"*.json export-ignore eol=crlf\n"),
        (package::BUILD_INFO, "100644", b"mine"),
    ]));
    let options = Options {
        build_info: true,
        ..attributes()
    };
    let archive = block_on(scene.package(&commit, options)).unwrap();
    let made = &scene.unzip(&archive)[package::BUILD_INFO].1;
    assert!(made.starts_with(b"{\n"), "{made:?}");
    assert_eq!(archive.warnings, [""; 0]);
}

fn line() -> impl Strategy<Value = String> {
    let pattern = prop::sample::select(vec![
        "*",
        "*.c",
        "a",
        "b/",
        "/a",
        "/b/",
        "b/a.c",
        "**/a",
        "b/**",
        "a*",
        "[!a]*",
        "b/*",
        ".gitattributes",
    ]);
    let attribute = prop::sample::select(vec![
        "export-ignore",
        "-export-ignore",
        "export-subst",
        "text",
        "-text",
        "text=auto",
        "text=auto",
        "eol=lf",
        "eol=crlf",
        "eol=crlf",
        "!eol",
        "crlf",
        "crlf=input",
        "ident",
        "-ident",
        "binary",
        "working-tree-encoding=UTF-16",
        "working-tree-encoding=UTF-32BE",
        "working-tree-encoding=latin1",
        "!working-tree-encoding",
    ]);
    (pattern, prop::collection::vec(attribute, 0..4))
        .prop_map(|(pattern, attributes)| format!("{pattern} {}\n", attributes.join(" ")))
}

fn content() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        &b"text"[..],
        b"\n",
        b"\n",
        b"\r\n",
        b"\r",
        b"\0",
        b"\x01",
        b"\x1a",
        b"$Id$",
        b"$Id: x$",
        b"$Id: x y $",
        b"$",
        b"$Format:%H%n$",
        b"$Format:%an %s%n",
        "\u{e9}\u{20ac}".as_bytes(),
        "\u{e9}".as_bytes(),
        b"\xff",
        b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    ]);
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_tree_is_zipped_as_git_archives_it(
        lines in prop::collection::btree_map(
            prop::sample::select(vec!["", "b/", "b/b/", "c.c/"]),
            prop::collection::vec(line(), 1..5).prop_map(|lines| lines.concat().into_bytes()),
            1..3,
        ),
        contents in prop::collection::btree_map(
            prop::sample::select(vec!["a", "a.c", "b/a", "b/a.c", "b/b/a", "b/b/b/a.c", "c.c/a", "c/d"]),
            (prop::sample::select(vec!["100644", "100644", "100755", "120000"]), content()),
            1..8,
        ),
    ) {
        let mut files: Files = contents
            .into_iter()
            .map(|(path, content)| (path.to_owned(), content))
            .collect();
        for (folder, lines) in lines {
            files.insert(format!("{folder}.gitattributes"), ("100644", lines));
        }
        let scene = Scene::new();
        let commit = scene.commit(&files);
        prop_assert_eq!(zip(&scene, &commit).0, archive(&scene, &commit));
    }
}
