//! A source's settings: the JSON of the SSM parameter `/{stack}/sources/{source}`.

use serde::{Deserialize, Serialize};

use crate::Invalid;
use crate::destination::KeyTemplate;
use crate::text::text_newtype;

text_newtype!(
    /// A git host that may be spoken to, as `scheme://[user@]host[:port]` with scheme `https`, `ssh` or `http`.
    /// A bare `host[:port]` means `https`. Plain `http` sends credentials in the clear: it must be spelled out.
    GitHost,
    parse_git_host
);

/// What one git host or group may deliver, and where to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceSettings {
    /// Who calls the webhook.
    pub provider: Provider,
    /// Globs of the repositories that may be delivered: `group/project`, `group/*`, `group/**`.
    pub repositories: Vec<String>,
    /// Globs of the full ref names that are wanted: `refs/heads/main`, `refs/tags/v*`.
    pub refs: Vec<String>,
    /// The hosts that a repository may be fetched from, the preferred one first.
    pub git_hosts: Vec<GitHost>,
    /// Where the zips go.
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

/// The bucket and the names in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DestinationSettings {
    /// The bucket's name.
    pub bucket: String,
    /// The template of the object keys.
    #[serde(default)]
    pub key_template: KeyTemplate,
}

/// How a zip is made. The same commit and options give the same bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// Whether `build-info.json` is put at the root of the zip.
    pub build_info: bool,
    /// Where the work stops.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            build_info: true,
            limits: Limits::default(),
        }
    }
}

/// The limits of one push. A push that meets one fails with an error that names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// The pack that the git host sends, in bytes. It has to fit into the `fetch` function's ephemeral storage.
    pub pack_bytes: u64,
    /// The time that a fetch may take, in seconds. It has to be below the `fetch` function's timeout.
    pub fetch_seconds: u64,
    /// The time that the git host may send nothing, in seconds.
    pub silence_seconds: u64,
    /// The entries of the zip.
    pub entries: u64,
    /// One file, in bytes. A file is held in memory while it is compressed.
    pub file_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pack_bytes: 4 << 30,
            fetch_seconds: 780,
            silence_seconds: 60,
            entries: 1_000_000,
            file_bytes: 512 << 20,
        }
    }
}

/// Settings that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// They are not the JSON that they should be.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// They have fields that nothing reads: most likely one is misspelt, and its default would be used silently.
    #[error("unknown: {}", .0.join(", "))]
    Unknown(Vec<String>),
}

impl std::str::FromStr for SourceSettings {
    type Err = SettingsError;

    /// Strict, unlike the events, which hold [`Options`] too and which an older version must be able to read.
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

impl GitHost {
    /// Scheme, host and effective port: what has to be equal for a URL to be on this host.
    #[must_use]
    pub fn origin(&self) -> Option<(String, String, u16)> {
        url::Url::parse(&self.0).ok().as_ref().and_then(origin)
    }
}

/// A URL's scheme, host and effective port (`ssh` has 22 where none is given).
#[must_use]
pub fn origin(url: &url::Url) -> Option<(String, String, u16)> {
    let port = match url.scheme() {
        "ssh" => url.port().unwrap_or(22),
        _ => url.port_or_known_default()?,
    };
    Some((
        url.scheme().to_owned(),
        url.host_str()?.to_ascii_lowercase(),
        port,
    ))
}

fn parse_git_host(text: &str) -> Result<String, Invalid> {
    let invalid = |rule: &str| Invalid::new("git host", text, rule);
    let full = if text.contains("://") {
        text.to_owned()
    } else {
        format!("https://{text}")
    };
    let url = url::Url::parse(&full).map_err(|error| invalid(&error.to_string()))?;
    if !matches!(url.scheme(), "https" | "ssh" | "http") {
        return Err(invalid("its scheme is https, ssh or http"));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(invalid("it names a host"));
    }
    if url.password().is_some() || (url.scheme() != "ssh" && !url.username().is_empty()) {
        return Err(invalid("credentials belong into the git secret"));
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err(invalid(
            "it has no path: name a host, and use the repository globs for the rest",
        ));
    }
    Ok(full.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_git_host_is_an_origin() {
        let host: GitHost = "gitlab.example.com".parse().unwrap();
        assert_eq!(host.as_str(), "https://gitlab.example.com");
        assert_eq!(
            host.origin().unwrap(),
            ("https".into(), "gitlab.example.com".into(), 443)
        );
        let host: GitHost = "ssh://git@GitLab.example.com".parse().unwrap();
        assert_eq!(
            host.origin().unwrap(),
            ("ssh".into(), "gitlab.example.com".into(), 22)
        );
        for wrong in [
            "",
            "git://host",
            "https://user:secret@host",
            "https://user@host",
            "https://host/path",
            "file:///etc",
        ] {
            assert!(wrong.parse::<GitHost>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn settings_need_no_more_than_what_has_no_safe_default() {
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
