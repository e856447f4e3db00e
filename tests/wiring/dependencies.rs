//! The dependencies' features, which decide how often a dependency is built, and what a function contains.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use crate::project::{read, root, verbs};

/// `sam build` builds one function at a time. If the features of a dependency differ between functions, it is compiled
/// again for each, with all that depends on it. For the SDK or the runtime, that costs minutes.
#[test]
fn every_function_has_the_same_features_of_what_the_sdk_depends_on() {
    // The features of each dependency in each function, which are several sets if build scripts use it too.
    let mut features: BTreeMap<String, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for function in verbs() {
        let tree = DependencyTree::of(&function);
        for dependency in tree.below(|name| name.starts_with("aws-") || name.starts_with("lambda_runtime")) {
            for enabled in &tree.features[&dependency] {
                let by_function = features.entry(dependency.clone()).or_default();
                by_function
                    .entry(function.clone())
                    .or_default()
                    .insert(enabled.clone());
            }
        }
    }
    features.retain(|_, by_function| by_function.values().collect::<BTreeSet<_>>().len() > 1);
    assert!(
        features.is_empty(),
        "name these in lambdas/shared/workspace-hack/Cargo.toml with all their features: {features:#?}"
    );
}

/// A library that is also one for C (`cdylib`, `staticlib`) has its dependencies compiled to machine code, where LTO
/// alone wants bitcode. A function that has one shares nothing of that with those that have none.
#[test]
fn every_function_has_the_same_libraries_that_are_for_c_too() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--format-version", "1"])
        .current_dir(root())
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let for_c: BTreeSet<String> = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|package| {
            let targets = package["targets"].as_array().unwrap();
            let kinds = targets
                .iter()
                .flat_map(|target| target["crate_types"].as_array().unwrap());
            kinds
                .into_iter()
                .any(|kind| ["cdylib", "dylib", "staticlib"].map(Value::from).contains(kind))
        })
        .map(|package| {
            let text = |key: &str| package[key].as_str().unwrap();
            format!("{} v{}", text("name"), text("version"))
        })
        .collect();
    let by_function: BTreeMap<String, BTreeSet<String>> = verbs()
        .into_iter()
        .map(|function| {
            let dependencies = DependencyTree::of(&function).features.into_keys().collect();
            (function, for_c.intersection(&dependencies).cloned().collect())
        })
        .collect();
    let all: BTreeSet<String> = by_function.values().flatten().cloned().collect();
    for (function, libraries) in by_function {
        assert_eq!(
            libraries, all,
            "name the others in lambdas/shared/workspace-hack for {function}"
        );
    }
}

/// Only `remote` needs libgit2's TLS and SSH, and `egress` the former: functions that only read objects do not contain
/// the libraries for them.
#[test]
fn only_what_speaks_to_git_hosts_is_built_with_openssl_and_libssh2() {
    let speaks = |verb: &String| {
        let tree = DependencyTree::of(verb);
        ["openssl-sys ", "libssh2-sys "]
            .map(|library| tree.features.keys().any(|name| name.starts_with(library)))
    };
    for verb in verbs() {
        let expected = match verb.as_str() {
            "fetch" | "sweep" => [true, true],
            "report" => [true, false],
            _ => [false, false],
        };
        assert_eq!(speaks(&verb), expected, "{verb}");
    }
}

/// Tests, benches and fuzz targets depend on libraries. The command is for people, and changes as they need it.
#[test]
fn nothing_depends_on_the_command() {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--workspace", "--invert", "push-code"])
        .args([
            "--edges",
            "normal,build,dev",
            "--prefix",
            "none",
            "--format",
            "{p}",
        ])
        .current_dir(root())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let names: BTreeSet<_> = text.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(names, BTreeSet::from(["push-code"]));
}

/// Advisories about a C library are not always filed for the crate that contains it.
#[test]
fn the_c_libraries_in_the_functions_are_named_with_their_versions() {
    // The former is a list of numbers, the latter leaves the library to `openssl-src`.
    let without_c = ["linux-raw-sys ", "openssl-sys "];
    let security = read("SECURITY.md");
    let mut libraries = BTreeSet::new();
    for verb in verbs() {
        libraries.extend(DependencyTree::of(&verb).features.into_keys().filter(|name| {
            (name.contains("-sys v") || name.contains("-src v"))
                && !without_c.iter().any(|begin| name.starts_with(begin))
        }));
    }
    assert!(libraries.iter().any(|name| name.starts_with("libgit2-sys v")));
    for library in libraries {
        let (name, version) = library.split_once(" v").unwrap();
        let named = format!("| `{name}` {version} |");
        assert!(security.contains(&named), "SECURITY.md does not say {named}");
    }
}

/// `cargo run`, `cargo build` and `cargo test` share what they build. A dependency whose features differ in tests is
/// compiled again for them, with all that depends on it.
#[test]
fn tests_have_the_same_features_of_what_the_command_stands_on() {
    let features = |edges: &str| {
        let output = Command::new(env!("CARGO"))
            .args([
                "tree",
                "--locked",
                "--workspace",
                "--edges",
                edges,
                "--prefix",
                "none",
            ])
            .args(["--format", "{p} {f}"])
            .current_dir(root())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let text = String::from_utf8(output.stdout).unwrap();
        // A package that was listed with its dependencies before ends with a star.
        let lines = text.lines().map(|line| line.trim_end_matches(" (*)").to_owned());
        lines.collect::<BTreeSet<_>>()
    };
    let (command, tests) = (features("normal,build"), features("normal,build,dev"));
    let others: Vec<_> = command.difference(&tests).collect();
    assert!(
        others.is_empty(),
        "name the features of these for tests in tests/Cargo.toml: {others:#?}"
    );
}

/// The dependencies of a package by name and version, from `cargo tree`.
#[derive(Default)]
pub struct DependencyTree {
    pub features: BTreeMap<String, BTreeSet<String>>,
    edges: BTreeMap<String, BTreeSet<String>>,
}

impl DependencyTree {
    pub fn of(package: &str) -> Self {
        let output = Command::new(env!("CARGO"))
            .args(["tree", "--locked", "--edges", "normal,build", "--prefix", "depth"])
            .args(["--format", "|{p}|{f}|", "--target", "x86_64-unknown-linux-gnu"])
            .args(["--package", package])
            .current_dir(root())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let mut tree = Self::default();
        let mut path: Vec<String> = Vec::new();
        for line in text.lines() {
            let [depth, dependency, features, _] = line.split('|').collect::<Vec<_>>()[..] else {
                unreachable!("{line}");
            };
            path.truncate(depth.parse().unwrap());
            if let Some(parent) = path.last() {
                tree.edges
                    .entry(parent.clone())
                    .or_default()
                    .insert(dependency.to_owned());
            }
            tree.features
                .entry(dependency.to_owned())
                .or_default()
                .insert(features.to_owned());
            path.push(dependency.to_owned());
        }
        tree
    }

    /// Returns the packages of these names, and all that they depend on.
    fn below(&self, wanted: impl Fn(&str) -> bool) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut open: Vec<&String> = self.features.keys().filter(|name| wanted(name)).collect();
        while let Some(dependency) = open.pop() {
            if found.insert(dependency.clone()) {
                open.extend(self.edges.get(dependency).into_iter().flatten());
            }
        }
        found
    }
}
