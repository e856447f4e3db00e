//! Rollbacks: which version is delivered again, and where.

use domain::contract::Version;
use domain::samples;
use uuid::Uuid;

use super::*;

/// Begins the trail of a push whose zip was delivered by other settings than those of today.
async fn delivered(scene: &Scene, push: &Push) -> Deliver {
    let deliver = scene.deliver("e1", push, SETTINGS).await;
    for event in [
        PushEvent::CommitFetched(samples::fetched()),
        PushEvent::ArchivePackaged(samples::archive()),
        PushEvent::ArchiveUploaded(samples::delivered()),
        PushEvent::PushDelivered(samples::delivered()),
    ] {
        scene.append(push, event).await;
    }
    deliver
}

fn rollback_to(push: &Push) -> Push {
    push.rolled_back_to(Uuid::from_u128(1), None)
}

#[tokio::test]
async fn a_rollback_delivers_the_recorded_version_to_the_destination_of_today() {
    let scene = Scene::default();
    let first = push("d1");
    let before = delivered(&scene, &first).await;
    let last = Push {
        after: Some(samples::object_id('c')),
        ..push("d2")
    };
    let number = scene.deliver("e2", &last, SETTINGS).await.sequence;
    let other = changed(r#""bucket":"zips""#, r#""bucket":"elsewhere""#)
        .replace("build_info\":false", "overwrite_foreign\":true");
    let rollback = rollback_to(&first);
    let deliver = scene.deliver("e3", &rollback, &other).await;
    assert_eq!(deliver.destination.bucket, "elsewhere");
    assert!(deliver.sequence > number);
    let zip = samples::delivered();
    let version = Version {
        push_id: first.push_id,
        bucket: zip.bucket,
        key: zip.key,
        version_id: zip.version_id.unwrap(),
    };
    assert_eq!(deliver.rollback, Some(version));
    // The options say how the zip was made.
    assert!(!deliver.options.build_info && deliver.options.overwrite_foreign);
    assert_eq!(deliver.git_hosts, before.git_hosts);
    // The ref is where the last push has moved it to.
    let numbered = scene.last_push().await.unwrap();
    assert_eq!(
        (numbered.push_id, numbered.after, numbered.sequence),
        (rollback.push_id, last.after, deliver.sequence)
    );
}

#[tokio::test]
async fn there_is_no_rollback_to_what_was_not_delivered_or_is_of_another_ref() {
    let scene = Scene::default();
    let refused = async |to: &Push, change: fn(&mut Push)| {
        let mut rollback = rollback_to(to);
        change(&mut rollback);
        rollback.push_id = PushId::new(&rollback.source, &rollback.delivery_id, &rollback.ref_name);
        let error = scene.handle(&rollback, SETTINGS).await.unwrap_err();
        assert_eq!(error.code(), Code::VersionMissing);
        error.to_string()
    };
    let unknown = push("d1");
    let because = refused(&unknown, |_| {}).await;
    assert!(
        because.contains(&unknown.push_id.to_string()) && because.ends_with("the trail has no such push"),
        "{because}"
    );
    scene.deliver("e1", &unknown, SETTINGS).await;
    let because = refused(&unknown, |_| {}).await;
    assert!(because.ends_with("it was not delivered"), "{because}");
    let known = push("d2");
    delivered(&scene, &known).await;
    let changes: [fn(&mut Push); 3] = [
        |push| push.ref_name = "refs/tags/v2".parse().unwrap(),
        |push| {
            push.repository = "group/other".parse().unwrap();
            push.clone_urls = vec!["https://git.example.com/group/other.git".to_owned()];
        },
        |push| push.source = "other".parse().unwrap(),
    ];
    for change in changes {
        let because = refused(&known, change).await;
        assert!(
            because.ends_with("it is of another source, repository or ref"),
            "{because}"
        );
    }
    let mut unversioned = samples::delivered();
    unversioned.version_id = None;
    let push = push("d3");
    scene.deliver("e1", &push, SETTINGS).await;
    for event in [
        PushEvent::CommitFetched(samples::fetched()),
        PushEvent::ArchivePackaged(samples::archive()),
        PushEvent::ArchiveUploaded(unversioned),
    ] {
        scene.append(&push, event).await;
    }
    let because = refused(&push, |_| {}).await;
    assert!(because.ends_with("its bucket keeps no versions"), "{because}");
}
