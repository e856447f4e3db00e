//! What the board asks of a stack.

use audit::{Filter, Page};
use delivery::state::DeploymentState;
use deployed_stack::console::Console;
use deployed_stack::deployments::Deployments;
use deployed_stack::trail::{self, Trail};
use deployed_stack::{Error, Stack, replay, rollback};
use domain::push::PushId;
use domain::push_index::CommitPrefix;
use domain::state::PushState;

/// The pushes of a stack: what is asked about them, and what starts one again.
pub trait Pushes: Send + Sync + 'static {
    /// Returns the stack's name.
    fn stack(&self) -> &str;

    /// Returns the AWS console, or `None` if there is none.
    fn console(&self) -> Option<Console>;

    /// Returns a page of the pushes that a filter lets pass.
    fn list(&self, filter: &Filter, limit: usize) -> impl Future<Output = Result<Page, Error>> + Send;

    /// Returns the pushes of the commits whose ids begin with `commit`.
    fn of_commit(&self, commit: &CommitPrefix) -> impl Future<Output = Result<Vec<PushState>, Error>> + Send;

    /// Returns the events of a push, and the state that they fold to. There is none of either if there is no such push.
    fn trail(&self, id: PushId) -> impl Future<Output = Result<Trail, Error>> + Send;

    /// Returns the deployments that a push has caused, the newest first.
    fn deployments(&self, id: PushId) -> impl Future<Output = Result<Vec<DeploymentState>, Error>> + Send;

    /// Starts another execution of a push, which takes it over. Returns its ARN.
    fn replay(&self, push: &PushState) -> impl Future<Output = Result<String, Error>> + Send;

    /// Starts the push that delivers the zip of this one again. Returns its id.
    fn roll_back(&self, push: &PushState) -> impl Future<Output = Result<PushId, Error>> + Send;
}

impl Pushes for Stack {
    fn stack(&self) -> &str {
        self.name()
    }

    fn console(&self) -> Option<Console> {
        Self::console(self)
    }

    async fn list(&self, filter: &Filter, limit: usize) -> Result<Page, Error> {
        trail::list(self, filter, limit).await
    }

    async fn of_commit(&self, commit: &CommitPrefix) -> Result<Vec<PushState>, Error> {
        trail::of_commit(self, commit).await
    }

    async fn trail(&self, id: PushId) -> Result<Trail, Error> {
        trail::read(&Self::trail(self)?, id).await
    }

    async fn deployments(&self, id: PushId) -> Result<Vec<DeploymentState>, Error> {
        Deployments::of_push(self, id).await
    }

    async fn replay(&self, push: &PushState) -> Result<String, Error> {
        replay::replay(self, push).await
    }

    async fn roll_back(&self, push: &PushState) -> Result<PushId, Error> {
        rollback::roll_back(self, push).await
    }
}
