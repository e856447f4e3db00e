//! The requests of the git hosts' APIs that set a status, and what their responses mean.
//!
//! - GitLab: <https://docs.gitlab.com/api/commits/#set-commit-pipeline-status>
//! - GitHub: <https://docs.github.com/en/rest/commits/statuses#create-a-commit-status>

use domain::Invalid;
use domain::commit_status::{ApiUrl, CommitStatus, StatusApi};
use domain::git::{CommitId, RefName, RepositoryPath};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, InvalidHeaderValue};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::Value;
use url::Url;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PRIVATE_TOKEN: HeaderName = HeaderName::from_static("private-token");
const GITHUB_JSON: HeaderValue = HeaderValue::from_static("application/vnd.github+json");
const GITHUB_VERSION: HeaderName = HeaderName::from_static("x-github-api-version");
const REMAINING_REQUESTS: HeaderName = HeaderName::from_static("x-ratelimit-remaining");

/// The longest name of a ref that GitLab takes, in characters.
const MAX_REF: usize = 255;

/// A status that a commit is to have.
#[derive(Debug)]
pub struct StatusUpdate<'a> {
    pub repository: &'a RepositoryPath,
    pub ref_name: &'a RefName,
    pub commit: &'a CommitId,
    pub status: CommitStatus,
    /// What the status is called.
    pub context: &'a str,
    pub description: &'a str,
    /// Where people see more.
    pub link: Option<String>,
}

/// What a response means.
#[derive(Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The commit has the status.
    Set,
    /// The same request may succeed later.
    Busy,
    /// The host refers to another URL.
    Redirected,
    /// The same request will not succeed.
    Refused,
}

/// The body of a request to GitLab.
#[derive(Serialize)]
struct GitLabStatus<'a> {
    state: CommitStatus,
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    ref_name: Option<&'a str>,
    name: &'a str,
    description: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_url: Option<&'a str>,
}

/// The body of a request to GitHub.
#[derive(Serialize)]
struct GitHubStatus<'a> {
    state: &'a str,
    context: &'a str,
    description: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_url: Option<&'a str>,
}

impl StatusUpdate<'_> {
    /// Returns the URL of the request.
    pub fn url(&self, api: StatusApi, url: &ApiUrl) -> Result<Url, Invalid> {
        let (repository, commit) = (self.repository.as_str(), self.commit.as_str());
        match api {
            // The path of a project is one part of a URL's path.
            StatusApi::GitLab => url.at(&["projects", repository, "statuses", commit]),
            StatusApi::GitHub => {
                let path = repository.split('/');
                let parts = std::iter::once("repos").chain(path).chain(["statuses", commit]);
                url.at(&parts.collect::<Vec<_>>())
            }
        }
    }

    /// Returns the body of the request.
    pub fn body(&self, api: StatusApi) -> serde_json::Result<Vec<u8>> {
        let (context, description, target_url) = (self.context, self.description, self.link.as_deref());
        match api {
            StatusApi::GitLab => serde_json::to_vec(&GitLabStatus {
                state: self.status,
                ref_name: Some(name_of(self.ref_name)).filter(|name| name.chars().count() <= MAX_REF),
                name: context,
                description,
                target_url,
            }),
            StatusApi::GitHub => serde_json::to_vec(&GitHubStatus {
                state: match self.status {
                    CommitStatus::Pending => "pending",
                    CommitStatus::Success => "success",
                    CommitStatus::Failed => "failure",
                    CommitStatus::Canceled => "error",
                },
                context,
                description,
                target_url,
            }),
        }
    }
}

/// Returns the name of a branch or tag, as GitLab knows it.
fn name_of(ref_name: &RefName) -> &str {
    let full = ref_name.as_str();
    let short = full
        .strip_prefix("refs/heads/")
        .or(full.strip_prefix("refs/tags/"));
    short.unwrap_or(full)
}

/// Returns the headers of a request.
pub fn headers(api: StatusApi, token: &SecretString) -> Result<HeaderMap, InvalidHeaderValue> {
    let secret = |text: &str| {
        let mut value = HeaderValue::from_str(text)?;
        value.set_sensitive(true);
        Ok(value)
    };
    let token = token.expose_secret();
    Ok(HeaderMap::from_iter(match api {
        StatusApi::GitLab => vec![
            (CONTENT_TYPE, JSON),
            (ACCEPT, JSON),
            (PRIVATE_TOKEN, secret(token)?),
        ],
        StatusApi::GitHub => vec![
            (CONTENT_TYPE, JSON),
            (ACCEPT, GITHUB_JSON),
            (GITHUB_VERSION, HeaderValue::from_static("2022-11-28")),
            (AUTHORIZATION, secret(&format!("Bearer {token}"))?),
        ],
    }))
}

/// Returns what a response means that was given to a request for `status`. `said` is its message, if it has one.
pub fn meaning(
    api: StatusApi,
    status: CommitStatus,
    code: StatusCode,
    headers: &HeaderMap,
    said: &str,
) -> Meaning {
    // GitHub also refuses by 403 what comes too often.
    let comes_too_often = || headers.get(REMAINING_REQUESTS).is_some_and(|left| left == "0");
    let is_limited = code == StatusCode::FORBIDDEN
        && (headers.contains_key(http::header::RETRY_AFTER) || comes_too_often());
    if code.is_success() || (api == StatusApi::GitLab && is_same_on_gitlab(status, code, said)) {
        Meaning::Set
    } else if code.is_redirection() {
        Meaning::Redirected
    } else if code.is_server_error() || code == StatusCode::TOO_MANY_REQUESTS || is_limited {
        Meaning::Busy
    } else {
        Meaning::Refused
    }
}

/// GitLab refuses to set the status that a commit has already, such as by "Cannot transition status via :enqueue from
/// :pending (Reason(s): ...)".
fn is_same_on_gitlab(status: CommitStatus, code: StatusCode, said: &str) -> bool {
    let from = said.split_once(" from :").map(|(_, from)| from);
    let from = from.and_then(|from| from.split_whitespace().next());
    code == StatusCode::BAD_REQUEST
        && said.starts_with("Cannot transition status")
        && from == Some(status.as_str())
}

/// Returns the message in the body of a refusal. It is empty if the body has none.
pub fn message(body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let message = body.get("message").or(body.get("error"));
    match message {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn update<'a>(
        repository: &'a RepositoryPath,
        ref_name: &'a RefName,
        commit: &'a CommitId,
        status: CommitStatus,
    ) -> StatusUpdate<'a> {
        StatusUpdate {
            repository,
            ref_name,
            commit,
            status,
            context: "push-code",
            description: "The zip is at its destination.",
            link: Some("https://console.example.com/1".to_owned()),
        }
    }

    fn sent(api: StatusApi, url: &str, ref_name: &str, status: CommitStatus) -> (String, Value) {
        let (repository, ref_name) = ("group/sub/project".parse().unwrap(), ref_name.parse().unwrap());
        let commit = "a".repeat(40).parse().unwrap();
        let update = update(&repository, &ref_name, &commit, status);
        let url = ApiUrl::try_from(url.to_owned()).unwrap();
        let body = serde_json::from_slice(&update.body(api).unwrap()).unwrap();
        (update.url(api, &url).unwrap().into(), body)
    }

    #[test]
    fn gitlab_gets_the_project_as_one_part_of_the_path() {
        for (ref_name, name) in [
            ("refs/heads/main", "main"),
            ("refs/heads/feature/1", "feature/1"),
            ("refs/tags/v1", "v1"),
            ("refs/merge-requests/1/head", "refs/merge-requests/1/head"),
        ] {
            let api = "https://git.example.com/api/v4";
            let (url, body) = sent(StatusApi::GitLab, api, ref_name, CommitStatus::Failed);
            let commit = "a".repeat(40);
            assert_eq!(
                url,
                format!("{api}/projects/group%2Fsub%2Fproject/statuses/{commit}")
            );
            let expected = json!({
                "state": "failed",
                "ref": name,
                "name": "push-code",
                "description": "The zip is at its destination.",
                "target_url": "https://console.example.com/1",
            });
            assert_eq!(body, expected);
        }
        let long = format!("refs/heads/{}", "x".repeat(MAX_REF + 1));
        let (_, body) = sent(StatusApi::GitLab, "https://g", &long, CommitStatus::Pending);
        assert!(body.get("ref").is_none(), "{body}");
    }

    #[test]
    fn github_has_its_own_names() {
        let states = [
            (CommitStatus::Pending, "pending"),
            (CommitStatus::Success, "success"),
            (CommitStatus::Failed, "failure"),
            (CommitStatus::Canceled, "error"),
        ];
        for (status, state) in states {
            let api = "https://api.github.com";
            let (url, body) = sent(StatusApi::GitHub, api, "refs/heads/main", status);
            let commit = "a".repeat(40);
            assert_eq!(url, format!("{api}/repos/group/sub/project/statuses/{commit}"));
            let expected = json!({
                "state": state,
                "context": "push-code",
                "description": "The zip is at its destination.",
                "target_url": "https://console.example.com/1",
            });
            assert_eq!(body, expected);
        }
    }

    #[test]
    fn the_token_is_in_the_header_of_each_host_and_is_not_shown() {
        let token = SecretString::from("s3cret");
        let gitlab = headers(StatusApi::GitLab, &token).unwrap();
        assert_eq!(gitlab["private-token"], "s3cret");
        let github = headers(StatusApi::GitHub, &token).unwrap();
        assert_eq!(github["authorization"], "Bearer s3cret");
        assert_eq!(github["accept"], "application/vnd.github+json");
        assert_eq!(github["x-github-api-version"], "2022-11-28");
        for headers in [gitlab, github] {
            assert!(!format!("{headers:?}").contains("s3cret"));
        }
        assert!(headers(StatusApi::GitLab, &"line\nbreak".into()).is_err());
    }

    #[test]
    fn a_response_means_that_it_is_set_or_may_be_or_will_not_be() {
        let none = HeaderMap::new();
        let meaning_of = |api, code: u16, headers: &HeaderMap, said: &str| {
            let code = StatusCode::from_u16(code).unwrap();
            meaning(api, CommitStatus::Pending, code, headers, said)
        };
        for api in [StatusApi::GitLab, StatusApi::GitHub] {
            for (code, expected) in [
                (200, Meaning::Set),
                (201, Meaning::Set),
                (302, Meaning::Redirected),
                (308, Meaning::Redirected),
                (400, Meaning::Refused),
                (401, Meaning::Refused),
                (403, Meaning::Refused),
                (404, Meaning::Refused),
                (422, Meaning::Refused),
                (429, Meaning::Busy),
                (500, Meaning::Busy),
                (503, Meaning::Busy),
            ] {
                assert_eq!(meaning_of(api, code, &none, ""), expected, "{api:?} {code}");
            }
        }
        let same = "Cannot transition status via :enqueue from :pending (Reason(s): Status cannot transition via \"enqueue\")";
        let others = [
            "Cannot transition status via :enqueue from :running (Reason(s): Status cannot transition via \"enqueue\")",
            "Cannot transition status via :pending from :canceled",
        ];
        assert_eq!(meaning_of(StatusApi::GitLab, 400, &none, same), Meaning::Set);
        for other in others {
            assert_eq!(meaning_of(StatusApi::GitLab, 400, &none, other), Meaning::Refused);
        }
        assert_eq!(meaning_of(StatusApi::GitHub, 400, &none, same), Meaning::Refused);
        for (name, value) in [("retry-after", "60"), ("x-ratelimit-remaining", "0")] {
            let headers =
                HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static(value))]);
            assert_eq!(meaning_of(StatusApi::GitHub, 403, &headers, ""), Meaning::Busy);
        }
    }

    #[test]
    fn the_message_of_a_refusal_is_text_of_any_form() {
        for (body, expected) in [
            (r#"{"message":"401 Unauthorized"}"#, "401 Unauthorized"),
            (
                r#"{"message":{"name":["is too long"]}}"#,
                r#"{"name":["is too long"]}"#,
            ),
            (r#"{"error":"insufficient_scope"}"#, "insufficient_scope"),
            ("<html>", ""),
            ("", ""),
        ] {
            assert_eq!(message(body.as_bytes()), expected);
        }
    }
}
