//! The inputs and outputs of the states. Outputs of earlier versions must be readable: an execution keeps the
//! definition that it began with, but its functions are always the latest ones, so after a deployment they get outputs
//! of earlier versions.

#![expect(
    clippy::unwrap_used,
    reason = "a payload that cannot be read has failed the test"
)]

use domain::closed::Closed;
use domain::contract::{
    Archive, Deliver, Envelope, ExpireInput, Expiry, FetchInput, FetchedCommit, FetchedInput, FindRefInput,
    FoundRef, FoundVersion, RecordInput, ReportInput, Reported, Stage, UploadInput, Uploaded, ValidateInput,
    Validated,
};
use domain::push::Push;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const ID: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const PUSH_ID: &str = "87513765-0933-52f9-8a01-27081a19c5c8";
const KEY: &str = "gitlab/group/project/heads/main.zip";
const SETTINGS: &str = r#"{"provider":"gitlab","repositories":["group/*"],"refs":["refs/heads/*"],"git_hosts":["https://git.example.com"],"destination":{"bucket":"zips"}}"#;

fn push() -> Value {
    json!({
        "push_id": PUSH_ID,
        "source": "gitlab",
        "delivery_id": "d1",
        "repository": "group/project",
        "clone_urls": ["https://git.example.com/group/project.git"],
        "ref": "refs/heads/main",
        "before": null,
        "after": ID,
        "pusher": "jsmith"
    })
}

fn fetched() -> Value {
    json!({
        "commit": ID,
        "tree": ID,
        "author": {"name": "Jo", "email": "jo@example.com"},
        "committed_at": "2023-11-14T22:13:20Z",
        "subject": "Change it",
        "ref_now": ID,
        "pack": {"key": "pushes/1/commit.pack", "size": 7},
        "index": {"key": "pushes/1/commit.idx", "size": 7}
    })
}

fn archive() -> Value {
    json!({
        "object": {"key": "pushes/1/archive.zip", "size": 7},
        "sha256": "c".repeat(64),
        "entries": 12
    })
}

/// Returns the output of `Validate` with the options of the first version.
fn deliver() -> Value {
    json!({
        "decision": "Deliver",
        "clone_url": "https://git.example.com/group/project.git",
        "destination": {"bucket": "zips", "key": KEY},
        "sequence": 3,
        "options": {"build_info": true, "limits": {"pack_bytes": 7}}
    })
}

/// Returns the output of `Validate` for a deletion.
fn expire() -> Value {
    json!({
        "decision": "Expire",
        "clone_url": "https://git.example.com/group/project.git",
        "destination": {"bucket": "zips", "key": KEY},
        "sequence": 4
    })
}

fn ignored(decision: &str, reason: &str) -> Value {
    json!({"decision": decision, "reason": reason, "detail": "It is so."})
}

fn failure() -> Value {
    json!({"stage": "Fetch", "error": "CommitNotFound", "cause": "It is gone."})
}

/// Returns the outputs of `Upload` and `Keep`.
fn uploaded() -> [Value; 3] {
    [
        json!({"decision": "Delivered", "bucket": "zips", "key": KEY, "version_id": "3", "etag": "\"e\""}),
        json!({"decision": "Superseded", "by": PUSH_ID, "because": "It is newer."}),
        ignored("Ignored", "Duplicate"),
    ]
}

fn envelope(input: &Value) -> Value {
    json!({
        "push": push(),
        "execution": {
            "id": "arn:aws:states:eu-west-1:123456789012:execution:push-code:1",
            "started_at": "2023-11-14T22:13:20.123Z"
        },
        "attempt": 2,
        "input": input
    })
}

fn read<T: DeserializeOwned>(input: &Value) -> Envelope<T> {
    serde_json::from_value(envelope(input)).unwrap()
}

/// Checks that `read` has everything that was written, except for the names of variants, which their content need not
/// have.
fn assert_kept(read: &Value, written: &Value) {
    match (read, written) {
        (Value::Object(_), Value::Object(fields)) => {
            for (name, value) in fields {
                if name != "decision" {
                    assert_kept(&read[name], value);
                }
            }
        }
        (Value::Array(read), Value::Array(written)) => {
            assert_eq!(read.len(), written.len());
            for (read, written) in read.iter().zip(written) {
                assert_kept(read, written);
            }
        }
        _ => assert_eq!(read, written),
    }
}

fn check_input<T: DeserializeOwned + Serialize>(input: &Value) {
    let read = serde_json::to_value(read::<T>(input)).unwrap();
    assert_kept(&read, &envelope(input));
}

fn check_outputs<T: DeserializeOwned + Serialize>(outputs: impl IntoIterator<Item = Value>) {
    for output in outputs {
        let read: T = serde_json::from_value(output.clone()).unwrap();
        let read = serde_json::to_value(read).unwrap();
        assert_kept(&read, &output);
        assert_eq!(read["decision"], output["decision"]);
    }
}

/// Returns all stages, by what serde says if it meets a name that is none of them.
fn stages() -> Vec<Stage> {
    let error = serde_json::from_value::<Stage>(json!("none")).unwrap_err();
    let error = error.to_string();
    let (_, names) = error.split_once(", expected one of ").unwrap();
    let names = names.split('`').skip(1).step_by(2);
    names
        .map(|name| serde_json::from_value(json!(name)).unwrap())
        .collect()
}

#[test]
fn the_input_and_the_outputs_of_every_stage_are_read_as_the_first_version_wrote_them() {
    let stages = stages();
    assert!(stages.contains(&Stage::Report), "{stages:?}");
    for stage in stages {
        match stage {
            Stage::Validate => {
                check_input::<ValidateInput>(&json!({ "settings": SETTINGS }));
                check_outputs::<Validated>([deliver(), expire(), ignored("Ignore", "RefNotWanted")]);
            }
            Stage::Fetch => {
                check_input::<FetchInput>(&json!({ "deliver": deliver() }));
                check_outputs::<FetchedCommit>([fetched()]);
            }
            Stage::FindVersion => {
                let mut deliver = deliver();
                deliver["rollback"] =
                    json!({"push_id": PUSH_ID, "bucket": "zips", "key": KEY, "version_id": "3"});
                check_input::<FetchInput>(&json!({ "deliver": deliver }));
                let found = json!({"deliver": deliver, "fetched": fetched(), "archive": archive()});
                check_outputs::<FoundVersion>([found]);
            }
            Stage::Package => {
                check_input::<FetchedInput>(&json!({"deliver": deliver(), "fetched": fetched()}));
                check_outputs::<Archive>([archive()]);
            }
            Stage::Upload => {
                check_input::<UploadInput>(&json!({
                    "deliver": deliver(), "fetched": fetched(), "archive": archive()
                }));
                check_outputs::<Uploaded>(uploaded());
            }
            Stage::Keep => {
                let mut fetched = fetched();
                fetched["unchanged_since"] = json!(PUSH_ID);
                check_input::<FetchedInput>(&json!({"deliver": deliver(), "fetched": fetched}));
                check_outputs::<Uploaded>(uploaded());
            }
            Stage::FindRef => {
                check_input::<FindRefInput>(&json!({ "expire": expire() }));
                check_outputs::<FoundRef>([json!({ "ref_now": null }), json!({ "ref_now": ID })]);
            }
            Stage::Expire => {
                check_input::<ExpireInput>(&json!({"expire": expire(), "found": {"ref_now": null}}));
                let expired = json!({
                    "decision": "Expired", "bucket": "zips", "key": KEY, "push_id": PUSH_ID, "version_id": "3"
                });
                check_outputs::<Expiry>([expired, ignored("Ignored", "RefDeleted")]);
            }
            Stage::Record => {
                // Inputs have no defaults (decision 46), so it has what was added since.
                check_input::<RecordInput>(&json!({"failure": null, "failed_attempts": 0}));
                check_input::<RecordInput>(&json!({"failure": failure(), "failed_attempts": 3}));
                let mut delivered = uploaded()[0].clone();
                delivered.as_object_mut().unwrap().remove("decision");
                check_outputs::<Closed>([json!({
                    "schema_version": 1,
                    "push_id": PUSH_ID,
                    "status": "Delivered",
                    "source": "gitlab",
                    "repository": "group/project",
                    "ref": "refs/heads/main",
                    "commit": ID,
                    "sequence": 3,
                    "delivered": delivered,
                    "sha256": "c".repeat(64),
                    "reason": null,
                    "failure": failure(),
                    "remedy": "Push it again."
                })]);
            }
            Stage::Report => {
                check_input::<ReportInput>(&json!({ "failure": null }));
                check_input::<ReportInput>(&json!({ "failure": failure() }));
                let set = json!({
                    "outcome": "Set",
                    "status": "pending",
                    "commit": ID,
                    "url": "https://git.example.com/api/v4",
                    "execution_id": "e1"
                });
                let skipped = json!({"outcome": "Skipped", "detail": "It is so."});
                check_outputs::<Reported>([set, skipped]);
            }
        }
    }
}

#[test]
fn what_the_first_version_did_not_write_is_read_as_none() {
    let validate: Envelope<ValidateInput> = read(&json!({ "settings": SETTINGS }));
    assert!(validate.input.parse().is_ok());
    let deliver: Deliver = serde_json::from_value(deliver()).unwrap();
    assert_eq!((deliver.sequence, deliver.git_hosts.len()), (3, 0));
    assert_eq!(deliver.options.limits.pack_bytes, 7);
    let fetched: FetchedCommit = serde_json::from_value(fetched()).unwrap();
    assert_eq!((&fetched.pack.version_id, &fetched.pack.sha256), (&None, &None));
    let archive: Archive = serde_json::from_value(archive()).unwrap();
    assert!(archive.warnings.is_empty());
    let push: Push = serde_json::from_value(push()).unwrap();
    push.check_identity().unwrap();
}
