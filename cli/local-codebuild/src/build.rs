//! One build, from its beginning to its end.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_s3::primitives::ByteStream;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::api::{BuildArtifacts, ExportedVariable, PhaseContext, PhaseType, Status};
use crate::artifacts;
use crate::bash::{self, Bash};
use crate::buildspec::{Buildspec, Commands, OnFailure};
use crate::context::Context;
use crate::environment;
use crate::folders::Folder;
use crate::log::Log;
use crate::log_stream::LogStream;
use crate::project::BuildRequest;
use crate::record::{Failure, Record};
use crate::source;
use crate::{aws_message, chain};

/// The longest command that a message quotes, in characters.
const MAX_QUOTE: usize = 2_000;

/// The largest buildspec, in bytes.
const MAX_BUILDSPEC: u64 = 1 << 20;

/// Runs a build until it is complete. If `stop` is cancelled or it takes too long, all its processes end.
pub(crate) async fn run(
    context: Arc<Context>,
    request: BuildRequest,
    record: Record,
    stop: CancellationToken,
) {
    record.enter(PhaseType::Queued);
    record.leave(Status::Succeeded, PhaseContext::default());
    let limit = context.settings.minute * u32::from(request.timeout_in_minutes);
    let mut log = None;
    let ended = tokio::select! {
        biased;
        () = stop.cancelled() => Err((Status::Stopped, PhaseContext::default())),
        done = timeout(limit, work(&context, &request, &record, &mut log)) => done.map_err(|_| {
            (Status::TimedOut, context_of(Failure {
                code: "BUILD_TIMED_OUT",
                message: format!("Build has timed out after {} minutes.", request.timeout_in_minutes),
            }))
        }),
    };
    let status = match ended {
        Ok(status) => status,
        Err((status, why)) => {
            leave(&record, log.as_mut(), status, why).await;
            status
        }
    };
    if let Some(log) = log {
        log.close().await;
    }
    record.complete(status);
}

/// Does the work of a build, and returns how it ended. The log is left open.
async fn work(context: &Context, request: &BuildRequest, record: &Record, log: &mut Option<Log>) -> Status {
    record.enter(PhaseType::Provisioning);
    let (role, log) = match provision(context, request, record).await {
        Ok((role, opened)) => (role, log.insert(opened)),
        Err(failure) => {
            leave(record, None, Status::Failed, context_of(failure)).await;
            return Status::Failed;
        }
    };
    introduce(log, request).await;
    end_phase(record, log, Ok(())).await;

    record.enter(PhaseType::DownloadSource);
    let prepared = prepare(context, request, record, &role, log).await;
    let Some((folder, buildspec)) = end_phase(record, log, prepared).await else {
        return Status::Failed;
    };

    let environment = environment::of(context, &record.build(), &buildspec, &folder, &role.credentials);
    let output = match log.writer() {
        Ok(output) => output,
        Err(error) => {
            record.enter(PhaseType::Install);
            end_phase::<()>(record, log, Err(Failure::client(chain(&error)))).await;
            return Status::Failed;
        }
    };
    let settings = bash::Settings {
        environment,
        folder: folder.source(),
        state: folder.join("state"),
    };
    let mut bash = Bash::new(settings, environment::MARK, output);
    let commands = run_phases(&mut bash, &buildspec, record, log).await;
    record.set_exported(exported(&mut bash, &buildspec, &folder).await);
    if commands.aborted {
        return Status::Failed;
    }
    record.enter(PhaseType::UploadArtifacts);
    let uploaded = upload(request, record, &role, &folder, &buildspec, log).await;
    match end_phase(record, log, uploaded).await {
        Some(()) if !commands.failed => Status::Succeeded,
        _ => Status::Failed,
    }
}

/// The project's role, assumed.
struct Role {
    config: SdkConfig,
    credentials: Credentials,
}

/// Assumes the role and opens the log.
async fn provision(
    context: &Context,
    request: &BuildRequest,
    record: &Record,
) -> Result<(Role, Log), Failure> {
    let build = record.build();
    let denied = |message: String| Failure {
        code: "ACCESS_DENIED",
        message,
    };
    let assumed = aws_sdk_sts::Client::new(&context.settings.aws)
        .assume_role()
        .role_arn(&request.role)
        .role_session_name(format!("AWSCodeBuild-{}", build.logs.stream_name))
        .send()
        .await;
    let assumed = assumed.map_err(|error| {
        denied(format!(
            "CodeBuild is not authorized to perform: sts:AssumeRole on {}: {}",
            request.role,
            aws_message("sts:AssumeRole", &error)
        ))
    })?;
    let keys = assumed.credentials();
    let keys = keys.ok_or_else(|| denied(format!("{} has no credentials", request.role)))?;
    let credentials = Credentials::new(
        keys.access_key_id(),
        keys.secret_access_key(),
        Some(keys.session_token().to_owned()),
        None,
        "the service role of a CodeBuild project",
    );
    let provider = SharedCredentialsProvider::new(credentials.clone());
    let config = context
        .settings
        .aws
        .to_builder()
        .credentials_provider(provider)
        .build();
    let stream = LogStream::create(
        &context.endpoint,
        &context.region,
        credentials.clone(),
        &build.logs,
    );
    let stream = stream.await.map_err(|message| {
        denied(format!(
            "Service role {} does not allow AWS CodeBuild to create Amazon CloudWatch Logs log streams for build {}. \
             Error message: {message}",
            request.role, build.arn
        ))
    })?;
    let log = Log::open(stream, &build.id, context.settings.lines.clone());
    let log = log.map_err(|error| Failure::client(chain(&error)))?;
    Ok((Role { config, credentials }, log))
}

/// Says what this is not.
async fn introduce(log: &mut Log, request: &BuildRequest) {
    let user = rustix::process::getuid().as_raw();
    for line in [
        "This build runs on this machine, by Push Code's local CodeBuild. It is not AWS CodeBuild:"
            .to_owned(),
        format!(
            "- no image: not {} but the programs of this machine, for {}",
            request.environment.image,
            std::env::consts::ARCH
        ),
        format!(
            "- no isolation: the repository's code runs as the user {user}, with a clean environment and a folder of its own, \
             and can reach what that user can"
        ),
        format!(
            "- no limits: not {}, but this machine's memory and processors",
            request.environment.compute_type
        ),
    ] {
        log.line(line).await;
    }
    if !request.not_applied.is_empty() {
        log.line(format!(
            "- of StartBuild, not applied: {}",
            request.not_applied.join(", ")
        ))
        .await;
    }
}

/// Downloads and unpacks the source, and reads the buildspec.
async fn prepare(
    context: &Context,
    request: &BuildRequest,
    record: &Record,
    role: &Role,
    log: &mut Log,
) -> Result<(Arc<Folder>, Buildspec), Failure> {
    let folder = context.folders.take(&request.project);
    let folder = Arc::new(folder.map_err(|error| Failure::client(chain(&error)))?);
    log.line(format!("CODEBUILD_SRC_DIR={}", folder.source().display()))
        .await;
    download(context, request, record, role, &folder.join("source.zip")).await?;
    let unpacking = Arc::clone(&folder);
    let limits = context.settings.limits;
    // If the build is stopped, the folder stays until this has ended.
    let unpacked = tokio::task::spawn_blocking(move || {
        let zip = fs::File::open(unpacking.join("source.zip"));
        let zip = zip.map_err(|error| Failure::client(chain(&error)))?;
        source::unpack(zip, &unpacking.source(), limits).map_err(|error| Failure::client(chain(&error)))
    });
    unpacked
        .await
        .map_err(|error| Failure::client(chain(&error)))
        .flatten()?;
    let buildspec = Buildspec::parse(&find_buildspec(request.buildspec.as_deref(), &folder.source())?)?;
    if !buildspec.not_applied.is_empty() {
        let names: Vec<_> = buildspec.not_applied.iter().map(String::as_str).collect();
        log.line(format!("Of the buildspec, not applied: {}", names.join(", ")))
            .await;
    }
    let phases: Vec<_> = buildspec
        .phases
        .in_order()
        .into_iter()
        .filter(|(_, phase)| !phase.commands.is_empty())
        .collect();
    log.line(format!("Phases found in YAML: {}", phases.len())).await;
    for (name, phase) in phases {
        log.line(format!(" {}: {} commands", name.as_ref(), phase.commands.len()))
            .await;
    }
    Ok((folder, buildspec))
}

async fn download(
    context: &Context,
    request: &BuildRequest,
    record: &Record,
    role: &Role,
    path: &Path,
) -> Result<(), Failure> {
    let source = &request.source;
    let from = |message: String| {
        Failure::client(format!(
            "{message} for primary source s3://{}/{}",
            source.bucket, source.key
        ))
    };
    let get = s3(&role.config)
        .get_object()
        .bucket(&source.bucket)
        .key(&source.key)
        .set_version_id(source.version.clone());
    let object = get.send().await;
    let object = object.map_err(|error| from(aws_message("s3:GetObject", &error)))?;
    record.set_source_version(object.version_id().map(ToOwned::to_owned));
    let limit = context.settings.limits.bytes;
    let copy = async {
        let mut file = tokio::fs::File::create(path).await?;
        let mut body = object.body.into_async_read();
        let copied = tokio::io::copy(
            &mut tokio::io::AsyncReadExt::take(&mut body, limit.saturating_add(1)),
            &mut file,
        )
        .await?;
        file.flush().await?;
        Ok::<_, std::io::Error>(copied)
    };
    let copied = copy.await.map_err(|error| from(chain(&error)))?;
    if copied > limit {
        return Err(from(format!("the zip has more than {limit} bytes,")));
    }
    Ok(())
}

/// Returns the buildspec: the text itself if it is one, or else the file of that name in the source.
fn find_buildspec(buildspec: Option<&str>, source: &Path) -> Result<String, Failure> {
    let name = buildspec.unwrap_or("buildspec.yml");
    if name.contains('\n') || name.starts_with('{') {
        return Ok(name.to_owned());
    }
    if name.starts_with("arn:") {
        return Err(Failure::yaml_file(format!(
            "the local CodeBuild reads a buildspec from the source, not from {name}"
        )));
    }
    let path = source.join(name);
    let io = |error: &std::io::Error| Failure::yaml_file(format!("stat {}: {error}", path.display()));
    if !source::is_inside(Path::new(name)) {
        return Err(Failure::yaml_file(format!(
            "the buildspec {name:?} is outside the source"
        )));
    }
    let metadata = fs::metadata(&path).map_err(|error| io(&error))?;
    if !metadata.is_file() || metadata.len() > MAX_BUILDSPEC {
        return Err(Failure::yaml_file(format!(
            "the buildspec {name:?} is no file of at most {MAX_BUILDSPEC} bytes"
        )));
    }
    fs::read_to_string(&path).map_err(|error| io(&error))
}

/// How the phases with commands have ended.
struct Ended {
    failed: bool,
    /// Whether no output is uploaded.
    aborted: bool,
}

async fn run_phases(bash: &mut Bash, buildspec: &Buildspec, record: &Record, log: &mut Log) -> Ended {
    let mut ended = Ended {
        failed: false,
        aborted: false,
    };
    for (phase, commands) in buildspec.phases.in_order() {
        record.enter(phase);
        log.line(format!("Entering phase {}", phase.as_ref())).await;
        let done = run_commands(bash, commands, log).await;
        if end_phase(record, log, done).await.is_some() {
            continue;
        }
        ended.failed = true;
        // If it fails, there is no bash, and the next command fails.
        let _ = bash.run("export CODEBUILD_BUILD_SUCCEEDING=0").await;
        let by_default = match phase {
            PhaseType::Build | PhaseType::PostBuild => OnFailure::Continue,
            _ => OnFailure::Abort,
        };
        if commands.failure.unwrap_or(by_default) == OnFailure::Abort {
            ended.aborted = true;
            break;
        }
    }
    ended
}

/// Runs the commands of a phase until one fails, and then those that run in any case.
async fn run_commands(bash: &mut Bash, phase: &Commands, log: &mut Log) -> Result<(), Failure> {
    let done = run_each(bash, &phase.commands, log).await;
    let finally = run_each(bash, &phase.finally, log).await;
    done.and(finally)
}

async fn run_each(bash: &mut Bash, commands: &[String], log: &mut Log) -> Result<(), Failure> {
    for command in commands {
        let command = command.trim_end();
        log.line(format!("Running command {command}")).await;
        let reason = match bash.run(command).await {
            Ok(0) => continue,
            Ok(code) => format!("exit status {code}"),
            Err(error) => format!("bash cannot be run: {error}"),
        };
        log.line(format!("Command did not exit successfully {command} {reason}"))
            .await;
        let quoted: String = command.chars().take(MAX_QUOTE).collect();
        return Err(Failure {
            code: "COMMAND_EXECUTION_ERROR",
            message: format!("Error while executing command: {quoted}. Reason: {reason}"),
        });
    }
    Ok(())
}

/// Returns the variables that the buildspec exports and the commands have set.
async fn exported(bash: &mut Bash, buildspec: &Buildspec, folder: &Folder) -> Vec<ExportedVariable> {
    let names = &buildspec.env.exported_variables;
    let path = folder.join("exported");
    let quoted = path.to_string_lossy().replace('\'', r"'\''");
    if names.is_empty() || !matches!(bash.run(&format!("/usr/bin/env -0 >'{quoted}'")).await, Ok(0)) {
        return vec![];
    }
    let text = fs::read(&path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let variables = text.split('\0').filter_map(|variable| variable.split_once('='));
    variables
        .filter(|(name, _)| names.iter().any(|exported| exported == name))
        .map(|(name, value)| ExportedVariable {
            name: name.to_owned(),
            value: value.to_owned(),
        })
        .collect()
}

async fn upload(
    request: &BuildRequest,
    record: &Record,
    role: &Role,
    folder: &Arc<Folder>,
    buildspec: &Buildspec,
    log: &mut Log,
) -> Result<(), Failure> {
    let Some(output) = &request.output else {
        return Ok(());
    };
    let missing = || Failure::client("the buildspec names no artifacts: add `artifacts` with `files`");
    let artifacts = buildspec.artifacts.clone().ok_or_else(missing)?;
    let base = artifacts.base_directory.as_deref().unwrap_or(".").to_owned();
    log.line(format!("Expanding base directory path: {base}")).await;
    let packing = Arc::clone(folder);
    let packed = tokio::task::spawn_blocking(move || {
        artifacts::pack(&artifacts, &packing.source(), &packing.join("output.zip"))
    });
    let packed = packed.await.map_err(|error| Failure::client(chain(&error)))?;
    let packed = packed.map_err(|error| Failure::client(chain(&error)))?;
    log.line(format!("Found {} file(s)", packed.files)).await;
    let body = ByteStream::from_path(folder.join("output.zip")).await;
    let put = s3(&role.config)
        .put_object()
        .bucket(&output.bucket)
        .key(&output.key)
        .content_type("application/zip")
        .body(body.map_err(|error| Failure::client(chain(&error)))?);
    put.send().await.map_err(|error| {
        Failure::client(format!(
            "Error in UPLOAD_ARTIFACTS phase: {} for s3://{}/{}",
            aws_message("s3:PutObject", &error),
            output.bucket,
            output.key
        ))
    })?;
    record.set_artifacts(BuildArtifacts {
        location: output.arn(),
        sha256sum: Some(packed.sha256),
    });
    Ok(())
}

/// Returns a client that names buckets in paths, because no name leads to a bucket on this machine.
fn s3(config: &SdkConfig) -> aws_sdk_s3::Client {
    let config = aws_sdk_s3::config::Builder::from(config).force_path_style(true);
    aws_sdk_s3::Client::from_conf(config.build())
}

/// Ends the current phase as `result` says, and returns what came of it, or `None` if it has failed.
async fn end_phase<T>(record: &Record, log: &mut Log, result: Result<T, Failure>) -> Option<T> {
    let (done, status, why) = match result {
        Ok(done) => (Some(done), Status::Succeeded, PhaseContext::default()),
        Err(failure) => (None, Status::Failed, context_of(failure)),
    };
    leave(record, Some(log), status, why).await;
    done
}

async fn leave(record: &Record, log: Option<&mut Log>, status: Status, why: PhaseContext) {
    let line = format!(
        "Phase context status code: {} Message: {}",
        why.status_code, why.message
    );
    let phase = record.leave(status, why);
    if let Some(log) = log {
        log.line(format!(
            "Phase complete: {} State: {}",
            phase.as_ref(),
            status.as_ref()
        ))
        .await;
        log.line(line).await;
    }
}

fn context_of(failure: Failure) -> PhaseContext {
    PhaseContext {
        status_code: failure.code.to_owned(),
        message: failure.message,
    }
}
