//! Submodules on the same host and on others, nested ones, and hostile ones.

use aws::failure::Failed;
use domain::contract::FetchedCommit;
use domain::error::{Code, Coded};
use testkit::http::{Host, Response};

use crate::scene::{Ask, PASSWORD, Scene};

/// Makes a commit with a file, `.gitmodules` and submodules, which have a path and a commit each.
pub fn commit(scene: &Scene, gitmodules: &str, submodules: &[(&str, &str)]) -> String {
    let blob = |text: &str| scene.line(&["hash-object", "-w", "--stdin"], text.as_bytes());
    let mut index = format!(
        "100644 {}\tfile\n100644 {}\t.gitmodules\n",
        blob("content"),
        blob(gitmodules)
    );
    for (path, commit) in submodules {
        index += &format!("160000 {commit}\t{path}\n");
    }
    scene.git(&["read-tree", "--empty"], b"");
    scene.git(&["update-index", "--add", "--index-info"], index.as_bytes());
    let tree = scene.line(&["write-tree"], b"");
    let commit = scene.line(&["commit-tree", &tree, "-m", "Add submodules"], b"");
    scene.git(&["update-ref", "refs/heads/main", &commit], b"");
    commit
}

pub fn module(path: &str, url: &str) -> String {
    format!("[submodule \"{path}\"]\n\tpath = {path}\n\turl = {url}\n")
}

/// Returns path, commit and the end of the URL of each submodule.
fn told(fetched: &FetchedCommit) -> Vec<(&str, &str, &str)> {
    let modules = fetched.submodules.iter();
    modules
        .map(|module| {
            let url = module.url.as_str().split_once("127.0.0.1:").unwrap().1;
            let path = &url[url.find('/').unwrap()..];
            (module.path.as_str(), module.commit.as_str(), path)
        })
        .collect()
}

pub async fn code(scene: &Scene, ask: &Ask) -> (Code, String) {
    let error = scene.fetch(ask).await.unwrap_err();
    (error.code(), Failed::new(&error).cause)
}

#[tokio::test]
async fn submodules_and_theirs_come_at_their_recorded_commits() {
    let scene = Scene::new();
    scene.allow_any_id();
    let leaf = scene.beside("/group/leaf.git");
    let [leaf_commit, _, _] = leaf.history();
    let middle = scene.beside("/other/middle.git");
    let middle_commit = commit(
        &middle,
        &module("deep/leaf", "../../group/leaf.git"),
        &[("deep/leaf", &leaf_commit)],
    );
    let modules = module("libs/middle", "../../other/middle.git") + &module("leaf", "../leaf.git");
    let pushed = commit(
        &scene,
        &modules,
        &[("libs/middle", &middle_commit), ("leaf", &leaf_commit)],
    );
    let host = Host::with_password(&scene, PASSWORD).await;
    let ask = Ask::new(&host.url(), &pushed)
        .with_password(PASSWORD)
        .with_submodules();
    let fetched = scene.fetch(&ask).await.unwrap();
    assert_eq!(
        told(&fetched),
        [
            ("leaf", leaf_commit.as_str(), "/group/leaf.git"),
            ("libs/middle", middle_commit.as_str(), "/other/middle.git"),
            ("libs/middle/deep/leaf", leaf_commit.as_str(), "/group/leaf.git"),
        ]
    );
    let [first, _, last] = &fetched.submodules[..] else {
        panic!("{:?}", fetched.submodules)
    };
    assert_eq!(first.pack, last.pack, "one commit is fetched once");
    // It has no history: only the commit, its tree, and its file.
    let index = std::fs::read(scene.staging().path(&first.index.key)).unwrap();
    assert_eq!(scene.line(&["show-index"], &index).lines().count(), 3);
    // Without the option there are no submodules.
    let ask = Ask::new(&host.url(), &pushed).with_password(PASSWORD);
    assert_eq!(scene.fetch(&ask).await.unwrap().submodules, []);
}

#[tokio::test]
async fn the_branches_are_fetched_from_a_host_that_serves_no_commit_by_its_id() {
    let scene = Scene::new();
    let library = scene.beside("/group/library.git");
    let [first, _, _] = library.history();
    library.git(&["config", "uploadpack.allowAnySHA1InWant", "false"], b"");
    let pushed = commit(
        &scene,
        &module("library", "../library.git"),
        &[("library", &first)],
    );
    let host = Host::of(&scene).await;
    let ask = Ask::new(&host.url(), &pushed).with_submodules();
    let fetched = scene.fetch(&ask).await.unwrap();
    assert_eq!(
        told(&fetched),
        [("library", first.as_str(), "/group/library.git")]
    );
}

#[tokio::test]
async fn credentials_are_sent_only_to_their_host_and_no_other_host_gets_requests() {
    let scene = Scene::new();
    scene.allow_any_id();
    let library = scene.beside("/group/library.git");
    let [first, _, _] = library.history();
    let stranger = Host::answering(|_| Response::unauthorized()).await;
    let url = format!("{}/group/library.git", stranger.origin());
    let pushed = commit(&scene, &module("library", &url), &[("library", &first)]);
    let host = Host::with_password(&scene, PASSWORD).await;
    let mut ask = Ask::new(&host.url(), &pushed).with_password(PASSWORD);
    ask.submodules = domain::source::Submodules::Recursive;
    let (refused, told) = code(&scene, &ask).await;
    assert_eq!(refused, Code::GitHostNotAllowed, "{told}");
    assert!(
        told.contains("library") && told.contains(&stranger.address.to_string()),
        "{told}"
    );
    assert_eq!(stranger.requests().len(), 0);
    // If the settings allow the other host, it gets requests, but no credentials of another host.
    ask.git_hosts = vec![host.origin(), stranger.origin()];
    let (refused, _) = code(&scene, &ask).await;
    assert_eq!(refused, Code::CredentialsMissing);
    assert!(
        stranger
            .requests()
            .iter()
            .all(|request| !request.has_credentials())
    );
    assert!(!stranger.requests().is_empty());
}

#[tokio::test]
async fn a_submodule_without_a_url_is_an_error_and_one_that_git_leaves_out_is_left_out() {
    let scene = Scene::new();
    scene.allow_any_id();
    let host = Host::of(&scene).await;
    let absent = "1".repeat(40);
    for gitmodules in ["", "[submodule \"a\"]\n\tpath = libs/a\n", "[submodule \"a\"\n"] {
        let pushed = commit(&scene, gitmodules, &[("libs/a", &absent)]);
        let (refused, told) = code(&scene, &Ask::new(&host.url(), &pushed).with_submodules()).await;
        assert_eq!(refused, Code::SubmoduleInvalid, "{told}");
        assert!(told.contains("libs/a") || told.contains(".gitmodules"), "{told}");
    }
    let left_out = module("libs/a", "../gone.git") + "\tupdate = none\n";
    let pushed = commit(&scene, &left_out, &[("libs/a", &absent)]);
    let fetched = scene
        .fetch(&Ask::new(&host.url(), &pushed).with_submodules())
        .await
        .unwrap();
    assert_eq!(fetched.submodules, []);
    // The repository exists, but does not have the commit.
    let library = scene.beside("/group/library.git");
    library.history();
    let pushed = commit(
        &scene,
        &module("libs/a", "../library.git"),
        &[("libs/a", &absent)],
    );
    let (refused, told) = code(&scene, &Ask::new(&host.url(), &pushed).with_submodules()).await;
    assert_eq!(refused, Code::CommitNotFound, "{told}");
    assert!(told.contains("libs/a") && told.contains("library.git"), "{told}");
}

#[tokio::test]
async fn the_number_and_the_depth_of_submodules_are_limited() {
    let scene = Scene::new();
    scene.allow_any_id();
    // A repository cannot have itself at the same commit, but it can have itself at an older one. The protocol's own
    // bytes count too, so the first pack is far larger.
    let mut state = 1_u32;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        format!("{state:08x}")
    });
    let mut pushed = scene.commit(&noise.take(1_000).collect::<String>(), None);
    for _ in 0..3 {
        pushed = commit(&scene, &module("again", "../project.git"), &[("again", &pushed)]);
    }
    let host = Host::of(&scene).await;
    let mut ask = Ask::new(&host.url(), &pushed).with_submodules();
    let fetched = scene.fetch(&ask).await.unwrap();
    assert_eq!(fetched.submodules.len(), 3);
    ask.limits.submodule_depth = 2;
    let (refused, told) = code(&scene, &ask).await;
    assert_eq!(refused, Code::LimitExceeded);
    assert!(told.contains("options.limits.submodule_depth"), "{told}");
    ask.limits.submodules = 1;
    let (refused, told) = code(&scene, &ask).await;
    assert_eq!(refused, Code::LimitExceeded);
    assert!(told.contains("options.limits.submodules"), "{told}");
    // The packs of all of them count together.
    let mut ask = Ask::new(&host.url(), &pushed).with_submodules();
    ask.limits.pack_bytes = fetched.pack.size + 2_000;
    let (refused, told) = code(&scene, &ask).await;
    assert_eq!(refused, Code::LimitExceeded);
    assert!(told.contains("pack_bytes") && told.contains("again"), "{told}");
}

#[tokio::test]
async fn a_submodule_of_a_repository_that_the_settings_do_not_name_is_refused() {
    let scene = Scene::new();
    scene.allow_any_id();
    let secret = scene.beside("/secret/library.git");
    let [first, _, _] = secret.history();
    let pushed = commit(
        &scene,
        &module("library", "../../secret/library.git"),
        &[("library", &first)],
    );
    let host = Host::of(&scene).await;
    let mut ask = Ask::new(&host.url(), &pushed).with_submodules();
    ask.submodule_repositories = vec!["group/**".to_owned()];
    let before = host.requests().len();
    let (refused, told) = code(&scene, &ask).await;
    assert_eq!(refused, Code::SubmoduleNotAllowed, "{told}");
    assert!(
        told.contains("secret/library") && told.contains("group/**"),
        "{told}"
    );
    let asked = host.requests().split_off(before);
    assert!(asked.iter().all(|request| !request.target.contains("secret")));
    ask.submodule_repositories.push("secret/library".to_owned());
    assert_eq!(scene.fetch(&ask).await.unwrap().submodules.len(), 1);
}
