//! The transfer: libgit2 fetches into a new bare repository, which then holds one pack.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::thread;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use domain::contract::{Author, VerifiedSignature};
use domain::git::{CommitId, ObjectId, RefName};
use domain::source::{Limits, origin};
use git2::{
    AutotagOption, CertificateCheckStatus, ConfigLevel, Cred, CredentialType, ErrorClass, ErrorCode,
    FetchOptions, Oid, RemoteCallbacks, RemoteRedirect, Repository, RepositoryInitOptions,
};
use nix::sys::signal::SigSet;
use openssl::x509::X509;
use platform::progress::Teller;
use secrecy::ExposeSecret;
use tokio::sync::oneshot;
use url::Url;

use crate::certificates;
use crate::credentials::Access;
use crate::error::Error;
use crate::fetcher::Wanted;
use crate::known_hosts::{self, Verdict};
use crate::progress::Progress;
use crate::signature;

/// How long a connection may take to be made, in seconds.
pub const CONNECT_SECONDS: u64 = 15;
/// How long after its deadline a transfer may still end by itself.
const GRACE: Duration = Duration::from_secs(2);
/// The local ref that a fetch writes.
const LOCAL_REF: &str = "refs/push/fetched";
/// All branches of the host, and the local refs that a fetch of them writes.
const BRANCHES: &str = "refs/heads/*";
const LOCAL_BRANCHES: &str = "refs/push/heads/*";
/// The user of an SSH URL that names none.
const SSH_USER: &str = "git";
/// The longest subject, and the author's longest name and address, in characters.
const TEXT_CHARACTERS: usize = 200;

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

/// What was fetched.
pub struct Found {
    pub commit: CommitId,
    pub tree: ObjectId,
    pub author: Author,
    pub committed_at: DateTime<Utc>,
    pub subject: String,
    pub ref_now: Option<ObjectId>,
    pub signature: Option<VerifiedSignature>,
    pub pack: PathBuf,
    pub index: PathBuf,
}

/// Fetches on a thread of its own, and ends in time.
///
/// libgit2 asks whether to go on only while a pack comes, and not for every byte of it. A host whose HTTP head or refs
/// have no end, or that sends a byte now and then, holds libgit2 for as long as it likes. Then the thread is left behind:
/// it ends when the host closes, falls silent, or libgit2 asks again. It is no thread of tokio's, which waits for its own
/// at the end.
pub async fn fetch_in_time(order: Order, folder: PathBuf) -> Result<Found, Error> {
    let patience = order.deadline.saturating_duration_since(Instant::now()) + GRACE;
    let late = too_slow(&order);
    let (sender, receiver) = oneshot::channel();
    thread::Builder::new()
        .name("transfer".to_owned())
        .spawn(move || {
            // libgit2 takes a signal, such as that of a child's end, for the end of the connection. Others may have it.
            let blocked = SigSet::all().thread_block();
            let found = blocked
                .map_err(|error| Error::Workspace(error.into()))
                .and_then(|()| fetch(&order, &folder));
            // Nobody listens any more where the time is over.
            let _ = sender.send(found);
        })
        .map_err(Error::Workspace)?;
    match tokio::time::timeout(patience, receiver).await {
        Ok(Ok(found)) => found,
        Ok(Err(_)) => Err(Error::Workspace(std::io::Error::other(
            "the transfer's thread has died",
        ))),
        Err(_) => Err(late),
    }
}

fn too_slow(order: &Order) -> Error {
    Error::Limit {
        url: order.wanted.url.to_string(),
        limit: "fetch_seconds",
        met: format!("the fetch takes more than {} s", order.limits.fetch_seconds),
    }
}

/// Fetches into the folder `folder`, which is empty.
///
/// First exactly the object, where the host says that it gives objects by their id, as GitLab and GitHub do. Any other
/// host, and one that refuses this id, is asked for the ref: first for its tip alone, which mostly is what was pushed,
/// then with its history, where the object must be. Where no ref is known all branches are asked for.
fn fetch(order: &Order, folder: &Path) -> Result<Found, Error> {
    let wanted = &order.wanted;
    if wanted.object.as_str().len() == 64 {
        return Err(Error::Sha256 {
            url: wanted.url.to_string(),
        });
    }
    prepare_libgit2(order)?;
    let mut attempts = vec![("exact", wanted.object.as_str(), !wanted.history)];
    match &wanted.ref_name {
        Some(ref_name) if wanted.history => attempts.push(("history", ref_name.as_str(), false)),
        Some(ref_name) => {
            attempts.push(("tip", ref_name.as_str(), true));
            attempts.push(("history", ref_name.as_str(), false));
        }
        None => attempts.push(("branches", BRANCHES, false)),
    }
    let mut refused = None;
    for (name, from, shallow) in attempts {
        if Instant::now() >= order.deadline {
            return Err(too_slow(order));
        }
        match Attempt::new(order, folder.join(name)).run(from, shallow) {
            Ok(fetched) => match find(order, &fetched) {
                Err(Error::CommitNotFound { source, .. }) => refused = source,
                found => return found,
            },
            Err(Failed::Refused(error)) => refused = Some(error),
            Err(Failed::Other(error)) => return Err(error),
        }
        // What it has fetched is of no use, and there is room for one such.
        let _ = std::fs::remove_dir_all(folder.join(name));
        tracing::info!(url = %wanted.url, attempt = name, reason = refused.as_ref().map(git2::Error::message), "not found");
    }
    Err(not_found(order, refused))
}

fn not_found(order: &Order, source: Option<git2::Error>) -> Error {
    let wanted = &order.wanted;
    Error::CommitNotFound {
        url: wanted.url.to_string(),
        object: wanted.object.to_string(),
        from: wanted
            .ref_name
            .as_ref()
            .map_or_else(|| "any branch".to_owned(), ToString::to_string),
        source,
    }
}

/// libgit2's timeouts are the process's, not a connection's. A function fetches one commit at a time.
fn prepare_libgit2(order: &Order) -> Result<(), Error> {
    static NO_CONFIGURATION: Once = Once::new();
    NO_CONFIGURATION.call_once(|| {
        use ConfigLevel::{Global, ProgramData, System, XDG};
        for level in [System, Global, XDG, ProgramData] {
            #[expect(
                unsafe_code,
                reason = "libgit2 has no other way; it is set before libgit2 is used"
            )]
            // A user's url.insteadOf must not send the credentials elsewhere. Where this fails there are no such files.
            let _ = unsafe { git2::opts::set_search_path(level, "") };
        }
    });
    let milliseconds = |seconds: u64| i32::try_from(seconds.saturating_mul(1_000)).unwrap_or(i32::MAX);
    #[expect(
        unsafe_code,
        reason = "libgit2 has no other way; nothing else uses it while these are set"
    )]
    let set = unsafe {
        git2::opts::set_server_connect_timeout_in_milliseconds(milliseconds(CONNECT_SECONDS)).and_then(|()| {
            git2::opts::set_server_timeout_in_milliseconds(milliseconds(order.limits.silence_seconds))
        })
    };
    set.map_err(|source| Error::Invalid {
        url: order.wanted.url.to_string(),
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
    /// Why a callback has stopped the transfer.
    stopped: RefCell<Option<Error>>,
    /// Why the authorities of the git secret do not vouch for the host.
    untrusted: RefCell<Option<String>>,
    credentials_asked: Cell<bool>,
    /// When the host was heard the last time, as far as libgit2 says.
    heard: Cell<Instant>,
}

impl<'a> Attempt<'a> {
    fn new(order: &'a Order, folder: PathBuf) -> Self {
        Self {
            order,
            folder,
            stopped: RefCell::new(None),
            untrusted: RefCell::new(None),
            credentials_asked: Cell::new(false),
            heard: Cell::new(Instant::now()),
        }
    }

    fn run(&self, from: &str, shallow: bool) -> Result<Fetched, Failed> {
        let invalid = |source| {
            Failed::Other(Error::Invalid {
                url: self.order.wanted.url.to_string(),
                source,
            })
        };
        let mut init = RepositoryInitOptions::new();
        init.bare(true).external_template(false).no_reinit(true);
        let repository = Repository::init_opts(&self.folder, &init).map_err(invalid)?;
        let ref_now = {
            let mut remote = repository
                .remote_anonymous(self.order.wanted.url.as_str())
                .map_err(invalid)?;
            let mut options = FetchOptions::new();
            options
                .depth(i32::from(shallow))
                .download_tags(AutotagOption::None)
                .update_fetchhead(false)
                .follow_redirects(RemoteRedirect::None)
                .remote_callbacks(self.callbacks());
            // A pattern maps to a pattern.
            let to = if from.ends_with('*') {
                LOCAL_BRANCHES
            } else {
                LOCAL_REF
            };
            let refspec = format!("+{from}:{to}");
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
            .find(|head| Some(head.name()) == self.order.wanted.ref_name.as_ref().map(RefName::as_str))?;
        head.oid().to_string().parse().ok()
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
            self.order.progress.tell(|| Progress::transfer(&progress));
            self.in_time()
        });
        callbacks.sideband_progress(|said| {
            self.heard.set(Instant::now());
            if let Some(progress) = Progress::host(said) {
                self.order.progress.tell(|| progress);
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
        // libgit2 follows a redirect to another port of the same host.
        if Url::parse(url).ok().as_ref().and_then(origin) != origin(&self.order.wanted.url) {
            let text = "another host asks for the credentials";
            let error = || git2::Error::new(ErrorCode::Auth, ErrorClass::Http, text);
            self.stop(Error::Redirected {
                url: self.order.wanted.url.to_string(),
                source: error(),
            });
            return Err(error());
        }
        // An SSH URL without a user: libgit2 asks for the user first.
        if allowed.contains(CredentialType::USERNAME) {
            return Cred::username(SSH_USER);
        }
        // libgit2 asks again where the host refuses. The same answer would be refused for ever.
        if self.credentials_asked.replace(true) {
            let error = git2::Error::new(ErrorCode::Auth, ErrorClass::Http, "the credentials were refused");
            self.stop(Error::Authentication {
                url: self.order.wanted.url.to_string(),
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
                username.unwrap_or(SSH_USER),
                None,
                private_key.expose_secret(),
                passphrase.as_ref().map(ExposeSecret::expose_secret),
            ),
            Access::Anonymous => {
                self.stop(Error::CredentialsMissing {
                    host: crate::credentials::host_of(&self.order.wanted.url),
                });
                Err(git2::Error::new(
                    ErrorCode::Auth,
                    ErrorClass::Http,
                    "the host asks for credentials",
                ))
            }
        }
    }

    fn check_certificate(&self, host: &str, certificate: &[u8]) -> CertificateCheckStatus {
        if !self.order.authorities.is_empty() {
            match certificates::check(&self.order.authorities, host, certificate) {
                Ok(()) => return CertificateCheckStatus::CertificateOk,
                Err(reason) => *self.untrusted.borrow_mut() = Some(reason),
            }
        }
        // OpenSSL's verdict stands, by the public authorities.
        CertificateCheckStatus::CertificatePassthrough
    }

    fn check_host_key(&self, host: &str, key: &[u8]) -> Result<CertificateCheckStatus, git2::Error> {
        let Access::Key { known_hosts, .. } = &self.order.access else {
            return Err(git2::Error::new(
                ErrorCode::Certificate,
                ErrorClass::Ssh,
                "no host key is pinned",
            ));
        };
        let port = self.order.wanted.url.port().unwrap_or(22);
        match known_hosts::check(known_hosts, host, port, key) {
            Verdict::Pinned => Ok(CertificateCheckStatus::CertificateOk),
            Verdict::Refused(reason) => {
                let error = git2::Error::new(ErrorCode::Certificate, ErrorClass::Ssh, &reason);
                self.stop(Error::HostKey {
                    url: self.order.wanted.url.to_string(),
                    reason,
                });
                Err(error)
            }
        }
    }

    fn check_limits(&self, progress: &git2::Progress<'_>) -> Result<(), Error> {
        let order = self.order;
        let (limit, met) = if progress.received_bytes() as u64 > order.pack_bytes {
            let met = format!("the host sends more than {} bytes", order.limits.pack_bytes);
            ("pack_bytes", met)
        } else if progress.total_objects() as u64 > order.limits.objects {
            let objects = progress.total_objects();
            let met = format!(
                "the pack has {objects} objects, more than {}",
                order.limits.objects
            );
            ("objects", met)
        } else {
            return Ok(());
        };
        Err(Error::Limit {
            url: order.wanted.url.to_string(),
            limit,
            met,
        })
    }

    fn in_time(&self) -> bool {
        if Instant::now() < self.order.deadline {
            return true;
        }
        self.stop(too_slow(self.order));
        false
    }

    /// Remembers why the transfer is about to be stopped; the first reason counts.
    fn stop(&self, reason: Error) {
        self.stopped.borrow_mut().get_or_insert(reason);
    }

    /// What libgit2's error means. It has no codes for most of it: its texts hand on what HTTP, OpenSSL, libssh2 and the
    /// host's git say.
    fn explain(&self, error: git2::Error) -> Failed {
        if let Some(reason) = self.stopped.take() {
            return Failed::Other(reason);
        }
        let message = error.message().to_lowercase();
        let says = |texts: &[&str]| texts.iter().any(|text| message.contains(text));
        let url = self.order.wanted.url.to_string();
        // These two end with the host's name, which may have any word in it.
        if message.starts_with("failed to resolve") || message.starts_with("failed to connect") {
            return Failed::Other(Error::Unreachable { url, source: error });
        }
        let refused = (error.code(), error.class()) == (ErrorCode::NotFound, ErrorClass::Reference);
        if refused || says(&REFUSALS) {
            return Failed::Refused(error);
        }
        let class = error.class();
        Failed::Other(match error.code() {
            ErrorCode::Timeout => self.silent(error),
            ErrorCode::Certificate => self.untrusted(&error),
            ErrorCode::Auth => self.unauthenticated(error),
            _ if class == ErrorClass::Ssl && says(&["certificate"]) => self.untrusted(&error),
            _ if says(&LOGIN_FAILURES) => self.unauthenticated(error),
            _ if says(&NO_REPOSITORY) => Error::RepositoryNotFound { url, source: error },
            _ if says(&["redirect"]) => Error::Redirected { url, source: error },
            _ if says(&["timed out", "timeout"]) => self.silent(error),
            // All that libgit2 says of a TLS connection that was cut, or has been silent for too long.
            _ if says(&["syscall failure"]) && self.heard.get().elapsed() >= self.patience() => {
                self.silent(error)
            }
            _ if says(&DISCONNECTIONS) || matches!(class, ErrorClass::Ssl | ErrorClass::Ssh) => {
                Error::Unreachable { url, source: error }
            }
            _ if says(&["unknown remote object format"]) => Error::Sha256 { url },
            // The class alone says nothing: where libgit2 sets no error of its own, an old one is read.
            _ if class == ErrorClass::Os && says(&["cannot extend packfile", "no space left"]) => {
                Error::Workspace(std::io::Error::other(error))
            }
            _ => Error::Invalid { url, source: error },
        })
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(self.order.limits.silence_seconds)
    }

    fn silent(&self, source: git2::Error) -> Error {
        Error::Silent {
            url: self.order.wanted.url.to_string(),
            seconds: self.order.limits.silence_seconds,
            source,
        }
    }

    fn untrusted(&self, error: &git2::Error) -> Error {
        let reason = match self.untrusted.take() {
            None => error.message().to_owned(),
            Some(own) => format!("{}; ca_certificates: {own}", error.message()),
        };
        Error::Certificate {
            url: self.order.wanted.url.to_string(),
            reason,
        }
    }

    fn unauthenticated(&self, source: git2::Error) -> Error {
        match self.order.access {
            Access::Anonymous => Error::CredentialsMissing {
                host: crate::credentials::host_of(&self.order.wanted.url),
            },
            Access::Password { .. } | Access::Key { .. } => Error::Authentication {
                url: self.order.wanted.url.to_string(),
                source,
            },
        }
    }
}

/// The host does not give an object by its id, or has no such ref. The last one is all that libgit2 says of any error that
/// a host answers where its shallow commits were to come, such as "not our ref".
const REFUSALS: [&str; 6] = [
    "not our ref",
    "no such ref",
    "unadvertised object",
    "cannot fetch a specific object",
    "doesn't support shallow",
    "unexpected packet type",
];
const LOGIN_FAILURES: [&str; 6] = [
    "status code: 401",
    "status code: 403",
    "mechanism for credentials",
    "authentication is not supported",
    "failed to authenticate",
    "authentication failed",
];
/// The last one is GitLab's, over SSH.
const NO_REPOSITORY: [&str; 5] = [
    "status code: 404",
    "status code: 410",
    "does not appear to be a git repository",
    "not found",
    "could not be found",
];
/// No connection, the end of one, or "not now".
const DISCONNECTIONS: [&str; 10] = [
    "status code: 5",
    "status code: 429",
    "could not read refs from",
    "could not read from remote",
    "data from socket",
    "syscall failure",
    "received early eof",
    "unexpected eof",
    "invalid eof state",
    "remote error: ",
];

/// Finds the commit in what was fetched, and verifies it where that is wanted.
fn find(order: &Order, fetched: &Fetched) -> Result<Found, Error> {
    let url = || order.wanted.url.to_string();
    let repository = &fetched.repository;
    let oid = Oid::from_str(order.wanted.object.as_str())
        .map_err(|source| Error::Invalid { url: url(), source })?;
    let object = repository
        .find_object(oid, None)
        .map_err(|source| not_found(order, Some(source)))?;
    let commit = object.peel_to_commit().map_err(|source| Error::NotACommit {
        url: url(),
        object: order.wanted.object.to_string(),
        source,
    })?;
    let signature = match &order.wanted.signers {
        None => None,
        Some(signers) => {
            let verified = signature::verify(repository, oid, commit.id(), signers);
            Some(verified.map_err(|source| Error::NotVerified {
                url: url(),
                object: order.wanted.object.to_string(),
                source,
            })?)
        }
    };
    let author = commit.author();
    // A commit's texts may have megabytes.
    let short = |bytes: &[u8]| {
        String::from_utf8_lossy(bytes)
            .chars()
            .take(TEXT_CHARACTERS)
            .collect()
    };
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
            name: short(author.name_bytes()),
            email: short(author.email_bytes()),
        },
        committed_at: DateTime::from_timestamp(commit.time().seconds(), 0).unwrap_or_default(),
        subject: short(commit.summary_bytes().unwrap_or_default()),
        ref_now: fetched.ref_now.clone(),
        signature,
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
