//! `Collect`: takes the output of a build apart, and keeps it by digests.

use std::collections::HashMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use artifacts::bucket::{ArtifactStore, Location, check};
use artifacts::evidence::EvidenceStore;
use delivery::artifact::{Artifact, ArtifactObject, Digest, MAX_TEMPLATE_BYTES, TestRecord};
use delivery::contract::{BuiltInput, Request};
use domain::execution::Execution;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::archive::{Output, Source};
use crate::builds::{Build, BuildStatus, Builds};
use crate::provenance::{self, ArtifactFacts, SourceFile};
use crate::template::{self, Kind, Reference};
use crate::{Deps, Error, buildspec, path_in, yaml};

/// The largest output and the largest delivered zip, in bytes.
const MAX_ZIP_BYTES: u64 = 1 << 30;

/// The largest file that is read whole: a state machine's definition (Step Functions accepts 1 MB), a buildspec, a lock
/// file.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// The templates that `sam build` writes.
const TEMPLATES: [&str; 2] = ["template.yaml", "template.json"];

/// Where `sam build` writes them, in the application's directory. The paths in the template lead from here.
const BUILD_FOLDER: &str = ".aws-sam/build";

/// The files that pin what a build uses, in the application's directory or in the repository itself.
const LOCK_FILES: [&str; 8] = [
    "Cargo.lock",
    "package-lock.json",
    "yarn.lock",
    "pnpm-lock.yaml",
    "requirements.txt",
    "poetry.lock",
    "uv.lock",
    "go.sum",
];

/// Keeps what a build has made of a tree. If another build of the tree was kept first, that one is returned.
///
/// # Errors
/// Returns an [`Error`] if the build's output is not accepted, or cannot be kept.
pub async fn collect(
    deps: &Deps<'_, impl Builds, impl ArtifactStore, impl EvidenceStore>,
    execution: &Execution,
    input: &BuiltInput,
) -> Result<Artifact, Error> {
    let request = &input.request;
    let build = crate::get(deps.builds, &input.build.build_id).await?;
    if build.status != BuildStatus::Succeeded {
        return Err(Error::Unknown { id: build.id });
    }
    let tests = tests(&build)?;
    let folder = tempfile::tempdir()?;
    let (output, source) = (folder.path().join("output.zip"), folder.path().join("source.zip"));
    load_output(deps.artifacts, input, &build, &output).await?;
    load_source(deps.artifacts, request, &source).await?;

    let (wanted, place) = (request.clone(), folder.path().to_owned());
    let packed = tokio::task::spawn_blocking(move || pack(&wanted, &output, &source, &place));
    let packed = packed.await.map_err(|error| Error::Workspace(error.into()))??;
    for (digest, path) in &packed.files {
        deps.artifacts.put(digest, path).await?;
    }
    let document = provenance::document(&ArtifactFacts {
        request,
        build: &build,
        template: &packed.template,
        objects: &packed.objects,
        tests,
        files: &packed.sources,
    });
    let document = write(folder.path(), "provenance.json", document.to_string().as_bytes())?;
    deps.artifacts.put(&document.0, &document.1).await?;

    let artifact = Artifact {
        application: request.settings.application.clone(),
        tree: request.push.tree.clone(),
        commit: request.push.commit.clone(),
        directory: request.settings.directory.clone(),
        template: packed.template,
        objects: packed.objects,
        provenance: document.0,
        tests,
        zip: request.zip.clone(),
        buildspec: packed.buildspec,
        build_id: build.id,
        built_by: request.deployment_id,
        built_at: build.ended_at.unwrap_or(execution.started_at),
    };
    Ok(artifacts::keep(deps.artifacts, deps.evidence, artifact).await?)
}

/// Returns the tests that a build says have passed. At least one has to.
fn tests(build: &Build) -> Result<TestRecord, Error> {
    let number = |name: &str| build.exported.get(name)?.trim().parse::<u64>().ok();
    match number("TESTS_PASSED") {
        Some(passed) if passed > 0 => Ok(TestRecord {
            passed,
            skipped: number("TESTS_SKIPPED").unwrap_or_default(),
        }),
        _ => Err(Error::NoTests {
            id: build.id.clone(),
            found: match build.exported.get("TESTS_PASSED") {
                Some(text) => format!("{:?}", domain::plain(text, 100)),
                None => "nothing".to_owned(),
            },
        }),
    }
}

async fn load_output(
    artifacts: &impl ArtifactStore,
    input: &BuiltInput,
    build: &Build,
    path: &Path,
) -> Result<(), Error> {
    let location = Location {
        bucket: artifacts.bucket().to_owned(),
        key: input.build.output_key.clone(),
        version_id: None,
    };
    let loaded = artifacts.load(&location, MAX_ZIP_BYTES, path).await?;
    if let Some(Ok(told)) = build.output_sha256.as_deref().map(str::parse::<Digest>) {
        check(&location, &told, &loaded.sha256)?;
    }
    Ok(())
}

async fn load_source(artifacts: &impl ArtifactStore, request: &Request, path: &Path) -> Result<(), Error> {
    let zip = &request.zip;
    let location = Location {
        bucket: zip.bucket.clone(),
        key: zip.key.clone(),
        version_id: Some(zip.version_id.clone()),
    };
    let loaded = artifacts.load(&location, MAX_ZIP_BYTES, path).await?;
    Ok(check(&location, &zip.sha256, &loaded.sha256)?)
}

/// What an output was packed to.
struct Packed {
    template: Digest,
    objects: Vec<ArtifactObject>,
    /// The files to store, by their digests. The template is among them.
    files: Vec<(Digest, PathBuf)>,
    buildspec: Digest,
    sources: Vec<SourceFile>,
}

/// Packs the folders that the template refers to.
fn pack(request: &Request, output: &Path, source: &Path, place: &Path) -> Result<Packed, Error> {
    let directory = &request.settings.directory;
    let mut packing = Packing {
        output: Output::open(output)?,
        source: Source::open(source)?,
        base: path_in(directory, BUILD_FOLDER),
        place,
        packed: HashMap::new(),
    };
    let mut template = packing.template()?;
    let mut objects = Vec::new();
    for reference in template::references(&template)? {
        let (sha256, path) = packing.object(&reference)?;
        reference.replace(&mut template, &sha256.key());
        objects.push(ArtifactObject {
            property: reference.to_string(),
            size: std::fs::metadata(path)?.len(),
            sha256,
        });
    }
    // Its names are sorted, as those of every JSON value here, so the same template always has the same digest.
    let text = template.to_string();
    let (digest, path) = write(place, "template.json", text.as_bytes())?;
    let sources = packing.sources(request)?;
    let buildspec = sources.first().map(|file| file.sha256.clone());
    let mut files: Vec<_> = packing.packed.into_values().collect();
    files.push((digest.clone(), path));
    Ok(Packed {
        template: digest,
        objects,
        files,
        buildspec: buildspec.ok_or_else(|| Error::Output("there was no buildspec".to_owned()))?,
        sources,
    })
}

struct Packing<'a> {
    output: Output,
    source: Source,
    /// The folder of the output, in the repository.
    base: String,
    place: &'a Path,
    /// What was packed, by the places in the repository. Functions of the same code share one.
    packed: HashMap<String, (Digest, PathBuf)>,
}

impl Packing<'_> {
    fn template(&mut self) -> Result<Value, Error> {
        for name in TEMPLATES {
            let Some(bytes) = self.output.read(name, MAX_TEMPLATE_BYTES)? else {
                continue;
            };
            let text = String::from_utf8(bytes);
            let text = text.map_err(|_| template::invalid(name, "it is not UTF-8"))?;
            let parsed = if text.trim_start().starts_with('{') {
                // Its own limit is a depth of 128.
                serde_json::from_str(&text).map_err(|error| error.to_string())
            } else {
                yaml::parse(&text)
            };
            return parsed.map_err(|reason| template::invalid(name, &reason));
        }
        Err(Error::Output(format!(
            "it has none of {}: let its base-directory be what sam build has written",
            TEMPLATES.join(" and ")
        )))
    }

    /// Packs what a property refers to, unless it was packed before. Returns its digest and its file.
    fn object(&mut self, reference: &Reference) -> Result<(Digest, PathBuf), Error> {
        let invalid = |reason: &str| template::invalid(&reference.to_string(), reason);
        let shown = domain::plain(&reference.path, 200);
        let place = template::resolve(&self.base, &reference.path)
            .ok_or_else(|| invalid(&format!("{shown} leads out of the repository")))?;
        if let Some(packed) = self.packed.get(&place) {
            return Ok(packed.clone());
        }
        let name = format!("object-{}", self.packed.len());
        let inner = place
            .strip_prefix(&self.base)
            .filter(|rest| rest.is_empty() || rest.starts_with('/'))
            .map(|rest| rest.trim_start_matches('/').to_owned());
        let packed = match (reference.kind, inner) {
            (Kind::Folder, Some(folder)) if self.output.has_folder(&folder) => {
                let path = self.place.join(name);
                self.output.pack(&folder, &path)?;
                (digest_of(&path)?, path)
            }
            (Kind::Folder, _) => {
                return Err(invalid(&format!(
                    "{shown} is not a folder with files in the output"
                )));
            }
            (Kind::File, inner) => {
                let bytes = match inner {
                    Some(file) => self.output.read(&file, MAX_FILE_BYTES)?,
                    // `sam build` leaves such files where they are in the repository.
                    None => self.source.read(&place, MAX_FILE_BYTES)?,
                };
                let bytes = bytes.ok_or_else(|| {
                    invalid(&format!(
                        "{shown}, which is {place} in the repository, does not exist"
                    ))
                })?;
                write(self.place, &name, &bytes)?
            }
        };
        self.packed.insert(place, packed.clone());
        Ok(packed)
    }

    /// Returns the buildspec, which is the first, and the lock files.
    fn sources(&mut self, request: &Request) -> Result<Vec<SourceFile>, Error> {
        let directory = &request.settings.directory;
        let mut paths = vec![buildspec(request)];
        paths.extend(LOCK_FILES.map(|name| path_in(directory, name)));
        if !directory.is_empty() {
            paths.extend(LOCK_FILES.map(str::to_owned));
        }
        let mut files = Vec::new();
        for path in paths {
            if let Some(bytes) = self.source.read(&path, MAX_FILE_BYTES)? {
                let sha256 = Digest::of(&bytes);
                files.push(SourceFile { path, sha256 });
            } else if files.is_empty() {
                return Err(Error::Output(format!("the delivered zip has no {path}")));
            }
        }
        Ok(files)
    }
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<(Digest, PathBuf), Error> {
    let path = folder.join(name);
    std::fs::write(&path, bytes)?;
    Ok((Digest::of(bytes), path))
}

fn digest_of(path: &Path) -> Result<Digest, Error> {
    let mut file = std::fs::File::open(path)?;
    let (mut hash, mut piece) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(Digest::of_hash(hash.finalize().into())),
            bytes => hash.update(&piece[..bytes]),
        }
    }
}
