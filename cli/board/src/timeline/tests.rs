//! Which parts a timeline has, by the events of a push.

use domain::aggregate::Aggregate as _;
use domain::commit_status::{CommitStatus, CommitStatusSet};
use domain::push::Push;
use domain::samples::{
    archive, attempt_failed, deliver, delivered, delivered_trail, fetched, ignored, push, push_failed,
    received, retried, superseded, time,
};

use super::*;

/// Records each event as many milliseconds after the first execution has started as it says.
fn timeline(events: &[(i64, PushEvent)], now: i64) -> (Vec<Run>, PushState) {
    let mut recorded: Vec<RecordedEvent<PushEvent>> = Vec::new();
    let mut state: Option<PushState> = None;
    for (version, (at, event)) in (1..).zip(events) {
        let previous = state.as_ref().and_then(Push::head).cloned();
        let at = time() + TimeDelta::milliseconds(*at);
        let next = RecordedEvent::new(version, previous, at, event.clone()).unwrap();
        state = Some(Push::follow(state, &next).unwrap());
        recorded.push(next);
    }
    let state = state.unwrap();
    (
        of(&recorded, &state, time() + TimeDelta::milliseconds(now)),
        state,
    )
}

/// Returns each span as one text.
fn spans(run: &Run) -> Vec<String> {
    let line = |span: &Span| {
        let after = |at: DateTime<Utc>| (at - time()).num_milliseconds();
        let outcome = match &span.outcome {
            Outcome::Failed(error) => error.clone(),
            other => format!("{other:?}"),
        };
        let bytes = span
            .bytes
            .map(|bytes| format!(" {bytes} bytes"))
            .unwrap_or_default();
        let (from, to) = (after(span.from), after(span.to));
        format!("{} {} {from}-{to} {outcome}{bytes}", span.name, span.attempt)
    };
    run.spans.iter().map(line).collect()
}

#[test]
fn a_delivered_push_has_its_stages_with_their_bytes() {
    let events = delivered_trail(&push("d1", "refs/heads/main"));
    let events: Vec<_> = [100, 200, 1200, 1500, 1600, 1650]
        .into_iter()
        .zip(events)
        .collect();
    let (runs, _) = timeline(&events, 9999);
    assert_eq!(runs.len(), 1);
    assert_eq!(runs[0].end, End::Done);
    assert_eq!(
        spans(&runs[0]),
        [
            "Queued 1 0-100 Waited",
            "Validate 1 100-200 Done",
            "Fetch 1 200-1200 Done 7 bytes",
            "Package 1 1200-1500 Done 7 bytes",
            "Upload 1 1500-1600 Done 7 bytes",
            "Record 1 1600-1650 Done",
        ]
    );
    let (runs, state) = timeline(&events[..3], 5000);
    assert_eq!(stage_after(&state), Stage::Package);
    assert_eq!(runs[0].end, End::Running);
    assert_eq!(spans(&runs[0])[3], "Package 1 1200-5000 Running");
    // The clock of this machine may be behind those that wrote the events.
    let (runs, _) = timeline(&events[..3], 1000);
    assert_eq!(spans(&runs[0])[3], "Package 1 1200-1200 Running");
}

#[test]
fn each_retry_and_each_execution_is_told_apart() {
    let begun = push("d1", "refs/heads/main");
    let events = [
        (0, received(&begun, "e1")),
        (10, PushEvent::PushValidated(deliver())),
        (20, attempt_failed(Stage::Fetch, "e1")),
        (40, attempt_failed(Stage::Fetch, "e1")),
        (50, push_failed("e1")),
        (70, retried("e2")),
        (75, attempt_failed(Stage::Fetch, "e1")),
        (80, PushEvent::PushValidated(deliver())),
        (90, PushEvent::CommitFetched(fetched())),
    ];
    let (runs, _) = timeline(&events, 100);
    assert_eq!(
        spans(&runs[0]),
        [
            "Queued 1 0-0 Waited",
            "Validate 1 0-10 Done",
            "Fetch 1 10-20 GitHostTimedOut",
            "Fetch 2 20-40 GitHostTimedOut",
            "RecordFailure 1 40-50 Done",
            // The function has run on after its execution had failed.
            "Fetch 1 50-75 GitHostTimedOut",
        ]
    );
    assert_eq!(
        spans(&runs[1]),
        [
            "Queued 1 0-70 Waited",
            "Validate 1 70-80 Done",
            "Fetch 1 80-90 Done 7 bytes",
            "Package 1 90-100 Running",
        ]
    );
    assert_eq!([runs[0].end, runs[1].end], [End::Failed, End::Running]);
}

#[test]
fn the_status_of_a_commit_is_a_stage_that_ends_nothing() {
    let set = |status| {
        PushEvent::CommitStatusSet(CommitStatusSet {
            status,
            commit: fetched().commit,
            url: "https://git.example.com/api/v4".to_owned().try_into().unwrap(),
            execution_id: "e1".to_owned(),
        })
    };
    let begun = push("d1", "refs/heads/main");
    let events = [
        (0, received(&begun, "e1")),
        (10, PushEvent::PushValidated(deliver())),
        (15, set(CommitStatus::Pending)),
        (20, PushEvent::CommitFetched(fetched())),
        (30, PushEvent::ArchivePackaged(archive())),
        (40, PushEvent::ArchiveUploaded(delivered())),
        (50, PushEvent::PushDelivered(delivered())),
        (60, attempt_failed(Stage::Report, "e1")),
        (70, set(CommitStatus::Success)),
    ];
    let (runs, _) = timeline(&events, 100);
    assert_eq!(runs[0].end, End::Done);
    let spans = spans(&runs[0]);
    assert_eq!(spans[2..4], ["Report 1 10-15 Done", "Fetch 1 15-20 Done 7 bytes"]);
    assert_eq!(
        spans[7..],
        ["Report 1 50-60 GitHostTimedOut", "Report 2 60-70 Done"]
    );
}

#[test]
fn a_stage_that_was_killed_has_failed_although_it_could_not_say_so() {
    let begun = push("d1", "refs/heads/main");
    let events = [
        (0, received(&begun, "e1")),
        (10, PushEvent::PushValidated(deliver())),
        (99, push_failed("e1")),
    ];
    let (runs, _) = timeline(&events, 100);
    assert_eq!(spans(&runs[0])[2], "Fetch 1 10-99 CommitNotFound");
    assert_eq!(runs[0].end, End::Failed);
}

#[test]
fn an_end_that_is_recorded_once_more_is_records() {
    let begun = push("d1", "refs/heads/main");
    let to_the_zip = [
        (0, received(&begun, "e1")),
        (10, PushEvent::PushValidated(deliver())),
        (20, PushEvent::CommitFetched(fetched())),
        (30, PushEvent::ArchivePackaged(archive())),
    ];
    let twice = |event: PushEvent| {
        let mut events = to_the_zip.to_vec();
        events.extend([
            (40, event.clone()),
            (50, push_failed("e1")),
            (60, retried("e2")),
            (70, event),
        ]);
        timeline(&events, 100).0
    };
    let runs = twice(PushEvent::PushSuperseded(superseded()));
    assert_eq!(spans(&runs[0])[4], "Upload 1 30-40 Done");
    assert_eq!(spans(&runs[1])[1], "Record 1 60-70 Done");
    // Another execution decides again whether a push is ignored.
    let runs = twice(PushEvent::PushIgnored(ignored()));
    assert_eq!(spans(&runs[0])[4], "Upload 1 30-40 Done");
    assert_eq!(spans(&runs[1])[1], "Validate 1 60-70 Done");
    let mut events = to_the_zip.to_vec();
    events.extend([
        (40, PushEvent::ArchiveUploaded(delivered())),
        (50, retried("e2")),
        (60, PushEvent::PushDelivered(delivered())),
    ]);
    let (runs, _) = timeline(&events, 100);
    assert_eq!(runs[0].end, End::Replaced);
    assert_eq!(spans(&runs[1])[1], "Record 1 50-60 Done");
}

#[test]
fn an_attempt_that_was_recorded_later_is_shown_where_it_failed() {
    let PushEvent::AttemptFailed(mut died) = attempt_failed(Stage::Fetch, "e1") else {
        unreachable!()
    };
    died.failed_at = Some(time() + TimeDelta::milliseconds(300));
    let mut early = died.clone();
    early.stage = "ReadSource".to_owned();
    early.failed_at = Some(time() + TimeDelta::milliseconds(50));
    let late = [early, died].map(PushEvent::AttemptFailed);
    let [received, validated, fetched, packaged, uploaded, closed] =
        delivered_trail(&push("d1", "refs/heads/main"));
    let [early, died] = late;
    let events = [
        (100, received),
        (200, validated),
        (1200, fetched),
        (1500, packaged),
        (1600, uploaded),
        (1610, early),
        (1620, died),
        (1650, closed),
    ];
    let (runs, _) = timeline(&events, 9999);
    assert_eq!(
        spans(&runs[0]),
        [
            "Queued 1 0-100 Waited",
            "ReadSource 1 100-100 GitHostTimedOut",
            "Validate 1 100-200 Done",
            "Fetch 1 200-300 GitHostTimedOut",
            "Fetch 2 300-1200 Done 7 bytes",
            "Package 1 1200-1500 Done 7 bytes",
            "Upload 1 1500-1600 Done 7 bytes",
            "Record 1 1600-1650 Done",
        ]
    );
}
