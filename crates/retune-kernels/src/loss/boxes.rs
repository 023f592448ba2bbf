//! Losses of set prediction: objects matched to queries, then class, distance and overlap (Carion et al. 2020, §3.1).
//!
//! transformers' `HungarianMatcher` and `ImageLoss`. B images, Q queries, N objects of an image at most, L classes, of which
//! one more is no object; boxes are centre, width and height as shares of the picture.

use super::assignment::assign;
use super::{IGNORE_INDEX, SummedLoss};
use tch::{Device, Kind, Reduction, Tensor, no_grad};

/// How matching and losses weigh their parts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DetectionWeights {
    /// Of the class in matching.
    pub class_cost: f64,
    /// Of the distance of boxes in matching.
    pub box_cost: f64,
    /// Of their overlap in matching.
    pub overlap_cost: f64,
    /// Of the distance in the loss.
    pub distance: f64,
    /// Of the overlap in the loss.
    pub overlap: f64,
    /// Of queries without an object in the loss of classes.
    pub nothing: f64,
}

/// What is to be found: `labels` [B, N], [`IGNORE_INDEX`] where an image has fewer objects, and `boxes` [B, N, 4].
#[derive(Debug, Clone, Copy)]
pub struct Objects<'a> {
    /// Classes.
    pub labels: &'a Tensor,
    /// Where they are.
    pub boxes: &'a Tensor,
}

/// Objects and images of all batches that are learnt from in one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepObjects {
    /// Objects.
    pub objects: f64,
    /// Images.
    pub images: f64,
}

/// The terms of a loss over a batch, each summed, and what divides them.
#[derive(Debug)]
pub struct DetectionTerms {
    /// Cross-entropy of all queries, weighted by class.
    pub class: Tensor,
    /// The sum of those weights.
    pub class_weight: f64,
    /// Sum of absolute differences of matched boxes.
    pub distance: Tensor,
    /// Sum of 1 − generalised overlap of matched boxes.
    pub overlap: Tensor,
    /// Objects.
    pub objects: f64,
}

/// Corners [.., 4] of boxes [.., 4].
pub fn corners(boxes: &Tensor) -> Tensor {
    let (centre, size) = (boxes.narrow(-1, 0, 2), boxes.narrow(-1, 2, 2));
    Tensor::cat(&[&centre - &size * 0.5, &centre + &size * 0.5], -1)
}

/// Generalised intersection over union (Rezatofighi et al. 2019) of corners that broadcast against each other, [.., 4].
pub fn generalised_overlap(a: &Tensor, b: &Tensor) -> Tensor {
    let (first, last) = (|x: &Tensor| x.narrow(-1, 0, 2), |x: &Tensor| x.narrow(-1, 2, 2));
    let area = |x: &Tensor| (last(x) - first(x)).prod_dim_int(-1, false, None::<Kind>);
    let sides = |from: Tensor, to: Tensor| (to - from).clamp_min(0.0).prod_dim_int(-1, false, None::<Kind>);
    let inside = sides(first(a).maximum(&first(b)), last(a).minimum(&last(b)));
    let hull = sides(first(a).minimum(&first(b)), last(a).maximum(&last(b)));
    let union = area(a) + area(b) - &inside;
    inside / &union - (&hull - &union) / &hull
}

/// For each image the pairs of query and object that belong together, by query. `logits` [B, Q, L + 1], `boxes` [B, Q, 4].
pub fn matched(
    logits: &Tensor,
    boxes: &Tensor,
    objects: Objects<'_>,
    weights: &DetectionWeights,
) -> Vec<Vec<(i64, i64)>> {
    let counts = counts(objects.labels);
    let of_image = |(i, &count): (i64, &i64)| {
        if count == 0 {
            return Vec::new();
        }
        let (labels, truth) = (objects.labels.get(i).narrow(0, 0, count), objects.boxes.get(i).narrow(0, 0, count));
        let (logits, boxes) = (logits.get(i).to_kind(Kind::Float), boxes.get(i).to_kind(Kind::Float));
        let class = -logits.softmax(-1, Kind::Float).index_select(1, &labels);
        let pairs: Tensor = boxes.unsqueeze(1) - truth.unsqueeze(0);
        let distance = pairs.abs().sum_dim_intlist([-1i64].as_slice(), false, Kind::Float);
        let overlap = -generalised_overlap(&corners(&boxes).unsqueeze(1), &corners(&truth).unsqueeze(0));
        let costs = distance * weights.box_cost + class * weights.class_cost + overlap * weights.overlap_cost;
        // What is no number is matched last.
        let most = f64::from(f32::MAX);
        let costs = costs.nan_to_num(most, most, most).to_kind(Kind::Double).to_device(Device::Cpu);
        let queries = costs.size()[0] as usize;
        let costs = Vec::<f64>::try_from(costs.reshape([-1])).expect("fp64 on the host");
        let rows = assign(&costs, queries, count as usize);
        let pairs = rows.into_iter().zip(0i64..).filter_map(|(row, object)| Some((row? as i64, object)));
        let mut pairs: Vec<(i64, i64)> = pairs.collect();
        pairs.sort_unstable();
        pairs
    };
    no_grad(|| (0i64..).zip(&counts).map(of_image).collect())
}

/// Objects of each image.
fn counts(labels: &Tensor) -> Vec<i64> {
    let there = labels.ne(IGNORE_INDEX).sum_dim_intlist([1i64].as_slice(), false, Kind::Int64);
    Vec::<i64>::try_from(there.to_device(Device::Cpu)).expect("integers on the host")
}

/// The terms of one set of outputs.
pub fn detection_terms(
    logits: &Tensor,
    boxes: &Tensor,
    objects: Objects<'_>,
    weights: &DetectionWeights,
) -> DetectionTerms {
    let (logits, boxes) = (logits.to_kind(Kind::Float), boxes.to_kind(Kind::Float));
    let [batch, queries, outputs] = logits.size()[..] else { panic!("logits are [B, Q, L + 1]") };
    let (device, nothing, most) = (logits.device(), outputs - 1, objects.labels.size()[1]);
    let pairs = matched(&logits, &boxes, objects, weights);
    let flat = |width: i64, of: fn(&(i64, i64)) -> i64| {
        let places: Vec<i64> = (0i64..)
            .zip(&pairs)
            .flat_map(|(image, pairs)| pairs.iter().map(move |pair| image * width + of(pair)))
            .collect();
        Tensor::from_slice(&places).to_device(device)
    };
    let (found, true_ones) = (flat(queries, |pair| pair.0), flat(most, |pair| pair.1));
    let true_classes = objects.labels.reshape([-1]).index_select(0, &true_ones);
    let classes = Tensor::full([batch * queries], nothing, (Kind::Int64, device));
    let classes = classes.index_put(&[Some(&found)], &true_classes, false);
    let mut of_classes = vec![1f32; outputs as usize];
    of_classes[nothing as usize] = weights.nothing as f32;
    let of_classes = Tensor::from_slice(&of_classes).to_device(device);
    let class = logits.reshape([-1, outputs]).cross_entropy_loss(
        &classes,
        Some(&of_classes),
        Reduction::Sum,
        IGNORE_INDEX,
        0.0,
    );
    let count = pairs.iter().map(Vec::len).sum::<usize>() as f64;
    let boxes = boxes.reshape([-1, 4]).index_select(0, &found);
    let truth = objects.boxes.to_kind(Kind::Float).reshape([-1, 4]).index_select(0, &true_ones);
    DetectionTerms {
        class,
        class_weight: count + weights.nothing * ((batch * queries) as f64 - count),
        distance: (&boxes - &truth).abs().sum(Kind::Float),
        overlap: (1.0f64 - generalised_overlap(&corners(&boxes), &corners(&truth))).sum(Kind::Float),
        objects: objects_in(objects.labels),
    }
}

fn objects_in(labels: &Tensor) -> f64 {
    counts(labels).iter().sum::<i64>() as f64
}

/// The loss of a batch: class, distance and overlap by their weights, summed over all `outputs` (logits [B, Q, L + 1] and boxes
/// [B, Q, 4] of the last layer, and those of earlier ones where they are learnt, too).
///
/// The term of classes is a mean of its own over queries, the others are means over objects. The sum is that of the objects:
/// divided by them (1 at least), which are the weight, it is what Hugging Face returns. With `step`, sums of several batches
/// divided by the sum of their weights are what one batch of all their images would give.
pub fn detection_loss(
    outputs: &[(&Tensor, &Tensor)],
    objects: Objects<'_>,
    weights: &DetectionWeights,
    step: Option<StepObjects>,
) -> SummedLoss {
    let (images, count) = (objects.labels.size()[0] as f64, objects_in(objects.labels));
    let step = step.unwrap_or(StepObjects { objects: count, images });
    let of_layer = |(logits, boxes): &(&Tensor, &Tensor)| {
        let terms = detection_terms(logits, boxes, objects, weights);
        // More objects than queries cannot all be matched; what a step has of them is then estimated from this batch.
        let own = if step.images > images { None } else { Some(terms.class_weight) };
        let queries = logits.size()[1] as f64;
        let class_weight =
            own.unwrap_or(step.objects + weights.nothing * (step.images * queries - step.objects).max(0.0));
        terms.class * (step.objects.max(1.0) / class_weight)
            + terms.distance * weights.distance
            + terms.overlap * weights.overlap
    };
    let sum = outputs.iter().map(of_layer).reduce(|a, b| a + b).expect("a model has outputs");
    // Images without objects have something to learn, too.
    let weight = if step.objects > 0.0 { count } else { images / step.images };
    let weight = Tensor::full([0i64; 0], weight, (Kind::Double, sum.device()));
    SummedLoss { sum, weight }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;

    const WEIGHTS: DetectionWeights = DetectionWeights {
        class_cost: 1.0,
        box_cost: 5.0,
        overlap_cost: 2.0,
        distance: 5.0,
        overlap: 2.0,
        nothing: 0.1,
    };

    #[test]
    fn overlaps_by_hand() {
        let of = |a: [f32; 4], b: [f32; 4]| {
            generalised_overlap(&Tensor::from_slice(&a), &Tensor::from_slice(&b)).double_value(&[])
        };
        assert!((of([0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 2.0]) - 1.0).abs() < 1e-6);
        // Half of each: 2 of 6, and a hull of 6.
        assert!((of([0.0, 0.0, 2.0, 2.0], [1.0, 0.0, 3.0, 2.0]) - 2.0 / 6.0).abs() < 1e-6);
        // Apart: a hull of 3 with 1 empty.
        assert!((of([0.0, 0.0, 1.0, 1.0], [2.0, 0.0, 3.0, 1.0]) - (-1.0 / 3.0)).abs() < 1e-6);
        let corners = Vec::<f32>::try_from(corners(&Tensor::from_slice(&[0.5f32, 0.5, 0.2, 0.4]))).unwrap();
        assert!(corners.iter().zip([0.4, 0.3, 0.6, 0.7]).all(|(a, b)| (a - b).abs() < 1e-6));
    }

    /// Batches of a step, each summed, divide to the loss of one batch of all of its images, whatever each of them holds.
    #[test]
    fn parts_of_a_step_sum_to_the_whole() {
        let shaped = |seed: u64, shape: [i64; 3]| {
            Tensor::from_slice(&random::normal(seed, shape.iter().product::<i64>() as usize)).view(shape)
        };
        let (logits, boxes) = (shaped(1, [4, 6, 3]), shaped(2, [4, 6, 4]).sigmoid());
        let truth = shaped(3, [4, 3, 4]).sigmoid() * 0.5 + 0.2;
        let none = IGNORE_INDEX;
        let labels = Tensor::from_slice(&[0, 1, 0, none, none, none, 1, none, none, 0, 0, none]).view([4, 3]);
        let loss = |from: i64, count: i64, step| {
            let of = |x: &Tensor| x.narrow(0, from, count);
            let (labels, boxes_true) = (of(&labels), of(&truth));
            let objects = Objects { labels: &labels, boxes: &boxes_true };
            detection_loss(&[(&of(&logits), &of(&boxes))], objects, &WEIGHTS, step)
        };
        let whole = loss(0, 4, None);
        let whole = whole.sum.double_value(&[]) / whole.weight.double_value(&[]);
        let step = Some(StepObjects { objects: 6.0, images: 4.0 });
        let parts = [loss(0, 1, step), loss(1, 1, step), loss(2, 2, step)];
        let sum: f64 = parts.iter().map(|part| part.sum.double_value(&[])).sum();
        let weight: f64 = parts.iter().map(|part| part.weight.double_value(&[])).sum();
        assert_eq!(weight, 6.0);
        assert!((sum / weight - whole).abs() < 1e-5, "{} {whole}", sum / weight);
        // Nothing to be found in any of them is a lesson as well.
        let empty = loss(1, 1, Some(StepObjects { objects: 0.0, images: 2.0 }));
        assert!(empty.sum.double_value(&[]) > 0.0 && (empty.weight.double_value(&[]) - 0.5).abs() < 1e-12);
    }
}
