//! Why the trail cannot be read or written.

use domain::aggregate::{Aggregate, IllegalTransition};
use domain::error::{Code, Coded};

use aws::AwsFailure;

/// Why the trail cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// DynamoDB does not respond.
    #[error("the audit trail in table {table} does not respond")]
    Unavailable {
        /// The table.
        table: String,
        /// What happened.
        #[source]
        source: AwsFailure,
    },
    /// DynamoDB refuses the request.
    #[error("the audit trail in table {table} refuses the request")]
    Refused {
        /// The table.
        table: String,
        /// What happened.
        #[source]
        source: AwsFailure,
    },
    /// Others kept writing at the same time.
    #[error("others kept changing the items {item} at the same time")]
    Contended {
        /// The partition key.
        item: String,
    },
    /// Another push is being delivered to the same destination.
    #[error("another push is being delivered to {destination}, and has the lease until {until}")]
    Leased {
        /// The destination.
        destination: String,
        /// When the lease expires.
        until: chrono::DateTime<chrono::Utc>,
    },
    /// An item cannot be read.
    #[error("an item of {item} cannot be read: {reason}")]
    Unreadable {
        /// The partition key.
        item: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An event has no form in JSON.
    #[error("an event cannot be written as JSON")]
    Unwritable(#[from] serde_json::Error),
    /// The event cannot follow the events before it.
    #[error(transparent)]
    Illegal(#[from] IllegalTransition),
}

impl AuditError {
    /// Creates the error that others kept appending to the trail of an aggregate.
    #[must_use]
    pub fn contended<A: Aggregate>(id: A::Id) -> Self {
        Self::Contended {
            item: partition_key::<A>(id),
        }
    }
}

/// Returns the partition key of an aggregate's items.
pub(super) fn partition_key<A: Aggregate>(id: A::Id) -> String {
    format!("{}#{id}", A::KIND)
}

impl Coded for AuditError {
    fn code(&self) -> Code {
        match self {
            Self::Unavailable { .. } => Code::AuditUnavailable,
            Self::Contended { .. } => Code::AuditContended,
            Self::Leased { .. } => Code::DestinationContended,
            Self::Refused { .. } | Self::Unreadable { .. } | Self::Unwritable(_) | Self::Illegal(_) => {
                Code::AuditInvalid
            }
        }
    }
}
