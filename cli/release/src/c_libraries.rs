//! The C libraries whose code is in crates, which cargo knows nothing of.

use std::path::Path;

use release::Error;
use serde_json::{Value, json};

/// A crate with the code of a C library.
struct CLibrary {
    /// The crate.
    package: &'static str,
    /// The library.
    name: &'static str,
    /// The vendor and the product by which databases of advisories know it (CPE), or `None` if they do not.
    cpe: Option<(&'static str, &'static str)>,
    /// The header that defines its version as a macro, if the crate's version does not say it.
    defined: Option<(&'static str, &'static str)>,
}

/// Those that SECURITY.md names.
const C_LIBRARIES: [CLibrary; 5] = [
    CLibrary {
        package: "openssl-src",
        name: "OpenSSL",
        cpe: Some(("openssl", "openssl")),
        defined: None,
    },
    CLibrary {
        package: "libgit2-sys",
        name: "libgit2",
        cpe: Some(("libgit2", "libgit2")),
        defined: None,
    },
    CLibrary {
        package: "libssh2-sys",
        name: "libssh2",
        cpe: Some(("libssh2", "libssh2")),
        defined: Some(("libssh2/include/libssh2.h", "LIBSSH2_VERSION")),
    },
    CLibrary {
        package: "libz-sys",
        name: "zlib",
        cpe: Some(("zlib", "zlib")),
        defined: Some(("src/zlib/zlib.h", "ZLIB_VERSION")),
    },
    CLibrary {
        package: "libdeflate-sys",
        name: "libdeflate",
        cpe: None,
        defined: Some(("libdeflate/libdeflate.h", "LIBDEFLATE_VERSION_STRING")),
    },
];

/// Returns the C library in a crate of cargo's metadata as a component of a bill of materials, or `None` if it has
/// none.
///
/// # Errors
/// Returns an error if its version cannot be found.
pub fn component_of(package: &Value) -> Result<Option<Value>, Error> {
    let text = |key: &str| package[key].as_str().unwrap_or_default();
    let Some(library) = C_LIBRARIES.iter().find(|library| library.package == text("name")) else {
        return Ok(None);
    };
    let manifest = Path::new(text("manifest_path"));
    let version = match library.defined {
        None => text("version")
            .split_once('+')
            .map(|(_, version)| version.to_owned()),
        Some((header, name)) => {
            let header = manifest.with_file_name(header);
            let code = std::fs::read_to_string(&header).map_err(Error::io("read", &header))?;
            definition(&code, name)
        }
    };
    let version = version.ok_or_else(|| Error::NotReleasable {
        path: manifest.to_owned(),
        reason: format!(
            "the version of {} in it is not where cli/release/src/c_libraries.rs looks for it",
            library.name
        ),
    })?;
    let name = library.name.to_lowercase();
    let purl = format!("pkg:generic/{name}@{version}");
    let mut component = json!({
        "type": "library",
        "bom-ref": purl,
        "name": library.name,
        "version": version,
        "description": format!("C code in the crate {}", library.package),
        "scope": "required",
        "purl": purl,
    });
    if let Some((vendor, product)) = library.cpe {
        component["cpe"] = format!("cpe:2.3:a:{vendor}:{product}:{version}:*:*:*:*:*:*:*").into();
    }
    Ok(Some(component))
}

/// Returns the text that a C header defines `name` as, in the form of versions: `1.2.3-dev` for `1.2.3_DEV`.
fn definition(code: &str, name: &str) -> Option<String> {
    let mut lines = code
        .lines()
        .filter_map(|line| line.trim().strip_prefix("#define "));
    let value = lines.find_map(|line| line.trim_start().strip_prefix(name)?.trim().strip_prefix('"'))?;
    let (value, _) = value.split_once('"')?;
    Some(value.replace('_', "-").to_lowercase())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_version_is_what_a_header_defines() {
        let code = "# define OTHER \"1\"\n#define A_VERSION_NUM 0x1\n#define A_VERSION   \"1.2.3_DEV\"\n";
        assert_eq!(definition(code, "A_VERSION").as_deref(), Some("1.2.3-dev"));
        assert_eq!(definition(code, "B_VERSION"), None);
    }

    #[test]
    fn the_c_libraries_have_the_versions_that_the_security_page_tells() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let metadata = Command::new(env!("CARGO"))
            .args(["metadata", "--locked", "--format-version", "1"])
            .current_dir(&root)
            .output()
            .unwrap();
        let metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();
        let mut found = BTreeSet::new();
        for package in metadata["packages"].as_array().unwrap() {
            if let Some(component) = component_of(package).unwrap() {
                let text = |value: &Value| value.as_str().unwrap().to_owned();
                found.insert([
                    text(&component["name"]),
                    text(&component["version"]),
                    format!("`{}` {}", text(&package["name"]), text(&package["version"])),
                ]);
            }
        }
        let security = std::fs::read_to_string(root.join("SECURITY.md")).unwrap();
        let (_, table) = security.split_once("| Library | Version | Crate |").unwrap();
        let told: BTreeSet<_> = table
            .lines()
            .skip(2)
            .take_while(|line| line.starts_with('|'))
            .map(|line| {
                let cells: Vec<_> = line.split('|').map(|cell| cell.trim().to_owned()).collect();
                [cells[1].clone(), cells[2].clone(), cells[3].clone()]
            })
            .collect();
        assert_eq!(found, told);
    }
}
