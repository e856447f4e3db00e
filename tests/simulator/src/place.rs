//! Where an execution is.

use domain::closed::Closed;
use domain::contract::{Archive, Deliver, Expire, Failure, FetchedCommit, FoundRef};

/// The state of an execution, and its variables, which outlast its end.
#[derive(Debug, Clone)]
pub struct Place {
    pub state: String,
    pub redrive_count: u64,
    pub settings: String,
    pub deliver: Option<Deliver>,
    pub expire: Option<Expire>,
    pub found: Option<FoundRef>,
    pub fetched: Option<FetchedCommit>,
    pub archive: Option<Archive>,
    pub closed: Option<Closed>,
    pub failure: Failure,
    pub was_fetched_again: bool,
}

impl Default for Place {
    fn default() -> Self {
        Self {
            state: "Begin".to_owned(),
            redrive_count: 0,
            settings: String::new(),
            deliver: None,
            expire: None,
            found: None,
            fetched: None,
            archive: None,
            closed: None,
            failure: Failure {
                stage: String::new(),
                error: String::new(),
                cause: String::new(),
            },
            was_fetched_again: false,
        }
    }
}
