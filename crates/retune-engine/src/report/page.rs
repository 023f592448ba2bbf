//! The page: its head, its sections in order, and the links to them.

use super::data::ReportData;
use super::html::{escape, slug};
use super::{blocks, charts, errors, headline, metrics, run, splits};

const STYLE: &str = include_str!("style.css");
/// Nothing may be fetched and nothing may run, whatever a dataset contains.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src data:";

/// A part of the page; an empty body leaves it out.
struct Section {
    /// Its anchor, unique on the page.
    id: String,
    title: String,
    /// The split that it is about, where it is about one.
    split: &'static str,
    body: String,
}

impl Section {
    fn new(id: &str, title: &str, body: String) -> Self {
        Self { id: id.to_owned(), title: title.to_owned(), split: "", body }
    }
}

/// The whole page as HTML text.
pub fn render(data: &ReportData) -> String {
    let sections = sections(data);
    let links: String =
        sections.iter().map(|it| format!("<a href=\"#{}\">{}</a>\n", it.id, escape(&it.title))).collect();
    let bodies: String = sections.iter().map(body).collect();
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
        splits::banner(data),
    )
}

/// Everything that has something to show, in the order of the page.
fn sections(data: &ReportData) -> Vec<Section> {
    let mut sections = vec![
        Section::new("result", "Result", headline::body(data)),
        Section::new("curves", "Curves", charts::curves(data)),
        Section::new("metrics", "Metrics", metrics::body(data)),
    ];
    sections.extend(details(data));
    sections.extend([
        Section::new("errors", "Worst errors", errors::body(data)),
        Section::new("data", "Data", splits::body(data)),
        Section::new("load", "Pretrained weights", run::load(data)),
        Section::new("recipe", "Recipe", run::recipe(data)),
        Section::new("speed", "Speed and memory", run::speed(data)),
        Section::new("environment", "Environment", run::environment(data)),
    ]);
    sections.retain(|section| !section.body.is_empty());
    sections
}

/// What stands behind the numbers of an evaluation, in its own order.
fn details(data: &ReportData) -> Vec<Section> {
    let Some((split, evaluation)) = data.detailed() else {
        return Vec::new();
    };
    let section = |(index, detail): (usize, &crate::metric::Detail)| {
        // The number keeps anchors apart, from each other and from those of the other sections.
        let id = format!("{}-{}", slug(&detail.key), index + 1);
        Section { title: detail.title.clone(), split, body: blocks::draw(&id, &detail.shown), id }
    };
    evaluation.details.iter().enumerate().map(section).collect()
}

fn body(section: &Section) -> String {
    let split =
        if section.split.is_empty() { String::new() } else { format!(" <small>{} split</small>", section.split) };
    format!(
        "<section id=\"{0}\" aria-labelledby=\"{0}-title\">\n<h2 id=\"{0}-title\">{1}{split}</h2>\n{2}</section>\n",
        section.id,
        escape(&section.title),
        section.body
    )
}
