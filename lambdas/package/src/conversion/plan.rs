//! What the attributes mean for each entry.

use tree::{Attributes, Found, LeftOut, State};

use super::Conversion;
use super::encoding::{self, Encoding};
use super::eol::Eol;
use super::warnings::{Kind, Warnings};
use crate::entry::{Content, Entry};

/// Leaves out the entries that are `export-ignore`, and all that is in folders that are. `entries` are in order.
pub fn leave_out(attributes: &Attributes, entries: &mut Vec<Entry>) -> Result<(), tree::Error> {
    LeftOut::new(attributes).remove_from(entries, |entry| &entry.path)
}

/// Says how files are converted. Whether one of them has substitutions.
pub fn convert(
    attributes: &Attributes,
    entries: &mut [Entry],
    submodules: &[Vec<u8>],
    warnings: &mut Warnings,
) -> Result<bool, tree::Error> {
    let mut substitutes = false;
    for Entry { path, content } in entries {
        let Content::Blob { conversion, .. } = content else {
            continue;
        };
        let found = attributes.of(path)?;
        // What the commit's submodules say in export-subst is about their own commits.
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

fn encoding(path: &[u8], found: &Found<'_>, warnings: &mut Warnings) -> Option<Encoding> {
    let name = match found.working_tree_encoding {
        State::Unspecified => return None,
        State::Value(name) => name.as_slice(),
        // git stops here.
        State::Set | State::Unset => b"true/false",
    };
    match Encoding::named(name) {
        Ok(encoding) => encoding,
        Err(encoding::Unknown) => {
            warnings.add(
                Kind::UnknownEncoding,
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
