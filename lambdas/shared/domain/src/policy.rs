//! Whether a push is wanted, and what it is to become: the source's settings applied to one push.

use globset::{GlobBuilder, GlobMatcher};

use crate::Invalid;
use crate::contract::{IgnoreReason, Ignored};
use crate::destination::Destination;
use crate::push::Push;
use crate::remote_url::RemoteUrl;
use crate::source::{GitHost, Options, SourceSettings};

/// What the settings say of a push.
#[expect(
    clippy::large_enum_variant,
    reason = "a push has one, which is made, read and dropped"
)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It is wanted.
    Deliver(Wanted),
    /// It is not for us.
    Ignore(Ignored),
}

/// A wanted push, before it has its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// See [`crate::contract::Deliver::clone_url`].
    pub clone_url: RemoteUrl,
    /// Where the zip goes.
    pub destination: Destination,
    /// How the zip is made.
    pub options: Options,
}

/// Settings that cannot be applied to a push.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// A glob of the settings is none.
    #[error("the setting {setting} has the glob {glob:?}, which cannot be read: {reason}")]
    Glob {
        /// The setting.
        setting: &'static str,
        /// The glob.
        glob: String,
        /// Why not.
        reason: String,
    },
    /// None of the payload's URLs is on a host that the settings name.
    #[error(
        "the payload's clone URLs ({urls}) are on none of the git hosts that the source's settings allow ({allowed})"
    )]
    GitHostNotAllowed {
        /// The payload's URLs, without credentials.
        urls: String,
        /// The settings' hosts.
        allowed: String,
    },
    /// The destination's key cannot be made.
    #[error("the destination's key cannot be made")]
    Key(#[from] Invalid),
}

/// Decides by `settings` whether `push` is wanted.
///
/// # Errors
/// [`PolicyError`] where the settings cannot be applied: a push that ought to be delivered must not be dropped silently.
pub fn decide(settings: &SourceSettings, push: &Push) -> Result<Decision, PolicyError> {
    let ignore = |reason, detail| {
        Ok(Decision::Ignore(Ignored {
            reason,
            detail,
            duplicate_of: None,
        }))
    };
    if !matches_any("repositories", &settings.repositories, push.repository.as_str())? {
        return ignore(
            IgnoreReason::RepositoryNotAllowed,
            format!(
                "the repository {} matches none of {:?}",
                push.repository, settings.repositories
            ),
        );
    }
    if !matches_any("refs", &settings.refs, push.ref_name.as_str())? {
        return ignore(
            IgnoreReason::RefNotWanted,
            format!("the ref {} matches none of {:?}", push.ref_name, settings.refs),
        );
    }
    if push.after.is_none() {
        return ignore(
            IgnoreReason::RefDeleted,
            format!("the push deleted {}", push.ref_name),
        );
    }
    Ok(Decision::Deliver(Wanted {
        clone_url: choose_url(&settings.git_hosts, push)?,
        destination: Destination {
            bucket: settings.destination.bucket.clone(),
            key: settings.destination.key_template.render(push)?,
        },
        options: settings.options.clone(),
    }))
}

fn matches_any(setting: &'static str, globs: &[String], text: &str) -> Result<bool, PolicyError> {
    for glob in globs {
        if matcher(setting, glob)?.is_match(text) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// `*` stays within one part of a path, `**` crosses parts.
fn matcher(setting: &'static str, glob: &str) -> Result<GlobMatcher, PolicyError> {
    GlobBuilder::new(glob)
        .literal_separator(true)
        .build()
        .map(|glob| glob.compile_matcher())
        .map_err(|error| PolicyError::Glob {
            setting,
            glob: glob.to_owned(),
            reason: error.kind().to_string(),
        })
}

/// The payload's URL that is on the first of the allowed hosts, with the settings' user name and no password.
///
/// A payload is as trustworthy as whoever knows the webhook's token: its URL chooses among the allowed hosts, and
/// never leads anywhere else. Below the host's prefix its path has to be exactly the repository's, or another repository's
/// content could be fetched under an allowed name.
fn choose_url(hosts: &[GitHost], push: &Push) -> Result<RemoteUrl, PolicyError> {
    let urls: Vec<RemoteUrl> = push
        .clone_urls
        .iter()
        .filter_map(|text| RemoteUrl::parse_with_short_form(text).ok())
        .collect();
    for host in hosts {
        let on_host = urls
            .iter()
            .find(|url| host.repository(url).as_ref() == Some(&push.repository));
        if let Some(url) = on_host {
            return Ok(url.with_user_of(host.url()));
        }
    }
    let list = |items: Vec<String>| {
        if items.is_empty() {
            "none".to_owned()
        } else {
            items.join(", ")
        }
    };
    Err(PolicyError::GitHostNotAllowed {
        urls: list(urls.iter().map(|url| url.without_credentials().into()).collect()),
        allowed: list(hosts.iter().map(ToString::to_string).collect()),
    })
}

/// Where a submodule is fetched from: its URL of `.gitmodules`, absolute or relative to `parent`, on one of the allowed
/// hosts. Whoever wrote the repository chose it: like a payload's, it chooses among the hosts that the settings name. Where
/// it names another scheme or port of such a host, the settings' are used, since these have credentials. `None` if it
/// leads elsewhere.
#[must_use]
pub fn submodule_url(hosts: &[GitHost], parent: &RemoteUrl, text: &str) -> Option<RemoteUrl> {
    let url = if text.starts_with("./") || text.starts_with("../") {
        relative_to(parent, text)
    } else {
        RemoteUrl::parse_with_short_form(text).ok()?
    };
    if url.origin() == parent.origin() {
        return Some(url.with_user_of(parent));
    }
    let exact = hosts.iter().find(|host| host.origin() == url.origin());
    let of_name = || {
        let mut hosts = hosts.iter();
        hosts.find(|host| host.origin().host() == url.origin().host())
    };
    let host = exact.or_else(of_name)?;
    // Of another scheme the path has no prefix: GitLab's SSH URLs have none.
    let prefix = exact.map_or(host.prefix(), |_| "");
    Some(host.url().with_path(&format!("{prefix}{}", url.path())))
}

/// Whether a submodule, or an LFS server, may be of the repository that a URL names: whether a glob matches its path, decoded
/// and without `.git` at its end. Whoever may push to one repository must not read another one by the source's credentials.
///
/// # Errors
/// [`PolicyError::Glob`].
pub fn submodule_is_allowed(repositories: &[String], url: &RemoteUrl) -> Result<bool, PolicyError> {
    match url.repository() {
        Some(path) => matches_any("submodule_repositories", repositories, path.as_str()),
        None => Ok(false),
    }
}

/// git's rule (<https://git-scm.com/docs/gitmodules>): each `../` takes one part off the parent's URL.
fn relative_to(parent: &RemoteUrl, text: &str) -> RemoteUrl {
    let mut path: Vec<&str> = parent.path().trim_matches('/').split('/').collect();
    let mut rest = text;
    loop {
        if let Some(below) = rest.strip_prefix("../") {
            path.pop();
            rest = below;
        } else if let Some(below) = rest.strip_prefix("./") {
            rest = below;
        } else {
            break;
        }
    }
    path.push(rest);
    parent.with_path(&format!("/{}", path.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    fn settings() -> SourceSettings {
        serde_json::from_value(serde_json::json!({
            "provider": "gitlab",
            "repositories": ["group/*", "deep/**"],
            "refs": ["refs/heads/main", "refs/tags/v*"],
            "git_hosts": ["ssh://git@git.example.com", "git.example.com"],
            "destination": {"bucket": "zips"}
        }))
        .unwrap()
    }

    fn push(repository: &str, ref_name: &str, urls: &[&str]) -> Push {
        Push {
            repository: repository.parse().unwrap(),
            clone_urls: urls.iter().map(|&url| url.to_owned()).collect(),
            ..samples::push("d", ref_name)
        }
    }

    fn url(push: &Push) -> Result<String, PolicyError> {
        match decide(&settings(), push)? {
            Decision::Deliver(wanted) => Ok(wanted.clone_url.into()),
            Decision::Ignore(ignored) => panic!("ignored: {}", ignored.detail),
        }
    }

    fn reason(push: &Push) -> IgnoreReason {
        match decide(&settings(), push).unwrap() {
            Decision::Ignore(ignored) => ignored.reason,
            Decision::Deliver(wanted) => panic!("delivered from {}", wanted.clone_url),
        }
    }

    #[test]
    fn what_is_not_wanted_is_ignored_with_its_reason() {
        assert_eq!(
            reason(&push("other/project", "refs/heads/main", &[])),
            IgnoreReason::RepositoryNotAllowed
        );
        assert_eq!(
            reason(&push("group/sub/project", "refs/heads/main", &[])),
            IgnoreReason::RepositoryNotAllowed,
            "* does not cross a slash"
        );
        assert_eq!(
            reason(&push("group/project", "refs/heads/next", &[])),
            IgnoreReason::RefNotWanted
        );
        let mut deletion = push("deep/a/b/c", "refs/tags/v1", &[]);
        deletion.after = None;
        assert_eq!(reason(&deletion), IgnoreReason::RefDeleted);
    }

    #[test]
    fn the_first_allowed_host_that_the_payload_offers_is_fetched_from() {
        let both = [
            "https://git.example.com/group/project.git",
            "git@git.example.com:group/project.git",
        ];
        assert_eq!(
            url(&push("group/project", "refs/heads/main", &both)).unwrap(),
            "ssh://git@git.example.com/group/project.git"
        );
        assert_eq!(
            url(&push("group/project", "refs/heads/main", &both[..1])).unwrap(),
            "https://git.example.com/group/project.git"
        );
    }

    #[test]
    fn a_payload_never_leads_to_another_host_or_repository() {
        for hostile in [
            "https://evil.example.com/group/project.git",
            "https://git.example.com:8443/group/project.git",
            "http://git.example.com/group/project.git",
            "https://git.example.com@evil.example.com/group/project.git",
            "https://git.example.com/other/secret.git",
            "https://git.example.com/xgroup/project.git",
            "https://git.example.com/secret/group/project.git",
            "https://git.example.com/group%2fproject.git",
            "file:///etc/group/project",
            "ext::sh -c id",
            "git.example.com",
        ] {
            let error = url(&push("group/project", "refs/heads/main", &[hostile])).unwrap_err();
            assert!(
                matches!(error, PolicyError::GitHostNotAllowed { .. }),
                "{hostile}: {error}"
            );
        }
    }

    #[test]
    fn a_refused_url_is_named_without_its_credentials() {
        let hostile = "https://user:secret@evil.example.com/group/project.git";
        let error = url(&push("group/project", "refs/heads/main", &[hostile])).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("(https://evil.example.com/group/project.git)"),
            "{text}"
        );
        let error = url(&push("group/project", "refs/heads/main", &[])).unwrap_err();
        assert!(error.to_string().contains("(none)"), "{error}");
    }

    #[test]
    fn the_user_of_an_ssh_url_is_the_settings_one_if_they_name_one() {
        let parent: RemoteUrl = "ssh://bot@git.example.com/group/project.git".parse().unwrap();
        let url = |host: &str, text: &str| {
            let hosts = [host.parse().unwrap()];
            submodule_url(&hosts, &parent, text).map(String::from)
        };
        assert_eq!(
            url("ssh://other.example.com", "git@other.example.com:a/b").as_deref(),
            Some("ssh://other.example.com/a/b")
        );
        assert_eq!(
            url("ssh://git.example.com", "../../../../lib.git").as_deref(),
            Some("ssh://bot@git.example.com/lib.git")
        );
        let mut settings = settings();
        let push = push(
            "group/project",
            "refs/heads/main",
            &["deploy@git.example.com:group/project.git"],
        );
        for (host, expected) in [
            (
                "ssh://git.example.com",
                "ssh://deploy@git.example.com/group/project.git",
            ),
            (
                "ssh://git@git.example.com",
                "ssh://git@git.example.com/group/project.git",
            ),
        ] {
            settings.git_hosts = vec![host.parse().unwrap()];
            let Decision::Deliver(wanted) = decide(&settings, &push).unwrap() else {
                panic!("ignored")
            };
            assert_eq!(wanted.clone_url.as_str(), expected);
        }
    }

    #[test]
    fn credentials_and_queries_in_a_payload_are_dropped() {
        let push = push(
            "group/project",
            "refs/heads/main",
            &["https://user:secret@git.example.com/group/project.git?x=y#z"],
        );
        assert_eq!(url(&push).unwrap(), "https://git.example.com/group/project.git");
    }

    #[test]
    fn repositories_may_be_below_a_prefix_of_the_host() {
        let mut settings = settings();
        settings.git_hosts = vec!["git.example.com/root".parse().unwrap()];
        let push = push(
            "group/project",
            "refs/heads/main",
            &["https://git.example.com/root/group/project.git"],
        );
        let Decision::Deliver(wanted) = decide(&settings, &push).unwrap() else {
            panic!("ignored")
        };
        assert_eq!(
            wanted.clone_url.as_str(),
            "https://git.example.com/root/group/project.git"
        );
        let parent: RemoteUrl = "ssh://other.example.com/group/project.git".parse().unwrap();
        let url = |text: &str| submodule_url(&settings.git_hosts, &parent, text).map(String::from);
        for text in ["git@git.example.com:a/b", "https://git.example.com/root/a/b"] {
            assert_eq!(url(text).unwrap(), "https://git.example.com/root/a/b");
        }
    }

    #[test]
    fn a_submodule_is_on_an_allowed_host() {
        let hosts: Vec<GitHost> = ["https://git.example.com", "ssh://bot@other.example.com:2222"]
            .map(|host| host.parse().unwrap())
            .into();
        let parent: RemoteUrl = "https://git.example.com/group/sub/project.git".parse().unwrap();
        let url = |text: &str| submodule_url(&hosts, &parent, text).map(String::from);
        for (text, expected) in [
            ("../lib.git", "https://git.example.com/group/sub/lib.git"),
            ("../../lib.git", "https://git.example.com/group/lib.git"),
            (
                "./nested.git",
                "https://git.example.com/group/sub/project.git/nested.git",
            ),
            ("../../../../../lib.git", "https://git.example.com/lib.git"),
            (
                "https://user:secret@git.example.com/a/b.git?x#y",
                "https://git.example.com/a/b.git",
            ),
            ("git@git.example.com:a/b.git", "https://git.example.com/a/b.git"),
            (
                "ssh://git@GIT.example.com:7/a/b.git",
                "https://git.example.com/a/b.git",
            ),
            (
                "https://other.example.com/a/b",
                "ssh://bot@other.example.com:2222/a/b",
            ),
            ("other.example.com:a/b", "ssh://bot@other.example.com:2222/a/b"),
        ] {
            assert_eq!(url(text).as_deref(), Some(expected), "{text}");
        }
        for hostile in [
            "https://evil.example.com/a.git",
            "https://git.example.com@evil.example.com/a.git",
            "file:///etc",
            "/etc/passwd",
            "ext::sh -c id",
            "-u./payload",
            "",
        ] {
            assert_eq!(url(hostile), None, "{hostile}");
        }
    }

    #[test]
    fn a_submodule_is_of_an_allowed_repository() {
        let globs = ["group/*".to_owned(), "third/party".to_owned()];
        for (url, allowed) in [
            ("https://h/group/lib.git", true),
            ("ssh://git@h/group/lib", true),
            ("https://h/third/party.git/", true),
            ("https://h/secret/lib.git", false),
            ("https://h/group/sub/lib.git", false),
            ("https://h/x/group/lib.git", false),
            ("https://h/group/sub%2Flib.git", false),
            ("https://h/group/x%2f..%2f..%2fsecret%2flib.git", false),
            ("ssh://git@h/group/x%5C..%5Csecret", false),
            ("https://h/%67roup/lib.git", true),
            ("https://h/%73ecret/lib.git", false),
        ] {
            let url = url.parse().unwrap();
            assert_eq!(submodule_is_allowed(&globs, &url).unwrap(), allowed, "{url}");
        }
    }

    #[test]
    fn a_glob_that_cannot_be_read_is_an_error_and_not_a_silent_no() {
        let mut settings = settings();
        settings.refs = vec!["refs/heads/[".to_owned()];
        let error = decide(&settings, &push("group/project", "refs/heads/main", &[])).unwrap_err();
        assert!(error.to_string().contains("refs/heads/["), "{error}");
    }
}
