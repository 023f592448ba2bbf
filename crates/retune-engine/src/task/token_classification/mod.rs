//! Token classification: named entities and other marked parts of texts.
//!
//! transformers' `…ForTokenClassification`, trained as `run_ner.py` does it: a word's tag stands on its first token. Texts that
//! are longer than the model become overlapping windows; of each word the window counts in which it has the most context.
//! B rows, T tokens, C tags.

mod scorer;
mod shown;

use self::scorer::TagScorer;
use super::parts::{NextRows, STREAM, parts};
use super::splits::Encoded;
use super::texts::{AnnotationSettings, BatchSettings, TextInput, TextSettings, TokenSettings};
use super::{
    BatchTensors, Data, Entry, Guess, Judged, Opening, Parts, Phase, Prepared, Preparing, Scorer, Task, Turn, Work,
};
use crate::Recipe;
use crate::metric::Said as Shown;
use crate::recipe::Settings;
use crate::recipe::settings::{DATA, TRAINING, settings};
use anyhow::{Context, Result, bail, ensure};
use retune_data::annotations::tags::{
    Entity, Mark, Tag, TagOptions, TagScheme, TaggedFile, TaggedLines, tag_names, tag_names_of_file, token_context,
    unknown_labels,
};
use retune_data::annotations::{Characters, Span};
use retune_data::{Batching, Dataset, Examples, Tags, TextOptions, Tokenizer, Worded, Words, entities_of_classes};
use retune_kernels::loss::{self, SummedLoss};
use retune_kernels::random;
use retune_kernels::tch::Kind;
use retune_models::{ModelConfig, NewHead, Tensors, heads};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The task.
pub(super) static ENTRY: Entry = Entry {
    name: "token-classification",
    purpose: &heads::TOKEN_CLASSIFICATION,
    settings: &[
        TextSettings::SECTION,
        TokenSettings::SECTION,
        BatchSettings::SECTION,
        AnnotationSettings::SECTION,
        TagSettings::SECTION,
    ],
    decides: None,
    prepare,
    open,
    targets: &["labels"],
    loss: |_| Ok(Box::new(summed)),
};

settings! {
    /// Texts with entities, or words with tags.
    struct TagSettings, under DATA, else "{task} has no tags" {
        /// Column with the words; of a CoNLL file its number, from 1
        tokens_column: String = "tokens".to_owned(), value("COLUMN"), at_use();
        /// Column with the tags; of a CoNLL file its number, from 1
        tags_column: String = "ner_tags".to_owned(), value("COLUMN"), at_use();
        /// Column that says which rows are one sentence, in a table with one word in each row
        sentence_column: Option<String>, value("COLUMN"), usual("found by name, such as `sentence_id`"), at_use();
        /// Column with the entities of a text
        entities_column: String = "entities".to_owned(), value("COLUMN"), at_use();
        /// How tags spell entities: auto, iob1, iob2, iobes, bilou or io
        tag_scheme: String = "auto".to_owned(), one_of(&["auto", "iob1", "iob2", "bio", "iobes", "bilou", "io"]), at_use();
        /// A file with the names of tags that are given by number: a JSON list, or a config.json with id2label
        tag_names: Option<PathBuf>, value("FILE"), at_use();
        /// Tokens that two windows of a text have in common, where the text is longer than the model
        stride: usize = 32, value("TOKENS"), at_use();
        /// Label every token of a word, not its first alone
        label_all_tokens: bool, under(TRAINING);
    }
}

impl TagSettings {
    /// How to read files for a model whose outputs have these names, where it has any.
    fn read(&self, recipe: &Recipe, names_of_model: Option<&[String]>, required: bool) -> Result<TagOptions> {
        let scheme = (self.tag_scheme != "auto").then(|| self.tag_scheme.parse::<TagScheme>()).transpose()?;
        let names = self.tag_names.as_deref().map(tag_names_of_file).transpose()?;
        Ok(TagOptions {
            tokens: self.tokens_column.clone(),
            tags: self.tags_column.clone(),
            text: recipe.read::<TextSettings>()?.text_column,
            entities: self.entities_column.clone(),
            sentence: self.sentence_column.clone(),
            scheme,
            untyped: names_of_model.is_some_and(|names| labels_of(names).iter().any(String::is_empty)),
            names,
            repair: recipe.read::<AnnotationSettings>()?.repair(),
            on_bad_example: recipe.data.on_bad_example.parse()?,
            required,
        })
    }
}

struct TokenClassification {
    /// Names of the outputs: `O`, `B-…`, `I-…`.
    names: Arc<Vec<String>>,
    batching: Batching,
    files: Vec<PathBuf>,
}

/// What the model says of one word.
#[derive(Debug, Clone, Copy)]
pub(super) struct Said {
    word: u32,
    tag: u32,
    /// Of the tag.
    probability: f32,
    /// How much context the word has in its window.
    context: (usize, usize),
}

/// The loss over all labelled tokens, summed.
fn summed(outputs: &Tensors, batch: &BatchTensors) -> Result<SummedLoss> {
    let logits = outputs.get("logits")?;
    let classes = logits.size().last().copied().context("logits have classes")?;
    let labels = batch.targets.get("labels")?;
    Ok(loss::cross_entropy(&logits.f_reshape([-1, classes])?, &labels.f_reshape([-1])?, None, 0.0))
}

fn prepare(from: &Preparing<'_>) -> Result<Box<dyn Work>> {
    let recipe = from.recipe;
    let (tokens, settings) = (recipe.read::<TokenSettings>()?, recipe.read::<TagSettings>()?);
    let input = TextInput::of(tokens.max_length, from.model, from.config)?;
    let mut options = settings.read(recipe, from.config.labels().as_deref(), true)?;
    let (repair, on_bad_example) = (options.repair, options.on_bad_example);
    let path = recipe.data.train.as_deref().context("training data")?;
    let train = TaggedFile::read(path, &options)?;
    // The other files are spelled as the largest one is.
    options.scheme = options.scheme.or(train.scheme);
    let labels = train.labels();
    ensure!(!labels.is_empty(), "{}: nothing is marked; there is no entity to learn", path.display());
    let other = |path: &Option<PathBuf>| -> Result<Option<TaggedFile>> {
        let Some(path) = path else { return Ok(None) };
        let file = TaggedFile::read(path, &options)?;
        unknown_labels(&file, &labels)?;
        Ok(Some(file))
    };
    let (validation, test) = (other(&recipe.data.validation)?, other(&recipe.data.test)?);
    let (names, note) = ordered(tag_names(&labels), from.config);
    let mut notes: Vec<String> = note.into_iter().collect();
    notes.push(match &labels[..] {
        [one] if one.is_empty() => "1 kind of entities, without a name as in the model".to_owned(),
        [one] => format!("1 kind of entities: {one}"),
        several => format!("{} kinds of entities: {}", several.len(), several.join(", ")),
    });
    let options = input.options().windows(settings.stride).offsets().on_bad_example(on_bad_example);
    let data = Encoded { train, validation, test }.map(|split, file| {
        let what = format!("tokenizing {} data", split.whole_name());
        let report = |done, all| (from.progress)(&what, done, all);
        let words = Words::of(file);
        let medium = encode(&words, &input.tokenizer, &options, &report)?;
        let tags = Tags::place(&words, &names, settings.label_all_tokens, repair)?;
        Ok(Examples::new(words, medium, tags)?)
    })?;
    let all_tokens = u64::from(settings.label_all_tokens);
    let fingerprint = random::mix(&[input.max_length as u64, settings.stride as u64, all_tokens]);
    let splits = data.splits(recipe, fingerprint, notes)?;
    let names = Arc::new(names);
    let task =
        TokenClassification { names, batching: recipe.read::<BatchSettings>()?.batching(), files: input.files() };
    Ok(Box::new(Prepared::new(task, splits)))
}

fn open(from: Opening<'_>) -> Result<Parts<'_>> {
    let recipe = from.recipe;
    let (tokens, settings) = (recipe.read::<TokenSettings>()?, recipe.read::<TagSettings>()?);
    let input = TextInput::of(tokens.max_length, from.model, from.config)?;
    let names = from.config.labels().context("config.json names no tags (`id2label`)")?;
    let options = settings.read(recipe, Some(&names), from.targets)?;
    let (repair, on_bad_example) = (options.repair, options.on_bad_example);
    let task = TokenClassification::new(Arc::new(names.clone()));
    let of_lines = options.clone();
    let (targets, progress) = (from.targets, from.progress);
    let known = labels_of(&names);
    let file = move |path: &Path| {
        let file = TaggedFile::read(path, &options)?;
        if targets {
            unknown_labels(&file, &known)?;
        }
        Ok(file)
    };
    let lines = move |reader| {
        let mut lines = TaggedLines::new(reader, Path::new(STREAM), &of_lines);
        Ok(Box::new(move |most| Ok(lines.next_rows(most)?)) as NextRows<'_, TaggedFile>)
    };
    let options = input.options().windows(settings.stride).offsets().on_bad_example(on_bad_example);
    parts(task, from.input, file, lines, move |file: TaggedFile| {
        let report = |done, all| progress("tokenizing", done, all);
        let silent = file.is_streamed();
        let words = Words::of(file);
        let medium = encode(&words, &input.tokenizer, &options, if silent { &|_, _| {} } else { &report })?;
        let place = || Tags::place(&words, &names, settings.label_all_tokens, repair);
        let tags = if targets { place()? } else { None };
        Ok(Examples::new(words, medium, tags)?)
    })
}

/// Tokenizes words as they stand in a text: where a space tells words apart, each has one before it.
fn encode(
    words: &Arc<Words>,
    tokenizer: &Tokenizer,
    options: &TextOptions,
    progress: &dyn Fn(usize, usize),
) -> Result<Worded> {
    let lists = words.tagged().examples.iter().any(|example| example.words.is_some());
    let tokenizer = if lists { tokenizer.with_prefix_space()? } else { tokenizer.clone() };
    Ok(Worded::encode(words, &tokenizer, options, progress)?)
}

/// The types of entities that tags of these names are of.
fn labels_of(names: &[String]) -> Vec<String> {
    let labels = names.iter().filter_map(|name| Tag::parse(name)).filter(|tag| tag.mark != Mark::Outside);
    let labels: BTreeSet<String> = labels.map(|tag| tag.label.to_string()).collect();
    labels.into_iter().collect()
}

/// The names in the order of the checkpoint's, where these are the same but for case. With a note where that changed it.
fn ordered(names: Vec<String>, config: &ModelConfig) -> (Vec<String>, Option<String>) {
    match config.in_label_order(&names).filter(|ordered| *ordered != names) {
        Some(ordered) => {
            let note = format!("tags are numbered as in the model: {}", ordered.join(", "));
            (ordered, Some(note))
        }
        None => (names, None),
    }
}

impl TokenClassification {
    /// Without files to be saved.
    fn new(names: Arc<Vec<String>>) -> Self {
        Self { names, batching: Batching::Examples, files: Vec::new() }
    }

    /// The class of each of so many words; words that the model did not see are outside.
    fn classes(&self, said: &[Said], words: usize) -> Vec<u32> {
        let outside = self.names.iter().position(|name| name == "O").unwrap_or(0) as u32;
        let mut classes = vec![outside; words];
        said.iter().for_each(|said| classes[said.word as usize] = said.tag);
        classes
    }

    /// The entities, in words, with the mean probability of their tags.
    fn entities(&self, said: &[Said], words: usize) -> Vec<(Entity, f32)> {
        let mut probability = vec![0f32; words];
        said.iter().for_each(|said| probability[said.word as usize] = said.probability);
        let entities = entities_of_classes(&self.names, &self.classes(said, words));
        let score = |entity: &Entity| {
            let all = &probability[entity.span.start..entity.span.end];
            all.iter().sum::<f32>() / all.len().max(1) as f32
        };
        entities
            .into_iter()
            .map(|entity| {
                let score = score(&entity);
                (entity, score)
            })
            .collect()
    }
}

impl Task for TokenClassification {
    type Medium = Worded;
    type Targets = Tags;
    /// What is said of the words of an example that the model saw, in their order.
    type Answer = Vec<Said>;

    fn head(&self) -> NewHead {
        NewHead::of(ENTRY.purpose).labels(self.names.to_vec())
    }

    fn loss(&self, outputs: &Tensors, batch: &BatchTensors, _phase: Phase) -> Result<SummedLoss> {
        summed(outputs, batch)
    }

    fn answer(&self, turn: &Turn<'_, Data<Self>>) -> Result<Vec<Vec<Said>>> {
        let logits = turn.outputs()?.get("logits")?.to_kind(Kind::Float);
        let [_, tokens, classes] = logits.size()[..] else { bail!("logits are [B, T, C]") };
        let (probability, tag) = logits.f_softmax(-1, Kind::Float)?.f_max_dim(-1, false)?;
        let probability = Vec::<f32>::try_from(probability.f_reshape([-1])?)?;
        let tag = Vec::<i64>::try_from(tag.f_reshape([-1])?)?;
        ensure!(classes as usize == self.names.len(), "the model has {classes} tags, not {}", self.names.len());
        let of_row = |(place, &row): (usize, &usize)| {
            let seen = turn.data.seen(row)?;
            let length = seen.words.len();
            // Padding on the left moves the tokens of a row in its batch.
            let first = if turn.data.medium().pads_left() { tokens as usize - length } else { 0 };
            let said = seen.beginnings().map(|(token, word)| {
                let at = place * tokens as usize + first + token;
                let context = token_context(token, length);
                Said { word, tag: tag[at] as u32, probability: probability[at], context }
            });
            Ok(said.collect())
        };
        turn.rows.iter().enumerate().map(of_row).collect()
    }

    fn merge(&self, _data: &Data<Self>, _example: usize, windows: Vec<Vec<Said>>) -> Result<Vec<Said>> {
        let mut best: BTreeMap<u32, Said> = BTreeMap::new();
        for said in windows.into_iter().flatten() {
            // Of two windows with the same context the first counts.
            match best.get(&said.word) {
                Some(known) if known.context >= said.context => {}
                _ => drop(best.insert(said.word, said)),
            }
        }
        Ok(best.into_values().collect())
    }

    fn scorer(&self) -> Box<dyn Scorer<Self>> {
        Box::new(TagScorer::new(Self::new(Arc::clone(&self.names)), labels_of(&self.names)))
    }

    fn guess(&self, train: &Data<Self>) -> Result<Option<Guess<'_, Self>>> {
        let mut counts: HashMap<String, BTreeMap<u32, usize>> = HashMap::new();
        for example in 0..train.examples() {
            let gold = train.gold(example)?.context("the data has no tags")?;
            for (word, class) in words_of(train, example).into_iter().zip(gold.classes) {
                *counts.entry(word).or_default().entry(class).or_default() += 1;
            }
        }
        // Of two tags that are as frequent, the first one.
        let most =
            |tags: BTreeMap<u32, usize>| tags.into_iter().rev().max_by_key(|(_, count)| *count).map(|(tag, _)| tag);
        let usual: HashMap<String, u32> =
            counts.into_iter().filter_map(|(word, tags)| Some((word, most(tags)?))).collect();
        let outside = self.names.iter().position(|name| name == "O").unwrap_or(0) as u32;
        let answer = move |data: &Data<Self>, example: usize| {
            let words = words_of(data, example).into_iter().zip(0..);
            let said = words.map(|(text, word)| {
                let tag = usual.get(&text).copied().unwrap_or(outside);
                Said { word, tag, probability: 1.0, context: (0, 0) }
            });
            Ok(said.collect())
        };
        Ok(Some(Guess { name: "most frequent tag of each word", answer: Box::new(answer) }))
    }

    fn ideal(&self, data: &Data<Self>, example: usize) -> Result<Option<Vec<Said>>> {
        let gold = data.gold(example)?.context("the data has no tags")?;
        let said = gold.classes.into_iter().zip(0..);
        Ok(Some(said.map(|(tag, word)| Said { word, tag, probability: 1.0, context: (0, 0) }).collect()))
    }

    fn describe(&self, data: &Data<Self>, example: usize, said: &Vec<Said>) -> Result<Map<String, Value>> {
        let (text, words) = (text(data, example), words(data, example));
        let characters = Characters::of(text);
        let entities: Vec<Value> = self
            .entities(said, words.len())
            .into_iter()
            .map(|(entity, score)| {
                let span = in_text(&entity, words);
                let part = characters.part(span).unwrap_or("");
                json!({"text": part, "label": &*entity.label, "start": span.start, "end": span.end, "score": score})
            })
            .collect();
        Ok(Map::from_iter([("entities".to_owned(), Value::Array(entities))]))
    }

    fn said(&self, data: &Data<Self>, example: usize, said: &Vec<Said>) -> Result<Shown> {
        shown::said(self, data, example, said)
    }

    fn batching(&self) -> Batching {
        self.batching
    }

    fn files(&self) -> &[PathBuf] {
        &self.files
    }
}

fn text(data: &Data<TokenClassification>, example: usize) -> &str {
    data.medium().records().text(data.inner_example(example))
}

fn words(data: &Data<TokenClassification>, example: usize) -> &[Span] {
    data.medium().records().words_of(data.inner_example(example))
}

/// The words of an example as texts.
fn words_of(data: &Data<TokenClassification>, example: usize) -> Vec<String> {
    let characters = Characters::of(text(data, example));
    words(data, example).iter().map(|&span| characters.part(span).unwrap_or("").to_owned()).collect()
}

/// An entity of words in characters.
fn in_text(entity: &Entity, words: &[Span]) -> Span {
    Span::new(words[entity.span.start].start, words[entity.span.end - 1].end)
}
