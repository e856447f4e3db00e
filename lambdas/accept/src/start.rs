//! Starts one execution for a push, however often it is delivered.

use aws::AwsFailure;
use domain::push::Push;

use crate::executions::Executions;

/// The most executions of one push. A person asks for each one after the first, by sending the webhook again.
const MAX_EXECUTIONS: u32 = 50;

/// Why no execution could be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Step Functions does not respond, or refuses.
    #[error(
        "the execution of push {push_id} could not be started by {}: the log of the function accept says why",
        source.operation
    )]
    Aws {
        push_id: String,
        #[source]
        source: AwsFailure,
    },
    /// The delivery id was used before, for another change.
    #[error("push {push_id} was delivered before with another content: a delivery id must not be used twice")]
    AnotherContent { push_id: String },
    /// The push has had too many executions.
    #[error("push {push_id} has had {MAX_EXECUTIONS} executions: see why they failed, and push again")]
    TooOften { push_id: String },
    /// The push could not be written as JSON.
    #[error("push {push_id} could not be written as JSON")]
    Json {
        push_id: String,
        #[source]
        source: serde_json::Error,
    },
}

impl StartError {
    /// Returns the HTTP status of the response.
    pub fn status(&self) -> i64 {
        match self {
            Self::Aws { source, .. } if source.transient => 503,
            Self::Aws { .. } | Self::Json { .. } => 500,
            Self::AnotherContent { .. } | Self::TooOften { .. } => 409,
        }
    }
}

/// Returns the ARN of the push's execution: the one that is running or has delivered it, or a new one.
///
/// # Errors
/// Returns a [`StartError`] if there is no such execution and none can be started.
pub async fn start(executions: &impl Executions, push: &Push) -> Result<String, StartError> {
    let push_id = push.push_id.to_string();
    let aws = |source| StartError::Aws {
        push_id: push_id.clone(),
        source,
    };
    let input = serde_json::to_string(push).map_err(|source| StartError::Json {
        push_id: push_id.clone(),
        source,
    })?;
    for number in 1..=MAX_EXECUTIONS {
        let name = if number == 1 {
            push_id.clone()
        } else {
            format!("{push_id}-{number}")
        };
        if let Some(arn) = executions.start(&name, &input).await.map_err(aws)? {
            return Ok(arn);
        }
        let existing = executions.describe(&name).await.map_err(aws)?;
        if !serde_json::from_str::<Push>(&existing.input).is_ok_and(|there| is_same_change(&there, push)) {
            return Err(StartError::AnotherContent { push_id });
        }
        if !existing.may_be_followed {
            return Ok(existing.arn);
        }
    }
    Err(StartError::TooOften { push_id })
}

/// Returns whether two deliveries report the same change. The other fields of a push may differ, because another
/// version may parse them differently.
fn is_same_change(one: &Push, two: &Push) -> bool {
    (&one.repository, &one.ref_name, &one.before, &one.after)
        == (&two.repository, &two.ref_name, &two.before, &two.after)
}
