//! The trainable side of a model: named tensors that methods filter and the optimizer updates.

use crate::{KernelError, Table, shim};
use tch::{Kind, Tensor, no_grad};

/// One named parameter.
///
/// The forward pass reads `leaf`. Where that is bf16, the exact value lives in an fp32 master that the optimizer
/// updates, and `leaf` is its rounded copy. Of a compacted embedding table `leaf` holds the rows in use; value, count and
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
    leaf: Tensor,
    master: Option<Tensor>,
    table: Option<Table>,
}

impl Param {
    /// `value` is the exact fp32 value; the forward pass will read it as `kind`.
    pub fn new(name: String, depth: usize, head: bool, value: Tensor, kind: Kind) -> Self {
        let (leaf, master) = if value.kind() == kind {
            (value, None)
        } else {
            (value.to_kind(kind).set_requires_grad(false), Some(value))
        };
        let leaf = leaf.set_requires_grad(true);
        Self { name, depth, head, norm: false, leaf, master, table: None }
    }

    /// What the forward pass reads; shares storage with the parameter.
    pub fn leaf(&self) -> Tensor {
        self.leaf.shallow_clone()
    }

    /// How an embedding layer reads it: the handle follows when the parameter is compacted.
    pub fn table(&mut self) -> Table {
        self.table.get_or_insert_with(|| Table::new(self.leaf.shallow_clone())).clone()
    }

    /// The exact fp32 value; shares storage with the parameter (with its frozen rows, where it is compacted).
    pub fn value(&self) -> Tensor {
        if let Some(table) = self.compacted() {
            table.write_back().expect("rows of the table's own shape");
            return table.whole().detach();
        }
        self.master().detach()
    }

    /// Overwrites the value (and its rounded copy).
    pub fn set(&mut self, value: &Tensor) -> Result<(), KernelError> {
        if let Some(table) = self.compacted() {
            return table.set(value);
        }
        no_grad(|| {
            if let Some(master) = &mut self.master {
                master.f_copy_(value)?;
            }
            self.leaf.f_copy_(value)?;
            Ok(())
        })
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

    pub(crate) fn master(&self) -> &Tensor {
        self.master.as_ref().unwrap_or(&self.leaf)
    }

    pub(crate) fn copy(&self) -> Option<&Tensor> {
        self.master.as_ref().map(|_| &self.leaf)
    }

    pub(crate) fn compacted(&self) -> Option<&Table> {
        self.table.as_ref().filter(|table| table.compact().is_some())
    }

    /// Trains only `rows` of a table; see [`Params::compact`].
    fn compact(&mut self, rows: &[i64]) -> Result<(), KernelError> {
        let error = |problem| KernelError::Compaction { name: self.name.clone(), problem };
        if self.master.is_some() {
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
        params.iter().next().unwrap().value()
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
