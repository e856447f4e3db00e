//! Builds packs that no git would write (<https://git-scm.com/docs/gitformat-pack>).

use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use git2::{ObjectType, Oid};

use crate::objects;

/// Returns a pack of these bytes, to which the checksum is added.
#[must_use]
pub fn raw(bytes: &[u8]) -> Vec<u8> {
    let checksum = openssl::sha::sha1(bytes);
    [bytes, &checksum].concat()
}

/// Returns a pack of entries, each of which is a digit, git's number of its type, and its bytes. The bytes of a delta
/// begin with the number of the entry that is its base, and an id in a tree begins with the number of the entry whose
/// id it is.
#[must_use]
pub fn made<'a>(entries: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut pack = Vec::new();
    let mut offsets: Vec<usize> = Vec::new();
    let mut objects: Vec<(ObjectType, Oid)> = Vec::new();
    for entry in entries {
        let Some((digit, data)) = entry.split_first() else {
            continue;
        };
        let number = digit.wrapping_sub(b'0');
        let kind = match number {
            1 => ObjectType::Commit,
            2 => ObjectType::Tree,
            4 => ObjectType::Tag,
            _ => ObjectType::Blob,
        };
        let offset = 12 + pack.len();
        match (number, data.split_first()) {
            (1..=4, _) => {
                let data = match kind {
                    ObjectType::Tree => objects::with_ids(data, &objects),
                    _ => data.to_owned(),
                };
                objects.push((kind, Oid::hash_object(kind, &data).unwrap_or(Oid::ZERO_SHA1)));
                head(&mut pack, number, data.len());
                deflate(&mut pack, &data);
            }
            (6, Some((base, delta))) => {
                let back = offsets.get(usize::from(*base)).map_or(0, |base| offset - base);
                head(&mut pack, number, delta.len());
                distance(&mut pack, back);
                deflate(&mut pack, delta);
            }
            (7, Some((base, delta))) => {
                let id = objects
                    .get(usize::from(*base))
                    .map_or(Oid::ZERO_SHA1, |(_, id)| *id);
                head(&mut pack, number, delta.len());
                pack.extend(id.as_bytes());
                deflate(&mut pack, delta);
            }
            _ => continue,
        }
        offsets.push(offset);
    }
    let count = offsets.len() as u32;
    raw(&[b"PACK\0\0\0\x02", &count.to_be_bytes()[..], &pack].concat())
}

/// Appends the type and the size of an entry.
fn head(pack: &mut Vec<u8>, number: u8, mut size: usize) {
    let mut byte = (number << 4) | (size as u8 & 0x0f);
    size >>= 4;
    while size > 0 {
        pack.push(byte | 0x80);
        byte = size as u8 & 0x7f;
        size >>= 7;
    }
    pack.push(byte);
}

/// Appends the distance to a delta's base.
fn distance(pack: &mut Vec<u8>, mut back: usize) {
    let mut bytes = vec![back as u8 & 0x7f];
    back >>= 7;
    while back > 0 {
        back -= 1;
        bytes.push(0x80 | (back as u8 & 0x7f));
        back >>= 7;
    }
    bytes.reverse();
    pack.extend(bytes);
}

fn deflate(pack: &mut Vec<u8>, data: &[u8]) {
    let mut encoder = ZlibEncoder::new(pack, Compression::fast());
    let _ = encoder.write_all(data).and_then(|()| encoder.try_finish());
}
