//! What was asked for on the board: replays and rollbacks.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use domain::push::PushId;
use tokio::sync::Mutex;

use crate::Pushes;

/// How long an execution may take until it has written its first event. A confirmation that is sent again meanwhile is
/// the same one.
const SAME: Duration = Duration::from_mins(1);

/// What can be done with a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Another execution takes it over.
    Replay,
    /// Its zip is delivered again.
    RollBack,
}

impl Action {
    /// Returns the last part of the path of its question and its confirmation.
    pub fn path(self) -> &'static str {
        match self {
            Self::Replay => "replay",
            Self::RollBack => "rollback",
        }
    }
}

/// The actions that were started, by push, with the version that the push had.
#[derive(Debug, Default)]
pub struct Actions {
    started: Mutex<HashMap<(PushId, Action), Start>>,
}

#[derive(Debug, Clone)]
struct Start {
    version: u64,
    push: PushId,
    at: Instant,
}

/// What has come of a confirmation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// An execution of this push was started, now or by the same confirmation before.
    Started(PushId),
    /// The push is not what it was when the page with the confirmation was made.
    Changed,
    /// There is no such push.
    Unknown,
}

impl Actions {
    /// Does what was confirmed, if the push still has the version that a person has seen. A confirmation that is sent
    /// twice, as by two clicks, starts one execution.
    ///
    /// # Errors
    /// Returns an error if the push cannot be read, or if nothing can be started.
    pub async fn act(
        &self,
        action: Action,
        pushes: &impl Pushes,
        id: PushId,
        version: u64,
    ) -> Result<Done, deployed_stack::Error> {
        // Held until the execution is started, so that the second of two requests finds the first one's.
        let mut started = self.started.lock().await;
        started.retain(|_, start| start.at.elapsed() < SAME);
        let before = started.get(&(id, action));
        if let Some(start) = before.filter(|start| start.version == version) {
            return Ok(Done::Started(start.push));
        }
        let Some(push) = pushes.trail(id).await?.state else {
            return Ok(Done::Unknown);
        };
        if push.version != version {
            return Ok(Done::Changed);
        }
        let push = match action {
            Action::Replay => {
                pushes.replay(&push).await?;
                id
            }
            Action::RollBack => pushes.roll_back(&push).await?,
        };
        let start = Start {
            version,
            push,
            at: Instant::now(),
        };
        started.insert((id, action), start);
        Ok(Done::Started(push))
    }
}
