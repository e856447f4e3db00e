//! The lines of one attributes file that matter.

use std::collections::HashMap;

use gix_attributes::parse::Kind;

use super::State;
use super::budget::Budget;
use super::file;
use super::glob::{Glob, Path};
use super::macros::Macros;
use super::names::{COUNT, Names};
use crate::error::Error;

/// The lines of one file that set an attribute that matters.
#[derive(Debug, Default)]
pub struct Rules {
    rules: Vec<Rule>,
    /// The lines whose pattern is a plain name or path, by that: `git lfs track` may write thousands of these.
    literal: HashMap<Vec<u8>, Vec<usize>>,
    /// The other lines.
    wild: Vec<usize>,
    decide: Names,
}

#[derive(Debug)]
struct Rule {
    glob: Glob,
    assignments: Vec<(usize, State)>,
    decides: Names,
}

/// The states of a path's attributes, while they are looked up.
pub struct Lookup<'a> {
    macros: &'a Macros,
    budget: &'a Budget,
    /// The states by the indexes of the attributes.
    states: Vec<Option<&'a State>>,
    /// The attributes that are wanted and not known yet.
    missing: Names,
}

impl Rules {
    pub fn read(bytes: &[u8], macros: &Macros) -> Self {
        let mut rules = Self::default();
        file::each_line(bytes, |kind, assignments| {
            let Kind::Pattern(pattern) = kind else { return };
            let assignments: Vec<_> = assignments
                .iter()
                .filter_map(|assignment| {
                    let index = macros.index(assignment.name.as_str())?;
                    Some((index, file::state(assignment.state)))
                })
                .collect();
            if !assignments.is_empty() {
                rules.add(Glob::new(&pattern), assignments, macros);
            }
        });
        rules
    }

    fn add(&mut self, glob: Glob, assignments: Vec<(usize, State)>, macros: &Macros) {
        let index = self.rules.len();
        match glob.literal() {
            Some(text) => self.literal.entry(text.to_vec()).or_default().push(index),
            None => self.wild.push(index),
        }
        let decides = assignments
            .iter()
            .fold(Names::NONE, |all, (index, _)| all.with(macros.decides(*index)));
        self.decide = self.decide.with(decides);
        self.rules.push(Rule {
            glob,
            assignments,
            decides,
        });
    }

    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Returns whether some line sets one of these attributes.
    pub fn mention(&self, names: Names) -> bool {
        self.decide.intersects(names)
    }

    /// Applies the lines to `path`. They are those of the folder `path[..folder]`. Returns whether all wanted
    /// attributes are known now.
    ///
    /// # Errors
    /// Returns [`Error::Limit`] if the [`Budget`] is spent.
    pub fn apply<'a>(&'a self, path: &[u8], folder: usize, lookup: &mut Lookup<'a>) -> Result<bool, Error> {
        let path = Path::new(&path[folder..]);
        let mut named = self.literal(path.name());
        let mut whole = if path.name().len() == path.whole().len() {
            &[][..]
        } else {
            self.literal(path.whole())
        };
        let mut wild = self.wild.as_slice();
        // The last line comes first, whichever list it is in.
        while let Some(index) = pop_last([&mut named, &mut whole, &mut wild]) {
            let rule = &self.rules[index];
            let mut steps = 1;
            let matches = lookup.missing.intersects(rule.decides) && rule.glob.matches(path, &mut steps);
            lookup.budget.spend(steps)?;
            if matches {
                lookup.take(&rule.assignments)?;
                if lookup.missing.is_empty() {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn literal(&self, text: &[u8]) -> &[usize] {
        if self.literal.is_empty() {
            return &[];
        }
        self.literal.get(text).map_or(&[], Vec::as_slice)
    }
}

fn pop_last(lists: [&mut &[usize]; 3]) -> Option<usize> {
    let list = lists.into_iter().max_by_key(|list| list.last().copied())?;
    let (last, rest) = list.split_last()?;
    *list = rest;
    Some(*last)
}

impl<'a> Lookup<'a> {
    /// Starts a look-up of the attributes `wanted`.
    ///
    /// # Errors
    /// Returns [`Error::Limit`] if the [`Budget`] is spent.
    pub fn new(macros: &'a Macros, wanted: Names, budget: &'a Budget) -> Result<Self, Error> {
        // A repository may define a hundred thousand macros.
        budget.spend(macros.len() as u64)?;
        Ok(Self {
            macros,
            budget,
            states: vec![None; macros.len()],
            missing: wanted,
        })
    }

    /// Takes the states that are not known yet, the last assignment first. What a macro stands for comes right after
    /// it.
    fn take(&mut self, assignments: &'a [(usize, State)]) -> Result<(), Error> {
        let mut todo: Vec<&(usize, State)> = assignments.iter().collect();
        while let Some((index, state)) = todo.pop() {
            self.budget.spend(1)?;
            if self.states[*index].is_some() {
                continue;
            }
            self.states[*index] = Some(state);
            if *index < COUNT {
                self.missing = self.missing.without(Names::at(*index));
            }
            if *state == State::Set {
                todo.extend(self.macros.stands_for(*index));
            }
        }
        Ok(())
    }

    pub fn states(self) -> [&'a State; COUNT] {
        std::array::from_fn(|index| self.states[index].unwrap_or(&State::Unspecified))
    }
}
