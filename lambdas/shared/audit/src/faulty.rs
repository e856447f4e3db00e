//! A trail in memory whose next writes do not go as they should.

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

/// What becomes of a write.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Nothing: it is written.
    None,
    /// Somebody else appends an event right before.
    Event(Box<PushEvent>),
    /// Somebody else's push is numbered right before.
    Number(Push),
    /// Somebody else writes the destination's record right before.
    Destination(DestinationRecord),
    /// It takes effect, but its answer is lost, and the client's next try of it finds something else there.
    AnswerLost,
    /// It has no effect: somebody else writes at the same time.
    Conflict,
    /// DynamoDB does not answer.
    Unavailable,
}

impl Fault {
    /// Somebody else appends `event` right before.
    pub fn event(event: PushEvent) -> Self {
        Self::Event(Box::new(event))
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct FaultyTrail {
    /// What is written.
    pub trail: MemoryTrail,
    faults: Mutex<VecDeque<Fault>>,
}

impl FaultyTrail {
    /// The next writes meet `faults`, one each, and those after them meet none.
    pub fn meets(&self, faults: impl IntoIterator<Item = Fault>) {
        self.faults.lock().unwrap().extend(faults);
    }

    /// How many faults no write has met yet.
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

/// Makes `write` meet `fault`.
async fn meet(
    fault: Fault,
    write: impl Future<Output = Result<bool, AuditError>>,
) -> Result<bool, AuditError> {
    match fault {
        Fault::AnswerLost => write.await.map(|_| false),
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
        meet(fault, self.trail.put_event(event, next)).await
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
        meet(fault, self.trail.replace_last_push(key, before, next)).await
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
        meet(fault, self.trail.put_destination(destination, next)).await
    }
}
