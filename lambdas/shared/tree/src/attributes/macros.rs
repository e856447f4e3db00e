//! Macros, which are attributes that stand for others: git's own `[attr]binary -diff -merge -text`, and those that the
//! root's file defines.

use std::collections::HashMap;

use gix_attributes::parse::Kind;

use super::State;
use super::file;
use super::names::{COUNT, Name, Names};

/// The attributes that matter: those that are looked up, at their own indexes, and the macros that stand for one of
/// them.
#[derive(Debug)]
pub struct Macros {
    indexes: HashMap<String, usize>,
    attributes: Vec<Attribute>,
}

#[derive(Debug, Default)]
struct Attribute {
    /// The attributes that it sets when it is set itself.
    stands_for: Vec<(usize, State)>,
    /// The attributes among those that are looked up that it may set.
    decides: Names,
}

impl Default for Macros {
    fn default() -> Self {
        Self::read(&[])
    }
}

impl Macros {
    /// Reads the macros of a root's file.
    pub fn read(bytes: &[u8]) -> Self {
        // The last definition of a macro counts.
        let mut defined = HashMap::from([("binary".to_owned(), vec![("text".to_owned(), State::Unset)])]);
        file::each_line(bytes, |kind, assignments| {
            if let Kind::Macro(name) = kind {
                let stands_for = assignments
                    .iter()
                    .map(|assignment| (assignment.name.as_str().to_owned(), file::state(assignment.state)))
                    .collect();
                defined.insert(name.as_str().to_owned(), stands_for);
            }
        });
        let indexes = matter(&defined);
        let mut attributes: Vec<Attribute> = (0..indexes.len()).map(|_| Attribute::default()).collect();
        for (name, _) in Name::ALL {
            attributes[name.index()].decides = Names::of(name);
        }
        for (name, stands_for) in defined {
            if let Some(index) = indexes.get(&name) {
                attributes[*index].stands_for = stands_for
                    .into_iter()
                    .filter_map(|(name, state)| Some((*indexes.get(&name)?, state)))
                    .collect();
            }
        }
        let mut macros = Self { indexes, attributes };
        macros.decide();
        macros
    }

    /// Fills in what each macro decides: whatever the attributes decide that it stands for.
    fn decide(&mut self) {
        let mut used_by: Vec<Vec<usize>> = vec![Vec::new(); self.attributes.len()];
        for (index, attribute) in self.attributes.iter().enumerate() {
            for (other, _) in &attribute.stands_for {
                used_by[*other].push(index);
            }
        }
        let mut changed: Vec<usize> = (0..COUNT).collect();
        while let Some(index) = changed.pop() {
            let decides = self.attributes[index].decides;
            for user in &used_by[index] {
                let all = self.attributes[*user].decides.with(decides);
                if all != self.attributes[*user].decides {
                    self.attributes[*user].decides = all;
                    changed.push(*user);
                }
            }
        }
    }

    /// Returns how many attributes matter.
    pub fn len(&self) -> usize {
        self.attributes.len()
    }

    /// Returns the index of the attribute `name`, or `None` if it does not matter.
    pub fn index(&self, name: &str) -> Option<usize> {
        self.indexes.get(name).copied()
    }

    pub fn decides(&self, index: usize) -> Names {
        self.attributes[index].decides
    }

    pub fn stands_for(&self, index: usize) -> &[(usize, State)] {
        &self.attributes[index].stands_for
    }
}

/// Returns the indexes of the attributes that matter, by name.
fn matter(defined: &HashMap<String, Vec<(String, State)>>) -> HashMap<String, usize> {
    let mut users: HashMap<&str, Vec<&str>> = HashMap::new();
    for (name, stands_for) in defined {
        for (other, _) in stands_for {
            users.entry(other).or_default().push(name);
        }
    }
    let mut indexes: HashMap<String, usize> = Name::ALL
        .into_iter()
        .map(|(name, text)| (text.to_owned(), name.index()))
        .collect();
    let mut new: Vec<&str> = Name::ALL.into_iter().map(|(_, text)| text).collect();
    while let Some(name) = new.pop() {
        for user in users.get(name).into_iter().flatten() {
            if !indexes.contains_key(*user) {
                indexes.insert((*user).to_owned(), indexes.len());
                new.push(user);
            }
        }
    }
    indexes
}
