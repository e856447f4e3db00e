//! The webhook as GitLab sends it.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use crate::Error;

/// Git hosts write this for "no object".
pub const ZEROS: &str = "0000000000000000000000000000000000000000";

/// A push of one ref, as a git host knows it.
#[derive(Debug, Clone)]
pub struct PushHook {
    /// The repository's path, such as `group/project`.
    pub repository: String,
    /// Where it can be cloned by HTTP.
    pub git_http_url: String,
    /// Where it can be cloned by SSH.
    pub git_ssh_url: String,
    /// The full name of the ref.
    pub ref_name: String,
    /// What it pointed to before; none where the push created it.
    pub before: Option<String>,
    /// What it points to now, a commit or an annotated tag; none where the push deleted it.
    pub after: Option<String>,
    /// The commit that it leads to.
    pub commit: Option<String>,
    /// The last commits that came with the push, the oldest first.
    pub commits: Vec<Commit>,
    /// How many commits came with it.
    pub total_commits: usize,
    /// Who pushed.
    pub user: Person,
}

/// A commit of a [`PushHook`].
#[derive(Debug, Clone)]
pub struct Commit {
    /// Its id.
    pub id: String,
    /// Its message.
    pub message: String,
    /// When it was made.
    pub timestamp: DateTime<Utc>,
    /// Who wrote it.
    pub author: Person,
}

/// A name and an e-mail address.
#[derive(Debug, Clone, Serialize)]
pub struct Person {
    /// The name.
    pub name: String,
    /// The e-mail address.
    pub email: String,
}

impl PushHook {
    fn is_tag(&self) -> bool {
        self.ref_name.starts_with("refs/tags/")
    }

    /// The value of the header `X-Gitlab-Event`.
    #[must_use]
    pub fn event(&self) -> &'static str {
        if self.is_tag() {
            "Tag Push Hook"
        } else {
            "Push Hook"
        }
    }

    /// The JSON body, as <https://docs.gitlab.com/user/project/integrations/webhook_events/#push-events> has it.
    #[must_use]
    pub fn payload(&self) -> Value {
        let kind = if self.is_tag() { "tag_push" } else { "push" };
        let or_zeros = |id: &Option<String>| id.clone().unwrap_or_else(|| ZEROS.to_owned());
        let (namespace, name) = self.repository.rsplit_once('/').unwrap_or(("", &self.repository));
        let web_url = self.git_http_url.trim_end_matches(".git");
        let username = self.user.email.split('@').next().unwrap_or_default();
        json!({
            "object_kind": kind,
            "event_name": kind,
            "before": or_zeros(&self.before),
            "after": or_zeros(&self.after),
            "ref": self.ref_name,
            "ref_protected": false,
            "checkout_sha": self.commit,
            "message": null,
            "user_id": 1,
            "user_name": self.user.name,
            "user_username": username,
            "user_email": "",
            "user_avatar": null,
            "project_id": 1,
            "project": {
                "id": 1,
                "name": name,
                "description": null,
                "web_url": web_url,
                "avatar_url": null,
                "git_ssh_url": self.git_ssh_url,
                "git_http_url": self.git_http_url,
                "namespace": namespace,
                "visibility_level": 0,
                "path_with_namespace": self.repository,
                "default_branch": "main",
                "ci_config_path": null,
                "homepage": web_url,
                "url": self.git_ssh_url,
                "ssh_url": self.git_ssh_url,
                "http_url": self.git_http_url,
            },
            "commits": self.commits.iter().map(|commit| commit.payload(web_url)).collect::<Vec<_>>(),
            "total_commits_count": self.total_commits,
            "push_options": {},
            "repository": {
                "name": name,
                "url": self.git_ssh_url,
                "description": null,
                "homepage": web_url,
                "git_http_url": self.git_http_url,
                "git_ssh_url": self.git_ssh_url,
                "visibility_level": 0,
            },
        })
    }
}

impl Commit {
    fn payload(&self, web_url: &str) -> Value {
        json!({
            "id": self.id,
            "message": self.message,
            "title": self.message.lines().next().unwrap_or_default(),
            "timestamp": self.timestamp.to_rfc3339_opts(SecondsFormat::Secs, true),
            "url": format!("{web_url}/-/commit/{}", self.id),
            "author": self.author,
            "added": [],
            "modified": [],
            "removed": [],
        })
    }
}

const USER_AGENT: &str = "GitLab/18.5.0";

/// One sending of a webhook. Sent again, it is the same delivery.
#[derive(Debug, Clone, Copy)]
pub struct Delivery {
    /// The event that it reports.
    pub event: Uuid,
    /// The webhook that reports it.
    pub webhook: Uuid,
    /// What stays the same when it is sent again.
    pub idempotency_key: Uuid,
}

impl Delivery {
    /// One that there never was before.
    #[must_use]
    pub fn fresh() -> Self {
        Self {
            event: Uuid::new_v4(),
            webhook: Uuid::new_v4(),
            idempotency_key: Uuid::new_v4(),
        }
    }
}

/// A webhook, and the token that it wants.
#[derive(Clone)]
pub struct Webhook {
    /// Its URL.
    pub url: String,
    /// The token.
    pub token: String,
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Webhook")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// What the webhook has started.
#[derive(Debug, Clone, Deserialize, PartialEq, Eq)]
pub struct Accepted {
    /// One push for each ref.
    pub pushes: Vec<AcceptedPush>,
    /// Why there is none.
    pub reason: Option<String>,
}

/// A push that was accepted.
#[derive(Debug, Clone, Deserialize, PartialEq, Eq)]
pub struct AcceptedPush {
    /// Its id, which is also the name of its first execution.
    pub push_id: String,
    /// Its ref.
    #[serde(rename = "ref")]
    pub ref_name: String,
    /// The ARN of its execution.
    pub execution: String,
}

impl Webhook {
    /// The webhook at `url`.
    #[must_use]
    pub fn new(url: String, token: String) -> Self {
        Self { url, token }
    }

    /// Sends `hook` as `delivery`.
    ///
    /// # Errors
    /// Where nobody answers, or the answer is an error.
    pub async fn send(&self, hook: &PushHook, delivery: &Delivery) -> Result<Accepted, Error> {
        let response = self.post(hook.event(), delivery, &hook.payload()).await?;
        let status = response.status();
        let text = response
            .text()
            .await
            .map_err(Error::http(format!("read the answer of {}", self.url)))?;
        self.accepted(status.as_u16(), &text)
    }

    /// Reads an answer of the webhook.
    ///
    /// # Errors
    /// If it is an error.
    pub fn accepted(&self, status: u16, text: &str) -> Result<Accepted, Error> {
        let accepted = serde_json::from_str(text)
            .ok()
            .filter(|_| (200..300).contains(&status));
        accepted.ok_or_else(|| Error::WebhookRefused {
            url: self.url.clone(),
            status,
            message: error_message(text),
        })
    }

    /// The event with which API Gateway asks the authorizer about `hook`, in format version 2.0:
    /// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html>.
    #[must_use]
    pub fn authorizer_event(&self, hook: &PushHook, delivery: &Delivery) -> Value {
        let mut event = self.event(hook, delivery);
        event["type"] = "REQUEST".into();
        event["routeArn"] =
            "arn:aws:execute-api:us-east-1:000000000000:local/$default/POST/hooks/{source}".into();
        event["identitySource"] = json!([self.token]);
        event["body"].take();
        event
    }

    /// The event with which API Gateway calls the function of the webhook for `hook`, in format version 2.0:
    /// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>.
    #[must_use]
    pub fn event(&self, hook: &PushHook, delivery: &Delivery) -> Value {
        let payload = hook.payload();
        let source = self.url.rsplit('/').next().unwrap_or_default();
        let route = "POST /hooks/{source}";
        let path = format!("/hooks/{source}");
        let headers = self.headers(hook.event(), delivery, &payload);
        let headers: serde_json::Map<_, _> = headers
            .into_iter()
            .map(|(name, value)| (name.to_lowercase(), value.into()))
            .collect();
        json!({
            "version": "2.0",
            "routeKey": route,
            "rawPath": path,
            "rawQueryString": "",
            "headers": headers,
            "requestContext": {
                "accountId": "000000000000",
                "apiId": "local",
                "domainName": "localhost",
                "domainPrefix": "localhost",
                "http": {
                    "method": "POST",
                    "path": path,
                    "protocol": "HTTP/1.1",
                    "sourceIp": "127.0.0.1",
                    "userAgent": USER_AGENT,
                },
                "requestId": delivery.event,
                "routeKey": route,
                "stage": "$default",
                "time": "01/Jan/2026:00:00:00 +0000",
                "timeEpoch": 1_767_225_600_000_i64,
            },
            "pathParameters": {"source": source},
            "body": payload.to_string(),
            "isBase64Encoded": false,
        })
    }

    fn headers(&self, event: &str, delivery: &Delivery, payload: &Value) -> [(&'static str, String); 7] {
        [
            ("User-Agent", USER_AGENT.to_owned()),
            ("X-Gitlab-Event", event.to_owned()),
            ("X-Gitlab-Token", self.token.clone()),
            ("X-Gitlab-Event-UUID", delivery.event.to_string()),
            ("X-Gitlab-Webhook-UUID", delivery.webhook.to_string()),
            ("X-Gitlab-Instance", instance(payload)),
            ("Idempotency-Key", delivery.idempotency_key.to_string()),
        ]
    }

    /// Sends any `payload` as `event`, and gives the answer as it comes.
    ///
    /// # Errors
    /// Where nobody answers.
    pub async fn post(
        &self,
        event: &str,
        delivery: &Delivery,
        payload: &Value,
    ) -> Result<reqwest::Response, Error> {
        let action = || format!("send the webhook to {}", self.url);
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(60))
            .build();
        let mut request = client.map_err(Error::http(action()))?.post(&self.url);
        for (name, value) in self.headers(event, delivery, payload) {
            request = request.header(name, value);
        }
        request.json(payload).send().await.map_err(Error::http(action()))
    }
}

/// The host that the payload speaks of.
fn instance(payload: &Value) -> String {
    let url = payload["project"]["web_url"]
        .as_str()
        .and_then(|url| Url::parse(url).ok());
    url.map(|url| url.origin().ascii_serialization())
        .unwrap_or_default()
}

/// What an error answer says: `{"error":"..."}`, API Gateway's `{"message":"..."}`, or the text itself.
fn error_message(text: &str) -> String {
    let json: Value = serde_json::from_str(text).unwrap_or_default();
    let message = json["error"].as_str().or(json["message"].as_str());
    message.unwrap_or(text).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook(ref_name: &str) -> PushHook {
        let person = Person {
            name: "A".to_owned(),
            email: "a@example.com".to_owned(),
        };
        PushHook {
            repository: "group/sub/project".to_owned(),
            git_http_url: "http://127.0.0.1:4567/group/sub/project.git".to_owned(),
            git_ssh_url: "git@127.0.0.1:group/sub/project.git".to_owned(),
            ref_name: ref_name.to_owned(),
            before: None,
            after: Some("a".repeat(40)),
            commit: Some("b".repeat(40)),
            commits: vec![Commit {
                id: "b".repeat(40),
                message: "first\n\nmore".to_owned(),
                timestamp: DateTime::UNIX_EPOCH,
                author: person.clone(),
            }],
            total_commits: 1,
            user: person,
        }
    }

    #[test]
    fn a_branch_is_a_push_and_a_tag_is_a_tag_push() {
        let branch = hook("refs/heads/main");
        assert_eq!(branch.event(), "Push Hook");
        assert_eq!(branch.payload()["object_kind"], "push");
        let tag = hook("refs/tags/v1");
        assert_eq!(tag.event(), "Tag Push Hook");
        assert_eq!(tag.payload()["event_name"], "tag_push");
    }

    #[test]
    fn a_payload_says_what_gitlab_says() {
        let payload = hook("refs/heads/main").payload();
        assert_eq!(payload["before"], ZEROS);
        assert_eq!(payload["after"], "a".repeat(40));
        assert_eq!(payload["checkout_sha"], "b".repeat(40));
        assert_eq!(payload["project"]["path_with_namespace"], "group/sub/project");
        assert_eq!(payload["project"]["namespace"], "group/sub");
        assert_eq!(payload["project"]["name"], "project");
        assert_eq!(payload["commits"][0]["title"], "first");
        assert_eq!(payload["commits"][0]["timestamp"], "1970-01-01T00:00:00Z");
        assert_eq!(instance(&payload), "http://127.0.0.1:4567");
    }

    #[test]
    fn an_answer_is_read_whatever_it_looks_like() {
        assert_eq!(error_message(r#"{"error":"no ref"}"#), "no ref");
        assert_eq!(error_message(r#"{"message":"Forbidden"}"#), "Forbidden");
        assert_eq!(error_message("oops\n"), "oops");
        let accepted: Accepted = serde_json::from_str(r#"{"pushes":[],"reason":"deleted"}"#).unwrap();
        assert_eq!(accepted.reason.as_deref(), Some("deleted"));
    }
}
