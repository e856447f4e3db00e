//! The list of OpenPGP keys, which are ASCII-armoured blocks.

use std::io::BufReader;

use pgp::armor::Dearmor;
use pgp::composed::{Deserializable, SignedPublicKey};
use pgp::errors::Error;
use pgp::packet::PacketParser;
use pgp::types::KeyDetails;

use crate::Invalid;

const BEGIN: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
const END: &str = "-----END PGP PUBLIC KEY BLOCK-----";

/// Parses the list. An error quotes none of its text.
pub fn parse(text: &str) -> Result<Vec<SignedPublicKey>, Invalid> {
    let mut keys: Vec<SignedPublicKey> = Vec::new();
    let mut block: Option<(usize, String)> = None;
    for (index, line) in text.lines().enumerate() {
        let (number, line) = (index + 1, line.trim());
        let invalid = |reason| Err(Invalid { line: number, reason });
        match (&mut block, line) {
            (None, "") => {}
            (None, BEGIN) => block = Some((number, format!("{BEGIN}\n"))),
            (None, line) if line.contains("PRIVATE KEY") => {
                return invalid("this is a private key: export the public one");
            }
            (None, line) if line.starts_with('#') => {}
            (None, _) => return invalid("this is not the beginning of a public key block"),
            (Some((begin, armour)), END) => {
                armour.push_str(END);
                armour.push('\n');
                let reason = "the block that begins here cannot be read";
                let read = parse_block(armour).ok_or(Invalid { line: *begin, reason })?;
                read.into_iter().for_each(|key| merge(&mut keys, key));
                block = None;
            }
            (Some(_), line) if line.starts_with("-----") => {
                return invalid("a block begins or ends within another");
            }
            (Some((_, armour)), line) => {
                armour.push_str(line);
                armour.push('\n');
            }
        }
    }
    match block {
        None => Ok(keys),
        Some((line, _)) => Err(Invalid {
            line,
            reason: "the block that begins here has no end",
        }),
    }
}

fn parse_block(armour: &str) -> Option<Vec<SignedPublicKey>> {
    // The parser below skips unknown packets, but also packets that were cut off, which are found here.
    let whole = PacketParser::new(BufReader::new(Dearmor::new(armour.as_bytes())))
        .all(|packet| !matches!(packet, Err(Error::PacketIncomplete { .. } | Error::IO { .. })));
    let (keys, _) = SignedPublicKey::from_string_many(armour).ok()?;
    let keys = keys.collect::<Result<Vec<_>, _>>().ok()?;
    (whole && !keys.is_empty()).then_some(keys)
}

/// Adds a key. If it is in the list already, the self-signatures of both are merged, above all revocations.
fn merge(keys: &mut Vec<SignedPublicKey>, new: SignedPublicKey) {
    let Some(old) = keys.iter_mut().find(|key| key.fingerprint() == new.fingerprint()) else {
        keys.push(new);
        return;
    };
    old.details
        .revocation_signatures
        .extend(new.details.revocation_signatures);
    old.details
        .direct_signatures
        .extend(new.details.direct_signatures);
    for user in new.details.users {
        match old
            .details
            .users
            .iter_mut()
            .find(|one| one.id.id() == user.id.id())
        {
            Some(one) => one.signatures.extend(user.signatures),
            None => old.details.users.push(user),
        }
    }
    for subkey in new.public_subkeys {
        let same = |one: &&mut pgp::composed::SignedPublicSubKey| one.fingerprint() == subkey.fingerprint();
        match old.public_subkeys.iter_mut().find(same) {
            Some(one) => one.signatures.extend(subkey.signatures),
            None => old.public_subkeys.push(subkey),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refusal(text: &str) -> (usize, &'static str) {
        let Invalid { line, reason } = parse(text).err().unwrap();
        (line, reason)
    }

    #[test]
    fn an_error_names_its_line() {
        let cases = [
            ("hunter2", 1, "not the beginning"),
            ("\n-----BEGIN PGP PRIVATE KEY BLOCK-----\n", 2, "private key"),
            (&format!("# note\n{BEGIN}\n\nAAAA\n"), 2, "no end"),
            (&format!("\n\n{BEGIN}\n\nAAAA\n{END}\n"), 3, "cannot be read"),
            (&format!("{BEGIN}\n\n{END}\n"), 1, "cannot be read"),
            (&format!("{BEGIN}\n\nAAAA\n{BEGIN}\n"), 4, "within another"),
        ];
        for (text, line, part) in cases {
            let (number, reason) = refusal(text);
            assert!(
                number == line && reason.contains(part),
                "{text}: {number}, {reason}"
            );
        }
        assert!(parse("\n # nobody\n").unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(body in "[A-Za-z0-9+/=\n -]{0,200}", before in "[#\n a]{0,3}") {
            let _ = parse(&format!("{before}{BEGIN}\n\n{body}\n{END}"));
            let _ = parse(&body);
        }
    }
}
