//! Dates as git writes them, in the time zone that the commit names.

use chrono::{DateTime, Datelike, Utc};

/// A form.
#[derive(Debug, Clone, Copy)]
pub enum Form {
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

/// The date `seconds` after 1970 began, in the zone `+0100` = 100.
pub fn write(seconds: u64, zone: i64, form: Form) -> String {
    let offset = (zone.abs() / 100 * 60 + zone.abs() % 100) * 60 * zone.signum();
    let local = i64::try_from(seconds)
        .ok()
        .and_then(|seconds| DateTime::from_timestamp(seconds.checked_add(offset)?, 0));
    // As git does where it cannot count so far.
    let (local, zone) = match local {
        Some(local) => (local, zone),
        None => (DateTime::<Utc>::UNIX_EPOCH, 0),
    };
    // chrono puts a plus before years of five digits.
    let year = format!("{:04}", local.year());
    let text = |format: &str| local.format(&format.replace("%Y", &year)).to_string();
    let sign = if zone < 0 { '-' } else { '+' };
    let digits = zone.abs();
    let plain = |format: &str| format!("{} {sign}{digits:04}", text(format));
    match form {
        Form::Normal => plain("%a %b %-d %H:%M:%S %Y"),
        Form::Mail => plain("%a, %-d %b %Y %H:%M:%S"),
        Form::Iso => plain("%Y-%m-%d %H:%M:%S"),
        Form::IsoStrict if zone == 0 => format!("{}Z", text("%Y-%m-%dT%H:%M:%S")),
        Form::IsoStrict => format!(
            "{}{sign}{:02}:{:02}",
            text("%Y-%m-%dT%H:%M:%S"),
            digits / 100,
            digits % 100
        ),
        Form::Short => text("%Y-%m-%d"),
    }
}
