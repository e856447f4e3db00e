//! A board in memory, asked as a browser asks it.

mod access;
mod actions;
mod live;
mod pages;

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
    archive, deliver, delivered, delivered_trail, failure, fetched, ignored, push as sample, push_failed,
    received,
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
        self.confirmation_of("replay", push, version)
    }

    fn confirmation_of(&self, action: &str, push: &Push, version: &str) -> Request {
        let path = format!("/pushes/{}/{action}", push.push_id);
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
