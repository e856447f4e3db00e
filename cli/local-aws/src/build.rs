//! Builds the functions, quickly for this machine, or as they are deployed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::{Deserialize, Serialize};
use shell::lock::{Lock, lock};
use shell::progress::{Progress, Step};
use shell::{private, process};
use tokio::sync::OnceCell;
use zip::write::SimpleFileOptions;
use zip::{DateTime, ZipWriter};

use crate::Error;
use crate::application::Application;
use crate::architecture::Architecture;
use crate::checkout::{Checkout, read_json, write_json};
use crate::environment::only_local_aws;
use crate::tools::Tools;
use crate::{cargo, sam};

/// How the functions are built.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Profile {
    /// By `cargo build` in cargo's profile `dev`, for this machine's C library, which reuses what this command was
    /// built of.
    #[default]
    Dev,
    /// By `sam build`, as they are deployed to AWS.
    Release,
}

impl Profile {
    fn name(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Release => "release",
        }
    }
}

/// The record of the last build.
#[derive(Serialize, Deserialize)]
struct Record {
    fingerprint: String,
}

/// A build. No other process replaces it as long as this value exists, even to build a changed checkout.
#[derive(Debug)]
pub struct Build {
    /// The hash of all that it was built from, and of the profile.
    pub fingerprint: String,
    /// The template that names the built functions.
    pub template: PathBuf,
    _lock: File,
}

#[cfg(test)]
impl Build {
    /// Returns a build of this template that has built nothing.
    pub(crate) fn of(template: PathBuf) -> Self {
        Self {
            fingerprint: String::new(),
            template,
            _lock: tempfile::tempfile().unwrap(),
        }
    }
}

/// Installs the tools, and builds the application's functions for this machine's processors if anything that they are
/// built from has changed.
///
/// # Errors
/// Returns [`Error::Build`] if that fails, and the errors of [`Tools::install`].
pub async fn build(
    checkout: &Checkout,
    application: &Application,
    profile: Profile,
    progress: Progress,
) -> Result<(Tools, Build), Error> {
    build_by(checkout, application, (profile, Architecture::THIS), progress).await
}

/// Does the same as they are deployed, for these processors.
///
/// # Errors
/// Returns the errors of [`build`].
pub async fn build_for(
    checkout: &Checkout,
    application: &Application,
    architecture: Architecture,
    progress: Progress,
) -> Result<(Tools, Build), Error> {
    build_by(checkout, application, (Profile::Release, architecture), progress).await
}

async fn build_by(
    checkout: &Checkout,
    application: &Application,
    (profile, architecture): (Profile, Architecture),
    progress: Progress,
) -> Result<(Tools, Build), Error> {
    let builder = Builder {
        checkout,
        application,
        profile,
        architecture,
        progress,
        tools: OnceCell::new(),
    };
    // At the same time, because the first waits for the network, and the second for the processors.
    let (tools, build) = tokio::try_join!(builder.tools(), builder.build())?;
    Ok((tools.clone(), build))
}

struct Builder<'a> {
    checkout: &'a Checkout,
    application: &'a Application,
    profile: Profile,
    architecture: Architecture,
    progress: Progress,
    tools: OnceCell<Tools>,
}

impl Builder<'_> {
    /// Returns the tools, which are installed once.
    async fn tools(&self) -> Result<&Tools, Error> {
        self.tools.get_or_try_init(|| Tools::install(self.progress)).await
    }

    async fn build(&self) -> Result<Build, Error> {
        let file = self.file("lock")?;
        let mut fingerprint = self.fingerprint()?;
        loop {
            let shared = lock(&file, Lock::Shared, self.progress).await?;
            if self.is_built(&fingerprint)? {
                return Ok(Build {
                    fingerprint,
                    template: self.template()?,
                    _lock: shared,
                });
            }
            drop(shared);
            let _exclusive = lock(&file, Lock::Exclusive, self.progress).await?;
            // The checkout may have changed, or been built, while this process waited for the lock.
            fingerprint = self.fingerprint()?;
            if !self.is_built(&fingerprint)? {
                self.run(&fingerprint).await?;
            }
        }
    }

    fn fingerprint(&self) -> Result<String, Error> {
        Ok(format!(
            "{} {}",
            self.profile.name(),
            self.checkout.fingerprint(self.application)?
        ))
    }

    /// Returns the path of the lock (`lock`) or the record (`json`) of the application's builds by this profile.
    fn file(&self, extension: &str) -> Result<PathBuf, Error> {
        let name = format!(
            "build-{}-{}{}.{extension}",
            self.application.name,
            self.profile.name(),
            sam::suffix(self.architecture)
        );
        Ok(self.checkout.folder()?.join(name))
    }

    fn template(&self) -> Result<PathBuf, Error> {
        Ok(match self.profile {
            Profile::Dev => self.folder()?.join(format!("{}.yaml", self.application.name)),
            Profile::Release => {
                sam::build_folder(self.checkout, self.application, self.architecture).join("template.yaml")
            }
        })
    }

    /// Returns the folder of what `cargo build` has built.
    fn folder(&self) -> Result<PathBuf, Error> {
        Ok(self.checkout.folder()?.join("dev"))
    }

    fn is_built(&self, fingerprint: &str) -> Result<bool, Error> {
        let built: Option<Record> = read_json(&self.file("json")?)?;
        Ok(self.template()?.exists() && built.is_some_and(|built| built.fingerprint == fingerprint))
    }

    async fn run(&self, fingerprint: &str) -> Result<(), Error> {
        // A build that fails may have replaced a part of the last one.
        let record = self.file("json")?;
        if record.exists() {
            std::fs::remove_file(&record).map_err(Error::io("remove", &record))?;
        }
        match self.profile {
            Profile::Dev => self.cargo_build().await?,
            Profile::Release => {
                let tools = self.tools().await?;
                let log = self.checkout.folder()?.join("sam-build.log");
                let what = format!("the functions for {} with sam build", self.architecture);
                let step = self.progress.step(format!("Building {what}"));
                let of = (self.application, self.architecture);
                let build = sam::build(self.checkout, of, tools.sam(), &log);
                let functions = self.application.functions.len();
                let news = |log: &str| function_of(log, functions);
                process::watch(build, &log, &step.reporter(), news).await?;
                step.done(&format!("Built {what}"));
            }
        }
        let built = Record {
            fingerprint: fingerprint.to_owned(),
        };
        write_json(&record, &built)
    }

    /// Builds with `cargo build`, and writes a template that names the built functions.
    async fn cargo_build(&self) -> Result<(), Error> {
        let log = self.checkout.folder()?.join("cargo-build.log");
        self.progress.line(
            "The functions are built by cargo build, as they run on this machine (with --release: by sam build, as they are \
             deployed)",
        );
        let step = self.progress.step("Building the functions with cargo build");
        let binaries = cargo_build(self.checkout, self.application, &log, &step).await?;
        let folder = self.folder()?;
        private::create_folder(&folder)?;
        let zip = |function: &str| folder.join(function).with_extension("zip");
        for (name, binary) in binaries {
            pack(&binary, zip(&name)).await?;
        }
        let template = self.checkout.template(self.application);
        let text = std::fs::read_to_string(&template).map_err(Error::io("read", &template))?;
        let text = with_built(&text, &self.checkout.template_folder(self.application), zip);
        let built = self.template()?;
        std::fs::write(&built, text).map_err(Error::io("write", &built))?;
        step.done("Built the functions with cargo build");
        Ok(())
    }
}

/// Returns a template that names what `built` says of each function instead of its source, and the definitions by their
/// paths below `folder`, to which the names in `template` are relative.
#[must_use]
pub fn with_built(template: &str, folder: &Path, built: impl Fn(&str) -> PathBuf) -> String {
    let mut text = String::with_capacity(template.len());
    for line in template.split_inclusive('\n') {
        let name = line.trim();
        let path = if let Some(code) = name.strip_prefix("CodeUri: ") {
            let function = code.rsplit_once('/').map_or(code, |(_, function)| function);
            Some(("CodeUri", built(function)))
        } else {
            name.strip_prefix("DefinitionUri: ")
                .map(|definition| ("DefinitionUri", folder.join(definition)))
        };
        match path {
            Some((key, path)) => {
                let indent = &line[..line.len() - line.trim_start().len()];
                text.push_str(&format!("{indent}{key}: {}\n", path.display()));
            }
            None => text.push_str(line),
        }
    }
    text
}

/// Returns the function that `sam build` is building, according to its log, of `all`.
fn function_of(log: &str, all: usize) -> Option<String> {
    let begun = log
        .lines()
        .filter_map(|line| line.strip_prefix("Building codeuri: "));
    let begun: Vec<_> = begun.filter_map(|line| line.rsplit_once("functions: ")).collect();
    let (_, function) = begun.last()?;
    Some(format!("{function}, {} of {}", begun.len(), all))
}

/// Builds the functions with the features of the whole workspace, as this command was built, so that little is left to
/// build.
async fn cargo_build(
    checkout: &Checkout,
    application: &Application,
    log: &Path,
    step: &Step,
) -> Result<BTreeMap<String, PathBuf>, Error> {
    let mut cargo = process::command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    only_local_aws(&mut cargo);
    cargo.args([
        "build",
        "--locked",
        "--workspace",
        "--message-format",
        "json-render-diagnostics",
    ]);
    for name in application.functions {
        cargo.args(["--bin", name]);
    }
    let built = cargo::run(cargo.current_dir(checkout.root()), log, &step.reporter()).await;
    let (status, binaries) = built.map_err(Error::io("run", Path::new("cargo")))?;
    if status.success() {
        return Ok(binaries);
    }
    Err(Error::Build {
        command: "cargo build",
        tail: process::tail(log),
        log: log.to_owned(),
    })
}

/// Packs a binary, without its debug information if possible, into the zip that Lambda takes. sam uploads a zip as it
/// is. A folder it would pack anew for each stack, for ten seconds.
async fn pack(binary: &Path, zip: PathBuf) -> Result<(), Error> {
    let stripped = zip.with_extension("stripped");
    let mut strip = process::command("strip");
    strip.arg("-o").arg(&stripped).arg(binary).stderr(Stdio::null());
    let is_stripped = strip.status().await.is_ok_and(|status| status.success());
    let packed = if is_stripped { &stripped } else { binary }.to_owned();
    let file = zip.clone();
    let write = tokio::task::spawn_blocking(move || write_zip(&packed, &file));
    let written = write.await.map_err(std::io::Error::other).flatten();
    written.map_err(Error::io("write", &zip))?;
    if is_stripped {
        std::fs::remove_file(&stripped).map_err(Error::io("remove", &stripped))?;
    }
    Ok(())
}

/// Writes a zip with the program of a function. The same program makes the same bytes, by which sam finds what it has
/// uploaded already.
fn write_zip(program: &Path, zip: &Path) -> std::io::Result<()> {
    let mut writer = ZipWriter::new(BufWriter::new(File::create(zip)?));
    let options = SimpleFileOptions::default()
        .last_modified_time(DateTime::default())
        .compression_level(Some(1))
        .unix_permissions(0o755);
    writer.start_file("bootstrap", options)?;
    std::io::copy(&mut File::open(program)?, &mut writer)?;
    writer.finish()?.flush()
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use zip::ZipArchive;

    use super::*;

    #[test]
    fn sam_builds_the_function_that_its_log_names_last() {
        let building = |verb: &str, name: &str| {
            format!(
                "Building codeuri: /x/{verb} runtime: provided.al2023 architecture: x86_64 functions: {name}\n"
            )
        };
        let mut log = "Starting Build use cache\n".to_owned();
        assert_eq!(function_of(&log, 7), None);
        log += &building("accept", "AcceptFunction");
        assert_eq!(function_of(&log, 7).as_deref(), Some("AcceptFunction, 1 of 7"));
        log += &building("fetch", "FetchFunction");
        assert_eq!(function_of(&log, 7).as_deref(), Some("FetchFunction, 2 of 7"));
    }

    #[test]
    fn a_template_names_what_was_built_wherever_it_is() {
        let template =
            "A:\n  CodeUri: lambdas/fetch\n  B: 1\n  CodeUri: ask\n    DefinitionUri: a.asl.json\nC: 2";
        assert_eq!(
            with_built(template, Path::new("/x/examples/one"), |name| format!(
                "/x/dev/{name}.zip"
            )
            .into()),
            "A:\n  CodeUri: /x/dev/fetch.zip\n  B: 1\n  CodeUri: /x/dev/ask.zip\n    DefinitionUri: /x/examples/one/a.asl.json\nC: 2"
        );
    }

    #[tokio::test]
    async fn a_program_is_packed_to_the_same_bytes_whether_it_can_be_stripped_or_not() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("script");
        std::fs::write(&script, "#!/bin/sh\n").unwrap();
        for program in [script, std::env::current_exe().unwrap()] {
            let zips = ["one.zip", "two.zip"].map(|name| folder.path().join(name));
            for zip in &zips {
                pack(&program, zip.clone()).await.unwrap();
            }
            let [one, two] = zips.map(|zip| std::fs::read(zip).unwrap());
            assert!(one == two);
            let mut archive = ZipArchive::new(Cursor::new(one)).unwrap();
            let entry = archive.by_name("bootstrap").unwrap();
            assert_eq!(entry.unix_mode().map(|mode| mode & 0o777), Some(0o755));
            // Not the time at which it was packed.
            assert_eq!(entry.last_modified(), Some(DateTime::default()));
            assert!(entry.size() > 0);
        }
        let left = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 3, "the stripped programs are removed");
    }
}
