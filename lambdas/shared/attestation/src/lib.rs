//! Signed statements: a document in a [DSSE
//! envelope](https://github.com/secure-systems-lab/dsse/blob/v1.0.2/envelope.md), signed by ECDSA over P-256 with
//! SHA-256. [`Signer`] makes the signature ([`KmsSigner`] by a key that never leaves AWS KMS), and [`verify`] checks
//! one with nothing but the public key.

#[cfg(feature = "kms")]
mod kms;
#[cfg(feature = "memory")]
mod memory;
#[cfg(feature = "verify")]
mod verification;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::error::{Code, Coded};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

#[cfg(feature = "kms")]
pub use kms::KmsSigner;
#[cfg(all(feature = "kms", feature = "verify"))]
pub use kms::public_key;
#[cfg(feature = "memory")]
pub use memory::MemorySigner;
#[cfg(feature = "verify")]
pub use verification::{PublicKey, VerificationError, verify};

/// The media type of an envelope.
pub const MEDIA_TYPE: &str = "application/vnd.dsse.envelope.v1+json";

/// Why nothing could be signed.
#[derive(Debug, thiserror::Error)]
#[error("the key {key} cannot sign")]
pub struct SigningError {
    /// The key.
    pub key: String,
    /// Whether another attempt may succeed.
    pub transient: bool,
    /// What happened.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

impl Coded for SigningError {
    fn code(&self) -> Code {
        if self.transient {
            Code::SigningUnavailable
        } else {
            Code::SigningRefused
        }
    }
}

/// A signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// What names the key.
    pub key_id: String,
    /// The ECDSA signature, as ASN.1 DER.
    pub der: Vec<u8>,
}

/// Signs digests.
pub trait Signer: Send + Sync {
    /// Signs a SHA-256. Returns `None` if there is no key to sign with.
    fn sign(&self, sha256: [u8; 32]) -> impl Future<Output = Result<Option<Signature>, SigningError>> + Send;
}

/// No key, for runs without AWS.
#[derive(Debug, Clone, Copy)]
pub struct Unsigned;

impl Signer for Unsigned {
    async fn sign(&self, _sha256: [u8; 32]) -> Result<Option<Signature>, SigningError> {
        Ok(None)
    }
}

/// A document in its envelope, as JSON has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    payload_type: String,
    payload: String,
    signatures: Vec<EnvelopeSignature>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct EnvelopeSignature {
    #[serde(default, rename = "keyid")]
    key_id: String,
    sig: String,
}

impl Envelope {
    /// Puts a document of this media type into a signed envelope. Returns `None` if there is no key to sign with.
    ///
    /// # Errors
    /// Returns an error if the key cannot sign.
    pub async fn sign(
        signer: &impl Signer,
        payload_type: &str,
        payload: &[u8],
    ) -> Result<Option<Self>, SigningError> {
        let signature = signer.sign(digest(payload_type, payload)).await?;
        Ok(signature.map(|signature| Self {
            payload_type: payload_type.to_owned(),
            payload: STANDARD.encode(payload),
            signatures: vec![EnvelopeSignature {
                key_id: signature.key_id,
                sig: STANDARD.encode(signature.der),
            }],
        }))
    }
}

/// Returns the SHA-256 of what is signed: [the type and the document, each after its
/// length](https://github.com/secure-systems-lab/dsse/blob/v1.0.2/protocol.md#signature-definition).
fn digest(payload_type: &str, payload: &[u8]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    hasher.update(head);
    hasher.update(payload);
    hasher.finalize().into()
}

#[cfg(all(test, feature = "memory"))]
mod tests;
