//! `options.attributes`: converts the content of files as `git archive` does by the commit's `.gitattributes`.
//!
//! How a file is converted depends only on its path ([`plan`]). The conversion itself is done when a worker reads the
//! content: first what git does on a checkout, in git's order, then `export-subst`.

mod commit;
mod date;
mod encoding;
mod eol;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod ident;
mod placeholder;
mod plan;
mod substitution;
mod warnings;

use std::sync::{Mutex, PoisonError};

use domain::contract::{Envelope, FetchedInput};
use git2::{Oid, Repository};
use tree::Attributes;

use crate::error::Error;
use commit::Commit;
use encoding::Encoding;
use eol::Eol;
use warnings::{WarningKind, Warnings};

/// git does not convert files that are larger than this, its default `core.bigFileThreshold`.
pub const MAX_CONVERTED_BYTES: u64 = 512 << 20;

/// The most bytes by which `ident` and `export-subst` may each enlarge a file: a few bytes of `$Format:%B$` may stand
/// for a message of megabytes, thousands of times, and what `ident` has written may quadruple in another encoding.
const MAX_GROWTH_BYTES: usize = 16 << 20;

/// A file would grow by more than [`MAX_GROWTH_BYTES`].
#[derive(Debug, PartialEq, Eq)]
struct TooLarge;

/// How a file's content is converted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Conversion {
    ident: bool,
    eol: Option<Eol>,
    encoding: Option<Encoding>,
    substitute: bool,
}

/// Converts the content of files, and collects warnings. All workers share it. The default one converts nothing.
#[derive(Debug, Default)]
pub struct Converter {
    commit: Option<Commit>,
    warnings: Mutex<Warnings>,
}

impl Converter {
    /// Sets the conversion of each file, which is given by its path.
    pub fn plan<'a>(
        repository: &Repository,
        envelope: &Envelope<FetchedInput>,
        attributes: &Attributes,
        submodules: &[Vec<u8>],
        files: impl IntoIterator<Item = (&'a [u8], &'a mut Option<Conversion>)>,
    ) -> Result<Self, Error> {
        let mut warnings = Warnings::default();
        let substitutes = plan::convert(attributes, files, submodules, &mut warnings)?;
        let commit = if substitutes {
            let id = &envelope.input.fetched.commit;
            Some(Commit::read(repository, id, &envelope.push.ref_name)?)
        } else {
            None
        };
        Ok(Self {
            commit,
            warnings: Mutex::new(warnings),
        })
    }

    /// Converts the content of the file at `path`, whose blob `id` holds `data`. Returns `None` if nothing changes.
    pub fn convert(&self, path: &[u8], id: Oid, data: &[u8], conversion: Conversion) -> Option<Vec<u8>> {
        let mut converted = None;
        if conversion.ident {
            converted = ident::expand(data, id).unwrap_or_else(|TooLarge| {
                self.grown(path, "ident");
                None
            });
        }
        if let Some(eol) = conversion.eol {
            let now = converted.as_deref().unwrap_or(data);
            converted = eol.convert(now).or(converted);
        }
        if let Some(encoding) = conversion.encoding {
            let now = converted.as_deref().unwrap_or(data);
            // git does not encode an empty file, which would become a byte order mark.
            if !now.is_empty() {
                match encoding.encode(now) {
                    Some(encoded) => converted = Some(encoded),
                    None => self.warn(WarningKind::Encoding, || {
                        format!(
                            "{} cannot be encoded as {}: the zip has it as git stores it",
                            tree::lossy(path),
                            encoding.name()
                        )
                    }),
                }
            }
        }
        if let (true, Some(commit)) = (conversion.substitute, &self.commit) {
            let now = converted.as_deref().unwrap_or(data);
            let substituted = substitution::substitute(now, commit, &mut |left| {
                self.warn(WarningKind::Placeholder, || {
                    format!(
                        "{} has the placeholder {left} of export-subst, which is left as it is",
                        tree::lossy(path)
                    )
                });
            });
            match substituted {
                Ok(substituted) => converted = substituted.or(converted),
                Err(TooLarge) => self.grown(path, "export-subst"),
            }
        }
        converted
    }

    /// Adds the warning that a file is too large to be converted.
    pub fn too_large(&self, path: &[u8]) {
        self.warn(WarningKind::Large, || {
            format!("{} has more than 512 MiB: it is not converted", tree::lossy(path))
        });
    }

    fn grown(&self, path: &[u8], attribute: &str) {
        self.warn(WarningKind::Grown, || {
            format!(
                "{attribute} would make {} far too large: it was not applied",
                tree::lossy(path)
            )
        });
    }

    fn warn(&self, kind: WarningKind, text: impl FnOnce() -> String) {
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        warnings.add(kind, text());
    }

    /// Returns the warnings for the trail.
    pub fn warnings(self) -> Vec<String> {
        self.warnings
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
            .texts()
    }
}
