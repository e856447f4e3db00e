//! Commits that are compared with the one whose zip is at the destination, because it watches paths.

use std::fmt::Write as _;

use domain::contract::{Deliver, FetchedCommit};
use domain::order::DeliveredPush;
use domain::push::Push;
use domain::samples;
use testkit::http::Host;

use crate::scene::{Ask, Scene};

/// A file of a tree: its mode, path and content. The content of a submodule is a letter of its commit.
type File<'a> = (&'a str, &'a str, &'a str);

const BASE: &[File<'_>] = &[
    ("100644", "services/api/main.rs", "api"),
    ("100644", "services/web/main.js", "web"),
    ("100644", "shared/log.rs", "log"),
    ("120000", "services/api/link", "main.rs"),
    ("160000", "vendor/lib", "a"),
    ("100644", ".gitattributes", "* text\n"),
];

/// Makes a commit of these files on `refs/heads/main`, with its parent if the ref has one.
fn commit(scene: &Scene, files: &[File<'_>]) -> String {
    let mut stream =
        "commit refs/heads/main\ncommitter Jo <jo@example.com> 1700000000 +0000\ndata 0\n".to_owned();
    let parent = scene.line(
        &["for-each-ref", "--format=%(objectname)", "refs/heads/main"],
        b"",
    );
    if !parent.is_empty() {
        writeln!(stream, "from {parent}").unwrap();
    }
    stream += "deleteall\n";
    for (mode, path, content) in files {
        match *mode {
            "160000" => writeln!(stream, "M 160000 {} {path}", content.repeat(40)).unwrap(),
            _ => writeln!(
                stream,
                "M {mode} inline {path}\ndata {}\n{content}",
                content.len()
            )
            .unwrap(),
        }
    }
    scene.git(&["fast-import", "--quiet", "--force"], stream.as_bytes());
    scene.line(&["rev-parse", "refs/heads/main"], b"")
}

/// Returns the push that was delivered before.
fn earlier() -> Push {
    samples::push("earlier", "refs/heads/main")
}

/// Delivers `commit` as the push of this delivery, as `deliver` says.
async fn deliver_before(scene: &Scene, delivery: &str, commit: &str, deliver: &Deliver) {
    let fetched = FetchedCommit {
        commit: commit.parse().unwrap(),
        ..samples::fetched()
    };
    let push = samples::push(delivery, "refs/heads/main");
    scene.record_delivered(&push, fetched, deliver).await;
}

fn watching(host: &Host, before: &str, after: &str, paths: &[&str]) -> Ask {
    Ask {
        before: Some(before.to_owned()),
        paths: paths.iter().map(|&path| path.to_owned()).collect(),
        ..Ask::new(&host.url(), after)
    }
}

async fn is_unchanged(scene: &Scene, ask: &Ask) -> bool {
    let fetched = scene.fetch(ask).await.unwrap();
    assert_eq!(fetched.commit.as_str(), ask.after);
    // Whether or not it is packaged, it is staged: another zip may be delivered before this push is recorded.
    assert!(fetched.pack.size > 0);
    match fetched.unchanged_since {
        Some(since) => assert_eq!(since, earlier().push_id),
        None => return false,
    }
    true
}

#[tokio::test]
async fn a_push_that_changes_no_watched_path_is_found() {
    const API: &str = "services/api/**";
    let changed = |path: &str, file: File<'static>| {
        let others = BASE.iter().copied().filter(|(_, name, _)| *name != path);
        others.chain([file]).collect::<Vec<_>>()
    };
    let without = |path: &str| {
        BASE.iter()
            .copied()
            .filter(|(_, name, _)| *name != path)
            .collect::<Vec<_>>()
    };
    let web = "services/web/main.js";
    for (what, files, paths, unchanged) in [
        ("the same tree", BASE.to_vec(), &[API][..], true),
        ("another file", changed(web, ("100644", web, "new")), &[API], true),
        (
            "the file",
            changed(web, ("100644", web, "new")),
            &["services/web/*"],
            false,
        ),
        (
            "one of several globs",
            changed(web, ("100644", web, "new")),
            &[API, "**/*.js"],
            false,
        ),
        (
            "the mode",
            changed(web, ("100755", web, "web")),
            &["services/web/*"],
            false,
        ),
        (
            "the new name",
            changed(web, ("100644", "services/api/main.js", "web")),
            &[API],
            false,
        ),
        (
            "the old name",
            changed("services/api/main.rs", ("100644", "x.rs", "api")),
            &[API],
            false,
        ),
        (
            "a link",
            changed("services/api/link", ("120000", "services/api/link", "x")),
            &[API],
            false,
        ),
        (
            "a link that becomes a file",
            changed("services/api/link", ("100644", "services/api/link", "main.rs")),
            &[API],
            false,
        ),
        ("a deletion", without("services/api/main.rs"), &[API], false),
        ("another deletion", without(web), &[API], true),
        (
            "a submodule",
            changed("vendor/lib", ("160000", "vendor/lib", "b")),
            &["vendor/**"],
            false,
        ),
        (
            "a submodule above the glob",
            changed("vendor/lib", ("160000", "vendor/lib", "b")),
            &["vendor/lib/src/*"],
            false,
        ),
        (
            "another submodule",
            changed("vendor/lib", ("160000", "vendor/lib", "b")),
            &[API],
            true,
        ),
        (
            "a folder that becomes a link",
            changed("services/api/main.rs", ("120000", "services/api", "web")),
            &[API],
            false,
        ),
        (
            "attributes",
            changed(".gitattributes", ("100644", ".gitattributes", "")),
            &[API],
            true,
        ),
    ] {
        // A name cannot be both a folder and a link.
        let mut files = files;
        if what == "a folder that becomes a link" {
            files.retain(|(_, path, _)| !path.starts_with("services/api/"));
        }
        let scene = Scene::new();
        scene.allow_any_id();
        let before = commit(&scene, BASE);
        let after = commit(&scene, &files);
        let host = Host::of(&scene).await;
        let ask = watching(&host, &before, &after, paths);
        deliver_before(&scene, "earlier", &before, &ask.deliver()).await;
        assert_eq!(is_unchanged(&scene, &ask).await, unchanged, "{what}");
    }
}

#[tokio::test]
async fn attributes_count_if_the_zip_is_made_by_them() {
    let scene = Scene::new();
    scene.allow_any_id();
    let before = commit(&scene, BASE);
    let mut files = BASE.to_vec();
    files.retain(|(_, path, _)| *path != ".gitattributes");
    let after = commit(&scene, &files);
    let host = Host::of(&scene).await;
    let ask = Ask {
        attributes: true,
        ..watching(&host, &before, &after, &["services/api/**"])
    };
    deliver_before(&scene, "earlier", &before, &ask.deliver()).await;
    assert!(!is_unchanged(&scene, &ask).await);
}

/// Returns a scene in which nothing that is watched has changed since what was delivered, and the request of that push.
async fn unchanged() -> (Scene, Host, Ask) {
    let scene = Scene::new();
    scene.allow_any_id();
    let before = commit(&scene, BASE);
    let after = commit(&scene, &BASE[1..]);
    let host = Host::of(&scene).await;
    let ask = watching(&host, &before, &after, &["services/web/**"]);
    deliver_before(&scene, "earlier", &before, &ask.deliver()).await;
    (scene, host, ask)
}

/// A push between the delivered one and this one has changed something, and was lost.
#[tokio::test]
async fn a_push_is_compared_with_what_was_delivered_and_not_with_what_it_names() {
    let (scene, host, ask) = unchanged().await;
    assert!(is_unchanged(&scene, &ask).await);
    let mut files = BASE.to_vec();
    files[1].2 = "lost";
    let lost = commit(&scene, &files);
    files[0].2 = "api 2";
    let after = commit(&scene, &files);
    let ask = watching(&host, &lost, &after, &["services/web/**"]);
    assert!(!is_unchanged(&scene, &ask).await);
}

#[tokio::test]
async fn a_push_that_was_ignored_before_names_the_zip_that_has_stayed() {
    let (scene, _host, ask) = unchanged().await;
    let ignored = DeliveredPush {
        zip_of: Some(earlier().push_id),
        ..DeliveredPush::new(
            &samples::push("ignored", "refs/heads/main"),
            2,
            None,
            samples::archive().sha256,
        )
    };
    scene.record_last(ignored).await;
    assert!(is_unchanged(&scene, &ask).await);
}

#[tokio::test]
async fn what_is_in_doubt_is_delivered() {
    let (scene, _host, ask) = unchanged().await;
    let delivered = |ask: Ask| {
        let scene = &scene;
        async move { !is_unchanged(scene, &ask).await }
    };
    let again = || Ask {
        before: ask.before.clone(),
        paths: ask.paths.clone(),
        ..Ask::new(&ask.url, &ask.after)
    };
    assert!(!delivered(again()).await, "nothing is in doubt");
    let creates = Ask {
        before: None,
        ..again()
    };
    assert!(delivered(creates).await, "the ref is new");
    let by_hand = Ask {
        before: Some(ask.after.clone()),
        ..again()
    };
    assert!(delivered(by_hand).await, "another delivery is asked for");
    let watches_more = Ask {
        paths: vec!["services/web/**".into(), "x".into()],
        ..again()
    };
    assert!(
        delivered(watches_more).await,
        "the zip was delivered by other paths"
    );
    let by_options = Ask {
        full_clone: true,
        ..again()
    };
    assert!(delivered(by_options).await, "the zip was made by other options");
    let zip = |push: &Push, sha256: String| DeliveredPush::new(push, 2, None, sha256);
    scene.record_last(zip(&earlier(), "d".repeat(64))).await;
    assert!(delivered(again()).await, "the trail has another zip");
    scene
        .record_last(zip(
            &samples::push("unknown", "refs/heads/main"),
            samples::archive().sha256,
        ))
        .await;
    assert!(delivered(again()).await, "the trail does not have the push");
    let other_ref = DeliveredPush {
        ref_name: "refs/heads/next".parse().unwrap(),
        ..zip(&earlier(), samples::archive().sha256)
    };
    scene.record_last(other_ref).await;
    assert!(delivered(again()).await, "the zip is of another ref");
}

#[tokio::test]
async fn a_base_that_the_host_no_longer_has_is_in_doubt() {
    let (scene, _host, ask) = unchanged().await;
    deliver_before(&scene, "forced-away", &"d".repeat(40), &ask.deliver()).await;
    assert_eq!(scene.fetch(&ask).await.unwrap().unchanged_since, None);
}

/// The whole of it would be more than the limit.
#[tokio::test]
async fn of_the_base_only_what_differs_is_sent() {
    let scene = Scene::new();
    scene.allow_any_id();
    let mut content = String::new();
    for number in 0..20_000_u32 {
        write!(content, "{:08x}", number.wrapping_mul(2_654_435_761)).unwrap();
    }
    let large: File<'_> = ("100644", "large", &content);
    let before = commit(&scene, &[large, ("100644", "services/web/a", "1")]);
    let after = commit(&scene, &[large, ("100644", "services/api/a", "1")]);
    let host = Host::of(&scene).await;
    let mut ask = watching(&host, &before, &after, &["services/other/**"]);
    let size = scene.fetch(&ask).await.unwrap().pack.size;
    assert!(size > 20_000, "{size}");
    ask.limits.pack_bytes = size + size / 2;
    deliver_before(&scene, "earlier", &before, &ask.deliver()).await;
    assert!(is_unchanged(&scene, &ask).await);
}

#[tokio::test]
async fn a_host_that_refuses_ids_sends_the_base_with_the_history_of_the_ref() {
    let scene = Scene::new();
    let before = commit(&scene, BASE);
    let after = commit(&scene, &BASE[1..]);
    let host = Host::of(&scene).await;
    for (paths, unchanged) in [("services/web/**", true), ("services/api/**", false)] {
        let ask = watching(&host, &before, &after, &[paths]);
        let delivery = if unchanged { "earlier" } else { "other" };
        deliver_before(&scene, delivery, &before, &ask.deliver()).await;
        let fetched = scene.fetch(&ask).await.unwrap();
        assert_eq!(fetched.unchanged_since.is_some(), unchanged, "{paths}");
    }
}

/// Whatever comes of the comparison, the push is delivered.
#[tokio::test]
async fn a_base_that_is_too_large_is_in_doubt() {
    let scene = Scene::new();
    scene.allow_any_id();
    let content = "0123456789abcdef".repeat(100_000);
    let before = commit(&scene, &[("100644", "large", &content), ("100644", "a", "1")]);
    let after = commit(&scene, &[("100644", "a", "1")]);
    let host = Host::of(&scene).await;
    let mut ask = watching(&host, &before, &after, &["a"]);
    ask.limits.pack_bytes = scene.fetch(&ask).await.unwrap().pack.size + 1_000;
    deliver_before(&scene, "earlier", &before, &ask.deliver()).await;
    assert!(!is_unchanged(&scene, &ask).await);
}
