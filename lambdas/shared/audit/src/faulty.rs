//! A trail in memory with injected faults.

#![expect(clippy::unwrap_used, reason = "a test whose lock is poisoned has failed")]

use std::collections::VecDeque;
use std::io;
use std::sync::Mutex;

use domain::aggregate::{Aggregate, RecordedEvent};
use domain::destination::Destination;
use domain::push::Push;

use super::{AuditError, DestinationRecord, EventStore, LastPush, MemoryTrail, PushTrail, RefKey};
use aws::AwsFailure;

/// A fault of one write.
#[derive(Debug, Clone)]
pub enum Fault<A: Aggregate = Push> {
    /// There is no fault.
    None,
    /// Another writer appends an event right before.
    Event(Box<A::Event>),
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

impl<A: Aggregate> Fault<A> {
    /// Returns the fault that another writer appends `event` right before.
    pub fn event(event: A::Event) -> Self {
        Self::Event(Box::new(event))
    }
}

/// A trail in memory with injected faults.
#[derive(Debug)]
pub struct FaultyTrail<A: Aggregate = Push> {
    /// The trail that is written to.
    pub trail: MemoryTrail<A>,
    faults: Mutex<VecDeque<Fault<A>>>,
}

impl<A: Aggregate> Default for FaultyTrail<A> {
    fn default() -> Self {
        Self {
            trail: MemoryTrail::default(),
            faults: Mutex::default(),
        }
    }
}

impl<A: Aggregate> FaultyTrail<A> {
    /// Injects `faults` into the next writes, one each.
    pub fn inject(&self, faults: impl IntoIterator<Item = Fault<A>>) {
        self.faults.lock().unwrap().extend(faults);
    }

    /// Returns how many injected faults are left.
    pub fn faults_left(&self) -> usize {
        self.faults.lock().unwrap().len()
    }

    fn next(&self) -> Fault<A> {
        self.faults.lock().unwrap().pop_front().unwrap_or(Fault::None)
    }
}

fn unavailable() -> AuditError {
    AuditError::Unavailable {
        table: "table".to_owned(),
        source: AwsFailure::interrupted("dynamodb:PutItem", &io::Error::other("reset")),
    }
}

/// Applies `fault` to `write`.
async fn apply<A: Aggregate>(
    fault: Fault<A>,
    write: impl Future<Output = Result<bool, AuditError>>,
) -> Result<bool, AuditError> {
    match fault {
        Fault::ResponseLost => write.await.map(|_| false),
        Fault::Conflict => Ok(false),
        Fault::Unavailable => Err(unavailable()),
        Fault::None | Fault::Event(_) | Fault::Number(_) | Fault::Destination(_) => write.await,
    }
}

impl<A: Aggregate> EventStore<A> for FaultyTrail<A> {
    async fn events(&self, id: A::Id) -> Result<Vec<RecordedEvent<A::Event>>, AuditError> {
        self.trail.events(id).await
    }

    async fn put_event(&self, event: &RecordedEvent<A::Event>, next: &A::State) -> Result<bool, AuditError> {
        let fault = self.next();
        if let Fault::Event(event) = &fault {
            let state = self.trail.load(A::id(next)).await?;
            self.trail.try_append(state, A::Event::clone(event)).await?;
        }
        apply(fault, self.trail.put_event(event, next)).await
    }
}

impl PushTrail for FaultyTrail<Push> {
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
