//! What goes wrong in a history, and how often. Each history has its own weather: one where everything fails never comes
//! to what happens late, and one where all is well never comes to what happens after a failure.

use std::time::Duration;

use crate::dice::Dice;

/// A service that is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// The table of the audit trail.
    Trail,
    /// The staging bucket.
    Staging,
    /// The destination's bucket.
    Store,
    /// The git host.
    Host,
    /// Step Functions, as the webhook's function calls it.
    Executions,
    /// Lambda, as the state machine calls it.
    Lambda,
    /// The parameters with the sources' settings.
    Parameters,
    /// The event bus.
    Bus,
}

const PORTS: [Port; 8] = [
    Port::Trail,
    Port::Staging,
    Port::Store,
    Port::Host,
    Port::Executions,
    Port::Lambda,
    Port::Parameters,
    Port::Bus,
];

/// What may become of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The service does not answer, and has done nothing.
    NoAnswer,
    /// The service has done it, and its answer is lost.
    AnswerLost,
    /// The service refuses, as one whose policy was changed.
    Refused,
    /// The service says that somebody else was first. Nothing was written.
    Conflict,
    /// It was written, but its answer was lost, and the client's own second try has met what the first one wrote.
    ConflictWithItself,
    /// The function dies before the call.
    CrashBefore,
    /// The function dies after the call.
    CrashAfter,
    /// The answer takes very long.
    Pause,
}

const FAULTS: [Fault; 8] = [
    Fault::NoAnswer,
    Fault::AnswerLost,
    Fault::Refused,
    Fault::Conflict,
    Fault::ConflictWithItself,
    Fault::CrashBefore,
    Fault::CrashAfter,
    Fault::Pause,
];

/// A time in which a service hardly answers.
#[derive(Debug)]
struct Outage {
    port: Port,
    begins: Duration,
    ends: Duration,
}

/// See the module.
#[derive(Debug)]
pub struct Weather {
    /// Of 1,000 calls so many meet a fault.
    faults: u64,
    kinds: Vec<Fault>,
    outages: Vec<Outage>,
    /// Of 1,000 calls of a function the answer of so many is lost, and the function goes on.
    pub lost_answers: u64,
    /// Of 1,000 calls of a function so many do not reach it.
    pub unreached: u64,
    /// Of 1,000 calls so many are the last one before somebody stops the execution.
    pub stops: u64,
    /// Of 1,000 calls so many are the last one before somebody starts another execution of the push, to make its zip
    /// otherwise.
    pub rivals: u64,
    /// Of 1,000 times that staged objects are needed they have expired so often.
    pub expiries: u64,
    latency: u64,
    /// Whether anything may go wrong at all.
    pub is_fair: bool,
}

impl Weather {
    /// The weather of a history.
    pub fn new(dice: &Dice) -> Self {
        let latency = *dice.pick(&[0, 20, 5_000]);
        let rivals = *dice.pick(&[0, 0, 2, 10]);
        if dice.happens(300) {
            return Self {
                faults: 0,
                kinds: Vec::new(),
                outages: Vec::new(),
                lost_answers: 0,
                unreached: 0,
                stops: 0,
                rivals,
                expiries: 0,
                latency,
                is_fair: true,
            };
        }
        let mut kinds = FAULTS.to_vec();
        dice.shuffle(&mut kinds);
        kinds.truncate(dice.index(FAULTS.len()) + 1);
        let outages = (0..*dice.pick(&[0, 0, 1, 2])).map(|_| {
            let begins = dice.between(0, 1_500);
            Outage {
                port: *dice.pick(&PORTS),
                begins: Duration::from_secs(begins),
                ends: Duration::from_secs(begins + dice.between(10, 3_000)),
            }
        });
        Self {
            faults: *dice.pick(&[0, 5, 20, 80]),
            kinds,
            outages: outages.collect(),
            lost_answers: *dice.pick(&[0, 0, 50, 300]),
            unreached: *dice.pick(&[0, 0, 50]),
            stops: *dice.pick(&[0, 0, 2, 10]),
            rivals,
            expiries: *dice.pick(&[0, 0, 100]),
            latency,
            is_fair: false,
        }
    }

    /// The longest time that a call of `port` takes where nothing is wrong, in milliseconds. What moves bytes may take longer
    /// than what is to be done within the few seconds of some functions.
    pub fn latency(&self, port: Port) -> u64 {
        match port {
            Port::Staging | Port::Store | Port::Host => self.latency,
            _ => self.latency.min(50),
        }
    }

    /// What becomes of a call of `port` at `now`, of the faults that `possible` ones are. `None` if all is well.
    pub fn strike(&self, dice: &Dice, port: Port, now: Duration, possible: &[Fault]) -> Option<Fault> {
        let is_out = |outage: &Outage| outage.port == port && (outage.begins..outage.ends).contains(&now);
        if self.outages.iter().any(is_out) && dice.happens(950) {
            return Some(Fault::NoAnswer);
        }
        if !dice.happens(self.faults) {
            return None;
        }
        let fault = *dice.pick(&self.kinds);
        possible.contains(&fault).then_some(fault)
    }
}
