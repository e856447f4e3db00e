//! The settings of a source, which are the JSON of the SSM parameter `/{stack}/sources/{source}`.

use serde::{Deserialize, Serialize};

use crate::destination::KeyTemplate;
pub use crate::git_host::GitHost;
pub use crate::limits::Limits;

/// What one git host or group may deliver, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceSettings {
    /// The kind of the git host that calls the webhook.
    pub provider: Provider,
    /// Globs of the repositories that may be delivered: `group/project`, `group/*`, `group/**`.
    pub repositories: Vec<String>,
    /// Globs of further repositories that are allowed as submodules: the paths of their URLs, without `.git`.
    #[serde(default)]
    pub submodule_repositories: Vec<String>,
    /// Globs of the full names of the refs that are delivered: `refs/heads/main`, `refs/tags/v*`.
    pub refs: Vec<String>,
    /// The hosts that repositories may be fetched from, in order of preference.
    pub git_hosts: Vec<GitHost>,
    /// The destination of the zips.
    pub destination: DestinationSettings,
    /// How the zips are made.
    #[serde(default)]
    pub options: Options,
}

/// A kind of git host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// GitLab.com, GitLab Dedicated and GitLab Self-Managed.
    GitLab,
}

/// The bucket of the zips, and their names in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DestinationSettings {
    /// The bucket's name.
    pub bucket: String,
    /// The template of the object keys.
    #[serde(default)]
    pub key_template: KeyTemplate,
}

/// How a zip is made and delivered. The same commit and options give the same bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// Whether `build-info.json` is put at the root of the zip.
    pub build_info: bool,
    /// Whether `.gitattributes` are applied as `git archive` applies them: `export-ignore`, `export-subst`, line endings
    /// and encodings.
    pub attributes: bool,
    /// How symbolic links are treated.
    pub symlinks: Symlinks,
    /// How submodules are treated.
    pub submodules: Submodules,
    /// Whether Git LFS pointers are replaced by their objects.
    pub lfs: bool,
    /// Whether the zip has a `.git` folder with the ref's history.
    pub full_clone: bool,
    /// Which commits may be delivered.
    pub commits: CommitPolicy,
    /// Whether the commit must be signed.
    pub signature: SignaturePolicy,
    /// Whether an object at the destination that this project has not written is replaced.
    pub overwrite_foreign: bool,
    /// The limits of a push.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            build_info: true,
            attributes: false,
            symlinks: Symlinks::default(),
            submodules: Submodules::default(),
            lfs: false,
            full_clone: false,
            commits: CommitPolicy::default(),
            signature: SignaturePolicy::default(),
            overwrite_foreign: false,
            limits: Limits::default(),
        }
    }
}

/// How symbolic links are treated. They are never followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Symlinks {
    /// They are links in the zip, wherever they lead.
    #[default]
    Keep,
    /// They are links in the zip, but a link that leads out of the commit's tree fails the push.
    Inside,
    /// Any link fails the push.
    Refuse,
}

/// How submodules are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Submodules {
    /// They are empty folders, as in a clone without them.
    #[default]
    None,
    /// Each is fetched at its recorded commit, without history, and so are its own submodules.
    Recursive,
}

/// Which commits may be delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommitPolicy {
    /// Those that the git host shows on the pushed ref: the object of a tag, or the tip of a branch and the commits
    /// before it.
    #[default]
    OnRef,
    /// Any commit that the webhook names, if the git host has it.
    Any,
}

/// Whether the commit must be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SignaturePolicy {
    /// Signatures are not checked.
    #[default]
    Any,
    /// The commit, or the pushed tag, must be signed by a key of the git secret.
    Required,
}

/// The timeout for connecting to a git or LFS server, in seconds.
pub const CONNECT_SECONDS: u64 = 15;

/// Why settings cannot be parsed.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// They are malformed.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// They have unknown fields. Most likely one is misspelt, and its default would be used silently.
    #[error("unknown: {}", .0.join(", "))]
    Unknown(Vec<String>),
}

impl std::str::FromStr for SourceSettings {
    type Err = SettingsError;

    /// Parses the settings, and refuses unknown fields. (Events, which contain [`Options`] too, are parsed leniently,
    /// because an older version must be able to read them.)
    fn from_str(text: &str) -> Result<Self, SettingsError> {
        let mut unknown = Vec::new();
        let mut json = serde_json::Deserializer::from_str(text);
        let settings = serde_ignored::deserialize(&mut json, |path| unknown.push(path.to_string()))?;
        json.end()?;
        if unknown.is_empty() {
            Ok(settings)
        } else {
            Err(SettingsError::Unknown(unknown))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_settings_without_a_safe_default_are_required() {
        let settings: SourceSettings = serde_json::from_str(
            r#"{"provider":"gitlab","repositories":["group/*"],"refs":["refs/heads/main"],
                "git_hosts":["gitlab.com"],"destination":{"bucket":"zips"}}"#,
        )
        .unwrap();
        assert_eq!(settings.destination.key_template, KeyTemplate::default());
        assert_eq!(settings.options, Options::default());
    }

    #[test]
    fn a_misspelt_setting_is_named() {
        let error = r#"{"provider":"gitlab","repositories":["group/*"],"refs":[],"git_hosts":[],
            "destination":{"bucket":"zips"},"options":{"limits":{"pack_byte":1}},"ref":[]}"#
            .parse::<SourceSettings>()
            .unwrap_err();
        assert_eq!(error.to_string(), "unknown: options.limits.pack_byte, ref");
        assert!("{} {}".parse::<SourceSettings>().is_err());
    }

    #[test]
    fn options_of_a_later_version_can_be_read_from_an_event() {
        let options: Options = serde_json::from_str(r#"{"build_info":false,"later":{"x":1}}"#).unwrap();
        assert!(!options.build_info);
    }
}
