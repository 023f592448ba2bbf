//! What stands behind the numbers of an evaluation: a value for programs, and blocks that a report can draw.
//!
//! A metric says here what is to be seen; how it looks is the report's business, which knows blocks and no tasks.

use serde::Serialize;
use serde_json::Value;

/// One finding of an evaluation, such as a confusion matrix.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Detail {
    /// Its key in the JSON of the evaluation, and its anchor in the report.
    pub key: String,
    /// What it is called in the report.
    pub title: String,
    /// What the JSON holds under the key; null where the detail is only to be seen.
    pub value: Value,
    /// What the report draws, in this order; nothing for a detail that was read from JSON.
    pub shown: Vec<Block>,
    /// Whether it is a decision of the validation split: its words belong beside the metrics.
    pub decided: bool,
}

impl Detail {
    /// A detail that programs read under `key`.
    pub fn new(key: &str, title: &str, value: &impl Serialize, shown: Vec<Block>) -> Self {
        let value = serde_json::to_value(value).unwrap_or(Value::Null);
        Self { key: key.to_owned(), title: title.to_owned(), value, shown, decided: false }
    }

    /// What it says in words.
    pub fn words(&self) -> Vec<String> {
        let words = |block: &Block| match block {
            Block::Words(words) => Some(words.clone()),
            _ => None,
        };
        self.shown.iter().filter_map(words).collect()
    }

    /// A detail that is only to be seen.
    pub fn shown(key: &str, title: &str, shown: Vec<Block>) -> Self {
        Self { key: key.to_owned(), title: title.to_owned(), value: Value::Null, shown, decided: false }
    }
}

/// A way to show something.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// Rows under headings.
    Table(Table),
    /// Counts of pairs, shaded.
    Matrix(Matrix),
    /// Axes with lines, bars or points.
    Plot(Plot),
    /// Pictures with captions, side by side.
    Pictures(Vec<Picture>),
    /// A paragraph.
    Words(String),
    /// A text with marked places.
    Marked(Marked),
}

/// Rows under headings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// The headings. Cells beyond them are not shown.
    pub columns: Vec<Column>,
    /// One cell per column; the first one names the row.
    pub rows: Vec<Vec<Cell>>,
    /// Small print below; may be empty.
    pub note: String,
}

/// A heading, and how the cells below it look.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// The heading.
    pub name: String,
    /// How its cells look.
    pub look: Look,
}

/// How the cells of a column look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Words, on the left.
    Words,
    /// Numbers, on the right.
    Numbers,
    /// Numbers from 0 to 1, on the right, each with a bar.
    Bars,
    /// Numbers from 0 to 1, on the right, on a ground that is darker for larger ones.
    Heat,
}

impl Column {
    /// A column of words.
    pub fn words(name: &str) -> Self {
        Self { name: name.to_owned(), look: Look::Words }
    }

    /// A column of numbers.
    pub fn numbers(name: &str) -> Self {
        Self { name: name.to_owned(), look: Look::Numbers }
    }

    /// A column of numbers from 0 to 1 with bars.
    pub fn bars(name: &str) -> Self {
        Self { name: name.to_owned(), look: Look::Bars }
    }

    /// A column of numbers from 0 to 1 on a shaded ground.
    pub fn heat(name: &str) -> Self {
        Self { name: name.to_owned(), look: Look::Heat }
    }
}

/// What stands in one place of a table.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Words.
    Text(String),
    /// A measured value.
    Number(f64),
    /// A count.
    Count(u64),
    /// A share from 0 to 1, shown as a percentage.
    Share(f64),
    /// A measured value with its 95 % interval.
    Interval(f64, (f64, f64)),
    /// Nothing: the value is undefined.
    Missing,
}

impl Cell {
    /// Words.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// A number that may be undefined.
    pub fn number(value: Option<f64>) -> Self {
        value.map_or(Self::Missing, Self::Number)
    }
}

/// How often each gold answer (rows) was given each answer (columns).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matrix {
    /// What rows and columns stand for, in the same order.
    pub names: Vec<String>,
    /// `counts[gold][predicted]`; `None` where a pair cannot occur.
    pub counts: Vec<Vec<Option<u64>>>,
    /// Small print below; may be empty.
    pub note: String,
}

/// Axes with lines, bars or points inside.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plot {
    /// What stands above it.
    pub caption: String,
    /// What is said in place of the drawing to whoever cannot see it.
    pub spoken: String,
    /// To the right.
    pub x: Axis,
    /// Upwards.
    pub y: Axis,
    /// What is drawn, the first one lowest.
    pub series: Vec<Series>,
    /// The numbers behind it, which open on demand.
    pub numbers: Option<Table>,
}

/// One axis of a plot.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Axis {
    /// What it measures.
    pub name: String,
    /// Its ends; without them it fits what is drawn.
    pub range: Option<(f64, f64)>,
}

impl Axis {
    /// An axis that fits what is drawn.
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), range: None }
    }

    /// An axis from 0 to 1.
    pub fn unit(name: &str) -> Self {
        Self { name: name.to_owned(), range: Some((0.0, 1.0)) }
    }
}

/// Something drawn inside a plot, with its name in the legend (none for an empty name).
#[derive(Clone, Debug, PartialEq)]
pub enum Series {
    /// A line through points; those that are not finite break it. Several lines differ in colour and in dashes.
    Line(String, Vec<(f64, f64)>),
    /// A dashed line to compare with.
    Reference(String, Vec<(f64, f64)>),
    /// Many small dots.
    Cloud(String, Vec<(f64, f64)>),
    /// A ring around one place.
    Ring(String, (f64, f64)),
    /// Bars from the bottom.
    Bars(String, Vec<Bar>),
    /// Bars that rest on little, drawn lighter.
    FaintBars(String, Vec<Bar>),
}

/// A bar over a part of the x axis.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bar {
    /// Where it begins and ends on the x axis.
    pub over: (f64, f64),
    /// How high it is.
    pub height: f64,
}

/// A picture with what stands below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Picture {
    /// The picture, as the bytes of a PNG file.
    pub png: Vec<u8>,
    /// What stands below; may be empty.
    pub caption: String,
}

/// A text with marked places, which may overlap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marked {
    /// The text.
    pub text: String,
    /// The places, in any order.
    pub spans: Vec<Span>,
}

/// A marked place in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// First character, counted from 0 in Unicode scalar values, as Python counts.
    pub start: usize,
    /// Behind the last character.
    pub end: usize,
    /// What is written beside it, such as the type of an entity; may be empty.
    pub label: String,
    /// Why it is marked.
    pub kind: Mark,
}

/// Why a place in a text is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// Gold and predicted alike.
    Right,
    /// Gold, but not predicted.
    Missed,
    /// Predicted, but not gold.
    Invented,
    /// Predicted in the right place as something else; the label says as what.
    Mistaken,
    /// What an answer rests on: 1 a little, 2 more, 3 most.
    Rests(u8),
}

/// A prediction for people, beside what is right.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Said {
    /// What the model said.
    pub prediction: String,
    /// What is right.
    pub right: String,
    /// How sure the model was, 0 to 1, where it says so.
    pub confidence: Option<f64>,
    /// The input with both marked in it; it is then shown in place of the fields.
    pub marked: Option<Marked>,
}
