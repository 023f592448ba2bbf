//! Losses of set prediction: objects matched to queries, then class, distance and overlap (Carion et al. 2020, §3.1).
//!
//! transformers' `HungarianMatcher` and `ImageLoss`, `DeformableDetrImageLoss` and `RTDetrLoss`. B images, Q queries, N objects of
//! an image at most, L classes, C outputs for them; boxes are centre, width and height as shares of the picture.

use super::assignment::assign;
use super::{IGNORE_INDEX, SummedLoss};
use crate::boxes::{corners, generalised_overlap, overlap};
use tch::{Device, Kind, Reduction, Tensor, no_grad};

/// What a class costs in matching.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ClassCost {
    /// Its probability among all, less of it.
    Probability,
    /// Focal loss as a cost (Zhu et al. 2020): what it would cost to be right, less what it costs to be wrong.
    Focal {
        /// Share of what is there.
        alpha: f64,
        /// How little what is easy counts.
        gamma: f64,
    },
}

/// How classes are learnt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ClassLoss {
    /// Cross-entropy; one class more is no object, and counts `nothing`.
    Softmax {
        /// Of queries without an object.
        nothing: f64,
    },
    /// Focal loss (Lin et al. 2017) of each class by itself.
    Focal {
        /// Share of what is there; below 0 both count alike.
        alpha: f64,
        /// How little what is easy counts.
        gamma: f64,
    },
    /// Varifocal loss (Zhang et al. 2020): the target is how much the box overlaps.
    Varifocal {
        /// Share of what is not there.
        alpha: f64,
        /// How little what is easy counts.
        gamma: f64,
    },
}

impl ClassLoss {
    /// C for so many classes.
    pub fn outputs(self, classes: i64) -> i64 {
        classes + i64::from(matches!(self, Self::Softmax { .. }))
    }
}

/// How matching and losses weigh their parts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DetectionWeights {
    /// What classes cost in matching.
    pub cost: ClassCost,
    /// Of the class in matching.
    pub class_cost: f64,
    /// Of the distance of boxes in matching.
    pub box_cost: f64,
    /// Of their overlap in matching.
    pub overlap_cost: f64,
    /// How classes are learnt.
    pub classes: ClassLoss,
    /// Of the class in the loss.
    pub class: f64,
    /// Of the distance in the loss.
    pub distance: f64,
    /// Of the overlap in the loss.
    pub overlap: f64,
}

/// What a model says of sets of queries: logits [B, Q, C] and boxes [B, Q, 4] each.
#[derive(Debug, Default)]
pub struct DetectionOutputs {
    /// The last layer, and earlier ones where they are learnt, too.
    pub layers: Vec<(Tensor, Tensor)>,
    /// What layers make of noised objects: for each of several groups 2·N queries, of which the first N are the objects and
    /// the others none, N the most objects of an image.
    pub noised: Vec<(Tensor, Tensor)>,
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
    /// Of all queries; with cross-entropy weighted by class.
    pub class: Tensor,
    /// What divides it: the sum of those weights, or the objects.
    pub class_weight: f64,
    /// Sum of absolute differences of matched boxes.
    pub distance: Tensor,
    /// Sum of 1 − generalised overlap of matched boxes.
    pub overlap: Tensor,
    /// Objects.
    pub objects: f64,
}

/// Query and object that belong together, of an image.
type Pairs = Vec<(i64, i64)>;

/// For each image the pairs of query and object that belong together, by query. `logits` [B, Q, C], `boxes` [B, Q, 4].
pub fn matched(
    logits: &Tensor,
    boxes: &Tensor,
    objects: Objects<'_>,
    weights: &DetectionWeights,
) -> Vec<Vec<(i64, i64)>> {
    matched_of(logits, boxes, objects, weights, &counts(objects.labels))
}

/// The same for images of so many objects.
fn matched_of(
    logits: &Tensor,
    boxes: &Tensor,
    objects: Objects<'_>,
    weights: &DetectionWeights,
    counts: &[i64],
) -> Vec<Pairs> {
    let of_image = |(i, &count): (i64, &i64)| {
        if count == 0 {
            return Vec::new();
        }
        let (labels, truth) = (objects.labels.get(i).narrow(0, 0, count), objects.boxes.get(i).narrow(0, 0, count));
        let (logits, boxes) = (logits.get(i).to_kind(Kind::Float), boxes.get(i).to_kind(Kind::Float));
        let class = match weights.cost {
            ClassCost::Probability => -logits.softmax(-1, Kind::Float).index_select(1, &labels),
            ClassCost::Focal { alpha, gamma } => focal_cost(&logits.sigmoid().index_select(1, &labels), alpha, gamma),
        };
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
    no_grad(|| (0i64..).zip(counts).map(of_image).collect())
}

/// Objects of each image.
fn counts(labels: &Tensor) -> Vec<i64> {
    let there = labels.ne(IGNORE_INDEX).sum_dim_intlist([1i64].as_slice(), false, Kind::Int64);
    Vec::<i64>::try_from(there.to_device(Device::Cpu)).expect("integers on the host")
}

/// What it costs to say that a class is there, with these probabilities.
fn focal_cost(p: &Tensor, alpha: f64, gamma: f64) -> Tensor {
    let q: Tensor = 1.0f64 - p;
    let wrong = p.pow_tensor_scalar(gamma) * (&q + 1e-8).log() * (alpha - 1.0);
    let right = q.pow_tensor_scalar(gamma) * (p + 1e-8).log() * -alpha;
    right - wrong
}

/// The terms of one set of outputs.
pub fn detection_terms(
    logits: &Tensor,
    boxes: &Tensor,
    objects: Objects<'_>,
    weights: &DetectionWeights,
) -> DetectionTerms {
    let counts = counts(objects.labels);
    terms(logits, boxes, objects, weights, (&matched_of(logits, boxes, objects, weights, &counts), &counts))
}

/// The same where it is known which query and object belong together, and how many objects images have.
fn terms(
    logits: &Tensor,
    boxes: &Tensor,
    objects: Objects<'_>,
    weights: &DetectionWeights,
    (pairs, counts): (&[Pairs], &[i64]),
) -> DetectionTerms {
    let (logits, boxes) = (logits.to_kind(Kind::Float), boxes.to_kind(Kind::Float));
    let [batch, queries, outputs] = logits.size()[..] else { panic!("logits are [B, Q, C]") };
    let (device, most) = (logits.device(), objects.labels.size()[1]);
    let flat = |width: i64, of: fn(&(i64, i64)) -> i64| {
        let places: Vec<i64> = (0i64..)
            .zip(pairs)
            .flat_map(|(image, pairs)| pairs.iter().map(move |pair| image * width + of(pair)))
            .collect();
        Tensor::from_slice(&places).to_device(device)
    };
    let (found, true_ones) = (flat(queries, |pair| pair.0), flat(most, |pair| pair.1));
    let true_classes = objects.labels.reshape([-1]).index_select(0, &true_ones);
    let count = pairs.iter().map(Vec::len).sum::<usize>() as f64;
    let boxes = boxes.reshape([-1, 4]).index_select(0, &found);
    let chosen = corners(&boxes);
    let truth = objects.boxes.to_kind(Kind::Float).reshape([-1, 4]).index_select(0, &true_ones);
    let logits = logits.reshape([-1, outputs]);
    let of_pairs = |values: &Tensor| logits.zeros_like().index_put(&[Some(&found), Some(&true_classes)], values, false);
    let is_there = || of_pairs(&Tensor::ones([found.size()[0]], (Kind::Float, device)));
    let objects_there = counts.iter().sum::<i64>() as f64;
    let (class, class_weight) = match weights.classes {
        ClassLoss::Softmax { nothing } => {
            let none = outputs - 1;
            let classes = Tensor::full([batch * queries], none, (Kind::Int64, device));
            let classes = classes.index_put(&[Some(&found)], &true_classes, false);
            let mut of_classes = vec![1f32; outputs as usize];
            of_classes[none as usize] = nothing as f32;
            let of_classes = Tensor::from_slice(&of_classes).to_device(device);
            let sum = logits.cross_entropy_loss(&classes, Some(&of_classes), Reduction::Sum, IGNORE_INDEX, 0.0);
            (sum, count + nothing * ((batch * queries) as f64 - count))
        }
        ClassLoss::Focal { alpha, gamma } => {
            let (target, p) = (is_there(), logits.sigmoid());
            let missed: Tensor = &p * (1.0f64 - &target) + (1.0f64 - &p) * &target;
            let each = binary_cross_entropy(&logits, &target, None, Reduction::None);
            let each = each * missed.pow_tensor_scalar(gamma);
            let each = if alpha < 0.0 { each } else { each * (&target * alpha + (1.0f64 - &target) * (1.0 - alpha)) };
            (each.sum(Kind::Float), objects_there)
        }
        ClassLoss::Varifocal { alpha, gamma } => {
            let score = of_pairs(&overlap(&chosen.detach(), &corners(&truth)));
            let weight = logits.detach().sigmoid().pow_tensor_scalar(gamma) * (1.0f64 - is_there()) * alpha + &score;
            (binary_cross_entropy(&logits, &score, Some(&weight), Reduction::Sum), objects_there)
        }
    };
    DetectionTerms {
        class,
        class_weight,
        distance: (&boxes - &truth).abs().sum(Kind::Float),
        overlap: (1.0f64 - generalised_overlap(&chosen, &corners(&truth))).sum(Kind::Float),
        objects: objects_there,
    }
}

fn binary_cross_entropy(logits: &Tensor, target: &Tensor, weight: Option<&Tensor>, reduction: Reduction) -> Tensor {
    logits.binary_cross_entropy_with_logits(target, weight, None::<&Tensor>, reduction)
}

/// Which noised query and object belong together, of so many queries: see [`DetectionOutputs::noised`].
fn noised_pairs(counts: &[i64], queries: i64) -> (Vec<Pairs>, i64) {
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    let groups = queries / (2 * most);
    let of_image = |&count: &i64| {
        (0..groups).flat_map(|group| (0..count).map(move |object| (2 * most * group + object, object))).collect()
    };
    (counts.iter().map(of_image).collect(), groups.max(1))
}

/// The loss of a batch: class, distance and overlap by their weights, summed over all `outputs`.
///
/// Where the term of classes is a mean of its own over queries, the others are means over objects. The sum is that of the
/// objects: divided by them (1 at least), which are the weight, it is what Hugging Face returns. With `step`, sums of several
/// batches divided by the sum of their weights are what one batch of all their images would give; noised objects count for
/// their own batch, which decides how many groups there are.
pub fn detection_loss(
    outputs: &DetectionOutputs,
    objects: Objects<'_>,
    weights: &DetectionWeights,
    step: Option<StepObjects>,
) -> SummedLoss {
    // Read from the device once for all layers.
    let counts = counts(objects.labels);
    let (images, count) = (objects.labels.size()[0] as f64, counts.iter().sum::<i64>() as f64);
    let step = step.unwrap_or(StepObjects { objects: count, images });
    let weighed = |terms: DetectionTerms, queries: f64| {
        let class = match weights.classes {
            ClassLoss::Softmax { nothing } => {
                // More objects than queries cannot all be matched; what a step has of them is then estimated from this batch.
                let own = if step.images > images { None } else { Some(terms.class_weight) };
                let of_step = || step.objects + nothing * (step.images * queries - step.objects).max(0.0);
                terms.class * (step.objects.max(1.0) / own.unwrap_or_else(of_step))
            }
            ClassLoss::Focal { .. } | ClassLoss::Varifocal { .. } => terms.class,
        };
        class * weights.class + terms.distance * weights.distance + terms.overlap * weights.overlap
    };
    let of_layer = |(logits, boxes): &(Tensor, Tensor)| {
        let pairs = matched_of(logits, boxes, objects, weights, &counts);
        weighed(terms(logits, boxes, objects, weights, (&pairs, &counts)), logits.size()[1] as f64)
    };
    let of_noised = |(logits, boxes): &(Tensor, Tensor)| {
        let (pairs, groups) = noised_pairs(&counts, logits.size()[1]);
        weighed(terms(logits, boxes, objects, weights, (&pairs, &counts)), logits.size()[1] as f64) / groups as f64
    };
    let all = outputs.layers.iter().map(of_layer).chain(outputs.noised.iter().map(of_noised));
    let sum = all.reduce(|a, b| a + b).expect("a model has outputs");
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
        cost: ClassCost::Probability,
        class_cost: 1.0,
        box_cost: 5.0,
        overlap_cost: 2.0,
        classes: ClassLoss::Softmax { nothing: 0.1 },
        class: 1.0,
        distance: 5.0,
        overlap: 2.0,
    };

    /// Batches of a step, each summed, divide to the loss of one batch of all of its images, whatever each of them holds.
    #[test]
    fn parts_of_a_step_sum_to_the_whole() {
        let shaped = |seed: u64, shape: [i64; 3]| {
            Tensor::from_slice(&random::normal(seed, shape.iter().product::<i64>() as usize)).view(shape)
        };
        let focal = DetectionWeights {
            cost: ClassCost::Focal { alpha: 0.25, gamma: 2.0 },
            classes: ClassLoss::Varifocal { alpha: 0.75, gamma: 2.0 },
            ..WEIGHTS
        };
        for weights in [WEIGHTS, focal] {
            let (logits, boxes) = (shaped(1, [4, 6, weights.classes.outputs(2)]), shaped(2, [4, 6, 4]).sigmoid());
            let truth = shaped(3, [4, 3, 4]).sigmoid() * 0.5 + 0.2;
            let none = IGNORE_INDEX;
            let labels = Tensor::from_slice(&[0, 1, 0, none, none, none, 1, none, none, 0, 0, none]).view([4, 3]);
            let loss = |from: i64, count: i64, step| {
                let of = |x: &Tensor| x.narrow(0, from, count);
                let (labels, boxes_true) = (of(&labels), of(&truth));
                let objects = Objects { labels: &labels, boxes: &boxes_true };
                let outputs = DetectionOutputs { layers: vec![(of(&logits), of(&boxes))], noised: Vec::new() };
                detection_loss(&outputs, objects, &weights, step)
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

    #[test]
    fn noised_objects_are_the_first_of_their_group() {
        let none = IGNORE_INDEX;
        let labels = Tensor::from_slice(&[1, none, none, 0, 1, none]).view([2, 3]);
        let (pairs, groups) = noised_pairs(&counts(&labels), 8);
        assert_eq!((groups, pairs), (2, vec![vec![(0, 0), (4, 0)], vec![(0, 0), (1, 1), (4, 0), (5, 1)]]));
    }
}
