//! PostgreSQL, a program of others, finds the same deepest thread by a recursive query over the same world.

use std::fmt::Write as _;

use fake_hn::{Fake, Item, Shape, Weather, World};
use find::Question;

use crate::server::Server;
use crate::{NOW, source_of};

/// Before the items, one a line.
const TABLE: &str = "
create table item (id bigint primary key, post bool, live bool, time bigint, parent bigint);
copy item from stdin;
";

/// After the items.
const INDEXES: &str = "\\.
create index on item (parent);
create index on item (time) where post;
analyze item;
";

/// Returns a query for the deepest thread. A level counts if a live comment is there or below.
fn deepest(from: i64, to: i64) -> String {
    format!(
        "with recursive thread as (
          select id as post, id, 0 as depth, false as live from item
          where post and live and time >= {from} and time < {to}
          union all
          select thread.post, item.id, thread.depth + 1, item.live and item.time < {to}
          from thread join item on item.parent = thread.id
        )
        select post, coalesce(max(depth) filter (where live), 0) as depth, count(*) filter (where live) as comments
        from thread group by post order by depth desc, comments desc, post limit 1"
    )
}

fn table(world: &World) -> String {
    let mut sql = TABLE.trim_start().to_owned();
    for (id, item) in world.items() {
        let Item { time, .. } = item;
        let parent = item.parent.map_or("\\N".to_owned(), |parent| parent.to_string());
        let _ = writeln!(
            sql,
            "{id}\t{}\t{}\t{time}\t{parent}",
            item.is_post(),
            item.is_live()
        );
    }
    sql + INDEXES
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recursive_query_finds_the_same() {
    let server = Server::start().await;
    let shape = Shape {
        moved: 200,
        unknown: 0.05,
        ..Shape::real(192, NOW + 600)
    };
    let world = World::grow(&shape);
    server.run(&table(&world));
    let fake = Fake::serve(world, Weather::default(), 0).await.unwrap();
    let source = source_of(&fake);
    for hours in [1_u32, 6, 24, 168] {
        let expected = server.run(&deepest(NOW - i64::from(hours) * 3_600, NOW));
        let question = Question {
            hours: hours.try_into().unwrap(),
            as_of: NOW,
        };
        let answer = find::handle(&source, question).await.unwrap();
        let post = answer.post.unwrap();
        let found = format!("{} {} {}", post.id, answer.depth, post.comments);
        println!("{hours} h: {found}");
        assert_eq!(found, expected.trim(), "{hours} h");
    }
}
