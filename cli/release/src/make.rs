//! Builds what is in a release, and writes its files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use local_aws::application::{Application, DELIVERY, PUSH_CODE};
use local_aws::architecture::Architecture;
use local_aws::build::build_for;
use local_aws::checkout::Checkout;
use local_aws::sam;
use local_aws::tools::Sam;
use release::pack::{Content, Entry, pack};
use release::{Error, layout, sums};
use shell::process;
use shell::progress::Progress;

use crate::source::Source;
use crate::{bill_of_materials, command};

/// The version of the workspace.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The applications whose functions are in a release.
const APPLICATIONS: [Application; 2] = [PUSH_CODE, DELIVERY];

/// What to make, and where.
#[derive(Debug, clap::Args)]
pub struct MakeArgs {
    /// The folder for the files, which is created if it does not exist.
    folder: PathBuf,
    /// The processors that functions are built for: x86_64 or arm64. May be repeated. [default: those that Rust can
    /// build for here]
    #[arg(long = "architecture", value_name = "ARCHITECTURE", value_parser = parse_architecture)]
    architectures: Vec<Architecture>,
    /// The stacks whose functions are built: push-code or delivery. May be repeated. [default: both]
    #[arg(long = "application", value_name = "NAME", value_parser = parse_application)]
    applications: Vec<Application>,
    /// A file to take as the command push-code, instead of building it.
    #[arg(long, value_name = "FILE")]
    command: Option<PathBuf>,
    /// Write no bill of materials.
    #[arg(long)]
    no_bill_of_materials: bool,
}

fn parse_architecture(text: &str) -> Result<Architecture, &'static str> {
    text.parse().map_err(|_| "it has to be x86_64 or arm64")
}

fn parse_application(text: &str) -> Result<Application, &'static str> {
    let found = APPLICATIONS.into_iter().find(|one| one.name == text);
    found.ok_or("it has to be push-code or delivery")
}

/// Runs the command. Returns what was made.
///
/// # Errors
/// Returns an error if the checkout has changes, or if a build fails.
pub async fn run(args: MakeArgs, checkout: &Checkout, progress: Progress) -> Result<String, Error> {
    let source = Source::of(checkout).await?;
    source.check(VERSION).await?;
    let (architectures, left_out) = architectures(&args.architectures, checkout).await?;
    let applications = if args.applications.is_empty() {
        APPLICATIONS.to_vec()
    } else {
        args.applications
    };
    std::fs::create_dir_all(&args.folder).map_err(Error::io("create", &args.folder))?;

    let mut entries = plain_files(checkout.root())?;
    let mut builds = Vec::new();
    for &architecture in &architectures {
        for application in &applications {
            // As long as it exists, no other process replaces the functions.
            let (_, built) = build_for(checkout, application, architecture, progress).await?;
            builds.push(built);
            add(&mut entries, checkout, application, architecture)?;
        }
    }
    let command = match args.command {
        Some(file) => file,
        None => command::build(checkout, &Sam::install(progress).await?, progress).await?,
    };
    entries.insert(PathBuf::from("push-code"), Entry::program(command));

    let mut names = vec![layout::archive(VERSION)];
    let archive = args.folder.join(&names[0]);
    let step = progress.step("Packing the archive");
    pack(&archive, &layout::name(VERSION), &entries, source.time)?;
    step.done(&format!("Packed {} files", entries.len()));
    if !args.no_bill_of_materials {
        let name = layout::bill_of_materials(VERSION);
        bill_of_materials::write(&source, &args.folder.join(&name), progress).await?;
        names.push(name);
    }
    sums::write(&args.folder, &names)?;
    names.push(layout::SUMS.to_owned());
    let mut lines: Vec<_> = names
        .iter()
        .map(|name| args.folder.join(name).display().to_string())
        .collect();
    lines.extend(
        left_out
            .iter()
            .map(|architecture| format!("{architecture} is left out: {}", missing_target(*architecture))),
    );
    Ok(lines.join("\n"))
}

/// Returns the architectures to build for, and those that are left out because Rust cannot build for them here.
async fn architectures(
    asked: &[Architecture],
    checkout: &Checkout,
) -> Result<(Vec<Architecture>, Vec<Architecture>), Error> {
    let (mut can, mut cannot) = (Vec::new(), Vec::new());
    for &architecture in Architecture::all() {
        if !asked.is_empty() && !asked.contains(&architecture) {
            continue;
        }
        if has_target(architecture, checkout.root()).await? {
            can.push(architecture);
        } else {
            cannot.push(architecture);
        }
    }
    match cannot.first() {
        Some(architecture) if !asked.is_empty() => Err(Error::NotReleasable {
            path: checkout.root().to_owned(),
            reason: missing_target(*architecture),
        }),
        _ => Ok((can, cannot)),
    }
}

/// Returns whether Rust's toolchain has the standard library for these processors.
async fn has_target(architecture: Architecture, root: &Path) -> Result<bool, Error> {
    let mut rustc = process::command("rustc");
    rustc.args(["--print", "target-libdir", "--target", architecture.target()]);
    let output = rustc.current_dir(root).output().await;
    let output = output.map_err(Error::io("run", Path::new("rustc")))?;
    let folder = String::from_utf8_lossy(&output.stdout);
    Ok(output.status.success() && Path::new(folder.trim()).is_dir())
}

fn missing_target(architecture: Architecture) -> String {
    format!(
        "the toolchain cannot build for {architecture}: rustup target add {}",
        architecture.target()
    )
}

/// Returns the files that are in a release as they are in the checkout.
fn plain_files(root: &Path) -> Result<BTreeMap<PathBuf, Entry>, Error> {
    let mut files: Vec<_> = layout::FILES.iter().map(PathBuf::from).collect();
    let mut folders: Vec<_> = layout::FOLDERS.iter().map(PathBuf::from).collect();
    while let Some(folder) = folders.pop() {
        let place = root.join(&folder);
        for entry in std::fs::read_dir(&place).map_err(Error::io("read", &place))? {
            let entry = entry.map_err(Error::io("read", &place))?;
            let path = folder.join(entry.file_name());
            if entry.path().is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    Ok(files
        .into_iter()
        .map(|path| {
            let content = Content::File(root.join(&path));
            (
                path,
                Entry {
                    content,
                    is_program: false,
                },
            )
        })
        .collect())
}

/// Adds an application that was built for these processors: its template and its functions.
fn add(
    entries: &mut BTreeMap<PathBuf, Entry>,
    checkout: &Checkout,
    application: &Application,
    architecture: Architecture,
) -> Result<(), Error> {
    let file = checkout.template(application);
    let text = std::fs::read_to_string(&file).map_err(Error::io("read", &file))?;
    let text = layout::template(&text, architecture).ok_or_else(|| Error::NotReleasable {
        path: file,
        reason: "its parameter Architecture is not as cli/release/src/layout.rs expects it".to_owned(),
    })?;
    let template = Entry {
        content: Content::Text(text),
        is_program: false,
    };
    entries.insert(layout::template_path(application, architecture), template);
    for function in application.functions {
        let program = sam::built(checkout, application, architecture, function);
        entries.insert(
            layout::function_path(function, architecture),
            Entry::program(program),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_rust_cannot_build_for_is_left_out_unless_it_was_asked_for() {
        let checkout = Checkout::find().unwrap();
        let (can, cannot) = architectures(&[], &checkout).await.unwrap();
        assert!(can.contains(&Architecture::THIS));
        assert_eq!(can.len() + cannot.len(), Architecture::all().len());
        assert_eq!(
            architectures(&[Architecture::THIS], &checkout).await.unwrap(),
            (vec![Architecture::THIS], vec![])
        );
        for architecture in cannot {
            let error = architectures(&[architecture], &checkout).await.unwrap_err();
            assert!(error.to_string().contains("rustup target add"), "{error}");
        }
    }

    #[test]
    fn the_checkout_has_the_files_of_a_release() {
        let checkout = Checkout::find().unwrap();
        let mut entries = plain_files(checkout.root()).unwrap();
        for path in ["statemachine/push.asl.json", "docs/install/deploy.md"] {
            assert!(entries.contains_key(Path::new(path)), "{path}");
        }
        for application in APPLICATIONS {
            add(&mut entries, &checkout, &application, Architecture::Arm64).unwrap();
        }
        assert!(entries[Path::new("arm64/accept/bootstrap")].is_program);
        assert!(!entries[Path::new("arm64/delivery.yaml")].is_program);
        for (path, entry) in entries {
            let is_there = match entry.content {
                Content::File(file) => entry.is_program || file.is_file(),
                Content::Text(text) => !text.is_empty(),
            };
            assert!(is_there, "{}", path.display());
        }
    }
}
