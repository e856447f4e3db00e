//! SHA-256 digests.

use sha2::{Digest as _, Sha256};

use crate::Invalid;
use crate::text::text_newtype;

text_newtype!(
    /// A SHA-256, as 64 lower-case hexadecimal digits.
    Digest,
    parse_digest
);

impl Digest {
    /// Returns the digest of some content.
    #[must_use]
    pub fn of(content: impl AsRef<[u8]>) -> Self {
        Self::of_hash(Sha256::digest(content).into())
    }

    /// Creates the digest with these bytes.
    #[must_use]
    pub fn of_hash(bytes: [u8; 32]) -> Self {
        Self(hex::encode(bytes))
    }

    /// Returns the key of an object that is named by its content.
    #[must_use]
    pub fn key(&self) -> String {
        format!("sha256/{self}")
    }
}

fn parse_digest(text: &str) -> Result<String, Invalid> {
    let well_formed = text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if well_formed {
        Ok(text.to_owned())
    } else {
        Err(Invalid::new("SHA-256", text, "it must have 64 of 0-9 and a-f"))
    }
}
