//! Sounds: rows of a table or folder, decoding, resampling, features, and the medium made of them.
//!
//! | file | holds |
//! |---|---|
//! | `decode`, `opus`, `content`, `ogg`, `riff` | bytes of a file to samples of one channel |
//! | `resample` | samples at another rate |
//! | `processor` | what a model's `preprocessor_config.json` asks for: samples, log-mel spectrograms, filter banks |
//! | `mel`, `spectrum` | filters and Fourier transforms behind spectrograms |
//! | `cache`, `encode`, `medium` | all sounds of a data set |
//! | `augment` | random changes of training sounds |
//! | `pieces` | where long sounds are cut |
//! | `player` | small files to listen to |
//! | `rows` | tables and folders of them |
//! | `vocabulary` | the characters that recognizers write |

mod augment;
mod cache;
mod content;
mod decode;
mod encode;
mod fourier;
mod medium;
mod mel;
mod ogg;
mod opus;
mod pieces;
mod pitch;
mod player;
mod processor;
mod resample;
mod riff;
mod rows;
mod spectrum;
mod vocabulary;

pub use augment::AudioAugmentation;
pub use decode::{Decoded, decode as decode_audio};
pub use encode::{AudioOptions, LeastRate, LongSounds};
pub use medium::{AudioLength, AudioSeen, Sounds};
pub use processor::{AudioProcessor, FeatureKind};
pub use resample::resample;
pub use rows::{read_audio, split_values};
pub use vocabulary::{Casing, CtcVocabulary, Spelled, plain};

#[cfg(test)]
mod wav;
