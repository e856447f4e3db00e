//! In worlds by chance, the fast way and the naive one find the same.

use fake_hn::{Fake, Shape, Weather, World};
use find::Question;
use futures::{StreamExt as _, stream};

use crate::{NOW, source_of};

const WORLDS: u64 = 1_000;
const WINDOWS: [u32; 4] = [1, 5, 24, 40];

/// Compares the answers about one world and one window. Returns how many holes and posts it has.
async fn compare(seed: u64) -> (usize, usize) {
    let shape = Shape::small(seed, NOW + 600);
    let world = World::grow(&shape);
    let hours = WINDOWS[seed as usize % WINDOWS.len()];
    let expected = world.deepest(hours, NOW);
    let fake = Fake::serve(world, Weather::default(), 0).await.unwrap();
    let source = source_of(&fake);
    let question = Question {
        hours: hours.try_into().unwrap(),
        as_of: NOW,
    };
    let answer = find::handle(&source, question).await.unwrap();
    let deepest = answer.deepest_comment.as_ref().map(|comment| comment.id);
    let found = answer
        .post
        .as_ref()
        .map(|post| (post.id, answer.depth, post.comments, deepest));
    let expected = expected.map(|one| (one.post, one.depth, one.comments, one.comment));
    assert_eq!(found, expected, "{shape:?} {hours} h");
    assert_eq!(answer.path.last().copied(), deepest, "{shape:?} {hours} h");
    (answer.examined.holes, answer.examined.posts)
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_thousand_worlds_the_answer_is_that_of_the_naive_recursion() {
    let compared = stream::iter(0..WORLDS).map(|seed| tokio::spawn(compare(seed)));
    let compared: Vec<_> = compared.buffer_unordered(4).collect().await;
    let (mut holes, mut posts) = (0, 0);
    for compared in compared {
        let (some_holes, some_posts) = compared.unwrap();
        holes += some_holes;
        posts += some_posts;
    }
    // The worlds are not trivial.
    assert!(holes > 2_000 && posts > 10_000, "{holes} holes, {posts} posts");
}
