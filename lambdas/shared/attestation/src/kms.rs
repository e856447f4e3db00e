//! A key in AWS KMS.

use aws::AwsFailure;
use aws_sdk_kms::Client;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{MessageType, SigningAlgorithmSpec};

use crate::{Signature, Signer, SigningError};

/// Signs by a key in AWS KMS, of the specification `ECC_NIST_P256`.
#[derive(Debug, Clone)]
pub struct KmsSigner {
    client: Client,
    key: String,
}

impl KmsSigner {
    /// Creates a signer with the key of this ARN.
    #[must_use]
    pub fn new(config: &aws_config::SdkConfig, key: String) -> Self {
        Self {
            client: Client::new(config),
            key,
        }
    }
}

impl Signer for KmsSigner {
    async fn sign(&self, sha256: [u8; 32]) -> Result<Option<Signature>, SigningError> {
        let failed = |transient, source| SigningError {
            key: self.key.clone(),
            transient,
            source,
        };
        let request = self
            .client
            .sign()
            .key_id(&self.key)
            .message_type(MessageType::Digest)
            .signing_algorithm(SigningAlgorithmSpec::EcdsaSha256)
            .message(Blob::new(sha256));
        let signed = request.send().await.map_err(|error| {
            let failure = AwsFailure::new("kms:Sign", &error);
            failed(failure.transient, failure.into())
        })?;
        let signature = signed
            .signature
            .ok_or_else(|| failed(true, "kms:Sign has returned no signature".into()))?;
        Ok(Some(Signature {
            key_id: self.key.clone(),
            der: signature.into_inner(),
        }))
    }
}

/// Returns the public half of the key of this ARN, as PEM.
///
/// # Errors
/// Returns an error if KMS does not return it, or if it is not one of P-256.
#[cfg(feature = "verify")]
pub async fn public_key(config: &aws_config::SdkConfig, key: &str) -> Result<String, PublicKeyError> {
    let got = Client::new(config).get_public_key().key_id(key).send().await;
    let got = got.map_err(|error| AwsFailure::new("kms:GetPublicKey", &error))?;
    let der = got.public_key.map(Blob::into_inner).unwrap_or_default();
    Ok(crate::PublicKey::parse(&der)?.pem()?)
}

/// Why there is no public key.
#[cfg(feature = "verify")]
#[derive(Debug, thiserror::Error)]
pub enum PublicKeyError {
    /// KMS does not return it.
    #[error(transparent)]
    Kms(#[from] AwsFailure),
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(#[from] crate::VerificationError),
}
