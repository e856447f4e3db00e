//! Hosts that do not exist, are not available now, or fall silent.

use std::time::{Duration, Instant};

use domain::error::Code;
use testkit::PATH;
use testkit::http::{Host, Response, before_pack, endless_head, pkt, refs, sending};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::scene::{Ask, PASSWORD, SILENCE_SECONDS, Scene};

/// Returns an address at which nothing listens.
async fn closed_port() -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    listener.local_addr().unwrap().to_string()
}

#[tokio::test]
async fn a_closed_port_is_unreachable() {
    let (scene, commit) = Scene::with_commit();
    let address = closed_port().await;
    for scheme in ["http", "https"] {
        let ask = Ask::new(&format!("{scheme}://{address}{PATH}"), &commit);
        assert_eq!(scene.code(&ask).await, Code::GitHostUnreachable, "{scheme}");
    }
    let ssh = Ask::new(&format!("ssh://git@{address}{PATH}"), &commit).with_key("key", None, "");
    assert_eq!(scene.code(&ssh).await, Code::GitHostUnreachable);
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_unreachable_whatever_words_it_has() {
    let (scene, commit) = Scene::with_commit();
    for name in ["git", "redirect", "certificate-not-found", "timeout"] {
        let ask = Ask::new(&format!("http://{name}.push-code.invalid{PATH}"), &commit);
        assert_eq!(scene.code(&ask).await, Code::GitHostUnreachable, "{name}");
    }
}

#[tokio::test]
async fn a_host_that_is_not_available_now_is_unreachable() {
    let (scene, commit) = Scene::with_commit();
    scene.allow_any_id();
    for status in [429, 500, 502, 503, 504] {
        for method in ["GET", "POST"] {
            let host = Host::guarded(&scene, move |request| {
                (request.method == method).then(|| Response::new(status, &["Retry-After: 1"], "not now\n"))
            })
            .await;
            let ask = Ask::new(&host.url(), &commit).with_password(PASSWORD);
            let (code, told) = scene.refused(&ask).await;
            assert_eq!(code, Code::GitHostUnreachable, "{method} {status}");
            assert!(told.contains(&status.to_string()), "{told}");
        }
    }
}

#[tokio::test]
async fn a_host_that_refuses_by_gits_protocol_is_unreachable() {
    let (scene, commit) = Scene::with_commit();
    let host = Host::answering(|request| {
        let lines = [
            pkt("# service=git-upload-pack\n"),
            b"0000".to_vec(),
            pkt("ERR too busy"),
        ];
        Response::git(request, lines.concat())
    })
    .await;
    let (code, told) = scene.refused(&Ask::new(&host.url(), &commit)).await;
    assert_eq!(code, Code::GitHostUnreachable);
    assert!(told.contains("too busy"), "{told}");
}

#[tokio::test]
async fn credentials_that_a_host_repeats_are_redacted() {
    let (scene, commit) = Scene::with_commit();
    let host = Host::answering(|request| {
        let Some(login) = request.headers.get("authorization") else {
            return Response::unauthorized();
        };
        let lines = [
            pkt("# service=git-upload-pack\n"),
            b"0000".to_vec(),
            pkt(format!("ERR bad request: {login}, that is {PASSWORD}\x1b[2J")),
        ];
        Response::git(request, lines.concat())
    })
    .await;
    let ask = Ask::new(&host.url(), &commit).with_password(PASSWORD);
    let (code, told) = scene.refused(&ask).await;
    assert_eq!(code, Code::GitHostUnreachable);
    assert!(
        told.contains("bad request: Basic ***, that is ***\u{fffd}[2J"),
        "{told}"
    );
}

#[tokio::test]
async fn a_host_that_closes_the_connection_is_unreachable() {
    let (scene, commit) = Scene::with_commit();
    let at_once = Host::serve(async |_, _| Ok(())).await;
    assert_eq!(
        scene.code(&Ask::new(&at_once.url(), &commit)).await,
        Code::GitHostUnreachable
    );
    let pack = scene.pack(&commit);
    for length in [0, 1, 20, pack.len() - 1] {
        let (refs, pack) = (refs(&commit, ""), [&before_pack(), &pack[..length]].concat());
        let host = Host::serve(move |request, mut connection| {
            let answer = match request.method.as_str() {
                "GET" => Response::git(&request, refs.clone()),
                _ if request.is_done() => Response::git(&request, pack.clone()),
                _ => Response::git(&request, "0000"),
            };
            async move {
                let mut bytes = answer.to_bytes();
                if request.is_done() {
                    // The header promises more bytes than come.
                    let text = format!("Content-Length: {}", answer.body.len());
                    let more = format!("Content-Length: {}", answer.body.len() + 1);
                    let head = bytes.len() - answer.body.len();
                    let promised = String::from_utf8_lossy(&bytes[..head]).replace(&text, &more);
                    bytes.splice(..head, promised.into_bytes());
                }
                connection.write_all(&bytes).await
            }
        })
        .await;
        let code = scene.code(&Ask::new(&host.url(), &commit)).await;
        assert_eq!(code, Code::GitHostUnreachable, "after {length} bytes of the pack");
    }
}

/// Checks that a fetch ends as soon as the host has been silent for too long.
async fn silent(scene: &Scene, ask: &Ask) {
    let started = Instant::now();
    assert_eq!(scene.code(ask).await, Code::GitHostTimedOut);
    assert!(started.elapsed() < Duration::from_secs(SILENCE_SECONDS * 2));
}

/// Longer than any test.
async fn for_ever() {
    tokio::time::sleep(Duration::from_secs(3_600)).await;
}

#[tokio::test]
async fn a_host_that_accepts_and_sends_nothing_times_out() {
    let (scene, commit) = Scene::with_commit();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok(connection) = listener.accept().await {
            kept.push(connection);
        }
    });
    let ask = |scheme: &str| {
        Ask::new(
            &format!("{scheme}://git@{address}{PATH}").replace("p://git@", "p://"),
            &commit,
        )
    };
    let https = Ask::new(&format!("https://{address}{PATH}"), &commit);
    let (http, ssh) = (ask("http"), ask("ssh").with_key("key", None, ""));
    tokio::join!(
        silent(&scene, &http),
        silent(&scene, &https),
        silent(&scene, &ssh)
    );
    server.abort();
}

#[tokio::test]
async fn a_host_that_falls_silent_times_out() {
    let (scene, commit) = Scene::with_commit();
    let after_the_head = Host::serve(async |request, mut connection| {
        connection.write_all(endless_head(&request).as_bytes()).await?;
        for_ever().await;
        Ok(())
    })
    .await;
    let (refs, pack) = (refs(&commit, ""), scene.pack(&commit));
    let pack = [&before_pack(), &pack[..pack.len() / 2]].concat();
    let half_way = Host::serve(move |request, mut connection| {
        let (refs, pack) = (refs.clone(), pack.clone());
        async move {
            if request.method == "GET" {
                return Response::git(&request, refs).send(&mut connection).await;
            }
            if !request.is_done() {
                return Response::git(&request, "0000").send(&mut connection).await;
            }
            connection.write_all(endless_head(&request).as_bytes()).await?;
            connection.write_all(&pack).await?;
            for_ever().await;
            Ok(())
        }
    })
    .await;
    let (first, second) = (
        Ask::new(&after_the_head.url(), &commit),
        Ask::new(&half_way.url(), &commit),
    );
    tokio::join!(silent(&scene, &first), silent(&scene, &second));
}

#[tokio::test]
async fn a_host_that_is_slow_but_not_silent_is_waited_for() {
    let (scene, commit) = Scene::with_commit();
    let whole = sending(&commit, &scene.pack(&commit)).await;
    assert!(scene.fetch(&Ask::new(&whole.url(), &commit)).await.is_ok());
    let (refs, pack) = (refs(&commit, ""), scene.pack(&commit));
    let pack = [before_pack(), pack].concat();
    let slow = Host::serve(move |request, mut connection| {
        let (refs, pack) = (refs.clone(), pack.clone());
        async move {
            if request.method == "GET" {
                return Response::git(&request, refs).send(&mut connection).await;
            }
            if !request.is_done() {
                return Response::git(&request, "0000").send(&mut connection).await;
            }
            let bytes = Response::git(&request, pack).to_bytes();
            for piece in bytes.chunks(bytes.len().div_ceil(4)) {
                connection.write_all(piece).await?;
                tokio::time::sleep(Duration::from_millis(800)).await;
            }
            Ok(())
        }
    })
    .await;
    let fetched = scene.fetch(&Ask::new(&slow.url(), &commit)).await.unwrap();
    assert_eq!(fetched.commit.as_str(), commit);
}
