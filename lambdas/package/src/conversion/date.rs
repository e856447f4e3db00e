//! Formats dates as git does, in the commit's time zone.

use chrono::{DateTime, Datelike, Utc};

/// A date format.
#[derive(Debug, Clone, Copy)]
pub enum DateFormat {
    /// `Tue Nov 14 23:13:20 2023 +0100`.
    Normal,
    /// `Tue, 14 Nov 2023 23:13:20 +0100`.
    Mail,
    /// `2023-11-14 23:13:20 +0100`.
    Iso,
    /// `2023-11-14T23:13:20+01:00`.
    IsoStrict,
    /// `2023-11-14`.
    Short,
}

/// Formats the time `seconds` after the start of 1970. The `zone` 100 stands for `+0100`.
pub fn write(seconds: u64, zone: i64, form: DateFormat) -> String {
    let offset = (zone.abs() / 100 * 60 + zone.abs() % 100) * 60 * zone.signum();
    let local = i64::try_from(seconds)
        .ok()
        .and_then(|seconds| DateTime::from_timestamp(seconds.checked_add(offset)?, 0));
    // git falls back to the start of 1970 if the date is out of range.
    let (local, zone) = match local {
        Some(local) => (local, zone),
        None => (DateTime::<Utc>::UNIX_EPOCH, 0),
    };
    // chrono puts a plus sign before years of five digits.
    let year = format!("{:04}", local.year());
    let text = |format: &str| local.format(&format.replace("%Y", &year)).to_string();
    let sign = if zone < 0 { '-' } else { '+' };
    let digits = zone.abs();
    let plain = |format: &str| format!("{} {sign}{digits:04}", text(format));
    match form {
        DateFormat::Normal => plain("%a %b %-d %H:%M:%S %Y"),
        DateFormat::Mail => plain("%a, %-d %b %Y %H:%M:%S"),
        DateFormat::Iso => plain("%Y-%m-%d %H:%M:%S"),
        DateFormat::IsoStrict if zone == 0 => format!("{}Z", text("%Y-%m-%dT%H:%M:%S")),
        DateFormat::IsoStrict => format!(
            "{}{sign}{:02}:{:02}",
            text("%Y-%m-%dT%H:%M:%S"),
            digits / 100,
            digits % 100
        ),
        DateFormat::Short => text("%Y-%m-%d"),
    }
}
