//! A trail in memory with injected faults.

#![expect(clippy::unwrap_used, reason = "a test whose lock is poisoned has failed")]

use std::collections::VecDeque;
use std::io;
use std::sync::Mutex;

use domain::destination::Destination;
use domain::event::{PushEvent, RecordedEvent};
use domain::push::{Push, PushId};
use domain::state::PushState;

use super::{AuditError, AuditTrail, DestinationRecord, LastPush, MemoryTrail, RefKey};
use aws::AwsFailure;

/// A fault of one write.
#[derive(Debug, Clone)]
pub enum Fault {
    /// There is no fault.
    None,
    /// Another writer appends an event right before.
    Event(Box<PushEvent>),
    /// Another writer's push is numbered right before.
    Number(Push),
    /// Another writer writes the destination's record right before.
    Destination(DestinationRecord),
    /// The write takes effect, but its response is lost, and the client's retry finds something else there.
    ResponseLost,
    /// The write has no effect, because another writer writes at the same time.
    Conflict,
    /// DynamoDB does not respond.
    Unavailable,
}

impl Fault {
    /// Returns the fault that another writer appends `event` right before.
    pub fn event(event: PushEvent) -> Self {
        Self::Event(Box::new(event))
    }
}

/// A trail in memory with injected faults.
#[derive(Debug, Default)]
pub struct FaultyTrail {
    /// The trail that is written to.
    pub trail: MemoryTrail,
    faults: Mutex<VecDeque<Fault>>,
}

impl FaultyTrail {
    /// Injects `faults` into the next writes, one each.
    pub fn inject(&self, faults: impl IntoIterator<Item = Fault>) {
        self.faults.lock().unwrap().extend(faults);
    }

    /// Returns how many injected faults are left.
    pub fn faults_left(&self) -> usize {
        self.faults.lock().unwrap().len()
    }

    fn next(&self) -> Fault {
        self.faults.lock().unwrap().pop_front().unwrap_or(Fault::None)
    }

    fn unavailable() -> AuditError {
        AuditError::Unavailable {
            table: "table".to_owned(),
            source: AwsFailure::interrupted("dynamodb:PutItem", &io::Error::other("reset")),
        }
    }
}

/// Applies `fault` to `write`.
async fn apply(
    fault: Fault,
    write: impl Future<Output = Result<bool, AuditError>>,
) -> Result<bool, AuditError> {
    match fault {
        Fault::ResponseLost => write.await.map(|_| false),
        Fault::Conflict => Ok(false),
        Fault::Unavailable => Err(FaultyTrail::unavailable()),
        Fault::None | Fault::Event(_) | Fault::Number(_) | Fault::Destination(_) => write.await,
    }
}

impl AuditTrail for FaultyTrail {
    async fn events(&self, push_id: PushId) -> Result<Vec<RecordedEvent>, AuditError> {
        self.trail.events(push_id).await
    }

    async fn put_event(&self, event: &RecordedEvent, next: &PushState) -> Result<bool, AuditError> {
        let fault = self.next();
        if let Fault::Event(event) = &fault {
            let state = self.trail.load(next.push_id()).await?;
            self.trail.try_append(state, PushEvent::clone(event)).await?;
        }
        apply(fault, self.trail.put_event(event, next)).await
    }

    async fn last_push(&self, key: &RefKey) -> Result<Option<LastPush>, AuditError> {
        self.trail.last_push(key).await
    }

    async fn replace_last_push(
        &self,
        key: &RefKey,
        before: Option<&LastPush>,
        next: &LastPush,
    ) -> Result<bool, AuditError> {
        let fault = self.next();
        if let Fault::Number(push) = &fault {
            self.trail.number(push).await?;
        }
        apply(fault, self.trail.replace_last_push(key, before, next)).await
    }

    async fn destination(&self, destination: &Destination) -> Result<Option<DestinationRecord>, AuditError> {
        self.trail.destination(destination).await
    }

    async fn put_destination(
        &self,
        destination: &Destination,
        next: &DestinationRecord,
    ) -> Result<bool, AuditError> {
        let fault = self.next();
        if let Fault::Destination(record) = &fault {
            self.trail.put_destination(destination, record).await?;
        }
        apply(fault, self.trail.put_destination(destination, next)).await
    }
}
