//! Streaming metrics: what an evaluation says, and how sure it may be.
//!
//! Every metric keeps sufficient statistics only, takes batches through `update` and answers with an
//! [`Evaluation`] from `compute`. Definitions and degenerate cases follow scikit-learn with
//! `zero_division=0`; what scikit-learn leaves undefined is absent here, with a note that says why.
//!
//! | file | owns |
//! |---|---|
//! | `classification` | one label per example |
//! | `multi_label` | any number of labels per example |
//! | `regression` | one or several numbers per example |
//! | `decision` | from probabilities to answers |
//! | `operating_point` | a threshold for one class, chosen by a rule |
//! | `reconstruction` | an error per example |
//! | `interval` | Wilson intervals and paired comparisons |
//! | `bootstrap` | percentile intervals for everything else |
//! | `ranking` | areas under the ROC and precision-recall curves |
//! | `direction` | which metrics should rise, which should fall |

mod bootstrap;
pub mod classification;
mod confusion;
pub mod decision;
mod direction;
mod error;
mod evaluation;
pub mod interval;
pub mod multi_label;
pub mod operating_point;
mod ranking;
mod reconstruction;
pub mod regression;

#[cfg(test)]
mod fixture_tests;
#[cfg(test)]
mod golden_tests;

pub use classification::ClassificationMetric;
pub use direction::{Direction, Problem, default_metric, direction};
pub use error::MetricError;
pub use evaluation::{CalibrationBin, ClassRow, Confusion, Evaluation, Metrics, OutputRow};
pub use interval::{Difference, paired_accuracy_difference, wilson};
pub use multi_label::MultiLabelMetric;
pub use operating_point::{Curve, OperatingPoint};
pub use reconstruction::ReconstructionMetric;
pub use regression::RegressionMetric;
