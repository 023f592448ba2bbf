"""What seqeval says about tag sequences, malformed ones included; a part of make_metric_fixtures.py. Needs seqeval."""

import random
import sys
import warnings

from importlib.metadata import version
from seqeval import metrics
from seqeval.scheme import IOB2

SEED = 20250102


def scores(gold, predicted, strict):
    how = {"mode": "strict", "scheme": IOB2} if strict else {}
    warnings.simplefilter("ignore")  # types without a prediction count as 0
    report = metrics.classification_report(gold, predicted, output_dict=True, zero_division=0, **how)
    types = {
        name: [float(row["precision"]), float(row["recall"]), float(row["f1-score"]), int(row["support"])]
        for name, row in report.items()
        if not name.endswith(" avg")
    }
    return {
        "precision": float(report["micro avg"]["precision"]),
        "recall": float(report["micro avg"]["recall"]),
        "f1": float(report["micro avg"]["f1-score"]),
        "macro_f1": float(report["macro avg"]["f1-score"]),
        "weighted_f1": float(report["weighted avg"]["f1-score"]),
        "types": types,
    }


def case(name, gold, predicted):
    return {
        "name": name,
        "gold": gold,
        "predicted": predicted,
        "accuracy": float(metrics.accuracy_score(gold, predicted)),
        "strict": scores(gold, predicted, True),
        "lenient": scores(gold, predicted, False),
    }


def fixture():
    generator = random.Random(SEED)
    types = ["PER", "LOC", "ORG", "MISC-event"]

    def well_formed(length):
        tags = []
        while len(tags) < length:
            if generator.random() < 0.5:
                tags.append("O")
            else:
                kind = generator.choices(types, [4, 3, 2, 1])[0]
                tags += [f"B-{kind}"] + [f"I-{kind}"] * generator.choice([0, 0, 1, 2])
        return tags[:length]

    def disturbed(tags, share, malformed):
        out = []
        for tag in tags:
            if generator.random() >= share:
                out.append(tag)
            else:
                prefixes = "BI" if malformed else "B"
                others = [f"{prefix}-{kind}" for prefix in prefixes for kind in types[:3]]
                out.append(generator.choice(["O"] + others))
        return out

    lengths = [generator.randrange(1, 20) for _ in range(40)]
    gold = [well_formed(length) for length in lengths]
    any_tags = [f"{prefix}-{kind}" for prefix in "BI" for kind in types[:3]] + ["O", "O"]
    wild = [[generator.choice(any_tags) for _ in range(length)] for length in lengths]
    return {
        "made_by": "scripts/make_metric_fixtures.py",
        "seed": SEED,
        "versions": {"python": sys.version.split()[0], "seqeval": version("seqeval")},
        "cases": [
            case("few mistakes", gold, [disturbed(tags, 0.1, False) for tags in gold]),
            case("malformed predictions", gold, [disturbed(tags, 0.3, True) for tags in gold]),
            case("malformed on both sides", wild, [disturbed(tags, 0.2, True) for tags in wild]),
            case("all right", gold, gold),
            case("nothing predicted", gold, [["O"] * len(tags) for tags in gold]),
            case("one type is never predicted", gold, [[t if "LOC" not in t else "O" for t in tags] for tags in gold]),
            case(
                "neighbours and ends",
                [["B-PER", "B-PER", "I-PER"], ["O", "B-LOC"], ["B-ORG"], ["I-ORG", "I-LOC", "B-LOC", "I-LOC"]],
                [["B-PER", "I-PER", "I-PER"], ["I-LOC", "I-LOC"], ["B-ORG"], ["I-ORG", "I-ORG", "B-LOC", "I-PER"]],
            ),
        ],
    }
