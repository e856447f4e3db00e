//! An HTTP server whose responses a test chooses. A connection is for one request.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use openssl::ssl::{Ssl, SslAcceptor, SslMethod};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_openssl::SslStream;
use tree::Pointer;

use testkit::Certificate;
pub use testkit::Request;

pub fn is_batch(request: &Request) -> bool {
    request.target.ends_with("/info/lfs/objects/batch")
}

pub fn json_of(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

/// A response: bytes, and what follows them.
#[derive(Clone)]
pub struct TestResponse {
    bytes: Vec<u8>,
    after: After,
}

#[derive(Clone)]
enum After {
    Close,
    Silence,
    /// These, again and again, with a pause.
    Again(Vec<u8>, Duration),
}

impl TestResponse {
    pub fn new(status: u16, headers: &[&str], body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let length = format!("Content-Length: {}", body.len());
        let headers = [headers, &[length.as_str()]].concat();
        Self::raw(status, &headers, body)
    }

    /// Returns a response without a `Content-Length`.
    pub fn raw(status: u16, headers: &[&str], body: impl AsRef<[u8]>) -> Self {
        let mut head = format!("HTTP/1.1 {status} Status\r\nConnection: close\r\n");
        for header in headers {
            head += &format!("{header}\r\n");
        }
        Self {
            bytes: [head.as_bytes(), b"\r\n", body.as_ref()].concat(),
            after: After::Close,
        }
    }

    /// Returns a response that is not HTTP.
    pub fn bytes(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.to_vec(),
            after: After::Close,
        }
    }

    pub fn redirect(location: &str) -> Self {
        Self::new(302, &[&format!("Location: {location}")], "")
    }

    pub fn json(body: &Value) -> Self {
        let media_type = "Content-Type: application/vnd.git-lfs+json";
        Self::new(200, &[media_type], body.to_string())
    }

    /// Returns the response of the batch API in which all objects are at `href`.
    pub fn batch(pointers: &[Pointer], href: &str) -> Self {
        Self::batch_with(pointers, href, &json!({}))
    }

    pub fn batch_with(pointers: &[Pointer], href: &str, header: &Value) -> Self {
        let objects: Vec<_> = pointers
            .iter()
            .map(|pointer| {
                json!({
                    "oid": pointer.oid.as_str(), "size": pointer.size,
                    "actions": {"download": {"href": href, "header": header}},
                })
            })
            .collect();
        Self::json(&json!({"transfer": "basic", "objects": objects}))
    }

    pub fn then_silence(mut self) -> Self {
        self.after = After::Silence;
        self
    }

    pub fn then_again(mut self, bytes: &[u8], pause: Duration) -> Self {
        self.after = After::Again(bytes.to_vec(), pause);
        self
    }

    async fn send(self, connection: &mut BufReader<Box<dyn Stream>>) -> std::io::Result<()> {
        connection.write_all(&self.bytes).await?;
        connection.flush().await?;
        match self.after {
            After::Close => {}
            After::Silence => std::future::pending().await,
            After::Again(bytes, pause) => loop {
                connection.write_all(&bytes).await?;
                connection.flush().await?;
                tokio::time::sleep(pause).await;
            },
        }
        connection.shutdown().await
    }
}

/// A connection, with TLS or without.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A server that runs until it is dropped.
pub struct Server {
    pub address: SocketAddr,
    scheme: &'static str,
    requests: Arc<Mutex<Vec<Arc<Request>>>>,
    task: JoinHandle<()>,
}

impl Server {
    /// Starts a server that responds with what `answer` returns for a request and the server's own origin.
    pub async fn answering(answer: impl Fn(&Request, &str) -> TestResponse + Send + Sync + 'static) -> Self {
        Self::serve(None, answer).await
    }

    /// Starts such a server on HTTPS with the certificates of `chain`, the server's own one first.
    pub async fn with_tls(
        chain: &[&Certificate],
        answer: impl Fn(&Request, &str) -> TestResponse + Send + Sync + 'static,
    ) -> Self {
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).unwrap();
        acceptor.set_private_key(&chain[0].key).unwrap();
        acceptor.set_certificate(&chain[0].certificate).unwrap();
        for authority in &chain[1..] {
            let authority = authority.certificate.clone();
            acceptor.add_extra_chain_cert(authority).unwrap();
        }
        Self::serve(Some(acceptor.build()), answer).await
    }

    async fn serve(
        acceptor: Option<SslAcceptor>,
        answer: impl Fn(&Request, &str) -> TestResponse + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let scheme = if acceptor.is_some() { "https" } else { "http" };
        let origin: Arc<str> = format!("{scheme}://{address}").into();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, answer) = (Arc::clone(&requests), Arc::new(answer));
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((connection, _)) = listener.accept().await {
                let (answer, seen) = (Arc::clone(&answer), Arc::clone(&seen));
                let (acceptor, origin) = (acceptor.clone(), Arc::clone(&origin));
                connections.spawn(async move {
                    let stream: Box<dyn Stream> = match acceptor {
                        None => Box::new(connection),
                        Some(acceptor) => {
                            let mut stream = SslStream::new(Ssl::new(acceptor.context())?, connection)?;
                            Pin::new(&mut stream)
                                .accept()
                                .await
                                .map_err(std::io::Error::other)?;
                            Box::new(stream)
                        }
                    };
                    let mut connection = BufReader::new(stream);
                    let request = Arc::new(Request::read(&mut connection).await?);
                    seen.lock().unwrap().push(Arc::clone(&request));
                    answer(&request, &origin).send(&mut connection).await
                });
            }
        });
        Self {
            address,
            scheme,
            requests,
            task,
        }
    }

    pub fn origin(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    pub fn requests(&self) -> Vec<Arc<Request>> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}
