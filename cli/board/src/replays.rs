//! Replays that were asked for on the board.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use domain::push::PushId;
use tokio::sync::Mutex;

use crate::Pushes;

/// How long an execution may take until it has written its first event. A confirmation that is sent again meanwhile is the
/// same one.
const SAME: Duration = Duration::from_mins(1);

/// The executions that were started, by push, with the version that the push had.
#[derive(Debug, Default)]
pub struct Replays {
    started: Mutex<HashMap<PushId, Start>>,
}

#[derive(Debug, Clone)]
struct Start {
    version: u64,
    execution: String,
    at: Instant,
}

/// What has come of a confirmation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replayed {
    /// The execution with this ARN was started, now or by the same confirmation before.
    Started(String),
    /// The push is not what it was when the page with the confirmation was made.
    Changed,
    /// There is no such push.
    Unknown,
}

impl Replays {
    /// Replays a push, if it still has the version that a person has seen. A confirmation that is sent twice, as by two clicks,
    /// starts one execution.
    ///
    /// # Errors
    /// Returns an error if the push is still running, or if it cannot be read or started.
    pub async fn replay(
        &self,
        pushes: &impl Pushes,
        id: PushId,
        version: u64,
    ) -> Result<Replayed, local_aws::Error> {
        // Held until the execution is started, so that the second of two requests finds the first one's.
        let mut started = self.started.lock().await;
        started.retain(|_, start| start.at.elapsed() < SAME);
        if let Some(start) = started.get(&id).filter(|start| start.version == version) {
            return Ok(Replayed::Started(start.execution.clone()));
        }
        let Some(push) = pushes.trail(id).await?.state else {
            return Ok(Replayed::Unknown);
        };
        if push.version != version {
            return Ok(Replayed::Changed);
        }
        let execution = pushes.replay(&push).await?;
        let start = Start {
            version,
            execution: execution.clone(),
            at: Instant::now(),
        };
        started.insert(id, start);
        Ok(Replayed::Started(execution))
    }
}
