//! A server in place of AWS, whose responses a test sets.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::Request;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use serde_json::{Value, json};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A response, after which the connection is closed.
#[derive(Debug, Clone)]
pub struct AwsResponse {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
    missing_bytes: usize,
}

impl AwsResponse {
    /// Creates a response without headers.
    pub fn new(status: u16, body: impl Into<String>) -> Self {
        Self {
            status,
            headers: vec![],
            body: body.into(),
            missing_bytes: 0,
        }
    }

    /// Creates an error document of S3.
    pub fn error(status: u16, code: &str) -> Self {
        Self::new(
            status,
            format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>so it is</Message></Error>"
            ),
        )
    }

    /// Creates a response of DynamoDB.
    pub fn json(body: &Value) -> Self {
        Self::new(200, body.to_string()).with("content-type", "application/x-amz-json-1.0")
    }

    /// Creates an error document of DynamoDB.
    pub fn exception(name: &str) -> Self {
        let name = format!("com.amazonaws.dynamodb.v20120810#{name}");
        let answer = Self::json(&json!({ "__type": name, "message": "so it is" }));
        Self {
            status: 400,
            ..answer
        }
    }

    /// Adds a header.
    pub fn with(mut self, header: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((header, value.into()));
        self
    }

    /// Sets the status.
    pub fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// Breaks the connection off, this many bytes before the body's end.
    pub fn cut(self, missing_bytes: usize) -> Self {
        Self {
            missing_bytes,
            ..self
        }
    }

    async fn send(&self, connection: &mut BufReader<TcpStream>) -> std::io::Result<()> {
        let length = self.body.len() + self.missing_bytes;
        let mut text = format!(
            "HTTP/1.1 {} Status\r\nconnection: close\r\ncontent-length: {length}\r\n",
            self.status
        );
        for (name, value) in &self.headers {
            let _ = write!(text, "{name}: {value}\r\n");
        }
        text += "\r\n";
        text += &self.body;
        connection.write_all(text.as_bytes()).await?;
        connection.shutdown().await
    }
}

/// A server on the loopback, until it is dropped.
pub struct Service {
    endpoint: String,
    requests: Arc<Mutex<Vec<Request>>>,
    server: JoinHandle<()>,
}

impl Service {
    /// Starts a server that responds with what `answer` returns, or closes the connection if that is `None`.
    pub async fn start(answer: impl Fn(&Request) -> Option<AwsResponse> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(vec![]));
        let (log, answer) = (Arc::clone(&requests), Arc::new(answer));
        let server = tokio::spawn(async move {
            loop {
                let (connection, _) = listener.accept().await.unwrap();
                let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                tokio::spawn(async move {
                    let mut connection = BufReader::new(connection);
                    let Ok(request) = Request::read(&mut connection).await else {
                        return;
                    };
                    let answer = answer(&request);
                    log.lock().unwrap().push(request);
                    if let Some(answer) = answer {
                        // The client may be gone.
                        let _ = answer.send(&mut connection).await;
                    }
                });
            }
        });
        Self {
            endpoint,
            requests,
            server,
        }
    }

    /// Starts a server that responds with what `answer` returns.
    pub async fn answering(answer: impl Fn(&Request) -> AwsResponse + Send + Sync + 'static) -> Self {
        Self::start(move |request| Some(answer(request))).await
    }

    /// Starts a server that always responds with `answer`.
    pub async fn always(answer: AwsResponse) -> Self {
        Self::answering(move |_| answer.clone()).await
    }

    /// Starts a server that responds with `answers` in turn, and then always with the last one.
    pub async fn in_turn(answers: Vec<AwsResponse>) -> Self {
        let answers = Mutex::new(answers);
        Self::answering(move |_| {
            let mut answers = answers.lock().unwrap();
            match answers.len() {
                1 => answers[0].clone(),
                _ => answers.remove(0),
            }
        })
        .await
    }

    /// Returns the configuration of a client of it, without retries.
    pub fn config(&self) -> SdkConfig {
        config(&self.endpoint)
    }

    /// Returns the requests since the last call of this.
    pub fn requests(&self) -> Vec<Request> {
        std::mem::take(&mut *self.requests.lock().unwrap())
    }

    /// Returns the methods and targets of the requests since the last call, without what the SDK adds to the query.
    pub fn asked(&self) -> Vec<String> {
        self.requests().iter().map(asked).collect()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Returns the configuration of a client of `endpoint`, without retries.
pub fn config(endpoint: &str) -> SdkConfig {
    let credentials = Credentials::new("test", "test", None, None, "tests");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(endpoint)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(RetryConfig::disabled())
        .timeout_config(
            TimeoutConfig::builder()
                .operation_attempt_timeout(Duration::from_secs(20))
                .build(),
        )
        .build()
}

/// Returns a request's method and target, without what the SDK adds to the query.
pub fn asked(request: &Request) -> String {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let mut query: Vec<_> = query
        .split('&')
        .filter(|part| !part.is_empty() && !part.starts_with("x-id="))
        .collect();
    query.sort_unstable();
    let separator = if query.is_empty() { "" } else { "?" };
    format!("{} {path}{separator}{}", request.method, query.join("&"))
}

/// Returns the name of a request's operation in DynamoDB.
pub fn operation(request: &Request) -> &str {
    request.headers["x-amz-target"].split_once('.').unwrap().1
}

/// Parses the JSON of a request's body.
pub fn json_of(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}
