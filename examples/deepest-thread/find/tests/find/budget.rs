//! How many requests an answer takes, in worlds of the size of the real one.

use fake_hn::{Fake, Shape, Weather, World};
use find::Question;

use crate::{NOW, source_of};

#[tokio::test(flavor = "multi_thread")]
async fn a_day_takes_25_searches_and_a_month_700() {
    let world = World::grow(&Shape::real(744, NOW));
    let expected = [(24, 25), (168, 175), (720, 700)].map(|(hours, most)| {
        let items = world
            .items()
            .filter(|(_, item)| item.time >= NOW - hours * 3600)
            .count();
        (
            u32::try_from(hours).unwrap(),
            most,
            world.deepest(hours as u32, NOW).unwrap(),
            items,
        )
    });
    let fake = Fake::serve(world, Weather::default(), 0).await.unwrap();
    let source = source_of(&fake);
    let mut before = fake.counts();
    for (hours, most, expected, items) in expected {
        let question = Question {
            hours: hours.try_into().unwrap(),
            as_of: NOW,
        };
        let answer = find::handle(&source, question).await.unwrap();
        assert_eq!(answer.post.as_ref().unwrap().id, expected.post, "{hours} h");
        assert_eq!(answer.depth, expected.depth, "{hours} h");
        let counts = fake.counts();
        let searches = counts.searches - before.searches + counts.trees - before.trees;
        println!(
            "{hours} h: {searches} searches, {} of them whole threads, and {} items, where a naive client asks for {items}",
            counts.trees - before.trees,
            counts.items - before.items
        );
        assert!(searches <= most, "{hours} h: {searches} searches");
        assert_eq!(
            answer.examined.requests,
            searches + counts.items - before.items,
            "{hours} h"
        );
        before = counts;
    }
}
