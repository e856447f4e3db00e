//! `push-code local push`: one push through the whole of it, on this machine.

use std::cell::RefCell;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use aws_sdk_sfn::types::ExecutionStatus;
use credentials::Credential;
use deployed_stack::Stack;
use deployed_stack::follow::{self, Ended, Moment};
use deployed_stack::trail::{self, Trail};
use deployed_stack::webhook_client::{Accepted, AcceptedPush, Webhook};
use domain::contract::Delivered;
use domain::push::PushId;
use domain::source::SourceSettings;
use local_aws::aws::LocalAws;
use local_aws::checkout::Checkout;
use local_aws::function_log::FunctionLog;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use shell::progress::Progress;
use webhook::gitlab::{Commit, Delivery, Person, PushHook};

use super::fail::{FailingPush, FailureKind};
use super::session::{push_lock, session};
use super::{AwsArgs, allow_host_of, up_options};
use crate::Error;
use crate::origin::{self, GIT_USER, LoginArgs, Origin, Served};
use crate::repository::{Location, Tip};
use crate::results::Results;
use crate::states::States;
use crate::summary::Summary;

/// How often the progress of a function is read.
const WATCHED_EVERY: Duration = Duration::from_millis(250);

/// What to push, and where to put the zip.
#[derive(Debug, clap::Args)]
pub struct PushArgs {
    /// A folder with a git repository, or a URL (https://, http://, ssh:// or git@host:path). Only what is committed is
    /// pushed.
    #[arg(default_value = ".")]
    repository: String,
    /// The branch or tag [default: the current or default branch].
    #[arg(long = "ref", value_name = "REF")]
    ref_name: Option<String>,
    /// Where the zip is saved: a file or a folder [default: REPOSITORY-REF-COMMIT.zip in the current folder].
    #[arg(long, value_name = "FILE")]
    zip: Option<PathBuf>,
    /// Let the push fail in this way, and show what people are told of it: the error, the trail and the mail. What is
    /// changed for that is put back. Exits with 0 if the push has failed so and the mail has come.
    #[arg(long, value_name = "KIND", value_enum, conflicts_with_all = ["zip", "options"])]
    fail: Option<FailureKind>,
    #[command(flatten)]
    login: LoginArgs,
    /// The port of the local git host [default: the local AWS's port + 1].
    #[arg(long, value_name = "PORT")]
    git_port: Option<u16>,
    /// An option of the source, as in `push-code docs reference/options`: submodules=recursive,
    /// limits.file_bytes=1000000. May be repeated.
    #[arg(long = "option", value_name = "NAME=VALUE", value_parser = parse_option)]
    options: Vec<(String, Value)>,
    #[command(flatten)]
    aws: AwsArgs,
}

/// Parses an option. A value that is not JSON is a string.
fn parse_option(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or("it is not NAME=VALUE")?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
    Ok((name.to_owned(), value))
}

/// Returns the JSON of the template's parameter `SourceOptions`.
pub(super) fn source_options(options: &[(String, Value)]) -> Result<String, Error> {
    let mut json = json!({});
    for (name, value) in options {
        let pointer = format!("/{}", name.replace('.', "/"));
        let mut place = &mut json;
        for part in pointer.split('/').skip(1) {
            place = place
                .as_object_mut()
                .ok_or_else(|| {
                    Error::Usage(format!(
                        "--option {name}: what is above it has a value of its own"
                    ))
                })?
                .entry(part)
                .or_insert_with(|| json!({}));
        }
        *place = value.clone();
    }
    let text = json.to_string();
    // This is as strict as `Validate`.
    let host = "git.example.com".parse();
    let host = host.map_err(|error: domain::Invalid| Error::Usage(error.to_string()))?;
    let settings = crate::push::settings(&host, "bucket", "key", &json);
    let settings = settings.parse::<SourceSettings>();
    settings.map_err(|error| Error::Usage(format!("--option: {error}")))?;
    Ok(text)
}

/// Runs the command.
pub(super) async fn run(
    args: PushArgs,
    results: &mut Results<impl Write>,
    progress: Progress,
) -> Result<(), Error> {
    if let Some(kind) = args.fail {
        kind.check(&Location::parse(&args.repository)?)?;
    }
    let (origin, tip) =
        origin::resolve(&args.repository, args.ref_name.as_deref(), &args.login, progress).await?;
    let checkout = Checkout::find()?;
    let (settings, mut options) = up_options(&checkout, &args.aws, args.git_port)?;
    if !args.options.is_empty() {
        let text = source_options(&args.options)?;
        options.parameters.insert("SourceOptions".to_owned(), text);
    }
    allow_host_of(&origin, &mut options);
    if let Some(kind) = args.fail {
        let push = FailingPush {
            kind,
            checkout: &checkout,
            settings: &settings,
            options: &options,
            repository: &args.repository,
            origin: &origin,
            tip: &tip,
            git_port: args.git_port,
        };
        return push.run(results, progress).await;
    }
    let mut local = LocalAws::up(&settings, &options, progress).await?;
    let git_port = args.git_port.unwrap_or(local.record.ministack.port + 1);
    let began = Instant::now();
    let (ministack, stack) = (local.record.ministack.clone(), local.stack()?);
    let save = async {
        let send = async |webhook: &Webhook, hook: &PushHook| {
            webhook.send(hook, &Delivery::fresh()).await.map_err(Error::from)
        };
        let (trail, delivered) =
            deliver(&mut local, &origin, &tip, git_port, results, progress, send).await?;
        let name = file_name(&origin.short_name(), &tip);
        let file = match args.zip {
            Some(folder) if folder.is_dir() => folder.join(name),
            Some(file) => file,
            None => PathBuf::from(name),
        };
        let _step = progress.step("Downloading the zip");
        download(&stack, &delivered, &trail, &file).await?;
        Ok((trail, delivered, file))
    };
    let (trail, delivered, file) =
        session(&push_lock(&checkout)?, &ministack, &stack, progress, save).await?;
    let state = trail.state.as_ref();
    let commit = state.and_then(|state| Some(state.fetched.as_ref()?.commit.to_string()));
    if let Some((state, archive)) = state.and_then(|state| Some((state, state.archive.as_ref()?))) {
        let summary = Summary::new(
            state.push.push_id.to_string(),
            (&tip.ref_name, commit.as_deref().unwrap_or(&tip.commit)),
            archive,
            &delivered,
            Some(&file),
            began.elapsed(),
        );
        results.put(&summary);
        results.text(&summary)?;
    }
    Ok(())
}

/// Sends the webhook by `send`, follows the push to its end, and shows its trail.
pub(super) async fn deliver(
    local: &mut LocalAws,
    origin: &Origin,
    tip: &Tip,
    git_port: u16,
    results: &mut Results<impl Write>,
    progress: Progress,
    send: impl AsyncFnOnce(&Webhook, &PushHook) -> Result<Accepted, Error>,
) -> Result<(Trail, Delivered), Error> {
    let served = serve(local, origin, tip, git_port).await?;
    let stack = local.stack()?;
    stack
        .put_git_secret(logins(local, origin, git_port).await?)
        .await?;
    let last = local.last_pushed(&origin.repository(), &tip.ref_name);
    let hook = hook(origin, tip, last, served.as_ref().map(Served::origin)).await?;
    let push = start(&stack, &hook, progress, send).await?;
    local.set_last_pushed(&origin.repository(), &tip.ref_name, &tip.object)?;
    let push = follow_to_end(local, &push, results, progress).await?;
    let delivered = outcome(&push)?;
    Ok((push.trail, delivered))
}

/// A push whose execution has ended.
#[derive(Debug)]
pub(super) struct EndedPush {
    pub push_id: PushId,
    pub ended: Ended,
    pub trail: Trail,
}

/// Serves the ref of a folder, until the returned value is dropped. Returns `None` if the repository is on a git host.
pub(super) async fn serve(
    local: &LocalAws,
    origin: &Origin,
    tip: &Tip,
    git_port: u16,
) -> Result<Option<Served>, Error> {
    let Origin::Folder(folder) = origin else {
        return Ok(None);
    };
    let password = local.record.git_password.clone();
    let log = Some(local.folder().join("git-host.log"));
    Ok(Some(folder.serve(tip, git_port, password, log).await?))
}

/// Returns the logins of the git secret: that of the local git host, and that of the repository's own host if it has
/// one.
pub(super) async fn logins(
    local: &LocalAws,
    origin: &Origin,
    git_port: u16,
) -> Result<Vec<Credential>, Error> {
    let url = origin::served_url(&format!("http://127.0.0.1:{git_port}"), &origin.repository())?;
    let mut logins = vec![origin::served_login(&url, &local.record.git_password)];
    logins.extend(origin.login().await?);
    Ok(logins)
}

/// Sends the webhook by `send`, and returns the push that it has started.
pub(super) async fn start(
    stack: &Stack,
    hook: &PushHook,
    progress: Progress,
    send: impl AsyncFnOnce(&Webhook, &PushHook) -> Result<Accepted, Error>,
) -> Result<AcceptedPush, Error> {
    let webhook = stack.webhook().await?;
    let step = progress.step(format!("Sending the webhook to {}", webhook.url));
    let accepted = send(&webhook, hook).await?;
    let push = accepted
        .first()
        .map_err(|reason| Error::NothingStarted { reason })?;
    step.done(&format!("Sent the webhook; it started push {}", push.push_id));
    Ok(push)
}

/// Follows a push to its end, and shows its trail.
pub(super) async fn follow_to_end(
    local: &LocalAws,
    push: &AcceptedPush,
    results: &mut Results<impl Write>,
    progress: Progress,
) -> Result<EndedPush, Error> {
    results.put(json!({ "push_id": push.push_id }));
    let stack = local.stack()?;
    let log = FunctionLog::of(local.folder());
    let ended = follow(&stack, &push.push_id, &log, progress).await?;
    let push_id = push.id()?;
    let trail = trail::read(&stack.trail()?, push_id).await?;
    results.put(json!({ "trail": trail.events }));
    let lines = trail.lines();
    results.text(format!("Audit trail of push {push_id}\n{}", lines.trim_end()))?;
    Ok(EndedPush {
        push_id,
        ended,
        trail,
    })
}

/// Returns the webhook that the git host would send. It moves the ref from `last`, where the last push left it. An
/// unchanged ref moves nowhere, which is how a repeated delivery looks.
pub(super) async fn hook(
    origin: &Origin,
    tip: &Tip,
    last: Option<String>,
    served: Option<String>,
) -> Result<PushHook, Error> {
    let repository = origin.repository();
    let nobody = Person {
        name: GIT_USER.to_owned(),
        email: String::new(),
    };
    let (before, (commits, total_commits), user) = match origin {
        Origin::Folder(folder) => {
            let before = match last {
                Some(last) => Some(last),
                None => folder.parent(&tip.commit).await,
            };
            let commits = folder.commits(before.as_deref(), &tip.commit).await?;
            (before, commits, folder.author(&tip.commit).await?)
        }
        Origin::Remote { .. } => (last, (Vec::<Commit>::new(), 0), nobody),
    };
    let (git_http_url, git_ssh_url) = match origin {
        Origin::Folder(_) => {
            let host = served.unwrap_or_default();
            (
                format!("{host}/{repository}.git"),
                format!("git@127.0.0.1:{repository}.git"),
            )
        }
        Origin::Remote { url, .. } if url.scheme() == "ssh" => {
            let (host, path) = (url.host(), url.path_without_git());
            (format!("https://{host}{path}.git"), url.to_string())
        }
        Origin::Remote { url, .. } => {
            let (host, path) = (url.host(), url.path_without_git().trim_start_matches('/'));
            (url.to_string(), format!("git@{host}:{path}.git"))
        }
    };
    Ok(PushHook {
        repository,
        git_http_url,
        git_ssh_url,
        ref_name: tip.ref_name.clone(),
        before,
        after: Some(tip.object.clone()),
        commit: Some(tip.commit.clone()),
        commits,
        total_commits,
        user,
    })
}

async fn follow(stack: &Stack, push_id: &str, log: &FunctionLog, progress: Progress) -> Result<Ended, Error> {
    let arn = stack.execution_arn(push_id)?;
    let client = stack.step_functions();
    let step = progress.step("Following the execution");
    let states = RefCell::new((States::new(progress), log.now()));
    let follow = follow::follow(&client, &arn, |moment| {
        let (states, since) = &mut *states.borrow_mut();
        if let Moment::Entered { .. } = moment {
            *since = log.now();
        }
        states.show(moment);
    });
    let watch = async {
        loop {
            tokio::time::sleep(WATCHED_EVERY).await;
            let (states, since) = &*states.borrow();
            states.report(|| log.news(since));
        }
    };
    let ended = tokio::select! {
        ended = follow => ended?,
        () = watch => unreachable!("it watches as long as it is let"),
    };
    let text = format!("The execution ended: {}", ended.status);
    if ended.status == ExecutionStatus::Succeeded {
        step.done(&text);
    } else {
        step.failed(&text);
    }
    Ok(ended)
}

/// Returns where the zip is, or the reason why there is none as an error.
fn outcome(push: &EndedPush) -> Result<Delivered, Error> {
    let push_id = push.push_id.to_string();
    check_succeeded(&push_id, &push.ended)?;
    let state = push.trail.state.as_ref();
    if let Some(delivered) = state.and_then(|state| state.delivered.clone()) {
        return Ok(delivered);
    }
    Err(Error::NotDelivered {
        push_id,
        status: state.map_or_else(|| "unknown".to_owned(), |state| state.status.to_string()),
        reason: state
            .and_then(domain::state::PushState::reason)
            .unwrap_or_default(),
    })
}

/// Returns an error if the execution of a push has not succeeded.
pub(super) fn check_succeeded(push_id: &str, ended: &Ended) -> Result<(), Error> {
    if ended.status == ExecutionStatus::Succeeded {
        return Ok(());
    }
    let (error, cause) = failure(ended);
    Err(Error::ExecutionFailed {
        push_id: push_id.to_owned(),
        error,
        cause,
    })
}

/// Returns the error's name and what happened, of an execution that has not succeeded.
pub(super) fn failure(ended: &Ended) -> (String, String) {
    let error = ended.error.clone();
    (
        error.unwrap_or_else(|| ended.status.to_string()),
        ended.cause.clone().unwrap_or_default(),
    )
}

/// Saves the zip. The file exists only if all of it was downloaded and its SHA-256 is right.
async fn download(stack: &Stack, delivered: &Delivered, trail: &Trail, file: &Path) -> Result<(), Error> {
    let place = format!("s3://{}/{}", delivered.bucket, delivered.key);
    let mut object = stack
        .s3()
        .get_object()
        .bucket(&delivered.bucket)
        .key(delivered.key.as_str())
        .set_version_id(delivered.version_id.clone())
        .send()
        .await
        .map_err(deployed_stack::Error::aws(format!("download {place}")))?;
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut temporary = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(folder)
        .map_err(Error::io("write to", folder))?;
    let mut hash = Sha256::new();
    while let Some(bytes) = object.body.next().await {
        let bytes = bytes.map_err(deployed_stack::Error::aws(format!("download {place}")))?;
        hash.update(&bytes);
        temporary.write_all(&bytes).map_err(Error::io("write", file))?;
    }
    let found = hex::encode(hash.finalize());
    let packaged = trail
        .state
        .as_ref()
        .and_then(|state| Some(&state.archive.as_ref()?.sha256));
    let described = object
        .metadata
        .as_ref()
        .and_then(|metadata| metadata.get("sha256"));
    for (expected, by) in [
        (packaged, "the audit trail"),
        (described, "the object's metadata"),
    ] {
        if expected != Some(&found) {
            return Err(Error::Checksum {
                found,
                expected: expected.cloned().unwrap_or_else(|| "nothing".to_owned()),
                by,
            });
        }
    }
    temporary
        .persist(file)
        .map_err(|error| Error::io("write", file)(error.error))?;
    Ok(())
}

/// Returns the default name of the file, such as `project-main-1a2b3c4d.zip`.
fn file_name(repository: &str, tip: &Tip) -> String {
    let short = tip.ref_name.trim_start_matches("refs/");
    let short = short.split_once('/').map_or(short, |(_, name)| name);
    format!(
        "{repository}-{}-{}.zip",
        short.replace('/', "-"),
        &tip.commit[..8.min(tip.commit.len())]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_the_command_line_are_those_of_a_source() {
        let options = |texts: &[&str]| {
            let options: Vec<_> = texts.iter().map(|text| parse_option(text).unwrap()).collect();
            source_options(&options)
        };
        assert_eq!(
            options(&["submodules=recursive", "limits.file_bytes=5", "limits.entries=6"]).unwrap(),
            r#"{"limits":{"entries":6,"file_bytes":5},"submodules":"recursive"}"#
        );
        for wrong in [
            &["submodule=recursive"][..],
            &["submodules=sometimes"],
            &["limits=5", "limits.entries=6"],
        ] {
            assert!(matches!(options(wrong), Err(Error::Usage(_))), "{wrong:?}");
        }
        assert!(parse_option("lfs").is_err());
    }

    #[test]
    fn a_zip_is_named_by_repository_ref_and_commit() {
        let tip = |ref_name: &str| Tip {
            ref_name: ref_name.to_owned(),
            object: String::new(),
            commit: "1a2b3c4d5e".to_owned(),
        };
        assert_eq!(
            file_name("project", &tip("refs/heads/feature/x")),
            "project-feature-x-1a2b3c4d.zip"
        );
        assert_eq!(
            file_name("project", &tip("refs/tags/v1")),
            "project-v1-1a2b3c4d.zip"
        );
    }

    #[test]
    fn a_failed_execution_says_error_cause_and_remedy() {
        let ended = Ended {
            status: ExecutionStatus::Failed,
            output: None,
            error: Some("CommitNotFound".to_owned()),
            cause: Some("the commit is gone".to_owned()),
            took: std::time::Duration::ZERO,
        };
        let trail = Trail {
            events: vec![],
            state: None,
        };
        let push_id = domain::samples::push("1", "refs/heads/main").push_id;
        let push = EndedPush {
            push_id,
            ended,
            trail,
        };
        let message = outcome(&push).unwrap_err().to_string();
        for part in [
            "CommitNotFound",
            "the commit is gone",
            domain::error::Code::CommitNotFound.remedy(),
        ] {
            assert!(message.contains(part), "{message}");
        }
    }
}
