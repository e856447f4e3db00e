//! Tests that every [`StateIndex`] must pass, and the queries on top of it.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use domain::aggregate::Aggregate;
use domain::contract::Stage;
use domain::event::{PushEvent, PushReceived};
use domain::execution::Execution;
use domain::push::{Push, PushId};
use domain::push_index::{Category, Position};
use domain::state::PushState;

use crate::samples::Samples;
use crate::{EventStore, Filter, Page, PushQueries, SortKeys, StateIndex, samples};

/// Runs all tests of the indexes of pushes concurrently.
///
/// # Panics
/// Panics if the indexes do not conform.
pub async fn check_queries(trail: &(impl EventStore<Push> + StateIndex<Push>)) {
    // The futures of the SDK are large, and would not all fit onto the stack of a thread.
    tokio::join!(
        Box::pin(check_index::<Push>(trail)),
        Box::pin(the_sort_keys_that_are_asked_for_are_found(trail)),
        Box::pin(pages_have_each_push_of_a_repository_once(trail)),
        Box::pin(pages_have_each_push_of_all_days_and_categories_once(trail)),
        Box::pin(what_a_filter_leaves_out_is_not_listed(trail)),
        Box::pin(a_push_is_found_by_its_commit(trail)),
    );
}

/// After each event, the indexes have the state by its keys, and no longer by those that it had before.
///
/// # Panics
/// Panics if the index does not conform.
pub async fn check_index<A: Samples>(trail: &(impl EventStore<A> + StateIndex<A>)) {
    for (id, events) in A::histories() {
        let (mut state, mut before) = (None, vec![]);
        for event in events {
            let next = trail.try_append(state, event).await.unwrap().unwrap();
            let keys = A::index_keys(&next);
            for key in &keys {
                let sort = SortKeys::StartingWith(&key.sort);
                let found = trail.find(key.index, &key.partition, sort, 1_000).await.unwrap();
                let found = found.iter().find(|state| A::id(state) == id);
                assert_eq!(found, Some(&next), "{key:?}");
            }
            for old in before {
                if keys.contains(&old) {
                    continue;
                }
                let sort = SortKeys::StartingWith(&old.sort);
                let found = trail.find(old.index, &old.partition, sort, 1_000).await.unwrap();
                assert!(found.iter().all(|state| A::id(state) != id), "{old:?}");
            }
            (state, before) = (Some(next), keys);
        }
    }
}

/// Of the sort keys of a partition, those are found that are asked for, the last one first, and no more than asked for.
async fn the_sort_keys_that_are_asked_for_are_found(trail: &(impl EventStore<Push> + StateIndex<Push>)) {
    let pushes = of_one_repository(4);
    let mut states = vec![];
    for push in &pushes {
        states.push(receive(trail, push, time(states.len())).await);
    }
    states.reverse();
    let key = |state: &PushState| Push::index_keys(state).swap_remove(0);
    let all = key(&states[0]);
    let find =
        async |sort: SortKeys<'_>, limit| trail.find(all.index, &all.partition, sort, limit).await.unwrap();
    assert_eq!(find(SortKeys::All, 9).await, states);
    assert_eq!(find(SortKeys::All, 2).await, states[..2]);
    assert_eq!(
        find(SortKeys::Before(&key(&states[1]).sort), 9).await,
        states[2..]
    );
    let start = key(&states[1]).sort[.."2026-01-01T10:02".len()].to_owned();
    assert_eq!(find(SortKeys::StartingWith(&start), 9).await, states[1..2]);
    assert_eq!(
        trail
            .find(all.index, "REPOSITORY#none", SortKeys::All, 9)
            .await
            .unwrap(),
        []
    );
}

/// Pushes that were received in the same millisecond are on one page each too.
async fn pages_have_each_push_of_a_repository_once(trail: &(impl EventStore<Push> + StateIndex<Push>)) {
    let pushes = of_one_repository(5);
    for (number, push) in pushes.iter().enumerate() {
        receive(trail, push, time(number / 3)).await;
    }
    let filter = Filter {
        repository: Some(pushes[0].repository.clone()),
        ..Filter::since(time(0))
    };
    for limit in 1..=6 {
        let pages = pages(trail, &filter, limit).await;
        assert!(pages.iter().all(|page| page.pushes.len() <= limit));
        let listed: Vec<_> = pages
            .iter()
            .flat_map(|page| &page.pushes)
            .map(Position::of)
            .collect();
        assert_eq!(listed.len(), 5, "{limit}");
        assert!(listed.is_sorted_by(|newer, older| newer > older), "{listed:?}");
    }
}

/// Without a repository, the pushes of several categories and days are merged by time.
async fn pages_have_each_push_of_all_days_and_categories_once(
    trail: &(impl EventStore<Push> + StateIndex<Push>),
) {
    let today = Utc::now();
    let days = [0, 0, 1, 1, 3];
    let pushes = of_one_repository(days.len());
    let mut expected = vec![];
    for (number, (push, days)) in pushes.iter().zip(days).enumerate() {
        let received_at = today - TimeDelta::days(days) - TimeDelta::seconds(i64::try_from(number).unwrap());
        let mut state = receive(trail, push, received_at).await;
        // Every second one has failed.
        if number % 2 == 0 {
            state = append(trail, state, samples::push_failed("e1")).await;
        }
        expected.push(Position::of(&state));
    }
    // Others use the table at the same time.
    let ours: BTreeSet<_> = pushes.iter().map(|push| push.push_id).collect();
    for limit in [1, 2, 50] {
        let filter = Filter {
            ref_name: Some(pushes[0].ref_name.clone()),
            ..Filter::since(today - TimeDelta::days(4))
        };
        let pages = pages(trail, &filter, limit).await;
        let listed = pages.iter().flat_map(|page| &page.pushes);
        let listed = listed.filter(|push| ours.contains(&push.push_id()));
        let mut listed: Vec<_> = listed.map(Position::of).collect();
        if limit == 50 {
            // The open ones come first.
            assert_eq!(listed, [1, 3, 0, 2, 4].map(|number| expected[number]));
        }
        listed.sort_unstable_by(|one, other| other.cmp(one));
        assert_eq!(listed, expected, "{limit}");
    }
}

async fn what_a_filter_leaves_out_is_not_listed(trail: &(impl EventStore<Push> + StateIndex<Push>)) {
    let [mut failed, mut open, mut old]: [Push; 3] = of_one_repository(3).try_into().unwrap();
    let repository = Some(open.repository.clone());
    failed.source = "other".parse().unwrap();
    open.ref_name = "refs/tags/v1".parse().unwrap();
    old.ref_name = "refs/tags/v1".parse().unwrap();
    for push in [&mut failed, &mut open, &mut old] {
        push.push_id = PushId::new(&push.source, &push.delivery_id, &push.ref_name);
    }
    let state = receive(trail, &failed, time(9)).await;
    append(trail, state, samples::push_failed("e1")).await;
    receive(trail, &open, time(8)).await;
    receive(trail, &old, time(1)).await;
    let list = async |change: &dyn Fn(&mut Filter)| {
        let mut filter = Filter {
            repository: repository.clone(),
            ..Filter::since(time(0))
        };
        change(&mut filter);
        let page = trail.list(&filter, 50).await.unwrap();
        assert_eq!(page.next, None);
        let ids = page.pushes.iter().map(PushState::push_id);
        ids.collect::<Vec<_>>()
    };
    let [failed, open, old] = [failed, open, old].map(|push| push.push_id);
    assert_eq!(list(&|_| ()).await, [open, old, failed]);
    assert_eq!(list(&|filter| filter.since = time(8)).await, [open, failed]);
    assert_eq!(
        list(&|filter| filter.categories = vec![Category::Failed]).await,
        [failed]
    );
    assert_eq!(
        list(&|filter| filter.source = Some("gitlab".parse().unwrap())).await,
        [open, old]
    );
    assert_eq!(
        list(&|filter| filter.ref_name = Some("refs/tags/v1".parse().unwrap())).await,
        [open, old]
    );
}

/// A push is found by what its payload names, and then by the commit that was fetched.
async fn a_push_is_found_by_its_commit(trail: &(impl EventStore<Push> + StateIndex<Push>)) {
    let tag = samples::push();
    let pushed = tag.after.clone().unwrap();
    let state = receive(trail, &tag, time(0)).await;
    let of = async |id: &str| {
        let found = trail.of_commit(&id.parse().unwrap()).await.unwrap();
        found.iter().map(PushState::push_id).collect::<Vec<_>>()
    };
    assert_eq!(of(pushed.as_str()).await, [tag.push_id]);
    let state = append(trail, state, PushEvent::PushValidated(samples::deliver())).await;
    let fetched = samples::fetched(7);
    let commit = fetched.commit.clone();
    let state = append(trail, state, PushEvent::CommitFetched(fetched)).await;
    append(trail, state, samples::attempt_failed(Stage::Package, "e1")).await;
    assert_eq!(of(pushed.as_str()).await, []);
    for digits in [7, 8, 39, 40] {
        assert_eq!(of(&commit.as_str()[..digits]).await, [tag.push_id]);
    }
    // Another commit that begins in the same way.
    let mut other = commit.as_str()[..39].to_owned();
    other.push(if commit.as_str().ends_with('0') { '1' } else { '0' });
    let again = Push {
        after: Some(other.parse().unwrap()),
        ..samples::push()
    };
    receive(trail, &again, time(1)).await;
    assert_eq!(of(commit.as_str()).await, [tag.push_id]);
    assert_eq!(of(&commit.as_str()[..39]).await.len(), 2);
}

fn time(minutes: usize) -> DateTime<Utc> {
    let begin: DateTime<Utc> = "2026-01-01T10:00:00.123Z".parse().unwrap();
    begin + TimeDelta::minutes(i64::try_from(minutes).unwrap())
}

/// Returns pushes of one ref of a new repository.
fn of_one_repository(count: usize) -> Vec<Push> {
    let first = samples::push();
    let repository = format!("group/{}", first.delivery_id);
    let pushes = std::iter::successors(Some(first), |push| Some(samples::next(push)));
    let pushes = pushes.take(count).map(|push| Push {
        repository: repository.parse().unwrap(),
        ..push
    });
    pushes.collect()
}

async fn receive(trail: &impl EventStore<Push>, push: &Push, started_at: DateTime<Utc>) -> PushState {
    let received = PushEvent::PushReceived(PushReceived {
        push: push.clone(),
        execution: Execution {
            id: "e1".into(),
            started_at,
        },
    });
    trail.try_append(None, received).await.unwrap().unwrap()
}

async fn append(trail: &impl EventStore<Push>, state: PushState, event: PushEvent) -> PushState {
    trail.try_append(Some(state), event).await.unwrap().unwrap()
}

/// Returns all pages of a list.
async fn pages(trail: &impl StateIndex<Push>, filter: &Filter, limit: usize) -> Vec<Page> {
    let (mut filter, mut pages) = (filter.clone(), vec![]);
    loop {
        let page = trail.list(&filter, limit).await.unwrap();
        filter.before = page.next;
        pages.push(page);
        if filter.before.is_none() {
            return pages;
        }
    }
}
