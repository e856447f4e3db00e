//! Starts one execution for a push, however often its delivery comes.

use aws::AwsFailure;
use domain::push::Push;

use crate::executions::Executions;

/// How many executions one push may have. Each one after the first was asked for by a person, by sending the webhook
/// again.
const EXECUTIONS: u32 = 50;

/// Why no execution could be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Step Functions does not answer, or refuses.
    #[error(
        "the execution of push {push_id} could not be started by {}: the log of the function accept says why",
        source.operation
    )]
    Aws {
        push_id: String,
        #[source]
        source: AwsFailure,
    },
    /// The delivery's id was used before, for something else.
    #[error("push {push_id} was delivered before with another content: a delivery id must not be used twice")]
    AnotherContent { push_id: String },
    /// It has failed again and again.
    #[error("push {push_id} has had {EXECUTIONS} executions: look at them, and push again")]
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

/// Gives the ARN of the push's execution: the one that runs or has delivered it, or a new one.
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
        if !serde_json::from_str::<Push>(&existing.input).is_ok_and(|there| is_same_change(&there, push)) {
            return Err(StartError::AnotherContent { push_id });
        }
        if !existing.may_be_followed {
            return Ok(existing.arn);
        }
    }
    Err(StartError::TooOften { push_id })
}

/// Whether two deliveries report the same. What else a push says may be read otherwise after a deployment.
fn is_same_change(one: &Push, two: &Push) -> bool {
    (&one.repository, &one.ref_name, &one.before, &one.after)
        == (&two.repository, &two.ref_name, &two.before, &two.after)
}
