//! The keys of SSH hosts, which are pinned once somebody has said that they are right.

use std::time::Duration;

use aws::failure::Failed;
use domain::remote_url::Origin;
use domain::source::GitHost;
use remote::{HostKey, TransferProgram};

use crate::Error;

/// How long a host may take to present its key.
const TIMEOUT: Duration = Duration::from_secs(20);

/// By what the key of a host is trusted. It is never trusted by itself.
pub enum Trust<'a> {
    /// By the lines of a `known_hosts` file.
    KnownHosts(&'a str),
    /// By one of these fingerprints, as OpenSSH prints them.
    Fingerprints(&'a [String]),
    /// By what a person says, who is shown the key.
    Person(&'a dyn Fn(&GitHost, &HostKey) -> Result<(), String>),
}

/// A host whose key is trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinnedHost {
    /// The host.
    pub host: GitHost,
    /// Its lines of `known_hosts`.
    pub known_hosts: String,
}

/// Asks each SSH host for its key, and pins it if it is trusted.
///
/// # Errors
/// Returns an error if a host does not present its key, or if it is not trusted.
pub async fn pin(
    hosts: &[GitHost],
    program: &TransferProgram,
    trust: &Trust<'_>,
) -> Result<Vec<PinnedHost>, Error> {
    let mut pinned: Vec<PinnedHost> = Vec::new();
    for host in hosts.iter().filter(|host| host.origin().scheme() == "ssh") {
        if pinned.iter().any(|pinned| pinned.host.origin() == host.origin()) {
            continue;
        }
        let key = presented(host, program).await?;
        let refused = |reason| Error::HostKey {
            host: host.to_string(),
            reason,
        };
        pinned.push(PinnedHost {
            host: host.clone(),
            known_hosts: trust.lines(host, &key).map_err(refused)?,
        });
    }
    Ok(pinned)
}

/// Returns the key that a host presents.
pub async fn presented(host: &GitHost, program: &TransferProgram) -> Result<HostKey, Failed> {
    let url = host.url().with_path("/");
    let key = program.host_key(&url, TIMEOUT).await;
    key.map_err(|error| Failed::new(&error))
}

impl Trust<'_> {
    /// Returns the lines of `known_hosts` that pin a key, or why it is not trusted.
    fn lines(&self, host: &GitHost, key: &HostKey) -> Result<String, String> {
        match self {
            Self::KnownHosts(lines) => key.check(lines).map(|()| (*lines).to_owned()),
            Self::Fingerprints(fingerprints) if fingerprints.contains(&key.fingerprint()) => Ok(key.line()),
            Self::Fingerprints(fingerprints) => Err(format!(
                "it has presented {} {}, which is not {}",
                key.algorithm(),
                key.fingerprint(),
                fingerprints.join(" or "),
            )),
            Self::Person(agrees) => agrees(host, key).map(|()| key.line()),
        }
    }
}

/// Returns whether two hosts have the same logins.
pub fn is_at(origin: &Origin, host: &url::Url) -> bool {
    Origin::of(host).as_ref() == Some(origin)
}
