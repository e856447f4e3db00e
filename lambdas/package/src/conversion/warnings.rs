//! What could not be done as git does it. Few files of a kind are named, and the same ones whichever worker was first.

use std::collections::{BTreeMap, BTreeSet};

/// More of a kind are only counted.
const NAMED: usize = 10;

/// Why there is a warning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    UnknownEncoding,
    Encoding,
    Placeholder,
    Grown,
    Large,
}

#[derive(Debug, Default)]
struct Few {
    /// The first in order.
    named: BTreeSet<String>,
    more: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Warnings(BTreeMap<Kind, Few>);

impl Warnings {
    pub fn add(&mut self, kind: Kind, text: String) {
        let Few { named, more } = self.0.entry(kind).or_default();
        if named.insert(text) && named.len() > NAMED {
            named.pop_last();
            *more += 1;
        }
    }

    pub fn texts(self) -> Vec<String> {
        let mut texts = Vec::new();
        for (kind, Few { named, more }) in self.0 {
            texts.extend(named);
            if more > 0 {
                let what = match kind {
                    Kind::UnknownEncoding => "working-tree-encodings that are not known",
                    Kind::Encoding => "files that cannot be encoded",
                    Kind::Placeholder => "placeholders of export-subst that were left",
                    Kind::Grown => "files that export-subst or ident would make far too large",
                    Kind::Large => "files that are too large to be converted",
                };
                texts.push(format!("there are {more} more {what}"));
            }
        }
        texts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_of_a_kind_are_named_in_any_order_of_coming() {
        let texts = |numbers: &mut dyn Iterator<Item = u32>| {
            let mut warnings = Warnings::default();
            for number in numbers {
                warnings.add(Kind::Encoding, format!("{number:02}"));
            }
            warnings.add(Kind::Large, "x".into());
            warnings.texts()
        };
        let forwards = texts(&mut (0..25));
        assert_eq!(forwards, texts(&mut (0..25).rev()));
        assert_eq!(forwards[..2], ["00", "01"]);
        assert_eq!(
            forwards[9..],
            ["09", "there are 15 more files that cannot be encoded", "x"]
        );
    }
}
