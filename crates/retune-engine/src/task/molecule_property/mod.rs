//! Properties of molecules from their SMILES: one or many, decisions or numbers, some of them not known.
//!
//! transformers' `…ForSequenceClassification` (as ChemBERTa is used, Chithrananda et al. 2020); gaps do not count in the loss.
//! Numbers are learnt in units of their spread, which the saved model keeps (`target_mean`, `target_std` of config.json); what
//! is said and measured is in the user's unit. In training each molecule is written anew in each pass (Bjerrum 2017).
//! B rows, C properties.

mod atoms;
mod forest;
mod linear;
mod scale;

use super::classify::ClassificationSettings;
use super::parts::{self, NextRows, STREAM};
use super::splits::Encoded;
use super::texts::{BatchSettings, TextInput, TokenSettings};
use super::{
    BatchTensors, Data, Entry, Guess, Judged, Opening, Parts, Phase, Prepared, Preparing, Run, Scorer, Split, Task,
    Turn, Work,
};
use crate::Recipe;
use crate::metric::detail::Marked;
use crate::metric::{Evaluation, Metric, PropertyKind, PropertyMetric, Said};
use crate::number;
use crate::recipe::Settings;
use crate::recipe::settings::{DATA, Plain, TRAINING, settings};
use anyhow::{Context, Result, bail, ensure};
use forest::Forest;
use linear::Linear;
use retune_data::{
    Batching, Examples, Layout, MoleculeForm, MoleculeRows, Molecules, OnBadExample, Properties, TableLines, TableRows,
};
use retune_kernels::loss::{self, SummedLoss};
use retune_kernels::random;
use retune_kernels::tch::{Kind, Tensor};
use retune_models::{ModelConfig, NewHead, ProblemType, Tensors, heads};
use scale::{MEAN, SPREAD, Scale};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The task.
pub(super) static ENTRY: Entry = Entry {
    name: "molecule-property",
    purpose: &heads::SEQUENCE_CLASSIFICATION,
    settings: &[
        TokenSettings::SECTION,
        BatchSettings::SECTION,
        ClassificationSettings::SECTION,
        MoleculeSettings::SECTION,
    ],
    decides: None,
    targets: &["labels"],
    loss: raw_loss,
    prepare,
    open,
};

/// How far and how finely the baseline looks at the surroundings of atoms.
const RADIUS: usize = 2;
const BITS: usize = 2048;

settings! {
    /// Molecules.
    struct MoleculeSettings, under DATA, else "{task} has no molecules" {
        /// Column with the SMILES of a molecule
        smiles_column: String = "smiles".to_owned(), value("COLUMN"), at_use();
        /// Which molecules of the training data validate where no file does: those of scaffolds that are not learnt from
        /// (Bemis and Murcko), or any
        split: String = "scaffold".to_owned(), one_of(&["scaffold", "random"]);
        /// How a molecule is written in training: anew in each pass, or as it is given
        training_smiles: String = "random".to_owned(), under(TRAINING), one_of(&["random", "given"]),
            overfit(Plain::Word("given"));
        /// Other spellings of each molecule whose answers are averaged with that of its own, on files that validate or test and
        /// at use
        test_augmentation: usize = 0, value("N"), at_use();
        /// Of several molecules in one row, such as those of a salt: keep them all, or strip all but the largest
        salts: String = "keep".to_owned(), value("keep|strip"), one_of(&["keep", "strip"]), at_use();
        /// How a molecule is spelled before anything else: as it is given, or canonical, so that all spellings of a molecule are one
        smiles_form: String = "given".to_owned(), value("given|canonical"), one_of(&["given", "canonical"]), at_use();
    }
}

struct MoleculeProperty {
    names: Vec<String>,
    /// Of numbers, their scale; `None` for decisions.
    scale: Option<Scale>,
    batching: Batching,
    files: Vec<PathBuf>,
    /// What stands for a hidden token, where the tokenizer has it.
    hidden: Option<u32>,
}

/// The loss of raw outputs, whose targets are in the model's own units, as transformers computes it where nothing is missing.
fn raw_loss(config: &ModelConfig) -> Result<super::LossOf> {
    let numbers = config.problem_type() == ProblemType::Regression;
    Ok(Box::new(move |outputs, batch| {
        let (logits, labels) = (outputs.get("logits")?, batch.targets.get("labels")?);
        let labels = labels.to_kind(Kind::Float).f_view(logits.size().as_slice())?;
        Ok(match numbers {
            true => loss::known_squared_error(logits, &labels),
            false => loss::known_binary_cross_entropy(logits, &labels),
        })
    }))
}

/// Refuses what has no meaning for molecules, or none with gaps.
fn check(labels: &ClassificationSettings) -> Result<()> {
    for (setting, given) in [
        ("label-separator", labels.label_separator.is_some()),
        ("label-numbers", labels.label_numbers.is_some()),
        ("positive-class", labels.positive_class.is_some()),
        ("operating-point", labels.operating_point.is_some()),
        ("problem single-label", labels.problem == "single-label"),
    ] {
        ensure!(!given, "{setting}: {} does not read it", ENTRY.name);
    }
    Ok(())
}

/// What reads the molecules of a run or of a saved model.
struct Input {
    text: TextInput,
    layout: Layout,
    settings: MoleculeSettings,
    on_bad_example: OnBadExample,
}

impl Input {
    fn of(recipe: &Recipe, model: &Path, config: &ModelConfig) -> Result<Self> {
        let (tokens, labels) = (recipe.read::<TokenSettings>()?, recipe.read::<ClassificationSettings>()?);
        let settings = recipe.read::<MoleculeSettings>()?;
        check(&labels)?;
        let group = recipe.data.group_column.clone();
        let layout = Layout::texts([(settings.smiles_column.clone(), "--smiles-column")]);
        Ok(Self {
            text: TextInput::of(tokens.max_length, model, config)?,
            layout: layout.labels(labels.label_columns()).group(group).with_gaps(),
            settings,
            on_bad_example: recipe.data.on_bad_example.parse()?,
        })
    }

    fn read(&self, path: &Path, labels: bool) -> Result<Arc<TableRows>> {
        Ok(Arc::new(TableRows::read(path, &self.layout, labels, self.on_bad_example)?))
    }

    fn molecules(&self, rows: Arc<TableRows>, by_scaffold: bool) -> Result<Arc<MoleculeRows>> {
        let form = MoleculeForm {
            largest: self.settings.salts == "strip",
            canonical: self.settings.smiles_form == "canonical",
        };
        Ok(Arc::new(MoleculeRows::read(rows, by_scaffold, form, self.on_bad_example)?))
    }

    fn hidden(&self) -> Option<u32> {
        self.text.tokenizer.mask_id().or_else(|| self.text.tokenizer.unknown_id())
    }

    fn encode(
        &self,
        rows: &Arc<MoleculeRows>,
        rewrites: bool,
        places: bool,
        progress: &dyn Fn(usize, usize),
    ) -> Result<Molecules> {
        // Molecules that are left out are left out here, too; what no token can be made of is another matter.
        let options = self.text.options().on_bad_example(self.on_bad_example);
        let options = if places { options.offsets() } else { options };
        Ok(Molecules::encode(rows, &self.text.tokenizer, &options, rewrites, progress)?)
    }
}

fn prepare(from: &Preparing<'_>) -> Result<Box<dyn Work>> {
    let recipe = from.recipe;
    let input = Input::of(recipe, from.model, from.config)?;
    let labels = recipe.read::<ClassificationSettings>()?;
    let by_scaffold = input.settings.split == "scaffold";
    ensure!(
        recipe.data.group_column.is_none() || !by_scaffold,
        "group-column: molecules are grouped by scaffold; give --split random too"
    );
    let rows = Encoded::read(recipe, |path| input.molecules(input.read(path, true)?, by_scaffold))?;
    let targets = rows.map(|_, rows| Ok((Properties::read(rows.rows())?, rows)))?;
    let numbers = match labels.problem.as_str() {
        "regression" => true,
        "multi-label" => false,
        _ => !targets.train.0.binary(),
    };
    let others = targets.validation.iter().chain(&targets.test);
    if let Some((_, rows)) = others.chain([&targets.train]).find(|(known, _)| !numbers && !known.binary()) {
        let file = retune_data::Records::file(rows.as_ref()).display();
        bail!("{file}: a target is neither 0 nor 1; give --problem regression if targets are numbers");
    }
    let names = targets.train.0.names().to_vec();
    let what = if numbers { "numbers" } else { "yes or no" };
    let mut notes = vec![format!("{} properties ({what}): {}", names.len(), names.join(", "))];
    notes.push(format!("{} scaffolds among the training molecules", targets.train.1.scaffolds()));
    let rewrites = input.settings.training_smiles == "random";
    let data = targets.map(|split, (targets, rows)| {
        let report = |done, all| (from.progress)(&format!("tokenizing {} data", split.whole_name()), done, all);
        // Validation may be held out of the training file; without a pass nothing is written anew.
        let others = if split == Split::Train { 0 } else { input.settings.test_augmentation };
        let molecules =
            input.encode(&rows, rewrites && split == Split::Train, split != Split::Train, &report)?.with_others(others);
        Ok(Examples::new(rows, molecules, Some(targets))?)
    })?;
    let [salts, form] = [input.settings.salts == "strip", input.settings.smiles_form == "canonical"].map(u64::from);
    let settings = [input.text.max_length as u64, u64::from(rewrites), u64::from(numbers), salts, form];
    let fingerprint = random::mix(&settings);
    let splits = data.splits(recipe, fingerprint, notes)?;
    let scale = numbers.then(|| Scale::of(splits.train(), names.len())).transpose()?;
    let batching = recipe.read::<BatchSettings>()?.batching();
    let task = MoleculeProperty { names, scale, batching, files: input.text.files(), hidden: input.hidden() };
    Ok(Box::new(Prepared::new(task, splits)))
}

fn open(from: Opening<'_>) -> Result<Parts<'_>> {
    let input = Arc::new(Input::of(from.recipe, from.model, from.config)?);
    let count = from.config.label_count() as usize;
    let names = from.config.labels().unwrap_or_else(|| (0..count).map(|at| format!("LABEL_{at}")).collect());
    let scale = match from.config.problem_type() {
        ProblemType::Regression => Some(Scale::saved(from.config, count)?),
        ProblemType::MultiLabelClassification => None,
        ProblemType::SingleLabelClassification => {
            bail!("config.json: the model chooses one of several classes; use it for text-classification (--task)")
        }
    };
    let task = MoleculeProperty { names, scale, batching: Batching::Examples, files: Vec::new(), hidden: None };
    let (targets, progress) = (from.targets, from.progress);
    let file = |path: &Path| input.read(path, targets);
    let lines = |reader| {
        let mut lines = TableLines::new(reader, Path::new(STREAM), &input.layout)?.on_bad_example(input.on_bad_example);
        Ok(Box::new(move |most| Ok(lines.next_rows(most)?.map(Arc::new))) as NextRows<'_, Arc<TableRows>>)
    };
    let encode = {
        let input = Arc::clone(&input);
        move |rows: Arc<TableRows>| {
            let report = |done, all| progress("tokenizing", done, all);
            let streamed = rows.streamed();
            let known = targets.then(|| Properties::read(&rows)).transpose()?;
            let rows = input.molecules(rows, false)?;
            let molecules = input.encode(&rows, false, false, if streamed { &|_, _| {} } else { &report })?;
            let molecules = molecules.with_others(input.settings.test_augmentation);
            Ok(Examples::new(rows, molecules, known)?)
        }
    };
    parts::parts(task, from.input, file, lines, encode)
}

impl MoleculeProperty {
    fn metric(&self) -> PropertyMetric {
        let kind = if self.scale.is_some() { PropertyKind::Number } else { PropertyKind::Binary };
        PropertyMetric::new(kind, self.names.clone())
    }

    /// Probabilities, or numbers in the user's unit, of logits [B, C].
    fn numbers(&self, logits: &Tensor) -> Result<Tensor> {
        let logits = logits.to_kind(Kind::Float);
        Ok(match &self.scale {
            None => logits.f_sigmoid()?,
            Some(scale) => {
                let (mean, spread) = scale.tensors(&logits);
                logits * spread + mean
            }
        })
    }

    fn by_name(&self, numbers: &[f32]) -> Value {
        Value::Object(self.names.iter().zip(numbers).map(|(name, number)| (name.clone(), json!(number))).collect())
    }

    fn chosen(&self, probabilities: &[f32]) -> Vec<&str> {
        let all = self.names.iter().zip(probabilities);
        all.filter(|(_, probability)| **probability >= 0.5).map(|(name, _)| name.as_str()).collect()
    }
}

impl Task for MoleculeProperty {
    type Medium = Molecules;
    type Targets = Properties;
    /// Probabilities, or numbers in the user's unit.
    type Answer = Vec<f32>;

    fn head(&self) -> NewHead {
        let head = NewHead::of(ENTRY.purpose).labels(self.names.clone());
        match &self.scale {
            None => head.problem(ProblemType::MultiLabelClassification),
            Some(scale) => head
                .problem(ProblemType::Regression)
                .field(MEAN, scale.mean.clone())
                .field(SPREAD, scale.spread.clone()),
        }
    }

    fn loss(&self, outputs: &Tensors, batch: &BatchTensors, _phase: Phase) -> Result<SummedLoss> {
        let (logits, labels) = (outputs.get("logits")?, batch.targets.get("labels")?);
        Ok(match &self.scale {
            None => loss::known_binary_cross_entropy(logits, labels),
            Some(scale) => {
                let (mean, spread) = scale.tensors(labels);
                loss::known_squared_error(logits, &((labels - mean) / spread))
            }
        })
    }

    fn answer(&self, turn: &Turn<'_, Data<Self>>) -> Result<Vec<Vec<f32>>> {
        let numbers = self.numbers(turn.outputs()?.get("logits")?)?;
        let flat = Vec::<f32>::try_from(numbers.f_reshape([-1])?)?;
        Ok(flat.chunks(self.names.len()).map(<[f32]>::to_vec).collect())
    }

    /// The mean over the spellings.
    fn merge(&self, _data: &Data<Self>, _example: usize, spellings: Vec<Vec<f32>>) -> Result<Vec<f32>> {
        let count = spellings.len() as f32;
        let mean = |property: usize| spellings.iter().map(|said| said[property]).sum::<f32>() / count;
        Ok((0..self.names.len()).map(mean).collect())
    }

    fn scorer(&self) -> Box<dyn Scorer<Self>> {
        Box::new(Properly { metric: self.metric(), scale: self.scale.clone() })
    }

    fn guesses(&self, train: &Data<Self>) -> Result<Vec<Guess<'_, Self>>> {
        let (count, numbers) = (self.names.len(), self.scale.is_some());
        let (linear, forest) = (Linear::fit(train, count, numbers)?, Forest::fit(train, count, numbers)?);
        let bits = |data: &Data<Self>, example: usize| -> Result<Vec<u32>> {
            Ok(linear::bits(&data.medium().molecule_rows().smiles(data.inner_example(example))?))
        };
        let by_weights = move |data: &Data<Self>, example: usize| Ok(linear.predict(&bits(data, example)?));
        let by_trees = move |data: &Data<Self>, example: usize| Ok(forest.predict(&bits(data, example)?));
        Ok(vec![
            Guess { name: "circular fingerprints, linear model", answer: Box::new(by_weights) },
            Guess { name: "circular fingerprints, random forest", answer: Box::new(by_trees) },
        ])
    }

    fn rests(&self, data: &Data<Self>, example: usize, run: Run<'_>) -> Result<Option<Marked>> {
        self.hidden.map_or(Ok(None), |hidden| atoms::marked(self, data, example, hidden, run))
    }

    fn ideal(&self, data: &Data<Self>, example: usize) -> Result<Option<Vec<f32>>> {
        let gold = data.gold(example)?.context("the data has no properties")?;
        Ok(Some(gold.into_iter().map(|number| if number.is_nan() { 0.0 } else { number }).collect()))
    }

    fn describe(&self, _data: &Data<Self>, _example: usize, said: &Vec<f32>) -> Result<Map<String, Value>> {
        let prediction = match (&self.scale, said.as_slice()) {
            (None, _) => json!(self.chosen(said)),
            (Some(_), [one]) => json!(one),
            (Some(_), several) => json!(several),
        };
        let mut line = Map::from_iter([("prediction".to_owned(), prediction)]);
        if self.scale.is_none() || said.len() > 1 {
            line.insert("scores".to_owned(), self.by_name(said));
        }
        Ok(line)
    }

    fn said(&self, _data: &Data<Self>, _example: usize, said: &Vec<f32>) -> Result<Said> {
        let words = match &self.scale {
            None => self.chosen(said).join(", "),
            Some(_) => said.iter().map(|it| number::value(f64::from(*it))).collect::<Vec<_>>().join(", "),
        };
        Ok(Said { prediction: if words.is_empty() { "nothing".to_owned() } else { words }, ..Said::default() })
    }

    fn batching(&self) -> Batching {
        self.batching
    }

    fn files(&self) -> &[PathBuf] {
        &self.files
    }
}

struct Properly {
    metric: PropertyMetric,
    scale: Option<Scale>,
}

impl Scorer<MoleculeProperty> for Properly {
    fn add(&mut self, data: &Data<MoleculeProperty>, example: usize, said: &Vec<f32>) -> Result<Judged> {
        let gold = data.gold(example)?.context("the data has no properties")?;
        self.metric.add(said, &gold);
        // Properties of several units are compared by their spread.
        let unit = |property: usize| self.scale.as_ref().map_or(1.0, |scale| scale.spread[property]);
        let off = gold.iter().zip(said).enumerate().filter(|(_, (gold, _))| !gold.is_nan());
        let severity = off.map(|(property, (gold, said))| (gold - said).abs() / unit(property)).fold(0.0, f32::max);
        Ok(Judged { right: None, severity })
    }

    fn evaluation(&self) -> Evaluation {
        self.metric.compute()
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        self.metric.metrics()
    }
}
