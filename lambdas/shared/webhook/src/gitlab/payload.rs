//! Builds requests as GitLab sends them.

use chrono::SecondsFormat;
use domain::git::without_dot_git;
use domain::source::Provider;
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use crate::push_hook::{Commit, PushHook, or_zeros};
use crate::{Request, prove};

/// The value of the header `User-Agent`.
pub const USER_AGENT: &str = "GitLab/18.5.0";

impl PushHook {
    /// Returns the value of the header `X-Gitlab-Event`.
    #[must_use]
    pub fn event(&self) -> &'static str {
        if self.is_tag() {
            "Tag Push Hook"
        } else {
            "Push Hook"
        }
    }

    /// Returns the JSON body, by <https://docs.gitlab.com/user/project/integrations/webhook_events/#push-events>.
    #[must_use]
    pub fn payload(&self) -> Value {
        let kind = if self.is_tag() { "tag_push" } else { "push" };
        let (namespace, name) = self.repository.rsplit_once('/').unwrap_or(("", &self.repository));
        let web_url = without_dot_git(&self.git_http_url);
        let username = self.username();
        json!({
            "object_kind": kind,
            "event_name": kind,
            "before": or_zeros(self.before.as_deref()),
            "after": or_zeros(self.after.as_deref()),
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

/// One delivery of a webhook. A delivery that is sent again stays the same.
#[derive(Debug, Clone, Copy)]
pub struct Delivery {
    /// The id of the event.
    pub event: Uuid,
    /// The id of the webhook.
    pub webhook: Uuid,
    /// The key that stays the same when the delivery is sent again.
    pub idempotency_key: Uuid,
}

impl Delivery {
    /// Creates a new delivery.
    #[must_use]
    pub fn fresh() -> Self {
        Self {
            event: Uuid::new_v4(),
            webhook: Uuid::new_v4(),
            idempotency_key: Uuid::new_v4(),
        }
    }

    /// Returns the headers of a request that sends `payload` as `event`, with the webhook's secret token, or signed by
    /// its signing token. Their names are in lower case, as API Gateway passes them on.
    #[must_use]
    pub fn headers(&self, event: &str, secret: &str, payload: &Value) -> Vec<(&'static str, String)> {
        let id = self.idempotency_key.to_string();
        let mut headers = prove(Provider::GitLab, secret, &id, payload.to_string().as_bytes());
        headers.extend([
            ("user-agent", USER_AGENT.to_owned()),
            ("x-gitlab-event", event.to_owned()),
            ("x-gitlab-event-uuid", self.event.to_string()),
            ("x-gitlab-webhook-uuid", self.webhook.to_string()),
            ("x-gitlab-instance", instance(payload)),
            ("idempotency-key", id),
        ]);
        headers
    }
}

/// Returns the delivery of a push.
pub(super) fn deliver(hook: &PushHook, secret: &str) -> Request {
    let payload = hook.payload();
    let headers = Delivery::fresh().headers(hook.event(), secret, &payload);
    Request::json(payload.to_string().into_bytes(), headers)
}

/// Returns the host that the payload names.
fn instance(payload: &Value) -> String {
    let url = payload["project"]["web_url"]
        .as_str()
        .and_then(|url| Url::parse(url).ok());
    url.map(|url| url.origin().ascii_serialization())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::push_hook::{ZEROS, sample as hook};

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
    fn a_payload_has_the_fields_that_gitlab_sends() {
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
}
