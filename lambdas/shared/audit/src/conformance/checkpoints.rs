//! Tests that every trail that keeps checkpoints must pass.

use chrono::NaiveDate;

use crate::checkpoints::{Checkpoints, StoredCheckpoint};

/// The parts since a day are read by day and part, each as it was stored last. Nothing else may store checkpoints
/// meanwhile or have stored any, because all of a trail are read together.
///
/// # Panics
/// Panics if the trail does not conform.
pub async fn check_checkpoints(trail: &impl Checkpoints) {
    let days = ["2025-12-31", "2026-01-01", "2026-01-10"];
    let [older, day, newer] = days.map(|day| day.parse::<NaiveDate>().unwrap());
    let part = |day: NaiveDate, part: usize| StoredCheckpoint {
        day,
        part,
        envelope: format!("part {part} of {day}"),
    };
    assert_eq!(trail.checkpoints(NaiveDate::MIN).await.unwrap(), []);
    for stored in [
        part(newer, 0),
        part(day, 10),
        part(day, 2),
        part(older, 0),
        part(day, 0),
    ] {
        trail.put_checkpoint(&stored).await.unwrap();
    }
    let all = [
        part(older, 0),
        part(day, 0),
        part(day, 2),
        part(day, 10),
        part(newer, 0),
    ];
    for (since, first) in [
        (NaiveDate::MIN, 0),
        (older, 0),
        (day, 1),
        (day.succ_opt().unwrap(), 4),
        (newer, 4),
        (newer.succ_opt().unwrap(), 5),
    ] {
        assert_eq!(trail.checkpoints(since).await.unwrap(), all[first..], "{since}");
    }
    let again = StoredCheckpoint {
        envelope: "signed again".to_owned(),
        ..part(day, 2)
    };
    trail.put_checkpoint(&again).await.unwrap();
    let expected = [part(day, 0), again, part(day, 10), part(newer, 0)];
    assert_eq!(trail.checkpoints(day).await.unwrap(), expected);
}
