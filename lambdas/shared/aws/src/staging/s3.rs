//! The staging bucket. Objects are uploaded while they are made, in concurrent parts, each with the SDK's checksum.

use std::ops::Range;
use std::path::Path;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart, Delete, ObjectIdentifier,
};
use domain::contract::StagedObject;
use domain::destination::ObjectKey;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::{Piece, SizeAndDigest, Staging, StorageError, hex};
use crate::AwsFailure;
use reporter::{ProgressReporter, mebibytes};

/// How many bytes of an object one request reads.
const RANGE_BYTES: usize = 8 << 20;
/// How many such requests are made at once. Memory holds what they have read until it is its turn to be written.
const CONCURRENT_RANGES: usize = 4;
/// How many parts are uploaded at once. Memory holds this many pieces, and the one that is being made.
const CONCURRENT_PARTS: usize = 4;

/// The staging bucket.
#[derive(Debug, Clone)]
pub struct S3Staging {
    client: Client,
    bucket: String,
}

impl S3Staging {
    /// Creates a client of the staging area in `bucket`.
    #[must_use]
    pub fn new(config: &aws_config::SdkConfig, bucket: String) -> Self {
        Self {
            client: Client::new(config),
            bucket,
        }
    }

    fn failed(&self, key: &ObjectKey, source: AwsFailure) -> StorageError {
        StorageError::aws(&self.bucket, key, source)
    }

    /// Stores an object in one request. Returns its version.
    async fn put(&self, key: &ObjectKey, bytes: Vec<u8>) -> Result<Option<String>, StorageError> {
        let output = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(key.as_str())
            .body(bytes.into())
            .send()
            .await
            .map_err(|error| self.failed(key, AwsFailure::new("s3:PutObject", &error)))?;
        Ok(output.version_id)
    }

    /// Reads some bytes of an object.
    async fn get(&self, object: &StagedObject, range: Range<u64>) -> Result<Vec<u8>, StorageError> {
        let key = &object.key;
        let is_part = range != (0..object.size);
        let response = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(key.as_str())
            .set_version_id(object.version_id.clone())
            .set_range(is_part.then(|| format!("bytes={}-{}", range.start, range.end - 1)))
            .send()
            .await;
        let output = response.map_err(|error| match error.code() {
            Some("NoSuchKey" | "NoSuchVersion") => StorageError::Missing { key: key.to_string() },
            Some("InvalidRange") => StorageError::Changed {
                key: key.to_string(),
                reason: format!("fewer bytes than {}", object.size),
            },
            _ => self.failed(key, AwsFailure::new("s3:GetObject", &error)),
        })?;
        // A range is followed by the size of the whole. A server may ignore that a range is asked for, by RFC 9110,
        // section 14.2, and the local AWS does for a version: then it sends all.
        let is_all = output.content_range().is_none();
        let total = output.content_range().and_then(|range| range.rsplit_once('/'));
        let total = total.map_or(output.content_length(), |(_, total)| total.parse().ok());
        if let Some(total) = total.and_then(|total| u64::try_from(total).ok())
            && total != object.size
        {
            return Err(StorageError::Changed {
                key: key.to_string(),
                reason: format!("{total} bytes instead of {}", object.size),
            });
        }
        let body = output.body.collect().await;
        let body = body.map_err(|error| self.failed(key, AwsFailure::interrupted("s3:GetObject", &error)))?;
        let bytes = body.to_vec();
        if is_part && is_all {
            let part = bytes.get(range.start as usize..range.end as usize);
            return Ok(part.unwrap_or_default().to_vec());
        }
        Ok(bytes)
    }

    async fn put_parts(
        &self,
        key: &ObjectKey,
        upload_id: &str,
        first: Vec<u8>,
        pieces: &mut mpsc::Receiver<Piece>,
    ) -> Result<StagedObject, StorageError> {
        let mut parts = Vec::new();
        let mut under_way = JoinSet::new();
        let mut size = 0;
        let mut digest = Sha256::new();
        let mut next = Some(Piece::Bytes(first));
        let mut number = 0;
        let named = key.clone();
        let reporter = ProgressReporter::new(
            move |size| tracing::info!(key = %named, progress = mebibytes(size), "storing"),
        );
        loop {
            match next {
                Some(Piece::Bytes(bytes)) => {
                    size += bytes.len() as u64;
                    digest.update(&bytes);
                    reporter.report(|| size);
                    number += 1;
                    if under_way.len() == CONCURRENT_PARTS
                        && let Some(done) = under_way.join_next().await
                    {
                        parts.push(self.part_done(key, done)?);
                    }
                    let request = self
                        .client
                        .upload_part()
                        .bucket(&self.bucket)
                        .key(key.as_str())
                        .upload_id(upload_id)
                        .part_number(number)
                        .body(bytes.into());
                    under_way.spawn(async move {
                        let output = request
                            .send()
                            .await
                            .map_err(|error| AwsFailure::new("s3:UploadPart", &error))?;
                        Ok(CompletedPart::builder()
                            .part_number(number)
                            .set_e_tag(output.e_tag)
                            .set_checksum_crc32(output.checksum_crc32)
                            .set_checksum_crc64_nvme(output.checksum_crc64_nvme)
                            .build())
                    });
                }
                Some(Piece::End) => break,
                None => return Err(StorageError::Unfinished { key: key.to_string() }),
            }
            next = pieces.recv().await;
        }
        while let Some(done) = under_way.join_next().await {
            parts.push(self.part_done(key, done)?);
        }
        parts.sort_by_key(CompletedPart::part_number);
        let output = self
            .client
            .complete_multipart_upload()
            .bucket(&self.bucket)
            .key(key.as_str())
            .upload_id(upload_id)
            .multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(parts)).build())
            .send()
            .await
            .map_err(|error| self.failed(key, AwsFailure::new("s3:CompleteMultipartUpload", &error)))?;
        Ok(StagedObject {
            key: key.clone(),
            size,
            version_id: output.version_id,
            sha256: Some(hex(digest)),
        })
    }

    /// Deletes the objects of a page, which are never more than one request accepts.
    async fn delete(&self, prefix: &ObjectKey, page: ListObjectsV2Output) -> Result<(), StorageError> {
        let keys = page.contents.unwrap_or_default().into_iter();
        let objects: Vec<_> = keys
            .filter_map(|object| ObjectIdentifier::builder().set_key(object.key).build().ok())
            .collect();
        if objects.is_empty() {
            return Ok(());
        }
        let delete = Delete::builder().set_objects(Some(objects)).quiet(true).build();
        let deleted = self
            .client
            .delete_objects()
            .bucket(&self.bucket)
            .set_delete(delete.ok())
            .send()
            .await
            .map_err(|error| self.failed(prefix, AwsFailure::new("s3:DeleteObjects", &error)))?;
        // A response with the status 200 may name objects that were not deleted.
        match deleted.errors() {
            [] => Ok(()),
            [error, ..] => Err(self.failed(
                prefix,
                AwsFailure::of_item("s3:DeleteObjects", error.code(), error.message()),
            )),
        }
    }

    fn part_done(
        &self,
        key: &ObjectKey,
        done: Result<Result<CompletedPart, AwsFailure>, tokio::task::JoinError>,
    ) -> Result<CompletedPart, StorageError> {
        match done {
            Ok(part) => part.map_err(|failure| self.failed(key, failure)),
            Err(_) => Err(StorageError::Unfinished { key: key.to_string() }),
        }
    }
}

impl Staging for S3Staging {
    async fn store(
        &self,
        key: &ObjectKey,
        mut pieces: mpsc::Receiver<Piece>,
    ) -> Result<StagedObject, StorageError> {
        let unfinished = || StorageError::Unfinished { key: key.to_string() };
        let first = match pieces.recv().await.ok_or_else(unfinished)? {
            Piece::Bytes(bytes) => bytes,
            Piece::End => Vec::new(),
        };
        // An object of one piece needs one request instead of three.
        if first.len() < super::PIECE_BYTES {
            let size = first.len() as u64;
            if size > 0 && !matches!(pieces.recv().await, Some(Piece::End)) {
                return Err(unfinished());
            }
            let sha256 = hex(Sha256::new_with_prefix(&first));
            return Ok(StagedObject {
                key: key.clone(),
                size,
                version_id: self.put(key, first).await?,
                sha256: Some(sha256),
            });
        }
        let upload = self
            .client
            .create_multipart_upload()
            .bucket(&self.bucket)
            .key(key.as_str())
            // The SDK sends this checksum with each part. S3 refuses to complete an upload with parts whose checksums
            // were not announced.
            .checksum_algorithm(ChecksumAlgorithm::Crc32)
            .send()
            .await
            .map_err(|error| self.failed(key, AwsFailure::new("s3:CreateMultipartUpload", &error)))?;
        let upload_id = upload.upload_id.unwrap_or_default();
        match self.put_parts(key, &upload_id, first, &mut pieces).await {
            Ok(staged) => Ok(staged),
            Err(error) => {
                let aborted = self
                    .client
                    .abort_multipart_upload()
                    .bucket(&self.bucket)
                    .key(key.as_str())
                    .upload_id(upload_id)
                    .send()
                    .await;
                if let Err(error) = aborted {
                    // The bucket's lifecycle rule removes what is left.
                    let failure = AwsFailure::new("s3:AbortMultipartUpload", &error);
                    tracing::warn!(%key, %failure, "parts of an unfinished object are left");
                }
                Err(error)
            }
        }
    }

    async fn load(&self, object: &StagedObject, path: &Path) -> Result<(), StorageError> {
        let workspace = |source| StorageError::Workspace {
            path: path.display().to_string(),
            source,
        };
        let mut file = tokio::fs::File::create(path).await.map_err(workspace)?;
        let mut loaded = SizeAndDigest::default();
        let named = object.key.clone();
        let reporter = ProgressReporter::new(
            move |bytes| tracing::info!(key = %named, progress = mebibytes(bytes), "loading"),
        );
        let starts = (0..object.size.max(1)).step_by(RANGE_BYTES);
        let mut ranges = stream::iter(starts)
            .map(|start| self.get(object, start..object.size.min(start + RANGE_BYTES as u64)))
            .buffered(CONCURRENT_RANGES);
        while let Some(bytes) = ranges.try_next().await? {
            loaded.update(&bytes);
            reporter.report(|| loaded.size());
            file.write_all(&bytes).await.map_err(workspace)?;
        }
        file.flush().await.map_err(workspace)?;
        loaded.check(object)
    }

    async fn remove(&self, key: &ObjectKey) -> Result<(), StorageError> {
        let delete = self.client.delete_object().bucket(&self.bucket);
        let deleted = delete.key(key.as_str()).send().await;
        deleted.map_err(|error| self.failed(key, AwsFailure::new("s3:DeleteObject", &error)))?;
        Ok(())
    }

    async fn remove_all(&self, prefix: &ObjectKey) -> Result<(), StorageError> {
        let mut pages = self
            .client
            .list_objects_v2()
            .bucket(&self.bucket)
            .prefix(prefix.as_str())
            .into_paginator()
            .send();
        while let Some(page) = pages.next().await {
            let page =
                page.map_err(|error| self.failed(prefix, AwsFailure::new("s3:ListObjectsV2", &error)))?;
            self.delete(prefix, page).await?;
        }
        Ok(())
    }
}
