//! Which way a metric should move, and which one picks the best checkpoint by default.

/// Whether larger or smaller values are better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Larger is better.
    Higher,
    /// Smaller is better.
    Lower,
}

impl Direction {
    /// Whether `new` beats `old`; a NaN beats nothing.
    pub fn improves(self, new: f64, old: f64) -> bool {
        match self {
            Self::Higher => new > old,
            Self::Lower => new < old,
        }
    }
}

/// What a head predicts, as far as its default metric is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// One class per example.
    SingleLabel,
    /// Any number of labels per example.
    MultiLabel,
    /// One number per example.
    Regression,
}

/// The direction of a metric key, or none for a key that is not a metric.
pub fn direction(metric: &str) -> Option<Direction> {
    match metric {
        "accuracy" | "macro_f1" | "micro_f1" | "weighted_f1" | "mcc" | "pearson" | "spearman" | "r2" | "auroc"
        | "auprc" | "precision" | "recall" | "f1" | "exact_match" | "bleu" | "chrf" | "mean_iou" | "pixel_accuracy"
        | "dice" | "map" | "map_50" | "map_75" | "hit_rate_at_10" | "ndcg_at_10" | "mrr" => Some(Direction::Higher),
        "top_5_accuracy" | "sensitivity" | "specificity" => Some(Direction::Higher),
        "loss" | "log_loss" | "rmse" | "mae" | "mse" | "perplexity" | "wer" | "cer" | "calibration_error"
        | "hamming_loss" => Some(Direction::Lower),
        "reconstruction_loss" => Some(Direction::Lower),
        _ => None,
    }
}

/// The metric that picks the best checkpoint when the user names none. Each of them is defined
/// on every non-empty split, which correlations and areas are not.
pub fn default_metric(problem: Problem) -> &'static str {
    match problem {
        Problem::SingleLabel => "accuracy",
        Problem::MultiLabel => "micro_f1",
        Problem::Regression => "rmse",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_public_key_has_a_direction() {
        let keys = "accuracy macro_f1 micro_f1 weighted_f1 mcc pearson spearman rmse mae r2 auroc auprc \
            precision recall f1 exact_match perplexity bleu chrf mean_iou pixel_accuracy dice map map_50 \
            map_75 wer cer hit_rate_at_10 ndcg_at_10 mrr calibration_error loss top_5_accuracy sensitivity \
            specificity";
        for key in keys.split_whitespace() {
            assert!(direction(key).is_some(), "{key}");
        }
        assert_eq!(direction("accuarcy"), None);
        assert_eq!(direction("perplexity"), Some(Direction::Lower));
        assert_eq!(direction("mrr"), Some(Direction::Higher));
    }

    #[test]
    fn nan_improves_nothing() {
        assert!(Direction::Higher.improves(0.2, 0.1));
        assert!(Direction::Lower.improves(0.1, 0.2));
        assert!(!Direction::Higher.improves(f64::NAN, 0.1));
        assert!(!Direction::Lower.improves(f64::NAN, 0.1));
    }
}
