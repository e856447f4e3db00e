//! The sources of the deployed stack, as people list, add, try, change and remove them.

mod add;
mod change;
mod check;
mod interrupted;
mod list;

use deployed_stack::webhook_client::Webhook;
use git_host::{GitHost, Options};
use remote::TransferProgram;
use secrecy::ExposeSecret as _;
use sources::{Added, NewSource, Store};

use crate::fixtures::scene::{Scene, login};

/// A source that the commands are about, and its git host.
struct Subject<H> {
    scene: Scene,
    host: H,
    store: Store,
}

impl Subject<GitHost> {
    /// Prepares a source of this name, which does not exist yet. Its host is reached over HTTP by the login.
    async fn over_http(name: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        let options = Options {
            credentials: Some(login()),
            ..Options::default()
        };
        let host = GitHost::serve(root.path(), options).await.unwrap();
        let scene = Scene::without_source(name, root, host.origin()).await;
        Self::of(scene, host)
    }

    /// Prepares a source of this name, and adds it.
    async fn added(name: &str) -> Self {
        let mut subject = Self::over_http(name).await;
        subject.add().await;
        subject
    }

    /// Returns what is added.
    fn new_source(&self) -> NewSource {
        let login = login();
        let source = self.with_settings(&self.scene.settings().to_string());
        source.with_password(&login.username, &login.password.into())
    }

    /// Adds the source. From now on its webhook has the secret that was printed.
    async fn add(&mut self) -> Added {
        let added = sources::add(&self.store, &self.new_source()).await.unwrap();
        self.use_webhook(&added);
        added
    }
}

impl<H> Subject<H> {
    fn of(scene: Scene, host: H) -> Self {
        let store = Store::of(&scene.stack.handle()).unwrap();
        Self { scene, host, store }
    }

    fn name(&self) -> domain::push::SourceName {
        self.scene.source.parse().unwrap()
    }

    fn with_settings(&self, settings: &str) -> NewSource {
        NewSource::new(self.name(), settings.to_owned()).unwrap()
    }

    fn use_webhook(&mut self, added: &Added) {
        self.use_secret(&added.webhook_secret);
        assert_eq!(self.scene.webhook.url, added.webhook_url);
    }

    fn use_secret(&mut self, secret: &secrecy::SecretString) {
        let url = self.scene.webhook.url.clone();
        self.scene.webhook = Webhook::new(url, secret.expose_secret().to_owned());
    }
}

/// The program that speaks to git hosts.
fn program() -> TransferProgram {
    TransferProgram::new(env!("CARGO_BIN_EXE_transfer").into(), 1 << 30)
}
