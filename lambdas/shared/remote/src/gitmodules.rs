//! Parses `.gitmodules`, which says where each submodule comes from (<https://git-scm.com/docs/gitmodules>).

use std::collections::{BTreeSet, HashMap};

use bstr::BStr;

/// Where a submodule is fetched from, and whether it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submodule {
    /// Its URL, absolute or relative to its parent's. It is untrusted, because whoever wrote the repository chose it.
    pub url: Option<String>,
    /// Whether git leaves it out, by `update = none`.
    pub left_out: bool,
}

/// Returns the submodules by path. If two sections have the same path the last one counts, as in git.
///
/// # Errors
/// Returns why the file cannot be parsed. The text never quotes the file.
pub fn parse(text: &[u8]) -> Result<HashMap<Vec<u8>, Submodule>, &'static str> {
    // Includes are not followed, because they would name files of this function.
    let file = gix_config::File::from_bytes_no_includes(
        text,
        gix_config::file::Metadata::default(),
        gix_config::file::init::Options::default(),
    )
    // The parser's own message quotes the file, which may have a password.
    .map_err(|_| "it is not in the form of git's configuration")?;
    let names: BTreeSet<_> = file
        .sections_by_name("submodule")
        .into_iter()
        .flatten()
        .filter_map(|section| section.header().subsection_name().map(ToOwned::to_owned))
        .collect();
    let submodule = |name: &BStr| {
        let value = |key| file.string_by("submodule", Some(name), key);
        let path = value("path")?;
        let path = path.strip_suffix(b"/").unwrap_or(&path).to_vec();
        let url = value("url").and_then(|url| String::from_utf8(url.to_vec()).ok());
        let left_out = value("update").is_some_and(|update| update == "none");
        Some((path, Submodule { url, left_out }))
    };
    Ok(names.iter().filter_map(|name| submodule(name.as_ref())).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sections_of_the_same_name_are_one_submodule() {
        let parsed = parse(
            b"[submodule \"a b\"]\n\tpath = libs/a\n[submodule \"x\"]\npath=x/\nurl=../x.git\nupdate = none\n\
            [submodule \"a b\"]\n\turl = https://h/a.git # comment\n[core]\nfsmonitor = /bin/sh\n[submodule \"lost\"]\nurl=y",
        )
        .unwrap();
        let submodule = |url: &str, left_out| Submodule {
            url: Some(url.to_owned()),
            left_out,
        };
        let expected = [
            (b"libs/a".to_vec(), submodule("https://h/a.git", false)),
            (b"x".to_vec(), submodule("../x.git", true)),
        ];
        assert_eq!(parsed, HashMap::from(expected));
    }

    #[test]
    fn an_include_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let other = folder.path().join("other");
        std::fs::write(&other, "[submodule \"a\"]\npath = a\nurl = b\n").unwrap();
        let text = format!("[include]\npath = {}\n", other.display());
        assert_eq!(parse(text.as_bytes()).unwrap(), HashMap::new());
    }

    #[test]
    fn a_malformed_file_is_an_error() {
        assert!(parse(b"[submodule \"a\"").is_err());
    }

    proptest! {
        #[test]
        fn anything_is_read_or_refused(text in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&text);
        }
    }
}
