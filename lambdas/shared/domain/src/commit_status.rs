//! The status of a commit on the git host, which shows there what has become of a push.

use serde::{Deserialize, Serialize};
use url::Url;

use crate::Invalid;
use crate::contract::{Failure, IgnoreReason};
use crate::event::PushEvent;
use crate::flow::StageOutput;
use crate::git::CommitId;
use crate::git_host::GitHost;
use crate::push::{DestinationName, Push};
use crate::remote_url::without_login;
use crate::state::{PushState, Status};

/// The longest description, in characters, which is GitHub's limit. GitLab allows 255.
const MAX_DESCRIPTION: usize = 140;

/// What people call an [`ApiUrl`].
const KIND: &str = "URL of an API";

/// The refs whose objects may be annotated tags.
const TAGS: &str = "refs/tags/";

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
    /// Returns how the status of a commit is set that is fetched from `host`, which is one of the source's git hosts. Each
    /// further destination has a status of its own.
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

/// The input of `ReportPending`, `Report` and `ReportFailure`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportInput {
    /// The failure that ended the execution, or `None` if it has not failed. The trail says everything else.
    #[serde(deserialize_with = "Option::deserialize")]
    pub failure: Option<Failure>,
}

/// The output of `ReportPending`, `Report` and `ReportFailure`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome")]
pub enum Reported {
    /// The status was set.
    Set(CommitStatusSet),
    /// There was nothing to set.
    Skipped {
        /// Why, for people.
        detail: String,
    },
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

/// A status is set again whenever it is another one, so that no earlier one is the output of a later stage.
impl StageOutput<Push> for Reported {
    fn event(&self) -> Option<PushEvent> {
        match self {
            Self::Set(set) => Some(PushEvent::CommitStatusSet(set.clone())),
            Self::Skipped { .. } => None,
        }
    }

    fn recorded(_: &PushState) -> Option<Self> {
        None
    }
}

/// Returns what the commit of a push has to show, with a description, or `None` if it shows nothing. `failure` is what has
/// ended the execution, if it has failed.
#[must_use]
pub fn of(state: &PushState, failure: Option<&Failure>) -> Option<(CommitStatus, String)> {
    let text = |status, description: &str| Some((status, description.to_owned()));
    match (state.status, failure) {
        (Status::Delivered, _) => text(CommitStatus::Success, "The zip is at its destination."),
        (Status::Superseded, _) => text(CommitStatus::Canceled, "Superseded: a newer push was delivered."),
        // No commit was pushed.
        (Status::Expired, _) => None,
        (Status::Ignored, _) => match state.ignored.as_ref().map(|ignored| ignored.reason) {
            Some(IgnoreReason::Duplicate) => text(
                CommitStatus::Success,
                "The zip is at its destination, by an earlier push of the same.",
            ),
            Some(IgnoreReason::PathsUnchanged) => text(
                CommitStatus::Success,
                "The zip at the destination stays: nothing that concerns it has changed.",
            ),
            _ => None,
        },
        (_, Some(failure)) => Some((CommitStatus::Failed, failed(failure))),
        (Status::Failed, None) => state
            .failure
            .as_ref()
            .map(|failed_push| (CommitStatus::Failed, failed(&failed_push.failure))),
        _ => text(CommitStatus::Pending, "The push is being delivered."),
    }
}

/// Describes a failure by its name alone, because whoever can see the commit is not who may see its cause.
fn failed(failure: &Failure) -> String {
    let text = format!("{} failed: {}", failure.stage, failure.error);
    crate::plain(&text, MAX_DESCRIPTION)
}

/// Returns the commit of a push, or `None` if it is not known. A tag may be an object of its own, whose commit is known once
/// it was fetched.
#[must_use]
pub fn commit(state: &PushState) -> Option<CommitId> {
    let fetched = state.fetched.as_ref().map(|fetched| fetched.commit.clone());
    let is_tag = state.push.ref_name.as_str().starts_with(TAGS);
    let pushed = || state.push.after.clone().filter(|_| !is_tag);
    fetched.or_else(|| pushed().map(crate::git::ObjectId::into_commit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::PushEvent;
    use crate::samples::{self, failure, folded, push, received};

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

    fn status_of(events: Vec<PushEvent>, failure: Option<&Failure>) -> Option<CommitStatus> {
        of(&folded(events), failure).map(|(status, _)| status)
    }

    #[test]
    fn the_status_says_what_the_trail_says() {
        let push = push("d1", "refs/heads/main");
        let delivered = samples::delivered_trail(&push);
        let until = |events: usize| delivered[..events].to_vec();
        let and = |events: usize, last: PushEvent| [until(events), vec![last]].concat();
        let failed = failure("Publish", "EventBridge.InternalException");
        for events in 1..=5 {
            assert_eq!(status_of(until(events), None), Some(CommitStatus::Pending));
            assert_eq!(
                status_of(until(events), Some(&failed)),
                Some(CommitStatus::Failed)
            );
        }
        // A push that fails after it was delivered is delivered.
        for failure in [None, Some(&failed)] {
            assert_eq!(status_of(until(6), failure), Some(CommitStatus::Success));
        }
        let superseded = and(4, PushEvent::PushSuperseded(samples::superseded()));
        assert_eq!(status_of(superseded, None), Some(CommitStatus::Canceled));
        assert_eq!(
            status_of(and(3, samples::push_failed("e1")), None),
            Some(CommitStatus::Failed)
        );
        let mut ignored = samples::ignored();
        assert_eq!(
            status_of(and(1, PushEvent::PushIgnored(ignored.clone())), None),
            None
        );
        ignored.reason = IgnoreReason::Duplicate;
        let duplicate = and(4, PushEvent::PushIgnored(ignored));
        assert_eq!(status_of(duplicate, None), Some(CommitStatus::Success));
    }

    #[test]
    fn every_description_is_short_and_has_no_cause() {
        let state = folded([received(&push("d1", "refs/heads/main"), "e1")]);
        let failure = Failure {
            stage: "Fetch".to_owned(),
            error: "E\n".repeat(200),
            cause: "s3cret".to_owned(),
        };
        let (_, description) = of(&state, Some(&failure)).unwrap();
        assert!(description.starts_with("Fetch failed: E"), "{description}");
        assert!(description.chars().count() <= MAX_DESCRIPTION, "{description}");
        assert!(
            !description.contains("s3cret") && !description.contains('\n'),
            "{description}"
        );
    }

    #[test]
    fn the_commit_of_a_tag_is_known_once_it_was_fetched() {
        let state = |ref_name: &str, events: usize| {
            folded(samples::delivered_trail(&push("d1", ref_name))[..events].to_vec())
        };
        let pushed = samples::object_id('a').into_commit();
        assert_eq!(commit(&state("refs/heads/main", 2)), Some(pushed.clone()));
        assert_eq!(commit(&state("refs/tags/v1", 2)), None);
        assert_eq!(commit(&state("refs/tags/v1", 3)), Some(pushed));
    }
}
