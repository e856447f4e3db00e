//! What is asked of a git host.

use std::time::Instant;

use domain::git::{ObjectId, RefName};
use domain::source::Limits;
use openssl::x509::X509;
use platform::progress::Teller;
use url::Url;

use crate::credentials::Access;
use crate::error::Error;
use crate::progress::Progress;
use crate::signature::Signers;

/// What is asked of a git host.
pub struct Wanted {
    pub url: Url,
    /// A commit or an annotated tag.
    pub object: ObjectId,
    /// The ref that leads to it. `None` if it is not known.
    pub ref_name: Option<RefName>,
    /// Whether the host has to show the object on that ref.
    pub on_ref: bool,
    /// Whether with all that came before.
    pub history: bool,
    /// Who may sign, where the object has to be signed.
    pub signers: Option<Signers>,
}

/// What to fetch, and how.
pub struct Order {
    pub wanted: Wanted,
    pub access: Access,
    /// Trusted besides the public ones.
    pub authorities: Vec<X509>,
    /// What is left of the limit `pack_bytes`.
    pub pack_bytes: u64,
    pub limits: Limits,
    pub deadline: Instant,
    pub progress: Teller<Progress>,
}

impl Order {
    /// The URL, for messages.
    pub fn url(&self) -> String {
        self.wanted.url.to_string()
    }

    /// Fails if the time is over.
    pub fn check_time(&self) -> Result<(), Error> {
        if Instant::now() < self.deadline {
            return Ok(());
        }
        Err(self.too_slow())
    }

    pub fn too_slow(&self) -> Error {
        Error::Limit {
            url: self.url(),
            limit: "fetch_seconds",
            met: format!("the fetch takes more than {} s", self.limits.fetch_seconds),
        }
    }
}
