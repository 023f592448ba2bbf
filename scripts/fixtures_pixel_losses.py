#!/usr/bin/env python3
"""Fixtures of focal loss over maps of pixels, by PyTorch's log_softmax and autograd in fp64, written from the formula of Lin et al. 2017.

    fixtures_pixel_losses.py [FOLDER = fixtures/pixel_losses]

Writes case.safetensors: logits and labels (255 does not count), and for some powers, weights of classes and label smoothing the mean
loss and its gradient. Smoothed targets are shares of classes, as those of `torch.nn.CrossEntropyLoss`, and the mean divides by the
weights of the true classes; what a power of 0 gives is compared with that class here.
"""

import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

HERE = Path(__file__).resolve().parent


def focal(logits, labels, weights, smoothing, gamma):
    """One pixel after the other, one class after the other."""
    classes, total, weight = logits.shape[1], 0.0, 0.0
    rows = logits.permute(0, 2, 3, 1).reshape(-1, classes)
    for row, label in zip(rows, labels.flatten().tolist()):
        if label == 255:
            continue
        shares = row.softmax(0)
        for c in range(classes):
            target = (1 - smoothing) * (c == label) + smoothing / classes
            total = total - weights[c] * target * (1 - shares[c]) ** gamma * shares[c].log()
        weight += float(weights[label])
    return total / weight


def main():
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent / "fixtures/pixel_losses"
    folder.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(11)
    logits = (torch.randn(2, 4, 3, 5, generator=generator) * 2.5).float()
    labels = torch.randint(0, 4, (2, 3, 5), generator=generator)
    labels[torch.rand(labels.shape, generator=generator) < 0.25] = 255
    out = {"logits": logits, "labels": labels}
    for gamma in (0.0, 0.5, 2.0):
        for smoothing in (0.0, 0.1):
            for weights in (None, [1.0, 3.0, 0.25, 0.7]):
                exact = logits.double().requires_grad_()
                of_classes = torch.tensor(weights or [1.0] * 4, dtype=torch.float64)
                loss = focal(exact, labels, of_classes, smoothing, gamma)
                if gamma == 0.0:
                    plain = F.cross_entropy(exact, labels, of_classes, ignore_index=255, label_smoothing=smoothing)
                    assert abs((plain - loss).item()) < 1e-12, (plain.item(), loss.item())
                loss.backward()
                name = f"gamma{gamma}.smoothing{smoothing}.{'weighted' if weights else 'plain'}"
                out[f"{name}.loss"] = loss.detach().float()
                out[f"{name}.gradient"] = exact.grad.float()
                out[f"{name}.gamma"], out[f"{name}.smoothing"] = torch.tensor(gamma), torch.tensor(smoothing)
                if weights:
                    out[f"{name}.weights"] = of_classes.float()
    save_file(out, folder / "case.safetensors")


if __name__ == "__main__":
    main()
