//! Why the trail cannot be read or written.

use domain::error::{Code, Coded};
use domain::state::IllegalTransition;

use aws::AwsFailure;

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
    /// Another push is being delivered to the same destination.
    #[error("another push is being delivered to {destination}, and has the lease until {until}")]
    Leased {
        /// The destination.
        destination: String,
        /// When the lease ends at the latest.
        until: chrono::DateTime<chrono::Utc>,
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
            Self::Leased { .. } => Code::DestinationContended,
            Self::Refused { .. } | Self::Unreadable { .. } | Self::Illegal(_) => Code::AuditInvalid,
        }
    }
}
