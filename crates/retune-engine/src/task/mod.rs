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
//! | `texts`, `pairs`, `documents`, `images`, `audio` | the media as tasks read them |
//! | `frequencies` | the guess of language models that needs no model |
//! | `writing` | what an encoder–decoder writes for a batch |
//! | `text_writer`, `heard` | one text at a time, heard as it is written |
//! | `from_scratch` | configuration and tokenizer of a model that is trained from nothing |
//! | `preflight` | whether the validation split can decide what the recipe wants |
//! | `written` | names of files that answers are written to |
//! | `decision` | what a task chooses on the validation split and keeps with the model |
//! | everything else | a task, or what several tasks share |

mod audio;
mod backbone;
mod causal_lm;
mod class_loss;
mod classify;
mod contract;
mod decision;
mod denoising;
mod detection;
mod documents;
mod drawn;
mod entry;
mod frequencies;
mod from_scratch;
mod generation;
mod heard;
mod images;
mod masked_image_modeling;
mod masked_lm;
mod molecule_property;
mod pairs;
mod parts;
mod preflight;
mod presets;
mod question_answering;
mod recommendation;
mod segmentation;
mod sentence_similarity;
mod speech;
mod splits;
mod text_to_text;
mod text_writer;
mod texts;
mod token_classification;
mod turn;
mod usual;
mod work;
mod writing;
mod written;

use crate::recipe::Section;

pub use audio::AudioSettings;
pub(crate) use backbone::Backbone;
pub use causal_lm::CausalLmSettings;
pub use class_loss::{ClassLossSettings, SmoothingSettings};
pub use classify::ClassificationSettings;
pub use contract::{Data, Explained, Guess, Guesser, Judged, Phase, Run, Scorer, Task};
pub use decision::Decision;
pub use documents::DocumentSettings;
pub use entry::{Entry, Input, LossOf, OnProgress, Opening, Parts, Preparing, find, of_model, possible};
pub(crate) use from_scratch::FromScratch;
pub use from_scratch::FromScratchSettings;
pub use generation::GenerationFlags;
pub use images::{ImageSettings, SceneSettings};
pub(crate) use preflight::check;
pub(crate) use presets::{is_preset, long_by_preset, preset};
pub(crate) use recommendation::item_backbone;
pub use sentence_similarity::{Embedded, Embedder};
pub use splits::{About, Split, Splits};
pub use text_writer::TextWriter;
pub use texts::{AnnotationSettings, BatchSettings, TextSettings, TokenSettings};
pub use turn::{BatchTensors, Turn};
pub use usual::USUAL_TASK;
pub use work::{Prepared, Shown, Work};

/// All tasks, one line each; the first is the task of a recipe that names none. Where several have one head, the first
/// is what a model is for that does not say more.
pub static TASKS: &[&Entry] = &[
    &classify::text::ENTRY,
    &classify::image::ENTRY,
    &masked_image_modeling::ENTRY,
    &token_classification::ENTRY,
    &question_answering::ENTRY,
    &masked_lm::ENTRY,
    &causal_lm::ENTRY,
    &text_to_text::TRANSLATION,
    &text_to_text::TEXT_TO_TEXT,
    &denoising::ENTRY,
    &molecule_property::ENTRY,
    &sentence_similarity::ENTRY,
    &recommendation::ENTRY,
    &segmentation::ENTRY,
    &detection::ENTRY,
    &speech::ENTRY,
    &classify::audio::ENTRY,
];

/// The sections of a task; for a name that is no task, those of all tasks.
pub fn sections(task: &str) -> Vec<&'static Section> {
    TASKS.iter().find(|entry| entry.name == task).map_or_else(all_sections, |entry| entry.settings.to_vec())
}

/// The sections of all tasks; several may have the same.
pub(crate) fn all_sections() -> Vec<&'static Section> {
    TASKS.iter().flat_map(|entry| entry.settings).copied().collect()
}
