//! The command `verify`, over files that a test signs and changes.

#![expect(clippy::unwrap_used, reason = "what a test needs is there, or it fails")]

use std::path::Path;
use std::process::{Command, Output};

use attestation::{Envelope, MemorySigner};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

const ZIP: &[u8] = b"PK not really";

fn statement() -> Value {
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"uri": "s3://zips/b.zip", "digest": {"sha256": hex::encode(Sha256::digest(ZIP))}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "urn:push-code:archive:v1",
                "externalParameters": {
                    "source": "gitlab", "repository": "group/project", "ref": "refs/heads/\u{1b}[31mmain"
                },
                "internalParameters": {"push_id": "87513765-0933-52f9-8a01-27081a19c5c8"},
                "resolvedDependencies": [{"uri": "git+https://a", "digest": {"gitCommit": "a".repeat(40)}}]
            },
            "runDetails": {"metadata": {"invocationId": "arn:x", "startedOn": "2026-01-02T03:04:05Z"}}
        }
    })
}

/// A zip, its document and a key, which fit together.
struct Files(TempDir);

impl Files {
    async fn new() -> Self {
        let files = Self(TempDir::new().unwrap());
        files.write("a.zip", ZIP);
        files.write(
            "key.pem",
            MemorySigner::new(1).public_key().pem().unwrap().as_bytes(),
        );
        files.sign(&statement(), upload::STATEMENT_MEDIA_TYPE).await;
        files
    }

    fn write(&self, name: &str, content: &[u8]) {
        std::fs::write(self.0.path().join(name), content).unwrap();
    }

    async fn sign(&self, statement: &Value, media_type: &str) {
        let document = serde_json::to_vec(statement).unwrap();
        let envelope = Envelope::sign(&MemorySigner::new(1), media_type, &document).await;
        let envelope = serde_json::to_vec(&envelope.unwrap().unwrap()).unwrap();
        self.write("a.json", &envelope);
    }

    fn verify(&self, more: &[&str]) -> Output {
        Command::new(Path::new(env!("CARGO_BIN_EXE_push-code")))
            .current_dir(self.0.path())
            .args(["verify", "a.zip", "--provenance", "a.json", "--key", "key.pem"])
            .args(more)
            .output()
            .unwrap()
    }

    /// Returns the error of a verification, which has to fail.
    fn refused(&self) -> String {
        let output = self.verify(&[]);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert_eq!(output.stdout, b"");
        error
    }
}

#[tokio::test]
async fn a_zip_is_told_from_its_signed_document() {
    let files = Files::new().await;
    let output = files.verify(&[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(text.contains("87513765-0933-52f9-8a01-27081a19c5c8"), "{text}");
    assert!(
        text.contains(&"a".repeat(40)) && text.contains("group/project"),
        "{text}"
    );
    assert!(
        !text.contains('\u{1b}'),
        "what was pushed moves the terminal: {text:?}"
    );
    let json = files.verify(&["--output", "json"]).stdout;
    let json: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(
        (&json["verified"], &json["ref"]),
        (&json!(true), &json!("refs/heads/\u{1b}[31mmain"))
    );
}

#[tokio::test]
async fn a_zip_that_was_changed_is_refused_with_both_digests() {
    let files = Files::new().await;
    files.write("a.zip", b"PK another");
    let error = files.refused();
    assert!(error.contains(&hex::encode(Sha256::digest(ZIP))), "{error}");
    assert!(
        error.contains(&hex::encode(Sha256::digest(b"PK another"))),
        "{error}"
    );
}

#[tokio::test]
async fn a_document_that_another_key_has_signed_or_nobody_is_refused() {
    let files = Files::new().await;
    files.write(
        "key.pem",
        MemorySigner::new(2).public_key().pem().unwrap().as_bytes(),
    );
    let error = files.refused();
    assert!(error.contains("not one of this key"), "{error}");
    files.write("a.json", &serde_json::to_vec(&statement()).unwrap());
    let error = files.refused();
    assert!(error.contains("it has no signature"), "{error}");
    files.write("key.pem", b"ssh-ed25519 AAAA");
    let error = files.refused();
    assert!(error.contains("aws kms get-public-key"), "{error}");
}

/// The same key must not let a document of another kind pass for one of a zip.
#[tokio::test]
async fn a_signed_document_of_something_else_is_refused() {
    let files = Files::new().await;
    files.sign(&statement(), "application/json").await;
    let error = files.refused();
    assert!(error.contains("its media type is"), "{error}");
    let mut artifact = statement();
    artifact["predicate"]["buildDefinition"]["buildType"] = json!("urn:push-code:artifact:v1");
    files.sign(&artifact, upload::STATEMENT_MEDIA_TYPE).await;
    let error = files.refused();
    assert!(error.contains("its build type is"), "{error}");
    let mut without = statement();
    without["subject"] = json!([]);
    files.sign(&without, upload::STATEMENT_MEDIA_TYPE).await;
    let error = files.refused();
    assert!(error.contains("/subject/0/digest/sha256"), "{error}");
}

#[tokio::test]
async fn a_file_that_is_missing_or_too_large_is_named() {
    let files = Files::new().await;
    std::fs::remove_file(files.0.path().join("a.zip")).unwrap();
    let error = files.refused();
    assert!(error.contains("a.zip"), "{error}");
    let file = std::fs::File::create(files.0.path().join("a.json")).unwrap();
    file.set_len((16 << 20) + 1).unwrap();
    let error = files.refused();
    assert!(error.contains("a.json is no provenance document"), "{error}");
}

#[test]
fn what_is_verified_by_what_is_told_before_anything_is_read() {
    for (arguments, part) in [
        (&["a.zip"][..], "--provenance and --key"),
        (
            &[
                "a.zip",
                "--provenance",
                "a.json",
                "--key",
                "key.pem",
                "--version-id",
                "1",
            ],
            "--version-id",
        ),
        (
            &["s3://zips/a.zip", "--provenance", "a.json"],
            "--provenance is of a file",
        ),
        (&["s3://zips"], "s3://BUCKET/KEY"),
    ] {
        let output = Command::new(Path::new(env!("CARGO_BIN_EXE_push-code")))
            .arg("verify")
            .args(arguments)
            .output();
        let output = output.unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(
            output.status.code() == Some(2) && error.contains(part),
            "{arguments:?}: {error}"
        );
    }
}
