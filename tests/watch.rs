//! Pushes that are watched while they happen, by the stream of the trail's table. Other tests write to it at the same
//! time.

use std::collections::VecDeque;
use std::time::Duration;

use audit::samples::Samples as _;
use audit::{DynamoTrail, EventStore as _};
use deployed_stack::Error;
use deployed_stack::watch::{Watch, WatchedEvent, follow};
use domain::event::PushEvent;
use domain::push::{Push, PushId};
use domain::state::PushState;
use git_host::Options;
use shell::progress::Progress;
use testkit::http::{Host, Response};
use tokio::sync::mpsc;
use webhook::gitlab::Delivery;

use crate::DELIVERED;
use crate::fixtures::repository::MAIN;
use crate::fixtures::scene::{Run, Scene};
use crate::fixtures::stack::{Stack, stack};

/// How long an event may take from the table to the watch.
const TIMEOUT: Duration = Duration::from_secs(60);

async fn begin(stack: &Stack) -> Watch {
    Watch::begin(&stack.handle(), Progress::Silent).await.unwrap()
}

/// Returns the events that a filter lets pass, up to the one that is the last.
async fn watch(
    watch: &mut Watch,
    filter: impl Fn(&WatchedEvent) -> bool,
    is_last: impl Fn(&[WatchedEvent]) -> bool,
) -> Vec<WatchedEvent> {
    let mut seen = Vec::new();
    let last = async {
        while !is_last(&seen) {
            let events = watch.next().await.unwrap();
            seen.extend(events.into_iter().filter(&filter));
        }
    };
    let ended = tokio::time::timeout(TIMEOUT * 5, last).await;
    assert!(ended.is_ok(), "the last event was not seen: {seen:#?}");
    seen
}

fn closing(seen: &[WatchedEvent]) -> usize {
    seen.iter()
        .filter(|event| event.recorded.event.is_closing())
        .count()
}

/// Asserts that just the events of a push's trail were seen, in their order.
fn assert_seen(seen: &[WatchedEvent], run: &Run) {
    let of_push = seen.iter().filter(|event| event.push_id == run.push_id);
    let events: Vec<_> = of_push.map(|event| event.recorded.clone()).collect();
    assert_eq!(events, run.trail.events);
}

#[tokio::test]
async fn each_event_of_the_pushes_that_are_asked_for_is_seen_once_and_in_order() {
    let (scene, _host) = Scene::over_http("watched", Options::default()).await;
    let [repository, other, tail] =
        ["group/one", "group/other", "group/two"].map(|path| scene.repository(path));
    let hooks = [&repository, &other, &tail].map(|repository| {
        let commit = repository.commit_file("file", "content");
        scene.hook(&repository.path, MAIN, None, Some(&commit))
    });
    let mut watched = begin(scene.stack).await;
    let filter = |event: &WatchedEvent| {
        event.source.as_str() == scene.source && event.repository.as_str() != "group/other"
    };
    let (seen, one, _, two) = tokio::join!(
        watch(&mut watched, filter, |seen| closing(seen) == 2),
        scene.push(&hooks[0]),
        scene.push(&hooks[1]),
        scene.push(&hooks[2]),
    );
    assert_eq!(one.events(), DELIVERED);
    assert_seen(&seen, &one);
    assert_seen(&seen, &two);
    assert_eq!(seen.len(), 2 * DELIVERED.len());
    let line = seen[0].line();
    let push = &seen[0].push_id.to_string()[..8];
    assert!(
        line.contains(&format!(
            "  {push}  {} heads/main  PushReceived ",
            seen[0].repository
        )),
        "{line}"
    );
}

#[tokio::test]
async fn a_push_that_fails_says_what_to_do_and_the_watch_goes_on() {
    let host = Host::answering(|_| Response::unauthorized()).await;
    let scene = Scene::on("watched-failing", &host).await;
    let commit = "1".repeat(40);
    // A name that would turn the text after it.
    let branch = "refs/heads/evil\u{202e}";
    let mut watched = begin(scene.stack).await;
    for branch in [branch, MAIN] {
        let hook = scene.hook("group/project", branch, None, Some(&commit));
        let ours = |event: &WatchedEvent| event.source.as_str() == scene.source;
        let (seen, run) = tokio::join!(
            watch(&mut watched, ours, |seen| closing(seen) == 1),
            scene.push(&hook)
        );
        assert_seen(&seen, &run);
        let failed = seen.last().unwrap();
        let remedy = domain::error::remedy("AuthenticationFailed");
        assert_eq!(failed.remedy(), Some(remedy));
        let lines: Vec<_> = seen.iter().map(WatchedEvent::line).collect();
        assert!(lines.iter().all(|line| !line.contains('\u{202e}')), "{lines:#?}");
        let line = lines.last().unwrap();
        assert!(
            line.contains("Fetch: AuthenticationFailed; altogether ") && line.matches(remedy).count() == 1,
            "{line}"
        );
        // Who follows this push alone sees the same, and how it ended.
        let (again, push) = follow_to_the_end(scene.stack, run.push_id).await;
        assert_eq!(again, seen);
        assert!(push.unwrap().failure.is_some());
    }
}

#[tokio::test]
async fn a_push_is_followed_from_before_its_first_event_until_it_is_closed() {
    let (scene, _host) = Scene::over_http("followed", Options::default()).await;
    let repository = scene.repository("group/project");
    let commit = repository.commit_file("file", "content");
    let hook = scene.hook(&repository.path, MAIN, None, Some(&commit));
    let delivery = Delivery::fresh();
    let push_id = crate::push_id(&scene, &delivery, MAIN);
    let ((seen, push), run) = tokio::join!(
        follow_to_the_end(scene.stack, push_id),
        scene.deliver(&hook, &delivery)
    );
    assert_seen(&seen, &run);
    assert_eq!(push, run.trail.state);
    assert!(push.unwrap().failure.is_none());
}

#[tokio::test]
async fn a_push_that_has_begun_is_followed_without_a_gap_and_without_a_repetition() {
    let stack = stack().await;
    let trail = stack.handle().trail().unwrap();
    for begun in 1..=5 {
        let (mut push, events) = Begun::with(&trail, begun).await;
        let (sender, mut seen) = mpsc::unbounded_channel();
        let (handle, id) = (stack.handle(), push.id);
        let following = tokio::spawn(async move {
            follow(&handle, id, Progress::Silent, |event| {
                sender.send(event.recorded.event.clone()).unwrap();
                Ok::<_, Error>(())
            })
            .await
        });
        // Of every second push they come at any time, also between the readings of the stream and of the trail.
        let is_at_once = begun % 2 == 0;
        while is_at_once && !push.left.is_empty() {
            push.append().await;
        }
        for (number, expected) in events.iter().enumerate() {
            if number >= begun && !is_at_once {
                push.append().await;
            }
            let event = tokio::time::timeout(TIMEOUT, seen.recv()).await.unwrap();
            assert_eq!(event.as_ref(), Some(expected));
        }
        let followed = following.await.unwrap().unwrap();
        assert_eq!(followed, push.state);
        assert_eq!(seen.recv().await, None);
    }
}

#[tokio::test]
async fn a_push_that_had_begun_before_the_watch_is_seen_from_then_on() {
    let stack = stack().await;
    let trail = stack.handle().trail().unwrap();
    let (mut push, events) = Begun::with(&trail, 2).await;
    let mut watched = begin(stack).await;
    for _ in 2..events.len() {
        push.append().await;
    }
    let ours = |event: &WatchedEvent| event.push_id == push.id;
    let seen = watch(&mut watched, ours, |seen| closing(seen) == 1).await;
    let repository = &push.state.as_ref().unwrap().push.repository;
    assert!(seen.iter().all(|event| event.repository == *repository));
    let seen: Vec<_> = seen.into_iter().map(|event| event.recorded.event).collect();
    assert_eq!(seen, events[2..]);
}

#[tokio::test]
async fn there_is_no_push_of_an_unknown_id() {
    let id = "00000000-0000-5000-8000-000000000000".parse().unwrap();
    assert_eq!(follow_to_the_end(stack().await, id).await, (vec![], None));
}

#[tokio::test]
async fn a_stack_whose_table_has_no_stream_has_to_be_deployed_again() {
    let deployed = stack().await.handle();
    let mut outputs = deployed.outputs().clone();
    outputs.remove("TableStreamArn");
    let before = deployed_stack::Stack::new("push-code", outputs, deployed.config().clone());
    let error = Watch::begin(&before, Progress::Silent).await.unwrap_err();
    assert!(matches!(error, Error::StreamMissing { .. }), "{error:?}");
    assert!(error.to_string().contains("deploy this one"), "{error}");
}

/// Follows a push, and returns its events and what it is in the end.
async fn follow_to_the_end(stack: &Stack, id: PushId) -> (Vec<WatchedEvent>, Option<PushState>) {
    let mut seen = Vec::new();
    let handle = stack.handle();
    let followed = follow(&handle, id, Progress::Silent, |event| {
        seen.push(event.clone());
        Ok::<_, Error>(())
    });
    let push = followed.await.unwrap();
    (seen, push)
}

/// A push whose events the test writes itself.
struct Begun<'a> {
    trail: &'a DynamoTrail<Push>,
    id: PushId,
    state: Option<PushState>,
    left: VecDeque<PushEvent>,
}

impl<'a> Begun<'a> {
    /// Returns a push that has so many of its events.
    async fn with(trail: &'a DynamoTrail<Push>, begun: usize) -> (Self, Vec<PushEvent>) {
        // The one that is superseded, which is closed once.
        let (id, events) = Push::histories().swap_remove(1);
        let mut push = Self {
            trail,
            id,
            state: None,
            left: events.clone().into(),
        };
        for _ in 0..begun {
            push.append().await;
        }
        (push, events)
    }

    /// Appends the next event, if there is one.
    async fn append(&mut self) {
        if let Some(event) = self.left.pop_front() {
            self.state = self.trail.try_append(self.state.take(), event).await.unwrap();
        }
    }
}
