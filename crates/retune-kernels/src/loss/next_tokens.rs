//! Cross-entropy of a linear layer over a vocabulary, without ever holding the scores of all tokens.
//!
//! Scores of T tokens over V words are by far the largest tensor of a language model. They are made for a chunk of tokens at a
//! time, and what the backward pass needs of them is summed at once: gradients of hidden states [N, D] and weight [V, D]
//! (Wijmans et al. 2024 and Hsu et al. 2024 do the same). N places, D hidden size, V vocabulary.

use super::{IGNORE_INDEX, SummedLoss};
use crate::{fused, shim};
use tch::{Device, Kind, Tensor, no_grad};

/// Scores of a chunk, as numbers: 32 MiB of fp32.
const CHUNK: i64 = 8 << 20;

/// What a linear layer over a vocabulary says of its targets.
#[derive(Debug)]
pub struct NextTokens {
    /// Summed cross-entropy in fp32, and the number of targets.
    pub loss: SummedLoss,
    /// Cross-entropy of each place in fp32 \[N\], 0 where there is no target; no graph.
    pub each: Tensor,
    /// Whether the word of the highest score is the target, bool \[N\]; false where there is no target.
    pub correct: Tensor,
}

/// The linear layer over the vocabulary, and what becomes of its scores.
#[derive(Debug, Clone, Copy)]
pub struct Scoring<'a> {
    /// [V, D]
    pub weight: &'a Tensor,
    /// Added to the scores, \[V\]; nothing learns it.
    pub bias: Option<&'a Tensor>,
    /// Keeps scores between -c and c.
    pub softcap: Option<f64>,
}

/// Cross-entropy of `cap(hidden Wᵀ + b)` against `targets`, in fp32: `hidden` [N, D], `targets` \[N\], of which
/// [`IGNORE_INDEX`] counts for nothing. Where gradients are wanted they are computed here, so that the graph holds none of the
/// scores.
pub fn next_token_cross_entropy(
    hidden: &Tensor,
    scoring: Scoring<'_>,
    targets: &Tensor,
    label_smoothing: f64,
) -> NextTokens {
    let Scoring { weight, bias, softcap } = scoring;
    let bias = bias.map(|bias| bias.detach().to_kind(Kind::Float));
    let device = hidden.device();
    let counted = targets.ne(IGNORE_INDEX);
    let options = (Kind::Float, device);
    let total = targets.size()[0];
    let mut each = Tensor::zeros([total], options);
    let mut correct = Tensor::zeros([total], (Kind::Bool, device));
    // Places without a target cost nothing where that need not be waited for.
    let places = (device == Device::Cpu).then(|| counted.nonzero().squeeze_dim(1));
    let (chosen, targets) = match &places {
        Some(places) => (hidden.index_select(0, places), targets.index_select(0, places)),
        None => (hidden.shallow_clone(), targets.shallow_clone()),
    };
    // Whether a graph is recorded, and for this tensor, is told by what is computed of it; neither a leaf nor a view tells.
    let learns = |tensor: &Tensor| (tensor.narrow(0, 0, tensor.size()[0].min(1)) * 1.0).requires_grad();
    let wanted = [learns(&chosen), learns(weight)];
    let graph = wanted.contains(&true);
    let (count, vocabulary) = (targets.size()[0], weight.size()[0]);
    // Each chunk adds to the whole gradient of the weight: scores as large as that, which is held anyway, save passes over it.
    let chunk = if wanted[1] { CHUNK.max(weight.numel() as i64) } else { CHUNK };
    let rows = (chunk / vocabulary).clamp(1, count.max(1));
    let weights = weight.detach();
    let mut of_hidden = wanted[0].then(|| Tensor::zeros_like(&chosen).detach());
    let mut of_weight = wanted[1].then(|| Tensor::zeros(weights.size(), options));
    let mut sum = Tensor::zeros([0i64; 0], options);
    let (mut losses, mut hits) = (Vec::new(), Vec::new());
    // One piece of memory for the scores of all chunks: pages that are new each time cost more than the products of a narrow layer.
    let scores = Tensor::empty([rows.min(count), vocabulary], (weights.kind(), device));
    for first in (0..count).step_by(rows as usize) {
        let length = rows.min(count - first);
        let x = chosen.detach().narrow(0, first, length).to_kind(weights.kind());
        let target = targets.narrow(0, first, length);
        let scores = no_grad(|| x.mm_out(&scores.narrow(0, 0, length), &weights.tr()));
        let scored = fused::cross_entropy(scores, bias.as_ref(), softcap, &target, label_smoothing, graph);
        if let Some(gradient) = &scored.gradient {
            no_grad(|| {
                if let Some(of_hidden) = &mut of_hidden {
                    of_hidden.narrow(0, first, length).copy_(&gradient.matmul(&weights));
                }
                match &mut of_weight {
                    Some(sum) if sum.kind() == x.kind() => drop(sum.addmm_(&gradient.tr(), &x)),
                    Some(sum) => *sum += gradient.tr().matmul(&x), // summed in fp32 all the same
                    None => {}
                }
            });
        }
        sum += scored.smoothed.sum(Kind::Float);
        losses.push(scored.plain);
        hits.push(scored.correct);
    }
    if count > 0 {
        let (losses, hits) = (Tensor::cat(&losses, 0), Tensor::cat(&hits, 0));
        match &places {
            Some(places) => {
                each = each.index_copy(0, places, &losses);
                correct = correct.index_put(&[Some(places)], &hits, false);
            }
            None => (each, correct) = (losses, hits),
        }
    }
    if graph {
        let gradients = [of_hidden.as_ref(), of_weight.as_ref()];
        sum = shim::decoders::with_known_gradients(&sum, [&chosen, weight], gradients)
            .expect("gradients of the inputs' shapes");
    }
    NextTokens { loss: SummedLoss { sum, weight: counted.sum(Kind::Double) }, each, correct }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fused::testing::{leaf_on, test_device};
    use crate::loss::cross_entropy;

    #[test]
    fn equals_the_scores_of_all_tokens_at_once() {
        let vocabulary = 37;
        let shift = (Tensor::arange(vocabulary, (Kind::Float, test_device())) * 0.7).sin();
        for (softcap, smoothing, bias) in
            [(None, 0.0, None), (Some(2.0), 0.0, None), (None, 0.1, None), (None, 0.1, Some(&shift))]
        {
            let inputs =
                [leaf_on(test_device(), 1, &[11, 6], Kind::Float), leaf_on(test_device(), 2, &[37, 6], Kind::Float)];
            let targets: Vec<i64> =
                (0..11).map(|i| if i % 4 == 1 { IGNORE_INDEX } else { i * 7 % vocabulary }).collect();
            let targets = Tensor::from_slice(&targets).to_device(test_device());
            let scores = inputs[0].matmul(&inputs[1].tr());
            let scores = bias.map_or_else(|| scores.shallow_clone(), |bias| &scores + bias);
            let scores = softcap.map_or_else(|| scores.shallow_clone(), |cap| (&scores / cap).tanh() * cap);
            let scoring = Scoring { weight: &inputs[1], bias, softcap };
            let whole = cross_entropy(&scores, &targets, None, smoothing);
            let ours = next_token_cross_entropy(&inputs[0], scoring, &targets, smoothing);
            let apart = |a: &Tensor, b: &Tensor| (a - b).abs().max().double_value(&[]);
            assert!(apart(&ours.loss.sum, &whole.sum) < 1e-5);
            assert_eq!(ours.loss.weight.double_value(&[]), whole.weight.double_value(&[]));
            let gradients =
                |loss: &Tensor| Tensor::run_backward(&[loss * 3.0], &[&inputs[0], &inputs[1]], false, false);
            for (a, b) in gradients(&ours.loss.sum).iter().zip(gradients(&whole.sum)) {
                assert!(apart(a, &b) < 1e-5);
            }
            let right = scores.argmax(-1, false).eq_tensor(&targets);
            assert_eq!(ours.correct, right);
            if smoothing == 0.0 {
                assert!(apart(&ours.each.sum(Kind::Float), &whole.sum) < 1e-5);
            }
            let detached = inputs[1].detach();
            let fixed = Scoring { weight: &detached, ..scoring };
            let frozen = next_token_cross_entropy(&inputs[0].detach(), fixed, &targets, smoothing);
            let unrecorded = no_grad(|| next_token_cross_entropy(&inputs[0], scoring, &targets, smoothing));
            assert!(!unrecorded.loss.sum.requires_grad() && apart(&unrecorded.each, &ours.each) < 1e-6);
            assert!(!frozen.loss.sum.requires_grad() && apart(&frozen.loss.sum, &whole.sum) < 1e-5);
        }
    }

    #[test]
    fn nothing_to_predict_weighs_nothing() {
        let hidden = leaf_on(test_device(), 1, &[3, 4], Kind::Float);
        let weight = leaf_on(test_device(), 2, &[5, 4], Kind::Float);
        let targets = Tensor::full([3], IGNORE_INDEX, (Kind::Int64, test_device()));
        let scoring = Scoring { weight: &weight, bias: None, softcap: None };
        let loss = next_token_cross_entropy(&hidden, scoring, &targets, 0.0).loss;
        assert_eq!((loss.sum.double_value(&[]), loss.weight.double_value(&[])), (0.0, 0.0));
        loss.sum.backward();
        assert_eq!(hidden.grad().abs().max().double_value(&[]), 0.0);
    }
}
