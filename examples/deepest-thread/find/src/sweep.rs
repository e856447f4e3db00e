//! All posts and comments of a window, by slices of time.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::TryStreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::sync::Semaphore;

use crate::FindError;
use crate::source::{Hit, Kind, Page, Slice, Source};

/// The most searches at once.
const SEARCHES_AT_ONCE: usize = 8;
/// How many hits a slice should have. The search gives a thousand, and some hours have more hits than others.
const HITS_OF_A_SLICE: usize = 650;
/// How often a slice may be divided.
const MAX_DIVISIONS: u32 = 10;
/// The most searches. A month takes about 600.
pub const MAX_SEARCHES: usize = 2_000;

/// Returns the posts and comments of a window, and how many searches that took. A hit may be there twice.
pub async fn sweep(source: &impl Source, from: i64, to: i64) -> Result<(Vec<Hit>, usize), FindError> {
    let searches = Searches {
        source,
        permits: Semaphore::new(SEARCHES_AT_ONCE),
        count: AtomicUsize::new(0),
    };
    let slice = |kind| Slice { kind, from, to };
    let mut running: FuturesUnordered<_> = [Kind::Posts, Kind::Comments]
        .map(|kind| searches.run(slice(kind), 0))
        .into_iter()
        .collect();
    let mut hits = Vec::new();
    while let Some((slice, division, page)) = running.try_next().await? {
        let rest = rest(slice, division, &page)?;
        if running.len() + rest.len() + searches.count.load(Ordering::Relaxed) > MAX_SEARCHES {
            return Err(too_dense(slice, &page));
        }
        running.extend(rest.into_iter().map(|slice| searches.run(slice, division + 1)));
        hits.extend(page.hits);
    }
    Ok((hits, searches.count.load(Ordering::Relaxed)))
}

struct Searches<'a, S> {
    source: &'a S,
    permits: Semaphore,
    count: AtomicUsize,
}

impl<S: Source> Searches<'_, S> {
    async fn run(&self, slice: Slice, division: u32) -> Result<(Slice, u32, Page), FindError> {
        // The semaphore is never closed.
        let _permit = self.permits.acquire().await;
        self.count.fetch_add(1, Ordering::Relaxed);
        Ok((slice, division, self.source.search(slice).await?))
    }
}

/// Returns the slices that have the hits that the page does not have. They are as old as its oldest hit, or older.
fn rest(slice: Slice, division: u32, page: &Page) -> Result<Vec<Slice>, FindError> {
    check_order(slice, page)?;
    let missing = page.total.saturating_sub(page.hits.len());
    if missing == 0 {
        return Ok(vec![]);
    }
    let Some(oldest) = page.hits.last().map(Hit::time) else {
        return Err(FindError::SearchChanged(format!(
            "{} hits from {} to {} and none of them given",
            page.total, slice.from, slice.to
        )));
    };
    if division == MAX_DIVISIONS || slice.to - slice.from <= 1 {
        return Err(too_dense(slice, page));
    }
    let seconds = oldest + 1 - slice.from;
    let parts = i64::try_from(missing.div_ceil(HITS_OF_A_SLICE)).unwrap_or(i64::MAX);
    // A slice that could not be shortened is halved.
    let parts = if seconds == slice.to - slice.from {
        parts.max(2)
    } else {
        parts
    };
    if parts > MAX_SEARCHES as i64 {
        return Err(too_dense(slice, page));
    }
    let bound = |part: i64| slice.from + seconds * part / parts;
    Ok((0..parts)
        .map(|part| Slice {
            kind: slice.kind,
            from: bound(part),
            to: bound(part + 1),
        })
        .filter(|slice| slice.from < slice.to)
        .collect())
}

/// Checks that the hits are those of the slice, the newest first.
fn check_order(slice: Slice, page: &Page) -> Result<(), FindError> {
    let mut newest = slice.to - 1;
    for hit in &page.hits {
        if hit.time() > newest || hit.time() < slice.from {
            return Err(FindError::SearchChanged(format!(
                "a hit of {} from {} to {}, or not the newest first",
                hit.time(),
                slice.from,
                slice.to
            )));
        }
        newest = hit.time();
    }
    Ok(())
}

fn too_dense(slice: Slice, page: &Page) -> FindError {
    FindError::SliceTooDense(format!(
        "{} of {} hits from {} to {}",
        page.hits.len(),
        page.total,
        slice.from,
        slice.to
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(total: usize, times: &[i64]) -> Page {
        let hits = times.iter().map(|time| Hit::Post {
            id: 1,
            time: *time,
            comments: 0,
        });
        Page {
            total,
            hits: hits.collect(),
        }
    }

    fn slice(from: i64, to: i64) -> Slice {
        Slice {
            kind: Kind::Posts,
            from,
            to,
        }
    }

    #[test]
    fn what_a_page_lacks_is_as_old_as_its_oldest_hit_or_older() {
        assert_eq!(rest(slice(0, 100), 0, &page(2, &[60, 60])).unwrap(), []);
        assert_eq!(
            rest(slice(0, 100), 0, &page(3, &[90, 60])).unwrap(),
            [slice(0, 61)]
        );
        let two = rest(slice(0, 100), 0, &page(1302, &[90, 59])).unwrap();
        assert_eq!(two, [slice(0, 30), slice(30, 60)]);
    }

    #[test]
    fn a_second_with_more_hits_than_the_search_gives_is_too_dense() {
        let error = rest(slice(5, 6), 3, &page(2, &[5])).unwrap_err();
        assert!(matches!(error, FindError::SliceTooDense(_)), "{error}");
        let error = rest(slice(0, 100), MAX_DIVISIONS, &page(3, &[90, 60])).unwrap_err();
        assert!(matches!(error, FindError::SliceTooDense(_)), "{error}");
        let error = rest(slice(0, 100), 0, &page(usize::MAX, &[90])).unwrap_err();
        assert!(matches!(error, FindError::SliceTooDense(_)), "{error}");
    }

    #[test]
    fn a_slice_whose_page_does_not_shorten_it_is_halved() {
        let halves = rest(slice(0, 10), 0, &page(2, &[9])).unwrap();
        assert_eq!(halves, [slice(0, 5), slice(5, 10)]);
    }

    #[test]
    fn hits_that_are_not_of_the_slice_or_not_in_order_are_an_error() {
        for times in [&[100][..], &[-1], &[5, 6]] {
            let error = rest(slice(0, 100), 0, &page(times.len(), times)).unwrap_err();
            assert!(matches!(error, FindError::SearchChanged(_)), "{error}");
        }
        let error = rest(slice(0, 100), 0, &page(7, &[])).unwrap_err();
        assert!(matches!(error, FindError::SearchChanged(_)), "{error}");
    }
}
