//! Molecules as texts: checked before anything is computed, and written anew in each pass that learns.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use super::{Side, Text, TextInput, TextOptions, TextSeen, Texts, Tokenizer};
use crate::molecule::Molecule;
use crate::problems::Problems;
use crate::{
    Array, BadExample, Batch, DataError, Fact, Medium, OnBadExample, Pass, Random, Records, RowProblem, Source,
    TableRows, Units,
};

/// Tells these draws from others.
const DRAWS: u64 = 0x736d_696c;
/// Tells spellings that are no training's from those.
const SPELLINGS: u64 = 0x7370_656c;

/// The rows of a table with what is known of their molecules.
pub struct MoleculeRows {
    rows: Arc<TableRows>,
    /// Of each row, its scaffold; 0 without rings, and where there is no molecule.
    scaffolds: Vec<u64>,
    /// Rows that hold no molecule.
    bad: Vec<BadExample>,
    /// Whether rows of one scaffold belong together.
    by_scaffold: bool,
    /// Of each row a number that all spellings of its molecule share.
    hashes: Vec<u64>,
    form: MoleculeForm,
}

/// What of a cell is read, and how it is spelled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MoleculeForm {
    /// Whether of several molecules in one row, such as a salt's, the largest alone counts.
    pub largest: bool,
    /// Whether all spellings of a molecule become one.
    pub canonical: bool,
}

impl MoleculeRows {
    /// Reads the molecules of all rows.
    ///
    /// # Errors
    /// What is no molecule, up to ten rows together, unless it is to be left out.
    pub fn read(
        rows: Arc<TableRows>,
        by_scaffold: bool,
        form: MoleculeForm,
        on_bad_example: OnBadExample,
    ) -> Result<Self, DataError> {
        let read = |row: usize| {
            let text = text_of(&rows, row)?;
            // What is wrong is said of the whole.
            let whole = Molecule::parse(text.trim());
            Ok(whole.map(|whole| {
                let part = if form.largest { largest_of(text.trim()) } else { text.trim() };
                let molecule = if form.largest { Molecule::parse(part).unwrap_or(whole) } else { whole };
                let same = molecule.canonical().unwrap_or_else(|| part.to_owned());
                (molecule.scaffold(), xxh3_64(same.as_bytes()))
            }))
        };
        let all: Vec<Result<_, DataError>> = (0..rows.len()).into_par_iter().map(read).collect();
        let (mut scaffolds, mut hashes) = (Vec::new(), Vec::new());
        let (mut bad, mut problems) = (Vec::new(), Problems::new(rows.file()));
        for (row, molecule) in all.into_iter().enumerate() {
            match molecule? {
                Ok((scaffold, hash)) => {
                    scaffolds.push(scaffold);
                    hashes.push(hash);
                }
                Err(error) => {
                    let problem = RowProblem::new(rows.line(row), Texts::column(rows.as_ref()), error.to_string());
                    match on_bad_example {
                        OnBadExample::Fail => problems.push(problem)?,
                        OnBadExample::Skip => bad.push(rows.bad(row, problem.said())?),
                    }
                    scaffolds.push(0);
                    hashes.push(xxh3_64(text_of(&rows, row)?.as_bytes()));
                }
            }
        }
        problems.finish()?;
        Ok(Self { rows, scaffolds, bad, by_scaffold, hashes, form })
    }

    /// The table.
    pub fn rows(&self) -> &TableRows {
        &self.rows
    }

    /// A row as it is read.
    ///
    /// # Errors
    /// No such row, or the temporary store cannot be read.
    pub fn smiles(&self, row: usize) -> Result<String, DataError> {
        let text = text_of(&self.rows, row)?;
        let text = if self.form.largest { largest_of(text.trim()) } else { text.trim() };
        let canonical = || Molecule::parse(text).ok()?.canonical();
        Ok(self.form.canonical.then(canonical).flatten().unwrap_or_else(|| text.to_owned()))
    }

    /// Number of scaffolds.
    pub fn scaffolds(&self) -> usize {
        let mut all = self.scaffolds.clone();
        all.sort_unstable();
        all.dedup();
        all.len()
    }
}

/// The molecule of most atoms among those that dots separate, the first of several; the whole where one cannot be read alone.
fn largest_of(smiles: &str) -> &str {
    let parts = smiles.split('.').map(|part| Some((part, Molecule::parse(part).ok()?.atoms())));
    let parts: Option<Vec<(&str, usize)>> = parts.collect();
    parts.and_then(|parts| parts.into_iter().rev().max_by_key(|(_, atoms)| *atoms)).map_or(smiles, |(part, _)| part)
}

fn text_of(rows: &TableRows, row: usize) -> Result<String, DataError> {
    Ok(match rows.input(row)? {
        TextInput::Text(text) | TextInput::Pair(text, _) => text,
        TextInput::Words(words) => words.concat(),
    })
}

impl Texts for MoleculeRows {
    fn input(&self, example: usize) -> Result<TextInput, DataError> {
        self.smiles(example).map(TextInput::Text)
    }

    fn pairs(&self) -> bool {
        false
    }

    fn words(&self) -> bool {
        false
    }

    fn column(&self) -> Option<&str> {
        Texts::column(self.rows.as_ref())
    }

    fn streamed(&self) -> bool {
        self.rows.streamed()
    }
}

impl Records for MoleculeRows {
    fn file(&self) -> &Path {
        self.rows.file()
    }

    fn len(&self) -> usize {
        self.rows.len()
    }

    fn line(&self, example: usize) -> u64 {
        self.rows.line(example)
    }

    fn source(&self, example: usize) -> Result<Source, DataError> {
        self.rows.source(example)
    }

    /// Molecules of one scaffold where they belong together; else what the group column says.
    fn group(&self, example: usize) -> Option<u64> {
        if self.by_scaffold { Some(self.scaffolds[example]) } else { self.rows.group(example) }
    }

    fn left_out(&self) -> &[BadExample] {
        self.rows.left_out()
    }

    fn remarks(&self) -> Vec<String> {
        Records::remarks(self.rows.as_ref())
    }
}

/// Encoded molecules.
pub struct Molecules {
    rows: Arc<MoleculeRows>,
    text: Text,
    tokenizer: Tokenizer,
    max_length: usize,
    /// Whether a pass writes them anew.
    rewrites: bool,
    /// Rows of each molecule beside its own, in other spellings.
    others: usize,
}

impl Molecules {
    /// Tokenizes all molecules, in parallel; with `rewrites`, passes that learn write each anew. `progress` is called with
    /// molecules done and molecules in all.
    ///
    /// # Errors
    /// As [`Text::encode`].
    pub fn encode(
        rows: &Arc<MoleculeRows>,
        tokenizer: &Tokenizer,
        options: &TextOptions,
        rewrites: bool,
        progress: &dyn Fn(usize, usize),
    ) -> Result<Self, DataError> {
        let text = Text::encode(rows.as_ref(), tokenizer, options, progress)?;
        let (rows, tokenizer) = (Arc::clone(rows), tokenizer.clone());
        Ok(Self { rows, text, tokenizer, max_length: options.max_length, rewrites, others: 0 })
    }

    /// With so many rows of each molecule beside its own, in other spellings, always the same.
    #[must_use]
    pub fn with_others(self, others: usize) -> Self {
        Self { others, ..self }
    }

    /// The row of the given spelling, and which spelling a row is: 0 is the given one.
    fn spelling(&self, row: usize) -> (usize, usize) {
        (row / (1 + self.others), row % (1 + self.others))
    }

    /// The rows that they are of.
    pub fn molecule_rows(&self) -> &MoleculeRows {
        &self.rows
    }

    fn is_bad(&self, example: usize) -> bool {
        self.rows.bad.binary_search_by_key(&example, |bad| bad.row).is_ok()
    }
}

impl Medium for Molecules {
    type Seen = TextSeen;

    fn examples(&self) -> usize {
        self.text.examples()
    }

    fn rows(&self, example: usize) -> Range<usize> {
        let (rows, each) = (self.text.rows(example), 1 + self.others);
        let rows = rows.start * each..rows.end * each;
        if self.is_bad(example) { rows.start..rows.start } else { rows }
    }

    fn bad_examples(&self) -> &[BadExample] {
        &self.rows.bad
    }

    fn length(&self, row: usize) -> usize {
        self.text.length(self.spelling(row).0)
    }

    fn fill(&self, rows: &[usize], pass: Option<Pass>, into: &mut Batch) -> Result<Vec<TextSeen>, DataError> {
        let pass = pass.filter(|_| self.rewrites);
        if pass.is_none() && self.others == 0 {
            return self.text.fill(rows, pass, into);
        }
        let written = rows.iter().map(|&row| {
            let (own, spelling) = self.spelling(row);
            let example = self.text.example_of(own);
            let smiles = self.rows.smiles(example)?;
            let random = match (pass, spelling) {
                (Some(pass), _) => Some(Random::at(&[pass.seed, pass.epoch, row as u64, DRAWS])),
                (None, 0) => None,
                (None, spelling) => Some(Random::at(&[self.text.hash(example), spelling as u64, SPELLINGS])),
            };
            let smiles = random.map_or(smiles.clone(), |mut random| Molecule::rewritten(&smiles, &mut random));
            self.tokenizer.encode(&smiles, None, self.max_length)
        });
        let written = written.collect::<Result<Vec<_>, _>>()?;
        let width = written.iter().map(|tokens| tokens.ids.len()).max().unwrap_or(0);
        let size = rows.len() * width;
        let mut ids = vec![i64::from(self.tokenizer.pad_id()); size];
        let mut mask = vec![0; size];
        let mut types = vec![0; if self.tokenizer.token_types() { size } else { 0 }];
        let mut seen = Vec::with_capacity(rows.len());
        for (index, tokens) in written.iter().enumerate() {
            let length = tokens.ids.len();
            let first = if self.tokenizer.padding_side() == Side::Left { width - length } else { 0 };
            let start = index * width + first;
            for (place, (&id, &kind)) in (start..).zip(tokens.ids.iter().zip(&tokens.type_ids)) {
                (ids[place], mask[place]) = (i64::from(id), 1);
                if let Some(into) = types.get_mut(place) {
                    *into = i64::from(kind);
                }
            }
            seen.push(TextSeen { first, length, places: Vec::new() });
        }
        let shape = [rows.len(), width];
        let mut insert = |name: &str, values| into.inputs.insert(name.to_owned(), Array::integers(&shape, values));
        insert("input_ids", ids);
        insert("attention_mask", mask);
        if self.tokenizer.token_types() {
            insert("token_type_ids", types);
        }
        into.extent.input = Units { real: written.iter().map(|tokens| tokens.ids.len()).sum(), padded: size };
        Ok(seen)
    }

    fn seen(&self, row: usize) -> Result<TextSeen, DataError> {
        self.text.seen(self.spelling(row).0)
    }

    /// That of the molecule: in whatever spelling it comes again, it is the same.
    fn hash(&self, example: usize) -> u64 {
        self.rows.hashes[example]
    }

    fn size(&self, example: usize) -> usize {
        self.text.size(example)
    }

    fn unit(&self) -> &'static str {
        self.text.unit()
    }

    fn facts(&self, examples: &[usize]) -> Vec<Fact> {
        let mut scaffolds: Vec<u64> = examples.iter().map(|&example| self.rows.scaffolds[example]).collect();
        scaffolds.sort_unstable();
        scaffolds.dedup();
        let mut facts = self.text.facts(examples);
        facts.push(Fact::new("scaffolds", crate::FactValue::Count(scaffolds.len() as u64)));
        facts
    }

    fn varies(&self) -> bool {
        self.rewrites
    }

    fn remarks(&self, file: &Path) -> Vec<String> {
        self.text.remarks(file)
    }

    /// `None` where molecules are written anew: with other rings come other numbers.
    fn tokens_in_use(&self, rows: &mut dyn Iterator<Item = usize>) -> Result<Option<Vec<i64>>, DataError> {
        if self.rewrites || self.others > 0 { Ok(None) } else { self.text.tokens_in_use(rows) }
    }
}
