//! What git hosts list, and what is made of hosts that misbehave, by the program itself.

#![expect(clippy::unwrap_used, reason = "the helpers of tests")]

use std::path::Path;
use std::time::{Duration, Instant};

use aws::failure::Failed;
use aws::secrets::{SecretError, Secrets};
use credentials::Issuer;
use domain::error::Code;
use domain::git::ObjectId;
use domain::push::SourceName;
use remote::TransferProgram;
use secrecy::SecretString;
use serde_json::{Value, json};
use sweep::{GitHosts, Hosts as _, ListedRef};
use testkit::git;
use testkit::github::GitHub;
use testkit::http::{Host, Response, USERNAME, pkt};

/// The memory of a process that lists refs, as the function gives it.
const MEMORY: u64 = 96 << 20;
const TIMEOUT: Duration = Duration::from_secs(20);

/// A store with one secret.
struct Secret(Value);

impl Secrets for Secret {
    async fn read(&self, _: &SourceName, kind: &'static str) -> Result<SecretString, SecretError> {
        assert_eq!(kind, "git");
        Ok(self.0.to_string().into())
    }
}

async fn list_with(secret: Value, url: &str, time_limit: Duration) -> Result<Vec<ListedRef>, Failed> {
    let program = TransferProgram::new(env!("CARGO_BIN_EXE_sweep").into(), MEMORY);
    let hosts = GitHosts::with_program(Secret(secret), Issuer::default(), program);
    let login = hosts.login(&"gitlab".parse().unwrap()).await?;
    hosts.list(&login, &url.parse().unwrap(), time_limit).await
}

async fn list(url: &str) -> Result<Vec<ListedRef>, Failed> {
    list_with(json!({ "credentials": [] }), url, TIMEOUT).await
}

/// Lists the only repository of a host.
async fn list_on(host: &Host) -> Result<Vec<ListedRef>, Failed> {
    list(&format!("{}/group/project.git", host.origin())).await
}

/// Creates a repository with a branch and an annotated tag. Returns the ids of the commit and of the tag.
fn make(root: &Path) -> (String, String) {
    let folder = root.join("group/project.git");
    std::fs::create_dir_all(&folder).unwrap();
    let git = |arguments: &[&str]| git::line(git::command(&folder).args(arguments), b"");
    git(&["init", "--quiet", "--bare", "--initial-branch=main"]);
    let tree = git(&["mktree"]);
    let commit = git(&["commit-tree", "-m", "Begin", &tree]);
    git(&["update-ref", "refs/heads/main", &commit]);
    git(&["tag", "--annotate", "v1", "--message", "One", &commit]);
    let tag = git(&["rev-parse", "refs/tags/v1"]);
    (commit, tag)
}

#[tokio::test]
async fn a_host_lists_branches_and_the_objects_of_annotated_tags() {
    let root = tempfile::tempdir().unwrap();
    let (commit, tag) = make(root.path());
    let host = Host::of(root.path()).await;
    let refs = list_on(&host).await.unwrap();
    let tags_of = refs
        .iter()
        .map(|listed| listed.tag_of.as_ref().map(ObjectId::as_str));
    assert_eq!(tags_of.collect::<Vec<_>>(), [None, Some(&*commit)]);
    let refs: Vec<_> = refs
        .iter()
        .map(|listed| (listed.name.as_str(), listed.object.as_str()))
        .collect();
    assert_eq!(refs, [("refs/heads/main", &*commit), ("refs/tags/v1", &*tag)]);
    // Nothing is fetched.
    let requests = host.requests();
    assert!(requests.len() == 1 && requests[0].method == "GET", "{requests:?}");
}

#[tokio::test]
async fn a_repository_without_refs_lists_none() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("group/project.git");
    std::fs::create_dir_all(&folder).unwrap();
    git::line(git::command(&folder).args(["init", "--quiet", "--bare"]), b"");
    let host = Host::of(root.path()).await;
    assert_eq!(list_on(&host).await.unwrap(), []);
}

#[tokio::test]
async fn a_login_is_needed_where_the_host_wants_one_and_is_never_shown() {
    let root = tempfile::tempdir().unwrap();
    make(root.path());
    let host = Host::with_password(root.path(), "glpat-t0ken").await;
    let url = format!("{}/group/project.git", host.origin());
    let secret = |password: &str| json!({ "credentials": [{ "host": host.origin(), "username": USERNAME, "password": password }] });
    let listed = list_with(secret("glpat-t0ken"), &url, TIMEOUT).await.unwrap();
    assert_eq!(listed.len(), 2);
    let refused = list_with(secret("wr0ng-t0ken"), &url, TIMEOUT).await.unwrap_err();
    assert_eq!(refused.code, Code::AuthenticationFailed);
    assert!(!refused.cause.contains("wr0ng"), "{refused}");
    assert_eq!(list(&url).await.unwrap_err().code, Code::CredentialsMissing);
    let malformed = list_with(json!({ "credentials": "wr0ng-t0ken" }), &url, TIMEOUT).await;
    let malformed = malformed.unwrap_err();
    assert_eq!(malformed.code, Code::SecretInvalid);
    assert!(!malformed.cause.contains("wr0ng"), "{malformed}");
}

#[tokio::test]
async fn an_app_lists_by_a_token_that_is_kept() {
    let root = tempfile::tempdir().unwrap();
    make(root.path());
    let github = GitHub::of(root.path(), 3600).await;
    let secret = Secret(json!({ "credentials": [github.credential()] }));
    let program = TransferProgram::new(env!("CARGO_BIN_EXE_sweep").into(), MEMORY);
    let hosts = GitHosts::with_program(secret, Issuer::default(), program);
    for _ in 0..2 {
        // Each run reads the secret anew.
        let login = hosts.login(&"github".parse().unwrap()).await.unwrap();
        let refs = hosts
            .list(&login, &github.host.url().parse().unwrap(), TIMEOUT)
            .await;
        assert_eq!(refs.unwrap().len(), 2);
    }
    assert_eq!(github.issued().len(), 1);
    let login = hosts.login(&"github".parse().unwrap()).await.unwrap();
    let elsewhere = format!("{}/too/many/parts.git", github.host.origin());
    let failed = hosts
        .list(&login, &elsewhere.parse().unwrap(), TIMEOUT)
        .await
        .unwrap_err();
    assert_eq!(failed.code, Code::InstallationTokenRefused, "{failed}");
}

#[tokio::test]
async fn a_login_is_for_the_repositories_that_its_entry_names() {
    let root = tempfile::tempdir().unwrap();
    make(root.path());
    let host = Host::with_password(root.path(), "glpat-t0ken").await;
    let url = format!("{}/group/project.git", host.origin());
    let list = async |repositories: &str| {
        let entry = json!({
            "host": host.origin(), "repositories": [repositories], "username": USERNAME, "password": "glpat-t0ken",
        });
        list_with(json!({ "credentials": [entry] }), &url, TIMEOUT).await
    };
    assert_eq!(list("group/*").await.unwrap().len(), 2);
    assert_eq!(list("other/*").await.unwrap_err().code, Code::CredentialsMissing);
}

#[tokio::test]
async fn a_redirect_to_another_host_is_not_followed() {
    let root = tempfile::tempdir().unwrap();
    make(root.path());
    let target = Host::of(root.path()).await;
    let location = format!(
        "http://localhost:{}/group/project.git/info/refs?service=git-upload-pack",
        target.address.port()
    );
    let host = Host::answering(move |_| Response::redirect(301, &location)).await;
    let failed = list_on(&host).await.unwrap_err();
    assert_eq!(failed.code, Code::GitHostRedirected, "{failed}");
    assert_eq!(target.requests().len(), 0);
}

#[tokio::test]
async fn a_host_that_is_silent_or_not_there_is_given_up() {
    let silent = Host::serve(|_, connection| async move {
        std::future::pending::<()>().await;
        drop(connection);
        Ok(())
    })
    .await;
    let url = format!("{}/group/project.git", silent.origin());
    let begun = Instant::now();
    let secret = json!({ "credentials": [] });
    let failed = list_with(secret, &url, Duration::from_secs(1)).await.unwrap_err();
    assert_eq!(failed.code, Code::GitHostTimedOut, "{failed}");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    drop(silent);
    assert_eq!(list(&url).await.unwrap_err().code, Code::GitHostUnreachable);
    let missing = Host::answering(|_| Response::new(404, &[], "no")).await;
    let failed = list_on(&missing).await.unwrap_err();
    assert_eq!(failed.code, Code::RepositoryNotFound, "{failed}");
}

/// Starts a host whose repository has these refs, all of which point to one object.
async fn listing_host(refs: impl Iterator<Item = String>) -> Host {
    let mut body = [pkt("# service=git-upload-pack\n"), b"0000".to_vec()].concat();
    let id = "a".repeat(40);
    for (number, name) in refs.enumerate() {
        let capabilities = if number == 0 { "\0ofs-delta" } else { "" };
        body.extend(pkt(format!("{id} {name}{capabilities}\n")));
    }
    body.extend(b"0000");
    Host::answering(move |request| Response::git(request, body.clone())).await
}

#[tokio::test]
async fn names_that_are_no_refs_are_left_out() {
    let names = [
        "HEAD",
        "refs/heads/main",
        "refs/tags/v1",
        "refs/tags/v1^{}",
        "refs/x",
    ];
    let host = listing_host(names.into_iter().map(str::to_owned)).await;
    let refs = list_on(&host).await.unwrap();
    let names: Vec<_> = refs.iter().map(|listed| listed.name.as_str()).collect();
    assert_eq!(names, ["refs/heads/main", "refs/tags/v1"]);
}

#[tokio::test]
async fn a_host_that_lists_too_many_refs_is_refused() {
    let host = listing_host((0..50_001).map(|number| format!("refs/heads/{number}"))).await;
    let failed = list_on(&host).await.unwrap_err();
    assert_eq!(failed.code, Code::LimitExceeded, "{failed}");
    let says = "lists 50001 refs, and at most 50000 are compared";
    assert!(failed.cause.contains(says), "{failed}");
    let host = listing_host((0..50_000).map(|number| format!("refs/heads/{number}"))).await;
    assert_eq!(list_on(&host).await.unwrap().len(), 50_000);
}

/// The refs need more memory than the process has.
#[tokio::test]
async fn a_host_that_lists_refs_for_ever_ends_its_own_process_alone() {
    let host = listing_host((0..1_000_000).map(|number| format!("refs/heads/{number}"))).await;
    let failed = list_on(&host).await.unwrap_err();
    let codes = [Code::TransferDied, Code::GitHostTimedOut];
    assert!(codes.contains(&failed.code), "{failed}");
}
