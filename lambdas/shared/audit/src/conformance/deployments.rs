//! Tests that every [`DeploymentTrail`] must pass, of what it keeps beside events.

use chrono::{TimeDelta, Utc};
use delivery::deployment::{Cause, Deployment, DeploymentId};
use delivery::slot::{ApprovalToken, Claim, Holder, Release, Slot, SlotKey};
use uuid::Uuid;

use crate::{DeploymentTrail, samples};

/// Runs all tests of what is kept of deployments beside their events.
///
/// # Panics
/// Panics if the trail does not conform.
pub async fn check_deployments(trail: &impl DeploymentTrail) {
    // The futures of the SDK are large, and would not all fit onto the stack of a thread.
    tokio::join!(
        Box::pin(a_slot_is_written_version_by_version(trail)),
        Box::pin(releases_are_listed_the_newest_first(trail)),
        Box::pin(the_last_token_of_an_approval_is_kept(trail)),
    );
}

/// Returns the slot of a new application.
fn fresh_key() -> SlotKey {
    let unique = Uuid::new_v4().simple().to_string();
    SlotKey {
        environment: "dev".parse().unwrap(),
        application: format!("a{unique}").parse().unwrap(),
    }
}

fn fresh_id(key: &SlotKey) -> DeploymentId {
    let deployment = Deployment {
        environment: key.environment.clone(),
        application: key.application.clone(),
        cause: Cause::Push {
            push_id: samples::push().push_id,
        },
    };
    deployment.id()
}

/// A writer that has not seen the last version of a slot does not replace it.
async fn a_slot_is_written_version_by_version(trail: &impl DeploymentTrail) {
    let key = fresh_key();
    let claim = |order: u64| Claim {
        deployment_id: fresh_id(&key),
        execution_id: format!("e{order}"),
        order,
        task_token: Some(format!("t{order}")),
    };
    let empty = trail.slot(&key).await.unwrap();
    assert_eq!(empty, Slot::default());
    let first = empty.claim(claim(2), Holder::Present);
    let second = first.claim(claim(1), Holder::Present);
    assert!(!trail.put_slot(&key, &second).await.unwrap());
    assert!(trail.put_slot(&key, &first).await.unwrap());
    let other = empty.claim(claim(3), Holder::Present);
    assert!(!trail.put_slot(&key, &other).await.unwrap());
    assert_eq!(trail.slot(&key).await.unwrap(), first);
    assert!(trail.put_slot(&key, &second).await.unwrap());
    assert_eq!(trail.slot(&key).await.unwrap(), second);
    let third = second.leave("e2", true).unwrap();
    assert!(trail.put_slot(&key, &third).await.unwrap());
    assert!(!trail.put_slot(&key, &third).await.unwrap());
    assert_eq!(trail.slot(&key).await.unwrap(), third);
    assert_eq!(trail.slot(&fresh_key()).await.unwrap(), empty);
}

/// A release that is written again is the same one.
async fn releases_are_listed_the_newest_first(trail: &impl DeploymentTrail) {
    let key = fresh_key();
    assert_eq!(trail.releases(&key, 5).await.unwrap(), []);
    let now = Utc::now();
    let release = |seconds: i64| Release {
        deployment_id: fresh_id(&key),
        released_at: now + TimeDelta::seconds(seconds),
        push_id: samples::push().push_id,
        commit: samples::fetched(1).commit,
        subject: "Change it".to_owned(),
        rollback_to: Some(fresh_id(&key)),
    };
    let (first, second, third) = (release(1), release(2), release(3));
    for release in [&second, &first, &third, &second] {
        trail.put_release(&key, release).await.unwrap();
    }
    assert_eq!(
        trail.releases(&key, 2).await.unwrap(),
        [third.clone(), second.clone()]
    );
    assert_eq!(trail.releases(&key, 5).await.unwrap(), [third, second, first]);
}

/// The token of another attempt replaces the one before.
async fn the_last_token_of_an_approval_is_kept(trail: &impl DeploymentTrail) {
    let id = fresh_id(&fresh_key());
    assert_eq!(trail.approval(id).await.unwrap(), None);
    for task_token in ["t1", "t2"] {
        let token = ApprovalToken {
            deployment_id: id,
            execution_id: "e1".to_owned(),
            task_token: task_token.to_owned(),
        };
        trail.put_approval(&token).await.unwrap();
        assert_eq!(trail.approval(id).await.unwrap(), Some(token));
    }
}
