//! The key that an SSH host presents, which somebody has to compare before it is pinned.

use std::cell::RefCell;

use domain::remote_url::RemoteUrl;
use git2::{Direction, ErrorClass, ErrorCode, Remote, RemoteCallbacks};
use ssh_key::{HashAlg, PublicKey};

use crate::error::Error;
use crate::known_hosts::{self, SSH_PORT, Verdict};
use crate::request::Connection;
use crate::transfer;

/// The key that a host has presented to a client like that of a fetch. Nothing is known yet of whether it is the
/// host's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostKey {
    host: String,
    port: u16,
    key: PublicKey,
}

impl HostKey {
    /// Reads what a transfer process has said of the host at `url`.
    pub(crate) fn of(url: &RemoteUrl, key: &str) -> ssh_key::Result<Self> {
        Ok(Self {
            host: url.host().to_owned(),
            port: url.port().unwrap_or(SSH_PORT),
            key: PublicKey::from_openssh(key)?,
        })
    }

    /// Returns the key as a line of `known_hosts`, which pins it.
    #[must_use]
    pub fn line(&self) -> String {
        let name = known_hosts::name(&self.host, self.port);
        // A key without a comment can always be written.
        format!("{name} {}\n", self.key.to_openssh().unwrap_or_default())
    }

    /// Returns the key's algorithm, such as `ssh-ed25519`.
    #[must_use]
    pub fn algorithm(&self) -> String {
        self.key.algorithm().to_string()
    }

    /// Returns the key's fingerprint as OpenSSH prints it: `SHA256:` and Base64.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.key.fingerprint(HashAlg::Sha256).to_string()
    }

    /// Checks that the key is pinned in `known_hosts`.
    ///
    /// # Errors
    /// Returns why it is not, with the fingerprints of this key and the pinned ones.
    pub fn check(&self, known_hosts: &str) -> Result<(), String> {
        let bytes = self.key.to_bytes().unwrap_or_default();
        match known_hosts::check(known_hosts, &self.host, self.port, &bytes) {
            Verdict::Pinned => Ok(()),
            Verdict::Refused(reason) => Err(reason),
        }
    }
}

/// Connects as a fetch does until the host presents its key, and returns that in OpenSSH's form. Neither a login nor
/// the name of a repository is sent.
pub fn presented(connection: &Connection) -> Result<String, Error> {
    transfer::prepare(connection)?;
    connection.check_time()?;
    let presented = RefCell::new(None);
    let stop = || git2::Error::new(ErrorCode::User, ErrorClass::Ssh, "nothing more is asked");
    let mut callbacks = RemoteCallbacks::new();
    callbacks.credentials(|_, _, _| Err(stop()));
    callbacks.certificate_check(|certificate, _| {
        let key = certificate.as_hostkey().and_then(|key| key.hostkey());
        *presented.borrow_mut() = key.map(<[u8]>::to_vec);
        Err(stop())
    });
    let url = || connection.url();
    let unreachable = |source| Error::Unreachable { url: url(), source };
    let mut remote = Remote::create_detached(connection.url.as_str()).map_err(unreachable)?;
    let connected = remote
        .connect_auth(Direction::Fetch, Some(callbacks), None)
        .map(drop);
    let unreadable = |reason| Error::HostKey { url: url(), reason };
    match (presented.take(), connected) {
        (Some(bytes), _) => {
            let key = known_hosts::read(&bytes).map_err(unreadable)?;
            key.to_openssh().map_err(|error| unreadable(error.to_string()))
        }
        (None, Err(source)) => Err(unreachable(source)),
        (None, Ok(())) => Err(unreadable("the host has presented none".to_owned())),
    }
}
