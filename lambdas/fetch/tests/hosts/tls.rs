//! HTTPS in front of an HTTP host.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use openssl::ssl::{SslAcceptor, SslMethod, SslStream};
use testkit::PATH;
use testkit::http::Host;

use testkit::Certificate;

/// A TLS server in front of a host, until it is dropped.
pub struct Tls {
    address: SocketAddr,
    closed: Arc<AtomicBool>,
}

impl Tls {
    /// Serves `host` under `chain`, the host's own certificate first.
    pub fn serve(host: &Host, chain: &[&Certificate]) -> Self {
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).unwrap();
        acceptor.set_private_key(&chain[0].key).unwrap();
        acceptor.set_certificate(&chain[0].certificate).unwrap();
        for authority in &chain[1..] {
            acceptor
                .add_extra_chain_cert(authority.certificate.clone())
                .unwrap();
        }
        let acceptor = acceptor.build();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let upstream = host.address;
        let closed = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&closed);
        std::thread::spawn(move || {
            while let Ok((connection, _)) = listener.accept() {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                connection
                    .set_read_timeout(Some(Duration::from_secs(10)))
                    .unwrap();
                // A client that does not trust the certificate closes the connection.
                if let Ok(connection) = acceptor.accept(connection) {
                    let _ = relay(connection, upstream);
                }
            }
        });
        Self { address, closed }
    }

    /// Returns the URL of the scene's repository.
    pub fn url(&self) -> String {
        format!("https://{}{PATH}", self.address)
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
    }
}

/// Passes one request on, and the response back.
fn relay(client: SslStream<TcpStream>, upstream: SocketAddr) -> std::io::Result<()> {
    let mut client = BufReader::new(client);
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if client.read_until(b'\n', &mut request)? == 0 {
            return Ok(());
        }
    }
    let head = String::from_utf8_lossy(&request).to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    client.read_exact(&mut body)?;
    let mut upstream = TcpStream::connect(upstream)?;
    upstream.write_all(&[request, body].concat())?;
    let mut answer = Vec::new();
    upstream.read_to_end(&mut answer)?;
    client.get_mut().write_all(&answer)?;
    let _ = client.get_mut().shutdown();
    Ok(())
}
