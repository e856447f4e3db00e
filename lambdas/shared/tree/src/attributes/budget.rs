//! Limits the work of looking up the attributes of one listing.

use std::cell::Cell;

use crate::error::Error;

/// The steps that all look-ups together have spent of the limit `attributes_steps`.
#[derive(Debug)]
pub struct Budget {
    limit: u64,
    spent: Cell<u64>,
}

impl Budget {
    pub fn new(limit: u64) -> Self {
        Self {
            limit,
            spent: Cell::new(0),
        }
    }

    /// Spends `steps` steps, each of which takes at most some nanoseconds.
    ///
    /// # Errors
    /// Returns [`Error::Limit`] if more steps were spent than the limit allows.
    pub fn spend(&self, steps: u64) -> Result<(), Error> {
        let spent = self.spent.get().saturating_add(steps);
        self.spent.set(spent);
        if spent > self.limit {
            return Err(Error::Limit {
                limit: "attributes_steps",
                reason: format!(
                    "the lines of its .gitattributes take more than {} steps to be compared with its paths",
                    self.limit
                ),
            });
        }
        Ok(())
    }
}
