//! How much work the attributes of one listing may be.

use std::cell::Cell;

use crate::error::Error;

/// What was spent of the limit `attributes_steps`, by all look-ups together.
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

    /// Spends so many steps, each of which is some nanoseconds at most.
    ///
    /// # Errors
    /// [`Error::Limit`] if more were spent than there are.
    pub fn spend(&self, steps: u64) -> Result<(), Error> {
        let spent = self.spent.get().saturating_add(steps);
        self.spent.set(spent);
        if spent > self.limit {
            return Err(Error::Limit {
                limit: "attributes_steps",
                met: format!(
                    "the lines of its .gitattributes take more than {} steps to be compared with its paths",
                    self.limit
                ),
            });
        }
        Ok(())
    }
}
