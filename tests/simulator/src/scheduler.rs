//! The scheduler, which polls any number of futures on one thread. At each step it chooses by chance one that can
//! continue.
//!
//! Time is tokio's own, paused: if no task can continue, it moves to the next timer.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tokio::time::Instant;

use crate::dice::Dice;

/// No task waits longer than this. The longest wait of the state machine is far shorter.
const FOREVER: Duration = Duration::from_secs(1_000_000);
/// A history that takes more steps than this never ends.
const MAX_STEPS: u64 = 1_000_000;

/// A future of the simulation. It never leaves its thread.
pub type Work = Pin<Box<dyn Future<Output = ()>>>;

/// The number of a task.
pub type TaskId = u64;

/// A description of a task, for the ports that it calls.
#[derive(Debug, Default)]
pub struct Label {
    /// Its name in the trace.
    pub name: String,
    /// The ARN of the execution that it belongs to, if any.
    pub execution: Option<String>,
    /// The longest time of its calls without faults, in milliseconds, if it is slower than other tasks.
    pub slowness: u64,
}

struct Task {
    label: Arc<Label>,
    work: Work,
    waker: Waker,
}

/// The tasks that can continue, and the waker of the scheduler itself, which waits for them.
#[derive(Default)]
struct Woken {
    tasks: Mutex<BTreeSet<TaskId>>,
    scheduler: Mutex<Option<Waker>>,
}

struct TaskWaker {
    id: TaskId,
    woken: Arc<Woken>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        lock(&self.woken.tasks).insert(self.id);
        if let Some(scheduler) = lock(&self.woken.scheduler).take() {
            scheduler.wake();
        }
    }
}

/// Locks a mutex. No other thread can have poisoned it, because there is only one.
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

enum TaskCommand {
    Begin(TaskId, Label, Work),
    Drop(TaskId),
}

/// Begins and drops tasks.
#[derive(Clone, Default)]
pub struct Tasks {
    commands: std::rc::Rc<std::cell::RefCell<Vec<TaskCommand>>>,
    last: std::rc::Rc<std::cell::Cell<TaskId>>,
}

impl Tasks {
    /// Begins a task.
    pub fn begin(&self, label: Label, work: impl Future<Output = ()> + 'static) -> TaskId {
        let id = self.last.get() + 1;
        self.last.set(id);
        self.commands
            .borrow_mut()
            .push(TaskCommand::Begin(id, label, Box::pin(work)));
        id
    }

    /// Drops a task wherever it is, unless it has ended.
    pub fn drop_task(&self, id: TaskId) {
        self.commands.borrow_mut().push(TaskCommand::Drop(id));
    }
}

/// The task whose turn it is, as its ports see it.
#[derive(Debug, Default)]
pub struct Turn {
    label: Mutex<Arc<Label>>,
    id: AtomicU64,
    crashed: Mutex<bool>,
}

impl Turn {
    /// Returns the description of the task.
    pub fn label(&self) -> Arc<Label> {
        lock(&self.label).clone()
    }

    /// Returns the number of the task.
    pub fn id(&self) -> TaskId {
        self.id.load(Ordering::Relaxed)
    }

    /// Ends the task here: its future is dropped before anything else happens.
    pub async fn crash(&self) -> ! {
        *lock(&self.crashed) = true;
        std::future::pending().await
    }

    fn begin(&self, id: TaskId, label: &Arc<Label>) {
        *lock(&self.label) = label.clone();
        self.id.store(id, Ordering::Relaxed);
    }

    fn end(&self) -> bool {
        std::mem::take(&mut lock(&self.crashed))
    }
}

/// Lets other tasks continue before the current one.
pub async fn others_first() {
    let mut asked = false;
    poll_fn(|context: &mut Context<'_>| {
        if asked {
            return Poll::Ready(());
        }
        asked = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Runs all tasks, and those that they begin, until none is left.
///
/// # Errors
/// Returns the names of the tasks that never end.
pub async fn run(tasks: &Tasks, turn: &Turn, dice: &Dice, mut each_step: impl FnMut()) -> Result<(), String> {
    let woken = Arc::new(Woken::default());
    let mut running: BTreeMap<TaskId, Task> = BTreeMap::new();
    for _ in 0..MAX_STEPS {
        each_step();
        let commands = std::mem::take(&mut *tasks.commands.borrow_mut());
        for command in commands {
            match command {
                TaskCommand::Begin(id, label, work) => {
                    let waker = Waker::from(Arc::new(TaskWaker {
                        id,
                        woken: woken.clone(),
                    }));
                    let label = Arc::new(label);
                    running.insert(id, Task { label, work, waker });
                    lock(&woken.tasks).insert(id);
                }
                TaskCommand::Drop(id) => drop(running.remove(&id)),
            }
        }
        if running.is_empty() && tasks.commands.borrow().is_empty() {
            return Ok(());
        }
        let ready = lock(&woken.tasks).len();
        if ready == 0 {
            if !anybody(&woken).await {
                break;
            }
            continue;
        }
        let id = {
            let mut woken = lock(&woken.tasks);
            let chosen = woken.iter().nth(dice.index(ready)).copied().unwrap_or_default();
            woken.remove(&chosen);
            chosen
        };
        let Some(task) = running.get_mut(&id) else {
            continue;
        };
        turn.begin(id, &task.label);
        let ended = task.work.as_mut().poll(&mut Context::from_waker(&task.waker));
        if turn.end() || ended.is_ready() {
            running.remove(&id);
        }
    }
    let names: Vec<_> = running.values().map(|task| task.label.name.clone()).collect();
    Err(format!("these never end: {}", names.join(", ")))
}

/// Waits until a task can continue. Returns `false` if none ever can.
async fn anybody(woken: &Woken) -> bool {
    let begun = Instant::now();
    let waiting = poll_fn(|context: &mut Context<'_>| {
        *lock(&woken.scheduler) = Some(context.waker().clone());
        if lock(&woken.tasks).is_empty() {
            return Poll::Pending;
        }
        Poll::Ready(())
    });
    tokio::time::timeout_at(begun + FOREVER, waiting).await.is_ok()
}
