//! What is decided about a push, by its first execution and by later ones.

mod rollbacks;
mod scene;

use domain::contract::FetchedCommit;
use domain::event::PushEvent;
use domain::push::Push;
use domain::samples::fetched;
use domain::source::GitHost;
use domain::state::Status;

use super::*;
use scene::{SETTINGS, Scene, changed, deletion, push};

fn reason(validated: Validated) -> IgnoreReason {
    match validated {
        Validated::Ignore(ignored) => ignored.reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_push_that_is_wanted_gets_its_number_and_the_options_of_the_settings() {
    let scene = Scene::default();
    let deliver = scene.deliver("e1", &push("d1"), SETTINGS).await;
    assert_eq!(scene.last_number().await, Some(deliver.sequence));
    let host: GitHost = "https://git.example.com".parse().unwrap();
    let settings: domain::source::SourceSettings = SETTINGS.parse().unwrap();
    assert_eq!(
        deliver,
        Deliver {
            clone_url: "https://git.example.com/group/project.git".parse().unwrap(),
            destination: domain::destination::Destination {
                bucket: "zips".to_owned(),
                key: "gitlab/group/project/tags/v1.zip".parse().unwrap(),
            },
            sequence: deliver.sequence,
            git_hosts: vec![host],
            submodule_repositories: vec!["group/*".to_owned(), "third/party".to_owned()],
            options: settings.options,
            paths: vec![],
            rollback: None,
            further: vec![],
            commit_status: None,
        }
    );
    assert!(!deliver.options.build_info, "the options come from the settings");
}

#[tokio::test]
async fn a_later_push_gets_a_higher_number_and_the_same_push_the_same_one() {
    let scene = Scene::default();
    let number = async |push: &Push| match scene.handle(push, SETTINGS).await.unwrap() {
        Validated::Deliver(deliver) => deliver.sequence,
        other => panic!("{other:?}"),
    };
    let first = number(&push("d1")).await;
    assert_eq!(number(&push("d1")).await, first);
    assert!(number(&push("d2")).await > first);
}

#[tokio::test]
async fn a_push_that_is_not_wanted_is_ignored_and_takes_no_number() {
    let scene = Scene::default();
    for (settings, expected) in [
        (changed("group/*", "other/*"), IgnoreReason::RepositoryNotAllowed),
        (changed("refs/tags/*", "refs/heads/*"), IgnoreReason::RefNotWanted),
        // The sweep starts them once the source is enabled again.
        (
            changed("\"provider\"", "\"disabled\":true,\"provider\""),
            IgnoreReason::SourceDisabled,
        ),
    ] {
        for push in [push("d1"), deletion("d2")] {
            assert_eq!(reason(scene.handle(&push, &settings).await.unwrap()), expected);
            assert_eq!(scene.last_number().await, None);
        }
    }
}

#[tokio::test]
async fn a_deletion_of_a_wanted_ref_is_ignored_and_takes_a_number() {
    let scene = Scene::default();
    let first = scene.deliver("e1", &push("d1"), SETTINGS).await.sequence;
    let deleted = scene.handle(&deletion("d2"), SETTINGS).await.unwrap();
    assert_eq!(reason(deleted), IgnoreReason::RefDeleted);
    let last = scene.last_push().await.unwrap();
    assert!(last.sequence > first);
    assert_eq!(last.push_id, deletion("d2").push_id);
    assert_eq!(last.last_deletion, Some(last.sequence));
}

/// Returns the settings with two further destinations, and the deletion of a ref as this option says for its own zip.
fn with_further(on_deletion: &str) -> String {
    let destination = format!(r#""destination":{{"on_deletion":"{on_deletion}","#);
    let further = r#","further_destinations":[
        {"name":"api","destination":{"bucket":"api","on_deletion":"expire"}},
        {"name":"web","destination":{"bucket":"web","paths":["web/**"]}}]}"#;
    let settings = changed("\"destination\":{", &destination);
    settings.trim_end().strip_suffix('}').unwrap().to_owned() + further
}

#[tokio::test]
async fn the_pushes_to_further_destinations_are_named_also_by_a_deletion() {
    let names = |further: Vec<domain::push::FurtherPush>| {
        let names = further.into_iter().map(|further| further.destination.to_string());
        names.collect::<Vec<_>>()
    };
    let scene = Scene::default();
    let deliver = scene.deliver("e1", &push("d1"), &with_further("keep")).await;
    assert_eq!(names(deliver.further), ["api", "web"]);
    let deleted = |scene: Scene, on_deletion: &'static str| async move {
        scene
            .handle(&deletion("d2"), &with_further(on_deletion))
            .await
            .unwrap()
    };
    match deleted(Scene::default(), "keep").await {
        Validated::Ignore(ignored) => assert_eq!(names(ignored.further), ["api", "web"]),
        other => panic!("{other:?}"),
    }
    match deleted(Scene::default(), "expire").await {
        Validated::Expire(expire) => assert_eq!(names(expire.further), ["api", "web"]),
        other => panic!("{other:?}"),
    }
}

/// A push to one destination must not be taken for the last one of another.
#[tokio::test]
async fn each_destination_has_numbers_of_its_own() {
    let scene = Scene::default();
    let own = push("d1");
    let further = own.to_further(&"web".parse().unwrap());
    let further = Push {
        push_id: further.push_id,
        destination: Some(further.destination),
        ..own.clone()
    };
    let deliver = scene.deliver("e1", &further, &with_further("keep")).await;
    assert_eq!(deliver.destination.bucket, "web");
    assert_eq!(deliver.paths, ["web/**"]);
    assert!(deliver.further.is_empty());
    assert_eq!(
        scene.last_number().await,
        None,
        "none of the source's own destination"
    );
    scene.deliver("e1", &own, &with_further("keep")).await;
    assert!(scene.last_number().await.is_some());
}

/// Checks that the push cannot be validated, for a reason that contains `says`, and has taken no number.
async fn assert_refused(push: &Push, settings: &str, code: Code, says: &str) {
    let scene = Scene::default();
    let failed = scene.validate("e1", push, settings).await.unwrap_err();
    assert_eq!(failed.code, code);
    assert!(failed.cause.contains(says), "{failed}");
    assert_eq!(scene.last_number().await, None);
}

#[tokio::test]
async fn a_push_whose_id_is_not_its_own_is_refused() {
    let mut other = push("d1");
    other.push_id = push("d2").push_id;
    assert_refused(
        &other,
        SETTINGS,
        Code::InputInvalid,
        "not one that the webhook makes",
    )
    .await;
}

#[tokio::test]
async fn settings_that_cannot_be_read_or_applied_are_an_error_and_not_a_refusal() {
    let push = push("d1");
    let source = Code::SourceInvalid;
    for (settings, code, says) in [
        (
            "{".to_owned(),
            source,
            "settings of source gitlab cannot be read: EOF",
        ),
        (changed("\"refs\"", "\"ref\""), source, "cannot be read"),
        (
            changed("\"bucket\"", "\"buckets\":1,\"bucket\""),
            source,
            "unknown: destination.buckets",
        ),
        (
            changed("refs/tags/*", "refs/tags/["),
            source,
            "settings of source gitlab cannot be applied to this push: the setting refs",
        ),
        (
            changed("https://git.example.com", "https://other.example.com"),
            Code::GitHostNotAllowed,
            "none of the git hosts",
        ),
    ] {
        assert_refused(&push, &settings, code, says).await;
    }
}

#[tokio::test]
async fn another_execution_of_a_failed_push_applies_the_current_settings_and_keeps_the_number() {
    let scene = Scene::default();
    let first = scene.deliver("e1", &push("d1"), SETTINGS).await;
    scene.fail("e1", &push("d1")).await;
    let later = scene.deliver("later", &push("d2"), SETTINGS).await;
    let settings = changed("\"build_info\":false", "\"limits\":{\"pack_bytes\":99999999999}");
    let again = scene.deliver("e2", &push("d1"), &settings).await;
    assert_eq!(again.sequence, first.sequence);
    assert_eq!(again.options.limits.pack_bytes, 99_999_999_999);
    assert_eq!(
        scene.last_number().await,
        Some(later.sequence),
        "no number is lost"
    );
    // So does an execution that follows when the second one has failed too.
    scene.fail("e2", &push("d1")).await;
    assert_eq!(scene.deliver("e3", &push("d1"), SETTINGS).await, first);
}

#[tokio::test]
async fn a_push_that_was_ignored_by_wrong_settings_is_delivered_once_they_are_corrected() {
    let scene = Scene::default();
    let wrong = changed("refs/tags/*", "refs/heads/*");
    let ignored = scene.validate("e1", &push("d1"), &wrong).await.unwrap();
    assert_eq!(reason(ignored), IgnoreReason::RefNotWanted);
    let deliver = scene.deliver("e2", &push("d1"), SETTINGS).await;
    assert_eq!(scene.last_number().await, Some(deliver.sequence));
    assert_eq!(scene.state(&push("d1")).await.status, Status::Validated);
}

#[tokio::test]
async fn a_push_that_was_wanted_ignored_and_wanted_again_keeps_its_number() {
    let scene = Scene::default();
    let first = scene.deliver("e1", &push("d1"), SETTINGS).await;
    scene.fail("e1", &push("d1")).await;
    let wrong = changed("refs/tags/*", "refs/heads/*");
    let ignored = scene.validate("e2", &push("d1"), &wrong).await.unwrap();
    assert_eq!(reason(ignored), IgnoreReason::RefNotWanted);
    scene.deliver("later", &push("d2"), SETTINGS).await;
    assert_eq!(scene.deliver("e3", &push("d1"), SETTINGS).await, first);
}

#[tokio::test]
async fn an_execution_keeps_its_decision_if_the_settings_change_meanwhile() {
    let scene = Scene::default();
    let first = scene.deliver("e1", &push("d1"), SETTINGS).await;
    assert_eq!(scene.deliver("e1", &push("d1"), "{").await, first);
}

/// Returns what stays staged of a push that failed after its fetch, once another execution is validated by `settings`.
async fn staged_after(settings: &str) -> Option<FetchedCommit> {
    let scene = Scene::default();
    let push = push("d1");
    scene.deliver("e1", &push, SETTINGS).await;
    scene.append(&push, PushEvent::CommitFetched(fetched())).await;
    scene.fail("e1", &push).await;
    scene.deliver("e2", &push, settings).await;
    scene.state(&push).await.fetched
}

#[tokio::test]
async fn the_fetched_commit_is_kept_if_it_would_be_fetched_in_the_same_way() {
    assert_eq!(staged_after(SETTINGS).await, Some(fetched()));
    assert_eq!(staged_after(&changed("zips", "other")).await, Some(fetched()));
    for changed in [
        changed("\"build_info\":false", "\"build_info\":true"),
        changed("third/party", "third/*"),
        changed(
            "[\"https://git.example.com\"]",
            "[\"https://git.example.com\",\"https://git2.example.com\"]",
        ),
    ] {
        assert_eq!(staged_after(&changed).await, None, "{changed}");
    }
}
