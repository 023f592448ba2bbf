//! Sounds for a saved recognizer, of either kind.

use super::said::Speaks;
use crate::task::audio::SoundInput;
use crate::task::{Input, OnProgress, Parts, parts};
use anyhow::Result;
use retune_data::{Examples, Layout, TableRows};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

/// The parts of `from`, read by `input` and `layout`; `gold` makes targets of the transcripts, which only `targets` demand.
pub(super) fn parts_of<'a, T: Speaks>(
    task: T,
    input: SoundInput,
    layout: Layout,
    (from, targets, progress): (Input<'a>, bool, OnProgress<'a>),
    gold: impl Fn(&TableRows) -> Result<Option<T::Targets>> + 'a,
) -> Result<Parts<'a>> {
    let input = Rc::new(input);
    let file = {
        let (input, layout) = (Rc::clone(&input), layout.clone());
        move |path: &Path| input.file(path, &layout, targets)
    };
    let lines = {
        let input = Rc::clone(&input);
        move |reader| input.lines(reader, &layout)
    };
    parts::parts(task, from, file, lines, move |rows: Arc<TableRows>| {
        let report = |done, all| progress("decoding", done, all);
        let sounds = input.decode(&rows, if rows.streamed() { &|_, _| {} } else { &report })?;
        input.check([&sounds])?;
        let gold = if targets { gold(&rows)? } else { None };
        Ok(Examples::new(rows, sounds, gold)?)
    })
}
