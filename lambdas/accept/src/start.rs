//! Starts one execution for a push, however often its delivery comes.

use domain::push::Push;
use platform::aws::AwsFailure;

use crate::executions::Executions;

/// How many executions one push may have. Each one after the first was asked for by a person, by sending the webhook
/// again after a failure.
const EXECUTIONS: u32 = 50;

/// Why no execution could be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Step Functions does not answer, or refuses.
    #[error("the execution of push {push_id} could not be started")]
    Aws {
        push_id: String,
        #[source]
        source: AwsFailure,
    },
    /// The delivery's id was used before, for something else.
    #[error("push {push_id} was delivered before with another content: a delivery id must not be used twice")]
    AnotherContent { push_id: String },
    /// It has failed again and again.
    #[error("push {push_id} has failed {EXECUTIONS} times: look at its executions, and push again")]
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
    /// The HTTP status that says it.
    pub fn status(&self) -> i64 {
        match self {
            Self::Aws { source, .. } if source.transient => 503,
            Self::Aws { .. } | Self::Json { .. } => 500,
            Self::AnotherContent { .. } | Self::TooOften { .. } => 409,
        }
    }
}

/// Gives the ARN of the push's execution: the one that there is, or a new one where there is none or all have failed.
/// A new one goes on where the last one stopped.
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
    for number in 1..=EXECUTIONS {
        let name = if number == 1 {
            push_id.clone()
        } else {
            format!("{push_id}-{number}")
        };
        if let Some(arn) = executions.start(&name, &input).await.map_err(aws)? {
            return Ok(arn);
        }
        let existing = executions.describe(&name).await.map_err(aws)?;
        if serde_json::from_str::<Push>(&existing.input).ok().as_ref() != Some(push) {
            return Err(StartError::AnotherContent { push_id });
        }
        if !existing.failed {
            return Ok(existing.arn);
        }
    }
    Err(StartError::TooOften { push_id })
}
