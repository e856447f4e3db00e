//! Hosts that redirect.

use domain::error::{Code, Coded as _};
use testkit::PATH;
use testkit::http::{Host, Response};

use crate::scene::{Ask, PASSWORD, Scene};

const STATUSES: [u16; 5] = [301, 302, 303, 307, 308];

/// The other host, which asks for a password, and serves the commit to whoever sends one.
async fn elsewhere(scene: &Scene) -> Host {
    scene.allow_any_id();
    Host::guarded(scene, |request| {
        (!request.has_credentials()).then(Response::unauthorized)
    })
    .await
}

#[tokio::test]
async fn a_redirect_to_another_host_is_not_followed() {
    let (scene, commit) = Scene::with_commit();
    let other = elsewhere(&scene).await;
    for status in STATUSES {
        let target = other.url().replace("127.0.0.1", "localhost") + "/info/refs?service=git-upload-pack";
        let host = Host::answering(move |_| Response::redirect(status, &target)).await;
        let ask = Ask::new(&host.url(), &commit).with_password(PASSWORD);
        assert_eq!(scene.code(&ask).await, Code::GitHostRedirected, "{status}");
    }
    assert_eq!(other.requests().len(), 0);
}

#[tokio::test]
async fn a_redirect_to_another_port_never_brings_the_password_there() {
    let (scene, commit) = Scene::with_commit();
    let other = elsewhere(&scene).await;
    for status in STATUSES {
        let target = other.url() + "/info/refs?service=git-upload-pack";
        let before_the_login = {
            let target = target.clone();
            Host::answering(move |_| Response::redirect(status, &target)).await
        };
        let after_the_login = Host::answering(move |request| match request.has_credentials() {
            true => Response::redirect(status, &target),
            false => Response::unauthorized(),
        })
        .await;
        for host in [before_the_login, after_the_login] {
            let ask = Ask::new(&host.url(), &commit).with_password(PASSWORD);
            assert_eq!(scene.code(&ask).await, Code::GitHostRedirected, "{status}");
        }
    }
    assert!(other.requests().iter().all(|request| !request.has_credentials()));
}

#[tokio::test]
async fn a_redirect_of_the_second_request_is_not_followed() {
    let (scene, commit) = Scene::with_commit();
    let other = elsewhere(&scene).await;
    let target = other.url() + "/git-upload-pack";
    let host = Host::guarded(&scene, move |request| {
        if !request.has_password(PASSWORD) {
            return Some(Response::unauthorized());
        }
        (request.method == "POST").then(|| Response::redirect(307, &target))
    })
    .await;
    let ask = Ask::new(&host.url(), &commit).with_password(PASSWORD);
    assert_eq!(scene.code(&ask).await, Code::GitHostRedirected);
    assert_eq!(other.requests().len(), 0);
}

#[tokio::test]
async fn a_redirect_to_a_file_or_another_scheme_is_not_followed() {
    let (scene, commit) = Scene::with_commit();
    let file = format!("file://{}/info/refs", scene.repository().display());
    let targets = [
        file,
        format!("ssh://127.0.0.1{PATH}"),
        format!("ftp://127.0.0.1{PATH}"),
        "https://git.example.invalid/a.git".to_owned(),
    ];
    for target in targets {
        let location = target.clone();
        let host = Host::answering(move |_| Response::redirect(302, &location)).await;
        let ask = Ask::new(&host.url(), &commit).with_password(PASSWORD);
        assert_eq!(scene.code(&ask).await, Code::GitHostRedirected, "{target}");
    }
    let nowhere = Host::answering(|_| Response::new(302, &[], "")).await;
    assert_eq!(
        scene.code(&Ask::new(&nowhere.url(), &commit)).await,
        Code::GitHostRedirected
    );
}

/// libgit2 1.9.7 crashes on it, which ends only the transfer process.
#[tokio::test]
async fn a_redirect_without_a_host_is_an_error_of_its_own() {
    let (scene, commit) = Scene::with_commit();
    for location in ["elsewhere", "https:", "http:///x"] {
        let host = Host::answering(move |_| Response::redirect(302, location)).await;
        let ask = Ask::new(&host.url(), &commit).with_password(PASSWORD);
        let (code, told) = scene.refused(&ask).await;
        assert_eq!(code, Code::TransferDied, "{location}: {told}");
        assert!(told.contains("SIGSEGV"), "{told}");
    }
    let host = Host::of(&scene).await;
    assert!(scene.fetch(&Ask::new(&host.url(), &commit)).await.is_ok());
}

#[tokio::test]
async fn a_redirect_to_itself_is_not_followed_for_ever() {
    let (scene, commit) = Scene::with_commit();
    let host = Host::answering(|request| Response::redirect(302, &request.target)).await;
    let ask = Ask::new(&host.url(), &commit).with_password(PASSWORD);
    assert_eq!(scene.code(&ask).await, Code::GitHostRedirected);
    assert!(host.requests().len() < 20);
}

#[tokio::test]
async fn a_repository_that_was_renamed_on_its_host_is_found() {
    let (scene, commit) = Scene::with_commit();
    scene.allow_any_id();
    let host = Host::guarded(&scene, |request| {
        if !request.has_password(PASSWORD) {
            return Some(Response::unauthorized());
        }
        let renamed = request.target.strip_prefix("/old.git")?;
        Some(Response::redirect(301, &format!("{PATH}{renamed}")))
    })
    .await;
    let ask = Ask::new(&(host.origin() + "/old.git"), &commit).with_password(PASSWORD);
    assert_eq!(scene.fetch(&ask).await.unwrap().commit.as_str(), commit);
}

#[test]
fn a_users_git_configuration_changes_nothing() {
    let home = tempfile::tempdir().unwrap();
    let elsewhere = "[url \"http://git.push-code.invalid\"]\n\tinsteadOf = http://127.0.0.1\n";
    for configuration in [elsewhere, "[broken\n"] {
        std::fs::write(home.path().join(".gitconfig"), configuration).unwrap();
        for test in [
            "commits::the_exact_commit_comes_without_its_history",
            "signatures::a_signed_commit_needs_no_signed_tag",
        ] {
            // libgit2 reads the home directory once per process, so this is another process.
            let output = std::process::Command::new(std::env::current_exe().unwrap())
                .args(["--exact", test])
                .env("HOME", home.path())
                .output()
                .unwrap();
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success() && text.contains("1 passed"), "{text}");
        }
    }
}

#[tokio::test]
async fn a_host_at_a_link_local_or_metadata_address_is_not_connected_to() {
    let (scene, commit) = Scene::with_commit();
    for host in [
        "http://169.254.169.254",
        "https://169.254.170.2:8443",
        "http://0xa9fea9fe",
        "http://[fe80::1]",
        "http://[fd00:ec2::254]",
        "http://[::ffff:169.254.169.254]",
    ] {
        let ask = Ask::new(&format!("{host}{PATH}"), &commit).with_password(PASSWORD);
        let error = scene.fetch(&ask).await.unwrap_err();
        assert_eq!(error.code(), Code::GitHostNotAllowed, "{host}: {error}");
    }
    // libssh2 would look up the number as the address.
    for host in ["169.254.169.254", "2852039166"] {
        let ask = Ask::new(&format!("ssh://git@{host}{PATH}"), &commit).with_key("key", None, "");
        let error = scene.fetch(&ask).await.unwrap_err();
        assert_eq!(error.code(), Code::GitHostNotAllowed, "{host}: {error}");
    }
}
