//! The requests to DynamoDB, and what its responses become. The real client runs against a server whose responses a
//! test sets.

#![expect(clippy::unwrap_used, reason = "the helpers of tests")]

use std::collections::BTreeSet;
use std::sync::Mutex;

use audit::checkpoints::{Checkpoints as _, StoredCheckpoint};
use audit::{
    AuditError, DeploymentTrail, DestinationRecord, DynamoTrail, EventStore, LastPush, Lease, PushTrail,
    RefKey, SourceRefs,
};
use chrono::{TimeDelta, Utc};
use delivery::deployment::{Cause, Deployment};
use delivery::event::{DeploymentEvent, DeploymentRequested};
use delivery::slot::{ApprovalToken, Release, Slot, SlotKey};
use domain::aggregate::RecordedEvent;
use domain::contract::{IgnoreReason, Ignored};
use domain::destination::Destination;
use domain::digest::Digest;
use domain::error::{Class, Code, Coded};
use domain::event::PushEvent;
use domain::push::Push;
use domain::samples;
use serde_json::{Value, json};
use uuid::Uuid;

use testkit::aws::{AwsResponse, Service, json_of, operation};

fn push() -> Push {
    samples::push("d1", "refs/heads/main")
}

fn destination() -> Destination {
    samples::destination("a.zip")
}

fn received() -> PushEvent {
    samples::received(&push(), "e1")
}

fn ignored() -> PushEvent {
    PushEvent::PushIgnored(Ignored {
        reason: IgnoreReason::RefNotWanted,
        detail: "no glob matches".into(),
        duplicate_of: None,
        further: vec![],
    })
}

fn trail_of(service: &Service) -> DynamoTrail {
    DynamoTrail::new(&service.config(), "trail".into())
}

fn canceled(reasons: &[&str]) -> AwsResponse {
    let reasons: Vec<_> = reasons.iter().map(|code| json!({ "Code": code })).collect();
    AwsResponse::json(&json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "Message": "Transaction cancelled, please refer cancellation reasons for specific reasons",
        "CancellationReasons": reasons,
    }))
    .status(400)
}

#[tokio::test]
async fn a_transaction_that_was_canceled_because_others_write_is_a_conflict() {
    for reasons in [
        ["ConditionalCheckFailed", "None"],
        ["None", "ConditionalCheckFailed"],
        ["None", "TransactionConflict"],
        ["ConditionalCheckFailed", "TransactionConflict"],
    ] {
        let service = Service::always(canceled(&reasons)).await;
        let appended = trail_of(&service).try_append(None, received()).await;
        assert_eq!(appended.unwrap(), None, "{reasons:?}");
    }
}

#[tokio::test]
async fn a_transaction_that_was_canceled_because_the_table_is_throttled_is_transient() {
    for reasons in [
        ["None", "ThrottlingError"],
        ["ProvisionedThroughputExceeded", "None"],
        ["ConditionalCheckFailed", "ThrottlingError"],
        ["ProvisionedThroughputExceeded", "TransactionConflict"],
    ] {
        let service = Service::always(canceled(&reasons)).await;
        let error = trail_of(&service).try_append(None, received()).await.unwrap_err();
        assert_eq!(error.code(), Code::AuditUnavailable, "{reasons:?}: {error}");
        assert_eq!(error.code().class(), Class::Transient);
        assert!(error.to_string().contains("table trail"), "{error}");
    }
}

#[tokio::test]
async fn a_transaction_that_was_canceled_for_its_content_is_permanent() {
    for reasons in [
        ["ValidationError", "None"],
        ["ConditionalCheckFailed", "ValidationError"],
        ["None", "ItemCollectionSizeLimitExceeded"],
    ] {
        let service = Service::always(canceled(&reasons)).await;
        let error = trail_of(&service).try_append(None, received()).await.unwrap_err();
        assert_eq!(error.code(), Code::AuditInvalid, "{reasons:?}: {error}");
        assert_eq!(service.requests().len(), 1);
    }
}

#[tokio::test]
async fn other_errors_of_a_transaction_are_classified_by_code() {
    for (name, code) in [
        ("TransactionInProgressException", Code::AuditUnavailable),
        ("ProvisionedThroughputExceededException", Code::AuditUnavailable),
        ("ResourceNotFoundException", Code::AuditInvalid),
        ("AccessDeniedException", Code::AuditInvalid),
    ] {
        let service = Service::always(AwsResponse::exception(name)).await;
        let error = trail_of(&service).try_append(None, received()).await.unwrap_err();
        assert_eq!(error.code(), code, "{name}");
    }
}

#[tokio::test]
async fn a_number_is_written_again_if_another_writer_was_first() {
    for reasons in [
        ["ConditionalCheckFailed", "None"],
        ["TransactionConflict", "None"],
    ] {
        let looked = || AwsResponse::json(&json!({}));
        let service = Service::in_turn(vec![looked(), canceled(&reasons), looked(), looked()]).await;
        trail_of(&service).number(&push()).await.unwrap();
        let requests = service.requests();
        let operations: Vec<_> = requests.iter().map(operation).collect();
        let once = ["GetItem", "TransactWriteItems"];
        assert_eq!(operations, [once, once].concat(), "{reasons:?}");
    }
}

#[tokio::test]
async fn a_destination_is_not_written_if_another_writer_was_first() {
    let record = DestinationRecord {
        version: 2,
        lease: None,
        last: None,
    };
    for name in ["TransactionConflictException", "ConditionalCheckFailedException"] {
        let service = Service::always(AwsResponse::exception(name)).await;
        let written = trail_of(&service).put_destination(&destination(), &record).await;
        assert!(!written.unwrap(), "{name}");
        assert_eq!(operation(&service.requests()[0]), "PutItem");
    }
}

#[tokio::test]
async fn other_errors_of_a_write_are_classified_by_code() {
    for (answer, code) in [
        (
            AwsResponse::exception("ProvisionedThroughputExceededException"),
            Code::AuditUnavailable,
        ),
        (
            AwsResponse::exception("InternalServerError").status(500),
            Code::AuditUnavailable,
        ),
        (
            AwsResponse::exception("ResourceNotFoundException"),
            Code::AuditInvalid,
        ),
        (AwsResponse::exception("ValidationException"), Code::AuditInvalid),
    ] {
        let service = Service::in_turn(vec![AwsResponse::json(&json!({})), answer]).await;
        let error = trail_of(&service).number(&push()).await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
    }
}

#[tokio::test]
async fn errors_of_a_read_are_classified_by_code() {
    for (name, status, code) in [
        ("InternalServerError", 500, Code::AuditUnavailable),
        ("ThrottlingException", 400, Code::AuditUnavailable),
        ("AccessDeniedException", 400, Code::AuditInvalid),
    ] {
        let service = Service::always(AwsResponse::exception(name).status(status)).await;
        let trail = trail_of(&service);
        let push = push();
        assert_eq!(trail.events(push.push_id).await.unwrap_err().code(), code);
        assert_eq!(
            trail.last_push(&RefKey::of(&push)).await.unwrap_err().code(),
            code
        );
        assert_eq!(trail.destination(&destination()).await.unwrap_err().code(), code);
    }
}

#[tokio::test]
async fn an_item_that_was_changed_by_hand_is_named() {
    let item = json!({ "pk": { "S": "p" }, "sequence": { "S": "three" } });
    let service = Service::always(AwsResponse::json(&json!({ "Item": item, "Items": [item] }))).await;
    let trail = trail_of(&service);
    let push = push();
    let error = trail.last_push(&RefKey::of(&push)).await.unwrap_err();
    assert_eq!(error.code(), Code::AuditInvalid);
    assert!(error.to_string().contains("REF#gitlab#group/project"), "{error}");
    let error = trail.events(push.push_id).await.unwrap_err();
    assert_eq!(error.code(), Code::AuditInvalid);
    assert!(
        error.to_string().contains(&format!("PUSH#{}", push.push_id)),
        "{error}"
    );
}

#[tokio::test]
async fn reads_are_consistent_and_for_one_key() {
    let service = Service::always(AwsResponse::json(&json!({ "Items": [] }))).await;
    let trail = trail_of(&service);
    let push = push();
    trail.events(push.push_id).await.unwrap();
    trail.last_push(&RefKey::of(&push)).await.unwrap();
    trail.destination(&destination()).await.unwrap();
    let requests = service.requests();
    let [events, last_push, destination] = &requests[..] else {
        panic!("{requests:?}")
    };
    for request in &requests {
        assert_eq!(json_of(request)["ConsistentRead"], true);
        assert_eq!(json_of(request)["TableName"], "trail");
    }
    let events = json_of(events);
    let pk = format!("PUSH#{}", push.push_id);
    assert_eq!(
        events["KeyConditionExpression"],
        "pk = :pk AND begins_with(sk, :event)"
    );
    assert_eq!(
        events["ExpressionAttributeValues"],
        json!({ ":pk": { "S": pk }, ":event": { "S": "EVENT#" } })
    );
    let key = |pk: &str, sk: &str| json!({ "pk": { "S": pk }, "sk": { "S": sk } });
    assert_eq!(
        json_of(last_push)["Key"],
        key("REF#gitlab#group/project#refs/heads/main", "SEQUENCE")
    );
    assert_eq!(
        json_of(destination)["Key"],
        key("DESTINATION#zips#a.zip", "DESTINATION")
    );
}

/// Returns the items and conditions of a transaction, by their sort keys.
fn puts(request: &testkit::Request) -> Vec<(String, Value)> {
    let body = json_of(request);
    let items = body["TransactItems"].as_array().unwrap();
    let of = |item: &Value| {
        let put = item["Put"].clone();
        (put["Item"]["sk"]["S"].as_str().unwrap().to_owned(), put)
    };
    items.iter().map(of).collect()
}

#[tokio::test]
async fn an_event_and_the_read_model_are_written_together_or_not_at_all() {
    let service = Service::always(AwsResponse::json(&json!({}))).await;
    let trail = trail_of(&service);
    let push = push();
    let state = trail.try_append(None, received()).await.unwrap();
    trail.try_append(state, ignored()).await.unwrap().unwrap();
    let requests = service.requests();
    let pk = json!({ "S": format!("PUSH#{}", push.push_id) });
    for (request, version, category) in [(&requests[0], 1, "Open"), (&requests[1], 2, "Ignored")] {
        assert_eq!(operation(request), "TransactWriteItems");
        let puts = puts(request);
        let [(event_sk, event), (model_sk, model)] = &puts[..] else {
            panic!("{puts:?}")
        };
        assert_eq!(
            (event_sk, model_sk.as_str()),
            (&format!("EVENT#{version:06}"), "PUSH")
        );
        for put in [event, model] {
            assert_eq!((&put["TableName"], &put["Item"]["pk"]), (&json!("trail"), &pk));
        }
        assert_eq!(event["ConditionExpression"], "attribute_not_exists(pk)");
        if version == 1 {
            assert_eq!(model["ConditionExpression"], "attribute_not_exists(pk)");
        } else {
            assert_eq!(model["ConditionExpression"], "#version = :before");
            assert_eq!(
                model["ExpressionAttributeNames"],
                json!({ "#version": "version" })
            );
            let before = json!({ ":before": { "N": "1" } });
            assert_eq!(model["ExpressionAttributeValues"], before);
        }
        let position = format!("2023-11-14T22:13:20.000Z#{}", push.push_id);
        for (name, value) in [
            ("gsi1pk", "REPOSITORY#group/project"),
            ("gsi1sk", &position),
            ("gsi2pk", &format!("STATUS#{category}#2023-11-14")),
            ("gsi2sk", &position),
            ("gsi3pk", "COMMIT#aaaaaaa"),
            ("gsi3sk", &format!("{}#{position}", "a".repeat(40))),
        ] {
            assert_eq!(model["Item"][name], json!({ "S": value }), "{name}");
            assert_eq!(event["Item"][name], Value::Null, "{name}");
        }
        assert_eq!(model["Item"]["version"], json!({ "N": version.to_string() }));
    }
}

#[tokio::test]
async fn events_are_read_page_by_page() {
    let items = Mutex::new(vec![]);
    let service = Service::answering(move |request| {
        let mut items = items.lock().unwrap();
        if operation(request) == "TransactWriteItems" {
            items.push(puts(request)[0].1["Item"].clone());
            return AwsResponse::json(&json!({}));
        }
        let begun = json_of(request).get("ExclusiveStartKey").is_some();
        let mut page = json!({ "Items": [items[usize::from(begun)]], "Count": 1 });
        if !begun {
            page["LastEvaluatedKey"] = json!({ "pk": items[0]["pk"], "sk": items[0]["sk"] });
        }
        AwsResponse::json(&page)
    })
    .await;
    let trail = trail_of(&service);
    let state = trail.try_append(None, received()).await.unwrap();
    let state = trail.try_append(state, ignored()).await.unwrap();
    assert_eq!(trail.load(push().push_id).await.unwrap(), state);
    let operations: Vec<_> = service
        .requests()
        .iter()
        .map(|request| operation(request).to_owned())
        .collect();
    assert_eq!(
        operations,
        ["TransactWriteItems", "TransactWriteItems", "Query", "Query"]
    );
}

/// Returns the condition on which an item is written.
fn condition(request: &testkit::Request) -> Value {
    let body = match (operation(request), json_of(request)) {
        ("PutItem", body) => body,
        // The first item of a transaction has the condition of both.
        ("TransactWriteItems", body) => {
            assert_eq!(
                body["TransactItems"][1]["Put"]["ConditionExpression"],
                Value::Null
            );
            body["TransactItems"][0]["Put"].clone()
        }
        (other, _) => unreachable!("{other}"),
    };
    assert_eq!(body["TableName"], json!("trail"));
    json!([
        body["Item"]["sk"]["S"],
        body["ConditionExpression"],
        body["ExpressionAttributeNames"]["#field"],
        body["ExpressionAttributeValues"][":before"]["N"],
    ])
}

#[tokio::test]
async fn numbers_and_leases_are_written_only_if_nothing_has_changed() {
    let service = Service::always(AwsResponse::json(&json!({}))).await;
    let trail = trail_of(&service);
    let push = push();
    let key = RefKey::of(&push);
    let last = |sequence| LastPush {
        sequence,
        push_id: push.push_id,
        before: None,
        after: None,
        last_deletion: Some(sequence),
        clone_urls: vec![],
    };
    let record = |version| DestinationRecord {
        version,
        lease: Some(Lease {
            holder: Uuid::new_v4(),
            until: Utc::now() + TimeDelta::seconds(960),
        }),
        last: None,
    };
    assert!(trail.replace_last_push(&key, None, &last(7)).await.unwrap());
    assert!(
        trail
            .replace_last_push(&key, Some(&last(7)), &last(8))
            .await
            .unwrap()
    );
    assert!(trail.put_destination(&destination(), &record(1)).await.unwrap());
    assert!(trail.put_destination(&destination(), &record(2)).await.unwrap());
    let conditions: Vec<_> = service.requests().iter().map(condition).collect();
    let nothing = Value::Null;
    assert_eq!(
        conditions,
        [
            json!(["SEQUENCE", "attribute_not_exists(pk)", nothing, nothing]),
            json!(["SEQUENCE", "#field = :before", "sequence", "7"]),
            json!(["DESTINATION", "attribute_not_exists(pk)", nothing, nothing]),
            json!(["DESTINATION", "#field = :before", "version", "1"]),
        ]
    );
}

/// Returns the keys of the items that a request writes.
fn keys_written(request: &testkit::Request) -> Vec<[String; 2]> {
    let body = json_of(request);
    let key = |item: &Value| ["pk", "sk"].map(|name| item[name]["S"].as_str().unwrap().to_owned());
    match body["TransactItems"].as_array() {
        Some(items) => items.iter().map(|item| key(&item["Put"]["Item"])).collect(),
        None => vec![key(&body["Item"])],
    }
}

/// Writes every item of a deployment. Returns the deployment, and when it was released.
async fn write_deployment(trail: &DynamoTrail<Deployment>) -> (Deployment, &'static str) {
    let deployment = Deployment {
        environment: "dev".parse().unwrap(),
        application: "app".parse().unwrap(),
        cause: Cause::Push {
            push_id: push().push_id,
        },
    };
    let requested = DeploymentEvent::DeploymentRequested(DeploymentRequested {
        deployment: deployment.clone(),
        execution: samples::execution("e1"),
    });
    trail.try_append(None, requested).await.unwrap();
    let key = SlotKey::of(&deployment);
    let slot = Slot {
        version: 1,
        ..Slot::default()
    };
    trail.put_slot(&key, &slot).await.unwrap();
    let release = Release {
        deployment_id: deployment.id(),
        released_at: samples::time(),
        push_id: push().push_id,
        commit: samples::fetched().commit,
        subject: "Change it".to_owned(),
        rollback_to: None,
    };
    trail.put_release(&key, &release).await.unwrap();
    let token = ApprovalToken {
        deployment_id: deployment.id(),
        execution_id: "e1".to_owned(),
        task_token: "t1".to_owned(),
    };
    trail.put_approval(&token).await.unwrap();
    (deployment, "2023-11-14T22:13:20.000Z")
}

#[tokio::test]
async fn a_deployment_is_found_by_its_application_and_its_push() {
    let service = Service::always(AwsResponse::json(&json!({}))).await;
    write_deployment(&trail_of(&service).of()).await;
    let puts = puts(&service.requests()[0]);
    assert_eq!(puts[1].0, "DEPLOYMENT");
    let model = &puts[1].1["Item"];
    assert_eq!(model["gsi1pk"]["S"], "APPLICATION#dev#app");
    assert_eq!(model["gsi2pk"]["S"], format!("PUSH#{}", push().push_id));
    assert_eq!(model["gsi1sk"], model["gsi2sk"]);
}

#[tokio::test]
async fn the_architecture_guide_has_the_keys_of_all_items() {
    let service = Service::always(AwsResponse::json(&json!({}))).await;
    let trail = trail_of(&service);
    let (push, destination) = (push(), destination());
    trail.try_append(None, received()).await.unwrap();
    let last = LastPush {
        sequence: 7,
        push_id: push.push_id,
        before: None,
        after: None,
        last_deletion: None,
        clone_urls: vec![],
    };
    trail
        .replace_last_push(&RefKey::of(&push), None, &last)
        .await
        .unwrap();
    let record = DestinationRecord {
        version: 1,
        lease: None,
        last: None,
    };
    trail.put_destination(&destination, &record).await.unwrap();
    let begins_with = Some(&push.repository);
    trail
        .put_sweep_begins_with(&push.source, begins_with)
        .await
        .unwrap();
    let checkpoint = StoredCheckpoint {
        day: samples::time().date_naive(),
        part: 0,
        envelope: "{}".to_owned(),
    };
    trail.put_checkpoint(&checkpoint).await.unwrap();
    let (deployment, released_at) = write_deployment(&trail.of()).await;
    write_delivery(&trail).await;
    let requests = service.requests();
    let written: BTreeSet<_> = requests.iter().flat_map(keys_written).collect();

    let guide = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../docs/architecture.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    let (_, section) = guide.split_once("\n## The audit table\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    // The evidence of builds is in the same table, and is not the trail's.
    let rows = section
        .lines()
        .filter(|line| line.contains("| `") && !line.contains("`ARTIFACT#"));
    let keys: BTreeSet<_> = rows
        .map(|row| {
            let codes: Vec<_> = row.split('`').skip(1).step_by(2).collect();
            let [pk, sk] = codes[..] else { panic!("{row}") };
            [pk, sk].map(|key| {
                key.replace("{push_id}", &push.push_id.to_string())
                    .replace("{version:06}", "000001")
                    .replace("{sha256}", &Digest::of(RefKey::of(&push).to_string()).to_string())
                    .replace("{source}", push.source.as_str())
                    .replace("{repository}", push.repository.as_str())
                    .replace("{ref}", push.ref_name.as_str())
                    .replace("{bucket}", &destination.bucket)
                    .replace("{key}", destination.key.as_str())
                    .replace("{deployment_id}", &deployment.id().to_string())
                    .replace("{environment}", deployment.environment.as_str())
                    .replace("{application}", deployment.application.as_str())
                    .replace("{time}", released_at)
                    .replace("{day}", &checkpoint.day.to_string())
                    .replace("{part:04}", "0000")
            })
        })
        .collect();
    assert_eq!(keys, written);
}

/// A trail expires as a whole, by the time of its first event, whoever writes the later ones.
#[tokio::test]
async fn all_items_of_a_trail_expire_together_if_trails_do() {
    let service = Service::always(AwsResponse::json(&json!({}))).await;
    let keeping = trail_of(&service).keeping(30);
    let before = Utc::now().timestamp();
    let begun = keeping.try_append(None, received()).await.unwrap();
    let ignored = trail_of(&service).try_append(begun, ignored()).await.unwrap();
    let day = 24 * 60 * 60;
    let expires_at = ignored.unwrap().expires_at.unwrap();
    assert!((before + 30 * day..=before + 30 * day + 60).contains(&expires_at));
    let items: Vec<_> = service.requests().iter().flat_map(puts).collect();
    assert_eq!(items.len(), 4);
    for (_, put) in items {
        assert_eq!(put["Item"]["expires_at"], json!({ "N": expires_at.to_string() }));
    }
    let for_ever = trail_of(&service).keeping(0);
    let state = for_ever.try_append(None, received()).await.unwrap();
    assert_eq!(state.unwrap().expires_at, None);
}

/// Writes the event that closes the push as delivered, as if it were the first.
async fn write_delivery(trail: &DynamoTrail) {
    let state = samples::folded(samples::delivered_trail(&push()));
    let closing = PushEvent::PushDelivered(samples::delivered());
    let closing = RecordedEvent::new(1, None, Utc::now(), closing).unwrap();
    assert!(trail.put_event(&closing, &state).await.unwrap());
}

/// An event that is appended between the comparison and the write has written a newer read model, which stays.
#[tokio::test]
async fn a_read_model_is_rebuilt_only_if_no_event_was_appended_meanwhile() {
    let writer = Service::always(AwsResponse::json(&json!({}))).await;
    trail_of(&writer).try_append(None, received()).await.unwrap();
    let [(_, event), (_, model)] = puts(&writer.requests()[0]).try_into().unwrap();
    let mut spoilt = model["Item"].clone();
    spoilt["status"] = json!({ "S": "Delivered" });
    for (stored, condition, version) in [
        (
            json!({ "Item": spoilt }),
            "#version = :version",
            json!({ "N": "1" }),
        ),
        (json!({}), "attribute_not_exists(#version)", Value::Null),
    ] {
        let events = json!({ "Items": [event["Item"]], "Count": 1 });
        let service = Service::answering(move |request| match operation(request) {
            "GetItem" => AwsResponse::json(&stored),
            "Query" => AwsResponse::json(&events),
            _ => AwsResponse::json(&json!({
                "__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException",
                "message": "The conditional request failed",
            }))
            .status(400),
        })
        .await;
        let error = trail_of(&service).rebuild(push().push_id).await.unwrap_err();
        assert!(matches!(error, AuditError::Contended { .. }), "{error}");
        let requests = service.requests();
        let put = json_of(requests.last().unwrap());
        assert_eq!(put["Item"], model["Item"]);
        assert_eq!(put["ConditionExpression"], condition);
        assert_eq!(put["ExpressionAttributeValues"][":version"], version);
    }
}
