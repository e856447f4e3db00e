//! Produces an error for each row of the table, by libgit2 itself and a host that really does what the row is about.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use git2::{
    CertificateCheckStatus, Cred, ErrorClass, ErrorCode, FetchOptions, RemoteCallbacks, RemoteRedirect,
    Repository,
};
use openssl::ssl::{SslAcceptor, SslMethod, SslStream};
use tempfile::TempDir;
use testkit::git;
use testkit::http::{Host, Response, pkt, refs, sending};
use testkit::ssh::Sshd;
use testkit::{Certificate, PATH};
use tokio::io::AsyncWriteExt as _;

use super::Meaning;
use super::table::{Row, TABLE, Text};
use crate::libgit2;

/// How long a host may be silent in these tests, in seconds.
const SILENCE_SECONDS: u64 = 2;
/// The ref of every repository here.
const MAIN: &str = "refs/heads/main";
/// An object that no repository has.
const GONE: &str = "0123456789012345678901234567890123456789";
/// What a TLS host sends to a client without a certificate: a fatal alert.
const CERTIFICATE_REQUIRED: [u8; 7] = [0x15, 3, 3, 0, 2, 2, 116];
/// The variable with the URL that is fetched under limits, and what precedes the number of the row that matches.
const URL: &str = "PUSH_CODE_TEST_URL";
const ROW: &str = "row ";

/// The rows for which no error is produced here.
const NOT_PRODUCED: [&str; 2] = [
    // libssh2 says it instead of "timed out" if the host's last byte comes within the last moment of the wait.
    "timeout",
    // The system says it when libgit2 writes the index of a pack to a full disk. A test cannot fill one.
    "no space left",
];

/// Returns the text of a row, which is empty for a row without a text.
fn text_of(row: &Row) -> &'static str {
    match row.text {
        Text::Any => "",
        Text::Begins(text) | Text::Has(text) | Text::HostSays(text) => text,
    }
}

#[test]
fn no_row_is_hidden_by_those_before_it() {
    for row in TABLE {
        let text = text_of(row);
        let error = git2::Error::new(
            row.code.unwrap_or(ErrorCode::GenericError),
            row.class.unwrap_or(ErrorClass::Net),
            text.to_uppercase(),
        );
        assert_eq!(Meaning::of(&error), row.meaning, "{error:?}");
    }
}

#[test]
fn a_hosts_name_has_no_meaning() {
    for text in [
        "failed to resolve address for authentication-failed.example.com: not found",
        "failed to connect to timeout.example.com: redirect",
    ] {
        let error = git2::Error::new(ErrorCode::GenericError, ErrorClass::Net, text);
        assert_eq!(Meaning::of(&error), Meaning::Unconnected, "{text}");
    }
}

#[test]
fn an_error_that_matches_no_row_is_unknown() {
    for class in [ErrorClass::Os, ErrorClass::Net, ErrorClass::None] {
        let error = git2::Error::new(ErrorCode::GenericError, class, "an odd thing");
        assert_eq!(Meaning::of(&error), Meaning::Unknown);
    }
}

/// A repository with one commit, for a host to serve.
struct Scene {
    folder: TempDir,
    commit: String,
}

impl Scene {
    fn new() -> Self {
        Self::with_format("sha1")
    }

    fn with_format(format: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut scene = Self {
            folder,
            commit: String::new(),
        };
        std::fs::create_dir_all(scene.repository()).unwrap();
        let format = format!("--object-format={format}");
        scene.git(&["init", "--quiet", "--bare", &format]);
        let tree = scene.git(&["hash-object", "-w", "-t", "tree", "/dev/null"]);
        scene.commit = scene.git(&["commit-tree", &tree, "-m", "first"]);
        scene.git(&["update-ref", MAIN, &scene.commit]);
        scene
    }

    /// Lets clients ask for any id.
    fn allowing_any_id(self) -> Self {
        self.git(&["config", "uploadpack.allowAnySHA1InWant", "true"]);
        self
    }

    /// The folder that hosts serve.
    fn root(&self) -> &Path {
        self.folder.path()
    }

    fn repository(&self) -> PathBuf {
        self.root().join(PATH.trim_start_matches('/'))
    }

    fn git(&self, arguments: &[&str]) -> String {
        git::line(git::command(self.repository()).args(arguments), b"")
    }
}

/// How to fetch.
#[derive(Clone)]
struct Fetch {
    url: String,
    from: String,
    depth: i32,
    /// A password, or a private key if the URL is for SSH. `None` if there is no callback for credentials.
    login: Option<String>,
    /// Whether any certificate and any host key is accepted.
    trusting: bool,
}

impl Fetch {
    fn of(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            from: MAIN.to_owned(),
            depth: 1,
            login: None,
            trusting: true,
        }
    }

    fn over_ssh(host: &Sshd) -> Self {
        Self::of(host.url()).with_login(&host.private_key)
    }

    fn from(mut self, from: &str) -> Self {
        from.clone_into(&mut self.from);
        self
    }

    fn with_history(mut self) -> Self {
        self.depth = 0;
        self
    }

    fn with_login(mut self, login: &str) -> Self {
        self.login = Some(login.to_owned());
        self
    }

    fn trusting_nobody(mut self) -> Self {
        self.trusting = false;
        self
    }

    /// Fetches, which has to fail, and returns libgit2's error.
    fn run(&self) -> git2::Error {
        let folder = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(folder.path()).unwrap();
        let mut callbacks = RemoteCallbacks::new();
        if self.trusting {
            callbacks.certificate_check(|_, _| Ok(CertificateCheckStatus::CertificateOk));
        }
        if let Some(login) = &self.login {
            callbacks.credentials(|url, username, _| match url.starts_with("ssh") {
                true => Cred::ssh_key_from_memory(username.unwrap(), None, login, None),
                false => Cred::userpass_plaintext("reader", login),
            });
        }
        let mut options = FetchOptions::new();
        options
            .depth(self.depth)
            .follow_redirects(RemoteRedirect::None)
            .remote_callbacks(callbacks);
        let mut remote = repository.remote_anonymous(&self.url).unwrap();
        let refspec = format!("+{}:refs/fetched", self.from);
        let fetched = remote.fetch(&[refspec], Some(&mut options), None);
        fetched
            .err()
            .unwrap_or_else(|| git2::Error::from_str("nothing has failed"))
    }

    /// Does the same on another thread, so that the hosts of this thread can respond.
    async fn fails(self) -> git2::Error {
        tokio::task::spawn_blocking(move || self.run()).await.unwrap()
    }
}

/// The rows that errors have matched, by their numbers, and the errors that matched another one than they should.
#[derive(Default)]
struct Met {
    rows: BTreeSet<usize>,
    wrong: Vec<String>,
}

impl Met {
    /// Notes that `cause` has had `error`. The first row that matches has to have this text, which is empty for a row
    /// without a text.
    fn by(&mut self, cause: &str, text: &str, error: &git2::Error) {
        println!("{cause}: {error:?}");
        let row = TABLE.iter().position(|row| row.matches(error));
        let found = row.map(|number| text_of(&TABLE[number]));
        self.rows.extend(row);
        if found != Some(text) {
            self.wrong.push(format!(
                "{cause}: {error:?} matches {found:?} instead of {text:?}"
            ));
        }
    }

    /// Does the same for a fetch in another process, under the limits that a shell sets for it. Limits apply to a whole
    /// process, and other tests run in this one.
    async fn under(&mut self, limits: &str, cause: &str, text: &str, host: &Host) {
        let mut command = tokio::process::Command::new("sh");
        command.args(["-c", &format!("{limits}; exec \"$@\""), "sh"]);
        command.arg(std::env::current_exe().unwrap());
        command.args([
            "--ignored",
            "--exact",
            "--nocapture",
            "meaning::tests::fetches_under_limits",
        ]);
        let output = command.env(URL, host.url()).output().await.unwrap();
        let output = String::from_utf8(output.stdout).unwrap();
        println!("{cause}: {output}");
        let row = output.lines().find_map(|line| line.strip_prefix(ROW));
        let row = row.map(|number| number.parse::<usize>().unwrap());
        let found = row.and_then(|number| TABLE.get(number)).map(text_of);
        self.rows.extend(row);
        if found != Some(text) {
            self.wrong
                .push(format!("{cause}: {output} matches {found:?} instead of {text:?}"));
        }
    }
}

/// Starts a TLS host that passes each connection to `act`.
fn tls(act: impl Fn(SslStream<std::net::TcpStream>) + Send + 'static) -> String {
    let certificate = Certificate::make("host", Some("127.0.0.1"), None);
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).unwrap();
    acceptor.set_private_key(&certificate.key).unwrap();
    acceptor.set_certificate(&certificate.certificate).unwrap();
    let acceptor = acceptor.build();
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        while let Ok((connection, _)) = listener.accept() {
            if let Ok(connection) = acceptor.accept(connection) {
                act(connection);
            }
        }
    });
    format!("https://{address}{PATH}")
}

/// Starts a host that passes each connection to `act`. Returns its address with the path of a repository.
fn tcp(act: impl Fn(std::net::TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        while let Ok((connection, _)) = listener.accept() {
            act(connection);
        }
    });
    format!("{address}{PATH}")
}

/// Waits for longer than a host may be silent.
fn wait() {
    std::thread::sleep(Duration::from_secs(SILENCE_SECONDS * 3));
}

/// Starts a host that sends an error of git's protocol instead of its refs.
async fn saying(words: &'static str) -> Host {
    Host::answering(move |request| {
        let lines = [
            pkt("# service=git-upload-pack\n"),
            b"0000".to_vec(),
            pkt(format!("ERR {words}")),
        ];
        Response::git(request, lines.concat())
    })
    .await
}

#[tokio::test]
async fn libgit2_gives_an_error_for_each_row() {
    libgit2::ignore_configuration();
    libgit2::set_timeouts(SILENCE_SECONDS).unwrap();
    let scene = Scene::new().allowing_any_id();
    let (mut met, mut silent) = (Met::default(), Met::default());
    let others = async {
        unconnected(&mut met).await;
        refused(&mut met, &scene).await;
        untrusted(&mut met, &scene).await;
        logins(&mut met, &scene).await;
        repositories(&mut met, &scene).await;
        disconnected(&mut met, &scene).await;
        packs(&mut met, &scene).await;
    };
    // The silence is most of the time.
    tokio::join!(silence(&mut silent), others);
    met.rows.append(&mut silent.rows);
    met.wrong.append(&mut silent.wrong);
    assert!(met.wrong.is_empty(), "{:#?}", met.wrong);
    for (number, row) in TABLE.iter().enumerate() {
        let produced = met.rows.contains(&number);
        let exception = NOT_PRODUCED.contains(&text_of(row));
        assert!(produced != exception, "{row:?}, produced: {produced}");
    }
}

async fn unconnected(met: &mut Met) {
    let error = Fetch::of(format!("http://git.push-code.invalid{PATH}"))
        .fails()
        .await;
    met.by("a name that does not exist", "failed to resolve", &error);
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = Fetch::of(format!("http://{address}{PATH}")).fails().await;
    met.by("a port where nobody listens", "failed to connect", &error);
}

async fn refused(met: &mut Met, scene: &Scene) {
    let host = Host::of(scene.root()).await;
    let sshd = Sshd::of(scene.root()).await;
    let error = Fetch::over_ssh(&sshd).from(GONE).with_history().fails().await;
    met.by("an object that the host does not have", "not our ref", &error);
    let error = Fetch::of(host.url()).from(GONE).fails().await;
    met.by(
        "an object that the host does not have, at depth 1",
        "unexpected packet type",
        &error,
    );
    let strict = Scene::new();
    let host = Host::of(strict.root()).await;
    let error = Fetch::of(host.url()).from(GONE).fails().await;
    met.by(
        "a host that gives no objects by their id",
        "cannot fetch a specific object",
        &error,
    );
    let body = [
        pkt("# service=git-upload-pack\n"),
        b"0000".to_vec(),
        pkt(format!("{} {MAIN}\0ofs-delta\n", scene.commit)),
        b"0000".to_vec(),
    ]
    .concat();
    let host = Host::answering(move |request| Response::git(request, body.clone())).await;
    let error = Fetch::of(host.url()).fails().await;
    met.by(
        "a host that cannot leave the history out",
        "doesn't support shallow",
        &error,
    );
    for (words, text) in [
        ("no such ref: refs/heads/main", "no such ref"),
        (
            "Server does not allow request for unadvertised object",
            "unadvertised object",
        ),
    ] {
        let error = Fetch::of(saying(words).await.url()).fails().await;
        met.by(words, text, &error);
    }
}

async fn untrusted(met: &mut Met, scene: &Scene) {
    let url = tls(drop);
    let error = Fetch::of(url).trusting_nobody().fails().await;
    met.by("a certificate that vouches for itself", "", &error);
    let wants_one = tcp(|mut connection| {
        let _ = connection.read(&mut [0; 4096]);
        let _ = connection.write_all(&CERTIFICATE_REQUIRED);
    });
    let error = Fetch::of(format!("https://{wants_one}")).fails().await;
    met.by(
        "a host that wants a certificate of the client",
        "certificate",
        &error,
    );
    let sshd = Sshd::of(scene.root()).await;
    let error = Fetch::over_ssh(&sshd).trusting_nobody().fails().await;
    met.by("a host key that nobody vouches for", "", &error);
}

async fn logins(met: &mut Met, scene: &Scene) {
    let host = Host::with_password(scene.root(), "right").await;
    let error = Fetch::of(host.url()).fails().await;
    met.by("a host that wants a password", "", &error);
    let sshd = Sshd::of(scene.root()).await;
    let error = Fetch::of(sshd.url()).fails().await;
    met.by("a host that wants a key", "", &error);
    let error = Fetch::of(sshd.url()).with_login("no key").fails().await;
    met.by("a login that is not a key", "failed to authenticate", &error);
    let host = Host::answering(|_| Response::new(403, &[], "")).await;
    let error = Fetch::of(host.url()).fails().await;
    met.by("a host that forbids", "status code: 403", &error);
    for (scheme, text) in [
        ("NTLM", "authentication is not supported"),
        ("Digest realm=\"a\", nonce=\"b\"", ""),
    ] {
        let challenge = format!("WWW-Authenticate: {scheme}");
        let host = Host::answering(move |_| Response::new(401, &[&challenge], "")).await;
        let error = Fetch::of(host.url()).with_login("right").fails().await;
        met.by(scheme, text, &error);
    }
    let refs = refs(&scene.commit, "");
    let host = Host::answering(move |request| {
        let mut response = Response::git(request, refs.clone());
        response.headers.push("WWW-Authenticate: Digest".to_owned());
        response
    })
    .await;
    let error = Fetch::of(host.url()).fails().await;
    met.by(
        "a host that wants a login with its refs",
        "mechanism for credentials",
        &error,
    );
    let words = "HTTP Basic: Access denied. Authentication failed";
    let error = Fetch::of(saying(words).await.url()).fails().await;
    met.by(words, "authentication failed", &error);
}

async fn repositories(met: &mut Met, scene: &Scene) {
    for (status, text) in [(404, "status code: 404"), (410, "status code: 410")] {
        let host = Host::answering(move |_| Response::new(status, &[], "")).await;
        let error = Fetch::of(host.url()).fails().await;
        met.by("a repository that is not there", text, &error);
    }
    let sshd = Sshd::of(scene.root().join("elsewhere")).await;
    let error = Fetch::over_ssh(&sshd).fails().await;
    met.by(
        "git, of a repository that is not there",
        "does not appear to be a git repository",
        &error,
    );
    for (words, text) in [
        ("ERROR: Repository not found.", "not found"),
        (
            "ERROR: The project you were looking for could not be found or you do not have permission to view it.",
            "could not be found",
        ),
    ] {
        let sshd = Sshd::running(&format!("echo '{words}' >&2\nexit 1\n")).await;
        let error = Fetch::over_ssh(&sshd).fails().await;
        met.by(words, text, &error);
    }
    let host = Host::answering(|_| Response::redirect(302, "http://elsewhere.example/a.git")).await;
    let error = Fetch::of(host.url()).fails().await;
    met.by("a repository that has moved", "redirect", &error);
    let other = Scene::with_format("sha256");
    let host = Host::of(other.root()).await;
    let error = Fetch::of(host.url()).fails().await;
    met.by(
        "a repository with SHA-256 ids",
        "unknown remote object format",
        &error,
    );
}

async fn silence(met: &mut Met) {
    let silent = || {
        tcp(|connection| {
            wait();
            drop(connection);
        })
    };
    let error = Fetch::of(format!("http://{}", silent())).fails().await;
    met.by("a host that is silent", "", &error);
    let error = Fetch::of(tls(|_| wait())).fails().await;
    met.by("a host that is silent, by TLS", "syscall failure", &error);
    let error = Fetch::of(format!("ssh://git@{}", silent())).fails().await;
    met.by("a host that is silent, by SSH", "timed out", &error);
    let sshd = Sshd::running("exec sleep 20\n").await;
    let error = Fetch::over_ssh(&sshd).fails().await;
    met.by("a host that is silent after the login", "timed out", &error);
}

async fn disconnected(met: &mut Met, scene: &Scene) {
    for (status, text) in [(503, "status code: 5"), (429, "status code: 429")] {
        let host = Host::answering(move |_| Response::new(status, &[], "")).await;
        let error = Fetch::of(host.url()).fails().await;
        met.by("a host that says not now", text, &error);
    }
    let sshd = Sshd::running("exit 0\n").await;
    let error = Fetch::over_ssh(&sshd).fails().await;
    met.by(
        "a host without a word, by SSH",
        "could not read refs from",
        &error,
    );
    let script = format!(
        "git upload-pack --advertise-refs '{}'\nhead -c 8 >/dev/null\n",
        scene.repository().display()
    );
    let sshd = Sshd::running(&script).await;
    let error = Fetch::over_ssh(&sshd).fails().await;
    met.by(
        "a host that ends after its refs",
        "could not read from remote",
        &error,
    );
    let host = Host::serve(async |_, connection| {
        // A reset that comes before libgit2 waits for the response looks like an end.
        tokio::time::sleep(Duration::from_millis(500)).await;
        connection.set_zero_linger()
    })
    .await;
    let error = Fetch::of(host.url()).fails().await;
    met.by("a host that resets the connection", "data from socket", &error);
    let host = Host::serve(async |_, _| Ok(())).await;
    let error = Fetch::of(host.url()).fails().await;
    met.by("a host that hangs up", "unexpected eof", &error);
    let host = Host::serve(async |request, mut connection| {
        let response = Response::git(&request, pkt("# service=git-upload-pack\n")).to_bytes();
        connection.write_all(&response[..response.len() - 1]).await
    })
    .await;
    let error = Fetch::of(host.url()).fails().await;
    met.by(
        "a host that hangs up within the body",
        "invalid eof state",
        &error,
    );
    let error = Fetch::of(saying("too busy").await.url()).fails().await;
    met.by("a host that refuses by git's protocol", "remote error: ", &error);
    let hanging_up = tls(|mut connection| {
        let _ = connection.read(&mut [0; 4096]);
    });
    let error = Fetch::of(hanging_up).fails().await;
    met.by("a host that hangs up, by TLS", "syscall failure", &error);
    let mail = tcp(|mut connection| {
        let _ = connection.write_all(b"220 mail ready\r\n");
        let _ = connection.read(&mut [0; 4096]);
    });
    let error = Fetch::of(format!("https://{mail}")).fails().await;
    met.by("a host that does not speak TLS", "", &error);
    let error = Fetch::of(format!("ssh://git@{mail}")).fails().await;
    met.by("a host that does not speak SSH", "", &error);
}

async fn packs(met: &mut Met, scene: &Scene) {
    let pack = [&b"PACK\0\0\0\x02"[..], &[0; 64]].concat();
    let error = Fetch::of(sending(&scene.commit, &pack).await.url()).fails().await;
    met.by("a pack that is not one", "", &error);
    let huge = [&b"PACK\0\0\0\x02"[..], &u32::MAX.to_be_bytes(), &[0; 64]].concat();
    let host = sending(&scene.commit, &huge).await;
    met.under(
        "ulimit -d 2000000",
        "a pack of too many objects for the memory",
        "",
        &host,
    )
    .await;
    // The pack of a program is larger than the limit, and its index is not.
    let large = scene.git(&["hash-object", "-w", "/bin/sh"]);
    let pack = git::output(
        git::command(scene.repository()).args(["pack-objects", "--quiet", "--stdout"]),
        large.as_bytes(),
    );
    let host = sending(&scene.commit, &pack).await;
    met.under(
        "trap '' XFSZ; ulimit -f 8",
        "a pack that is too large for a file",
        "cannot extend packfile",
        &host,
    )
    .await;
}

/// Fetches, and prints the row that matches.
#[test]
#[ignore = "runs under limits, in a process of its own"]
fn fetches_under_limits() {
    libgit2::ignore_configuration();
    let error = Fetch::of(std::env::var(URL).unwrap()).run();
    let row = TABLE.iter().position(|row| row.matches(&error));
    println!("{error:?}\n{ROW}{}", row.unwrap_or(TABLE.len()));
}
