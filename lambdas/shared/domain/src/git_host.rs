//! A git host of a source's settings.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::Invalid;
use crate::git::RepositoryPath;
use crate::remote_url::{Origin, RemoteUrl, without_login};

/// A git host that may be spoken to, as `scheme://[user@]host[:port][/prefix]` with scheme `https`, `ssh` or `http`.
/// A bare `host[:port][/prefix]` means `https`. Plain `http` sends credentials in the clear: it must be spelled out.
/// The prefix is for a host whose repositories are below a path, such as GitLab's relative URL root.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GitHost {
    /// As it is written in the settings, with the scheme and without a slash at its end.
    text: String,
    url: RemoteUrl,
}

impl GitHost {
    /// Creates the host of `url`, without a prefix.
    #[must_use]
    pub fn of(url: &RemoteUrl) -> Self {
        let url = url.with_path("");
        Self {
            text: url.as_str().trim_end_matches('/').to_owned(),
            url,
        }
    }

    /// Returns the host as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the host as the URL that its repositories' URLs begin with.
    #[must_use]
    pub fn url(&self) -> &RemoteUrl {
        &self.url
    }

    /// Returns what has to be equal for a URL to be on this host.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        self.url.origin()
    }

    /// Returns the path that all of its repositories are below, without a slash at its end. It is empty for most hosts.
    #[must_use]
    pub fn prefix(&self) -> &str {
        self.url.path().trim_end_matches('/')
    }

    /// Returns the repository at `url`, or `None` if it is not on this host, or not below its prefix.
    #[must_use]
    pub fn repository(&self, url: &RemoteUrl) -> Option<RepositoryPath> {
        (url.origin() == self.origin())
            .then(|| url.repository_below(self.prefix()))
            .flatten()
    }
}

impl FromStr for GitHost {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let invalid = |rule: &str| Invalid::new("git host", text, rule);
        let full = if text.contains("://") {
            text.to_owned()
        } else {
            format!("https://{text}")
        };
        let url = Url::parse(&full).map_err(|error| invalid(&error.to_string()))?;
        if !matches!(url.scheme(), "https" | "ssh" | "http") {
            return Err(invalid("its scheme is https, ssh or http"));
        }
        if url.password().is_some() || (url.scheme() != "ssh" && !url.username().is_empty()) {
            let text = without_login(text);
            let rule = "credentials belong into the git secret";
            return Err(Invalid::new("git host", &text, rule));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(invalid("it has no query and no fragment"));
        }
        let url = RemoteUrl::try_from(url).map_err(|error| invalid(&error.rule))?;
        let host = Self {
            text: full.trim_end_matches('/').to_owned(),
            url,
        };
        // It is compared with the paths of URLs as it stands.
        let written = host.text.split_once("://").map_or("", |(_, host)| host);
        let written = written.find('/').map_or("", |slash| &written[slash..]);
        if written != host.prefix() || written.contains("//") {
            return Err(invalid(
                "its path is written as it is in the URLs of repositories",
            ));
        }
        Ok(host)
    }
}

impl TryFrom<String> for GitHost {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<GitHost> for String {
    fn from(host: GitHost) -> Self {
        host.text
    }
}

impl fmt::Display for GitHost {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_git_host_is_an_origin() {
        let host: GitHost = "gitlab.example.com".parse().unwrap();
        assert_eq!(host.as_str(), "https://gitlab.example.com");
        assert_eq!(host.origin(), &Origin::new("https", "gitlab.example.com", 443));
        let host: GitHost = "ssh://git@GitLab.example.com".parse().unwrap();
        assert_eq!(host.origin(), &Origin::new("ssh", "gitlab.example.com", 22));
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
            host.repository(&url.parse().unwrap()).map(String::from)
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
}
