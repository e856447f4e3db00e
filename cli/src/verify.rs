//! `push-code verify`: whether a zip is the one that its signed provenance document describes. A file needs no network
//! and no AWS.

use std::fs::File;
use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use attestation::PublicKey;
use clap::{Args, ValueHint};
use domain::state::PushState;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use shell::progress::Progress;

use crate::Error;
use crate::audit::keys;
use crate::pushes::{StackArgs, state_of};
use crate::results::Results;
use crate::unverified::{MAX_DOCUMENT_BYTES, Unverified};

/// What to verify.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The zip: a file, or an object of a stack's bucket, such as s3://zips/gitlab/group/project/heads/main.zip.
    #[arg(value_name = "ZIP", value_hint = ValueHint::FilePath)]
    zip: Zip,
    /// The version of the object. Otherwise it is the newest one.
    #[arg(long, value_name = "VERSION")]
    version_id: Option<String>,
    /// The provenance document of a file, which `push-code audit provenance` prints. That of an object is looked up.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    provenance: Option<PathBuf>,
    /// The public key of the stack, as `push-code audit key` prints it or `aws kms get-public-key` returns it. Without
    /// it, the stack of an object is asked for it.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    key: Option<PathBuf>,
    /// The stack of an object.
    #[command(flatten)]
    stack: StackArgs,
}

/// Where a zip is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Zip {
    File(PathBuf),
    Object { bucket: String, key: String },
}

impl FromStr for Zip {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some(rest) = text.strip_prefix("s3://") else {
            return Ok(Self::File(text.into()));
        };
        match rest.split_once('/') {
            Some((bucket, key)) if !bucket.is_empty() && !key.is_empty() => Ok(Self::Object {
                bucket: bucket.to_owned(),
                key: key.to_owned(),
            }),
            _ => Err("an object is named as s3://BUCKET/KEY"),
        }
    }
}

/// A zip, and what is to prove what it was made of.
struct Evidence {
    zip: String,
    is_object: bool,
    sha256: String,
    document: Vec<u8>,
    document_name: String,
    key: Vec<u8>,
    key_name: String,
}

/// Verifies a zip.
///
/// # Errors
/// Returns an error if the zip, the document or the key cannot be read, or [`Unverified`] with what does not fit.
pub async fn run(
    args: VerifyArgs,
    results: &mut Results<impl Write>,
    progress: Progress,
) -> Result<(), Error> {
    let evidence = match &args.zip {
        Zip::File(file) => of_file(file, &args, progress)?,
        Zip::Object { bucket, key } => of_object(bucket, key, &args, progress).await?,
    };
    let statement = check(&evidence)?;
    let (zip, found) = (evidence.zip, evidence.sha256);
    let what = &statement.external;
    let text = |field: &str| what[field].as_str().unwrap_or("?").to_owned();
    results.text(format!(
        "{zip} is the zip that push {} has delivered: {} of {}, commit {}",
        statement.push_id,
        text("ref"),
        text("repository"),
        statement.commit,
    ))?;
    results.text(format!(
        "made by {}, started {}",
        statement.execution, statement.started_on
    ))?;
    results.put(json!({
        "zip": zip, "sha256": found, "push_id": statement.push_id, "commit": statement.commit,
        "repository": what["repository"], "ref": what["ref"], "source": what["source"],
        "execution": statement.execution, "started_on": statement.started_on, "verified": true,
    }));
    Ok(())
}

/// Returns what the document says, if the key has signed it and it is that of the zip.
fn check(evidence: &Evidence) -> Result<Statement, Unverified> {
    let path = &evidence.key_name;
    let key = PublicKey::parse(&evidence.key).map_err(|source| Unverified::Key {
        path: path.clone(),
        source,
    })?;
    let path = &evidence.document_name;
    let (media_type, statement) =
        attestation::verify(&evidence.document, &key).map_err(|source| Unverified::Document {
            path: path.clone(),
            source,
        })?;
    let statement = parse(&media_type, &statement).map_err(|reason| Unverified::OtherDocument {
        path: path.clone(),
        reason,
    })?;
    let zip = evidence.zip.clone();
    if evidence.sha256 != statement.sha256 {
        return Err(Unverified::OtherZip {
            zip,
            found: evidence.sha256.clone(),
            expected: statement.sha256,
        });
    }
    if evidence.is_object && zip != statement.uri {
        let expected = statement.uri;
        return Err(Unverified::OtherPlace { zip, expected });
    }
    Ok(statement)
}

fn of_file(file: &Path, args: &VerifyArgs, progress: Progress) -> Result<Evidence, Error> {
    let (Some(document), Some(key)) = (&args.provenance, &args.key) else {
        return Err(Error::Usage(
            "a file is verified by --provenance and --key, which `push-code audit provenance` and `push-code audit key` print; \
             an object, s3://BUCKET/KEY, needs neither"
                .to_owned(),
        ));
    };
    if args.version_id.is_some() || args.stack.is_named() {
        return Err(Error::Usage(
            "--version-id, --stack and --local are of an object, s3://BUCKET/KEY".to_owned(),
        ));
    }
    let name = |path: &Path| path.display().to_string();
    let (document, document_name) = (read(document)?, name(document));
    let (key, key_name) = (read(key)?, name(key));
    let step = progress.step(format!("Reading {}", name(file)));
    let opened = File::open(file).map_err(Error::io("open", file))?;
    let sha256 = sha256_of(opened).map_err(Error::io("read", file))?;
    step.done(&format!("Read {}", name(file)));
    Ok(Evidence {
        zip: name(file),
        is_object: false,
        sha256,
        document,
        document_name,
        key,
        key_name,
    })
}

/// Downloads an object. Its metadata name the push, whose document the stack has.
async fn of_object(
    bucket: &str,
    key: &str,
    args: &VerifyArgs,
    progress: Progress,
) -> Result<Evidence, Error> {
    if args.provenance.is_some() {
        return Err(Error::Usage(
            "--provenance is of a file: that of an object is looked up".to_owned(),
        ));
    }
    let stack = args.stack.open(progress).await?;
    let zip = format!("s3://{bucket}/{key}");
    let action = format!("download {zip}");
    let step = progress.step(format!("Reading {zip}"));
    let object = stack.s3().get_object().bucket(bucket).key(key);
    let object = object.set_version_id(args.version_id.clone()).send().await;
    let mut object = object.map_err(deployed_stack::Error::aws(&action))?;
    let mut hasher = Sha256::new();
    while let Some(bytes) = object.body.next().await {
        hasher.update(&bytes.map_err(deployed_stack::Error::aws(&action))?);
    }
    step.done(&format!("Read {zip}"));
    let metadata = object.metadata.as_ref();
    let push_id = metadata.and_then(|metadata| metadata.get("push-id"));
    let push_id = push_id.and_then(|id| id.parse().ok());
    let push_id = push_id.ok_or_else(|| Unverified::NoPush { zip: zip.clone() })?;
    let (push, _) = state_of(&stack, push_id).await?;
    check_version(&zip, object.version_id, &push)?;
    let (key, key_name) = match &args.key {
        Some(file) => (read(file)?, file.display().to_string()),
        None => {
            let name = format!("the provenance key of the stack {}", stack.name());
            (keys::read(&stack, "ProvenanceKeyArn").await?.into_bytes(), name)
        }
    };
    Ok(Evidence {
        zip,
        is_object: true,
        sha256: hex::encode(hasher.finalize()),
        document: keys::document(&stack, &push).await?,
        document_name: format!("the provenance document of the push {push_id}"),
        key,
        key_name,
    })
}

/// Checks that a version of an object is the one that the push has delivered. A bucket that keeps none cannot tell a
/// zip from a copy of it.
fn check_version(zip: &str, found: Option<String>, push: &PushState) -> Result<(), Unverified> {
    let recorded = push
        .delivered
        .as_ref()
        .and_then(|delivered| delivered.version_id.clone());
    match recorded {
        Some(expected) if found.as_ref() != Some(&expected) => Err(Unverified::OtherVersion {
            zip: zip.to_owned(),
            found: found.unwrap_or_else(|| "none".to_owned()),
            push_id: push.push_id().to_string(),
            expected,
        }),
        _ => Ok(()),
    }
}

/// What a provenance document says.
struct Statement {
    uri: String,
    sha256: String,
    external: Value,
    push_id: String,
    commit: String,
    execution: String,
    started_on: String,
}

/// Reads a statement that the key has signed, or returns what it is not.
fn parse(media_type: &str, statement: &[u8]) -> Result<Statement, String> {
    let expect = |what: &str, found: &str, expected: &str| {
        (found == expected)
            .then_some(())
            .ok_or_else(|| format!("its {what} is {found:?}, and not {expected:?}"))
    };
    expect("media type", media_type, upload::STATEMENT_MEDIA_TYPE)?;
    let statement: Value = serde_json::from_slice(statement).map_err(|error| error.to_string())?;
    let text = |pointer: &str| {
        let value = statement.pointer(pointer).and_then(Value::as_str);
        value
            .map(str::to_owned)
            .ok_or_else(|| format!("it has no {pointer}"))
    };
    let definition = "/predicate/buildDefinition";
    expect(
        "build type",
        &text(&format!("{definition}/buildType"))?,
        upload::BUILD_TYPE,
    )?;
    Ok(Statement {
        sha256: text("/subject/0/digest/sha256")?,
        uri: text("/subject/0/uri")?,
        external: statement
            .pointer(&format!("{definition}/externalParameters"))
            .cloned()
            .unwrap_or_default(),
        push_id: text(&format!("{definition}/internalParameters/push_id"))?,
        commit: text(&format!("{definition}/resolvedDependencies/0/digest/gitCommit"))?,
        execution: text("/predicate/runDetails/metadata/invocationId")?,
        started_on: text("/predicate/runDetails/metadata/startedOn")?,
    })
}

/// Reads a small file.
fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    let mut bytes = Vec::new();
    let mut limited = file.take(MAX_DOCUMENT_BYTES + 1);
    limited.read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    if bytes.len() as u64 > MAX_DOCUMENT_BYTES {
        let path = path.display().to_string();
        return Err(Unverified::TooLarge { path }.into());
    }
    Ok(bytes)
}

fn sha256_of(mut file: File) -> std::io::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(hex::encode(hasher.finalize()));
        }
        hasher.update(&buffer[..read]);
    }
}

#[cfg(test)]
mod tests {
    use attestation::{Envelope, MemorySigner};
    use domain::samples;

    use super::*;

    #[tokio::test]
    async fn an_object_has_to_be_where_it_was_delivered() {
        let signer = MemorySigner::new(1);
        let statement = json!({
            "subject": [{"uri": "s3://zips/main.zip", "digest": {"sha256": "a"}}],
            "predicate": {
                "buildDefinition": {
                    "buildType": upload::BUILD_TYPE,
                    "internalParameters": {"push_id": "87513765-0933-52f9-8a01-27081a19c5c8"},
                    "resolvedDependencies": [{"digest": {"gitCommit": "b"}}]
                },
                "runDetails": {"metadata": {"invocationId": "arn:x", "startedOn": "2026-01-02T03:04:05Z"}}
            }
        });
        let document = statement.to_string();
        let envelope = Envelope::sign(&signer, upload::STATEMENT_MEDIA_TYPE, document.as_bytes()).await;
        let mut evidence = Evidence {
            zip: "s3://zips/main.zip".to_owned(),
            is_object: true,
            sha256: "a".to_owned(),
            document: serde_json::to_vec(&envelope.unwrap().unwrap()).unwrap(),
            document_name: "its document".to_owned(),
            key: signer.public_key().pem().unwrap().into_bytes(),
            key_name: "a key".to_owned(),
        };
        assert_eq!(
            check(&evidence).map(|statement| statement.commit).ok().as_deref(),
            Some("b")
        );
        evidence.zip = "s3://zips/release.zip".to_owned();
        assert!(matches!(check(&evidence), Err(Unverified::OtherPlace { .. })));
        evidence.is_object = false;
        assert!(check(&evidence).is_ok(), "a file may be anywhere");
    }

    /// Whoever may write to the bucket can put an earlier zip there again, with all its metadata.
    #[test]
    fn an_earlier_zip_that_was_put_there_again_is_refused() {
        let mut push = samples::folded(samples::delivered_trail(&samples::push("1", "refs/heads/main")));
        let version = push
            .delivered
            .as_mut()
            .map(|delivered| &mut delivered.version_id)
            .unwrap();
        *version = Some("v1".to_owned());
        let check =
            |found: Option<&str>, push: &PushState| check_version("s3://a/b", found.map(str::to_owned), push);
        assert!(check(Some("v1"), &push).is_ok());
        for other in [Some("v2"), None] {
            let refused = check(other, &push).unwrap_err().to_string();
            assert!(refused.contains("v1"), "{refused}");
        }
        push.delivered.as_mut().unwrap().version_id = None;
        assert!(check(None, &push).is_ok(), "the bucket keeps no versions");
    }

    #[test]
    fn a_zip_is_a_file_or_an_object() {
        let object = |bucket: &str, key: &str| Zip::Object {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
        };
        assert_eq!("s3://zips/a/b.zip".parse(), Ok(object("zips", "a/b.zip")));
        assert_eq!("s3/a.zip".parse(), Ok(Zip::File("s3/a.zip".into())));
        for text in ["s3://zips", "s3://zips/", "s3:///a.zip"] {
            assert!(text.parse::<Zip>().is_err(), "{text}");
        }
    }
}
