//! Tests that read models which differ from their events are found, and written anew.

use audit::samples::Samples as _;
use audit::{Deliveries as _, Difference, DynamoTrail, EventStore as _, samples};
use domain::push::{Push, PushId};
use serde_json::{Value, json};

use crate::fixtures::stack::{Stack, stack};

#[tokio::test]
async fn a_read_model_that_was_changed_or_deleted_is_found_and_written_anew() {
    let stack = stack().await;
    let trail = stack.handle().trail().unwrap();
    let names = |names: &[&str]| Difference::Attributes(names.iter().map(ToString::to_string).collect());
    for (action, change, difference) in [
        (
            "UpdateItem",
            json!({
                "UpdateExpression": "SET #status = :status, forged = :status REMOVE gsi3pk",
                "ExpressionAttributeNames": {"#status": "status"},
                "ExpressionAttributeValues": {":status": {"S": "Received"}},
            }),
            names(&["forged", "gsi3pk", "status"]),
        ),
        (
            "UpdateItem",
            json!({
                "UpdateExpression": "SET #version = :version",
                "ExpressionAttributeNames": {"#version": "version"},
                "ExpressionAttributeValues": {":version": {"N": "99"}},
            }),
            names(&["version"]),
        ),
        ("DeleteItem", json!({}), Difference::Missing),
    ] {
        let push_id = write(&trail).await;
        assert_eq!(trail.compare(push_id).await.unwrap(), None);
        let before = trail.load(push_id).await.unwrap();
        change_item(stack, action, push_id, ("PUSH", "PUSH"), change).await;
        assert_eq!(trail.compare(push_id).await.unwrap(), Some(difference.clone()));
        assert_eq!(trail.rebuild(push_id).await.unwrap(), Some(difference));
        assert_eq!(trail.rebuild(push_id).await.unwrap(), None);
        // The next event can be appended again.
        assert!(
            trail
                .try_append(before, samples::retried("e9"))
                .await
                .unwrap()
                .is_some()
        );
        assert_eq!(trail.compare(push_id).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_record_of_what_was_delivered_that_was_changed_or_deleted_is_found_and_written_anew() {
    let stack = stack().await;
    let trail = stack.handle().trail().unwrap();
    for (action, change) in [
        (
            "UpdateItem",
            json!({
                "UpdateExpression": "SET sha256 = :sha256",
                "ExpressionAttributeValues": {":sha256": {"S": "f".repeat(64)}},
            }),
        ),
        ("DeleteItem", json!({})),
    ] {
        let push_id = write(&trail).await;
        let delivered = trail.delivered(push_id).await.unwrap();
        assert!(delivered.is_some());
        change_item(stack, action, push_id, ("DELIVERED", "DELIVERED"), change).await;
        assert_eq!(trail.compare(push_id).await.unwrap(), Some(Difference::Delivered));
        assert_eq!(trail.rebuild(push_id).await.unwrap(), Some(Difference::Delivered));
        assert_eq!(trail.rebuild(push_id).await.unwrap(), None);
        assert_eq!(trail.delivered(push_id).await.unwrap(), delivered);
    }
}

#[tokio::test]
async fn events_that_are_missing_or_were_added_are_found_and_stay() {
    let stack = stack().await;
    let trail = stack.handle().trail().unwrap();
    let push_id = write(&trail).await;
    change_item(stack, "DeleteItem", push_id, ("PUSH", "EVENT#000003"), json!({})).await;
    for _ in 0..2 {
        let found = trail.rebuild(push_id).await.unwrap();
        assert!(
            matches!(&found, Some(Difference::Events(reason)) if reason.contains("event 4")),
            "{found:?}"
        );
    }

    // Still an event that may be there, and not the one that the next event names.
    let push_id = write(&trail).await;
    let changed = json!({"UpdateExpression": "SET #at = :at", "ExpressionAttributeNames": {"#at": "recorded_at"},
        "ExpressionAttributeValues": {":at": {"S": "2001-02-03T04:05:06Z"}}});
    change_item(stack, "UpdateItem", push_id, ("PUSH", "EVENT#000003"), changed).await;
    let found = trail.compare(push_id).await.unwrap();
    assert!(
        matches!(&found, Some(Difference::Events(reason)) if reason.contains("event 4")),
        "{found:?}"
    );

    let push_id = write(&trail).await;
    let added = json!({"UpdateExpression": "SET #type = :type", "ExpressionAttributeNames": {"#type": "type"},
        "ExpressionAttributeValues": {":type": {"S": "PushNever"}}});
    change_item(stack, "UpdateItem", push_id, ("PUSH", "EVENT#000099"), added).await;
    let found = trail.compare(push_id).await.unwrap();
    assert!(matches!(found, Some(Difference::Events(_))), "{found:?}");

    // The last event: only the read model knows of it.
    let push_id = write(&trail).await;
    let last = trail.events(push_id).await.unwrap().len();
    change_item(
        stack,
        "DeleteItem",
        push_id,
        ("PUSH", &format!("EVENT#{last:06}")),
        json!({}),
    )
    .await;
    let found = trail.compare(push_id).await.unwrap();
    assert!(
        matches!(&found, Some(Difference::Attributes(names)) if names.contains(&"version".to_owned())),
        "{found:?}"
    );
}

/// DynamoDB deletes the items of an expired trail one after the other, which is no change that somebody has made.
#[tokio::test]
async fn a_trail_that_has_expired_is_told_apart_and_left_alone() {
    let stack = stack().await;
    let trail = stack.handle().trail().unwrap();
    let push_id = write(&trail).await;
    let expire = json!({"UpdateExpression": "SET expires_at = :past", "ExpressionAttributeValues": {":past": {"N": "1"}}});
    change_item(stack, "UpdateItem", push_id, ("PUSH", "PUSH"), expire).await;
    change_item(stack, "DeleteItem", push_id, ("PUSH", "EVENT#000003"), json!({})).await;
    for _ in 0..2 {
        let found = trail.rebuild(push_id).await.unwrap();
        assert_eq!(found, Some(Difference::Expired));
    }
}

#[tokio::test]
async fn the_ids_of_all_pushes_are_read_also_of_those_without_a_read_model() {
    let stack = stack().await;
    let trail = stack.handle().trail().unwrap();
    let (whole, without) = (write(&trail).await, write(&trail).await);
    change_item(stack, "DeleteItem", without, ("PUSH", "PUSH"), json!({})).await;
    let (mut ids, mut from) = (vec![], None);
    loop {
        let (found, next) = trail.ids(from).await.unwrap();
        ids.extend(found);
        from = next;
        if from.is_none() {
            break;
        }
    }
    for id in [whole, without] {
        assert_eq!(ids.iter().filter(|found| **found == id).count(), 1, "{id}");
    }
}

/// Writes the trail of a push that was delivered.
async fn write(trail: &DynamoTrail<Push>) -> PushId {
    let (push_id, events) = Push::histories().swap_remove(0);
    let mut state = None;
    for event in events {
        state = trail.try_append(state, event).await.unwrap();
    }
    push_id
}

/// Changes an item of a push, whose partition key is of this kind and whose sort key is this, as somebody may who has
/// the rights of an administrator.
async fn change_item(stack: &Stack, action: &str, push_id: PushId, item: (&str, &str), change: Value) {
    let (kind, sk) = item;
    let mut body = json!({
        "TableName": stack.output("TableName"),
        "Key": {"pk": {"S": format!("{kind}#{push_id}")}, "sk": {"S": sk}},
    });
    body.as_object_mut()
        .unwrap()
        .extend(change.as_object().unwrap().clone());
    let target = format!("DynamoDB_20120810.{action}");
    stack.administrator.json("dynamodb", &target, &body).await.value();
}
