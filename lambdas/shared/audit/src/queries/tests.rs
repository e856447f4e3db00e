//! Lists pushes page by page, from an index in memory.

use chrono::TimeDelta;
use domain::aggregate::{Aggregate as _, RecordedEvent};
use domain::event::{PushEvent, PushReceived};
use domain::execution::Execution;

use super::*;
use crate::samples;

/// The index by status of these pushes, by their partitions.
struct Pushes(Vec<(String, PushState)>);

impl StateIndex<Push> for Pushes {
    async fn find(
        &self,
        _: Index,
        partition: &str,
        sort: SortKeys<'_>,
        limit: usize,
    ) -> Result<Vec<PushState>, AuditError> {
        let of_partition = self.0.iter().filter(|(of, _)| of == partition);
        let mut found: Vec<_> = of_partition.map(|(_, push)| push.clone()).collect();
        found.retain(|push| sort.contain(&Position::of(push).to_string()));
        found.sort_by_key(|push| std::cmp::Reverse(Position::of(push)));
        found.truncate(limit);
        Ok(found)
    }
}

/// Returns an open push that was received so many seconds before noon.
fn push(seconds: i64) -> PushState {
    let noon: DateTime<Utc> = "2026-01-02T12:00:00Z".parse().unwrap();
    let received = PushEvent::PushReceived(PushReceived {
        push: samples::push(),
        execution: Execution {
            id: "e1".into(),
            started_at: noon - TimeDelta::seconds(seconds),
        },
    });
    apply(None, 1, received)
}

fn apply(state: Option<PushState>, version: u64, event: PushEvent) -> PushState {
    let previous = state.as_ref().and_then(Push::head).cloned();
    let recorded = RecordedEvent::new(version, previous, Utc::now(), event).unwrap();
    Push::follow(state, &recorded).unwrap()
}

fn failed(state: PushState) -> PushState {
    apply(Some(state), 2, samples::push_failed("e1"))
}

fn index(pushes: impl IntoIterator<Item = PushState>) -> Pushes {
    let partition = |push: &PushState| {
        let keys = Push::index_keys(push).into_iter();
        keys.filter(|key| key.index == Index::Status)
            .map(|key| key.partition)
            .next()
            .unwrap()
    };
    Pushes(pushes.into_iter().map(|push| (partition(&push), push)).collect())
}

/// Lists all pushes, page by page.
async fn all(index: &Pushes, filter: &Filter, limit: usize) -> Vec<Page> {
    let (mut filter, mut pages) = (filter.clone(), vec![]);
    loop {
        let page = index.list(&filter, limit).await.unwrap();
        filter.before = page.next;
        pages.push(page);
        if filter.before.is_none() {
            return pages;
        }
    }
}

fn since_the_day_before() -> Filter {
    Filter {
        before: Some(Position::of(&push(-1))),
        ..Filter::since("2026-01-01T00:00:00Z".parse().unwrap())
    }
}

/// One query of the open ones ends long before one of the failed ones, which are older.
#[tokio::test]
async fn categories_with_more_pushes_than_one_query_has_are_merged_by_time() {
    let open = (0..160).map(push);
    let old = (100..260).map(push).map(failed);
    let pushes = index(open.chain(old));
    let mut expected: Vec<_> = pushes.0.iter().map(|(_, push)| Position::of(push)).collect();
    expected.sort_unstable_by(|one, other| other.cmp(one));
    for limit in [1, 7, 50, 1_000] {
        let pages = all(&pushes, &since_the_day_before(), limit).await;
        let mut listed = vec![];
        for page in pages {
            let mut of_page: Vec<_> = page.pushes.iter().map(Position::of).collect();
            of_page.sort_unstable_by(|one, other| other.cmp(one));
            listed.extend(of_page);
        }
        assert!(listed == expected, "{limit}");
    }
}

#[tokio::test]
async fn a_push_that_changes_its_category_meanwhile_is_listed_once_as_it_is_now() {
    let open = push(1);
    let now = failed(open.clone());
    let pages = all(&index([open, now.clone()]), &since_the_day_before(), 50).await;
    let [page] = &pages[..] else { panic!("{pages:?}") };
    assert_eq!(page.pushes, [now]);
}

#[tokio::test]
async fn a_filter_that_leaves_out_most_pushes_ends_a_page_early() {
    let count = i64::try_from(MAX_READ).unwrap() + 1;
    let filter = Filter {
        source: Some("other".parse().unwrap()),
        ..since_the_day_before()
    };
    let pages = all(&index((0..count).map(push)), &filter, 50).await;
    assert!(pages.iter().all(|page| page.pushes.is_empty()));
    assert_eq!(pages.len(), 2);
}
