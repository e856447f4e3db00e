//! What is where in a release, and what its templates say.

use std::path::{Path, PathBuf};

use local_aws::application::Application;
use local_aws::architecture::Architecture;
use local_aws::build::with_built;
use serde::Deserialize;

/// The file with the checksums, beside the archive.
pub const SUMS: &str = "SHA256SUMS";

/// The files of the checkout that are in a release as they are, besides the state machines.
pub const FILES: [&str; 5] = [
    "CHANGELOG.md",
    "LICENSE",
    "README.md",
    "SECURITY.md",
    "samconfig.toml",
];

/// The folders whose files are in a release as they are: the definitions of the state machines, and what people read.
pub const FOLDERS: [&str; 4] = [
    "docs",
    "examples/codepipeline",
    "examples/cross-account",
    "statemachine",
];

/// Returns the name of the folder in the archive, with which the names of all files of a release begin.
#[must_use]
pub fn name(version: &str) -> String {
    format!("push-code-{version}")
}

/// Returns the name of the archive.
#[must_use]
pub fn archive(version: &str) -> String {
    format!("{}.tar.gz", name(version))
}

/// Returns the name of the bill of materials.
#[must_use]
pub fn bill_of_materials(version: &str) -> String {
    format!("{}.cdx.json", name(version))
}

/// Returns the path of an application's template for these processors.
#[must_use]
pub fn template_path(application: &Application, architecture: Architecture) -> PathBuf {
    let file = Path::new(application.template).file_name().unwrap_or_default();
    Path::new(architecture.name()).join(file)
}

/// Returns the path of a function's program. Its folder is the one that the template names.
#[must_use]
pub fn function_path(function: &str, architecture: Architecture) -> PathBuf {
    Path::new(architecture.name()).join(function).join("bootstrap")
}

/// Returns a template of the checkout as it is in a release: it names the functions beside it, and stacks can only be
/// for their processors. Returns `None` if the template's parameter `Architecture` is not as expected.
#[must_use]
pub fn template(text: &str, architecture: Architecture) -> Option<String> {
    const ANY: &str = "    Default: x86_64\n    AllowedValues: [x86_64, arm64]\n";
    let only = format!("    Default: {architecture}\n    AllowedValues: [{architecture}]\n");
    let text = with_built(text, Path::new(".."), |function| function.into());
    (text.matches(ANY).count() == 1).then(|| text.replace(ANY, &only))
}

/// Returns the version of Push Code that a template says.
///
/// # Errors
/// Returns why it says none.
pub fn version_of(template: &str) -> Result<String, String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Template {
        outputs: Outputs,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Outputs {
        version: Output,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Output {
        value: String,
    }
    let template: Template = serde_saphyr::from_str(template).map_err(|error| error.to_string())?;
    Ok(template.outputs.version.value)
}

#[cfg(test)]
mod tests {
    use local_aws::application::{DELIVERY, PUSH_CODE};

    use super::*;

    fn checkout(file: &str) -> String {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        std::fs::read_to_string(root.join(file)).unwrap()
    }

    #[test]
    fn a_template_names_the_functions_beside_it_for_their_processors_alone() {
        for application in [PUSH_CODE, DELIVERY] {
            let text = checkout(application.template);
            for &architecture in Architecture::all() {
                let text = template(&text, architecture).unwrap();
                for function in application.functions {
                    assert!(
                        text.contains(&format!("\n      CodeUri: {function}\n")),
                        "{function}"
                    );
                }
                assert!(!text.contains("lambdas/"));
                let definitions = text.matches("DefinitionUri: ").count();
                assert_eq!(
                    text.matches("DefinitionUri: ../statemachine/").count(),
                    definitions
                );
                assert!(definitions > 0);
                let only = format!("Default: {architecture}\n    AllowedValues: [{architecture}]\n");
                assert!(text.contains(&only));
            }
        }
        assert_eq!(template("Parameters: {}", Architecture::Arm64), None);
    }

    #[test]
    fn the_version_is_the_one_of_this_command() {
        assert_eq!(
            version_of(&checkout("template.yaml")).as_deref(),
            Ok(env!("CARGO_PKG_VERSION"))
        );
        assert!(version_of("Outputs: {}").is_err());
    }
}
