//! The links between the project's pages lead somewhere.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::project::{files, pages, root};

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
fn every_page_that_a_message_names_is_printed_by_the_command() {
    let mut named = 0;
    for file in files(&["cli", "lambdas"], "rs") {
        let text = fs::read_to_string(&file).unwrap();
        let is_of_name = |c: char| c.is_ascii_alphanumeric() || "/#-_".contains(c);
        for rest in text.split("push-code docs ").skip(1) {
            let name = &rest[..rest.find(|c| !is_of_name(c)).unwrap_or(rest.len())];
            let (page, anchor) = name.split_once('#').unwrap_or((name, ""));
            let path = root().join(format!("docs/{page}.md"));
            assert!(path.exists(), "{} names the page {name:?}", file.display());
            let is_there = anchor.is_empty() || anchors(&path).contains(anchor);
            assert!(is_there, "{} names the heading {name:?}", file.display());
            named += 1;
        }
        // Whoever reads a message may have no checkout.
        let messages = text.split("#[cfg(test)]").next().unwrap_or_default().lines();
        for line in messages.filter(|line| !line.trim_start().starts_with("//")) {
            let ends = [".md ", ".md#", ".md:"];
            let names_a_file = line.contains("docs/") && ends.iter().any(|end| line.contains(end));
            assert!(!names_a_file, "{}: {line}", file.display());
        }
    }
    assert!(named > 8, "{named} pages");
}

#[test]
fn every_page_and_every_decision_is_in_its_table_of_contents() {
    let contents = ["docs", "docs/decisions"].map(|folder| {
        let folder = root().join(folder);
        let text = fs::read_to_string(folder.join("README.md")).unwrap();
        let linked: BTreeSet<_> = targets(&text)
            .map(|target| folder.join(target.split('#').next().unwrap_or_default()))
            .map(|target| normal(&target))
            .collect();
        (folder, linked)
    });
    let [(docs, all), (decisions, of_decisions)] = contents;
    for page in pages() {
        let linked = if page.starts_with(&decisions) {
            &of_decisions
        } else {
            &all
        };
        let is_contents = page.ends_with("README.md") && page.starts_with(&docs);
        let is_of_the_root = page.parent() == Some(&root());
        assert!(
            is_contents || is_of_the_root || linked.contains(&page),
            "no table of contents has {}",
            page.display()
        );
    }
}

/// Returns the path without `..`.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                normal.pop();
            }
            other => normal.push(other),
        }
    }
    normal
}
