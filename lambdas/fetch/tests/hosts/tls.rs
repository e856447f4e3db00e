//! HTTPS in front of an HTTP host, and the authorities that vouch for it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{SslAcceptor, SslMethod, SslStream};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509NameBuilder};

use crate::http::Host;
use crate::scene::PATH;

/// A certificate and its private key.
pub struct Certificate {
    key: PKey<Private>,
    certificate: X509,
}

impl Certificate {
    /// The certificate `name`, for the address 127.0.0.1 or no host, by `issuer` or by itself.
    pub fn make(name: &str, host: Option<&str>, issuer: Option<&Self>) -> Self {
        let group = openssl::ec::EcGroup::from_curve_name(openssl::nid::Nid::X9_62_PRIME256V1).unwrap();
        let key = PKey::from_ec_key(openssl::ec::EcKey::generate(&group).unwrap()).unwrap();
        let mut subject = X509NameBuilder::new().unwrap();
        subject.append_entry_by_text("CN", name).unwrap();
        let subject = subject.build();
        let mut builder = X509::builder().unwrap();
        builder.set_version(2).unwrap();
        builder
            .set_serial_number(&BigNum::from_u32(1).unwrap().to_asn1_integer().unwrap())
            .unwrap();
        builder.set_subject_name(&subject).unwrap();
        let issuer_name = issuer.map_or(&*subject, |issuer| issuer.certificate.subject_name());
        builder.set_issuer_name(issuer_name).unwrap();
        builder.set_pubkey(&key).unwrap();
        builder
            .set_not_before(&Asn1Time::days_from_now(0).unwrap())
            .unwrap();
        builder
            .set_not_after(&Asn1Time::days_from_now(1).unwrap())
            .unwrap();
        match host {
            None => builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()),
            Some(host) => {
                let context = builder.x509v3_context(None, None);
                let names = SubjectAlternativeName::new().ip(host).build(&context).unwrap();
                builder.append_extension(names)
            }
        }
        .unwrap();
        let signer = issuer.map_or(&key, |issuer| &issuer.key);
        builder.sign(signer, MessageDigest::sha256()).unwrap();
        Self {
            key,
            certificate: builder.build(),
        }
    }

    pub fn pem(&self) -> String {
        String::from_utf8(self.certificate.to_pem().unwrap()).unwrap()
    }
}

/// The front, serving until it is dropped.
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
                // A client that does not trust the certificate goes away.
                if let Ok(connection) = acceptor.accept(connection) {
                    let _ = relay(connection, upstream);
                }
            }
        });
        Self { address, closed }
    }

    /// The URL of the scene's repository.
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

/// Passes one request on, and the answer back.
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
