//! Tests the example application as it is deployed: its template, its functions' binaries and its state machine, in a
//! local AWS of its own, about Hacker News that are made up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use deployed_stack::Stack;
use fake_hn::{Fake, Shape, State, Weather, World};
use local_aws::application::DEEPEST_THREAD;
use local_aws::aws::{LocalAws, StackOptions};
use local_aws::ministack::Settings;
use reqwest::header::{ACCEPT, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use serde_json::Value;
use shell::progress::Progress;
use tokio::time::{Instant, sleep};

use crate::fixtures::strict;

/// The hours of a question that the search refuses for good, and of one that it does not answer.
const REFUSED: i64 = 13;
const UNANSWERED: i64 = 14;

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_secs().cast_signed()
}

/// A world of which one post has a thread of ten levels, with five gone ones in it, which are asked for one after
/// another.
fn slow_world() -> World {
    let (mut world, began) = (World::default(), now() - 1_800);
    // The window begins before the post.
    world.post(1, began - 360_000);
    world.comment(2, 1, began - 60);
    world.post(10, began);
    for number in 0..10 {
        world.comment(11 + number, 10 + number, began + 60);
    }
    for gone in 12..17 {
        world.set(gone, State::Dead);
    }
    world
}

async fn get(url: &str, accept: &str) -> Response {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    client.get(url).header(ACCEPT, accept).send().await.unwrap()
}

fn options(name: &str, fake: &Fake) -> StackOptions {
    StackOptions {
        name: name.to_owned(),
        parameters: BTreeMap::from([
            ("SearchUrl".to_owned(), fake.search_url()),
            ("ItemsUrl".to_owned(), fake.items_url()),
        ]),
        ..StackOptions::of(DEEPEST_THREAD)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_answers_waits_and_says_why_not() {
    let world = World::grow(&Shape::real(48, now() + 3_600));
    let refusals = Arc::new(|target: &str, _: usize| {
        let (_, times) = target.split_once("%3E%3D")?;
        let (from, rest) = times.split_once("%2Ccreated_at_i%3C")?;
        let to = rest.split('&').next()?;
        let hours = (to.parse::<i64>().ok()? - from.parse::<i64>().ok()?) / 3_600;
        match hours {
            REFUSED => Some((403, "no".to_owned())),
            UNANSWERED => Some((503, "later".to_owned())),
            _ => None,
        }
    });
    let weather = Weather {
        answer: Some(refusals),
        ..Weather::default()
    };
    let fake = Fake::serve(world.clone(), weather, 0).await.unwrap();
    let weather = Weather {
        search_delay: Duration::from_secs(2),
        item_delay: Duration::from_secs(4),
        ..Weather::default()
    };
    let slow = Fake::serve(slow_world(), weather, 0).await.unwrap();
    let settings = Settings {
        port: 0,
        wait_scale: Some(0.0),
        middleware: Some(strict::middleware()),
    };
    let mut local = LocalAws::start(
        &settings,
        &options("deepest-thread", &fake),
        Progress::on_stderr(),
    )
    .await
    .unwrap();
    let stack = local.stack_named("deepest-thread").unwrap();
    let slow_stack = local.deploy(&options("slow", &slow)).await.unwrap();

    tokio::join!(
        answers(&stack, &world),
        fails(&stack),
        refuses_what_is_no_question(&stack),
        waits(&slow_stack),
    );
    let refused = strict::refused(local.folder());
    assert!(refused.is_empty(), "AWS refuses this: {refused:#?}");
}

/// A question is answered at once, for a program and for a browser, by one execution.
async fn answers(stack: &Stack, world: &World) {
    let url = format!("{}?hours=24", stack.output("DeepestUrl").unwrap());
    let response = get(&url, "*/*").await;
    assert_eq!(response.status(), StatusCode::OK);
    let answer: thread::Answer = response.json().await.unwrap();
    let expected = world.deepest(24, answer.as_of).unwrap();
    assert!(answer.as_of % 60 == 0 && (now() - answer.as_of) < 120);
    assert_eq!(
        (answer.post.unwrap().id, answer.depth),
        (expected.post, expected.depth)
    );
    assert!(answer.complete);

    let name = format!("deepest-24-{}", answer.as_of / 60);
    let page = get(
        &format!("{}/{name}", stack.output("DeepestUrl").unwrap()),
        "text/html",
    )
    .await;
    assert_eq!(page.status(), StatusCode::OK);
    assert!(
        page.headers()[CONTENT_TYPE]
            .to_str()
            .unwrap()
            .starts_with("text/html")
    );
    let page = page.text().await.unwrap();
    assert!(page.contains(&format!("Post {}", expected.post)), "{page}");

    // Whoever asks in the same minute gets the same execution.
    let again: Vec<_> = futures::future::join_all((0..5).map(|_| get(&url, "*/*"))).await;
    assert!(again.iter().all(|response| response.status() == StatusCode::OK));
    let executions = stack.step_functions();
    let list = executions
        .list_executions()
        .state_machine_arn(stack.output("StateMachineArn").unwrap());
    let list = list.send().await.unwrap().executions;
    let of_24: Vec<_> = list
        .iter()
        .filter(|one| one.name.starts_with("deepest-24-"))
        .collect();
    let minutes = (now() - answer.as_of) / 60 + 1;
    assert!(of_24.len() as i64 <= minutes, "{of_24:?}");
}

/// A failed execution says why. An error that may pass is retried by the state machine.
async fn fails(stack: &Stack) {
    for (hours, error, attempts) in [
        (REFUSED, "SearchChanged", 1),
        (UNANSWERED, "SearchUnavailable", 4),
    ] {
        let url = stack.output("DeepestUrl").unwrap();
        let mut response = get(&format!("{url}?hours={hours}"), "*/*").await;
        while response.status() == StatusCode::ACCEPTED {
            let place = response.headers()[LOCATION].to_str().unwrap();
            let place = format!("{}{place}", url.strip_suffix("/deepest").unwrap());
            sleep(Duration::from_secs(1)).await;
            response = get(&place, "*/*").await;
        }
        assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["error"], error);
        let message = body["message"].as_str().unwrap();
        assert!(
            message.contains("the search") && !message.contains("errorMessage"),
            "{message}"
        );

        let client = stack.step_functions();
        let list = client
            .list_executions()
            .state_machine_arn(stack.output("StateMachineArn").unwrap());
        let list = list.send().await.unwrap().executions;
        let name = format!("deepest-{hours}-");
        let execution = list.iter().find(|one| one.name.starts_with(&name)).unwrap();
        let history = client
            .get_execution_history()
            .execution_arn(&execution.execution_arn);
        let history = history.send().await.unwrap().events;
        let failed = history.iter().filter(|event| {
            event.task_failed_event_details.is_some() || event.lambda_function_failed_event_details.is_some()
        });
        assert_eq!(failed.count(), attempts, "{error}");
    }
}

async fn refuses_what_is_no_question(stack: &Stack) {
    let url = stack.output("DeepestUrl").unwrap();
    for (path, status) in [
        ("", 400),
        ("?hours=0", 400),
        ("?hours=721", 400),
        ("/deepest-24-1", 404),
        ("/other", 404),
    ] {
        assert_eq!(
            get(&format!("{url}{path}"), "*/*").await.status(),
            status,
            "{path}"
        );
    }
}

/// What takes longer than the gateway would wait is answered at another place.
async fn waits(stack: &Stack) {
    let url = stack.output("DeepestUrl").unwrap();
    let began = Instant::now();
    let response = get(&format!("{url}?hours=1"), "*/*").await;
    let took = began.elapsed();
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    assert!(
        took > Duration::from_secs(15) && took < Duration::from_secs(29),
        "{took:?}"
    );
    assert_eq!(response.headers()[RETRY_AFTER], "5");
    let place = response.headers()[LOCATION].to_str().unwrap().to_owned();
    let place = format!("{}{place}", url.strip_suffix("/deepest").unwrap());
    let answer = loop {
        let response = get(&place, "*/*").await;
        if response.status() == StatusCode::OK {
            break response.json::<thread::Answer>().await.unwrap();
        }
        assert_eq!(response.status(), StatusCode::ACCEPTED);
        assert!(began.elapsed() < Duration::from_secs(120));
        sleep(Duration::from_secs(1)).await;
    };
    assert_eq!((answer.post.unwrap().id, answer.depth), (10, 10));
}
