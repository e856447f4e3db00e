//! What a request is answered with, by executions in memory.

use std::sync::Mutex;
use std::time::UNIX_EPOCH;

use aws_lambda_events::encodings::Body;
use aws_lambda_events::query_map::QueryMap;
use thread::Examined;

use super::*;

/// Executions whose statuses are given in turn, the last one for ever.
#[derive(Default)]
struct Scripted {
    statuses: Mutex<Vec<Status>>,
    calls: Mutex<Vec<String>>,
    refuses: bool,
}

impl Scripted {
    fn of(statuses: impl IntoIterator<Item = Status>) -> Self {
        Self {
            statuses: Mutex::new(statuses.into_iter().collect()),
            ..Self::default()
        }
    }

    fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }
}

impl Executions for Scripted {
    async fn start(&self, name: &str, input: &str) -> Result<(), aws::AwsFailure> {
        self.calls.lock().unwrap().push(format!("start {name} {input}"));
        if self.refuses {
            return Err(aws::AwsFailure::of_item(
                "states:StartExecution",
                Some("AccessDenied"),
                None,
            ));
        }
        Ok(())
    }

    async fn look(&self, name: &str) -> Result<Status, aws::AwsFailure> {
        self.calls.lock().unwrap().push(format!("look {name}"));
        let mut statuses = self.statuses.lock().unwrap();
        Ok(if statuses.len() > 1 {
            statuses.remove(0)
        } else {
            statuses[0].clone()
        })
    }
}

fn answer() -> Answer {
    Answer {
        as_of: 600,
        hours: "24".parse().unwrap(),
        post: None,
        depth: 0,
        deepest_comment: None,
        path: vec![],
        thread: vec![],
        examined: Examined::default(),
        complete: true,
        unanswered: vec![],
    }
}

fn succeeded() -> Status {
    Status::Succeeded(serde_json::to_string(&answer()).unwrap())
}

/// Returns the status, the headers as one text, and the body.
async fn get(executions: &Scripted, path: &str, accept: &str) -> (i64, String, String) {
    let mut request = ApiGatewayV2httpRequest::default();
    request.headers.insert("accept", accept.parse().unwrap());
    match path.split_once("?hours=") {
        Some((_, hours)) => {
            let parameters = [("hours".to_owned(), vec![hours.to_owned()])];
            request.query_string_parameters = QueryMap::from(std::collections::HashMap::from(parameters));
        }
        None => {
            if let Some(name) = path.strip_prefix("/deepest/") {
                request.path_parameters.insert("name".to_owned(), name.to_owned());
            }
        }
    }
    let now = UNIX_EPOCH + Duration::from_secs(601);
    let response = handle(executions, &request, now).await;
    let Some(Body::Text(body)) = response.body else {
        panic!("no text");
    };
    (response.status_code, format!("{:?}", response.headers), body)
}

#[tokio::test(start_paused = true)]
async fn a_question_is_answered_as_soon_as_its_execution_ends() {
    let executions = Scripted::of([Status::Unknown, Status::Running, Status::Running, succeeded()]);
    let began = tokio::time::Instant::now();
    let (status, headers, body) = get(&executions, "/deepest?hours=24", "*/*").await;
    assert_eq!((status, body), (200, serde_json::to_string(&answer()).unwrap()));
    assert!(headers.contains("application/json"), "{headers}");
    assert!(began.elapsed() < Duration::from_secs(1));
    let calls = executions.calls();
    assert_eq!(calls[0], r#"start deepest-24-10 {"as_of":600,"hours":24}"#);
    assert_eq!(calls[1..], vec!["look deepest-24-10"; 4]);
}

#[tokio::test(start_paused = true)]
async fn a_question_that_takes_longer_gets_a_place_to_look() {
    let executions = Scripted::of([Status::Running]);
    let began = tokio::time::Instant::now();
    let (status, headers, body) = get(&executions, "/deepest?hours=720", "*/*").await;
    assert_eq!(status, 202);
    let waited = began.elapsed();
    assert!(
        waited <= RESPONSE_TIMEOUT && waited > RESPONSE_TIMEOUT - 2 * POLL,
        "{waited:?}"
    );
    assert!(
        headers.contains(r#""location": "/deepest/deepest-720-10""#),
        "{headers}"
    );
    assert!(headers.contains(r#""retry-after": "5""#), "{headers}");
    assert!(body.contains("deepest-720-10"), "{body}");
}

#[tokio::test(start_paused = true)]
async fn a_place_is_looked_at_once() {
    for (found, expected) in [(Status::Running, 202), (succeeded(), 200), (Status::Unknown, 404)] {
        let executions = Scripted::of([found]);
        let (status, _, _) = get(&executions, "/deepest/deepest-24-10", "*/*").await;
        assert_eq!(status, expected);
        assert_eq!(executions.calls(), ["look deepest-24-10"]);
    }
}

#[tokio::test]
async fn a_name_that_is_no_question_is_not_looked_for() {
    let executions = Scripted::of([succeeded()]);
    let (status, _, body) = get(&executions, "/deepest/deepest-24-10x", "*/*").await;
    assert_eq!(status, 404);
    assert!(body.contains("QuestionUnknown"), "{body}");
    assert!(executions.calls().is_empty());
}

#[tokio::test]
async fn hours_out_of_bounds_start_nothing_and_get_the_rule() {
    let executions = Scripted::of([succeeded()]);
    for path in [
        "/deepest",
        "/deepest?hours=0",
        "/deepest?hours=721",
        "/deepest?hours=x",
        "/deepest?hours=",
    ] {
        let (status, _, body) = get(&executions, path, "*/*").await;
        assert_eq!(status, 400, "{path}");
        assert!(
            body.contains("HoursInvalid") && body.contains("1 to 720"),
            "{body}"
        );
    }
    assert!(executions.calls().is_empty());
}

#[tokio::test]
async fn a_failed_execution_says_why() {
    let failed = Status::Failed(Failure {
        error: "SearchUnavailable".to_owned(),
        cause: "the search <does> not answer".to_owned(),
    });
    let (status, _, body) = get(&Scripted::of([failed.clone()]), "/deepest?hours=24", "*/*").await;
    assert_eq!(status, 502);
    assert_eq!(
        serde_json::from_str::<Value>(&body).unwrap(),
        json!({ "error": "SearchUnavailable", "message": "the search <does> not answer" })
    );
    let (status, headers, body) = get(&Scripted::of([failed]), "/deepest?hours=24", "text/html").await;
    assert_eq!(status, 502);
    assert!(
        headers.contains("text/html") && headers.contains("default-src 'none'"),
        "{headers}"
    );
    assert!(body.contains("&lt;does&gt;"), "{body}");
}

#[tokio::test]
async fn an_output_that_is_no_answer_is_a_failure() {
    let executions = Scripted::of([Status::Succeeded("{}".to_owned())]);
    let (status, _, body) = get(&executions, "/deepest?hours=24", "*/*").await;
    assert_eq!(status, 502);
    assert!(body.contains("AnswerUnreadable"), "{body}");
}

#[tokio::test]
async fn what_aws_says_of_roles_stays_in_the_log() {
    let executions = Scripted {
        refuses: true,
        ..Scripted::of([succeeded()])
    };
    let (status, _, body) = get(&executions, "/deepest?hours=24", "*/*").await;
    assert_eq!(status, 503);
    assert!(!body.contains("AccessDenied"), "{body}");
}
