//! The inputs and outputs of the states. Outputs of earlier versions must be readable: an execution keeps the
//! definition that it began with, but its functions are always the latest ones, so after a deployment they get outputs
//! of earlier versions.

#![expect(
    clippy::unwrap_used,
    reason = "a payload that cannot be read has failed the test"
)]

use domain::contract::{
    Archive, Deliver, Envelope, FetchInput, FetchedCommit, PackageInput, RecordInput, UploadInput,
    ValidateInput,
};
use domain::push::Push;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const ID: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn push() -> Value {
    json!({
        "push_id": "87513765-0933-52f9-8a01-27081a19c5c8",
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
        "destination": {"bucket": "zips", "key": "gitlab/group/project/heads/main.zip"},
        "sequence": 3,
        "options": {"build_info": true, "limits": {"pack_bytes": 7}}
    })
}

fn read<T: DeserializeOwned>(input: &Value) -> Envelope<T> {
    let envelope = json!({
        "push": push(),
        "execution": {
            "id": "arn:aws:states:eu-west-1:123456789012:execution:push-code:1",
            "started_at": "2023-11-14T22:13:20.123Z"
        },
        "attempt": 2,
        "input": input
    });
    serde_json::from_value(envelope).unwrap()
}

#[test]
fn the_input_of_every_state_is_read() {
    let settings = r#"{"provider":"gitlab","repositories":["group/*"],"refs":["refs/heads/*"],"git_hosts":["https://git.example.com"],"destination":{"bucket":"zips"}}"#;
    let validate: Envelope<ValidateInput> = read(&json!({ "settings": settings }));
    assert!(validate.input.parse().is_ok());
    assert_eq!(validate.attempt, 2);

    let fetch: Envelope<FetchInput> = read(&json!({"deliver": deliver()}));
    assert_eq!(fetch.input.deliver.options.limits.pack_bytes, 7);

    let package: Envelope<PackageInput> = read(&json!({"deliver": deliver(), "fetched": fetched()}));
    assert_eq!(package.input.fetched.pack.size, 7);
    assert_eq!(package.input.fetched.pack.version_id, None);
    assert_eq!(package.input.fetched.pack.sha256, None);

    let upload: Envelope<UploadInput> = read(&json!({
        "deliver": deliver(), "fetched": fetched(), "archive": archive()
    }));
    assert_eq!(
        (upload.input.deliver.sequence, upload.input.archive.entries),
        (3, 12)
    );

    let record: Envelope<RecordInput> = read(&json!({ "failure": null }));
    assert_eq!(record.input.failure, None);
    let failure = json!({"stage": "Fetch", "error": "CommitNotFound", "cause": "It is gone."});
    let record: Envelope<RecordInput> = read(&json!({ "failure": failure }));
    assert_eq!(record.input.failure.unwrap().error, "CommitNotFound");
}

#[test]
fn the_output_of_every_state_is_read_as_the_first_version_wrote_it() {
    let deliver: Deliver = serde_json::from_value(deliver()).unwrap();
    assert_eq!((deliver.sequence, deliver.git_hosts.len()), (3, 0));
    let fetched: FetchedCommit = serde_json::from_value(fetched()).unwrap();
    assert_eq!(fetched.ref_now.unwrap().as_str(), ID);
    let archive: Archive = serde_json::from_value(archive()).unwrap();
    assert!(archive.warnings.is_empty());
    let push: Push = serde_json::from_value(push()).unwrap();
    push.check_identity().unwrap();
}
