//! Who is served.

use super::*;

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
