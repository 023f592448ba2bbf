//! `retune embed`: a vector for each text, as JSON lines, NumPy array or safetensors.

use crate::error::{EngineError, InputContext};
use crate::evaluate::Predictor;
use crate::hardware::Hardware;
use crate::observer::Observer;
use crate::open::SavedModel;
use crate::task::{Embedded, Embedder, Input};
use crate::watch::Watch;
use anyhow::{Context, Result};
use retune_data::set_encoding_threads;
use retune_models::checkpoint::SentenceModules;
use serde_json::{Map, json};
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};

/// How texts are embedded.
#[derive(Debug, Clone)]
pub struct EmbedOptions {
    /// A model folder, a run directory or a hub id.
    pub model: PathBuf,
    /// Column with the text.
    pub text_column: String,
    /// Keys of a recipe that hold here: `max-length`, `on-bad-example`.
    pub overrides: toml::Table,
    /// Texts per batch.
    pub batch_size: usize,
    /// `auto`, `fp32` or `bf16`.
    pub precision: String,
    /// `auto`, `cpu`, `cuda` or `cuda:N`.
    pub device: String,
    /// Compute threads; 0 = all cores.
    pub threads: usize,
}

/// What vectors are written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `{"text": …, "embedding": […]}`, one a line.
    Lines,
    /// A NumPy array \[N, D\] of float32.
    Npy,
    /// The tensor `embeddings` \[N, D\].
    Safetensors,
}

impl Format {
    /// By how a file's name ends; lines where it says nothing else.
    pub fn of(path: &Path) -> Self {
        match path.extension().and_then(|it| it.to_str()) {
            Some("npy") => Self::Npy,
            Some("safetensors") => Self::Safetensors,
            _ => Self::Lines,
        }
    }
}

/// Batches whose vectors are written together.
const BATCHES: usize = 16;
const BROKEN: &str = "cannot write embeddings";

/// Writes a vector for each text, in order; returns how many. `lines` is read when no file is given.
///
/// # Errors
/// A model that makes no vectors of texts; texts that cannot be used; an output that cannot be written.
pub fn embed(
    options: &EmbedOptions,
    input: Option<&Path>,
    lines: Box<dyn BufRead + '_>,
    (output, format): (&mut dyn Write, Format),
    observers: &mut [&mut dyn Observer],
) -> Result<usize, EngineError> {
    let watch = Watch::new(observers);
    set_encoding_threads(options.threads);
    let saved = SavedModel::find(&options.model, &watch).input()?;
    let entry = Embedder::entry();
    let made = saved.recipe.clone().filter(|recipe| recipe.data.task == entry.name);
    let mut known = made.unwrap_or_default();
    entry.name.clone_into(&mut known.data.task);
    let recipe = known.at_use(&options.overrides).input()?;
    let (hardware, _) = Hardware::resolve(&options.device, &options.precision, options.threads).input()?;
    let loaded = saved.load(entry, &hardware).input()?;
    let model = saved.folder_with_files();
    let embedder = Embedder::of(&recipe, model, &loaded.config, &options.text_column).input()?;
    if SentenceModules::of(model).map_err(anyhow::Error::from).input()?.is_none() {
        let how = embedder.described();
        watch.message(&format!("{}: says nothing of vectors of texts; they are {how}", options.model.display()));
    }
    let batch_size = options.batch_size;
    let with = Predictor { network: &loaded.network, batch_size, device: hardware.device, lanes: &hardware.lanes };
    let part = if batch_size == 1 { 1 } else { batch_size * BATCHES };
    let input = input.map_or(Input::Lines { reader: lines, part }, Input::File);
    let progress = |what: &str, done, all| watch.progress(what, done, all);
    let width = loaded.network.body.width() as usize;
    let (mut count, mut missing, mut all) = (0, 0, Vec::new());
    let mut each = |embedded: Embedded| -> Result<()> {
        count += 1;
        match (embedded, format) {
            (Embedded::Vector(text, vector), Format::Lines) => {
                let line = Map::from_iter([("text".to_owned(), json!(text)), ("embedding".to_owned(), json!(vector))]);
                writeln!(output, "{}", serde_json::to_string(&line)?).context(BROKEN)
            }
            (Embedded::LeftOut(bad), Format::Lines) => {
                let mut line = bad.fields.clone();
                line.insert("error".to_owned(), json!(bad.reason));
                writeln!(output, "{}", serde_json::to_string(&line)?).context(BROKEN)
            }
            (Embedded::Vector(_, vector), _) => {
                all.extend(vector);
                Ok(())
            }
            (Embedded::LeftOut(_), _) => {
                missing += 1;
                all.extend(std::iter::repeat_n(f32::NAN, width));
                Ok(())
            }
        }
    };
    embedder.run(input, &with, &progress, &mut each).input()?;
    if missing > 0 {
        watch.message(&format!("{missing} of {count} texts cannot be used; their rows are NaN"));
    }
    let head = match format {
        Format::Lines => Vec::new(),
        Format::Npy => npy_header(count, width),
        Format::Safetensors => safetensors_header(count, width),
    };
    output.write_all(&head).context(BROKEN)?;
    for number in &all {
        output.write_all(&number.to_le_bytes()).context(BROKEN)?;
    }
    output.flush().context(BROKEN)?;
    Ok(count)
}

/// NumPy's format 1.0: the header ends with a line end, at a multiple of 64 bytes.
fn npy_header(count: usize, width: usize) -> Vec<u8> {
    const BEGIN: &[u8] = b"\x93NUMPY\x01\x00";
    let said = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({count}, {width}), }}");
    let whole = (BEGIN.len() + 2 + said.len() + 1).next_multiple_of(64);
    let length = whole - BEGIN.len() - 2;
    let mut bytes = BEGIN.to_vec();
    bytes.extend((length as u16).to_le_bytes());
    bytes.extend(format!("{said:<0$}\n", length - 1).bytes());
    bytes
}

fn safetensors_header(count: usize, width: usize) -> Vec<u8> {
    let tensor = json!({"dtype": "F32", "shape": [count, width], "data_offsets": [0, count * width * 4]});
    let said = json!({"__metadata__": {"format": "pt"}, "embeddings": tensor}).to_string();
    let length = said.len().next_multiple_of(8);
    let mut bytes = (length as u64).to_le_bytes().to_vec();
    bytes.extend(format!("{said:<length$}").bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_aligned() {
        let head = npy_header(12, 384);
        assert_eq!((head.len() % 64, head.last()), (0, Some(&b'\n')));
        assert_eq!(usize::from(u16::from_le_bytes([head[8], head[9]])), head.len() - 10);
        let head = safetensors_header(2, 3);
        let length = u64::from_le_bytes(head[..8].try_into().unwrap()) as usize;
        assert_eq!(head.len(), 8 + length);
        let said: serde_json::Value = serde_json::from_slice(&head[8..]).unwrap();
        assert_eq!(said["embeddings"]["data_offsets"][1], 24);
        assert_eq!(Format::of(Path::new("a/b.npy")), Format::Npy);
        assert_eq!(Format::of(Path::new("a/b.jsonl")), Format::Lines);
    }
}
