//! Reports of tasks that no section knows by name, and one with every way to draw.

use super::data::{ReportData, WorstError};
use super::sample_values::{PIXEL, Say, noise};
use super::verdict::{Baseline, Headline};
use crate::metric::Said;
use crate::metric::detail::{Axis, Block, Cell, Column, Detail, Mark, Marked, Picture, Plot, Series, Span, Table};
use crate::metric::entities::Entity;
use crate::metric::overlap::{OverlapMetric, Squad};
use crate::metric::tags::{Sequence, TagsMetric};
use crate::metric::{Evaluation, F1};

/// A model that finds entities.
pub(super) fn entities(say: Say<'_>) -> ReportData {
    let types = ["person", "place", "organisation", "event"].map(say);
    let mut metric = TagsMetric::new(types.to_vec());
    for sentence in 0..400 {
        let entity = |start: usize, kind: f64| Entity {
            start,
            end: start + 1 + (noise(sentence * 9 + 5) * 2.0) as usize,
            label: types[(kind * kind * 4.0) as usize].clone(),
        };
        let gold: Vec<Entity> = (0..3).map(|i| entity(i * 5, noise(sentence * 9 + i as u64))).collect();
        let mut predicted = gold.clone();
        match (noise(sentence * 9 + 7) * 8.0) as usize {
            0 => predicted[0].label = types[1].clone(),
            1 => predicted[1].end += 1,
            2 => drop(predicted.remove(2)),
            3 => predicted.push(entity(17, noise(sentence * 9 + 8))),
            _ => {}
        }
        metric.add(&Sequence { gold: &gold, predicted: &predicted, words: 20, right: 18, unseen: 0 });
    }
    let test = metric.evaluation();
    let span = |start: usize, end: usize, label: &str, kind: Mark| Span { start, end, label: say(label), kind };
    let marked = Marked {
        text: say(
            "Ada Lovelace met Charles Babbage in Turin, where the Academy of Sciences held the Congress of 1840.",
        ),
        spans: vec![
            span(0, 12, "person", Mark::Right),
            span(17, 24, "person", Mark::Invented),
            span(17, 32, "person", Mark::Missed),
            span(36, 41, "place, said organisation", Mark::Mistaken),
            span(53, 72, "organisation", Mark::Missed),
        ],
    };
    let said = Said { right: say("4 entities"), prediction: say("3 entities"), confidence: None, marked: Some(marked) };
    ReportData {
        title: say("Names in letters"),
        headline: Some(Headline {
            metric: &F1,
            split: say("test"),
            value: test.metrics["f1"],
            interval: test.intervals.get("f1").copied(),
            examples: test.examples,
            baselines: vec![Baseline { name: say("words seen in training"), value: 0.94, interval: None }],
            comparison: None,
            remarks: Vec::new(),
        }),
        metrics: metric.metrics(),
        test: Some(test),
        errors: vec![WorstError { said, severity: 3.0, place: say("letters.conll:12"), ..WorstError::default() }],
        ..ReportData::default()
    }
}

/// A model that answers questions, some of which have no answer.
pub(super) fn answers(say: Say<'_>) -> ReportData {
    let mut metric = OverlapMetric::new(Squad::Unanswerable);
    for question in 0..300u64 {
        let answerable = noise(question * 4) < 0.6;
        let doubt = 4.0 * noise(question * 4 + 1) - if answerable { 3.0 } else { 1.2 };
        let words = if noise(question * 4 + 2) < 0.75 { "the tall tower" } else { "tower of Babel" };
        let gold: &[&str] = if answerable { &["a tall tower"] } else { &[] };
        metric.add(gold, if doubt > 0.0 { "" } else { words }, Some((doubt, words)));
    }
    ReportData {
        title: say("Questions about towers"),
        metrics: metric.metrics(),
        test: Some(metric.evaluation()),
        ..ReportData::default()
    }
}

/// Every way to draw.
pub(super) fn blocks(say: Say<'_>) -> ReportData {
    let line = |shift: f64| (0..30).map(|i| (f64::from(i), (f64::from(i) / 6.0 + shift).sin())).collect();
    let plot = Plot {
        caption: say("Lines"),
        spoken: say("Some lines"),
        x: Axis::named(&say("x")),
        y: Axis::named(&say("y")),
        series: (0..7).map(|i| Series::Line(say(&format!("line {i}")), line(f64::from(i)))).collect(),
        numbers: None,
    };
    let table = Table {
        columns: vec![Column::words(&say("thing")), Column::heat(&say("share")), Column::numbers(&say("seconds"))],
        rows: (0..5)
            .map(|i| {
                let share = f64::from(i) / 4.0;
                vec![Cell::text(say("row")), Cell::Share(share), Cell::Number(share * 70.0)]
            })
            .collect(),
        note: say("A note."),
    };
    let picture = |caption: &str| Picture { png: PIXEL.to_vec(), caption: say(caption) };
    let shown = vec![
        Block::Plot(plot),
        Block::Table(table),
        Block::Words(say("Some words.")),
        Block::Pictures(vec![picture("one"), picture("two")]),
        Block::Marked(Marked {
            text: say("a marked place"),
            spans: vec![Span { start: 2, end: 8, label: say("label"), kind: Mark::Missed }],
        }),
    ];
    let details = vec![Detail::shown(&say("blocks"), &say("Blocks"), shown)];
    ReportData { test: Some(Evaluation { details, ..Evaluation::default() }), ..ReportData::default() }
}
