//! Opens private functions to the fuzz targets.

use tree::LfsOid;
use url::Url;

use crate::batch;
use crate::error::Error;

/// Parses the response of the LFS server at `url` to a request for `objects`. Returns the URL of each.
///
/// # Errors
/// Returns an [`Error`] if the response cannot be used.
pub fn batch(url: &Url, body: &[u8], objects: &[(LfsOid, u64)]) -> Result<Vec<(LfsOid, Url)>, Error> {
    let downloads = batch::read(url, body, objects)?;
    Ok(downloads.into_iter().map(|one| (one.oid, one.href)).collect())
}
