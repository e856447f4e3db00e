//! The artifact bucket. An object is written once, at its digest, and never replaced.

use std::path::Path;

use aws::AwsFailure;
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use delivery::artifact::Digest;
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;

use crate::ArtifactError;

/// How often a write is tried while another write of the same object is under way.
const MAX_ATTEMPTS: u32 = 5;

/// An object, anywhere in S3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The bucket's name.
    pub bucket: String,
    /// The object's key.
    pub key: String,
    /// The object's version, or `None` for the latest.
    pub version_id: Option<String>,
}

impl std::fmt::Display for Location {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "s3://{}/{}", self.bucket, self.key)
    }
}

/// An object that was loaded into a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The SHA-256 of its bytes.
    pub sha256: Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// Objects at their digests, and the objects that they are made of.
pub trait ArtifactStore: Send + Sync {
    /// Returns whether there is an object with this digest.
    fn contains(&self, digest: &Digest) -> impl Future<Output = Result<bool, ArtifactError>> + Send;

    /// Stores the file `path`, whose digest is `digest`. If there is an object already, its bytes are compared, and it
    /// stays as it is.
    fn put(&self, digest: &Digest, path: &Path) -> impl Future<Output = Result<(), ArtifactError>> + Send;

    /// Loads any object of at most `max_bytes` into the file `path`.
    fn load(
        &self,
        from: &Location,
        max_bytes: u64,
        path: &Path,
    ) -> impl Future<Output = Result<Loaded, ArtifactError>> + Send;

    /// Returns the name of the artifact bucket.
    fn bucket(&self) -> &str;

    /// Returns the place of an object by its digest.
    fn location(&self, digest: &Digest) -> Location {
        Location {
            bucket: self.bucket().to_owned(),
            key: digest.key(),
            version_id: None,
        }
    }

    /// Loads the object with this digest, of at most `max_bytes`, into the file `path`.
    fn get(
        &self,
        digest: &Digest,
        max_bytes: u64,
        path: &Path,
    ) -> impl Future<Output = Result<Loaded, ArtifactError>> + Send {
        async move {
            let location = self.location(digest);
            let loaded = self.load(&location, max_bytes, path).await?;
            check(&location, digest, &loaded.sha256)?;
            Ok(loaded)
        }
    }
}

/// Checks that an object has the digest that it should have.
///
/// # Errors
/// Returns [`ArtifactError::Mismatch`] if it has another one.
pub fn check(location: &Location, expected: &Digest, found: &Digest) -> Result<(), ArtifactError> {
    if found == expected {
        return Ok(());
    }
    Err(ArtifactError::Mismatch {
        object: location.to_string(),
        expected: expected.to_string(),
        found: found.to_string(),
    })
}

/// Objects in S3.
#[derive(Debug, Clone)]
pub struct S3Artifacts {
    client: Client,
    bucket: String,
}

impl S3Artifacts {
    /// Creates a client of the artifact bucket `bucket`.
    #[must_use]
    pub fn new(config: &aws_config::SdkConfig, bucket: String) -> Self {
        Self {
            client: Client::new(config),
            bucket,
        }
    }

    /// Reads an object and returns its digest.
    async fn digest_of(&self, location: &Location) -> Result<Digest, ArtifactError> {
        let mut body = self.open(location).await?.body;
        let mut hash = Sha256::new();
        while let Some(chunk) = body.next().await {
            hash.update(&chunk.map_err(|error| interrupted(location, &error))?);
        }
        Ok(digest(hash))
    }

    async fn open(
        &self,
        from: &Location,
    ) -> Result<aws_sdk_s3::operation::get_object::GetObjectOutput, ArtifactError> {
        let request = self.client.get_object().bucket(&from.bucket).key(&from.key);
        let request = request.set_version_id(from.version_id.clone());
        request.send().await.map_err(|error| {
            let failure = AwsFailure::new("s3:GetObject", &error);
            if failure.is("NoSuchKey") || failure.is("NoSuchVersion") {
                return ArtifactError::Missing {
                    object: from.to_string(),
                };
            }
            failed(from, failure)
        })
    }
}

impl ArtifactStore for S3Artifacts {
    async fn contains(&self, digest: &Digest) -> Result<bool, ArtifactError> {
        let location = self.location(digest);
        let request = self.client.head_object();
        let request = request.bucket(&location.bucket).key(&location.key);
        match request.send().await {
            Ok(_) => Ok(true),
            Err(error) => {
                let failure = AwsFailure::new("s3:HeadObject", &error);
                match failure.status {
                    Some(404) => Ok(false),
                    _ => Err(failed(&location, failure)),
                }
            }
        }
    }

    async fn put(&self, digest: &Digest, path: &Path) -> Result<(), ArtifactError> {
        let location = self.location(digest);
        for attempt in 1.. {
            let body = ByteStream::from_path(path).await;
            let body = body.map_err(|error| ArtifactError::workspace(path)(std::io::Error::other(error)))?;
            let request = self.client.put_object().body(body).if_none_match("*");
            let request = request.bucket(&location.bucket).key(&location.key);
            let Err(error) = request.send().await else {
                return Ok(());
            };
            let failure = AwsFailure::new("s3:PutObject", &error);
            match failure.status {
                Some(412) => break,
                // Another write of the object is under way.
                Some(409) if attempt < MAX_ATTEMPTS => {
                    tokio::time::sleep(std::time::Duration::from_millis(200) * attempt).await;
                }
                Some(409) => return Err(failed(&location, failure.or_transient(true))),
                _ => return Err(failed(&location, failure)),
            }
        }
        check(&location, digest, &self.digest_of(&location).await?)
    }

    async fn load(&self, from: &Location, max_bytes: u64, path: &Path) -> Result<Loaded, ArtifactError> {
        let mut body = self.open(from).await?.body;
        let workspace = |source| ArtifactError::workspace(path)(source);
        let mut file = tokio::fs::File::create(path).await.map_err(workspace)?;
        let (mut hash, mut size) = (Sha256::new(), 0);
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|error| interrupted(from, &error))?;
            size += chunk.len() as u64;
            if size > max_bytes {
                return Err(ArtifactError::TooLarge {
                    object: from.to_string(),
                    max_bytes,
                });
            }
            hash.update(&chunk);
            file.write_all(&chunk).await.map_err(workspace)?;
        }
        file.flush().await.map_err(workspace)?;
        Ok(Loaded {
            sha256: digest(hash),
            size,
        })
    }

    fn bucket(&self) -> &str {
        &self.bucket
    }
}

fn failed(location: &Location, source: AwsFailure) -> ArtifactError {
    let object = location.to_string();
    if source.transient {
        ArtifactError::Unavailable { object, source }
    } else {
        ArtifactError::Refused { object, source }
    }
}

fn interrupted(location: &Location, error: &dyn std::error::Error) -> ArtifactError {
    failed(location, AwsFailure::interrupted("s3:GetObject", error))
}

fn digest(hash: Sha256) -> Digest {
    Digest::of_hash(hash.finalize().into())
}
