//! Measures what the audit trail costs in a small and in a large table: the requests, items and request units of each
//! operation, and its time in the local AWS.

mod meter;
mod pushes;
mod table;
mod units;

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use audit::{AuditError, Deliveries as _, DynamoTrail, EventStore, Filter, PushQueries as _, PushTrail as _};
use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use domain::destination::Destination;
use domain::event::PushEvent;
use domain::push::Push;
use domain::push_index::{Category, Position};
use local_aws::ministack::{Ministack, Settings};
use local_aws::tools::Tools;
use shell::progress::Progress;

use self::meter::Meter;
use self::pushes::Pushes;
use self::units::{Ledger, Units};
use crate::error::Error;
use crate::report::Spread;

/// The most that an operation may cost in the large table, as a multiple of what it costs in the small one.
const MAX_RATIO: f64 = 1.1;
/// How many pushes a person sees at once.
const PAGE: usize = 20;
/// The price of a million request units of a table on demand in us-east-1, in dollars, since November 2024:
/// <https://aws.amazon.com/dynamodb/pricing/on-demand/>.
const READ_DOLLARS: f64 = 0.125;
const WRITE_DOLLARS: f64 = 0.625;

/// How many pushes the tables have.
#[derive(Debug, clap::Args)]
pub struct TrailArgs {
    /// The number of pushes in the small table, at least 500.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(pushes::FEWEST as u64..))]
    small: u64,
    /// The number of pushes in the large table, at least 500.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(pushes::FEWEST as u64..))]
    large: u64,
    /// How many times each operation is run in each table.
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
}

/// What is done with a trail.
#[derive(Debug, Clone, Copy)]
enum Operation {
    AppendAll,
    Number,
    Lease,
    Show,
    Delivered,
    List,
    ListNext,
    ListFailed,
    OfRepository,
    OfLargest,
    OfCommit,
}

impl Operation {
    const ALL: [Self; 11] = [
        Self::AppendAll,
        Self::Number,
        Self::Lease,
        Self::Show,
        Self::Delivered,
        Self::List,
        Self::ListNext,
        Self::ListFailed,
        Self::OfRepository,
        Self::OfLargest,
        Self::OfCommit,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::AppendAll => "append the 8 events of a push",
            Self::Number => "number a push",
            Self::Lease => "acquire and release a destination's lease",
            Self::Show => "show a push with its 8 events",
            Self::Delivered => "what a push has delivered",
            Self::List => "list the newest 20 of all",
            Self::ListNext => "list the 20 before these",
            Self::ListFailed => "list what has failed in 3 days",
            Self::OfRepository => "list the newest 20 of a repository",
            Self::OfLargest => "list the newest 20 of the largest repository",
            Self::OfCommit => "where a commit was delivered",
        }
    }

    /// Returns how many events, pushes or records it finds or writes.
    fn finds(self) -> usize {
        match self {
            Self::AppendAll | Self::Show => pushes::EVENTS,
            Self::Number | Self::Lease | Self::Delivered | Self::OfCommit => 1,
            Self::List | Self::ListNext | Self::OfRepository | Self::OfLargest => PAGE,
            // One of a hundred, and there are a hundred a day.
            Self::ListFailed => 3,
        }
    }
}

/// A table, and what listens to its client.
struct Scene {
    trail: DynamoTrail,
    meter: Meter,
    ledger: Ledger,
    pushes: Pushes,
    before: Option<Position>,
    now: DateTime<Utc>,
}

/// What an operation has cost in each run.
#[derive(Debug, Default)]
struct Cost {
    units: Vec<Units>,
    time: Vec<Duration>,
}

impl Cost {
    fn median(&self, of: impl Fn(&Units) -> f64) -> f64 {
        Spread::of(self.units.iter().map(of)).median
    }

    fn milliseconds(&self) -> f64 {
        Spread::of(self.time.iter().map(|time| time.as_secs_f64() * 1e3)).median
    }

    /// The dollars of a million of these operations.
    fn dollars(&self) -> f64 {
        self.median(|units| units.read) * READ_DOLLARS + self.median(|units| units.write) * WRITE_DOLLARS
    }
}

/// Fills both tables, runs all operations in both, and prints a table.
pub fn run(args: &TrailArgs) -> Result<(), Error> {
    let runtime = tokio::runtime::Runtime::new().map_err(Error::io("start", Path::new("a runtime")))?;
    runtime.block_on(measure(args))
}

async fn measure(args: &TrailArgs) -> Result<(), Error> {
    let tools = Tools::install(Progress::on_stderr())
        .await
        .map_err(Error::trail("install the local AWS"))?;
    let folder = tempfile::tempdir().map_err(Error::io("make a folder in", &std::env::temp_dir()))?;
    let started = Ministack::start(&tools, &Settings::default(), folder.path(), true).await;
    // It ends with this value.
    let (aws, _process) = started.map_err(Error::trail("start the local AWS"))?;
    let config = aws.sdk_config();
    let now = Utc::now();
    let mut small = Scene::new(&config, "small", args.small, now).await?;
    let mut large = Scene::new(&config, "large", args.large, now).await?;
    let mut report = format!(
        "| Operation | Requests | Items read | Read units | Write units | $ per million | Units, {large} / {small} pushes | \
         Time, {large} / {small} pushes | Time, {large} pushes |\n|---|---|---|---|---|---|---|---|---|\n",
        large = args.large,
        small = args.small,
    );
    let mut grows = Vec::new();
    for operation in Operation::ALL {
        let (mut few, mut many) = (Cost::default(), Cost::default());
        for run in 0..args.runs {
            // In turn, so that what disturbs one disturbs the other.
            small.run(operation, run, &mut few).await?;
            large.run(operation, run, &mut many).await?;
        }
        let ratio = ratio(&few, &many);
        if ratio > MAX_RATIO {
            grows.push(format!("{} ({ratio:.2}x)", operation.name()));
        }
        report += &format!(
            "| {} | {} | {} | {} | {} | {:.2} | {ratio:.2}x | {:.2}x | {:.1} ms |\n",
            operation.name(),
            many.median(|units| units.requests),
            many.median(|units| units.items),
            many.median(|units| units.read),
            many.median(|units| units.write),
            many.dollars(),
            many.milliseconds() / few.milliseconds(),
            many.milliseconds(),
        );
    }
    write!(std::io::stdout(), "{report}").map_err(Error::io("write to", Path::new("standard output")))?;
    if grows.is_empty() {
        return Ok(());
    }
    Err(Error::Grows(grows.join(", ")))
}

/// Returns the largest ratio of the units, items and requests of an operation.
fn ratio(few: &Cost, many: &Cost) -> f64 {
    let of: [fn(&Units) -> f64; 4] = [
        |units| units.requests,
        |units| units.items,
        |units| units.read,
        |units| units.write,
    ];
    let ratios = of.map(|of| match (few.median(of), many.median(of)) {
        (few, many) if few == many => 1.0,
        (few, many) => many / few,
    });
    ratios.into_iter().fold(0.0, f64::max)
}

impl Scene {
    /// Makes a table with pushes that were received before `now`.
    async fn new(
        config: &aws_config::SdkConfig,
        name: &str,
        number: u64,
        now: DateTime<Utc>,
    ) -> Result<Self, Error> {
        let number = usize::try_from(number).unwrap_or(usize::MAX);
        let pushes = Pushes::before(now, number);
        table::create(config, name).await?;
        table::fill(config, name, &pushes).await?;
        let meter = Meter::default();
        Ok(Self {
            trail: DynamoTrail::new(&meter.listening_to(config), name.to_owned()),
            meter,
            ledger: Ledger::default(),
            pushes,
            before: None,
            now,
        })
    }

    /// Runs an operation once, and adds what it has cost.
    async fn run(&mut self, operation: Operation, run: u32, cost: &mut Cost) -> Result<(), Error> {
        let (push, events) = pushes::delivered(&format!("{operation:?}{run:03}"));
        self.meter.take();
        let begun = Instant::now();
        let found = match operation {
            Operation::AppendAll => self.append(&push, events).await,
            _ => self.look(operation, run, &push).await,
        };
        let found = found.map_err(Error::trail(operation.name()))?;
        cost.time.push(begun.elapsed());
        cost.units.push(self.ledger.units(&self.meter.take())?);
        if found == operation.finds() {
            return Ok(());
        }
        Err(Error::WrongCount {
            operation: operation.name(),
            found,
            expected: operation.finds(),
        })
    }

    /// Returns how many events were appended.
    async fn append(
        &self,
        push: &Push,
        events: impl IntoIterator<Item = PushEvent>,
    ) -> Result<usize, AuditError> {
        let mut appended = 0;
        for event in events {
            let (_, is_new) = self.trail.append(push.push_id, |_| Some(event.clone())).await?;
            appended += usize::from(is_new);
        }
        Ok(appended)
    }

    /// Returns how much was found.
    async fn look(&mut self, operation: Operation, run: u32, push: &Push) -> Result<usize, AuditError> {
        let trail = &self.trail;
        // One that was delivered, from the older half, whose repository is not the largest.
        let some = self.pushes.number / 2 + 11 + run as usize % 8;
        let week = Filter::since(self.now - TimeDelta::days(7));
        let some_id = self.pushes.push(some).push_id;
        let of = |repository: String| Filter {
            repository: repository.parse().ok(),
            ..Filter::since(DateTime::UNIX_EPOCH)
        };
        let found = match operation {
            Operation::AppendAll => 0,
            Operation::Number => usize::from(trail.number(push).await? > 0),
            Operation::Lease => {
                let destination = Destination {
                    bucket: "zips".to_owned(),
                    key: domain::samples::destination("zip").key,
                };
                let record = trail.acquire(&destination).await?;
                trail.release(&destination, record).await?;
                1
            }
            Operation::Show => EventStore::<Push>::events(trail, some_id).await?.len(),
            Operation::Delivered => usize::from(trail.delivered(some_id).await?.is_some()),
            Operation::List => {
                let page = trail.list(&week, PAGE).await?;
                self.before = page.next;
                page.pushes.len()
            }
            Operation::ListNext => {
                let next = Filter {
                    before: self.before,
                    ..week
                };
                trail.list(&next, PAGE).await?.pushes.len()
            }
            Operation::ListFailed => {
                let failed = Filter {
                    categories: vec![Category::Failed],
                    ..Filter::since(
                        self.now.date_naive().and_time(NaiveTime::MIN).and_utc() - TimeDelta::days(3),
                    )
                };
                trail.list(&failed, PAGE).await?.pushes.len()
            }
            Operation::OfRepository => {
                let page = trail.list(&of(self.pushes.repository(some)), PAGE).await?;
                page.pushes.len()
            }
            Operation::OfLargest => {
                let page = trail.list(&of(pushes::LARGEST.to_owned()), PAGE).await?;
                page.pushes.len()
            }
            Operation::OfCommit => {
                let commit = pushes::commit(some);
                match commit[..7].parse() {
                    Ok(prefix) => trail.of_commit(&prefix).await?.len(),
                    Err(_) => 0,
                }
            }
        };
        Ok(found)
    }
}
