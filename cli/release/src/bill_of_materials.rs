//! The bill of materials: the crates and C libraries that the functions and the command are made of, in the form of
//! CycloneDX.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use local_aws::application::{DELIVERY, PUSH_CODE};
use local_aws::architecture::Architecture;
use release::Error;
use serde_json::{Value, json};
use shell::process;
use shell::progress::Progress;
use tokio::process::Command;
use tokio::task::JoinSet;

use crate::c_libraries;
use crate::source::Source;

/// The version of cargo-cyclonedx.
const CYCLONEDX: &str = "0.5.9";

/// How the names of the files begin that cargo-cyclonedx writes beside each `Cargo.toml`.
const FILE: &str = "bill-of-materials";

/// Where the checkout is in the bill of materials, instead of where it is on this machine.
const ROOT: &str = "path+file:///push-code/";

/// Writes the bill of materials of the functions and the command, for all processors.
///
/// # Errors
/// Returns an error if cargo-cyclonedx cannot be installed, or fails.
pub async fn write(source: &Source, file: &Path, progress: Progress) -> Result<(), Error> {
    let program = install(progress).await?;
    let step = progress.step("Writing the bill of materials");
    // It writes into the folders of all crates.
    let copy = source.copy().await?;
    let root = copy
        .path()
        .canonicalize()
        .map_err(Error::io("find", copy.path()))?;
    // Side by side, because each takes a while on one processor.
    let mut runs = JoinSet::new();
    for architecture in Architecture::all() {
        let mut cyclonedx = process::command(&program);
        cyclonedx
            .args([
                "cyclonedx",
                "--quiet",
                "--format",
                "json",
                "--spec-version",
                "1.5",
            ])
            .args(["--override-filename", FILE, "--target-in-filename"])
            .args(["--target", architecture.target()])
            .env("SOURCE_DATE_EPOCH", source.time.to_string())
            .current_dir(&root);
        runs.spawn(async move { output(&mut cyclonedx).await });
    }
    while let Some(run) = runs.join_next().await {
        run.map_err(|error| Error::io("run", &program)(error.into()))??;
    }
    let here = format!("path+file://{}/", root.display());
    let mut all = Bill::default();
    for architecture in Architecture::all() {
        let name = format!("{FILE}_{}.cdx.json", architecture.target());
        for folder in folders() {
            let file = root.join(folder).join(&name);
            let text = std::fs::read_to_string(&file).map_err(Error::io("read", &file))?;
            all.add(&text.replace(&here, ROOT), &file)?;
        }
    }
    let mut cargo = process::command("cargo");
    cargo.args(["metadata", "--locked", "--format-version", "1"]);
    let metadata = output(cargo.current_dir(source.root())).await?;
    let metadata: Value = parse(&metadata, source.root())?;
    for package in metadata["packages"].as_array().into_iter().flatten() {
        if let (Some(library), Some(id)) = (c_libraries::component_of(package)?, package["id"].as_str()) {
            all.add_below(id, library);
        }
    }
    let text = format!("{:#}\n", all.document());
    std::fs::write(file, text).map_err(Error::io("write", file))?;
    step.done("Wrote the bill of materials");
    Ok(())
}

/// Returns the folders of the crates that are programs of a release.
fn folders() -> impl Iterator<Item = PathBuf> {
    let functions = PUSH_CODE.functions.iter().chain(DELIVERY.functions);
    functions
        .map(|function| Path::new("lambdas").join(function))
        .chain([PathBuf::from("cli")])
}

/// Returns cargo-cyclonedx, which is installed into the cache folder once.
async fn install(progress: Progress) -> Result<PathBuf, Error> {
    let root = python_tools::cache_folder().join(format!("cargo-cyclonedx-{CYCLONEDX}"));
    let program = root.join("bin/cargo-cyclonedx");
    if program.is_file() {
        return Ok(program);
    }
    let step = progress.step("Installing cargo-cyclonedx");
    let mut cargo = process::command("cargo");
    cargo
        .args(["install", "--quiet", "--locked", "--debug", "--root"])
        .arg(&root)
        .arg(format!("cargo-cyclonedx@{CYCLONEDX}"))
        // The folder of targets may be locked by another build.
        .env_remove("CARGO_TARGET_DIR");
    output(&mut cargo).await?;
    step.done("Installed cargo-cyclonedx");
    Ok(program)
}

/// Runs a program and returns what it writes to standard output.
async fn output(command: &mut Command) -> Result<String, Error> {
    let name = command.as_std().get_program().to_string_lossy().into_owned();
    let output = command.output().await;
    let output = output.map_err(Error::io("run", Path::new(&name)))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(Error::Program {
        command: name,
        tail: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}

fn parse(text: &str, from: &Path) -> Result<Value, Error> {
    serde_json::from_str(text).map_err(|error| Error::io("read", from)(error.into()))
}

/// Bills of materials of several programs as one.
#[derive(Debug, Default)]
struct Bill {
    /// The time and the tools of the first one.
    metadata: Value,
    /// The programs.
    programs: BTreeSet<String>,
    components: BTreeMap<String, Value>,
    dependencies: BTreeMap<String, BTreeSet<String>>,
}

impl Bill {
    /// Adds the bill of materials of a program, which was read from a file.
    fn add(&mut self, text: &str, file: &Path) -> Result<(), Error> {
        let mut bill = parse(text, file)?;
        let program = bill["metadata"]["component"].take();
        if self.metadata.is_null() {
            self.metadata = bill["metadata"].take();
            // They name the processors of this one.
            if let Some(metadata) = self.metadata.as_object_mut() {
                metadata.remove("properties");
            }
        }
        self.programs.extend(reference(&program));
        for component in items(&bill["components"]).chain([&program]) {
            let Some(reference) = reference(component) else {
                continue;
            };
            let known = self
                .components
                .entry(reference)
                .or_insert_with(|| component.clone());
            // What one program needs to run, another one may need only to be built.
            if component["scope"] == "required" {
                known["scope"] = component["scope"].clone();
            }
        }
        for dependency in items(&bill["dependencies"]) {
            let Some(of) = dependency["ref"].as_str() else {
                continue;
            };
            let on = items(&dependency["dependsOn"]).filter_map(Value::as_str);
            let known = self.dependencies.entry(of.to_owned()).or_default();
            known.extend(on.map(str::to_owned));
        }
        Ok(())
    }

    /// Adds a library that is a part of the component `whole`, if the latter is in one of the programs.
    fn add_below(&mut self, whole: &str, library: Value) {
        if let (true, Some(part)) = (self.components.contains_key(whole), reference(&library)) {
            self.dependencies.entry(part.clone()).or_default();
            self.dependencies
                .entry(whole.to_owned())
                .or_default()
                .insert(part.clone());
            self.components.insert(part, library);
        }
    }

    /// Returns the bill of materials of the release.
    fn document(mut self) -> Value {
        let version = env!("CARGO_PKG_VERSION");
        let release = format!("pkg:generic/push-code@{version}");
        self.dependencies.insert(release.clone(), self.programs);
        self.metadata["component"] = json!({
            "type": "application",
            "bom-ref": release,
            "name": "push-code",
            "version": version,
            "licenses": [{ "license": { "id": "MIT" } }],
            "purl": release,
        });
        let dependencies = self.dependencies.into_iter();
        json!({
            "bomFormat": "CycloneDX",
            "specVersion": "1.5",
            "version": 1,
            "metadata": self.metadata,
            "components": self.components.into_values().collect::<Vec<_>>(),
            "dependencies": dependencies
                .map(|(of, on)| json!({ "ref": of, "dependsOn": on }))
                .collect::<Vec<_>>(),
        })
    }
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn reference(component: &Value) -> Option<String> {
    component["bom-ref"].as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bill(program: &str, on: &[(&str, &str)]) -> String {
        let component =
            |(name, scope): &(&str, &str)| json!({ "bom-ref": name, "name": name, "scope": scope });
        let names: Vec<_> = on.iter().map(|(name, _)| *name).collect();
        json!({
            "metadata": { "timestamp": "t", "component": component(&(program, "required")) },
            "components": on.iter().map(component).collect::<Vec<_>>(),
            "dependencies": [{ "ref": program, "dependsOn": names }, { "ref": "ssl" }],
        })
        .to_string()
    }

    #[test]
    fn the_bills_of_programs_become_one() {
        let mut all = Bill::default();
        let file = Path::new("x");
        all.add(
            &bill("accept", &[("ssl", "excluded"), ("http", "required")]),
            file,
        )
        .unwrap();
        all.add(&bill("fetch", &[("ssl", "required")]), file).unwrap();
        assert!(all.add("{", file).is_err());
        all.add_below("ssl", json!({ "bom-ref": "c" }));
        all.add_below("not in it", json!({ "bom-ref": "d" }));
        let document = all.document();
        let names: Vec<_> = items(&document["components"]).filter_map(reference).collect();
        assert_eq!(names, ["accept", "c", "fetch", "http", "ssl"]);
        assert!(items(&document["components"]).all(|one| one["scope"] != "excluded"));
        let release = document["metadata"]["component"]["bom-ref"].clone();
        assert_eq!(document["metadata"]["timestamp"], "t");
        assert_eq!(
            document["dependencies"],
            json!([
                { "ref": "accept", "dependsOn": ["http", "ssl"] },
                { "ref": "c", "dependsOn": [] },
                { "ref": "fetch", "dependsOn": ["ssl"] },
                { "ref": release, "dependsOn": ["accept", "fetch"] },
                { "ref": "ssl", "dependsOn": ["c"] },
            ])
        );
    }
}
