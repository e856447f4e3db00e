//! What people are told of a push that has failed.

use std::io::Write;

use aws_sdk_sfn::types::ExecutionStatus;
use serde_json::json;
use shell::output::one_line;

use super::super::execution::{EndedPush, failure};
use super::kind::FailureKind;
use super::mail::{MAIL_TIMEOUT, Mail};
use crate::Error;
use crate::results::Results;

/// Shows the failure and the mail of a push, which was to fail as `kind` says. `folder` is the folder that it was
/// pushed from, or `None` if it is on a git host.
///
/// # Errors
/// Returns an error if the push has not failed so, or if there was no mail.
pub fn report(
    (kind, folder): (FailureKind, Option<&str>),
    push: &EndedPush,
    mail: Option<&Mail>,
    results: &mut Results<impl Write>,
) -> Result<(), Error> {
    let (push_id, promised) = (push.push_id.to_string(), kind.code());
    let not_failed = |instead: String| Error::NotFailed {
        push_id: push_id.clone(),
        promised: promised.as_str(),
        instead,
    };
    if push.ended.status == ExecutionStatus::Succeeded {
        let status = push.trail.state.as_ref().map(|state| state.status.to_string());
        return Err(not_failed(format!(
            "is {}",
            status.as_deref().unwrap_or("unknown")
        )));
    }
    let (error, cause) = failure(&push.ended);
    let remedy = domain::error::remedy(&error);
    results.put(json!({ "failed": { "error": error, "cause": cause, "remedy": remedy } }));
    results.text(format!(
        "\nThe execution failed\n  error    {error}\n  cause    {}{}",
        one_line(&cause),
        deployed_stack::remedy(&error, &cause)
    ))?;
    if let Some(mail) = mail {
        results.put(json!({ "mail": mail }));
        results.text(format!(
            "\nThe mail, to which SNS adds a link to unsubscribe\n\n  Subject: {}\n\n  {}",
            mail.subject,
            mail.text.replace('\n', "\n  ")
        ))?;
    }
    if error != promised.as_str() {
        return Err(not_failed(format!("has failed with {error}: {cause}")));
    }
    if mail.is_none() {
        return Err(Error::NoMail {
            push_id,
            seconds: MAIL_TIMEOUT.as_secs(),
        });
    }
    // A folder has a git host only during `local push`, so that a retry would find none.
    let again = match folder {
        Some(folder) => format!("push-code local push {folder}"),
        None => format!("push-code retry {push_id} --local"),
    };
    results.text(format!("\nNext\n  push-code explain {promised}\n  {again}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use deployed_stack::follow::Ended;
    use deployed_stack::trail::Trail;
    use domain::error::Code;
    use domain::samples;
    use serde_json::Value;

    use super::*;
    use crate::results::Format;

    fn ended(status: ExecutionStatus, error: Option<&str>) -> EndedPush {
        EndedPush {
            push_id: samples::push("1", "refs/heads/main").push_id,
            ended: Ended {
                status,
                output: None,
                error: error.map(str::to_owned),
                cause: error.map(|_| "the commit is gone".to_owned()),
                took: Duration::ZERO,
            },
            trail: Trail {
                events: vec![],
                state: None,
            },
        }
    }

    fn mail() -> Mail {
        Mail {
            subject: "Push failed".to_owned(),
            text: "A push has failed.\n\nRef: refs/heads/main".to_owned(),
        }
    }

    fn shown(push: &EndedPush, mail: Option<&Mail>, format: Format) -> (Result<(), Error>, String) {
        let mut written = Vec::new();
        let mut results = Results::new(&mut written, format);
        let shown = report(
            (FailureKind::Commit, Some("../project")),
            push,
            mail,
            &mut results,
        );
        results.end(shown.as_ref().err()).unwrap();
        (shown, String::from_utf8(written).unwrap())
    }

    #[test]
    fn a_failure_is_shown_with_its_whole_mail_and_what_comes_next() {
        let push = ended(ExecutionStatus::Failed, Some("CommitNotFound"));
        let (shown_so, text) = shown(&push, Some(&mail()), Format::Text);
        assert!(shown_so.is_ok(), "{text}");
        let remedy = Code::CommitNotFound.remedy();
        for part in [
            "  error    CommitNotFound\n",
            &format!("  cause    the commit is gone {remedy}\n"),
            "  Subject: Push failed\n\n  A push has failed.\n  \n  Ref: refs/heads/main\n",
            "push-code explain CommitNotFound\n",
            "push-code local push ../project\n",
        ] {
            assert!(text.contains(part), "{part:?} is not in {text}");
        }
        let (_, json) = shown(&push, Some(&mail()), Format::Json);
        let json: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(
            json,
            json!({
                "failed": { "error": "CommitNotFound", "cause": "the commit is gone", "remedy": remedy },
                "mail": { "subject": "Push failed", "text": mail().text },
            })
        );
    }

    #[test]
    fn a_push_that_has_not_failed_so_or_without_a_mail_is_an_error() {
        for (push, mail, part) in [
            (
                ended(ExecutionStatus::Succeeded, None),
                Some(mail()),
                "was to fail with CommitNotFound, and is",
            ),
            (
                ended(ExecutionStatus::Failed, Some("CredentialsMissing")),
                Some(mail()),
                "has failed with CredentialsMissing: the commit is gone",
            ),
            (
                ended(ExecutionStatus::Failed, Some("CommitNotFound")),
                None,
                "no mail",
            ),
        ] {
            let (shown, text) = shown(&push, mail.as_ref(), Format::Text);
            let error = shown.unwrap_err();
            assert_eq!(error.exit_code(), 1);
            let told = error.to_string();
            assert!(
                told.contains(part) && told.contains(&push.push_id.to_string()),
                "{told}"
            );
            assert!(!text.contains("push-code retry"), "{text}");
        }
    }
}
