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

use super::serve::malformed;
use super::{StageOf, execute, to_json};

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
        let time_limit = self.time_limit;
        let payload = self.read(stage)?;
        let output = execute(stage, trail, &payload, time_limit, work).await?;
        to_json(stage, &output)
    }

    /// Returns the token of the task that waits for the answer of a stage.
    ///
    /// # Errors
    /// Returns [`Failed`] if the payload has none.
    pub fn task_token(&self, stage: impl Display) -> Result<String, Failed> {
        let token = self.payload["input"]["task_token"].as_str().map(str::to_owned);
        token.ok_or_else(|| {
            let cause = format!("the input of {stage} has no task token");
            Failed::with_cause(Code::InputInvalid, &cause)
        })
    }

    /// Reads the payload of a stage, for one that [`run`](Self::run) is not for.
    ///
    /// # Errors
    /// Returns [`Failed`] if the payload is not that of the stage.
    pub fn read<P: DeserializeOwned>(self, stage: impl Display) -> Result<P, Failed> {
        serde_json::from_value(self.payload).map_err(|error| malformed(stage, &error))
    }

    /// Returns the failure that the function does not have a stage.
    #[must_use]
    pub fn not_here(stage: impl Display) -> Failed {
        let cause = format!("this function does not have the stage {stage}");
        Failed::with_cause(Code::InputInvalid, &cause)
    }
}

#[cfg(test)]
mod tests {
    use audit::{AuditError, MemoryTrail, samples};
    use domain::contract::{Envelope, IgnoreReason, Ignored, Stage, Validated};
    use domain::push::Push;
    use serde_json::json;

    use super::*;

    fn call(payload: Value) -> Call {
        Call::new(payload, Duration::from_secs(60))
    }

    async fn run(payload: Value) -> Result<Value, Failed> {
        let work = async |_: &Envelope<()>| {
            Ok::<_, AuditError>(Validated::Ignore(Ignored {
                reason: IgnoreReason::RefNotWanted,
                detail: "no glob matches".to_owned(),
                duplicate_of: None,
                further: vec![],
            }))
        };
        let trail = MemoryTrail::<Push>::default();
        call(payload).run(Stage::Validate, &trail, work).await
    }

    #[tokio::test]
    async fn the_payload_names_the_stage_and_is_what_the_stage_reads() {
        let stage: Stage = call(json!({ "stage": "Fetch" })).stage().unwrap();
        assert_eq!(stage, Stage::Fetch);
        let payload = json!({
            "stage": "Validate",
            "push": samples::push(),
            "execution": samples::execution("e1"),
            "attempt": 0,
            "input": null,
        });
        assert_eq!(run(payload).await.unwrap()["reason"], "RefNotWanted");
    }

    #[tokio::test]
    async fn a_payload_that_is_not_a_stage_s_is_refused_by_a_code() {
        for payload in [json!({}), json!({ "stage": "Unknown" }), json!(null), json!([1])] {
            let failed = call(payload).stage::<Stage>().unwrap_err();
            assert_eq!(failed.code, Code::InputInvalid, "{failed}");
        }
        let failed = run(json!({ "stage": "Validate" })).await.unwrap_err();
        assert_eq!(failed.code, Code::InputInvalid);
        assert!(
            failed.cause.contains("the input of Validate is malformed"),
            "{failed}"
        );
        assert!(
            Call::not_here(Stage::Fetch)
                .cause
                .contains("does not have the stage Fetch")
        );
    }
}
