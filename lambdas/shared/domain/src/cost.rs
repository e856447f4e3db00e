//! How long a push has taken, and what it has cost at AWS, by estimate.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// What an attempt of a stage has used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// How long it has taken.
    pub milliseconds: u64,
    /// The memory of its function, in MiB, or 0 if no function of AWS has run it.
    pub memory_mib: u32,
}

/// What the attempts of a push have used together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// How many attempts there were.
    pub attempts: u64,
    /// Their time by their memory.
    pub mib_milliseconds: u64,
}

impl Used {
    /// Adds an attempt.
    #[must_use]
    pub fn and(self, attempt: Option<Attempt>) -> Self {
        let Some(attempt) = attempt else { return self };
        let mib_milliseconds = attempt.milliseconds.saturating_mul(attempt.memory_mib.into());
        Self {
            attempts: self.attempts + 1,
            mib_milliseconds: self.mib_milliseconds.saturating_add(mib_milliseconds),
        }
    }
}

/// What a push has taken from the start of its first execution to an event that closes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Total {
    /// The time, with that in which it has waited.
    pub milliseconds: u64,
    /// The estimated cost, in millionths of a dollar.
    pub microdollars: u64,
}

impl Total {
    /// Returns the total of a push that has begun then, and had so many executions and events.
    #[must_use]
    pub fn new(began: DateTime<Utc>, now: DateTime<Utc>, used: Used, executions: usize, events: u64) -> Self {
        let milliseconds = (now - began).num_milliseconds();
        Self {
            milliseconds: u64::try_from(milliseconds).unwrap_or_default(),
            microdollars: nanodollars(used, executions, events).div_ceil(1000),
        }
    }
}

/// The list prices of us-east-1 in November 2026, in billionths of a dollar. docs/operate/cost.md explains the
/// estimate.
mod price {
    /// A second of a function with 1 GiB on x86_64.
    pub const GIB_SECOND: u64 = 16_667;
    /// A call of a function.
    pub const CALL: u64 = 200;
    /// A transition of a state machine.
    pub const TRANSITION: u64 = 25_000;
    /// A unit of writing to the table, on demand.
    pub const WRITE_UNIT: u64 = 625;
    /// What an execution asks of S3, KMS, EventBridge and the gateway.
    pub const REQUESTS: u64 = 80_000;
}

/// The states that a delivered push passes besides its stages. The wiring tests hold it to the state machine.
pub const OTHER_STATES: u64 = 8;
/// The calls of functions other than the stages: of `Authorize`, `Accept` and `Record`.
const OTHER_CALLS: u64 = 3;
/// The units of writing for an event: a transaction of the event and the read model, and its three indexes.
/// docs/performance.md has counted them.
const UNITS_OF_EVENT: u64 = 15;

fn nanodollars(used: Used, executions: usize, events: u64) -> u64 {
    const MIB_MILLISECONDS: u128 = 1024 * 1000;
    let executions = executions as u64;
    let compute = u128::from(used.mib_milliseconds) * u128::from(price::GIB_SECOND) / MIB_MILLISECONDS;
    let compute = u64::try_from(compute).unwrap_or(u64::MAX);
    let calls = (used.attempts + OTHER_CALLS * executions) * price::CALL;
    let transitions = (used.attempts + OTHER_STATES * executions) * price::TRANSITION;
    let writes = events * UNITS_OF_EVENT * price::WRITE_UNIT;
    compute.saturating_add(calls + transitions + writes + executions * price::REQUESTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_cost_add_up() {
        let second = Attempt {
            milliseconds: 1000,
            memory_mib: 1024,
        };
        let used = Used::default().and(Some(second)).and(None).and(Some(second));
        assert_eq!((used.attempts, used.mib_milliseconds), (2, 2 * 1_024_000));
        // 33,334 for the seconds, 1,000 for 5 calls, 250,000 for 10 transitions, 28,125 for 3 events, 80,000 for
        // requests.
        assert_eq!(nanodollars(used, 1, 3), 392_459);
        let began = DateTime::UNIX_EPOCH;
        let total = Total::new(began, began + chrono::TimeDelta::milliseconds(2500), used, 1, 3);
        assert_eq!((total.milliseconds, total.microdollars), (2500, 393));
    }

    /// Clocks differ, and what a trail says may be anything.
    #[test]
    fn no_value_is_too_large_or_too_early() {
        let attempt = Attempt {
            milliseconds: u64::MAX,
            memory_mib: u32::MAX,
        };
        let used = Used::default().and(Some(attempt)).and(Some(attempt));
        assert_eq!(used.mib_milliseconds, u64::MAX);
        let early = DateTime::UNIX_EPOCH - chrono::TimeDelta::seconds(1);
        let total = Total::new(DateTime::UNIX_EPOCH, early, used, 1, 1);
        assert_eq!(total.milliseconds, 0);
    }
}
