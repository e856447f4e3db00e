//! Hosts whose certificate is not from a public authority.

use domain::error::Code;
use testkit::http::Host;

use crate::scene::{Ask, PASSWORD, Scene};
use crate::tls::Tls;
use testkit::Certificate;

const ADDRESS: Option<&str> = Some("127.0.0.1");

#[tokio::test]
async fn a_self_signed_certificate_is_refused_before_the_login() {
    let (scene, commit) = Scene::with_commit();
    let host = Host::with_password(&scene, PASSWORD).await;
    let tls = Tls::serve(&host, &[&Certificate::make("host", ADDRESS, None)]);
    let ask = Ask::new(&tls.url(), &commit).with_password(PASSWORD);
    assert_eq!(scene.code(&ask).await, Code::CertificateInvalid);
    assert_eq!(host.requests().len(), 0);
}

#[tokio::test]
async fn a_certificate_of_an_authority_in_the_secret_is_trusted() {
    let (scene, commit) = Scene::with_commit();
    scene.allow_any_id();
    let host = Host::with_password(&scene, PASSWORD).await;
    let root = Certificate::make("root", None, None);
    let issuer = Certificate::make("issuer", None, Some(&root));
    let by_issuer = Certificate::make("host", ADDRESS, Some(&issuer));
    let by_root = Certificate::make("host", ADDRESS, Some(&root));
    let alone = Certificate::make("host", ADDRESS, None);
    let cases = [
        (vec![&alone], alone.pem()),
        (vec![&by_root], root.pem()),
        (vec![&by_root], alone.pem() + &root.pem()),
        (vec![&by_issuer, &issuer], issuer.pem()),
        (vec![&by_issuer], root.pem() + &issuer.pem()),
    ];
    for (number, (chain, authorities)) in cases.into_iter().enumerate() {
        let tls = Tls::serve(&host, &chain);
        let ask = Ask::new(&tls.url(), &commit)
            .with_password(PASSWORD)
            .with_authorities(&authorities);
        let fetched = scene.fetch(&ask).await;
        assert!(fetched.is_ok(), "{number}: {fetched:?}");
    }
}

#[tokio::test]
async fn a_certificate_that_the_authority_has_not_signed_is_refused() {
    let (scene, commit) = Scene::with_commit();
    let host = Host::of(&scene).await;
    let root = Certificate::make("root", None, None);
    // This authority has the same name.
    let impostor = Certificate::make("root", None, None);
    let forged = Certificate::make("host", ADDRESS, Some(&impostor));
    let elsewhere = Certificate::make("host", Some("127.0.0.2"), Some(&root));
    for certificate in [forged, elsewhere] {
        let tls = Tls::serve(&host, &[&certificate]);
        let ask = Ask::new(&tls.url(), &commit).with_authorities(&root.pem());
        let (code, told) = scene.refused(&ask).await;
        assert_eq!(code, Code::CertificateInvalid, "{told}");
        assert!(told.contains("ca_certificates: "), "{told}");
    }
}

#[tokio::test]
async fn the_authorities_of_one_fetch_are_not_those_of_the_next() {
    let (scene, commit) = Scene::with_commit();
    scene.allow_any_id();
    let host = Host::of(&scene).await;
    let root = Certificate::make("root", None, None);
    let tls = Tls::serve(&host, &[&Certificate::make("host", ADDRESS, Some(&root))]);
    let ask = Ask::new(&tls.url(), &commit);
    scene
        .fetch(&Ask::new(&tls.url(), &commit).with_authorities(&root.pem()))
        .await
        .unwrap();
    let next = Scene::new();
    assert_eq!(next.code(&ask).await, Code::CertificateInvalid);
}

#[tokio::test]
async fn a_host_that_does_not_speak_tls_is_unreachable_by_https() {
    let (scene, commit) = Scene::with_commit();
    let host = Host::of(&scene).await;
    let url = host.url().replace("http://", "https://");
    assert_eq!(
        scene.code(&Ask::new(&url, &commit)).await,
        Code::GitHostUnreachable
    );
}
