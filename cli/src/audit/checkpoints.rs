//! Whether the trails are what the signed checkpoints say that they were.

use std::io::Write;
use std::path::Path;

use ::audit::checkpoints::{self, Checkpoints as _, StoredCheckpoint, Trails};
use attestation::PublicKey;
use chrono::{NaiveDate, SecondsFormat, Utc};
use serde_json::json;

use super::{Audit, CHECKPOINT_KEY, keys};
use crate::Error;
use crate::results::Results;
use crate::unverified::Unverified;

/// The checkpoints of a stack, and the key that has signed them.
pub(super) struct SignedCheckpoints {
    stored: Vec<StoredCheckpoint>,
    key: PublicKey,
}

impl Audit {
    /// Reads all checkpoints, and the key from a file or from AWS KMS.
    pub(super) async fn checkpoints(&self, key: Option<&Path>) -> Result<SignedCheckpoints, Error> {
        let stored = self.trail.checkpoints(NaiveDate::MIN).await;
        let stored = stored.map_err(|error| self.failed(error))?;
        let (pem, path) = match key {
            Some(file) => {
                let pem = std::fs::read(file).map_err(Error::io("read", file))?;
                (pem, file.display().to_string())
            }
            None => {
                let pem = keys::read(&self.stack, CHECKPOINT_KEY).await?;
                (pem.into_bytes(), CHECKPOINT_KEY.to_owned())
            }
        };
        let key = PublicKey::parse(&pem).map_err(|source| Unverified::Key { path, source })?;
        Ok(SignedCheckpoints { stored, key })
    }
}

impl SignedCheckpoints {
    /// Compares all trails with all checkpoints. Returns `false` if one of them does not agree.
    pub(super) fn compare(&self, trails: &Trails, results: &mut Results<impl Write>) -> Result<bool, Error> {
        let (findings, last) =
            checkpoints::verify(&self.stored, |envelope| self.open(envelope), trails, Utc::now());
        for finding in &findings {
            results.text(finding)?;
        }
        let agreement = match findings.len() {
            0 => "all agree".to_owned(),
            1 => "1 does not agree".to_owned(),
            many => format!("{many} do not agree"),
        };
        results.text(match last {
            None => "no checkpoint was signed yet".to_owned(),
            Some(last) => format!(
                "{agreement} with the checkpoints, the last of which was signed for {}",
                last.to_rfc3339_opts(SecondsFormat::Secs, true)
            ),
        })?;
        let texts: Vec<_> = findings.iter().map(ToString::to_string).collect();
        results.put(json!({ "checkpoints": { "signed_up_to": last, "findings": texts } }));
        Ok(findings.is_empty())
    }

    /// Returns the content of an envelope that the key has signed as a checkpoint, or what is wrong with it.
    fn open(&self, envelope: &str) -> Result<Vec<u8>, String> {
        let opened = attestation::verify(envelope.as_bytes(), &self.key);
        let (media_type, content) = opened.map_err(|error| error.to_string())?;
        let is_checkpoint = media_type == checkpoints::MEDIA_TYPE;
        is_checkpoint
            .then_some(content)
            .ok_or_else(|| format!("it is a signed {media_type}"))
    }
}
