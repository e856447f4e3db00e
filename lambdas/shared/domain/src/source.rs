//! The settings of a source, which are the JSON of the SSM parameter `/{stack}/sources/{source}`.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::commit_status::CommitStatusSettings;
use crate::destination::KeyTemplate;
pub use crate::git_host::GitHost;
pub use crate::limits::Limits;
use crate::push::DestinationName;

/// What one git host or group may deliver, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(deny_unknown_fields)
)]
pub struct SourceSettings {
    /// The kind of the git host that calls the webhook.
    pub provider: Provider,
    /// Whether nothing is delivered. The webhooks of a disabled source are accepted, and their pushes are ignored.
    #[serde(default)]
    pub disabled: bool,
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
    /// Where the zips are delivered besides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub further_destinations: Vec<FurtherDestination>,
    /// Where the git host shows what has become of a push, or `None` if it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit_status: Option<CommitStatusSettings>,
}

/// A kind of git host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Provider {
    /// GitLab.com, GitLab Dedicated and GitLab Self-Managed.
    GitLab,
    /// GitHub.com and GitHub Enterprise.
    GitHub,
    /// Gitea, and Forgejo, which is a fork of it.
    Gitea,
    /// Gogs.
    Gogs,
    /// Bitbucket Cloud.
    Bitbucket,
    /// Bitbucket Data Center.
    #[serde(rename = "bitbucket-data-center")]
    BitbucketDataCenter,
    /// Azure DevOps Services and Server.
    #[serde(rename = "azure-devops")]
    AzureDevOps,
    /// AWS CodeCommit, which sends events and calls no webhook.
    CodeCommit,
    /// Whatever sends the JSON that docs/guides/git-hosts.md shows, signed by Standard Webhooks.
    Generic,
}

impl Provider {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::GitLab,
        Self::GitHub,
        Self::Gitea,
        Self::Gogs,
        Self::Bitbucket,
        Self::BitbucketDataCenter,
        Self::AzureDevOps,
        Self::CodeCommit,
        Self::Generic,
    ];

    /// Returns the name of the git host, for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::GitLab => "GitLab",
            Self::GitHub => "GitHub",
            Self::Gitea => "Gitea",
            Self::Gogs => "Gogs",
            Self::Bitbucket => "Bitbucket Cloud",
            Self::BitbucketDataCenter => "Bitbucket Data Center",
            Self::AzureDevOps => "Azure DevOps",
            Self::CodeCommit => "CodeCommit",
            Self::Generic => "any other host",
        }
    }

    /// Returns what the URL of a repository ends with. These two hosts know no repository under its path with `.git`.
    #[must_use]
    pub fn url_suffix(self) -> &'static str {
        match self {
            Self::AzureDevOps | Self::CodeCommit => "",
            _ => ".git",
        }
    }
}

/// The bucket of the zips, and their names in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(deny_unknown_fields)
)]
pub struct DestinationSettings {
    /// The bucket's name.
    pub bucket: String,
    /// The template of the object keys.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub key_template: KeyTemplate,
    /// Globs of the paths that concern this destination, of its own as well as shared ones. A push that changes none of
    /// them since what was delivered last is ignored. If empty, every push is delivered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// What becomes of a ref's zip when the ref is deleted.
    #[serde(default)]
    pub on_deletion: OnDeletion,
}

/// What becomes of a ref's zip when the ref is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum OnDeletion {
    /// It stays, because somebody may still deploy it.
    #[default]
    Keep,
    /// It is removed, by a delete marker: its versions stay as long as the bucket keeps them.
    Expire,
}

/// A destination besides the source's own, with pushes, an order and a trail of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(deny_unknown_fields)
)]
pub struct FurtherDestination {
    /// Its name, which is part of the ids of its pushes.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub name: DestinationName,
    /// The bucket, the keys and the paths.
    pub destination: DestinationSettings,
    /// How the zips are made, or `None` if as the source's options say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<Options>,
}

impl SourceSettings {
    /// Returns a destination and how its zips are made: the source's own if `name` is `None`, and `None` if there is no
    /// destination of this name.
    #[must_use]
    pub fn destination(&self, name: Option<&DestinationName>) -> Option<(&DestinationSettings, &Options)> {
        let Some(name) = name else {
            return Some((&self.destination, &self.options));
        };
        let further = self
            .further_destinations
            .iter()
            .find(|further| further.name == *name)?;
        Some((
            &further.destination,
            further.options.as_ref().unwrap_or(&self.options),
        ))
    }

    /// Returns the names of all destinations, that of the source's own, which is `None`, first.
    pub fn destinations(&self) -> impl Iterator<Item = Option<&DestinationName>> {
        let further = self
            .further_destinations
            .iter()
            .map(|further| Some(&further.name));
        std::iter::once(None).chain(further)
    }

    /// Returns the buckets of all destinations, each once, that of the source's own first.
    #[must_use]
    pub fn buckets(&self) -> Vec<&str> {
        let further = self.further_destinations.iter();
        let further = further.map(|further| &*further.destination.bucket);
        let mut buckets = vec![&*self.destination.bucket];
        for bucket in further {
            if !buckets.contains(&bucket) {
                buckets.push(bucket);
            }
        }
        buckets
    }

    fn check_destinations(&self) -> Result<(), SettingsError> {
        let further = &self.further_destinations;
        if further.len() > MAX_FURTHER_DESTINATIONS {
            return Err(SettingsError::TooManyDestinations);
        }
        let mut names = BTreeSet::new();
        let mut places = BTreeSet::from([self.destination.place()]);
        for FurtherDestination {
            name, destination, ..
        } in further
        {
            if !names.insert(name.as_str()) {
                return Err(SettingsError::SameDestination(name.clone()));
            }
            if !places.insert(destination.place()) {
                return Err(SettingsError::SharedDestination(name.clone()));
            }
        }
        Ok(())
    }
}

impl DestinationSettings {
    fn place(&self) -> (&str, &str) {
        (&self.bucket, self.key_template.as_str())
    }
}

/// How a zip is made and delivered. The same commit and options give the same bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(deny_unknown_fields)
)]
pub struct Options {
    /// Whether `build-info.json` is put at the root of the zip.
    pub build_info: bool,
    /// Whether `.gitattributes` are applied as `git archive` applies them: `export-ignore`, `export-subst`, line
    /// endings and encodings.
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum SignaturePolicy {
    /// Signatures are not checked.
    #[default]
    Any,
    /// The commit, or the pushed tag, must be signed by a key of the git secret.
    Required,
}

/// The most further destinations of a source, each of which is an execution for each push.
pub const MAX_FURTHER_DESTINATIONS: usize = 20;

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
    /// There are too many destinations.
    #[error("further_destinations has more than {MAX_FURTHER_DESTINATIONS} entries")]
    TooManyDestinations,
    /// Two destinations have one name.
    #[error("further_destinations has two entries of the name {0}")]
    SameDestination(DestinationName),
    /// Two destinations have one bucket and one template of keys, so that each would replace what the other has
    /// delivered.
    #[error("the destination {0} has the bucket and the key_template of another one")]
    SharedDestination(DestinationName),
}

impl std::str::FromStr for SourceSettings {
    type Err = SettingsError;

    /// Parses the settings, and refuses unknown fields, and destinations that cannot be told apart. (Events, which
    /// contain [`Options`] too, are parsed leniently, because an older version must be able to read them.)
    fn from_str(text: &str) -> Result<Self, SettingsError> {
        let mut unknown = Vec::new();
        let mut json = serde_json::Deserializer::from_str(text);
        let settings: Self = serde_ignored::deserialize(&mut json, |path| unknown.push(path.to_string()))?;
        json.end()?;
        if !unknown.is_empty() {
            return Err(SettingsError::Unknown(unknown));
        }
        settings.check_destinations()?;
        Ok(settings)
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
        assert_eq!(settings.commit_status, None);
        assert!(!settings.disabled);
    }

    #[test]
    fn a_misspelt_setting_is_named() {
        let error = r#"{"provider":"gitlab","repositories":["group/*"],"refs":[],"git_hosts":[],
            "destination":{"bucket":"zips"},"options":{"limits":{"pack_byte":1}},"ref":[],
            "commit_status":{"api":"gitlab","uri":"https://git.example.com"}}"#
            .parse::<SourceSettings>()
            .unwrap_err();
        // An optional value is named by a question mark.
        assert_eq!(
            error.to_string(),
            "unknown: options.limits.pack_byte, ref, commit_status.?.uri"
        );
        assert!("{} {}".parse::<SourceSettings>().is_err());
    }

    #[test]
    fn options_of_a_later_version_can_be_read_from_an_event() {
        let options: Options = serde_json::from_str(r#"{"build_info":false,"later":{"x":1}}"#).unwrap();
        assert!(!options.build_info);
    }
}
