//! The faults of a history, and how often they happen. Each history has its own weather: if everything fails, a history
//! never gets to what happens late, and if nothing fails, it never gets to what happens after a failure.

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

/// A fault of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The service does not respond, and has done nothing.
    NoAnswer,
    /// The call takes effect, and its response is lost.
    AnswerLost,
    /// The service refuses the call, as if its policy was changed.
    Refused,
    /// The service reports that another writer was first, and nothing is written.
    Conflict,
    /// The write takes effect, but its response is lost, and the client's retry conflicts with it.
    ConflictWithItself,
    /// The function dies before the call.
    CrashBefore,
    /// The function dies after the call.
    CrashAfter,
    /// The response takes very long.
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

/// A time in which a service hardly responds.
#[derive(Debug)]
struct Outage {
    port: Port,
    begins: Duration,
    ends: Duration,
}

/// The faults of a history.
#[derive(Debug)]
pub struct Weather {
    /// How many of 1,000 calls have a fault.
    faults: u64,
    kinds: Vec<Fault>,
    outages: Vec<Outage>,
    /// How many of 1,000 calls of a function have their response lost, while the function continues.
    pub lost_answers: u64,
    /// How many of 1,000 calls of a function do not reach it.
    pub unreached: u64,
    /// After how many of 1,000 calls a person stops the execution.
    pub stops: u64,
    /// After how many of 1,000 calls a person starts another execution of the push, to make its zip by other options.
    pub rivals: u64,
    /// How often in 1,000 times staged objects have expired when they are needed.
    pub expiries: u64,
    latency: u64,
    /// Whether the history has no faults at all.
    pub is_fair: bool,
}

impl Weather {
    /// Creates the weather of a history.
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

    /// Returns the longest time of a call of `port` without faults, in milliseconds. Calls that move bytes may take
    /// longer than those that must end within the few seconds of some functions.
    pub fn latency(&self, port: Port) -> u64 {
        match port {
            Port::Staging | Port::Store | Port::Host => self.latency,
            _ => self.latency.min(50),
        }
    }

    /// Chooses the fault of a call of `port` at `now` among the `possible` ones, or returns `None` if it has none.
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
