//! Hosts whose responses never end.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use domain::error::Code;
use fetch::TransferProgram;
use testkit::endless::{Phase, endless, endless_pack, pack_head};
use testkit::http::{Host, before_pack, pkt};
use tokio::io::AsyncWriteExt;

use crate::scene::{Ask, PASSWORD, PROGRAM, Scene};

/// The limit `fetch_seconds` in these tests.
const SECONDS: u64 = 2;
/// The longest time of a fetch: `fetch_seconds`, the time for libgit2 to end by itself, and some slack.
const LONGEST_FETCH: Duration = Duration::from_secs(SECONDS + 2 + 3);

/// Returns the limit that a fetch exceeds, and checks that it ends in time.
async fn limit(scene: &Scene, ask: &Ask) -> &'static str {
    let started = Instant::now();
    let (code, told) = scene.refused(ask).await;
    assert_eq!(code, Code::LimitExceeded, "{told}");
    assert!(started.elapsed() < LONGEST_FETCH, "{:?}", started.elapsed());
    let limits = ["fetch_seconds", "pack_bytes", "objects"];
    let named = |limit: &&str| told.contains(&format!("options.limits.{limit}"));
    limits.into_iter().find(named).unwrap()
}

const NOW_AND_THEN: Duration = Duration::from_millis(100);

fn head_of_refs() -> Vec<u8> {
    [pkt("# service=git-upload-pack\n"), b"0000".to_vec()].concat()
}

#[tokio::test]
async fn a_host_that_drips_its_header_times_out() {
    let (scene, commit) = Scene::with_commit();
    let host = Host::serve(async |_, mut connection| {
        connection.write_all(b"HTTP/1.1 200 OK\r\nX-Drip: ").await?;
        loop {
            connection.write_all(b"x").await?;
            tokio::time::sleep(NOW_AND_THEN).await;
        }
    })
    .await;
    let ask = Ask::new(&host.url(), &commit).within(SECONDS);
    assert_eq!(limit(&scene, &ask).await, "fetch_seconds");
}

#[tokio::test]
async fn a_host_that_drips_its_refusal_times_out() {
    let (scene, commit) = Scene::with_commit();
    let host = Host::serve(async |_, mut connection| {
        let head =
            b"HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=\"a\"\r\nContent-Length: 99999999\r\n\r\n";
        connection.write_all(head).await?;
        loop {
            connection.write_all(b"x").await?;
            tokio::time::sleep(NOW_AND_THEN).await;
        }
    })
    .await;
    let ask = Ask::new(&host.url(), &commit)
        .with_password(PASSWORD)
        .within(SECONDS);
    assert_eq!(limit(&scene, &ask).await, "fetch_seconds");
}

#[tokio::test]
async fn a_host_that_drips_its_refs_times_out() {
    let (scene, commit) = Scene::with_commit();
    let line = pkt(format!("{commit} refs/heads/a\n"));
    let host = endless(&commit, "", Phase::Refs, [head_of_refs(), line], NOW_AND_THEN).await;
    let ask = Ask::new(&host.url(), &commit).within(SECONDS);
    assert_eq!(limit(&scene, &ask).await, "fetch_seconds");
}

#[tokio::test]
async fn a_host_that_drips_its_pack_times_out() {
    let (scene, commit) = Scene::with_commit();
    // The header of an object whose size never ends comes byte by byte.
    let start = [before_pack(), pack_head(1), scene.pack(&commit)[12..20].to_vec()].concat();
    let host = endless(&commit, "", Phase::Pack, [start, vec![0]], NOW_AND_THEN).await;
    let ask = Ask::new(&host.url(), &commit).within(SECONDS);
    let started = Instant::now();
    // The bytes cannot be inflated, which libgit2 may notice before the timeout.
    let code = scene.code(&ask).await;
    assert!(
        matches!(code, Code::LimitExceeded | Code::RepositoryInvalid),
        "{code}"
    );
    assert!(started.elapsed() < LONGEST_FETCH);
}

#[tokio::test]
async fn a_host_that_drips_progress_times_out() {
    let (scene, commit) = Scene::with_commit();
    let line = pkt("\x02still counting\r");
    let host = endless(
        &commit,
        "side-band-64k",
        Phase::Pack,
        [before_pack(), line],
        NOW_AND_THEN,
    )
    .await;
    let ask = Ask::new(&host.url(), &commit).within(SECONDS);
    assert_eq!(limit(&scene, &ask).await, "fetch_seconds");
}

#[tokio::test]
async fn a_host_that_never_stops_sending_refs_times_out() {
    let (scene, commit) = Scene::with_commit();
    let lines = pkt(format!("{commit} refs/heads/a\n")).repeat(1_000);
    // The refs come slowly, because libgit2 keeps them all in memory.
    let host = endless(
        &commit,
        "",
        Phase::Refs,
        [head_of_refs(), lines],
        Duration::from_millis(5),
    )
    .await;
    let ask = Ask::new(&host.url(), &commit).within(SECONDS);
    assert_eq!(limit(&scene, &ask).await, "fetch_seconds");
}

/// Returns the transfer processes of this process that have not ended.
fn left_behind() -> Vec<String> {
    let me = std::process::id().to_string();
    let entries = std::fs::read_dir("/proc").unwrap();
    let stat = |entry: std::io::Result<std::fs::DirEntry>| {
        let text = std::fs::read_to_string(entry.ok()?.path().join("stat")).ok()?;
        // The name is in brackets; the state and the parent come after it.
        let parent = text.rsplit(')').next()?.split(' ').nth(2)?;
        (parent == me && text.contains("(fetch)")).then_some(text)
    };
    entries.filter_map(stat).collect()
}

#[test]
fn nothing_is_left_of_a_transfer_that_was_stopped() {
    // The test runs in a process of its own, without the transfers of other tests.
    if std::env::var_os("ALONE").is_none() {
        let name = "endless::nothing_is_left_of_a_transfer_that_was_stopped";
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name])
            .env("ALONE", "1")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (scene, commit) = Scene::with_commit();
        let line = pkt(format!("{commit} refs/heads/a\n"));
        let host = endless(&commit, "", Phase::Refs, [head_of_refs(), line], NOW_AND_THEN).await;
        let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
        let ask = Ask::new(&host.url(), &commit).within(SECONDS);
        let before = threads();
        assert_eq!(limit(&scene, &ask).await, "fetch_seconds");
        assert_eq!(left_behind(), [""; 0]);
        // Nothing is left either of a fetch that was dropped.
        let ask = ask.within(60);
        let mut fetching = Box::pin(scene.fetch(&ask));
        let waited = tokio::time::timeout(Duration::from_secs(1), &mut fetching);
        assert!(waited.await.is_err());
        assert_eq!(left_behind().len(), 1);
        drop(fetching);
        for _ in 0..50 {
            if left_behind().is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(left_behind(), [""; 0]);
        // Threads of tokio, for files, come and go.
        assert!(threads() <= before + 1, "{}", threads());
    });
}

/// The input of a transfer ends if the process that has started it is killed.
#[tokio::test]
async fn a_transfer_ends_when_its_input_ends() {
    let (scene, commit) = Scene::with_commit();
    let line = pkt(format!("{commit} refs/heads/a\n"));
    let host = endless(&commit, "", Phase::Refs, [head_of_refs(), line], NOW_AND_THEN).await;
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("program");
    std::fs::write(
        &program,
        format!("#!/bin/sh\n/usr/bin/env head -n 1 | {PROGRAM} \"$@\"\n"),
    )
    .unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
    let mut ask = Ask::new(&host.url(), &commit);
    ask.transfer = TransferProgram::new(program, 1 << 30);
    let started = Instant::now();
    assert_eq!(scene.code(&ask).await, Code::TransferDied);
    assert!(started.elapsed() < LONGEST_FETCH);
}

#[tokio::test]
async fn a_host_that_fills_the_memory_with_refs_ends_only_the_transfer() {
    let (scene, commit) = Scene::with_commit();
    let mut lines = Vec::new();
    for number in 0..1_000 {
        lines.extend(pkt(format!("{commit} refs/heads/{number:0>900}\n")));
    }
    let host = endless(&commit, "", Phase::Refs, [head_of_refs(), lines], Duration::ZERO).await;
    let mut ask = Ask::new(&host.url(), &commit).within(50);
    ask.transfer = TransferProgram::new(PROGRAM.into(), 100 << 20);
    assert_eq!(scene.code(&ask).await, Code::TransferDied);
    let host = Host::of(&scene).await;
    ask = Ask::new(&host.url(), &commit);
    assert!(scene.fetch(&ask).await.is_ok());
}

#[tokio::test]
async fn a_host_that_never_stops_sending_progress_exceeds_the_limit_of_the_pack() {
    let (scene, commit) = Scene::with_commit();
    let lines = pkt([b"\x02".as_slice(), &[b'.'; 60_000]].concat());
    let host = endless(
        &commit,
        "side-band-64k",
        Phase::Pack,
        [before_pack(), lines],
        Duration::ZERO,
    )
    .await;
    let mut ask = Ask::new(&host.url(), &commit);
    ask.limits.pack_bytes = 1 << 20;
    assert_eq!(limit(&scene, &ask).await, "pack_bytes");
}

#[tokio::test]
async fn a_host_that_never_stops_sending_a_pack_exceeds_its_limit() {
    let (scene, commit) = Scene::with_commit();
    // Once without and once with a side band.
    let [start, block] = endless_pack();
    let band = |bytes: &[u8]| pkt([b"\x01", bytes].concat());
    let cases = [
        ("", [[before_pack(), start.clone()].concat(), block.clone()]),
        (
            "side-band-64k",
            [[before_pack(), band(&start)].concat(), band(&block)],
        ),
    ];
    for (capabilities, bytes) in cases {
        let host = endless(&commit, capabilities, Phase::Pack, bytes, Duration::ZERO).await;
        let mut ask = Ask::new(&host.url(), &commit);
        ask.limits.pack_bytes = 1 << 20;
        assert_eq!(limit(&scene, &ask).await, "pack_bytes", "{capabilities:?}");
    }
}

#[tokio::test]
async fn a_pack_above_its_limit_is_refused() {
    let scene = Scene::new();
    scene.allow_any_id();
    // Noise does not compress.
    let mut state = 1_u64;
    let noise: String = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        format!("{:016x}", state ^ (state >> 31))
    })
    .take(40_000)
    .collect();
    let commit = scene.line(&["commit-tree", &scene.tree(&noise), "-m", "large"], b"");
    scene.git(&["update-ref", "refs/heads/main", &commit], b"");
    let host = Host::of(&scene).await;
    let mut ask = Ask::new(&host.url(), &commit);
    ask.limits.pack_bytes = 200_000;
    assert_eq!(limit(&scene, &ask).await, "pack_bytes");
    ask.limits.pack_bytes = 2_000_000;
    assert!(scene.fetch(&ask).await.is_ok());
}

#[tokio::test]
async fn a_pack_of_more_objects_than_its_limit_is_refused() {
    let (scene, commit) = Scene::with_commit();
    scene.allow_any_id();
    let host = Host::of(&scene).await;
    let mut ask = Ask::new(&host.url(), &commit);
    // The commit, its tree, its file.
    ask.limits.objects = 2;
    assert_eq!(limit(&scene, &ask).await, "objects");
    ask.limits.objects = 3;
    assert!(scene.fetch(&ask).await.is_ok());
}
