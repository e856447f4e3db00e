//! Destinations that are not what the trail says.

use std::collections::HashMap;

use aws::destination::{DestinationStore, S3Destination};
use aws::staging::StorageError;
use domain::destination::Destination;
use domain::order::DeliveredPush;
use serde::{Deserialize, Serialize};

/// The buckets of zips.
pub trait Destinations: Send + Sync {
    /// Returns the user metadata of the object at a destination, or `None` if there is no object.
    fn metadata(
        &self,
        destination: &Destination,
    ) -> impl Future<Output = Result<Option<HashMap<String, String>>, StorageError>> + Send;
}

impl Destinations for S3Destination {
    async fn metadata(
        &self,
        destination: &Destination,
    ) -> Result<Option<HashMap<String, String>>, StorageError> {
        Ok(self.head(destination).await?.map(|object| object.metadata))
    }
}

/// How a destination differs from what the trail says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Difference {
    /// There is no object.
    Missing,
    /// The object is not a delivered zip.
    Foreign,
    /// The object is the zip of an earlier push, or of one that the trail does not have.
    OtherZip,
}

/// Compares the metadata of the object at a destination with the last push that was delivered there.
///
/// An object of a later push is no difference: its writer is about to record it, or died before it could. So is another
/// push with the same zip, because a duplicate is recorded and not written.
#[must_use]
pub fn compare(last: &DeliveredPush, metadata: Option<&HashMap<String, String>>) -> Option<Difference> {
    let Some(metadata) = metadata else {
        return Some(Difference::Missing);
    };
    let text = |name: &str| metadata.get(name).map(String::as_str);
    let sequence = text("sequence").and_then(|text| text.parse::<u64>().ok());
    let (Some(sequence), Some(sha256), Some(_)) = (sequence, text("sha256"), text("push-id")) else {
        return Some(Difference::Foreign);
    };
    (sha256 != last.sha256 && sequence < last.sequence).then_some(Difference::OtherZip)
}
