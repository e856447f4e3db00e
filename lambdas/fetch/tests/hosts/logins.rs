//! Logins with right and wrong passwords and keys.

use std::os::unix::fs::PermissionsExt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::contract::Probed;
use domain::error::Code;
use fetch::TransferProgram;
use testkit::Request;
use testkit::http::{Host, Response, USERNAME, before_pack, pkt, refs};
use testkit::ssh::Sshd;

use crate::scene::{Ask, PASSWORD, PROGRAM, Scene};

/// The program records how it was started, and then transfers.
#[tokio::test]
async fn the_transfer_process_gets_the_login_by_its_input_and_has_no_environment() {
    let (scene, commit) = Scene::with_commit();
    let host = Host::with_password(&scene, PASSWORD).await;
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("program");
    let script = format!("#!/bin/sh\n(echo \"$@\"; cat /proc/$$/environ) > $0.told\nexec {PROGRAM} \"$@\"\n");
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
    let mut ask = Ask::new(&host.url(), &commit).with_password(PASSWORD);
    ask.transfer = TransferProgram::new(program.clone(), 1 << 30);
    assert_eq!(scene.fetch(&ask).await.unwrap().commit.as_str(), commit);
    let told = std::fs::read_to_string(program.with_extension("told")).unwrap();
    let told = told.split(['\n', '\0']);
    let told: Vec<_> = told
        .filter(|text| !text.is_empty() && !text.starts_with("SSL_CERT_"))
        .collect();
    assert_eq!(told, ["internal-transfer"]);
}

#[tokio::test]
async fn the_right_password_is_accepted() {
    let (scene, commit) = Scene::with_commit();
    scene.allow_any_id();
    let host = Host::with_password(&scene, PASSWORD).await;
    let ask = Ask::new(&host.url(), &commit).with_password(PASSWORD);
    assert_eq!(scene.fetch(&ask).await.unwrap().commit.as_str(), commit);
}

#[tokio::test]
async fn a_wrong_password_is_refused_after_one_attempt() {
    let (scene, commit) = Scene::with_commit();
    let host = Host::with_password(&scene, "another").await;
    let ask = Ask::new(&host.url(), &commit).with_password(PASSWORD);
    assert_eq!(scene.code(&ask).await, Code::AuthenticationFailed);
    let tries: Vec<_> = host
        .requests()
        .iter()
        .map(|request| request.has_credentials())
        .collect();
    assert_eq!(tries, [false, true]);
}

#[tokio::test]
async fn whether_a_repository_can_be_read_is_told_with_the_error_that_a_push_would_get() {
    let (scene, commit) = Scene::with_commit();
    let host = Host::with_password(&scene, PASSWORD).await;
    let ask = |password: &str| Ask::new(&host.url(), &commit).with_password(password);
    // The branch, and HEAD does not count.
    assert_eq!(scene.probe(&ask(PASSWORD)).await, Probed::Listed { refs: 1 });
    let Probed::Failed { error, cause } = scene.probe(&ask("not-it")).await else {
        panic!("it was read with a wrong password");
    };
    assert_eq!(error, Code::AuthenticationFailed.as_str());
    assert!(
        cause.contains(&host.url()) && !cause.contains("not-it"),
        "{cause}"
    );
    let mut ask = ask(PASSWORD);
    ask.secret = "no object".into();
    let Probed::Failed { error, .. } = scene.probe(&ask).await else {
        panic!("it was read without a secret");
    };
    assert_eq!(error, Code::SecretInvalid.as_str());
}

#[tokio::test]
async fn a_host_that_refuses_every_login_gets_two_requests() {
    let (scene, commit) = Scene::with_commit();
    let schemes = [
        "Basic realm=\"a\"",
        "Digest realm=\"a\", nonce=\"b\"",
        "Negotiate",
        "NTLM",
    ];
    for scheme in schemes {
        let challenge = format!("WWW-Authenticate: {scheme}");
        let host = Host::answering(move |_| Response::new(401, &[&challenge], "")).await;
        let ask = Ask::new(&host.url(), &commit).with_password(PASSWORD);
        assert_eq!(scene.code(&ask).await, Code::AuthenticationFailed, "{scheme}");
        assert!(host.requests().len() <= 2, "{scheme}");
    }
}

#[tokio::test]
async fn a_login_that_a_host_repeats_is_redacted() {
    let (scene, commit) = Scene::with_commit();
    type Echo = fn(&Request, &str, &str) -> Response;
    let ways: [(&str, Echo); 4] = [
        ("type", |_, login, _| {
            Response::new(200, &[&format!("Content-Type: text/{login}")], "")
        }),
        ("location", |_, login, _| {
            Response::new(302, &[&format!("Location: http://elsewhere.example/{login}")], "")
        }),
        ("error", |request, login, _| {
            let lines = [
                pkt("# service=git-upload-pack\n"),
                b"0000".to_vec(),
                pkt(format!("ERR {login}")),
            ];
            Response::git(request, lines.concat())
        }),
        ("side band", |request, login, commit| {
            match request.method.as_str() {
                "GET" => Response::git(request, refs(commit, "side-band-64k")),
                _ if !request.is_done() => Response::git(request, "0000"),
                _ => {
                    // A long text must not be cut in the middle of a secret.
                    let dead = format!("\u{2}fatal: {:.<180}{login}\n", "no");
                    let lines = [before_pack(), pkt(dead)];
                    Response::git(request, lines.concat())
                }
            }
        }),
    ];
    for (way, echo) in ways {
        for decoded in [false, true] {
            let commit = commit.clone();
            let of = commit.clone();
            let host = Host::answering(move |request| {
                let Some(sent) = request.headers.get("authorization") else {
                    return Response::unauthorized();
                };
                let sent = sent.trim_start_matches("Basic ");
                let login = STANDARD.decode(sent).unwrap();
                let login = String::from_utf8(login).unwrap();
                echo(request, if decoded { &login } else { sent }, &of)
            })
            .await;
            let ask = Ask::new(&host.url(), &commit).with_password(PASSWORD);
            let (_, told) = scene.refused(&ask).await;
            let basic = STANDARD.encode(format!("{USERNAME}:{PASSWORD}"));
            assert!(!told.contains(&basic), "{way}: {told}");
            // Otherwise the host's text would not be shown at all, and the test would show nothing.
            assert!(told.contains("***") || way == "location", "{way}: {told}");
        }
    }
}

#[tokio::test]
async fn a_host_that_forbids_refuses_the_credentials() {
    let (scene, commit) = Scene::with_commit();
    let host = Host::answering(|_| Response::new(403, &[], "no\n")).await;
    let ask = Ask::new(&host.url(), &commit).with_password(PASSWORD);
    assert_eq!(scene.code(&ask).await, Code::AuthenticationFailed);
}

#[tokio::test]
async fn a_login_that_fails_only_when_the_pack_is_asked_for_is_a_failed_login() {
    let (scene, commit) = Scene::with_commit();
    scene.allow_any_id();
    let host = Host::guarded(&scene, |request| {
        (request.method == "POST").then(Response::unauthorized)
    })
    .await;
    let ask = Ask::new(&host.url(), &commit).with_password(PASSWORD);
    assert_eq!(scene.code(&ask).await, Code::AuthenticationFailed);
}

#[tokio::test]
async fn a_host_that_requires_missing_credentials_is_named() {
    let (scene, commit) = Scene::with_commit();
    let host = Host::with_password(&scene, PASSWORD).await;
    assert_eq!(
        scene.code(&Ask::new(&host.url(), &commit)).await,
        Code::CredentialsMissing
    );
    assert_eq!(host.requests().len(), 1);
    let silent_about_it = Host::answering(|_| Response::new(401, &[], "")).await;
    let ask = Ask::new(&silent_about_it.url(), &commit);
    assert_eq!(scene.code(&ask).await, Code::CredentialsMissing);
    let sshd = Sshd::of(&scene).await;
    assert_eq!(
        scene.code(&Ask::new(&sshd.url(), &commit)).await,
        Code::CredentialsMissing
    );
}

#[tokio::test]
async fn a_password_is_not_sent_to_a_host_that_does_not_ask_for_it() {
    let (scene, commit) = Scene::with_commit();
    scene.allow_any_id();
    let host = Host::of(&scene).await;
    scene
        .fetch(&Ask::new(&host.url(), &commit).with_password(PASSWORD))
        .await
        .unwrap();
    assert!(host.requests().iter().all(|request| !request.has_credentials()));
}

#[tokio::test]
async fn a_key_that_the_host_does_not_know_is_refused() {
    let (scene, commit) = Scene::with_commit();
    let sshd = Sshd::of(&scene).await;
    let (strange, _) = sshd.make_key("ed25519", "");
    let ask = Ask::new(&sshd.url(), &commit).with_key(&strange, None, &sshd.known_hosts());
    assert_eq!(scene.code(&ask).await, Code::AuthenticationFailed);
}

#[tokio::test]
async fn a_malformed_key_is_refused() {
    let (scene, commit) = Scene::with_commit();
    let sshd = Sshd::of(&scene).await;
    let ask = Ask::new(&sshd.url(), &commit).with_key("s3cret nonsense", None, &sshd.known_hosts());
    assert_eq!(scene.code(&ask).await, Code::AuthenticationFailed);
}

#[tokio::test]
async fn a_host_key_that_is_not_pinned_is_refused_before_the_login() {
    let (scene, commit) = Scene::with_commit();
    let sshd = Sshd::of(&scene).await;
    let (_, same_type) = sshd.make_key("ed25519", "");
    let (_, another_type) = sshd.make_key("rsa", "");
    let pins = [
        sshd.pin(&same_type),
        sshd.pin(&another_type),
        // The right key, but for another host or port.
        sshd.known_hosts().replace("127.0.0.1", "127.0.0.2"),
        sshd.known_hosts().replace("[127.0.0.1]:", "[127.0.0.1]:1"),
        String::new(),
    ];
    for pins in pins {
        let ask = Ask::new(&sshd.url(), &commit).with_key(&sshd.private_key, None, &pins);
        assert_eq!(scene.code(&ask).await, Code::HostKeyMismatch, "{pins}");
    }
    assert!(!sshd.log().contains("Accepted"), "{}", sshd.log());
}

#[tokio::test]
async fn keys_of_all_usual_kinds_are_accepted_with_their_passphrase() {
    let (scene, commit) = Scene::with_commit();
    scene.allow_any_id();
    let sshd = Sshd::of(&scene).await;
    for kind in ["ed25519", "ecdsa", "rsa"] {
        for passphrase in ["", "open s3same"] {
            let (private_key, public_key) = sshd.make_key(kind, passphrase);
            sshd.let_in(&public_key);
            let passphrase = Some(passphrase).filter(|text| !text.is_empty());
            let ask = Ask::new(&sshd.url(), &commit).with_key(&private_key, passphrase, &sshd.known_hosts());
            let fetched = scene.fetch(&ask).await;
            assert!(fetched.is_ok(), "{kind} {passphrase:?}: {fetched:?}");
        }
    }
}

/// The forms of OpenSSL, which older tools write.
#[tokio::test]
async fn keys_in_pem_form_are_accepted_with_their_passphrase() {
    let (scene, commit) = Scene::with_commit();
    scene.allow_any_id();
    let sshd = Sshd::of(&scene).await;
    for (form, kind, begin) in [
        ("PEM", "ecdsa", "-----BEGIN EC PRIVATE KEY-----"),
        ("PEM", "rsa", "-----BEGIN RSA PRIVATE KEY-----"),
        ("PKCS8", "ecdsa", "-----BEGIN"),
        ("PKCS8", "rsa", "-----BEGIN"),
    ] {
        for passphrase in ["", "open s3same"] {
            let (private_key, public_key) = sshd.make_key_in(form, kind, passphrase);
            assert!(
                private_key.starts_with(begin) && !private_key.contains("OPENSSH"),
                "{private_key}"
            );
            sshd.let_in(&public_key);
            let passphrase = Some(passphrase).filter(|text| !text.is_empty());
            let ask = Ask::new(&sshd.url(), &commit).with_key(&private_key, passphrase, &sshd.known_hosts());
            let fetched = scene.fetch(&ask).await;
            assert!(fetched.is_ok(), "{form} {kind} {passphrase:?}: {fetched:?}");
        }
    }
}

#[tokio::test]
async fn a_wrong_passphrase_is_refused() {
    let (scene, commit) = Scene::with_commit();
    let sshd = Sshd::of(&scene).await;
    let (private_key, public_key) = sshd.make_key("ed25519", "open s3same");
    sshd.let_in(&public_key);
    for passphrase in [Some("s3cret guess"), None] {
        let ask = Ask::new(&sshd.url(), &commit).with_key(&private_key, passphrase, &sshd.known_hosts());
        assert_eq!(
            scene.code(&ask).await,
            Code::AuthenticationFailed,
            "{passphrase:?}"
        );
    }
}

#[tokio::test]
async fn an_ssh_url_without_a_user_means_git() {
    let (scene, commit) = Scene::with_commit();
    let sshd = Sshd::of(&scene).await;
    let url = sshd.url();
    let (user, rest) = url.trim_start_matches("ssh://").split_once('@').unwrap();
    assert_ne!(user, "git");
    let url = format!("ssh://{rest}");
    let ask = Ask::new(&url, &commit).with_key(&sshd.private_key, None, &sshd.known_hosts());
    assert_eq!(scene.code(&ask).await, Code::AuthenticationFailed);
    assert!(sshd.log().contains("user git"), "{}", sshd.log());
}
