//! The stages' outputs as events, and where they are found again in the state.

use crate::closed::Closed;
use crate::contract::{
    Archive, Expiry, FetchedCommit, FoundRef, FoundVersion, Reported, Uploaded, Validated,
};
use crate::event::PushEvent;
use crate::flow::StageOutput;
use crate::push::Push;
use crate::state::PushState;

impl StageOutput<Push> for Validated {
    fn event(&self) -> Option<PushEvent> {
        Some(match self {
            Self::Deliver(deliver) => PushEvent::PushValidated(deliver.clone()),
            Self::Expire(expire) => PushEvent::DeletionValidated(expire.clone()),
            Self::Ignore(ignored) => PushEvent::PushIgnored(ignored.clone()),
        })
    }

    fn recorded(state: &PushState) -> Option<Self> {
        let deliver = state.deliver.clone().map(Self::Deliver);
        let expire = || state.expire.clone().map(Self::Expire);
        deliver
            .or_else(expire)
            .or_else(|| state.ignored.clone().map(Self::Ignore))
    }
}

impl StageOutput<Push> for FetchedCommit {
    fn event(&self) -> Option<PushEvent> {
        Some(PushEvent::CommitFetched(self.clone()))
    }

    fn recorded(state: &PushState) -> Option<Self> {
        state.fetched.clone()
    }
}

impl StageOutput<Push> for FoundVersion {
    fn event(&self) -> Option<PushEvent> {
        Some(PushEvent::VersionFound(Box::new(self.clone())))
    }

    fn recorded(state: &PushState) -> Option<Self> {
        Some(Self {
            deliver: state.deliver.clone()?,
            fetched: state.fetched.clone()?,
            archive: state.archive.clone()?,
        })
    }
}

impl StageOutput<Push> for Archive {
    fn event(&self) -> Option<PushEvent> {
        Some(PushEvent::ArchivePackaged(self.clone()))
    }

    fn recorded(state: &PushState) -> Option<Self> {
        state.archive.clone()
    }
}

impl StageOutput<Push> for Uploaded {
    fn event(&self) -> Option<PushEvent> {
        Some(match self {
            Self::Delivered(delivered) => PushEvent::ArchiveUploaded(delivered.clone()),
            Self::Superseded(superseded) => PushEvent::PushSuperseded(superseded.clone()),
            Self::Ignored(ignored) => PushEvent::PushIgnored(ignored.clone()),
        })
    }

    fn recorded(state: &PushState) -> Option<Self> {
        let delivered = state.delivered.clone().map(Self::Delivered);
        let superseded = || state.superseded.clone().map(Self::Superseded);
        let ignored = || state.ignored.clone().map(Self::Ignored);
        delivered.or_else(superseded).or_else(ignored)
    }
}

/// The git host is asked anew each time, so its answer is not recorded.
impl StageOutput<Push> for FoundRef {
    fn event(&self) -> Option<PushEvent> {
        None
    }

    fn recorded(_: &PushState) -> Option<Self> {
        None
    }
}

impl StageOutput<Push> for Expiry {
    fn event(&self) -> Option<PushEvent> {
        Some(match self {
            Self::Expired(expired) => PushEvent::PushExpired(expired.clone()),
            Self::Ignored(ignored) => PushEvent::PushIgnored(ignored.clone()),
        })
    }

    fn recorded(state: &PushState) -> Option<Self> {
        let expired = state.expired.clone().map(Self::Expired);
        expired.or_else(|| state.ignored.clone().map(Self::Ignored))
    }
}

/// `Record` writes its event itself, because the trail decides which event it is.
impl StageOutput<Push> for Closed {
    fn event(&self) -> Option<PushEvent> {
        None
    }

    fn recorded(_: &PushState) -> Option<Self> {
        None
    }
}

/// A status is set again whenever it is another one, so that no earlier one is the output of a later stage.
impl StageOutput<Push> for Reported {
    fn event(&self) -> Option<PushEvent> {
        match self {
            Self::Set(set) => Some(PushEvent::CommitStatusSet(set.clone())),
            Self::Skipped { .. } => None,
        }
    }

    fn recorded(_: &PushState) -> Option<Self> {
        None
    }
}
