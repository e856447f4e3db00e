//! The buildspec: <https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html>.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::api::PhaseType;
use crate::record::Failure;

/// A buildspec of version 0.2.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Buildspec {
    version: String,
    #[serde(default)]
    pub env: Env,
    pub phases: Phases,
    pub artifacts: Option<Artifacts>,
    /// The keys that are not applied here.
    #[serde(skip)]
    pub not_applied: BTreeSet<String>,
}

/// Variables.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Env {
    shell: Option<String>,
    pub variables: BTreeMap<String, String>,
    pub exported_variables: Vec<String>,
    parameter_store: BTreeMap<String, String>,
    secrets_manager: BTreeMap<String, String>,
}

/// The phases that have commands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Phases {
    pub install: Commands,
    pub pre_build: Commands,
    pub build: Commands,
    pub post_build: Commands,
}

/// The commands of a phase.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Commands {
    pub commands: Vec<String>,
    pub finally: Vec<String>,
    on_failure: Option<String>,
    #[serde(skip)]
    pub failure: Option<OnFailure>,
}

/// What follows a phase that has failed. By default, it depends on the phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnFailure {
    /// The build ends.
    Abort,
    /// The next phase begins.
    Continue,
}

/// The files that are the build's output.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Artifacts {
    pub files: Vec<String>,
    pub base_directory: Option<String>,
    discard_paths: Option<String>,
    exclude_paths: Vec<String>,
    secondary_artifacts: Option<IgnoredAny>,
}

impl Buildspec {
    /// Parses a buildspec.
    ///
    /// Keys that only make a build faster or describe it are accepted, and named in `not_applied`.
    ///
    /// # Errors
    /// Returns a failure if it is malformed, or asks for what changes a build and is not done here.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let options = serde_saphyr::options! { with_snippet: false };
        let mut ignored = BTreeSet::new();
        let parsed = serde_saphyr::with_deserializer_from_str_with_options(text, options, |yaml| {
            serde_ignored::deserialize(yaml, |path| {
                ignored.insert(path.to_string());
            })
        });
        let mut buildspec: Self = parsed.map_err(|error| Failure::yaml_file(error.to_string()))?;
        if buildspec.version != "0.2" {
            return Err(Failure::yaml_file(format!(
                "the buildspec's version is {}, and only 0.2 is known: write `version: 0.2`",
                buildspec.version
            )));
        }
        if let Some(unknown) = ignored.iter().find_map(|path| unknown_phase(path)) {
            return Err(Failure::yaml_file(format!(
                "Invalid buildspec phase name: {unknown}. Expecting: BUILD,INSTALL,POST_BUILD,PRE_BUILD"
            )));
        }
        buildspec.env.check()?;
        for commands in buildspec.phases.all_mut() {
            commands.check()?;
        }
        if let Some(artifacts) = &buildspec.artifacts {
            artifacts.check()?;
        }
        if buildspec.env.shell.is_none() {
            ignored
                .insert("the default shell, sh (this is bash: name it with `env: shell: bash`)".to_owned());
        }
        buildspec.not_applied = ignored;
        Ok(buildspec)
    }
}

/// Returns the name of the phase that `path` is the whole of.
fn unknown_phase(path: &str) -> Option<&str> {
    path.strip_prefix("phases.").filter(|name| !name.contains('.'))
}

impl Phases {
    fn all_mut(&mut self) -> [&mut Commands; 4] {
        [
            &mut self.install,
            &mut self.pre_build,
            &mut self.build,
            &mut self.post_build,
        ]
    }

    /// Returns the phases in their order.
    pub fn in_order(&self) -> [(PhaseType, &Commands); 4] {
        [
            (PhaseType::Install, &self.install),
            (PhaseType::PreBuild, &self.pre_build),
            (PhaseType::Build, &self.build),
            (PhaseType::PostBuild, &self.post_build),
        ]
    }
}

impl Env {
    fn check(&self) -> Result<(), Failure> {
        if let Some(shell) = self.shell.as_deref()
            && shell != "bash"
        {
            return Err(not_done(&format!("the shell {shell}"), "use bash"));
        }
        for (key, there) in [
            ("env.parameter-store", &self.parameter_store),
            ("env.secrets-manager", &self.secrets_manager),
        ] {
            if !there.is_empty() {
                return Err(not_done(
                    key,
                    "read it with a command, or pass the variable to StartBuild",
                ));
            }
        }
        let names = self.variables.keys().chain(&self.exported_variables);
        for name in names {
            if !is_variable(name) {
                return Err(Failure::yaml_file(format!(
                    "{name:?} is not a name of a variable: use letters, digits and underscores"
                )));
            }
        }
        Ok(())
    }
}

/// Returns whether a shell can have a variable of this name.
pub(crate) fn is_variable(name: &str) -> bool {
    !name.starts_with(|first: char| first.is_ascii_digit())
        && !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

impl Commands {
    fn check(&mut self) -> Result<(), Failure> {
        self.failure = match self.on_failure.as_deref() {
            None => None,
            Some("ABORT") => Some(OnFailure::Abort),
            Some("CONTINUE") => Some(OnFailure::Continue),
            Some(other) => return Err(not_done(&format!("on-failure: {other}"), "use ABORT or CONTINUE")),
        };
        if self
            .commands
            .iter()
            .chain(&self.finally)
            .any(|command| command.contains('\0'))
        {
            return Err(Failure::yaml_file("a command has a NUL character: remove it"));
        }
        Ok(())
    }
}

impl Artifacts {
    fn check(&self) -> Result<(), Failure> {
        if self.secondary_artifacts.is_some() {
            return Err(not_done("artifacts.secondary-artifacts", "name one set of files"));
        }
        if !self.exclude_paths.is_empty() {
            return Err(not_done(
                "artifacts.exclude-paths",
                "name the files that are wanted",
            ));
        }
        if let Some(discard) = self.discard_paths.as_deref()
            && discard != "no"
        {
            return Err(not_done(
                &format!("artifacts.discard-paths: {discard}"),
                "use base-directory",
            ));
        }
        if self
            .base_directory
            .as_deref()
            .is_some_and(|base| base.contains(['*', '?', '[']))
        {
            return Err(not_done(
                "a pattern as artifacts.base-directory",
                "name the folder",
            ));
        }
        Ok(())
    }
}

fn not_done(what: &str, remedy: &str) -> Failure {
    Failure::yaml_file(format!("the local CodeBuild does not do {what}: {remedy}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(text: &str) -> String {
        let failure = Buildspec::parse(text).unwrap_err();
        assert_eq!(failure.code, "YAML_FILE_ERROR");
        failure.message
    }

    #[test]
    fn a_buildspec_has_variables_phases_and_artifacts() {
        let text = "
version: 0.2
env:
  shell: bash
  variables: {ONE: 1, YES: yes, TEXT: 'a b'}
  exported-variables: [TESTS_PASSED]
phases:
  install:
    runtime-versions: {python: 3.12}
    commands: [true]
  pre_build:
    on-failure: ABORT
    commands:
      - 'echo a: b'
      - |
        if true; then
          echo c
        fi
    finally: [echo done]
  build:
    on-failure: CONTINUE
artifacts:
  base-directory: out
  files: ['**/*']
  discard-paths: no
cache: {paths: [target]}
reports: {junit: {files: x}}
";
        let buildspec = Buildspec::parse(text).unwrap();
        let variables = buildspec.env.variables.iter();
        let variables: Vec<_> = variables
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(variables, [("ONE", "1"), ("TEXT", "a b"), ("YES", "yes")]);
        assert_eq!(buildspec.env.exported_variables, ["TESTS_PASSED"]);
        assert_eq!(buildspec.phases.install.commands, ["true"]);
        let pre_build = &buildspec.phases.pre_build;
        assert_eq!(pre_build.failure, Some(OnFailure::Abort));
        assert_eq!(pre_build.commands[1], "if true; then\n  echo c\nfi\n");
        assert_eq!(pre_build.finally, ["echo done"]);
        assert_eq!(buildspec.phases.build.failure, Some(OnFailure::Continue));
        assert_eq!(buildspec.phases.post_build, Commands::default());
        let artifacts = buildspec.artifacts.unwrap();
        assert_eq!(artifacts.files, ["**/*"]);
        assert_eq!(artifacts.base_directory.as_deref(), Some("out"));
        let not_applied: Vec<_> = buildspec.not_applied.iter().map(String::as_str).collect();
        assert_eq!(
            not_applied,
            ["cache", "phases.install.runtime-versions", "reports"]
        );
    }

    #[test]
    fn a_malformed_buildspec_is_refused_with_the_line() {
        assert!(failure("version: 0.2\nphases: [").contains("line 2"));
        assert!(failure("").contains("line 1"));
        assert!(failure("version: 0.2").contains("phases"));
        let command = failure("version: 0.2\nphases:\n  build:\n    commands:\n      - echo: b\n");
        assert!(command.contains("line 5"), "{command}");
        let bomb = "a: &a [x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a]\n\
            c: &c [*b, *b, *b, *b, *b, *b, *b, *b]\nd: &d [*c, *c, *c, *c, *c, *c, *c, *c]\n\
            e: &e [*d, *d, *d, *d, *d, *d, *d, *d]\nf: &f [*e, *e, *e, *e, *e, *e, *e, *e]\n\
            g: &g [*f, *f, *f, *f, *f, *f, *f, *f]\nh: &h [*g, *g, *g, *g, *g, *g, *g, *g]\n\
            version: 0.2\nphases: {build: {commands: *h}}\n";
        failure(bomb);
    }

    #[test]
    fn what_changes_a_build_and_is_not_done_is_refused() {
        let with = |more: &str| failure(&format!("version: 0.2\nphases: {{}}\n{more}"));
        for (more, named) in [
            ("env: {parameter-store: {A: b}}", "env.parameter-store"),
            ("env: {secrets-manager: {A: b}}", "env.secrets-manager"),
            ("env: {shell: powershell.exe}", "powershell.exe"),
            ("env: {variables: {'A-B': c}}", "\"A-B\""),
            ("env: {exported-variables: ['x; y']}", "\"x; y\""),
            (
                "artifacts: {files: [a], discard-paths: yes}",
                "discard-paths: yes",
            ),
            ("artifacts: {files: [a], exclude-paths: [b]}", "exclude-paths"),
            (
                "artifacts: {secondary-artifacts: {a: {files: [b]}}}",
                "secondary-artifacts",
            ),
            ("artifacts: {files: [a], base-directory: 'b*'}", "base-directory"),
        ] {
            let message = with(more);
            assert!(message.contains(named), "{message}");
        }
        let with = |phases: &str| failure(&format!("version: 0.2\nphases: {phases}\n"));
        assert!(with("{build: {on-failure: RETRY}}").contains("on-failure: RETRY"));
        assert!(with("{prebuild: {commands: [x]}}").contains("phase name: prebuild"));
        assert!(failure("version: 0.3\nphases: {}").contains("0.3"));
        assert!(failure("version: [1]\nphases: {}").contains("line 1"));
    }
}
