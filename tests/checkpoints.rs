//! Tests that the trails are signed by the deployed function, and that what was changed since is found.

use attestation::PublicKey;
use audit::EventStore as _;
use audit::checkpoints::{self, Checkpoints as _, Finding, SeenTrail, StoredCheckpoint, Trails};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{NaiveDate, Utc};
use domain::push::PushId;
use git_host::Options;
use serde_json::json;

use crate::fixtures::repository::MAIN;
use crate::fixtures::scene::Scene;
use crate::fixtures::stack::{Stack, stack};

/// Signs without waiting until what was written a moment ago has settled.
async fn sign(stack: &Stack) -> Vec<StoredCheckpoint> {
    let report = stack.invoke("Checkpoint", &json!({ "settled_seconds": 0 })).await;
    assert_eq!(
        report.value()["days"].as_array().map(Vec::len),
        Some(2),
        "{report:?}"
    );
    let trail = stack.handle().trail().unwrap();
    trail.checkpoints(NaiveDate::MIN).await.unwrap()
}

/// Returns what the checkpoints do not agree with about one push. Other tests make pushes at the same time.
async fn findings(stack: &Stack, stored: &[StoredCheckpoint], push_id: PushId) -> Vec<Finding> {
    let key = json!({"KeyId": stack.output("CheckpointKeyArn")});
    let answer = stack
        .administrator
        .json("kms", "TrentService.GetPublicKey", &key)
        .await;
    let der = answer.value()["PublicKey"].as_str().unwrap().to_owned();
    let key = PublicKey::parse(&STANDARD.decode(der).unwrap()).unwrap();
    let events = stack.handle().trail().unwrap().events(push_id).await.unwrap();
    let trails = Trails::from_iter(SeenTrail::of(&events).map(|seen| (push_id, seen)));
    let open = |envelope: &str| {
        let opened = attestation::verify(envelope.as_bytes(), &key);
        opened
            .map(|(_, content)| content)
            .map_err(|error| error.to_string())
    };
    let (mut findings, last) = checkpoints::verify(stored, open, &trails, Utc::now());
    assert!(last.is_some());
    findings.retain(|finding| match finding {
        Finding::PushMissing { push_id: id, .. }
        | Finding::PushChanged { push_id: id, .. }
        | Finding::PushAdded { push_id: id, .. } => *id == push_id,
        Finding::NotSigned { .. } | Finding::Incomplete { .. } | Finding::PreviousMissing { .. } => true,
    });
    findings
}

#[tokio::test]
async fn a_trail_that_is_cut_off_after_it_was_signed_is_found() {
    let (scene, _host) = Scene::over_http("signed", Options::default()).await;
    let repository = scene.repository("group/project");
    let commit = repository.commit_file("file", "content");
    let run = scene
        .push(&scene.hook(&repository.path, MAIN, None, Some(&commit)))
        .await;
    let (stack, push_id) = (scene.stack, run.push_id);
    let stored = sign(stack).await;
    assert_eq!(findings(stack, &stored, push_id).await, []);

    // The last event with what it has written, as somebody may who has the rights of an administrator.
    let trail = stack.handle().trail().unwrap();
    let version = trail.events(push_id).await.unwrap().len();
    for (kind, sk) in [
        ("PUSH", &*format!("EVENT#{version:06}")),
        ("DELIVERED", "DELIVERED"),
    ] {
        let item = json!({
            "TableName": stack.output("TableName"),
            "Key": {"pk": {"S": format!("{kind}#{push_id}")}, "sk": {"S": sk}},
        });
        let administrator = &stack.administrator;
        administrator
            .json("dynamodb", "DynamoDB_20120810.DeleteItem", &item)
            .await
            .value();
    }
    trail.rebuild(push_id).await.unwrap();
    assert_eq!(trail.compare(push_id).await.unwrap(), None);
    let found = findings(stack, &stored, push_id).await;
    let [Finding::PushChanged { version: signed, .. }] = found[..] else {
        panic!("{found:?}")
    };
    assert_eq!(signed, version as u64);
}

#[tokio::test]
async fn checkpoints_are_signed_by_the_role_of_their_function_alone() {
    let stack = stack().await;
    let sign = json!({
        "KeyId": stack.output("CheckpointKeyArn"), "Message": "iVYjPX5v6S0pLsQp5qVlJEdkYqzCw7Hp7fCyl3sJ8Tk=",
        "MessageType": "DIGEST", "SigningAlgorithm": "ECDSA_SHA_256",
    });
    for (role, may) in [("Checkpoint", true), ("Upload", false)] {
        let caller = stack.role_of(role).await;
        let answer = caller.json("kms", "TrentService.Sign", &sign).await;
        assert_eq!(
            (answer.status == 200, answer.is_denied()),
            (may, !may),
            "{role}: {answer:?}"
        );
    }
}
