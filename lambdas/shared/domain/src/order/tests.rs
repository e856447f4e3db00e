//! Which of two pushes is newer, rule by rule.

use super::*;
use crate::samples::{self, object_id};

/// Returns a push that moved the ref from `before` to `after`, and found it at `ref_now`.
fn push(before: Option<char>, after: char, sequence: u64, ref_now: Option<char>) -> DeliveredPush {
    let push = Push {
        before: before.map(object_id),
        after: Some(object_id(after)),
        ..samples::push(&format!("d{sequence}"), "refs/heads/main")
    };
    DeliveredPush::new(
        &push,
        sequence,
        ref_now.map(object_id),
        after.to_string().repeat(64),
    )
}

fn known(object: &DeliveredPush) -> Known<'_> {
    Known {
        object: Some(object),
        ..Known::default()
    }
}

fn because(verdict: Verdict) -> String {
    match verdict {
        Verdict::Superseded(superseded) => superseded.because,
        other => panic!("{other:?}"),
    }
}

/// Checks that `newer` is written over `older`, and `older` is superseded by `newer` for a reason that contains `part`.
fn assert_newer(newer: &DeliveredPush, older: &DeliveredPush, part: &str) {
    assert_eq!(judge(&known(older), newer), Verdict::Write);
    let verdict = judge(&known(newer), older);
    let Verdict::Superseded(superseded) = &verdict else {
        panic!("{verdict:?}")
    };
    assert_eq!(superseded.by, newer.push_id);
    assert!(superseded.because.contains(part), "{superseded:?}");
}

#[test]
fn the_ref_itself_takes_precedence_over_the_number() {
    // The pushes are not neighbours, and the older webhook came later.
    assert_newer(
        &push(Some('c'), 'd', 1, Some('d')),
        &push(Some('a'), 'b', 2, Some('d')),
        "already pointed to",
    );
}

#[test]
fn the_ref_itself_takes_precedence_over_lineage() {
    // a -> b, then back to a. Lineage alone would say that the first one follows the second.
    assert_newer(
        &push(None, 'a', 2, Some('a')),
        &push(Some('a'), 'b', 1, Some('a')),
        "already pointed to",
    );
}

#[test]
fn the_higher_number_of_a_push_that_found_the_ref_at_its_own_takes_precedence_over_lineage() {
    // The ref was at b when the first push was fetched, was then deleted, and was created again at a.
    let moved = push(Some('a'), 'b', 1, Some('b'));
    let again = push(None, 'a', 2, Some('a'));
    assert_newer(&again, &moved, "is number 2");
}

#[test]
fn lineage_takes_precedence_over_the_number_of_a_push_that_found_the_ref_elsewhere() {
    // A third push is already on the host, so the ref is at neither.
    assert_newer(
        &push(Some('b'), 'c', 1, Some('d')),
        &push(Some('a'), 'b', 2, Some('d')),
        "began where",
    );
}

#[test]
fn the_number_decides_if_no_other_rule_does() {
    assert_newer(
        &push(None, 'c', 2, None),
        &push(None, 'b', 1, None),
        "is number 2",
    );
    assert_newer(
        &push(Some('b'), 'a', 2, None),
        &push(Some('a'), 'b', 1, None),
        "is number 2",
    );
    assert_newer(
        &push(Some('c'), 'd', 2, Some('b')),
        &push(Some('a'), 'b', 1, Some('d')),
        "is number 2",
    );
    // The ref was at neither of them.
    assert_newer(
        &push(Some('a'), 'b', 2, Some('f')),
        &push(Some('c'), 'd', 1, Some('d')),
        "is number 2",
    );
}

/// Returns the push as one of a commit of this second.
fn of_second(push: DeliveredPush, second: i64) -> DeliveredPush {
    DeliveredPush {
        committed_at: DateTime::from_timestamp(second, 0),
        ..push
    }
}

#[test]
fn the_later_commit_takes_precedence_over_the_number_of_an_outdated_push() {
    // a -> ... -> f is on the host before any of its webhooks has come.
    let earlier = push(Some('a'), 'b', 2, Some('f'));
    let later = push(Some('d'), 'e', 1, Some('f'));
    assert_newer(
        &of_second(later.clone(), 20),
        &of_second(earlier.clone(), 10),
        "of 1970-01-01 00:00:20 UTC, this one is of 1970-01-01 00:00:10 UTC",
    );
    // In the same second, and if one of the times is not known, the number decides.
    assert_newer(
        &of_second(earlier.clone(), 20),
        &of_second(later.clone(), 20),
        "is number 2",
    );
    assert_newer(&of_second(earlier.clone(), 10), &later, "is number 2");
    assert_newer(&earlier, &of_second(later, 20), "is number 2");
}

#[test]
fn lineage_and_the_ref_itself_take_precedence_over_the_later_commit() {
    // Forced back to an earlier commit, before a third push.
    assert_newer(
        &of_second(push(Some('b'), 'a', 2, Some('f')), 10),
        &of_second(push(Some('d'), 'b', 1, Some('f')), 20),
        "began where",
    );
    // Nothing is newer than the last push of a ref, whatever its committer's clock says.
    let last = of_second(push(Some('e'), 'f', 1, Some('f')), 0);
    assert_newer(
        &last,
        &of_second(push(Some('a'), 'b', 2, Some('f')), 20),
        "already pointed to",
    );
    let last = of_second(push(Some('e'), 'f', 2, Some('f')), 0);
    assert_newer(
        &last,
        &of_second(push(Some('a'), 'b', 1, Some('b')), 20),
        "is number 2",
    );
}

#[test]
fn a_deleted_ref_decides_nothing() {
    let created = push(None, 'a', 2, None);
    assert_newer(&created, &push(None, 'b', 1, None), "is number 2");
    // Two pushes that both created the ref do not follow each other.
    assert_newer(
        &push(None, 'b', 2, Some('f')),
        &push(None, 'a', 1, Some('f')),
        "is number 2",
    );
}

#[test]
fn a_pushs_own_zip_is_already_there_and_another_zip_of_its_own_is_replaced() {
    let mine = push(None, 'b', 1, Some('b'));
    assert_eq!(judge(&known(&mine), &mine), Verdict::AlreadyThere);
    let by_other_options = DeliveredPush {
        sha256: "0".repeat(64),
        ..mine.clone()
    };
    assert_eq!(judge(&known(&by_other_options), &mine), Verdict::Write);
}

#[test]
fn another_refs_object_is_not_touched() {
    let mine = push(None, 'c', 9, Some('c'));
    for change in [
        |other: &mut DeliveredPush| other.ref_name = "refs/heads/next".parse().unwrap(),
        |other: &mut DeliveredPush| other.repository = "group/other".parse().unwrap(),
        |other: &mut DeliveredPush| other.source = "github".parse().unwrap(),
    ] {
        let mut other = push(None, 'b', 1, Some('b'));
        change(&mut other);
        assert_eq!(judge(&known(&other), &mine), Verdict::Occupied);
        // A record does not occupy a destination whose object was removed.
        let removed = Known {
            last: Some(&other),
            ..Known::default()
        };
        assert_eq!(judge(&removed, &mine), Verdict::Write);
    }
}

#[test]
fn an_empty_destination_is_written_to() {
    assert_eq!(
        judge(&Known::default(), &push(None, 'b', 1, None)),
        Verdict::Write
    );
}

#[test]
fn the_record_decides_if_the_object_was_removed_or_is_older() {
    let older = push(None, 'a', 1, Some('a'));
    let newer = push(Some('a'), 'b', 3, Some('b'));
    for object in [None, Some(&older)] {
        let known = Known {
            object,
            last: Some(&newer),
            last_deletion: None,
        };
        let late = push(None, 'c', 2, Some('c'));
        assert!(because(judge(&known, &late)).contains("is number 3"));
        assert_eq!(judge(&known, &push(Some('b'), 'c', 4, Some('c'))), Verdict::Write);
    }
}

#[test]
fn a_zip_that_was_delivered_and_removed_is_written_again_by_its_own_push() {
    let mine = push(None, 'a', 1, Some('a'));
    let removed = Known {
        last: Some(&mine),
        ..Known::default()
    };
    assert_eq!(judge(&removed, &mine), Verdict::Write);
}

#[test]
fn a_record_that_lacks_the_last_write_does_not_hide_the_object() {
    let older = push(None, 'a', 1, Some('a'));
    let newer = push(Some('a'), 'b', 3, Some('b'));
    let known = Known {
        object: Some(&newer),
        last: Some(&older),
        last_deletion: None,
    };
    assert!(because(judge(&known, &push(None, 'f', 2, Some('f')))).contains("is number 3"));
}

#[test]
fn the_same_change_whose_zip_is_there_is_a_duplicate() {
    let first = push(Some('a'), 'b', 1, Some('b'));
    let second = push(Some('a'), 'b', 2, Some('b'));
    assert_eq!(judge(&known(&first), &second), Verdict::Duplicate(first.push_id));
    let recorded = Known {
        object: Some(&first),
        last: Some(&first),
        last_deletion: Some(1),
    };
    assert_eq!(judge(&recorded, &second), Verdict::Duplicate(first.push_id));
}

/// The trail may lack pushes in between.
#[test]
fn what_the_sweep_found_is_the_same_change_if_the_ref_ends_at_the_same_object() {
    let swept = |sequence| DeliveredPush {
        trigger: Trigger::Sweep,
        ..push(Some('a'), 'c', sequence, Some('c'))
    };
    let reported = |sequence| push(Some('b'), 'c', sequence, Some('c'));
    for (first, second) in [(swept(1), reported(2)), (reported(1), swept(2))] {
        assert_eq!(judge(&known(&first), &second), Verdict::Duplicate(first.push_id));
        let moved_on = DeliveredPush {
            ref_now: Some(object_id('d')),
            ..second
        };
        assert_eq!(judge(&known(&first), &moved_on), Verdict::Write);
    }
    let by_hand = push(Some('c'), 'c', 2, Some('c'));
    assert_eq!(judge(&known(&swept(1)), &by_hand), Verdict::Write);
}

#[test]
fn a_push_that_changes_something_is_not_a_duplicate() {
    let first = push(Some('a'), 'b', 1, Some('b'));
    let second = push(Some('a'), 'b', 3, Some('b'));
    let mut other_zip = second.clone();
    other_zip.sha256 = "0".repeat(64);
    assert_eq!(judge(&known(&first), &other_zip), Verdict::Write, "another zip");
    let other_change = DeliveredPush {
        before: Some(object_id('c')),
        ..second.clone()
    };
    assert_eq!(
        judge(&known(&first), &other_change),
        Verdict::Write,
        "another change"
    );
    let deleted = Known {
        last_deletion: Some(2),
        ..known(&first)
    };
    assert_eq!(
        judge(&deleted, &second),
        Verdict::Write,
        "created again after a deletion"
    );
    let by_hand = [1, 2].map(|sequence| push(Some('b'), 'b', sequence, Some('b')));
    assert_eq!(
        judge(&known(&by_hand[0]), &by_hand[1]),
        Verdict::Write,
        "requested by hand"
    );
    for (one, two) in [('b', 'f'), ('f', 'b')] {
        let mut pair = [first.clone(), second.clone()];
        pair[0].ref_now = Some(object_id(one));
        pair[1].ref_now = Some(object_id(two));
        assert!(
            !matches!(judge(&known(&pair[0]), &pair[1]), Verdict::Duplicate(_)),
            "the ref was elsewhere in between"
        );
    }
    let removed = Known {
        last: Some(&first),
        ..Known::default()
    };
    assert_eq!(judge(&removed, &second), Verdict::Write, "the zip was removed");
}

#[test]
fn a_duplicate_of_a_superseded_push_is_superseded_too() {
    let object = push(Some('a'), 'b', 1, Some('b'));
    let newer = push(Some('b'), 'c', 4, Some('c'));
    let known = Known {
        object: Some(&object),
        last: Some(&newer),
        last_deletion: None,
    };
    assert!(because(judge(&known, &push(Some('a'), 'b', 2, Some('b')))).contains("is number 4"));
}

#[test]
fn numbers_never_run_backwards() {
    let at = |millis: i64| DateTime::from_timestamp_millis(millis).unwrap();
    assert_eq!(next_sequence(None, at(1_000)), 1_000);
    assert_eq!(next_sequence(Some(7), at(1_000)), 1_000, "an older counter");
    assert_eq!(
        next_sequence(Some(1_000), at(1_000)),
        1_001,
        "in the same millisecond"
    );
    assert_eq!(
        next_sequence(Some(5_000), at(1_000)),
        5_001,
        "a clock that was set back"
    );
    assert_eq!(next_sequence(None, at(-1)), 0);
}

#[test]
fn a_push_is_of_a_ref_by_its_source_repository_and_name() {
    let main = samples::push("d1", "refs/heads/main");
    let delivered = DeliveredPush::new(&main, 1, None, "a".repeat(64));
    assert!(delivered.is_of_ref_of(&main));
    let others = [
        samples::push("d2", "refs/heads/next"),
        Push {
            source: "another".parse().unwrap(),
            ..main.clone()
        },
        Push {
            repository: "another/project".parse().unwrap(),
            ..main
        },
    ];
    for other in others {
        assert!(!delivered.is_of_ref_of(&other), "{other:?}");
    }
}

/// Two pushes of a ref have different numbers. If the trail says otherwise, the git host decides, which did not show
/// the ref.
#[test]
fn a_push_outlives_a_deletion_by_a_higher_number() {
    let deletion = DeliveredPush {
        after: None,
        ..push(Some('a'), 'b', 2, None)
    };
    for (sequence, ref_now, stays) in [
        (1, Some('b'), false),
        (2, Some('b'), false),
        (3, Some('b'), true),
        (3, None, false),
    ] {
        let current = push(Some('a'), 'b', sequence, ref_now);
        assert_eq!(
            outlives(&current, &deletion).is_some(),
            stays,
            "{sequence} {ref_now:?}"
        );
    }
}

/// A number equal to that of the rollback is its own.
#[test]
fn what_comes_after_a_rollback_has_a_higher_number() {
    let rollback = |sequence| DeliveredPush {
        trigger: Trigger::Rollback,
        ..push(Some('a'), 'a', sequence, Some('a'))
    };
    for (sequence, goes_before) in [(1, false), (2, true), (3, true)] {
        let other = rollback(sequence);
        assert_eq!(goes_before_rollback(&rollback(2), &other, None), goes_before);
    }
    // The ref is where it was, so only a deletion in between says that it has moved.
    let again = push(None, 'a', 4, Some('a'));
    for (deletion, goes_before) in [(None, false), (Some(1), false), (Some(2), false), (Some(3), true)] {
        assert_eq!(goes_before_rollback(&rollback(2), &again, deletion), goes_before);
    }
}
