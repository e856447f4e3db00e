//! What a page that is open gets.

use super::*;

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
    // The previous decision is not one of the new execution's facts.
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
