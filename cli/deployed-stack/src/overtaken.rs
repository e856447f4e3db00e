//! Failed pushes that nobody has to look after any more, because a newer push of the same ref was delivered.

use audit::Filter;
use domain::push_index::Category;
use domain::state::PushState;

use crate::{Error, Stack, trail};

/// How many of the newest delivered pushes of a ref are read: a ref may have several destinations, each with pushes of
/// its own.
const MAX_READ: usize = 50;

/// Returns the pushes, which have failed, without those that were overtaken.
///
/// # Errors
/// As of [`trail::list`].
pub async fn leave_out(stack: &Stack, pushes: Vec<PushState>) -> Result<Vec<PushState>, Error> {
    let mut left = Vec::new();
    for push in pushes {
        if !is_overtaken(stack, &push).await? {
            left.push(push);
        }
    }
    Ok(left)
}

/// Returns whether the push has delivered nothing, and its destination has the zip of a newer one. Another execution
/// would find that it is superseded.
async fn is_overtaken(stack: &Stack, push: &PushState) -> Result<bool, Error> {
    let Some(own) = push.deliver.as_ref().filter(|_| !push.status.is_complete()) else {
        return Ok(false);
    };
    let filter = Filter {
        repository: Some(push.push.repository.clone()),
        ref_name: Some(push.push.ref_name.clone()),
        source: Some(push.push.source.clone()),
        categories: vec![Category::Delivered],
        ..Filter::since(push.received_at)
    };
    let newer = trail::list(stack, &filter, MAX_READ).await?.pushes;
    let mut newer = newer.iter().filter_map(|push| push.deliver.as_ref());
    Ok(newer.any(|newer| newer.destination == own.destination && newer.sequence > own.sequence))
}
