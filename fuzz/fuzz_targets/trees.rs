//! Lists raw tree objects, with the checks of paths and links, and reads their attributes and LFS pointers.

#![no_main]

use std::collections::HashMap;

use domain::limits::TreeLimits;
use domain::source::Symlinks;
use fuzz::{objects, paths};
use git2::{ObjectType, Oid};
use libfuzzer_sys::fuzz_target;
use tree::{Attributes, Rules};

fuzz_target!(|input: &[u8]| {
    let Some((options, input)) = input.split_first() else {
        return;
    };
    let repository = objects::repository().expect("memory");
    let objects = objects::add(&repository, input.split(|byte| *byte == 0xff)).expect("memory");
    let trees: Vec<Oid> = objects
        .into_iter()
        .filter(|(kind, _)| *kind == ObjectType::Tree)
        .map(|(_, id)| id)
        .collect();
    let Some(root) = trees.last() else { return };
    // The first tree is also that of a fetched submodule.
    let submodules = HashMap::from([(b"module/".to_vec(), trees[0])]);
    let limits = TreeLimits {
        entries: 1_000,
        ..TreeLimits::default()
    };
    let symlinks = [Symlinks::Keep, Symlinks::Inside, Symlinks::Refuse][usize::from(options % 3)];
    let rules = Rules {
        limits,
        symlinks,
        submodules: &submodules,
    };
    let Ok(tree) = tree::list(&repository, *root, &rules) else {
        return;
    };
    paths::check(&tree.entries);
    paths::check_links(&tree.entries);
    if symlinks == Symlinks::Inside {
        paths::follow(&repository, &tree.entries);
    }
    let roots = [b"module/".to_vec()];
    let Ok(attributes) = Attributes::read(&repository, &tree.entries, &roots, limits) else {
        return;
    };
    for entry in &tree.entries {
        let _ = attributes.of(&entry.path);
    }
    let _ = tree::pointers(&repository, &tree.entries, &attributes);
});
