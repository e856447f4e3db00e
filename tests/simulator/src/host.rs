//! The git host: one ref that moves. A commit that it has had can be fetched for ever.

use std::sync::{Arc, Mutex};

use domain::error::{Code, Coded};
use domain::git::{CommitId, ObjectId};

use crate::core::{Core, OF_READS, Trouble};
use crate::scheduler::lock;
use crate::weather::Port;

/// See the module.
#[derive(Debug)]
pub struct Host {
    core: Arc<Core>,
    ref_now: Mutex<Option<ObjectId>>,
}

/// Why the host gives nothing.
#[derive(Debug, thiserror::Error)]
#[error("the git host gives nothing: {0}")]
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

/// The object that the letter `name` stands for.
///
/// Capitals are annotated tags. `S` and `T` are of the commits `a` and `b`, as is a tag that was made again at the same
/// commit.
pub fn object(name: char) -> Option<ObjectId> {
    let digit = match name {
        'S' => '5',
        'T' => '7',
        commit => commit,
    };
    digit.to_string().repeat(40).parse().ok()
}

/// The commit that an object is, or that it is a tag of.
pub fn commit_of(object: &ObjectId) -> CommitId {
    let commit = match object.as_str().as_bytes().first() {
        Some(b'5') => self::object('a'),
        Some(b'7') => self::object('b'),
        _ => None,
    };
    commit.unwrap_or_else(|| object.clone()).into_commit()
}

impl Host {
    /// A host whose ref points to `ref_now`, or which does not have the ref.
    pub fn new(core: Arc<Core>, ref_now: Option<ObjectId>) -> Self {
        Self {
            core,
            ref_now: Mutex::new(ref_now),
        }
    }

    /// What the ref points to.
    pub fn ref_now(&self) -> Option<ObjectId> {
        lock(&self.ref_now).clone()
    }

    /// Moves the ref.
    pub fn move_to(&self, after: Option<ObjectId>) {
        *lock(&self.ref_now) = after;
    }

    /// What the ref points to, as the host tells one who fetches.
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

    /// The pack of a commit. The host makes another one each time.
    pub async fn fetch(&self, wanted: &ObjectId) -> Result<(CommitId, Vec<u8>), HostError> {
        let commit = commit_of(wanted);
        let what = || format!("fetches {}", &commit.as_str()[..1]);
        let fate = self.core.call(Port::Host, OF_READS, what).await?;
        self.core.answer(fate).await?;
        let pack = format!("{commit} {}", self.core.dice.between(0, u64::MAX));
        Ok((commit, pack.into_bytes()))
    }
}
