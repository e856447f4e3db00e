//! The requests for a fetch, and for the refs of a repository.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use credentials::Access;
use domain::git::{CommitId, ObjectId, RefName};
use domain::limits::TransferLimits;
use domain::paths::PathFilter;
use domain::remote_url::RemoteUrl;
use openssl::x509::X509;
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// Which repository to speak to, and how.
#[derive(Serialize, Deserialize)]
pub struct Connection {
    /// The URL of the repository.
    pub url: RemoteUrl,
    /// How to log in.
    pub access: Access,
    /// The authorities that are trusted besides the public ones.
    #[serde(with = "pem")]
    pub authorities: Vec<X509>,
    /// The limits of the transfer.
    pub limits: TransferLimits,
    /// When the transfer must have ended.
    #[serde(with = "from_now")]
    pub deadline: Instant,
    /// The folder for the transfer's files, which must not exist yet.
    pub folder: PathBuf,
}

/// What to fetch.
#[derive(Clone, Serialize, Deserialize)]
pub struct Target {
    /// The commit or annotated tag.
    pub object: ObjectId,
    /// The ref that leads to it, if it is known.
    pub ref_name: Option<RefName>,
    /// Whether the host must show the object on that ref.
    pub on_ref: bool,
    /// Whether to fetch the whole history too.
    pub history: bool,
    /// What to compare the commit with, if anything.
    pub comparison: Option<Comparison>,
    /// The earlier commit that is already here, if any. It is for a fetch without history.
    pub base: Option<Base>,
}

/// What a fetched commit is compared with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// The earlier commit.
    pub base: CommitId,
    /// The watched paths.
    pub paths: PathFilter,
}

/// A commit that is there with its whole tree, so that the host sends only the difference.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Base {
    /// The commit.
    pub commit: CommitId,
    /// The files of the packs that together hold it, each with an index beside it. They are removed if the base is not
    /// used.
    pub packs: Vec<PathBuf>,
}

/// What to fetch, and from where.
#[derive(Serialize, Deserialize)]
pub struct FetchRequest {
    /// The repository.
    pub connection: Connection,
    /// What to fetch.
    pub target: Target,
    /// The rest of the limit `pack_bytes`.
    pub pack_bytes: u64,
    /// How often progress is reported.
    pub interval: Duration,
}

/// A request for the refs of a repository.
#[derive(Serialize, Deserialize)]
pub struct ListRequest {
    /// The repository.
    pub connection: Connection,
    /// How many refs the host may list, peeled tags included.
    pub max_refs: usize,
}

impl ListRequest {
    /// Creates a request for the refs of the repository at `url`, which the host has to list within `time_limit`.
    /// `folder` must not exist yet.
    #[must_use]
    pub fn new(
        url: RemoteUrl,
        access: Access,
        authorities: Vec<X509>,
        time_limit: Duration,
        folder: PathBuf,
        max_refs: usize,
    ) -> Self {
        Self {
            connection: Connection::without_objects(url, access, authorities, time_limit, folder),
            max_refs,
        }
    }
}

impl Connection {
    /// Creates a connection by which no objects are fetched.
    pub(crate) fn without_objects(
        url: RemoteUrl,
        access: Access,
        authorities: Vec<X509>,
        time_limit: Duration,
        folder: PathBuf,
    ) -> Self {
        let seconds = time_limit.as_secs().max(1);
        Self {
            url,
            access,
            authorities,
            limits: TransferLimits {
                pack_bytes: 0,
                objects: 0,
                fetch_seconds: seconds,
                silence_seconds: seconds,
            },
            deadline: Instant::now() + time_limit,
            folder,
        }
    }

    /// Returns the URL for messages.
    pub(crate) fn url(&self) -> String {
        self.url.to_string()
    }

    /// Returns an error if the deadline has passed.
    pub(crate) fn check_time(&self) -> Result<(), Error> {
        if Instant::now() < self.deadline {
            return Ok(());
        }
        Err(self.too_slow())
    }

    pub(crate) fn too_slow(&self) -> Error {
        Error::Limit {
            url: self.url(),
            limit: "fetch_seconds",
            reason: format!("the fetch takes more than {} s", self.limits.fetch_seconds),
        }
    }
}

/// Serializes certificates as PEM text.
mod pem {
    use openssl::x509::X509;
    use serde::{Deserialize, Deserializer, Serializer, de, ser};

    pub fn serialize<S: Serializer>(certificates: &[X509], serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = Vec::new();
        for certificate in certificates {
            text.extend(certificate.to_pem().map_err(ser::Error::custom)?);
        }
        serializer.serialize_str(&String::from_utf8_lossy(&text))
    }

    pub fn deserialize<'a, D: Deserializer<'a>>(deserializer: D) -> Result<Vec<X509>, D::Error> {
        let text = String::deserialize(deserializer)?;
        X509::stack_from_pem(text.as_bytes()).map_err(de::Error::custom)
    }
}

/// Serializes an instant as the time until it, because an [`Instant`](std::time::Instant) has no meaning in another
/// process.
mod from_now {
    use std::time::{Duration, Instant};

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(instant: &Instant, serializer: S) -> Result<S::Ok, S::Error> {
        instant
            .saturating_duration_since(Instant::now())
            .serialize(serializer)
    }

    pub fn deserialize<'a, D: Deserializer<'a>>(deserializer: D) -> Result<Instant, D::Error> {
        Duration::deserialize(deserializer).map(|left| Instant::now() + left)
    }
}
