//! Tests against a Hacker News that is made up. They are one program, because each more would be linked with all that
//! the function depends on.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod server;

mod budget;
mod hostile;
mod postgres;
mod property;
mod worlds;

use fake_hn::Fake;
use find::HttpSource;

/// When the questions are asked, in seconds since 1970.
const NOW: i64 = 1_770_000_000;

/// Returns the source that a Hacker News which is made up serves.
fn source_of(fake: &Fake) -> HttpSource {
    HttpSource::new(&fake.search_url(), &fake.items_url()).unwrap()
}
