//! The HTTP API: `GET /deepest?hours=24` and `GET /deepest/{name}`.
//!
//! API Gateway waits 30 seconds, and an answer for a month takes longer. So each question is an execution of the state
//! machine, and its name is the question: whoever asks the same in the same minute gets the same execution. What is
//! done within 20 seconds is the response. Otherwise the response says where the answer will be.

mod executions;
mod page;
mod question;
mod respond;

use std::time::{Duration, SystemTime};

use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use serde::Serialize;
use serde_json::{Value, json};
use thread::{Answer, HoursInvalid};

pub use executions::{Executions, Failure, Status, StepFunctions};
pub use question::Question;
use respond::respond;

/// How long a response may take. API Gateway waits 30 seconds.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(20);
/// How often the execution is looked at.
const POLL: Duration = Duration::from_millis(300);

/// What a request gets.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// The answer.
    Answered(Box<Answer>),
    /// The execution goes on.
    Pending(Question),
    /// The execution failed.
    Failed(Failure),
    /// The request is wrong.
    Wrong(HoursInvalid),
    /// There is no such question.
    Unknown,
    /// AWS does not do what it is asked to.
    Unavailable,
}

/// What is said of an outcome that is not an answer.
#[derive(Debug, Serialize)]
struct Notice {
    status: i64,
    title: &'static str,
    /// For programs.
    body: Value,
    /// For people.
    text: String,
}

/// Handles one request.
pub async fn handle(
    executions: &impl Executions,
    request: &ApiGatewayV2httpRequest,
    now: SystemTime,
) -> ApiGatewayV2httpResponse {
    let outcome = match request.path_parameters.get("name") {
        Some(name) => look(executions, name).await,
        None => ask(executions, request, now).await,
    };
    let outcome = outcome.unwrap_or_else(|error| {
        tracing::error!(%error, "no response");
        Outcome::Unavailable
    });
    respond(&outcome, request)
}

/// Starts the question's execution, or finds it, and waits for its end.
async fn ask(
    executions: &impl Executions,
    request: &ApiGatewayV2httpRequest,
    now: SystemTime,
) -> Result<Outcome, aws::AwsFailure> {
    let hours = request.query_string_parameters.first("hours").unwrap_or_default();
    let question = match hours.parse() {
        Ok(hours) => Question::new(hours, now),
        Err(wrong) => return Ok(Outcome::Wrong(wrong)),
    };
    executions
        .start(&question.to_string(), &question.input().to_string())
        .await?;
    let deadline = tokio::time::Instant::now() + RESPONSE_TIMEOUT;
    loop {
        let outcome = read(question, executions.look(&question.to_string()).await?);
        // One that was started a moment ago may not be found yet.
        let pending = matches!(outcome, Outcome::Pending(_) | Outcome::Unknown);
        if !pending {
            return Ok(outcome);
        }
        if tokio::time::Instant::now() + POLL > deadline {
            return Ok(Outcome::Pending(question));
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Looks at the execution of this name, once.
async fn look(executions: &impl Executions, name: &str) -> Result<Outcome, aws::AwsFailure> {
    let Ok(question) = name.parse::<Question>() else {
        return Ok(Outcome::Unknown);
    };
    Ok(read(question, executions.look(name).await?))
}

fn read(question: Question, status: Status) -> Outcome {
    match status {
        Status::Unknown => Outcome::Unknown,
        Status::Running => Outcome::Pending(question),
        Status::Succeeded(output) => match serde_json::from_str(&output) {
            Ok(answer) => Outcome::Answered(Box::new(answer)),
            Err(error) => Outcome::Failed(Failure {
                error: "AnswerUnreadable".to_owned(),
                cause: format!("the execution's output is no answer: {error}"),
            }),
        },
        Status::Failed(failure) => Outcome::Failed(failure),
    }
}

impl Outcome {
    /// Returns what is said of it, or `None` if it is an answer.
    fn notice(&self) -> Option<Notice> {
        let notice = |status, title, code: &str, text: String| Notice {
            status,
            title,
            body: json!({ "error": code, "message": text }),
            text,
        };
        Some(match self {
            Self::Answered(_) => return None,
            Self::Pending(question) => {
                let text = format!(
                    "The last {} hours are being read. The answer will be at /deepest/{question}.",
                    question.hours.get()
                );
                Notice {
                    status: 202,
                    title: "Not yet",
                    body: json!({ "name": question.to_string(), "message": text }),
                    text,
                }
            }
            Self::Failed(failure) => notice(502, "No answer", &failure.error, failure.cause.clone()),
            Self::Wrong(wrong) => notice(400, "How many hours?", "HoursInvalid", wrong.to_string()),
            Self::Unknown => notice(
                404,
                "Not found",
                "QuestionUnknown",
                "there is no such question: ask one, as in /deepest?hours=24".to_owned(),
            ),
            Self::Unavailable => notice(
                503,
                "No answer",
                "Unavailable",
                "the question could not be started: ask again in some minutes".to_owned(),
            ),
        })
    }
}

#[cfg(test)]
mod tests;
