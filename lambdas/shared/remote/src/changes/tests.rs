//! Compares what is found with what `git diff` says of the same commits and globs.

use std::collections::BTreeMap;

use domain::paths::PathFilter;
use proptest::prelude::*;
use testkit::git;

use super::*;

/// Any files of a few names in a few folders, with one of two contents, so that files are often changed, moved and
/// kept.
fn files() -> impl Strategy<Value = BTreeMap<String, String>> {
    let path = "((x|y|z)/){0,3}(a|b\\.rs|\\.gitattributes)";
    let content = prop_oneof![Just("1\n".to_owned()), Just("2\n".to_owned())];
    proptest::collection::btree_map(path, content, 0..8)
}

const GLOBS: &[&str] = &[
    "**",
    "*",
    "x/**",
    "**/a",
    "x/*/a",
    "x/**/b.rs",
    "*/b.rs",
    "[xy]/a",
    "?/?",
    "x/y/**",
    "**/z/*",
    "b.*",
];

fn glob() -> impl Strategy<Value = String> {
    proptest::sample::select(GLOBS).prop_map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_change_is_watched_if_git_diff_shows_it(
        one in files(),
        other in files(),
        globs in proptest::collection::vec(glob(), 1..3),
        attributes in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let commits = [&one, &other].map(|files| git::commit(folder.path(), files, "files"));
        let mut diff = git::command(folder.path());
        diff.args(["diff", "--name-only", "--no-renames"]).args(&commits).arg("--");
        diff.args(globs.iter().map(|glob| format!(":(glob){glob}")));
        if attributes {
            diff.arg(":(glob)**/.gitattributes");
        }
        let shown = git::line(&mut diff, b"");

        let repository = Repository::open(folder.path()).unwrap();
        let [base, commit] = commits.map(|id| id.parse::<domain::git::ObjectId>().unwrap().into_commit());
        let matcher = PathFilter { globs, attributes }.compile().unwrap();
        let differs = differ(&repository, &base, &commit, &matcher).unwrap();
        prop_assert_eq!(differs, !shown.is_empty(), "{}", shown);
    }
}
