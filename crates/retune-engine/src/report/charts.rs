//! The curves of a run: loss, main metric, learning rate and gradient norm over steps.

use super::data::{ReportData, StepPoint};
use super::html::{Cell, figure, legend, note, table};
use super::svg::{Labels, Plot, WIDE, round_range};
use crate::number;

/// Points a curve is drawn with at most; more would not be seen.
const MAX_POINTS: usize = 500;
/// Rows of a table of numbers.
const MAX_ROWS: usize = 40;

/// All curves that have data.
pub(super) fn curves(data: &ReportData) -> String {
    let figures = [
        loss(data),
        metric(data),
        over_steps(data, "Learning rate", "learning-rate", |p| p.learning_rate),
        over_steps(data, "Gradient norm before clipping", "gradient-norm", |p| p.gradient_norm),
    ]
    .concat();
    if figures.is_empty() {
        return figures;
    }
    format!("<div class=\"grid-2\">\n{figures}</div>\n")
}

fn loss(data: &ReportData) -> String {
    let raw = points(&data.steps, |p| p.loss);
    let held_out: Vec<(f64, f64)> =
        data.evaluations.iter().filter_map(|p| Some((p.step as f64, p.loss.filter(|l| l.is_finite())?))).collect();
    if raw.is_empty() && held_out.is_empty() {
        return String::new();
    }
    let smooth = smoothed(&raw);
    let (top, cut) = robust_top(&raw, &held_out);
    let lowest = smallest(raw.iter().chain(&held_out));
    let labels = Labels { id: "loss", title: "Training and validation loss over steps", x: "step", y: "" };
    let mut plot = Plot::new(&labels, span(raw.iter().chain(&held_out)), axis(lowest, top), WIDE);
    plot.line("faint", &thinned(&raw));
    plot.line("accent", &thinned(&smooth));
    plot.line("ink", &held_out);
    for (x, y) in &held_out {
        plot.point("ink", 3.0, *x, *y);
    }
    let mut entries = Vec::new();
    if !raw.is_empty() {
        entries.extend([("faint", "each step"), ("accent", "smoothed")]);
    }
    if !held_out.is_empty() {
        entries.push(("ink", "validation"));
    }
    let missing = data.steps.len() - raw.len();
    let numbers = if held_out.is_empty() { rows("training loss", &smooth) } else { rows("validation loss", &held_out) };
    figure("Loss", &legend(&entries), &plot.finish(), &numbers)
        .replace("</figure>\n", &format!("{}{}</figure>\n", cut, unmeasured(missing, data.steps.len())))
}

/// The metric that chose the checkpoint, or else the headline's.
fn metric(data: &ReportData) -> String {
    let Some(name) = data
        .best
        .as_ref()
        .map(|best| &best.metric)
        .filter(|name| *name != "loss")
        .map(String::as_str)
        .or(data.headline.as_ref().map(|headline| headline.metric.key))
    else {
        return String::new();
    };
    let points: Vec<(f64, f64)> = data
        .evaluations
        .iter()
        .filter_map(|p| Some((p.step as f64, *p.metrics.get(name)?)))
        .filter(|(_, y)| y.is_finite())
        .collect();
    if points.is_empty() {
        return String::new();
    }
    let called = data.metric_name(name);
    let caption = format!("{called}, validation");
    let labels = Labels { id: "metric", title: &format!("{caption} at each evaluation"), x: "step", y: "" };
    let band: Vec<(f64, f64, f64)> = data
        .evaluations
        .iter()
        .filter_map(|p| p.interval.map(|(low, high)| (p.step as f64, low, high)))
        .filter(|(_, low, high)| low.is_finite() && high.is_finite())
        .collect();
    let lowest = band.iter().fold(smallest(points.iter()), |low, b| low.min(b.1));
    let highest = band.iter().fold(largest(points.iter()), |high, b| high.max(b.2));
    let range = round_range(lowest, highest);
    let first = points.first().map_or(0.0, |p| p.0).min(data.steps.first().map_or(0.0, |p| p.step as f64));
    let last = points.last().map_or(1.0, |p| p.0);
    let mut plot = Plot::new(&labels, (first, last), range, WIDE);
    plot.band("accent", &band);
    plot.line("accent", &points);
    for (x, y) in &points {
        plot.point("accent", 3.0, *x, *y);
    }
    let mut entries = vec![("accent", "validation")];
    if band.len() > 1 {
        entries.push(("shade", "95 % interval"));
    }
    let best = data.best.as_ref().filter(|best| best.metric == name);
    if let Some((step, value)) = best.and_then(|best| Some((best.step, best.value?))) {
        plot.point("ring", 6.5, step as f64, value);
        entries.push(("ring", "kept"));
    }
    figure(&caption, &legend(&entries), &plot.finish(), &rows(&called, &points))
}

fn over_steps(data: &ReportData, caption: &str, id: &str, pick: impl Fn(&StepPoint) -> Option<f64>) -> String {
    let raw = points(&data.steps, pick);
    if raw.is_empty() {
        return String::new();
    }
    let (top, cut) = robust_top(&raw, &[]);
    let labels = Labels { id, title: &format!("{caption} over steps"), x: "step", y: "" };
    let range = axis(smallest(raw.iter()).min(0.0), top);
    let mut plot = Plot::new(&labels, span(raw.iter()), range, WIDE);
    // A rate is a plan and smooth already; a norm is noise around a trend.
    let smooth = smoothed(&raw);
    let noisy = id == "gradient-norm" && smooth.len() < raw.len();
    let mut entries = String::new();
    if noisy {
        plot.line("faint", &thinned(&raw));
        plot.line("accent", &thinned(&smooth));
        entries = legend(&[("faint", "each step"), ("accent", "smoothed")]);
    } else {
        plot.line("accent", &thinned(&raw));
    }
    figure(caption, &entries, &plot.finish(), &rows(caption, &raw)).replace("</figure>\n", &format!("{cut}</figure>\n"))
}

/// The steps where `pick` finds a finite number.
fn points(steps: &[StepPoint], pick: impl Fn(&StepPoint) -> Option<f64>) -> Vec<(f64, f64)> {
    steps.iter().filter_map(|p| Some((p.step as f64, pick(p).filter(|y| y.is_finite())?))).collect()
}

/// A centred moving average, which does not lag as a decaying one does. It leaves out the ends, where
/// too few neighbours would let single steps through.
fn smoothed(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let reach = points.len() / 30;
    let mut sums = vec![0.0];
    for (_, y) in points {
        sums.push(sums[sums.len() - 1] + y);
    }
    let inner = reach / 3..points.len().saturating_sub(reach / 3);
    inner
        .map(|i| {
            // Equal reach on both sides, so that a slope does not pull the mean inwards.
            let reach = reach.min(i).min(points.len() - 1 - i);
            let (from, to) = (i - reach, i + reach + 1);
            (points[i].0, (sums[to] - sums[from]) / (to - from) as f64)
        })
        .collect()
}

/// Few enough points to draw: the lowest and the highest of each stretch, so that spikes survive.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if points.len() <= MAX_POINTS {
        return points.to_vec();
    }
    let stretch = points.len().div_ceil(MAX_POINTS / 2);
    let mut kept = Vec::new();
    for part in points.chunks(stretch) {
        let by_height = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
        let (Some(low), Some(high)) = (part.iter().min_by(by_height), part.iter().max_by(by_height)) else {
            continue;
        };
        let (first, second) = if low.0 <= high.0 { (low, high) } else { (high, low) };
        kept.push(*first);
        if first.0 != second.0 {
            kept.push(*second);
        }
    }
    kept
}

/// Evenly spread rows of a curve.
fn rows(name: &str, points: &[(f64, f64)]) -> String {
    let shown = points.len().min(MAX_ROWS);
    let cells: Vec<Vec<Cell>> = (0..shown)
        .map(|i| points[if shown > 1 { i * (points.len() - 1) / (shown - 1) } else { 0 }])
        .map(|(x, y)| vec![Cell::Number(number::count(x as u64)), Cell::Number(number::value(y))])
        .collect();
    let rest = if shown < points.len() {
        note(&format!("{shown} of {} points.", number::count(points.len() as u64)))
    } else {
        String::new()
    };
    table(&["step", name], 0, &cells) + &rest
}

/// Where to end the axis: at the largest value, unless a few spikes would flatten all the rest.
fn robust_top(points: &[(f64, f64)], also: &[(f64, f64)]) -> (f64, String) {
    let mut heights: Vec<f64> = points.iter().map(|p| p.1).collect();
    heights.sort_by(f64::total_cmp);
    let (Some(low), Some(high)) = (heights.first(), heights.last()) else {
        return (largest(also.iter()), String::new());
    };
    let usual = heights[(heights.len() - 1) * 98 / 100].max(if also.is_empty() {
        f64::NEG_INFINITY
    } else {
        largest(also.iter())
    });
    if heights.len() >= 50 && high - low > 3.0 * (usual - low) && usual > *low {
        let top = low + 1.3 * (usual - low);
        let highest = number::value(*high);
        (top, note(&format!("The axis is cut; the highest value is {highest}.")))
    } else {
        (high.max(usual), String::new())
    }
}

fn unmeasured(missing: usize, steps: usize) -> String {
    if missing == 0 {
        return String::new();
    }
    note(&format!("{missing} of {steps} steps had a loss that was not finite."))
}

/// An axis that starts at 0 where that costs little.
fn axis(low: f64, high: f64) -> (f64, f64) {
    let low = if low > 0.0 && low < 0.5 * high { 0.0 } else { low };
    if low == 0.0 && high > 0.0 {
        return (0.0, high * 1.04);
    }
    round_range(low, high)
}

fn span<'a>(points: impl Iterator<Item = &'a (f64, f64)>) -> (f64, f64) {
    points.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), p| (low.min(p.0), high.max(p.0)))
}

fn smallest<'a>(points: impl Iterator<Item = &'a (f64, f64)>) -> f64 {
    points.fold(f64::INFINITY, |low, p| low.min(p.1))
}

fn largest<'a>(points: impl Iterator<Item = &'a (f64, f64)>) -> f64 {
    points.fold(f64::NEG_INFINITY, |high, p| high.max(p.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_spikes_order_and_bounds() {
        let points: Vec<(f64, f64)> =
            (0..10_000).map(|i| (f64::from(i), if i == 7777 { 9.0 } else { f64::from(i % 3) })).collect();
        let kept = thinned(&points);
        assert!(kept.len() <= MAX_POINTS);
        assert!(kept.contains(&(7777.0, 9.0)));
        assert!(kept.windows(2).all(|w| w[0].0 < w[1].0));
    }

    #[test]
    fn smoothing_keeps_straight_lines_straight() {
        let points: Vec<(f64, f64)> = (0..300).map(|i| (f64::from(i), 2.0 * f64::from(i))).collect();
        let smooth = smoothed(&points);
        assert!(smooth.len() > 280);
        for (x, y) in smooth {
            assert!((y - 2.0 * x).abs() < 1e-9);
        }
        assert_eq!(smoothed(&points[..3]), points[..3]);
        assert!(smoothed(&[]).is_empty());
    }

    #[test]
    fn one_spike_does_not_flatten_the_axis() {
        let mut points: Vec<(f64, f64)> = (0..200).map(|i| (f64::from(i), 1.0 + f64::from(i % 7) / 7.0)).collect();
        assert!(robust_top(&points, &[]).1.is_empty());
        points[20].1 = 500.0;
        let (top, cut) = robust_top(&points, &[]);
        assert!(top < 3.0 && cut.contains("500"));
    }
}
