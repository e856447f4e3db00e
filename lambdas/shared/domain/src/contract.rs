//! What the states of the workflow hand to each other. An output is also the data of the stage's event, so it carries
//! references, never file content or secrets.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::destination::{Destination, ObjectKey};
use crate::event::PushEvent;
use crate::git::{CommitId, ObjectId};
use crate::push::{Push, PushId};
use crate::remote_url::RemoteUrl;
use crate::source::{GitHost, Options, SettingsError, SourceSettings};
use crate::state::{PushState, Status};

/// A state of the workflow that runs a Lambda. Its name is the state's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// Decides whether and where to deliver.
    Validate,
    /// Brings the pushed commit from the git host.
    Fetch,
    /// Makes the zip.
    Package,
    /// Puts it in its place.
    Upload,
    /// Closes the push.
    Record,
}

impl std::fmt::Display for Stage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, formatter)
    }
}

/// What every stage is called with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope<T> {
    /// The push that this is about.
    pub push: Push,
    /// The execution that asks.
    pub execution: Execution,
    /// How often this state was tried before, from 0.
    pub attempt: u32,
    /// What the stage needs besides.
    pub input: T,
}

/// A Step Functions execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Execution {
    /// Its ARN.
    pub id: String,
    /// When it started.
    pub started_at: DateTime<Utc>,
}

/// An object in the staging bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagedObject {
    /// Its key.
    pub key: ObjectKey,
    /// Its size in bytes.
    pub size: u64,
    /// Its version: the same key is written again where a stage runs again. `None` if the bucket keeps no versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    /// The SHA-256 of its bytes, as 64 hexadecimal digits. `None` if it was staged before digests were kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// What a stage gives back: written down as an event, and found again in the state that the events fold to.
pub trait StageOutput: Sized {
    /// The event that says that the stage has done its work. `None` if the stage writes its event itself.
    fn event(&self) -> Option<PushEvent>;
    /// The output of an earlier run for the same push. A stage that is run twice does its work once.
    fn recorded(state: &PushState) -> Option<Self>;
}

/// `Validate` in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidateInput {
    /// The source's settings, as the SSM parameter's JSON text.
    pub settings: String,
}

impl ValidateInput {
    /// The settings, parsed.
    ///
    /// # Errors
    /// [`SettingsError`], with line and column, or with what is not known.
    pub fn parse(&self) -> Result<SourceSettings, SettingsError> {
        self.settings.parse()
    }
}

/// `Validate` out.
#[expect(
    clippy::large_enum_variant,
    reason = "a push has one, which is made, written and dropped"
)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "decision")]
pub enum Validated {
    /// The push is wanted.
    Deliver(Deliver),
    /// It is not for us.
    Ignore(Ignored),
}

/// What is to be delivered, from where, to where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deliver {
    /// The URL to fetch from, on a host that the source's settings name.
    pub clone_url: RemoteUrl,
    /// Where the zip goes.
    pub destination: Destination,
    /// The push's number among the pushes of its ref, of which a later one has a higher number
    /// ([`crate::order::next_sequence`]).
    pub sequence: u64,
    /// The hosts that submodules and LFS objects may come from, the preferred one first.
    #[serde(default)]
    pub git_hosts: Vec<GitHost>,
    /// Globs of the repositories that submodules may be of.
    #[serde(default)]
    pub submodule_repositories: Vec<String>,
    /// How the zip is made.
    pub options: Options,
}

impl Deliver {
    /// Whether what was fetched and packaged by `self` is what would be fetched and packaged by `other`.
    #[must_use]
    pub fn makes_same_zip_as(&self, other: &Self) -> bool {
        let of_delivery = Options {
            overwrite_foreign: other.options.overwrite_foreign,
            ..self.options.clone()
        };
        (
            &self.clone_url,
            &self.git_hosts,
            &self.submodule_repositories,
            &of_delivery,
        ) == (
            &other.clone_url,
            &other.git_hosts,
            &other.submodule_repositories,
            &other.options,
        )
    }
}

/// Why a push is not delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ignored {
    /// The reason, for programs.
    pub reason: IgnoreReason,
    /// The reason, for people.
    pub detail: String,
    /// The push that this one repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicate_of: Option<PushId>,
}

/// Why a push is not delivered, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum IgnoreReason {
    /// The push deleted its ref.
    RefDeleted,
    /// No glob of the source's settings matches the ref.
    RefNotWanted,
    /// No glob of the source's settings matches the repository.
    RepositoryNotAllowed,
    /// The zip of another push, which reported the same change, is at the destination already.
    Duplicate,
}

impl StageOutput for Validated {
    fn event(&self) -> Option<PushEvent> {
        Some(match self {
            Self::Deliver(deliver) => PushEvent::PushValidated(deliver.clone()),
            Self::Ignore(ignored) => PushEvent::PushIgnored(ignored.clone()),
        })
    }

    fn recorded(state: &PushState) -> Option<Self> {
        let deliver = state.deliver.clone().map(Self::Deliver);
        deliver.or_else(|| state.ignored.clone().map(Self::Ignore))
    }
}

/// `Fetch` in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchInput {
    /// What `Validate` gave.
    pub deliver: Deliver,
}

/// `Fetch` out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchedCommit {
    /// The pushed commit; where a tag was pushed, the commit that it names.
    pub commit: CommitId,
    /// The commit's tree.
    pub tree: ObjectId,
    /// The commit's author.
    pub author: Author,
    /// The commit's committer time.
    pub committed_at: DateTime<Utc>,
    /// The first line of the commit's message, at most 200 characters of it.
    pub subject: String,
    /// Where it was fetched from, without credentials.
    #[serde(default)]
    pub url: String,
    /// What the ref pointed to when the commit was fetched; none where it was gone.
    pub ref_now: Option<ObjectId>,
    /// The pack that holds the commit with its whole tree.
    pub pack: StagedObject,
    /// The pack's index.
    pub index: StagedObject,
    /// The submodules that the options ask for, each before its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub submodules: Vec<FetchedSubmodule>,
    /// The LFS objects that the options ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lfs: Option<LfsObjects>,
    /// The signature that the options ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<VerifiedSignature>,
}

/// A submodule at its recorded commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchedSubmodule {
    /// Its path from the root of the pushed commit's tree.
    pub path: String,
    /// Where it was fetched from.
    pub url: RemoteUrl,
    /// The commit.
    pub commit: CommitId,
    /// The commit's tree.
    pub tree: ObjectId,
    /// The pack that holds the commit with its whole tree. Two submodules of one commit share it.
    pub pack: StagedObject,
    /// The pack's index.
    pub index: StagedObject,
}

/// LFS objects that were staged, each as `lfs/{oid}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LfsObjects {
    /// How many there are.
    pub objects: u64,
    /// How many bytes they have in all.
    pub bytes: u64,
}

/// A signature by one of the source's keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifiedSignature {
    /// What is signed: the pushed tag, or the commit.
    pub object: ObjectId,
    /// The signer, as the git secret names the key.
    pub signer: String,
    /// The key's fingerprint.
    pub key: String,
}

/// Who wrote a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    /// The name, at most 200 characters of it, with U+FFFD for what is not UTF-8.
    pub name: String,
    /// The e-mail address, likewise.
    pub email: String,
}

impl StageOutput for FetchedCommit {
    fn event(&self) -> Option<PushEvent> {
        Some(PushEvent::CommitFetched(self.clone()))
    }

    fn recorded(state: &PushState) -> Option<Self> {
        state.fetched.clone()
    }
}

/// `Package` in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageInput {
    /// What `Validate` gave.
    pub deliver: Deliver,
    /// What `Fetch` gave.
    pub fetched: FetchedCommit,
}

/// `Package` out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archive {
    /// The zip.
    pub object: StagedObject,
    /// Its SHA-256, as 64 hexadecimal digits.
    pub sha256: String,
    /// How many entries it has.
    pub entries: u64,
    /// What a reader of the trail should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl StageOutput for Archive {
    fn event(&self) -> Option<PushEvent> {
        Some(PushEvent::ArchivePackaged(self.clone()))
    }

    fn recorded(state: &PushState) -> Option<Self> {
        state.archive.clone()
    }
}

/// `Upload` in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadInput {
    /// What `Validate` gave.
    pub deliver: Deliver,
    /// What `Fetch` gave.
    pub fetched: FetchedCommit,
    /// What `Package` gave.
    pub archive: Archive,
}

/// `Upload` out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "decision")]
pub enum Uploaded {
    /// The zip is in its place.
    Delivered(Delivered),
    /// A newer push's zip is there, and stays.
    Superseded(Superseded),
    /// The same change was delivered before.
    Ignored(Ignored),
}

/// Where the zip is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivered {
    /// The bucket's name.
    pub bucket: String,
    /// The object's key.
    pub key: ObjectKey,
    /// The object's version; none where the bucket keeps no versions.
    pub version_id: Option<String>,
    /// The object's entity tag.
    pub etag: String,
    /// The key of the provenance document, in the same bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<ObjectKey>,
}

/// Which push was newer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Superseded {
    /// The push whose zip is at the destination.
    pub by: PushId,
    /// How that is known to be newer.
    pub because: String,
}

impl StageOutput for Uploaded {
    fn event(&self) -> Option<PushEvent> {
        Some(match self {
            Self::Delivered(delivered) => PushEvent::ArchiveUploaded(delivered.clone()),
            Self::Superseded(superseded) => PushEvent::PushSuperseded(superseded.clone()),
            Self::Ignored(ignored) => PushEvent::PushIgnored(ignored.clone()),
        })
    }

    fn recorded(state: &PushState) -> Option<Self> {
        let delivered = state.delivered.clone().map(Self::Delivered);
        let superseded = || state.superseded.clone().map(Self::Superseded);
        let ignored = || state.ignored.clone().map(Self::Ignored);
        delivered.or_else(superseded).or_else(ignored)
    }
}

/// `Record` and `RecordFailure` in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordInput {
    /// What ended the execution. `None` if nothing failed.
    #[serde(deserialize_with = "Option::deserialize")]
    pub failure: Option<Failure>,
}

/// The first failure of an execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The name of the state that failed.
    pub stage: String,
    /// The error's name, such as `CommitNotFound`.
    pub error: String,
    /// What happened, to what, and what to do.
    pub cause: String,
}

/// `Record` out: the detail of the EventBridge event, and the read model in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// The push.
    pub push_id: PushId,
    /// How it ended.
    pub status: Status,
    /// Its source.
    pub source: String,
    /// Its repository.
    pub repository: String,
    /// Its ref.
    #[serde(rename = "ref")]
    pub ref_name: String,
    /// The commit, where it was fetched.
    pub commit: Option<CommitId>,
    /// Its number among the pushes of its ref, where it was wanted.
    pub sequence: Option<u64>,
    /// Where the zip is, if it was delivered: of a failed push too, if it failed afterwards.
    pub delivered: Option<Delivered>,
    /// The zip's SHA-256, where it was delivered.
    pub sha256: Option<String>,
    /// Why it was ignored or superseded.
    pub reason: Option<String>,
    /// What failed.
    pub failure: Option<Failure>,
    /// What to do about the failure.
    pub remedy: Option<String>,
}

/// `Record` writes its event by itself, for which it is depends on the trail.
impl StageOutput for Closed {
    fn event(&self) -> Option<PushEvent> {
        None
    }

    fn recorded(_: &PushState) -> Option<Self> {
        None
    }
}
