//! The destination: conditional writes by server-side copy, so that bytes never pass through a function.

use std::collections::HashMap;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use domain::contract::{Delivered, StagedObject};
use domain::destination::Destination;

use crate::aws::AwsFailure;
use crate::staging::StorageError;

/// The most that one part of a server-side copy may have, in bytes. (S3 allows 5 GiB, and 10,000 parts.) A small archive
/// is one part, so equal bytes have equal entity tags.
const COPY_PART_BYTES: u64 = 512 << 20;

/// S3's limit of the number of parts.
const MOST_PARTS: u64 = 10_000;

/// What is at a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Current {
    /// Its entity tag.
    pub etag: String,
    /// Its version; none where the bucket keeps no versions.
    pub version_id: Option<String>,
    /// Its user metadata, without the `x-amz-meta-` of the names.
    pub metadata: HashMap<String, String>,
}

/// What must be at a destination for a write to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// Nothing.
    Nothing,
    /// The object with this entity tag.
    Object(String),
}

/// The destination of zips.
pub trait Shelf: Send + Sync {
    /// What is there now; none where nothing is.
    fn current(
        &self,
        destination: &Destination,
    ) -> impl Future<Output = Result<Option<Current>, StorageError>> + Send;

    /// Puts a small document beside the zips, and replaces what is there.
    fn put(
        &self,
        destination: &Destination,
        media_type: &str,
        bytes: Vec<u8>,
    ) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// Copies a staged object to the destination where `expected` is there. None where something else is: look again.
    fn place(
        &self,
        staged: &StagedObject,
        destination: &Destination,
        metadata: &HashMap<String, String>,
        expected: &Expected,
    ) -> impl Future<Output = Result<Option<Delivered>, StorageError>> + Send;
}

/// S3 as a destination.
#[derive(Debug, Clone)]
pub struct S3Shelf {
    client: Client,
    staging_bucket: String,
}

impl S3Shelf {
    /// The destination of what is staged in `staging_bucket`.
    #[must_use]
    pub fn new(config: &aws_config::SdkConfig, staging_bucket: String) -> Self {
        Self {
            client: Client::new(config),
            staging_bucket,
        }
    }

    async fn copy_parts(
        &self,
        staged: &StagedObject,
        destination: &Destination,
        upload_id: &str,
    ) -> Result<Vec<CompletedPart>, StorageError> {
        let part_bytes = COPY_PART_BYTES.max(staged.size.div_ceil(MOST_PARTS));
        // Staging keys are made of characters that a URL takes as they are.
        let copy_source = format!("{}/{}", self.staging_bucket, staged.key);
        let mut parts = Vec::new();
        for (number, begin) in
            (1..).zip((0..staged.size).step_by(usize::try_from(part_bytes).unwrap_or(usize::MAX)))
        {
            let end = (begin + part_bytes).min(staged.size) - 1;
            let request = self
                .client
                .upload_part_copy()
                .bucket(&destination.bucket)
                .key(destination.key.as_str())
                .upload_id(upload_id)
                .part_number(number)
                .copy_source(&copy_source);
            // S3 refuses a range of an object that is below its smallest part.
            let request = if staged.size > part_bytes {
                request.copy_source_range(format!("bytes={begin}-{end}"))
            } else {
                request
            };
            let output = request.send().await.map_err(|error| {
                let failure = AwsFailure::new("s3:UploadPartCopy", &error);
                if failure.is("NoSuchKey") {
                    return StorageError::Missing {
                        key: staged.key.to_string(),
                    };
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

    async fn abort(&self, destination: &Destination, upload_id: &str) {
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

impl Shelf for S3Shelf {
    async fn current(&self, destination: &Destination) -> Result<Option<Current>, StorageError> {
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

    async fn place(
        &self,
        staged: &StagedObject,
        destination: &Destination,
        metadata: &HashMap<String, String>,
        expected: &Expected,
    ) -> Result<Option<Delivered>, StorageError> {
        let failed = |failure| StorageError::aws(&destination.bucket, &destination.key, failure);
        let upload = self
            .client
            .create_multipart_upload()
            .bucket(&destination.bucket)
            .key(destination.key.as_str())
            .content_type("application/zip")
            .set_metadata(Some(metadata.clone()))
            .send()
            .await
            .map_err(|error| failed(AwsFailure::new("s3:CreateMultipartUpload", &error)))?;
        let upload_id = upload.upload_id.unwrap_or_default();
        let parts = match self.copy_parts(staged, destination, &upload_id).await {
            Ok(parts) => parts,
            Err(error) => {
                self.abort(destination, &upload_id).await;
                return Err(error);
            }
        };
        let request = self
            .client
            .complete_multipart_upload()
            .bucket(&destination.bucket)
            .key(destination.key.as_str())
            .upload_id(&upload_id)
            .multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(parts)).build());
        let request = match expected {
            Expected::Nothing => request.if_none_match("*"),
            Expected::Object(etag) => request.if_match(etag),
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
                self.abort(destination, &upload_id).await;
                // 409: a conflicting write is under way. 404: what was to be replaced was deleted meanwhile.
                if matches!(failure.status, Some(404 | 409 | 412)) {
                    return Ok(None);
                }
                Err(failed(failure))
            }
        }
    }
}

fn describe(output: HeadObjectOutput) -> Current {
    Current {
        etag: output.e_tag.unwrap_or_default(),
        version_id: output.version_id,
        metadata: output.metadata.unwrap_or_default(),
    }
}
