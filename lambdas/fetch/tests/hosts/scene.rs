//! A repository, and fetches of it from any host.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use audit::{EventStore as _, MemoryTrail, PushTrail as _};
use aws::failure::Failed;
use aws::secrets::{SecretError, Secrets};
use aws::staging::FolderStaging;
use credentials::Issuer;
use domain::contract::{Deliver, FetchInput, FetchedCommit, Probe, Probed};
use domain::error::{Code, Coded};
use domain::event::PushEvent;
use domain::order::DeliveredPush;
use domain::push::{Push, SourceName};
use domain::samples;
use domain::source::{CommitPolicy, Limits, Options, SignaturePolicy, Submodules};
use fetch::{Deps, Error, Progress, TransferProgram};
use reporter::ProgressReporter;
use secrecy::SecretString;
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::http::USERNAME;
use testkit::ssh::Sshd;
use testkit::{PATH, git};
use url::Url;

/// A password that no message may contain.
pub const PASSWORD: &str = "hunter2:s3cret";
/// The program that transfers.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_fetch");
/// How long a host may be silent in these tests, in seconds.
pub const SILENCE_SECONDS: u64 = 5;

/// A bare repository, and a staging area beside it.
pub struct Scene {
    folder: Arc<TempDir>,
    /// The folder that a host serves.
    root: PathBuf,
    path: &'static str,
    /// The audit trail.
    pub trail: MemoryTrail,
}

impl AsRef<Path> for Scene {
    /// Returns the folder that a host serves.
    fn as_ref(&self) -> &Path {
        &self.root
    }
}

impl Scene {
    pub fn new() -> Self {
        Self::with_format("sha1")
    }

    pub fn with_format(format: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let scene = Self {
            root: folder.path().join("root"),
            folder: Arc::new(folder),
            path: PATH,
            trail: MemoryTrail::default(),
        };
        scene.init(format);
        scene
    }

    /// Makes another repository on the same host.
    pub fn beside(&self, path: &'static str) -> Self {
        let scene = Self {
            folder: Arc::clone(&self.folder),
            root: self.root.clone(),
            path,
            trail: MemoryTrail::default(),
        };
        scene.init("sha1");
        scene.allow_any_id();
        scene
    }

    fn init(&self, format: &str) {
        std::fs::create_dir_all(self.repository()).unwrap();
        let format = format!("--object-format={format}");
        self.git(
            &["init", "--quiet", "--bare", "--initial-branch=main", &format],
            b"",
        );
    }

    /// Makes a repository whose `refs/heads/main` is a commit with one file. Returns the scene and the commit.
    pub fn with_commit() -> (Self, String) {
        let scene = Self::new();
        let commit = scene.commit("first", None);
        scene.git(&["update-ref", "refs/heads/main", &commit], b"");
        (scene, commit)
    }

    pub fn repository(&self) -> PathBuf {
        self.root.join(self.path.trim_start_matches('/'))
    }

    pub fn git(&self, arguments: &[&str], input: &[u8]) -> Vec<u8> {
        let committer = [
            ("GIT_COMMITTER_NAME", "Committer"),
            ("GIT_COMMITTER_EMAIL", "committer@example.com"),
            ("GIT_COMMITTER_DATE", "1700000001 +0100"),
        ];
        let mut git = git::command(self.repository());
        git::output(git.args(arguments).envs(committer), input)
    }

    pub fn line(&self, arguments: &[&str], input: &[u8]) -> String {
        let output = self.git(arguments, input);
        String::from_utf8(output).unwrap().trim().to_owned()
    }

    /// Makes a tree of one file.
    pub fn tree(&self, content: &str) -> String {
        let blob = self.line(&["hash-object", "-w", "--stdin"], content.as_bytes());
        self.line(&["mktree"], format!("100644 blob {blob}\tfile\n").as_bytes())
    }

    /// Makes a commit of one file, whose content and message are `text`.
    pub fn commit(&self, text: &str, parent: Option<&str>) -> String {
        let tree = self.tree(text);
        let mut arguments = vec!["commit-tree", &tree, "-m", text];
        arguments.extend(parent.iter().flat_map(|parent| ["-p", parent]));
        self.line(&arguments, b"")
    }

    /// Makes three commits on `refs/heads/main`. Returns them, oldest first.
    pub fn history(&self) -> [String; 3] {
        let first = self.commit("first", None);
        let second = self.commit("second", Some(&first));
        let third = self.commit("third", Some(&second));
        self.git(&["update-ref", "refs/heads/main", &third], b"");
        [first, second, third]
    }

    /// Lets clients request any id, as GitLab does.
    pub fn allow_any_id(&self) {
        self.git(&["config", "uploadpack.allowAnySHA1InWant", "true"], b"");
    }

    /// Returns a pack of everything that is reachable from a commit.
    pub fn pack(&self, commit: &str) -> Vec<u8> {
        let arguments = ["pack-objects", "--revs", "--quiet", "--stdout"];
        self.git(&arguments, format!("{commit}\n").as_bytes())
    }

    pub fn staging(&self) -> FolderStaging {
        FolderStaging::new(self.folder.path().join("staging"))
    }

    /// Returns the ids of the objects in the staged pack.
    pub fn staged_objects(&self, fetched: &FetchedCommit) -> Vec<String> {
        let index = self.staging().path(&fetched.index.key);
        let listed = self.line(&["show-index"], &std::fs::read(index).unwrap());
        let mut ids: Vec<_> = listed
            .lines()
            .map(|line| line.split(' ').nth(1).unwrap().to_owned())
            .collect();
        ids.sort();
        ids
    }

    pub async fn fetch(&self, ask: &Ask) -> Result<FetchedCommit, Error> {
        let push = Push {
            before: ask.before.as_ref().map(|before| before.parse().unwrap()),
            after: Some(ask.after.parse().unwrap()),
            ..samples::push(ask.delivery, ask.ref_name)
        };
        let deliver = ask.deliver();
        let envelope = samples::envelope(push, FetchInput { deliver });
        let deps = Deps {
            issuer: &ask.issuer,
            trail: &self.trail,
            secrets: &OneSecret(ask.secret.to_string()),
            staging: &self.staging(),
            transfer: &ask.transfer,
            bases: ask.bases,
            progress: ask.progress.clone(),
        };
        fetch::handle(&deps, &envelope).await
    }

    /// Asks whether the repository can be read.
    pub async fn probe(&self, ask: &Ask) -> Probed {
        let asked = Probe {
            source_name: "gitlab".parse().unwrap(),
            probe: ask.url.parse().unwrap(),
        };
        fetch::probe(
            &OneSecret(ask.secret.to_string()),
            &ask.issuer,
            &ask.transfer,
            &asked,
        )
        .await
    }

    /// Records that `fetched` was delivered to the destination by the push of this delivery, as `deliver` says.
    pub async fn record_delivered(&self, push: &Push, fetched: FetchedCommit, deliver: &Deliver) {
        let archive = samples::archive();
        let delivered = samples::delivered();
        for event in [
            samples::received(push, "e1"),
            PushEvent::PushValidated(deliver.clone()),
            PushEvent::CommitFetched(fetched),
            PushEvent::ArchivePackaged(archive.clone()),
            PushEvent::ArchiveUploaded(delivered.clone()),
            PushEvent::PushDelivered(delivered),
        ] {
            let appended = self.trail.append(push.push_id, |_| Some(event.clone())).await;
            appended.unwrap();
        }
        self.record_last(DeliveredPush::new(push, 1, None, archive.sha256))
            .await;
    }

    /// Records that `fetched` was not delivered, because a newer push was.
    pub async fn record_superseded(&self, push: &Push, fetched: FetchedCommit, deliver: &Deliver) {
        for event in [
            samples::received(push, "e1"),
            PushEvent::PushValidated(deliver.clone()),
            PushEvent::CommitFetched(fetched),
            PushEvent::ArchivePackaged(samples::archive()),
            PushEvent::PushSuperseded(samples::superseded()),
        ] {
            let appended = self.trail.append(push.push_id, |_| Some(event.clone())).await;
            appended.unwrap();
        }
    }

    /// Records `last` as the last push of the destination.
    pub async fn record_last(&self, last: DeliveredPush) {
        let destination = samples::deliver().destination;
        let mut record = self.trail.acquire(&destination).await.unwrap();
        record.last = Some(last);
        self.trail.release(&destination, record).await.unwrap();
    }

    /// Fetches what cannot be fetched. Returns the error's code and its message.
    pub async fn refused(&self, ask: &Ask) -> (Code, String) {
        let error = self.fetch(ask).await.unwrap_err();
        let told = Failed::new(&error).cause;
        let url = Url::parse(&ask.url).unwrap();
        let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
        assert!(told.contains(host), "{told:?} does not name {host}");
        for secret in ask.secrets() {
            assert!(!told.contains(&secret), "{told:?} has a secret in it");
        }
        assert_eq!(files(&self.folder.path().join("staging")), Vec::<PathBuf>::new());
        (error.code(), told)
    }

    /// Fetches what cannot be fetched. Returns the error's code.
    #[expect(clippy::print_stdout, reason = "shown if a test fails")]
    pub async fn code(&self, ask: &Ask) -> Code {
        let (code, told) = self.refused(ask).await;
        println!("{code}: {told}");
        code
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let (folders, mut found): (Vec<_>, Vec<_>) = entries
        .map(|entry| entry.unwrap().path())
        .partition(|path| path.is_dir());
    found.extend(folders.iter().flat_map(|folder| files(folder)));
    found
}

struct OneSecret(String);

impl Secrets for OneSecret {
    async fn read(&self, _: &SourceName, kind: &'static str) -> Result<SecretString, SecretError> {
        assert_eq!(kind, "git");
        Ok(self.0.clone().into())
    }
}

/// The input of a fetch.
pub struct Ask {
    pub url: String,
    pub delivery: &'static str,
    /// Whether pushes leave what the next ones need not fetch again.
    pub bases: bool,
    pub before: Option<String>,
    pub after: String,
    pub paths: Vec<String>,
    pub attributes: bool,
    pub ref_name: &'static str,
    pub secret: Value,
    pub git_hosts: Vec<String>,
    pub submodule_repositories: Vec<String>,
    pub submodules: Submodules,
    pub full_clone: bool,
    pub commits: CommitPolicy,
    pub signature: SignaturePolicy,
    pub lfs: bool,
    pub issuer: Arc<Issuer>,
    pub limits: Limits,
    pub transfer: TransferProgram,
    pub progress: ProgressReporter<Progress>,
}

impl Ask {
    /// A push of `after` to `refs/heads/main`, without credentials.
    pub fn new(url: &str, after: &str) -> Self {
        Self {
            url: url.to_owned(),
            delivery: "d",
            bases: false,
            before: None,
            after: after.to_owned(),
            paths: vec![],
            attributes: false,
            ref_name: "refs/heads/main",
            secret: json!({"credentials": []}),
            git_hosts: vec![],
            submodule_repositories: vec!["**".into()],
            submodules: Submodules::None,
            full_clone: false,
            commits: CommitPolicy::OnRef,
            signature: SignaturePolicy::Any,
            lfs: false,
            issuer: Arc::default(),
            limits: Limits {
                pack_bytes: 64 << 20,
                fetch_seconds: 60,
                silence_seconds: SILENCE_SECONDS,
                ..Limits::default()
            },
            transfer: TransferProgram::new(PROGRAM.into(), 1 << 30),
            progress: ProgressReporter::silent(),
        }
    }

    /// Returns how the push is delivered.
    pub fn deliver(&self) -> Deliver {
        Deliver {
            clone_url: self.url.parse().unwrap(),
            git_hosts: self.git_hosts.iter().map(|host| host.parse().unwrap()).collect(),
            submodule_repositories: self.submodule_repositories.clone(),
            paths: self.paths.clone(),
            options: Options {
                attributes: self.attributes,
                submodules: self.submodules,
                full_clone: self.full_clone,
                commits: self.commits,
                signature: self.signature,
                lfs: self.lfs,
                limits: self.limits.clone(),
                ..Options::default()
            },
            ..samples::deliver()
        }
    }

    /// A push of `commit`, with everything that is needed to fetch it by SSH.
    pub fn over_ssh(host: &Sshd, commit: &str) -> Self {
        Self::new(&host.url(), commit).with_key(&host.private_key, None, &host.known_hosts())
    }

    pub fn of_ref(mut self, ref_name: &'static str) -> Self {
        self.ref_name = ref_name;
        self
    }

    /// Includes submodules, of any repository on the URL's host.
    pub fn with_submodules(mut self) -> Self {
        self.submodules = Submodules::Recursive;
        self.git_hosts.push(self.host());
        self
    }

    /// Allows any commit, whether it is on the ref or not.
    pub fn of_any_commit(mut self) -> Self {
        self.commits = CommitPolicy::Any;
        self
    }

    pub fn within(mut self, fetch_seconds: u64) -> Self {
        self.limits.fetch_seconds = fetch_seconds;
        self
    }

    fn host(&self) -> String {
        let url = Url::parse(&self.url).unwrap();
        format!(
            "{}://{}",
            url.scheme(),
            &url[url::Position::BeforeHost..url::Position::AfterPort]
        )
    }

    /// Sets a password for the URL's host.
    pub fn with_password(mut self, password: &str) -> Self {
        let entry = json!({"host": self.host(), "username": USERNAME, "password": password});
        self.secret["credentials"] = json!([entry]);
        self
    }

    /// Sets a key for the URL's host.
    pub fn with_key(mut self, private_key: &str, passphrase: Option<&str>, known_hosts: &str) -> Self {
        let entry = json!({
            "host": self.host(), "private_key": private_key, "passphrase": passphrase, "known_hosts": known_hosts,
        });
        self.secret["credentials"] = json!([entry]);
        self
    }

    /// Sets the entries of the git secret.
    pub fn with_credentials(mut self, entries: Value) -> Self {
        self.secret["credentials"] = entries;
        self
    }

    pub fn with_authorities(mut self, pem: &str) -> Self {
        self.secret["ca_certificates"] = json!(pem);
        self
    }

    /// Requires a signature by one of these keys.
    pub fn signed_by(mut self, allowed_signers: &str, openpgp_keys: &str) -> Self {
        self.signature = SignaturePolicy::Required;
        self.secret["allowed_signers"] = json!(allowed_signers);
        self.secret["openpgp_keys"] = json!(openpgp_keys);
        self
    }

    /// Returns the texts that no message may contain.
    fn secrets(&self) -> Vec<String> {
        let entries = self.secret["credentials"].as_array().unwrap();
        let texts = entries.iter().flat_map(|entry| {
            let fields = ["password", "private_key", "passphrase"];
            fields.into_iter().filter_map(|field| entry[field].as_str())
        });
        texts.flat_map(str::lines).map(str::to_owned).collect()
    }
}
