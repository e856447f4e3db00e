//! A key in memory, for tests.

use p256::ecdsa::signature::hazmat::PrehashSigner as _;
use p256::ecdsa::{Signature as Ecdsa, SigningKey};

use crate::{PublicKey, Signature, Signer, SigningError};

/// A key in memory.
#[derive(Debug, Clone)]
pub struct MemorySigner(SigningKey);

impl MemorySigner {
    /// Creates the key of this number, which is always the same.
    ///
    /// # Panics
    /// Panics if the number is 0, which is no key.
    #[must_use]
    pub fn new(number: u8) -> Self {
        let mut scalar = [0; 32];
        scalar[31] = number;
        #[expect(clippy::unwrap_used, reason = "a test that takes 0 is wrong")]
        Self(SigningKey::from_bytes(&scalar.into()).unwrap())
    }

    /// Returns the public key.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        PublicKey(*self.0.verifying_key())
    }
}

impl Default for MemorySigner {
    fn default() -> Self {
        Self::new(1)
    }
}

impl Signer for MemorySigner {
    async fn sign(&self, sha256: [u8; 32]) -> Result<Option<Signature>, SigningError> {
        let signature: Ecdsa = self.0.sign_prehash(&sha256).map_err(|error| SigningError {
            key: "memory".to_owned(),
            transient: false,
            source: error.into(),
        })?;
        Ok(Some(Signature {
            key_id: "memory".to_owned(),
            der: signature.to_der().as_bytes().to_vec(),
        }))
    }
}
