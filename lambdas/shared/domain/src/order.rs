//! The order guard: which of two pushes of one ref is newer.

use serde::{Deserialize, Serialize};

use crate::contract::Superseded;
use crate::git::{ObjectId, RefName, RepositoryPath};
use crate::push::{Push, PushId, SourceName};

/// A push as the metadata of a destination object names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    /// The push.
    pub push_id: PushId,
    /// Its source.
    pub source: SourceName,
    /// Its repository.
    pub repository: RepositoryPath,
    /// Its ref.
    pub ref_name: RefName,
    /// What the ref pointed to before it.
    pub before: Option<ObjectId>,
    /// What the ref pointed to after it.
    pub after: Option<ObjectId>,
    /// Its number among the pushes of the ref.
    pub sequence: u64,
    /// What the ref pointed to when it was fetched; none where that is not known.
    pub ref_now: Option<ObjectId>,
}

impl Placed {
    /// `push` with its number, and what its ref pointed to when it was fetched.
    #[must_use]
    pub fn new(push: &Push, sequence: u64, ref_now: Option<ObjectId>) -> Self {
        Self {
            push_id: push.push_id,
            source: push.source.clone(),
            repository: push.repository.clone(),
            ref_name: push.ref_name.clone(),
            before: push.before.clone(),
            after: push.after.clone(),
            sequence,
            ref_now,
        }
    }

    fn same_ref(&self, other: &Self) -> bool {
        (&self.source, &self.repository, &self.ref_name)
            == (&other.source, &other.repository, &other.ref_name)
    }
}

/// What is to be done about the object at the destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// It is older, or not there: write.
    Write,
    /// It is this push's own, from an earlier run.
    AlreadyThere,
    /// It is newer: keep it.
    Superseded(Superseded),
    /// It is of another repository or ref: nobody can say which is newer.
    Occupied,
}

/// Decides between the push whose zip is at the destination and `mine`.
///
/// 1. Lineage: the one whose `before` is the other's `after` is newer. Where that holds both ways (a ref that was moved
///    and moved back) it says nothing.
/// 2. The ref itself: the one that the ref already pointed to when the other was fetched (`ref_now`), while the other is
///    something else, is newer. Where that holds both ways it says nothing.
/// 3. The number that `Validate` gave, in order of arrival.
#[must_use]
pub fn decide(current: &Placed, mine: &Placed) -> Order {
    if current.push_id == mine.push_id {
        return Order::AlreadyThere;
    }
    if !current.same_ref(mine) {
        return Order::Occupied;
    }
    let superseded = |because: String| {
        Order::Superseded(Superseded {
            by: current.push_id,
            because,
        })
    };
    let follows = |newer: &Placed, older: &Placed| newer.before.is_some() && newer.before == older.after;
    let mine_is_next = follows(mine, current);
    let mine_is_older = follows(current, mine);
    if mine_is_next != mine_is_older {
        return if mine_is_next {
            Order::Write
        } else {
            superseded(format!("push {} began where this one ended", current.push_id))
        };
    }
    let was_there = |newer: &Placed, older: &Placed| {
        older.ref_now.is_some() && older.ref_now == newer.after && older.ref_now != older.after
    };
    let mine_was_there = was_there(mine, current);
    let current_was_there = was_there(current, mine);
    if mine_was_there != current_was_there {
        return if mine_was_there {
            Order::Write
        } else {
            superseded(format!(
                "{} already pointed to push {} when this one was fetched",
                mine.ref_name, current.push_id
            ))
        };
    }
    if current.sequence > mine.sequence {
        return superseded(format!(
            "push {} is number {} of {}, this one is number {}",
            current.push_id, current.sequence, mine.ref_name, mine.sequence
        ));
    }
    Order::Write
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(letter: char) -> ObjectId {
        letter.to_string().repeat(40).parse().unwrap()
    }

    fn placed(before: Option<char>, after: char, sequence: u64) -> Placed {
        let source: SourceName = "gitlab".parse().unwrap();
        let ref_name: RefName = "refs/heads/main".parse().unwrap();
        Placed {
            push_id: PushId::new(&source, &format!("d{sequence}").parse().unwrap(), &ref_name),
            source,
            repository: "group/project".parse().unwrap(),
            ref_name,
            before: before.map(object),
            after: Some(object(after)),
            sequence,
            ref_now: None,
        }
    }

    fn fetched_at(ref_now: char, placed: Placed) -> Placed {
        Placed {
            ref_now: Some(object(ref_now)),
            ..placed
        }
    }

    fn is_superseded(current: &Placed, mine: &Placed) -> bool {
        match decide(current, mine) {
            Order::Superseded(superseded) => {
                assert_eq!(superseded.by, current.push_id);
                true
            }
            Order::Write => false,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn lineage_goes_before_the_order_of_arrival() {
        let (first, second) = (placed(Some('a'), 'b', 2), placed(Some('b'), 'c', 1));
        assert!(!is_superseded(&first, &second));
        assert!(is_superseded(&second, &first));
    }

    #[test]
    fn a_ref_that_was_moved_and_moved_back_is_decided_by_arrival() {
        let (there, back) = (placed(Some('a'), 'b', 1), placed(Some('b'), 'a', 2));
        assert!(!is_superseded(&there, &back));
        assert!(is_superseded(&back, &there));
    }

    #[test]
    fn the_one_that_the_ref_pointed_to_already_is_newer_whichever_comes_first() {
        // Two pushes apart, and the older webhook came later: lineage says nothing, arrival says the wrong thing.
        let newest = fetched_at('d', placed(Some('c'), 'd', 1));
        let oldest = fetched_at('d', placed(Some('a'), 'b', 2));
        assert!(is_superseded(&newest, &oldest));
        assert!(!is_superseded(&oldest, &newest));
        let in_its_time = fetched_at('b', placed(Some('a'), 'b', 2));
        assert!(!is_superseded(&newest, &in_its_time));
        assert!(is_superseded(&in_its_time, &newest));
    }

    #[test]
    fn a_ref_that_each_of_two_pushes_found_at_the_other_is_decided_by_arrival() {
        let first = fetched_at('d', placed(Some('a'), 'b', 1));
        let second = fetched_at('b', placed(Some('c'), 'd', 2));
        assert!(!is_superseded(&first, &second));
        assert!(is_superseded(&second, &first));
    }

    #[test]
    fn unrelated_pushes_are_decided_by_arrival() {
        let (first, second) = (placed(None, 'b', 1), placed(None, 'c', 2));
        assert!(!is_superseded(&first, &second));
        assert!(is_superseded(&second, &first));
    }

    #[test]
    fn a_repeated_push_of_the_same_commit_writes_again() {
        assert!(!is_superseded(
            &fetched_at('b', placed(Some('b'), 'b', 1)),
            &fetched_at('b', placed(Some('b'), 'b', 2))
        ));
    }

    #[test]
    fn its_own_object_is_there_already() {
        let mine = placed(None, 'b', 1);
        assert_eq!(decide(&mine, &mine), Order::AlreadyThere);
    }

    #[test]
    fn another_refs_object_is_not_touched() {
        let mut other = placed(None, 'b', 1);
        other.ref_name = "refs/heads/next".parse().unwrap();
        other.push_id = "8f56e11b-9fab-5a06-9a1c-5ae3de50bd46".parse().unwrap();
        assert_eq!(decide(&other, &placed(None, 'c', 9)), Order::Occupied);
    }
}
