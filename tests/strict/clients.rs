//! The project's own clients send no request that AWS refuses, and understand its responses.

use attestation::Unsigned;
use std::collections::HashMap;
use std::time::Duration;

use accept::{Executions, StepFunctions};
use audit::{DynamoTrail, MemoryTrail, PushTrail, conformance};
use aws::destination::{DestinationStore, S3Destination, Zip};
use aws::failure::Failed;
use aws::secrets::{Secrets, SecretsManager};
use aws::staging::{PIECE_BYTES, S3Staging, Staging};
use domain::contract::{Envelope, StagedObject, UploadInput, Uploaded};
use domain::destination::{Destination, staging_key};
use domain::error::Code;
use domain::push::PushId;
use serde_json::{Value, json};
use tasks::Tasks;

use super::{Aws, BUCKET};
use crate::fixtures::repository::noise;

impl Aws {
    /// Stages `bytes` for a push.
    async fn stage(&self, push_id: PushId, bytes: &[u8]) -> StagedObject {
        let source = self.folder.path().join("staged");
        std::fs::write(&source, bytes).unwrap();
        let key = staging_key(&push_id, "archive.zip").unwrap();
        let staging = S3Staging::new(&self.config, BUCKET.to_owned());
        staging.store_file(&key, &source).await.unwrap()
    }

    /// Uploads the zip of a push with the number `number`. `trail` may have others.
    async fn upload(&self, number: u32, trail: &impl PushTrail) -> Uploaded {
        let event = include_str!("../events/upload.json");
        let mut event: Value = serde_json::from_str(event).unwrap();
        let id = |number: u32| format!("{:040x}", 100 + number);
        event["push"]["push_id"] = json!(format!("00000000-0000-5000-8000-{number:012}"));
        event["push"]["repository"] = json!("gruppe/Größe");
        event["push"]["ref"] = json!("refs/heads/grün");
        event["push"]["before"] = json!(id(number - 1));
        event["push"]["after"] = json!(id(number));
        event["input"]["deliver"]["sequence"] = json!(number);
        event["input"]["deliver"]["destination"] = json!({"bucket": BUCKET, "key": "gitlab/größe/grün.zip"});
        event["input"]["fetched"]["commit"] = json!(id(number));
        event["input"]["fetched"]["ref_now"] = json!(id(number));
        event["input"]["fetched"]["author"]["name"] = json!("Jörg");
        event["input"]["fetched"]["subject"] = json!("推送".repeat(30));
        let mut envelope: Envelope<UploadInput> = serde_json::from_value(event).unwrap();
        envelope.input.archive.object = self
            .stage(envelope.push.push_id, format!("zip {number}").as_bytes())
            .await;
        let store = S3Destination::new(&self.config, BUCKET.to_owned());
        let deps = upload::Deps {
            trail,
            store: &store,
            signer: &Unsigned,
        };
        upload::handle(&deps, &envelope).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn staging_and_destination_send_no_request_that_s3_refuses() {
    let aws = Aws::start().await;
    let staging = S3Staging::new(&aws.config, BUCKET.to_owned());
    let store = S3Destination::new(&aws.config, BUCKET.to_owned());
    let push_id: PushId = "5e9c8a36-5d5c-5b5c-8f0e-3c1c0a5d7d11".parse().unwrap();
    let destination = Destination {
        bucket: BUCKET.to_owned(),
        key: "source/group/Größe +&=%/heads/main.zip".parse().unwrap(),
    };
    let mut expected: Option<String> = None;
    // The small ones take one request, and the large one three parts.
    for size in [0, 1_000, 2 * PIECE_BYTES + 1] {
        let bytes = noise(size);
        let copy = aws.folder.path().join("copy");
        let staged = aws.stage(push_id, &bytes).await;
        staging.load(&staged, &copy).await.unwrap();
        assert_eq!(std::fs::read(&copy).unwrap(), bytes);
        if size == 0 {
            continue;
        }
        let metadata = HashMap::from([("text".to_owned(), "=?UTF-8?B?SsO2cmc=?=".to_owned())]);
        let left = store
            .prepare(Zip::Staged(&staged), &destination, &metadata)
            .await
            .unwrap();
        store.abort(&left, &destination).await;
        let prepared = store
            .prepare(Zip::Staged(&staged), &destination, &metadata)
            .await
            .unwrap();
        let delivered = store.complete_if_unchanged(&prepared, &destination, expected.as_deref());
        let delivered = delivered.await.unwrap().unwrap();
        let head = store.head(&destination).await.unwrap().unwrap();
        assert_eq!(head.etag, delivered.etag);
        assert_eq!(head.metadata["text"], "=?UTF-8?Q?J=C3=B6rg?=");
        expected = Some(delivered.etag);
    }
    store
        .put(&destination, "application/json", b"{}".into())
        .await
        .unwrap();
    staging
        .remove_all(&staging_key(&push_id, "").unwrap())
        .await
        .unwrap();
    assert_eq!(aws.refused(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trail_sends_no_request_that_dynamodb_refuses() {
    let aws = Aws::start().await;
    aws.create_table().await;
    let trail = DynamoTrail::new(&aws.config, "trail".to_owned());
    conformance::check_all(&trail).await;
    conformance::check_events(&trail.of::<audit::samples::Job>()).await;
    conformance::check_checkpoints(&trail).await;
    conformance::check_deliveries(&trail).await;
    conformance::check_sources(&trail).await;
    conformance::check_deployments(&trail.of()).await;
    conformance::check_queries(&trail).await;
    conformance::check_index(&trail.of::<audit::samples::Job>()).await;
    assert_eq!(aws.refused(), []);
}

/// S3 may return metadata in another encoding than it was sent, which the order guard must be able to read. Each upload
/// has a trail of its own here, so that the metadata alone decides.
#[tokio::test(flavor = "multi_thread")]
async fn the_order_guard_reads_the_metadata_that_s3_gives_back() {
    let aws = Aws::start().await;
    let Uploaded::Delivered(first) = aws.upload(1, &MemoryTrail::default()).await else {
        panic!("the first one is not delivered")
    };
    let Uploaded::Delivered(second) = aws.upload(2, &MemoryTrail::default()).await else {
        panic!("a newer one is not delivered")
    };
    assert_ne!(first.etag, second.etag);
    let Uploaded::Superseded(superseded) = aws.upload(1, &MemoryTrail::default()).await else {
        panic!("an older one replaces a newer one")
    };
    assert!(superseded.by.to_string().ends_with('2'), "{superseded:?}");
    let Uploaded::Delivered(again) = aws.upload(2, &MemoryTrail::default()).await else {
        panic!("the same one is not delivered")
    };
    assert_eq!(again.version_id, second.version_id, "it was written twice");
    assert_eq!(aws.refused(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_webhook_starts_executions_as_step_functions_requires() {
    let aws = Aws::start().await;
    let role = aws.role_of_state_machines().await;
    let state = json!({"Type": "Succeed"});
    let machine = aws.create_state_machine("machine", &role, &state).await;
    let executions = StepFunctions::new(&aws.config, machine);
    // The second name is that of a later execution, the longest kind of name.
    for name in [
        "5e9c8a36-5d5c-5b5c-8f0e-3c1c0a5d7d11",
        "5e9c8a36-5d5c-5b5c-8f0e-3c1c0a5d7d11-10",
    ] {
        let arn = executions.start(name, "{}").await.unwrap();
        let described = executions.describe(name).await.unwrap();
        assert_eq!(arn, Some(described.arn));
    }
    assert_eq!(aws.refused(), []);
}

/// Waits for the token that an execution has written into the table.
async fn token_of(aws: &Aws, execution: &str) -> String {
    let key = json!({"TableName": "trail", "Key": {"pk": {"S": execution}, "sk": {"S": "TOKEN"}}});
    for _ in 0..100 {
        let item = aws.dynamodb("GetItem", &key).await.value();
        if let Some(token) = item["Item"]["token"]["S"].as_str() {
            return token.to_owned();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{execution} has written no token")
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_are_answered_once_as_step_functions_requires() {
    let aws = Aws::start().await;
    aws.create_table().await;
    let role = aws.role_of_state_machines().await;
    let state = json!({
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:dynamodb:putItem.waitForTaskToken",
        "Arguments": {"TableName": "trail", "Item": {
            "pk": {"S": "{% $states.context.Execution.Name %}"},
            "sk": {"S": "TOKEN"},
            "token": {"S": "{% $states.context.Task.Token %}"},
        }},
        "TimeoutSeconds": 60,
        "End": true,
    });
    let machine = aws.create_state_machine("waits", &role, &state).await;
    let executions = StepFunctions::new(&aws.config, machine);
    let tasks = tasks::StepFunctions::new(&aws.config);
    for name in ["good", "bad"] {
        let arn = executions.start(name, "{}").await.unwrap().unwrap();
        let token = token_of(&aws, name).await;
        assert!(tasks.is_running(&arn).await.unwrap());
        let failed = Failed::with_cause(Code::TestsFailed, "one test");
        let is_told = match name {
            "good" => tasks.succeed(&token, r#"{"decision":"Go"}"#).await,
            _ => tasks.fail(&token, &failed).await,
        };
        assert!(is_told.unwrap());
        for _ in 0..100 {
            if !tasks.is_running(&arn).await.unwrap() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let ended = aws
            .states("DescribeExecution", &json!({"executionArn": arn}))
            .await;
        match name {
            "good" => {
                let output: Value = serde_json::from_str(ended["output"].as_str().unwrap()).unwrap();
                assert_eq!(output, json!({"decision": "Go"}));
            }
            _ => assert_eq!(
                (&ended["error"], &ended["cause"]),
                (&json!("TestsFailed"), &json!(failed.cause))
            ),
        }
        assert!(
            !tasks.succeed(&token, "{}").await.unwrap(),
            "it was answered before"
        );
        let unknown = arn.replace(name, "unknown");
        assert!(!tasks.is_running(&unknown).await.unwrap());
    }
    assert!(!tasks.succeed("no token", "{}").await.unwrap());
    assert_eq!(aws.refused(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_read_as_secrets_manager_requires() {
    let aws = Aws::start().await;
    let secret = json!({"Name": "push-code/sources/gitlab/git", "SecretString": "text"});
    let create = aws
        .administrator
        .json("secretsmanager", "secretsmanager.CreateSecret", &secret);
    create.await.value();
    let secrets = SecretsManager::new(&aws.config, "push-code/sources/".to_owned());
    let source = "gitlab".parse().unwrap();
    assert!(secrets.read(&source, "git").await.is_ok());
    assert!(secrets.read(&source, "webhook").await.is_err(), "there is none");
    assert_eq!(aws.refused(), []);
}
