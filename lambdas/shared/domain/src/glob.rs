//! The globs by which settings name repositories, refs and paths.

use globset::{GlobBuilder, GlobMatcher};

use crate::source::SourceSettings;

/// A setting that has a malformed glob.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the setting {setting} has the malformed glob {glob:?}: {reason}")]
pub struct GlobError {
    /// The setting.
    pub setting: &'static str,
    /// The glob.
    pub glob: String,
    /// What is wrong with it.
    pub reason: String,
}

/// The globs of a setting, compiled once for many texts.
#[derive(Debug)]
pub struct Globs(Vec<GlobMatcher>);

impl Globs {
    /// Compiles the globs of the setting `repositories`.
    ///
    /// # Errors
    /// Returns [`GlobError`] if one is malformed.
    pub fn of_repositories(settings: &SourceSettings) -> Result<Self, GlobError> {
        Self::new("repositories", &settings.repositories)
    }

    /// Compiles the globs of the setting `refs`.
    ///
    /// # Errors
    /// Returns [`GlobError`] if one is malformed.
    pub fn of_refs(settings: &SourceSettings) -> Result<Self, GlobError> {
        Self::new("refs", &settings.refs)
    }

    /// Compiles the globs of a list that people know as `setting`.
    ///
    /// # Errors
    /// Returns [`GlobError`] if one is malformed.
    pub fn new(setting: &'static str, globs: &[String]) -> Result<Self, GlobError> {
        let matchers = globs.iter().map(|glob| matcher(setting, glob));
        matchers.collect::<Result<_, _>>().map(Self)
    }

    /// Returns whether a glob matches.
    #[must_use]
    pub fn match_any(&self, text: &str) -> bool {
        self.0.iter().any(|glob| glob.is_match(text))
    }
}

/// Returns whether a glob of a setting matches.
pub(crate) fn matches_any(setting: &'static str, globs: &[String], text: &str) -> Result<bool, GlobError> {
    for glob in globs {
        if matcher(setting, glob)?.is_match(text) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Compiles a glob, in which `*` does not match a slash and `**` does.
pub(crate) fn matcher(setting: &'static str, glob: &str) -> Result<GlobMatcher, GlobError> {
    GlobBuilder::new(glob)
        .literal_separator(true)
        .build()
        .map(|glob| glob.compile_matcher())
        .map_err(|error| GlobError {
            setting,
            glob: glob.to_owned(),
            reason: error.kind().to_string(),
        })
}
