//! Sizes, durations and times, as people read them.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use maud::{Markup, html};

/// Returns a size in the largest unit of which there is at least one.
pub fn bytes(size: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    if size < 1024 {
        return format!("{size} B");
    }
    #[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
    let (mut value, mut unit) = (size as f64, 0);
    // What is rounded to 1024 is one of the next unit.
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// Returns a duration. One that is negative, because the clocks of two machines differ, counts as 0.
pub fn duration(took: TimeDelta) -> String {
    let milliseconds = took.num_milliseconds().max(0);
    let seconds = milliseconds / 1000;
    match seconds {
        0..10 => format!("{}.{:02} s", seconds, milliseconds % 1000 / 10),
        10..60 => format!("{}.{} s", seconds, milliseconds % 1000 / 100),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {:02} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// Returns a time of UTC, to the second.
pub fn time(time: DateTime<Utc>) -> Markup {
    let machine = time.to_rfc3339_opts(SecondsFormat::Millis, true);
    html! { time datetime=(machine) title=(machine) { (time.format("%Y-%m-%d %H:%M:%S")) } }
}

/// Returns a time of day of UTC, to the millisecond.
pub fn clock(time: DateTime<Utc>) -> Markup {
    let machine = time.to_rfc3339_opts(SecondsFormat::Millis, true);
    html! { time datetime=(machine) title=(machine) { (time.format("%H:%M:%S%.3f")) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_one_decimal_and_never_1024_of_a_unit() {
        let sizes = [0, 1023, 1024, 1536, 1024 * 1024 - 1, 5 << 30, u64::MAX];
        assert_eq!(
            sizes.map(bytes),
            [
                "0 B",
                "1023 B",
                "1.0 KiB",
                "1.5 KiB",
                "1.0 MiB",
                "5.0 GiB",
                "16777216.0 TiB"
            ]
        );
    }

    #[test]
    fn durations_have_two_units_and_are_never_negative() {
        let of = |milliseconds| duration(TimeDelta::milliseconds(milliseconds));
        let durations = [-5, 0, 42, 9_999, 59_999, 61_000, 3_600_000, 90_000_000].map(of);
        assert_eq!(
            durations,
            [
                "0.00 s",
                "0.00 s",
                "0.04 s",
                "9.99 s",
                "59.9 s",
                "1 min 01 s",
                "1 h 00 min",
                "1 d 01 h"
            ]
        );
    }
}
