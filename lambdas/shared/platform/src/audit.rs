//! The audit trail: an append-only list of events for each push, and the read model that they fold to.

#[cfg(feature = "audit")]
mod dynamo;
mod memory;

use domain::error::{Code, Coded};
use domain::event::PushEvent;
use domain::push::{Push, PushId};
use domain::state::{IllegalTransition, PushState, Status};

#[cfg(feature = "audit")]
pub use dynamo::DynamoTrail;
pub use memory::MemoryTrail;

use crate::aws::AwsFailure;

/// Where events are written down.
pub trait AuditTrail: Send + Sync {
    /// The state that a push's events fold to; none where it has none.
    fn load(&self, push_id: PushId) -> impl Future<Output = Result<Option<PushState>, AuditError>> + Send;

    /// Writes down that `event` has happened to the push whose `state` this was, and gives the state after it.
    /// Where somebody else has written in between, the same event is success, and any other is followed by this one
    /// where it can be.
    fn append(
        &self,
        state: Option<PushState>,
        event: PushEvent,
    ) -> impl Future<Output = Result<PushState, AuditError>> + Send;

    /// Gives the push its number among the pushes of its ref. The same push gets the same number again as long as no
    /// other push of the ref has come.
    fn number(&self, push: &Push) -> impl Future<Output = Result<Number, AuditError>> + Send;
}

/// What [`AuditTrail::number`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Number {
    /// The push's number, from 1.
    Sequence(u64),
    /// The last push of the ref moved it in the same way, and has not failed.
    DuplicateOf(PushId),
}

/// The last numbered push of a ref.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct LastPush {
    sequence: u64,
    push_id: PushId,
    before: Option<domain::git::ObjectId>,
    after: Option<domain::git::ObjectId>,
}

impl LastPush {
    fn new(push: &Push, sequence: u64) -> Self {
        Self {
            sequence,
            push_id: push.push_id,
            before: push.before.clone(),
            after: push.after.clone(),
        }
    }

    /// Whether `push` reports the same movement of the ref under another delivery. One that moves nothing was asked
    /// for by hand, to deliver again.
    fn is_repeated_by(&self, push: &Push) -> bool {
        self.push_id != push.push_id
            && push.before != push.after
            && (&self.before, &self.after) == (&push.before, &push.after)
    }
}

/// Whether a push that repeats one in this state has nothing to add.
fn stands(state: Option<&PushState>) -> bool {
    state.is_some_and(|state| state.status != Status::Failed)
}

/// Why the trail cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// DynamoDB does not answer.
    #[error("the audit trail in table {table} does not answer")]
    Unavailable {
        /// The table.
        table: String,
        /// What happened.
        #[source]
        source: AwsFailure,
    },
    /// DynamoDB refuses.
    #[error("the audit trail in table {table} may not be read or written")]
    Refused {
        /// The table.
        table: String,
        /// What happened.
        #[source]
        source: AwsFailure,
    },
    /// Others wrote at the same time, again and again.
    #[error("the items {item} were changed by others at the same time, again and again")]
    Contended {
        /// The partition key.
        item: String,
    },
    /// An item cannot be read.
    #[error("an item of {item} cannot be read: {reason}")]
    Unreadable {
        /// The partition key.
        item: String,
        /// Why not.
        reason: String,
    },
    /// The event cannot follow.
    #[error(transparent)]
    Illegal(#[from] IllegalTransition),
}

impl Coded for AuditError {
    fn code(&self) -> Code {
        match self {
            Self::Unavailable { .. } => Code::AuditUnavailable,
            Self::Contended { .. } => Code::AuditContended,
            Self::Refused { .. } | Self::Unreadable { .. } | Self::Illegal(_) => Code::AuditInvalid,
        }
    }
}
