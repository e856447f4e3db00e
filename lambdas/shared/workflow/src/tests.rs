//! Runs stages on a trail in memory: copies, failures, and executions that are over.

use std::sync::atomic::{AtomicUsize, Ordering};

use domain::contract::{Archive, Envelope, FetchedCommit, Stage, Uploaded, Validated};
use domain::error::Class;
use domain::event::PushEvent;
use domain::state::{PushState, Status};

use super::*;
use audit::faulty::{Fault, FaultyTrail};
use audit::samples;

const TIME_LIMIT: Duration = Duration::from_secs(60);
const ATTEMPTS: usize = MAX_ATTEMPTS as usize;

#[derive(Debug, thiserror::Error)]
#[error("it has failed")]
struct Broken(Code);

impl Coded for Broken {
    fn code(&self) -> Code {
        self.0
    }
}

fn envelope(push: &Push, execution_id: &str) -> Envelope<()> {
    Envelope {
        push: push.clone(),
        execution: samples::execution(execution_id),
        attempt: 2,
        input: (),
    }
}

/// A push and its trail.
struct Scene {
    trail: FaultyTrail,
    push: Push,
}

impl Scene {
    fn of_new_push() -> Self {
        Self {
            trail: FaultyTrail::default(),
            push: samples::push(),
        }
    }

    /// A push whose trail the execution e1 has begun, with these further events.
    async fn after(events: impl IntoIterator<Item = PushEvent>) -> Self {
        let scene = Self::of_new_push();
        scene.happens(samples::received(&scene.push, "e1")).await;
        for event in events {
            scene.happens(event).await;
        }
        scene
    }

    async fn validated() -> Self {
        Self::after([PushEvent::PushValidated(samples::deliver())]).await
    }

    async fn happens(&self, event: PushEvent) {
        let state = self.state().await;
        let written = self.trail.trail.try_append(state, event).await.unwrap();
        assert!(written.is_some());
    }

    async fn state(&self) -> Option<PushState> {
        self.trail.load(self.push.push_id).await.unwrap()
    }

    fn events(&self) -> Vec<PushEvent> {
        let recorded = self.trail.trail.events_of(self.push.push_id);
        recorded.into_iter().map(|recorded| recorded.event).collect()
    }

    fn event_names(&self) -> Vec<&'static str> {
        self.events().iter().map(PushEvent::name).collect()
    }

    /// Runs a stage of an execution.
    async fn run<O: StageOutput<Push> + Serialize>(
        &self,
        stage: Stage,
        execution_id: &str,
        work: impl AsyncFn() -> Result<O, Broken>,
    ) -> Result<O, Failed> {
        let envelope = envelope(&self.push, execution_id);
        execute(stage, &self.trail, &envelope, TIME_LIMIT, async |_| work().await).await
    }

    /// Runs `Fetch` of the execution e1.
    async fn fetch(
        &self,
        work: impl AsyncFn() -> Result<FetchedCommit, Broken>,
    ) -> Result<FetchedCommit, Failed> {
        self.run(Stage::Fetch, "e1", work).await
    }

    /// Runs a stage whose work must not be called.
    async fn run_idle<O: StageOutput<Push> + Serialize>(
        &self,
        stage: Stage,
        execution_id: &str,
    ) -> Result<O, Failed> {
        let work = async || -> Result<O, Broken> { panic!("{stage} has nothing to do") };
        self.run(stage, execution_id, work).await
    }
}

#[tokio::test]
async fn the_first_stage_begins_the_trail_and_each_stage_records_its_output() {
    let scene = Scene::of_new_push();
    let validated = Validated::Deliver(samples::deliver());
    let output = scene
        .run(Stage::Validate, "e1", async || Ok(validated.clone()))
        .await;
    assert_eq!(output.unwrap(), validated);
    let fetched = samples::fetched(7);
    assert_eq!(scene.fetch(async || Ok(fetched.clone())).await.unwrap(), fetched);
    let Validated::Deliver(deliver) = validated else {
        unreachable!()
    };
    let events = [
        samples::received(&scene.push, "e1"),
        PushEvent::PushValidated(deliver),
        PushEvent::CommitFetched(fetched),
    ];
    assert_eq!(scene.events(), events);
}

#[tokio::test]
async fn a_stage_that_is_done_is_not_run_again() {
    let scene = Scene::validated().await;
    let fetched = samples::fetched(7);
    scene.fetch(async || Ok(fetched.clone())).await.unwrap();
    let again = scene.run_idle::<FetchedCommit>(Stage::Fetch, "e1").await;
    assert_eq!(again.unwrap(), fetched);
    assert_eq!(scene.events().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn two_copies_of_a_stage_both_return_the_output_that_is_recorded_first() {
    let scene = Scene::validated().await;
    let (fast, slow) = (samples::fetched(1_000), samples::fetched(1_001));
    let output = scene
        .fetch(async || {
            let output = scene.fetch(async || Ok(fast.clone())).await;
            assert_eq!(output.unwrap(), fast);
            Ok(slow.clone())
        })
        .await;
    assert_eq!(output.unwrap(), fast);
    assert_eq!(
        scene.event_names(),
        ["PushReceived", "PushValidated", "CommitFetched"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_copy_of_a_stage_that_fails_returns_the_output_of_the_one_that_has_succeeded() {
    for code in [Code::CommitNotFound, Code::GitHostUnreachable] {
        let scene = Scene::validated().await;
        let fast = samples::fetched(1_000);
        let output = scene
            .fetch(async || {
                scene.fetch(async || Ok(fast.clone())).await.unwrap();
                Err(Broken(code))
            })
            .await;
        assert_eq!(output.unwrap(), fast);
        assert_eq!(
            scene.event_names(),
            ["PushReceived", "PushValidated", "CommitFetched"]
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_copy_of_a_stage_succeeds_even_if_another_one_has_failed() {
    let scene = Scene::validated().await;
    let slow = samples::fetched(1_001);
    let output = scene
        .fetch(async || {
            let failed = scene.fetch(async || Err(Broken(Code::CommitNotFound))).await;
            assert_eq!(failed.unwrap_err().code, Code::CommitNotFound);
            Ok(slow.clone())
        })
        .await;
    assert_eq!(output.unwrap(), slow);
    assert_eq!(
        scene.event_names(),
        ["PushReceived", "PushValidated", "AttemptFailed", "CommitFetched"]
    );
    assert_eq!(scene.state().await.unwrap().fetched, Some(slow));
}

#[tokio::test]
async fn a_failure_is_recorded_with_the_attempt_and_may_be_followed_by_success() {
    let scene = Scene::validated().await;
    let failed = scene
        .fetch(async || Err(Broken(Code::GitHostUnreachable)))
        .await
        .unwrap_err();
    assert_eq!(failed.code, Code::GitHostUnreachable);
    let event = PushEvent::AttemptFailed(AttemptFailed {
        stage: Stage::Fetch.to_string(),
        attempt: 2,
        execution_id: "e1".into(),
        error: "GitHostUnreachable".into(),
        cause: failed.cause,
        failed_at: None,
    });
    assert_eq!(scene.events().last(), Some(&event));
    scene.fetch(async || Ok(samples::fetched(7))).await.unwrap();
}

fn assert_over(result: Result<impl std::fmt::Debug, Failed>, reason: &str) {
    let failed = result.unwrap_err();
    assert_eq!(failed.code, Code::ExecutionOver);
    assert_eq!(failed.class(), Class::Permanent);
    assert!(
        failed.cause.contains("the execution e1")
            && failed.cause.contains(" is over: ")
            && failed.cause.contains(reason),
        "{failed}"
    );
}

#[tokio::test]
async fn stages_of_an_execution_that_another_one_has_replaced_are_refused() {
    let scene = Scene::after([samples::retried("e2")]).await;
    let validated = scene.run_idle::<Validated>(Stage::Validate, "e1").await;
    assert_over(validated, "e2 has taken over the push");
    scene.happens(PushEvent::PushValidated(samples::deliver())).await;
    let fetched = scene.run_idle::<FetchedCommit>(Stage::Fetch, "e1").await;
    assert_over(fetched, "e2 has taken over the push");
    assert_eq!(scene.events().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn the_output_of_a_stage_is_not_recorded_if_its_execution_is_replaced_meanwhile() {
    for result in [Ok(samples::fetched(7)), Err(Code::CommitNotFound)] {
        let scene = Scene::validated().await;
        let output = scene
            .fetch(async || {
                scene.happens(samples::retried("e2")).await;
                result.clone().map_err(Broken)
            })
            .await;
        assert_over(output, "e2 has taken over the push");
        assert_eq!(
            scene.event_names(),
            ["PushReceived", "PushValidated", "PushRetried"]
        );
    }
}

#[tokio::test]
async fn stages_of_an_execution_that_has_failed_are_refused() {
    let scene = Scene::validated().await;
    scene.happens(samples::push_failed("e1")).await;
    let fetched = scene.run_idle::<FetchedCommit>(Stage::Fetch, "e1").await;
    assert_over(fetched, "it has failed, or was stopped");
    assert_eq!(
        scene.event_names(),
        ["PushReceived", "PushValidated", "PushFailed"]
    );
}

#[tokio::test(start_paused = true)]
async fn the_output_of_a_stage_is_not_recorded_if_its_execution_is_stopped_meanwhile() {
    let scene = Scene::validated().await;
    let output = scene
        .fetch(async || {
            scene.happens(samples::push_failed("e1")).await;
            Ok(samples::fetched(7))
        })
        .await;
    assert_over(output, "it has failed, or was stopped");
    assert_eq!(
        scene.event_names(),
        ["PushReceived", "PushValidated", "PushFailed"]
    );
}

/// An output that its stage records by itself.
#[derive(Debug, PartialEq, Serialize)]
struct WrittenBefore;

impl StageOutput<Push> for WrittenBefore {
    fn event(&self) -> Option<PushEvent> {
        None
    }

    fn recorded(_: &PushState) -> Option<Self> {
        None
    }
}

#[tokio::test]
async fn record_runs_for_an_execution_that_is_over() {
    let scene = Scene::after([samples::push_failed("e1"), samples::retried("e2")]).await;
    let recorded = scene.run(Stage::Record, "e1", async || Ok(WrittenBefore)).await;
    assert_eq!(recorded.unwrap(), WrittenBefore);
    let recorded = scene.run_idle::<WrittenBefore>(Stage::Upload, "e1").await;
    assert_over(recorded, "e2");
    assert_eq!(scene.events().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_record_is_recorded_for_an_execution_that_is_over() {
    let scene = Scene::after([samples::push_failed("e1")]).await;
    let attempt = || samples::attempt_failed(Stage::Fetch, "e1");
    scene.trail.inject([Fault::event(attempt())]);
    let failed = scene
        .run::<WrittenBefore>(Stage::Record, "e1", async || Err(Broken(Code::AuditUnavailable)))
        .await;
    assert_eq!(failed.unwrap_err().code, Code::AuditUnavailable);
    assert_eq!(
        scene.event_names(),
        ["PushReceived", "PushFailed", "AttemptFailed", "AttemptFailed"]
    );
}

/// A redriven execution goes on in the stage that it was stopped in, and has to take the push over first.
#[tokio::test]
async fn only_the_first_stage_takes_over_a_push() {
    for has_failed in [false, true] {
        let scene = Scene::validated().await;
        if has_failed {
            scene.happens(samples::push_failed("e1")).await;
        }
        let before = scene.event_names();
        for stage in [Stage::Fetch, Stage::Package, Stage::Upload] {
            let refused = scene.run_idle::<WrittenBefore>(stage, "e1#1").await;
            assert_over(refused, "it has not taken over the push");
        }
        assert_eq!(scene.event_names(), before);
        scene
            .run(Stage::Validate, "e1#1", async || {
                Ok(Validated::Deliver(samples::deliver()))
            })
            .await
            .unwrap();
        let fetched = samples::fetched(7);
        let output = scene
            .run(Stage::Fetch, "e1#1", async || Ok(fetched.clone()))
            .await;
        assert_eq!(output.unwrap(), fetched);
        assert_eq!(scene.state().await.unwrap().executions, ["e1", "e1#1"]);
    }
}

#[tokio::test]
async fn another_execution_takes_over_a_failed_push_once() {
    let scene = Scene::validated().await;
    scene.happens(samples::push_failed("e1")).await;
    let failed = scene
        .run::<Validated>(Stage::Validate, "e2", async || {
            Err(Broken(Code::AuditUnavailable))
        })
        .await;
    assert_eq!(failed.unwrap_err().code, Code::AuditUnavailable);
    let corrected = Validated::Deliver(samples::deliver());
    for _ in 0..2 {
        let validated = scene
            .run(Stage::Validate, "e2", async || Ok(corrected.clone()))
            .await;
        assert_eq!(validated.unwrap(), corrected);
    }
    assert_eq!(
        scene.event_names(),
        [
            "PushReceived",
            "PushValidated",
            "PushFailed",
            "PushRetried",
            "AttemptFailed",
            "PushValidated"
        ]
    );
    let state = scene.state().await.unwrap();
    assert_eq!(state.status, Status::Validated);
    assert_eq!(state.executions, ["e1", "e2"]);
}

#[tokio::test]
async fn another_execution_takes_over_an_ignored_push_once() {
    let scene = Scene::after([PushEvent::PushIgnored(samples::ignored())]).await;
    let corrected = Validated::Deliver(samples::deliver());
    for _ in 0..2 {
        let validated = scene
            .run(Stage::Validate, "e2", async || Ok(corrected.clone()))
            .await;
        assert_eq!(validated.unwrap(), corrected);
    }
    assert_eq!(
        scene.event_names(),
        ["PushReceived", "PushIgnored", "PushRetried", "PushValidated"]
    );
}

#[tokio::test(start_paused = true)]
async fn two_executions_that_begin_at_once_begin_one_after_the_other() {
    let scene = Scene::of_new_push();
    scene
        .trail
        .inject([Fault::event(samples::received(&scene.push, "e1"))]);
    let validated = Validated::Ignore(samples::ignored());
    scene
        .run(Stage::Validate, "e2", async || Ok(validated.clone()))
        .await
        .unwrap();
    assert_eq!(
        scene.event_names(),
        ["PushReceived", "PushRetried", "PushIgnored"]
    );
}

#[tokio::test]
async fn another_execution_of_a_delivered_push_gets_the_recorded_outputs() {
    let (deliver, delivered) = (samples::deliver(), samples::delivered());
    let (fetched, archive) = (samples::fetched(7), samples::archive());
    let scene = Scene::after([
        PushEvent::PushValidated(deliver.clone()),
        PushEvent::CommitFetched(fetched.clone()),
        PushEvent::ArchivePackaged(archive.clone()),
        PushEvent::ArchiveUploaded(delivered.clone()),
        PushEvent::PushDelivered(delivered.clone()),
    ])
    .await;
    let mut events = scene.event_names();
    let validated = scene.run_idle::<Validated>(Stage::Validate, "e2").await;
    assert_eq!(validated.unwrap(), Validated::Deliver(deliver));
    let again = scene.run_idle::<FetchedCommit>(Stage::Fetch, "e2").await;
    assert_eq!(again.unwrap(), fetched);
    let again = scene.run_idle::<Archive>(Stage::Package, "e2").await;
    assert_eq!(again.unwrap(), archive);
    let again = scene.run_idle::<Uploaded>(Stage::Upload, "e2").await;
    assert_eq!(again.unwrap(), Uploaded::Delivered(delivered));
    events.push("PushRetried");
    assert_eq!(scene.event_names(), events);
}

#[tokio::test(start_paused = true)]
async fn a_stage_that_runs_out_of_time_fails_with_its_own_code() {
    let scene = Scene::validated().await;
    let began = tokio::time::Instant::now();
    let never = async || -> Result<FetchedCommit, Broken> { std::future::pending().await };
    let failed = scene.fetch(never).await.unwrap_err();
    assert!(began.elapsed() >= TIME_LIMIT && began.elapsed() < 2 * TIME_LIMIT);
    assert_eq!(failed.code, Code::StageTimedOut);
    assert!(
        failed.cause.starts_with("Fetch was stopped after 60 s."),
        "{failed}"
    );
    let events = scene.events();
    let Some(PushEvent::AttemptFailed(attempt)) = events.last() else {
        panic!("{events:?}")
    };
    assert_eq!((&*attempt.stage, attempt.attempt), ("Fetch", 2));
    assert_eq!(
        (attempt.error.as_str(), &attempt.cause),
        ("StageTimedOut", &failed.cause)
    );
}

#[tokio::test(start_paused = true)]
async fn an_output_that_meets_eight_conflicts_is_contended() {
    for conflicts in [ATTEMPTS - 1, ATTEMPTS] {
        let scene = Scene::validated().await;
        let others = Fault::event(samples::attempt_failed(Stage::Fetch, "other"));
        scene.trail.inject(vec![others; conflicts]);
        let output = scene.fetch(async || Ok(samples::fetched(7))).await;
        assert_eq!(scene.trail.faults_left(), 0);
        if conflicts < ATTEMPTS {
            output.unwrap();
            continue;
        }
        let failed = output.unwrap_err();
        assert_eq!(failed.code, Code::AuditContended);
        assert_eq!(failed.class(), Class::Transient);
        assert!(failed.cause.contains(&scene.push.push_id.to_string()), "{failed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stages_own_failure_takes_precedence_over_the_failure_to_record_it() {
    let others = Fault::event(samples::attempt_failed(Stage::Fetch, "other"));
    for faults in [vec![Fault::Unavailable], vec![others; ATTEMPTS]] {
        let scene = Scene::validated().await;
        scene.trail.inject(faults);
        let failed = scene.fetch(async || Err(Broken(Code::CommitNotFound))).await;
        let failed = failed.unwrap_err();
        assert_eq!(failed.code, Code::CommitNotFound);
        assert!(failed.cause.starts_with("it has failed."), "{failed}");
        assert_eq!(scene.trail.faults_left(), 0);
    }
}

#[tokio::test]
async fn an_output_that_cannot_be_recorded_is_a_failure() {
    let scene = Scene::validated().await;
    scene.trail.inject([Fault::Unavailable]);
    let failed = scene.fetch(async || Ok(samples::fetched(7))).await.unwrap_err();
    assert_eq!(failed.code, Code::AuditUnavailable);
    assert_eq!(scene.events().len(), 2);
}

#[tokio::test]
async fn a_stage_does_nothing_if_the_trail_cannot_be_begun() {
    let scene = Scene::of_new_push();
    scene.trail.inject([Fault::Unavailable]);
    let failed = scene.run_idle::<Validated>(Stage::Validate, "e1").await;
    assert_eq!(failed.unwrap_err().code, Code::AuditUnavailable);
    assert_eq!(scene.events(), []);
}

#[tokio::test(start_paused = true)]
async fn a_stage_returns_its_output_even_if_the_response_to_its_write_is_lost() {
    let scene = Scene::validated().await;
    scene.trail.inject([Fault::ResponseLost]);
    let runs = AtomicUsize::new(0);
    let fetched = samples::fetched(7);
    let output = scene
        .fetch(async || {
            runs.fetch_add(1, Ordering::Relaxed);
            Ok(fetched.clone())
        })
        .await;
    assert_eq!(output.unwrap(), fetched);
    assert_eq!(runs.into_inner(), 1);
    assert_eq!(scene.events().len(), 3);
}

fn archive_with(warning_bytes: usize) -> Archive {
    Archive {
        format: None,
        taken_entries: None,
        warnings: vec!["x".repeat(warning_bytes)],
        ..samples::archive()
    }
}

#[test]
fn an_output_that_is_too_large_is_a_failure() {
    let others = serde_json::to_vec(&archive_with(0)).unwrap().len();
    let most = MAX_OUTPUT_BYTES - others;
    assert!(check_size::<Envelope<()>, _>(Stage::Package, archive_with(most)).is_ok());
    let failed = check_size::<Envelope<()>, _>(Stage::Package, archive_with(most + 1)).unwrap_err();
    assert_eq!(failed.code, Code::LimitExceeded);
    assert!(
        failed.cause.contains("Package") && failed.cause.len() < 1_000,
        "{failed}"
    );
}

#[tokio::test]
async fn an_output_that_is_too_large_is_not_recorded() {
    let scene = Scene::validated().await;
    scene.fetch(async || Ok(samples::fetched(7))).await.unwrap();
    let failed = scene
        .run(Stage::Package, "e1", async || Ok(archive_with(MAX_OUTPUT_BYTES)))
        .await;
    assert_eq!(failed.unwrap_err().code, Code::LimitExceeded);
    assert_eq!(scene.event_names().last(), Some(&"AttemptFailed"));
    assert_eq!(scene.state().await.unwrap().archive, None);
}

#[tokio::test]
async fn an_output_without_an_event_changes_nothing() {
    let scene = Scene::validated().await;
    let output = scene.run(Stage::Record, "e1", async || Ok(WrittenBefore)).await;
    assert_eq!(output.unwrap(), WrittenBefore);
    assert_eq!(scene.events().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_time_of_an_attempt_is_recorded_whether_it_succeeds_or_fails() {
    let scene = Scene::validated().await;
    let failed = scene.fetch(async || {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        Err(Broken(Code::GitHostUnreachable))
    });
    failed.await.unwrap_err();
    let fetched = scene.fetch(async || {
        tokio::time::sleep(Duration::from_millis(700)).await;
        Ok(samples::fetched(1))
    });
    fetched.await.unwrap();
    let recorded = scene.trail.trail.events_of(scene.push.push_id);
    let times: Vec<_> = recorded
        .iter()
        .map(|recorded| {
            (
                recorded.event.name(),
                recorded.attempt.map(|attempt| attempt.milliseconds),
            )
        })
        .collect();
    assert_eq!(
        times,
        [
            ("PushReceived", None),
            ("PushValidated", None),
            ("AttemptFailed", Some(1500)),
            ("CommitFetched", Some(700)),
        ]
    );
    assert_eq!(scene.state().await.unwrap().used.attempts, 2);
}
