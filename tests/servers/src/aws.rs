//! AWS, as a test has it answer.

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

/// An answer, after which the connection is closed.
#[derive(Debug, Clone)]
pub struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
    missing_bytes: usize,
}

impl Answer {
    /// An answer without headers.
    pub fn new(status: u16, body: impl Into<String>) -> Self {
        Self {
            status,
            headers: vec![],
            body: body.into(),
            missing_bytes: 0,
        }
    }

    /// S3's error document.
    pub fn error(status: u16, code: &str) -> Self {
        Self::new(
            status,
            format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>so it is</Message></Error>"
            ),
        )
    }

    /// What DynamoDB answers.
    pub fn json(body: &Value) -> Self {
        Self::new(200, body.to_string()).with("content-type", "application/x-amz-json-1.0")
    }

    /// DynamoDB's error document.
    pub fn exception(name: &str) -> Self {
        let name = format!("com.amazonaws.dynamodb.v20120810#{name}");
        let answer = Self::json(&json!({ "__type": name, "message": "so it is" }));
        Self {
            status: 400,
            ..answer
        }
    }

    /// With another header.
    pub fn with(mut self, header: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((header, value.into()));
        self
    }

    /// With another status.
    pub fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// The connection breaks off, so many bytes before the body's end.
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

/// AWS, on the loopback, for as long as this is kept.
pub struct Service {
    endpoint: String,
    requests: Arc<Mutex<Vec<Request>>>,
    server: JoinHandle<()>,
}

impl Service {
    /// It answers each request with what `answer` says. `None` if it answers nothing, and hangs up.
    pub async fn start(answer: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static) -> Self {
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
                        // A client that is gone does not mind.
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

    /// It answers each request with what `answer` says.
    pub async fn answering(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        Self::start(move |request| Some(answer(request))).await
    }

    /// It answers whatever it is asked with `answer`.
    pub async fn always(answer: Answer) -> Self {
        Self::answering(move |_| answer.clone()).await
    }

    /// It gives `answers`, one each, and the last one again and again.
    pub async fn in_turn(answers: Vec<Answer>) -> Self {
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

    /// The configuration of a client that asks it, once.
    pub fn config(&self) -> SdkConfig {
        config(&self.endpoint)
    }

    /// What it has been asked since this was last called.
    pub fn requests(&self) -> Vec<Request> {
        std::mem::take(&mut *self.requests.lock().unwrap())
    }

    /// The methods and targets of the same, without what the SDK adds to the query.
    pub fn asked(&self) -> Vec<String> {
        self.requests().iter().map(asked).collect()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The configuration of a client that asks `endpoint`, once.
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

/// A request's method and target, without what the SDK adds to the query.
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

/// DynamoDB's name of what a request asks for.
pub fn operation(request: &Request) -> &str {
    request.headers["x-amz-target"].split_once('.').unwrap().1
}

/// The JSON of a request's body.
pub fn json_of(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}
