#!/usr/bin/env python3
"""Writes fixtures/metrics/detections.json: boxes in pictures and what pycocotools says of them (needs numpy and pycocotools).

    python scripts/fixtures_detections.py
"""

import contextlib
import io
import json
import pathlib
import sys

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

SEED = 20250101
KEYS = ["map", "map_50", "map_75", "map_small", "map_medium", "map_large"]
KEYS += ["mar_1", "mar_10", "mar_100", "mar_small", "mar_medium", "mar_large"]


def random_case(rng, pictures, classes, crowded=0.0, outlines=False, ties=False, empty=0.2, invented=2.0, jitter=0.12):
    """Objects of all sizes, found more or less, some twice, some as another class, and some that are not there."""
    truth, found = [], []
    for _ in range(pictures):
        objects, boxes = [], []
        for _ in range(0 if rng.random() < empty else rng.integers(1, 8)):
            side = np.exp(rng.uniform(np.log(6), np.log(200), 2))
            left, top = rng.uniform(0, 300, 2)
            box = [left, top, side[0], side[1]]
            area = side[0] * side[1] * (rng.uniform(0.4, 1.0) if outlines else 1.0)
            label, crowd = int(rng.integers(classes)), bool(rng.random() < crowded)
            objects.append({"class": label, "box": box, "area": area, "crowd": crowd})
            for _ in range(rng.choice([0, 1, 1, 1, 2]) if not crowd else rng.integers(0, 6)):
                shift = rng.normal(0, jitter, 4) * np.array([side[0], side[1], side[0], side[1]])
                moved = np.array(box) + shift
                moved[2:] = np.maximum(moved[2:], 2)
                guess = label if rng.random() < 0.85 else int(rng.integers(classes))
                boxes.append({"class": guess, "box": moved.tolist(), "score": float(rng.beta(4, 2))})
        for _ in range(rng.poisson(invented)):
            side = np.exp(rng.uniform(np.log(6), np.log(200), 2))
            box = [*rng.uniform(0, 300, 2).tolist(), *side.tolist()]
            boxes.append({"class": int(rng.integers(classes)), "box": box, "score": float(rng.beta(2, 4))})
        if ties:
            for box in boxes:
                box["score"] = round(box["score"] * 4) / 4
        truth.append(objects)
        found.append(boxes)
    return {"classes": classes, "truth": truth, "found": found}


def expected(case):
    """Everything that COCOeval says of boxes, and AP by class; undefined values are left out."""
    images = [{"id": i + 1, "width": 600, "height": 600} for i in range(len(case["truth"]))]
    annotations, results = [], []
    for i, (objects, boxes) in enumerate(zip(case["truth"], case["found"])):
        for it in objects:
            annotations.append({
                "id": len(annotations) + 1, "image_id": i + 1, "category_id": it["class"] + 1, "bbox": it["box"],
                "area": it["area"], "iscrowd": int(it["crowd"]),
            })
        results += [
            {"image_id": i + 1, "category_id": it["class"] + 1, "bbox": it["box"], "score": it["score"]} for it in boxes
        ]
    with contextlib.redirect_stdout(io.StringIO()):
        gold = COCO()
        categories = [{"id": i + 1, "name": f"c{i}"} for i in range(case["classes"])]
        gold.dataset = {"info": {}, "images": images, "annotations": annotations, "categories": categories}
        gold.createIndex()
        # Without any result loadRes fails: an empty set says the same.
        predicted = gold.loadRes(results) if results else COCO()
        if not results:
            predicted.dataset = {"images": images, "annotations": [], "categories": categories}
            predicted.createIndex()
        evaluation = COCOeval(gold, predicted, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    values = dict(zip(KEYS, evaluation.stats.tolist()))
    precision = evaluation.eval["precision"][:, :, :, 0, -1]
    by_class = [precision[:, :, k] for k in range(case["classes"])]
    return {
        "metrics": {key: value for key, value in values.items() if value > -1},
        "ap": [float(it.mean()) if (it > -1).all() else None for it in by_class],
        "ap_50": [float(it[0].mean()) if (it > -1).all() else None for it in by_class],
    }


def main():
    rng = np.random.default_rng(SEED)
    cases = {
        "plain": random_case(rng, 25, 3),
        "outlines": random_case(rng, 15, 2, outlines=True),
        "crowds": random_case(rng, 20, 2, crowded=0.3),
        "ties": random_case(rng, 15, 3, ties=True, crowded=0.1),
        "many": random_case(rng, 3, 1, invented=140.0),
        "nothing_found": random_case(rng, 4, 2) | {"found": [[]] * 4},
        "nothing_there": random_case(rng, 3, 2) | {"truth": [[]] * 3},
        "a_class_without_objects": random_case(rng, 6, 2) | {"classes": 4},
        "perfect": random_case(rng, 8, 2),
    }
    perfect = cases["perfect"]
    perfect["found"] = [
        [{"class": it["class"], "box": it["box"], "score": 0.9} for it in objects] for objects in perfect["truth"]
    ]
    for case in cases.values():
        for kind in ("truth", "found"):
            for boxes in case[kind]:
                for it in boxes:
                    it["box"] = [round(side, 2) for side in it["box"]]
                    for key in ("area", "score"):
                        if key in it:
                            it[key] = round(it[key], 4)
        case["expected"] = expected(case)
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent / "fixtures"
    target = root / "metrics" / "detections.json"
    target.write_text(json.dumps({"seed": SEED, "numpy": np.__version__, "cases": cases}, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
