//! `push-code pushes`: what the audit trail has of pushes.

pub(crate) mod filter;
pub(crate) mod text;
mod watch;

use std::cmp::Reverse;
use std::io::Write;

use audit::{Filter, Page, RefKey};
use clap::Subcommand;
use deployed_stack::Stack;
use deployed_stack::deployments::Deployments;
use deployed_stack::filter::ref_name;
use deployed_stack::trail::{self, Trail};
use deployed_stack::{overtaken, replay, rollback};
use domain::git::RefName;
use domain::push::PushId;
use domain::push_index::{Category, CommitPrefix};
use domain::state::PushState;
use local_aws::application::PUSH_CODE;
use serde_json::json;
use shell::progress::Progress;

use self::filter::{CategoryArg, FilterArgs, SubjectArgs};
use crate::Error;
use crate::deployments::{open_stack, table};
use crate::results::Results;

/// The stack of the pushes that a command is about.
#[derive(Debug, Clone, clap::Args)]
pub struct StackArgs {
    /// The stack of the pushes.
    #[arg(long, value_name = "STACK", default_value = "push-code")]
    stack: String,
    /// The stack is in this checkout's local AWS. Otherwise it is where AWS's usual variables and profiles lead.
    #[arg(long)]
    local: bool,
}

impl StackArgs {
    /// Returns whether the command line has named the stack.
    pub(crate) fn is_named(&self) -> bool {
        self.local || self.stack != PUSH_CODE.name
    }

    pub(crate) async fn open(&self, progress: Progress) -> Result<Stack, Error> {
        open_stack(&self.stack, self.local, progress).await
    }
}

/// What to do with pushes.
#[derive(Debug, Subcommand)]
pub enum PushesCommand {
    /// List the last pushes: on each page the open ones first, then those that have failed, then the others.
    #[command(after_help = "Examples:\n  \
        push-code pushes list --repository group/project --ref main\n  \
        push-code pushes list --status open,failed --since 2h")]
    List {
        /// Only pushes of this status. Several may be named.
        #[arg(long, value_enum, value_name = "STATUS", value_delimiter = ',')]
        status: Vec<CategoryArg>,
        /// Which of them.
        #[command(flatten)]
        filter: FilterArgs,
        /// Their stack.
        #[command(flatten)]
        stack: StackArgs,
    },
    /// List the pushes that have failed, except for those whose destination has the zip of a newer push of their ref by
    /// now. Exits with 1 if there are any.
    Failed {
        /// Which of them.
        #[command(flatten)]
        filter: FilterArgs,
        /// Their stack.
        #[command(flatten)]
        stack: StackArgs,
    },
    /// Show where a commit was delivered to, with the versions of the objects. Exits with 1 if it was not.
    Where {
        /// The commit's id, or at least its first seven digits.
        commit: CommitPrefix,
        /// Their stack.
        #[command(flatten)]
        stack: StackArgs,
    },
    /// Start another execution of a push, as it is in the trail. It takes the push over, as if the webhook was sent
    /// again.
    Replay {
        /// Its id.
        #[arg(required_unless_present = "commit")]
        id: Option<PushId>,
        /// The last push of this commit instead: its id, or at least its first seven digits.
        #[arg(long, conflicts_with = "id")]
        commit: Option<CommitPrefix>,
        /// Its stack.
        #[command(flatten)]
        stack: StackArgs,
    },
    /// Deliver the zip of an earlier push again, as a push of its own. Only pushes that come after it replace that zip.
    Rollback {
        /// The ref whose destination is rolled back: a branch, or a full name such as refs/tags/v1.
        #[arg(value_name = "REF", value_parser = ref_name)]
        ref_name: RefName,
        /// The earlier push of this ref.
        id: PushId,
        /// Its stack.
        #[command(flatten)]
        stack: StackArgs,
    },
    /// Print the events of pushes as they happen, a line each, until Ctrl-C.
    ///
    /// With the id of a push: all its events, also those that it has already, until it is closed. Exits with 1 if it
    /// has failed.
    Watch {
        /// Only this push.
        #[arg(conflicts_with_all = ["repository", "ref_name", "source"])]
        id: Option<PushId>,
        /// Which of them.
        #[command(flatten)]
        subject: SubjectArgs,
        /// Their stack.
        #[command(flatten)]
        stack: StackArgs,
    },
    /// Show a push: its events, and the deployments that it has caused. Exits with 1 if it has failed.
    Show {
        /// Its id.
        id: PushId,
        /// Its stack.
        #[command(flatten)]
        stack: StackArgs,
    },
}

/// Runs the command. Returns `false` if what was asked for has failed, or was not delivered.
///
/// # Errors
/// Returns an error if there is no such push, or if the stack cannot be read.
pub async fn run(
    command: PushesCommand,
    results: &mut Results<impl Write>,
    progress: Progress,
) -> Result<bool, Error> {
    match command {
        PushesCommand::List {
            status,
            filter,
            stack,
        } => {
            let stack = stack.open(progress).await?;
            show_page(&page(&stack, &filter, &status).await?, results)?;
            Ok(true)
        }
        PushesCommand::Failed { filter, stack } => {
            let stack = stack.open(progress).await?;
            let page = failed(&stack, &filter).await?;
            show_page(&page, results)?;
            Ok(page.pushes.is_empty())
        }
        PushesCommand::Where { commit, stack } => {
            let stack = stack.open(progress).await?;
            let pushes = trail::of_commit(&stack, &commit).await?;
            let is_delivered = pushes.iter().any(|push| push.delivered.is_some());
            results.text(text::places(&commit, &pushes))?;
            results.put(json!({ "pushes": pushes }));
            Ok(is_delivered)
        }
        PushesCommand::Replay { id, commit, stack } => {
            let stack = stack.open(progress).await?;
            let push = match (id, commit) {
                (Some(id), _) => state_of(&stack, id).await?.0,
                (None, Some(commit)) => last_of_commit(&stack, &commit).await?,
                (None, None) => {
                    return Err(Error::Usage("name a push, or a commit with --commit".to_owned()));
                }
            };
            let execution = replay::replay(&stack, &push).await?;
            let push_id = push.push_id();
            results.put(json!({ "push_id": push_id, "execution": execution }));
            if push.delivered.is_some() || push.superseded.is_some() {
                results.text("It was delivered or superseded before: only its event is sent once more.")?;
            }
            results.text(format!(
                "The push {push_id} is taken over by {execution}\nIts end: push-code pushes show {push_id}"
            ))?;
            Ok(true)
        }
        PushesCommand::Rollback { ref_name, id, stack } => {
            let stack = stack.open(progress).await?;
            let (push, _) = state_of(&stack, id).await?;
            if push.push.ref_name != ref_name {
                return Err(Error::Usage(format!(
                    "the push {id} is of {}, not of {ref_name}: `push-code pushes list --ref {ref_name}` shows those that are",
                    push.push.ref_name
                )));
            }
            let rollback = rollback::roll_back(&stack, &push).await?;
            results.put(json!({ "push_id": rollback }));
            results.text(format!(
                "The push {rollback} delivers the zip of {id} again\nIts end: push-code pushes show {rollback}"
            ))?;
            Ok(true)
        }
        PushesCommand::Watch { id, subject, stack } => {
            let stack = stack.open(progress).await?;
            match id {
                Some(id) => watch::one(&stack, id, results, progress).await,
                None => watch::all(&stack, &subject, results, progress)
                    .await
                    .map(|()| true),
            }
        }
        PushesCommand::Show { id, stack } => show(&stack.open(progress).await?, id, results).await,
    }
}

async fn page(stack: &Stack, filter: &FilterArgs, status: &[CategoryArg]) -> Result<Page, Error> {
    let mut asked = filter.filter();
    if !status.is_empty() {
        asked.categories = status.iter().copied().map(Category::from).collect();
    }
    Ok(trail::list(stack, &asked, filter.limit()).await?)
}

/// Returns the first page that has a failed push which was not overtaken, or the last one.
async fn failed(stack: &Stack, filter: &FilterArgs) -> Result<Page, Error> {
    let mut asked = Filter {
        categories: vec![Category::Failed],
        ..filter.filter()
    };
    loop {
        let mut page = trail::list(stack, &asked, filter.limit()).await?;
        page.pushes = overtaken::leave_out(stack, page.pushes).await?;
        page.pushes.sort_by_key(|push| Reverse(push.received_at));
        if !page.pushes.is_empty() || page.next.is_none() {
            return Ok(page);
        }
        asked.before = page.next;
    }
}

fn show_page(page: &Page, results: &mut Results<impl Write>) -> Result<(), Error> {
    results.text(text::table(&page.pushes))?;
    if let Some(next) = page.next {
        results.text(format!("There may be more, with --before '{next}'"))?;
    }
    let next = page.next.map(|next| next.to_string());
    results.put(json!({ "pushes": page.pushes, "next": next }));
    Ok(())
}

/// Returns a push and its events.
pub(crate) async fn state_of(stack: &Stack, id: PushId) -> Result<(PushState, Trail), Error> {
    let trail = trail::read(&stack.trail()?, id).await?;
    let state = trail.state.clone().ok_or_else(|| no_push(stack, id))?;
    Ok((state, trail))
}

fn no_push(stack: &Stack, id: PushId) -> Error {
    Error::NoPush {
        push_id: id.to_string(),
        stack: stack.name().to_owned(),
    }
}

/// Returns the last push of a commit, which has to be that of one ref.
async fn last_of_commit(stack: &Stack, commit: &CommitPrefix) -> Result<PushState, Error> {
    let mut pushes = trail::of_commit(stack, commit).await?;
    pushes.sort_by_key(|push| push.received_at);
    let Some(last) = pushes.pop() else {
        return Err(Error::NoPushOfCommit {
            commit: commit.to_string(),
            stack: stack.name().to_owned(),
        });
    };
    let what = |push: &PushState| (RefKey::of(&push.push), push.commit_or_after().map(str::to_owned));
    match pushes.iter().find(|push| what(push) != what(&last)) {
        None => Ok(last),
        Some(other) => Err(Error::Usage(format!(
            "several commits or refs have pushes of {commit}, such as {} of {} and {} of {}: name the push by its id",
            last.push_id(),
            last.push.ref_name,
            other.push_id(),
            other.push.ref_name,
        ))),
    }
}

async fn show(stack: &Stack, id: PushId, results: &mut Results<impl Write>) -> Result<bool, Error> {
    let (state, shown) = state_of(stack, id).await?;
    let deployments = Deployments::of_push(stack, id).await?;
    results.put(json!({ "push": state, "trail": shown.events, "deployments": deployments }));
    results.text(text::describe(&state, &shown, stack.console().as_ref()))?;
    if !deployments.is_empty() {
        results.text(format!("Deployments\n{}", table(&deployments)))?;
    }
    Ok(state.failure.is_none())
}
