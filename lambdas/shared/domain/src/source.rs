//! A source's settings: the JSON of the SSM parameter `/{stack}/sources/{source}`.

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

use crate::Invalid;
use crate::destination::KeyTemplate;
use crate::git::RepositoryPath;
use crate::text::text_newtype;

text_newtype!(
    /// A git host that may be spoken to, as `scheme://[user@]host[:port][/prefix]` with scheme `https`, `ssh` or `http`.
    /// A bare `host[:port][/prefix]` means `https`. Plain `http` sends credentials in the clear: it must be spelled out.
    /// The prefix is for a host whose repositories are below a path, such as GitLab's relative URL root.
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
    /// Globs of further repositories that submodules may be of: the paths of their URLs, without `.git`.
    #[serde(default)]
    pub submodule_repositories: Vec<String>,
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

/// How a zip is made and delivered. The same commit and options give the same bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// Whether `build-info.json` is put at the root of the zip.
    pub build_info: bool,
    /// Whether `.gitattributes` are applied as `git archive` applies them: `export-ignore`, `export-subst`, line endings
    /// and encodings.
    pub attributes: bool,
    /// What becomes of symbolic links.
    pub symlinks: Symlinks,
    /// What becomes of submodules.
    pub submodules: Submodules,
    /// Whether Git LFS pointers are replaced by what they point to.
    pub lfs: bool,
    /// Whether the zip has a `.git` folder with the ref's history.
    pub full_clone: bool,
    /// Which commits may be delivered.
    pub commits: CommitPolicy,
    /// Whether the commit has to be signed.
    pub signature: SignaturePolicy,
    /// Whether an object at the destination that this project has not written is replaced.
    pub overwrite_foreign: bool,
    /// Where the work stops.
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

/// What becomes of symbolic links. None is ever followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Symlinks {
    /// They are links in the zip, wherever they lead.
    #[default]
    Keep,
    /// Likewise, but one that leads out of the commit's tree fails the push.
    Inside,
    /// Any link fails the push.
    Refuse,
}

/// What becomes of submodules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Submodules {
    /// They are empty folders, as in a clone without them.
    #[default]
    None,
    /// Each is fetched at its recorded commit, without history, and so are its own.
    Recursive,
}

/// Which commits may be delivered as what a ref points to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommitPolicy {
    /// Those that the git host shows on the pushed ref: what a tag points to, a branch's tip and the commits before it.
    #[default]
    OnRef,
    /// Whatever the webhook names, if the git host has it.
    Any,
}

/// Whether the commit has to be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SignaturePolicy {
    /// Nobody looks.
    #[default]
    Any,
    /// The commit, or the tag that was pushed, has to be signed by a key of the git secret.
    Required,
}

/// How long a connection to a git or LFS server may take to be made, in seconds.
pub const CONNECT_SECONDS: u64 = 15;

/// The limits of one push. A push that meets one fails with an error that names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// What the git host sends, submodules included, in bytes. It has to fit into the functions' ephemeral storage.
    pub pack_bytes: u64,
    /// The objects of one pack.
    pub objects: u64,
    /// The time that a fetch may take, submodules and LFS objects included, in seconds. It has to be below the `fetch`
    /// function's timeout.
    pub fetch_seconds: u64,
    /// The time that the git host may send nothing, in seconds.
    pub silence_seconds: u64,
    /// All submodules, theirs included.
    pub submodules: u64,
    /// Submodules within submodules, from 1.
    pub submodule_depth: u64,
    /// All LFS objects, in bytes. They have to fit into the `package` function's ephemeral storage beside the packs.
    pub lfs_bytes: u64,
    /// The files, links and folders of the commit.
    pub entries: u64,
    /// The paths of all files, links and folders of the commit together, in bytes. They are held in memory.
    pub path_bytes: u64,
    /// One file, in bytes.
    pub file_bytes: u64,
    /// One file that the git host sent as a delta, in bytes. It is held in memory.
    pub delta_file_bytes: u64,
    /// One file that attributes convert, in bytes. It is held in memory, before and after.
    pub converted_file_bytes: u64,
    /// All `.gitattributes`, in bytes.
    pub attributes_bytes: u64,
    /// The steps in which all `.gitattributes` are compared with all paths: each line with each path is one, and each part of
    /// a pattern with each byte that it may stand for.
    pub attributes_steps: u64,
    /// All files, in bytes.
    pub total_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pack_bytes: 4 << 30,
            objects: 10_000_000,
            fetch_seconds: 780,
            silence_seconds: 60,
            submodules: 100,
            submodule_depth: 8,
            lfs_bytes: 4 << 30,
            entries: 1_000_000,
            path_bytes: 256 << 20,
            file_bytes: 8 << 30,
            delta_file_bytes: 512 << 20,
            converted_file_bytes: 64 << 20,
            attributes_bytes: 2 << 20,
            attributes_steps: 10_000_000_000,
            total_bytes: 32 << 30,
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

    /// The path that all of its repositories are below, without a slash at its end. Mostly empty.
    #[must_use]
    pub fn prefix(&self) -> &str {
        let host = self.0.split_once("://").map_or(self.as_str(), |(_, host)| host);
        host.find('/').map_or("", |slash| &host[slash..])
    }

    /// The repository at `url`. `None` where it is not on this host, or not below its prefix.
    #[must_use]
    pub fn repository(&self, url: &url::Url) -> Option<RepositoryPath> {
        let below = url.path().strip_prefix(self.prefix())?;
        (origin(url) == self.origin() && below.starts_with('/'))
            .then(|| repository_path(below))
            .flatten()
    }
}

/// The repository that a URL's path names, as a git host reads it: percent-decoded. `None` where it is none, and where an
/// encoded slash hides how many parts it has, for hosts do not agree on what that is.
#[must_use]
pub fn repository_path(path: &str) -> Option<RepositoryPath> {
    let decoded = percent_decode_str(path).decode_utf8().ok()?;
    let slashes = |text: &str| text.matches('/').count();
    (slashes(&decoded) == slashes(path))
        .then(|| decoded.parse().ok())
        .flatten()
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
    if url.query().is_some() || url.fragment().is_some() {
        return Err(invalid("it has no query and no fragment"));
    }
    let host = GitHost(full.trim_end_matches('/').to_owned());
    // It is compared with the paths of URLs as it stands.
    if host.prefix() != url.path().trim_end_matches('/') || host.prefix().contains("//") {
        return Err(invalid(
            "its path is written as it is in the URLs of repositories",
        ));
    }
    Ok(host.0)
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
            "https://host/path?query",
            "https://host/a/../b",
            "https://host/a//b",
            "https://host/a b",
            "file:///etc",
        ] {
            assert!(wrong.parse::<GitHost>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_repository_is_at_its_exact_path_below_the_prefix() {
        let repository = |host: &str, url: &str| {
            let host: GitHost = host.parse().unwrap();
            host.repository(&url::Url::parse(url).unwrap()).map(String::from)
        };
        for (host, url, expected) in [
            (
                "git.example.com",
                "https://git.example.com/group/project.git",
                Some("group/project"),
            ),
            (
                "git.example.com/",
                "https://git.example.com/group/project/",
                Some("group/project"),
            ),
            (
                "git.example.com/root",
                "https://git.example.com/root/group/project.git",
                Some("group/project"),
            ),
            (
                "git.example.com/root/",
                "https://git.example.com/root/a%20b.git",
                Some("a b"),
            ),
            (
                "ssh://git@git.example.com",
                "ssh://git@git.example.com/~jo/a.git",
                Some("~jo/a"),
            ),
            (
                "git.example.com/root",
                "https://git.example.com/group/project.git",
                None,
            ),
            (
                "git.example.com/root",
                "https://git.example.com/rooted/project.git",
                None,
            ),
            ("git.example.com/root", "https://git.example.com/root", None),
            (
                "git.example.com",
                "https://git.example.com:8443/group/project.git",
                None,
            ),
            (
                "git.example.com",
                "https://git.example.com/group/x%2f..%2fsecret.git",
                None,
            ),
            (
                "git.example.com",
                "https://git.example.com/group%2Fproject.git",
                None,
            ),
            (
                "ssh://git.example.com",
                "ssh://git.example.com/group/%2e%2e/secret.git",
                Some("secret"),
            ),
            (
                "ssh://git.example.com",
                "ssh://git.example.com/group/x%5c..%5csecret.git",
                None,
            ),
            (
                "ssh://git.example.com",
                "ssh://git.example.com/group/x%00.git",
                None,
            ),
            (
                "ssh://git.example.com",
                "ssh://git.example.com/group/%ff.git",
                None,
            ),
        ] {
            assert_eq!(repository(host, url).as_deref(), expected, "{host} {url}");
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
