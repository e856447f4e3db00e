//! The destination of zips, which are written conditionally by server-side copies, so that their bytes never pass
//! through a function.

use std::collections::HashMap;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use domain::contract::{Delivered, StagedObject, Version};
use domain::destination::Destination;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::AwsFailure;
use crate::staging::StorageError;

/// The largest part of a server-side copy, in bytes. (S3 allows 5 GiB, and 10,000 parts.) A small archive is one part,
/// so equal bytes have equal entity tags.
const COPY_PART_BYTES: u64 = 512 << 20;

/// S3's limit on the number of parts.
const MAX_PARTS: u64 = 10_000;

/// What is escaped in the key of a copy's source.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// The object at a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DestinationObject {
    /// Its entity tag.
    pub etag: String,
    /// Its version, or `None` if the bucket keeps no versions.
    pub version_id: Option<String>,
    /// Its user metadata, whose names lack the prefix `x-amz-meta-`.
    pub metadata: HashMap<String, String>,
}

/// A zip to copy to a destination.
#[derive(Debug, Clone, Copy)]
pub enum Zip<'a> {
    /// One in the staging bucket.
    Staged(&'a StagedObject),
    /// A version that was delivered before, with its size in bytes.
    Version(&'a Version, u64),
}

impl Zip<'_> {
    fn size(&self) -> u64 {
        match self {
            Self::Staged(staged) => staged.size,
            Self::Version(_, size) => *size,
        }
    }

    /// Returns the error that there is no such object.
    #[must_use]
    pub fn missing(&self) -> StorageError {
        match self {
            Self::Staged(staged) => StorageError::Missing {
                key: staged.key.to_string(),
            },
            Self::Version(version, _) => StorageError::NoVersion {
                bucket: version.bucket.clone(),
                key: version.key.to_string(),
                version_id: version.version_id.clone(),
            },
        }
    }
}

/// A copy whose bytes are in the destination's bucket, and which is invisible until it is completed.
#[derive(Debug)]
pub struct Prepared {
    /// The id of the multipart upload.
    pub upload_id: String,
    /// Its parts.
    pub parts: Vec<CompletedPart>,
}

/// The destination of zips.
pub trait DestinationStore: Send + Sync {
    /// Returns the object that is there now, or `None` if there is none.
    fn head(
        &self,
        destination: &Destination,
    ) -> impl Future<Output = Result<Option<DestinationObject>, StorageError>> + Send;

    /// Writes a small document beside the zips, and replaces an existing one.
    fn put(
        &self,
        destination: &Destination,
        media_type: &str,
        bytes: Vec<u8>,
    ) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// Copies a zip to the destination's bucket.
    fn prepare(
        &self,
        zip: Zip<'_>,
        destination: &Destination,
        metadata: &HashMap<String, String>,
    ) -> impl Future<Output = Result<Prepared, StorageError>> + Send;

    /// Completes a copy if the object that is there has the entity tag `expected`, or if there is none and `expected`
    /// is `None`. Returns `None` otherwise: read the destination again.
    fn complete_if_unchanged(
        &self,
        prepared: &Prepared,
        destination: &Destination,
        expected: Option<&str>,
    ) -> impl Future<Output = Result<Option<Delivered>, StorageError>> + Send;

    /// Removes the object if it still has the entity tag `expected`. In a bucket that keeps versions it is only hidden,
    /// by a delete marker. Returns `false` if it has changed: read the destination again.
    fn remove_if_unchanged(
        &self,
        destination: &Destination,
        expected: &str,
    ) -> impl Future<Output = Result<bool, StorageError>> + Send;

    /// Removes a copy that will not be completed.
    fn abort(&self, prepared: &Prepared, destination: &Destination) -> impl Future<Output = ()> + Send;
}

/// S3 as a destination.
#[derive(Debug, Clone)]
pub struct S3Destination {
    client: Client,
    staging_bucket: String,
}

impl S3Destination {
    /// Creates a client that copies from `staging_bucket`.
    #[must_use]
    pub fn new(config: &aws_config::SdkConfig, staging_bucket: String) -> Self {
        Self {
            client: Client::new(config),
            staging_bucket,
        }
    }

    /// Returns the source of a server-side copy, as the header `x-amz-copy-source` has it.
    fn copy_source(&self, zip: Zip<'_>) -> String {
        let (bucket, key, version_id) = match zip {
            Zip::Staged(staged) => (&self.staging_bucket, &staged.key, staged.version_id.as_ref()),
            Zip::Version(version, _) => (&version.bucket, &version.key, Some(&version.version_id)),
        };
        let key = utf8_percent_encode(key.as_str(), ESCAPED);
        // Versions consist of characters that need no escaping.
        let version = version_id.map_or_else(String::new, |id| format!("?versionId={id}"));
        format!("{bucket}/{key}{version}")
    }

    async fn copy_parts(
        &self,
        zip: Zip<'_>,
        destination: &Destination,
        upload_id: &str,
    ) -> Result<Vec<CompletedPart>, StorageError> {
        let size = zip.size();
        let part_bytes = COPY_PART_BYTES.max(size.div_ceil(MAX_PARTS));
        let copy_source = self.copy_source(zip);
        let mut parts = Vec::new();
        for (number, begin) in (1..).zip((0..size).step_by(usize::try_from(part_bytes).unwrap_or(usize::MAX)))
        {
            let end = (begin + part_bytes).min(size) - 1;
            let request = self
                .client
                .upload_part_copy()
                .bucket(&destination.bucket)
                .key(destination.key.as_str())
                .upload_id(upload_id)
                .part_number(number)
                .copy_source(&copy_source);
            // S3 refuses a range of an object that is smaller than the smallest part.
            let request = if size > part_bytes {
                request.copy_source_range(format!("bytes={begin}-{end}"))
            } else {
                request
            };
            let output = request.send().await.map_err(|error| {
                let failure = AwsFailure::new("s3:UploadPartCopy", &error);
                if failure.is("NoSuchKey") || failure.is("NoSuchVersion") {
                    return zip.missing();
                }
                StorageError::aws(&destination.bucket, &destination.key, failure)
            })?;
            parts.push(
                CompletedPart::builder()
                    .part_number(number)
                    .set_e_tag(output.copy_part_result.and_then(|result| result.e_tag))
                    .build(),
            );
        }
        Ok(parts)
    }

    async fn abort_upload(&self, destination: &Destination, upload_id: &str) {
        let aborted = self
            .client
            .abort_multipart_upload()
            .bucket(&destination.bucket)
            .key(destination.key.as_str())
            .upload_id(upload_id)
            .send()
            .await;
        if let Err(error) = aborted {
            let failure = AwsFailure::new("s3:AbortMultipartUpload", &error);
            tracing::warn!(%failure, "parts of an unfinished copy are left in the destination bucket");
        }
    }
}

impl DestinationStore for S3Destination {
    async fn head(&self, destination: &Destination) -> Result<Option<DestinationObject>, StorageError> {
        let response = self
            .client
            .head_object()
            .bucket(&destination.bucket)
            .key(destination.key.as_str())
            .send()
            .await;
        match response {
            Ok(output) => Ok(Some(describe(output))),
            Err(SdkError::ServiceError(error)) if error.err().is_not_found() => Ok(None),
            Err(error) => Err(StorageError::aws(
                &destination.bucket,
                &destination.key,
                AwsFailure::new("s3:HeadObject", &error),
            )),
        }
    }

    async fn put(
        &self,
        destination: &Destination,
        media_type: &str,
        bytes: Vec<u8>,
    ) -> Result<(), StorageError> {
        let request = self
            .client
            .put_object()
            .bucket(&destination.bucket)
            .key(destination.key.as_str())
            .content_type(media_type)
            .body(bytes.into());
        request.send().await.map_err(|error| {
            let failure = AwsFailure::new("s3:PutObject", &error);
            StorageError::aws(&destination.bucket, &destination.key, failure)
        })?;
        Ok(())
    }

    async fn prepare(
        &self,
        zip: Zip<'_>,
        destination: &Destination,
        metadata: &HashMap<String, String>,
    ) -> Result<Prepared, StorageError> {
        let upload = self
            .client
            .create_multipart_upload()
            .bucket(&destination.bucket)
            .key(destination.key.as_str())
            .content_type("application/zip")
            .set_metadata(Some(metadata.clone()))
            .send()
            .await
            .map_err(|error| {
                let failure = AwsFailure::new("s3:CreateMultipartUpload", &error);
                StorageError::aws(&destination.bucket, &destination.key, failure)
            })?;
        let upload_id = upload.upload_id.unwrap_or_default();
        match self.copy_parts(zip, destination, &upload_id).await {
            Ok(parts) => Ok(Prepared { upload_id, parts }),
            Err(error) => {
                self.abort_upload(destination, &upload_id).await;
                Err(error)
            }
        }
    }

    async fn complete_if_unchanged(
        &self,
        prepared: &Prepared,
        destination: &Destination,
        expected: Option<&str>,
    ) -> Result<Option<Delivered>, StorageError> {
        let parts = CompletedMultipartUpload::builder().set_parts(Some(prepared.parts.clone()));
        let request = self
            .client
            .complete_multipart_upload()
            .bucket(&destination.bucket)
            .key(destination.key.as_str())
            .upload_id(&prepared.upload_id)
            .multipart_upload(parts.build());
        let request = match expected {
            None => request.if_none_match("*"),
            Some(etag) => request.if_match(etag),
        };
        match request.send().await {
            Ok(output) => Ok(Some(Delivered {
                bucket: destination.bucket.clone(),
                key: destination.key.clone(),
                version_id: output.version_id,
                etag: output.e_tag.unwrap_or_default(),
                provenance: None,
            })),
            Err(error) => {
                let failure = AwsFailure::new("s3:CompleteMultipartUpload", &error);
                // 409: a conflicting write is in progress. 404: the object to be replaced was deleted meanwhile.
                if matches!(failure.status, Some(404 | 409 | 412)) {
                    return Ok(None);
                }
                Err(StorageError::aws(&destination.bucket, &destination.key, failure))
            }
        }
    }

    async fn remove_if_unchanged(
        &self,
        destination: &Destination,
        expected: &str,
    ) -> Result<bool, StorageError> {
        let request = self
            .client
            .delete_object()
            .bucket(&destination.bucket)
            .key(destination.key.as_str())
            .if_match(expected);
        match request.send().await {
            Ok(_) => Ok(true),
            Err(error) => {
                let failure = AwsFailure::new("s3:DeleteObject", &error);
                if matches!(failure.status, Some(404 | 409 | 412)) {
                    return Ok(false);
                }
                Err(StorageError::aws(&destination.bucket, &destination.key, failure))
            }
        }
    }

    async fn abort(&self, prepared: &Prepared, destination: &Destination) {
        self.abort_upload(destination, &prepared.upload_id).await;
    }
}

fn describe(output: HeadObjectOutput) -> DestinationObject {
    DestinationObject {
        etag: output.e_tag.unwrap_or_default(),
        version_id: output.version_id,
        metadata: output.metadata.unwrap_or_default(),
    }
}
