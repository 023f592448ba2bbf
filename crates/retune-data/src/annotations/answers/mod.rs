//! Questions with their contexts and answers: what extractive question answering learns from.
//!
//! | files | what they hold |
//! |---|---|
//! | SQuAD's `.json`, version 1 or 2 | `data[].paragraphs[]` with a `context` and `qas[]`; `is_impossible` marks questions without answer |
//! | `.jsonl`, `.json`, `.parquet`, `.csv`, `.tsv` | `id`, `question`, `context`, `answers: {text: […], answer_start: […]}`, also a list of objects, or `answer` and `answer_start` |
//!
//! [`QuestionFile::read`] gives [`Question`]s whose answers stand where they say.

mod baseline;
mod file;
mod flat;
mod n_best;
mod offset;
mod positions;
mod question;
mod raw;
#[cfg(feature = "text")]
mod records;
mod squad;

pub use baseline::{best_sentence, sentences};
pub use n_best::{
    AnswerOptions, Candidate, RankedAnswer, RankedAnswers, WindowAnswers, WindowLogits, join_windows, window_answers,
};
pub use positions::answer_positions;
pub use question::{Answer, Question};
pub use raw::{QuestionFile, QuestionOptions};
#[cfg(feature = "text")]
pub use records::QuestionLines;
