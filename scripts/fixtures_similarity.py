#!/usr/bin/env python3
"""Fixtures of vectors of texts: pooling and the three losses, by PyTorch alone, as sentence-transformers defines them.

    fixtures_similarity.py [FOLDER = fixtures/similarity]

Writes case.safetensors: the vectors of `parity/bert-base-only` for some inputs by mean, cls and max pooling, with the gradients
of their squares; and losses with gradients of random vectors.
"""

import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from transformers import AutoModel

HERE = Path(__file__).resolve().parent
FIXTURES = HERE.parent / "fixtures"


def pooled(hidden, mask, how):
    open_ = mask.unsqueeze(-1).float()
    if how == "cls":
        return hidden[:, 0]
    if how == "max":
        return hidden.masked_fill(open_ == 0, -1e9).max(1).values
    return (hidden * open_).sum(1) / open_.sum(1).clamp(min=1e-9)


def main():
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FIXTURES / "similarity"
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(7)
    out = {}
    model = AutoModel.from_pretrained(FIXTURES / "parity/bert-base-only").eval()
    ids = torch.randint(5, 290, (4, 9))
    mask = torch.ones_like(ids)
    mask[1, 5:] = 0
    mask[3, 2:] = 0
    out["input.input_ids"], out["input.attention_mask"] = ids, mask
    for how in ("mean", "cls", "max"):
        for normalize in (False, True):
            model.zero_grad()
            vectors = pooled(model(input_ids=ids, attention_mask=mask).last_hidden_state, mask, how)
            if normalize:
                vectors = F.normalize(vectors, p=2, dim=1)
            name = how + (".normalize" if normalize else "")
            out[f"{name}.sentence_embedding"] = vectors.detach().clone()
            weights = torch.linspace(-1, 1, vectors.numel()).view_as(vectors)
            (vectors * weights).sum().backward()
            for part in ("embeddings.LayerNorm.weight", "encoder.layer.1.output.dense.weight"):
                out[f"{name}.grad.{part}"] = dict(model.named_parameters())[part].grad.clone()

    def loss(name, vectors, value):
        value.backward()
        out[f"{name}.loss"] = value.detach().view(1)
        for key, tensor in vectors.items():
            out[f"{name}.{key}"] = tensor.detach().clone()
            out[f"{name}.grad.{key}"] = tensor.grad.clone()

    def fresh(rows, width=6):
        return torch.randn(rows, width).requires_grad_()

    a, b = fresh(5), fresh(5)
    gold = torch.rand(5)
    out["score.labels"] = gold
    loss("score", {"a": a, "b": b}, F.mse_loss(torch.cosine_similarity(a, b), gold))
    a, b = fresh(5), fresh(5)
    gold = torch.tensor([1.0, 0, 1, 0, 0])
    out["label.labels"] = gold
    distance = 1 - torch.cosine_similarity(a, b)
    loss("label", {"a": a, "b": b}, (0.5 * (gold * distance.pow(2) + (1 - gold) * F.relu(0.5 - distance).pow(2))).mean())
    a, b, c = fresh(4), fresh(4), fresh(4)
    scores = F.normalize(a, p=2, dim=1) @ F.normalize(torch.cat([b, c]), p=2, dim=1).T * 20
    loss("own", {"a": a, "b": b, "c": c}, F.cross_entropy(scores, torch.arange(4)))
    save_file({key: value.contiguous() for key, value in out.items()}, folder / "case.safetensors")
    print(folder / "case.safetensors", sum(value.numel() for value in out.values()), "numbers")


if __name__ == "__main__":
    main()
