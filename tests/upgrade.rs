//! An upgrade of a stack from the last version that has a number to this one, and the way back: what was there stays,
//! what runs meanwhile goes on, and what has failed can be tried again. `.ci/earlier` builds that version, and
//! `.ci/run` has it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deployed_stack::Stack;
use deployed_stack::{follow, trail};
use domain::contract::Delivered;
use domain::push::PushId;
use domain::state::Status;
use git_host::{GitHost, Options};
use local_aws::application::PUSH_CODE;
use local_aws::aws::{LocalAws, StackOptions};
use local_aws::build::{build, with_built};
use local_aws::checkout::Checkout;
use serde_json::json;
use shell::progress::Progress;
use tempfile::TempDir;
use webhook::gitlab::{Delivery, PushHook};

use crate::fixtures::repository::{MAIN, Repository};
use crate::fixtures::scene::{Scene, http_secret, login};
use crate::fixtures::stack::stack;
use crate::redrives::gate;

/// The access key of an account with nothing in it, which is its number.
const ACCOUNT: &str = "444444444444";

/// The folder with the earlier version, which `.ci/earlier` prints.
const EARLIER: &str = "PUSH_CODE_TEST_EARLIER";

/// A stack whose version changes, with a repository that is pushed to it.
struct Upgraded {
    local: &'static LocalAws,
    options: StackOptions,
    stack: Stack,
    scene: Scene,
    repository: Repository,
    /// Whether the git host answers. Until then its connections hang.
    answers: Arc<AtomicBool>,
    origin: String,
    _host: GitHost,
    folder: TempDir,
}

impl Upgraded {
    /// Deploys the version that was built in this folder.
    async fn from(earlier: &Path) -> Self {
        let shared = stack().await;
        let root = tempfile::tempdir().unwrap();
        let options = Options {
            credentials: Some(login()),
            ..Options::default()
        };
        let host = GitHost::serve(root.path(), options).await.unwrap();
        let answers = Arc::new(AtomicBool::new(true));
        let origin = gate(host.origin().replace("http://", ""), Arc::clone(&answers)).await;
        let scene = Scene::without_source("gitlab", root, origin.clone()).await;
        let parameters = [
            ("AllowedRepositories", "group/**"),
            ("GitHosts", &origin),
            ("NotificationEmail", "none"),
            ("SweepRate", ""),
        ];
        let options = StackOptions {
            name: "upgraded".to_owned(),
            parameters: parameters
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            access_key: ACCOUNT.to_owned(),
            ..StackOptions::of(PUSH_CODE)
        };
        let folder = tempfile::tempdir().unwrap();
        let template = template_of(earlier, folder.path());
        let upgraded = Self {
            local: &shared.local,
            stack: shared.local.deploy_template(&template, &options).await.unwrap(),
            options,
            repository: scene.repository("group/project"),
            scene,
            answers,
            origin,
            _host: host,
            folder,
        };
        upgraded.put_login(true).await;
        upgraded
    }

    /// Deploys the earlier version again.
    async fn go_back(&mut self, earlier: &Path) {
        let template = template_of(earlier, self.folder.path());
        self.deploy(&template).await;
    }

    /// Deploys this version.
    async fn upgrade(&mut self) {
        let checkout = Checkout::find().unwrap();
        let profile = self.scene.stack.profile;
        // It is built already, for the stack that all tests share.
        let built = build(&checkout, &PUSH_CODE, profile, Progress::Silent).await;
        let (_, built) = built.unwrap();
        self.deploy(&built.template).await;
    }

    /// Deploys a template over the stack, which has to keep what others may rely on.
    async fn deploy(&mut self, template: &Path) {
        let deployed = self.local.deploy_template(template, &self.options).await.unwrap();
        for name in [
            "WebhookUrl",
            "WebhookSecretName",
            "GitSecretName",
            "SourceSettingsName",
            "StateMachineArn",
            "TableName",
            "DestinationBucket",
            "StagingBucketName",
            "FailureTopicArn",
            "UploadRoleArn",
        ] {
            assert_eq!(
                deployed.output(name).unwrap(),
                self.stack.output(name).unwrap(),
                "{name}"
            );
        }
        self.stack = deployed;
    }

    /// Puts the login for the git host into its secret, or none.
    async fn put_login(&self, is_there: bool) {
        let secret = if is_there {
            http_secret(&self.origin, &login())
        } else {
            json!({ "credentials": [] })
        };
        let put = self.stack.secrets().put_secret_value();
        let put = put.secret_id(self.stack.output("GitSecretName").unwrap());
        put.secret_string(secret.to_string()).send().await.unwrap();
    }

    /// Commits, and returns the webhook of the branch that has moved there.
    fn commit(&self, branch: &str, content: &str) -> (PushHook, Delivery) {
        let commit = self.repository.commit_file("file", content);
        self.repository.git(["update-ref", branch, &commit]);
        (
            self.scene
                .hook(&self.repository.path, branch, None, Some(&commit)),
            Delivery::fresh(),
        )
    }

    /// Sends a webhook. Returns the push and the execution that it has started.
    async fn send(&self, (hook, delivery): &(PushHook, Delivery)) -> (PushId, String) {
        let webhook = self.stack.webhook().await.unwrap();
        let accepted = webhook.send(hook, delivery).await.unwrap();
        let push = &accepted.pushes[0];
        (push.push_id.parse().unwrap(), push.execution.clone())
    }

    /// Sends a webhook, and returns the push and where its commit was delivered.
    async fn deliver(&self, sent: &(PushHook, Delivery)) -> (PushId, Delivered) {
        let (push_id, execution) = self.send(sent).await;
        (push_id, self.delivered(push_id, &execution, sent).await)
    }

    /// Sends a webhook whose push fails, because the login for the git host is not there.
    async fn fail(&self, sent: &(PushHook, Delivery)) -> (PushId, String) {
        self.put_login(false).await;
        let (push_id, execution) = self.send(sent).await;
        let ended = self.ended(&execution).await;
        assert_eq!(ended.error.as_deref(), Some("CredentialsMissing"), "{ended:?}");
        self.put_login(true).await;
        (push_id, execution)
    }

    /// Sends a webhook whose push waits for the git host from now on.
    async fn hang(&self, sent: &(PushHook, Delivery)) -> (PushId, String) {
        self.answers.store(false, Ordering::Relaxed);
        let (push_id, execution) = self.send(sent).await;
        let is_fetching = async || {
            let state = self.trail(push_id).await.state;
            state.is_some_and(|state| state.status == Status::Validated)
        };
        for _ in 0..600 {
            if is_fetching().await {
                return (push_id, execution);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the push {push_id} does not come to Fetch");
    }

    async fn ended(&self, execution: &str) -> follow::Ended {
        let client = self.stack.step_functions();
        let follow = follow::follow(&client, execution, |_| ());
        let ended = tokio::time::timeout(Duration::from_secs(120), follow).await;
        ended.expect("the execution has not ended").unwrap()
    }

    /// Waits for an execution to end, and returns where it has delivered the commit of the webhook.
    async fn delivered(&self, push_id: PushId, execution: &str, sent: &(PushHook, Delivery)) -> Delivered {
        let ended = self.ended(execution).await;
        assert_eq!(ended.status.as_str(), "SUCCEEDED", "{ended:?}");
        let state = self.trail(push_id).await.state.unwrap();
        assert_eq!(state.status, Status::Delivered, "{state:?}");
        let delivered = state.delivered.unwrap();
        let get = self.stack.s3().get_object().bucket(&delivered.bucket);
        let get = get
            .key(delivered.key.as_str())
            .set_version_id(delivered.version_id.clone());
        let metadata = get.send().await.unwrap().metadata.unwrap();
        assert_eq!(Some(&metadata["commit"]), sent.0.after.as_ref());
        delivered
    }

    /// Redrives an execution.
    async fn redrive(&self, execution: &str) {
        let redrive = self.stack.step_functions().redrive_execution();
        redrive.execution_arn(execution).send().await.unwrap();
    }

    async fn trail(&self, push_id: PushId) -> trail::Trail {
        trail::read(&self.stack.trail().unwrap(), push_id).await.unwrap()
    }

    /// Returns the versions of the zip of a push, the newest first.
    async fn versions(&self, of: &Delivered) -> Vec<Option<String>> {
        let list = self.stack.s3().list_object_versions().bucket(&of.bucket);
        let listed = list.prefix(of.key.as_str()).send().await.unwrap();
        // The documents beside the zip begin with its name.
        let versions = listed.versions().iter();
        let versions = versions.filter(|version| version.key() == Some(of.key.as_str()));
        versions.map(|version| version.version_id.clone()).collect()
    }
}

/// Writes the template of the version that was built in the folder `earlier`, so that it names its functions. Returns
/// its path.
fn template_of(earlier: &Path, folder: &Path) -> PathBuf {
    let text = std::fs::read_to_string(earlier.join("template.yaml")).unwrap();
    let template = folder.join("template.yaml");
    std::fs::write(
        &template,
        with_built(&text, earlier, |function| earlier.join("built").join(function)),
    )
    .unwrap();
    template
}

#[tokio::test]
async fn what_was_there_before_an_upgrade_goes_on_after_it_and_after_the_way_back() {
    let Some(earlier) = std::env::var_os(EARLIER) else {
        println!("not run: {EARLIER} does not name the folder that .ci/earlier prints");
        return;
    };
    let earlier = Path::new(&earlier);
    let mut upgraded = Upgraded::from(earlier).await;

    // Before it: a push that is delivered, two that fail, and one that the git host keeps waiting.
    let first = upgraded.commit(MAIN, "1");
    let (first_id, first_zip) = upgraded.deliver(&first).await;
    let before = upgraded.trail(first_id).await;
    let redriven = upgraded.commit("refs/heads/redriven", "2");
    let (redriven_id, redriven_execution) = upgraded.fail(&redriven).await;
    let resent = upgraded.commit("refs/heads/resent", "3");
    upgraded.fail(&resent).await;
    let waiting = upgraded.commit(MAIN, "4");
    let (waiting_id, waiting_execution) = upgraded.hang(&waiting).await;

    upgraded.upgrade().await;
    upgraded.answers.store(true, Ordering::Relaxed);
    let waited = upgraded.delivered(waiting_id, &waiting_execution, &waiting).await;
    assert_eq!(upgraded.trail(first_id).await.events, before.events);
    upgraded.redrive(&redriven_execution).await;
    upgraded
        .delivered(redriven_id, &redriven_execution, &redriven)
        .await;
    upgraded.deliver(&resent).await;
    // An earlier webhook that comes again delivers nothing, and a new push is newer than all others.
    assert_eq!(upgraded.deliver(&first).await, (first_id, first_zip.clone()));
    let second = upgraded.commit(MAIN, "5");
    let (second_id, second_zip) = upgraded.deliver(&second).await;
    let versions = [&second_zip, &waited, &first_zip].map(|zip| zip.version_id.clone());
    assert_eq!(upgraded.versions(&second_zip).await, versions);

    // The way back, with one more that has failed and one more that waits.
    let failed = upgraded.commit("refs/heads/failed", "6");
    let (failed_id, failed_execution) = upgraded.fail(&failed).await;
    let waiting = upgraded.commit(MAIN, "7");
    let (waiting_id, waiting_execution) = upgraded.hang(&waiting).await;
    upgraded.go_back(earlier).await;
    upgraded.answers.store(true, Ordering::Relaxed);
    upgraded.delivered(waiting_id, &waiting_execution, &waiting).await;
    upgraded.redrive(&failed_execution).await;
    upgraded.delivered(failed_id, &failed_execution, &failed).await;
    assert_eq!(upgraded.deliver(&second).await, (second_id, second_zip));
    let last = upgraded.commit(MAIN, "8");
    upgraded.deliver(&last).await;
}
