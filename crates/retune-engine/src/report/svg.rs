//! A small plot: axes with round ticks, and lines, points and bars inside them. Colours and strokes
//! are CSS classes of the page, so that one drawing serves light, dark and paper.

use std::fmt::Write;

use super::html::escape;
use crate::number;

/// Drawings are scaled to their place on the page; their size here sets how large their words come out.
pub(super) const WIDE: (f64, f64) = (460.0, 250.0);
pub(super) const TALL: (f64, f64) = (460.0, 330.0);
pub(super) const SMALL: (f64, f64) = (300.0, 160.0);
const LEFT: f64 = 50.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 40.0;

/// A range of numbers and where they lie on the drawing.
#[derive(Clone, Copy)]
struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Scale {
    fn place(&self, x: f64) -> f64 {
        self.from + (x - self.low) / (self.high - self.low) * (self.to - self.from)
    }
}

/// What a plot is called and what its axes mean.
pub(super) struct Labels<'a> {
    /// Unique on the page; letters and dashes.
    pub(super) id: &'a str,
    /// Spoken instead of the drawing.
    pub(super) title: &'a str,
    pub(super) x: &'a str,
    pub(super) y: &'a str,
}

/// A plot being drawn.
pub(super) struct Plot {
    x: Scale,
    y: Scale,
    size: (f64, f64),
    head: String,
    body: String,
}

impl Plot {
    /// Axes over `x` and `y`, widened where a range is empty.
    pub(super) fn new(labels: &Labels<'_>, x: (f64, f64), y: (f64, f64), size: (f64, f64)) -> Self {
        let (width, height) = size;
        let (x, y) = (widened(x), widened(y));
        let mut plot = Self {
            x: Scale { low: x.0, high: x.1, from: LEFT, to: width - RIGHT },
            y: Scale { low: y.0, high: y.1, from: height - BOTTOM, to: TOP },
            size,
            head: format!(
                "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{0}\">\n<title>{0}</title>\n",
                escape(labels.title)
            ),
            body: String::new(),
        };
        plot.axes(labels);
        plot
    }

    fn axes(&mut self, labels: &Labels<'_>) {
        let (width, height) = self.size;
        let (left, right) = (LEFT, width - RIGHT);
        let (bottom, middle) = (height - BOTTOM, (height - BOTTOM + TOP) / 2.0);
        let (ticks, step) = ticks(self.y.low, self.y.high, (height / 50.0) as usize);
        for tick in ticks {
            let y = self.y.place(tick);
            let _ = writeln!(
                self.head,
                "<line class=\"grid\" x1=\"{left}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                left - 7.0,
                y + 4.0,
                number::tick(tick, step)
            );
        }
        let (ticks, step) = self::ticks(self.x.low, self.x.high, (width / 56.0) as usize);
        for tick in ticks {
            let x = self.x.place(tick);
            let _ = writeln!(
                self.head,
                "<line class=\"axis\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{bottom}\" y2=\"{:.1}\"/>\
                 <text class=\"tick\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                bottom + 4.0,
                bottom + 17.0,
                number::tick(tick, step)
            );
        }
        let _ = writeln!(
            self.head,
            "<line class=\"axis\" x1=\"{left}\" x2=\"{right}\" y1=\"{bottom}\" y2=\"{bottom}\"/>\n\
             <text class=\"name\" x=\"{right}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            height - 5.0,
            escape(labels.x),
        );
        if !labels.y.is_empty() {
            let _ = writeln!(
                self.head,
                "<text class=\"name\" transform=\"translate(11 {middle:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
                escape(labels.y)
            );
        }
        // What lies outside the axes is cut, never drawn over the labels.
        let _ = writeln!(
            self.head,
            "<clipPath id=\"{0}-clip\"><rect x=\"{left}\" y=\"{1:.1}\" width=\"{2:.1}\" height=\"{3:.1}\"/></clipPath>\n\
             <g clip-path=\"url(#{0}-clip)\">",
            labels.id,
            TOP - 6.0,
            right - left + 8.0,
            bottom - TOP + 6.0
        );
    }

    /// A polyline; points that are not finite break it.
    pub(super) fn line(&mut self, class: &str, points: &[(f64, f64)]) {
        let finite = |p: &(f64, f64)| p.0.is_finite() && p.1.is_finite();
        for run in points.split(|p| !finite(p)) {
            let mut path = String::new();
            for (index, (x, y)) in run.iter().enumerate() {
                let command = if index == 0 { 'M' } else { 'L' };
                let _ = write!(path, "{command}{:.1} {:.1}", self.x.place(*x), self.y.place(*y));
            }
            if run.len() > 1 {
                let _ = writeln!(self.body, "<path class=\"line {class}\" d=\"{path}\"/>");
            } else if let Some((x, y)) = run.first() {
                self.point(class, 1.5, *x, *y);
            }
        }
    }

    /// A filled band between two curves over the same x, given as `(x, low, high)`.
    pub(super) fn band(&mut self, class: &str, points: &[(f64, f64, f64)]) {
        let corners: String = points
            .iter()
            .map(|(x, low, _)| (*x, *low))
            .chain(points.iter().rev().map(|(x, _, high)| (*x, *high)))
            .filter(|(x, y)| x.is_finite() && y.is_finite())
            .map(|(x, y)| format!("{:.1},{:.1} ", self.x.place(x), self.y.place(y)))
            .collect();
        if points.len() > 1 {
            let _ = writeln!(self.body, "<polygon class=\"band {class}\" points=\"{}\"/>", corners.trim_end());
        }
    }

    /// A dot of radius `radius`.
    pub(super) fn point(&mut self, class: &str, radius: f64, x: f64, y: f64) {
        if x.is_finite() && y.is_finite() {
            let _ = writeln!(
                self.body,
                "<circle class=\"dot {class}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"{radius}\"/>",
                self.x.place(x),
                self.y.place(y)
            );
        }
    }

    /// A bar from the bottom of the plot to `y`, with a hair of space on both sides.
    pub(super) fn bar(&mut self, class: &str, (from, to): (f64, f64), y: f64) {
        let (left, right) = (self.x.place(from), self.x.place(to));
        let gap = ((right - left) * 0.06).min(1.0);
        let (top, bottom) = (self.y.place(y), self.y.from);
        if y.is_finite() && top < bottom {
            let _ = writeln!(
                self.body,
                "<rect class=\"bar {class}\" x=\"{:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
                left + gap,
                (right - left - 2.0 * gap).max(0.3),
                bottom - top
            );
        }
    }

    /// The finished drawing.
    pub(super) fn finish(self) -> String {
        format!("{}{}</g>\n</svg>\n", self.head, self.body)
    }
}

fn widened((low, high): (f64, f64)) -> (f64, f64) {
    if !low.is_finite() || !high.is_finite() {
        return (0.0, 1.0);
    }
    if high - low > 1e-12 * low.abs().max(high.abs()) {
        return (low, high);
    }
    let margin = if low == 0.0 { 1.0 } else { low.abs() * 0.1 };
    (low - margin, high + margin)
}

/// Round numbers inside `low..=high`, about `wanted` of them, and their distance.
pub(super) fn ticks(low: f64, high: f64, wanted: usize) -> (Vec<f64>, f64) {
    let step = round_step((high - low) / wanted as f64);
    if !step.is_finite() || step <= 0.0 {
        return (vec![low], 1.0);
    }
    let first = (low / step - 1e-9).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    ((first..=last).map(|i| i as f64 * step).collect(), step)
}

/// `low..high` widened to round numbers.
pub(super) fn round_range(low: f64, high: f64) -> (f64, f64) {
    let (low, high) = widened((low, high));
    let step = round_step((high - low) / 8.0);
    ((low / step + 1e-9).floor() * step, (high / step - 1e-9).ceil() * step)
}

/// The smallest of 1, 2, 5 · 10^k that is not below `step`.
fn round_step(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|round| *round >= step * (1.0 - 1e-9))
        .unwrap_or(10.0 * power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(ticks(0.0, 1.0, 5).0.len(), 6);
        let (found, step) = ticks(0.0, 2e-5, 5);
        assert!((step - 5e-6).abs() < 1e-12, "{step}");
        assert_eq!(found.len(), 5);
        assert_eq!(ticks(-3.0, 3.0, 3).0, [-2.0, 0.0, 2.0]);
        assert_eq!(round_range(0.03, 0.97), (0.0, 1.0));
    }

    #[test]
    fn lines_break_at_gaps_and_empty_ranges_are_drawn() {
        let labels = Labels { id: "a", title: "A", x: "x", y: "" };
        let mut plot = Plot::new(&labels, (3.0, 3.0), (0.0, 0.0), SMALL);
        plot.line("accent", &[(3.0, 0.0), (3.1, 0.1), (3.2, f64::NAN), (3.3, 0.1), (3.4, 0.2)]);
        plot.point("accent", 2.0, f64::INFINITY, 0.0);
        let svg = plot.finish();
        assert_eq!(svg.matches("<path").count(), 2);
        assert!(!svg.contains("NaN") && !svg.contains("inf") && !svg.contains("<circle"));
    }
}
