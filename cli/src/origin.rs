//! Where a push comes from: a repository in a folder, which is served during the push, or one on a git host.

use std::path::{Path, PathBuf};

use credentials::Credential;
use domain::git::RepositoryPath;
use domain::remote_url::RemoteUrl;
use git_host::{Credentials, GitHost, Options};
use shell::process;
use shell::progress::Progress;

use crate::Error;
use crate::repository::{self, Folder, Location, Login, Tip};

/// The user name that the local git host requires.
pub const GIT_USER: &str = "push-code";

/// How to log in at a private repository's host.
#[derive(Debug, Clone, clap::Args)]
pub struct LoginArgs {
    /// The user name for a private https:// repository.
    #[arg(long, default_value = "oauth2", env = "PUSH_CODE_USERNAME")]
    username: String,
    /// The token or password for a private https:// repository. Prefer the variable PUSH_CODE_TOKEN: other users of
    /// this machine can read the arguments of a program (ps).
    #[arg(long, env = "PUSH_CODE_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// The private key for an ssh:// repository, without a passphrase [default: ~/.ssh/id_ed25519, id_ecdsa or id_rsa].
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// The file with the host key of an ssh:// repository [default: ~/.ssh/known_hosts].
    #[arg(long, value_name = "FILE")]
    known_hosts: Option<PathBuf>,
}

/// Where a push comes from.
#[derive(Debug)]
pub enum Origin {
    /// A folder of this machine.
    Folder(Folder),
    /// A git host.
    Remote {
        /// The repository's URL.
        url: RemoteUrl,
        /// The repository's path on its host.
        repository: RepositoryPath,
        /// How to log in there.
        login: Login,
    },
}

/// A folder that is served over HTTP until this is dropped.
#[derive(Debug)]
pub struct Served {
    host: GitHost,
    /// Holds the repository that is served.
    _root: tempfile::TempDir,
}

impl Served {
    /// Returns the origin, `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn origin(&self) -> String {
        self.host.origin()
    }
}

impl Origin {
    /// Returns the last part of the repository's path.
    #[must_use]
    pub fn short_name(&self) -> String {
        let path = self.repository();
        path.rsplit('/').next().unwrap_or_default().to_owned()
    }

    /// Returns the repository's path on its host.
    #[must_use]
    pub fn repository(&self) -> String {
        match self {
            Self::Folder(folder) => format!("local/{}", folder.name),
            Self::Remote { repository, .. } => repository.to_string(),
        }
    }

    /// Returns the entry of the git secret for the remote host, or `None` if there is no login.
    ///
    /// # Errors
    /// Returns an error if the private key or the host's pinned keys cannot be read.
    pub async fn login(&self) -> Result<Option<Credential>, Error> {
        let Self::Remote { url, login, .. } = self else {
            return Ok(None);
        };
        let login = match login {
            Login::None => return Ok(None),
            Login::Basic(login) => credentials::Login::Password {
                username: login.username.clone(),
                password: login.password.clone().into(),
            },
            Login::Key {
                identity,
                known_hosts,
            } => credentials::Login::Key {
                private_key: std::fs::read_to_string(identity)
                    .map_err(Error::io("read", identity))?
                    .into(),
                passphrase: None,
                known_hosts: pins(known_hosts, url).await?,
            },
        };
        Ok(Some(Credential::of(url.with_path("").as_url().clone(), login)))
    }
}

impl Folder {
    /// Serves the ref of `tip` as `local/{name}.git` on `port` (0 chooses one) to clients that have the password.
    ///
    /// # Errors
    /// Returns an error if the port is in use or git is missing.
    pub async fn serve(
        &self,
        tip: &Tip,
        port: u16,
        password: String,
        log: Option<PathBuf>,
    ) -> Result<Served, Error> {
        let root = tempfile::tempdir().map_err(Error::io("create a folder in", &std::env::temp_dir()))?;
        let place = root.path().join("local").join(format!("{}.git", self.name));
        self.create_bare_mirror(&place, tip).await?;
        let options = Options {
            port,
            credentials: Some(Credentials {
                username: GIT_USER.to_owned(),
                password,
            }),
            log,
            ..Options::with_any_commit()
        };
        Ok(Served {
            host: GitHost::serve(root.path(), options).await?,
            _root: root,
        })
    }
}

/// Returns the URL of a folder's `repository` that is served at `host`.
///
/// # Errors
/// Returns [`Error::Usage`] if `host` is not the URL of a host.
pub fn served_url(host: &str, repository: &str) -> Result<RemoteUrl, Error> {
    let url = format!("{host}/{repository}.git");
    url.parse()
        .map_err(|error: domain::Invalid| Error::Usage(error.to_string()))
}

/// Returns the login of the git secret for a folder that is served at `url`.
#[must_use]
pub fn served_login(url: &RemoteUrl, password: &str) -> Credential {
    let login = credentials::Login::Password {
        username: GIT_USER.to_owned(),
        password: password.into(),
    };
    Credential::of(url.with_path("").as_url().clone(), login)
}

/// Finds the repository and what its ref points to.
///
/// # Errors
/// Returns an error if there is no such repository, ref or login.
pub async fn resolve(
    repository: &str,
    ref_name: Option<&str>,
    args: &LoginArgs,
    progress: Progress,
) -> Result<(Origin, Tip), Error> {
    match Location::parse(repository)? {
        Location::Folder(path) => {
            let folder = Folder::open(&path).await?;
            let tip = folder.tip(ref_name).await?;
            let uncommitted = if ref_name.is_none() {
                folder.uncommitted().await
            } else {
                0
            };
            if uncommitted > 0 {
                progress.line(&format!(
                    "! {uncommitted} uncommitted changes are not part of the push"
                ));
            }
            Ok((Origin::Folder(folder), tip))
        }
        Location::Remote { url, login: in_url } => {
            let repository = url
                .repository()
                .ok_or_else(|| Error::Usage(format!("{url} names no repository")))?;
            let login = login(args, &url, in_url)?;
            let step = progress.step(format!("Asking {url} for its refs"));
            let tip = repository::remote_tip(&url, &login, ref_name).await?;
            step.done(&format!("{} of {url} is at {}", tip.ref_name, tip.commit));
            let origin = Origin::Remote {
                url,
                repository,
                login,
            };
            Ok((origin, tip))
        }
    }
}

/// Returns how to log in at the host of `url`. `in_url` is the login that the URL contained.
fn login(args: &LoginArgs, url: &RemoteUrl, in_url: Option<Credentials>) -> Result<Login, Error> {
    if url.scheme() == "ssh" {
        let ssh = std::env::home_dir().unwrap_or_default().join(".ssh");
        let usual = || ["id_ed25519", "id_ecdsa", "id_rsa"].map(|name| ssh.join(name));
        let identity = args
            .identity
            .clone()
            .or_else(|| usual().into_iter().find(|file| file.exists()));
        let Some(identity) = identity else {
            return Err(Error::Usage(format!(
                "{url} needs a private key: name its file with --identity"
            )));
        };
        return Ok(Login::Key {
            identity,
            known_hosts: args
                .known_hosts
                .clone()
                .unwrap_or_else(|| ssh.join("known_hosts")),
        });
    }
    let given = args.token.as_ref().map(|token| Credentials {
        username: args.username.clone(),
        password: token.clone(),
    });
    Ok(given.or(in_url).map_or(Login::None, Login::Basic))
}

/// Returns the lines of a known_hosts file for the host of `url`, whose name may be hashed there.
async fn pins(known_hosts: &Path, url: &RemoteUrl) -> Result<String, Error> {
    let host = url.host();
    let name = match url.port() {
        Some(port) if port != 22 => format!("[{host}]:{port}"),
        _ => host.to_owned(),
    };
    let mut keygen = process::command("ssh-keygen");
    keygen.args(["-F", &name, "-f"]).arg(known_hosts);
    let output = keygen
        .output()
        .await
        .map_err(Error::io("run", Path::new("ssh-keygen")))?;
    let text = String::from_utf8_lossy(&output.stdout);
    // ssh-keygen also finds lines with a hashed name. They are for this host, so they are written with its plain name.
    let lines: Vec<String> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| match line.split_once(' ') {
            Some((hashed, key)) if hashed.starts_with('|') => format!("{name} {key}"),
            _ => line.to_owned(),
        })
        .collect();
    if lines.is_empty() {
        return Err(Error::Usage(format!(
            "{} has no key of {name}: connect to it once with ssh and compare its key, or name another file with --known-hosts",
            known_hosts.display()
        )));
    }
    Ok(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use credentials::GitSecretJson;
    use fetch::GitSecret;

    use super::*;

    fn git(folder: &Path, arguments: &[&str]) {
        let mut git = testkit::git::command(folder);
        testkit::git::output(git.args(["-c", "protocol.version=0"]).args(arguments), b"");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_commit_on_no_branch_of_a_shallow_clone_is_served() {
        let folder = tempfile::tempdir().unwrap();
        let (whole, shallow) = (folder.path().join("whole"), folder.path().join("shallow"));
        git(folder.path(), &["init", "--quiet", "whole"]);
        for file in ["one", "two"] {
            std::fs::write(whole.join(file), file).unwrap();
            git(&whole, &["add", "."]);
            git(&whole, &["commit", "--quiet", "--message", file]);
        }
        let url = format!("file://{}", whole.display());
        git(folder.path(), &["clone", "--quiet", "--depth=1", &url, "shallow"]);
        git(&shallow, &["switch", "--quiet", "--detach"]);

        let repository = Folder::open(&shallow).await.unwrap();
        let tip = repository.tip(None).await.unwrap();
        let served = repository
            .serve(&tip, 0, "secret".to_owned(), None)
            .await
            .unwrap();
        let url = served.origin().replace("://", "://push-code:secret@") + "/local/shallow.git";
        git(folder.path(), &["init", "--quiet", "copy"]);
        let copy = folder.path().join("copy");
        git(&copy, &["fetch", "--quiet", "--depth=1", &url, &tip.ref_name]);
        git(&copy, &["cat-file", "-e", &format!("{}:two", tip.commit)]);

        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let refs = client
            .get(url + "/info/refs?service=git-upload-pack")
            .send()
            .await
            .unwrap();
        let refs = String::from_utf8_lossy(&refs.bytes().await.unwrap()).into_owned();
        assert!(refs.contains(&tip.ref_name), "{refs}");
        assert!(!refs.contains(&format!("shallow {}", tip.commit)), "{refs}");
    }

    #[tokio::test]
    async fn what_is_written_into_the_git_secret_is_what_fetch_reads() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let file = folder.path().join(name);
            std::fs::write(&file, text).unwrap();
            file
        };
        let line = "git.example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
        let remote = |url: &str, login: Login| {
            let url: RemoteUrl = url.parse().unwrap();
            let repository = url.repository().unwrap();
            Origin::Remote {
                url,
                repository,
                login,
            }
        };
        let basic = Login::Basic(Credentials {
            username: "bot".to_owned(),
            password: "pass word".to_owned(),
        });
        let key = Login::Key {
            identity: file("id", "the key"),
            known_hosts: file("known_hosts", line),
        };
        let origins = [
            remote("https://git.example.com:8443/a/b.git", basic),
            remote("ssh://git@git.example.com/a/b.git", key),
        ];
        let served: RemoteUrl = "http://127.0.0.1:4567/local/a.git".parse().unwrap();
        let mut credentials = vec![served_login(&served, "served")];
        for origin in &origins {
            credentials.push(origin.login().await.unwrap().unwrap());
        }
        let text = GitSecretJson::of(credentials).expose().unwrap();

        let secret = GitSecret::parse(&"gitlab".parse().unwrap(), &text, &Arc::default()).unwrap();
        let access = async |url: &str| {
            let access = secret.credentials().access(&url.parse().unwrap()).await;
            serde_json::to_value(access.unwrap()).unwrap()
        };
        let password = |username: &str, password: &str| serde_json::json!({"Password": {"username": username, "password": password}});
        assert_eq!(access(served.as_str()).await, password(GIT_USER, "served"));
        assert_eq!(
            access("https://git.example.com:8443/other.git").await,
            password("bot", "pass word")
        );
        assert_eq!(
            access("ssh://git.example.com/other.git").await,
            serde_json::json!({"Key": {"private_key": "the key", "passphrase": null, "known_hosts": line}})
        );
        assert_eq!(access("https://git.example.com/a/b.git").await, "Anonymous");
    }

    #[test]
    fn a_url_names_its_host_and_repository() {
        let parts = |text: &str| {
            let url: RemoteUrl = text.parse().unwrap();
            let host = domain::source::GitHost::of(&url).to_string();
            let origin = Origin::Remote {
                repository: url.repository().unwrap(),
                url,
                login: Login::None,
            };
            (host, origin.repository(), origin.short_name())
        };
        assert_eq!(
            parts("ssh://git@example.com:2222/group/sub/project.git"),
            (
                "ssh://git@example.com:2222".into(),
                "group/sub/project".into(),
                "project".into()
            )
        );
        assert_eq!(
            parts("https://example.com/group/project").0,
            "https://example.com"
        );
    }
}
