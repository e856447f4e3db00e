//! The paths that a destination watches: a push that changes none of them is not delivered there.

use globset::GlobMatcher;
use serde::{Deserialize, Serialize};

use crate::glob::{self, GlobError};

/// The setting's name, for messages.
const SETTING: &str = "paths";

/// Which changes of a tree concern a destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathFilter {
    /// Globs of the watched paths: `services/api/**`, `libs/*/Cargo.toml`.
    pub globs: Vec<String>,
    /// Whether any `.gitattributes` is watched too, because the zip is made by it.
    pub attributes: bool,
}

/// A compiled [`PathFilter`].
#[derive(Debug)]
pub struct PathMatcher {
    globs: Vec<GlobMatcher>,
    /// What each glob begins with before its first wildcard.
    beginnings: Vec<String>,
    attributes: bool,
}

impl PathFilter {
    /// Compiles the globs.
    ///
    /// # Errors
    /// Returns [`GlobError`] if one is malformed, or can match no path of a repository, so that no push is dropped
    /// because of a slip.
    pub fn compile(&self) -> Result<PathMatcher, GlobError> {
        let mut globs = Vec::new();
        for glob in &self.globs {
            if let Some(reason) = never_matches(glob) {
                return Err(GlobError {
                    setting: SETTING,
                    glob: glob.clone(),
                    reason: reason.to_owned(),
                });
            }
            globs.push(glob::matcher(SETTING, glob)?);
        }
        let beginning = |glob: &String| {
            let end = glob.find(['*', '?', '[', '{', '\\']).unwrap_or(glob.len());
            glob[..end].to_owned()
        };
        Ok(PathMatcher {
            globs,
            beginnings: self.globs.iter().map(beginning).collect(),
            attributes: self.attributes,
        })
    }
}

impl PathMatcher {
    /// Returns whether a file at this path is watched.
    #[must_use]
    pub fn watches(&self, path: &[u8]) -> bool {
        let candidate = globset::Candidate::from_bytes(path);
        let name = path.rsplit(|byte| *byte == b'/').next();
        (self.attributes && name == Some(b".gitattributes"))
            || self.globs.iter().any(|glob| glob.is_match_candidate(&candidate))
    }

    /// Returns whether anything below this path may be watched. A submodule or a symbolic link stands for what is below
    /// it, which the repository does not list, so it counts if a glob may match there.
    #[must_use]
    pub fn may_watch_below(&self, path: &[u8]) -> bool {
        let folder = [path, b"/"].concat();
        let mut beginnings = self.beginnings.iter().map(String::as_bytes);
        beginnings.any(|beginning| beginning.starts_with(&folder) || folder.starts_with(beginning))
    }
}

fn never_matches(glob: &str) -> Option<&'static str> {
    if glob.is_empty() {
        Some("it is empty")
    } else if glob.starts_with(['/', '!']) || glob.starts_with("./") {
        Some("paths begin with a name, and none is excluded")
    } else if glob.ends_with('/') {
        Some("a folder has no changes of its own: write /** for what is in it")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matcher(globs: &[&str], attributes: bool) -> PathMatcher {
        let globs = globs.iter().map(|&glob| glob.to_owned()).collect();
        PathFilter { globs, attributes }.compile().unwrap()
    }

    #[test]
    fn a_glob_matches_whole_paths_and_any_bytes() {
        let api = matcher(&["services/api/**", "libs/*/x.rs", "Cargo.toml"], false);
        for (path, watched) in [
            (&b"services/api/main.rs"[..], true),
            (b"services/api/src/a/b.rs", true),
            (b"services/api/caf\xe9", true),
            (b"services/api2/main.rs", false),
            (b"x/services/api/main.rs", false),
            (b"libs/a/x.rs", true),
            (b"libs/a/b/x.rs", false),
            (b"Cargo.toml", true),
            (b"x/Cargo.toml", false),
        ] {
            assert_eq!(api.watches(path), watched, "{}", String::from_utf8_lossy(path));
        }
    }

    #[test]
    fn attributes_are_watched_if_the_zip_is_made_by_them() {
        for (attributes, path, watched) in [
            (true, &b".gitattributes"[..], true),
            (true, b"other/.gitattributes", true),
            (true, b"other/x.gitattributes", false),
            (false, b".gitattributes", false),
        ] {
            assert_eq!(matcher(&["a/**"], attributes).watches(path), watched);
        }
    }

    #[test]
    fn a_submodule_or_link_counts_if_a_glob_may_match_below_it() {
        for (glob, path, may) in [
            ("services/api/**", "services", true),
            ("services/api/**", "services/api", true),
            ("services/api/**", "services/api/vendor", true),
            ("services/api/**", "services/web", false),
            ("services/api/**", "serv", false),
            ("services/a*/x", "services/api", true),
            ("**/api/**", "vendor", true),
            ("vendor", "vendor", true),
            ("vendor.txt", "vendor", false),
        ] {
            let below = matcher(&[glob], false).may_watch_below(path.as_bytes());
            assert_eq!(below, may, "{glob} {path}");
        }
    }

    #[test]
    fn a_glob_that_never_matches_is_refused() {
        for glob in ["", "/a/**", "./a", "!a/**", "a/", "a/["] {
            let globs = vec![glob.to_owned()];
            let filter = PathFilter {
                globs,
                attributes: false,
            };
            assert!(filter.compile().is_err(), "{glob:?}");
        }
    }
}
