//! Tests that every trail that is swept must pass.

use domain::push::{Push, PushId};
use uuid::Uuid;

use crate::{PushTrail, RefKey, SourceRef, SourceRefs, samples};

/// Returns `push` as one of this source.
fn of_source(source: &str, push: Push) -> Push {
    let source = source.parse().unwrap();
    Push {
        push_id: PushId::new(&source, &push.delivery_id, &push.ref_name),
        source,
        ..push
    }
}

/// Runs all tests of the trail of a source's refs.
///
/// # Panics
/// Panics if the trail does not conform.
pub async fn check_sources(trail: &(impl PushTrail + SourceRefs)) {
    let unique = Uuid::new_v4().simple().to_string();
    let name = format!("s{}", &unique[..12]);
    let other = format!("s{}", &unique[12..24]);
    every_ref_is_there_once_with_its_last_push(trail, &name, &other).await;
    a_sweep_begins_where_the_last_one_has_stopped(trail, &name, &other).await;
}

/// A ref that was deleted stays, without a commit. Refs of other sources are not among them.
async fn every_ref_is_there_once_with_its_last_push(
    trail: &(impl PushTrail + SourceRefs),
    source: &str,
    other: &str,
) {
    let source_name = source.parse().unwrap();
    assert_eq!(trail.refs(&source_name).await.unwrap(), []);
    let first = of_source(source, samples::push());
    let next = of_source(source, samples::next(&first));
    let deleted = of_source(source, samples::push());
    let deletion = of_source(source, samples::deletion(&deleted));
    let elsewhere = Push {
        repository: "group/other#project".parse().unwrap(),
        ..of_source(source, samples::push())
    };
    let of_another_source = of_source(other, first.clone());
    for push in [&first, &next, &deleted, &deletion, &elsewhere, &of_another_source] {
        trail.number(push).await.unwrap();
    }
    let mut expected = Vec::new();
    for push in [&next, &deletion, &elsewhere] {
        let key = RefKey::of(push);
        let last = trail.last_push(&key).await.unwrap().unwrap();
        assert_eq!((last.push_id, &last.after), (push.push_id, &push.after));
        expected.push(SourceRef::of(&key, &last));
    }
    let sorted = |mut refs: Vec<SourceRef>| {
        refs.sort_by_key(|of| (of.repository.to_string(), of.ref_name.to_string()));
        refs
    };
    let refs = trail.refs(&source_name).await.unwrap();
    assert_eq!(sorted(refs), sorted(expected));
    assert_eq!(trail.refs(&other.parse().unwrap()).await.unwrap().len(), 1);
}

async fn a_sweep_begins_where_the_last_one_has_stopped(trail: &impl SourceRefs, source: &str, other: &str) {
    let (source, other) = (source.parse().unwrap(), other.parse().unwrap());
    assert_eq!(trail.sweep_begins_with(&source).await.unwrap(), None);
    for begins_with in [Some("group/b"), Some("group/c"), None] {
        let begins_with = begins_with.map(|path| path.parse().unwrap());
        trail
            .put_sweep_begins_with(&source, begins_with.as_ref())
            .await
            .unwrap();
        assert_eq!(trail.sweep_begins_with(&source).await.unwrap(), begins_with);
        assert_eq!(trail.sweep_begins_with(&other).await.unwrap(), None);
    }
}
