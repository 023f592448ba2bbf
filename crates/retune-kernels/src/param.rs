//! The trainable side of a model: named tensors that methods filter and the optimizer updates.

use crate::{KernelError, Table, halves, shim};
use std::cell::OnceCell;
use std::fmt::Debug;
use tch::{Device, Kind, Tensor, no_grad};

/// Where the exact fp32 value of a parameter can be read again, such as a file: a frozen parameter then keeps nothing but
/// what the forward pass reads.
pub trait Source: Debug + Send + Sync {
    /// Reads the value, on any device.
    ///
    /// # Errors
    /// Where it is there no longer, in words that say what to do.
    fn read(&self) -> Result<Tensor, String>;
}

/// Beside a rounded leaf.
#[derive(Debug)]
enum Master {
    /// The exact fp32 value.
    Whole(Tensor),
    /// What the leaf lacks of it, int16.
    Rest(Tensor),
}

impl Master {
    /// Of the exact `value` and what it was rounded to.
    fn new(value: &Tensor, leaf: &Tensor) -> Self {
        match leaf.device() {
            Device::Cpu => Self::Rest(halves::rest(value, leaf)),
            _ => Self::Whole(value.detach().copy()),
        }
    }

    fn tensor(&self) -> &Tensor {
        match self {
            Self::Whole(tensor) | Self::Rest(tensor) => tensor,
        }
    }

    fn value(&self, leaf: &Tensor) -> Tensor {
        match self {
            Self::Whole(value) => value.detach(),
            Self::Rest(rest) => halves::join(leaf, rest),
        }
    }
}

/// One named parameter.
///
/// The forward pass reads `leaf`. Where that is bf16 and its value has been rounded, a parameter that learns has a master too, which
/// the optimizer updates and rounds into `leaf`: the fp32 value, or on a CPU the bits that `leaf` lacks of it. The master is made in
/// the first step; until then the exact value stays where it came from. Of a compacted embedding table `leaf` holds the rows in use; value, count and
/// whatever is saved speak of the whole table.
#[derive(Debug)]
pub struct Param {
    /// The name in the checkpoint, as in Hugging Face.
    pub name: String,
    /// Position from input to output: 0 embeddings, 1..=L blocks, above that the head.
    pub depth: usize,
    /// Whether the head owns it (new for the task), whatever the depth.
    pub head: bool,
    /// Whether it scales or shifts a norm's result.
    pub norm: bool,
    /// Whether it is the weight [in, out] of a dense layer, as transformers' `Conv1D` has it.
    pub transposed: bool,
    leaf: Tensor,
    /// Whether `leaf` is of another dtype than the exact value.
    narrow: bool,
    master: OnceCell<Master>,
    /// Where the exact value is while there is no master; `leaf` itself is exact where there is no source.
    source: Option<Box<dyn Source>>,
    table: Option<Table>,
}

impl Param {
    /// Makes a parameter of the exact fp32 `value`, which the forward pass will read as `kind`.
    pub fn new(name: String, depth: usize, head: bool, value: Tensor, kind: Kind) -> Self {
        Self::with_source(name, depth, head, value, kind, None)
    }

    /// The same, of a value that `source` can read again: it is not kept where `kind` rounds it, unless the parameter learns.
    pub fn with_source(
        name: String,
        depth: usize,
        head: bool,
        value: Tensor,
        kind: Kind,
        source: Option<Box<dyn Source>>,
    ) -> Self {
        let narrow = value.kind() != kind;
        let master = OnceCell::new();
        let (mut leaf, mut kept) = (value.shallow_clone(), None);
        if narrow {
            leaf = no_grad(|| value.to_kind(kind));
            let exact = same(&no_grad(|| leaf.to_kind(value.kind())), &value);
            kept = source.filter(|_| !exact);
            if kept.is_none() && !exact {
                master.get_or_init(|| Master::new(&value, &leaf));
            }
        }
        let leaf = leaf.set_requires_grad(true);
        Self { name, depth, head, norm: false, transposed: false, leaf, narrow, master, source: kept, table: None }
    }

    /// What the forward pass reads; shares storage with the parameter.
    pub fn leaf(&self) -> Tensor {
        self.leaf.shallow_clone()
    }

    /// How an embedding layer reads it: the handle follows when the parameter is compacted.
    pub fn table(&mut self) -> Table {
        self.table.get_or_insert_with(|| Table::new(self.leaf.shallow_clone())).clone()
    }

    /// The exact fp32 value. It shares storage with the parameter where that holds it whole (with its frozen rows, where it is
    /// compacted); otherwise it is put together or read again.
    ///
    /// # Errors
    /// Where it cannot be read again, or is another value now.
    pub fn value(&self) -> Result<Tensor, KernelError> {
        if let Some(table) = self.compacted() {
            table.write_back()?;
            return Ok(table.whole().detach());
        }
        if !self.narrow {
            return Ok(self.leaf.detach());
        }
        match self.master.get() {
            Some(master) => Ok(master.value(&self.leaf)),
            None => self.read_again(),
        }
    }

    /// The exact value of a parameter without a master.
    fn read_again(&self) -> Result<Tensor, KernelError> {
        let Some(source) = &self.source else { return Ok(no_grad(|| self.leaf.f_to_kind(Kind::Float))?) };
        let error = |problem| KernelError::Source { name: self.name.clone(), problem };
        let value = source.read().map_err(error)?;
        let value = no_grad(|| value.f_to_kind(Kind::Float)?.f_to_device(self.leaf.device()))?;
        if value.size() != self.leaf.size() || !same(&no_grad(|| value.f_to_kind(self.leaf.kind()))?, &self.leaf) {
            return Err(error("another value than when it was loaded; the file has changed in between".to_owned()));
        }
        Ok(value)
    }

    /// Shape of the value.
    pub fn size(&self) -> Vec<i64> {
        self.compacted().map_or(&self.leaf, Table::whole).size()
    }

    /// Dtype of the value.
    pub fn exact_kind(&self) -> Kind {
        if self.narrow { Kind::Float } else { self.leaf.kind() }
    }

    /// Overwrites the value (and its rounded copy).
    pub fn set(&mut self, value: &Tensor) -> Result<(), KernelError> {
        if let Some(table) = self.compacted() {
            return table.set(value);
        }
        self.source = None;
        self.write(value)
    }

    /// Overwrites the value of a parameter that is not compact.
    fn write(&self, value: &Tensor) -> Result<(), KernelError> {
        no_grad(|| {
            self.leaf.shallow_clone().f_copy_(value)?;
            if self.narrow {
                let value = value.f_to_device(self.leaf.device())?.f_to_kind(Kind::Float)?;
                let master = Master::new(&value, &self.leaf);
                match self.master.get() {
                    Some(old) => old.tensor().shallow_clone().f_copy_(master.tensor())?,
                    None => drop(self.master.set(master)),
                }
            }
            Ok(())
        })
    }

    /// Exchanges the value (and its rounded copy) with that of `other`, of the same shape. Not of a compact table.
    ///
    /// # Errors
    /// A value that cannot be read again.
    pub(crate) fn exchange(&self, other: &Tensor) -> Result<(), KernelError> {
        if !self.narrow {
            return exchange(&self.leaf, other);
        }
        let before = self.value()?.copy();
        self.write(other)?;
        no_grad(|| other.shallow_clone().f_copy_(&before))?;
        Ok(())
    }

    /// Whether the optimizer updates it.
    pub fn is_trainable(&self) -> bool {
        self.leaf.requires_grad()
    }

    /// Freezes or thaws.
    pub fn set_trainable(&mut self, trainable: bool) {
        self.leaf = self.leaf.set_requires_grad(trainable);
    }

    /// The gradient of the last backward passes, if any reached it.
    pub fn gradient(&self) -> Option<Tensor> {
        self.raw_gradient().map(|gradient| if gradient.is_sparse() { gradient.to_dense(None, false) } else { gradient })
    }

    /// The gradient as autograd left it: sparse for a compact table.
    pub(crate) fn raw_gradient(&self) -> Option<Tensor> {
        let gradient = self.leaf.grad();
        gradient.defined().then_some(gradient)
    }

    pub(crate) fn clear_gradient(&self) -> Result<(), KernelError> {
        shim::clear_gradient(&self.leaf)
    }

    /// What the optimizer updates, beside [`Self::copy`] where there is one; made when it is first asked for.
    pub(crate) fn master(&self) -> Result<&Tensor, KernelError> {
        if !self.narrow {
            return Ok(&self.leaf);
        }
        if let Some(master) = self.master.get() {
            return Ok(master.tensor());
        }
        let master = Master::new(&self.read_again()?, &self.leaf);
        Ok(self.master.get_or_init(|| master).tensor())
    }

    /// Zeros of the shape and dtype of what the optimizer updates.
    pub(crate) fn zeros(&self) -> Tensor {
        self.leaf.detach().zeros_like().to_kind(self.exact_kind())
    }

    /// The leaf, where it is a rounded copy.
    pub(crate) fn copy(&self) -> Option<&Tensor> {
        self.narrow.then_some(&self.leaf)
    }

    pub(crate) fn compacted(&self) -> Option<&Table> {
        self.table.as_ref().filter(|table| table.compact().is_some())
    }

    /// Trains only `rows` of a table; see [`Params::compact`].
    fn compact(&mut self, rows: &[i64]) -> Result<(), KernelError> {
        let error = |problem| KernelError::Compaction { name: self.name.clone(), problem };
        if self.narrow {
            return Err(error("its leaf is a rounded copy"));
        }
        if self.compacted().is_some() {
            return Err(error("it is compact already"));
        }
        let trainable = self.is_trainable();
        let table = self.table.as_mut().ok_or_else(|| KernelError::Compaction {
            name: self.name.clone(),
            problem: "no layer reads it as a table",
        })?;
        self.leaf = table.keep_rows(rows, trainable)?;
        Ok(())
    }

    /// What weight decay does to the rows that a compact leaf lacks.
    pub(crate) fn decay_rest(&self, factor: f64) {
        if let Some(compact) = self.table.as_ref().map(Table::compact).as_deref_mut().and_then(Option::as_mut) {
            compact.decay_rest(factor);
        }
    }

    /// Weight decay spares biases and norms, as Hugging Face's Trainer does: norms by what they are, and both by name.
    pub fn decays(&self) -> bool {
        let name = self.name.to_ascii_lowercase();
        let named_norm = |part: &str| part.contains("layernorm") || part == "norm" || part.ends_with("_norm");
        !(self.norm || name.contains("bias") || name.split('.').any(named_norm))
    }

    /// Number of scalars.
    pub fn count(&self) -> usize {
        self.compacted().map_or(&self.leaf, Table::whole).numel()
    }
}

/// Whether two tensors of one dtype hold the same numbers; what is not a number counts as itself.
fn same(a: &Tensor, b: &Tensor) -> bool {
    no_grad(|| a == b || a.allclose(b, 0.0, 0.0, true))
}

/// Exchanges the values of two tensors of one shape.
pub(crate) fn exchange(a: &Tensor, b: &Tensor) -> Result<(), KernelError> {
    no_grad(|| {
        let before = a.detach().copy();
        a.shallow_clone().f_copy_(b)?;
        b.shallow_clone().f_copy_(&before)?;
        Ok(())
    })
}

/// All parameters of a model, in the order its layers were made.
#[derive(Debug, Default)]
pub struct Params(Vec<Param>);

impl Params {
    /// Adds one.
    pub fn push(&mut self, param: Param) {
        self.0.push(param);
    }

    /// In order.
    pub fn iter(&self) -> impl Iterator<Item = &Param> {
        self.0.iter()
    }

    /// In order.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Param> {
        self.0.iter_mut()
    }

    /// Those that the optimizer updates.
    pub fn trainable(&self) -> impl Iterator<Item = &Param> {
        self.0.iter().filter(|p| p.is_trainable())
    }

    /// By full name.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Param> {
        self.0.iter_mut().find(|p| p.name == name)
    }

    /// Vocabulary compaction: of the embedding table `name`, only `rows` (ids, in any order) get a gradient, optimizer
    /// state and updates; weight decay shrinks the others by the same factor that AdamW would. Saved values, names and
    /// gradient norms stay what they are without it, provided that training reads no other row.
    ///
    /// Call it after loading and before [`crate::AdamW::new`], with the same rows on resuming. Not for a table that
    /// another layer shares (tied output weights): that layer would read stale rows. A frozen table stays as it is.
    pub fn compact(&mut self, name: &str, rows: &[i64]) -> Result<(), KernelError> {
        let known = KernelError::Compaction { name: name.to_owned(), problem: "there is no such parameter" };
        let param = self.get_mut(name).ok_or(known)?;
        if param.is_trainable() { param.compact(rows) } else { Ok(()) }
    }

    /// Scalars in all / in the trainable ones.
    pub fn counts(&self) -> (usize, usize) {
        (self.iter().map(Param::count).sum(), self.trainable().map(Param::count).sum())
    }

    /// The lowest depth that has a trainable parameter: nothing below it needs a graph.
    pub fn lowest_trainable_depth(&self) -> usize {
        self.trainable().map(|p| p.depth).min().unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fused::testing::test_device;
    use crate::fused::{EmbeddingIndices, EmbeddingTables, text_embeddings};
    use crate::{AdamW, AdamWOptions, LayerNorm, random};
    use std::collections::BTreeMap;
    use tch::{Device, Kind};

    const ROWS: [i64; 4] = [7, 2, 11, 2];

    fn model(compact: bool) -> (Params, Table) {
        let values = Tensor::from_slice(&random::normal(1, 20 * 16)).reshape([20, 16]).to_device(test_device());
        let mut param = Param::new("word.weight".into(), 0, false, values, Kind::Float);
        let table = param.table();
        let mut params = Params::default();
        params.push(param);
        if compact {
            params.compact("word.weight", &ROWS).unwrap();
        }
        (params, table)
    }

    fn embed(table: &Table, ids: &[i64], train: bool) -> Tensor {
        let options = (Kind::Float, test_device());
        let norm = LayerNorm::new(Tensor::ones([16], options), Tensor::zeros([16], options), 1e-6);
        let position = Tensor::zeros([8, 16], options);
        let tables = EmbeddingTables { word: table, position: &position, token_type: None, norm: &norm };
        let ids = Tensor::from_slice(ids).unsqueeze(0).to_device(test_device());
        text_embeddings(tables, EmbeddingIndices { ids: &ids, types: None, positions: None }, 0.0, Kind::Float, train)
    }

    /// Row 11 misses every step that is no multiple of three, row 2 the odd ones.
    fn step(params: &Params, table: &Table, optimizer: &mut AdamW) -> f64 {
        let y = match optimizer.steps() {
            step if step % 3 == 0 => embed(table, &[2, 7, 2, 11], true),
            step if step % 2 == 0 => embed(table, &[2, 7, 2, 7], true),
            _ => embed(table, &[7, 7, 7, 7], true),
        };
        let direction = Tensor::from_slice(&random::normal(5, 64)).reshape([1, 4, 16]).to_device(test_device());
        (y * direction).sum(Kind::Float).backward();
        optimizer.step(params, 0.1, &Tensor::from(1.0), 0.5).unwrap().wait().unwrap()
    }

    fn value(params: &Params) -> Tensor {
        params.iter().next().unwrap().value().unwrap()
    }

    fn apart(a: &Tensor, b: &Tensor) -> f64 {
        (a - b).abs().max().double_value(&[])
    }

    #[test]
    fn a_compact_table_trains_like_the_whole_one() {
        let options = AdamWOptions { weight_decay: 0.3, ..AdamWOptions::default() };
        let ((whole, whole_table), (compact, compact_table)) = (model(false), model(true));
        let (mut first, mut second) = (AdamW::new(&whole, options), AdamW::new(&compact, options));
        for _ in 0..12 {
            let (a, b) = (step(&whole, &whole_table, &mut first), step(&compact, &compact_table, &mut second));
            assert!((a - b).abs() < 1e-6, "gradient norms {a} and {b}");
            // Reads a row that is not trained, after its decay.
            let read = |table: &Table| tch::no_grad(|| embed(table, &[3, 7, 0], false));
            assert!(apart(&read(&whole_table), &read(&compact_table)) < 1e-5);
        }
        assert!(apart(&value(&whole), &value(&compact)) < 1e-6);
        assert_eq!(compact.counts(), (320, 320));
        for (moment, of_rows) in first.state().iter().zip(second.state()) {
            assert!(
                apart(
                    &moment.1.index_select(0, &Tensor::from_slice(&[2i64, 7, 11]).to_device(test_device())),
                    &of_rows.1
                ) < 1e-6
            );
        }
    }

    #[test]
    fn gradients_of_several_backward_passes_add_up() {
        let ((whole, whole_table), (compact, compact_table)) = (model(false), model(true));
        for (params, table) in [(&whole, &whole_table), (&compact, &compact_table)] {
            let mut optimizer = AdamW::new(params, AdamWOptions::default());
            for ids in [[2, 7, 2, 11], [7, 7, 11, 2]] {
                embed(table, &ids, true).square().sum(Kind::Float).backward();
                embed(table, &ids, true).select(2, 3).sum(Kind::Float).backward();
                optimizer.collect(params).unwrap();
            }
            optimizer.step(params, 0.1, &Tensor::from(1.0), 1.0).unwrap().wait().unwrap();
        }
        assert!(apart(&value(&whole), &value(&compact)) < 1e-6);
    }

    #[test]
    fn a_compact_table_resumes() {
        let (straight, table) = model(true);
        let mut optimizer = AdamW::new(&straight, AdamWOptions { weight_decay: 0.1, ..AdamWOptions::default() });
        for _ in 0..5 {
            step(&straight, &table, &mut optimizer);
        }
        let state: BTreeMap<String, Tensor> = optimizer.state().into_iter().map(|(n, t)| (n, t.copy())).collect();
        let (mut resumed, other) = model(true);
        resumed.get_mut("word.weight").unwrap().set(&value(&straight)).unwrap();
        let mut second = AdamW::new(&resumed, AdamWOptions { weight_decay: 0.1, ..AdamWOptions::default() });
        second.restore(optimizer.steps(), &state).unwrap();
        for _ in 0..5 {
            step(&straight, &table, &mut optimizer);
            step(&resumed, &other, &mut second);
        }
        assert_eq!(value(&straight), value(&resumed));
    }

    #[test]
    fn what_cannot_be_compacted_says_so() {
        let (mut params, _) = model(false);
        let error = params.compact("word.weight", &[20]).unwrap_err().to_string();
        assert_eq!(error, "row 20 is outside an embedding table of 20 rows");
        assert!(params.compact("word", &ROWS).is_err());
        params.compact("word.weight", &ROWS).unwrap();
        assert!(params.compact("word.weight", &ROWS).is_err());
        params.push(Param::new("a".into(), 0, false, Tensor::zeros([4, 2], (Kind::Float, Device::Cpu)), Kind::Float));
        assert!(params.compact("a", &[1]).is_err(), "no layer would see it");
    }
}
