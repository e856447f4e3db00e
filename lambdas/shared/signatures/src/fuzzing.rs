//! For fuzz targets: what is private otherwise.

use git2::ObjectType;

use crate::object::Signed;

/// What the signature of a commit or tag is of.
#[must_use]
pub fn payload(kind: ObjectType, raw: &[u8]) -> Option<Vec<u8>> {
    let signed = match kind {
        ObjectType::Commit => Signed::commit(raw),
        _ => Signed::tag(raw),
    };
    Some(signed.ok()?.payload)
}
