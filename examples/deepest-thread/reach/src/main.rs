//! Measures how long answers take, with how many requests and how much memory, about a made-up Hacker News of 11,000
//! items a day, whose search takes 300 ms and whose items take 200 ms: `cargo run --release -p reach`.

use std::error::Error;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fake_hn::{Fake, Shape, Weather, World};
use find::{HttpSource, Question};

const NOW: i64 = 1_770_000_000;
const HOURS: [u32; 3] = [24, 168, 720];

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    if std::env::args().nth(1).as_deref() == Some("serve") {
        serve().await
    } else {
        measure().await
    }
}

/// Serves the world, in a process of its own, whose memory is not measured. Each line of the standard input is answered
/// by the numbers of searches, items and threads since the last one.
async fn serve() -> Result<(), Box<dyn Error>> {
    let world = World::grow(&Shape::real(744, NOW));
    let naive = HOURS.map(|hours| {
        let from = NOW - i64::from(hours) * 3_600;
        let items = world.items().filter(|(_, item)| item.time >= from).count();
        let deepest = world.deepest(hours, NOW).map_or(0, |deepest| deepest.post);
        format!("{items} {deepest}")
    });
    let weather = Weather {
        search_delay: Duration::from_millis(300),
        item_delay: Duration::from_millis(200),
        ..Weather::default()
    };
    let fake = Fake::serve(world, weather, 0).await?;
    let mut out = std::io::stdout();
    writeln!(
        out,
        "{} {} {}",
        fake.search_url(),
        fake.items_url(),
        naive.join(" ")
    )?;
    let mut before = fake.counts();
    let lines = std::io::stdin().lines();
    for line in lines {
        line?;
        let now = fake.counts();
        writeln!(
            out,
            "{} {} {}",
            now.searches - before.searches,
            now.items - before.items,
            now.trees - before.trees
        )?;
        before = now;
    }
    Ok(())
}

async fn measure() -> Result<(), Box<dyn Error>> {
    let mut server = Command::new(std::env::current_exe()?)
        .arg("serve")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut ask = server.stdin.take().ok_or("no input")?;
    let mut answers = BufReader::new(server.stdout.take().ok_or("no output")?).lines();
    let mut words = move || -> Result<Vec<String>, Box<dyn Error>> {
        let line = answers.next().ok_or("the server has ended")??;
        Ok(line.split(' ').map(str::to_owned).collect())
    };
    let begin = words()?;
    let source = HttpSource::new(&begin[0], &begin[1]).map_err(|error| error.to_string())?;
    let memory = Memory::watch();
    let mut out = std::io::stdout();
    writeln!(
        out,
        "| Hours | Time | Searches | Threads | Items | Of a naive client | Memory |\n|---|---|---|---|---|---|---|"
    )?;
    for (number, hours) in HOURS.into_iter().enumerate() {
        let question = Question {
            hours: hours.try_into()?,
            as_of: NOW,
        };
        let began = Instant::now();
        let answer = find::handle(&source, question).await?;
        let took = began.elapsed();
        writeln!(ask)?;
        let counts = words()?;
        let (naive, deepest) = (&begin[2 + 2 * number], &begin[3 + 2 * number]);
        let found = answer.post.map(|post| post.id.to_string());
        if found.as_ref() != Some(deepest) {
            return Err(format!("{hours} h: {found:?} instead of {deepest}").into());
        }
        writeln!(
            out,
            "| {hours} | {:.1} s | {} | {} | {} | {naive} | {} MB |",
            took.as_secs_f64(),
            counts[0],
            counts[2],
            counts[1],
            memory.peak.load(Ordering::Relaxed) / 1_000
        )?;
    }
    memory.stop.store(true, Ordering::Relaxed);
    drop(ask);
    server.wait()?;
    Ok(())
}

/// The most anonymous memory of this process, in kilobytes.
#[derive(Clone, Default)]
struct Memory {
    peak: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Memory {
    fn watch() -> Self {
        let memory = Self::default();
        let watched = memory.clone();
        std::thread::spawn(move || {
            while !watched.stop.load(Ordering::Relaxed) {
                let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
                let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
                let now = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
                watched.peak.fetch_max(now.unwrap_or_default(), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        memory
    }
}
