//! Verification by a public key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use p256::ecdsa::{DerSignature, Signature, VerifyingKey};
use p256::pkcs8::{DecodePublicKey as _, EncodePublicKey as _, LineEnding};

use serde::Deserialize as _;
use serde_json::Value;

use crate::{Envelope, digest};

/// Why a signature is not one of the key.
#[derive(Debug, thiserror::Error)]
pub enum VerificationError {
    /// The key cannot be read.
    #[error("the key is no public key of P-256, as PEM or DER (SubjectPublicKeyInfo)")]
    Key,
    /// The envelope cannot be read.
    #[error("it is no DSSE envelope: {0}")]
    Malformed(String),
    /// Nobody has signed it.
    #[error("it has no signature")]
    Unsigned,
    /// No signature is one of the key.
    #[error("its signature is not one of this key over this content (it names the key {0:?})")]
    Mismatch(String),
}

/// The public key of a signer.
#[derive(Debug, Clone)]
pub struct PublicKey(pub(crate) VerifyingKey);

impl PublicKey {
    /// Reads a key as `aws kms get-public-key` returns it, or as PEM.
    ///
    /// # Errors
    /// Returns [`VerificationError::Key`] if it is neither.
    pub fn parse(bytes: &[u8]) -> Result<Self, VerificationError> {
        let pem = std::str::from_utf8(bytes)
            .ok()
            .and_then(|text| VerifyingKey::from_public_key_pem(text.trim()).ok());
        pem.or_else(|| VerifyingKey::from_public_key_der(bytes).ok())
            .map(Self)
            .ok_or(VerificationError::Key)
    }

    /// Returns the key as PEM.
    ///
    /// # Errors
    /// Returns [`VerificationError::Key`] if it has no form in PEM, which no key is known to do.
    pub fn pem(&self) -> Result<String, VerificationError> {
        let pem = self.0.to_public_key_pem(LineEnding::LF);
        pem.map_err(|_| VerificationError::Key)
    }
}

/// Returns the document and its media type, if the key has signed both. The name that the envelope gives the key proves
/// nothing and is not looked at.
///
/// # Errors
/// Returns an error if the envelope cannot be read, or if none of its signatures is one of the key.
pub fn verify(envelope: &[u8], key: &PublicKey) -> Result<(String, Vec<u8>), VerificationError> {
    let malformed = |error: &dyn std::fmt::Display| VerificationError::Malformed(error.to_string());
    let envelope: Value = serde_json::from_slice(envelope).map_err(|error| malformed(&error))?;
    if envelope.get("_type").is_some() {
        // The statement itself, as a run without a key leaves it.
        return Err(VerificationError::Unsigned);
    }
    let envelope = Envelope::deserialize(envelope).map_err(|error| malformed(&error))?;
    let payload = STANDARD
        .decode(&envelope.payload)
        .map_err(|error| malformed(&error))?;
    let Some(first) = envelope.signatures.first() else {
        return Err(VerificationError::Unsigned);
    };
    let digest = digest(&envelope.payload_type, &payload);
    let is_signed = envelope.signatures.iter().any(|signature| {
        let der = STANDARD.decode(&signature.sig).unwrap_or_default();
        let signature = DerSignature::from_bytes(&der).and_then(Signature::try_from);
        signature.is_ok_and(|signature| key.0.verify_prehash(&digest, &signature).is_ok())
    });
    if is_signed {
        Ok((envelope.payload_type, payload))
    } else {
        Err(VerificationError::Mismatch(first.key_id.clone()))
    }
}
