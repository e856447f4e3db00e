//! What people do in a history: how the ref moves, how its webhooks come, and what is set.

use std::sync::Mutex;

use crate::core::Core;
use crate::people::Delivery;

const BRANCH: &str = "refs/heads/main";
const TAG: &str = "refs/tags/v1";

/// A webhook, and whether it was ever accepted.
#[derive(Debug, Clone)]
pub struct Known {
    /// The webhook.
    pub delivery: Delivery,
    /// Whether it was accepted.
    pub is_accepted: bool,
}

/// What people do in a history.
#[derive(Debug)]
pub struct Plan {
    /// The ref.
    pub ref_name: &'static str,
    /// What the ref points to, before each movement and after the last one.
    pub values: Vec<Option<char>>,
    /// The deliveries of the movements, the first one's first.
    pub known: Mutex<Vec<Known>>,
    /// The choices for the longest time between two movements, in seconds.
    pub pace: &'static [u64],
    /// The choices for the longest delay of a webhook, in seconds.
    pub lateness: &'static [u64],
    /// Whether the settings are ever wrong.
    pub has_mistakes: bool,
    /// Whether the destination watches paths.
    pub watches_paths: bool,
    /// Whether the zip of a deleted ref is removed.
    pub expires: bool,
}

impl Plan {
    /// Chooses what people do.
    pub fn new(core: &Core) -> Self {
        let dice = &core.dice;
        let ref_name = *dice.pick(&[BRANCH, TAG]);
        let all: &[Option<char>] = match ref_name {
            BRANCH => &[None, Some('a'), Some('b'), Some('c')],
            _ => &[None, Some('a'), Some('S'), Some('T')],
        };
        let mut values = vec![*dice.pick(all)];
        for _ in 0..dice.between(1, 5) {
            let here = values[values.len() - 1];
            let others: Vec<_> = all.iter().filter(|value| **value != here).collect();
            values.push(**dice.pick(&others));
        }
        Self {
            ref_name,
            values,
            known: Mutex::default(),
            pace: dice.pick::<&[u64]>(&[&[0, 2], &[0, 60, 200], &[0, 2, 60, 1_000]]),
            lateness: dice.pick::<&[u64]>(&[&[0], &[0, 5, 100], &[0, 5, 100, 3_000]]),
            has_mistakes: dice.happens(300),
            watches_paths: dice.happens(400),
            expires: dice.happens(400),
        }
    }
}
