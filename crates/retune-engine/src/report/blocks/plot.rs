//! A plot: the series of a metric on axes that fit them.

use super::table;
use crate::metric::detail::{Axis, Bar, Plot, Series};
use crate::report::html::{figure, legend};
use crate::report::svg::{self, Labels, TALL, round_range};

/// How lines look, told apart by dashes as well as by colour; more lines begin again.
const LINES: [&str; 6] = ["accent", "line-2", "line-3", "line-4", "line-5", "line-6"];
const MAX_POINTS: usize = 4000;

/// The figure; nothing where nothing finite is to be drawn. `id` is unique on the page.
pub(in crate::report) fn draw(id: &str, plot: &Plot) -> String {
    let places: Vec<(f64, f64)> =
        plot.series.iter().flat_map(places).filter(|(x, y)| x.is_finite() && y.is_finite()).collect();
    if places.is_empty() {
        return String::new();
    }
    let labels = Labels { id, title: &plot.spoken, x: &plot.x.name, y: &plot.y.name };
    let x = range(&plot.x, places.iter().map(|place| place.0));
    let y = range(&plot.y, places.iter().map(|place| place.1));
    let mut drawing = svg::Plot::new(&labels, x, y, TALL);
    let mut entries: Vec<(&str, &str)> = Vec::new();
    let mut lines = LINES.into_iter().cycle();
    for series in &plot.series {
        let (class, name) = match series {
            Series::Line(name, points) => {
                let class = lines.next().unwrap_or(LINES[0]);
                drawing.line(class, points);
                (class, name)
            }
            Series::Reference(name, points) => {
                drawing.line("dashed", points);
                ("dashed", name)
            }
            Series::Cloud(name, points) => {
                points.iter().take(MAX_POINTS).for_each(|(x, y)| drawing.point("cloud", 2.2, *x, *y));
                ("dots", name)
            }
            Series::Ring(name, (x, y)) => {
                drawing.point("ring", 6.0, *x, *y);
                ("ring", name)
            }
            Series::Bars(name, bars) => {
                bars.iter().for_each(|bar| drawing.bar("accent", bar.over, bar.height));
                ("full", name)
            }
            Series::FaintBars(name, bars) => {
                bars.iter().for_each(|bar| drawing.bar("few", bar.over, bar.height));
                ("few", name)
            }
        };
        if !name.is_empty() && places_of(series) > 0 {
            entries.push((class, name));
        }
    }
    let numbers = plot.numbers.as_ref().map_or_else(String::new, table::draw);
    figure(&plot.caption, &legend(&entries), &drawing.finish(), &numbers)
}

/// Every place that a series reaches.
fn places(series: &Series) -> Vec<(f64, f64)> {
    match series {
        Series::Line(_, points) | Series::Reference(_, points) | Series::Cloud(_, points) => points.clone(),
        Series::Ring(_, place) => vec![*place],
        Series::Bars(_, bars) | Series::FaintBars(_, bars) => {
            let corners = |bar: &Bar| [(bar.over.0, 0.0), (bar.over.1, bar.height)];
            bars.iter().flat_map(corners).collect()
        }
    }
}

fn places_of(series: &Series) -> usize {
    places(series).len()
}

fn range(axis: &Axis, values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = axis
        .range
        .unwrap_or_else(|| values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x))));
    round_range(low, high)
}
