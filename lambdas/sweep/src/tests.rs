//! What a sweep finds and starts, with a trail in memory and hosts that list what a test sets.

mod scene;
mod stuck;

use audit::{DestinationRecord, Lease};
use chrono::Utc;
use credentials::Expiring;
use domain::destination::Destination;
use domain::order::DeliveredPush;
use domain::push::{Missed, Trigger};
use domain::samples::{destination, object_id};
use serde_json::json;
use testkit::logs::captured;

use super::*;
use scene::{Answer, Scene, listed, push};

const MAIN: &str = "refs/heads/main";
const P: &str = "group/project";

fn errors(report: &Report) -> Vec<&str> {
    report
        .failed
        .first
        .iter()
        .map(|failed| failed.error.as_str())
        .collect()
}

#[tokio::test]
async fn nothing_is_started_where_nothing_has_changed() {
    let scene = Scene::new();
    scene.pushed(P, MAIN, Some('a')).await;
    scene.pushed(P, "refs/heads/gone", None).await;
    // Unwanted refs, and what a host may list besides refs.
    scene.list(
        P,
        &[
            (MAIN, 'a'),
            ("refs/tags/x", 'b'),
            ("refs/merge-requests/1/head", 'c'),
        ],
    );
    let report = scene.sweep().await;
    assert_eq!(
        report,
        Report {
            repositories: 1,
            seconds: report.seconds,
            ..Report::default()
        }
    );
    assert_eq!(scene.started(), []);
    assert_eq!(
        scene.asked.lock().unwrap().len(),
        1,
        "one request for a repository"
    );
}

#[tokio::test]
async fn the_line_in_the_log_has_what_the_alarms_count() {
    let fields = ALARM_FIELDS.into_iter().chain(SEPARATE_ALARM_FIELDS);
    let mut report = serde_json::to_value(Report::default()).unwrap();
    for (count, field) in (1..).zip(fields.clone()) {
        report[field]["count"] = json!(count);
    }
    let report: Report = serde_json::from_value(report).unwrap();
    let ((), lines) = captured(async { log(&report) }, |lines| aws::telemetry::json(None, lines)).await;
    let [logged] = &lines.fields("swept")[..] else {
        panic!("there is not one line");
    };
    for (count, field) in (1..).zip(fields) {
        assert_eq!(logged[field], count, "{field}");
    }
}

#[tokio::test]
async fn a_push_that_never_arrived_is_started_once() {
    let scene = Scene::new();
    scene.pushed(P, MAIN, Some('a')).await;
    scene.list(P, &[(MAIN, 'b'), ("refs/tags/v1", 'c')]);
    let report = scene.sweep().await;
    assert_eq!(report.started.count, 2);
    let mut started = scene.started();
    started.sort_by_key(|push| push.ref_name.to_string());
    let [main, tag] = &started[..] else {
        panic!("{started:?}")
    };
    for push in [main, tag] {
        push.check_identity().unwrap();
        assert_eq!(
            (push.trigger, push.missed, push.pusher.as_deref()),
            (Trigger::Sweep, None, None)
        );
        assert_eq!(push.clone_urls, ["https://git.example.com/group/project.git"]);
    }
    assert_eq!(
        (&main.before, &main.after),
        (&Some(object_id('a')), &Some(object_id('b')))
    );
    // A new tag, annotated or not, is what the host lists for it.
    assert_eq!((&tag.before, &tag.after), (&None, &Some(object_id('c'))));

    let again = scene.sweep().await;
    assert_eq!((again.started.count, again.started_before), (0, 2));
    assert_eq!(scene.started().len(), 2);
}

/// Bitbucket Cloud reports the commit, and git lists the tag.
#[tokio::test]
async fn a_tag_whose_commit_was_reported_has_not_moved() {
    let scene = Scene::new();
    let tag = "refs/tags/v1";
    scene.pushed(P, tag, Some('c')).await;
    let list = |commit| {
        let tag = ListedRef {
            tag_of: Some(object_id(commit)),
            ..listed(tag, 'd')
        };
        scene.answer(P, Answer::Lists(vec![tag]));
    };
    list('c');
    assert_eq!(scene.sweep().await.started.count, 0);
    // It is another tag of another commit now.
    list('e');
    assert_eq!(scene.sweep().await.started.count, 1);
    assert_eq!(scene.started()[0].after, Some(object_id('d')));
}

/// One has the push, one has not got it, and one was added to the settings since.
#[tokio::test]
async fn each_destination_is_looked_at_for_itself() {
    let scene = Scene::new();
    let further = ["api", "web"].map(|name| json!({ "name": name, "destination": { "bucket": name } }));
    let settings = json!({
        "provider": "gitlab",
        "repositories": ["group/*"],
        "refs": ["refs/heads/**"],
        "git_hosts": ["https://git.example.com"],
        "destination": { "bucket": "zips" },
        "further_destinations": further,
    });
    scene.write_settings("gitlab", &settings.to_string());
    scene.pushed(P, MAIN, Some('b')).await;
    let to_api = Push {
        after: Some(object_id('a')),
        destination: Some("api".parse().unwrap()),
        ..push(P, MAIN)
    };
    audit::PushTrail::number(&scene.trail, &to_api).await.unwrap();
    // The settings do not have this one any more.
    let to_another = Push {
        destination: Some("another".parse().unwrap()),
        ..to_api.clone()
    };
    audit::PushTrail::number(&scene.trail, &to_another).await.unwrap();
    scene.list(P, &[(MAIN, 'b')]);
    assert_eq!(scene.sweep().await.started.count, 2);
    let mut started = scene.started();
    started.sort_by_key(|push| push.destination.clone());
    let [api, web] = &started[..] else {
        panic!("{started:?}")
    };
    for (push, name, before) in [(api, "api", Some(object_id('a'))), (web, "web", None)] {
        push.check_identity().unwrap();
        assert_eq!(push.destination.as_ref().unwrap().as_str(), name);
        assert_eq!((&push.before, &push.after), (&before, &Some(object_id('b'))));
    }
    assert_eq!(scene.sweep().await.started_before, 2);
}

#[tokio::test]
async fn two_sweeps_at_once_start_the_same_execution() {
    let scene = Scene::new();
    scene.pushed(P, MAIN, Some('a')).await;
    scene.list(P, &[(MAIN, 'b')]);
    let (one, two) = tokio::join!(scene.sweep(), scene.sweep());
    assert_eq!(one.started.count + two.started.count, 1);
    assert_eq!(one.started_before + two.started_before, 1);
    assert_eq!(scene.started().len(), 1);
}

/// Otherwise a push that is the same change as an earlier one would be taken for it, and never be delivered.
#[tokio::test]
async fn a_ref_that_is_moved_between_the_same_commits_again_is_started_again() {
    let scene = Scene::new();
    scene.pushed(P, MAIN, Some('a')).await;
    for object in ['b', 'a', 'b'] {
        // Numbers are times, and those of one millisecond are ahead of it.
        tokio::time::sleep(Duration::from_millis(10)).await;
        scene.list(P, &[(MAIN, object)]);
        let report = scene.sweep().await;
        assert_eq!(report.started.count, 1, "{object}");
        let started = scene.started();
        let id = report.started.first[0].push_id;
        let push = started.iter().find(|push| push.push_id == id).unwrap();
        audit::PushTrail::number(&scene.trail, push).await.unwrap();
    }
    assert_eq!(scene.started().len(), 3);
}

#[tokio::test]
async fn a_ref_whose_last_push_is_young_waits_for_its_webhook() {
    let scene = Scene::new();
    scene.pushed(P, MAIN, Some('a')).await;
    scene.list(P, &[(MAIN, 'b')]);
    let report = scene.sweep_as(json!({}), Duration::from_secs(60)).await.unwrap();
    assert_eq!((report.repositories, report.started.count), (1, 0));
    assert_eq!(scene.sweep().await.started.count, 1);
}

#[tokio::test]
async fn a_deletion_that_never_arrived_is_started_without_a_commit() {
    let scene = Scene::new();
    let pushed = scene.pushed(P, MAIN, Some('a')).await;
    scene.list(P, &[]);
    let report = scene.sweep().await;
    assert_eq!(report.started.count, 1);
    let started = scene.started();
    assert_eq!((&started[0].before, &started[0].after), (&pushed.after, &None));
    // Once it is numbered, nothing is missed.
    audit::PushTrail::number(&scene.trail, &started[0]).await.unwrap();
    assert_eq!(scene.last(&pushed).await.unwrap().after, None);
    assert_eq!(scene.sweep().await.started.count, 0);
}

#[tokio::test]
async fn more_than_three_branches_or_tags_are_what_gitlab_sends_nothing_for() {
    let scene = Scene::new();
    scene.pushed(P, MAIN, Some('a')).await;
    scene.list(
        P,
        &[
            (MAIN, 'a'),
            ("refs/heads/1", 'b'),
            ("refs/heads/2", 'b'),
            ("refs/heads/3", 'b'),
            ("refs/heads/4", 'b'),
            ("refs/tags/v1", 'b'),
            ("refs/tags/v2", 'b'),
            ("refs/tags/v3", 'b'),
        ],
    );
    let report = scene.sweep().await;
    assert_eq!(report.started.count, 7);
    for started in report.started.first {
        let of_branch = started.ref_name.as_str().starts_with("refs/heads/");
        let expected = of_branch.then_some(Missed::PushEventHooksLimit);
        assert_eq!(started.missed, expected, "{}", started.ref_name);
    }
}

#[tokio::test]
async fn a_limit_of_gitlab_is_no_reason_on_another_host() {
    let scene = Scene::new();
    let settings = json!({
        "provider": "gitea",
        "repositories": ["group/*"],
        "refs": ["refs/heads/**"],
        "git_hosts": ["https://git.example.com"],
        "destination": { "bucket": "zips" },
    });
    scene.write_settings("gitlab", &settings.to_string());
    scene.pushed(P, MAIN, Some('a')).await;
    let branches = ["refs/heads/1", "refs/heads/2", "refs/heads/3", "refs/heads/4"];
    scene.list(P, &branches.map(|branch| (branch, 'b')));
    let report = scene.sweep().await;
    assert!(report.started.count >= branches.len());
    assert!(
        report
            .started
            .first
            .iter()
            .all(|started| started.missed.is_none())
    );
}

#[tokio::test]
async fn a_repository_that_is_named_in_full_is_watched_before_its_first_push() {
    let scene = Scene::new();
    scene.configure("gitlab", &["group/*", "other/first"]);
    scene.list("other/first", &[(MAIN, 'a')]);
    let report = scene.sweep().await;
    assert_eq!((report.repositories, report.started.count), (1, 1));
    assert_eq!(
        scene.started()[0].clone_urls,
        ["https://git.example.com/other/first.git"]
    );
}

#[tokio::test]
async fn a_repository_that_the_settings_no_longer_allow_is_not_asked() {
    let scene = Scene::new();
    scene.pushed("former/project", MAIN, Some('a')).await;
    let report = scene.sweep().await;
    assert_eq!((report.repositories, report.failed.count), (0, 0));
    assert!(scene.asked.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_repository_that_cannot_be_asked_is_reported_and_does_not_stop_the_others() {
    let scene = Scene::new();
    for repository in ["a", "b", "c", "d"] {
        scene
            .pushed(&format!("group/{repository}"), MAIN, Some('a'))
            .await;
    }
    scene.answer("group/a", Answer::Hangs);
    scene.answer("group/b", Answer::Refuses);
    scene.list("group/d", &[(MAIN, 'b')]);
    let report = scene.sweep().await;
    assert_eq!(
        errors(&report),
        ["GitHostTimedOut", "AuthenticationFailed", "RepositoryNotFound"]
    );
    let refused = &report.failed.first[1];
    assert_eq!(refused.source.as_deref(), Some("gitlab"));
    assert_eq!(refused.repository.as_ref().unwrap().as_str(), "group/b");
    assert!(
        refused.cause.ends_with(Code::AuthenticationFailed.remedy()),
        "{}",
        refused.cause
    );
    assert_eq!((report.repositories, report.started.count), (4, 1));
}

/// Otherwise a host with many repositories would take all the time from the others.
#[tokio::test(start_paused = true)]
async fn a_host_that_does_not_answer_for_some_repositories_is_not_asked_for_others() {
    let scene = Scene::new();
    for number in 0..100 {
        let repository = format!("group/{number:02}");
        scene.pushed(&repository, MAIN, Some('a')).await;
        scene.answer(&repository, Answer::Hangs);
    }
    let report = scene.sweep().await;
    assert_eq!(
        (report.repositories, report.failed.count, report.skipped.count),
        (100, 100, 0)
    );
    assert_eq!(scene.asked.lock().unwrap().len(), CONCURRENCY);
    let last = &report.failed.first[99];
    assert_eq!(last.error, "GitHostUnreachable");
    assert!(
        last.cause.contains("https://git.example.com has not answered"),
        "{last:?}"
    );
}

#[tokio::test]
async fn a_repository_is_never_asked_on_a_host_that_the_settings_do_not_name() {
    let scene = Scene::new();
    let elsewhere = Push {
        clone_urls: vec!["https://evil.example.com/group/project.git".to_owned()],
        ..push(P, MAIN)
    };
    audit::PushTrail::number(&scene.trail, &elsewhere).await.unwrap();
    let report = scene.sweep().await;
    assert_eq!(errors(&report), ["GitHostNotAllowed"]);
    assert!(scene.asked.lock().unwrap().is_empty());
}

/// A host may list what it likes. What is no ref is left out where its output is read.
#[tokio::test]
async fn a_host_that_lists_a_ref_twice_or_far_too_many_starts_no_more_than_one_run_may() {
    let scene = Scene::new();
    scene.pushed(P, MAIN, Some('a')).await;
    let mut refs: Vec<_> = (0..5_000)
        .map(|number| listed(&format!("refs/heads/{number}"), 'b'))
        .collect();
    refs.extend([listed(MAIN, 'c'), listed(MAIN, 'd'), listed(MAIN, 'c')]);
    scene.answer(P, Answer::Lists(refs));
    let first = scene.sweep().await;
    assert_eq!(
        (first.started.count, first.left),
        (MAX_STARTS, 5_001 - MAX_STARTS)
    );
    assert_eq!(first.started.first.len(), 100);
    // Those that exist already do not use it up, so the next run goes on.
    let second = scene.sweep().await;
    assert_eq!(
        (second.started.count, second.started_before),
        (MAX_STARTS, MAX_STARTS)
    );
    let of_main = scene
        .started()
        .iter()
        .filter(|push| push.ref_name.as_str() == MAIN)
        .count();
    assert!(of_main <= 1, "{of_main}");
}

#[tokio::test]
async fn what_there_was_no_time_for_is_named_and_the_next_sweep_begins_with_it() {
    let scene = Scene::new();
    let names: Vec<_> = (0..40).map(|number| format!("group/{number:02}")).collect();
    for name in &names {
        scene.pushed(name, MAIN, Some('a')).await;
        scene.list(name, &[(MAIN, 'a')]);
    }
    let report = scene.sweep_for(REPORT_MARGIN).await;
    assert_eq!(
        (report.repositories, report.skipped.count),
        (0, 40),
        "no time at all"
    );
    let skipped = &report.skipped.first[0];
    assert_eq!(skipped.repository.as_str(), "group/00");

    let source = "gitlab".parse().unwrap();
    let begins_with = Some("group/30".parse().unwrap());
    scene
        .trail
        .put_sweep_begins_with(&source, begins_with.as_ref())
        .await
        .unwrap();
    scene.sweep().await;
    let asked = scene.asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 40);
    assert_eq!(asked[0], "https://git.example.com/group/30.git");
    assert_eq!(
        scene.trail.sweep_begins_with(&source).await.unwrap(),
        None,
        "it has finished"
    );
}

#[tokio::test]
async fn a_source_that_cannot_be_read_is_reported_and_does_not_stop_the_others() {
    let scene = Scene::new();
    scene.write_settings("broken", "{");
    scene.write_settings("no/source", "{}");
    scene.write_settings("globs", &json!({
        "provider": "gitlab", "repositories": ["["], "refs": [], "git_hosts": [], "destination": { "bucket": "zips" },
    }).to_string());
    scene.pushed(P, MAIN, Some('a')).await;
    scene.list(P, &[(MAIN, 'b')]);
    let report = scene.sweep().await;
    assert_eq!(errors(&report), ["SourceInvalid"; 3]);
    assert_eq!(report.started.count, 1);
}

#[tokio::test]
async fn a_sweep_of_one_source_asks_no_other() {
    let scene = Scene::new();
    scene.configure("other", &["group/named"]);
    scene.list("group/named", &[(MAIN, 'b')]);
    scene.pushed(P, MAIN, Some('a')).await;
    let sweep = |payload| scene.sweep_as(payload, Duration::from_secs(60));
    let report = sweep(json!({ "sources": ["other", "unknown"] })).await.unwrap();
    assert_eq!((report.repositories, report.started.count), (1, 1));
    assert_eq!(errors(&report), ["SourceInvalid"]);
    assert_eq!(
        *scene.asked.lock().unwrap(),
        ["https://git.example.com/group/named.git"]
    );
    for malformed in [
        json!({ "source": "other" }),
        json!("other"),
        json!({ "grace_seconds": -1 }),
    ] {
        assert_eq!(sweep(malformed).await.unwrap_err().code, Code::InputInvalid);
    }
}

#[tokio::test]
async fn a_disabled_source_is_not_asked() {
    let scene = Scene::new();
    scene.list("group/project", &[(MAIN, 'a')]);
    let disabled = r#"{"provider":"gitlab","disabled":true,"repositories":["group/project"],"refs":["refs/heads/**"],
        "git_hosts":["https://git.example.com"],"destination":{"bucket":"zips"}}"#;
    scene.write_settings("gitlab", disabled);
    let report = scene.sweep().await;
    assert_eq!((report.repositories, report.failed.count), (0, 0));
    assert!(scene.asked.lock().unwrap().is_empty());
    // What was pushed meanwhile is delivered.
    scene.configure("gitlab", &["group/project"]);
    assert_eq!(scene.sweep().await.started.count, 1);
}

#[tokio::test]
async fn sources_that_cannot_be_listed_fail_the_sweep() {
    let mut scene = Scene::new();
    scene.sources_are_down = true;
    let failed = scene
        .sweep_as(json!({}), Duration::from_secs(60))
        .await
        .unwrap_err();
    assert_eq!(failed.code, Code::SourcesUnreadable);
}

/// Records that a push was delivered to its destination.
async fn delivered(scene: &Scene, pushed: &Push) -> (Destination, DeliveredPush) {
    let place = destination("gitlab/group/project/heads/main.zip");
    let last = DeliveredPush::new(pushed, 7, pushed.after.clone(), "c".repeat(64));
    let record = DestinationRecord {
        version: 1,
        lease: None,
        last: Some(last.clone()),
    };
    assert!(
        audit::PushTrail::put_destination(&scene.trail, &place, &record)
            .await
            .unwrap()
    );
    (place, last)
}

#[tokio::test]
async fn a_destination_that_is_not_what_the_trail_says_is_reported() {
    let scene = Scene::new();
    let pushed = scene.pushed(P, MAIN, Some('a')).await;
    scene.list(P, &[(MAIN, 'a')]);
    assert_eq!(
        scene.sweep().await.differing.count,
        0,
        "nothing was delivered yet"
    );
    let (place, last) = delivered(&scene, &pushed).await;
    let id = last.push_id.to_string();
    let (same, other) = ("c".repeat(64), "d".repeat(64));
    for (metadata, expected) in [
        (None, Some(Difference::Missing)),
        (Some(vec![]), Some(Difference::Foreign)),
        (
            Some(vec![("sha256", &*other), ("sequence", "x"), ("push-id", &*id)]),
            Some(Difference::Foreign),
        ),
        (
            Some(vec![("sha256", &*other), ("sequence", "6"), ("push-id", "1")]),
            Some(Difference::OtherZip),
        ),
        // The zip of a push that was found to be the same.
        (
            Some(vec![("sha256", &*same), ("sequence", "6"), ("push-id", "1")]),
            None,
        ),
        (
            Some(vec![("sha256", &*same), ("sequence", "7"), ("push-id", &*id)]),
            None,
        ),
        // A later push is about to be recorded.
        (
            Some(vec![("sha256", &*other), ("sequence", "8"), ("push-id", "1")]),
            None,
        ),
    ] {
        if let Some(metadata) = &metadata {
            scene.put(&place, metadata);
        }
        let report = scene.sweep().await;
        let found: Vec<_> = report
            .differing
            .first
            .iter()
            .map(|found| found.difference)
            .collect();
        assert_eq!(found, Vec::from_iter(expected), "{metadata:?}");
        if let [found] = &report.differing.first[..] {
            assert_eq!(
                (found.bucket.as_str(), found.key.as_str()),
                ("zips", place.key.as_str())
            );
            assert_eq!(found.push_id, last.push_id);
        }
        assert_eq!(report.started.count, 0);
    }
}

#[tokio::test]
async fn a_destination_that_is_being_written_is_not_compared() {
    let scene = Scene::new();
    let pushed = scene.pushed(P, MAIN, Some('a')).await;
    scene.list(P, &[(MAIN, 'a')]);
    let (place, last) = delivered(&scene, &pushed).await;
    let lease = Lease {
        holder: uuid(),
        until: Utc::now() + TimeDelta::seconds(60),
    };
    let record = DestinationRecord {
        version: 2,
        lease: Some(lease),
        last: Some(last),
    };
    assert!(
        audit::PushTrail::put_destination(&scene.trail, &place, &record)
            .await
            .unwrap()
    );
    assert_eq!(scene.sweep().await.differing.count, 0);
}

fn uuid() -> uuid::Uuid {
    uuid::Uuid::nil()
}

#[tokio::test]
async fn logins_that_end_soon_are_reported_with_their_source() {
    let scene = Scene::new();
    let expiring = Expiring {
        host: "https://git.example.com".to_owned(),
        expires: Utc::now().date_naive(),
    };
    scene.expiring.lock().unwrap().push(expiring.clone());
    let report = scene.sweep().await;
    assert_eq!(report.expiring.count, 1);
    let found = &report.expiring.first[0];
    assert_eq!((found.source.as_str(), &found.login), ("gitlab", &expiring));
}
