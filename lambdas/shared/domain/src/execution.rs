//! The execution of a state machine, through which a push or a deployment flows.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A Step Functions execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Execution {
    /// Its ARN. If it was redriven, `#` and the number of the redrive follow, because a redriven execution takes the
    /// push over like another one, and Step Functions runs it under the same ARN.
    pub id: String,
    /// When it started.
    pub started_at: DateTime<Utc>,
}

impl Execution {
    /// Returns the id of a redrive of the execution with this ARN. The redrive 0 is the execution as it was started.
    #[must_use]
    pub fn redriven(arn: String, redrive_count: u64) -> String {
        match redrive_count {
            0 => arn,
            count => format!("{arn}#{count}"),
        }
    }

    /// Returns the ARN in an execution's id. The name of an execution has no `#`.
    #[must_use]
    pub fn arn(id: &str) -> &str {
        id.split_once('#').map_or(id, |(arn, _)| arn)
    }
}
