"""What SQuAD's evaluation scripts say about answers; a part of make_metric_fixtures.py.

Needs transformers before 5, whose squad_metrics holds version 2.0, and the file evaluate-v1.1.py of SQuAD, named by SQUAD_V1.
"""

import importlib.util
import os
import random
import sys
from types import SimpleNamespace

SEED = 20250103
TEXTS = [
    "the Eiffel Tower",
    "Eiffel Tower.",
    "a tower",
    "An A-Team of the U.S. Army",
    "1,990 people",
    "in 1990",
    "the the a an",
    "La Tour–a–Eiffel",
    "“The” quote’s end",
    "THE ÉCOLE des Beaux-Arts",
    "new   new\tnew\u00a0york",
    "york new new",
    "ΟΔΟΣ theory",
    "東京 the 都",
    "dog's dinner",
    "$5.00 (about £4)",
]


def version_1(script, cases):
    spec = importlib.util.spec_from_file_location("squad_v1", script)
    official = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(official)
    score = lambda metric, case: float(official.metric_max_over_ground_truths(metric, case["answer"], case["gold"]))
    exact = [score(official.exact_match_score, case) for case in cases]
    f1 = [score(official.f1_score, case) for case in cases]
    return {
        "normalized": [[text, official.normalize_answer(text)] for text in TEXTS],
        "questions": [case | {"exact": e, "f1": f} for case, e, f in zip(cases, exact, f1)],
        "expected": {"exact_match": sum(exact) / len(exact), "f1": sum(f1) / len(f1)},
    }


def version_2(cases, threshold):
    from transformers.data.metrics import squad_metrics as official

    examples = [
        SimpleNamespace(qas_id=str(index), answers=[{"text": text} for text in case["gold"]])
        for index, case in enumerate(cases)
    ]
    words = {str(index): case["words"] for index, case in enumerate(cases)}
    doubts = {str(index): case["doubt"] for index, case in enumerate(cases)}
    # What a model says that gives no answer above the threshold.
    said = {key: "" if doubts[key] > threshold else words[key] for key in words}
    found = official.squad_evaluate(examples, said)
    best = official.squad_evaluate(examples, words, doubts, no_answer_probability_threshold=float("inf"))
    exact, f1 = official.get_raw_scores(examples, said)
    share = lambda key, result: result[key] / 100
    return {
        "threshold": threshold,
        "questions": [
            case | {"answer": said[str(i)], "exact": float(exact[str(i)]), "f1": float(f1[str(i)])}
            for i, case in enumerate(cases)
        ],
        "expected": {
            "exact_match": share("exact", found),
            "f1": share("f1", found),
            **{key: share(key, found) for key in ["HasAns_exact", "HasAns_f1", "NoAns_exact", "NoAns_f1"]},
        },
        "best": {
            "best_exact": share("best_exact", best),
            "best_exact_thresh": best["best_exact_thresh"],
            "best_f1": share("best_f1", best),
            "best_f1_thresh": best["best_f1_thresh"],
        },
    }


def fixture():
    generator = random.Random(SEED)
    pick = lambda: generator.choice(TEXTS)
    answered = [
        {"gold": [pick() for _ in range(generator.randrange(1, 4))], "answer": pick()} for _ in range(60)
    ] + [{"gold": [text], "answer": text} for text in TEXTS]
    doubted = []
    for index in range(90):
        gold = [] if generator.random() < 0.4 else [pick() for _ in range(generator.randrange(1, 4))]
        words = generator.choice(gold) if gold and generator.random() < 0.7 else generator.choice([pick(), pick(), ""])
        # All different: where two are equal, the official search may stop between them.
        doubt = round(generator.gauss(-2 if gold else 1.5, 2), 2) + index * 1e-4
        doubted.append({"gold": gold, "words": words, "doubt": doubt})
    from importlib.metadata import version

    return {
        "made_by": "scripts/make_metric_fixtures.py",
        "seed": SEED,
        "versions": {"python": sys.version.split()[0], "transformers": version("transformers"), "squad": "1.1"},
        "answerable": version_1(os.environ["SQUAD_V1"], answered),
        "unanswerable": version_2(doubted, 0.25),
    }
