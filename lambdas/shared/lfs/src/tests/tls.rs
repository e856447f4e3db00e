//! LFS servers on HTTPS: which certificates are trusted, and that their objects have to be on HTTPS too.

use domain::error::Code;

use super::scene::{PASSWORD, Scene, pointer};
use super::server::{Request, Server, TestResponse, is_batch};
use testkit::Certificate;

const ADDRESS: Option<&str> = Some("127.0.0.1");
const CONTENT: &[u8] = b"content";

fn giving(request: &Request, origin: &str) -> TestResponse {
    if is_batch(request) {
        TestResponse::batch(&[pointer(CONTENT)], &format!("{origin}/x"))
    } else {
        TestResponse::new(200, &[], CONTENT)
    }
}

fn scene(server: &Server, authorities: &str) -> Scene {
    let mut scene = Scene::new(&server.origin()).with_login(&server.origin(), "reader", PASSWORD);
    scene.authorities = authorities.to_owned();
    scene
}

#[tokio::test]
async fn the_certificates_of_the_secret_are_trusted() {
    let root = Certificate::make("root", None, None);
    let issuer = Certificate::make("issuer", None, Some(&root));
    let by_issuer = Certificate::make("host", ADDRESS, Some(&issuer));
    let by_root = Certificate::make("host", ADDRESS, Some(&root));
    let alone = Certificate::make("host", ADDRESS, None);
    // As for the pack, a certificate of the secret need not be a root, nor an authority.
    for (number, (chain, authorities)) in [
        (vec![&alone], alone.pem()),
        (vec![&by_root], root.pem()),
        (vec![&by_root], alone.pem() + &root.pem()),
        (vec![&by_issuer, &issuer], issuer.pem()),
        (vec![&by_issuer, &issuer], root.pem()),
        (vec![&by_issuer], root.pem() + &issuer.pem()),
        (vec![&by_issuer], issuer.pem()),
    ]
    .into_iter()
    .enumerate()
    {
        let server = Server::with_tls(&chain, giving).await;
        let scene = scene(&server, &authorities);
        let fetched = scene.fetch(&[pointer(CONTENT)]).await;
        assert!(fetched.is_ok(), "{number}: {fetched:?}");
        assert_eq!(scene.object(&pointer(CONTENT)), CONTENT);
    }
}

#[tokio::test]
async fn a_server_with_an_untrusted_certificate_gets_no_login() {
    let root = Certificate::make("root", None, None);
    let impostor = Certificate::make("root", None, None);
    let forged = Certificate::make("host", ADDRESS, Some(&impostor));
    let elsewhere = Certificate::make("host", Some("127.0.0.2"), Some(&root));
    let alone = Certificate::make("host", ADDRESS, None);
    for certificate in [&forged, &elsewhere, &alone] {
        let server = Server::with_tls(&[certificate], giving).await;
        let (code, told) = scene(&server, &root.pem()).refused(&[pointer(CONTENT)]).await;
        assert_eq!(code, Code::CertificateInvalid, "{told}");
        assert_eq!(server.requests().len(), 0);
    }
}

#[tokio::test]
async fn an_object_of_an_https_server_must_be_on_https() {
    let store = Server::answering(|_, _| TestResponse::new(200, &[], CONTENT)).await;
    let certificate = Certificate::make("host", ADDRESS, None);
    let href = store.origin() + "/x?X-Amz-Signature=s3cret";
    let direct = {
        let href = href.clone();
        Server::with_tls(&[&certificate], move |_, _| {
            TestResponse::batch(&[pointer(CONTENT)], &href)
        })
        .await
    };
    let redirecting = Server::with_tls(&[&certificate], move |request, origin| {
        if is_batch(request) {
            TestResponse::batch(&[pointer(CONTENT)], &format!("{origin}/x"))
        } else {
            TestResponse::redirect(&href)
        }
    })
    .await;
    for server in [direct, redirecting] {
        let scene = scene(&server, &certificate.pem());
        assert_eq!(scene.code(&[pointer(CONTENT)]).await, Code::GitHostRedirected);
    }
    assert_eq!(store.requests().len(), 0);
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls_is_unreachable_by_it() {
    let server = Server::answering(giving).await;
    let scene = Scene::new(&server.origin().replace("http://", "https://"));
    assert_eq!(scene.code(&[pointer(CONTENT)]).await, Code::GitHostUnreachable);
}
