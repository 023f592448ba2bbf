#!/usr/bin/env python3
"""Writes fixtures/metrics/sklearn.json: small cases and what scikit-learn and SciPy say about them.

Needs numpy, scipy and scikit-learn; versions and seed are recorded in the file.

    python scripts/make_metric_fixtures.py [OUTPUT]
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


def classification(name, probabilities, labels):
    classes = probabilities.shape[1]
    kept = labels >= 0
    p, y = probabilities[kept], labels[kept]
    predicted = p.argmax(axis=1)
    average = {"average": "binary", "pos_label": 1} if classes == 2 else {"average": "macro"}
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
    columns = [1] if classes == 2 else range(classes)
    both = [c for c in columns if 0 < (y == c).sum() < len(y)]
    positive = [c for c in columns if (y == c).any()]
    if both:
        expected["auroc"] = np.mean([sk.roc_auc_score(y == c, p[:, c]) for c in both])
    if positive:
        expected["auprc"] = np.mean([sk.average_precision_score(y == c, p[:, c]) for c in positive])
    if classes > 5:
        # scikit-learn breaks ties for the last class; mirrored, for the first one, as argmax does.
        expected["top_5_accuracy"] = sk.top_k_accuracy_score(
            classes - 1 - y, p[:, ::-1], k=5, labels=list(range(classes))
        )
    if classes == 2:
        for key, label in [("sensitivity", 1), ("specificity", 0)]:
            if (y == label).any():
                expected[key] = sk.recall_score(y, predicted, pos_label=label)
        if both:
            false_alarms, sensitivity, _ = sk.roc_curve(y, p[:, 1], drop_intermediate=False)
            # In whole rows: 1 - 0.95 is not 0.05 in floating point.
            negatives = (y == 0).sum()
            specific = 20 * np.round(false_alarms * negatives) <= negatives
            expected["sensitivity_at_specificity_95"] = sensitivity[specific].max()
    return case(name, classes, probabilities, labels, expected)


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
    mse = sk.mean_squared_error(y, x)
    expected = {
        "rmse": math.sqrt(mse),
        "mse": mse,
        "mae": sk.mean_absolute_error(y, x),
        "r2": sk.r2_score(y, x),
        "pearson": scipy.stats.pearsonr(y, x).statistic,
        "spearman": scipy.stats.spearmanr(y, x).statistic,
    }
    return case(name, 1, predictions, gold, expected)


def case(name, columns, outputs, labels, expected):
    return {
        "name": name,
        "columns": columns,
        "outputs": [float(x) for x in outputs.ravel()],
        "labels": [x.item() for x in labels.ravel()],
        "expected": {key: float(value) for key, value in sorted(expected.items()) if np.isfinite(value)},
    }


def main():
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
            classification("binary", softmax(logits(binary, 2, 1.0)), binary),
            classification("binary with ties", ties, binary),
            classification("three classes", softmax(logits(three, 3, 1.0)), three),
            classification("three classes, probabilities of zero and one", sure, three),
            classification("seven unbalanced classes", softmax(logits(seven, 7, 1.5)), seven),
            classification("an absent class", softmax(logits(absent, 4, 2.0)), absent),
            classification("ignored rows", softmax(logits(ignored, 3, 1.0)), ignored),
            classification("one class only", softmax(logits(one, 2, 1.0)), one),
            classification("seven classes with ties", softmax(np.round(logits(seven, 7, 0.5))), seven),
            classification("few positives", softmax(logits(rare, 2, 1.5)), rare),
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

    output = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "fixtures/metrics/sklearn.json"
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(result, indent=None, separators=(",", ":"), allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
