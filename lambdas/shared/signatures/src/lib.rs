//! Verifies the SSH or OpenPGP signature of a commit or tag against the keys that the git secret lists. It reads a
//! repository, and uses no network.
//!
//! The rules are those of `git verify-commit` and `git verify-tag`. If these leave a choice, the stricter rule is used.

mod allowed_signers;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod object;
mod openpgp;
mod ssh;

use domain::contract::VerifiedSignature;
use domain::git::RefName;
use git2::{ObjectType, Oid, Repository};
use pgp::composed::SignedPublicKey;

use allowed_signers::AllowedSigner;
use object::{Kind, Signed};

/// The keys that may sign.
#[derive(Clone)]
pub struct Signers {
    ssh: Vec<AllowedSigner>,
    openpgp: Vec<SignedPublicKey>,
}

impl Signers {
    /// Parses the two lists of the git secret.
    ///
    /// # Errors
    /// Returns the field and the line of the first error. The text never quotes the list.
    pub fn parse(allowed_signers: &str, openpgp_keys: &str) -> Result<Self, String> {
        let invalid = |field: &'static str| {
            move |Invalid { line, reason }: Invalid| format!("{field}, line {line}: {reason}")
        };
        Ok(Self {
            ssh: allowed_signers::parse(allowed_signers).map_err(invalid("allowed_signers"))?,
            openpgp: openpgp::parse(openpgp_keys).map_err(invalid("openpgp_keys"))?,
        })
    }
}

/// What is wrong with a list of keys.
#[derive(Debug, PartialEq, Eq)]
struct Invalid {
    /// The number of the line, from 1.
    line: usize,
    reason: &'static str,
}

/// Why a commit or tag is not verified.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum NotVerified {
    /// The git secret lists no keys.
    #[error("the git secret lists no keys: fill allowed_signers or openpgp_keys")]
    NoSigners,
    /// There is no signature.
    #[error("it is not signed")]
    NotSigned,
    /// The git secret does not list the key.
    #[error("it is signed by the key {key}, which the git secret does not list")]
    UnknownKey { key: String },
    /// The signature is invalid.
    #[error("its signature is invalid: {reason}")]
    Invalid { reason: &'static str },
    /// The signature was made after the key had expired.
    #[error("it was signed by the key {key} after the key had expired")]
    KeyExpired { key: String },
    /// The signature was made before the key was valid.
    #[error("it was signed by the key {key} before the key was valid")]
    KeyNotYetValid { key: String },
    /// The key's owner has revoked the key.
    #[error("it is signed by the key {key}, which is revoked")]
    KeyRevoked { key: String },
    /// The key is listed, but not for signing commits.
    #[error("it is signed by the key {key}, which may not sign commits: {reason}")]
    KeyMayNotSign { key: String, reason: &'static str },
    /// The signature is of the form X.509, which gpgsm makes.
    #[error("it has an X.509 signature, which is not supported: sign with SSH or OpenPGP")]
    X509,
    /// A tag object was pushed to a ref of another name.
    #[error("it is the tag {tag:?}, but was pushed to {ref_name}: push a tag by its own name")]
    Renamed { tag: String, ref_name: String },
    /// A tag was pushed, and neither the tag nor its commit is verified.
    #[error("of the tag: {tag}; of its commit: {commit}")]
    Neither { tag: Box<Self>, commit: Box<Self> },
    /// The object cannot be read.
    #[error("it cannot be read")]
    Unreadable,
}

/// A valid signature.
struct Signature {
    signer: String,
    key: String,
}

/// Verifies `pushed`, which is `commit` or an annotated tag of it. If a tag was pushed, either the tag or its commit
/// must be signed.
///
/// The signature of a commit does not cover the ref, but that of a tag covers the tag's name. So the tag must be named
/// like `ref_name`, or somebody who cannot sign could push an old release as a new one. A tag of another name is
/// refused even if its commit is signed.
///
/// # Errors
/// Returns [`NotVerified`] if there is no valid signature by a listed key.
pub fn verify(
    repository: &Repository,
    pushed: Oid,
    commit: Oid,
    ref_name: Option<&RefName>,
    signers: &Signers,
) -> Result<VerifiedSignature, NotVerified> {
    if signers.ssh.is_empty() && signers.openpgp.is_empty() {
        return Err(NotVerified::NoSigners);
    }
    let of_commit = || verify_object(repository, commit, signers);
    if pushed == commit {
        return of_commit();
    }
    check_name(repository, pushed, ref_name)?;
    verify_object(repository, pushed, signers).or_else(|tag| {
        of_commit().map_err(|commit| NotVerified::Neither {
            tag: Box::new(tag),
            commit: Box::new(commit),
        })
    })
}

fn check_name(repository: &Repository, tag: Oid, ref_name: Option<&RefName>) -> Result<(), NotVerified> {
    let tag = repository.find_tag(tag).map_err(|_| NotVerified::Unreadable)?;
    let own = String::from_utf8_lossy(tag.name_bytes());
    match ref_name {
        Some(ref_name) if ref_name.as_str().strip_prefix("refs/tags/") != Some(&own) => {
            Err(NotVerified::Renamed {
                tag: own.into_owned(),
                ref_name: ref_name.to_string(),
            })
        }
        _ => Ok(()),
    }
}

fn verify_object(
    repository: &Repository,
    id: Oid,
    signers: &Signers,
) -> Result<VerifiedSignature, NotVerified> {
    let database = repository.odb().map_err(|_| NotVerified::Unreadable)?;
    let object = database.read(id).map_err(|_| NotVerified::Unreadable)?;
    // The pack's index is not trusted to name the object correctly.
    if Oid::hash_object(object.kind(), object.data()).ok() != Some(id) {
        return Err(NotVerified::Unreadable);
    }
    let signed = match object.kind() {
        ObjectType::Commit => Signed::commit(object.data()),
        ObjectType::Tag => Signed::tag(object.data()),
        _ => return Err(NotVerified::Unreadable),
    }?;
    let signature = match signed.kind()? {
        Kind::Ssh => ssh::verify(&signers.ssh, &signed),
        Kind::OpenPgp => openpgp::verify(&signers.openpgp, &signed),
    }?;
    Ok(VerifiedSignature {
        object: id.to_string().parse().map_err(|_| NotVerified::Unreadable)?,
        signer: signature.signer,
        key: signature.key,
    })
}
