//! Streaming metrics: what an evaluation says, and how sure it may be.
//!
//! Every metric keeps sufficient statistics only, takes examples as they come and answers with an [`Evaluation`].
//! Definitions and degenerate cases follow the reference implementations (scikit-learn with `zero_division=0`, seqeval,
//! SQuAD's scripts); what they leave undefined is absent here, with a note that says why. Shares are from 0 to 1.
//!
//! | file | owns |
//! |---|---|
//! | `metric` | key, name, direction and range of a metric |
//! | `evaluation` | the result: numbers, intervals, notes, details |
//! | `detail` | what stands behind the numbers: a value for programs, blocks that a report draws |
//! | `classification` | one label per example |
//! | `multi_label` | any number of labels per example |
//! | `regression`, `outputs` | one or several numbers per example |
//! | `reconstruction` | an error per example |
//! | `perplexity` | tokens of blocks of text, said by a language model |
//! | `properties` | several numbers or decisions per example, some of them not known |
//! | `segmentation` | a class for each pixel |
//! | `detection` | boxes with classes |
//! | `tags`, `entities` | entities in a sequence of words |
//! | `transcripts`, `spoken` | texts that were said, word by word; how they are made comparable |
//! | `bleu`, `bleu_words`, `chrf`, `rouge`, `written` | a text that was written beside those that it should be |
//! | `overlap`, `unanswerable` | an answer beside one of several gold answers |
//! | `confusion`, `classes` | scores that follow from counts of pairs; tables of them |
//! | `calibration` | whether confidences mean what they say |
//! | `decision` | from probabilities to answers |
//! | `operating_point`, `thresholds` | a threshold for one class, chosen by a rule; its curve |
//! | `interval` | Wilson intervals and paired comparisons |
//! | `bootstrap` | percentile intervals for everything else |
//! | `ranks` | how far up what belongs to a query stands |
//! | `ranking` | areas under the ROC and precision-recall curves |

mod bleu;
mod bleu_words;
mod bootstrap;
mod calibration;
mod chrf;
mod classes;
pub mod classification;
mod confusion;
pub mod decision;
pub mod detail;
pub mod detection;
pub mod entities;
mod error;
mod evaluation;
pub mod interval;
#[expect(clippy::module_inception, reason = "the file of the type of that name")]
mod metric;
pub mod multi_label;
pub mod operating_point;
mod outputs;
pub mod overlap;
mod perplexity;
mod properties;
mod ranking;
pub mod ranks;
mod reconstruction;
pub mod regression;
mod rouge;
pub mod score;
pub mod segmentation;
mod spoken;
mod surfaces;
pub mod tags;
mod thresholds;
pub mod transcripts;
pub(crate) mod unanswerable;
mod written;

#[cfg(test)]
mod fixture_tests;
#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod text_fixture_tests;

pub use bleu::BLEU;
pub use bleu_words::BleuWords;
pub use calibration::{CALIBRATION_ERROR, CalibrationBin};
pub use chrf::CHRF;
pub use classes::{ClassRow, Confusion};
pub use classification::{ACCURACY, ClassificationMetric};
pub use confusion::{F1, MACRO_F1, MCC, PRECISION, RECALL, WEIGHTED_F1};
pub use detail::{Block, Detail, Said};
pub use detection::{DetectionMetric, FoundBox, TrueBox};
pub use error::MetricError;
pub use evaluation::{Evaluation, Intervals, Metrics};
pub use interval::{Difference, paired_accuracy_difference, wilson};
pub use metric::{Direction, LOSS, Metric, find};
pub use multi_label::MultiLabelMetric;
pub use operating_point::Curve;
pub use outputs::OutputRow;
pub use overlap::{EXACT_MATCH, OverlapMetric};
pub use perplexity::{BYTE_PERPLEXITY, PERPLEXITY, PerplexityMetric, TokenSums, WORD_PERPLEXITY};
pub use properties::{PropertyKind, PropertyMetric};
pub use ranking::{AUPRC, AUROC};
pub use ranks::MeanOfQueries;
pub use reconstruction::{RECONSTRUCTION_LOSS, ReconstructionMetric};
pub use regression::{PEARSON, RegressionMetric, SPEARMAN};
pub use rouge::{ROUGE_1, ROUGE_2, ROUGE_L};
pub use segmentation::SegmentationMetric;
pub use spoken::{Normalisation, Spellings};
pub use tags::TagsMetric;
pub use thresholds::details as threshold_details;
pub use transcripts::TranscriptMetric;
pub use written::{Measures, WrittenMetric};
