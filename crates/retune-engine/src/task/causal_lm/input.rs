//! What a decoder learns from: documents, conversations, prompts with completions; as tokens, and as blocks of them.

use super::CausalLmSettings;
use crate::Recipe;
use crate::task::OnProgress;
use crate::task::documents::{DocumentInput, held_out};
use crate::task::parts::{NextRows, STREAM};
use crate::task::splits::{Encoded, Split};
use crate::task::texts::TextSettings;
use anyhow::{Context, Result, ensure};
use retune_data::{
    BlockOptions, Blocks, ChatColumns, ChatTemplate, ChatWriter, Conversation, ConversationLines, Conversations, Cut,
    Documents, OnBadExample, Records, TableRows, Tokenizer,
};
use retune_kernels::random;
use retune_models::generate::GenerationSettings;
use retune_models::{ModelConfig, Takes, registry};
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Longest text of models that know no longest one.
const USUAL_LONGEST: usize = 4096;
/// Files beside the tokenizer's that belong to a model that writes.
const FILES: [&str; 2] = ["chat_template.jinja", "generation_config.json"];

/// What a file holds.
pub(super) enum Reading {
    /// Running text.
    Texts(Arc<TableRows>),
    /// Conversations, or prompts.
    Chats(Arc<Conversations>),
}

impl Reading {
    /// Whether it comes from a stream.
    pub(super) fn is_streamed(&self) -> bool {
        match self {
            Self::Texts(rows) => rows.streamed(),
            Self::Chats(chats) => chats.streamed(),
        }
    }
}

/// How both become a model's input.
pub(super) struct TextOrChat {
    documents: DocumentInput,
    writer: ChatWriter,
    columns: ChatColumns,
    packing: bool,
    /// Whether what is judged is one conversation a row, because prompts are answered.
    apart: bool,
    /// Longest prompt, where prompts are to be continued.
    prompts: Option<usize>,
    /// Longest text of the model.
    longest: Option<usize>,
    on_bad_example: OnBadExample,
    files: Vec<PathBuf>,
}

impl TextOrChat {
    /// For a model folder.
    ///
    /// # Errors
    /// Settings that mean nothing here, a chat template that is no Jinja, tokens that the tokenizer does not have.
    pub(super) fn of(recipe: &Recipe, model: &Path, config: &ModelConfig) -> Result<Self> {
        let (settings, text) = (recipe.read::<CausalLmSettings>()?, recipe.read::<TextSettings>()?);
        let documents = DocumentInput::of(recipe, model, config)?;
        let tokenizer = documents.tokenizer.clone();
        let frame = tokenizer.frame()?;
        let named = |spelled: &str, key: &str| {
            let known = tokenizer.token_id(spelled);
            known.with_context(|| format!("{key}: the tokenizer has no token `{spelled}` (auto, none, or a token)"))
        };
        let before = match settings.begin_token.as_str() {
            "auto" => frame.before.iter().map(|(id, _)| *id).collect(),
            "none" => Vec::new(),
            spelled => vec![named(spelled, "begin-token")?],
        };
        let end = match settings.end_token.as_str() {
            "auto" => tokenizer.end_id().or(frame.after.last().map(|(id, _)| *id)),
            "none" => None,
            spelled => Some(named(spelled, "end-token")?),
        };
        let mut files = documents.files();
        let others = FILES.map(|file| model.join(file)).into_iter().filter(|file| file.is_file());
        let others: Vec<PathBuf> = others.filter(|file| !files.contains(file)).collect();
        files.extend(others);
        let longest = match registry::takes(config)? {
            Takes::Tokens { longest, .. } => longest,
            _ => None,
        };
        Ok(Self {
            documents,
            writer: ChatWriter { tokenizer, template: ChatTemplate::load(model)?, before, end },
            columns: ChatColumns {
                messages: settings.messages_column,
                prompt: settings.prompt_column,
                completion: settings.completion_column,
                text: text.text_column,
            },
            packing: settings.packing,
            apart: settings.answered_rows > 0,
            prompts: None,
            longest,
            on_bad_example: recipe.data.on_bad_example.parse()?,
            files,
        })
    }

    /// The same for prompts that are to be continued so.
    ///
    /// # Errors
    /// No room beside the new tokens.
    pub(super) fn for_prompts(self, settings: &GenerationSettings) -> Result<Self> {
        Ok(Self { prompts: Some(self.room(settings)?), ..self })
    }

    /// Tokens of a prompt at most that is continued so.
    ///
    /// # Errors
    /// No room beside the new tokens.
    pub(super) fn room(&self, settings: &GenerationSettings) -> Result<usize> {
        let (longest, new) = (self.longest.unwrap_or(USUAL_LONGEST), settings.max_new_tokens);
        if let Some(most) = settings.max_length {
            // It counts the prompt, and one new token has to follow.
            return Ok(most.min(longest) - 1);
        }
        ensure!(
            new < longest,
            "max-new-tokens: {new} new tokens leave no room for a prompt in the {longest} positions that this model has"
        );
        Ok(longest - new)
    }

    /// The columns of conversations.
    pub(super) fn columns(&self) -> &ChatColumns {
        &self.columns
    }

    pub(super) fn tokenizer(&self) -> &Tokenizer {
        &self.documents.tokenizer
    }

    /// Makes tokens of conversations and prompts.
    pub(super) fn writer(&self) -> &ChatWriter {
        &self.writer
    }

    /// Tokens of a prompt at most.
    pub(super) fn longest_prompt(&self) -> usize {
        self.prompts.unwrap_or(USUAL_LONGEST)
    }

    /// Files that belong into the saved model.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        self.files.clone()
    }

    /// Changes with what rows depend on, beside their tokens.
    pub(super) fn fingerprint(&self) -> u64 {
        random::mix(&[self.documents.settings(), u64::from(self.packing)])
    }

    /// Reads a file to learn from or to be judged on.
    pub(super) fn read(&self, path: &Path) -> Result<Reading> {
        if Conversations::are_in(path, &self.columns)? {
            let chats = Conversations::read(path, &self.columns, true, self.on_bad_example)?;
            return Ok(Reading::Chats(Arc::new(chats)));
        }
        Ok(Reading::Texts(self.documents.read(path)?))
    }

    /// Reads a file of prompts; running text is a prompt too.
    pub(super) fn prompts(&self, path: &Path) -> Result<Reading> {
        if Conversations::are_in(path, &self.columns)? {
            let chats = Conversations::read(path, &self.columns, false, self.on_bad_example)?;
            return Ok(Reading::Chats(Arc::new(chats)));
        }
        Ok(Reading::Texts(self.documents.read(path)?))
    }

    /// Reads prompts of a stream.
    pub(super) fn lines<'a>(&self, reader: Box<dyn BufRead + 'a>) -> Result<NextRows<'a, Reading>> {
        let mut lines = ConversationLines::new(reader, Path::new(STREAM), &self.columns, self.on_bad_example);
        Ok(Box::new(move |most| Ok(lines.next_rows(most)?.map(|chats| Reading::Chats(Arc::new(chats))))))
    }

    /// Tokens of documents or conversations: whole ones, or up to where the model is to go on.
    pub(super) fn encode(&self, read: Reading, whole: bool, progress: &dyn Fn(usize, usize)) -> Result<Arc<Documents>> {
        let documents = match read {
            Reading::Texts(rows) => {
                let plain = self.documents.encode(&rows, false, progress)?;
                let after: Vec<u32> = self.writer.end.into_iter().filter(|_| whole).collect();
                if self.writer.before.is_empty() && after.is_empty() {
                    return Ok(plain);
                }
                plain.between(&self.writer.before, &after)?
            }
            Reading::Chats(chats) => {
                let longest = self.prompts.filter(|_| !whole);
                self.writer.documents(&chats, whole, longest, self.on_bad_example)?
            }
        };
        Ok(Arc::new(documents))
    }

    /// Rows of documents, all or the chosen ones.
    pub(super) fn cut(&self, documents: &Arc<Documents>, chosen: Option<&[usize]>) -> Result<Blocks> {
        Ok(Blocks::cut(documents, chosen, self.options(documents, true))?)
    }

    fn options(&self, documents: &Documents, judged: bool) -> BlockOptions {
        let chats = hold_conversations(documents);
        let cut = match (self.prompts, self.packing && !(judged && chats && self.apart), chats) {
            (Some(_), ..) | (None, false, true) => Cut::Whole,
            (None, true, _) => Cut::Pack,
            (None, false, false) => self.documents.cut,
        };
        let size = self.prompts.unwrap_or(self.documents.size);
        let boundaries = matches!(cut, Cut::Join | Cut::Pack);
        BlockOptions { cut, framed: false, boundaries, ..BlockOptions::new(size) }
    }

    /// The rows of a run, with what a person should know of them.
    pub(super) fn blocks(&self, recipe: &Recipe, progress: OnProgress<'_>) -> Result<(Encoded<Blocks>, Vec<String>)> {
        let rows = Encoded::read(recipe, |path| self.read(path))?;
        let joined = self.passes_the_template_by(&rows.train);
        let documents = rows.map(|split: Split, rows| {
            let what = format!("tokenizing {} data", split.whole_name());
            self.encode(rows, true, &|done, all| progress(&what, done, all))
        })?;
        let train = &documents.train;
        let judged = [&documents.validation, &documents.test].into_iter().flatten().next().unwrap_or(train);
        let options = [self.options(train, false), self.options(judged, true)];
        let (blocks, mut notes) = held_out(recipe, &documents, options.each_ref())?;
        notes.extend(self.about(&documents.train)?);
        notes.extend(joined.then(|| {
            format!(
                "where {} and {} are texts they are joined as they stand; the model's chat template writes lists of messages: \
                 [{{\"role\": \"user\", \"content\": …}}]",
                self.columns.prompt, self.columns.completion
            )
        }));
        Ok((blocks, notes))
    }

    /// Whether prompts are texts, though the model has a chat template: somebody who tunes an assistant may have meant turns.
    fn passes_the_template_by(&self, read: &Reading) -> bool {
        let Reading::Chats(chats) = read else { return false };
        self.writer.template.is_some()
            && (0..chats.len()).any(|row| matches!(chats.get(row), Conversation::Prompt { .. }))
    }

    /// How many tokens carry loss, with an example; and what fills rows where the tokenizer has no padding token.
    fn about(&self, train: &Documents) -> Result<Vec<String>> {
        let mut notes = Vec::new();
        let tokenizer = self.tokenizer();
        if !tokenizer.has_padding_token() {
            let filler = tokenizer.token(tokenizer.pad_id()).unwrap_or_default();
            notes.push(format!("the tokenizer has no padding token; `{filler}` fills rows, where nothing sees it"));
        }
        let mut sums = (0usize, 0usize);
        for document in 0..train.len() {
            let Some(learnt) = train.learnt(document) else { return Ok(notes) };
            sums.0 += train.length(document);
            sums.1 += learnt.iter().map(ExactSizeIterator::len).sum::<usize>();
        }
        let share = 100.0 * sums.1 as f64 / sums.0.max(1) as f64;
        notes.push(format!(
            "{} of {} tokens carry loss ({share:.0} %); of the first conversation what stands in «»: {}",
            sums.1,
            sums.0,
            self.shown(train)?
        ));
        Ok(notes)
    }

    /// The first document, what is to be learnt of it in guillemets.
    fn shown(&self, train: &Documents) -> Result<String> {
        const MOST: usize = 160;
        let ids = train.ids(0)?;
        let learnt = train.learnt(0).unwrap_or_default();
        let counts = |place: usize| learnt.iter().any(|range| range.contains(&(place as u32)));
        let mut text = String::new();
        let mut begin = 0;
        let end = ids.len().min(MOST);
        while begin < end {
            let same = (begin..end).take_while(|&place| counts(place) == counts(begin)).count();
            let part = self.tokenizer().spelled(&ids[begin..begin + same])?;
            text += &if counts(begin) { format!("«{part}»") } else { part };
            begin += same;
        }
        if end < ids.len() {
            text += " …";
        }
        Ok(text)
    }
}

/// Whether documents are conversations: then only some of their tokens are to be learnt.
pub(super) fn hold_conversations(documents: &Documents) -> bool {
    !documents.is_empty() && documents.learnt(0).is_some()
}
