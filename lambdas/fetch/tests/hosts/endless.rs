//! Hosts that never come to an end.

use std::time::{Duration, Instant};

use domain::error::Code;
use servers::endless::{Phase, endless, endless_pack, pack_head};
use servers::http::{Host, before_pack, pkt};
use tokio::io::AsyncWriteExt;

use crate::scene::{Ask, PASSWORD, Scene};

/// What `fetch_seconds` is here.
const SECONDS: u64 = 2;
/// When a fetch has to have ended: `fetch_seconds`, the time that libgit2 has to end by itself, and some slack.
const AT_LAST: Duration = Duration::from_secs(SECONDS + 2 + 3);

/// The limit that a fetch meets, in time.
async fn limit(scene: &Scene, ask: &Ask) -> &'static str {
    let started = Instant::now();
    let (code, told) = scene.refused(ask).await;
    assert_eq!(code, Code::LimitExceeded, "{told}");
    assert!(started.elapsed() < AT_LAST, "{:?}", started.elapsed());
    let limits = ["fetch_seconds", "pack_bytes", "objects"];
    let named = |limit: &&str| told.contains(&format!("options.limits.{limit}"));
    limits.into_iter().find(named).unwrap()
}

const NOW_AND_THEN: Duration = Duration::from_millis(100);

fn head_of_refs() -> Vec<u8> {
    [pkt("# service=git-upload-pack\n"), b"0000".to_vec()].concat()
}

#[tokio::test]
async fn a_host_that_drips_its_head_is_left_in_time() {
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
async fn a_host_that_drips_its_refusal_is_left_in_time() {
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
async fn a_host_that_drips_its_refs_is_left_in_time() {
    let (scene, commit) = Scene::with_commit();
    let line = pkt(format!("{commit} refs/heads/a\n"));
    let host = endless(&commit, "", Phase::Refs, [head_of_refs(), line], NOW_AND_THEN).await;
    let ask = Ask::new(&host.url(), &commit).within(SECONDS);
    assert_eq!(limit(&scene, &ask).await, "fetch_seconds");
}

#[tokio::test]
async fn a_host_that_drips_its_pack_is_left_in_time() {
    let (scene, commit) = Scene::with_commit();
    // The head of an object whose size never ends comes byte by byte.
    let start = [before_pack(), pack_head(1), scene.pack(&commit)[12..20].to_vec()].concat();
    let host = endless(&commit, "", Phase::Pack, [start, vec![0]], NOW_AND_THEN).await;
    let ask = Ask::new(&host.url(), &commit).within(SECONDS);
    let started = Instant::now();
    // What comes is no data that could be inflated; libgit2 may see that before the time is over.
    let code = scene.code(&ask).await;
    assert!(
        matches!(code, Code::LimitExceeded | Code::RepositoryInvalid),
        "{code}"
    );
    assert!(started.elapsed() < AT_LAST);
}

#[tokio::test]
async fn a_host_that_drips_progress_is_left_in_time() {
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
async fn a_host_that_never_stops_telling_refs_is_left_in_time() {
    let (scene, commit) = Scene::with_commit();
    let lines = pkt(format!("{commit} refs/heads/a\n")).repeat(1_000);
    // Not as fast as it can: libgit2 keeps them all in memory.
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

#[tokio::test]
async fn a_host_that_never_stops_telling_progress_meets_the_packs_limit() {
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
async fn a_host_that_never_stops_sending_a_pack_meets_its_limit() {
    let (scene, commit) = Scene::with_commit();
    // Without side band and with it.
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
