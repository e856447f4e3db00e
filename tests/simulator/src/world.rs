//! The simulated world, with all services and the tasks that run in it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use domain::destination::Destination;
use domain::push::PushId;
use domain::source::Options;
use domain::state::Status;
use serde_json::json;

use crate::core::Core;
use crate::destination::Store;
use crate::host::Host;
use crate::machine::Machine;
use crate::scheduler::{Tasks, lock};
use crate::staging::Bucket;
use crate::trail::Trail;

/// The name of the source.
pub const SOURCE: &str = "gitlab";
/// The repository.
pub const REPOSITORY: &str = "group/project";

/// An event on the event bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// The push.
    pub push_id: PushId,
    /// How it ended.
    pub status: Status,
    /// How many events its trail had.
    pub version: u64,
}

/// How the source's settings may be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mistake {
    /// The globs of the refs match nothing.
    Refs,
    /// The git host is another one.
    Hosts,
    /// The settings are not JSON.
    Json,
    /// The limit of entries is too low.
    Limits,
}

/// The source's settings. The destination is always the same.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// What is wrong with them, if anything.
    pub mistake: Option<Mistake>,
    /// How zips are made.
    pub options: Options,
    /// Whether the destination watches paths.
    pub watches_paths: bool,
    /// Whether the zip of a deleted ref is removed.
    pub expires: bool,
}

impl Settings {
    /// Returns the text of the source's parameter.
    pub fn text(&self) -> String {
        if self.mistake == Some(Mistake::Json) {
            return "{".to_owned();
        }
        let mut options = self.options.clone();
        if self.mistake == Some(Mistake::Limits) {
            options.limits.entries = 0;
        }
        let refs = match self.mistake {
            Some(Mistake::Refs) => "refs/heads/none",
            _ => "refs/**",
        };
        let host = match self.mistake {
            Some(Mistake::Hosts) => "elsewhere.example.com",
            _ => "gitlab.example.com",
        };
        let paths: &[&str] = if self.watches_paths { &["services/**"] } else { &[] };
        let on_deletion = if self.expires { "expire" } else { "keep" };
        json!({
            "provider": "gitlab",
            "repositories": ["group/*"],
            "refs": [refs],
            "git_hosts": [host],
            "destination": {"bucket": "zips", "paths": paths, "on_deletion": on_deletion},
            "options": options,
        })
        .to_string()
    }
}

/// The simulated world.
pub struct World {
    /// Chance, time, faults and trace.
    pub core: Arc<Core>,
    /// The audit trail.
    pub trail: Arc<Trail>,
    /// The staging bucket.
    pub staging: Arc<Bucket>,
    /// The destination's bucket.
    pub store: Store,
    /// The git host.
    pub host: Host,
    /// The state machine.
    pub machine: Machine,
    /// The source's settings.
    pub settings: Mutex<Settings>,
    /// The events on the event bus, oldest first.
    pub announcements: Mutex<Vec<Announcement>>,
    /// A file that staged objects are loaded into.
    pub workspace: PathBuf,
}

/// The world and its tasks, which together can begin new tasks.
#[derive(Clone)]
pub struct Simulation {
    /// The world.
    pub world: Arc<World>,
    /// Its tasks.
    pub tasks: Tasks,
}

impl World {
    /// Returns the destination of every push of the ref `ref_name`.
    pub fn destination_of(ref_name: &str) -> Option<Destination> {
        let short = ref_name.strip_prefix("refs/")?;
        Some(Destination {
            bucket: "zips".to_owned(),
            key: format!("{SOURCE}/{REPOSITORY}/{short}.zip").parse().ok()?,
        })
    }

    /// Publishes how a push ended.
    pub fn announce(&self, push_id: PushId, status: Status) {
        self.core.say(|| format!("TOLD that the push is {status}"));
        let version = self.trail.model_of(push_id).map_or(0, |state| state.version);
        lock(&self.announcements).push(Announcement {
            push_id,
            status,
            version,
        });
    }
}
