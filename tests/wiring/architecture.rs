//! Compares docs/architecture.md with the states, the events that they write to the trail, and the folders.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use audit::{EventStore, MemoryTrail, samples};
use aws::staging::FolderStaging;
use domain::commit_status::{CommitStatus, CommitStatusSet};
use domain::contract::{
    Envelope, Expire, Expiry, Failure, FetchedCommit, FoundRef, RecordInput, Reported, Stage, Uploaded,
    Validated,
};
use domain::error::{Code, Coded};
use domain::event::PushEvent;
use domain::flow::StageOutput;
use domain::push::Push;
use record::NoHistories;
use serde::Serialize;
use serde_json::json;

use crate::docs::{code_in, table};
use crate::machine::machines;
use crate::project::{read, root, variants};

const GUIDE: &str = "docs/architecture.md";

/// Returns the events that each state writes according to the guide.
fn told() -> BTreeMap<String, BTreeSet<String>> {
    let mut told = BTreeMap::new();
    for row in table(GUIDE, "## The way of a push") {
        let [states, _, events] = &row[..] else {
            unreachable!("{row:?}");
        };
        for state in code_in(states) {
            assert_eq!(
                told.insert(state, code_in(events)),
                None,
                "{states} stands there twice"
            );
        }
    }
    told
}

#[test]
fn the_table_of_states_is_the_definitions() {
    let machines = machines();
    let machine = machines.iter().find(|machine| machine.name == "push").unwrap();
    let (mut ends, mut others) = (BTreeSet::new(), BTreeSet::new());
    for (name, state) in machine.states() {
        let ending = ["Succeed", "Fail"].contains(&state["Type"].as_str().unwrap());
        let names = if ending { &mut ends } else { &mut others };
        names.insert(name.to_owned());
    }
    assert_eq!(told().into_keys().collect::<BTreeSet<_>>(), others);
    let text = read(GUIDE);
    let (_, sentence) = text.split_once("ends in ").unwrap();
    let (sentence, _) = sentence.split_once(". ").unwrap();
    assert_eq!(code_in(sentence), ends);
}

/// An error of a stage.
#[derive(Debug, thiserror::Error)]
#[error("the host is down")]
struct HostDown;

impl Coded for HostDown {
    fn code(&self) -> Code {
        Code::GitHostUnreachable
    }
}

/// A push with a trail of its own, and the events that each state has written to it.
struct Trail {
    trail: MemoryTrail,
    push: Push,
    written: BTreeMap<&'static str, BTreeSet<String>>,
}

impl Trail {
    fn new() -> Self {
        Self {
            trail: MemoryTrail::default(),
            push: samples::push(),
            written: BTreeMap::new(),
        }
    }

    async fn count(&self) -> usize {
        self.trail.events(self.push.push_id).await.unwrap().len()
    }

    fn envelope<I>(&self, execution: &str, input: I) -> Envelope<I> {
        Envelope {
            push: self.push.clone(),
            execution: samples::execution(execution),
            attempt: 0,
            input,
        }
    }

    async fn note(&mut self, state: &'static str, before: usize) {
        let events = self.trail.events(self.push.push_id).await.unwrap();
        let written = events[before..].iter().map(|event| event.event.name().to_owned());
        self.written.entry(state).or_default().extend(written);
    }

    /// Runs a stage whose work has this result.
    async fn run<O: StageOutput<Push> + Serialize + Clone>(
        &mut self,
        (state, stage): (&'static str, Stage),
        execution: &str,
        result: Option<O>,
    ) {
        let before = self.count().await;
        let envelope = self.envelope(execution, ());
        let work = async |_: &Envelope<()>| result.clone().ok_or(HostDown);
        let done = workflow::execute(stage, &self.trail, &envelope, Duration::from_secs(60), work).await;
        assert_eq!(done.is_ok(), result.is_some(), "{state}");
        self.note(state, before).await;
    }

    async fn record(&mut self, state: &'static str, execution: &str, failure: Option<Failure>) {
        let before = self.count().await;
        let envelope = self.envelope(
            execution,
            RecordInput {
                failure,
                failed_attempts: 0,
            },
        );
        let folder = tempfile::tempdir().unwrap();
        let staging = FolderStaging::new(folder.path().to_owned());
        record::handle(&self.trail, &staging, &NoHistories, &envelope)
            .await
            .unwrap();
        self.note(state, before).await;
    }
}

/// Runs each stage with every output that it may have.
#[tokio::test]
async fn what_the_table_of_states_says_of_the_trail_is_what_the_stages_write() {
    const VALIDATE: (&str, Stage) = ("Validate", Stage::Validate);
    const FETCH: (&str, Stage) = ("Fetch", Stage::Fetch);
    const PACKAGE: (&str, Stage) = ("Package", Stage::Package);
    const UPLOAD: (&str, Stage) = ("Upload", Stage::Upload);
    const REPORTS: [&str; 3] = ["ReportPending", "Report", "ReportFailure"];
    let deliver = || Validated::Deliver(samples::deliver());
    let ignore = || Validated::Ignore(samples::ignored());
    let failure = || Failure {
        stage: "Fetch".to_owned(),
        error: Code::GitHostUnreachable.to_string(),
        cause: "the host is down".to_owned(),
    };
    let endings = [
        Uploaded::Delivered(samples::delivered()),
        Uploaded::Superseded(samples::superseded()),
        Uploaded::Ignored(samples::ignored()),
    ];
    let mut written: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut attempts = BTreeSet::new();
    for ending in endings {
        let mut trail = Trail::new();
        trail.run(VALIDATE, "e1", Some(ignore())).await;
        trail.record("Record", "e1", None).await;
        trail.run(VALIDATE, "e2", Some(deliver())).await;
        trail
            .run::<domain::contract::FetchedCommit>(FETCH, "e2", None)
            .await;
        trail.record("RecordFailure", "e2", Some(failure())).await;
        // A failed attempt is not an event of a single stage.
        for events in trail.written.values_mut() {
            if events.remove("AttemptFailed") {
                attempts.insert("AttemptFailed".to_owned());
            }
        }
        trail.run(VALIDATE, "e3", Some(deliver())).await;
        trail.run(FETCH, "e3", Some(samples::fetched(7))).await;
        trail.run(PACKAGE, "e3", Some(samples::archive())).await;
        trail.run(UPLOAD, "e3", Some(ending)).await;
        trail.record("Record", "e3", None).await;
        for state in REPORTS {
            let set = CommitStatusSet {
                status: CommitStatus::Success,
                commit: "a".repeat(40).parse().unwrap(),
                url: "https://git.example.com/api/v4".to_owned().try_into().unwrap(),
                execution_id: "e3".to_owned(),
            };
            let reported = Some(Reported::Set(set));
            trail.run((state, Stage::Report), "e3", reported).await;
        }
        for (state, events) in trail.written {
            written.entry(state.to_owned()).or_default().extend(events);
        }
    }
    for ending in [
        Uploaded::Superseded(samples::superseded()),
        Uploaded::Ignored(samples::ignored()),
    ] {
        let mut unchanged = Trail::new();
        unchanged.run(VALIDATE, "e1", Some(deliver())).await;
        let fetched = FetchedCommit {
            unchanged_since: Some(samples::push().push_id),
            ..samples::fetched(7)
        };
        unchanged.run(FETCH, "e1", Some(fetched)).await;
        unchanged.run(("Keep", Stage::Keep), "e1", Some(ending)).await;
        for (state, events) in unchanged.written {
            written.entry(state.to_owned()).or_default().extend(events);
        }
    }
    let found = domain::samples::found_version();
    for ending in [
        Expiry::Expired(domain::samples::expired()),
        Expiry::Ignored(samples::ignored()),
    ] {
        let mut deletion = Trail::new();
        let expire = Expire {
            clone_url: found.deliver.clone_url.clone(),
            destination: found.deliver.destination.clone(),
            sequence: 1,
            further: vec![],
        };
        deletion
            .run(VALIDATE, "e1", Some(Validated::Expire(expire)))
            .await;
        let found = Some(FoundRef { ref_now: None });
        deletion.run(("FindRef", Stage::FindRef), "e1", found).await;
        deletion.run(("Expire", Stage::Expire), "e1", Some(ending)).await;
        for (state, events) in deletion.written {
            written.entry(state.to_owned()).or_default().extend(events);
        }
    }
    written.remove("FindRef");
    let mut rollback = Trail::new();
    rollback
        .run(VALIDATE, "e1", Some(Validated::Deliver(found.deliver.clone())))
        .await;
    rollback
        .run(("FindVersion", Stage::FindVersion), "e1", Some(found))
        .await;
    for (state, events) in rollback.written {
        written.entry(state.to_owned()).or_default().extend(events);
    }
    let mut told = told();
    for state in [
        "NormalizeFailure",
        "PublishFailure",
        "PublishFailureLater",
        "Notify",
        "CloseFailure",
        "RecordFailureAttempts",
        "Failed",
    ] {
        // They share a row with RecordFailure, which alone writes an event.
        assert_eq!(told.remove(state).as_ref(), told.get("RecordFailure"), "{state}");
    }
    told.retain(|_, events| !events.is_empty());
    assert_eq!(told, written);
    let text = read(GUIDE);
    assert!(text.contains("`AttemptFailed`"));
    let all: BTreeSet<_> = written.into_values().flatten().chain(attempts).collect();
    let known = variants::<PushEvent>(&json!({ "type": "?", "data": null }));
    assert_eq!(all, known.into_iter().collect());
}

/// Returns the folders that a text such as `lambdas/{accept,authorize}` names.
fn folders_of(text: &str) -> Vec<String> {
    let Some((parent, names)) = text.split_once('{') else {
        return vec![text.to_owned()];
    };
    let names = names.trim_end_matches('}').split(',');
    names.map(|name| format!("{parent}{name}")).collect()
}

/// Crates may share a row: by names in braces, or as the parts of an example, whose folder is not a crate.
#[test]
fn the_table_of_folders_has_every_crate() {
    let rows = table(GUIDE, "## Folders");
    let told: Vec<String> = rows
        .iter()
        .flat_map(|row| code_in(&row[0]))
        .flat_map(|text| folders_of(&text))
        .collect();
    let folders: BTreeSet<String> = told.iter().cloned().collect();
    assert_eq!(folders.len(), told.len(), "a folder is there twice: {told:?}");
    let workspace = read("Cargo.toml");
    let (_, members) = workspace.split_once("\nmembers = [").unwrap();
    let (members, _) = members.split_once(']').unwrap();
    let members: BTreeSet<&str> = members.split('"').skip(1).step_by(2).collect();
    let has_row = |member: &str| {
        let mut parents = Path::new(member).ancestors().skip(1).filter_map(Path::to_str);
        folders.contains(member)
            || parents.any(|parent| folders.contains(parent) && !members.contains(parent))
    };
    let missing: Vec<_> = members.iter().filter(|member| !has_row(member)).collect();
    assert!(missing.is_empty(), "{GUIDE} has no row for {missing:?}");
    let gone: Vec<_> = folders
        .iter()
        .filter(|folder| !root().join(folder).is_dir())
        .collect();
    assert!(
        gone.is_empty(),
        "{GUIDE} has rows for {gone:?}, which are not folders"
    );
}
