//! Tests histories of a ref end to end: whatever happens to it, the destination ends up with what the git host has.

use git_host::Options;
use std::collections::{HashMap, HashSet};

use domain::contract::IgnoreReason;
use domain::state::Status;
use futures::future::join_all;
use serde_json::json;
use webhook::gitlab::{Delivery, PushHook};

use crate::fixtures::repository::{MAIN, Repository};
use crate::fixtures::scene::{Run, Scene};

const TAG: &str = "refs/tags/v1";

/// Moves a ref of the host, and reports it. A position of `None` means that the ref does not exist.
struct Mover<'a> {
    scene: &'a Scene,
    repository: &'a Repository,
    ref_name: &'a str,
    at: Option<String>,
}

impl<'a> Mover<'a> {
    fn new(scene: &'a Scene, repository: &'a Repository, ref_name: &'a str) -> Self {
        Self {
            scene,
            repository,
            ref_name,
            at: None,
        }
    }

    /// Moves the ref, and returns the webhook for it.
    fn move_to(&mut self, to: Option<&str>) -> PushHook {
        match to {
            Some(commit) => self.repository.git(["update-ref", self.ref_name, commit]),
            None => self.repository.git(["update-ref", "-d", self.ref_name]),
        };
        let before = std::mem::replace(&mut self.at, to.map(str::to_owned));
        self.scene
            .hook(&self.repository.path, self.ref_name, before.as_deref(), to)
    }

    async fn push(&mut self, to: Option<&str>) -> Run {
        let hook = self.move_to(to);
        self.scene.push(&hook).await
    }
}

/// Returns the metadata of the only zip of the source.
async fn zip(scene: &Scene) -> HashMap<String, String> {
    let keys = scene.delivered_keys().await;
    assert_eq!(keys.len(), 1, "{keys:?}");
    let head = scene.stack.handle().s3().head_object();
    let head = head.bucket(scene.stack.output("DestinationBucket")).key(&keys[0]);
    head.send().await.unwrap().metadata.unwrap()
}

/// Makes three commits, each on top of the one before, and all of the same time.
fn commits(repository: &Repository) -> [String; 3] {
    let commits = ["a", "b", "c"].map(|content| repository.commit_file("file", content));
    let times = repository.git(["log", "--format=%ct"]);
    let times: HashSet<_> = times.lines().collect();
    assert_eq!(times.len(), 1, "{times:?}");
    commits
}

#[tokio::test]
async fn a_ref_that_is_deleted_and_created_again_at_the_same_commit_is_delivered() {
    let (scene, _host) = Scene::over_http("made-again", Options::with_any_commit()).await;
    let repository = scene.repository("group/project");
    let [a, b, _] = commits(&repository);
    let mut branch = Mover::new(&scene, &repository, "refs/heads/next");
    branch.push(Some(&a)).await.delivered();
    branch.push(Some(&b)).await.delivered();
    let deleted = branch.push(None).await;
    assert_eq!(
        deleted.state().ignored.as_ref().unwrap().reason,
        IgnoreReason::RefDeleted
    );
    branch.push(Some(&a)).await.delivered();
    assert_eq!(zip(&scene).await["commit"], a);
}

#[tokio::test]
async fn a_ref_that_is_reset_past_a_failed_push_ends_at_the_commit_it_was_reset_to() {
    let (scene, _host) = Scene::over_http("reset", Options::with_any_commit()).await;
    let repository = scene.repository("group/project");
    let [a, b, c] = commits(&repository);
    let mut branch = Mover::new(&scene, &repository, MAIN);
    branch.push(Some(&a)).await.delivered();
    branch.push(Some(&b)).await.delivered();
    scene
        .configure(|settings| settings["options"] = json!({"limits": {"file_bytes": 0}}))
        .await;
    let failed = branch.push(Some(&c)).await;
    assert_eq!(
        failed.ended.error.as_deref(),
        Some("LimitExceeded"),
        "{failed:#?}"
    );
    scene.configure(|_| ()).await;
    branch.push(Some(&a)).await.delivered();
    assert_eq!(zip(&scene).await["commit"], a);
    // The failed push is executed again too late: its commit is no longer on the ref.
    let late = scene.new_execution(failed.push_id).await;
    let late = scene.follow(&late).await;
    assert_eq!(late.ended.error.as_deref(), Some("CommitNotOnRef"), "{late:#?}");
    assert_eq!(zip(&scene).await["commit"], a);
}

#[tokio::test]
async fn a_tag_that_is_deleted_and_pushed_again_is_delivered_again() {
    let (scene, _host) = Scene::over_http("tag-again", Options::with_any_commit()).await;
    let repository = scene.repository("group/project");
    let [a, b, _] = commits(&repository);
    let mut tag = Mover::new(&scene, &repository, TAG);
    let first = tag.push(Some(&b)).await;
    tag.push(None).await;
    let again = tag.push(Some(&b)).await;
    assert_ne!(again.delivered().version_id, first.delivered().version_id);
    assert_eq!(zip(&scene).await["push-id"], again.push_id.to_string());
    // It is delivered again at an earlier commit.
    tag.push(None).await;
    tag.push(Some(&a)).await.delivered();
    assert_eq!(zip(&scene).await["commit"], a);
    // It is also delivered again if the zip was removed.
    tag.push(None).await;
    scene.remove_delivered().await;
    tag.push(Some(&a)).await.delivered();
    assert_eq!(zip(&scene).await["commit"], a);
}

#[tokio::test]
async fn a_ref_that_is_forced_back_and_forth_at_once_ends_at_what_the_host_has() {
    let (scene, _host) = Scene::over_http("back-and-forth", Options::with_any_commit()).await;
    let repository = scene.repository("group/project");
    let [a, b, c] = commits(&repository);
    let mut branch = Mover::new(&scene, &repository, "refs/heads/next");
    branch.push(Some(&a)).await.delivered();
    let hooks = [&b, &a, &c, &b, &a, &b].map(|to| branch.move_to(Some(to)));
    let order = [3, 0, 5, 1, 4, 2];
    let runs = join_all(order.map(|index| scene.push(&hooks[index]))).await;
    for (run, index) in runs.iter().zip(order) {
        // The third push moved the ref to a commit that is no longer on it.
        let (status, error) = match index {
            2 => ("FAILED", Some("CommitNotOnRef")),
            _ => ("SUCCEEDED", None),
        };
        assert_eq!(run.ended.status.as_str(), status, "{run:#?}");
        assert_eq!(run.ended.error.as_deref(), error, "{run:#?}");
    }
    assert_eq!(zip(&scene).await["commit"], b);
}

/// What became of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Became {
    Delivered,
    Superseded,
    Ignored(IgnoreReason),
    Failed(&'static str),
}

impl Became {
    fn of(run: &Run) -> Self {
        let state = run.state();
        match state.status {
            Status::Delivered => Self::Delivered,
            Status::Superseded => Self::Superseded,
            Status::Ignored => Self::Ignored(state.ignored.as_ref().unwrap().reason),
            _ if run.ended.error.as_deref() == Some("CommitNotOnRef") => Self::Failed("CommitNotOnRef"),
            _ => panic!("{run:#?}"),
        }
    }
}

/// Moves a new ref to the first place, delivers that, and moves it on at once through the others. Then sends the
/// webhooks of these moves in this order, each once the push before it has ended. Returns what became of them, in the
/// order of the moves, and what the zip has in the end.
async fn moved_through(
    scene: &Scene,
    repository: &Repository,
    ref_name: &str,
    places: &[Option<&str>],
    order: &[usize],
) -> (Vec<Became>, String) {
    let mut mover = Mover::new(scene, repository, ref_name);
    let first = mover.push(places[0]).await;
    let key = first.delivered().key.clone();
    let hooks: Vec<_> = places[1..].iter().map(|place| mover.move_to(*place)).collect();
    let mut became = vec![None; hooks.len()];
    for index in order {
        became[*index] = Some(Became::of(&scene.push(&hooks[*index]).await));
    }
    let head = scene.stack.handle().s3().head_object();
    let head = head
        .bucket(scene.stack.output("DestinationBucket"))
        .key(key.as_str());
    let commit = head.send().await.unwrap().metadata.unwrap()["commit"].clone();
    (became.into_iter().map(Option::unwrap).collect(), commit)
}

/// Makes a commit, and two others on top of it, of which neither is on top of the other.
fn forked(repository: &Repository) -> [String; 3] {
    let base = repository.commit_file("file", "base");
    let one = repository.commit_file("file", "one");
    repository.git(["reset", "--quiet", "--hard", &base]);
    [base, one, repository.commit_file("file", "other")]
}

#[tokio::test]
async fn of_a_branch_that_is_forced_elsewhere_what_it_was_forced_to_is_delivered_in_either_order() {
    let (scene, _host) = Scene::over_http("forced", Options::with_any_commit()).await;
    let repository = scene.repository("group/project");
    let [base, one, other] = forked(&repository);
    let places = [Some(&*base), Some(&*one), Some(&*other)];
    // The commit that was forced away is no longer on the branch.
    let gone = Became::Failed("CommitNotOnRef");
    for (name, order) in [("in-order", [0, 1]), ("reversed", [1, 0])] {
        let ref_name = format!("refs/heads/{name}");
        let (became, zip) = moved_through(&scene, &repository, &ref_name, &places, &order).await;
        assert_eq!((became, &zip), (vec![gone, Became::Delivered], &other), "{name}");
    }
    // If any commit is delivered, so is that one, unless the newer one was.
    scene
        .configure(|settings| settings["options"] = json!({"commits": "any"}))
        .await;
    for (name, order, first) in [
        ("any-in-order", [0, 1], Became::Delivered),
        ("any-reversed", [1, 0], Became::Superseded),
    ] {
        let ref_name = format!("refs/heads/{name}");
        let (became, zip) = moved_through(&scene, &repository, &ref_name, &places, &order).await;
        assert_eq!((became, &zip), (vec![first, Became::Delivered], &other), "{name}");
    }
}

#[tokio::test]
async fn of_a_branch_that_is_forced_back_the_earlier_commit_is_delivered_again_in_either_order() {
    let (scene, _host) = Scene::over_http("forced-back", Options::with_any_commit()).await;
    let repository = scene.repository("group/project");
    let [a, b, _] = commits(&repository);
    let places = [Some(&*a), Some(&*b), Some(&*a)];
    let gone = Became::Failed("CommitNotOnRef");
    for (name, order) in [("in-order", [0, 1]), ("reversed", [1, 0])] {
        let ref_name = format!("refs/heads/{name}");
        let (became, zip) = moved_through(&scene, &repository, &ref_name, &places, &order).await;
        assert_eq!((became, &zip), (vec![gone, Became::Delivered], &a), "{name}");
    }
}

/// By its number the late push is newer, by lineage each of the two follows the other one, and their commits are of the
/// same time.
#[tokio::test]
async fn of_a_branch_that_was_forced_back_a_late_push_is_superseded_by_rule_1_the_ref_itself() {
    let (scene, _host) = Scene::over_http("rule-one", Options::with_any_commit()).await;
    scene
        .configure(|settings| settings["options"] = json!({"commits": "any"}))
        .await;
    let repository = scene.repository("group/project");
    let [a, b, _] = commits(&repository);
    let mut branch = Mover::new(&scene, &repository, "refs/heads/next");
    branch.push(Some(&a)).await.delivered();
    let forward = branch.move_to(Some(&b));
    let back = branch.push(Some(&a)).await;
    back.delivered();
    let late = scene.push(&forward).await;
    assert_eq!(late.state().status, Status::Superseded, "{late:#?}");
    let superseded = late.state().superseded.as_ref().unwrap();
    let because = format!("already pointed to push {}", back.push_id);
    assert!(superseded.because.contains(&because), "{superseded:?}");
    assert_eq!(zip(&scene).await["push-id"], back.push_id.to_string());
}

/// By lineage the push to `b` is newer, because it began where the last one has ended, and their commits are of the
/// same time.
#[tokio::test]
async fn a_branch_that_is_forced_back_to_where_it_came_from_is_delivered_by_rule_2_the_number() {
    let (scene, _host) = Scene::over_http("rule-two", Options::with_any_commit()).await;
    let repository = scene.repository("group/project");
    let [a, b, c] = commits(&repository);
    let mut branch = Mover::new(&scene, &repository, "refs/heads/next");
    branch.push(Some(&a)).await.delivered();
    branch.push(Some(&b)).await.delivered();
    // Its webhook is lost, so that the last push does not follow the one to `b`.
    branch.move_to(Some(&c));
    let back = branch.push(Some(&a)).await;
    back.delivered();
    assert_eq!(zip(&scene).await["push-id"], back.push_id.to_string());
}

#[tokio::test]
async fn a_branch_that_is_deleted_and_made_again_has_its_new_commit_in_either_order() {
    let (scene, _host) = Scene::over_http("made-anew", Options::with_any_commit()).await;
    let repository = scene.repository("group/project");
    let [base, one, other] = forked(&repository);
    let deleted = Became::Ignored(IgnoreReason::RefDeleted);
    let again = Became::Ignored(IgnoreReason::Duplicate);
    for (name, first, then, order, last) in [
        ("later", &base, &one, [0, 1], Became::Delivered),
        ("later-reversed", &base, &one, [1, 0], Became::Delivered),
        ("elsewhere", &one, &other, [0, 1], Became::Delivered),
        ("elsewhere-reversed", &one, &other, [1, 0], Became::Delivered),
        ("same", &base, &base, [0, 1], Became::Delivered),
        // Nothing is known of the deletion yet, and the same zip is there.
        ("same-reversed", &base, &base, [1, 0], again),
    ] {
        let ref_name = format!("refs/heads/{name}");
        let places = [Some(&**first), None, Some(&**then)];
        let (became, zip) = moved_through(&scene, &repository, &ref_name, &places, &order).await;
        assert_eq!((became, &zip), (vec![deleted, last], then), "{name}");
    }
}

#[tokio::test]
async fn the_zip_of_a_deleted_branch_stays() {
    let (scene, _host) = Scene::over_http("deleted", Options::with_any_commit()).await;
    let repository = scene.repository("group/project");
    let [a, b, _] = commits(&repository);
    let places = [Some(&*a), Some(&*b), None];
    // What was pushed right before the deletion is on no ref any more.
    let expected = vec![
        Became::Failed("CommitNotOnRef"),
        Became::Ignored(IgnoreReason::RefDeleted),
    ];
    for (name, order) in [("in-order", [0, 1]), ("reversed", [1, 0])] {
        let ref_name = format!("refs/heads/{name}");
        let (became, zip) = moved_through(&scene, &repository, &ref_name, &places, &order).await;
        assert_eq!((became, &zip), (expected.clone(), &a), "{name}");
    }
}

#[tokio::test]
async fn of_a_tag_that_is_moved_what_it_points_to_is_delivered_in_either_order() {
    let (scene, _host) = Scene::over_http("tag-moved", Options::with_any_commit()).await;
    let repository = scene.repository("group/project");
    let [a, b, c] = commits(&repository);
    let gone = Became::Failed("CommitNotOnRef");
    // A tag has no history: it points to nothing but its commit, whether it is moved on or back.
    for (name, places) in [("on", [&a, &b, &c]), ("back", [&b, &c, &a])] {
        for order in [[0, 1], [1, 0]] {
            let ref_name = format!("refs/tags/{name}-{}", order[0]);
            let last = places[2];
            let places = places.map(|place| Some(&**place));
            let (became, zip) = moved_through(&scene, &repository, &ref_name, &places, &order).await;
            assert_eq!(
                (became, &zip),
                (vec![gone, Became::Delivered], last),
                "{ref_name}"
            );
        }
    }
    // An annotated tag has an object of its own.
    repository.git(["tag", "--annotate", "object", "--message", "One", &a]);
    let object = repository.git(["rev-parse", "object"]);
    let places = [Some(&*object), Some(&*b), Some(&*c)];
    for order in [[0, 1], [1, 0]] {
        let ref_name = "refs/tags/object";
        let (became, zip) = moved_through(&scene, &repository, ref_name, &places, &order).await;
        assert_eq!((became, &zip), (vec![gone, Became::Delivered], &c));
        repository.git(["update-ref", "-d", ref_name]);
    }
}

#[tokio::test]
async fn an_older_push_is_not_delivered_although_the_zip_was_removed() {
    let (scene, _host) = Scene::over_http("removed", Options::with_any_commit()).await;
    let repository = scene.repository("group/project");
    let [a, b, _] = commits(&repository);
    let mut branch = Mover::new(&scene, &repository, "refs/heads/next");
    let delivery = Delivery::fresh();
    scene
        .configure(|settings| settings["destination"]["bucket"] = json!("no-such-bucket-of-ours"))
        .await;
    let hook = branch.move_to(Some(&a));
    let failed = scene.deliver(&hook, &delivery).await;
    assert_eq!(
        failed.ended.error.as_deref(),
        Some("StorageRefused"),
        "{failed:#?}"
    );
    scene.configure(|_| ()).await;
    branch.push(Some(&b)).await.delivered();
    scene.remove_delivered().await;
    let late = scene.resend(&hook, &delivery, 2).await;
    assert_eq!(late.state().status, Status::Superseded, "{late:#?}");
    assert_eq!(scene.delivered_keys().await, [""; 0]);
}

#[tokio::test]
async fn a_new_table_with_an_old_bucket_delivers() {
    let (scene, _host) = Scene::over_http("new-table", Options::default()).await;
    let repository = scene.repository("group/project");
    let commits = ["a", "b", "c", "d"].map(|content| repository.commit_file("file", content));
    let mut branch = Mover::new(&scene, &repository, "refs/heads/next");
    for commit in &commits[..2] {
        branch.push(Some(commit)).await.delivered();
    }
    scene.forget_ref(&repository.path, "refs/heads/next").await;
    // One push was missed meanwhile.
    branch.move_to(Some(&commits[2]));
    branch.push(Some(&commits[3])).await.delivered();
    assert_eq!(zip(&scene).await["commit"], commits[3]);
}

#[tokio::test]
async fn a_delivered_push_is_published_again_by_a_new_execution_and_not_by_its_webhook() {
    let (scene, _host) = Scene::over_http("told-again", Options::default()).await;
    let repository = scene.repository("group/project");
    let commit = repository.commit_file("file", "content");
    let hook = scene.hook(&repository.path, MAIN, None, Some(&commit));
    let delivery = Delivery::fresh();
    let first = scene.deliver(&hook, &delivery).await;
    first.delivered();
    scene.webhook.send(&hook, &delivery).await.unwrap();
    let again = scene.new_execution(first.push_id).await;
    let again = scene.follow(&again).await;
    assert_eq!(again.delivered().version_id, first.delivered().version_id);
    assert_eq!(again.events()[first.events().len()..], ["PushRetried"]);
    // Once a later push was published, a message about this one would have arrived.
    let later = repository.commit_file("file", "more");
    let later = scene
        .push(&scene.hook(&repository.path, MAIN, Some(&commit), Some(&later)))
        .await;
    scene
        .stack
        .inbox
        .event("Push Delivered", &later.push_id.to_string())
        .await;
    let told = scene
        .stack
        .inbox
        .count("Push Delivered", &first.push_id.to_string())
        .await;
    assert_eq!(told, 2);
}
