//! Objects on other hosts, to which no credentials may be sent.

use domain::error::Code;
use serde_json::{Value, json};

use super::scene::{PASSWORD, Scene, pointer};
use super::server::{Request, Server, TestResponse, is_batch};

const CONTENT: &[u8] = b"content";

/// A server that refers to `href` for the object, or serves it itself.
async fn leading_to(href: impl Fn(&str) -> String + Send + Sync + 'static, header: Value) -> Server {
    Server::answering(move |request, origin| {
        if is_batch(request) {
            TestResponse::batch_with(&[pointer(CONTENT)], &href(origin), &header)
        } else {
            TestResponse::new(200, &[], CONTENT)
        }
    })
    .await
}

/// A host that serves the object to anyone.
async fn store() -> Server {
    Server::answering(|_, _| TestResponse::new(200, &[], CONTENT)).await
}

fn with_login(server: &Server) -> Scene {
    Scene::new(&server.origin()).with_login(&server.origin(), "reader", PASSWORD)
}

fn authorization(request: &Request) -> Option<&str> {
    request.headers.get("authorization").map(String::as_str)
}

#[tokio::test]
async fn another_host_gets_the_headers_that_are_for_it_and_no_login() {
    let store = store().await;
    let href = store.origin() + "/bucket/x?X-Amz-Signature=s3cret";
    let server = leading_to(move |_| href.clone(), json!({"X-For-Store": "yes"})).await;
    let scene = with_login(&server);
    scene.fetch(&[pointer(CONTENT)]).await.unwrap();
    assert_eq!(scene.object(&pointer(CONTENT)), CONTENT);
    let requests = store.requests();
    assert_eq!(requests[0].headers["x-for-store"], "yes");
    assert_eq!(authorization(&requests[0]), None);
    for (name, value) in &requests[0].headers {
        assert!(!value.contains("Basic"), "{name}: {value}");
    }
    assert!(
        authorization(&server.requests()[0])
            .unwrap()
            .starts_with("Basic ")
    );
}

#[tokio::test]
async fn the_server_itself_gets_the_login_unless_it_named_another() {
    let basic = format!(
        "Basic {}",
        openssl::base64::encode_block(format!("reader:{PASSWORD}").as_bytes())
    );
    for (header, expected) in [
        (json!({}), basic.as_str()),
        (json!(null), basic.as_str()),
        (json!({"Authorization": "Bearer own"}), "Bearer own"),
    ] {
        let server = leading_to(|origin| format!("{origin}/x"), header).await;
        with_login(&server).fetch(&[pointer(CONTENT)]).await.unwrap();
        assert_eq!(authorization(&server.requests()[1]), Some(expected));
    }
    // A download that is authenticated needs no login.
    let server = Server::answering(|request, origin| {
        if !is_batch(request) {
            return TestResponse::new(200, &[], CONTENT);
        }
        let pointer = pointer(CONTENT);
        TestResponse::json(&json!({"objects": [{
            "oid": pointer.oid.as_str(), "size": 7, "authenticated": true,
            "actions": {"download": {"href": format!("{origin}/x")}},
        }]}))
    })
    .await;
    with_login(&server).fetch(&[pointer(CONTENT)]).await.unwrap();
    assert_eq!(authorization(&server.requests()[1]), None);
}

#[tokio::test]
async fn a_login_that_the_other_host_refuses_is_an_error() {
    let server = Server::answering(|request, origin| {
        if is_batch(request) {
            TestResponse::batch(&[pointer(CONTENT)], &format!("{origin}/x"))
        } else {
            TestResponse::new(403, &[], "")
        }
    })
    .await;
    assert_eq!(
        with_login(&server).code(&[pointer(CONTENT)]).await,
        Code::AuthenticationFailed
    );
}

#[tokio::test]
async fn a_redirect_is_followed_without_headers_or_login() {
    let store = store().await;
    let href = store.origin() + "/bucket/x?X-Amz-Signature=s3cret";
    let gate = Server::answering(move |_, _| TestResponse::redirect(&href)).await;
    let href = gate.origin() + "/gate";
    let server = leading_to(
        move |_| href.clone(),
        json!({"Authorization": "Bearer own", "X-For-Gate": "yes"}),
    )
    .await;
    let scene = with_login(&server);
    scene.fetch(&[pointer(CONTENT)]).await.unwrap();
    assert_eq!(gate.requests()[0].headers["x-for-gate"], "yes");
    let request = &store.requests()[0];
    assert_eq!(authorization(request), None);
    assert!(!request.headers.contains_key("x-for-gate"));
    assert_eq!(request.target, "/bucket/x?X-Amz-Signature=s3cret");
}

#[tokio::test]
async fn the_login_is_not_sent_to_where_the_server_redirects() {
    let store = store().await;
    let href = store.origin() + "/x";
    let server = Server::answering(move |request, origin| {
        if is_batch(request) {
            TestResponse::batch(&[pointer(CONTENT)], &format!("{origin}/gate"))
        } else {
            TestResponse::redirect(&href)
        }
    })
    .await;
    with_login(&server).fetch(&[pointer(CONTENT)]).await.unwrap();
    assert!(authorization(&server.requests()[1]).is_some());
    assert_eq!(authorization(&store.requests()[0]), None);
}

#[tokio::test]
async fn only_a_few_redirects_are_followed() {
    let server = Server::answering(move |request, origin| {
        if is_batch(request) {
            return TestResponse::batch(&[pointer(CONTENT)], &format!("{origin}/0"));
        }
        let number: u32 = request.target[1..].parse().unwrap();
        if number == 3 {
            return TestResponse::new(200, &[], CONTENT);
        }
        TestResponse::redirect(&format!("/{}", number + 1))
    })
    .await;
    Scene::new(&server.origin())
        .fetch(&[pointer(CONTENT)])
        .await
        .unwrap();
    let circle = Server::answering(move |request, origin| {
        if is_batch(request) {
            TestResponse::batch(&[pointer(CONTENT)], &format!("{origin}/0"))
        } else {
            TestResponse::redirect("/0")
        }
    })
    .await;
    let scene = Scene::new(&circle.origin());
    assert_eq!(scene.code(&[pointer(CONTENT)]).await, Code::GitHostRedirected);
    assert_eq!(circle.requests().len(), 1 + 4);
    let nowhere = leading_to_redirect("").await;
    let scene = Scene::new(&nowhere.origin());
    assert_eq!(scene.code(&[pointer(CONTENT)]).await, Code::GitHostRedirected);
    let file = leading_to_redirect("file:///etc/passwd").await;
    let scene = Scene::new(&file.origin());
    assert_eq!(scene.code(&[pointer(CONTENT)]).await, Code::GitHostRedirected);
}

/// A server whose object redirects.
async fn leading_to_redirect(location: &'static str) -> Server {
    Server::answering(move |request, origin| {
        if is_batch(request) {
            TestResponse::batch(&[pointer(CONTENT)], &format!("{origin}/x"))
        } else {
            TestResponse::redirect(location)
        }
    })
    .await
}

/// URLs of instance metadata, in some spellings.
const METADATA: [&str; 6] = [
    "http://169.254.169.254/latest/meta-data/iam/security-credentials/role",
    "http://2852039166/latest/meta-data",
    "http://0xa9fea9fe/",
    "http://[fd00:ec2::254]/latest/meta-data",
    "http://[::ffff:169.254.169.254]/",
    "http://[fe80::1]/",
];

#[tokio::test]
async fn no_server_may_refer_to_instance_metadata() {
    for href in METADATA {
        let server = leading_to(|_| href.to_owned(), json!({})).await;
        let (code, told) = Scene::new(&server.origin()).refused(&[pointer(CONTENT)]).await;
        assert_eq!(code, Code::GitHostNotAllowed, "{href}: {told}");
        let gate = leading_to_redirect(href).await;
        let (code, told) = Scene::new(&gate.origin()).refused(&[pointer(CONTENT)]).await;
        assert_eq!(code, Code::GitHostNotAllowed, "{href}: {told}");
    }
}

#[tokio::test]
async fn lfsconfig_may_name_a_host_of_the_settings_and_no_other() {
    let lfs = leading_to(|origin| format!("{origin}/x"), json!({})).await;
    let git = Server::answering(|_, _| TestResponse::new(500, &[], "")).await;
    let mut scene = Scene::new(&git.origin()).with_login(&git.origin(), "reader", PASSWORD);
    scene.lfsconfig = Some(format!(
        "[lfs]\n\turl = {}/group/project.git/info/lfs\n",
        lfs.origin()
    ));
    assert_eq!(scene.code(&[pointer(CONTENT)]).await, Code::GitHostNotAllowed);
    assert_eq!(lfs.requests().len(), 0);
    scene.git_hosts = vec![lfs.origin()];
    scene.fetch(&[pointer(CONTENT)]).await.unwrap();
    assert_eq!(git.requests().len(), 0);
    for request in lfs.requests() {
        assert_eq!(authorization(&request), None, "the login is for the git host");
    }
}
