//! A call of a function that is several stages.

use std::fmt::Display;
use std::time::Duration;

use audit::EventStore;
use aws::failure::Failed;
use domain::error::{Code, Coded};
use domain::flow::{Payload, StageOutput};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{StageOf, execute, malformed};

/// A call of a function that is several stages. The payload names the stage.
#[derive(Debug)]
pub struct Call {
    payload: Value,
    time_limit: Duration,
}

impl Call {
    /// Creates the call that [`serve`](super::serve) has got.
    #[must_use]
    pub fn new(payload: Value, time_limit: Duration) -> Self {
        Self { payload, time_limit }
    }

    /// Returns the stage.
    ///
    /// # Errors
    /// Returns [`Failed`] if the payload names none.
    pub fn stage<S: DeserializeOwned>(&self) -> Result<S, Failed> {
        S::deserialize(&self.payload["stage"]).map_err(|error| malformed("the function", &error))
    }

    /// Runs a stage.
    ///
    /// # Errors
    /// Returns [`Failed`] if the payload is not that of the stage, or if the stage fails.
    pub async fn run<T, P, O, E, F>(self, stage: StageOf<P>, trail: &T, work: F) -> Result<Value, Failed>
    where
        P: Payload + DeserializeOwned,
        T: EventStore<P::Flow>,
        O: StageOutput<P::Flow> + Serialize,
        E: Coded,
        F: AsyncFn(&P) -> Result<O, E>,
    {
        let payload = serde_json::from_value(self.payload).map_err(|error| malformed(stage, &error))?;
        let output = execute(stage, trail, &payload, self.time_limit, work).await?;
        serde_json::to_value(output).map_err(|error| malformed(stage, &error))
    }

    /// Returns the failure that the function does not have a stage.
    #[must_use]
    pub fn not_here(stage: impl Display) -> Failed {
        let cause = format!("this function does not have the stage {stage}");
        Failed::with_cause(Code::InputInvalid, &cause)
    }
}
