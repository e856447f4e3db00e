//! The transfer: libgit2 fetches into a new bare repository, which then holds one pack.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use domain::contract::Author;
use domain::git::{CommitId, ObjectId, RefName};
use domain::source::Limits;
use git2::{
    AutotagOption, CertificateCheckStatus, Cred, ErrorClass, ErrorCode, FetchOptions, Oid, RemoteCallbacks,
    RemoteRedirect, Repository, RepositoryInitOptions,
};
use secrecy::ExposeSecret;
use url::Url;

use crate::credentials::Access;
use crate::error::Error;
use crate::known_hosts::{self, Verdict};

/// How long a connection may take to be made, in seconds.
const CONNECT_SECONDS: u64 = 15;
/// How often progress is told.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(2);
/// The local ref that a fetch writes.
const LOCAL_REF: &str = "refs/push/fetched";
/// The longest subject, in characters.
const SUBJECT_CHARACTERS: usize = 200;

/// What to fetch, and how.
pub struct Order {
    pub url: Url,
    pub access: Access,
    pub ca_certificates: Option<String>,
    pub ref_name: RefName,
    /// A commit or an annotated tag.
    pub object: ObjectId,
    pub limits: Limits,
    pub progress: fn(Progress),
}

/// How far a transfer is.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// The bytes that have come.
    pub bytes: usize,
    /// The objects that have come.
    pub objects: usize,
    /// The objects that will come; 0 while that is not known.
    pub total_objects: usize,
}

impl std::fmt::Display for Progress {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mebibytes = self.bytes as f64 / f64::from(1 << 20);
        write!(
            formatter,
            "{} of {} objects, {mebibytes:.1} MiB",
            self.objects, self.total_objects
        )
    }
}

/// What was fetched.
pub struct Found {
    pub commit: CommitId,
    pub tree: ObjectId,
    pub author: Author,
    pub committed_at: DateTime<Utc>,
    pub subject: String,
    pub ref_now: Option<ObjectId>,
    pub pack: PathBuf,
    pub index: PathBuf,
}

/// Fetches into the folder `folder`, which is empty.
///
/// First exactly the object, which hosts allow that advertise it (it is a ref's tip) or that allow reachable ids, as
/// GitLab and GitHub do. A host that refuses is asked for the ref with its history, where the object must be.
pub fn fetch(order: &Order, folder: &Path) -> Result<Found, Error> {
    if order.object.as_str().len() == 64 {
        return Err(Error::Sha256 {
            url: order.url.to_string(),
        });
    }
    prepare_libgit2(order, folder)?;
    let deadline = Instant::now() + Duration::from_secs(order.limits.fetch_seconds);
    let exact = Attempt::new(order, folder.join("exact"), deadline).run(order.object.as_str(), 1);
    let refused = match exact {
        Ok(fetched) => return find(order, &fetched),
        Err(Failed::Refused(error)) => error,
        Err(Failed::Other(error)) => return Err(error),
    };
    tracing::info!(url = %order.url, reason = refused.message(), "the host refuses the id, fetching the ref");
    match Attempt::new(order, folder.join("ref"), deadline).run(order.ref_name.as_str(), 0) {
        Ok(fetched) => find(order, &fetched),
        Err(Failed::Refused(error)) => Err(not_found(order, Some(error))),
        Err(Failed::Other(error)) => Err(error),
    }
}

fn not_found(order: &Order, source: Option<git2::Error>) -> Error {
    Error::CommitNotFound {
        url: order.url.to_string(),
        object: order.object.to_string(),
        ref_name: order.ref_name.to_string(),
        source,
    }
}

/// libgit2's timeouts and authorities are the process's, not a connection's. A function fetches one commit at a time.
fn prepare_libgit2(order: &Order, folder: &Path) -> Result<(), Error> {
    let authorities = match &order.ca_certificates {
        None => None,
        Some(certificates) => {
            let path = folder.join("ca-certificates.pem");
            std::fs::write(&path, certificates).map_err(Error::Workspace)?;
            Some(path)
        }
    };
    let milliseconds = |seconds: u64| i32::try_from(seconds * 1_000).unwrap_or(i32::MAX);
    #[expect(
        unsafe_code,
        reason = "libgit2 has no other way; nothing else uses it while these are set"
    )]
    let set = unsafe {
        git2::opts::set_server_connect_timeout_in_milliseconds(milliseconds(CONNECT_SECONDS))
            .and_then(|()| {
                git2::opts::set_server_timeout_in_milliseconds(milliseconds(order.limits.silence_seconds))
            })
            .and_then(|()| match authorities {
                None => Ok(()),
                Some(path) => git2::opts::set_ssl_cert_file(path),
            })
    };
    set.map_err(|source| Error::Invalid {
        url: order.url.to_string(),
        source,
    })
}

/// Why an attempt failed.
enum Failed {
    /// The host does not give what was asked for: there may be another way.
    Refused(git2::Error),
    /// Any other way would fail too.
    Other(Error),
}

struct Fetched {
    repository: Repository,
    ref_now: Option<ObjectId>,
}

/// One fetch into a repository of its own.
struct Attempt<'a> {
    order: &'a Order,
    folder: PathBuf,
    deadline: Instant,
    /// Why a callback has stopped the transfer.
    stopped: RefCell<Option<Error>>,
    credentials_asked: Cell<bool>,
    told: Cell<Instant>,
}

impl<'a> Attempt<'a> {
    fn new(order: &'a Order, folder: PathBuf, deadline: Instant) -> Self {
        Self {
            order,
            folder,
            deadline,
            stopped: RefCell::new(None),
            credentials_asked: Cell::new(false),
            told: Cell::new(Instant::now()),
        }
    }

    fn run(&self, from: &str, depth: i32) -> Result<Fetched, Failed> {
        let invalid = |source| {
            Failed::Other(Error::Invalid {
                url: self.order.url.to_string(),
                source,
            })
        };
        let mut init = RepositoryInitOptions::new();
        init.bare(true).external_template(false).no_reinit(true);
        let repository = Repository::init_opts(&self.folder, &init).map_err(invalid)?;
        let ref_now = {
            let mut remote = repository
                .remote_anonymous(self.order.url.as_str())
                .map_err(invalid)?;
            let mut options = FetchOptions::new();
            options
                .depth(depth)
                .download_tags(AutotagOption::None)
                .update_fetchhead(false)
                .follow_redirects(RemoteRedirect::None)
                .remote_callbacks(self.callbacks());
            let refspec = format!("+{from}:{LOCAL_REF}");
            remote
                .fetch(&[refspec], Some(&mut options), None)
                .map_err(|error| self.explain(error))?;
            self.ref_now(&remote)
        };
        Ok(Fetched { repository, ref_now })
    }

    /// What the host says that the ref points to.
    fn ref_now(&self, remote: &git2::Remote<'_>) -> Option<ObjectId> {
        let heads = remote.list().ok()?;
        let head = heads
            .iter()
            .find(|head| head.name() == self.order.ref_name.as_str())?;
        head.oid().to_string().parse().ok()
    }

    fn callbacks(&self) -> RemoteCallbacks<'_> {
        let mut callbacks = RemoteCallbacks::new();
        callbacks.credentials(|_, username, _| self.credentials(username));
        callbacks.certificate_check(|certificate, host| {
            let Some(key) = certificate.as_hostkey() else {
                // X.509: OpenSSL's verdict stands.
                return Ok(CertificateCheckStatus::CertificatePassthrough);
            };
            self.check_host_key(host, key.hostkey().unwrap_or_default())
        });
        callbacks.transfer_progress(|progress| {
            let limit = self.order.limits.pack_bytes;
            if progress.received_bytes() as u64 > limit {
                self.stop(Error::Limit {
                    url: self.order.url.to_string(),
                    limit: "pack_bytes",
                    met: format!("the pack has more than {limit} bytes"),
                });
                return false;
            }
            if self.told.get().elapsed() > PROGRESS_INTERVAL {
                self.told.set(Instant::now());
                (self.order.progress)(Progress {
                    bytes: progress.received_bytes(),
                    objects: progress.received_objects(),
                    total_objects: progress.total_objects(),
                });
            }
            self.in_time()
        });
        callbacks.sideband_progress(|_| self.in_time());
        callbacks
    }

    fn credentials(&self, username: Option<&str>) -> Result<Cred, git2::Error> {
        // libgit2 asks again where the host refuses. The same answer would be refused for ever.
        if self.credentials_asked.replace(true) {
            let error = git2::Error::new(ErrorCode::Auth, ErrorClass::Http, "the credentials were refused");
            self.stop(Error::Authentication {
                url: self.order.url.to_string(),
                source: git2::Error::new(error.code(), error.class(), error.message()),
            });
            return Err(error);
        }
        match &self.order.access {
            Access::Password { username, password } => {
                Cred::userpass_plaintext(username, password.expose_secret())
            }
            Access::Key {
                private_key,
                passphrase,
                ..
            } => Cred::ssh_key_from_memory(
                username.unwrap_or("git"),
                None,
                private_key.expose_secret(),
                passphrase.as_ref().map(ExposeSecret::expose_secret),
            ),
            Access::Anonymous => {
                self.stop(Error::CredentialsMissing {
                    host: crate::credentials::host_of(&self.order.url),
                });
                Err(git2::Error::new(
                    ErrorCode::Auth,
                    ErrorClass::Http,
                    "the host asks for credentials",
                ))
            }
        }
    }

    fn check_host_key(&self, host: &str, key: &[u8]) -> Result<CertificateCheckStatus, git2::Error> {
        let Access::Key { known_hosts, .. } = &self.order.access else {
            return Err(git2::Error::new(
                ErrorCode::Certificate,
                ErrorClass::Ssh,
                "no host key is pinned",
            ));
        };
        let port = self.order.url.port().unwrap_or(22);
        match known_hosts::check(known_hosts, host, port, key) {
            Verdict::Pinned => Ok(CertificateCheckStatus::CertificateOk),
            Verdict::Refused(reason) => {
                let error = git2::Error::new(ErrorCode::Certificate, ErrorClass::Ssh, &reason);
                self.stop(Error::HostKey {
                    url: self.order.url.to_string(),
                    reason,
                });
                Err(error)
            }
        }
    }

    fn in_time(&self) -> bool {
        if Instant::now() < self.deadline {
            return true;
        }
        self.stop(Error::Limit {
            url: self.order.url.to_string(),
            limit: "fetch_seconds",
            met: format!("the fetch takes more than {} s", self.order.limits.fetch_seconds),
        });
        false
    }

    /// Remembers why the transfer is about to be stopped; the first reason counts.
    fn stop(&self, reason: Error) {
        self.stopped.borrow_mut().get_or_insert(reason);
    }

    /// What libgit2's error means.
    fn explain(&self, error: git2::Error) -> Failed {
        if let Some(reason) = self.stopped.take() {
            return Failed::Other(reason);
        }
        let url = self.order.url.to_string();
        let message = error.message().to_lowercase();
        let says = |texts: &[&str]| texts.iter().any(|text| message.contains(text));
        // libgit2 has no codes for these: it hands on what HTTP, OpenSSL, libssh2 and the host's git say.
        Failed::Other(match (error.code(), error.class()) {
            _ if says(&["not our ref", "no such ref", "unadvertised object"]) => {
                return Failed::Refused(error);
            }
            (ErrorCode::NotFound, ErrorClass::Reference) => return Failed::Refused(error),
            (ErrorCode::Timeout, _) => Error::Silent {
                url,
                seconds: self.order.limits.silence_seconds,
                source: error,
            },
            (ErrorCode::Certificate, _) => Error::Certificate { url, source: error },
            (ErrorCode::Auth, _) => Error::Authentication { url, source: error },
            _ if says(&[
                "status code: 401",
                "status code: 403",
                "authentication replays",
                "failed to authenticate",
                "authentication failed",
            ]) =>
            {
                Error::Authentication { url, source: error }
            }
            _ if says(&[
                "status code: 404",
                "does not appear to be a git repository",
                "not found",
            ]) =>
            {
                Error::RepositoryNotFound { url, source: error }
            }
            _ if says(&["status code: 30", "redirect"]) => Error::Redirected { url, source: error },
            _ if says(&["status code: 5", "status code: 429"]) => Error::Unreachable { url, source: error },
            _ if says(&["timed out", "timeout"]) => Error::Silent {
                url,
                seconds: self.order.limits.silence_seconds,
                source: error,
            },
            _ if says(&["certificate"]) => Error::Certificate { url, source: error },
            (_, ErrorClass::Net | ErrorClass::Os | ErrorClass::Ssl | ErrorClass::Ssh) => {
                Error::Unreachable { url, source: error }
            }
            _ => Error::Invalid { url, source: error },
        })
    }
}

/// Finds the commit in what was fetched.
fn find(order: &Order, fetched: &Fetched) -> Result<Found, Error> {
    let url = || order.url.to_string();
    let repository = &fetched.repository;
    let oid = Oid::from_str(order.object.as_str()).map_err(|source| Error::Invalid { url: url(), source })?;
    let object = repository
        .find_object(oid, None)
        .map_err(|source| not_found(order, Some(source)))?;
    let commit = object.peel_to_commit().map_err(|source| Error::NotACommit {
        url: url(),
        object: order.object.to_string(),
        source,
    })?;
    let author = commit.author();
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let id = |oid: Oid| {
        oid.to_string()
            .parse::<ObjectId>()
            .map_err(|error| Error::Invalid {
                url: url(),
                source: git2::Error::from_str(&error.to_string()),
            })
    };
    let (pack, index) = find_pack(repository.path())?;
    Ok(Found {
        commit: id(commit.id())?.into_commit(),
        tree: id(commit.tree_id())?,
        author: Author {
            name: lossy(author.name_bytes()),
            email: lossy(author.email_bytes()),
        },
        committed_at: DateTime::from_timestamp(commit.time().seconds(), 0).unwrap_or_default(),
        subject: lossy(commit.summary_bytes().unwrap_or_default())
            .chars()
            .take(SUBJECT_CHARACTERS)
            .collect(),
        ref_now: fetched.ref_now.clone(),
        pack,
        index,
    })
}

/// The one pack of a repository that was fetched once.
fn find_pack(repository: &Path) -> Result<(PathBuf, PathBuf), Error> {
    let folder = repository.join("objects").join("pack");
    let entries = std::fs::read_dir(&folder).map_err(Error::Workspace)?;
    let mut packs = Vec::new();
    for entry in entries {
        let path = entry.map_err(Error::Workspace)?.path();
        if path.extension().is_some_and(|extension| extension == "pack") {
            packs.push(path);
        }
    }
    match packs.as_slice() {
        [pack] => Ok((pack.clone(), pack.with_extension("idx"))),
        packs => Err(Error::Workspace(std::io::Error::other(format!(
            "{} has {} packs instead of one",
            folder.display(),
            packs.len()
        )))),
    }
}
