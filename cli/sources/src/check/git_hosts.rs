//! The git hosts of a source.

use std::time::Duration;

use aws::failure::Failed;
use credentials::{Access, Credentials};
use domain::error::Code;
use domain::git::RepositoryPath;
use domain::glob::Globs;
use domain::policy::{named_repositories, url_of_named};
use domain::remote_url::RemoteUrl;
use domain::source::{GitHost, SourceSettings};
use domain::state::PushState;
use remote::TransferProgram;

use crate::check::from_fetch::FetchFunction;
use crate::check::outcome::Check;
use crate::host_keys::presented;

/// How long a host may take to list the refs of a repository.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How many of the repositories are asked for that the settings name.
const MAX_REPOSITORIES: usize = 3;

/// Returns the repositories to ask for: the one that was named, or those that the settings name without a wildcard. If
/// they name none, that of the last push, unless it may be on any of several hosts.
pub fn repositories(
    settings: &SourceSettings,
    named: Option<&RepositoryPath>,
    pushes: &[PushState],
) -> Vec<RepositoryPath> {
    if let Some(named) = named {
        return vec![named.clone()];
    }
    let mut repositories = named_repositories(settings);
    repositories.truncate(MAX_REPOSITORIES);
    if repositories.is_empty() && settings.git_hosts.len() == 1 {
        // One that was ignored may be of a repository that is none of the source's.
        let last = pushes.iter().find(|push| push.deliver.is_some());
        repositories.extend(last.map(|push| push.push.repository.clone()));
    }
    repositories
}

/// Checks each host: its key, the login, and the refs of a repository. This machine asks, and so does the function that
/// fetches: a host that it reaches need not be reached from here.
pub async fn check(
    settings: &SourceSettings,
    credentials: &Credentials,
    repositories: &[RepositoryPath],
    program: &TransferProgram,
    function: &FetchFunction<'_>,
) -> Vec<Check> {
    let mut checks = Vec::new();
    for host in &settings.git_hosts {
        let mut from_here = Vec::new();
        let mut from_function = Vec::new();
        if host.origin().scheme() == "ssh" {
            let hosts = std::slice::from_ref(host);
            let named = repositories.first();
            let named = named.and_then(|path| url_of_named(settings.provider, hosts, path));
            let url = named.unwrap_or_else(|| host.url().clone());
            from_here.push(host_key(host, &url, credentials, program).await);
        }
        let has_key = !from_here.iter().any(Check::is_failed);
        if repositories.is_empty() {
            let reason = "nothing was pushed lately, and the settings name no repository without a wildcard: push-code sources test NAME --repository \
                          GROUP/PROJECT";
            checks.push(Check::not_checked(host.as_str(), reason));
        }
        for repository in repositories {
            let Some(url) = url_of_named(settings.provider, std::slice::from_ref(host), repository) else {
                let reason = format!("no repository can be {repository} there");
                let remedy = "Write its path as it is in the URL to clone it.";
                checks.push(Check::wrong(host.as_str(), reason, remedy));
                continue;
            };
            if has_key {
                from_here.push(refs(settings, credentials, &url, program).await);
            }
            from_function.push(function.check(&url).await);
        }
        checks.extend(joined(from_here, from_function));
    }
    checks
}

/// Joins what this machine and the function have found of a host. What the function can do is not wrong, even if this
/// machine cannot do it.
fn joined(mut from_here: Vec<Check>, from_function: Vec<Check>) -> Vec<Check> {
    if !from_function.is_empty() && from_function.iter().all(Check::is_ok) {
        from_here = from_here.into_iter().map(Check::or_not_checked).collect();
    }
    from_here.into_iter().chain(from_function).collect()
}

/// Checks that the key that an SSH host presents is pinned in the login for `url`.
async fn host_key(
    host: &GitHost,
    url: &RemoteUrl,
    credentials: &Credentials,
    program: &TransferProgram,
) -> Check {
    let subject = format!("host key of {host}");
    let key = match presented(host, program).await {
        Ok(key) => key,
        Err(failed) => return Check::failed(subject, &failed),
    };
    let pinned = match credentials.access(url).await {
        Ok(Access::Key { known_hosts, .. }) => known_hosts,
        Ok(_) => String::new(),
        Err(error) => return Check::failed(subject, &Failed::new(&error)),
    };
    match key.check(&pinned) {
        Ok(()) => Check::ok(subject, format!("{} {}", key.algorithm(), key.fingerprint())),
        Err(reason) => Check::failed(subject, &Failed::with_cause(Code::HostKeyMismatch, &reason)),
    }
}

/// Lists the refs of a repository, as the sweep does.
async fn refs(
    settings: &SourceSettings,
    credentials: &Credentials,
    url: &RemoteUrl,
    program: &TransferProgram,
) -> Check {
    let subject = url.to_string();
    let listed = match program.list_with(credentials, url, TIMEOUT).await {
        Ok(listed) => listed,
        Err(failed) => return Check::failed(subject, &failed),
    };
    let wanted = Globs::of_refs(settings).map_or(0, |globs| {
        let names = listed.iter().map(|listed| listed.name.as_str());
        names.filter(|name| globs.match_any(name)).count()
    });
    let access = credentials.access(url).await.ok();
    Check::ok(subject, found(listed.len(), wanted, access.as_ref()))
}

/// Says what was found, and if it was found without a login, as only a public repository is.
fn found(listed: usize, wanted: usize, access: Option<&Access>) -> String {
    let login = match access {
        Some(Access::Anonymous) => ", without a login: no entry of the git secret is for this repository",
        _ => "",
    };
    format!("it lists {listed} refs, of which {wanted} are delivered{login}")
}

#[cfg(test)]
mod tests {
    use domain::samples;

    use super::*;

    #[test]
    fn the_repository_of_the_last_push_is_asked_for_if_none_is_named() {
        let settings = |repositories: &str, hosts: &str| -> SourceSettings {
            let text = format!(
                r#"{{"provider":"gitlab","git_hosts":[{hosts}],"repositories":["{repositories}"],"refs":["refs/**"],
                     "destination":{{"bucket":"zips-of-pushes"}}}}"#
            );
            text.parse().unwrap()
        };
        let one = r#""https://git.example.com""#;
        let two = r#""https://git.example.com","ssh://git@git.example.com""#;
        let delivered = samples::push("1", "refs/heads/main");
        let ignored = PushState {
            deliver: None,
            ..samples::folded(samples::delivered_trail(&samples::push("2", "refs/heads/main")))
        };
        let pushes = [ignored, samples::folded(samples::delivered_trail(&delivered))];
        let asked = |settings: &SourceSettings, pushes: &[PushState]| repositories(settings, None, pushes);
        assert_eq!(
            asked(&settings("**", one), &pushes),
            std::slice::from_ref(&delivered.repository)
        );
        assert!(asked(&settings("**", one), &pushes[..1]).is_empty());
        assert!(asked(&settings("**", two), &pushes).is_empty());
        let named: RepositoryPath = "group/named".parse().unwrap();
        assert_eq!(
            asked(&settings("group/named", one), &pushes),
            std::slice::from_ref(&named)
        );
        assert_eq!(repositories(&settings("**", one), Some(&named), &pushes), [named]);
    }

    #[test]
    fn a_host_that_only_the_function_reaches_is_not_wrong() {
        let wrong = || vec![Check::wrong("h", "unreachable", "Open it.")];
        let fine = || vec![Check::ok("h", "it lists 2 refs")];
        let unknown = || vec![Check::not_checked("h", "no right")];
        let is_wrong = |checks: Vec<Check>| checks.iter().any(Check::is_failed);
        assert!(!is_wrong(joined(wrong(), fine())));
        assert!(is_wrong(joined(fine(), wrong())));
        assert!(is_wrong(joined(wrong(), unknown())));
        assert!(is_wrong(joined(wrong(), Vec::new())));
        assert_eq!(joined(fine(), fine()), [fine(), fine()].concat());
    }

    #[test]
    fn a_repository_that_is_read_without_a_login_is_said_to_be() {
        assert!(found(2, 1, Some(&Access::Anonymous)).contains("no entry"));
        assert_eq!(found(2, 1, None), "it lists 2 refs, of which 1 are delivered");
    }
}
