//! Decides by the attributes which entries are left out, and how the others are converted.

use tree::{Attributes, ExportIgnoreFilter, PathAttributes, State};

use super::Conversion;
use super::encoding::{self, Encoding};
use super::eol::Eol;
use super::warnings::{WarningKind, Warnings};
use crate::entry::{Content, ZipEntry};

/// Removes the entries that are `export-ignore`, and everything in folders that are. `entries` are sorted by path.
pub fn leave_out(attributes: &Attributes, entries: &mut Vec<ZipEntry>) -> Result<(), tree::Error> {
    ExportIgnoreFilter::new(attributes).remove_from(entries, |entry| &entry.path)
}

/// Sets the conversion of each file. Returns whether one of them is subject to `export-subst`.
pub fn convert(
    attributes: &Attributes,
    entries: &mut [ZipEntry],
    submodules: &[Vec<u8>],
    warnings: &mut Warnings,
) -> Result<bool, tree::Error> {
    let mut substitutes = false;
    for ZipEntry { path, content } in entries {
        let Content::Blob { conversion, .. } = content else {
            continue;
        };
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
