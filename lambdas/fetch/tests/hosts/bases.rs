//! Commits that are fetched as the difference from that of an earlier push.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use domain::contract::{BaseUse, FetchedCommit, StagedPack};
use domain::error::{Code, Coded};
use domain::git::CommitId;
use domain::push::{Push, Trigger};
use domain::samples;
use fetch::{METRICS, TransferProgram};
use serde_json::json;
use testkit::git;
use testkit::http::{Host, Response};
use testkit::logs::captured;
use testkit::ssh::Sshd;

use crate::scene::{Ask, PROGRAM, Scene};
use crate::submodules;

/// Bytes that do not compress, so that what is fetched is seen from its size.
fn noise() -> impl FnMut(usize) -> Vec<u8> {
    let mut state = 7_u64;
    move |bytes| {
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        };
        (0..bytes / 8).flat_map(|_| next()).collect()
    }
}

fn files(count: usize) -> BTreeMap<String, Vec<u8>> {
    let mut noise = noise();
    (0..count)
        .map(|number| (format!("folder{}/{number}", number % 10), noise(512)))
        .collect()
}

/// Makes a commit of these files on `refs/heads/main`, with its parent if the ref has one.
fn commit(scene: &Scene, files: &BTreeMap<String, Vec<u8>>) -> String {
    let parent = scene.line(
        &["for-each-ref", "--format=%(objectname)", "refs/heads/main"],
        b"",
    );
    let mut stream =
        b"commit refs/heads/main\ncommitter Jo <jo@example.com> 1700000000 +0000\ndata 0\n".to_vec();
    if !parent.is_empty() {
        stream.extend(format!("from {parent}\n").bytes());
    }
    stream.extend(b"deleteall\n");
    for (path, content) in files {
        stream.extend(format!("M 100644 inline {path}\ndata {}\n", content.len()).bytes());
        stream.extend(content);
        stream.push(b'\n');
    }
    scene.git(&["fast-import", "--quiet", "--force"], &stream);
    scene.line(&["rev-parse", "refs/heads/main"], b"")
}

/// A repository on a host, whose pushes are delivered in turn.
struct History {
    scene: Scene,
    url: String,
    files: BTreeMap<String, Vec<u8>>,
}

impl History {
    fn of(scene: Scene, url: String) -> Self {
        Self {
            scene,
            url,
            files: files(200),
        }
    }

    async fn over_http() -> (Self, Host) {
        let scene = Scene::new();
        scene.allow_any_id();
        let host = Host::of(&scene).await;
        let url = host.url();
        (Self::of(scene, url), host)
    }

    /// Changes one file, and commits it.
    fn change(&mut self, content: &str) -> String {
        self.files
            .insert("folder3/3".to_owned(), content.as_bytes().to_vec());
        commit(&self.scene, &self.files)
    }

    fn ask(&self, delivery: &'static str, commit: &str) -> Ask {
        Ask {
            delivery,
            bases: true,
            ..Ask::new(&self.url, commit)
        }
    }

    /// Fetches a push, checks that it is whole, and records it as delivered.
    async fn deliver(&self, ask: &Ask) -> FetchedCommit {
        let fetched = self.scene.fetch(ask).await.unwrap();
        self.assert_whole(&fetched);
        let push = samples::push(ask.delivery, ask.ref_name);
        self.scene
            .record_delivered(&push, fetched.clone(), &ask.deliver())
            .await;
        fetched
    }

    fn assert_whole(&self, fetched: &FetchedCommit) {
        self.assert_has(&self.scene, fetched.packs(), &fetched.commit);
    }

    /// Checks that packs have all files of a repository's commit.
    fn assert_has(&self, repository: &Scene, staged: impl Iterator<Item = StagedPack>, commit: &CommitId) {
        let folder = tempfile::tempdir().unwrap();
        let commit = commit.as_str();
        git::output(
            git::command(folder.path()).args(["init", "--quiet", "--bare"]),
            b"",
        );
        let packs = folder.path().join("objects/pack");
        for (number, staged) in staged.enumerate() {
            for (object, extension) in [(&staged.pack, "pack"), (&staged.index, "idx")] {
                let to = packs.join(format!("pack-{number}.{extension}"));
                std::fs::copy(self.scene.staging().path(&object.key), to).unwrap();
            }
        }
        // The history is cut off after the commit.
        std::fs::write(folder.path().join("shallow"), format!("{commit}\n")).unwrap();
        let archive = |folder: &Path| git::output(git::command(folder).args(["archive", commit]), b"");
        assert!(archive(folder.path()) == archive(&repository.repository()));
        git::output(
            git::command(folder.path()).args(["rev-list", "--objects", "--quiet", commit]),
            b"",
        );
    }

    fn staged(&self, staged: &StagedPack) -> PathBuf {
        self.scene.staging().path(&staged.pack.key)
    }
}

fn why_not(fetched: &FetchedCommit) -> &str {
    match &fetched.base {
        Some(BaseUse::WhyNot(reason)) => reason,
        used => unreachable!("{used:?}"),
    }
}

/// Returns the id of the push that is the base, and the number of its packs.
fn used(fetched: &FetchedCommit) -> (String, usize) {
    match &fetched.base {
        Some(BaseUse::Used(base)) => (base.push_id.to_string(), base.packs.len()),
        not => unreachable!("{not:?}"),
    }
}

fn id(delivery: &str) -> String {
    samples::push(delivery, "refs/heads/main").push_id.to_string()
}

async fn assert_each_push_costs_what_it_changes(mut history: History, with_login: impl Fn(Ask) -> Ask) {
    let first = history.change("1");
    let whole = history.deliver(&with_login(history.ask("d1", &first))).await;
    assert_eq!(why_not(&whole), "no push of the repository was delivered");
    let whole_bytes = whole.received_bytes.unwrap();
    assert!(whole_bytes > 100_000, "{whole_bytes}");
    let deliveries = ["d2", "d3", "d4"];
    for (number, delivery) in deliveries.into_iter().enumerate() {
        let next = history.change(delivery);
        let fetched = history.deliver(&with_login(history.ask(delivery, &next))).await;
        let before = ["d1", "d2", "d3"][number];
        assert_eq!(used(&fetched), (id(before), number + 1));
        assert!(fetched.received_bytes.unwrap() < whole_bytes / 50, "{fetched:#?}");
        // The commit, two trees and the file, and those of the base that they are deltas of.
        let objects = history.scene.staged_objects(&fetched).len();
        assert!((4..8).contains(&objects), "{objects}");
    }
    // The branch is reset to what was delivered first.
    history.scene.git(&["update-ref", "refs/heads/main", &first], b"");
    let reset = history.deliver(&with_login(history.ask("d5", &first))).await;
    assert_eq!(used(&reset).0, id("d4"));
    assert!(reset.received_bytes.unwrap() < 2_000, "{reset:#?}");
    // It is delivered once more, and adds nothing to what is there.
    let again = history.deliver(&with_login(history.ask("d6", &first))).await;
    assert_eq!(used(&again), (id("d5"), 4));
    assert_eq!(
        again.packs().collect::<Vec<_>>(),
        reset.packs().collect::<Vec<_>>()
    );
    assert!(again.received_bytes.unwrap() < 2_000, "{again:#?}");
}

#[tokio::test]
async fn each_push_over_http_costs_what_it_changes() {
    let (history, _host) = History::over_http().await;
    assert_each_push_costs_what_it_changes(history, |ask| ask).await;
}

#[tokio::test]
async fn each_push_over_ssh_costs_what_it_changes() {
    let scene = Scene::new();
    scene.allow_any_id();
    let host = Sshd::of(&scene).await;
    let history = History::of(scene, host.url());
    assert_each_push_costs_what_it_changes(history, |ask| {
        ask.with_key(&host.private_key, None, &host.known_hosts())
    })
    .await;
}

#[tokio::test]
async fn the_line_in_the_log_has_the_bytes_that_are_metrics() {
    let (mut history, _host) = History::over_http().await;
    let first = history.change("1");
    history.deliver(&history.ask("d1", &first)).await;
    let second = history.change("2");
    let ask = history.ask("d2", &second);
    let fetch = history.scene.fetch(&ask);
    let (fetched, lines) = captured(fetch, |lines| aws::telemetry::json(None, lines)).await;
    let fetched = fetched.unwrap();
    let logged = lines.fields("fetched");
    assert_eq!(logged.len(), 1, "{logged:?}");
    for field in METRICS {
        assert!(logged[0][field].as_u64() > Some(0), "{field}: {logged:?}");
    }
    assert_eq!(logged[0]["bytes_from_host"], json!(fetched.received_bytes));
}

/// Fetches a second push after `spoil` has done something to what the first one has left. Returns it and the bytes of
/// the first.
async fn after(spoil: impl FnOnce(&History, &mut FetchedCommit)) -> (FetchedCommit, u64) {
    let (mut history, _host) = History::over_http().await;
    let first = history.change("1");
    let ask = history.ask("d1", &first);
    let mut whole = history.scene.fetch(&ask).await.unwrap();
    let bytes = whole.received_bytes.unwrap();
    // The staging area keeps every version, and the newest one is spoilt.
    whole.pack.version_id = None;
    whole.index.version_id = None;
    spoil(&history, &mut whole);
    let push = samples::push("d1", "refs/heads/main");
    history.scene.record_delivered(&push, whole, &ask.deliver()).await;
    let second = history.change("2");
    (history.deliver(&history.ask("d2", &second)).await, bytes)
}

#[tokio::test]
async fn the_first_push_of_a_ref_begins_from_another_one() {
    let (mut history, _host) = History::over_http().await;
    let push = async |history: &mut History, delivery: &'static str, ref_name: &'static str| {
        let commit = history.change(delivery);
        history.scene.git(&["update-ref", ref_name, &commit], b"");
        let fetched = history
            .deliver(&history.ask(delivery, &commit).of_ref(ref_name))
            .await;
        let Some(BaseUse::Used(base)) = &fetched.base else {
            return (why_not(&fetched).to_owned(), None);
        };
        assert!(fetched.received_bytes.unwrap() < 10_000, "{fetched:#?}");
        (
            base.push_id.to_string(),
            base.other_ref.as_ref().map(ToString::to_string),
        )
    };
    let of = |delivery: &str, ref_name: &str| samples::push(delivery, ref_name).push_id.to_string();
    let (old, main, next) = ("refs/heads/old", "refs/heads/main", "refs/heads/next");
    let nothing = "no push of the repository was delivered".to_owned();
    assert_eq!(push(&mut history, "d1", old).await, (nothing, None));
    // There is one other ref.
    assert_eq!(
        push(&mut history, "d2", main).await,
        (of("d1", old), Some(old.to_owned()))
    );
    assert_eq!(
        push(&mut history, "d3", next).await,
        (of("d2", main), Some(main.to_owned()))
    );
    // The host says which is the default one.
    assert_eq!(
        push(&mut history, "d4", "refs/tags/v1").await,
        (of("d2", main), Some(main.to_owned()))
    );
    history.scene.git(&["symbolic-ref", "HEAD", next], b"");
    assert_eq!(
        push(&mut history, "d5", "refs/tags/v2").await,
        (of("d3", next), Some(next.to_owned()))
    );
    // It was never pushed.
    history.scene.git(&["branch", "unpushed", "main"], b"");
    history
        .scene
        .git(&["symbolic-ref", "HEAD", "refs/heads/unpushed"], b"");
    let (newest, _) = push(&mut history, "d6", "refs/tags/v3").await;
    assert_eq!(newest, of("d5", "refs/tags/v2"));
}

#[tokio::test]
async fn another_repository_or_source_is_no_base() {
    let (mut history, _host) = History::over_http().await;
    let commit = history.change("1");
    let ask = history.ask("d1", &commit);
    let fetched = history.scene.fetch(&ask).await.unwrap();
    for (delivery, spoil) in [
        (
            "other-source",
            (|push| push.source = "other".parse().unwrap()) as fn(&mut Push),
        ),
        ("other-repository", |push| {
            push.repository = "other/project".parse().unwrap();
        }),
    ] {
        let mut push = samples::push(delivery, "refs/heads/other");
        spoil(&mut push);
        history
            .scene
            .record_delivered(&push, fetched.clone(), &ask.deliver())
            .await;
    }
    let fetched = history.deliver(&history.ask("d2", &commit)).await;
    assert_eq!(why_not(&fetched), "no push of the repository was delivered");
}

/// One that was not delivered has left nothing, and a rollback what an earlier push has left.
#[tokio::test]
async fn a_ref_begins_from_what_was_delivered() {
    let (mut history, _host) = History::over_http().await;
    let first = history.change("1");
    history.deliver(&history.ask("d1", &first)).await;
    let ask = history.ask("d2", &first);
    let fetched = history.scene.fetch(&ask).await.unwrap();
    let late = samples::push("late", "refs/heads/late");
    history
        .scene
        .record_superseded(&late, fetched.clone(), &ask.deliver())
        .await;
    let rollback = Push {
        trigger: Trigger::Rollback,
        ..samples::push("rollback", "refs/heads/rollback")
    };
    history
        .scene
        .record_delivered(&rollback, fetched, &ask.deliver())
        .await;
    let new = "refs/heads/new";
    history.scene.git(&["update-ref", new, &first], b"");
    history.scene.git(&["symbolic-ref", "HEAD", new], b"");
    let fetched = history.deliver(&history.ask("d3", &first).of_ref(new)).await;
    assert_eq!(used(&fetched).0, id("d1"));
}

/// They are merged before they pile up.
#[tokio::test]
async fn small_packs_are_merged() {
    let (mut history, _host) = History::over_http().await;
    let first = history.change("1");
    history.deliver(&history.ask("d1", &first)).await;
    let deliveries = [
        "d2", "d3", "d4", "d5", "d6", "d7", "d8", "d9", "d10", "d11", "d12", "d13", "d14", "d15", "d16",
        "d17", "d18", "d19", "d20", "d21",
    ];
    let mut packs = Vec::new();
    for delivery in deliveries {
        // Its pack is not small.
        if delivery == "d3" {
            history.files.insert("large".to_owned(), noise()(5 << 20));
        }
        let next = history.change(delivery);
        let fetched = history.deliver(&history.ask(delivery, &next)).await;
        used(&fetched);
        packs.push(fetched.packs().count());
    }
    assert_eq!(
        packs,
        [2, 3, 4, 5, 6, 7, 8, 9, 10, 3, 4, 5, 6, 7, 8, 9, 10, 3, 4, 5]
    );
}

/// To pack them again would take longer than to load them.
#[tokio::test]
async fn packs_of_large_files_are_not_merged() {
    let (mut history, _host) = History::over_http().await;
    let first = history.change("1");
    history.deliver(&history.ask("d1", &first)).await;
    let deliveries = ["d2", "d3", "d4", "d5", "d6", "d7", "d8", "d9", "d10", "d11"];
    for (number, delivery) in deliveries.into_iter().enumerate() {
        // 5 MiB that deflate to little. Nine of them are too many.
        let next = history.change(&delivery.repeat(5 << 19));
        let fetched = history.deliver(&history.ask(delivery, &next)).await;
        assert_eq!(fetched.packs().count(), number + 2);
    }
}

#[tokio::test]
async fn submodules_have_bases_too() {
    let (mut history, _host) = History::over_http().await;
    let library = history.scene.beside("/group/library.git");
    let mut library_files = files(100);
    let mut commit_library = |content: &str| {
        library_files.insert("changed".to_owned(), content.as_bytes().to_vec());
        commit(&library, &library_files)
    };
    let modules = submodules::module("lib/one", "../library.git");
    let push = async |history: &mut History, delivery: &'static str, library: &str| {
        let pushed = submodules::commit(&history.scene, &modules, &[("lib/one", library)]);
        let ask = history.ask(delivery, &pushed).with_submodules();
        let fetched = history.scene.fetch(&ask).await.unwrap();
        let push = samples::push(delivery, "refs/heads/main");
        history
            .scene
            .record_delivered(&push, fetched.clone(), &ask.deliver())
            .await;
        fetched
    };
    let one = commit_library("1");
    let first = push(&mut history, "d1", &one).await;
    let whole = first.submodules[0].pack.size;
    assert!(
        matches!(first.submodules[0].base, Some(BaseUse::WhyNot(_))),
        "{first:#?}"
    );
    // It has not changed, so nothing is staged.
    let second = push(&mut history, "d2", &one).await;
    let [before, now] = [&first, &second].map(|fetched| fetched.submodules[0].packs().collect::<Vec<_>>());
    assert_eq!(before, now);
    // Its changes are merged into one pack.
    let mut last = second;
    for delivery in ["d3", "d4", "d5"] {
        let next = commit_library(delivery);
        let fetched = push(&mut history, delivery, &next).await;
        let submodule = &fetched.submodules[0];
        let base = submodule.base.as_ref().and_then(BaseUse::used).unwrap();
        assert_eq!(base.commit, last.submodules[0].commit);
        assert_eq!(submodule.packs().count(), 2, "{submodule:#?}");
        assert!(submodule.pack.size < whole / 20, "{submodule:#?}");
        last = fetched;
    }
    history.assert_has(&library, last.submodules[0].packs(), &last.submodules[0].commit);

    // Another repository is told nothing of the commits of this one.
    let other = history.scene.beside("/group/other.git");
    let commit = commit(&other, &files(20));
    let modules = submodules::module("lib/one", "../other.git");
    let pushed = submodules::commit(&history.scene, &modules, &[("lib/one", &commit)]);
    let ask = history.ask("d6", &pushed).with_submodules();
    let fetched = history.scene.fetch(&ask).await.unwrap();
    let Some(BaseUse::WhyNot(reason)) = &fetched.submodules[0].base else {
        panic!("{fetched:#?}")
    };
    assert!(reason.contains("no such submodule"), "{reason}");
}

/// Pushes a submodule at each of these paths, then a change of it. Returns what the second push has fetched.
async fn with_submodules_at(paths: &[String]) -> FetchedCommit {
    let (history, _host) = History::over_http().await;
    let library = history.scene.beside("/group/library.git");
    let modules: String = paths
        .iter()
        .map(|path| submodules::module(path, "../library.git"))
        .collect();
    let push = |delivery, count| {
        let commit = commit(&library, &files(count));
        let links: Vec<_> = paths
            .iter()
            .map(|path| (path.as_str(), commit.as_str()))
            .collect();
        let pushed = submodules::commit(&history.scene, &modules, &links);
        history.ask(delivery, &pushed).with_submodules()
    };
    let first = push("d1", 3);
    let fetched = history.scene.fetch(&first).await.unwrap();
    history
        .scene
        .record_delivered(&samples::push("d1", "refs/heads/main"), fetched, &first.deliver())
        .await;
    history.scene.fetch(&push("d2", 4)).await.unwrap()
}

/// One event has the packs of all, and may have 100,000 bytes.
#[tokio::test]
async fn many_submodules_have_no_bases() {
    let paths = |count: usize| {
        (0..count)
            .map(|number| format!("lib/{number}"))
            .collect::<Vec<_>>()
    };
    let fetched = with_submodules_at(&paths(32)).await;
    assert!(
        fetched
            .submodules
            .iter()
            .all(|submodule| submodule.base.is_some())
    );
    let fetched = with_submodules_at(&paths(33)).await;
    assert!(
        fetched
            .submodules
            .iter()
            .all(|submodule| submodule.base.is_none())
    );
    used(&fetched);
    // What says so is too long with bases alone.
    let long: Vec<_> = paths(20)
        .iter()
        .map(|path| format!("{path}/{}", "x".repeat(4_000)))
        .collect();
    let fetched = with_submodules_at(&long).await;
    assert_eq!(fetched.base, None);
    let bytes = serde_json::to_vec(&fetched).unwrap().len();
    assert!((90_000..100_000).contains(&bytes), "{bytes}");
}

#[tokio::test]
async fn a_base_that_cannot_be_used_is_put_aside() {
    type Spoil = fn(&History, &mut FetchedCommit);
    let cases: [(&str, Spoil); 9] = [
        ("is gone", |history, whole| {
            std::fs::remove_file(history.staged(&whole.packs().next().unwrap())).unwrap();
        }),
        ("the SHA-256", |history, whole| {
            let file = history.staged(&whole.packs().next().unwrap());
            let mut bytes = std::fs::read(&file).unwrap();
            bytes[1_000] ^= 1;
            std::fs::write(&file, bytes).unwrap();
        }),
        ("bytes instead of", |history, whole| {
            let file = history.staged(&whole.packs().next().unwrap());
            let bytes = std::fs::read(&file).unwrap();
            std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
        }),
        // What is recorded and what is there agree, and it is no index.
        ("cannot be used", |_, whole| {
            whole.index = whole.pack.clone();
        }),
        // The commit is not in its packs.
        ("cannot be used", |_, whole| {
            whole.commit = "1".repeat(40).parse().unwrap();
        }),
        ("has left nothing", |_, whole| whole.pack.sha256 = None),
        ("has left nothing", |_, whole| {
            whole.index.key = "pushes/1/commit.idx".parse().unwrap();
        }),
        ("a quarter of pack_bytes", |_, whole| {
            whole.pack.size = (16 << 20) + 1;
        }),
        ("piled up", |_, whole| {
            let packs = vec![whole.packs().next().unwrap(); 16];
            whole.base = Some(BaseUse::Used(domain::contract::Base {
                push_id: samples::push("d0", "refs/heads/main").push_id,
                other_ref: None,
                commit: whole.commit.clone(),
                packs,
                zip: None,
            }));
        }),
    ];
    for (expected, spoil) in cases {
        let (fetched, bytes) = after(spoil).await;
        assert!(why_not(&fetched).contains(expected), "{expected}: {fetched:#?}");
        assert!(fetched.received_bytes.unwrap() > bytes / 2);
    }
}

/// The host takes the whole tree of the base for known, but its packs have the commit and not all of the tree.
#[tokio::test]
async fn a_base_that_lacks_objects_is_put_aside() {
    let (mut history, _host) = History::over_http().await;
    let first = history.change("1");
    history.deliver(&history.ask("d1", &first)).await;
    let second = history.change("2");
    let ask = history.ask("d2", &second);
    let mut difference = history.scene.fetch(&ask).await.unwrap();
    difference.base = None;
    let push = samples::push("d2", "refs/heads/main");
    history
        .scene
        .record_delivered(&push, difference, &ask.deliver())
        .await;
    let third = history.change("3");
    let fetched = history.deliver(&history.ask("d3", &third)).await;
    assert!(why_not(&fetched).contains("cannot be used"), "{fetched:#?}");
}

/// The new commit shares a file with the base, whose packs lack that file alone.
#[tokio::test]
async fn a_base_that_lacks_a_file_is_put_aside() {
    let (mut history, _host) = History::over_http().await;
    let first = history.change("1");
    let ask = history.ask("d1", &first);
    let mut whole = history.scene.fetch(&ask).await.unwrap();
    let blob = history
        .scene
        .line(&["rev-parse", &format!("{first}:folder1/1")], b"");
    let objects = history
        .scene
        .line(&["rev-list", "--objects", "--no-object-names", &first], b"");
    let others: String = objects
        .lines()
        .filter(|id| **id != blob)
        .map(|id| format!("{id}\n"))
        .collect();
    let pack = history
        .scene
        .git(&["pack-objects", "--quiet", "--stdout"], others.as_bytes());
    let file = history.staged(&whole.packs().next().unwrap());
    std::fs::write(&file, &pack).unwrap();
    let index = file.with_extension("idx");
    std::fs::remove_file(&index).unwrap();
    let arguments = [
        "index-pack",
        "-o",
        index.to_str().unwrap(),
        file.to_str().unwrap(),
    ];
    history.scene.git(&arguments, b"");
    for (object, file) in [(&mut whole.pack, file), (&mut whole.index, index)] {
        let bytes = std::fs::read(file).unwrap();
        object.version_id = None;
        object.size = bytes.len() as u64;
        let digest = openssl::sha::sha256(&bytes);
        object.sha256 = Some(digest.iter().map(|byte| format!("{byte:02x}")).collect());
    }
    let push = samples::push("d1", "refs/heads/main");
    history.scene.record_delivered(&push, whole, &ask.deliver()).await;
    let second = history.change("2");
    let fetched = history.deliver(&history.ask("d2", &second)).await;
    assert!(why_not(&fetched).contains(&blob), "{fetched:#?}");
}

/// It may have had no memory for the base.
#[tokio::test]
async fn without_a_base_a_transfer_that_has_died_is_tried_again() {
    let (mut history, _host) = History::over_http().await;
    let first = history.change("1");
    history.deliver(&history.ask("d1", &first)).await;
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("dies");
    let script = format!(
        "#!/bin/sh\nread -r line\ncase $line in *'\"base\":{{'*) exit 3;; esac\n{{ printf '%s\\n' \"$line\"; cat; }} | {PROGRAM} \"$@\"\n"
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
    let second = history.change("2");
    let ask = Ask {
        transfer: TransferProgram::new(program, 1 << 30),
        ..history.ask("d2", &second)
    };
    let fetched = history.deliver(&ask).await;
    assert!(why_not(&fetched).contains("exit status: 3"), "{fetched:#?}");
}

/// Whatever goes wrong with a base, a whole fetch may do without it.
#[tokio::test]
async fn without_a_base_a_host_that_breaks_off_is_asked_again() {
    let scene = Scene::new();
    scene.allow_any_id();
    // Only who has something says what.
    let host = Host::guarded(&scene, |request| {
        let has_base = request.body.windows(5).any(|bytes| bytes == b"have ");
        has_base.then(|| Response::git(request, b"0008NAK\n".to_vec()))
    })
    .await;
    let mut history = History::of(scene, host.url());
    let first = history.change("1");
    history.deliver(&history.ask("d1", &first)).await;
    let second = history.change("2");
    let fetched = history.deliver(&history.ask("d2", &second)).await;
    why_not(&fetched);
    assert!(fetched.received_bytes.unwrap() > 100_000, "{fetched:#?}");
}

/// The base has the commit, which somebody has removed from the host since.
#[tokio::test]
async fn what_the_host_has_no_longer_is_not_taken_from_a_base() {
    let scene = Scene::new();
    let host = Host::of(&scene).await;
    let mut history = History::of(scene, host.url());
    let first = history.change("1");
    history.deliver(&history.ask("d1", &first)).await;
    history.scene.git(&["update-ref", "-d", "refs/heads/main"], b"");
    history.change("2");
    let again = history.ask("d2", &first).of_any_commit();
    let error = history.scene.fetch(&again).await.unwrap_err();
    assert_eq!(error.code(), Code::CommitNotFound);
}

/// The host has dropped the commit after a force-push, so it does not know it, and sends everything.
#[tokio::test]
async fn a_base_that_the_host_has_forgotten_does_no_harm() {
    let (mut history, _host) = History::over_http().await;
    let first = history.change("1");
    history.deliver(&history.ask("d1", &first)).await;
    history.scene.git(&["update-ref", "-d", "refs/heads/main"], b"");
    history
        .scene
        .git(&["reflog", "expire", "--expire=now", "--all"], b"");
    history.scene.git(&["gc", "--quiet", "--prune=now"], b"");
    let second = history.change("2");
    let fetched = history.deliver(&history.ask("d2", &second)).await;
    assert!(fetched.received_bytes.unwrap() > 100_000, "{fetched:#?}");
}

#[tokio::test]
async fn a_commit_with_its_history_has_no_base() {
    let (mut history, _host) = History::over_http().await;
    let first = history.change("1");
    history.deliver(&history.ask("d1", &first)).await;
    let second = history.change("2");
    let whole = Ask {
        full_clone: true,
        ..history.ask("d2", &second)
    };
    let fetched = history.scene.fetch(&whole).await.unwrap();
    assert_eq!(fetched.base, None);
    assert!(fetched.pack.key.as_str().starts_with("pushes/"), "{fetched:#?}");
    let mut small = history.ask("d5", &second);
    small.limits.delta_file_bytes -= 1;
    let fetched = history.scene.fetch(&small).await.unwrap();
    assert!(why_not(&fetched).contains("delta_file_bytes"), "{fetched:#?}");
    let off = Ask {
        bases: false,
        ..history.ask("d4", &second)
    };
    let fetched = history.scene.fetch(&off).await.unwrap();
    assert_eq!(fetched.base, None);
    assert!(fetched.pack.key.as_str().starts_with("pushes/"), "{fetched:#?}");
}

/// Newer commits have followed the pushed one, or it is not on the ref at all.
#[tokio::test]
async fn with_a_base_too_the_host_has_to_show_the_commit_on_the_ref() {
    let (mut history, _host) = History::over_http().await;
    let first = history.change("1");
    history.deliver(&history.ask("d1", &first)).await;
    let second = history.change("2");
    let third = history.change("3");
    let fetched = history.deliver(&history.ask("d2", &second)).await;
    assert_eq!(used(&fetched).0, id("d1"));
    assert_eq!(fetched.ref_now.unwrap().as_str(), third);
    history
        .scene
        .git(&["update-ref", "refs/heads/main", &second], b"");
    let error = history.scene.fetch(&history.ask("d3", &third)).await.unwrap_err();
    assert_eq!(error.code(), Code::CommitNotOnRef);
}

/// It shows its refs alone, and the ref was moved on before the push was fetched.
#[tokio::test]
async fn a_host_that_serves_refs_alone_is_asked_for_them_with_the_base() {
    let scene = Scene::new();
    let host = Host::of(&scene).await;
    let mut history = History::of(scene, host.url());
    let first = history.change("1");
    history.deliver(&history.ask("d1", &first)).await;
    let second = history.change("2");
    let fetched = history.deliver(&history.ask("d2", &second)).await;
    assert_eq!(used(&fetched).0, id("d1"));
    let third = history.change("3");
    history.change("4");
    let fetched = history.deliver(&history.ask("d3", &third)).await;
    assert!(why_not(&fetched).contains("refuses"), "{fetched:#?}");
}

#[tokio::test]
async fn an_annotated_tag_is_fetched_with_the_base_of_its_ref() {
    let (mut history, _host) = History::over_http().await;
    let tag = |history: &History, commit: &str| {
        history
            .scene
            .git(&["tag", "-f", "-a", "-m", "A tag", "v1", commit], b"");
        history.scene.line(&["rev-parse", "refs/tags/v1"], b"")
    };
    let first = history.change("1");
    let ask = history.ask("d1", &tag(&history, &first)).of_ref("refs/tags/v1");
    history.deliver(&ask).await;
    let second = history.change("2");
    let ask = history.ask("d2", &tag(&history, &second)).of_ref("refs/tags/v1");
    let fetched = history.deliver(&ask).await;
    assert_eq!((fetched.commit.as_str(), used(&fetched).1), (&*second, 1));
    assert!(fetched.received_bytes.unwrap() < 10_000);
}

/// For each delta of an object that is in the base alone, libgit2 goes through all other deltas.
#[tokio::test]
async fn a_push_that_changes_thousands_of_files_a_little_is_fetched_whole() {
    let (mut history, _host) = History::over_http().await;
    history.files = files(12_000);
    let first = history.change("1");
    history.deliver(&history.ask("d1", &first)).await;
    for content in history.files.values_mut() {
        content.extend(b"one more line\n");
    }
    let second = history.change("2");
    let fetched = history.deliver(&history.ask("d2", &second)).await;
    assert!(why_not(&fetched).contains("changed a little"), "{fetched:#?}");
}
