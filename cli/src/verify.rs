//! `push-code verify`: whether a zip is the one that its signed provenance document describes. It needs no network and no AWS.

use std::fs::File;
use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};

use attestation::{PublicKey, VerificationError};
use clap::{Args, ValueHint};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use shell::progress::Progress;

use crate::Error;
use crate::results::Results;

/// The largest provenance document, in bytes. It names every submodule, and has some kilobytes without any.
const MAX_DOCUMENT_BYTES: u64 = 16 << 20;

/// What to verify.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The zip.
    #[arg(value_name = "ZIP", value_hint = ValueHint::FilePath)]
    zip: PathBuf,
    /// Its provenance document, which is beside it in the bucket: the object's metadata `provenance` has the key.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    provenance: PathBuf,
    /// The public key of the stack, as `aws kms get-public-key` returns it or as PEM.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    key: PathBuf,
}

/// Why a zip is not verified.
#[derive(Debug, thiserror::Error)]
pub enum Unverified {
    /// The key cannot be read.
    #[error("{path} is not the public key of a stack, which aws kms get-public-key returns")]
    Key {
        /// The file.
        path: String,
        /// What is wrong.
        source: VerificationError,
    },
    /// The provenance document is not signed by the key.
    #[error("{path} does not prove what the zip was made of")]
    Document {
        /// The file.
        path: String,
        /// What is wrong.
        source: VerificationError,
    },
    /// The provenance document is larger than one can be.
    #[error("{path} is no provenance document: it has more than {MAX_DOCUMENT_BYTES} bytes")]
    TooLarge {
        /// The file.
        path: String,
    },
    /// What was signed is something else.
    #[error("{path} is signed, but it is no provenance document of a zip: {reason}")]
    OtherDocument {
        /// The file.
        path: String,
        /// What it is not.
        reason: String,
    },
    /// The document is that of another zip.
    #[error(
        "{zip} has the SHA-256 {found}, but the document is of a zip with {expected}: it was changed, or is another one"
    )]
    OtherZip {
        /// The zip.
        zip: String,
        /// Its digest.
        found: String,
        /// The digest in the document.
        expected: String,
    },
}

/// Verifies a zip.
///
/// # Errors
/// Returns an error if a file cannot be read, or [`Unverified`] with what does not fit.
pub fn run(args: &VerifyArgs, results: &mut Results<impl Write>, progress: Progress) -> Result<(), Error> {
    let name = |path: &Path| path.display().to_string();
    let key = PublicKey::parse(&read(&args.key)?).map_err(|source| Unverified::Key {
        path: name(&args.key),
        source,
    })?;
    let document = read(&args.provenance)?;
    let (media_type, statement) =
        attestation::verify(&document, &key).map_err(|source| Unverified::Document {
            path: name(&args.provenance),
            source,
        })?;
    let statement = parse(&media_type, &statement).map_err(|reason| Unverified::OtherDocument {
        path: name(&args.provenance),
        reason,
    })?;
    let step = progress.step(format!("Reading {}", args.zip.display()));
    let found = sha256_of(&args.zip)?;
    step.done(&format!("Read {}", args.zip.display()));
    if found != statement.sha256 {
        let (zip, expected) = (name(&args.zip), statement.sha256);
        return Err(Unverified::OtherZip { zip, found, expected }.into());
    }
    let what = &statement.external;
    let text = |field: &str| what[field].as_str().unwrap_or("?").to_owned();
    results.text(format!(
        "{} is the zip that push {} has delivered: {} of {}, commit {}",
        args.zip.display(),
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
        "zip": name(&args.zip), "sha256": found, "push_id": statement.push_id, "commit": statement.commit,
        "repository": what["repository"], "ref": what["ref"], "source": what["source"],
        "execution": statement.execution, "started_on": statement.started_on, "verified": true,
    }));
    Ok(())
}

/// What a provenance document says.
struct Statement {
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

fn sha256_of(path: &Path) -> Result<String, Error> {
    let mut file = File::open(path).map_err(Error::io("open", path))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = file.read(&mut buffer).map_err(Error::io("read", path))?;
        if read == 0 {
            return Ok(hex::encode(hasher.finalize()));
        }
        hasher.update(&buffer[..read]);
    }
}
