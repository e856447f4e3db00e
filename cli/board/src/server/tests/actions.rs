//! What replays a push or rolls back to it, and what does not.

use super::*;

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
async fn a_rollback_is_confirmed_once_and_leads_to_the_push_that_it_is() {
    let scene = Scene::new();
    let push = sample("d1", "refs/heads/main");
    scene.record(&push, delivered_trail(&push)).await;
    let question = format!("/pushes/{}/rollback", push.push_id);
    let (_, page) = scene.get(&format!("/pushes/{}", push.push_id)).await;
    assert!(page.contains(&question), "{page}");
    let (status, page) = scene.get(&question).await;
    assert!(
        status.is_success() && page.contains("Roll back to this push?") && page.contains("value=\"6\""),
        "{page}"
    );
    let confirm = async |version: &str| {
        let response = scene
            .send(scene.confirmation_of("rollback", &push, version))
            .await;
        let to = response.headers().get(header::LOCATION);
        (response.status(), to.map(|to| to.to_str().unwrap().to_owned()))
    };
    let (first, second) = futures::join!(confirm("version=6"), confirm("version=6"));
    assert_eq!(first, second);
    let to = first.1.unwrap();
    let (_, rollback) = to.split_once("?rolled-back=").unwrap();
    let (_, page) = scene.get(&to).await;
    assert!(page.contains(&format!("href=\"/pushes/{rollback}\"")), "{page}");
    let (status, page) = scene.get(&format!("/pushes/{rollback}")).await;
    assert!(
        status.is_success()
            && page.contains(&format!("id=\"rollback-to\" href=\"/pushes/{}\"", push.push_id)),
        "{page}"
    );
    assert_eq!(confirm("version=5").await.0, StatusCode::CONFLICT);
    // A replay of the same push is something else.
    assert_eq!(scene.confirm(&push, "version=6").await, StatusCode::SEE_OTHER);
    assert_eq!(scene.pushes.replayed(), [push.push_id]);
    // Nobody else may.
    let mut foreign = scene.confirmation_of("rollback", &push, "version=6");
    foreign.headers_mut().remove(header::ORIGIN);
    assert_eq!(scene.send(foreign).await.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn there_is_no_rollback_to_a_push_that_was_not_delivered() {
    let scene = Scene::new();
    let push = failed(&scene).await;
    let (_, page) = scene.get(&format!("/pushes/{}", push.push_id)).await;
    assert!(!page.contains("/rollback"), "{page}");
    let response = scene
        .send(scene.confirmation_of("rollback", &push, "version=3"))
        .await;
    assert_eq!(response.status(), StatusCode::CONFLICT);
    let page = text(response).await;
    assert!(
        page.contains("Not rolled back") && page.contains("it was not delivered"),
        "{page}"
    );
    let (_, page) = scene
        .get(&format!("/pushes/{}?rolled-back=evil", push.push_id))
        .await;
    assert!(
        !page.contains("evil") || !page.contains("class=\"flash\""),
        "{page}"
    );
}
