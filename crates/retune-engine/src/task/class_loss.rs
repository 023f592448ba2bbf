//! How the loss of classes is weighed, whatever has a class: an example, a pixel, a token that is to be written.

use crate::recipe::settings::{Plain, SHARE, TRAINING, settings};

settings! {
    /// Targets that are not quite certain.
    pub struct SmoothingSettings, under TRAINING, else "{task} has no classes" {
        /// Mass of the targets spread over all classes, or over all tokens
        label_smoothing: f64 = 0.0, value("X"), range(SHARE), overfit(Plain::Number(0.0));
    }
}

settings! {
    /// The loss of classes.
    pub struct ClassLossSettings, under TRAINING, else "{task} has no classes" {
        /// none or balanced
        class_weights: String = "none".to_owned(), one_of(&["none", "balanced"]);
    }
}
