//! Runs builds on the local AWS, and asks for them with the SDK's own client of CodeBuild.

#![expect(clippy::unwrap_used, reason = "a test")]

mod scene;

use std::io::{Cursor, Read};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use aws_sdk_codebuild::error::ProvideErrorMetadata;
use aws_sdk_codebuild::types::{BuildPhaseType, EnvironmentVariable, EnvironmentVariableType, StatusType};
use scene::{Scene, client_at, failure, output_at, phase, phases, zip};
use sha2::{Digest, Sha256};
use zip::ZipArchive;
use zip::write::SimpleFileOptions;

fn variable(name: &str, value: &str) -> EnvironmentVariable {
    EnvironmentVariable::builder()
        .name(name)
        .value(value)
        .build()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_makes_an_output_from_a_version_of_the_source() {
    let mut scene = Scene::start(|settings| {
        settings.path = vec!["/opt/tools of mine".into()];
        settings
            .variables
            .insert("CARGO_TARGET_DIR".to_owned(), "/kept".to_owned());
    })
    .await;
    let buildspec = r#"
version: 0.2
env:
  shell: bash
  variables: {OF_BUILDSPEC: buildspec, OF_BOTH: buildspec}
  exported-variables: [TESTS_PASSED, NOT_EXPORTED, NOT_SET]
phases:
  install:
    runtime-versions: {python: "3.12"}
  pre_build:
    commands:
      - cd app
      - NOT_EXPORTED=1
      - export TESTS_PASSED="$(./count)"
  build:
    commands:
      - mkdir -p ../out/fn && cp count ../out/fn/ && echo "$PWD" >../out/folder
      - env -0 >../out/environment
artifacts:
  base-directory: out
  files: ['**/*']
"#;
    let version = scene
        .put(&[
            ("app/count", "#!/bin/sh\necho 12\n"),
            ("app/spec/build.yml", buildspec),
        ])
        .await;
    // A newer version is not what is built.
    scene.put(&[("buildspec.yml", "nonsense")]).await;
    let started = scene
        .build_of(&version)
        .buildspec_override("app/spec/build.yml")
        .artifacts_override(output_at("builds/7"))
        .environment_variables_override(variable("OF_REQUEST", "a 'b' $c"))
        .environment_variables_override(variable("OF_BOTH", "request"))
        .queued_timeout_in_minutes_override(5)
        .send()
        .await
        .unwrap()
        .build_value
        .unwrap();
    assert_eq!(started.build_status(), Some(&StatusType::InProgress));
    let build = scene.completed(started.id()).await;
    let log = scene.log(&build).await;

    assert_eq!(build.build_status(), Some(&StatusType::Succeeded), "{log}");
    let all = "SUBMITTED QUEUED PROVISIONING DOWNLOAD_SOURCE INSTALL PRE_BUILD BUILD POST_BUILD UPLOAD_ARTIFACTS FINALIZING COMPLETED";
    assert_eq!(phases(&build), all);
    assert_eq!(build.current_phase(), Some("COMPLETED"));
    assert!(build.end_time().unwrap() >= build.start_time().unwrap());
    let id = build.id().unwrap();
    assert!(id.starts_with("app:"), "{id}");
    let arn = format!("arn:aws:codebuild:us-east-1:000000000000:build/{id}");
    assert_eq!(build.arn(), Some(arn.as_str()));
    assert_eq!(scene.get(Some(&arn)).await.id(), Some(id));
    assert_eq!(
        (build.build_number(), build.timeout_in_minutes()),
        (Some(1), Some(7))
    );
    assert_eq!(build.source_version(), Some(version.as_str()));
    assert_eq!(build.resolved_source_version(), Some(version.as_str()));
    let exported = build.exported_environment_variables();
    let exported: Vec<_> = exported
        .iter()
        .map(|variable| (variable.name().unwrap(), variable.value().unwrap()))
        .collect();
    assert_eq!(exported, [("TESTS_PASSED", "12")]);

    let get = scene.s3.get_object().bucket("built").key("builds/7/output.zip");
    let output = get.send().await.unwrap().body.collect().await.unwrap().to_vec();
    let artifacts = build.artifacts().unwrap();
    assert_eq!(
        artifacts.location(),
        Some("arn:aws:s3:::built/builds/7/output.zip")
    );
    assert_eq!(
        artifacts.sha256_sum().unwrap(),
        hex::encode(Sha256::digest(&output))
    );
    let mut output = ZipArchive::new(Cursor::new(output)).unwrap();
    assert_eq!(
        output.by_name("fn/count").unwrap().unix_mode().unwrap() & 0o777,
        0o755
    );
    let mut text = |name: &str| {
        let mut text = String::new();
        output.by_name(name).unwrap().read_to_string(&mut text).unwrap();
        text
    };
    assert!(text("folder").trim_end().ends_with("/the builds/app-0/src/app"));
    the_environment_is_the_build_s_own(&text("environment"), id);
    the_log_says_what_this_is_not(&log);
    scene
        .line("[Container] Phase complete: UPLOAD_ARTIFACTS State: SUCCEEDED")
        .await;
    // Neither the source nor credentials stay on the disk.
    assert!(!scene.folder.path().join("the builds/app-0").exists());
    let mode = std::fs::metadata(scene.folder.path().join("the builds"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
}

fn the_environment_is_the_build_s_own(environment: &str, id: &str) {
    let variables: std::collections::BTreeMap<_, _> = environment
        .split('\0')
        .filter_map(|variable| variable.split_once('='))
        .collect();
    for (name, value) in [
        ("OF_BUILDSPEC", "buildspec"),
        ("OF_PROJECT", "project"),
        ("OF_REQUEST", "a 'b' $c"),
        ("OF_BOTH", "request"),
        ("CARGO_TARGET_DIR", "/kept"),
        ("AWS_REGION", "us-east-1"),
        ("CODEBUILD_BUILD_ID", id),
        ("CODEBUILD_BUILD_SUCCEEDING", "1"),
        ("CODEBUILD_SOURCE_REPO_URL", "zips/app/source.zip"),
    ] {
        assert_eq!(variables.get(name), Some(&value), "{name}");
    }
    assert!(variables["PATH"].starts_with("/opt/tools of mine:"));
    assert!(variables["HOME"].ends_with("/the builds/app-0/home"));
    assert!(
        variables["AWS_ACCESS_KEY_ID"].starts_with("ASIA"),
        "{}",
        variables["AWS_ACCESS_KEY_ID"]
    );
    let known = [
        "PATH",
        "HOME",
        "TMPDIR",
        "LANG",
        "CARGO_HOME",
        "RUSTUP_HOME",
        "CARGO_TARGET_DIR",
        "TESTS_PASSED",
    ];
    let shell = ["PWD", "OLDPWD", "SHLVL", "_"];
    for name in variables.keys() {
        let named = ["AWS_", "CODEBUILD_", "OF_"]
            .iter()
            .any(|prefix| name.starts_with(prefix));
        assert!(
            named || known.contains(name) || shell.contains(name),
            "{name} is the caller's"
        );
    }
}

fn the_log_says_what_this_is_not(log: &str) {
    let lines: Vec<_> = log.lines().collect();
    for (line, said) in [
        "It is not AWS CodeBuild",
        "no image: not aws/codebuild/amazonlinux-x86_64-standard:5.0",
        "no isolation: the repository's code runs as the user",
        "no limits: not BUILD_GENERAL1_SMALL",
        "of StartBuild, not applied: queuedTimeoutInMinutesOverride",
    ]
    .iter()
    .enumerate()
    {
        assert!(lines[line].contains(said), "{log}");
    }
    assert!(
        log.contains("Of the buildspec, not applied: phases.install.runtime-versions"),
        "{log}"
    );
    assert!(
        log.contains("Entering phase PRE_BUILD\n[Container] Running command cd app\n"),
        "{log}"
    );
    assert!(log.ends_with("Phase complete: UPLOAD_ARTIFACTS State: SUCCEEDED\n[Container] Phase context status code:  Message: "), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_phase_says_which_command_has_failed_and_what_follows() {
    let scene = Scene::start(|_| {}).await;
    let begin = "SUBMITTED QUEUED PROVISIONING DOWNLOAD_SOURCE INSTALL";
    let phases_of = |more: &str| format!("{begin} {more}");

    let tests = "version: 0.2\nenv: {exported-variables: [TESTS_PASSED]}\nphases:\n  pre_build:\n    commands:\n      \
        - export TESTS_PASSED=3\n      - echo 1 of 4 failed; exit 101\n      - echo not here\n    \
        finally: [echo \"finally $TESTS_PASSED\"]\n  build: {commands: [echo nor here]}\n";
    let build = scene.build(tests).await;
    assert_eq!(build.build_status(), Some(&StatusType::Failed));
    assert_eq!(phases(&build), phases_of("PRE_BUILD! FINALIZING COMPLETED"));
    assert_eq!(
        failure(&build),
        (
            "COMMAND_EXECUTION_ERROR".to_owned(),
            "Error while executing command: echo 1 of 4 failed; exit 101. Reason: exit status 101".to_owned()
        )
    );
    assert_eq!(build.exported_environment_variables()[0].value(), Some("3"));
    let log = scene.log(&build).await;
    assert!(
        log.contains("\n1 of 4 failed\n") && log.contains("\nfinally 3\n"),
        "{log}"
    );
    assert!(!log.contains(" here\n"), "{log}");
    assert!(log.contains("Phase complete: PRE_BUILD State: FAILED"), "{log}");

    // After a failed build phase, post_build runs, and the output is uploaded.
    let compile = "version: 0.2\nphases:\n  build: {commands: ['echo x >x; false']}\n  post_build:\n    commands: \
        ['echo \"succeeding: $CODEBUILD_BUILD_SUCCEEDING\"']\nartifacts: {files: [x]}\n";
    let version = scene.put(&[("buildspec.yml", compile)]).await;
    let start = scene.build_of(&version).artifacts_override(output_at("builds/8"));
    let build = scene
        .completed(start.send().await.unwrap().build_value.unwrap().id())
        .await;
    assert_eq!(build.build_status(), Some(&StatusType::Failed));
    let after = "PRE_BUILD BUILD! POST_BUILD UPLOAD_ARTIFACTS FINALIZING COMPLETED";
    assert_eq!(phases(&build), phases_of(after));
    assert!(scene.log(&build).await.contains("\nsucceeding: 0\n"));
    assert!(build.artifacts().unwrap().sha256_sum().is_some());

    let aborted = scene
        .build(&compile.replace("build: {", "build: {on-failure: ABORT, "))
        .await;
    assert_eq!(
        phases(&aborted),
        phases_of("PRE_BUILD BUILD! FINALIZING COMPLETED")
    );
    let continued = tests.replace("pre_build:\n", "pre_build:\n    on-failure: CONTINUE\n");
    let continued = scene.build(&continued).await;
    let after = "PRE_BUILD! BUILD POST_BUILD UPLOAD_ARTIFACTS FINALIZING COMPLETED";
    assert_eq!(phases(&continued), phases_of(after));
    assert_eq!(continued.build_status(), Some(&StatusType::Failed));

    // Without any file there is no output.
    let version = scene
        .put(&[(
            "buildspec.yml",
            "version: 0.2\nphases: {}\nartifacts: {files: [x]}\n",
        )])
        .await;
    let start = scene.build_of(&version).artifacts_override(output_at("builds/9"));
    let build = scene
        .completed(start.send().await.unwrap().build_value.unwrap().id())
        .await;
    assert_eq!(
        failure(&build),
        (
            "CLIENT_ERROR".to_owned(),
            "no matching artifact paths found".to_owned()
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_or_buildspec_that_is_wrong_fails_before_any_command() {
    let scene = Scene::start(|settings| settings.limits.bytes = 1 << 20).await;
    for (buildspec, said) in [
        ("version: 0.2\nphases: [", "line 2"),
        ("version: 0.3\nphases: {}\n", "version is 0.3"),
        (
            "version: 0.2\nenv: {parameter-store: {A: b}}\nphases: {}\n",
            "env.parameter-store",
        ),
    ] {
        let build = scene.build(buildspec).await;
        let (code, message) = failure(&build);
        assert_eq!(code, "YAML_FILE_ERROR");
        assert!(message.contains(said), "{message}");
        let all = "SUBMITTED QUEUED PROVISIONING DOWNLOAD_SOURCE! FINALIZING COMPLETED";
        assert_eq!(phases(&build), all);
    }
    let version = scene.put(&[("x", "y")]).await;
    for (buildspec, said) in [
        ("buildspec.yml", "No such file or directory"),
        ("../source.zip", "outside the source"),
        ("/etc/passwd", "outside the source"),
    ] {
        let start = scene.build_of(&version).buildspec_override(buildspec);
        let build = scene
            .completed(start.send().await.unwrap().build_value.unwrap().id())
            .await;
        let (code, message) = failure(&build);
        assert_eq!(code, "YAML_FILE_ERROR");
        assert!(message.contains(said), "{message}");
    }
    let inline = scene
        .build_of(&version)
        .buildspec_override("version: 0.2\nphases: {build: {commands: [cat x]}}\n");
    let build = scene
        .completed(inline.send().await.unwrap().build_value.unwrap().id())
        .await;
    assert_eq!(build.build_status(), Some(&StatusType::Succeeded));

    let mut link = zip::ZipWriter::new(Cursor::new(Vec::new()));
    link.add_symlink("link", "/etc", SimpleFileOptions::default())
        .unwrap();
    let bomb = "0".repeat(2 << 20);
    for (source, said) in [
        (zip(&[("../evil", "x")]), "leads out of its folder"),
        (zip(&[("/tmp/evil", "x")]), "leads out of its folder"),
        (link.finish().unwrap().into_inner(), "link \"link\" leads out"),
        (zip(&[("bomb", &bomb)]), "more than 1048576 bytes"),
        (vec![b'x'; 2 << 20], "more than 1048576 bytes"),
        (b"no zip".to_vec(), "not a valid zip"),
    ] {
        let version = scene.put_bytes("app/source.zip", source).await;
        let started = scene
            .build_of(&version)
            .send()
            .await
            .unwrap()
            .build_value
            .unwrap();
        let build = scene.completed(started.id()).await;
        let (code, message) = failure(&build);
        assert_eq!(code, "CLIENT_ERROR");
        assert!(message.contains(said), "{message}");
    }
    assert!(!scene.folder.path().join("the builds/evil").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_has_its_role_s_rights_alone() {
    let scene = Scene::start(|_| {}).await;
    let spec = "version: 0.2\nphases: {}\nartifacts: {files: ['**/*']}\n";
    let source = zip(&[("buildspec.yml", spec)]);
    let version = scene.put_bytes("other/source.zip", source.clone()).await;
    let start = scene
        .build_of(&version)
        .source_location_override("zips/other/source.zip");
    let build = scene
        .completed(start.send().await.unwrap().build_value.unwrap().id())
        .await;
    let (code, message) = failure(&build);
    assert_eq!(code, "CLIENT_ERROR", "{message}");
    assert!(phases(&build).contains("DOWNLOAD_SOURCE!"), "{build:?}");
    assert!(
        message.contains("AccessDenied") && message.contains("s3://zips/other/source.zip"),
        "{message}"
    );

    let version = scene.put_bytes("app/source.zip", source).await;
    let start = scene
        .build_of(&version)
        .artifacts_override(output_at("elsewhere"));
    let build = scene
        .completed(start.send().await.unwrap().build_value.unwrap().id())
        .await;
    let (code, message) = failure(&build);
    assert_eq!(code, "CLIENT_ERROR");
    assert!(
        message.contains("UPLOAD_ARTIFACTS") && message.contains("AccessDenied"),
        "{message}"
    );

    // The same for the log of a project that the role does not name.
    let start = scene.build_of(&version).project_name("unlogged");
    let build = scene
        .completed(start.send().await.unwrap().build_value.unwrap().id())
        .await;
    let (code, message) = failure(&build);
    assert_eq!(code, "ACCESS_DENIED");
    assert!(phases(&build).contains("PROVISIONING!"), "{build:?}");
    assert!(message.contains("log streams"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_takes_too_long_or_is_stopped_ends_with_all_its_processes() {
    let mut scene = Scene::start(|settings| settings.minute = Duration::from_millis(600)).await;
    let hang = "version: 0.2\nphases:\n  build:\n    commands:\n      \
        - \"(setsid bash -c 'sleep 987 & sleep 987') & sleep 987 & echo started; wait\"\n";
    let version = scene.put(&[("buildspec.yml", hang)]).await;
    let start = scene.build_of(&version).timeout_in_minutes_override(5);
    let started = start.send().await.unwrap().build_value.unwrap();
    scene.line("started").await;
    let id = started.id().unwrap().to_owned();
    wait_until(|| of_build(&id) >= 4).await;
    let build = scene.completed(started.id()).await;
    assert_eq!(build.build_status(), Some(&StatusType::TimedOut));
    let last = phase(&build, &BuildPhaseType::Build);
    assert_eq!(last.phase_status(), Some(&StatusType::TimedOut));
    assert_eq!(last.contexts()[0].status_code(), Some("BUILD_TIMED_OUT"));
    assert_eq!(of_build(&id), 0);
    assert!(
        scene
            .log(&build)
            .await
            .contains("Phase complete: BUILD State: TIMED_OUT")
    );

    let start = scene.build_of(&version).timeout_in_minutes_override(480);
    let started = start.send().await.unwrap().build_value.unwrap();
    scene.line("started").await;
    let begin = Instant::now();
    let stop = scene.client.stop_build().id(started.id().unwrap());
    let build = stop.clone().send().await.unwrap().build_value.unwrap();
    assert_eq!(build.build_status(), Some(&StatusType::Stopped));
    assert!(build.build_complete());
    assert!(phases(&build).ends_with("PRE_BUILD BUILD! FINALIZING COMPLETED"));
    assert_eq!(of_build(started.id().unwrap()), 0);
    assert!(begin.elapsed() < Duration::from_secs(5));
    // A build that has ended stays as it was.
    let again = stop.send().await.unwrap().build_value.unwrap();
    assert_eq!(again.end_time(), build.end_time());

    // So does a build end with the server.
    let start = scene.build_of(&version).timeout_in_minutes_override(480);
    let started = start.send().await.unwrap().build_value.unwrap();
    scene.line("started").await;
    let id = started.id().unwrap();
    wait_until(|| of_build(id) >= 4).await;
    scene.codebuild = local_codebuild::CodeBuild::start(local_codebuild::Settings::new(
        scene.aws.clone(),
        "000000000000",
        scene.folder.path().join("others"),
    ))
    .await
    .unwrap();
    wait_until(|| of_build(id) == 0).await;
}

async fn wait_until(wanted: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !wanted() {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Returns how many processes have the build's id in their environment.
fn of_build(id: &str) -> usize {
    let variable = format!("CODEBUILD_BUILD_ID={id}");
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let environments = processes.filter_map(|process| std::fs::read(process.path().join("environ")).ok());
    environments
        .filter(|environment| {
            environment
                .split(|byte| *byte == 0)
                .any(|one| one == variable.as_bytes())
        })
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_answered_as_codebuild_does() {
    let scene = Scene::start(|_| {}).await;
    let spec = "version: 0.2\nphases: {build: {commands: [sleep 1; pwd]}}\n";
    let version = scene.put(&[("buildspec.yml", spec)]).await;

    // The same token is the same build, and another request with it an error.
    let start = scene.build_of(&version).idempotency_token("deployment 1");
    let first = start.clone().send().await.unwrap().build_value.unwrap();
    let again = start.clone().send().await.unwrap().build_value.unwrap();
    assert_eq!(again.id(), first.id());
    let other = start
        .environment_variables_override(variable("A", "b"))
        .send()
        .await
        .unwrap_err();
    let other = other.into_service_error();
    assert!(
        other.is_invalid_input_exception() && other.to_string().contains("InvalidInput"),
        "{other:?}"
    );

    // Two builds of a project at once have a folder each.
    let second = scene
        .build_of(&version)
        .send()
        .await
        .unwrap()
        .build_value
        .unwrap();
    assert_ne!(second.id(), first.id());
    let (first, second) = (
        scene.completed(first.id()).await,
        scene.completed(second.id()).await,
    );
    assert_eq!((first.build_number(), second.build_number()), (Some(1), Some(2)));
    assert!(second.start_time().unwrap() < first.end_time().unwrap());
    let mut folders = vec![];
    for build in [&first, &second] {
        assert_eq!(build.build_status(), Some(&StatusType::Succeeded));
        let log = scene.log(build).await;
        folders.extend(
            log.lines()
                .find(|line| line.starts_with('/'))
                .map(ToOwned::to_owned),
        );
    }
    folders.sort();
    assert!(
        folders[0].ends_with("/app-0/src") && folders[1].ends_with("/app-1/src"),
        "{folders:?}"
    );

    let unknown = scene
        .build_of(&version)
        .project_name("unknown")
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    assert!(unknown.is_resource_not_found_exception(), "{unknown:?}");
    let stop = scene
        .client
        .stop_build()
        .id("app:unknown")
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    assert!(stop.is_resource_not_found_exception(), "{stop:?}");
    let get = scene
        .client
        .batch_get_builds()
        .ids("app:unknown")
        .send()
        .await
        .unwrap();
    assert_eq!(get.builds_not_found(), ["app:unknown"]);
    let secret = variable("A", "b");
    let secret = EnvironmentVariable::builder()
        .name(secret.name())
        .value(secret.value())
        .r#type(EnvironmentVariableType::SecretsManager);
    for wrong in [
        scene.build_of(&version).project_name("../app"),
        scene.build_of(&version).source_location_override("zips"),
        scene.build_of(&version).timeout_in_minutes_override(1),
        scene
            .build_of(&version)
            .environment_variables_override(secret.build().unwrap()),
        scene.client.start_build().project_name("app"),
    ] {
        let error = wrong.send().await.unwrap_err().into_service_error();
        assert!(error.is_invalid_input_exception(), "{error:?}");
    }
    let list = scene
        .client
        .list_builds()
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    assert_eq!(list.code(), Some("UnknownOperationException"));

    // Without the path, which is a secret, nobody is served.
    let (origin, _) = scene.codebuild.endpoint().rsplit_once('/').unwrap();
    let stranger = client_at(&scene.aws, origin)
        .start_build()
        .project_name("app")
        .send()
        .await;
    assert_eq!(
        stranger.unwrap_err().raw_response().unwrap().status().as_u16(),
        404
    );
}
