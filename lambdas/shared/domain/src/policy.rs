//! Decides by the source's settings whether and how a push is delivered.

use crate::Invalid;
use crate::commit_status::CommitStatusTarget;
use crate::contract::{IgnoreReason, Ignored};
use crate::destination::{Destination, ObjectKey};
use crate::git::RepositoryPath;
use crate::glob::{GlobError, matches_any};
use crate::paths::PathFilter;
use crate::push::{DestinationName, FurtherPush, Push};
use crate::remote_url::RemoteUrl;
use crate::source::{DestinationSettings, GitHost, OnDeletion, Options, Provider, SourceSettings};

/// The decision about a push.
#[expect(
    clippy::large_enum_variant,
    reason = "a push has one, which is made, read and dropped"
)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The push is to be delivered.
    Deliver(DeliveryPlan),
    /// The push has deleted its ref, whose zip is to be removed.
    Expire(ExpiryPlan),
    /// The push is not to be delivered.
    Ignore(Ignored),
}

/// How a push is to be delivered, before it has its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryPlan {
    /// See [`crate::contract::Deliver::clone_url`].
    pub clone_url: RemoteUrl,
    /// The destination of the zip.
    pub destination: Destination,
    /// How the zip is made.
    pub options: Options,
    /// See [`crate::contract::Deliver::commit_status`].
    pub commit_status: Option<CommitStatusTarget>,
    /// See [`crate::contract::Deliver::paths`].
    pub paths: Vec<String>,
}

/// How the zip of a deleted ref is to be removed, before the deletion has its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpiryPlan {
    /// See [`crate::contract::Expire::clone_url`].
    pub clone_url: RemoteUrl,
    /// The destination of the ref's zip.
    pub destination: Destination,
}

/// Why settings cannot be applied to a push.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// A glob of the settings is malformed.
    #[error(transparent)]
    Glob(#[from] GlobError),
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
    /// Another destination of the source has the same key.
    #[error(
        "the destination {other} of the source has the same key {key}, so that each would replace the zip of the other"
    )]
    SharedKey {
        /// The key.
        key: ObjectKey,
        /// The name of the other destination.
        other: String,
    },
    /// A push could not be compared with what was delivered before.
    #[error(
        "the setting paths needs a key_template without {{after}}, because each push is compared with the zip that is at its \
         own key"
    )]
    PathsWithoutBase,
    /// The destination's key would be invalid.
    #[error("the destination's key would be invalid")]
    Key(#[from] Invalid),
}

/// Decides by `settings` whether and how `push` is delivered.
///
/// # Errors
/// Returns a [`PolicyError`] if the settings cannot be applied, so that no push is dropped silently.
pub fn decide(settings: &SourceSettings, push: &Push) -> Result<Decision, PolicyError> {
    let ignore = |reason, detail| {
        Ok(Decision::Ignore(Ignored {
            reason,
            detail,
            duplicate_of: None,
            further: Vec::new(),
        }))
    };
    if settings.disabled {
        return ignore(
            IgnoreReason::SourceDisabled,
            format!("the source {} is disabled", push.source),
        );
    }
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
    let Some((wanted, options)) = settings.destination(push.destination.as_ref()) else {
        return ignore(
            IgnoreReason::DestinationUnknown,
            format!(
                "the source {} has no destination of the name {}",
                push.source,
                name_of(push.destination.as_ref())
            ),
        );
    };
    // A key of each commit is not that of the ref.
    let expires = wanted.on_deletion == OnDeletion::Expire && !wanted.key_template.is_of_each_commit();
    if push.after.is_none() && expires {
        return Ok(Decision::Expire(ExpiryPlan {
            clone_url: clone_url(settings, push)?,
            destination: place(settings, push, wanted)?,
        }));
    }
    if push.after.is_none() {
        return ignore(
            IgnoreReason::RefDeleted,
            format!("the push deleted {}", push.ref_name),
        );
    }
    check_paths(wanted, options)?;
    let clone_url = clone_url(settings, push)?;
    let is_of_push = |host: &&GitHost| host.repository(&clone_url).as_ref() == Some(&push.repository);
    let host = settings.git_hosts.iter().find(is_of_push);
    let commit_status = settings.commit_status.as_ref();
    Ok(Decision::Deliver(DeliveryPlan {
        commit_status: host.and_then(|host| Some(commit_status?.resolve(host, push.destination.as_ref()))),
        clone_url,
        destination: place(settings, push, wanted)?,
        options: options.clone(),
        paths: wanted.paths.clone(),
    }))
}

/// Returns the URL that a push is fetched from. If the host has named none, the repository is on the most preferred
/// host.
fn clone_url(settings: &SourceSettings, push: &Push) -> Result<RemoteUrl, PolicyError> {
    match url_of_named(settings.provider, &settings.git_hosts, &push.repository) {
        Some(url) if push.clone_urls.is_empty() => Ok(url),
        _ => choose_url(&settings.git_hosts, &push.repository, &push.clone_urls),
    }
}

/// Returns the pushes that deliver the same change to the further destinations. Those that no webhook has reported were
/// started for one destination alone.
#[must_use]
pub fn further(settings: &SourceSettings, push: &Push) -> Vec<FurtherPush> {
    if push.destination.is_some() || !push.trigger.is_webhook() {
        return Vec::new();
    }
    let names = settings.destinations().flatten();
    names.map(|name| push.to_further(name)).collect()
}

/// Returns where the zip goes. No other destination of the source may have the same key for this push.
fn place(
    settings: &SourceSettings,
    push: &Push,
    wanted: &DestinationSettings,
) -> Result<Destination, PolicyError> {
    let key = wanted.key_template.render(push)?;
    let others = settings
        .destinations()
        .filter(|name| *name != push.destination.as_ref());
    for name in others {
        if let Some((other, _)) = settings.destination(name)
            && other.bucket == wanted.bucket
            && other.key_template.render(push).is_ok_and(|other| other == key)
        {
            return Err(PolicyError::SharedKey {
                key,
                other: name_of(name).to_owned(),
            });
        }
    }
    Ok(Destination {
        bucket: wanted.bucket.clone(),
        key,
    })
}

/// Returns the name of a destination, for people.
fn name_of(destination: Option<&DestinationName>) -> &str {
    destination.map_or("destination", DestinationName::as_str)
}

fn check_paths(destination: &DestinationSettings, options: &Options) -> Result<(), PolicyError> {
    let filter = PathFilter {
        globs: destination.paths.clone(),
        attributes: options.attributes,
    };
    filter.compile()?;
    if !destination.paths.is_empty() && destination.key_template.is_of_each_commit() {
        return Err(PolicyError::PathsWithoutBase);
    }
    Ok(())
}

/// Returns the repositories that the settings name without a wildcard, so that they are known before their first push.
#[must_use]
pub fn named_repositories(settings: &SourceSettings) -> Vec<RepositoryPath> {
    let named = settings
        .repositories
        .iter()
        .filter(|glob| !glob.contains(['*', '?', '[', ']', '{', '}', '\\', '!']));
    named.filter_map(|path| path.parse().ok()).collect()
}

/// Returns the URL of a repository that is known only by its path, on the most preferred host, as its pushes name it if
/// they name any. Returns `None` if there is no host, or none on which it would be this repository.
#[must_use]
pub fn url_of_named(provider: Provider, hosts: &[GitHost], repository: &RepositoryPath) -> Option<RemoteUrl> {
    let host = hosts.first()?;
    let (prefix, suffix) = (host.prefix(), provider.url_suffix());
    let url = host.url().with_path(&format!("{prefix}/{repository}{suffix}"));
    (host.repository(&url).as_ref() == Some(repository)).then_some(url)
}

/// Returns the payload's URL on the most preferred allowed host, with the settings' user name and no password.
///
/// Whoever knows the webhook's token can write a payload, so its URL only chooses among the allowed hosts, and never
/// leads anywhere else. Its path below the host's prefix must be exactly the repository's, or the content of another
/// repository could be fetched under an allowed name.
///
/// # Errors
/// Returns [`PolicyError::GitHostNotAllowed`] if no URL is on an allowed host.
pub fn choose_url(
    hosts: &[GitHost],
    repository: &RepositoryPath,
    clone_urls: &[String],
) -> Result<RemoteUrl, PolicyError> {
    let urls: Vec<RemoteUrl> = clone_urls
        .iter()
        .filter_map(|text| RemoteUrl::parse_with_short_form(text).ok())
        .collect();
    for host in hosts {
        let on_host = urls
            .iter()
            .find(|url| host.repository(url).as_ref() == Some(repository));
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

/// Returns the URL to fetch a submodule from, by its URL in `.gitmodules`, which is absolute or relative to `parent`,
/// or `None` if it is on none of the allowed hosts. Whoever wrote the repository chose that URL, so like a payload's it
/// only chooses among the hosts that the settings name. If it has another scheme or port than such a host, those of the
/// settings are used, because the credentials are for them.
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
    // A URL of another scheme has no prefix, as GitLab's SSH URLs have none.
    let prefix = exact.map_or(host.prefix(), |_| "");
    Some(host.url().with_path(&format!("{prefix}{}", url.path())))
}

/// Returns whether the repository that a URL names is allowed as a submodule or LFS server: a glob must match its path,
/// decoded and without `.git` at its end. Otherwise whoever may push to one repository could read another one by the
/// source's credentials.
///
/// # Errors
/// Returns [`PolicyError::Glob`] if a glob is malformed.
pub fn submodule_is_allowed(repositories: &[String], url: &RemoteUrl) -> Result<bool, PolicyError> {
    let Some(path) = url.repository() else {
        return Ok(false);
    };
    Ok(matches_any(
        "submodule_repositories",
        repositories,
        path.as_str(),
    )?)
}

/// Resolves a relative URL by git's rule (<https://git-scm.com/docs/gitmodules>): each `../` removes one part of the
/// parent's URL.
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
    use crate::glob::Globs;
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
            other => panic!("{other:?}"),
        }
    }

    /// The payload chooses among the hosts of the settings, and names none.
    #[test]
    fn a_status_is_set_by_the_api_of_the_host_that_the_push_is_fetched_from() {
        let mut settings = settings();
        let push = push(
            "group/project",
            "refs/heads/main",
            &["https://git.example.com/group/project"],
        );
        let target = |settings: &SourceSettings| match decide(settings, &push).unwrap() {
            Decision::Deliver(plan) => plan.commit_status,
            other => panic!("{other:?}"),
        };
        assert_eq!(target(&settings), None);
        settings.commit_status = serde_json::from_str(r#"{"api":"gitlab"}"#).unwrap();
        let of_host = target(&settings).unwrap();
        assert_eq!(of_host.url.as_str(), "https://git.example.com/api/v4");
    }

    fn reason(push: &Push) -> IgnoreReason {
        match decide(&settings(), push).unwrap() {
            Decision::Ignore(ignored) => ignored.reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_push_that_is_not_wanted_is_ignored_with_a_reason() {
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
    fn a_disabled_source_delivers_nothing() {
        let disabled = SourceSettings {
            disabled: true,
            ..settings()
        };
        let mut push = push(
            "group/project",
            "refs/heads/main",
            &["https://git.example.com/group/project"],
        );
        for after in [push.after.clone(), None] {
            push.after = after;
            let Decision::Ignore(ignored) = decide(&disabled, &push).unwrap() else {
                panic!("delivered");
            };
            assert_eq!(ignored.reason, IgnoreReason::SourceDisabled);
            assert_eq!(ignored.detail, format!("the source {} is disabled", push.source));
        }
    }

    #[test]
    fn the_most_preferred_host_that_the_payload_offers_is_chosen() {
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
            "/etc/group/project",
            "ext::sh -c id",
            "ssh://-oProxyCommand=id/group/project.git",
            "-oProxyCommand=id:group/project.git",
            "https://169.254.169.254/group/project.git",
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
        let error = url(&push("group/project", "refs/heads/main", &["file:///etc"])).unwrap_err();
        assert!(error.to_string().contains("(none)"), "{error}");
    }

    #[test]
    fn the_user_of_an_ssh_url_is_that_of_the_settings_if_they_name_one() {
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
    fn a_repository_that_is_named_in_full_has_a_url_before_its_first_push() {
        let mut settings = settings();
        settings.repositories = [
            "group/*",
            "group/one",
            "a/[bc]",
            "x?",
            "with/a blank",
            "..",
            "/b.git",
        ]
        .map(str::to_owned)
        .into();
        let named = named_repositories(&settings);
        let paths: Vec<_> = named.iter().map(RepositoryPath::as_str).collect();
        assert_eq!(paths, ["group/one", "with/a blank", "b"]);
        let hosts = |host: &str| [host.parse().unwrap()];
        for (provider, host, expected) in [
            (
                Provider::GitLab,
                "git.example.com",
                "https://git.example.com/with/a%20blank.git",
            ),
            (
                Provider::GitLab,
                "https://git.example.com/root",
                "https://git.example.com/root/with/a%20blank.git",
            ),
            (
                Provider::GitLab,
                "ssh://git@git.example.com",
                "ssh://git@git.example.com/with/a%20blank.git",
            ),
            (
                Provider::AzureDevOps,
                "dev.azure.com",
                "https://dev.azure.com/with/a%20blank",
            ),
        ] {
            let url = url_of_named(provider, &hosts(host), &named[1]).unwrap();
            assert_eq!(url.as_str(), expected);
        }
        // The path of a URL would end there.
        for odd in ["a?b", "a#b", "a%2fb"] {
            let hosts = hosts("git.example.com");
            let url = url_of_named(Provider::GitLab, &hosts, &odd.parse().unwrap());
            assert!(
                url.is_none_or(|url| url.repository().unwrap().as_str() == odd),
                "{odd}"
            );
        }
        assert_eq!(url_of_named(Provider::GitLab, &[], &named[0]), None);
    }

    /// Some hosts name no URL in what they send. The host is that of the settings then, as always.
    #[test]
    fn a_push_without_a_url_is_fetched_from_the_most_preferred_host() {
        let without = push("group/project", "refs/heads/main", &[]);
        assert_eq!(
            url(&without).unwrap(),
            "ssh://git@git.example.com/group/project.git"
        );
        let elsewhere = push(
            "group/project",
            "refs/heads/main",
            &["https://evil.example/group/project.git"],
        );
        assert!(url(&elsewhere).is_err());
    }

    #[test]
    fn globs_that_are_compiled_once_match_what_a_push_would() {
        let settings = settings();
        let refs = Globs::of_refs(&settings).unwrap();
        assert!(refs.match_any("refs/heads/main") && refs.match_any("refs/tags/v1"));
        assert!(!refs.match_any("refs/heads/main/x") && !refs.match_any("refs/heads/next"));
        let repositories = Globs::of_repositories(&settings).unwrap();
        assert!(repositories.match_any("deep/a/b") && !repositories.match_any("group/a/b"));
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
            "ssh://-oProxyCommand=id/a.git",
            "-oProxyCommand=id:a.git",
            "https://169.254.169.254/a.git",
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
    fn a_malformed_glob_is_an_error_and_does_not_drop_the_push() {
        let mut settings = settings();
        settings.refs = vec!["refs/heads/[".to_owned()];
        let error = decide(&settings, &push("group/project", "refs/heads/main", &[])).unwrap_err();
        assert!(error.to_string().contains("refs/heads/["), "{error}");
    }
}
