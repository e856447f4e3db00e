//! The git host, with one ref that moves. Every commit that the ref has ever had can be fetched.

use std::sync::{Arc, Mutex};

use domain::error::{Code, Coded};
use domain::git::{CommitId, ObjectId};

use crate::core::{Core, OF_READS, Trouble};
use crate::scheduler::lock;
use crate::weather::Port;

/// The git host.
#[derive(Debug)]
pub struct Host {
    core: Arc<Core>,
    ref_now: Mutex<Option<ObjectId>>,
}

/// Why the host does not serve a request.
#[derive(Debug, thiserror::Error)]
#[error("the git host failed: {0}")]
pub struct HostError(pub Code);

impl Coded for HostError {
    fn code(&self) -> Code {
        self.0
    }
}

impl From<Trouble> for HostError {
    fn from(trouble: Trouble) -> Self {
        Self(if trouble.transient {
            Code::GitHostUnreachable
        } else {
            Code::AuthenticationFailed
        })
    }
}

/// Returns the object that the letter `name` stands for.
///
/// Capitals are annotated tags. `S` and `T` are tags of the commits `a` and `b`, as if a tag was created again at the
/// same commit.
pub fn object(name: char) -> Option<ObjectId> {
    let digit = match name {
        'S' => '5',
        'T' => '7',
        commit => commit,
    };
    digit.to_string().repeat(40).parse().ok()
}

/// Returns the commit that an object is, or that it is a tag of.
pub fn commit_of(object: &ObjectId) -> CommitId {
    let commit = match object.as_str().as_bytes().first() {
        Some(b'5') => self::object('a'),
        Some(b'7') => self::object('b'),
        _ => None,
    };
    commit.unwrap_or_else(|| object.clone()).into_commit()
}

/// Returns whether no watched path differs between two commits. Those of `a` and `b` are the same.
pub fn is_unchanged(one: &CommitId, other: &CommitId) -> bool {
    let is_first = |commit: &CommitId| commit.as_str().starts_with(['a', 'b']);
    one == other || (is_first(one) && is_first(other))
}

impl Host {
    /// Creates a host whose ref points to `ref_now`, or which does not have the ref.
    pub fn new(core: Arc<Core>, ref_now: Option<ObjectId>) -> Self {
        Self {
            core,
            ref_now: Mutex::new(ref_now),
        }
    }

    /// Returns what the ref points to.
    pub fn ref_now(&self) -> Option<ObjectId> {
        lock(&self.ref_now).clone()
    }

    /// Moves the ref.
    pub fn move_to(&self, after: Option<ObjectId>) {
        *lock(&self.ref_now) = after;
    }

    /// Returns what the ref points to, by a call of the host.
    pub async fn list(&self) -> Result<Option<ObjectId>, HostError> {
        let what = || {
            let ref_now = self.ref_now();
            let name = ref_now.as_ref().map_or("nothing", |object| &object.as_str()[..1]);
            format!("finds the ref at {name}")
        };
        let fate = self.core.call(Port::Host, OF_READS, what).await?;
        let ref_now = self.ref_now();
        self.core.answer(fate).await?;
        Ok(ref_now)
    }

    /// Returns the pack of a commit, which is another one each time.
    pub async fn fetch(&self, wanted: &ObjectId) -> Result<(CommitId, Vec<u8>), HostError> {
        let commit = commit_of(wanted);
        let what = || format!("fetches {}", &commit.as_str()[..1]);
        let fate = self.core.call(Port::Host, OF_READS, what).await?;
        self.core.answer(fate).await?;
        let pack = format!("{commit} {}", self.core.dice.between(0, u64::MAX));
        Ok((commit, pack.into_bytes()))
    }
}
