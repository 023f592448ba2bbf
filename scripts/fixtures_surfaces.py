#!/usr/bin/env python3
"""Writes fixtures/metrics/surfaces.json: how far borders of masks lie apart, from SciPy's erosion and distance transform.

    python scripts/fixtures_surfaces.py
"""

import json
import pathlib

import numpy as np
from scipy import ndimage

ROOT = pathlib.Path(__file__).resolve().parent.parent


def border(mask):
    return mask & ~ndimage.binary_erosion(mask, ndimage.generate_binary_structure(2, 1), border_value=0)


def compare(truth, predicted, tolerance):
    """Boundary F1 and the 95th percentile of the Hausdorff distance, the larger of both directions (as MONAI)."""
    if not truth.any() and not predicted.any():
        return None, None
    if not truth.any() or not predicted.any():
        return 0.0, None
    truth, predicted = border(truth), border(predicted)
    missed = ndimage.distance_transform_edt(~predicted)[truth]
    invented = ndimage.distance_transform_edt(~truth)[predicted]
    recall, precision = (missed <= tolerance).mean(), (invented <= tolerance).mean()
    f1 = 0.0 if recall + precision == 0 else 2 * recall * precision / (recall + precision)
    return float(f1), float(max(np.percentile(missed, 95), np.percentile(invented, 95)))


def main():
    random = np.random.default_rng(20250101)
    cases = []
    for height, width, classes in [(23, 31, 3), (40, 17, 2), (1, 12, 2), (30, 30, 4), (19, 64, 3), (48, 44, 2)]:
        smooth = lambda: ndimage.gaussian_filter(random.normal(size=(classes, height, width)), (0, 3, 3))
        field = smooth()
        truth = field.argmax(0).astype(np.uint8)
        predicted = (field + 0.5 * smooth()).argmax(0).astype(np.uint8)
        if classes == 4:
            truth[truth == 3] = 0  # predicted only
        if classes == 3:
            truth[random.random(truth.shape) < 0.05] = 255
        known = truth < classes
        tolerance = 0.0075 * float(np.hypot(width, height))
        results = [compare((truth == c) & known, (predicted == c) & known, tolerance) for c in range(classes)]
        cases.append({
            "width": width, "classes": classes, "truth": truth.ravel().tolist(), "predicted": predicted.ravel().tolist(),
            "f1": [f1 for f1, _ in results], "distance": [distance for _, distance in results],
        })
    # The tolerance is more than two pixels here.
    wide = np.zeros((3, 340), np.uint8)
    wide[:, 100:180] = 1
    for shift in (2, 20):
        moved = np.roll(wide, shift, axis=1)
        results = [compare(wide == c, moved == c, 0.0075 * float(np.hypot(340, 3))) for c in range(2)]
        cases.append({"width": 340, "classes": 2, "truth": wide.ravel().tolist(), "predicted": moved.ravel().tolist(),
                      "f1": [f1 for f1, _ in results], "distance": [distance for _, distance in results]})
    (ROOT / "fixtures" / "metrics" / "surfaces.json").write_text(json.dumps(cases, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
