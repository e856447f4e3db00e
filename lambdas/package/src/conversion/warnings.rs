//! Warnings about what could not be done as git does it. Only a few files of each kind are named, and always the same
//! ones, whichever worker came first.

use std::collections::{BTreeMap, BTreeSet};

/// The most warnings of one kind that are kept. The others are only counted.
const MAX_NAMED: usize = 10;

/// What a warning is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WarningKind {
    UnknownEncoding,
    Encoding,
    Placeholder,
    Grown,
    Large,
}

#[derive(Debug, Default)]
struct Few {
    /// The first warnings in alphabetical order.
    named: BTreeSet<String>,
    more: u64,
}

/// The warnings of all workers.
#[derive(Debug, Default)]
pub struct Warnings(BTreeMap<WarningKind, Few>);

impl Warnings {
    pub fn add(&mut self, kind: WarningKind, text: String) {
        let Few { named, more } = self.0.entry(kind).or_default();
        if named.insert(text) && named.len() > MAX_NAMED {
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
                    WarningKind::UnknownEncoding => "working-tree-encodings that are not known",
                    WarningKind::Encoding => "files that cannot be encoded",
                    WarningKind::Placeholder => "placeholders of export-subst that were left",
                    WarningKind::Grown => "files that export-subst or ident would make far too large",
                    WarningKind::Large => "files that are too large to be converted",
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
    fn the_same_ten_of_a_kind_are_named_in_whatever_order_they_come() {
        let texts = |numbers: &mut dyn Iterator<Item = u32>| {
            let mut warnings = Warnings::default();
            for number in numbers {
                warnings.add(WarningKind::Encoding, format!("{number:02}"));
            }
            warnings.add(WarningKind::Large, "x".into());
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
