//! Worlds of any size, by chance, the same for the same seed.

use std::collections::HashSet;
use std::f64::consts::TAU;

use fastrand::Rng;

use crate::{Id, Item, Kind, State, World};

/// How a world is made.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// The number of its chances.
    pub seed: u64,
    /// The time at which it ends, in seconds since 1970.
    pub end: i64,
    /// Its length.
    pub hours: u32,
    /// How many items it has a day.
    pub per_day: u32,
    /// The share of posts.
    pub posts: f64,
    /// The share of comments that are gone.
    pub gone: f64,
    /// The share of gone comments that the API of single items does not know.
    pub unknown: f64,
    /// How many comments are moved to another post.
    pub moved: usize,
    /// How many posts get a new time.
    pub set_anew: usize,
    /// How far back, on average, the comment is that a reply is to. Small numbers make deep threads.
    pub back: f64,
}

impl Shape {
    /// The like of the real one: 11,000 items a day, of which 12 % are posts, 5 % of the comments gone, and some posts
    /// a day that get a new time.
    #[must_use]
    pub fn real(hours: u32, end: i64) -> Self {
        Self {
            seed: 7,
            end,
            hours,
            per_day: 11_000,
            posts: 0.12,
            gone: 0.05,
            unknown: 0.002,
            moved: 0,
            set_anew: hours.div_ceil(8) as usize,
            back: 6.0,
        }
    }

    /// A small world of any kind, with many gone, moved and renewed items.
    #[must_use]
    pub fn small(seed: u64, end: i64) -> Self {
        let mut dice = Rng::with_seed(seed);
        Self {
            seed,
            end,
            hours: 30,
            per_day: [24, 160, 640][dice.usize(..3)],
            posts: [0.05, 0.1, 0.3][dice.usize(..3)],
            gone: [0.0, 0.2, 0.4][dice.usize(..3)],
            unknown: [0.0, 0.1, 0.5][dice.usize(..3)],
            moved: dice.usize(..4),
            set_anew: dice.usize(..4),
            back: [1.0, 3.0, 9.0][dice.usize(..3)],
        }
    }
}

/// A post of which people talk.
struct Hot {
    heat: f64,
    time: i64,
    /// The post and its comments.
    items: Vec<Id>,
}

impl World {
    /// Makes a world.
    #[must_use]
    pub fn grow(shape: &Shape) -> Self {
        let mut world = Self::default();
        let mut dice = Rng::with_seed(shape.seed);
        let mut hot: Vec<Hot> = Vec::new();
        let mut heat: Vec<f64> = Vec::new();
        let mut time = (shape.end - i64::from(shape.hours) * 3600) as f64;
        let mut id = 47_000_000;
        loop {
            // More by day than by night.
            let rate = f64::from(shape.per_day) / 86_400.0 * (1.0 + 0.6 * (time / 86_400.0 * TAU).sin());
            time -= (1.0 - dice.f64()).ln() / rate;
            let now = time as i64;
            if now >= shape.end {
                break;
            }
            id += 1;
            if hot.is_empty() || dice.f64() < shape.posts {
                let kind = match dice.u32(..300) {
                    0 => Kind::Poll,
                    1 => Kind::Job,
                    _ => Kind::Story,
                };
                world.post_of(kind, id, now);
                if dice.f64() < 0.08 {
                    world.set(id, State::Dead);
                }
                if kind != Kind::Job {
                    // Few posts have most comments.
                    hot.push(Hot {
                        heat: (1.0 - dice.f64()).powf(-1.0 / 1.1),
                        time: now,
                        items: vec![id],
                    });
                }
                if hot.len() > 1_500 {
                    hot.remove(0);
                }
                heat.clear();
            } else {
                if heat.len() != hot.len() {
                    let mut sum = 0.0;
                    heat = hot
                        .iter()
                        .map(|post| {
                            sum += post.heat * (-((now - post.time) as f64) / 43_200.0).exp();
                            sum
                        })
                        .collect();
                }
                let wanted = dice.f64() * heat.last().copied().unwrap_or_default();
                let number = heat.partition_point(|sum| *sum < wanted).min(hot.len() - 1);
                let items = &mut hot[number].items;
                let parent = if dice.f64() < 0.3 {
                    items[0]
                } else {
                    let back = (-(1.0 - dice.f64()).ln() * shape.back) as usize;
                    items[items.len() - 1 - back.min(items.len() - 1)]
                };
                items.push(id);
                world.comment(id, parent, now);
                if dice.f64() < shape.gone {
                    let state = if dice.f64() < shape.unknown {
                        State::Unknown
                    } else if dice.bool() {
                        State::Dead
                    } else {
                        State::Deleted
                    };
                    world.set(id, state);
                }
            }
        }
        world.disturb(shape, &mut dice);
        world
    }

    /// Sets the times of some posts anew, and moves some comments.
    fn disturb(&mut self, shape: &Shape, dice: &mut Rng) {
        let posts: Vec<Id> = self
            .items()
            .filter(|(_, item)| item.is_post())
            .map(|(id, _)| id)
            .collect();
        let comments: Vec<Id> = self
            .items()
            .filter(|(_, item)| item.kind == Kind::Comment)
            .map(|(id, _)| id)
            .collect();
        for _ in 0..shape.set_anew {
            let id = posts[dice.usize(..posts.len())];
            let time = self.item(id).map_or(shape.end, |item| item.time);
            // Up to two days later.
            let latest = (time + 172_800).min(shape.end - 1);
            self.set_time(id, dice.i64(time..=latest));
        }
        let gone = comments
            .iter()
            .filter(|id| self.item(**id).is_some_and(|item| !item.is_live()));
        let above_gone: HashSet<Id> = gone.flat_map(|id| self.way(*id)).collect();
        for _ in 0..shape.moved.min(comments.len()) {
            let id = comments[dice.usize(..comments.len())];
            let to = if dice.bool() {
                posts[dice.usize(..posts.len())]
            } else {
                comments[dice.usize(..comments.len())]
            };
            // People move discussions that can be read, to where they can be read.
            let way: Vec<Id> = self.way(to).collect();
            let can_be_read = |id: &Id| self.item(*id).is_some_and(Item::is_live);
            if !way.contains(&id) && way.iter().all(can_be_read) && !above_gone.contains(&id) {
                self.move_below(id, to);
            }
        }
    }

    /// Returns an item and all above it.
    fn way(&self, id: Id) -> impl Iterator<Item = Id> {
        std::iter::successors(Some(id), |id| self.item(*id).and_then(|item| item.parent))
    }
}
