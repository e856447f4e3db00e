//! The rules for failures in the state machine's definition: how often a state is retried after which error, and which
//! errors are caught and where they lead. They are read from the definition itself.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

use serde::Deserialize;

use crate::dice::Dice;

const DEFINITION: &str = include_str!("../../../statemachine/push.asl.json");

/// The name that matches every error.
const ALL: &str = "States.ALL";

/// The states of the definition, by name.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Definition {
    states: BTreeMap<String, State>,
}

/// The rules of a state for failures.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct State {
    /// Its timeout, in seconds.
    pub timeout_seconds: u64,
    /// Its rules for retries.
    pub retry: Vec<Retrier>,
    catch: Vec<Catcher>,
}

/// A rule for retries.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Retrier {
    error_equals: Vec<String>,
    interval_seconds: f64,
    backoff_rate: f64,
    max_delay_seconds: f64,
    /// How often it is retried.
    pub max_attempts: u32,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Catcher {
    error_equals: Vec<String>,
    next: String,
}

fn is_named(names: &[String], error: &str) -> bool {
    names.iter().any(|name| name == error || name == ALL)
}

impl Definition {
    /// Returns the definition that is deployed. It is parsed once for all histories.
    ///
    /// # Errors
    /// Returns the parser's error if this module cannot read it.
    pub fn read() -> Result<&'static Self, &'static serde_json::Error> {
        static READ: OnceLock<Result<Definition, serde_json::Error>> = OnceLock::new();
        READ.get_or_init(|| serde_json::from_str(DEFINITION)).as_ref()
    }

    /// Returns a state, or `None` if it has no rules.
    pub fn state(&self, name: &str) -> Option<&State> {
        self.states.get(name)
    }
}

impl State {
    /// Returns the index of the rule for an error, or `None` if the state is not retried after it.
    pub fn retrier(&self, error: &str) -> Option<usize> {
        self.retry
            .iter()
            .position(|retrier| is_named(&retrier.error_equals, error))
    }

    /// Returns the state that follows an error, or `None` if the error ends the execution.
    pub fn caught(&self, error: &str) -> Option<&str> {
        let mut catchers = self.catch.iter();
        catchers
            .find(|catcher| is_named(&catcher.error_equals, error))
            .map(|catcher| catcher.next.as_str())
    }
}

impl Retrier {
    /// Returns how long to wait after the failure with the number `failures`, from 0, with full jitter.
    pub fn wait(&self, dice: &Dice, failures: u32) -> Duration {
        let exponent = i32::try_from(failures).unwrap_or(i32::MAX);
        let most = (self.interval_seconds * self.backoff_rate.powi(exponent)).min(self.max_delay_seconds);
        let most = Duration::from_secs_f64(most).as_millis();
        Duration::from_millis(dice.between(0, u64::try_from(most).unwrap_or(u64::MAX)))
    }
}
