//! What is kept of deployments beside their events.

use delivery::deployment::{Deployment, DeploymentId};
use delivery::slot::{ApprovalToken, Release, Slot, SlotKey};

use super::{AuditError, EventStore};

/// The audit trail of deployments: their events, slots, releases, and tokens of approvals.
pub trait DeploymentTrail: EventStore<Deployment> {
    /// Returns a slot, which is empty if it was never written. The read is consistent.
    fn slot(&self, key: &SlotKey) -> impl Future<Output = Result<Slot, AuditError>> + Send;

    /// Writes a slot, if its version is one more than that in the trail. Returns `false` otherwise.
    fn put_slot(&self, key: &SlotKey, next: &Slot) -> impl Future<Output = Result<bool, AuditError>> + Send;

    /// Writes a release, which is there already if it was written before.
    fn put_release(
        &self,
        key: &SlotKey,
        release: &Release,
    ) -> impl Future<Output = Result<(), AuditError>> + Send;

    /// Returns at most `limit` releases, the newest first. The read is consistent.
    fn releases(
        &self,
        key: &SlotKey,
        limit: i32,
    ) -> impl Future<Output = Result<Vec<Release>, AuditError>> + Send;

    /// Writes the token of a deployment that waits for approval, in place of an earlier one.
    fn put_approval(&self, token: &ApprovalToken) -> impl Future<Output = Result<(), AuditError>> + Send;

    /// Returns the token of a deployment that waits for approval, or `None` if it never did.
    fn approval(
        &self,
        deployment_id: DeploymentId,
    ) -> impl Future<Output = Result<Option<ApprovalToken>, AuditError>> + Send;
}
