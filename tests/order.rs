//! Tests many pushes of one ref at once, whose webhooks come in any order and twice, also if a function of each is
//! killed midway. Here the ref, the lineage and the times of the commits say the same about two pushes; what decides
//! where they do not is tested with the other histories of a ref.
//!
//! `PUSH_CODE_SEEDS=10 cargo test --workspace --test e2e -- order --nocapture` runs ten histories of 50 pushes of both
//! tests, which takes some minutes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use audit::{DestinationRecord, Lease, PushTrail};
use aws_sdk_s3::types::ObjectVersion;
use aws_sdk_sfn::types::ExecutionStatus;
use chrono::Utc;
use domain::destination::Destination;
use domain::push::PushId;
use domain::state::{PushState, Status};
use fastrand::Rng;
use futures::future::join_all;
use git_host::Options;
use webhook::gitlab::{Delivery, PushHook};

use crate::fixtures::repository::{MAIN, Repository};
use crate::fixtures::scene::Scene;

/// The stages, of which one is killed for each push.
const STAGES: [&str; 5] = ["Validate", "Fetch", "Package", "Upload", "Record"];

/// A function is killed at most this many seconds after it has begun. One that is done by then loses its response.
const LATEST_KILL: f64 = 0.15;

/// A lease that somebody has for this long is that of a function that was killed. A living one has it for less than a
/// second.
const LONGEST_LEASE: Duration = Duration::from_secs(10);

/// How long all pushes may take together.
const TIMEOUT: Duration = Duration::from_secs(900);

/// Some pushes of one ref of a repository, each on top of the one before. The host has all of them already.
struct History<'a> {
    scene: &'a Scene,
    rng: Rng,
    destination: Destination,
    /// The pushes, in the order in which they have moved the ref.
    pushes: Vec<Pushed>,
}

struct Pushed {
    id: PushId,
    commit: String,
    hook: PushHook,
    delivery: Delivery,
}

/// Returns how many histories there are, and how many pushes each has.
fn size() -> (u64, usize) {
    match std::env::var("PUSH_CODE_SEEDS") {
        Ok(seeds) => (seeds.parse().expect("PUSH_CODE_SEEDS is a number"), 50),
        Err(_) => (1, 12),
    }
}

/// Makes commits, of which each is a minute later than the one before, and returns their ids.
fn commits(repository: &Repository, number: usize) -> Vec<String> {
    let commit = |index: usize| {
        let time = 1_700_000_000 + 60 * index;
        format!(
            "commit {MAIN}\ncommitter Jo <jo@example.com> {time} +0000\ndata 6\nChange\n\
             M 100644 inline file\ndata <<END\n{index}\nEND\n\n"
        )
    };
    let stream: String = (0..number).map(commit).collect();
    repository.git_with(["fast-import", "--quiet"], stream.as_bytes());
    let ids = repository.git(["log", "--reverse", "--format=%H", MAIN]);
    ids.lines().map(str::to_owned).collect()
}

impl<'a> History<'a> {
    fn new(scene: &'a Scene, seed: u64, number: usize) -> Self {
        let repository = scene.repository(&format!("group/seed-{seed}"));
        let commits = commits(&repository, number);
        assert_eq!(commits.len(), number);
        let push = |index: usize| {
            let before = index.checked_sub(1).map(|before| commits[before].as_str());
            let delivery = Delivery::fresh();
            Pushed {
                id: crate::push_id(scene, &delivery, MAIN),
                commit: commits[index].clone(),
                hook: scene.hook(&repository.path, MAIN, before, Some(&commits[index])),
                delivery,
            }
        };
        let key = format!("{}/group/seed-{seed}/heads/main.zip", scene.source);
        Self {
            scene,
            rng: Rng::with_seed(seed),
            destination: Destination {
                bucket: scene.stack.output("DestinationBucket").to_owned(),
                key: key.parse().unwrap(),
            },
            pushes: (0..number).map(push).collect(),
        }
    }

    /// Has one function of each push killed midway.
    fn kill_one_stage_of_each(&mut self) {
        for push in &self.pushes {
            let stage = self.rng.choice(STAGES).unwrap();
            let seconds = self.rng.f64() * LATEST_KILL;
            let plan = self.kills().join(push.id.to_string());
            std::fs::write(plan, format!("{stage} {seconds:.3}")).unwrap();
        }
    }

    fn kills(&self) -> std::path::PathBuf {
        self.scene.stack.local.folder().join("kills")
    }

    /// Returns how often each stage was killed midway, and once it was done and before its response was read.
    fn killed(&self) -> BTreeMap<String, [usize; 2]> {
        let mut killed: BTreeMap<_, [usize; 2]> = BTreeMap::new();
        for push in &self.pushes {
            let plan = std::fs::read_to_string(self.kills().join(format!("{}.killed", push.id)));
            let plan = plan.unwrap_or_else(|_| panic!("no stage of push {} was killed", push.id));
            let [stage, _, when] = plan.split(' ').collect::<Vec<_>>().try_into().unwrap();
            killed.entry(stage.to_owned()).or_default()[usize::from(when == "done")] += 1;
        }
        killed
    }

    /// Sends each webhook twice, all at once, in random order.
    async fn send_each_twice(&mut self) {
        let mut order: Vec<_> = self.pushes.iter().chain(&self.pushes).collect();
        self.rng.shuffle(&mut order);
        let send = order.iter().map(async |push| {
            let accepted = self.scene.webhook.send(&push.hook, &push.delivery).await.unwrap();
            assert_eq!(accepted.pushes.len(), 1, "{accepted:?}");
            assert_eq!(accepted.pushes[0].push_id, push.id.to_string());
        });
        join_all(send).await;
    }

    /// Returns the executions of these pushes, by name.
    async fn executions(&self) -> BTreeMap<String, ExecutionStatus> {
        let ids: BTreeSet<_> = self.pushes.iter().map(|push| push.id.to_string()).collect();
        let client = self.scene.stack.handle().step_functions();
        let list = client.list_executions();
        let list = list.state_machine_arn(self.scene.stack.output("StateMachineArn"));
        let mut pages = list.into_paginator().items().send();
        let mut executions = BTreeMap::new();
        while let Some(execution) = pages.next().await {
            let execution = execution.unwrap();
            if ids.contains(&execution.name[..36.min(execution.name.len())]) {
                executions.insert(execution.name, execution.status);
            }
        }
        executions
    }

    async fn wait(&self) {
        let begun = Instant::now();
        loop {
            let executions = self.executions().await;
            if executions
                .values()
                .all(|status| *status != ExecutionStatus::Running)
            {
                return;
            }
            assert!(begun.elapsed() < TIMEOUT, "{executions:#?}");
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// Ends each lease of a function that was killed, as if its 960 s were over. In this stack no retry waits, and all
    /// of them would be over before. Returns how many there were.
    async fn end_leases_of_the_dead(&self, ended: &mut usize) -> std::convert::Infallible {
        let trail = self.scene.stack.handle().trail().unwrap();
        let mut seen = None;
        loop {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let Some(record) = trail.destination(&self.destination).await.unwrap() else {
                continue;
            };
            let Some(lease) = &record.lease else {
                seen = None;
                continue;
            };
            let since = match seen {
                Some((holder, since)) if holder == lease.holder => since,
                _ => Instant::now(),
            };
            seen = Some((lease.holder, since));
            if since.elapsed() > LONGEST_LEASE && lease.until > Utc::now() {
                let lease = Lease {
                    holder: lease.holder,
                    until: Utc::now(),
                };
                let next = DestinationRecord {
                    version: record.version + 1,
                    lease: Some(lease),
                    last: record.last,
                };
                assert!(trail.put_destination(&self.destination, &next).await.unwrap());
                *ended += 1;
            }
        }
    }

    /// Returns the place of a push in the order in which they have moved the ref.
    fn place(&self, id: PushId) -> usize {
        self.pushes.iter().position(|push| push.id == id).unwrap()
    }

    /// Returns the versions of the zip, the oldest first: of each its id, and the place of the push that it is of.
    async fn versions(&self) -> Vec<(String, usize)> {
        let s3 = self.scene.stack.handle().s3();
        let (bucket, key) = (&self.destination.bucket, self.destination.key.as_str());
        let listed = s3.list_object_versions().bucket(bucket).prefix(key);
        let listed = listed.send().await.unwrap();
        assert_ne!(listed.is_truncated(), Some(true));
        assert_eq!(listed.delete_markers(), []);
        // S3 lists the newest first.
        let of_zip = listed.versions().iter().rev();
        let of_zip = of_zip.filter(|version| version.key() == Some(key));
        let of_zip = of_zip.filter_map(ObjectVersion::version_id);
        let head = of_zip.map(async |version_id| {
            let head = s3.head_object().bucket(bucket).key(key).version_id(version_id);
            let metadata = head.send().await.unwrap().metadata.unwrap();
            let place = self.place(metadata["push-id"].parse().unwrap());
            assert_eq!(metadata["commit"], self.pushes[place].commit);
            (version_id.to_owned(), place)
        });
        join_all(head).await
    }

    /// Checks that each push has one execution, which has succeeded, that nothing is left of it, and that its read
    /// model is what its events fold to. Returns the states in the order of the pushes.
    async fn closed(&self) -> Vec<PushState> {
        let executions = self.executions().await;
        let expected = self.pushes.iter().map(|push| push.id.to_string());
        let expected = expected.map(|name| (name, ExecutionStatus::Succeeded));
        assert_eq!(executions, expected.collect());
        let trail = self.scene.stack.handle().trail().unwrap();
        let states = self.pushes.iter().map(async |push| {
            assert_eq!(trail.compare(push.id).await.unwrap(), None);
            assert_eq!(self.scene.staged_keys(push.id).await, [""; 0]);
            self.scene.trail(push.id).await.state.unwrap()
        });
        join_all(states).await
    }

    /// Checks everything once all executions have ended. Returns how many pushes were delivered.
    async fn check(&self) -> usize {
        let states = self.closed().await;
        let versions = self.versions().await;
        let places: Vec<_> = versions.iter().map(|(_, place)| *place).collect();
        let newest = self.pushes.len() - 1;
        assert!(places.is_sorted_by(|one, next| one < next), "{places:?}");
        assert_eq!(places.last(), Some(&newest), "{places:?}");
        let mut delivered = 0;
        for (place, state) in states.iter().enumerate() {
            match state.status {
                Status::Delivered => {
                    let version_id = state.delivered.as_ref().unwrap().version_id.clone();
                    let version = (version_id.unwrap(), place);
                    assert!(versions.contains(&version), "{version:?}: {versions:?}");
                    delivered += 1;
                }
                Status::Superseded => {
                    let by = self.place(state.superseded.as_ref().unwrap().by);
                    assert!(by > place, "{place} by {by}: {state:#?}");
                    // The newer one was there.
                    assert!(places.contains(&by), "{place} by {by}: {places:?}");
                }
                _ => panic!("{state:#?}"),
            }
        }
        assert_eq!(states[newest].status, Status::Delivered);
        let trail = self.scene.stack.handle().trail().unwrap();
        let record = trail.destination(&self.destination).await.unwrap().unwrap();
        assert_eq!(record.lease, None);
        assert_eq!(record.last.unwrap().push_id, self.pushes[newest].id);
        delivered
    }
}

#[tokio::test]
async fn pushes_in_random_order_leave_the_newest_and_never_go_backwards() {
    let (scene, _host) = Scene::over_http("random-order", Options::with_any_commit()).await;
    let (seeds, number) = size();
    for seed in 0..seeds {
        let begun = Instant::now();
        let mut history = History::new(&scene, seed, number);
        history.send_each_twice().await;
        history.wait().await;
        let delivered = history.check().await;
        println!(
            "seed {seed}: {number} pushes, {delivered} delivered, {} superseded, {:.0} s",
            number - delivered,
            begun.elapsed().as_secs_f64()
        );
    }
}

#[tokio::test]
async fn pushes_in_random_order_of_which_a_stage_is_killed_midway_leave_the_newest_and_never_go_backwards() {
    let (scene, _host) = Scene::over_http("killed-midway", Options::with_any_commit()).await;
    let (seeds, number) = size();
    for seed in 0..seeds {
        let begun = Instant::now();
        let mut history = History::new(&scene, seed, number);
        history.kill_one_stage_of_each();
        history.send_each_twice().await;
        let mut leases = 0;
        tokio::select! {
            () = history.wait() => {}
            never = history.end_leases_of_the_dead(&mut leases) => match never {},
        }
        let killed = history.killed();
        let midway: usize = killed.values().map(|[midway, _]| midway).sum();
        assert!(midway > 0, "{killed:?}");
        let [uploads, _] = killed.get("Upload").copied().unwrap_or_default();
        assert!(leases <= uploads, "{leases} leases were ended, and {killed:?}");
        // A function that was killed could not record that.
        for state in history.closed().await {
            assert!(state.failed_attempts > 0, "{state:#?}");
        }
        let delivered = history.check().await;
        println!(
            "seed {seed}: {number} pushes, {delivered} delivered, {} superseded, {midway} stages killed midway and {} when done: \
             {killed:?}, {leases} with the lease, {:.0} s",
            number - delivered,
            number - midway,
            begun.elapsed().as_secs_f64()
        );
    }
}
