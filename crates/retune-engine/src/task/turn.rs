//! One batch at work: its rows, its tensors, the network, and what the network says of it.

use crate::metric::TokenSums;
use anyhow::Result;
use retune_kernels::loss::NextTokens;
use retune_kernels::tch::{Kind, Tensor};
use retune_models::{Mode, ModelError, Network, Tensors};
use std::cell::OnceCell;

/// A batch as named tensors on the device of the network.
#[derive(Debug, Default)]
pub struct BatchTensors {
    /// What the network reads.
    pub inputs: Tensors,
    /// What the loss compares with.
    pub targets: Tensors,
}

/// A batch that a task answers.
pub struct Turn<'a, D> {
    /// The data set behind it.
    pub data: &'a D,
    /// Its rows there, in the order of the tensors.
    pub rows: &'a [usize],
    /// Its tensors.
    pub batch: &'a BatchTensors,
    /// The network, for tasks that ask it more than once.
    pub network: &'a Network,
    read: OnceCell<Option<Tensors>>,
    outputs: OnceCell<Tensors>,
    said: OnceCell<NextTokens>,
}

/// The loss of scores of tokens: of outputs, for labels, with label smoothing.
pub(super) type TokenLoss = fn(&Tensors, &Tensor, f64) -> Result<NextTokens, ModelError>;

impl<'a, D> Turn<'a, D> {
    /// Nothing is computed yet.
    pub fn new(data: &'a D, rows: &'a [usize], batch: &'a BatchTensors, network: &'a Network) -> Self {
        Self { data, rows, batch, network, read: OnceCell::new(), outputs: OnceCell::new(), said: OnceCell::new() }
    }

    /// What the network reads: the batch's inputs, or what its encoder made of them, which reads them once for all that its decoder
    /// is asked.
    pub fn inputs(&self) -> Result<&Tensors> {
        let read = once(&self.read, || Ok(self.network.read(&self.batch.inputs)?))?;
        Ok(read.as_ref().unwrap_or(&self.batch.inputs))
    }

    /// How likely the tokens of the targets were: answers and loss are made of it.
    pub(super) fn said(&self, of: TokenLoss) -> Result<&NextTokens> {
        once(&self.said, || Ok(of(self.outputs()?, self.batch.targets.get("labels")?, 0.0)?))
    }

    /// The same summed over each row, where `counted`, bool with as many places as were scored, says which of them count.
    pub(super) fn likely(&self, of: TokenLoss, counted: &Tensor) -> Result<Vec<TokenSums>> {
        let said = self.said(of)?;
        let rows = self.rows.len() as i64;
        let sums = |tensor: &Tensor| -> Result<Vec<f64>> {
            let by_row = tensor.f_to_kind(Kind::Double)?.f_reshape([rows, -1])?;
            Ok(Vec::try_from(by_row.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Double)?)?)
        };
        let (losses, right, tokens) = (sums(&said.each)?, sums(&said.correct)?, sums(counted)?);
        let all = losses.into_iter().zip(right).zip(tokens);
        let of = |((loss, right), tokens): ((f64, f64), f64)| TokenSums {
            loss,
            right: right as u32,
            tokens: tokens as u32,
            ..TokenSums::default()
        };
        Ok(all.map(of).collect())
    }

    /// What the network says in one forward pass, which is run when it is first asked for.
    pub fn outputs(&self) -> Result<&Tensors> {
        once(&self.outputs, || Ok(self.network.forward(self.inputs()?, &Mode::evaluation().with_factors())?))
    }
}

/// What is computed when it is first asked for.
fn once<T>(cell: &OnceCell<T>, make: impl FnOnce() -> Result<T>) -> Result<&T> {
    if let Some(made) = cell.get() {
        return Ok(made);
    }
    let made = make()?;
    Ok(cell.get_or_init(|| made))
}
