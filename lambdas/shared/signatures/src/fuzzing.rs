//! Opens private functions to the fuzz targets.

use git2::ObjectType;

use crate::object::Signed;

/// Returns the payload that the signature of a commit or tag signs.
#[must_use]
pub fn payload(kind: ObjectType, raw: &[u8]) -> Option<Vec<u8>> {
    let signed = match kind {
        ObjectType::Commit => Signed::commit(raw),
        _ => Signed::tag(raw),
    };
    Some(signed.ok()?.payload)
}
