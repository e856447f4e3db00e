//! Fetches by libgit2 into a bare repository.

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::time::{Duration, Instant};

use credentials::{Access, AccessError};
use domain::git::{ObjectId, RefName};
use domain::remote_url::Origin;
use git2::{
    AutotagOption, CertificateCheckStatus, Cred, CredentialType, ErrorClass, ErrorCode, FetchOptions, Remote,
    RemoteCallbacks, RemoteHead, RemoteRedirect, Repository, RepositoryInitOptions,
};
use reporter::ProgressReporter;
use secrecy::ExposeSecret;
use url::Url;

use crate::base;
use crate::certificates;
use crate::error::Error;
use crate::known_hosts::{self, Verdict};
use crate::meaning::{self, Meaning};
use crate::progress::Progress;
use crate::request::{Base, Connection};
use crate::side_band::SideBand;

/// The user if an SSH URL names none.
const SSH_USER: &str = "git";

/// The most deltas that a host may send with a base. With deltas of objects of the base, libgit2 takes quadratic time.
const MAX_DELTAS: usize = 2_000;

/// Why an attempt failed.
pub enum FetchError {
    /// The host refuses what was requested, but may allow another request.
    Refused(git2::Error),
    /// Any other request would fail too.
    Other(Error),
}

/// A new repository, which has one pack for each fetch into it.
pub struct Attempt<'a> {
    connection: &'a Connection,
    /// The most bytes that the host may send.
    pack_bytes: u64,
    progress: &'a ProgressReporter<Progress>,
    repository: Repository,
    has_base: bool,
    /// The bytes that the host has sent in earlier fetches.
    received: Cell<u64>,
    /// Why a callback has stopped the transfer, if it has.
    stopped: RefCell<Option<Error>>,
    /// Why the authorities of the git secret do not trust the host's certificate, if they do not.
    untrusted: RefCell<Option<String>>,
    credentials_asked: Cell<bool>,
    /// When the host last sent anything that libgit2 reports.
    heard: Cell<Instant>,
    side_band: RefCell<SideBand>,
}

/// What the host has said of its refs.
pub struct Heads<'a>(Remote<'a>);

impl Heads<'_> {
    /// Returns all refs with what they point to. A tag's own object is followed by the one that it is of, whose name is
    /// no ref's: it ends with `^{}`.
    pub fn list(&self) -> Result<&[RemoteHead<'_>], git2::Error> {
        self.0.list()
    }

    /// Returns the branch that a clone checks out, or `None` if the host does not say.
    pub fn default_branch(&self) -> Option<RefName> {
        self.0.default_branch().ok()?.as_str().ok()?.parse().ok()
    }

    /// Returns what a ref points to, or `None` if the host does not say. An annotated tag of the pushed commit points
    /// to that commit, since some hosts report the commit and not the tag.
    pub fn find(&self, ref_name: &RefName, pushed: &ObjectId) -> Option<ObjectId> {
        let heads = self.list().ok()?;
        let object = |name: &str| -> Option<ObjectId> {
            let head = heads.iter().find(|head| head.name() == name)?;
            head.oid().to_string().parse().ok()
        };
        let tag_of = object(&format!("{ref_name}^{{}}"));
        tag_of
            .filter(|commit| commit == pushed)
            .or_else(|| object(ref_name.as_str()))
    }
}

impl<'a> Attempt<'a> {
    /// Creates the repository in the new folder `folder`, with what is in the base.
    pub fn new(
        connection: &'a Connection,
        pack_bytes: u64,
        progress: &'a ProgressReporter<Progress>,
        folder: &Path,
        base: Option<&Base>,
    ) -> Result<Self, Error> {
        let mut init = RepositoryInitOptions::new();
        init.bare(true).external_template(false).no_reinit(true);
        let invalid = |source| Error::Invalid {
            url: connection.url(),
            source,
        };
        let mut repository = Repository::init_opts(folder, &init).map_err(invalid)?;
        if let Some(base) = base {
            base::put(folder, base).map_err(invalid)?;
            // It is opened again, because an open one does not see where the history is cut off.
            repository = Repository::open_bare(folder).map_err(invalid)?;
        }
        Ok(Self {
            connection,
            pack_bytes,
            progress,
            repository,
            has_base: base.is_some(),
            received: Cell::new(0),
            stopped: RefCell::new(None),
            untrusted: RefCell::new(None),
            credentials_asked: Cell::new(false),
            heard: Cell::new(Instant::now()),
            side_band: RefCell::default(),
        })
    }

    pub fn connection(&self) -> &'a Connection {
        self.connection
    }

    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// Returns the number of bytes that the host has sent.
    pub fn received(&self) -> u64 {
        self.received.get()
    }

    /// Fetches `from`, which is an object's id or a ref, into the ref `to`, with `depth` generations of commits. A
    /// `depth` of 0 fetches all that are missing. Returns what the host has said of its refs.
    pub fn fetch(&self, from: &str, to: &str, depth: i32) -> Result<Heads<'_>, FetchError> {
        let mut remote = self
            .repository
            .remote_anonymous(self.connection.url.as_str())
            .map_err(|source| {
                FetchError::Other(Error::Invalid {
                    url: self.connection.url(),
                    source,
                })
            })?;
        self.credentials_asked.set(false);
        let mut options = FetchOptions::new();
        options
            .depth(depth)
            .download_tags(AutotagOption::None)
            .update_fetchhead(false)
            .follow_redirects(RemoteRedirect::None)
            .remote_callbacks(self.callbacks());
        remote
            .fetch(&[format!("+{from}:{to}")], Some(&mut options), None)
            .map_err(|error| self.classify(error))?;
        self.received
            .set(self.received.get() + remote.stats().received_bytes() as u64);
        Ok(Heads(remote))
    }

    fn callbacks(&self) -> RemoteCallbacks<'_> {
        let mut callbacks = RemoteCallbacks::new();
        callbacks.credentials(|url, username, allowed| self.credentials(url, username, allowed));
        callbacks.certificate_check(|certificate, host| match certificate.as_hostkey() {
            Some(key) => self.check_host_key(host, key.hostkey().unwrap_or_default()),
            None => {
                let certificate = certificate.as_x509().map(git2::cert::CertX509::data);
                Ok(self.check_certificate(host, certificate.unwrap_or_default()))
            }
        });
        callbacks.transfer_progress(|progress| {
            self.heard.set(Instant::now());
            if let Err(error) = self.check_limits(&progress) {
                self.stop(error);
                return false;
            }
            self.progress.report(|| Progress::transfer(&progress));
            self.in_time()
        });
        callbacks.sideband_progress(|said| {
            self.heard.set(Instant::now());
            let line = self.side_band.borrow_mut().read(said);
            if let Some(progress) = line.as_deref().and_then(Progress::host) {
                self.progress.report(|| progress);
            }
            self.in_time()
        });
        callbacks
    }

    fn credentials(
        &self,
        url: &str,
        username: Option<&str>,
        allowed: CredentialType,
    ) -> Result<Cred, git2::Error> {
        // libgit2 follows redirects to another port of the same host.
        let target = self.connection.url.origin();
        if Url::parse(url).ok().as_ref().and_then(Origin::of).as_ref() != Some(target) {
            let text = "another host asks for the credentials";
            let error = || git2::Error::new(ErrorCode::Auth, ErrorClass::Http, text);
            self.stop(Error::Redirected {
                url: self.connection.url(),
                source: error(),
            });
            return Err(error());
        }
        // If an SSH URL has no user, libgit2 asks for the user first.
        if allowed.contains(CredentialType::USERNAME) {
            return Cred::username(SSH_USER);
        }
        // libgit2 asks again if the host refuses the credentials. The same ones would be refused for ever.
        if self.credentials_asked.replace(true) {
            let error = git2::Error::new(ErrorCode::Auth, ErrorClass::Http, "the credentials were refused");
            self.stop(Error::Authentication {
                url: self.connection.url(),
                source: git2::Error::new(error.code(), error.class(), error.message()),
            });
            return Err(error);
        }
        match &self.connection.access {
            Access::Password { username, password } => {
                Cred::userpass_plaintext(username, password.expose_secret())
            }
            Access::Key {
                private_key,
                passphrase,
                ..
            } => Cred::ssh_key_from_memory(
                username.unwrap_or(SSH_USER),
                None,
                private_key.expose_secret(),
                passphrase.as_ref().map(ExposeSecret::expose_secret),
            ),
            Access::Anonymous => {
                self.stop(AccessError::missing(&self.connection.url).into());
                Err(git2::Error::new(
                    ErrorCode::Auth,
                    ErrorClass::Http,
                    "the host asks for credentials",
                ))
            }
        }
    }

    fn check_certificate(&self, host: &str, certificate: &[u8]) -> CertificateCheckStatus {
        if !self.connection.authorities.is_empty() {
            match certificates::check(&self.connection.authorities, host, certificate) {
                Ok(()) => return CertificateCheckStatus::CertificateOk,
                Err(reason) => *self.untrusted.borrow_mut() = Some(reason),
            }
        }
        // OpenSSL's own check by the public authorities applies.
        CertificateCheckStatus::CertificatePassthrough
    }

    fn check_host_key(&self, host: &str, key: &[u8]) -> Result<CertificateCheckStatus, git2::Error> {
        let Access::Key { known_hosts, .. } = &self.connection.access else {
            return Err(git2::Error::new(
                ErrorCode::Certificate,
                ErrorClass::Ssh,
                "no host key is pinned",
            ));
        };
        let port = self.connection.url.port().unwrap_or(known_hosts::SSH_PORT);
        match known_hosts::check(known_hosts, host, port, key) {
            Verdict::Pinned => Ok(CertificateCheckStatus::CertificateOk),
            Verdict::Refused(reason) => {
                let error = git2::Error::new(ErrorCode::Certificate, ErrorClass::Ssh, &reason);
                self.stop(Error::HostKey {
                    url: self.connection.url(),
                    reason,
                });
                Err(error)
            }
        }
    }

    fn check_limits(&self, progress: &git2::Progress<'_>) -> Result<(), Error> {
        if self.has_base && progress.total_deltas() > MAX_DELTAS {
            let text = format!("more than {MAX_DELTAS} objects have changed a little");
            return Err(Error::Invalid {
                url: self.connection.url(),
                source: git2::Error::from_str(&text),
            });
        }
        let limits = self.connection.limits;
        let received = self.received.get() + progress.received_bytes() as u64;
        let (limit, reason) = if received > self.pack_bytes {
            let reason = format!("the host sends more than {} bytes", limits.pack_bytes);
            ("pack_bytes", reason)
        } else if progress.total_objects() as u64 > limits.objects {
            let objects = progress.total_objects();
            let reason = format!("the pack has {objects} objects, more than {}", limits.objects);
            ("objects", reason)
        } else {
            return Ok(());
        };
        Err(Error::Limit {
            url: self.connection.url(),
            limit,
            reason,
        })
    }

    fn in_time(&self) -> bool {
        match self.connection.check_time() {
            Ok(()) => true,
            Err(error) => {
                self.stop(error);
                false
            }
        }
    }

    /// Records why the transfer is about to be stopped. The first reason counts.
    fn stop(&self, reason: Error) {
        self.stopped.borrow_mut().get_or_insert(reason);
    }

    /// Converts an error of libgit2.
    fn classify(&self, error: git2::Error) -> FetchError {
        if let Some(reason) = self.stopped.take() {
            return FetchError::Other(reason);
        }
        let url = self.connection.url();
        FetchError::Other(match Meaning::of(&error) {
            Meaning::Refused => return FetchError::Refused(error),
            Meaning::Unconnected => Error::Unreachable { url, source: error },
            Meaning::NoMemory => Error::Died {
                url,
                how: error.message().to_owned(),
            },
            Meaning::Silent => self.silent(error),
            Meaning::Untrusted => self.untrusted(&error),
            Meaning::LoginRefused => self.unauthenticated(error),
            Meaning::NoRepository => Error::RepositoryNotFound { url, source: error },
            Meaning::Redirected => Error::Redirected { url, source: error },
            Meaning::Cut if self.heard.get().elapsed() >= self.silence() => self.silent(error),
            Meaning::Cut | Meaning::Disconnected => match self.side_band.borrow_mut().reason() {
                Some(reason) => host_failed(url, &error, &reason),
                None => Error::Unreachable { url, source: error },
            },
            Meaning::PackDamaged => match self.side_band.borrow_mut().reason() {
                Some(reason) => host_failed(url, &error, &reason),
                None => Error::Invalid { url, source: error },
            },
            Meaning::Sha256 => Error::Sha256 { url },
            Meaning::DiskFull => Error::Workspace(std::io::Error::other(error)),
            Meaning::Unknown => Error::Invalid { url, source: error },
        })
    }

    /// Returns how long the host may be silent.
    fn silence(&self) -> Duration {
        Duration::from_secs(self.connection.limits.silence_seconds)
    }

    fn silent(&self, source: git2::Error) -> Error {
        Error::Silent {
            url: self.connection.url(),
            seconds: self.connection.limits.silence_seconds,
            source,
        }
    }

    fn untrusted(&self, error: &git2::Error) -> Error {
        let reason = match self.untrusted.take() {
            None => error.message().to_owned(),
            Some(own) => format!("{}; ca_certificates: {own}", error.message()),
        };
        Error::Certificate {
            url: self.connection.url(),
            reason,
        }
    }

    fn unauthenticated(&self, source: git2::Error) -> Error {
        match self.connection.access {
            Access::Anonymous => AccessError::missing(&self.connection.url).into(),
            Access::Password { .. } | Access::Key { .. } => Error::Authentication {
                url: self.connection.url(),
                source,
            },
        }
    }
}

/// Returns the error of a host whose git gave a reason before it ended the connection.
fn host_failed(url: String, error: &git2::Error, reason: &str) -> Error {
    let source = git2::Error::new(
        error.code(),
        error.class(),
        format!("the host's git said \"{reason}\" and ended"),
    );
    if meaning::is_damage(reason) {
        Error::Invalid { url, source }
    } else {
        Error::Unreachable { url, source }
    }
}
