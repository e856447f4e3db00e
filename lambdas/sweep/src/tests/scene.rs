//! A trail, and hosts, executions and buckets in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard};

use audit::{EventStore, LastPush, MemoryTrail, RefKey};
use aws::AwsFailure;
use aws::staging::StorageError;
use credentials::Expiring;
use domain::destination::Destination;
use domain::event::PushEvent;
use domain::push::PushId;
use domain::remote_url::RemoteUrl;
use domain::samples::{self, object_id};
use serde_json::json;
use workflow::Ended;

use super::*;

/// What a host does when it is asked for the refs of a repository.
#[derive(Debug, Clone)]
pub enum Answer {
    Lists(Vec<ListedRef>),
    Refuses,
    Hangs,
}

/// Everything that the sweep speaks to.
#[derive(Debug, Default)]
pub struct Scene {
    pub trail: MemoryTrail,
    settings: Mutex<BTreeMap<String, String>>,
    answers: Mutex<HashMap<String, Answer>>,
    /// How often each URL was asked.
    pub asked: Mutex<Vec<String>>,
    /// The inputs of all executions, by their names.
    pub executions: Mutex<BTreeMap<String, String>>,
    ended: Mutex<HashMap<String, Ended>>,
    objects: Mutex<HashMap<String, HashMap<String, String>>>,
    /// The logins of each source that end soon.
    pub expiring: Mutex<Vec<Expiring>>,
    pub sources_are_down: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

impl Scene {
    /// Creates a scene with the source `gitlab`, which wants all branches and the tags that begin with `v`.
    pub fn new() -> Self {
        let scene = Self::default();
        scene.configure("gitlab", &["group/*"]);
        scene
    }

    /// Writes the settings of a source.
    pub fn configure(&self, source: &str, repositories: &[&str]) {
        let settings = json!({
            "provider": "gitlab",
            "repositories": repositories,
            "refs": ["refs/heads/**", "refs/tags/v*"],
            "git_hosts": ["https://git.example.com"],
            "destination": { "bucket": "zips" },
        });
        self.write_settings(source, &settings.to_string());
    }

    pub fn write_settings(&self, source: &str, settings: &str) {
        lock(&self.settings).insert(source.to_owned(), settings.to_owned());
    }

    /// Sets what the host says of a repository.
    pub fn answer(&self, repository: &str, answer: Answer) {
        let url = format!("https://git.example.com/{repository}.git");
        lock(&self.answers).insert(url, answer);
    }

    /// Sets the refs of a repository.
    pub fn list(&self, repository: &str, refs: &[(&str, char)]) {
        let listed = refs.iter().map(|(name, object)| listed(name, *object));
        self.answer(repository, Answer::Lists(listed.collect()));
    }

    /// Numbers a push that a webhook has reported.
    pub async fn pushed(&self, repository: &str, ref_name: &str, after: Option<char>) -> Push {
        let push = Push {
            after: after.map(object_id),
            ..push(repository, ref_name)
        };
        audit::PushTrail::number(&self.trail, &push).await.unwrap();
        push
    }

    pub async fn append(&self, push_id: PushId, event: PushEvent) {
        let appended = self.trail.append(push_id, |_| Some(event.clone())).await;
        assert!(appended.unwrap().1);
    }

    /// Says that an execution has ended.
    pub fn end(&self, arn: &str, error: &str) {
        let ended = Ended {
            error: error.to_owned(),
            cause: "it was to be".to_owned(),
        };
        lock(&self.ended).insert(arn.to_owned(), ended);
    }

    /// Puts an object with this metadata.
    pub fn put(&self, destination: &Destination, metadata: &[(&str, &str)]) {
        let metadata = metadata.iter();
        let metadata = metadata.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        lock(&self.objects).insert(destination.key.to_string(), metadata.collect());
    }

    /// Sweeps, without a grace period.
    pub async fn sweep(&self) -> Report {
        self.sweep_for(Duration::from_secs(60)).await
    }

    pub async fn sweep_for(&self, time_limit: Duration) -> Report {
        self.sweep_as(json!({ "grace_seconds": 0 }), time_limit)
            .await
            .unwrap()
    }

    pub async fn sweep_as(&self, payload: serde_json::Value, time_limit: Duration) -> Result<Report, Failed> {
        let deps = Deps {
            trail: &self.trail,
            sources: self,
            hosts: self,
            executions: self,
            destinations: self,
        };
        run(&deps, payload, time_limit).await
    }

    /// Returns the pushes of all executions.
    pub fn started(&self) -> Vec<Push> {
        let executions = lock(&self.executions);
        let inputs = executions.values();
        inputs.map(|input| serde_json::from_str(input).unwrap()).collect()
    }

    pub async fn last(&self, push: &Push) -> Option<LastPush> {
        audit::PushTrail::last_push(&self.trail, &RefKey::of(push))
            .await
            .unwrap()
    }
}

/// Returns a push of a repository, with a delivery of its own.
pub fn push(repository: &str, ref_name: &str) -> Push {
    let delivery = format!("{}-{ref_name}", repository.replace('/', "-"));
    Push {
        repository: repository.parse().unwrap(),
        clone_urls: vec![format!("https://git.example.com/{repository}.git")],
        ..samples::push(&delivery, ref_name)
    }
}

pub fn listed(name: &str, object: char) -> ListedRef {
    ListedRef {
        name: name.parse().unwrap(),
        object: object_id(object),
        tag_of: None,
    }
}

fn unavailable(operation: &'static str) -> AwsFailure {
    AwsFailure::interrupted(operation, &std::io::Error::other("reset"))
}

impl Sources for Scene {
    async fn list(&self) -> Result<Vec<StoredSource>, AwsFailure> {
        if self.sources_are_down {
            return Err(unavailable("ssm:GetParametersByPath"));
        }
        let settings = lock(&self.settings).clone();
        let sources = settings.into_iter();
        Ok(sources
            .map(|(name, settings)| StoredSource { name, settings })
            .collect())
    }
}

impl Hosts for Scene {
    type Login = ();

    async fn login(&self, _: &SourceName) -> Result<(), Failed> {
        Ok(())
    }

    fn expiring(&self, (): &()) -> Vec<Expiring> {
        lock(&self.expiring).clone()
    }

    async fn list(&self, (): &(), url: &RemoteUrl, time_limit: Duration) -> Result<Vec<ListedRef>, Failed> {
        lock(&self.asked).push(url.to_string());
        let answer = lock(&self.answers).get(url.as_str()).cloned();
        let refused = |code| Err(Failed::with_cause(code, &format!("{url} does not list")));
        match answer {
            Some(Answer::Lists(refs)) => Ok(refs),
            Some(Answer::Hangs) => {
                tokio::time::sleep(time_limit).await;
                refused(Code::GitHostTimedOut)
            }
            Some(Answer::Refuses) => refused(Code::AuthenticationFailed),
            None => refused(Code::RepositoryNotFound),
        }
    }
}

impl Executions for Scene {
    async fn start(&self, name: &str, input: &str) -> Result<bool, AwsFailure> {
        let mut executions = lock(&self.executions);
        let is_new = !executions.contains_key(name);
        executions
            .entry(name.to_owned())
            .or_insert_with(|| input.to_owned());
        Ok(is_new)
    }

    async fn ended(&self, arn: &str) -> Result<Option<Ended>, AwsFailure> {
        if arn == "unreadable" {
            return Err(unavailable("states:DescribeExecution"));
        }
        Ok(lock(&self.ended).get(arn).cloned())
    }
}

impl Destinations for Scene {
    async fn metadata(
        &self,
        destination: &Destination,
    ) -> Result<Option<HashMap<String, String>>, StorageError> {
        Ok(lock(&self.objects).get(destination.key.as_str()).cloned())
    }
}
