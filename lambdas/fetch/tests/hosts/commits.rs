//! Pushes whose commit exists, is elsewhere, or is another kind of object.

use domain::error::Code;
use testkit::http::Host;
use testkit::ssh::Sshd;

use crate::scene::{Ask, Scene};

/// Returns the ids of the commit, its tree and its file, in order.
fn objects_of(scene: &Scene, commit: &str) -> Vec<String> {
    let mut objects = vec![
        commit.to_owned(),
        scene.line(&["rev-parse", &format!("{commit}^{{tree}}")], b""),
        scene.line(&["rev-parse", &format!("{commit}:file")], b""),
    ];
    objects.sort();
    objects
}

#[tokio::test]
async fn the_exact_commit_comes_without_its_history() {
    let scene = Scene::new();
    scene.allow_any_id();
    let [_, second, third] = scene.history();
    let host = Host::of(&scene).await;
    let fetched = scene.fetch(&Ask::new(&host.url(), &second)).await.unwrap();
    assert_eq!(fetched.commit.as_str(), second);
    assert_eq!(scene.staged_objects(&fetched), objects_of(&scene, &second));
    assert_eq!(fetched.ref_now.unwrap().as_str(), third);
}

#[tokio::test]
async fn an_annotated_tag_is_peeled_to_its_commit() {
    let (scene, commit) = Scene::with_commit();
    scene.allow_any_id();
    let inner =
        format!("object {commit}\ntype commit\ntag v1\ntagger Jo <jo@example.com> 1700000000 +0000\n\nv1\n");
    let inner = scene.line(&["mktag"], inner.as_bytes());
    let outer =
        format!("object {inner}\ntype tag\ntag v1\ntagger Jo <jo@example.com> 1700000000 +0000\n\nv1\n");
    let outer = scene.line(&["mktag"], outer.as_bytes());
    scene.git(&["update-ref", "refs/tags/v1", &outer], b"");
    let host = Host::of(&scene).await;
    let ask = Ask::new(&host.url(), &outer).of_ref("refs/tags/v1");
    let fetched = scene.fetch(&ask).await.unwrap();
    assert_eq!(fetched.commit.as_str(), commit);
    assert_eq!(fetched.ref_now.unwrap().as_str(), outer);
}

#[tokio::test]
async fn a_commit_is_described_as_git_describes_it() {
    let scene = Scene::new();
    scene.allow_any_id();
    let tree = scene.tree("content");
    let mut raw = format!("tree {tree}\nauthor J").into_bytes();
    raw.extend(b"\xf8rgen <j\xf8@example.com> 1600000000 +0200\n");
    raw.extend(b"committer Other <other@example.com> 1700000001 -0500\n\n");
    raw.extend(format!("caf\u{e9} {}", "\u{e9}".repeat(300)).into_bytes());
    raw.extend(b"\n\nbody\n");
    let arguments = ["hash-object", "-w", "-t", "commit", "--literally", "--stdin"];
    let commit = scene.line(&arguments, &raw);
    scene.git(&["update-ref", "refs/heads/main", &commit], b"");
    let host = Host::of(&scene).await;
    let fetched = scene.fetch(&Ask::new(&host.url(), &commit)).await.unwrap();
    assert_eq!(fetched.tree.as_str(), tree);
    assert_eq!(fetched.author.name, "J\u{fffd}rgen");
    assert_eq!(fetched.author.email, "j\u{fffd}@example.com");
    assert_eq!(fetched.committed_at.to_rfc3339(), "2023-11-14T22:13:21+00:00");
    assert_eq!(fetched.subject, format!("caf\u{e9} {}", "\u{e9}".repeat(195)));
    let size = |key| std::fs::metadata(scene.staging().path(key)).unwrap().len();
    assert_eq!(fetched.pack.size, size(&fetched.pack.key));
    assert_eq!(fetched.index.size, size(&fetched.index.key));
}

#[tokio::test]
async fn a_subject_that_is_not_utf8_is_shown_with_replacements() {
    let scene = Scene::new();
    scene.allow_any_id();
    let tree = scene.tree("content");
    let person = "Jo <jo@example.com> 1700000000 +0000";
    let mut raw =
        format!("tree {tree}\nauthor {person}\ncommitter {person}\nencoding ISO-8859-1\n\n").into_bytes();
    raw.extend(b"caf\xe9 au lait\n");
    let commit = scene.line(
        &["hash-object", "-w", "-t", "commit", "--literally", "--stdin"],
        &raw,
    );
    scene.git(&["update-ref", "refs/heads/main", &commit], b"");
    let host = Host::of(&scene).await;
    let fetched = scene.fetch(&Ask::new(&host.url(), &commit)).await.unwrap();
    assert_eq!(fetched.subject, "caf\u{fffd} au lait");
}

#[tokio::test]
async fn the_tip_comes_from_a_host_that_refuses_ids() {
    let scene = Scene::new();
    let [_, _, third] = scene.history();
    let host = Host::of(&scene).await;
    let fetched = scene.fetch(&Ask::new(&host.url(), &third)).await.unwrap();
    assert_eq!(fetched.commit.as_str(), third);
    assert_eq!(fetched.ref_now.unwrap().as_str(), third);
}

#[tokio::test]
async fn an_older_commit_of_the_ref_comes_from_a_host_that_refuses_ids() {
    let scene = Scene::new();
    let [first, _, third] = scene.history();
    let host = Host::of(&scene).await;
    let fetched = scene.fetch(&Ask::new(&host.url(), &first)).await.unwrap();
    assert_eq!(fetched.commit.as_str(), first);
    assert_eq!(fetched.subject, "first");
    assert_eq!(fetched.ref_now.unwrap().as_str(), third);
}

#[tokio::test]
async fn the_ref_is_fetched_from_a_host_that_serves_tips_only() {
    let scene = Scene::new();
    scene.git(&["config", "uploadpack.allowTipSHA1InWant", "true"], b"");
    let [first, _, third] = scene.history();
    let host = Host::of(&scene).await;
    for commit in [first, third] {
        let fetched = scene.fetch(&Ask::new(&host.url(), &commit)).await.unwrap();
        assert_eq!(fetched.commit.as_str(), commit);
    }
}

#[tokio::test]
async fn a_commit_that_the_ref_does_not_lead_to_is_not_found() {
    let scene = Scene::new();
    scene.history();
    let forced_away = scene.commit("forced away", None);
    let host = Host::of(&scene).await;
    assert_eq!(
        scene.code(&Ask::new(&host.url(), &forced_away)).await,
        Code::CommitNotFound
    );
    let gone = Ask::new(&host.url(), &forced_away).of_ref("refs/heads/gone");
    assert_eq!(scene.code(&gone).await, Code::CommitNotFound);
    let sshd = Sshd::of(&scene).await;
    assert_eq!(
        scene.code(&Ask::over_ssh(&sshd, &forced_away)).await,
        Code::CommitNotFound
    );
}

#[tokio::test]
async fn an_id_that_no_object_has_is_not_found() {
    let scene = Scene::new();
    scene.history();
    scene.allow_any_id();
    let ask = |url: &str| Ask::new(url, &"1".repeat(40));
    let host = Host::of(&scene).await;
    assert_eq!(scene.code(&ask(&host.url())).await, Code::CommitNotFound);
    let sshd = Sshd::of(&scene).await;
    assert_eq!(
        scene.code(&Ask::over_ssh(&sshd, &"1".repeat(40))).await,
        Code::CommitNotFound
    );
}

#[tokio::test]
async fn the_id_of_a_tree_or_a_file_is_refused() {
    for any_id in [true, false] {
        let (scene, commit) = Scene::with_commit();
        if any_id {
            scene.allow_any_id();
        }
        let host = Host::of(&scene).await;
        for what in ["^{tree}", ":file"] {
            let id = scene.line(&["rev-parse", &format!("{commit}{what}")], b"");
            let code = scene.code(&Ask::new(&host.url(), &id)).await;
            assert_eq!(code, Code::RepositoryInvalid, "{what}, any id: {any_id}");
        }
    }
}

#[tokio::test]
async fn an_empty_repository_does_not_have_the_commit() {
    let scene = Scene::new();
    let ask = |url: &str| Ask::new(url, &"1".repeat(40));
    let host = Host::of(&scene).await;
    assert_eq!(scene.code(&ask(&host.url())).await, Code::CommitNotFound);
    scene.allow_any_id();
    assert_eq!(scene.code(&ask(&host.url())).await, Code::CommitNotFound);
    let sshd = Sshd::of(&scene).await;
    assert_eq!(
        scene.code(&Ask::over_ssh(&sshd, &"1".repeat(40))).await,
        Code::CommitNotFound
    );
}

#[tokio::test]
async fn a_repository_that_does_not_exist_is_not_found() {
    let (scene, commit) = Scene::with_commit();
    let host = Host::of(&scene).await;
    let url = host.origin() + "/group/other.git";
    assert_eq!(
        scene.code(&Ask::new(&url, &commit)).await,
        Code::RepositoryNotFound
    );
    let sshd = Sshd::of(&scene).await;
    let mut ask = Ask::over_ssh(&sshd, &commit);
    ask.url = ask.url.replace("project", "other");
    assert_eq!(scene.code(&ask).await, Code::RepositoryNotFound);
}

#[tokio::test]
async fn a_repository_that_gitlab_hides_over_ssh_is_not_found() {
    let (scene, commit) = Scene::with_commit();
    let sshd = Sshd::running(
        "printf 'remote: \\nremote: =====\\nremote: \\nremote: ERROR: The project you were looking for could not be \
         found or you do not have permission to view it.\\n' >&2\nexit 1\n",
    )
    .await;
    assert_eq!(
        scene.code(&Ask::over_ssh(&sshd, &commit)).await,
        Code::RepositoryNotFound
    );
}

#[tokio::test]
async fn the_exact_commit_comes_over_ssh_too() {
    let scene = Scene::new();
    scene.allow_any_id();
    let [_, second, third] = scene.history();
    let sshd = Sshd::of(&scene).await;
    let fetched = scene.fetch(&Ask::over_ssh(&sshd, &second)).await.unwrap();
    assert_eq!(scene.staged_objects(&fetched), objects_of(&scene, &second));
    assert_eq!(fetched.ref_now.unwrap().as_str(), third);
}

#[tokio::test]
async fn a_repository_with_sha256_ids_is_not_supported() {
    let scene = Scene::with_format("sha256");
    let [_, _, third] = scene.history();
    assert_eq!(third.len(), 64);
    let host = Host::of(&scene).await;
    assert_eq!(
        scene.code(&Ask::new(&host.url(), &third)).await,
        Code::RepositoryUnsupported
    );
}

#[tokio::test]
async fn an_old_id_of_a_repository_that_has_sha256_ids_now_is_not_supported() {
    let scene = Scene::with_format("sha256");
    scene.history();
    let host = Host::of(&scene).await;
    let code = scene.code(&Ask::new(&host.url(), &"1".repeat(40))).await;
    assert_eq!(code, Code::RepositoryUnsupported);
}

#[tokio::test]
async fn a_limit_may_be_of_any_size() {
    let (scene, commit) = Scene::with_commit();
    scene.allow_any_id();
    let host = Host::of(&scene).await;
    let ask = Ask::new(&host.url(), &commit).within(u64::MAX);
    assert_eq!(scene.fetch(&ask).await.unwrap().commit.as_str(), commit);
}
