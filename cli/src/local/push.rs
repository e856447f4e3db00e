//! `push-code local push`: one push through the whole of it, on this machine.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use deployed_stack::Stack;
use deployed_stack::trail::Trail;
use deployed_stack::webhook_client::Webhook;
use domain::contract::Delivered;
use local_aws::aws::LocalAws;
use local_aws::checkout::Checkout;
use serde_json::Value;
use sha2::{Digest, Sha256};
use shell::progress::Progress;
use webhook::gitlab::{Delivery, PushHook};

use super::execution::deliver;
use super::fail::{FailingPush, FailureKind};
use super::options::{parse_option, source_options};
use super::session::{push_lock, session};
use super::stack::{AwsArgs, allow_host_of, up_options};
use crate::Error;
use crate::origin::{self, LoginArgs};
use crate::repository::{Location, Tip};
use crate::results::Results;
use crate::summary::Summary;

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
}
