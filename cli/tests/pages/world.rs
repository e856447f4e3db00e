//! Where the commands of the pages run: a stack in a local AWS, a git host with a repository, and two pushes of it, of
//! which one has failed.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use deployed_stack::{Stack, follow, trail};
use git_host::{Credentials, GitHost, Options};
use local_aws::application::PUSH_CODE;
use local_aws::aws::{LocalAws, StackOptions};
use local_aws::ministack::Settings;
use local_aws::{ACCESS_KEY, REGION};
use serde_json::json;
use shell::progress::Progress;
use testkit::{Certificate, git};
use webhook::gitlab::{Commit, Delivery, Person, PushHook};

const REPOSITORY: &str = "group/project";
const TOKEN: &str = "glpat-token";
/// A function of the shell that waits until no push is open, before each block of commands.
const SETTLE: &str = r#"settle() {
  # A page before may have removed it, and people write it again.
  [ -e token.txt ] || echo "$TOKEN" > token.txt
  for _ in {1..300}; do
    if push-code pushes list --status open --output json --quiet | jq -e '.pushes == []' >/dev/null; then return; fi
    sleep 0.2
  done
  return 1
}"#;
/// The pages whose push is the one that has failed.
const OF_FAILURES: [&str; 2] = ["docs/operate/on-call.md", "docs/operate/retry.md"];

pub struct World {
    local: LocalAws,
    stack: Stack,
    host: GitHost,
    aws_cli: PathBuf,
    commit: String,
    delivered: (String, String),
    failed: String,
    _folder: tempfile::TempDir,
}

impl World {
    pub async fn create() -> Self {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let settings = Settings {
            port: 0,
            wait_scale: Some(0.0),
            middleware: None,
        };
        let parameters = [
            ("AllowedRepositories", "group/**".to_owned()),
            ("GitHosts", format!("http://127.0.0.1:{port}")),
            ("NotificationEmail", "ops@example.com".to_owned()),
            ("SweepRate", String::new()),
        ];
        let options = StackOptions {
            parameters: BTreeMap::from(parameters.map(|(name, value)| (name.to_owned(), value))),
            ..StackOptions::of(PUSH_CODE)
        };
        let local = LocalAws::start(&settings, &options, Progress::on_stderr())
            .await
            .unwrap();
        let stack = local.stack().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let commit = create_repository(folder.path());
        let credentials = Credentials {
            username: "oauth2".to_owned(),
            password: TOKEN.to_owned(),
        };
        let options = Options {
            port,
            credentials: Some(credentials),
            ..Options::with_any_commit()
        };
        let host = GitHost::serve(folder.path(), options).await.unwrap();
        let login =
            json!({"credentials": [{"host": host.origin(), "username": "oauth2", "password": TOKEN}]});
        let secret = stack.secrets().put_secret_value();
        let secret = secret.secret_id(stack.output("GitSecretName").unwrap());
        secret.secret_string(login.to_string()).send().await.unwrap();
        let (failed, none) = push(&stack, &host, "refs/heads/broken", &"5".repeat(40)).await;
        let (push_id, key) = push(&stack, &host, "refs/heads/main", &commit).await;
        assert_eq!(none, None, "a commit that does not exist was delivered");
        Self {
            aws_cli: testkit::aws_cli::folder().await,
            delivered: (push_id, key.unwrap()),
            local,
            stack,
            host,
            commit,
            failed,
            _folder: folder,
        }
    }

    /// Runs the commands of a page in a folder of its own. Returns what they have printed if one fails.
    pub async fn run(&self, page: &Path, commands: &str) -> Result<(), String> {
        let folder = tempfile::tempdir().unwrap();
        let login =
            json!({"credentials": [{"host": self.host.origin(), "username": "oauth2", "password": TOKEN}]});
        let push = json!({"repository": REPOSITORY, "changes": [{"ref": "refs/heads/main", "before": null, "after": self.commit}]});
        let files = [
            ("token.txt", format!("{TOKEN}\n")),
            ("git-secret.json", login.to_string()),
            ("push.json", push.to_string()),
            ("ca.pem", Certificate::make("an authority", None, None).pem()),
            ("app.pem", testkit::github::make_key()),
        ];
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        // An example's commands name its files.
        let beside = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("..")
            .join(page)
            .with_file_name("template.yaml");
        if beside.exists() {
            std::fs::copy(beside, folder.path().join("template.yaml")).unwrap();
        }
        let script = format!(
            "set -euo pipefail\n{SETTLE}\n{}",
            self.with_values(page, commands)
        );
        let bin = Path::new(env!("CARGO_BIN_EXE_push-code")).parent().unwrap();
        let path = std::env::join_paths(
            [bin, &self.aws_cli]
                .into_iter()
                .map(Path::to_owned)
                .chain(std::env::split_paths(tools::path())),
        );
        let mut bash = tokio::process::Command::new("bash");
        bash.args(["-c", &script])
            .current_dir(folder.path())
            .env_clear()
            .env("PATH", path.unwrap())
            .env("HOME", folder.path())
            .env("TOKEN", TOKEN)
            .env("AWS_ENDPOINT_URL", self.local.record.ministack.endpoint())
            .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", &self.local.record.ministack.secret_key)
            .env("AWS_REGION", REGION)
            .env("AWS_DEFAULT_REGION", REGION)
            .env("AWS_EC2_METADATA_DISABLED", "true");
        for name in ["PUSH_CODE_CACHE", "XDG_CACHE_HOME"] {
            bash.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        let output = bash.output().await.unwrap();
        if output.status.success() {
            return Ok(());
        }
        Err(format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        ))
    }

    /// Puts in what people put in.
    fn with_values(&self, page: &Path, commands: &str) -> String {
        let (push_id, key) = &self.delivered;
        let push_id = if OF_FAILURES.iter().any(|other| page == Path::new(other)) {
            &self.failed
        } else {
            push_id
        };
        let place = format!("{}/{key}", self.stack.output("DestinationBucket").unwrap());
        let values = [
            ("https://gitlab.example.com", self.host.origin()),
            (
                "UPLOAD_ROLE_ARN",
                self.stack.output("UploadRoleArn").unwrap().to_owned(),
            ),
            (
                "SWEEP_ROLE_ARN",
                self.stack.output("SweepRoleArn").unwrap().to_owned(),
            ),
            ("ZIPS_OF_PROD", "zips-of-prod".to_owned()),
            // The end of a token, which is far away for the checks.
            ("2027-12-31", "2099-12-31".to_owned()),
            (
                "TOPIC_ARN",
                self.stack.output("FailureTopicArn").unwrap().to_owned(),
            ),
            ("BUCKET/KEY", place),
            ("PUSH_ID", push_id.clone()),
            ("COMMIT", self.commit.clone()),
        ];
        values.iter().fold(commands.to_owned(), |text, (name, value)| {
            text.replace(name, value)
        })
    }
}

/// Creates `group/project.git` with a commit on `main`, and returns the commit.
fn create_repository(root: &Path) -> String {
    let work = tempfile::tempdir().unwrap();
    let bare = root.join(format!("{REPOSITORY}.git"));
    std::fs::create_dir_all(bare.parent().unwrap()).unwrap();
    std::fs::write(work.path().join("README.md"), "# A project\n").unwrap();
    let git = |arguments: &[&str]| git::output(git::command(work.path()).args(arguments), b"");
    git(&[
        "init",
        "--quiet",
        &format!("--separate-git-dir={}", bare.display()),
    ]);
    git(&["add", "."]);
    git(&["commit", "--quiet", "-m", "Begin"]);
    let head = git(&["rev-parse", "HEAD"]);
    String::from_utf8(head).unwrap().trim_end().to_owned()
}

/// Pushes a commit, and returns the push and the key of its zip if it was delivered.
async fn push(stack: &Stack, host: &GitHost, ref_name: &str, commit: &str) -> (String, Option<String>) {
    let hook = PushHook {
        repository: REPOSITORY.to_owned(),
        git_http_url: format!("{}/{REPOSITORY}.git", host.origin()),
        git_ssh_url: format!("git@127.0.0.1:{REPOSITORY}.git"),
        ref_name: ref_name.to_owned(),
        before: None,
        after: Some(commit.to_owned()),
        commit: Some(commit.to_owned()),
        commits: Vec::<Commit>::new(),
        total_commits: 0,
        user: Person {
            name: "Jo".to_owned(),
            email: "jo@example.com".to_owned(),
        },
    };
    let webhook = stack.webhook().await.unwrap();
    let accepted = webhook
        .send(&hook, &Delivery::fresh())
        .await
        .unwrap()
        .first()
        .unwrap();
    let arn = stack.execution_arn(&accepted.push_id).unwrap();
    follow::follow(&stack.step_functions(), &arn, |_| {})
        .await
        .unwrap();
    let trail = trail::read(&stack.trail().unwrap(), accepted.id().unwrap())
        .await
        .unwrap();
    let delivered = trail.state.and_then(|state| state.delivered);
    (
        accepted.push_id,
        delivered.map(|delivered| delivered.key.to_string()),
    )
}
