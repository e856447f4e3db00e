//! Splits a commit or tag into its signature and the payload that is signed.

use crate::NotVerified;

/// A signed object.
#[derive(Debug)]
pub struct Signed {
    /// The signed bytes, which are the object without the signature.
    pub payload: Vec<u8>,
    /// The armoured block, with `\n` at the end of each line.
    pub block: String,
    /// The committer's or tagger's time, in seconds since 1970.
    pub time: Option<i64>,
}

/// The kind of a signature.
#[derive(Debug, PartialEq, Eq)]
pub enum Kind {
    Ssh,
    OpenPgp,
}

const SSH: &str = "SSH SIGNATURE";
const OPENPGP: &str = "PGP SIGNATURE";
/// The names of the blocks that git takes for a signature. OpenPGP has two, and the last one is of X.509.
const BLOCKS: [&str; 4] = [SSH, OPENPGP, "PGP MESSAGE", "SIGNED MESSAGE"];
/// The longest block, in bytes.
const MAX_BLOCK_BYTES: usize = 64 << 10;

/// An object's header, split into its signatures and the other lines.
struct Head<'a> {
    rest: Vec<u8>,
    signatures: Vec<Vec<u8>>,
    /// The rest of the object, from the empty line on.
    message: &'a [u8],
}

impl Signed {
    /// Splits a commit, whose signature is in its header.
    pub fn commit(raw: &[u8]) -> Result<Self, NotVerified> {
        let head = Head::read(raw);
        let time = head.time(b"committer ");
        let block = match head.signatures.as_slice() {
            [] => return Err(NotVerified::NotSigned),
            [one] => text(one)?,
            _ => return Err(invalid("there is more than one")),
        };
        let payload = [&head.rest, head.message].concat();
        Ok(Self { payload, block, time })
    }

    /// Splits an annotated tag, whose signature is at the end of its message.
    pub fn tag(raw: &[u8]) -> Result<Self, NotVerified> {
        let head = Head::read(raw);
        let time = head.time(b"tagger ");
        let mut position = 0;
        for line in head.message.split_inclusive(|&byte| byte == b'\n') {
            if BLOCKS.iter().any(|name| line.starts_with(begin(name).as_bytes())) {
                let (message, block) = head.message.split_at(position);
                let payload = [&head.rest, message].concat();
                let block = text(block)?;
                return Ok(Self { payload, block, time });
            }
            position += line.len();
        }
        Err(NotVerified::NotSigned)
    }

    /// Returns the kind of the signature.
    ///
    /// # Errors
    /// Returns [`NotVerified`] if the signature is not exactly one whole block of a supported kind.
    pub fn kind(&self) -> Result<Kind, NotVerified> {
        let is_whole = |name| {
            let begins = self.block.lines().filter(|line| line.starts_with("-----BEGIN "));
            let ends = self.block.lines().filter(|line| line.starts_with("-----END "));
            (begins.count(), ends.count()) == (1, 1)
                && self
                    .block
                    .trim_end()
                    .ends_with(&format!("\n-----END {name}-----"))
        };
        let named = |name| self.block.starts_with(&begin(name));
        match BLOCKS.into_iter().find(|name| named(name)) {
            None => Err(invalid("its kind is unknown")),
            Some("SIGNED MESSAGE") => Err(NotVerified::X509),
            Some("PGP MESSAGE") => Err(invalid("it is a message instead of a signature")),
            Some(name) if !is_whole(name) => Err(invalid("it is not one whole block")),
            Some(SSH) => Ok(Kind::Ssh),
            Some(_) => Ok(Kind::OpenPgp),
        }
    }
}

impl<'a> Head<'a> {
    /// Parses the header as git does: lines that begin with a space continue a field. `gpgsig-sha256` is the signature
    /// of the same object in SHA-256 repositories, and is not part of the payload either.
    fn read(raw: &'a [u8]) -> Self {
        let (mut rest, mut signatures) = (Vec::new(), Vec::<Vec<u8>>::new());
        let mut position = 0;
        let mut field: &[u8] = b"";
        for line in raw.split_inclusive(|&byte| byte == b'\n') {
            if line == b"\n" {
                break;
            }
            position += line.len();
            let continued = line.strip_prefix(b" ");
            if continued.is_none() {
                field = line.split(|&byte| byte == b' ').next().unwrap_or_default();
            }
            match (field, continued) {
                (b"gpgsig", Some(line)) => signatures.last_mut().into_iter().for_each(|one| one.extend(line)),
                (b"gpgsig", None) => signatures.push(line.get(7..).unwrap_or_default().to_vec()),
                (b"gpgsig-sha256", _) => {}
                _ => rest.extend(line),
            }
        }
        let message = raw.get(position..).unwrap_or_default();
        Self {
            rest,
            signatures,
            message,
        }
    }

    /// Returns the time in the line of the person that begins with `field`.
    fn time(&self, field: &[u8]) -> Option<i64> {
        let mut lines = self.rest.split(|&byte| byte == b'\n');
        let person = lines.find_map(|line| line.strip_prefix(field))?;
        let after = person.rsplit(|&byte| byte == b'>').next()?;
        std::str::from_utf8(after)
            .ok()?
            .split(' ')
            .find(|word| !word.is_empty())?
            .parse()
            .ok()
    }
}

fn begin(name: &str) -> String {
    format!("-----BEGIN {name}-----")
}

/// Converts the block to text. It is ASCII, except for comments that people write into it.
fn text(block: &[u8]) -> Result<String, NotVerified> {
    if block.len() > MAX_BLOCK_BYTES {
        return Err(invalid("it is too long"));
    }
    Ok(String::from_utf8_lossy(block).replace("\r\n", "\n"))
}

pub fn invalid(reason: &'static str) -> NotVerified {
    NotVerified::Invalid { reason }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BLOCK: &str = "-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n";
    const HEAD: &str = "tree 1\nauthor A <a@b> 5 +0000\ncommitter C <c> d> 7 -0100\n";

    fn header(name: &str, block: &str) -> String {
        format!("{name} {}\n", block.trim_end().replace('\n', "\n "))
    }

    #[test]
    fn a_commits_signature_is_removed_from_its_header() {
        let raw = format!("{HEAD}{}encoding x\n\ngpgsig text\n", header("gpgsig", BLOCK));
        let signed = Signed::commit(raw.as_bytes()).unwrap();
        assert_eq!(
            String::from_utf8(signed.payload.clone()).unwrap(),
            format!("{HEAD}encoding x\n\ngpgsig text\n")
        );
        assert_eq!((signed.block.as_str(), signed.time), (BLOCK, Some(7)));
        assert_eq!(signed.kind(), Ok(Kind::Ssh));
    }

    #[test]
    fn a_signature_for_another_object_format_is_in_no_payload() {
        let raw = format!(
            "{HEAD}{}{}\nm",
            header("gpgsig-sha256", BLOCK),
            header("gpgsig", BLOCK)
        );
        let signed = Signed::commit(raw.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(signed.payload).unwrap(), format!("{HEAD}\nm"));
        let raw = format!("{HEAD}{}\nm", header("gpgsig-sha256", BLOCK));
        assert_eq!(
            Signed::commit(raw.as_bytes()).unwrap_err(),
            NotVerified::NotSigned
        );
    }

    #[test]
    fn a_field_that_only_looks_like_a_signature_stays_in_the_payload() {
        let raw = format!("{HEAD}{}gpgsigx y\n\nm", header("gpgsig", BLOCK));
        let signed = Signed::commit(raw.as_bytes()).unwrap();
        assert_eq!(
            String::from_utf8(signed.payload).unwrap(),
            format!("{HEAD}gpgsigx y\n\nm")
        );
    }

    #[test]
    fn a_tags_signature_is_the_end_of_its_message() {
        let raw = format!("object 1\ntagger T <t> 9 +0000\n\nmessage\n{BLOCK}");
        let signed = Signed::tag(raw.as_bytes()).unwrap();
        assert_eq!(signed.payload, b"object 1\ntagger T <t> 9 +0000\n\nmessage\n");
        assert_eq!((signed.block.as_str(), signed.time), (BLOCK, Some(9)));
        let raw = format!("object 1\n\nmessage {BLOCK}");
        assert_eq!(Signed::tag(raw.as_bytes()).unwrap_err(), NotVerified::NotSigned);
    }

    #[test]
    fn only_one_whole_block_is_a_signature() {
        let kind = |block: &str| {
            Signed {
                payload: vec![],
                block: block.to_owned(),
                time: None,
            }
            .kind()
        };
        let whole = Err(invalid("it is not one whole block"));
        assert_eq!(kind(&BLOCK.repeat(2)), whole);
        assert_eq!(kind(&BLOCK[..40]), whole);
        assert_eq!(kind(&format!("{BLOCK}text\n")), whole);
        assert_eq!(kind(&BLOCK.replace("END SSH", "END PGP")), whole);
        assert_eq!(kind(&format!("{BLOCK}\n \n")), Ok(Kind::Ssh));
        assert_eq!(kind(&BLOCK.replace("SSH", "PGP")), Ok(Kind::OpenPgp));
        assert_eq!(
            kind(&BLOCK.replace("SSH SIGNATURE", "SIGNED MESSAGE")),
            Err(NotVerified::X509)
        );
        assert!(matches!(
            kind(&format!(" {BLOCK}")),
            Err(NotVerified::Invalid { .. })
        ));
        let twice = format!("{HEAD}{0}{0}\nm", header("gpgsig", BLOCK));
        assert_eq!(
            Signed::commit(twice.as_bytes()).unwrap_err(),
            invalid("there is more than one")
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(raw in prop::collection::vec(prop::sample::select(b"gpgsi \n-<>1".as_slice()), 0..200)) {
            if let Ok(signed) = Signed::commit(&raw) {
                prop_assert!(signed.payload.len() < raw.len());
            }
            let _ = Signed::tag(&raw);
        }
    }
}
