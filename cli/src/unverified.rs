//! Why a zip, or a checkpoint of the trail, is not verified.

use attestation::VerificationError;

/// The largest provenance document, in bytes. It names every submodule, and has some kilobytes without any.
pub const MAX_DOCUMENT_BYTES: u64 = 16 << 20;

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
    /// The document is that of an object elsewhere.
    #[error(
        "{zip} has the bytes that were delivered to {expected}: it was copied, or put there by somebody else"
    )]
    OtherPlace {
        /// The object.
        zip: String,
        /// The object that the document names.
        expected: String,
    },
    /// The object is another version than the one that the push has delivered.
    #[error(
        "{zip} is the version {found}, but push {push_id} has delivered the version {expected}: an earlier zip was put there again, by \
         somebody else"
    )]
    OtherVersion {
        /// The object.
        zip: String,
        /// Its version.
        found: String,
        /// The push that its metadata name.
        push_id: String,
        /// The version that the audit trail has.
        expected: String,
    },
    /// The object was not written by this project.
    #[error("{zip} is no zip of a push: its metadata has no push-id")]
    NoPush {
        /// The object.
        zip: String,
    },
}
