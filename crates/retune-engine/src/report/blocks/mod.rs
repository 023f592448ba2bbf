//! The blocks of a detail, drawn: what a metric has to show, whatever the task.

pub(super) mod marked;
mod matrix;
pub(super) mod picture;
mod plot;
pub(super) mod sound;
mod table;

use super::html::escape;
use crate::metric::Block;

/// A table beside a plot has this many rows and columns at most.
const SMALL_TABLE: (usize, usize) = (8, 3);

/// All blocks, one below the other; what is small stands beside the plot before it. `id` is unique on the page.
pub(super) fn draw(id: &str, blocks: &[Block]) -> String {
    let mut out = String::new();
    let mut rest = blocks;
    let mut drawn = 0;
    while let Some(block) = rest.first() {
        if !matches!(block, Block::Plot(_)) {
            out += &one(block);
            rest = &rest[1..];
            continue;
        }
        let plots = rest.iter().take_while(|block| matches!(block, Block::Plot(_))).count();
        let beside = rest[plots..].iter().take_while(|block| is_small(block)).count();
        let mut row = String::new();
        for block in &rest[..plots] {
            if let Block::Plot(plot) = block {
                drawn += 1;
                row += &plot::draw(&format!("{id}-plot-{drawn}"), plot);
            }
        }
        let words: String = rest[plots..plots + beside].iter().map(one).collect();
        if !words.is_empty() {
            row += &format!("<div class=\"aside\">\n{words}</div>\n");
        }
        out += &format!("<div class=\"grid-2\">\n{row}</div>\n");
        rest = &rest[plots + beside..];
    }
    out
}

fn is_small(block: &Block) -> bool {
    match block {
        Block::Words(_) => true,
        Block::Table(table) => table.rows.len() <= SMALL_TABLE.0 && table.columns.len() <= SMALL_TABLE.1,
        _ => false,
    }
}

fn one(block: &Block) -> String {
    match block {
        Block::Table(table) => table::draw(table),
        Block::Matrix(matrix) => matrix::draw(matrix),
        Block::Pictures(pictures) => picture::draw(pictures),
        Block::Words(words) if words.is_empty() => String::new(),
        Block::Words(words) => format!("<p>{}</p>\n", escape(words)),
        Block::Marked(text) => {
            let mut kinds: Vec<_> = text.spans.iter().map(|span| span.kind).collect();
            kinds.sort_unstable();
            kinds.dedup();
            marked::legend(&kinds) + &marked::draw(text)
        }
        // Drawn with its neighbours.
        Block::Plot(_) => String::new(),
    }
}
