//! Decides by the attributes how files are converted.

use tree::{Attributes, PathAttributes, State};

use super::Conversion;
use super::encoding::{self, Encoding};
use super::eol::Eol;
use super::warnings::{WarningKind, Warnings};

/// Sets the conversion of each file, which is given by its path. Returns whether one of them is subject to
/// `export-subst`.
pub fn convert<'a>(
    attributes: &Attributes,
    files: impl IntoIterator<Item = (&'a [u8], &'a mut Option<Conversion>)>,
    submodules: &[Vec<u8>],
    warnings: &mut Warnings,
) -> Result<bool, tree::Error> {
    let mut substitutes = false;
    for (path, conversion) in files {
        let found = attributes.of(path)?;
        // In a submodule, `export-subst` would refer to the submodule's own commit.
        let own = !submodules.iter().any(|submodule| path.starts_with(submodule));
        let planned = Conversion {
            ident: *found.ident == State::Set,
            eol: Eol::of(&found),
            encoding: encoding(path, &found, warnings),
            substitute: own && *found.export_subst == State::Set,
        };
        substitutes |= planned.substitute;
        if planned != Conversion::default() {
            *conversion = Some(planned);
        }
    }
    Ok(substitutes)
}

fn encoding(path: &[u8], found: &PathAttributes<'_>, warnings: &mut Warnings) -> Option<Encoding> {
    let name = match found.working_tree_encoding {
        State::Unspecified => return None,
        State::Value(name) => name.as_slice(),
        // git fails at such a file.
        State::Set | State::Unset => b"true/false",
    };
    match Encoding::named(name) {
        Ok(encoding) => encoding,
        Err(encoding::Unknown) => {
            warnings.add(
                WarningKind::UnknownEncoding,
                format!(
                    "{} is not encoded: its working-tree-encoding {:?} is not known",
                    tree::lossy(path),
                    tree::lossy(name)
                ),
            );
            None
        }
    }
}
