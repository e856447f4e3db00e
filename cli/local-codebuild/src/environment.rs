//! The environment of a build: nothing of this process's own but where programs are.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use aws_credential_types::Credentials;

use crate::api::Build;
use crate::buildspec::Buildspec;
use crate::context::Context;
use crate::folders::Folder;

/// The variable that shows which processes belong to a build.
pub(crate) const MARK: &str = "CODEBUILD_BUILD_ID";

/// Returns the environment of `build`. CodeBuild's own variables go before those of the request and the project, these
/// before the buildspec's, and these before those of the settings.
pub(crate) fn of(
    context: &Context,
    build: &Build,
    buildspec: &Buildspec,
    folder: &Folder,
    credentials: &Credentials,
) -> Vec<(String, OsString)> {
    let mut all: BTreeMap<String, OsString> = BTreeMap::new();
    let own = std::env::var_os("PATH").unwrap_or_default();
    let path = context
        .settings
        .path
        .iter()
        .cloned()
        .chain(std::env::split_paths(&own));
    // A folder whose name has a colon cannot be found.
    let path = std::env::join_paths(path).unwrap_or(own);
    all.extend([
        ("PATH".to_owned(), path),
        ("HOME".to_owned(), folder.join("home").into()),
        ("TMPDIR".to_owned(), folder.join("tmp").into()),
        ("LANG".to_owned(), "C.UTF-8".into()),
    ]);
    for (variable, name) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
        let user = std::env::var_os("HOME").map(|home| Path::new(&home).join(name).into());
        all.extend(
            std::env::var_os(variable)
                .or(user)
                .map(|folder| (variable.to_owned(), folder)),
        );
    }
    let text = |(name, value): (&str, &str)| (name.to_owned(), OsString::from(value));
    all.extend([
        text(("AWS_REGION", &context.region)),
        text(("AWS_DEFAULT_REGION", &context.region)),
        text(("AWS_ENDPOINT_URL", &context.endpoint)),
        text(("AWS_ACCESS_KEY_ID", credentials.access_key_id())),
        text(("AWS_SECRET_ACCESS_KEY", credentials.secret_access_key())),
        text((
            "AWS_SESSION_TOKEN",
            credentials.session_token().unwrap_or_default(),
        )),
    ]);
    let settings = context.settings.variables.iter();
    let buildspec = buildspec.env.variables.iter();
    all.extend(settings.chain(buildspec).map(|(name, value)| text((name, value))));
    let variables = build.environment.environment_variables.iter();
    all.extend(variables.map(|variable| text((&variable.name, &variable.value))));
    all.extend([
        text((MARK, &build.id)),
        text(("CODEBUILD_BUILD_ARN", &build.arn)),
        text(("CODEBUILD_BUILD_IMAGE", &build.environment.image)),
        text(("CODEBUILD_BUILD_NUMBER", &build.build_number.to_string())),
        text(("CODEBUILD_BUILD_SUCCEEDING", "1")),
        text(("CODEBUILD_INITIATOR", &build.initiator)),
        text(("CODEBUILD_LOG_PATH", &build.logs.stream_name)),
        text((
            "CODEBUILD_RESOLVED_SOURCE_VERSION",
            build.resolved_source_version.as_deref().unwrap_or_default(),
        )),
        text(("CODEBUILD_SOURCE_REPO_URL", &build.source.location)),
        text((
            "CODEBUILD_SOURCE_VERSION",
            build.source_version.as_deref().unwrap_or_default(),
        )),
        text((
            "CODEBUILD_START_TIME",
            &format!("{:.0}", build.start_time * 1000.0),
        )),
        ("CODEBUILD_SRC_DIR".to_owned(), folder.source().into()),
    ]);
    all.into_iter().collect()
}
