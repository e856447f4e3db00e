//! The self-signatures of an OpenPGP key, by which its owner says what it is for, how long it is valid, and whether it
//! is revoked.

use pgp::composed::{SignedPublicKey, SignedPublicSubKey};
use pgp::packet::{self, KeyFlags, SignatureType};
use pgp::ser::Serialize;
use pgp::types::{Duration, KeyDetails, PublicParams, SignedUser, Tag, Timestamp};

use super::{has_expired, has_strong_hash};
use crate::allowed_signers::RSA_BITS;
use crate::{NotVerified, Signature};

/// A primary key, or a subkey beside it.
#[derive(Debug)]
pub struct Component<'a> {
    certificate: &'a SignedPublicKey,
    subkey: Option<&'a SignedPublicSubKey>,
}

impl<'a> Component<'a> {
    pub fn all(certificate: &'a SignedPublicKey) -> impl Iterator<Item = Self> {
        let subkeys = certificate.public_subkeys.iter().map(Some);
        std::iter::once(None)
            .chain(subkeys)
            .map(move |subkey| Self { certificate, subkey })
    }

    /// Returns whether this key has made the signature over `payload`.
    pub fn made(&self, signature: &packet::Signature, payload: &[u8]) -> bool {
        match self.subkey {
            Some(subkey) => signature.verify(&subkey.key, payload),
            None => signature.verify(&self.certificate.primary_key, payload),
        }
        .is_ok()
    }

    /// Returns a [`Signature`] if this key was allowed to sign at `time`. A revoked key is refused for any time,
    /// because whoever has a stolen key can write any time into a signature.
    pub fn check(&self, time: u32) -> Result<Signature, NotVerified> {
        let primary = &self.certificate.primary_key;
        let key = format!("{:X}", self.details().fingerprint());
        let may_not = |reason| NotVerified::KeyMayNotSign {
            key: key.clone(),
            reason,
        };
        if self.certificate.is_revoked() {
            return Err(NotVerified::KeyRevoked { key });
        }
        let own = self
            .certificate
            .self_signature()
            .ok_or_else(|| may_not("it has no valid self-signature"))?;
        in_time(primary, own, time, &key)?;
        let self_signature = match self.subkey {
            None => own,
            Some(subkey) => {
                if subkey.is_revoked(primary) {
                    return Err(NotVerified::KeyRevoked { key });
                }
                let binding = subkey
                    .binding(primary)
                    .ok_or_else(|| may_not("it has no valid binding"))?;
                in_time(&subkey.key, binding, time, &key)?;
                binding
            }
        };
        if !flags(self_signature).is_some_and(|flags| flags.sign()) {
            return Err(may_not("it is not a signing key"));
        }
        if let Some(subkey) = self.subkey
            && !subkey.is_consenting(self_signature, primary)
        {
            return Err(may_not("it has not signed its binding to the primary key"));
        }
        for params in [primary.public_params(), self.details().public_params()] {
            if is_weak(params) {
                return Err(may_not("its algorithm or length is too weak"));
            }
        }
        let signer = self.certificate.name().unwrap_or_else(|| key.clone());
        Ok(Signature { signer, key })
    }
}

/// Refuses a time before the key was created or after it expired.
fn in_time(
    key: &impl KeyDetails,
    self_signature: &packet::Signature,
    time: u32,
    name: &str,
) -> Result<(), NotVerified> {
    let name = || name.to_owned();
    let made = key.created_at().as_secs();
    let lasts = self_signature.key_expiration_time().map_or(0, Duration::as_secs);
    if time < made {
        return Err(NotVerified::KeyNotYetValid { key: name() });
    }
    if lasts != 0 && u64::from(time) >= u64::from(made) + u64::from(lasts) {
        return Err(NotVerified::KeyExpired { key: name() });
    }
    Ok(())
}

/// The self-signatures of a primary key. The latest one counts, as for GnuPG.
trait SelfSigned {
    fn is_revoked(&self) -> bool;
    fn self_signature(&self) -> Option<&packet::Signature>;
    fn name(&self) -> Option<String>;
}

impl SelfSigned for SignedPublicKey {
    /// A weak hash is accepted in a revocation, because a revocation only takes rights away.
    fn is_revoked(&self) -> bool {
        let revocations = &self.details.revocation_signatures;
        revocations
            .iter()
            .any(|one| one.verify_key(&self.primary_key).is_ok())
    }

    fn self_signature(&self) -> Option<&packet::Signature> {
        let direct = self.details.direct_signatures.iter();
        let direct = direct
            .filter(|one| one.typ() == Some(SignatureType::Key) && one.verify_key(&self.primary_key).is_ok())
            .filter(|one| counts(one));
        let users = self.details.users.iter();
        latest(direct.chain(users.filter_map(|user| certification(user, &self.primary_key))))
    }

    fn name(&self) -> Option<String> {
        let users = self.details.users.iter();
        let named = users.filter_map(|user| Some((certification(user, &self.primary_key)?, user)));
        // The first one that is marked as primary, or else the first one.
        let (_, user) = named.reduce(|one, other| {
            if other.0.is_primary() && !one.0.is_primary() {
                other
            } else {
                one
            }
        })?;
        Some(String::from_utf8_lossy(user.id.id()).into_owned())
    }
}

/// The binding of a subkey to its primary key.
trait Bound {
    fn is_revoked(&self, primary: &packet::PublicKey) -> bool;
    fn binding(&self, primary: &packet::PublicKey) -> Option<&packet::Signature>;
    fn is_consenting(&self, binding: &packet::Signature, primary: &packet::PublicKey) -> bool;
}

impl Bound for SignedPublicSubKey {
    fn is_revoked(&self, primary: &packet::PublicKey) -> bool {
        self.signatures.iter().any(|one| {
            one.typ() == Some(SignatureType::SubkeyRevocation)
                && one.verify_subkey_binding(primary, &self.key).is_ok()
        })
    }

    fn binding(&self, primary: &packet::PublicKey) -> Option<&packet::Signature> {
        latest(self.signatures.iter().filter(|one| {
            one.typ() == Some(SignatureType::SubkeyBinding)
                && counts(one)
                && one.verify_subkey_binding(primary, &self.key).is_ok()
        }))
    }

    /// Returns whether the subkey has signed the binding too. Otherwise anyone could claim another's signing key as a
    /// subkey.
    fn is_consenting(&self, binding: &packet::Signature, primary: &packet::PublicKey) -> bool {
        binding
            .embedded_signature()
            .is_some_and(|back| counts(back) && back.verify_primary_key_binding(&self.key, primary).is_ok())
    }
}

/// Returns the latest self-signature of a user id, unless a later one revokes it.
fn certification<'a>(user: &'a SignedUser, primary: &packet::PublicKey) -> Option<&'a packet::Signature> {
    let own = |one: &&packet::Signature| one.verify_certification(primary, Tag::UserId, &user.id).is_ok();
    let is_revocation = |one: &&packet::Signature| one.typ() == Some(SignatureType::CertRevocation);
    let certifications = user
        .signatures
        .iter()
        .filter(|one| !is_revocation(one) && counts(one));
    let last = latest(certifications.filter(own))?;
    let revoked = user
        .signatures
        .iter()
        .filter(is_revocation)
        .filter(own)
        .any(|one| one.created() >= last.created());
    (!revoked).then_some(last)
}

fn counts(signature: &packet::Signature) -> bool {
    has_strong_hash(signature) && signature.created().is_some() && !has_expired(signature)
}

fn latest<'a>(signatures: impl Iterator<Item = &'a packet::Signature>) -> Option<&'a packet::Signature> {
    signatures.max_by_key(|one| one.created().map(Timestamp::as_secs))
}

/// Returns what the key is for, or `None` if the self-signature does not say: only keys with obsolete algorithms lack
/// it.
fn flags(self_signature: &packet::Signature) -> Option<KeyFlags> {
    let mut subpackets = self_signature.config()?.hashed_subpackets();
    subpackets.find_map(|one| match &one.data {
        packet::SubpacketData::KeyFlags(flags) => Some(flags.clone()),
        _ => None,
    })
}

fn is_weak(params: &PublicParams) -> bool {
    match params {
        // The modulus comes first, and begins with its length in bits.
        PublicParams::RSA(rsa) => match rsa.to_bytes().as_deref() {
            Ok([high, low, ..]) => usize::from(u16::from_be_bytes([*high, *low])) < RSA_BITS,
            _ => true,
        },
        PublicParams::ECDSA(_)
        | PublicParams::EdDSALegacy(_)
        | PublicParams::Ed25519(_)
        | PublicParams::Ed448(_) => false,
        _ => true,
    }
}

impl Component<'_> {
    pub fn details(&self) -> &dyn KeyDetails {
        match self.subkey {
            Some(subkey) => &subkey.key,
            None => &self.certificate.primary_key,
        }
    }
}
