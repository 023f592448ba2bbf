//! How the loss of classes is weighed, whatever has a class: an example or a pixel.

use crate::recipe::settings::{SHARE, TRAINING, settings};

settings! {
    /// The loss of classes.
    pub struct ClassLossSettings, under TRAINING, else "{task} has no classes" {
        /// Mass of the targets spread over all classes
        label_smoothing: f64 = 0.0, value("X"), range(SHARE);
        /// none or balanced
        class_weights: String = "none".to_owned(), one_of(&["none", "balanced"]);
    }
}
