//! Formats the measurements as a table.

use std::fmt::Write;

use crate::compare::{Comparison, OldWay, Round};
use crate::measure::Cost;
use crate::results::Repository;

/// A commit has mostly small files if their median size is below this, in bytes.
const SMALL: u64 = 1_536;
const MIB: f64 = (1 << 20) as f64;

/// The target of a measurement.
enum Target {
    /// A ratio, or a number of MiB, that is at most this.
    AtMost(f64),
    /// A ratio that is at least this.
    AtLeast(f64),
}

impl Target {
    fn is_met(&self, value: f64) -> bool {
        match self {
            Self::AtMost(limit) => value <= *limit,
            Self::AtLeast(limit) => value >= *limit,
        }
    }
}

/// Formats the comparison as Markdown. Ratios are the medians of the pairs' ratios, not ratios of medians.
pub fn markdown(comparison: &Comparison) -> String {
    let rounds = &comparison.rounds;
    let median_size = comparison
        .sizes
        .get(comparison.sizes.len() / 2)
        .copied()
        .unwrap_or(0);
    let total = comparison.sizes.iter().sum::<u64>() as f64 / MIB;
    let mut table = format!(
        "### {}: {} files, {total:.1} MiB, the median file has {median_size} bytes\n\n\
         Commit `{}`, {} pairs of runs.\n\n\
         | What | Push Code | Peer | Ratio: median (min to max) | Target | Met |\n|---|---|---|---|---|---|\n",
        comparison.name,
        comparison.sizes.len(),
        comparison.commit,
        rounds.len(),
    );
    let package_wall = if median_size < SMALL { 0.55 } else { 0.40 };
    let wall = |cost: fn(&Round) -> Cost| move |round: &Round| cost(round).wall.as_secs_f64();
    let cpu = |cost: fn(&Round) -> Cost| move |round: &Round| cost(round).cpu.as_secs_f64();
    let written = |cost: fn(&Round) -> Cost| move |round: &Round| cost(round).written as f64 / MIB;
    let peak = |cost: fn(&Round) -> Cost| move |round: &Round| cost(round).anonymous as f64 / MIB;
    let all: Vec<&Round> = rounds.iter().collect();

    let mut ratio = |what: &str, unit: Unit, (ours, theirs): Pair<'_>, target: Option<Target>| {
        let pairs: Vec<(f64, f64)> = all.iter().map(|round| (ours(round), theirs(round))).collect();
        let ratio = Spread::of(pairs.iter().map(|(ours, theirs)| ours / theirs));
        let ours = unit.show(Spread::of(pairs.iter().map(|pair| pair.0)).median);
        let theirs = unit.show(Spread::of(pairs.iter().map(|pair| pair.1)).median);
        let (target, met) = verdict(target, ratio.median, "x");
        let _ = writeln!(
            table,
            "| {what} | {ours} | {theirs} | {ratio} | {target} | {met} |"
        );
    };
    ratio(
        "fetch / `git clone --depth 1 --bare`, wall",
        Unit::Seconds,
        (&wall(|round| round.fetch), &wall(|round| round.clone)),
        Some(Target::AtMost(1.15)),
    );
    ratio(
        "fetch, CPU",
        Unit::Seconds,
        (&cpu(|round| round.fetch), &cpu(|round| round.clone)),
        None,
    );
    ratio(
        "package / `git archive --format=zip -6`, wall",
        Unit::Seconds,
        (&wall(|round| round.package), &wall(|round| round.archive)),
        Some(Target::AtMost(package_wall)),
    );
    ratio(
        "package, CPU",
        Unit::Seconds,
        (&cpu(|round| round.package), &cpu(|round| round.archive)),
        Some(Target::AtMost(1.0)),
    );
    ratio(
        "package, size of the zip",
        Unit::Mebibytes,
        (&|round| round.zip as f64 / MIB, &|round| {
            round.archive_zip as f64 / MIB
        }),
        Some(Target::AtMost(1.03)),
    );
    ratio(
        "fetch, written to disk",
        Unit::Mebibytes,
        (&written(|round| round.fetch), &written(|round| round.clone)),
        None,
    );
    ratio(
        "package, written to disk",
        Unit::Mebibytes,
        (&written(|round| round.package), &written(|round| round.archive)),
        None,
    );
    for (what, cost) in [
        (
            "fetch, peak anonymous memory",
            (|round| round.fetch) as fn(&Round) -> Cost,
        ),
        ("package, peak anonymous memory", |round| round.package),
    ] {
        let peaks = Spread::of(rounds.iter().map(peak(cost)));
        let (target, met) = verdict(Some(Target::AtMost(256.0)), peaks.most, " MiB");
        let _ = writeln!(table, "| {what} | {:.1} MiB | | | {target} | {met} |", peaks.most);
    }
    for (cloner, old_way) in [
        ("libgit2", (|old_way| old_way.libgit2) as fn(&OldWay) -> Cost),
        ("git", |old_way| old_way.git),
    ] {
        let pairs: Vec<(f64, f64)> = rounds
            .iter()
            .filter_map(|round| {
                let ours = round.fetch.wall + round.package.wall;
                let theirs = old_way(round.old_way.as_ref()?).wall;
                Some((ours.as_secs_f64(), theirs.as_secs_f64()))
            })
            .collect();
        if pairs.is_empty() {
            continue;
        }
        let ours = Spread::of(pairs.iter().map(|pair| pair.0)).median;
        let theirs = Spread::of(pairs.iter().map(|pair| pair.1)).median;
        let faster = Spread::of(pairs.iter().map(|(ours, theirs)| theirs / ours));
        let (target, met) = verdict(Some(Target::AtLeast(10.0)), faster.median, "x faster");
        let _ = writeln!(
            table,
            "| fetch and package / full clone by {cloner}, walk and zip, wall ({} pairs) | {} | {} | {faster} faster | {target} | {met} |",
            pairs.len(),
            Unit::Seconds.show(ours),
            Unit::Seconds.show(theirs),
        );
    }
    table
}

/// The medians of the ratios that the chart has, with as many digits as the table.
pub fn ratios(comparison: &Comparison) -> Repository {
    let median = |ratio: &dyn Fn(&Round) -> Option<f64>| {
        let ratios: Vec<f64> = comparison.rounds.iter().filter_map(ratio).collect();
        let median = Spread::of(ratios.iter().copied()).median;
        (!ratios.is_empty()).then(|| (median * 100.0).round() / 100.0)
    };
    let wall = |cost: Cost| cost.wall.as_secs_f64();
    Repository {
        name: comparison.name.clone(),
        files: comparison.sizes.len(),
        fetch: median(&|round| Some(wall(round.fetch) / wall(round.clone))).unwrap_or_default(),
        package: median(&|round| Some(wall(round.package) / wall(round.archive))).unwrap_or_default(),
        old_way: median(&|round| {
            let old_way = wall(round.old_way.as_ref()?.git);
            Some(old_way / (wall(round.fetch) + wall(round.package)))
        }),
    }
}

/// The two measurements that are compared.
type Pair<'a> = (&'a dyn Fn(&Round) -> f64, &'a dyn Fn(&Round) -> f64);

fn verdict(target: Option<Target>, value: f64, unit: &str) -> (String, &'static str) {
    let Some(target) = target else {
        return (String::new(), "");
    };
    let met = if target.is_met(value) { "yes" } else { "no" };
    let text = match target {
        Target::AtMost(limit) => format!("at most {limit}{unit}"),
        Target::AtLeast(limit) => format!("at least {limit}{unit}"),
    };
    (text, met)
}

#[derive(Clone, Copy)]
enum Unit {
    Seconds,
    Mebibytes,
}

impl Unit {
    fn show(self, value: f64) -> String {
        match self {
            Self::Seconds => format!("{value:.3} s"),
            Self::Mebibytes => format!("{value:.2} MiB"),
        }
    }
}

/// The spread of several measurements of one thing.
pub struct Spread {
    pub least: f64,
    pub median: f64,
    pub most: f64,
}

impl Spread {
    pub fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        let (middle, last) = (values.len() / 2, values.len().saturating_sub(1));
        let median = match values.len() % 2 {
            0 => (at(middle.saturating_sub(1)) + at(middle)) / 2.0,
            _ => at(middle),
        };
        Self {
            least: at(0),
            median,
            most: at(last),
        }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { least, median, most } = self;
        write!(formatter, "{median:.2}x ({least:.2} to {most:.2})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_median_and_ends() {
        let shown = |values: &[f64]| Spread::of(values.iter().copied()).to_string();
        assert_eq!(shown(&[3.0, 1.0, 2.0]), "2.00x (1.00 to 3.00)");
        assert_eq!(shown(&[4.0, 1.0]), "2.50x (1.00 to 4.00)");
    }
}
