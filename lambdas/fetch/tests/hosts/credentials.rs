//! Credentials by repository, and those that are exchanged for what is sent: GitHub Apps and CodeCommit.

use std::sync::Arc;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use credentials::Issuer;
use domain::error::Code;
use serde_json::{Value, json};
use testkit::codecommit::{self, ACCESS_KEY, REGION, SECRET_KEY};
use testkit::github::GitHub;
use testkit::http::{Host, Response, USERNAME, pkt};
use testkit::{Certificate, PATH, Request};

use crate::scene::{Ask, PASSWORD, Scene};
use crate::submodules::{code, commit, module};
use crate::tls::Tls;

const HOUR: i64 = 3600;
const LIBRARY: &str = "/group/library.git";
const LIBRARY_PASSWORD: &str = "of the library";
const CONTENT: &[u8] = b"content";

/// Makes a repository with a submodule beside it. Returns the repository and its commit.
fn with_library() -> (Scene, String) {
    let scene = Scene::new();
    scene.allow_any_id();
    let [first, _, _] = scene.beside(LIBRARY).history();
    let pushed = commit(
        &scene,
        &module("library", "../library.git"),
        &[("library", &first)],
    );
    (scene, pushed)
}

#[tokio::test]
async fn each_repository_gets_its_own_password() {
    let (scene, pushed) = with_library();
    let is_of_library = |request: &Request| request.target.starts_with(LIBRARY);
    let host = Host::guarded(&scene, move |request| {
        let password = if is_of_library(request) {
            LIBRARY_PASSWORD
        } else {
            PASSWORD
        };
        (!request.has_password(password)).then(Response::unauthorized)
    })
    .await;
    let entry = |repositories: &str, password: &str| {
        let (host, repositories) = (host.origin(), [repositories]);
        json!({"host": host, "repositories": repositories, "username": USERNAME, "password": password})
    };
    let ask = |entries| {
        Ask::new(&host.url(), &pushed)
            .with_submodules()
            .with_credentials(entries)
    };
    let (library, all) = (entry("group/lib*", LIBRARY_PASSWORD), entry("group/*", PASSWORD));
    let fetched = scene.fetch(&ask(json!([library, all]))).await.unwrap();
    assert_eq!(fetched.submodules.len(), 1);
    // The first entry that matches is used, and no other is tried.
    let (refused, told) = code(&scene, &ask(json!([all, library]))).await;
    assert_eq!(refused, Code::AuthenticationFailed, "{told}");
    let before = host.requests().len();
    let (refused, told) = code(&scene, &ask(json!([entry("group/project", PASSWORD)]))).await;
    assert_eq!(refused, Code::CredentialsMissing, "{told}");
    assert!(told.contains(&format!("{}{LIBRARY}", host.origin())), "{told}");
    let asked = host.requests().split_off(before);
    let mut of_library = asked.iter().filter(|request| is_of_library(request)).peekable();
    assert!(of_library.peek().is_some() && of_library.all(|request| !request.has_credentials()));
}

#[tokio::test]
async fn an_app_fetches_each_repository_by_a_token_of_its_own() {
    let (scene, pushed) = with_library();
    let github = GitHub::of(&scene, HOUR).await;
    let mut ask = Ask::new(&github.host.url(), &pushed)
        .with_submodules()
        .with_credentials(json!([github.credential()]));
    let fetched = scene.fetch(&ask).await.unwrap();
    assert_eq!(fetched.submodules.len(), 1);
    let of = |github: &GitHub| -> Vec<String> {
        let issued = github.issued().into_iter();
        issued.map(|issued| issued.repository).collect()
    };
    assert_eq!(of(&github), ["group/project", "group/library"]);
    // The next push has the same tokens, in this process.
    scene.fetch(&ask).await.unwrap();
    assert_eq!(of(&github).len(), 2);
    ask.issuer = Arc::default();
    scene.fetch(&ask).await.unwrap();
    assert_eq!(of(&github).len(), 4);
}

#[tokio::test]
async fn an_app_fetches_lfs_objects() {
    let oid: String = openssl::sha::sha256(CONTENT)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let scene = Scene::new();
    scene.allow_any_id();
    let pointer = format!(
        "version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {}\n",
        CONTENT.len()
    );
    let blob = |text: &str| scene.line(&["hash-object", "-w", "--stdin"], text.as_bytes());
    let (attributes, pointer) = (blob("*.bin filter=lfs\n"), blob(&pointer));
    let tree = format!("100644 blob {attributes}\t.gitattributes\n100644 blob {pointer}\ta.bin\n");
    let tree = scene.line(&["mktree"], tree.as_bytes());
    let pushed = scene.line(&["commit-tree", &tree, "-m", "Add a large file"], b"");
    scene.git(&["update-ref", "refs/heads/main", &pushed], b"");
    let github = GitHub::guarded(&scene, HOUR, move |request| {
        let lfs = request.target.strip_prefix(PATH)?;
        match lfs.strip_prefix("/info/lfs/objects/")? {
            "batch" => {
                let href = format!("http://{}{PATH}/info/lfs/objects/{oid}", request.headers["host"]);
                let object =
                    json!({"oid": oid, "size": CONTENT.len(), "actions": {"download": {"href": href}}});
                Some(Response::new(200, &[], json!({"objects": [object]}).to_string()))
            }
            _ => Some(Response::new(200, &[], CONTENT)),
        }
    })
    .await;
    let mut ask = Ask::new(&github.host.url(), &pushed).with_credentials(json!([github.credential()]));
    ask.git_hosts = vec![github.host.origin()];
    ask.lfs = true;
    let fetched = scene.fetch(&ask).await.unwrap();
    assert_eq!(fetched.lfs.map(|lfs| lfs.objects), Some(1));
    assert_eq!(github.issued().len(), 1, "git and LFS have the same token");
}

/// A GitHub Enterprise Server, whose host and API have one certificate.
#[tokio::test]
async fn an_authority_of_the_secret_is_trusted_at_the_api_too() {
    let (scene, pushed) = with_library();
    let github = GitHub::of(&scene, HOUR).await;
    let certificate = Certificate::make("host", Some("127.0.0.1"), None);
    let tls = Tls::serve(&github.host, &[&certificate]);
    let mut entry = github.credential();
    entry["host"] = json!(tls.url().replace(PATH, ""));
    let ask = Ask::new(&tls.url(), &pushed).with_credentials(json!([entry]));
    assert_eq!(scene.code(&ask).await, Code::CertificateInvalid);
    assert_eq!(github.host.requests().len(), 0);
    let ask = ask.with_authorities(&certificate.pem());
    assert_eq!(scene.fetch(&ask).await.unwrap().commit.as_str(), pushed);
}

/// The host refuses a token that has expired.
#[tokio::test]
async fn a_token_that_expires_between_two_pushes_is_made_anew() {
    let (scene, pushed) = with_library();
    let github = GitHub::of(&scene, 30).await;
    let ask = Ask::new(&github.host.url(), &pushed).with_credentials(json!([github.credential()]));
    scene.fetch(&ask).await.unwrap();
    github.expire_all();
    scene.fetch(&ask).await.unwrap();
    assert_eq!(github.issued().len(), 2);
}

#[tokio::test]
async fn an_app_that_is_refused_is_named_without_its_key() {
    let (scene, pushed) = with_library();
    let github = GitHub::of(&scene, HOUR).await;
    let mut entry = github.credential();
    entry["installation_id"] = json!("7");
    let ask = Ask::new(&github.host.url(), &pushed).with_credentials(json!([entry]));
    let (refused, told) = scene.refused(&ask).await;
    assert_eq!(refused, Code::InstallationTokenRefused, "{told}");
    assert!(told.contains("404") && told.contains("Not Found"), "{told}");
}

#[tokio::test]
async fn a_token_that_the_host_repeats_is_redacted() {
    let (scene, pushed) = with_library();
    let github = GitHub::guarded(&scene, HOUR, |request| {
        let sent = request.headers["authorization"].trim_start_matches("Basic ");
        let login = String::from_utf8(STANDARD.decode(sent).unwrap()).unwrap();
        let error = pkt(format!("ERR {sent} {login}"));
        let lines = [pkt("# service=git-upload-pack\n"), b"0000".to_vec(), error];
        Some(Response::git(request, lines.concat()))
    })
    .await;
    let ask = Ask::new(&github.host.url(), &pushed).with_credentials(json!([github.credential()]));
    let (_, told) = scene.refused(&ask).await;
    let basic = STANDARD.encode(format!("x-access-token:{}", github.issued()[0].token));
    assert!(told.contains("*** x-access-token:***"), "{told}");
    assert!(!told.contains("ghs_") && !told.contains(&basic), "{told}");
}

fn codecommit_of(host: &Host) -> Value {
    json!([{"host": host.origin(), "codecommit": {"region": REGION}}])
}

fn signed_by(secret_key: &str, session_token: Option<&str>) -> Arc<Issuer> {
    let session_token = session_token.map(str::to_owned);
    let credentials = Credentials::new(ACCESS_KEY, secret_key, session_token, None, "test");
    Arc::new(Issuer::new(Some(SharedCredentialsProvider::new(credentials))))
}

#[tokio::test]
async fn codecommit_accepts_the_signature_of_the_functions_role() {
    let (scene, commit) = Scene::with_commit();
    scene.allow_any_id();
    for session_token in [None, Some("FwoGZXIvYXdzE/+=")] {
        let host = codecommit::serve(&scene, session_token, TimeDelta::zero()).await;
        let mut ask = Ask::new(&host.url(), &commit).with_credentials(codecommit_of(&host));
        ask.issuer = signed_by(SECRET_KEY, session_token);
        assert_eq!(scene.fetch(&ask).await.unwrap().commit.as_str(), commit);
        for issuer in [
            signed_by("another", session_token),
            signed_by(SECRET_KEY, Some("another")),
        ] {
            ask.issuer = issuer;
            assert_eq!(code(&scene, &ask).await.0, Code::AuthenticationFailed);
        }
    }
}

#[tokio::test]
async fn codecommit_refuses_a_signature_of_another_time_or_repository() {
    let (scene, commit) = Scene::with_commit();
    scene.beside(LIBRARY).history();
    for minutes in [-14, -16, 14, 16_i64] {
        let host = codecommit::serve(&scene, None, TimeDelta::minutes(minutes)).await;
        let mut ask = Ask::new(&host.url(), &commit).with_credentials(codecommit_of(&host));
        ask.issuer = signed_by(SECRET_KEY, None);
        let fetched = scene.fetch(&ask).await.is_ok();
        assert_eq!(fetched, minutes.abs() < 15, "{minutes}");
        if !fetched {
            assert_eq!(code(&scene, &ask).await.0, Code::AuthenticationFailed);
        }
        ask.url = host.origin() + LIBRARY;
        assert_eq!(code(&scene, &ask).await.0, Code::AuthenticationFailed);
    }
}

#[tokio::test]
async fn codecommit_needs_credentials_of_aws() {
    let (scene, commit) = Scene::with_commit();
    let host = codecommit::serve(&scene, None, TimeDelta::zero()).await;
    let ask = Ask::new(&host.url(), &commit).with_credentials(codecommit_of(&host));
    let (refused, told) = scene.refused(&ask).await;
    assert_eq!(refused, Code::CredentialsMissing, "{told}");
    assert_eq!(host.requests().len(), 0);
}

#[tokio::test]
async fn a_signature_that_the_host_repeats_is_redacted() {
    let (scene, commit) = Scene::with_commit();
    let host = Host::answering(|request| {
        let Some(sent) = request.headers.get("authorization") else {
            return Response::unauthorized();
        };
        let login = STANDARD.decode(sent.trim_start_matches("Basic ")).unwrap();
        let error = pkt(format!("ERR {}", String::from_utf8(login).unwrap()));
        Response::git(
            request,
            [pkt("# service=git-upload-pack\n"), b"0000".to_vec(), error].concat(),
        )
    })
    .await;
    let mut ask = Ask::new(&host.url(), &commit).with_credentials(codecommit_of(&host));
    ask.issuer = signed_by(SECRET_KEY, Some("s3ssion"));
    let (_, told) = scene.refused(&ask).await;
    assert!(told.contains(&format!("{ACCESS_KEY}%***:***")), "{told}");
}
