use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::Method;
use axum::http::header::{self, HeaderValue};
use chrono::Utc;
use domain::contract::Author;
use domain::event::{PushEvent, PushFailed};
use domain::push::Push;
use domain::samples::{
    archive, deliver, delivered, failure, fetched, ignored, push as sample, push_failed, received,
};
use futures::StreamExt as _;
use tower::ServiceExt as _;

use super::*;
use crate::samples::MemoryPushes;

const HOST: &str = "127.0.0.1:7000";
const ORIGIN: &str = "http://127.0.0.1:7000";

/// A board at the port 7000.
struct Scene {
    router: Router,
    access: Arc<Access>,
    pushes: Arc<MemoryPushes>,
}

impl Scene {
    fn new() -> Self {
        let pushes = Arc::new(MemoryPushes::default());
        let access = Arc::new(Access::new(7000));
        let router = router(Board::of(Arc::clone(&pushes)), Arc::clone(&access));
        Self {
            router,
            access,
            pushes,
        }
    }

    async fn record(&self, push: &Push, events: impl IntoIterator<Item = PushEvent>) {
        for event in events {
            self.pushes.record(push.push_id, Utc::now(), event).await.unwrap();
        }
    }

    fn token(&self) -> String {
        let url = self.access.url();
        let token = url.strip_prefix("http://127.0.0.1:7000/?token=").unwrap();
        assert!(token.len() >= 32, "{token}");
        token.to_owned()
    }

    /// A request of somebody who has opened the board's URL.
    fn request(&self, method: Method, path: &str) -> Request {
        Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, HOST)
            .header(
                header::COOKIE,
                format!("theme=dark; push-code-board-7000={}", self.token()),
            )
            .body(Body::empty())
            .unwrap()
    }

    async fn send(&self, request: Request) -> Response {
        self.router.clone().oneshot(request).await.unwrap()
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        let response = self.send(self.request(Method::GET, path)).await;
        let status = response.status();
        (status, text(response).await)
    }

    fn confirmation(&self, push: &Push, version: &str) -> Request {
        let path = format!("/pushes/{}/replay", push.push_id);
        let mut request = self.request(Method::POST, &path);
        request
            .headers_mut()
            .insert(header::ORIGIN, HeaderValue::from_static(ORIGIN));
        *request.body_mut() = Body::from(version.to_owned());
        request
    }

    async fn confirm(&self, push: &Push, version: &str) -> StatusCode {
        self.send(self.confirmation(push, version)).await.status()
    }
}

async fn text(response: Response) -> String {
    let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A failed push, which has three events.
async fn failed(scene: &Scene) -> Push {
    let push = sample("d1", "refs/heads/main");
    let begun = received(&push, "e1");
    scene
        .record(
            &push,
            [begun, PushEvent::PushValidated(deliver()), push_failed("e1")],
        )
        .await;
    push
}

#[tokio::test]
async fn the_url_gives_a_cookie_in_the_place_of_its_token() {
    let scene = Scene::new();
    let mut request = scene.request(Method::GET, &format!("/?token={}", scene.token()));
    request.headers_mut().remove(header::COOKIE);
    let response = scene.send(request).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert_eq!(response.headers()[header::LOCATION], "/");
    let cookie = response.headers()[header::SET_COOKIE]
        .to_str()
        .unwrap()
        .to_owned();
    let (pair, attributes) = cookie.split_once("; ").unwrap();
    assert_eq!(attributes, "Path=/; HttpOnly; SameSite=Strict");
    let mut request = scene.request(Method::GET, "/");
    request
        .headers_mut()
        .insert(header::COOKIE, pair.parse().unwrap());
    assert_eq!(scene.send(request).await.status(), StatusCode::OK);
    assert_ne!(scene.token(), Scene::new().token());
}

#[tokio::test]
async fn nothing_is_served_to_who_does_not_have_the_url() {
    let scene = Scene::new();
    let push = failed(&scene).await;
    let one = format!("/pushes/{}", push.push_id);
    let paths = [
        "/",
        "/live",
        "/commits?commit=aaaaaaa",
        &one,
        &format!("{one}/live"),
        &format!("{one}/replay"),
        "/board.css",
        "/board.js",
        "/icon.svg",
        "/nothing",
        &format!("{one}?token={}", scene.token()),
    ];
    for path in paths {
        for cookie in [
            "",
            "push-code-board-7000=",
            "push-code-board-7001=x; push-code-board-7000=x",
        ] {
            let mut request = scene.request(Method::GET, path);
            request
                .headers_mut()
                .insert(header::COOKIE, HeaderValue::from_static(cookie));
            let response = scene.send(request).await;
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{path}");
            let text = text(response).await;
            assert!(
                text.contains("Open the URL that push-code board has printed") && !text.contains("project")
            );
        }
    }
    let token = scene.token();
    for wrong in ["", "x", &token[1..], &format!("{token}0"), &token.to_uppercase()] {
        let mut request = scene.request(Method::GET, &format!("/?token={wrong}"));
        request.headers_mut().remove(header::COOKIE);
        assert_eq!(
            scene.send(request).await.status(),
            StatusCode::FORBIDDEN,
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn a_name_that_is_not_the_boards_is_not_served() {
    let scene = Scene::new();
    for host in [
        "",
        "example.com",
        "example.com:7000",
        "127.0.0.1",
        "127.0.0.1:7001",
        "127.0.0.1:7000.example.com",
    ] {
        let mut request = scene.request(Method::GET, "/");
        request
            .headers_mut()
            .insert(header::HOST, HeaderValue::from_static(host));
        assert_eq!(
            scene.send(request).await.status(),
            StatusCode::FORBIDDEN,
            "{host}"
        );
    }
    let mut request = scene.request(Method::GET, "/");
    request
        .headers_mut()
        .append(header::HOST, HeaderValue::from_static("example.com"));
    assert_eq!(scene.send(request).await.status(), StatusCode::FORBIDDEN);
    let mut request = scene.request(Method::GET, "/");
    request.headers_mut().remove(header::HOST);
    assert_eq!(scene.send(request).await.status(), StatusCode::FORBIDDEN);
    let mut request = scene.request(Method::GET, "/");
    request
        .headers_mut()
        .insert(header::HOST, HeaderValue::from_static("localhost:7000"));
    assert_eq!(scene.send(request).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn only_a_page_of_the_board_may_replay() {
    let scene = Scene::new();
    let push = failed(&scene).await;
    for origin in [
        None,
        Some("null"),
        Some("http://example.com"),
        Some("http://127.0.0.1:7001"),
        Some("https://127.0.0.1:7000"),
        // The other name of the board is another origin.
        Some("http://localhost:7000"),
    ] {
        let mut request = scene.confirmation(&push, "version=3");
        request.headers_mut().remove(header::ORIGIN);
        if let Some(origin) = origin {
            request
                .headers_mut()
                .insert(header::ORIGIN, HeaderValue::from_static(origin));
        }
        assert_eq!(
            scene.send(request).await.status(),
            StatusCode::FORBIDDEN,
            "{origin:?}"
        );
    }
    let mut request = scene.confirmation(&push, "version=3");
    request.headers_mut().remove(header::COOKIE);
    assert_eq!(scene.send(request).await.status(), StatusCode::UNAUTHORIZED);
    // The confirmation alone replays nothing, nor does any other method.
    let (status, page) = scene.get(&format!("/pushes/{}/replay", push.push_id)).await;
    assert!(
        status.is_success() && page.contains("Replay this push?") && page.contains("value=\"3\""),
        "{page}"
    );
    for method in [Method::PUT, Method::DELETE, Method::PATCH] {
        let mut request = scene.confirmation(&push, "version=3");
        *request.method_mut() = method;
        assert_eq!(scene.send(request).await.status(), StatusCode::METHOD_NOT_ALLOWED);
    }
    assert_eq!(scene.pushes.replayed(), []);
    assert_eq!(scene.confirm(&push, "version=3").await, StatusCode::SEE_OTHER);
    assert_eq!(scene.pushes.replayed(), [push.push_id]);
}

#[tokio::test]
async fn a_confirmation_that_is_sent_twice_replays_once_and_one_of_another_state_never() {
    let scene = Scene::new();
    let push = failed(&scene).await;
    let (first, second) = futures::join!(
        scene.confirm(&push, "version=3"),
        scene.confirm(&push, "version=3")
    );
    assert_eq!([first, second], [StatusCode::SEE_OTHER; 2]);
    assert_eq!(scene.pushes.replayed(), [push.push_id]);
    assert_eq!(scene.confirm(&push, "version=3").await, StatusCode::SEE_OTHER);
    assert_eq!(scene.confirm(&push, "version=2").await, StatusCode::CONFLICT);
    assert_eq!(scene.pushes.replayed(), [push.push_id]);
    for wrong in ["", "version=", "version=-1", "version=a", "other=3"] {
        assert_eq!(
            scene.confirm(&push, wrong).await,
            StatusCode::BAD_REQUEST,
            "{wrong}"
        );
    }
    let unknown = sample("d2", "refs/heads/main");
    assert_eq!(scene.confirm(&unknown, "version=1").await, StatusCode::NOT_FOUND);
    let long = format!("version={}", "3".repeat(5000));
    assert_eq!(scene.confirm(&push, &long).await, StatusCode::PAYLOAD_TOO_LARGE);
    scene.pushes.set_down(true);
    assert_eq!(scene.confirm(&push, "version=4").await, StatusCode::BAD_GATEWAY);
    assert_eq!(scene.pushes.replayed().len(), 1);
}

#[tokio::test]
async fn every_response_says_what_the_browser_may_do() {
    let scene = Scene::new();
    let push = failed(&scene).await;
    let one = format!("/pushes/{}", push.push_id);
    let mut stranger = scene.request(Method::GET, "/");
    stranger.headers_mut().remove(header::COOKIE);
    let mut requests = vec![stranger, scene.confirmation(&push, "")];
    let paths = [
        "/",
        "/?since=x",
        "/commits?commit=x",
        &one,
        "/live",
        "/board.css",
        "/nothing",
        "/pushes/x",
    ];
    requests.extend(paths.map(|path| scene.request(Method::GET, path)));
    for request in requests {
        let path = request.uri().to_string();
        let response = scene.send(request).await;
        let headers = response.headers();
        let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(
            policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"),
            "{path}"
        );
        for directive in ["form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"] {
            assert!(policy.contains(directive), "{path} {policy}");
        }
        assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff", "{path}");
        assert_eq!(headers[header::REFERRER_POLICY], "same-origin", "{path}");
        assert_eq!(headers[header::CACHE_CONTROL], "no-store", "{path}");
    }
}

/// Returns all pages that show a push.
async fn pages_of(scene: &Scene, push: &Push) -> Vec<String> {
    let one = format!("/pushes/{}", push.push_id);
    let mut pages = Vec::new();
    for path in [
        "/?since=2023-11-01",
        "/commits?commit=aaaaaaa",
        &one,
        &format!("{one}/replay"),
    ] {
        let (status, page) = scene.get(path).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        pages.push(page);
    }
    pages
}

#[tokio::test]
async fn what_comes_from_a_repository_or_a_host_is_text_and_nothing_else() {
    const EVIL: &str = "\"'><img src=x onerror=alert(1)>\u{202e}\u{1b}[2J\u{7f}";
    let scene = Scene::new();
    let evil = || EVIL.to_owned();
    let named = "refs/heads/\"'><img/src=x/onerror=alert(1)>\u{202e}gnp";
    let push = |delivery: &str| Push {
        repository: "group/<script>alert(1)<!--\u{2066}".parse().unwrap(),
        pusher: Some(evil()),
        ..sample(delivery, named)
    };
    let (failing, superseded, whole) = (push("d1"), push("d2"), push("d3"));
    let mut commit = fetched();
    commit.subject = evil();
    commit.author = Author {
        name: evil(),
        email: evil(),
    };
    let mut zip = archive();
    zip.warnings = vec![evil()];
    let mut put = delivered();
    put.version_id = Some(evil());
    put.bucket = evil();
    let failure = domain::contract::Failure {
        cause: evil(),
        ..failure(EVIL, EVIL)
    };
    let to_the_zip = |push: &Push| {
        [
            received(push, EVIL),
            PushEvent::PushValidated(deliver()),
            PushEvent::CommitFetched(commit.clone()),
            PushEvent::ArchivePackaged(zip.clone()),
        ]
    };
    let failed = PushEvent::PushFailed(PushFailed {
        execution_id: evil(),
        failure,
    });
    scene
        .record(&failing, to_the_zip(&failing).into_iter().chain([failed]))
        .await;
    let because = domain::contract::Superseded {
        because: evil(),
        ..domain::samples::superseded()
    };
    let superseding = PushEvent::PushSuperseded(because);
    scene
        .record(
            &superseded,
            to_the_zip(&superseded).into_iter().chain([superseding]),
        )
        .await;
    scene
        .record(
            &whole,
            to_the_zip(&whole)
                .into_iter()
                .chain([PushEvent::ArchiveUploaded(put)]),
        )
        .await;
    let mut shown = Vec::new();
    for push in [&failing, &superseded, &whole] {
        shown.extend(pages_of(&scene, push).await);
    }
    // What is asked for is shown again.
    let asked: String = form_urlencoded::byte_serialize(EVIL.as_bytes()).collect();
    for path in [
        format!("/?since={asked}"),
        format!("/?status={asked}"),
        format!("/?repository={asked}"),
        format!("/commits?commit={asked}"),
        format!("/pushes/{}", asked.replace('+', "%20")),
    ] {
        shown.push(scene.get(&path).await.1);
    }
    for page in shown {
        assert!(
            page.contains("onerror") || page.contains("&lt;script&gt;"),
            "{page}"
        );
        for never in [
            "<img src=x",
            "<img/src=x",
            "<script>alert",
            "<!--",
            " style=",
            " onclick=",
            "javascript:",
        ] {
            assert!(!page.contains(never), "{never} in {page}");
        }
        let steers =
            |char: &char| char.is_control() && *char != '\n' || ('\u{202a}'..='\u{202e}').contains(char);
        assert_eq!(page.chars().find(steers), None, "{page}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_said() {
    let scene = Scene::new();
    let push = failed(&scene).await;
    let unknown = sample("d2", "refs/heads/main").push_id;
    for (path, status, says) in [
        (
            format!("/pushes/{unknown}"),
            StatusCode::NOT_FOUND,
            "There is no push",
        ),
        (
            "/pushes/main".to_owned(),
            StatusCode::NOT_FOUND,
            "There is no push",
        ),
        (
            "/pushes/main/live".to_owned(),
            StatusCode::NOT_FOUND,
            "There is no push",
        ),
        (
            "/commits?commit=abc".to_owned(),
            StatusCode::BAD_REQUEST,
            "7 to 64",
        ),
        ("/commits".to_owned(), StatusCode::BAD_REQUEST, "7 to 64"),
        (
            "/commits?commit=bbbbbbb".to_owned(),
            StatusCode::NOT_FOUND,
            "No push of this commit",
        ),
        (
            "/commits?commit=aaaaaaa".to_owned(),
            StatusCode::OK,
            "was not delivered",
        ),
        (
            "/?status=lost".to_owned(),
            StatusCode::BAD_REQUEST,
            "open, failed",
        ),
        ("/?since=yesterday".to_owned(), StatusCode::BAD_REQUEST, "12h"),
        ("/favicon.ico".to_owned(), StatusCode::NOT_FOUND, "no such page"),
    ] {
        let (found, page) = scene.get(&path).await;
        assert_eq!(found, status, "{path}");
        assert!(page.contains(says), "{path}: {page}");
    }
    // What is pasted into the field for commits may be a push.
    let response = scene
        .send(scene.request(Method::GET, &format!("/commits?commit=+{}", push.push_id)))
        .await;
    assert_eq!(
        response.headers()[header::LOCATION],
        format!("/pushes/{}", push.push_id)
    );
    scene.pushes.set_down(true);
    let (status, page) = scene.get("/").await;
    assert_eq!(status, StatusCode::BAD_GATEWAY);
    assert!(page.contains("a table that is down"), "{page}");
}

#[tokio::test]
async fn a_failure_has_its_code_its_cause_and_its_remedy_once() {
    let scene = Scene::new();
    let push = sample("d1", "refs/heads/main");
    let remedy = domain::error::remedy("CommitNotFound");
    let mut said = failure("Fetch", "CommitNotFound");
    said.cause = format!("the host does not have the commit. {remedy}");
    let failed = PushEvent::PushFailed(PushFailed {
        execution_id: "e1".to_owned(),
        failure: said,
    });
    scene.record(&push, [received(&push, "e1"), failed]).await;
    let (_, page) = scene.get(&format!("/pushes/{}", push.push_id)).await;
    let (_, panel) = page.split_once("id=\"failure\"").unwrap();
    let (panel, _) = panel.split_once("id=\"timeline\"").unwrap();
    for part in ["CommitNotFound", "the host does not have the commit.", remedy] {
        assert_eq!(panel.matches(part).count(), 1, "{part} in {panel}");
    }
}

#[tokio::test]
async fn filters_are_those_of_the_command() {
    let scene = Scene::new();
    let failed = failed(&scene).await;
    let ignoring = sample("d2", "refs/heads/next");
    scene
        .record(
            &ignoring,
            [received(&ignoring, "e1"), PushEvent::PushIgnored(ignored())],
        )
        .await;
    let listed = async |query: &str| {
        let (_, page) = scene.get(&format!("/?since=2023-01-01&{query}")).await;
        [&failed, &ignoring].map(|push| page.contains(&format!("push-{}", push.push_id)))
    };
    assert_eq!(listed("").await, [true, true]);
    assert_eq!(listed("status=failed").await, [true, false]);
    assert_eq!(listed("status=ignored&status=failed").await, [true, true]);
    assert_eq!(listed("ref=next").await, [false, true]);
    assert_eq!(listed("repository=other").await, [false, false]);
    assert_eq!(listed("source=gitlab").await, [true, true]);
    assert_eq!(listed("since=1h").await, [false, false]);
}

/// The changes of a page, as the browser gets them.
struct Changes {
    stream: axum::body::BodyDataStream,
}

impl Changes {
    async fn of(scene: &Scene, path: &str, last: Option<&str>) -> Self {
        let mut request = scene.request(Method::GET, path);
        if let Some(last) = last {
            request
                .headers_mut()
                .insert("last-event-id", last.parse().unwrap());
        }
        let response = scene.send(request).await;
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
        Self {
            stream: response.into_body().into_data_stream(),
        }
    }

    /// Returns the ids of the parts of the next event, and the event's id, or `None` if there is none for some time.
    async fn next(&mut self) -> Option<(Vec<String>, String)> {
        let next = tokio::time::timeout(Duration::from_secs(9), self.stream.next()).await;
        let bytes = next.ok()?.unwrap().unwrap();
        let event = String::from_utf8(bytes.to_vec()).unwrap();
        let field = |name: &str| {
            event
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .unwrap()
                .to_owned()
        };
        let parts: Vec<serde_json::Value> = serde_json::from_str(&field("data: ")).unwrap();
        let ids = parts
            .iter()
            .map(|part| part["id"].as_str().unwrap().to_owned())
            .collect();
        Some((ids, field("id: ")))
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_gets_what_has_changed_and_nothing_else() {
    let scene = Scene::new();
    let push = failed(&scene).await;
    let path = format!("/pushes/{}", push.push_id);
    let (_, page) = scene.get(&path).await;
    let (_, live) = page.split_once("data-live=\"").unwrap();
    let (live, _) = live.split_once('"').unwrap();
    let mut changes = Changes::of(&scene, live, None).await;
    assert_eq!(changes.next().await, None);
    scene.record(&push, [domain::samples::retried("e2")]).await;
    let (ids, last) = changes.next().await.unwrap();
    // The decision of before is not one of the new execution's facts.
    assert_eq!(
        ids,
        ["head", "failure", "timeline", "facts", "history", "summary"]
    );
    drop(changes);
    // Whoever connects again gets what was missed, and that alone.
    scene.record(&push, [push_failed("e2")]).await;
    let mut changes = Changes::of(&scene, live, Some(&last)).await;
    let (ids, _) = changes.next().await.unwrap();
    assert_eq!(ids, ["head", "failure", "timeline", "history", "summary"]);
    assert_eq!(changes.next().await, None);
    scene.pushes.set_down(true);
    let (ids, _) = changes.next().await.unwrap();
    assert_eq!(ids, ["notice", "summary"]);
    assert_eq!(changes.next().await, None);
    scene.pushes.set_down(false);
    let (ids, _) = changes.next().await.unwrap();
    assert!(
        ids.contains(&"notice".to_owned()) && ids.contains(&"timeline".to_owned()),
        "{ids:?}"
    );
}

#[tokio::test]
async fn a_board_listens_on_the_loopback_alone() {
    let board = Board::of(MemoryPushes::default()).listen(0).await.unwrap();
    let address = board.listener.local_addr().unwrap();
    assert!(address.ip().is_loopback(), "{address}");
    assert!(
        board
            .url()
            .starts_with(&format!("http://127.0.0.1:{}/?token=", address.port()))
    );
    let taken = Board::of(MemoryPushes::default())
        .listen(address.port())
        .await
        .unwrap_err();
    assert!(taken.to_string().contains("leave out --port"), "{taken}");
}
