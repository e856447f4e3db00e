//! Finds the LFS server, by git-lfs's `docs/api/server-discovery.md`.

use domain::policy;
use domain::remote_url::RemoteUrl;
use domain::source::GitHost;
use egress::named;
use gix_config::File;
use gix_config::file::Metadata;
use url::Url;

use crate::error::Error;

/// The keys of a repository's `.lfsconfig` that git-lfs reads, in order of precedence. The remote has the name that
/// every clone gives it.
const KEYS: [&str; 2] = ["lfs.url", "remote.origin.lfsurl"];
/// The largest `.lfsconfig`, in bytes. It usually has a few lines.
pub const MAX_LFSCONFIG_BYTES: usize = 64 << 10;

/// The LFS server's URL, without a slash at its end.
pub fn find(
    clone_url: &RemoteUrl,
    git_hosts: &[GitHost],
    repositories: &[String],
    lfsconfig: Option<&[u8]>,
) -> Result<RemoteUrl, Error> {
    match lfsconfig.map(configured).transpose()?.flatten() {
        Some(text) => {
            let url = on_allowed_host(&text, clone_url, git_hosts)?;
            check_repository(&url, clone_url, git_hosts, repositories)?;
            Ok(url)
        }
        None => by_clone_url(clone_url, git_hosts),
    }
}

fn configured(lfsconfig: &[u8]) -> Result<Option<String>, Error> {
    let invalid = |reason: String| Error::Repository {
        what: ".lfsconfig",
        reason,
    };
    if lfsconfig.len() > MAX_LFSCONFIG_BYTES {
        return Err(invalid(format!("it has more than {MAX_LFSCONFIG_BYTES} bytes")));
    }
    // Includes are not followed, because they would name files of this function.
    let file = File::from_bytes_no_includes(
        lfsconfig,
        Metadata::api(),
        gix_config::file::init::Options::default(),
    )
    // The parser's own message quotes the file, which may have a password.
    .map_err(|_| invalid("it is not in the form of git's configuration".to_owned()))?;
    let values = KEYS.iter().filter_map(|key| file.string(key));
    Ok(values
        .map(|value| value.to_string().trim().to_owned())
        .find(|value| !value.is_empty()))
}

/// Parses the URL of a `.lfsconfig`. Whoever may push chooses it, so it must be on a host of the settings.
fn on_allowed_host(text: &str, clone_url: &RemoteUrl, git_hosts: &[GitHost]) -> Result<RemoteUrl, Error> {
    let Ok(url) = Url::parse(text) else {
        return Err(Error::Scheme {
            // The text is not quoted, because it may be anything, such as `user:password@host:path`.
            url: "something that is not a URL".to_owned(),
        });
    };
    let shown = named(&url);
    let url = match RemoteUrl::try_from(url) {
        Ok(url) if matches!(url.scheme(), "https" | "http") => url,
        _ => return Err(Error::Scheme { url: shown }),
    };
    let mut known = git_hosts.iter().map(GitHost::origin).chain([clone_url.origin()]);
    if !known.any(|known| known == url.origin()) {
        let hosts: Vec<_> = git_hosts.iter().map(ToString::to_string).collect();
        return Err(Error::HostNotAllowed {
            url: shown,
            allowed: hosts.join(", "),
        });
    }
    Ok(url.with_path(url.path().trim_end_matches('/')))
}

/// Checks that the server is the repository's own, or that of a repository that the settings allow. Otherwise whoever
/// may push could read another repository's objects by the source's credentials.
fn check_repository(
    url: &RemoteUrl,
    clone_url: &RemoteUrl,
    git_hosts: &[GitHost],
    repositories: &[String],
) -> Result<(), Error> {
    let repository = repository(url);
    // An SSH URL's path has no prefix, where the same repository's on the web may have one.
    let name = |url: &RemoteUrl| {
        let below = git_hosts.iter().find_map(|host| host.repository(url));
        below.or_else(|| url.repository())
    };
    let is_own = url.origin().host() == clone_url.origin().host()
        && name(&repository).is_some_and(|named| Some(named) == name(clone_url));
    if is_own || policy::submodule_is_allowed(repositories, &repository)? {
        return Ok(());
    }
    Err(Error::RepositoryNotAllowed {
        url: url.to_string(),
        allowed: repositories.join(", "),
    })
}

/// Returns the URL of the repository that an LFS server is for, by git-lfs's usual form of the server's URL.
pub fn repository(server: &RemoteUrl) -> RemoteUrl {
    let path = server.path();
    server.with_path(path.strip_suffix("/info/lfs").unwrap_or(path))
}

fn by_clone_url(clone_url: &RemoteUrl, git_hosts: &[GitHost]) -> Result<RemoteUrl, Error> {
    let (host, prefix) = match clone_url.scheme() {
        "ssh" => {
            let host = web_host(clone_url, git_hosts)?;
            (host.url(), host.prefix())
        }
        _ => (clone_url, ""),
    };
    Ok(host.with_path(&format!("{prefix}{}.git/info/lfs", clone_url.path_without_git())))
}

/// Returns the host of an SSH URL as the settings name it for HTTPS, or otherwise for HTTP.
fn web_host<'a>(clone_url: &RemoteUrl, git_hosts: &'a [GitHost]) -> Result<&'a GitHost, Error> {
    let host = clone_url.origin().host();
    let named_so = |scheme: &str| {
        git_hosts
            .iter()
            .find(|known| known.origin().scheme() == scheme && known.origin().host() == host)
    };
    named_so("https")
        .or_else(|| named_so("http"))
        .ok_or_else(|| Error::NoEndpoint {
            url: clone_url.without_credentials().into(),
            host: host.to_owned(),
        })
}

#[cfg(test)]
mod tests {
    use domain::error::{Code, Coded};
    use proptest::prelude::*;

    use super::*;

    fn endpoint(clone_url: &str, hosts: &[&str], lfsconfig: Option<&str>) -> Result<String, Error> {
        let hosts: Vec<GitHost> = hosts.iter().map(|host| host.parse().unwrap()).collect();
        let clone_url = clone_url.parse().unwrap();
        let repositories = ["a/*".to_owned(), "lfs".to_owned()];
        find(&clone_url, &hosts, &repositories, lfsconfig.map(str::as_bytes)).map(String::from)
    }

    #[test]
    fn the_server_is_below_the_clone_url() {
        for clone_url in [
            "https://git.example.com/group/project.git",
            "https://git.example.com/group/project",
            "https://user@git.example.com/group/project.git/",
        ] {
            assert_eq!(
                endpoint(clone_url, &[], None).unwrap(),
                "https://git.example.com/group/project.git/info/lfs"
            );
        }
    }

    #[test]
    fn the_server_of_an_ssh_host_is_the_web_host_of_the_same_name_in_the_settings() {
        let ssh = "ssh://git@Git.example.com:2222/group/project.git";
        for (hosts, expected) in [
            (
                vec![
                    "ssh://git@git.example.com:2222",
                    "http://git.example.com",
                    "git.example.com:8443",
                ],
                "https://git.example.com:8443/group/project.git/info/lfs",
            ),
            (
                vec!["http://git.example.com:8080"],
                "http://git.example.com:8080/group/project.git/info/lfs",
            ),
            (
                vec!["git.example.com/root"],
                "https://git.example.com/root/group/project.git/info/lfs",
            ),
        ] {
            assert_eq!(endpoint(ssh, &hosts, None).unwrap(), expected);
        }
        let error = endpoint(
            ssh,
            &["ssh://git@git.example.com:2222", "other.example.com"],
            None,
        )
        .unwrap_err();
        assert_eq!(error.code(), Code::GitHostNotAllowed);
        assert!(error.to_string().contains("https://git.example.com"), "{error}");
    }

    #[test]
    fn lfsconfig_may_name_only_hosts_of_the_settings() {
        let clone = "https://git.example.com/group/project.git";
        let hosts = [
            "git.example.com",
            "lfs.example.com:8443",
            "http://plain.example.com",
        ];
        for (lfsconfig, expected) in [
            (
                "[lfs]\n\turl = https://lfs.example.com:8443/a/b/ # ours\n",
                "https://lfs.example.com:8443/a/b",
            ),
            (
                "[lfs]\n\turl = \"https://u:hunter2@git.example.com/group/project.git?y#z\"\n[remote \"origin\"]\nlfsurl=https://no",
                "https://git.example.com/group/project.git",
            ),
            (
                "[remote \"origin\"]\n\tlfsurl = http://plain.example.com/lfs",
                "http://plain.example.com/lfs",
            ),
            (
                "[lfs]\n\tlocksverify = true\n",
                "https://git.example.com/group/project.git/info/lfs",
            ),
        ] {
            assert_eq!(endpoint(clone, &hosts, Some(lfsconfig)).unwrap(), expected);
        }
        for (url, code) in [
            ("https://evil.example.com/lfs", Code::GitHostNotAllowed),
            ("http://git.example.com/lfs", Code::GitHostNotAllowed),
            (
                "https://git.example.com@evil.example.com/lfs",
                Code::GitHostNotAllowed,
            ),
            ("https://git.example.com:8443/lfs", Code::GitHostNotAllowed),
            ("https://169.254.169.254/lfs", Code::GitHostNotAllowed),
            (
                "https://git.example.com/secret/project.git/info/lfs",
                Code::SubmoduleNotAllowed,
            ),
            (
                "https://git.example.com/lfs/group/project",
                Code::SubmoduleNotAllowed,
            ),
            (
                "https://git.example.com/a%2fb/info/lfs",
                Code::SubmoduleNotAllowed,
            ),
            ("https://lfs.example.com:8443/", Code::SubmoduleNotAllowed),
            (
                "https://lfs.example.com:8443/group/project.git",
                Code::SubmoduleNotAllowed,
            ),
            ("ssh://git@git.example.com/a", Code::RepositoryUnsupported),
            ("file:///etc", Code::RepositoryUnsupported),
            ("ext::sh -c id", Code::RepositoryUnsupported),
            ("ssh://-oProxyCommand=id/a", Code::RepositoryUnsupported),
            ("-oProxyCommand=id:a", Code::RepositoryUnsupported),
            ("git@git.example.com:a/b", Code::RepositoryUnsupported),
        ] {
            let error = endpoint(clone, &hosts, Some(&format!("[lfs]\nurl = {url}\n"))).unwrap_err();
            assert_eq!(error.code(), code, "{url}: {error}");
        }
    }

    #[test]
    fn lfsconfig_may_name_the_repositorys_own_server() {
        for (clone, hosts, url) in [
            (
                "https://git.example.com/group/project.git",
                vec!["git.example.com"],
                "https://git.example.com/group/project/info/lfs",
            ),
            (
                "ssh://git@git.example.com/group/project.git",
                vec!["ssh://git@git.example.com", "git.example.com/root"],
                "https://git.example.com/root/group/project.git/info/lfs",
            ),
        ] {
            let lfsconfig = format!("[lfs]\nurl = {url}\n");
            assert_eq!(endpoint(clone, &hosts, Some(&lfsconfig)).unwrap(), url);
        }
    }

    #[test]
    fn a_malformed_lfsconfig_is_an_error() {
        let long = "#".repeat(MAX_LFSCONFIG_BYTES + 1);
        for lfsconfig in ["[lfs\nurl = x", "[lfs]\nurl = \"hunter2", &long] {
            let error = endpoint("https://git.example.com/a/b.git", &[], Some(lfsconfig)).unwrap_err();
            assert_eq!(error.code(), Code::LfsInvalid, "{error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_lfsconfig_stays_on_the_hosts_of_the_settings(
            lfsconfig in prop_oneof![
                any::<String>(),
                "[\\PC]{0,60}".prop_map(|url| format!("[lfs]\nurl = \"{url}\"\n")),
                "https?://[a-z.@:/%0-9]{0,40}".prop_map(|url| format!("[lfs]\nurl = {url}\n")),
            ],
        ) {
            if let Ok(url) = endpoint("https://git.example.com/a/b.git", &["lfs.example.com"], Some(&lfsconfig)) {
                prop_assert!(
                    url.starts_with("https://git.example.com/") || url.starts_with("https://lfs.example.com/"),
                    "{}", url
                );
            }
        }
    }
}
