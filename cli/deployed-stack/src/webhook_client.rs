//! Sends webhooks, as GitLab does.

use std::time::Duration;

use domain::push::PushId;
use serde::Deserialize;
use serde_json::{Value, json};
use webhook::Request;
use webhook::gitlab::{self, Delivery, PushHook};

use crate::Error;

/// A webhook, and the token that it requires.
#[derive(Clone)]
pub struct Webhook {
    /// Its URL.
    pub url: String,
    /// The token.
    pub token: String,
    /// The account and the region whose API the local AWS is to find. `None` if the account is its own, or if it is
    /// AWS.
    place: Option<(String, String)>,
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Webhook")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// The webhook's response.
#[derive(Debug, Clone, Deserialize, PartialEq, Eq)]
pub struct Accepted {
    /// The pushes that were started, one for each ref.
    pub pushes: Vec<AcceptedPush>,
    /// Why no push was started.
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

impl Accepted {
    /// Returns the first push that was started.
    ///
    /// # Errors
    /// Returns the reason if none was.
    pub fn first(self) -> Result<AcceptedPush, String> {
        let reason = self.reason.unwrap_or_else(|| "it gave no reason".to_owned());
        self.pushes.into_iter().next().ok_or(reason)
    }
}

impl AcceptedPush {
    /// Returns its id.
    ///
    /// # Errors
    /// Returns an error if the webhook has answered something else.
    pub fn id(&self) -> Result<PushId, Error> {
        self.push_id
            .parse()
            .map_err(|error: domain::Invalid| Error::Trail {
                push_id: self.push_id.clone(),
                message: error.to_string(),
            })
    }
}

impl Webhook {
    /// Returns the webhook at `url`.
    #[must_use]
    pub fn new(url: String, token: String) -> Self {
        Self {
            url,
            token,
            place: None,
        }
    }

    /// Has the local AWS look for the API in this account and region. It finds an API of another account than its own
    /// only by a signature that names both, which it does not check.
    #[must_use]
    pub fn in_account(self, account: String, region: String) -> Self {
        Self {
            place: Some((account, region)),
            ..self
        }
    }

    /// Sends `hook` as `delivery`.
    ///
    /// # Errors
    /// Returns an error if there is no response, or if it is an error.
    pub async fn send(&self, hook: &PushHook, delivery: &Delivery) -> Result<Accepted, Error> {
        let response = self.post(hook.event(), delivery, &hook.payload()).await?;
        self.read(response).await
    }

    /// Sends a request of any git host.
    ///
    /// # Errors
    /// Returns an error if there is no response, or if it is an error.
    pub async fn send_request(&self, request: &Request) -> Result<Accepted, Error> {
        let headers = request.headers.iter().cloned();
        let response = self.post_bytes(headers, request.body.clone()).await?;
        self.read(response).await
    }

    async fn read(&self, response: reqwest::Response) -> Result<Accepted, Error> {
        let status = response.status();
        let text = response
            .text()
            .await
            .map_err(Error::http(format!("read the response of {}", self.url)))?;
        self.accepted(status.as_u16(), &text)
    }

    /// Parses a response of the webhook.
    ///
    /// # Errors
    /// Returns an error if the response is one.
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

    /// Returns the event with which API Gateway calls the authorizer for `hook`, in format version 2.0:
    /// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html>.
    #[must_use]
    pub fn authorizer_event(&self, hook: &PushHook, delivery: &Delivery) -> Value {
        let mut event = self.event(hook, delivery);
        event["type"] = "REQUEST".into();
        event["routeArn"] =
            "arn:aws:execute-api:us-east-1:000000000000:local/$default/POST/hooks/{source}".into();
        event["identitySource"] = json!([event["routeKey"]]);
        event["body"].take();
        event
    }

    /// Returns the event with which API Gateway calls the webhook's function for `hook`, in format version 2.0:
    /// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>.
    #[must_use]
    pub fn event(&self, hook: &PushHook, delivery: &Delivery) -> Value {
        let payload = hook.payload();
        let source = self.url.rsplit('/').next().unwrap_or_default();
        let route = "POST /hooks/{source}";
        let path = format!("/hooks/{source}");
        let headers = delivery.headers(hook.event(), &self.token, &payload);
        let headers: serde_json::Map<_, _> = headers
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.into()))
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
                    "userAgent": gitlab::USER_AGENT,
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

    /// Sends any `payload` as `event`, and returns the response unread.
    ///
    /// # Errors
    /// Returns an error if there is no response.
    pub async fn post(
        &self,
        event: &str,
        delivery: &Delivery,
        payload: &Value,
    ) -> Result<reqwest::Response, Error> {
        let mut headers = delivery.headers(event, &self.token, payload);
        headers.push(("content-type", "application/json".to_owned()));
        self.post_bytes(headers, payload.to_string().into_bytes()).await
    }

    async fn post_bytes(
        &self,
        headers: impl IntoIterator<Item = (&'static str, String)>,
        body: Vec<u8>,
    ) -> Result<reqwest::Response, Error> {
        let action = || format!("send the webhook to {}", self.url);
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(60))
            .build();
        let mut request = client.map_err(Error::http(action()))?.post(&self.url);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if let Some((account, region)) = &self.place {
            let signature = format!(
                "AWS4-HMAC-SHA256 Credential={account}/20260101/{region}/execute-api/aws4_request, SignedHeaders=host, \
                 Signature=none"
            );
            request = request.header("authorization", signature);
        }
        request.body(body).send().await.map_err(Error::http(action()))
    }
}

/// Returns the message of an error response: that of `{"error":"..."}`, that of API Gateway's `{"message":"..."}`, or
/// the text itself.
fn error_message(text: &str) -> String {
    let json: Value = serde_json::from_str(text).unwrap_or_default();
    let message = json["error"].as_str().or(json["message"].as_str());
    message.unwrap_or(text).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_response_has_a_message_in_any_format() {
        assert_eq!(error_message(r#"{"error":"no ref"}"#), "no ref");
        assert_eq!(error_message(r#"{"message":"Forbidden"}"#), "Forbidden");
        assert_eq!(error_message("oops\n"), "oops");
        let accepted: Accepted = serde_json::from_str(r#"{"pushes":[],"reason":"deleted"}"#).unwrap();
        assert_eq!(accepted.reason.as_deref(), Some("deleted"));
    }
}
