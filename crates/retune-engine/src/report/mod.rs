//! The report of a run: one self-contained HTML file to show a colleague.
//!
//! [`render`] is a pure function of [`ReportData`]: no clock, no files, no network, no script. Every
//! section is left out when its data is absent, and every string from outside is escaped.
//!
//! | file | draws |
//! |---|---|
//! | `data` | nothing: what a report is made of |
//! | `html`, `number` | escaping, tables, definition lists; numbers for people |
//! | `svg`, `charts` | axes, lines, bars, points; the figures made of them |
//! | `headline` | the result beside its baselines |
//! | `operating` | the ROC curve and the chosen threshold |
//! | `evaluation`, `confusion` | metrics, classes, calibration, scatter, worst errors |
//! | `facts` | the data that went in |
//! | `run` | load report, recipe, speed, environment |

mod charts;
mod confusion;
mod data;
mod evaluation;
mod facts;
mod headline;
mod html;
mod number;
mod operating;
mod run;
mod svg;

#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;

pub use data::{
    Baseline, Best, Comparison, Environment, EvaluationPoint, Headline, Histogram, Leak, LeftOut, LoadFacts, NewTensor,
    Operating, ReportData, Roc, Speed, SplitFacts, StepPoint, WorstError,
};

use html::escape;

const STYLE: &str = include_str!("style.css");
/// Nothing may be fetched and nothing may run, whatever a dataset contains.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/// A part of the page: anchor, title and body; an empty body leaves the section out.
struct Section {
    id: &'static str,
    title: &'static str,
    body: String,
}

/// The whole page as HTML text.
pub fn render(data: &ReportData) -> String {
    let sections = [
        ("result", "Result", headline::body(data)),
        ("curves", "Curves", charts::curves(data)),
        ("metrics", "Metrics", evaluation::metrics(data)),
        ("classes", "Classes", evaluation::classes(data)),
        ("outputs", "Outputs", evaluation::outputs(data)),
        ("confusion", "Confusion", confusion::body(data)),
        ("thresholds", "Thresholds", operating::body(data)),
        ("calibration", "Calibration", evaluation::calibration(data)),
        ("scatter", "Gold and predicted", evaluation::scatter(data)),
        ("errors", "Worst errors", evaluation::errors(data)),
        ("data", "Data", facts::body(data)),
        ("load", "Pretrained weights", run::load(data)),
        ("recipe", "Recipe", run::recipe(data)),
        ("speed", "Speed and memory", run::speed(data)),
        ("environment", "Environment", run::environment(data)),
    ]
    .map(|(id, title, body)| Section { id, title, body });
    let shown = || sections.iter().filter(|s| !s.body.is_empty());
    let links: String = shown().map(|s| format!("<a href=\"#{}\">{}</a>\n", s.id, s.title)).collect();
    let bodies: String = shown()
        .map(|s| {
            format!(
                "<section id=\"{0}\" aria-labelledby=\"{0}-title\">\n<h2 id=\"{0}-title\">{1}</h2>\n{2}</section>\n",
                s.id, s.title, s.body
            )
        })
        .collect();
    let navigation =
        if links.is_empty() { String::new() } else { format!("<nav aria-label=\"Sections\">\n{links}</nav>\n") };
    let title = if data.title.trim().is_empty() { "Fine-tuning report".to_owned() } else { escape(&data.title) };
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <header>\n<h1>{title}</h1>\n{}</header>\n{navigation}<main>\n{}{bodies}</main>\n\
         <footer>Made by retune. Intervals are 95 %.</footer>\n</body>\n</html>\n",
        run::identity(data),
        facts::banner(data),
    )
}
