//! A stream of CloudWatch Logs. These are three calls, for which the SDK's crate would be built for most of a minute.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use serde_json::{Value, json};

use crate::api::Logs;
use crate::chain;

/// How long a call may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// An event of a log.
#[derive(Debug, serde::Serialize)]
pub(crate) struct LogEvent {
    /// Milliseconds since 1970.
    pub timestamp: u64,
    pub message: String,
}

/// A stream, and who writes into it.
#[derive(Debug)]
pub(crate) struct LogStream {
    client: reqwest::Client,
    endpoint: String,
    region: String,
    credentials: Credentials,
    logs: Logs,
}

/// A call that has failed.
#[derive(Debug)]
struct Failed {
    operation: &'static str,
    /// The error's name, such as `ResourceNotFoundException`, or empty if there was no response.
    name: String,
    message: String,
}

impl LogStream {
    /// Creates the stream that `logs` names, and its group unless it is there.
    ///
    /// # Errors
    /// Returns the message of the error if it cannot be created.
    pub async fn create(
        endpoint: &str,
        region: &str,
        credentials: Credentials,
        logs: &Logs,
    ) -> Result<Self, String> {
        let client = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build();
        let stream = Self {
            client: client.map_err(|error| chain(&error))?,
            endpoint: endpoint.to_owned(),
            region: region.to_owned(),
            credentials,
            logs: logs.clone(),
        };
        let name = json!({ "logGroupName": logs.group_name, "logStreamName": logs.stream_name });
        let mut created = stream.call("CreateLogStream", &name).await;
        if created
            .as_ref()
            .is_err_and(|failed| failed.name == "ResourceNotFoundException")
        {
            let group = json!({ "logGroupName": logs.group_name });
            stream
                .call("CreateLogGroup", &group)
                .await
                .map_err(Failed::text)?;
            created = stream.call("CreateLogStream", &name).await;
        }
        created.map(|_| stream).map_err(Failed::text)
    }

    /// Writes events, in their order.
    ///
    /// # Errors
    /// Returns the message of the error if they cannot be written.
    pub async fn put(&self, events: &[LogEvent]) -> Result<(), String> {
        let body = json!({
            "logGroupName": self.logs.group_name,
            "logStreamName": self.logs.stream_name,
            "logEvents": events,
        });
        self.call("PutLogEvents", &body)
            .await
            .map(|_| ())
            .map_err(Failed::text)
    }

    async fn call(&self, operation: &'static str, body: &Value) -> Result<Value, Failed> {
        let failed = |error: &dyn std::error::Error| Failed {
            operation,
            name: String::new(),
            message: chain(error),
        };
        let request = self.signed(body.to_string()).map_err(|error| failed(&*error))?;
        let response = request
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", format!("Logs_20140328.{operation}"))
            .send()
            .await
            .map_err(|error| failed(&error))?;
        let status = response.status();
        let text = response.text().await.map_err(|error| failed(&error))?;
        let json: Value = serde_json::from_str(&text).unwrap_or_default();
        if status.is_success() {
            return Ok(json);
        }
        let name = json["__type"].as_str().unwrap_or_default();
        // The name may stand behind a namespace.
        let name = name.rsplit('#').next().unwrap_or_default().to_owned();
        let message = json["message"]
            .as_str()
            .or(json["Message"].as_str())
            .unwrap_or(&text);
        Err(Failed {
            operation,
            message: format!("{name}: {message} (status code {})", status.as_u16()),
            name,
        })
    }

    /// Returns a request with its signature:
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>.
    fn signed(
        &self,
        body: String,
    ) -> Result<reqwest::RequestBuilder, Box<dyn std::error::Error + Send + Sync>> {
        let identity = self.credentials.clone().into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("logs")
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()?;
        let url = format!("{}/", self.endpoint.trim_end_matches('/'));
        let signable = SignableBody::Bytes(body.as_bytes());
        let signable = SignableRequest::new("POST", &url, std::iter::empty(), signable)?;
        let (instructions, _) = sign(signable, &parameters.into())?.into_parts();
        let (headers, _) = instructions.into_parts();
        let request = self.client.post(url).body(body);
        Ok(headers.iter().fold(request, |request, header| {
            request.header(header.name(), header.value())
        }))
    }
}

impl Failed {
    fn text(self) -> String {
        format!("logs:{}: {}", self.operation, self.message)
    }
}
