//! Checks that the links between the project's pages lead somewhere.

#![expect(clippy::unwrap_used, reason = "a page that cannot be read fails the test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

fn pages() -> Vec<PathBuf> {
    let folders = ["", "docs", "docs/decisions", "examples/deepest-thread"].map(|folder| root().join(folder));
    let files = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    files
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect()
}

/// Returns the targets of `[text](target)` that are not web pages.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target)
        .filter(|target| !target.contains("://"))
}

/// Returns the anchors of a page's headings, as GitHub and GitLab make them.
fn anchors(page: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(page).unwrap();
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|heading| heading.trim_start_matches('#').trim().to_lowercase())
        .map(|heading| {
            let kept = heading
                .chars()
                .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

#[test]
fn every_link_to_a_page_leads_there() {
    let mut links = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for target in targets(&text) {
            links += 1;
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let path = if file.is_empty() {
                page.clone()
            } else {
                page.parent().unwrap().join(file)
            };
            assert!(
                path.exists(),
                "{} links to {target}, which does not exist",
                page.display()
            );
            assert!(
                anchor.is_empty() || anchors(&path).contains(anchor),
                "{} links to {target}, and {} has no such heading",
                page.display(),
                path.display()
            );
        }
    }
    assert!(links > 50, "{links} links");
}

#[test]
fn every_page_and_every_decision_is_in_its_table_of_contents() {
    for folder in [root().join("docs"), root().join("docs/decisions")] {
        let contents = fs::read_to_string(folder.join("README.md")).unwrap();
        for entry in fs::read_dir(&folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            // The others are pictures in the pages, and their data.
            let is_page = name.ends_with(".md") && name != "README.md";
            assert!(
                !is_page || contents.contains(&name),
                "{} lacks {name}",
                folder.display()
            );
        }
    }
}
