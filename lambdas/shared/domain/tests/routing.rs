//! What the trail of a push may say that changes nothing of interest, or deletes its ref, and the stored form of that.

#![expect(clippy::unwrap_used, reason = "the helpers of tests")]

use domain::aggregate::{Aggregate as _, RecordedEvent};
use domain::contract::{Deliver, Expire, FetchedCommit, IgnoreReason, Ignored};
use domain::event::PushEvent;
use domain::order::{DeliveredPush, Known, Verdict, judge, outlives};
use domain::policy::{self, Decision, PolicyError};
use domain::push::Push;
use domain::samples::{self, object_id};
use domain::source::SourceSettings;
use domain::state::Status;
use serde_json::{Value, json};

fn push() -> Push {
    samples::push("d1", "refs/heads/main")
}

fn deletion() -> Push {
    Push {
        before: Some(object_id('a')),
        after: None,
        ..samples::push("d2", "refs/heads/main")
    }
}

fn watching() -> Deliver {
    Deliver {
        paths: vec!["services/api/**".to_owned()],
        further: vec![push().to_further(&"api".parse().unwrap())],
        ..samples::deliver()
    }
}

fn unchanged() -> PushEvent {
    PushEvent::CommitFetched(FetchedCommit {
        unchanged_since: Some(samples::push("d0", "refs/heads/main").push_id),
        ..samples::fetched()
    })
}

fn ignored(reason: IgnoreReason) -> PushEvent {
    PushEvent::PushIgnored(Ignored {
        reason,
        ..samples::ignored()
    })
}

fn kept() -> Vec<PushEvent> {
    vec![
        samples::received(&push(), "e1"),
        PushEvent::PushValidated(watching()),
        unchanged(),
        ignored(IgnoreReason::PathsUnchanged),
    ]
}

fn to_expire() -> PushEvent {
    PushEvent::DeletionValidated(Expire {
        clone_url: samples::deliver().clone_url,
        destination: samples::deliver().destination,
        sequence: 2,
        further: vec![deletion().to_further(&"api".parse().unwrap())],
    })
}

fn expired() -> Vec<PushEvent> {
    vec![
        samples::received(&deletion(), "e1"),
        to_expire(),
        PushEvent::PushExpired(samples::expired()),
    ]
}

fn follows(given: &[PushEvent], when: PushEvent) -> bool {
    let version = given.len() as u64 + 1;
    let state = samples::folded(given.to_vec());
    let recorded = RecordedEvent::new(version, state.head.clone(), samples::time(), when).unwrap();
    Push::follow(Some(state), &recorded).is_ok()
}

#[test]
fn a_push_is_ignored_before_it_is_packaged_only_if_it_has_changed_nothing() {
    let reason = || ignored(IgnoreReason::PathsUnchanged);
    assert!(follows(&kept()[..3], reason()));
    assert!(follows(
        &kept()[..3],
        PushEvent::PushSuperseded(samples::superseded())
    ));
    let changed = [&kept()[..2], &[PushEvent::CommitFetched(samples::fetched())]].concat();
    assert!(!follows(&changed, reason()));
    assert!(!follows(
        &changed,
        PushEvent::PushSuperseded(samples::superseded())
    ));
    // Another zip was delivered meanwhile: it is packaged after all.
    let packaged = PushEvent::ArchivePackaged(samples::archive());
    assert!(follows(&kept()[..3], packaged));
    assert_eq!(samples::folded(kept()).status, Status::Ignored);
}

/// What was compared is not used for other paths.
#[test]
fn another_execution_that_watches_other_paths_fetches_again() {
    let fetched = |paths: &[&str]| {
        let mut events = kept()[..3].to_vec();
        events.extend([samples::push_failed("e1"), samples::retried("e2")]);
        events.push(PushEvent::PushValidated(Deliver {
            paths: paths.iter().map(|&path| path.to_owned()).collect(),
            ..watching()
        }));
        samples::folded(events).fetched
    };
    assert!(fetched(&["services/api/**"]).is_some());
    assert!(fetched(&["services/web/**"]).is_none());
    assert!(fetched(&[]).is_none());
}

#[test]
fn a_deletion_expires_the_zip_or_is_ignored_and_delivers_nothing() {
    let begun = &expired()[..2];
    assert!(follows(begun, PushEvent::PushExpired(samples::expired())));
    assert!(follows(begun, ignored(IgnoreReason::RefDeleted)));
    for other in [
        PushEvent::CommitFetched(samples::fetched()),
        PushEvent::ArchiveUploaded(samples::delivered()),
        PushEvent::PushSuperseded(samples::superseded()),
        PushEvent::PushValidated(samples::deliver()),
        to_expire(),
    ] {
        assert!(!follows(begun, other.clone()), "{other:?}");
    }
    assert!(!follows(
        &expired()[..1],
        PushEvent::PushExpired(samples::expired())
    ));
    let state = samples::folded(expired());
    assert_eq!(
        (state.status, state.status.is_complete()),
        (Status::Expired, true)
    );
    assert_eq!(state.closing_event(), None);
    // It is decided for good, and another execution only says so once more.
    let again = [&expired()[..], &[samples::retried("e2")]].concat();
    assert_eq!(samples::folded(again.clone()).status, Status::Expired);
    assert!(!follows(&again, to_expire()));
    // It is said once more if it could not be published, and not otherwise.
    let failed = [&expired()[..], &[samples::push_failed("e1")]].concat();
    let closing = PushEvent::PushExpired(samples::expired());
    assert!(follows(&failed, closing.clone()) && !follows(&expired(), closing.clone()));
    assert_eq!(samples::folded(failed).closing_event(), Some(closing));
}

#[test]
fn a_deletion_that_was_ignored_is_decided_anew() {
    let events = vec![
        samples::received(&deletion(), "e1"),
        to_expire(),
        ignored(IgnoreReason::RefDeleted),
        samples::retried("e2"),
    ];
    assert!(follows(&events, to_expire()));
    assert!(follows(&events, ignored(IgnoreReason::RefDeleted)));
}

#[test]
fn the_events_have_their_golden_form() {
    let golden: Vec<Vec<RecordedEvent<PushEvent>>> =
        serde_json::from_str(include_str!("events-routing.json")).unwrap();
    let recorded = |events: Vec<PushEvent>| {
        let mut previous = None;
        let events = (1..).zip(events).map(|(version, event)| {
            let recorded = RecordedEvent::new(version, previous.take(), samples::time(), event).unwrap();
            previous = Some(recorded.sha256.clone());
            recorded
        });
        events.collect::<Vec<_>>()
    };
    let events = vec![recorded(kept()), recorded(expired())];
    let written = serde_json::to_string_pretty(&events).unwrap();
    assert_eq!(golden, events, "{written}");
    assert_eq!(written.trim(), include_str!("events-routing.json").trim());
}

fn delivered(delivery: &str, after: Option<char>, sequence: u64, ref_now: Option<char>) -> DeliveredPush {
    let push = Push {
        after: after.map(object_id),
        ..samples::push(delivery, "refs/heads/main")
    };
    DeliveredPush::new(&push, sequence, ref_now.map(object_id), "f".repeat(64))
}

#[test]
fn a_zip_outlives_a_deletion_that_came_before_its_push_or_is_of_another_ref() {
    let deletion = delivered("d2", None, 2, None);
    assert_eq!(
        outlives(&delivered("d1", Some('a'), 1, Some('a')), &deletion),
        None
    );
    assert_eq!(outlives(&deletion, &deletion), None);
    let later = delivered("d3", Some('a'), 3, Some('a'));
    assert!(
        outlives(&later, &deletion)
            .unwrap()
            .contains("came after the deletion")
    );
    let found_nothing = DeliveredPush {
        ref_now: None,
        ..later
    };
    assert_eq!(outlives(&found_nothing, &deletion), None);
    let other = DeliveredPush {
        repository: "group/other".parse().unwrap(),
        ..delivered("d1", Some('a'), 1, Some('a'))
    };
    assert!(outlives(&other, &deletion).unwrap().contains("group/other"));
}

#[test]
fn a_push_replaces_a_deletion_only_if_it_has_found_the_ref() {
    let deletion = delivered("d2", None, 2, None);
    let known = Known {
        last: Some(&deletion),
        ..Known::default()
    };
    for (sequence, ref_now, is_written) in [(1, None, false), (3, None, false), (3, Some('a'), true)] {
        let verdict = judge(&known, &delivered("d1", Some('a'), sequence, ref_now));
        assert_eq!(
            verdict == Verdict::Write,
            is_written,
            "{sequence} {ref_now:?} {verdict:?}"
        );
    }
}

fn settings(change: impl FnOnce(&mut Value)) -> SourceSettings {
    parse(change).unwrap()
}

fn parse(change: impl FnOnce(&mut Value)) -> Result<SourceSettings, String> {
    let mut settings = json!({
        "provider": "gitlab",
        "repositories": ["group/*"],
        "refs": ["refs/heads/*"],
        "git_hosts": ["https://git.example.com"],
        "destination": {"bucket": "zips"},
        "options": {"build_info": false},
        "further_destinations": [
            {"name": "api", "destination": {"bucket": "zips", "key_template": "api/{ref}.zip", "paths": ["api/**"]}},
            {"name": "web", "destination": {"bucket": "web"}, "options": {"attributes": true}},
        ],
    });
    change(&mut settings);
    settings
        .to_string()
        .parse()
        .map_err(|error: domain::source::SettingsError| error.to_string())
}

fn to(name: &str, push: Push) -> Push {
    let further = push.to_further(&name.parse().unwrap());
    Push {
        push_id: further.push_id,
        destination: Some(further.destination),
        ..push
    }
}

#[test]
fn each_destination_has_its_own_place_paths_and_options() {
    let settings = settings(|_| ());
    let plan = |push: Push| match policy::decide(&settings, &push).unwrap() {
        Decision::Deliver(plan) => plan,
        other => panic!("{other:?}"),
    };
    let own = plan(push());
    assert_eq!(
        own.destination.key.as_str(),
        "gitlab/group/project/heads/main.zip"
    );
    assert!(own.paths.is_empty() && !own.options.build_info);
    let api = plan(to("api", push()));
    assert_eq!(api.destination.key.as_str(), "api/heads/main.zip");
    assert_eq!(api.paths, ["api/**"]);
    assert!(!api.options.build_info, "they are those of the source");
    let web = plan(to("web", push()));
    assert_eq!(web.destination.bucket, "web");
    assert!(
        web.options.attributes && web.options.build_info,
        "they are all its own"
    );
    match policy::decide(&settings, &to("gone", push())).unwrap() {
        Decision::Ignore(ignored) => {
            assert_eq!(ignored.reason, IgnoreReason::DestinationUnknown);
            assert!(ignored.detail.ends_with("the name gone"), "{ignored:?}");
        }
        other => panic!("{other:?}"),
    }
}

/// A push is fetched from the host that its payload names, whichever the settings prefer.
#[test]
fn the_status_of_a_commit_is_set_at_the_host_that_it_is_fetched_from() {
    let settings = settings(|settings| {
        settings["git_hosts"] = json!(["https://other.example.com/prefix", "https://git.example.com"]);
        settings["commit_status"] = json!({"api": "gitlab"});
    });
    for (push, context) in [(push(), "push-code"), (to("api", push()), "push-code/api")] {
        let Decision::Deliver(plan) = policy::decide(&settings, &push).unwrap() else {
            panic!("it is delivered")
        };
        assert!(plan.clone_url.to_string().starts_with("https://git.example.com/"));
        let expected = json!({"api": "gitlab", "url": "https://git.example.com/api/v4", "context": context});
        assert_eq!(serde_json::to_value(plan.commit_status).unwrap(), expected);
    }
}

#[test]
fn a_push_of_a_webhook_to_the_sources_own_destination_starts_the_others() {
    let settings = settings(|_| ());
    let names = |push: &Push| {
        let further = policy::further(&settings, push).into_iter();
        further
            .map(|further| further.destination.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&push()), ["api", "web"]);
    assert_eq!(names(&deletion()), ["api", "web"]);
    assert!(names(&to("api", push())).is_empty());
    let swept = Push {
        trigger: domain::push::Trigger::Sweep,
        ..push()
    };
    assert!(names(&swept).is_empty());
    assert!(names(&push().rolled_back_to(uuid::Uuid::nil(), None)).is_empty());
}

#[test]
fn destinations_that_cannot_be_told_apart_are_refused() {
    let same_name = |settings: &mut Value| settings["further_destinations"][1]["name"] = json!("api");
    assert_eq!(
        parse(same_name).unwrap_err(),
        "further_destinations has two entries of the name api"
    );
    let same_place =
        |settings: &mut Value| settings["further_destinations"][1]["destination"]["bucket"] = json!("zips");
    assert_eq!(
        parse(same_place).unwrap_err(),
        "the destination web has the bucket and the key_template of another one"
    );
    let many = |settings: &mut Value| {
        let all = (0..21).map(
            |number| json!({"name": format!("n{number}"), "destination": {"bucket": format!("b{number}")}}),
        );
        settings["further_destinations"] = all.collect();
    };
    assert_eq!(
        parse(many).unwrap_err(),
        "further_destinations has more than 20 entries"
    );
    let misspelt =
        |settings: &mut Value| settings["further_destinations"][0]["destination"]["path"] = json!([]);
    assert!(
        parse(misspelt)
            .unwrap_err()
            .contains("further_destinations.0.destination.path")
    );
    // Two templates may come to the same key.
    let settings = settings(|settings| {
        settings["further_destinations"][0]["destination"]["key_template"] =
            json!("{source}/group/project/{ref}.zip");
    });
    for (push, expected) in [(push(), "api"), (to("api", push()), "destination")] {
        let error = policy::decide(&settings, &push).unwrap_err();
        let PolicyError::SharedKey { other, .. } = &error else {
            panic!("{error}")
        };
        assert_eq!(other, expected);
    }
}

#[test]
fn a_deletion_expires_the_zip_if_the_destination_says_so() {
    let expires = |template: &'static str| {
        settings(|settings| {
            settings["destination"]["on_deletion"] = json!("expire");
            settings["destination"]["key_template"] = json!(template);
        })
    };
    match policy::decide(&expires("{ref}.zip"), &deletion()).unwrap() {
        Decision::Expire(plan) => assert_eq!(plan.destination.key.as_str(), "heads/main.zip"),
        other => panic!("{other:?}"),
    }
    let reason = |settings: &SourceSettings, push: &Push| match policy::decide(settings, push).unwrap() {
        Decision::Ignore(ignored) => ignored.reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        reason(&expires("{after}.zip"), &deletion()),
        IgnoreReason::RefDeleted
    );
    assert_eq!(reason(&settings(|_| ()), &deletion()), IgnoreReason::RefDeleted);
    assert_eq!(
        reason(&expires("{ref}.zip"), &to("web", deletion())),
        IgnoreReason::RefDeleted
    );
}

#[test]
fn paths_are_checked_before_anything_is_delivered() {
    let with = |paths: Value, template: &str| {
        let settings = settings(|settings| {
            settings["destination"]["paths"] = paths;
            settings["destination"]["key_template"] = json!(template);
        });
        policy::decide(&settings, &push()).map(drop)
    };
    assert_eq!(with(json!(["a/**"]), "{ref}.zip"), Ok(()));
    assert!(matches!(
        with(json!(["/a/**"]), "{ref}.zip"),
        Err(PolicyError::Glob(_))
    ));
    assert_eq!(
        with(json!(["a/**"]), "{ref}-{after}.zip"),
        Err(PolicyError::PathsWithoutBase)
    );
    assert_eq!(with(json!([]), "{after}.zip"), Ok(()));
}
