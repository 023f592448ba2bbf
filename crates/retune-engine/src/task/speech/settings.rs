//! What a recipe says of transcripts and of how speech is written.

use crate::metric::Normalisation;
use crate::recipe::settings::{AT_LEAST_ONE, DATA, settings};

settings! {
    /// Transcripts, their vocabulary, and how texts are written and compared.
    pub(super) struct SpeechSettings, under DATA, else "{task} has no transcripts" {
        /// Column with what is said
        transcription_column: String = "transcription".to_owned(), value("COLUMN"), at_use();
        /// What texts lose before they are compared: none, or basic (case, punctuation and what stands in brackets)
        text_normalization: String = "basic".to_owned(), value("none|basic"), one_of(&Normalisation::NAMES), at_use();
        /// Characters that are taken out of training transcripts, such as ,?.!-
        characters_to_ignore: String = String::new(), value("CHARACTERS");
        /// Whose characters the model writes: those of the model, of the training transcripts, or auto, the model's where it is a
        /// recognizer
        ctc_vocabulary: String = "auto".to_owned(), value("auto|model|data"), one_of(&["auto", "model", "data"]);
        /// Beginnings of texts that a search for the likeliest one goes on with; 1 takes the likeliest character of each frame
        ctc_beams: usize = 1, value("N"), range(AT_LEAST_ONE), at_use();
    }
}
