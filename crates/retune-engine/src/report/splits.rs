//! The data that went in: sizes, balance, lengths, and what is wrong with it.

use super::data::{Fact, Histogram, LeftOut, ReportData, SplitCard};
use super::html::{Cell, details, escape, excerpt, facts, note, table};
use super::svg::{Labels, Plot, SMALL};
use crate::number;
use retune_data::Leak;

const MAX_CLASSES: usize = 12;

/// A warning at the top of the page when splits share rows or groups.
pub(super) fn banner(data: &ReportData) -> String {
    let items: String = data.leaks.iter().map(|leak| shared_rows(leak, &data.splits) + &shared_groups(leak)).collect();
    if items.is_empty() {
        return items;
    }
    format!(
        "<aside class=\"warning\" role=\"note\">\n<h2>The splits overlap</h2>\n<p>Results on rows or groups that were \
         trained on say little about new ones. Remove what is shared and run again.</p>\n<ul>\n{items}</ul>\n</aside>\n"
    )
}

fn shared_rows(leak: &Leak, splits: &[SplitCard]) -> String {
    if leak.examples == 0 {
        return String::new();
    }
    let rows = leak.examples as u64;
    let share = match splits.iter().find(|split| split.name == leak.b) {
        Some(split) if split.rows > 0 => {
            format!(" of {} ({})", number::count(split.rows), number::percent_of(rows, split.rows))
        }
        _ => String::new(),
    };
    format!(
        "<li><b>{}</b>{share} {} rows also occur in {}</li>\n",
        number::count(rows),
        escape(&leak.b),
        escape(&leak.a)
    )
}

fn shared_groups(leak: &Leak) -> String {
    let Some(groups @ 1..) = leak.groups else {
        return String::new();
    };
    let are = if groups == 1 { "group also occurs" } else { "groups also occur" };
    format!("<li><b>{}</b> {} {are} in {}</li>\n", number::count(groups as u64), escape(&leak.b), escape(&leak.a))
}

/// One card per split.
pub(super) fn body(data: &ReportData) -> String {
    let cards: String = data.splits.iter().enumerate().map(|(i, s)| card(i, s)).collect();
    if cards.is_empty() {
        return cards;
    }
    let checked = if data.leaks.is_empty() || !banner(data).is_empty() {
        String::new()
    } else {
        note("No row occurs in two splits.")
    };
    let left_out: String = data.left_out.iter().map(left_out).collect();
    format!("<div class=\"grid-3\">\n{cards}</div>\n{checked}{left_out}")
}

fn left_out(left: &LeftOut) -> String {
    let items: String = left.first.iter().map(|it| format!("<li>{}</li>\n", excerpt(it, 300))).collect();
    let summary = format!("{}: {} examples cannot be used and were left out", left.split, number::count(left.count));
    let rest = note("All of them are in bad_examples.jsonl, beside this report.");
    details(&summary, &format!("<ul>\n{items}</ul>\n{rest}"))
}

fn card(index: usize, split: &SplitCard) -> String {
    let file = if split.file.is_empty() {
        String::new()
    } else {
        format!("<p class=\"file\">{}</p>\n", excerpt(&split.file, 200))
    };
    let value = |fact: &Fact| match (fact.flagged, excerpt(&fact.value, 200)) {
        (true, text) => format!("<span class=\"flag\">{text}</span>"),
        (false, text) => text,
    };
    let mut pairs = vec![("rows", number::count(split.rows))];
    pairs.extend(split.facts.iter().map(|fact| (fact.name.as_str(), value(fact))));
    format!(
        "<article class=\"card\">\n<h3>{}</h3>\n{file}{}{}{}</article>\n",
        escape(&split.name),
        facts("plain", &pairs),
        balance(split),
        split.lengths.as_ref().map_or_else(String::new, |h| lengths(index, h)),
    )
}

fn balance(split: &SplitCard) -> String {
    let largest = split.classes.iter().map(|c| c.1).max().unwrap_or(0).max(1);
    let total: u64 = split.classes.iter().map(|c| c.1).sum::<u64>().max(1);
    let bar = |(name, count): &(String, u64)| {
        format!(
            "<li><span class=\"who\">{}</span><span class=\"meter wide\"><i style=\"width:{:.1}%\"></i></span><span class=\"number\">{} <small>{}</small></span></li>\n",
            excerpt(name, 40),
            *count as f64 / largest as f64 * 100.0,
            number::count(*count),
            number::percent_of(*count, total)
        )
    };
    if split.classes.is_empty() {
        return String::new();
    }
    let shown = split.classes.len().min(MAX_CLASSES);
    let mut out: String = split.classes[..shown].iter().map(bar).collect();
    out = format!("<h4>Classes</h4>\n<ul class=\"bars\">\n{out}</ul>\n");
    if shown < split.classes.len() {
        let rest: String = split.classes[shown..].iter().map(bar).collect();
        let summary = format!("{} more classes", split.classes.len() - shown);
        out += &details(&summary, &format!("<ul class=\"bars\">\n{rest}</ul>\n"));
    }
    out
}

fn lengths(index: usize, histogram: &Histogram) -> String {
    let bins: Vec<((f64, f64), u64)> =
        histogram.edges.windows(2).map(|edges| (edges[0], edges[1])).zip(histogram.counts.iter().copied()).collect();
    let (Some(first), Some(last)) = (bins.first(), bins.last()) else {
        return String::new();
    };
    let most = bins.iter().map(|b| b.1).max().unwrap_or(0).max(1) as f64;
    let id = format!("lengths-{index}");
    let labels =
        Labels { id: &id, title: &format!("Examples by length in {}", histogram.unit), x: &histogram.unit, y: "" };
    let mut plot = Plot::new(&labels, (first.0.0, last.0.1), (0.0, most * 1.05), SMALL);
    let mut rows = Vec::new();
    for (edges, count) in &bins {
        plot.bar("accent", *edges, *count as f64);
        rows.push(vec![
            Cell::Head(format!("{}–{}", number::tick(edges.0, 1.0), number::tick(edges.1, 1.0))),
            Cell::Number(number::count(*count)),
        ]);
    }
    let numbers = details("Numbers", &table(&[&histogram.unit, "examples"], 1, &rows));
    format!("<h4>Length</h4>\n{}{numbers}", plot.finish())
}
