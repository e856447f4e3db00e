//! The chart that `docs/performance.md` opens with.

use std::path::Path;

use plotters::prelude::*;

use crate::error::Error;
use crate::results::{Repository, Results};

const SIZE: (u32, u32) = (920, 420);
/// What is drawn for each repository, and in which colour. Each colour differs from its neighbours on light and dark
/// pages (<https://jfly.uni-koeln.de/color/>).
const MEASURES: [(&str, RGBColor, Measure); 3] = [
    (
        "fetch, of git clone --depth 1",
        RGBColor(0, 114, 178),
        |repository| Some(repository.fetch),
    ),
    ("package, of git archive", RGBColor(230, 159, 0), |repository| {
        Some(repository.package)
    }),
    (
        "both, of a full clone that is walked and zipped",
        RGBColor(0, 158, 115),
        |repository| Some(1.0 / repository.old_way?),
    ),
];

type Measure = fn(&Repository) -> Option<f64>;

/// Draws the ratios of each repository: the time of Push Code divided by that of what it is compared with.
pub fn draw(results: &Results, path: &Path) -> Result<(), Error> {
    let wrong = |error: DrawingAreaErrorKind<_>| Error::Chart(error.to_string());
    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    // The chart has a background of its own, for light and dark pages alike.
    area.fill(&WHITE).map_err(wrong)?;
    let repositories = &results.repositories;
    let title = format!(
        "Time of Push Code by that of git, less is better ({})",
        results.date
    );
    // There is room for the legend above the bars.
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(32)
        .y_label_area_size(48)
        .build_cartesian_2d(0.0..repositories.len() as f64, 0.0..1.5)
        .map_err(wrong)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .disable_x_axis()
        .y_labels(8)
        .y_label_formatter(&|ratio| format!("{ratio:.1}x"))
        .light_line_style(TRANSPARENT)
        .label_style(("sans-serif", 13))
        .draw()
        .map_err(wrong)?;
    let wide = 0.8 / MEASURES.len() as f64;
    for (number, (name, color, measure)) in MEASURES.into_iter().enumerate() {
        let bars = repositories.iter().enumerate().filter_map(|(place, repository)| {
            let left = place as f64 + 0.1 + number as f64 * wide;
            Some((left, measure(repository)?))
        });
        let bars: Vec<(f64, f64)> = bars.collect();
        let rectangle = |&(left, ratio): &(f64, f64)| {
            Rectangle::new([(left, 0.0), (left + wide * 0.92, ratio)], color.filled())
        };
        chart
            .draw_series(bars.iter().map(rectangle))
            .map_err(wrong)?
            .label(name)
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 10, y + 5)], color.filled()));
        let font = ("sans-serif", 11).into_font();
        let figure = |(left, ratio): (f64, f64)| {
            Text::new(
                format!("{ratio:.2}"),
                (left + wide * 0.15, ratio + 0.05),
                font.clone(),
            )
        };
        chart.draw_series(bars.into_iter().map(figure)).map_err(wrong)?;
    }
    // This line is the time of git itself.
    chart
        .draw_series([PathElement::new(
            [(0.0, 1.0), (repositories.len() as f64, 1.0)],
            BLACK.mix(0.6),
        )])
        .map_err(wrong)?;
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.9))
        .label_font(("sans-serif", 13))
        .draw()
        .map_err(wrong)?;
    let font = ("sans-serif", 13).into_font();
    for (place, repository) in repositories.iter().enumerate() {
        let at = chart.backend_coord(&(place as f64 + 0.1, 0.0));
        let name = Text::new(repository.name.clone(), (at.0, at.1 + 10), font.clone());
        area.draw(&name).map_err(wrong)?;
    }
    area.present().map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_repository_has_a_bar_for_each_measure_that_was_taken() {
        let repository = |name: &str, old_way| Repository {
            name: name.to_owned(),
            files: 1,
            fetch: 0.96,
            package: 0.39,
            old_way,
        };
        let results = Results {
            date: "2026-11-21".to_owned(),
            repositories: vec![repository("curl", Some(10.0)), repository("test262", None)],
        };
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("chart.svg");
        draw(&results, &file).unwrap();
        let svg = std::fs::read_to_string(&file).unwrap();
        for wanted in [
            "curl",
            "test262",
            "2026-11-21",
            "0.96",
            "0.39",
            "0.10",
            "git archive",
        ] {
            assert!(svg.contains(wanted), "{wanted}: {svg}");
        }
        // With one of its own in the legend.
        assert_eq!(svg.matches("#009E73").count(), 2, "{svg}");
        assert_eq!(svg.matches("#0072B2").count(), 3, "{svg}");
    }
}
