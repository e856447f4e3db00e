//! Sources that refuse, are slow, or answer what cannot be. Each ends in an error that says so, and none in a loop.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fake_hn::{Counts, Fake, Response, Shape, Weather, World};
use find::{FindError, MAX_SEARCHES, Question};
use thread::Answer;

use crate::{NOW, source_of};

async fn ask(
    answer: impl Fn(&str, usize) -> Option<Response> + Send + Sync + 'static,
) -> (Result<Answer, FindError>, Counts) {
    let weather = Weather {
        answer: Some(Arc::new(answer)),
        ..Weather::default()
    };
    let world = World::grow(&Shape::small(3, NOW));
    let fake = Fake::serve(world, weather, 0).await.unwrap();
    let source = source_of(&fake);
    let question = Question {
        hours: 24.try_into().unwrap(),
        as_of: NOW,
    };
    let ended = tokio::time::timeout(Duration::from_secs(60), find::handle(&source, question)).await;
    (ended.unwrap(), fake.counts())
}

fn search(body: &'static str) -> impl Fn(&str, usize) -> Option<Response> + Send + Sync + 'static {
    move |target, _| target.contains("search_by_date").then(|| (200, body.to_owned()))
}

async fn name_of(answer: impl Fn(&str, usize) -> Option<Response> + Send + Sync + 'static) -> &'static str {
    let (ended, _) = ask(answer).await;
    let error = ended.unwrap_err();
    assert!(!error.to_string().is_empty());
    error.name()
}

#[tokio::test]
async fn a_storm_of_refusals_passes() {
    // Each request is refused twice, with one of several statuses.
    let refused = Mutex::new(HashMap::new());
    let (ended, counts) = ask(move |target, before| {
        let mut refused = refused.lock().unwrap();
        let times: &mut usize = refused.entry(target.to_owned()).or_default();
        *times += 1;
        (*times < 3).then(|| ([429, 500, 503][before % 3], String::new()))
    })
    .await;
    let answer = ended.unwrap();
    assert!(answer.complete);
    assert_eq!(
        counts.searches + counts.items + counts.trees,
        3 * answer.examined.requests
    );
}

#[tokio::test]
async fn a_source_that_goes_on_refusing_is_unavailable_after_three_tries() {
    for status in [429, 500, 503] {
        let (ended, counts) =
            ask(move |target, _| target.contains("search").then(|| (status, String::new()))).await;
        let error = ended.unwrap_err();
        assert_eq!(error.name(), "SearchUnavailable", "{status}");
        assert!(
            error.is_transient() && error.to_string().contains(&status.to_string()),
            "{error}"
        );
        assert!(counts.searches <= 6, "{counts:?}");
    }
    let items = |target: &str, _: usize| target.starts_with("/v0/").then(|| (503, String::new()));
    assert_eq!(name_of(items).await, "ItemUnavailable");
    let trees = |target: &str, _: usize| target.contains("/items/").then(|| (503, String::new()));
    assert_eq!(name_of(trees).await, "SearchUnavailable");
}

#[tokio::test]
async fn a_request_that_is_refused_for_good_is_not_sent_again() {
    let (ended, counts) = ask(|target, _| target.contains("search").then(|| (403, String::new()))).await;
    assert_eq!(ended.unwrap_err().name(), "SearchChanged");
    assert!(counts.searches <= 2, "{counts:?}");
}

#[tokio::test]
async fn malformed_answers_are_errors() {
    for body in [
        "",
        "{",
        "[]",
        "null",
        r#"{"hits":[]}"#,
        r#"{"nbHits":-1,"hits":[]}"#,
        // Hits that lack their number, their time, their parent, or their post.
        r#"{"nbHits":1,"hits":[{"created_at_i":1769999999,"parent_id":1,"story_id":1}]}"#,
        r#"{"nbHits":1,"hits":[{"objectID":"x","created_at_i":1769999999,"parent_id":1,"story_id":1}]}"#,
        r#"{"nbHits":1,"hits":[{"objectID":"2","parent_id":1,"story_id":1}]}"#,
        r#"{"nbHits":1,"hits":[{"objectID":"2","created_at_i":1769999999,"story_id":1}]}"#,
        r#"{"nbHits":1,"hits":[{"objectID":"2","created_at_i":1769999999,"parent_id":1}]}"#,
        // A hit of another time, and hits that are said to be there and are not.
        r#"{"nbHits":1,"hits":[{"objectID":"2","created_at_i":5,"parent_id":1,"story_id":1}]}"#,
        r#"{"nbHits":9,"hits":[]}"#,
    ] {
        assert_eq!(name_of(search(body)).await, "SearchChanged", "{body}");
    }
    for body in ["", "[]", r#"{"id":"x"}"#, r#"{"id":1,"parent":2}"#] {
        let items = move |target: &str, _: usize| target.starts_with("/v0/").then(|| (200, body.to_owned()));
        assert_eq!(name_of(items).await, "ItemChanged", "{body}");
    }
}

#[tokio::test]
async fn a_body_without_end_is_cut() {
    let huge = |_: &str, _: usize| Some((200, " ".repeat(3 << 20)));
    let (ended, _) = ask(huge).await;
    let error = ended.unwrap_err();
    assert_eq!(error.name(), "SearchChanged");
    assert!(error.to_string().contains("2097152 bytes"), "{error}");
}

#[tokio::test]
async fn a_search_that_never_gives_all_ends() {
    // Each second has more hits than are given.
    let dense = |target: &str, _: usize| {
        let (_, from) = target.split_once("%3E%3D")?;
        let from: i64 = from.split_once("%2C")?.0.parse().ok()?;
        let hit = format!(r#"{{"objectID":"9","created_at_i":{from},"parent_id":1,"story_id":1}}"#);
        Some((200, format!(r#"{{"nbHits":1001,"hits":[{hit}]}}"#)))
    };
    let (ended, counts) = ask(dense).await;
    assert_eq!(ended.unwrap_err().name(), "SliceTooDense");
    assert!(counts.searches <= MAX_SEARCHES, "{counts:?}");
    // And one that claims more than there can be.
    let endless = |target: &str, _: usize| {
        let (_, to) = target.split_once("%3C")?;
        let last: i64 = to.split_once('&')?.0.parse::<i64>().ok()? - 1;
        let hit = format!(r#"{{"objectID":"9","created_at_i":{last},"parent_id":1,"story_id":1}}"#);
        Some((200, format!(r#"{{"nbHits":99999999999,"hits":[{hit}]}}"#)))
    };
    let (ended, counts) = ask(endless).await;
    assert_eq!(ended.unwrap_err().name(), "SliceTooDense");
    assert!(counts.searches <= 2, "{counts:?}");
}

#[tokio::test]
async fn parents_in_a_circle_are_an_error() {
    let circle = |target: &str, _: usize| {
        if !target.contains("search_by_date") {
            return None;
        }
        let time = NOW - 10;
        Some((
            200,
            if target.contains("comment") && !target.contains("poll") {
                format!(
                    r#"{{"nbHits":2,"hits":[{{"objectID":"20","created_at_i":{time},"parent_id":21,"story_id":10}},
                   {{"objectID":"21","created_at_i":{time},"parent_id":20,"story_id":10}}]}}"#
                )
            } else {
                format!(
                    r#"{{"nbHits":1,"hits":[{{"objectID":"10","created_at_i":{time},"num_comments":2}}]}}"#
                )
            },
        ))
    };
    assert_eq!(name_of(circle).await, "ThreadCyclic");
}

#[tokio::test]
async fn parents_without_end_end() {
    // Each item is said to be below the next one.
    let endless = |target: &str, _: usize| {
        let id: u64 = target
            .strip_prefix("/v0/item/")?
            .split_once('.')?
            .0
            .parse()
            .ok()?;
        Some((
            200,
            format!(r#"{{"id":{id},"type":"comment","parent":{}}}"#, id + 100_000_000),
        ))
    };
    let (ended, counts) = ask(endless).await;
    ended.unwrap();
    assert!(counts.items < 10_000, "{counts:?}");
}

#[tokio::test]
async fn a_slow_source_is_waited_for_and_a_stuck_one_is_not() {
    let world = World::grow(&Shape::small(3, NOW));
    let expected = world.deepest(24, NOW).unwrap();
    let weather = Weather {
        search_delay: Duration::from_millis(300),
        item_delay: Duration::from_millis(20),
        ..Weather::default()
    };
    let fake = Fake::serve(world, weather, 0).await.unwrap();
    let source = source_of(&fake);
    let question = Question {
        hours: 24.try_into().unwrap(),
        as_of: NOW,
    };
    let answer = find::handle(&source, question).await.unwrap();
    assert_eq!(answer.post.unwrap().id, expected.post);

    let weather = Weather {
        search_delay: Duration::from_secs(3_600),
        ..Weather::default()
    };
    let fake = Fake::serve(World::default(), weather, 0).await.unwrap();
    let source = source_of(&fake);
    let source = source.with_timeout(Duration::from_millis(200));
    let began = std::time::Instant::now();
    let error = find::handle(&source, question).await.unwrap_err();
    assert_eq!(error.name(), "SearchUnavailable");
    assert!(error.to_string().contains("more than 200ms"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(10));
}
