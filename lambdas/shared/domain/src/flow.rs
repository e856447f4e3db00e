//! What a state machine's stages have in common, whatever flows through it: a push, or a deployment.

use std::fmt::Display;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::aggregate::Aggregate;
use crate::execution::Execution;

/// An aggregate that flows through a state machine, whose stages write its events.
pub trait Flow: Aggregate {
    /// The states that call functions.
    type Stage: Copy + Display + Send + Sync;

    /// Why an output of a stage may be too large for the state machine, for people.
    const LARGE_OUTPUT: &'static str;

    /// Returns the event that an attempt of a stage has failed.
    fn attempt_failed(failed: AttemptFailed<Self::Stage>) -> Self::Event;

    /// Returns the ids of the executions that have begun, in this order.
    fn executions(state: &Self::State) -> &[String];

    /// Returns whether an execution is over, so that its stages must have no effect.
    fn is_over_for(state: &Self::State, execution_id: &str) -> bool;

    /// Returns whether another execution has this in hand, so that an execution is not even given recorded outputs.
    fn is_of_another(_state: &Self::State, _execution_id: &str) -> bool {
        false
    }

    /// Returns whether a stage runs even for an execution that is over, and decides by itself what it does then.
    fn runs_when_over(stage: Self::Stage) -> bool;
}

/// The payload that a stage is called with.
pub trait Payload: Sync {
    /// What flows through the stage.
    type Flow: Flow;

    /// Returns the id of what flows through the stage.
    fn id(&self) -> <Self::Flow as Aggregate>::Id;

    /// Returns the execution that calls the stage.
    fn execution(&self) -> &Execution;

    /// Returns the number of this attempt of the state, from 0.
    fn attempt(&self) -> u32;

    /// Returns the event with which the execution begins a trail or takes it over, or `None` if it does neither.
    fn opening_event(
        &self,
        stage: <Self::Flow as Flow>::Stage,
        state: Option<&<Self::Flow as Aggregate>::State>,
    ) -> Option<<Self::Flow as Aggregate>::Event>;
}

/// The output of a stage. It is recorded as an event, and can be found again in the state that the events fold to.
pub trait StageOutput<A: Aggregate>: Sized {
    /// Returns the event that the stage has done its work, or `None` if the stage writes its event itself.
    fn event(&self) -> Option<A::Event>;
    /// Returns the output of an earlier run for the same aggregate, so that a stage that is run twice does its work
    /// once.
    fn recorded(state: &A::State) -> Option<Self>;
}

/// The data of the event that an attempt of a stage has failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptFailed<S> {
    /// The stage, or the state if it calls no function.
    pub stage: S,
    /// The number of the attempt in this execution, from 0.
    pub attempt: u32,
    /// The execution's id.
    pub execution_id: String,
    /// The error's code.
    pub error: String,
    /// What happened, to what, and what to do.
    pub cause: String,
    /// When it failed, if no function could record it then. The history of the execution has told it later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_at: Option<DateTime<Utc>>,
}

impl<S: Display> AttemptFailed<S> {
    /// Returns the same with the stage's name.
    #[must_use]
    pub fn named(self) -> AttemptFailed<String> {
        AttemptFailed {
            stage: self.stage.to_string(),
            attempt: self.attempt,
            execution_id: self.execution_id,
            error: self.error,
            cause: self.cause,
            failed_at: self.failed_at,
        }
    }
}
