//! Only commits that the host shows on the pushed ref are delivered.

use std::sync::atomic::{AtomicUsize, Ordering};

use domain::error::Code;
use testkit::http::{Host, Response};
use testkit::ssh::Sshd;

use crate::scene::{Ask, PASSWORD, Scene};

const MAIN: &str = "refs/heads/main";
const TAG: &str = "refs/tags/v1";

/// Makes a repository whose commits can all be fetched by id.
fn new_scene() -> Scene {
    let scene = Scene::new();
    scene.allow_any_id();
    scene
}

fn point(scene: &Scene, ref_name: &str, object: &str) {
    scene.git(&["update-ref", ref_name, object], b"");
}

/// Makes a tag object of `commit`.
fn annotated(scene: &Scene, commit: &str) -> String {
    let raw =
        format!("object {commit}\ntype commit\ntag v1\ntagger Jo <jo@example.com> 1700000000 +0000\n\nv1\n");
    scene.line(&["mktag"], raw.as_bytes())
}

/// Makes `count` commits after `parent`, each with one new file. Returns the last one.
fn commits(scene: &Scene, count: usize, parent: &str) -> String {
    let mut stream = String::new();
    for number in 0..count {
        stream += &format!(
            "commit refs/heads/made\ncommitter Jo <jo@example.com> {} +0000\n",
            1_700_000_000 + number
        );
        stream += "data 1\nx\n";
        if number == 0 {
            stream += &format!("from {parent}\n");
        }
        stream += &format!("M 100644 inline file-{number}\ndata 1\nx\n\n");
    }
    scene.git(&["fast-import", "--quiet", "--force"], stream.as_bytes());
    let last = scene.line(&["rev-parse", "refs/heads/made"], b"");
    scene.git(&["update-ref", "-d", "refs/heads/made"], b"");
    last
}

/// Returns text that does not compress.
fn noise(bytes: usize) -> String {
    let mut state = 1_u64;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        format!("{:016x}", state ^ (state >> 31))
    })
    .take(bytes / 8)
    .collect()
}

/// Makes a commit that is on no branch.
fn elsewhere(scene: &Scene) -> String {
    let commit = scene.commit("not reviewed", None);
    point(scene, "refs/merge-requests/1/head", &commit);
    commit
}

async fn is_refused(scene: &Scene, ask: &Ask, now: &str) {
    let (code, told) = scene.refused(ask).await;
    assert_eq!(code, Code::CommitNotOnRef, "{told}");
    let cause = format!(
        "{} in {} is not on {}, which {now}",
        ask.after, ask.url, ask.ref_name
    );
    assert!(told.contains(&cause), "{told}");
}

#[tokio::test]
async fn a_commit_of_another_ref_is_refused() {
    let scene = new_scene();
    let [_, _, tip] = scene.history();
    let forged = elsewhere(&scene);
    let now = format!("points to {tip}");
    let host = Host::of(&scene).await;
    is_refused(&scene, &Ask::new(&host.url(), &forged), &now).await;
    let sshd = Sshd::of(&scene).await;
    is_refused(&scene, &Ask::over_ssh(&sshd, &forged), &now).await;
    let mut whole = Ask::new(&host.url(), &forged);
    whole.full_clone = true;
    is_refused(&scene, &whole, &now).await;
}

#[tokio::test]
async fn a_commit_after_the_tip_is_refused() {
    let scene = new_scene();
    let [first, second, third] = scene.history();
    point(&scene, MAIN, &second);
    point(&scene, "refs/heads/next", &third);
    let host = Host::of(&scene).await;
    is_refused(
        &scene,
        &Ask::new(&host.url(), &third),
        &format!("points to {second}"),
    )
    .await;
    point(&scene, MAIN, &first);
    is_refused(
        &scene,
        &Ask::new(&host.url(), &third),
        &format!("points to {first}"),
    )
    .await;
}

#[tokio::test]
async fn a_commit_whose_ref_was_forced_elsewhere_is_refused() {
    let scene = new_scene();
    let [_, _, third] = scene.history();
    let other = commits(&scene, 60, &scene.commit("other", None));
    point(&scene, MAIN, &other);
    let host = Host::of(&scene).await;
    is_refused(
        &scene,
        &Ask::new(&host.url(), &third),
        &format!("points to {other}"),
    )
    .await;
}

#[tokio::test]
async fn a_commit_whose_ref_was_deleted_is_refused() {
    let scene = new_scene();
    let [_, second, third] = scene.history();
    point(&scene, "refs/heads/other", &third);
    scene.git(&["update-ref", "-d", MAIN], b"");
    let host = Host::of(&scene).await;
    is_refused(&scene, &Ask::new(&host.url(), &second), "does not exist").await;
}

#[tokio::test]
async fn any_commit_of_the_host_is_fetched_if_the_options_allow_it() {
    let scene = new_scene();
    let [_, _, tip] = scene.history();
    let commit = elsewhere(&scene);
    let host = Host::of(&scene).await;
    let ask = Ask::new(&host.url(), &commit).of_any_commit();
    let fetched = scene.fetch(&ask).await.unwrap();
    assert_eq!(fetched.commit.as_str(), commit);
    assert_eq!(fetched.ref_now.unwrap().as_str(), tip);
    scene.git(&["update-ref", "-d", MAIN], b"");
    let fetched = scene.fetch(&ask).await.unwrap();
    assert_eq!(
        (fetched.commit.as_str(), fetched.ref_now),
        (commit.as_str(), None)
    );
}

#[tokio::test]
async fn a_commit_is_found_however_far_the_tip_is_ahead() {
    let scene = new_scene();
    let pushed = scene.commit("pushed", Some(&scene.commit("before", None)));
    let host = Host::with_password(&scene, PASSWORD).await;
    let sshd = Sshd::of(&scene).await;
    let mut packs = Vec::new();
    for count in [0, 1, 49, 50, 60, 1_100] {
        let tip = if count == 0 {
            pushed.clone()
        } else {
            commits(&scene, count, &pushed)
        };
        point(&scene, MAIN, &tip);
        for ask in [
            Ask::new(&host.url(), &pushed).with_password(PASSWORD),
            Ask::over_ssh(&sshd, &pushed),
        ] {
            let fetched = scene.fetch(&ask).await.unwrap();
            assert_eq!(fetched.commit.as_str(), pushed, "{count}");
            assert_eq!(fetched.ref_now.as_ref().unwrap().as_str(), tip, "{count}");
            packs.push(std::fs::read(scene.staging().path(&fetched.pack.key)).unwrap());
        }
    }
    // Only the commit is staged, wherever the tip is.
    packs.dedup();
    assert_eq!(packs.len(), 1);
}

#[tokio::test]
async fn a_full_clone_of_an_older_commit_ends_with_it() {
    let scene = new_scene();
    let [first, second, third] = scene.history();
    let host = Host::of(&scene).await;
    let mut ask = Ask::new(&host.url(), &second);
    ask.full_clone = true;
    let fetched = scene.fetch(&ask).await.unwrap();
    assert_eq!(fetched.ref_now.as_ref().unwrap().as_str(), third);
    let staged = scene.staged_objects(&fetched);
    assert!(staged.contains(&first) && staged.contains(&second), "{staged:?}");
    assert!(!staged.contains(&third), "{staged:?}");
}

#[tokio::test]
async fn a_branch_that_was_merged_since_does_not_bring_all_history_with_it() {
    let scene = new_scene();
    let large = scene.line(&["commit-tree", &scene.tree(&noise(400_000)), "-m", "large"], b"");
    let fork = commits(&scene, 60, &scene.commit("small", Some(&large)));
    let side = commits(&scene, 3, &fork);
    let pushed = commits(&scene, 5, &fork);
    let tree = scene.tree("merged");
    let merge = scene.line(
        &["commit-tree", &tree, "-p", &pushed, "-p", &side, "-m", "merge"],
        b"",
    );
    let tip = commits(&scene, 2, &merge);
    point(&scene, MAIN, &tip);
    let host = Host::of(&scene).await;
    let mut ask = Ask::new(&host.url(), &pushed);
    ask.limits.pack_bytes = 100_000;
    let fetched = scene.fetch(&ask).await.unwrap();
    assert_eq!(fetched.ref_now.unwrap().as_str(), tip);
    // A commit that came by the merge is on the ref too.
    let fetched = scene.fetch(&Ask::new(&host.url(), &side)).await.unwrap();
    assert_eq!(fetched.commit.as_str(), side);
}

#[tokio::test]
async fn commits_between_the_tip_and_the_pushed_one_count_towards_the_limit() {
    let scene = new_scene();
    let pushed = scene.commit("pushed", None);
    let tip = scene.line(
        &[
            "commit-tree",
            &scene.tree(&noise(400_000)),
            "-p",
            &pushed,
            "-m",
            "large",
        ],
        b"",
    );
    point(&scene, MAIN, &tip);
    let host = Host::of(&scene).await;
    let mut ask = Ask::new(&host.url(), &pushed);
    ask.limits.pack_bytes = 100_000;
    let (code, told) = scene.refused(&ask).await;
    assert_eq!(code, Code::LimitExceeded, "{told}");
    assert!(told.contains("options.limits.pack_bytes"), "{told}");
    ask.limits.pack_bytes = 10_000_000;
    assert!(scene.fetch(&ask).await.is_ok());
}

#[tokio::test]
async fn a_ref_that_moves_meanwhile_is_judged_by_its_later_state() {
    let scene = new_scene();
    let [first, second, third] = scene.history();
    let forced = scene.commit("forced", None);
    for (to, found) in [(forced.as_str(), false), ("", false), (second.as_str(), true)] {
        point(&scene, MAIN, &third);
        let lists = AtomicUsize::new(0);
        let (root, to_move) = (scene.repository(), to.to_owned());
        let host = Host::guarded(&scene, move |request| {
            if request.method == "GET" && lists.fetch_add(1, Ordering::Relaxed) == 1 {
                let mut git = testkit::git::command(&root);
                git.arg("update-ref");
                match to_move.as_str() {
                    "" => git.args(["-d", MAIN]),
                    commit => git.args([MAIN, commit]),
                };
                assert!(git.status().unwrap().success());
            }
            None::<Response>
        })
        .await;
        let ask = Ask::new(&host.url(), &first);
        if found {
            let fetched = scene.fetch(&ask).await.unwrap();
            assert_eq!(fetched.ref_now.unwrap().as_str(), to);
        } else {
            assert_eq!(scene.code(&ask).await, Code::CommitNotOnRef, "{to:?}");
        }
    }
}

#[tokio::test]
async fn a_tag_is_what_it_points_to_and_nothing_before_it() {
    let scene = new_scene();
    let [_, second, third] = scene.history();
    let host = Host::of(&scene).await;
    let ask = |object: &str| Ask::new(&host.url(), object).of_ref(TAG);
    let (old, new) = (annotated(&scene, &second), annotated(&scene, &third));
    for (before, now) in [(&second, &third), (&old, &new), (&second, &new), (&old, &third)] {
        point(&scene, TAG, now);
        is_refused(&scene, &ask(before), &format!("points to {now}")).await;
    }
    // Some hosts report the commit of an annotated tag, to which the ref then points.
    point(&scene, TAG, &new);
    for pushed in [&new, &third] {
        let fetched = scene.fetch(&ask(pushed)).await.unwrap();
        assert_eq!(fetched.commit.as_str(), third);
        assert_eq!(fetched.ref_now.unwrap().as_str(), pushed);
    }
    point(&scene, TAG, &third);
    assert_eq!(scene.fetch(&ask(&third)).await.unwrap().commit.as_str(), third);
}

#[tokio::test]
async fn a_tag_object_is_not_on_a_branch() {
    let scene = new_scene();
    let [_, second, third] = scene.history();
    let tag = annotated(&scene, &second);
    point(&scene, TAG, &tag);
    let host = Host::of(&scene).await;
    is_refused(
        &scene,
        &Ask::new(&host.url(), &tag),
        &format!("points to {third}"),
    )
    .await;
}
