//! Signs checkpoints of a trail in memory, and finds what was changed since.

use attestation::MemorySigner;
use audit::MemoryTrail;
use audit::checkpoints::{Finding, SeenTrail, Trails, verify};
use domain::event::{PushEvent, PushReceived};
use domain::execution::Execution;
use domain::push::PushId;

use domain::digest::Digest;

use super::*;

/// A trail of pushes that were received at certain times, and the key that signs its checkpoints.
struct Scene {
    trail: MemoryTrail,
    signer: MemorySigner,
    pushes: Vec<PushId>,
}

impl Scene {
    fn new() -> Self {
        Self {
            trail: MemoryTrail::default(),
            signer: MemorySigner::new(1),
            pushes: Vec::new(),
        }
    }

    /// Begins the trail of a push whose first execution has started then.
    async fn receive(&mut self, started_at: DateTime<Utc>) -> PushId {
        let push = audit::samples::push();
        let push_id = push.push_id;
        let execution = Execution {
            id: "e1".to_owned(),
            started_at,
        };
        let event = PushEvent::PushReceived(PushReceived { push, execution });
        self.trail.try_append(None, event).await.unwrap().unwrap();
        self.pushes.push(push_id);
        push_id
    }

    async fn append(&self, push_id: PushId) {
        let event = audit::samples::attempt_failed(domain::contract::Stage::Validate, "e1");
        assert!(
            self.trail
                .append(push_id, |_| Some(event.clone()))
                .await
                .unwrap()
                .1
        );
    }

    /// Signs at a time at which everything that was recorded so far counts.
    async fn sign(&self, now: DateTime<Utc>) -> Report {
        handle(&self.trail, &self.signer, Request::default(), now)
            .await
            .unwrap()
    }

    fn trails(&self) -> Trails {
        let seen = |id: &PushId| (*id, SeenTrail::of(&self.trail.events_of(*id)).unwrap());
        self.pushes.iter().map(seen).collect()
    }

    async fn stored(&self) -> Vec<StoredCheckpoint> {
        self.trail.checkpoints(NaiveDate::MIN).await.unwrap()
    }

    async fn findings(&self, trails: &Trails) -> Vec<Finding> {
        self.findings_in(&self.stored().await, trails)
    }

    fn findings_in(&self, stored: &[StoredCheckpoint], trails: &Trails) -> Vec<Finding> {
        let key = self.signer.public_key();
        let open = |envelope: &str| match attestation::verify(envelope.as_bytes(), &key) {
            Ok((media_type, content)) if media_type == MEDIA_TYPE => Ok(content),
            Ok((other, _)) => Err(other),
            Err(error) => Err(error.to_string()),
        };
        verify(stored, open, trails, later()).0
    }
}

/// A time at which everything that a test records now has settled.
fn later() -> DateTime<Utc> {
    Utc::now() + TimeDelta::minutes(20)
}

#[tokio::test]
async fn trails_that_are_as_they_were_or_have_grown_agree_with_the_checkpoint() {
    let mut scene = Scene::new();
    let (yesterday, today) = (later() - TimeDelta::days(1), later());
    let first = scene.receive(yesterday).await;
    scene.receive(today).await;
    let report = scene.sign(later()).await;
    assert_eq!((report.days.len(), report.pushes), (2, 2));
    assert_eq!(scene.findings(&scene.trails()).await, []);
    scene.append(first).await;
    assert_eq!(scene.findings(&scene.trails()).await, []);
}

#[tokio::test]
async fn a_trail_that_was_cut_off_written_anew_or_removed_is_found() {
    let mut scene = Scene::new();
    let push_id = scene.receive(later()).await;
    scene.append(push_id).await;
    scene.sign(later()).await;
    let day = later().date_naive();
    let changed = [Finding::PushChanged {
        push_id,
        day,
        version: 2,
    }];
    let mut trails = scene.trails();
    let last = trails.get_mut(&push_id).unwrap().events.pop().unwrap();
    assert_eq!(scene.findings(&trails).await, changed, "cut off");
    let events = &mut trails.get_mut(&push_id).unwrap().events;
    events.extend([Digest::of("another"), last]);
    assert_eq!(scene.findings(&trails).await, changed, "written anew");
    trails.clear();
    let missing = [Finding::PushMissing { push_id, day }];
    assert_eq!(scene.findings(&trails).await, missing);
}

#[tokio::test]
async fn a_checkpoint_that_was_changed_moved_or_removed_is_found() {
    let mut scene = Scene::new();
    let start = later() - TimeDelta::days(3);
    for days in 0..=3 {
        scene.receive(start + TimeDelta::days(days)).await;
        scene.sign(start + TimeDelta::days(days)).await;
    }
    // What was recorded today counts in none of the days before, at whose time it was not recorded yet.
    scene.sign(later()).await;
    let (stored, trails) = (scene.stored().await, scene.trails());
    assert_eq!(stored.len(), 5, "with the day before the first one");
    assert_eq!(scene.findings_in(&stored, &trails), []);

    let mut removed = stored.clone();
    removed.remove(2);
    let [Finding::PreviousMissing { previous, .. }] = scene.findings_in(&removed, &trails)[..] else {
        panic!("{removed:?}")
    };
    assert_eq!(previous, stored[2].day);

    let mut moved = stored.clone();
    moved[3].envelope.clone_from(&stored[2].envelope);
    let found = scene.findings_in(&moved, &trails);
    assert!(
        matches!(&found[0], Finding::NotSigned { part: 0, .. }),
        "{found:?}"
    );

    let other = Scene {
        signer: MemorySigner::new(2),
        ..Scene::new()
    };
    other.sign(later()).await;
    let mut forged = stored.clone();
    forged[4].envelope.clone_from(&other.stored().await[1].envelope);
    let found = scene.findings_in(&forged, &trails);
    assert!(matches!(&found[..], [Finding::NotSigned { .. }]), "{found:?}");
}

#[tokio::test]
async fn a_trail_that_was_added_for_a_day_that_was_signed_is_found() {
    let mut scene = Scene::new();
    scene.receive(later()).await;
    scene.sign(later()).await;
    let push_id = scene.receive(later()).await;
    let mut trails = scene.trails();
    // A push whose trail begins after the checkpoint is not one that was added.
    let trail = trails.get_mut(&push_id).unwrap();
    trail.began_at = later() + TimeDelta::hours(1);
    assert_eq!(scene.findings(&trails).await, []);
    trails.get_mut(&push_id).unwrap().began_at = Utc::now();
    let day = later().date_naive();
    assert_eq!(
        scene.findings(&trails).await,
        [Finding::PushAdded { push_id, day }]
    );
}

#[tokio::test]
async fn the_last_checkpoint_is_named_also_after_days_without_one() {
    let scene = Scene::new();
    let first = later() - TimeDelta::days(30);
    scene.sign(first).await;
    scene.sign(later()).await;
    let mut stored = scene.stored().await;
    assert_eq!(scene.findings_in(&stored, &Trails::new()), []);
    stored.retain(|stored| stored.day != first.date_naive());
    let found = scene.findings_in(&stored, &Trails::new());
    assert!(
        matches!(&found[..], [Finding::PreviousMissing { previous, .. }] if *previous == first.date_naive()),
        "{found:?}"
    );
}

/// What was recorded a moment ago may not be in the index yet, so that it would be missing from the checkpoint.
#[tokio::test]
async fn events_count_only_after_they_have_settled() {
    let mut scene = Scene::new();
    scene.receive(Utc::now()).await;
    let report = scene.sign(Utc::now()).await;
    assert_eq!(report.pushes, 0);
    assert_eq!(scene.sign(later()).await.pushes, 1);
}

#[tokio::test]
async fn the_trail_of_a_push_that_has_expired_may_be_gone() {
    let part = audit::checkpoints::Checkpoint {
        day: later().date_naive(),
        part: 0,
        parts: 1,
        up_to: Utc::now(),
        previous: None,
        pushes: vec![audit::checkpoints::CheckpointedPush {
            push_id: audit::samples::push().push_id,
            version: 1,
            sha256: Digest::of("event"),
            expires_at: Some(1),
        }],
    };
    let scene = Scene::new();
    let payload = serde_json::to_vec(&part).unwrap();
    let envelope = Envelope::sign(&scene.signer, MEDIA_TYPE, &payload).await;
    let stored = StoredCheckpoint {
        day: part.day,
        part: 0,
        envelope: serde_json::to_string(&envelope.unwrap()).unwrap(),
    };
    assert_eq!(scene.findings_in(&[stored], &Trails::new()), []);
}

#[tokio::test]
async fn many_pushes_of_a_day_are_signed_in_parts_of_which_none_may_be_missing() {
    let mut scene = Scene::new();
    for _ in 0..2_001 {
        scene.receive(later()).await;
    }
    scene.sign(later()).await;
    let (mut stored, trails) = (scene.stored().await, scene.trails());
    assert_eq!(stored.len(), 3);
    assert!(stored.iter().all(|part| part.envelope.len() < 390_000));
    assert_eq!(scene.findings_in(&stored, &trails), []);
    stored.pop();
    let day = later().date_naive();
    assert_eq!(scene.findings_in(&stored, &trails), [Finding::Incomplete { day }]);
}
