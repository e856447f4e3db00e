//! Connects to the server and to the URLs that it refers to.
//!
//! A name is looked up once, each address is checked, and only checked addresses are connected to. So no name can get
//! another address between the check and the connection.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use domain::remote_url::Origin;
use domain::source::CONNECT_SECONDS;
use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use openssl::error::ErrorStack;
use openssl::ssl::{SslConnector, SslMethod};
use openssl::x509::verify::X509VerifyFlags;
use openssl::x509::{X509, X509VerifyResult};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;
use tower_service::Service;
use url::Url;

use crate::address::{Reach, reach};

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The server must not refer to this address.
    #[error("{address} is {}", reach.describe())]
    Address {
        /// The address.
        address: IpAddr,
        /// How far inside the network it is.
        reach: Reach,
    },
    /// The certificate is not trusted.
    #[error("the certificate is not trusted: {0}")]
    Certificate(String),
    /// Connecting took too long.
    #[error("no connection after {CONNECT_SECONDS} s")]
    TimedOut,
    /// OpenSSL failed.
    #[error("TLS failed")]
    Tls(#[from] ErrorStack),
    /// The connection failed otherwise.
    #[error("the connection failed")]
    Io(#[from] io::Error),
}

/// Makes the connections of one client.
#[derive(Clone)]
pub struct Connector(Arc<Inner>);

struct Inner {
    tls: SslConnector,
    /// The server.
    server: Option<Origin>,
    /// The reach of the address at which the server was connected to.
    server_reach: OnceLock<Reach>,
    /// The hosts besides the server that may be at any address, because the settings name them.
    hosts: Vec<Origin>,
}

impl Connector {
    /// Creates the connector for the server at `server`. `authorities` are trusted besides the system's.
    pub fn new(server: &Url, hosts: Vec<Origin>, authorities: &[X509]) -> Result<Self, ErrorStack> {
        Ok(Self(Arc::new(Inner {
            tls: tls(authorities)?,
            server: Origin::of(server),
            server_reach: OnceLock::new(),
            hosts,
        })))
    }
}

/// Returns a TLS connector that trusts the system's authorities, found as git2 finds them, and `authorities`. These may
/// be a host's own certificate, or its issuer without the root above it, as in a git transfer.
fn tls(authorities: &[X509]) -> Result<SslConnector, ErrorStack> {
    let mut builder = SslConnector::builder(SslMethod::tls_client())?;
    let system = openssl_probe::probe();
    if system.cert_file.is_some() || system.cert_dir.is_some() {
        builder.load_verify_locations(system.cert_file.as_deref(), system.cert_dir.as_deref())?;
    }
    for authority in authorities {
        builder.cert_store_mut().add_cert(authority.clone())?;
    }
    if !authorities.is_empty() {
        builder
            .verify_param_mut()
            .set_flags(X509VerifyFlags::PARTIAL_CHAIN)?;
    }
    Ok(builder.build())
}

impl Inner {
    async fn connect(&self, uri: &Uri) -> Result<Box<dyn Stream>, ConnectError> {
        let secure = uri.scheme_str() == Some("https");
        let host = uri.host().unwrap_or_default();
        let host = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let scheme = if secure { "https" } else { "http" };
        let origin = Origin::new(scheme, uri.host().unwrap_or_default(), port);
        let stream = self.open(&origin, host, port).await?;
        stream.set_nodelay(true)?;
        if !secure {
            return Ok(Box::new(stream));
        }
        let tls = self.tls.configure()?.into_ssl(host)?;
        let mut stream = SslStream::new(tls, stream)?;
        match Pin::new(&mut stream).connect().await {
            Ok(()) => Ok(Box::new(stream)),
            Err(error) => Err(match stream.ssl().verify_result() {
                X509VerifyResult::OK => {
                    ConnectError::Io(error.into_io_error().unwrap_or_else(io::Error::other))
                }
                reason => ConnectError::Certificate(reason.error_string().to_owned()),
            }),
        }
    }

    /// Connects to the first address that is allowed and accepts the connection.
    async fn open(&self, origin: &Origin, host: &str, port: u16) -> Result<TcpStream, ConnectError> {
        let addresses: Vec<SocketAddr> = match host.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, port)],
            Err(_) => tokio::net::lookup_host((host, port)).await?.collect(),
        };
        let mut failed = ConnectError::Io(io::Error::new(
            io::ErrorKind::NotFound,
            "the host's name has no address",
        ));
        for address in addresses {
            if let Err(error) = self.check(origin, address.ip()) {
                failed = error;
                continue;
            }
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    if self.server.as_ref() == Some(origin) {
                        self.server_reach.get_or_init(|| reach(address.ip()));
                    }
                    return Ok(stream);
                }
                Err(error) => failed = error.into(),
            }
        }
        Err(failed)
    }

    /// Checks an address. The server and the hosts of the settings may be at any address except a forbidden one; others
    /// may be as far inside the network as the server itself.
    fn check(&self, origin: &Origin, address: IpAddr) -> Result<(), ConnectError> {
        let reach = reach(address);
        let named = self.server.as_ref() == Some(origin) || self.hosts.contains(origin);
        let from = if named {
            Reach::Loopback
        } else {
            self.server_reach.get().copied().unwrap_or(Reach::Public)
        };
        if from.may_lead_to(reach) {
            Ok(())
        } else {
            Err(ConnectError::Address { address, reach })
        }
    }
}

/// A connection, with TLS or without.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Connection for Box<dyn Stream> {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Box<dyn Stream>>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let time = Duration::from_secs(CONNECT_SECONDS);
            let stream = tokio::time::timeout(time, inner.connect(&uri)).await;
            Ok(TokioIo::new(stream.map_err(|_| ConnectError::TimedOut)??))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connector(server: &str, hosts: &[&str]) -> Connector {
        let origins = hosts
            .iter()
            .map(|host| Origin::of(&Url::parse(host).unwrap()).unwrap());
        Connector::new(&Url::parse(server).unwrap(), origins.collect(), &[]).unwrap()
    }

    async fn refused(connector: &Connector, url: &str) -> bool {
        let connected = connector.0.connect(&url.parse().unwrap()).await;
        matches!(connected, Err(ConnectError::Address { .. }))
    }

    #[tokio::test]
    async fn a_name_is_judged_by_its_address() {
        let far = connector("https://lfs.example.com", &[]);
        for url in [
            "http://localhost:1/",
            "http://127.0.0.1:1/",
            "http://[::1]:1/",
            "http://10.0.0.1:1/",
            "http://169.254.169.254/latest/meta-data",
            "http://[fd00:ec2::254]/",
            "http://[::ffff:169.254.169.254]/",
        ] {
            assert!(refused(&far, url).await, "{url}");
        }
    }

    #[tokio::test]
    async fn hosts_of_the_settings_may_be_inside() {
        let hosts = ["http://localhost:1", "http://[::1]:1", "http://169.254.169.254"];
        let far = connector("https://lfs.example.com", &hosts);
        assert!(!refused(&far, "http://localhost:1/").await);
        assert!(!refused(&far, "http://[::1]:1/").await);
        assert!(refused(&far, "http://localhost:2/").await);
        assert!(refused(&far, "http://169.254.169.254/").await);
    }

    #[tokio::test]
    async fn a_server_on_the_loopback_may_refer_to_the_loopback() {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        let near = connector(&server, &[]);
        assert!(
            refused(&near, "http://localhost:1/").await,
            "before it was connected to"
        );
        assert!(!refused(&near, &server).await);
        assert!(!refused(&near, "http://localhost:1/").await);
        assert!(refused(&near, "http://169.254.169.254/").await);
    }
}
