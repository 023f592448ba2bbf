#!/usr/bin/env python3
"""Writes fixtures/metrics/PART.json: small cases and what the reference implementations say about them.

Parts: sklearn (needs numpy, scipy and scikit-learn), seqeval (needs seqeval), squad (needs transformers, and in SQUAD_V1
the path of SQuAD's evaluate-v1.1.py). Versions and seed are recorded in the files.

    python scripts/make_metric_fixtures.py [PART ...]
"""

import json
import math
import pathlib
import sys
import warnings

import numpy as np
import scipy
import scipy.stats
import sklearn
from sklearn import metrics as sk

import fixtures_seqeval
import fixtures_squad

SEED = 20250101
ROOT = pathlib.Path(__file__).resolve().parent.parent


def softmax(logits):
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (shifted / shifted.sum(axis=1, keepdims=True)).astype(np.float32)


def calibration_error(probabilities, labels, bins=15):
    """Guo et al. 2017: equal-width bins (low, high] of the top probability."""
    p = probabilities.astype(np.float64)
    confidence, right = p.max(axis=1), p.argmax(axis=1) == labels
    edges = np.arange(bins + 1) / bins
    error = 0.0
    for low, high in zip(edges[:-1], edges[1:]):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            error += abs(confidence[inside].mean() - right[inside].mean()) * inside.mean()
    return error


def classification(name, probabilities, labels, positive=None):
    classes = probabilities.shape[1]
    kept = labels >= 0
    p, y = probabilities[kept], labels[kept]
    predicted = p.argmax(axis=1)
    # The second of two classes unless another one is named.
    target = 1 if positive is None and classes == 2 else positive
    average = {"average": "binary", "pos_label": target} if classes == 2 else {"average": "macro"}
    expected = {
        "accuracy": sk.accuracy_score(y, predicted),
        "macro_f1": sk.f1_score(y, predicted, average="macro", zero_division=0),
        "micro_f1": sk.f1_score(y, predicted, average="micro", zero_division=0),
        "weighted_f1": sk.f1_score(y, predicted, average="weighted", zero_division=0),
        "precision": sk.precision_score(y, predicted, zero_division=0, **average),
        "recall": sk.recall_score(y, predicted, zero_division=0, **average),
        "f1": sk.f1_score(y, predicted, zero_division=0, **average),
        "mcc": sk.matthews_corrcoef(y, predicted),
        "calibration_error": calibration_error(p, y),
        "log_loss": sk.log_loss(y, p, labels=list(range(classes))),
    }
    columns = [target] if classes == 2 else range(classes)
    both = [c for c in columns if 0 < (y == c).sum() < len(y)]
    present = [c for c in columns if (y == c).any()]
    if both:
        expected["auroc"] = np.mean([sk.roc_auc_score(y == c, p[:, c]) for c in both])
    if present:
        expected["auprc"] = np.mean([sk.average_precision_score(y == c, p[:, c]) for c in present])
    if classes > 5:
        # scikit-learn breaks ties for the last class; mirrored, for the first one, as argmax does.
        expected["top_5_accuracy"] = sk.top_k_accuracy_score(
            classes - 1 - y, p[:, ::-1], k=5, labels=list(range(classes))
        )
    if target is not None:
        for key, side in [("sensitivity", True), ("specificity", False)]:
            if ((y == target) == side).any():
                expected[key] = sk.recall_score(y == target, predicted == target, pos_label=side)
    return case(name, classes, probabilities, labels, expected) | {"positive": positive}


def operating_point(rule, value, probabilities, labels, positive):
    """The threshold that a rule chooses, from the points of scikit-learn's ROC curve."""
    y, scores = labels == positive, probabilities[:, positive]
    false_alarms, sensitivity, thresholds = sk.roc_curve(y, scores, drop_intermediate=False)
    # In whole rows, because 1 - 0.05 need not be 0.95.
    negatives = (~y).sum()
    specificity = (negatives - np.round(false_alarms * negatives)) / negatives
    if rule == "specificity":
        allowed = np.flatnonzero(specificity >= value)
        best = allowed[np.argmax(sensitivity[allowed])]  # the first one: the highest threshold
    elif rule == "sensitivity":
        best = np.flatnonzero(sensitivity >= value)[0]
    threshold = np.float32(value) if rule == "threshold" else thresholds[best]
    predicted = scores >= threshold
    return {
        "rule": f"{rule}:{value}",
        "columns": probabilities.shape[1],
        "positive": positive,
        "outputs": [float(x) for x in probabilities.ravel()],
        "labels": [int(x) for x in labels],
        "threshold": float(threshold) if np.isfinite(threshold) else None,
        "sensitivity": sk.recall_score(y, predicted),
        "specificity": sk.recall_score(y, predicted, pos_label=False),
        "precision": sk.precision_score(y, predicted) if predicted.any() else None,
    }


def multi_label(name, probabilities, labels):
    predicted = (probabilities >= 0.5).astype(int)
    y = labels.astype(int)
    both = [c for c in range(y.shape[1]) if 0 < y[:, c].sum() < len(y)]
    positive = [c for c in range(y.shape[1]) if y[:, c].any()]
    macro_f1 = sk.f1_score(y, predicted, average="macro", zero_division=0)
    expected = {
        "accuracy": sk.accuracy_score(y, predicted),
        "micro_f1": sk.f1_score(y, predicted, average="micro", zero_division=0),
        "macro_f1": macro_f1,
        "weighted_f1": sk.f1_score(y, predicted, average="weighted", zero_division=0),
        "precision": sk.precision_score(y, predicted, average="macro", zero_division=0),
        "recall": sk.recall_score(y, predicted, average="macro", zero_division=0),
        "f1": macro_f1,
        "hamming_loss": sk.hamming_loss(y, predicted),
        "auroc": np.mean([sk.roc_auc_score(y[:, c], probabilities[:, c]) for c in both]),
        "auprc": np.mean([sk.average_precision_score(y[:, c], probabilities[:, c]) for c in positive]),
    }
    return case(name, y.shape[1], probabilities, labels, expected)


def regression(name, predictions, gold):
    x, y = predictions.astype(np.float64), gold.astype(np.float64)
    outputs = 1 if y.ndim == 1 else y.shape[1]
    columns = list(zip(x.reshape(-1, outputs).T, y.reshape(-1, outputs).T))
    # scikit-learn averages outputs evenly ("uniform_average"); of correlations, those that are defined.
    with np.errstate(invalid="ignore"):
        pearson = [scipy.stats.pearsonr(b, a).statistic for a, b in columns]
        spearman = [scipy.stats.spearmanr(b, a).statistic for a, b in columns]
    expected = {
        "rmse": sk.root_mean_squared_error(y, x),
        "mse": sk.mean_squared_error(y, x),
        "mae": sk.mean_absolute_error(y, x),
        "r2": sk.r2_score(y, x),
        "pearson": np.nanmean(pearson),
        "spearman": np.nanmean(spearman),
    }
    return case(name, outputs, predictions, gold, expected)


def case(name, columns, outputs, labels, expected):
    return {
        "name": name,
        "columns": columns,
        "outputs": [float(x) for x in outputs.ravel()],
        "labels": [x.item() for x in labels.ravel()],
        "expected": {key: float(value) for key, value in sorted(expected.items()) if np.isfinite(value)},
    }


def sklearn_fixture():
    warnings.simplefilter("ignore")  # constant inputs: their metrics are dropped below
    random = np.random.default_rng(SEED)

    def logits(labels, classes, signal):
        noise = random.normal(size=(len(labels), classes))
        return noise + signal * np.eye(classes)[np.maximum(labels, 0)]

    binary = random.integers(0, 2, 80)
    three = random.integers(0, 3, 90)
    seven = random.choice(7, 120, p=[0.4, 0.2, 0.15, 0.1, 0.08, 0.05, 0.02])
    absent = random.choice([0, 1, 3], 50)
    ignored = np.where(random.random(60) < 0.2, -100, random.integers(0, 3, 60))
    ties = np.round(softmax(logits(binary, 2, 0.8)) * 8) / 8
    sure = softmax(40 * logits(three, 3, 1.0))
    one = np.zeros(20, dtype=int)

    labels = (random.random((70, 4)) < [0.5, 0.3, 0.1, 0.6]).astype(np.float32)
    scores = (1 / (1 + np.exp(-(2 * labels - 1 + 1.3 * random.normal(size=labels.shape))))).astype(np.float32)
    gap = labels.copy()
    gap[:, 2] = 0
    quiet = scores.copy()
    quiet[:, 2] /= 4

    gold = random.normal(3, 2, 100).astype(np.float32)
    noisy = (gold + random.normal(0, 1, 100)).astype(np.float32)
    constant = np.full(30, 0.1, dtype=np.float32)
    rare = (np.arange(150) % 5 == 0).astype(int)
    binary_scores = softmax(logits(binary, 2, 1.0))
    several = np.stack([gold, 50 + 3 * gold[::-1], random.normal(-4, 1, 100)], axis=1).astype(np.float32)
    guesses = (several + random.normal(0, [0.5, 4, 2], several.shape)).astype(np.float32)
    flat = several.copy()
    flat[:, 1] = 7

    result = {
        "made_by": "scripts/make_metric_fixtures.py",
        "seed": SEED,
        "versions": {
            "python": sys.version.split()[0],
            "numpy": np.__version__,
            "scipy": scipy.__version__,
            "scikit-learn": sklearn.__version__,
        },
        "classification": [
            classification("binary", binary_scores, binary),
            classification("binary with ties", ties, binary),
            classification("three classes", softmax(logits(three, 3, 1.0)), three),
            classification("three classes, probabilities of zero and one", sure, three),
            classification("seven unbalanced classes", softmax(logits(seven, 7, 1.5)), seven),
            classification("an absent class", softmax(logits(absent, 4, 2.0)), absent),
            classification("ignored rows", softmax(logits(ignored, 3, 1.0)), ignored),
            classification("one class only", softmax(logits(one, 2, 1.0)), one),
            classification("seven classes with ties", softmax(np.round(logits(seven, 7, 0.5))), seven),
            classification("few positives", softmax(logits(rare, 2, 1.5)), rare),
            classification("the first class is positive", binary_scores, binary, 0),
            classification("one class of three is positive", softmax(logits(three, 3, 1.0)), three, 2),
        ],
        "operating_point": [
            operating_point(rule, value, probabilities, labels, positive)
            for probabilities, labels, positive in [
                (binary_scores, binary, 1),
                (binary_scores, binary, 0),
                (ties, binary, 1),
                (softmax(logits(seven, 7, 1.5)), seven, 3),
                (softmax(logits(rare, 2, 0.5)), rare, 1),
            ]
            for rule, value in [
                ("specificity", 0.95),
                ("specificity", 1.0),
                ("sensitivity", 0.9),
                ("sensitivity", 1.0),
                ("threshold", 0.3),
            ]
        ],
        "multi_label": [
            multi_label("four labels", scores, labels),
            multi_label("a label that never occurs", quiet, gap),
        ],
        "regression": [
            regression("noisy", noisy, gold),
            regression("ties", np.round(noisy), np.round(gold)),
            regression("constant target", noisy[:30], constant),
            regression("constant prediction", constant, gold[:30]),
            regression("three outputs", guesses, several),
            regression("three outputs, one of them constant", guesses, flat),
        ],
        "wilson": [],
        "mcnemar": [],
    }
    for successes, total in [(0, 7), (1, 1), (13, 40), (872, 872), (501, 1000)]:
        interval = scipy.stats.binomtest(successes, total).proportion_ci(0.95, method="wilson")
        result["wilson"].append([successes, total, interval.low, interval.high])
    for only_a, only_b in [(0, 0), (1, 0), (3, 9), (40, 22), (150, 151)]:
        p = scipy.stats.binomtest(only_a, only_a + only_b, 0.5).pvalue if only_a + only_b else 1.0
        result["mcnemar"].append([only_a, only_b, p])

    return result


PARTS = {"sklearn": sklearn_fixture, "seqeval": fixtures_seqeval.fixture, "squad": fixtures_squad.fixture}


def main():
    folder = ROOT / "fixtures/metrics"
    folder.mkdir(parents=True, exist_ok=True)
    for part in sys.argv[1:] or PARTS:
        text = json.dumps(PARTS[part](), indent=None, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
        (folder / f"{part}.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
