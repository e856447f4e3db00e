//! What pages show.

use super::*;

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
    for page in &shown {
        assert!(
            page.contains("onerror") && page.contains("&lt;script&gt;"),
            "{page}"
        );
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
    let log = "log-group/$252Faws$252Flambda$252Fpush$252Dcode$252Ffetch/log-events$3FfilterPattern";
    assert!(panel.contains(log), "{panel}");
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
