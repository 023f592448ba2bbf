//! Tasks: what a model is used for. A task is one file (or folder) here and one line in [`TASKS`].
//!
//! | file | holds |
//! |---|---|
//! | `contract` | what a task is: loss, answers, scorer |
//! | `entry` | what a task is called, which head and settings it has, and how its data is opened |
//! | `turn` | one batch at work: the rows, the network, and its outputs, computed at most once |
//! | `work` | the one place that erases a task's types: all that loop, session, report and CLI know of it |
//! | `splits` | the data of a run, whatever its medium |
//! | `parts` | data for a saved model, a part at a time |
//! | `texts`, `images` | the media as tasks read them |
//! | `preflight` | whether the validation split can decide what the recipe wants |
//! | `decision` | what a task chooses on the validation split and keeps with the model |
//! | everything else | a task, or what several tasks share |

mod classify;
mod contract;
mod decision;
mod entry;
mod images;
mod masked_image_modeling;
mod parts;
mod preflight;
mod question_answering;
mod splits;
mod texts;
mod token_classification;
mod turn;
mod usual;
mod work;

use crate::recipe::Section;

pub use classify::ClassificationSettings;
pub use contract::{Data, Explained, Guess, Guesser, Judged, Phase, Scorer, Task};
pub use decision::Decision;
pub use entry::{Entry, Input, LossOf, OnProgress, Opening, Parts, Preparing, find, of_model, possible};
pub use images::ImageSettings;
pub(crate) use preflight::check;
pub use splits::{About, Split, Splits};
pub use texts::{AnnotationSettings, TextSettings, TokenSettings};
pub use turn::{BatchTensors, Turn};
pub use usual::USUAL_TASK;
pub use work::{Prepared, Shown, Work};

/// All tasks, one line each; the first is the task of a recipe that names none.
pub static TASKS: &[&Entry] = &[
    &classify::text::ENTRY,
    &classify::image::ENTRY,
    &masked_image_modeling::ENTRY,
    &token_classification::ENTRY,
    &question_answering::ENTRY,
];

/// The sections of a task; for a name that is no task, those of all tasks.
pub fn sections(task: &str) -> Vec<&'static Section> {
    TASKS.iter().find(|entry| entry.name == task).map_or_else(all_sections, |entry| entry.settings.to_vec())
}

/// The sections of all tasks; several may have the same.
pub(crate) fn all_sections() -> Vec<&'static Section> {
    TASKS.iter().flat_map(|entry| entry.settings).copied().collect()
}
