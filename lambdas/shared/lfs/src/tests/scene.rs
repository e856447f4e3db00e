//! Fetches LFS objects into a staging area.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws::failure::Failed;
use aws::staging::FolderStaging;
use credentials::{Credentials, GitSecretJson};
use domain::contract::LfsObjects;
use domain::error::{Code, Coded};
use domain::limits::LfsLimits;
use domain::push::{DeliveryId, PushId};
use domain::source::GitHost;
use serde_json::{Value, json};
use tempfile::TempDir;
use tree::{LfsOid, Pointer};

use crate::{Error, Progress};
use crate::{LfsRequest, download, fetch};

/// The password, which no message may contain.
pub const PASSWORD: &str = "hunter2:s3cret";

/// The arguments of a fetch, and its staging area.
pub struct Scene {
    folder: TempDir,
    pub clone_url: String,
    pub git_hosts: Vec<String>,
    pub lfsconfig: Option<String>,
    /// The credentials of the git secret.
    pub credentials: Value,
    /// Certificates in PEM form.
    pub authorities: String,
    pub limits: LfsLimits,
    pub seconds: u64,
}

impl Scene {
    /// Returns a fetch for the repository `group/project` of the host `origin`.
    pub fn new(origin: &str) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            clone_url: format!("{origin}/group/project.git"),
            git_hosts: vec![],
            lfsconfig: None,
            credentials: json!([]),
            authorities: String::new(),
            limits: LfsLimits {
                silence_seconds: 5,
                ..LfsLimits::default()
            },
            seconds: 30,
        }
    }

    pub fn with_login(mut self, origin: &str, username: &str, password: &str) -> Self {
        let entry = json!({"host": origin, "username": username, "password": password});
        self.credentials.as_array_mut().unwrap().push(entry);
        self
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub async fn fetch(&self, pointers: &[Pointer]) -> Result<LfsObjects, Error> {
        let source = "gitlab".parse().unwrap();
        let secret =
            json!({"credentials": self.credentials, "ca_certificates": self.authorities}).to_string();
        let secret = GitSecretJson::parse(&source, &secret.into()).unwrap();
        let credentials = Credentials::of(&source, &secret, &Arc::default()).unwrap();
        let hosts: Vec<GitHost> = self.git_hosts.iter().map(|host| host.parse().unwrap()).collect();
        let request = LfsRequest {
            clone_url: &self.clone_url.parse().unwrap(),
            git_hosts: &hosts,
            repositories: &[],
            lfsconfig: self.lfsconfig.clone().map(String::into_bytes),
            credentials: &credentials,
            limits: self.limits,
            deadline: Instant::now() + Duration::from_secs(self.seconds),
            push_id: &push_id(),
            ref_name: &"refs/heads/main".parse().unwrap(),
            progress: &|progress: Progress| assert!(progress.objects <= progress.total),
        };
        fetch(&request, pointers.to_vec(), &self.staging()).await
    }

    /// Fetches objects that cannot be fetched, and returns the error's code and the message for people.
    pub async fn refused(&self, pointers: &[Pointer]) -> (Code, String) {
        let error = self.fetch(pointers).await.unwrap_err();
        let told = Failed::new(&error).cause;
        for secret in [PASSWORD, "X-Amz-Signature", "s3cret"] {
            assert!(!told.contains(secret), "{told:?} has {secret} in it");
        }
        assert!(self.staged().is_empty(), "{:?}", self.staged());
        (error.code(), told)
    }

    /// Fetches objects that cannot be fetched, and returns the error's code.
    pub async fn code(&self, pointers: &[Pointer]) -> Code {
        let (code, told) = self.refused(pointers).await;
        println!("{code}: {told}");
        code
    }

    fn staging(&self) -> FolderStaging {
        FolderStaging::new(self.folder.path().join("staging"))
    }

    /// Returns the staged object.
    pub fn object(&self, pointer: &Pointer) -> Vec<u8> {
        let key = download::key(&push_id(), &pointer.oid).unwrap();
        assert_eq!(key.as_str(), format!("pushes/{}/lfs/{}", push_id(), pointer.oid));
        std::fs::read(self.staging().path(&key)).unwrap()
    }

    /// Returns the files of all staged objects, each stored under its key, with its versions beside it.
    pub fn staged(&self) -> Vec<PathBuf> {
        let folder = self
            .folder
            .path()
            .join(format!("staging/pushes/{}/lfs", push_id()));
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        entries
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_none())
            .collect()
    }
}

fn push_id() -> PushId {
    let delivery_id: DeliveryId = "d".parse().unwrap();
    let ref_name = "refs/heads/main".parse().unwrap();
    PushId::new(&"gitlab".parse().unwrap(), &delivery_id, &ref_name)
}

/// Returns the pointer of an object with this content.
pub fn pointer(content: &[u8]) -> Pointer {
    let hash = openssl::sha::sha256(content);
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    Pointer {
        oid: LfsOid::parse(&hash).unwrap(),
        size: content.len() as u64,
        extended: false,
    }
}
