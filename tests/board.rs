//! Tests the board in Chromium, with pushes of the deployed stack: what is listed, what runs, what has failed, names
//! that are hostile, and replay.

use std::time::Duration;

use board::Board;
use browser::{Browser, InputSource as _, Key, KeyAction, KeyActions, Locator};
use git_host::Options;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use webhook::gitlab::Delivery;

use crate::fixtures::repository::MAIN;
use crate::fixtures::scene::{Scene, http_secret, login};

/// How long the board may take to show what has happened, beside other tests that keep the local AWS busy.
const SOON: Duration = Duration::from_secs(240);

/// A board of the stack, and a browser that has opened it.
struct Screen {
    browser: Browser,
    origin: String,
    server: JoinHandle<()>,
}

impl Screen {
    async fn open(scene: &Scene) -> Self {
        let board = Board::of(scene.stack.handle()).listen(0).await.unwrap();
        let url = board.url();
        let (origin, _) = url.split_once("/?").unwrap();
        let server = tokio::spawn(async move { board.serve().await.unwrap() });
        let browser = Browser::start().await;
        browser.open(&url).await;
        Self {
            browser,
            origin: origin.to_owned(),
            server,
        }
    }

    async fn go(&self, path: &str) {
        self.browser.open(&format!("{}{path}", self.origin)).await;
    }

    /// Runs a script in the page.
    async fn ask(&self, script: &str) -> Value {
        self.browser.client().execute(script, vec![]).await.unwrap()
    }

    /// Returns the text of the first element, or of nothing.
    async fn text(&self, css: &str) -> String {
        let script = format!("return document.querySelector({})?.innerText ?? ''", json!(css));
        self.ask(&script).await.as_str().unwrap().to_owned()
    }

    /// Returns the texts of all elements.
    async fn texts(&self, css: &str) -> Vec<String> {
        let script = format!(
            "return [...document.querySelectorAll({})].map(e => e.innerText)",
            json!(css)
        );
        serde_json::from_value(self.ask(&script).await).unwrap()
    }

    /// Waits until a script returns `true`.
    async fn wait(&self, script: &str) {
        let wait = async {
            while self.ask(script).await != json!(true) {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        if tokio::time::timeout(SOON, wait).await.is_err() {
            panic!("{script} does not become true: {}", self.text("body").await);
        }
    }

    /// Presses a key, as a person without a mouse does, until a script returns `true`.
    async fn press_until(&self, key: Key, script: &str) {
        for _ in 0..200 {
            if self.ask(script).await == json!(true) {
                return;
            }
            self.press(key).await;
        }
        panic!("the keyboard does not reach {script}");
    }

    /// Presses a key in whatever has the focus then, which may be another element a moment later.
    async fn press(&self, key: Key) {
        let value = char::from(key);
        let actions = KeyActions::new("keyboard".to_owned())
            .then(KeyAction::Down { value })
            .then(KeyAction::Up { value });
        self.browser.client().perform_actions(actions).await.unwrap();
    }

    async fn click(&self, css: &str) {
        let element = self.browser.client().find(Locator::Css(css)).await.unwrap();
        element.click().await.unwrap();
    }

    async fn path(&self) -> String {
        let url = self.browser.client().current_url().await.unwrap();
        url[url::Position::BeforePath..].to_owned()
    }

    /// Checks that the browser has had nothing to complain of, such as a script that the page's policy does not allow.
    async fn end(self) {
        assert_eq!(self.browser.complaints().await, [""; 0]);
        self.browser.end().await;
        self.server.abort();
    }
}

/// Forwards connections to a git host, once it is opened. Until then they wait, as behind a slow network.
struct Gate {
    origin: String,
    open: watch::Sender<bool>,
    server: JoinHandle<()>,
}

impl Gate {
    async fn to(host: String) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let (open, opened) = watch::channel(false);
        let server = tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                let (mut opened, host) = (opened.clone(), host.clone());
                tokio::spawn(async move {
                    let _ = opened.wait_for(|is_open| *is_open).await;
                    let mut onward = TcpStream::connect(host).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut connection, &mut onward).await;
                });
            }
        });
        Self { origin, open, server }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[tokio::test]
async fn a_push_is_followed_from_its_start_to_its_zip_without_a_reload_and_without_a_mouse() {
    let down_at_first = Options {
        unavailable: 1,
        ..Options::default()
    };
    let (scene, host) = Scene::over_http("board-live", down_at_first).await;
    let gate = Gate::to(host.origin().trim_start_matches("http://").to_owned()).await;
    scene.put_git_secret(&http_secret(&gate.origin, &login())).await;
    scene
        .configure(|settings| {
            settings["git_hosts"] = json!([gate.origin]);
            // It is silent until the gate is opened, which is not before a busy machine has drawn the page and pressed
            // the keys.
            settings["options"] = json!({"limits": {"silence_seconds": 600}});
        })
        .await;
    let repository = scene.repository("group/live");
    let commit = repository.commit_file("file", "content");
    let mut hook = scene.hook(&repository.path, MAIN, None, Some(&commit));
    hook.git_http_url = format!("{}/{}.git", gate.origin, repository.path);

    let screen = Screen::open(&scene).await;
    assert_eq!(screen.path().await, "/", "the token is not shown");
    screen.go("/?source=board-live").await;
    assert!(screen.text("#running").await.contains("Nothing is running"));
    screen.ask("window.isSamePage = true").await;
    let accepted = scene.webhook.send(&hook, &Delivery::fresh()).await.unwrap();
    let id = &accepted.pushes[0].push_id;
    screen
        .wait(&format!(
            "return document.getElementById('running-{id}') !== null"
        ))
        .await;
    let is_fetching =
        "return document.querySelector('[aria-current=step]')?.innerText.startsWith('Fetch') ?? false";
    screen.wait(is_fetching).await;
    assert_eq!(screen.ask("return window.isSamePage").await, json!(true));

    // The link keeps the focus although the card that it is on is replaced every two seconds.
    screen
        .press_until(Key::Tab, &focused(&format!("running-{id}")))
        .await;
    screen
        .ask("window.before = document.activeElement.closest('.part')")
        .await;
    screen.wait("return !window.before.isConnected").await;
    assert_eq!(screen.ask(&focused(&format!("running-{id}"))).await, json!(true));
    screen.press(Key::Enter).await;
    screen
        .wait(&format!("return location.pathname === '/pushes/{id}'"))
        .await;
    screen.ask("window.isSamePage = true").await;
    assert_eq!(
        screen.texts(".timeline tbody th").await,
        ["Queued", "Validate", "Fetch"]
    );
    assert_eq!(screen.text("tr.running .result").await, "Running");
    assert_eq!(
        screen.text("#summary").await,
        "The push is Validated. Fetch is running."
    );
    screen.press_until(Key::Tab, &focused("event-2-summary")).await;
    screen.press(Key::Enter).await;
    assert!(
        screen
            .text("#event-2 pre")
            .await
            .contains("\"type\": \"PushValidated\"")
    );

    gate.open.send(true).unwrap();
    screen
        .wait("return document.querySelector('.badge').innerText === 'Delivered'")
        .await;
    screen
        .wait("return document.querySelectorAll('.events li').length === 7")
        .await;
    assert_eq!(
        screen.texts(".timeline tbody th").await,
        [
            "Queued",
            "Validate",
            "Fetch",
            "Fetch attempt 2",
            "Package",
            "Upload",
            "Record"
        ]
    );
    assert_eq!(
        screen.texts(".timeline tbody .result").await,
        [
            "Waited",
            "Done",
            "GitHostUnreachable",
            "Done",
            "Done",
            "Done",
            "Done"
        ]
    );
    let run = scene.follow(&id.to_string()).await;
    let sizes = [
        format!("{} bytes", run.state().fetched.as_ref().unwrap().pack.size),
        format!("{} bytes", run.state().archive.as_ref().unwrap().object.size),
    ];
    let shown = screen
        .ask("return [...document.querySelectorAll('.timeline td [title$=bytes]')].map(e => e.title)")
        .await;
    assert_eq!(shown, json!([sizes[0], sizes[1], sizes[1]]));
    assert_eq!(screen.text("#summary").await, "The push is Delivered.");
    // Bars do not begin before the one above has ended, and end within the timeline.
    let bars = "return [...document.querySelectorAll('.timeline rect')].map(e => [parseFloat(e.getAttribute('x')), parseFloat(e.getAttribute('width'))])";
    let bars: Vec<[f64; 2]> = serde_json::from_value(screen.ask(bars).await).unwrap();
    assert!(
        bars.is_sorted_by_key(|bar| bar[0]) && bars.iter().all(|[from, width]| from + width < 100.05),
        "{bars:?}"
    );
    // What was open and had the focus still is and has.
    assert_eq!(
        screen
            .ask("return [window.isSamePage, document.getElementById('event-2').open]")
            .await,
        json!([true, true])
    );
    assert_eq!(screen.ask(&focused("event-2-summary")).await, json!(true));

    let field = screen.browser.client().find(Locator::Id("commit")).await.unwrap();
    field
        .send_keys(&format!("{}{}", &commit[..9], Key::Enter + ""))
        .await
        .unwrap();
    screen.wait("return location.pathname === '/commits'").await;
    let delivered = run.delivered();
    let place = screen.text("#places").await;
    assert!(
        place.contains(&format!("s3://{}/{}", delivered.bucket, delivered.key)),
        "{place}"
    );
    assert!(place.contains(delivered.version_id.as_ref().unwrap()), "{place}");
    screen.end().await;
}

/// A script that returns whether the element with this id has the focus.
fn focused(id: &str) -> String {
    format!("return document.activeElement.id === '{id}'")
}

#[tokio::test]
async fn a_failed_push_is_found_by_filters_says_what_to_do_and_is_replayed_after_a_confirmation() {
    let (scene, _host) = Scene::over_http("board-failed", Options::default()).await;
    let repository = scene.repository("group/failed");
    let commit = repository.commit_file("file", "content");
    repository.git(["update-ref", "refs/heads/good", &commit]);
    let fine = scene
        .push(&scene.hook(&repository.path, "refs/heads/good", None, Some(&commit)))
        .await;
    fine.delivered();
    scene
        .configure(|settings| settings["options"] = json!({"limits": {"file_bytes": 1}}))
        .await;
    let run = scene
        .push(&scene.hook(&repository.path, MAIN, None, Some(&commit)))
        .await;
    let failed = run.push_id;
    let screen = Screen::open(&scene).await;

    // By the form, as a person fills it in.
    let field = screen.browser.client().find(Locator::Id("source")).await.unwrap();
    field.send_keys("board-failed").await.unwrap();
    screen.click(".filters .primary").await;
    screen
        .wait("return location.search.includes('source=board-failed')")
        .await;
    let listed = "return [...document.querySelectorAll('#last [data-push]')].map(e => e.dataset.push)";
    assert_eq!(
        screen.ask(listed).await,
        json!([failed, fine.push_id]),
        "the newest first"
    );
    screen.click("input[value=failed]").await;
    screen.click(".filters .primary").await;
    screen
        .wait("return location.search.includes('status=failed')")
        .await;
    assert_eq!(screen.ask(listed).await, json!([failed]));
    assert_eq!(
        screen
            .ask("return document.querySelector('input[value=failed]').checked")
            .await,
        json!(true)
    );

    screen.click(&format!("#push-{failed}")).await;
    screen
        .wait(&format!("return location.pathname === '/pushes/{failed}'"))
        .await;
    let failure = screen.text("#failure").await;
    let cause = &run.state().failure.as_ref().unwrap().failure.cause;
    for part in [
        "LimitExceeded",
        "file_bytes",
        domain::error::remedy("LimitExceeded"),
    ] {
        assert!(
            failure.contains(part) && cause.contains(part) | (part == "LimitExceeded"),
            "{part} in {failure}"
        );
    }
    assert_eq!(
        screen.texts("tr.failed .result").await.len(),
        run.failed_attempts().len()
    );

    // To ask is not to replay, nor is to think better of it.
    let executions = async || scene.executions_of(&failed.to_string()).await.len();
    let asks = format!("return location.pathname === '/pushes/{failed}/replay'");
    screen.click("#replay").await;
    screen.wait(&asks).await;
    assert_eq!(screen.text("h1").await, "Replay this push?");
    screen.click(".actions a").await;
    screen
        .wait(&format!("return location.pathname === '/pushes/{failed}'"))
        .await;
    assert_eq!(executions().await, 1);
    scene.configure(|_| ()).await;
    screen.click("#replay").await;
    screen.wait(&asks).await;
    screen.click(".actions button").await;
    screen
        .wait(&format!(
            "return location.href.endsWith('/pushes/{failed}?replayed')"
        ))
        .await;
    screen
        .wait("return document.querySelector('.badge').innerText === 'Delivered'")
        .await;
    assert_eq!(executions().await, 2);
    assert_eq!(
        screen.texts("h3").await,
        ["Execution 2 of 2, done", "Execution 1 of 2, failed"]
    );
    assert_eq!(screen.text("#failure").await, "");
    screen.end().await;
}

#[tokio::test]
async fn a_destination_is_rolled_back_after_a_confirmation() {
    let (scene, _host) = Scene::over_http("board-rollback", Options::default()).await;
    let repository = scene.repository("group/rolled-back");
    let first = repository.commit_file("file", "first");
    let run = scene
        .push(&scene.hook(&repository.path, MAIN, None, Some(&first)))
        .await;
    let second = repository.commit_file("file", "second");
    scene
        .push(&scene.hook(&repository.path, MAIN, Some(&first), Some(&second)))
        .await;
    let screen = Screen::open(&scene).await;
    screen.go(&format!("/pushes/{}", run.push_id)).await;
    screen.click("#rollback").await;
    screen
        .wait("return location.pathname.endsWith('/rollback')")
        .await;
    assert_eq!(screen.text("h1").await, "Roll back to this push?");
    assert_eq!(scene.object(run.delivered()).await.metadata["commit"], second);
    screen.click(".actions button").await;
    screen
        .wait("return location.search.startsWith('?rolled-back=')")
        .await;
    let rollback = screen.text("#rollback-push").await.parse().unwrap();
    scene.wait_for(rollback, |_| true).await;
    screen.click("#rollback-push").await;
    screen
        .wait("return document.querySelector('.badge')?.innerText === 'Delivered'")
        .await;
    assert!(screen.text("#facts").await.contains(&run.push_id.to_string()));
    assert!(screen.text("#timeline").await.contains("FindVersion"));
    assert_eq!(scene.object(run.delivered()).await.metadata["commit"], first);
    screen.end().await;
}

#[tokio::test]
async fn hostile_names_are_text() {
    let (scene, _host) = Scene::over_http("board-hostile", Options::default()).await;
    let repository = scene.repository("group/hostile");
    let subject = "<script>document.title = 'taken over'</script> \u{202e}fdp.exe";
    let commit = repository
        .write("file", "content")
        .commit(&format!("{subject}\n"));
    let name = "refs/heads/\"><img/src=x/onerror=document.title='taken-over'>\u{202e}gnp";
    repository.git(["update-ref", name, &commit]);
    let run = scene
        .push(&scene.hook(&repository.path, name, None, Some(&commit)))
        .await;
    run.delivered();
    let screen = Screen::open(&scene).await;
    let one = format!("/pushes/{}", run.push_id);
    let pages = [
        "/?source=board-hostile".to_owned(),
        one.clone(),
        format!("{one}/replay"),
        format!("{one}/rollback"),
        format!("/commits?commit={commit}"),
    ];
    for path in pages {
        screen.go(&path).await;
        let page = screen.text("main").await;
        assert!(
            page.contains("<img/src=x/onerror=document.title='taken-over'>"),
            "{path}: {page}"
        );
        assert!(
            page.contains("<script>document.title = 'taken over'</script>"),
            "{path}: {page}"
        );
        assert!(!page.contains('\u{202e}'), "{path}: {page}");
        let made = "return [document.querySelectorAll('main img, main script').length, ['taken over', 'taken-over'].includes(document.title)]";
        assert_eq!(screen.ask(made).await, json!([0, false]), "{path}");
    }
    screen.end().await;
}
