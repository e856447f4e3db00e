//! What is asked of a git host.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use credentials::Access;
use domain::git::{ObjectId, RefName};
use domain::source::Limits;
use openssl::x509::X509;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::error::Error;

/// What is asked of a git host.
#[derive(Serialize, Deserialize)]
pub struct Target {
    /// Where the repository is.
    pub url: Url,
    /// A commit or an annotated tag.
    pub object: ObjectId,
    /// The ref that leads to it. `None` if it is not known.
    pub ref_name: Option<RefName>,
    /// Whether the host has to show the object on that ref.
    pub on_ref: bool,
    /// Whether with all that came before.
    pub history: bool,
}

/// What to fetch, and how.
#[derive(Serialize, Deserialize)]
pub struct FetchRequest {
    /// What to fetch.
    pub target: Target,
    /// How to log in.
    pub access: Access,
    /// Trusted besides the public ones.
    #[serde(with = "pem")]
    pub authorities: Vec<X509>,
    /// What is left of the limit `pack_bytes`.
    pub pack_bytes: u64,
    /// `pack_bytes`, `objects`, `silence_seconds` and `fetch_seconds` hold.
    pub limits: Limits,
    /// When all has to have come.
    #[serde(with = "from_now")]
    pub deadline: Instant,
    /// Where it goes: there is no such folder yet.
    pub folder: PathBuf,
    /// How often progress is told.
    pub interval: Duration,
}

impl FetchRequest {
    /// The URL, for messages.
    pub(crate) fn url(&self) -> String {
        self.target.url.to_string()
    }

    /// Fails if the deadline has passed.
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
            met: format!("the fetch takes more than {} s", self.limits.fetch_seconds),
        }
    }
}

/// Certificates as PEM text.
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

/// An instant as the time until it comes: processes have no clock in common that could be written down.
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
