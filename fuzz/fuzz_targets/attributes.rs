//! Looks up any path in the `.gitattributes` of the root and of a folder, within the allowed steps.

#![no_main]

use domain::limits::TreeLimits;
use git2::{ObjectType, Oid};
use libfuzzer_sys::fuzz_target;
use tree::{Attributes, Content, Entry, State};

fuzz_target!(|input: &[u8]| {
    let Some([root, nested, paths]) = fuzz::parts(input) else {
        return;
    };
    let repository = fuzz::objects::repository().expect("memory");
    let odb = repository.odb().expect("memory");
    let file = |path: &[u8], blob: Oid| Entry {
        path: path.to_owned(),
        content: Content::File {
            blob,
            executable: false,
        },
    };
    let root = odb.write(ObjectType::Blob, root).expect("memory");
    let nested = odb.write(ObjectType::Blob, nested).expect("memory");
    let entries = [
        file(b".gitattributes", root),
        file(b"a/.gitattributes", nested),
        file(b"module/.gitattributes", nested),
        file(b"module/a/.gitattributes", root),
    ];
    // These take some milliseconds.
    let limits = TreeLimits {
        attributes_steps: 10_000_000,
        ..TreeLimits::default()
    };
    let attributes =
        Attributes::read(&repository, &entries, &[b"module/".to_vec()], limits).expect("the files are there");
    // The parts of a listing's paths are not empty.
    let is_path = |path: &&[u8]| !path.starts_with(b"/") && !path.windows(2).any(|two| two == b"//");
    for path in paths.split(|byte| *byte == b'\n').filter(is_path) {
        for folder in [&b""[..], b"a/", b"a/b/", b"module/", b"module/a/"] {
            let path = [folder, path].concat();
            let (Ok(found), Ok(lfs), Ok(ignored)) = (
                attributes.of(&path),
                attributes.is_lfs(&path),
                attributes.is_export_ignored(&path),
            ) else {
                return;
            };
            assert_eq!(lfs, found.filter.is("lfs"));
            assert_eq!(ignored, *found.export_ignore == State::Set);
        }
    }
});
