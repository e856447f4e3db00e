//! What all services of the simulated world share: chance, time, faults, the trace, and the violations that were found.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws::AwsFailure;
use tokio::time::Instant;

use crate::dice::Dice;
use crate::scheduler::{Turn, lock, others_first};
use crate::weather::{Fault, Port, Weather};

/// The faults of a call that only reads.
pub const OF_READS: &[Fault] = &[
    Fault::NoAnswer,
    Fault::Refused,
    Fault::CrashBefore,
    Fault::CrashAfter,
    Fault::Pause,
];
/// The faults of a call that writes.
pub const OF_WRITES: &[Fault] = &[
    Fault::NoAnswer,
    Fault::AnswerLost,
    Fault::Refused,
    Fault::CrashBefore,
    Fault::CrashAfter,
    Fault::Pause,
];
/// The faults of a call that writes on a condition.
pub const OF_CONDITIONAL_WRITES: &[Fault] = &[
    Fault::NoAnswer,
    Fault::AnswerLost,
    Fault::Refused,
    Fault::Conflict,
    Fault::ConflictWithItself,
    Fault::CrashBefore,
    Fault::CrashAfter,
    Fault::Pause,
];
/// The faults of a call that writes on a condition, and that its client can retry without a conflict with itself.
pub const OF_IDEMPOTENT_WRITES: &[Fault] = &[
    Fault::NoAnswer,
    Fault::AnswerLost,
    Fault::Refused,
    Fault::Conflict,
    Fault::CrashBefore,
    Fault::CrashAfter,
    Fault::Pause,
];

/// The longest pause, in seconds: longer than any function may run.
const PAUSE_SECONDS: u64 = 1_200;

/// The failure of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the simulated service failed")]
pub struct Trouble {
    /// Whether a retry can help.
    pub transient: bool,
}

impl Trouble {
    /// Returns the failure as the SDK reports it.
    pub fn failure(self, operation: &'static str) -> AwsFailure {
        if self.transient {
            AwsFailure::interrupted(operation, &self)
        } else {
            AwsFailure::of_item(operation, Some("AccessDenied"), Some("the policy says no"))
        }
    }
}

/// The fault of a call that is about to take effect, if it has one.
#[must_use]
#[derive(Debug, Clone, Copy)]
pub struct Fate(Option<Fault>);

impl Fate {
    /// Returns whether the write is to be refused as if its condition did not hold.
    pub fn is_refused(self) -> bool {
        self.0 == Some(Fault::Conflict)
    }

    /// Returns whether the write takes effect but is reported as a conflict.
    pub fn meets_itself(self) -> bool {
        self.0 == Some(Fault::ConflictWithItself)
    }
}

/// What a person is about to do to an execution, by its ARN.
#[derive(Debug, PartialEq, Eq)]
pub enum Meddling {
    /// It is to be stopped.
    Stop(String),
    /// Another execution of its push is to begin.
    Rival(String),
}

/// The shared core of a simulated world.
#[derive(Debug)]
pub struct Core {
    /// Chance.
    pub dice: Dice,
    /// The task whose turn it is.
    pub turn: Turn,
    /// The faults.
    pub weather: Weather,
    calm: AtomicBool,
    meddling: Mutex<Vec<Meddling>>,
    begun: Instant,
    trace: Option<Mutex<Vec<String>>>,
    wrong: Mutex<Vec<String>>,
}

impl Core {
    /// Creates the core of the world of `seed`. Its steps are recorded if they are to be `traced`.
    pub fn new(seed: u64, traced: bool) -> Self {
        let dice = Dice::new(seed);
        let weather = Weather::new(&dice);
        Self {
            dice,
            turn: Turn::default(),
            weather,
            calm: AtomicBool::new(false),
            meddling: Mutex::default(),
            begun: Instant::now(),
            trace: traced.then(Mutex::default),
            wrong: Mutex::default(),
        }
    }

    /// Returns the time since the history began.
    pub fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Turns all faults off.
    pub fn calm_down(&self) {
        self.calm.store(true, Ordering::Relaxed);
    }

    /// Returns whether all faults are turned off.
    pub fn is_calm(&self) -> bool {
        self.calm.load(Ordering::Relaxed)
    }

    /// Returns `true` in `of_thousand` of 1,000 cases, unless faults are turned off.
    pub fn goes_wrong(&self, of_thousand: u64) -> bool {
        !self.is_calm() && self.dice.happens(of_thousand)
    }

    /// Takes what people are about to do.
    pub fn take_meddling(&self) -> Vec<Meddling> {
        std::mem::take(&mut lock(&self.meddling))
    }

    /// Lets a person intervene in the execution whose function makes a call.
    fn meddle(&self) {
        if let Some(execution) = &self.turn.label().execution {
            if self.goes_wrong(self.weather.stops) {
                lock(&self.meddling).push(Meddling::Stop(execution.clone()));
            }
            if self.goes_wrong(self.weather.rivals) {
                lock(&self.meddling).push(Meddling::Rival(execution.clone()));
            }
        }
    }

    /// Records a step. `step` is called only if there is a trace.
    pub fn say(&self, step: impl FnOnce() -> String) {
        if let Some(trace) = &self.trace {
            let now = self.now().as_secs_f64();
            let line = format!("{now:>10.3}  {:<28} {}", self.turn.label().name, step());
            lock(trace).push(line);
        }
    }

    /// Records that a guarantee does not hold.
    pub fn is_wrong(&self, what: String) {
        self.say(|| format!("WRONG: {what}"));
        lock(&self.wrong).push(what);
    }

    /// Returns all violations.
    pub fn all_wrong(&self) -> Vec<String> {
        lock(&self.wrong).clone()
    }

    /// Returns the steps, which are empty if there is no trace.
    pub fn trace(&self) -> Vec<String> {
        self.trace
            .as_ref()
            .map(|trace| lock(trace).clone())
            .unwrap_or_default()
    }

    /// Schedules a call of `port`: other tasks continue, time passes, and a fault may happen before the call takes
    /// effect.
    pub async fn call(
        &self,
        port: Port,
        possible: &[Fault],
        what: impl Fn() -> String + Send,
    ) -> Result<Fate, Trouble> {
        self.meddle();
        others_first().await;
        let slowness = self.turn.label().slowness;
        let latency = self.weather.latency(port).max(slowness);
        if latency > 0 && self.dice.happens(if slowness > 0 { 600 } else { 250 }) {
            tokio::time::sleep(Duration::from_millis(self.dice.between(1, latency))).await;
        }
        let fault = match self.is_calm() {
            true => None,
            false => self.weather.strike(&self.dice, port, self.now(), possible),
        };
        self.say(|| match fault {
            None => what(),
            Some(fault) => format!("{} [{fault:?}]", what()),
        });
        match fault {
            Some(Fault::NoAnswer) => Err(Trouble { transient: true }),
            Some(Fault::Refused) => Err(Trouble { transient: false }),
            Some(Fault::CrashBefore) => self.turn.crash().await,
            Some(Fault::Pause) => {
                let seconds = self.dice.between(1, PAUSE_SECONDS);
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                self.say(|| format!("{}, after {seconds} s", what()));
                Ok(Fate(None))
            }
            fault => Ok(Fate(fault)),
        }
    }

    /// Returns the response of a call that has taken effect.
    pub async fn answer(&self, fate: Fate) -> Result<(), Trouble> {
        match fate.0 {
            Some(Fault::AnswerLost) => Err(Trouble { transient: true }),
            Some(Fault::CrashAfter) => self.turn.crash().await,
            _ => Ok(()),
        }
    }
}
