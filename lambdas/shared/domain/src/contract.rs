//! The inputs and outputs of the workflow's states. An output is also the data of the stage's event, so it has
//! references, never file content or secrets.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::commit_status::{CommitStatusSet, CommitStatusTarget};
use crate::destination::{Destination, ObjectKey};
use crate::execution::Execution;
use crate::git::{CommitId, ObjectId, RefName};
use crate::paths::PathFilter;
use crate::push::{FurtherPush, Push, PushId, SourceName};
use crate::remote_url::RemoteUrl;
use crate::source::{GitHost, Options, SettingsError, SourceSettings};

/// What a state of the workflow does that calls a function. States that do the same at different times are one stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// Decides whether the push is delivered, and where.
    Validate,
    /// Fetches the pushed commit from the git host.
    Fetch,
    /// Finds the zip that a rollback delivers again.
    FindVersion,
    /// Makes the zip.
    Package,
    /// Writes the zip to its destination.
    Upload,
    /// Leaves the zip of an earlier push at the destination, because nothing that concerns it has changed.
    Keep,
    /// Asks the git host for a ref that was deleted.
    FindRef,
    /// Removes the zip of a ref that was deleted.
    Expire,
    /// Closes the push.
    Record,
    /// Sets the status of the commit on the git host.
    Report,
}

impl Stage {
    /// Returns the stage that a state of the workflow runs, or `None` if the state calls no function.
    #[must_use]
    pub fn of_state(name: &str) -> Option<Self> {
        Some(match name {
            "Validate" => Self::Validate,
            "Fetch" => Self::Fetch,
            "FindVersion" => Self::FindVersion,
            "Package" => Self::Package,
            "Upload" => Self::Upload,
            "Keep" => Self::Keep,
            "FindRef" => Self::FindRef,
            "Expire" => Self::Expire,
            "Record" | "RecordFailure" | "RecordAttempts" | "RecordFailureAttempts" => Self::Record,
            "ReportPending" | "Report" | "ReportFailure" => Self::Report,
            _ => return None,
        })
    }

    /// Returns the function that runs the stage, by the name of its folder.
    #[must_use]
    pub fn function(self) -> &'static str {
        match self {
            Self::Validate => "validate",
            Self::Fetch | Self::FindVersion | Self::FindRef => "fetch",
            Self::Package => "package",
            Self::Upload | Self::Keep | Self::Expire => "upload",
            Self::Record => "record",
            Self::Report => "report",
        }
    }
}

impl std::fmt::Display for Stage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, formatter)
    }
}

/// The payload that every stage is called with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope<T> {
    /// The push.
    pub push: Push,
    /// The execution that calls the stage.
    pub execution: Execution,
    /// The number of this attempt of the state, from 0.
    pub attempt: u32,
    /// The stage's own input.
    pub input: T,
}

/// An object in the staging bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagedObject {
    /// Its key.
    pub key: ObjectKey,
    /// Its size in bytes.
    pub size: u64,
    /// Its version, because a stage that runs again writes the same key again. `None` if the bucket keeps no versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    /// The SHA-256 of its bytes, as 64 hexadecimal digits. `None` if it was staged before digests were kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// The input of `Validate`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidateInput {
    /// The source's settings, as the SSM parameter's JSON text.
    pub settings: String,
}

impl ValidateInput {
    /// Parses the settings.
    ///
    /// # Errors
    /// Returns a [`SettingsError`], with line and column, or with the unknown fields.
    pub fn parse(&self) -> Result<SourceSettings, SettingsError> {
        self.settings.parse()
    }
}

/// The output of `Validate`.
#[expect(
    clippy::large_enum_variant,
    reason = "a push has one, which is made, written and dropped"
)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "decision")]
pub enum Validated {
    /// The push is to be delivered.
    Deliver(Deliver),
    /// The push has deleted its ref, whose zip is to be removed.
    Expire(Expire),
    /// The push is not to be delivered.
    Ignore(Ignored),
}

/// From where, to where, and how a push is delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deliver {
    /// The URL to fetch from, on a host that the source's settings name.
    pub clone_url: RemoteUrl,
    /// The destination of the zip.
    pub destination: Destination,
    /// The push's number among the pushes of its ref. Later pushes have higher numbers
    /// ([`crate::order::next_sequence`]).
    pub sequence: u64,
    /// The hosts that submodules and LFS objects may come from, in order of preference.
    #[serde(default)]
    pub git_hosts: Vec<GitHost>,
    /// Globs of the repositories that are allowed as submodules.
    #[serde(default)]
    pub submodule_repositories: Vec<String>,
    /// How the zip is made.
    pub options: Options,
    /// How the status of the commit is set on the git host, or `None` if it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit_status: Option<CommitStatusTarget>,
    /// Globs of the paths that concern the destination, or none if every push is delivered there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// The zip to deliver again, if the push is a rollback. Then the other fields, except for the destination and the
    /// number, say how that zip was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Version>,
    /// The pushes that deliver the same change to the source's further destinations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub further: Vec<FurtherPush>,
}

/// Where the zip of a deleted ref is, and whom to ask whether the ref is still deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expire {
    /// The repository's URL, on a host that the source's settings name.
    pub clone_url: RemoteUrl,
    /// The destination of the ref's zip.
    pub destination: Destination,
    /// The deletion's number among the pushes of its ref.
    pub sequence: u64,
    /// The pushes of the same deletion to the source's further destinations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub further: Vec<FurtherPush>,
}

/// A zip in a bucket that keeps versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// The push that has delivered it.
    pub push_id: PushId,
    /// The bucket's name.
    pub bucket: String,
    /// The object's key.
    pub key: ObjectKey,
    /// The object's version.
    pub version_id: String,
}

impl Deliver {
    /// Returns the paths that concern the destination, or `None` if every push is delivered there.
    #[must_use]
    pub fn path_filter(&self) -> Option<PathFilter> {
        (!self.paths.is_empty()).then(|| PathFilter {
            globs: self.paths.clone(),
            attributes: self.options.attributes,
        })
    }

    /// Returns whether `other` would fetch and package the same as `self`, or find that nothing has changed.
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
            &self.paths,
            &self.rollback,
        ) == (
            &other.clone_url,
            &other.git_hosts,
            &other.submodule_repositories,
            &other.options,
            &other.paths,
            &other.rollback,
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
    /// The push of which this one is a duplicate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicate_of: Option<PushId>,
    /// The pushes of the same deletion to the source's further destinations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub further: Vec<FurtherPush>,
}

/// Why a push is not delivered, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum IgnoreReason {
    /// The source is disabled.
    SourceDisabled,
    /// The push deleted its ref.
    RefDeleted,
    /// No glob of the source's settings matches the ref.
    RefNotWanted,
    /// No glob of the source's settings matches the repository.
    RepositoryNotAllowed,
    /// The zip of another push, which reported the same change, is at the destination already.
    Duplicate,
    /// The source's settings have no destination of this name any more.
    DestinationUnknown,
    /// No path that concerns the destination has changed since the push whose zip is there.
    PathsUnchanged,
}

/// The input of `Fetch` and `FindVersion`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchInput {
    /// The output of `Validate`.
    pub deliver: Deliver,
}

/// The output of `Fetch`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchedCommit {
    /// The pushed commit, or if a tag was pushed, the commit that it names.
    pub commit: CommitId,
    /// The commit's tree.
    pub tree: ObjectId,
    /// The commit's author.
    pub author: Author,
    /// The commit's committer time.
    pub committed_at: DateTime<Utc>,
    /// The first line of the commit's message, cut to 200 characters.
    pub subject: String,
    /// The URL that it was fetched from, without credentials.
    #[serde(default)]
    pub url: String,
    /// What the ref pointed to when the commit was fetched, or `None` if it did not exist any more.
    pub ref_now: Option<ObjectId>,
    /// The push whose zip was at the destination, if no path that concerns the destination has changed since its
    /// commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unchanged_since: Option<PushId>,
    /// The pack that holds the commit with its whole tree, or with what the packs of its base lack of it.
    pub pack: StagedObject,
    /// The pack's index.
    pub index: StagedObject,
    /// The bytes that git hosts have sent for the commit and its submodules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received_bytes: Option<u64>,
    /// The earlier push from which it was known what the host need not send, or why there was none. `None` if bases are
    /// off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<BaseUse>,
    /// The submodules, if the options ask for them. Each comes before its own submodules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub submodules: Vec<FetchedSubmodule>,
    /// The LFS objects, if the options ask for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lfs: Option<LfsObjects>,
    /// The signature, if the options ask for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<VerifiedSignature>,
}

impl FetchedCommit {
    /// Returns the packs that together hold the commit with its whole tree, its own first.
    pub fn packs(&self) -> impl Iterator<Item = StagedPack> {
        packs(&self.pack, &self.index, self.base.as_ref())
    }
}

fn packs(
    pack: &StagedObject,
    index: &StagedObject,
    base: Option<&BaseUse>,
) -> impl Iterator<Item = StagedPack> {
    let own = StagedPack {
        pack: pack.clone(),
        index: index.clone(),
    };
    let of_base = base.and_then(BaseUse::used).map_or(&[][..], |base| &base.packs);
    std::iter::once(own).chain(of_base.iter().cloned())
}

/// Whether a commit was fetched as the difference from that of an earlier push.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BaseUse {
    /// It was.
    Used(Base),
    /// It was fetched whole, for this reason.
    WhyNot(String),
}

impl BaseUse {
    /// Returns the base, if one was used.
    #[must_use]
    pub fn used(&self) -> Option<&Base> {
        match self {
            Self::Used(base) => Some(base),
            Self::WhyNot(_) => None,
        }
    }
}

/// What an earlier push of the repository has left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// The push.
    pub push_id: PushId,
    /// Its ref, if it is not the last push of the same ref to the same destination.
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    pub other_ref: Option<RefName>,
    /// Its commit, or that of its submodule.
    pub commit: CommitId,
    /// The packs that the new one needs to hold the new commit with its whole tree, the newest first.
    pub packs: Vec<StagedPack>,
    /// Its zip, if that was made by the options by which the zip of the new commit is to be made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zip: Option<BaseZip>,
}

/// The zip that an earlier push has left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseZip {
    /// The zip.
    pub object: StagedObject,
    /// The version of how it was written.
    pub format: u32,
}

/// A pack that was staged, and its index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagedPack {
    /// The pack.
    pub pack: StagedObject,
    /// Its index.
    pub index: StagedObject,
}

/// A submodule at its recorded commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchedSubmodule {
    /// Its path from the root of the pushed commit's tree.
    pub path: String,
    /// The URL that it was fetched from.
    pub url: RemoteUrl,
    /// The commit.
    pub commit: CommitId,
    /// The commit's tree.
    pub tree: ObjectId,
    /// The pack that holds the commit with its whole tree, or with what the packs of its base lack of it. Two
    /// submodules of the same commit share it.
    pub pack: StagedObject,
    /// The pack's index.
    pub index: StagedObject,
    /// The submodule of the earlier push from which it was known what the host need not send, or why there was none.
    /// `None` if bases are off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<BaseUse>,
}

impl FetchedSubmodule {
    /// Returns the packs that together hold the commit with its whole tree, its own first.
    pub fn packs(&self) -> impl Iterator<Item = StagedPack> {
        packs(&self.pack, &self.index, self.base.as_ref())
    }
}

/// LFS objects that were staged, each as `lfs/{oid}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LfsObjects {
    /// The number of objects.
    pub objects: u64,
    /// The bytes of all objects.
    pub bytes: u64,
}

/// A signature by one of the source's keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifiedSignature {
    /// The signed object, which is the pushed tag or the commit.
    pub object: ObjectId,
    /// The signer, as the git secret names the key.
    pub signer: String,
    /// The key's fingerprint.
    pub key: String,
}

/// The author of a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    /// The name, cut to 200 characters, with U+FFFD for bytes that are not UTF-8.
    pub name: String,
    /// The e-mail address, in the same form.
    pub email: String,
}

/// The output of `FindVersion`, which is everything that is known of the zip that a rollback delivers again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundVersion {
    /// The output of `Validate`, with the number that the rollback has from now on.
    pub deliver: Deliver,
    /// What was fetched to make it, except for `ref_now`, which is what the ref points to now, or `None` if the git
    /// host did not say. The staged objects are gone.
    pub fetched: FetchedCommit,
    /// The zip, whose staged object is gone too. Its warnings are those about the rollback.
    pub archive: Archive,
}

/// The input of `Package` and `Keep`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchedInput {
    /// The output of `Validate`.
    pub deliver: Deliver,
    /// The output of `Fetch`, by which `Keep` is called if nothing that concerns the destination has changed.
    pub fetched: FetchedCommit,
}

/// The output of `Package`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archive {
    /// The zip.
    pub object: StagedObject,
    /// Its SHA-256, as 64 hexadecimal digits.
    pub sha256: String,
    /// How many entries it has.
    pub entries: u64,
    /// The version of how files become entries, which decides the bytes of the zip. `None` if it was made before there
    /// were versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<u32>,
    /// How many of the entries were taken from the zip of the base, without being deflated again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_entries: Option<u64>,
    /// Warnings for the trail.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// The input of `Upload`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadInput {
    /// The output of `Validate`.
    pub deliver: Deliver,
    /// The output of `Fetch`, or that of `FindVersion`.
    pub fetched: FetchedCommit,
    /// The output of `Package`, or that of `FindVersion`.
    pub archive: Archive,
}

/// The output of `Upload`, and that of `Keep`, which delivers nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "decision")]
pub enum Uploaded {
    /// The zip is at its destination.
    Delivered(Delivered),
    /// The destination has the zip of a newer push, which stays.
    Superseded(Superseded),
    /// The same change was already delivered, or nothing that concerns the destination has changed.
    Ignored(Ignored),
}

/// The delivered zip.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivered {
    /// The bucket's name.
    pub bucket: String,
    /// The object's key.
    pub key: ObjectKey,
    /// The object's version, or `None` if the bucket keeps no versions.
    pub version_id: Option<String>,
    /// The object's entity tag.
    pub etag: String,
    /// The key of the provenance document, in the same bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<ObjectKey>,
}

/// The newer push that superseded a push.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Superseded {
    /// The push whose zip is at the destination.
    pub by: PushId,
    /// Why it is newer.
    pub because: String,
}

/// The input of `FindRef`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindRefInput {
    /// The output of `Validate`.
    pub expire: Expire,
}

/// The output of `FindRef`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundRef {
    /// What the git host shows on the ref that was deleted, or `None` if there is no such ref.
    pub ref_now: Option<ObjectId>,
}

/// What a person asks the function of `Fetch` besides any push: whether it reaches a repository from its network, and
/// may read it with the git secret of the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// The source.
    pub source_name: SourceName,
    /// The URL of the repository.
    pub probe: RemoteUrl,
}

/// The answer to a [`Probe`]. A failure is an answer too, so that nobody is told of a function that fails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Probed {
    /// The repository has been read.
    Listed {
        /// The number of its refs.
        refs: usize,
    },
    /// It could not be read.
    Failed {
        /// The error's name, as a push would fail with it.
        error: String,
        /// What happened, with the remedy.
        cause: String,
    },
}

/// The input of `Expire`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpireInput {
    /// The output of `Validate`.
    pub expire: Expire,
    /// The output of `FindRef`.
    pub found: FoundRef,
}

/// The output of `Expire`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "decision")]
pub enum Expiry {
    /// The ref's zip is no longer at the destination.
    Expired(Expired),
    /// What is at the destination stays.
    Ignored(Ignored),
}

/// A zip that was removed because its ref was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expired {
    /// The bucket's name.
    pub bucket: String,
    /// The object's key.
    pub key: ObjectKey,
    /// The push whose zip it was.
    pub push_id: PushId,
    /// The version of the zip, which stays in the bucket, or `None` if the zip was gone already.
    pub version_id: Option<String>,
}

/// The input of `Record` and `RecordFailure`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordInput {
    /// The failure that ended the execution, or `None` if it has not failed.
    #[serde(deserialize_with = "Option::deserialize")]
    pub failure: Option<Failure>,
    /// How many attempts of states have failed since they were recorded last.
    pub failed_attempts: u32,
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

/// The input of `ReportPending`, `Report` and `ReportFailure`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportInput {
    /// The failure that ended the execution, or `None` if it has not failed. The trail says everything else.
    #[serde(deserialize_with = "Option::deserialize")]
    pub failure: Option<Failure>,
}

/// The output of `ReportPending`, `Report` and `ReportFailure`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome")]
pub enum Reported {
    /// The status was set.
    Set(CommitStatusSet),
    /// There was nothing to set.
    Skipped {
        /// Why, for people.
        detail: String,
    },
}
