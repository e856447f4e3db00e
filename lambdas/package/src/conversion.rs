//! `options.attributes`: the zip holds what `git archive` makes of the commit by its `.gitattributes`.
//!
//! Which entries are left out and how others are converted is known from their paths ([`plan`]). The conversion itself
//! waits until a worker reads the content: what git does on a checkout, in git's order, then `export-subst`.

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

use domain::contract::{Envelope, PackageInput};
use git2::{Oid, Repository};
use tree::Attributes;

use crate::entry::Entry;
use crate::error::Error;
use commit::Commit;
use encoding::Encoding;
use eol::Eol;
pub use plan::leave_out;
use warnings::{Kind, Warnings};

/// git converts no larger files: its `core.bigFileThreshold`.
pub const LARGEST: u64 = 512 << 20;

/// By how many bytes `ident` and `export-subst` may each make a file larger: a few bytes of `$Format:%B$` may stand for a
/// message of megabytes, thousands of times, and what `ident` has written may become four times as much in another encoding.
const GROWTH: usize = 16 << 20;

/// A file would grow by more than [`GROWTH`].
#[derive(Debug, PartialEq, Eq)]
struct TooLarge;

/// What becomes of a file's content.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Conversion {
    ident: bool,
    eol: Option<Eol>,
    encoding: Option<Encoding>,
    substitute: bool,
}

/// Converts. All workers share it. Without a plan there is nothing to convert.
#[derive(Debug, Default)]
pub struct Converter {
    commit: Option<Commit>,
    warnings: Mutex<Warnings>,
}

impl Converter {
    /// Says how each file is converted.
    pub fn plan(
        repository: &Repository,
        envelope: &Envelope<PackageInput>,
        attributes: &Attributes,
        submodules: &[Vec<u8>],
        entries: &mut [Entry],
    ) -> Result<Self, Error> {
        let mut warnings = Warnings::default();
        let substitutes = plan::convert(attributes, entries, submodules, &mut warnings)?;
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

    /// The content of the file at `path`, whose blob `id` holds `data`; none where nothing changes.
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
            // git does not encode nothing: it would be a byte order mark.
            if !now.is_empty() {
                match encoding.encode(now) {
                    Some(encoded) => converted = Some(encoded),
                    None => self.warn(Kind::Encoding, || {
                        format!(
                            "{} cannot be encoded as {}: it is in UTF-8, or whatever git has it in",
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
                self.warn(Kind::Placeholder, || {
                    format!(
                        "{} has the placeholder {left} of export-subst: it is left as it is",
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

    /// Notes that a file is too large to be converted.
    pub fn too_large(&self, path: &[u8]) {
        self.warn(Kind::Large, || {
            format!("{} has more than 512 MiB: it is not converted", tree::lossy(path))
        });
    }

    fn grown(&self, path: &[u8], attribute: &str) {
        self.warn(Kind::Grown, || {
            format!(
                "{attribute} would make {} far too large: it was not applied",
                tree::lossy(path)
            )
        });
    }

    fn warn(&self, kind: Kind, text: impl FnOnce() -> String) {
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        warnings.add(kind, text());
    }

    /// What a reader of the trail should know.
    pub fn warnings(self) -> Vec<String> {
        self.warnings
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
            .texts()
    }
}
