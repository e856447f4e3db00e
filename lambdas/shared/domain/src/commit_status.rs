//! The status of a commit on the git host, and where and how it is set.

use serde::{Deserialize, Serialize};
use url::Url;

use crate::Invalid;
use crate::git::CommitId;
use crate::git_host::GitHost;
use crate::push::DestinationName;
use crate::remote_url::without_login;

/// What people call an [`ApiUrl`].
const KIND: &str = "URL of an API";

/// Where and how the statuses of a source's commits are set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(deny_unknown_fields)
)]
pub struct CommitStatusSettings {
    /// The API that sets them.
    pub api: StatusApi,
    /// The API's URL, or `None` for that of the git host (GitLab) or of github.com (GitHub).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<ApiUrl>,
    /// What the statuses are called, which tells them from those of others.
    #[serde(default = "default_context")]
    pub context: String,
}

fn default_context() -> String {
    "push-code".to_owned()
}

/// An API by which commits get statuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum StatusApi {
    /// GitLab's REST API, version 4.
    GitLab,
    /// GitHub's REST API.
    GitHub,
}

impl CommitStatusSettings {
    /// Returns how the status of a commit is set that is fetched from `host`, which is one of the source's git hosts.
    /// Each further destination has a status of its own.
    #[must_use]
    pub fn resolve(&self, host: &GitHost, destination: Option<&DestinationName>) -> CommitStatusTarget {
        let url = self.url.clone().unwrap_or_else(|| match self.api {
            StatusApi::GitLab => ApiUrl::of_gitlab(host),
            StatusApi::GitHub => ApiUrl::of_github(),
        });
        CommitStatusTarget {
            api: self.api,
            url,
            context: match destination {
                None => self.context.clone(),
                Some(name) => format!("{}/{name}", self.context),
            },
        }
    }
}

/// How the status of a push's commit is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitStatusTarget {
    /// The API.
    pub api: StatusApi,
    /// Its URL.
    pub url: ApiUrl,
    /// What the status is called.
    pub context: String,
}

/// The URL that the paths of an API are below, such as `https://gitlab.example.com/api/v4`, without a slash at its end.
/// Plain `http` sends the token in the clear: it must be spelled out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ApiUrl(String);

impl ApiUrl {
    /// The API of the GitLab that serves repositories by HTTP or SSH at `host`.
    fn of_gitlab(host: &GitHost) -> Self {
        let (url, origin) = (host.url(), host.origin());
        let base = match origin.scheme() {
            // The port is that of SSH, and the path has no prefix.
            "ssh" => format!("https://{}", url.host()),
            scheme => {
                let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
                format!("{scheme}://{}{port}{}", url.host(), host.prefix())
            }
        };
        Self(format!("{base}/api/v4"))
    }

    fn of_github() -> Self {
        Self("https://api.github.com".to_owned())
    }

    /// Returns the URL as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the URL of what is at these parts of a path below it. A part may have slashes, which are encoded.
    ///
    /// # Errors
    /// Returns [`Invalid`] if this is no URL, which it is by construction.
    pub fn at(&self, parts: &[&str]) -> Result<Url, Invalid> {
        let invalid = |rule: &str| Invalid::new(KIND, &self.0, rule);
        let mut url = Url::parse(&self.0).map_err(|error| invalid(&error.to_string()))?;
        match url.path_segments_mut() {
            Ok(mut path) => path.pop_if_empty().extend(parts),
            Err(()) => return Err(invalid("it has a path")),
        };
        Ok(url)
    }
}

impl TryFrom<String> for ApiUrl {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        let public = without_login(&text);
        let invalid = |rule: &str| Invalid::new(KIND, &public, rule);
        let url = Url::parse(&text).map_err(|error| invalid(&error.to_string()))?;
        if !matches!(url.scheme(), "https" | "http") || !url.has_host() {
            return Err(invalid(
                "it is https://host[:port][/path], or with the scheme http",
            ));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(invalid("the token belongs into the git secret"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(invalid("it has no query and no fragment"));
        }
        Ok(Self(url.as_str().trim_end_matches('/').to_owned()))
    }
}

impl From<ApiUrl> for String {
    fn from(url: ApiUrl) -> Self {
        url.0
    }
}

/// The status of a commit, by GitLab's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CommitStatus {
    /// The push is being delivered.
    Pending,
    /// The zip of the commit is at its destination.
    Success,
    /// The push has failed.
    Failed,
    /// The push was not delivered, because a newer one was. GitHub has no such status, and shows an error.
    Canceled,
}

impl CommitStatus {
    /// Returns the status by GitLab's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Success => "success",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }
}

impl std::fmt::Display for CommitStatus {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// The data of the event that the status of a commit was set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitStatusSet {
    /// The status.
    pub status: CommitStatus,
    /// The commit.
    pub commit: CommitId,
    /// The URL of the API that has set it.
    pub url: ApiUrl,
    /// The id of the execution that the status links to.
    pub execution_id: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(settings: &str, host: &str) -> CommitStatusTarget {
        let settings: CommitStatusSettings = serde_json::from_str(settings).unwrap();
        settings.resolve(&host.parse().unwrap(), None)
    }

    #[test]
    fn the_api_is_that_of_the_git_host_unless_the_settings_say_otherwise() {
        let gitlab = r#"{"api":"gitlab"}"#;
        for (host, url) in [
            ("git.example.com", "https://git.example.com/api/v4"),
            (
                "https://git.example.com:8443",
                "https://git.example.com:8443/api/v4",
            ),
            ("https://example.com/git", "https://example.com/git/api/v4"),
            ("ssh://git@git.example.com:2222", "https://git.example.com/api/v4"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/api/v4"),
            ("https://[::1]:8443", "https://[::1]:8443/api/v4"),
        ] {
            let target = target(gitlab, host);
            assert_eq!((target.url.as_str(), target.context.as_str()), (url, "push-code"));
        }
        let github = target(r#"{"api":"github"}"#, "ssh://git@github.com");
        assert_eq!(github.url.as_str(), "https://api.github.com");
        let own = r#"{"api":"github","url":"https://git.example.com/api/v3/","context":"zip"}"#;
        let own = target(own, "github.com");
        assert_eq!(
            (own.url.as_str(), own.context.as_str()),
            ("https://git.example.com/api/v3", "zip")
        );
    }

    #[test]
    fn a_url_of_an_api_has_neither_a_login_nor_a_query() {
        for wrong in [
            "",
            "git.example.com",
            "ssh://git.example.com",
            "https://bot:hunter2@git.example.com",
            "https://git.example.com?x=1",
            "https://git.example.com#x",
        ] {
            let error = ApiUrl::try_from(wrong.to_owned()).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_part_of_a_path_is_one_part() {
        for (api, url) in [
            ("https://example.com", "https://example.com/projects/a%2Fb%3F/x"),
            (
                "https://example.com/api/v4/",
                "https://example.com/api/v4/projects/a%2Fb%3F/x",
            ),
        ] {
            let api = ApiUrl::try_from(api.to_owned()).unwrap();
            assert_eq!(api.at(&["projects", "a/b?", "x"]).unwrap().as_str(), url);
        }
    }
}
