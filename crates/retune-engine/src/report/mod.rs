//! The report of a run: one self-contained HTML file to show a colleague.
//!
//! [`render`] is a pure function of [`ReportData`]: no clock, no files, no network, no script. It knows ways to draw and
//! no tasks: what an evaluation found comes as blocks. A section without data is left out, and every string from outside is
//! escaped.
//!
//! | file | draws |
//! |---|---|
//! | `data`, `verdict` | nothing: what a report is made of; the result beside its baselines |
//! | `page` | the page and its sections |
//! | `blocks` | tables, matrices, plots, pictures and marked texts of an evaluation |
//! | `headline` | the result |
//! | `charts` | curves over the steps of the run |
//! | `metrics` | every metric of both splits |
//! | `errors` | the predictions that went most wrong |
//! | `splits` | the data that went in |
//! | `run` | load report, recipe, speed, environment |
//! | `html`, `svg` | escaping and common shapes; axes, lines, bars, points |

mod blocks;
mod charts;
mod data;
mod errors;
mod headline;
mod html;
mod metrics;
mod page;
mod run;
mod splits;
mod svg;
mod verdict;

#[cfg(test)]
mod sample;
#[cfg(test)]
mod sample_blocks;
#[cfg(test)]
mod sample_values;
#[cfg(test)]
mod tests;

pub use data::{Environment, Fact, Histogram, LeftOut, ReportData, SplitCard, StepPoint, WorstError};
pub use page::render;
pub use verdict::{Baseline, Comparison, Headline, Verdict};
