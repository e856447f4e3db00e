//! The repository and the ref that `local push` pushes.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use domain::git::without_dot_git;
use domain::remote_url::{RemoteUrl, is_short_form, without_login};
use git_host::Credentials;
use percent_encoding::percent_decode_str;
use shell::process;
use url::Url;
use webhook::gitlab::{Commit, Person};

use crate::Error;

/// How many commits a webhook lists, as GitLab does.
const LISTED_COMMITS: usize = 20;

/// Where the repository is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// In a folder of this machine.
    Folder(PathBuf),
    /// On a git host.
    Remote {
        /// Its URL.
        url: RemoteUrl,
        /// The user and password that the text contained.
        login: Option<Credentials>,
    },
}

impl Location {
    /// Parses a path, a URL, or git's short form `git@host:path`.
    ///
    /// # Errors
    /// Returns [`Error::Usage`] if it is a URL that cannot be fetched from.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if Path::new(text).exists() {
            return Ok(Self::Folder(PathBuf::from(text)));
        }
        let usage =
            |why: String| Error::Usage(format!("{:?} cannot be fetched from: {why}", without_login(text)));
        let invalid = |error: domain::Invalid| usage(error.rule);
        if is_short_form(text) {
            let url = RemoteUrl::parse_with_short_form(text).map_err(invalid)?;
            return Ok(Self::Remote { url, login: None });
        }
        if !text.contains("://") {
            return Ok(Self::Folder(PathBuf::from(text)));
        }
        let url = Url::parse(text).map_err(|error| usage(error.to_string()))?;
        match url.scheme() {
            "file" => url
                .to_file_path()
                .map(Self::Folder)
                .map_err(|()| usage("it names no folder".to_owned())),
            "http" | "https" | "ssh" => Ok(Self::Remote {
                login: login_in(&url),
                url: url.try_into().map_err(invalid)?,
            }),
            scheme => Err(usage(format!(
                "use a path, https://, http:// or ssh://, not {scheme}://"
            ))),
        }
    }
}

/// Returns the user and password of a URL, or `None` if it has no password.
fn login_in(url: &Url) -> Option<Credentials> {
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    Some(Credentials {
        username: decode(url.username()),
        password: decode(url.password()?),
    })
}

/// A ref and what it points to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tip {
    /// The ref's full name.
    pub ref_name: String,
    /// What it points to, a commit or an annotated tag.
    pub object: String,
    /// The commit that it leads to.
    pub commit: String,
}

/// A repository in a folder.
#[derive(Debug, Clone)]
pub struct Folder {
    /// The folder as it was given.
    given: PathBuf,
    /// The folder that holds the objects and refs.
    git_folder: PathBuf,
    /// Its name, such as `project`, in characters that need no encoding in a URL.
    pub name: String,
}

impl Folder {
    /// Opens the repository in `folder`, which may be a checkout, a folder in one, a worktree, or bare.
    ///
    /// # Errors
    /// Returns [`Error::NotARepository`] if it is not one.
    pub async fn open(folder: &Path) -> Result<Self, Error> {
        let refused = |message: String| Error::NotARepository {
            repository: folder.display().to_string(),
            message,
        };
        if !folder.is_dir() {
            return Err(refused("there is no such folder".to_owned()));
        }
        let ask = ["rev-parse", "--path-format=absolute", "--git-common-dir"];
        let git_folder = match git(folder, &ask).await {
            Err(Error::Git { message, .. }) => return Err(refused(message)),
            other => PathBuf::from(other?),
        };
        // The main checkout names the repository, even if a worktree is pushed.
        let is_dot_git = git_folder.file_name().is_some_and(|name| name == ".git");
        let named = if is_dot_git {
            git_folder.parent()
        } else {
            Some(git_folder.as_path())
        };
        let name = named.and_then(Path::file_name).unwrap_or_default();
        Ok(Self {
            name: url_name(&name.to_string_lossy()),
            given: folder.to_owned(),
            git_folder,
        })
    }

    /// Returns what `name`, or else the current branch, points to.
    ///
    /// # Errors
    /// Returns an error if there is no such branch or tag, or no commit yet.
    pub async fn tip(&self, name: Option<&str>) -> Result<Tip, Error> {
        let ref_name = match name.filter(|name| *name != "HEAD") {
            Some(name) => self.find_ref(name).await?,
            None => self.current_ref().await?,
        };
        let asked = if self.has(&ref_name).await {
            &ref_name
        } else {
            "HEAD"
        };
        Ok(Tip {
            object: self.git(&["rev-parse", "--verify", asked]).await?,
            commit: self
                .git(&["rev-parse", "--verify", &format!("{asked}^{{commit}}")])
                .await?,
            ref_name,
        })
    }

    async fn find_ref(&self, name: &str) -> Result<String, Error> {
        for candidate in candidates(name) {
            if self.has(&candidate).await {
                return Ok(candidate);
            }
        }
        if name.starts_with("refs/") && self.has(name).await {
            return Err(Error::NotBranchOrTag {
                name: name.to_owned(),
            });
        }
        Err(Error::RefUnknown {
            name: name.to_owned(),
            repository: self.given.display().to_string(),
        })
    }

    /// Returns the current branch. If HEAD is detached, it is pushed as `refs/heads/detached`.
    async fn current_ref(&self) -> Result<String, Error> {
        if !self.has("HEAD").await {
            return Err(Error::UnbornHead {
                repository: self.given.display().to_string(),
            });
        }
        let branch = self.git(&["symbolic-ref", "--quiet", "HEAD"]).await;
        Ok(branch.unwrap_or_else(|_| "refs/heads/detached".to_owned()))
    }

    async fn has(&self, name: &str) -> bool {
        self.git(&["rev-parse", "--verify", "--quiet", &format!("{name}^{{object}}")])
            .await
            .is_ok()
    }

    /// Returns the first parent of `commit`, or `None` if it is a root commit or the boundary of a shallow clone.
    pub async fn parent(&self, commit: &str) -> Option<String> {
        self.git(&["rev-parse", "--verify", "--quiet", &format!("{commit}^1")])
            .await
            .ok()
    }

    /// Returns the last commits that are reachable from `commit` and not from `before`, the oldest first, and how many
    /// there are in all.
    ///
    /// # Errors
    /// Returns an error if git cannot list them.
    pub async fn commits(&self, before: Option<&str>, commit: &str) -> Result<(Vec<Commit>, usize), Error> {
        let known = match before {
            Some(before) if self.has(before).await => Some(before),
            _ => None,
        };
        let range = known.map_or_else(|| commit.to_owned(), |before| format!("{before}..{commit}"));
        let total = self.git(&["rev-list", "--count", &range]).await?;
        let listed = LISTED_COMMITS.to_string();
        let format = "--format=%H%x1f%ct%x1f%an%x1f%ae%x1f%B%x1e";
        let log = self
            .git(&["log", "--max-count", &listed, format, &range, "--"])
            .await?;
        let mut commits: Vec<Commit> = log.split('\u{1e}').filter_map(parse_commit).collect();
        commits.reverse();
        Ok((commits, total.parse().unwrap_or_default()))
    }

    /// Returns the author of `commit`.
    ///
    /// # Errors
    /// Returns an error if git cannot read the commit.
    pub async fn author(&self, commit: &str) -> Result<Person, Error> {
        let text = self
            .git(&["log", "-1", "--format=%an%x1f%ae", commit, "--"])
            .await?;
        let (name, email) = text.split_once('\u{1f}').unwrap_or_default();
        Ok(Person {
            name: name.to_owned(),
            email: email.to_owned(),
        })
    }

    /// Returns how many files differ from what is committed.
    pub async fn uncommitted(&self) -> usize {
        let status = self.git(&["status", "--porcelain"]).await;
        status.map_or(0, |status| status.lines().count())
    }

    /// Creates a bare repository at `place` that has the ref of `tip` and borrows this one's objects.
    ///
    /// It is served instead of this one, because it has no other refs, has a ref for a commit that is on no branch, and
    /// does not announce a shallow clone as one, which libgit2 would not understand.
    ///
    /// # Errors
    /// Returns an error if git cannot create it.
    pub async fn create_bare_mirror(&self, place: &Path, tip: &Tip) -> Result<(), Error> {
        let format = self.git(&["rev-parse", "--show-object-format"]).await?;
        let mut init = process::command("git");
        init.args(["init", "--quiet", "--bare", "--object-format", &format])
            .arg(place);
        output(init, &["init", "--bare"]).await?;
        let alternates = place.join("objects/info/alternates");
        let objects = self.git_folder.join("objects");
        std::fs::create_dir_all(place.join("objects/info"))
            .and_then(|()| std::fs::write(&alternates, format!("{}\n", objects.display())))
            .map_err(Error::io("write", &alternates))?;
        let update = ["update-ref", tip.ref_name.as_str(), tip.object.as_str()];
        git(place, &update).await.map(drop)
    }

    async fn git(&self, arguments: &[&str]) -> Result<String, Error> {
        git(&self.given, arguments).await
    }
}

/// How to log in at a remote host, for `git ls-remote`.
#[derive(Debug, Clone)]
pub enum Login {
    /// The command has no login of its own, and git uses its configuration.
    None,
    /// By HTTP basic authentication.
    Basic(Credentials),
    /// By SSH.
    Key {
        /// The file of the private key.
        identity: PathBuf,
        /// The file of the pinned host keys.
        known_hosts: PathBuf,
    },
}

/// Returns what `name`, or else the default branch, points to at `url`.
///
/// # Errors
/// Returns an error if the host does not respond, or has no such branch or tag.
pub async fn remote_tip(url: &RemoteUrl, login: &Login, name: Option<&str>) -> Result<Tip, Error> {
    let mut command = process::command("git");
    command
        .args(["ls-remote", "--symref", url.as_str()])
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_ALLOW_PROTOCOL", "http:https:ssh");
    match name {
        Some(name) => {
            // The second pattern is the commit of an annotated tag.
            command.args(
                candidates(name)
                    .iter()
                    .flat_map(|name| [name.clone(), format!("{name}^{{}}")]),
            );
        }
        None => {
            command.arg("HEAD");
        }
    }
    match login {
        Login::None => {}
        Login::Basic(credentials) => {
            let header = format!("http.{}/.extraHeader", url.origin());
            let redirects = format!("http.{url}.followRedirects");
            let settings = [
                (header.as_str(), format!("Authorization: {}", credentials.basic())),
                // git would send the header to wherever the host redirects. It is set twice, because git prefers the
                // setting whose URL matches best, which the user's configuration may contain.
                ("http.followRedirects", "false".to_owned()),
                (redirects.as_str(), "false".to_owned()),
                // The token is the login. An empty helper removes all that are configured before it.
                ("credential.helper", String::new()),
            ];
            command
                .env("GIT_CONFIG_COUNT", settings.len().to_string())
                .env("GIT_ASKPASS", "");
            for (index, (key, value)) in settings.iter().enumerate() {
                command.env(format!("GIT_CONFIG_KEY_{index}"), key);
                command.env(format!("GIT_CONFIG_VALUE_{index}"), value);
            }
        }
        Login::Key {
            identity,
            known_hosts,
        } => {
            let quoted = |path: &Path| format!("'{}'", path.display().to_string().replace('\'', r"'\''"));
            command.env(
                "GIT_SSH_COMMAND",
                format!(
                    "ssh -o BatchMode=yes -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes -i {} -o UserKnownHostsFile={}",
                    quoted(identity),
                    quoted(known_hosts)
                ),
            );
        }
    }
    let listed = output(command, &[]).await.map_err(|error| match error {
        Error::Git { message, .. } if is_redirect(&message) => Error::Redirected { url: url.to_string() },
        Error::Git { message, .. } => Error::Remote {
            url: url.to_string(),
            message,
        },
        other => other,
    })?;
    parse_listed(&listed, name).ok_or_else(|| match name {
        Some(name) => Error::RefUnknown {
            name: name.to_owned(),
            repository: url.to_string(),
        },
        None => Error::UnbornHead {
            repository: url.to_string(),
        },
    })
}

/// Returns whether git's message is that of a redirect which it does not follow. The text is curl's, which is not
/// translated.
fn is_redirect(message: &str) -> bool {
    ["301", "302", "303", "307", "308"]
        .iter()
        .any(|status| message.contains(&format!("The requested URL returned error: {status}")))
}

/// Returns the full names that a name may stand for, the likeliest first.
fn candidates(name: &str) -> Vec<String> {
    if name.starts_with("refs/heads/") || name.starts_with("refs/tags/") {
        return vec![name.to_owned()];
    }
    if name.starts_with("refs/") {
        return Vec::new();
    }
    vec![format!("refs/heads/{name}"), format!("refs/tags/{name}")]
}

/// Parses the lines of `git ls-remote --symref`, which are `ref: refs/heads/main\tHEAD` or `{id}\t{name}`.
fn parse_listed(text: &str, name: Option<&str>) -> Option<Tip> {
    let lines: Vec<(&str, &str)> = text.lines().filter_map(|line| line.split_once('\t')).collect();
    let find = |wanted: &str| {
        lines
            .iter()
            .find(|(id, name)| *name == wanted && !id.starts_with("ref: "))
    };
    let Some(name) = name else {
        let target = lines
            .iter()
            .find_map(|(id, name)| (*name == "HEAD").then(|| id.strip_prefix("ref: "))?)?;
        let (id, _) = find("HEAD")?;
        return Some(Tip {
            ref_name: target.to_owned(),
            object: (*id).to_owned(),
            commit: (*id).to_owned(),
        });
    };
    candidates(name).into_iter().find_map(|ref_name| {
        let (object, _) = find(&ref_name)?;
        let peeled = find(&format!("{ref_name}^{{}}"));
        Some(Tip {
            object: (*object).to_owned(),
            commit: peeled.map_or(*object, |(commit, _)| *commit).to_owned(),
            ref_name,
        })
    })
}

fn parse_commit(record: &str) -> Option<Commit> {
    let mut fields = record.trim_start_matches('\n').splitn(5, '\u{1f}');
    let id = fields.next().filter(|id| !id.is_empty())?;
    let seconds = fields.next()?.parse().ok()?;
    Some(Commit {
        id: id.to_owned(),
        timestamp: DateTime::<Utc>::from_timestamp(seconds, 0)?,
        author: Person {
            name: fields.next()?.to_owned(),
            email: fields.next()?.to_owned(),
        },
        message: fields.next()?.to_owned(),
    })
}

/// Returns a folder's name in characters that have no special meaning in a URL or a repository's path.
fn url_name(name: &str) -> String {
    let name: String = without_dot_git(name)
        .chars()
        .map(|char| {
            if char.is_ascii_alphanumeric() || "-_.".contains(char) {
                char
            } else {
                '-'
            }
        })
        .collect();
    match name.trim_start_matches('.') {
        "" => "repository".to_owned(),
        name => name.to_owned(),
    }
}

/// Runs git in a folder, and returns its output.
pub(crate) async fn git(folder: &Path, arguments: &[&str]) -> Result<String, Error> {
    let mut command = process::command("git");
    // A partial clone fetches missing objects from its remote.
    command.env("GIT_ALLOW_PROTOCOL", "file:http:https:ssh");
    command.arg("-C").arg(folder).args(arguments);
    output(command, arguments).await
}

async fn output(mut command: tokio::process::Command, arguments: &[&str]) -> Result<String, Error> {
    let output = match command.output().await {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(Error::GitMissing),
        other => other.map_err(Error::io("run", Path::new("git")))?,
    };
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    Err(Error::Git {
        command: arguments.join(" "),
        message: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_a_path_or_a_url() {
        let remote = |text: &str| match Location::parse(text).unwrap() {
            Location::Remote { url, .. } => url.to_string(),
            Location::Folder(folder) => panic!("a folder: {}", folder.display()),
        };
        assert_eq!(
            remote("https://example.com/a/b.git"),
            "https://example.com/a/b.git"
        );
        assert_eq!(remote("git@example.com:a/b.git"), "ssh://git@example.com/a/b.git");
        for folder in ["../project", ".", "/srv/git/x.git", "no-such", "a/b:c"] {
            assert_eq!(
                Location::parse(folder).unwrap(),
                Location::Folder(folder.into()),
                "{folder}"
            );
        }
        assert_eq!(
            Location::parse("file:///srv/git").unwrap(),
            Location::Folder("/srv/git".into())
        );
        let error = Location::parse("ftp://example.com/a").unwrap_err();
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn a_listing_contains_the_default_branch_a_branch_or_a_tag_with_its_commit() {
        let (a, b) = ("a".repeat(40), "b".repeat(40));
        let head = format!("ref: refs/heads/trunk\tHEAD\n{a}\tHEAD");
        assert_eq!(parse_listed(&head, None).unwrap().ref_name, "refs/heads/trunk");
        assert_eq!(parse_listed(&head, None).unwrap().object, a);
        let tag = format!("{a}\trefs/tags/v1\n{b}\trefs/tags/v1^{{}}");
        let tip = parse_listed(&tag, Some("v1")).unwrap();
        assert_eq!(
            (tip.ref_name.as_str(), &tip.object, &tip.commit),
            ("refs/tags/v1", &a, &b)
        );
        let branch = format!("{b}\trefs/heads/v1\n{tag}");
        assert_eq!(
            parse_listed(&branch, Some("v1")).unwrap().ref_name,
            "refs/heads/v1"
        );
        assert_eq!(
            parse_listed(&branch, Some("refs/tags/v1")).unwrap().ref_name,
            "refs/tags/v1"
        );
        assert_eq!(parse_listed("", None), None);
        assert_eq!(parse_listed(&branch, Some("v2")), None);
    }

    #[test]
    fn names_need_no_encoding() {
        for (given, name) in [
            ("my project", "my-project"),
            ("x.git", "x"),
            ("é", "-"),
            ("..", "repository"),
        ] {
            assert_eq!(url_name(given), name);
        }
    }

    fn run(folder: &Path, arguments: &[&str]) {
        testkit::git::output(testkit::git::command(folder).args(arguments), b"");
    }

    #[tokio::test]
    async fn refs_of_a_folder_are_found_and_an_error_names_a_missing_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("my project");
        std::fs::create_dir(&path).unwrap();
        assert!(matches!(
            Folder::open(&path).await,
            Err(Error::NotARepository { .. })
        ));
        run(&path, &["init", "--quiet"]);
        let repository = Folder::open(&path).await.unwrap();
        assert_eq!(repository.name, "my-project");
        assert!(matches!(
            repository.tip(None).await,
            Err(Error::UnbornHead { .. })
        ));

        run(
            &path,
            &["commit", "--quiet", "--allow-empty", "--message", "first\n\nbody"],
        );
        run(
            &path,
            &["commit", "--quiet", "--allow-empty", "--message", "second"],
        );
        run(&path, &["tag", "--annotate", "v1", "--message", "one"]);
        let main = repository.tip(None).await.unwrap();
        assert_eq!(main.ref_name, "refs/heads/main");
        let tag = repository.tip(Some("v1")).await.unwrap();
        assert_eq!(
            (tag.ref_name.as_str(), &tag.commit),
            ("refs/tags/v1", &main.commit)
        );
        assert_ne!(tag.object, tag.commit);
        assert!(matches!(
            repository.tip(Some("v2")).await,
            Err(Error::RefUnknown { .. })
        ));

        let (commits, total) = repository.commits(None, &main.commit).await.unwrap();
        assert_eq!(total, 2);
        assert_eq!(commits[0].message.trim_end(), "first\n\nbody");
        assert_eq!(commits[1].author.name, "Jo");
        let parent = repository.parent(&main.commit).await.unwrap();
        assert_eq!(
            repository.commits(Some(&parent), &main.commit).await.unwrap().1,
            1
        );
        assert_eq!(
            repository
                .commits(Some(&main.commit), &main.commit)
                .await
                .unwrap()
                .1,
            0
        );

        run(&path, &["switch", "--quiet", "--detach", &parent]);
        let detached = repository.tip(None).await.unwrap();
        assert_eq!(
            (detached.ref_name.as_str(), &detached.commit),
            ("refs/heads/detached", &parent)
        );

        run(&path, &["worktree", "add", "--quiet", "../tree", "main"]);
        let tree = Folder::open(&folder.path().join("tree")).await.unwrap();
        assert_eq!(tree.name, "my-project");
        assert_eq!(tree.tip(None).await.unwrap(), main);
    }
}
