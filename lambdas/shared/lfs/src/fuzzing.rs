//! For fuzz targets: what is private otherwise.

use tree::LfsOid;
use url::Url;

use crate::batch;
use crate::error::Error;

/// Reads the answer of the LFS server at `url` to the question for `objects`: what is where.
///
/// # Errors
/// [`Error`].
pub fn batch(url: &Url, body: &[u8], objects: &[(LfsOid, u64)]) -> Result<Vec<(LfsOid, Url)>, Error> {
    let downloads = batch::read(url, body, objects)?;
    Ok(downloads.into_iter().map(|one| (one.oid, one.href)).collect())
}
