//! Tests git itself with a host on the loopback.

#![expect(
    clippy::unwrap_used,
    reason = "a fixture that cannot do its work has failed the test"
)]

use std::path::{Path, PathBuf};

use git_host::{Credentials, GitHost, Options};

fn git(folder: &Path, arguments: &[&str]) -> std::process::Output {
    testkit::git::command(folder).args(arguments).output().unwrap()
}

/// Creates a bare repository `group/my project.git` with files that do not compress and are larger than any buffer.
fn repository(root: &Path) -> PathBuf {
    let work = root.join("work");
    std::fs::create_dir_all(&work).unwrap();
    git(&work, &["init", "--quiet"]);
    let mut seed = 1_u64;
    for name in ["one", "two", "three"] {
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            seed.to_be_bytes()[0]
        })
        .take(2 << 20)
        .collect();
        std::fs::write(work.join(name), noise).unwrap();
    }
    git(&work, &["add", "."]);
    assert!(
        git(&work, &["commit", "--quiet", "--message", "first"])
            .status
            .success()
    );
    let bare = root.join("group/my project.git");
    let cloned = git(
        root,
        &["clone", "--quiet", "--bare", "work", bare.to_str().unwrap()],
    );
    assert!(cloned.status.success());
    work
}

fn secret() -> Credentials {
    Credentials {
        username: "reader".to_owned(),
        password: "p:ss/word".to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_is_cloned_whole_with_the_password() {
    let folder = tempfile::tempdir().unwrap();
    let work = repository(folder.path());
    let options = Options {
        credentials: Some(secret()),
        ..Options::default()
    };
    let host = GitHost::serve(folder.path(), options).await.unwrap();
    let url = host.origin().replace("://", "://reader:p%3Ass%2Fword@") + "/group/my%20project.git";
    let cloned = git(folder.path(), &["clone", "--quiet", &url, "copy"]);
    assert!(cloned.status.success());
    for name in ["one", "two", "three"] {
        let copy = std::fs::read(folder.path().join("copy").join(name)).unwrap();
        assert!(copy == std::fs::read(work.join(name)).unwrap(), "{name} differs");
    }
    let wrong = url.replace("word@", "guess@");
    let refused = git(folder.path(), &["clone", "--quiet", &wrong, "none"]);
    assert!(!refused.status.success());
    assert!(!folder.path().join("none").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_commit_is_fetched_by_its_id_if_the_settings_allow_it() {
    let folder = tempfile::tempdir().unwrap();
    let work = repository(folder.path());
    let bare = folder.path().join("group/my project.git");
    let first = String::from_utf8(git(&work, &["rev-parse", "HEAD"]).stdout).unwrap();
    // The commit is on no ref any more, so it can only be fetched by its id.
    let other = git(&bare, &["commit-tree", "-m", "other", "main^{tree}"]).stdout;
    let other = String::from_utf8(other).unwrap();
    git(&bare, &["update-ref", "refs/heads/main", other.trim()]);
    let host = GitHost::serve(folder.path(), Options::with_any_commit())
        .await
        .unwrap();
    let copy = folder.path().join("copy");
    std::fs::create_dir(&copy).unwrap();
    git(&copy, &["init", "--quiet"]);
    let url = host.origin() + "/group/my%20project.git";
    let fetch = [
        "-c",
        "protocol.version=0",
        "fetch",
        "--quiet",
        "--depth=1",
        &url,
        first.trim(),
    ];
    assert!(git(&copy, &fetch).status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_request_is_streamed_to_git() {
    let folder = tempfile::tempdir().unwrap();
    let work = repository(folder.path());
    let empty = folder.path().join("empty.git");
    std::fs::create_dir(&empty).unwrap();
    git(&empty, &["init", "--quiet", "--bare"]);
    let host = GitHost::serve(
        folder.path(),
        Options {
            config: vec![("http.receivepack".to_owned(), "true".to_owned())],
            ..Options::default()
        },
    )
    .await
    .unwrap();
    // git sends a pack that is larger than http.postBuffer (1 MiB) in chunks.
    let url = host.origin() + "/empty.git";
    assert!(git(&work, &["push", "--quiet", &url, "main"]).status.success());
    assert!(git(&empty, &["cat-file", "-e", "main:three"]).status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_is_unavailable_as_often_as_configured_and_serves_only_its_repositories() {
    let folder = tempfile::tempdir().unwrap();
    repository(folder.path());
    let options = Options {
        unavailable: 1,
        ..Options::default()
    };
    let host = GitHost::serve(folder.path(), options).await.unwrap();
    let url = host.origin() + "/group/my%20project.git/info/refs?service=git-upload-pack";
    let get = async |url: &str| {
        reqwest::Client::builder()
            .no_proxy()
            .build()
            .unwrap()
            .get(url)
            .send()
            .await
            .unwrap()
    };
    assert_eq!(get(&url).await.status(), 503);
    assert_eq!(get(&url).await.status(), 200);
    assert_eq!(
        get(&(host.origin() + "/group/other.git/info/refs"))
            .await
            .status(),
        404
    );
    assert_eq!(host.requests(), 3);
}
