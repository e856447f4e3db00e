//! Chromium without a window, driven by its chromedriver: what the tests of the board see it with, and what its
//! pictures are taken by. Both programs come from Debian's packages ([`tools`]).

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test whose browser does not do what it is told has failed"
)]

use std::process::Stdio;
use std::time::Duration;

use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder};
use http::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use url::{ParseError, Url};

pub use fantoccini::Locator;
pub use fantoccini::actions::{InputSource, KeyAction, KeyActions};
pub use fantoccini::key::Key;

/// How long the browser may take to start.
const START: Duration = Duration::from_secs(60);

/// Colours that a person prefers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Dark text on light ground.
    Light,
    /// Light text on dark ground.
    Dark,
}

/// A browser with one page.
#[derive(Debug)]
pub struct Browser {
    client: Client,
    _driver: Driver,
    _folder: TempDir,
}

impl Browser {
    /// Starts a browser that knows no earlier one's pages or cookies.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let mut driver = Command::new(tools::program("chromedriver"));
        driver
            .arg("--port=0")
            // The browser writes nothing into the home of whoever runs the tests.
            .env("HOME", folder.path())
            .env_remove("DBUS_SESSION_BUS_ADDRESS")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // The browser is in the group too, which Drop ends.
            .process_group(0);
        let mut driver = Driver(driver.spawn().expect("chromedriver can be started"));
        let port = tokio::time::timeout(START, port_of(&mut driver.0)).await;
        let port = port.expect("chromedriver names its port within a minute");
        let profile = folder.path().join("profile");
        let options = json!({
            "binary": tools::program("chromium"),
            "args": [
                "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                "--disable-background-networking", "--disable-component-update", "--disable-sync",
                "--disable-dev-shm-usage", "--hide-scrollbars", "--force-color-profile=srgb",
                format!("--user-data-dir={}", profile.display()),
            ],
        });
        let capabilities = json!({
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let Value::Object(capabilities) = capabilities else {
            unreachable!("it is an object");
        };
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await;
        Self {
            client: client.expect("Chromium can be started"),
            _driver: driver,
            _folder: folder,
        }
    }

    /// Returns the client of the page.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Opens a page.
    ///
    /// # Panics
    /// If there is none.
    pub async fn open(&self, url: &str) {
        let opened = self.client.goto(url).await;
        opened.unwrap_or_else(|error| panic!("cannot open {url}: {error}"));
    }

    /// Makes the page as large as a screen of this size, which is in CSS's pixels, and shows it in these colours.
    pub async fn show(&self, width: u32, height: u32, scheme: Scheme) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
        let value = match scheme {
            Scheme::Light => "light",
            Scheme::Dark => "dark",
        };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": value }] });
        self.devtools("Emulation.setEmulatedMedia", media).await;
    }

    /// Returns what the page shows as a PNG.
    ///
    /// # Panics
    /// If the browser cannot say it.
    pub async fn picture(&self) -> Vec<u8> {
        self.client.screenshot().await.expect("a picture can be taken")
    }

    /// Returns what the browser has complained of since the last time: errors of scripts, requests that have failed,
    /// and what the page's policy does not allow.
    ///
    /// # Panics
    /// If the browser cannot say it.
    pub async fn complaints(&self) -> Vec<String> {
        let entries = self.call("se/log", json!({ "type": "browser" })).await;
        let entries = entries.as_array().expect("the log is a list").iter();
        let text = |entry: &Value| entry["message"].as_str().unwrap_or_default().to_owned();
        entries
            .filter(|entry| entry["level"] != "INFO" && entry["level"] != "DEBUG")
            .map(text)
            .collect()
    }

    /// Calls a method of Chromium's developer tools.
    pub async fn devtools(&self, method: &str, params: Value) -> Value {
        self.call("goog/cdp/execute", json!({ "cmd": method, "params": params }))
            .await
    }

    /// Ends the browser. One that is dropped is ended too, without a farewell.
    pub async fn end(self) {
        let _ = self.client.clone().close().await;
    }

    async fn call(&self, path: &'static str, body: Value) -> Value {
        let answer = self.client.issue_cmd(Call { path, body }).await;
        answer.unwrap_or_else(|error| panic!("the browser refuses {path}: {error}"))
    }
}

/// The process of chromedriver, which ends with its browser even if a test has failed.
#[derive(Debug)]
struct Driver(Child);

impl Drop for Driver {
    fn drop(&mut self) {
        // It has no id any more once it was waited for.
        let id = self
            .0
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        if let Some(group) = id {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// A command of chromedriver that WebDriver does not have.
#[derive(Debug)]
struct Call {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Call {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _url: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}

/// Reads the port that chromedriver has chosen from what it prints, and goes on reading, so that it can go on printing.
async fn port_of(driver: &mut Child) -> u16 {
    let output = driver.stdout.take().expect("its output is a pipe");
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let port = line
            .strip_suffix('.')
            .and_then(|line| line.rsplit_once("on port "));
        if let Some(port) = port.and_then(|(_, port)| port.parse().ok()) {
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return port;
        }
    }
    panic!("chromedriver has ended before it has named its port");
}
