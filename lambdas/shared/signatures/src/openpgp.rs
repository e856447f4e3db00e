//! Signatures by OpenPGP keys (<https://www.rfc-editor.org/rfc/rfc9580>).

mod certificate;
mod keyring;

use pgp::armor::Dearmor;
use pgp::composed::SignedPublicKey;
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{self, Packet, PacketParser, SignatureType, SignatureVersion, SubpacketData};
use pgp::types::KeyDetails;

use crate::object::{Signed, invalid};
use crate::{NotVerified, Signature};
use certificate::Component;

pub use keyring::parse;

/// Verifies a signature by a key, or a subkey, of `keys`.
pub fn verify(keys: &[SignedPublicKey], signed: &Signed) -> Result<Signature, NotVerified> {
    let signature = read(&signed.block).ok_or_else(|| invalid("it is not an OpenPGP signature"))?;
    if !matches!(signature.version(), SignatureVersion::V4 | SignatureVersion::V6) {
        return Err(invalid("its OpenPGP version is not supported"));
    }
    if !matches!(signature.typ(), Some(SignatureType::Binary | SignatureType::Text)) {
        return Err(invalid("it is not a signature of a document"));
    }
    if !has_strong_hash(&signature) {
        return Err(invalid("its hash algorithm is too weak, or unknown"));
    }
    let made = signature
        .created()
        .ok_or_else(|| invalid("it does not say when it was made"))?;
    if has_expired(&signature) {
        return Err(invalid("it has expired"));
    }
    if has_critical_notation(&signature) {
        return Err(invalid("it has a critical notation, which is not supported"));
    }
    let mut candidates = keys
        .iter()
        .flat_map(Component::all)
        .filter(|key| is_issuer(&signature, key.details()))
        .peekable();
    if candidates.peek().is_none() {
        return Err(NotVerified::UnknownKey {
            key: issuer(&signature),
        });
    }
    // A key id is shorter than a fingerprint, so several keys may have the same one.
    match candidates.find(|key| key.made(&signature, &signed.payload)) {
        Some(key) => key.check(made.as_secs()),
        None => Err(invalid("it does not match what was pushed")),
    }
}

/// Parses the signature of a block, or returns `None` if the block is not exactly one signature.
fn read(block: &str) -> Option<packet::Signature> {
    let mut packets = PacketParser::new(std::io::BufReader::new(Dearmor::new(block.as_bytes())));
    match (packets.next(), packets.next()) {
        (Some(Ok(Packet::Signature(signature))), None) => Some(signature),
        _ => None,
    }
}

/// Returns whether the signature names this key, or names no key.
fn is_issuer(signature: &packet::Signature, key: &dyn KeyDetails) -> bool {
    let (fingerprints, ids) = (signature.issuer_fingerprint(), signature.issuer_key_id());
    if fingerprints.is_empty() && ids.is_empty() {
        return true;
    }
    fingerprints.contains(&&key.fingerprint()) || ids.contains(&&key.legacy_key_id())
}

fn issuer(signature: &packet::Signature) -> String {
    let (fingerprints, ids) = (signature.issuer_fingerprint(), signature.issuer_key_id());
    let fingerprint = fingerprints.first().map(|fingerprint| format!("{fingerprint:X}"));
    let id = ids.first().map(|id| id.to_string().to_uppercase());
    fingerprint
        .or(id)
        .unwrap_or_else(|| "that it does not name".to_owned())
}

/// Returns whether the hash algorithm of the signature has no known or feared collisions.
fn has_strong_hash(signature: &packet::Signature) -> bool {
    use HashAlgorithm::{Sha3_256, Sha3_512, Sha224, Sha256, Sha384, Sha512};
    signature
        .hash_alg()
        .is_some_and(|hash| matches!(hash, Sha224 | Sha256 | Sha384 | Sha512 | Sha3_256 | Sha3_512))
}

/// Returns whether the signature itself has expired.
fn has_expired(signature: &packet::Signature) -> bool {
    let lasts = signature
        .signature_expiration_time()
        .map_or(0, pgp::types::Duration::as_secs);
    let made = signature.created().map_or(0, pgp::types::Timestamp::as_secs);
    lasts != 0 && chrono::Utc::now().timestamp() >= i64::from(made) + i64::from(lasts)
}

/// Returns whether the signature has a critical notation: whoever does not understand it must refuse the signature.
fn has_critical_notation(signature: &packet::Signature) -> bool {
    let subpackets = signature
        .config()
        .into_iter()
        .flat_map(packet::SignatureConfig::hashed_subpackets);
    subpackets
        .into_iter()
        .any(|one| one.is_critical && matches!(one.data, SubpacketData::Notation(_)))
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_packets_are_read_or_refused(
            head in prop::sample::select(vec![[0x88, 40, 4], [0xc2, 40, 4], [0xc2, 60, 6], [0xc2, 19, 3], [0x98, 51, 4]]),
            kind in 0..3_u8,
            algorithms in (0..30_u8, 0..15_u8),
            body in prop::collection::vec(any::<u8>(), 0..120),
        ) {
            let bytes = [&head[..], &[kind, algorithms.0, algorithms.1], &body].concat();
            for name in ["SIGNATURE", "PUBLIC KEY BLOCK"] {
                let armour = STANDARD.encode(&bytes);
                let block = format!("-----BEGIN PGP {name}-----\n\n{armour}\n-----END PGP {name}-----\n");
                let _ = read(&block);
                let _ = parse(&block);
            }
        }
    }
}
