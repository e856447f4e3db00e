//! Worlds whose deepest thread is known by how they are built.

use fake_hn::{Counts, Fake, Id, Kind, State, Weather, World};
use find::Question;
use thread::Answer;

use crate::{NOW, source_of};

const HOUR: i64 = 3_600;

async fn ask_with_counts(world: World, hours: u32) -> (Answer, Counts) {
    let fake = Fake::serve(world, Weather::default(), 0).await.unwrap();
    let source = source_of(&fake);
    let question = Question {
        hours: hours.try_into().unwrap(),
        as_of: NOW,
    };
    let answer = find::handle(&source, question).await.unwrap();
    (answer, fake.counts())
}

async fn ask(world: World, hours: u32) -> Answer {
    ask_with_counts(world, hours).await.0
}

fn post(answer: &Answer) -> Option<Id> {
    answer.post.as_ref().map(|post| post.id)
}

/// Adds comments, each a reply to the one before.
fn chain(world: &mut World, first: Id, below: Id, length: u64) {
    for number in 0..length {
        let parent = if number == 0 { below } else { first + number - 1 };
        world.comment(first + number, parent, NOW - 600 + number as i64);
    }
}

/// Two posts: one has three levels, the other one more comments. An older post has a comment from before them.
fn two_posts() -> World {
    let mut world = World::default();
    world.post(1, NOW - 99 * HOUR);
    world.comment(2, 1, NOW - 2 * HOUR);
    world.post(10, NOW - HOUR);
    world.post(11, NOW - HOUR);
    chain(&mut world, 100, 10, 3);
    for number in 0..5 {
        world.comment(200 + number, 11, NOW - 500);
    }
    world
}

#[tokio::test]
async fn the_answer_names_the_post_the_deepest_comment_and_the_way_to_it() {
    let answer = ask(two_posts(), 24).await;
    let found = answer.post.as_ref().unwrap();
    assert_eq!((found.id, answer.depth, found.comments), (10, 3, 3));
    assert_eq!((found.title.as_str(), found.by.as_str()), ("Post 10", "user10"));
    assert_eq!(found.url.as_deref(), Some("https://example.com/10"));
    assert_eq!(found.time, NOW - HOUR);
    assert_eq!(answer.path, [100, 101, 102]);
    let deepest = answer.deepest_comment.as_ref().unwrap();
    assert_eq!((deepest.id, deepest.url.ends_with("id=102")), (102, true));
    assert_eq!(
        answer.thread[0].as_ref().unwrap().text,
        "Comment 100 & its reasons"
    );
    assert_eq!(
        (answer.as_of, answer.hours.get(), answer.complete),
        (NOW, 24, true)
    );
    assert_eq!((answer.examined.posts, answer.examined.comments), (2, 9));
}

#[tokio::test]
async fn a_window_begins_with_its_first_second_and_ends_before_its_last() {
    let mut world = World::default();
    world.post(9, NOW - HOUR - 1);
    chain(&mut world, 100, 9, 3);
    world.post(10, NOW - HOUR);
    world.post(11, NOW);
    world.comment(200, 11, NOW);
    let answer = ask(world.clone(), 1).await;
    assert_eq!((post(&answer), answer.depth), (Some(10), 0));
    assert_eq!(post(&ask(world, 2).await), Some(9));
}

#[tokio::test]
async fn a_comment_of_the_last_second_or_later_does_not_count() {
    let mut world = two_posts();
    world.comment(300, 200, NOW - 1);
    world.comment(301, 300, NOW);
    let answer = ask(world, 24).await;
    assert_eq!((post(&answer), answer.depth), (Some(10), 3));
}

#[tokio::test]
async fn no_post_is_an_answer_too() {
    let answer = ask(World::default(), 24).await;
    assert_eq!((post(&answer), answer.depth, answer.complete), (None, 0, true));
    let mut world = World::default();
    world.post_of(Kind::Job, 10, NOW - 60);
    world.post(11, NOW - 60);
    world.set(11, State::Dead);
    world.comment(12, 11, NOW - 50);
    assert_eq!(post(&ask(world, 24).await), None);
}

#[tokio::test]
async fn polls_are_posts_and_dead_posts_are_none() {
    let mut world = two_posts();
    world.post_of(Kind::Poll, 12, NOW - HOUR);
    chain(&mut world, 300, 12, 4);
    world.post(13, NOW - HOUR);
    chain(&mut world, 400, 13, 9);
    world.set(13, State::Deleted);
    assert_eq!(post(&ask(world, 24).await), Some(12));
}

#[tokio::test]
async fn of_equal_depths_more_comments_win_and_then_the_first_post() {
    let mut world = two_posts();
    world.post(8, NOW - HOUR);
    chain(&mut world, 300, 8, 3);
    world.comment(310, 10, NOW - 5);
    assert_eq!(post(&ask(world.clone(), 24).await), Some(10));
    world.comment(311, 8, NOW - 5);
    assert_eq!(post(&ask(world, 24).await), Some(8));
}

#[tokio::test]
async fn chains_of_one_to_five_gone_comments_are_levels() {
    for length in 1..=5 {
        for state in [State::Dead, State::Deleted] {
            let mut world = two_posts();
            chain(&mut world, 300, 11, length + 2);
            for number in 1..=length {
                world.set(300 + number, state);
            }
            let answer = ask(world, 24).await;
            assert_eq!(post(&answer), Some(11));
            assert_eq!(u64::from(answer.depth), length + 2, "{state:?}");
            assert_eq!(answer.examined.holes as u64, length, "{state:?}");
            assert!(answer.thread[1].is_none());
        }
    }
}

#[tokio::test]
async fn a_gone_comment_without_a_live_reply_is_no_level() {
    let mut world = two_posts();
    chain(&mut world, 300, 11, 9);
    for number in 1..9 {
        world.set(300 + number, State::Dead);
    }
    let answer = ask(world, 24).await;
    assert_eq!((post(&answer), answer.depth), (Some(10), 3));
}

#[tokio::test]
async fn what_the_api_of_items_does_not_know_is_in_the_whole_thread() {
    let mut world = two_posts();
    chain(&mut world, 300, 11, 6);
    world.set(301, State::Unknown);
    world.set(302, State::Unknown);
    let answer = ask(world, 24).await;
    assert_eq!(
        (post(&answer), answer.depth, answer.complete),
        (Some(11), 6, true)
    );
}

#[tokio::test]
async fn a_post_that_was_set_anew_has_its_older_comments() {
    let mut world = World::default();
    world.post(5, NOW - 40 * HOUR);
    for number in 0..6 {
        let parent = if number == 0 { 5 } else { 20 + number - 1 };
        world.comment(20 + number, parent, NOW - 39 * HOUR + number as i64);
    }
    world.post(30, NOW - 2 * HOUR);
    chain(&mut world, 100, 30, 4);
    world.set_time(5, NOW - HOUR);
    // Above the newest comment is one that is older than the window, and gone.
    world.comment(90, 25, NOW - 39 * HOUR + 9);
    world.set(90, State::Dead);
    world.comment(110, 90, NOW - 9);
    let (answer, counts) = ask_with_counts(world, 24).await;
    assert_eq!((post(&answer), answer.depth), (Some(5), 8));
    assert_eq!(counts.items, 0);
    assert_eq!(answer.path, [20, 21, 22, 23, 24, 25, 90, 110]);
}

#[tokio::test]
async fn moved_comments_count_where_they_are() {
    // From one post of the window to another.
    let mut world = two_posts();
    chain(&mut world, 300, 10, 5);
    world.move_below(300, 11);
    let answer = ask(world, 24).await;
    assert_eq!((post(&answer), answer.depth), (Some(11), 5));

    // From a post before the window, with comments that were written before it.
    let mut world = two_posts();
    for number in 0..6 {
        let parent = if number == 0 { 1 } else { 3 + number - 1 };
        world.comment(3 + number, parent, NOW - 98 * HOUR);
    }
    world.move_below(3, 11);
    let answer = ask(world, 24).await;
    assert_eq!((post(&answer), answer.depth), (Some(11), 6));

    // Out of the window.
    let mut world = two_posts();
    world.move_below(100, 1);
    let answer = ask(world, 24).await;
    assert_eq!((post(&answer), answer.depth), (Some(11), 1));
}

#[tokio::test]
async fn more_than_a_thousand_hits_are_all_found() {
    let mut world = World::default();
    world.post(1, NOW - HOUR);
    // 2,500 comments of one minute, of which 900 are of one second.
    for number in 0..2_500_u64 {
        let second = if number < 900 { 0 } else { number as i64 % 60 };
        world.comment(10 + number, 1, NOW - 600 + second);
    }
    world.comment(9_000, 10, NOW - 600);
    let (answer, counts) = ask_with_counts(world, 24).await;
    assert_eq!((post(&answer), answer.depth), (Some(1), 2));
    assert_eq!(answer.examined.comments, 2_501);
    assert!(counts.searches < 20, "{counts:?}");
}

#[tokio::test]
async fn a_thread_that_is_not_known_whole_is_said_to_be_so() {
    let mut world = two_posts();
    chain(&mut world, 300, 11, 6);
    world.set(301, State::Unknown);
    let answer = std::sync::Arc::new(|target: &str, _: usize| {
        // The whole thread lacks what is below the item that nobody knows.
        let tree = r#"{"id":11,"author":"a","created_at_i":1,"children":[]}"#;
        target
            .starts_with("/api/v1/items/11?")
            .then(|| (200, tree.to_owned()))
    });
    let weather = Weather {
        answer: Some(answer),
        ..Weather::default()
    };
    let fake = Fake::serve(world, weather, 0).await.unwrap();
    let source = source_of(&fake);
    let question = Question {
        hours: 24.try_into().unwrap(),
        as_of: NOW,
    };
    let answer = find::handle(&source, question).await.unwrap();
    assert_eq!((post(&answer), answer.depth), (Some(10), 3));
    // What the thread says counts, whatever the search said.
    assert!(answer.complete, "{:?}", answer.unanswered);
}
