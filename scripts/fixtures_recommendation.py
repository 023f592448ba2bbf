#!/usr/bin/env python3
"""Fixtures of encoders of histories: SASRec and BERT4Rec of PyTorch's own layers (post-norm, GELU), as RecBole defines them.

    fixtures_recommendation.py [FOLDER = fixtures/recommendation]

Writes, for each of sasrec, bert4rec and sasrec-texts, config.json, model.safetensors and case.safetensors: inputs, logits, the
loss over all items and gradients; the same for sasrec-encoder, whose vectors of items transformers' BertModel makes of their
texts, over the items of the batch; and metrics.json: ranks of random scores and what the metrics of them are.
"""

import json
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn
from transformers import BertConfig, BertModel

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
D, HEADS, LAYERS, INNER, ITEMS, PLACES, WIDTH = 12, 3, 2, 20, 17, 7, 5


class Reference(nn.Module):
    def __init__(self, causal, texts):
        super().__init__()
        self.causal, self.texts = causal, texts
        if texts:
            self.register_buffer("features", torch.randn(ITEMS + 1, WIDTH))
            self.adaptor = nn.Linear(WIDTH, D)
        else:
            self.items = nn.Parameter(torch.randn(ITEMS + 1, D) * 0.3)
        self.places = nn.Parameter(torch.randn(PLACES, D) * 0.3)
        self.mask = None if causal else nn.Parameter(torch.randn(1, D) * 0.3)
        self.norm = nn.LayerNorm(D, eps=1e-12)
        layer = nn.TransformerEncoderLayer(D, HEADS, INNER, 0.0, "gelu", 1e-12, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)
        if not causal:
            self.dense, self.dense_norm = nn.Linear(D, D), nn.LayerNorm(D, eps=1e-12)
        for parameter in self.parameters():
            parameter.data += torch.randn_like(parameter) * 0.1

    def table(self):
        return self.adaptor(self.features) if self.texts else self.items

    def forward(self, ids, open_):
        table = self.table()
        if self.causal:
            x = table[ids]
        else:
            x = torch.cat([table, self.mask])[ids]
        x = self.norm(x + self.places[: ids.shape[1]])
        ahead = torch.triu(torch.ones(ids.shape[1], ids.shape[1], dtype=torch.bool), 1) if self.causal else None
        x = self.layers(x, mask=ahead, src_key_padding_mask=open_ == 0)
        if not self.causal:
            x = self.dense_norm(F.gelu(self.dense(x)))
        return x @ table[1:].T

    def named(self):
        """Tensors by the names of the saved model, and how to read their gradients."""
        out = {"model.position_embeddings.weight": self.places, "model.norm.weight": self.norm.weight, "model.norm.bias": self.norm.bias}
        if self.texts:
            out["model.item_adaptor.weight"], out["model.item_adaptor.bias"] = self.adaptor.weight, self.adaptor.bias
        else:
            out["model.item_embeddings.weight"] = self.items
        if not self.causal:
            out["model.mask_embedding.weight"] = self.mask
            out["transform.dense.weight"], out["transform.dense.bias"] = self.dense.weight, self.dense.bias
            out["transform.norm.weight"], out["transform.norm.bias"] = self.dense_norm.weight, self.dense_norm.bias
        for i, layer in enumerate(self.layers.layers):
            for ours, theirs in {
                "attention.output": layer.self_attn.out_proj,
                "attention_norm": layer.norm1,
                "intermediate": layer.linear1,
                "output": layer.linear2,
                "output_norm": layer.norm2,
            }.items():
                out[f"model.layers.{i}.{ours}.weight"], out[f"model.layers.{i}.{ours}.bias"] = theirs.weight, theirs.bias
        return out

    def joint(self):
        """Query, key and value are one tensor there."""
        for i, layer in enumerate(self.layers.layers):
            for part, tensor in (("weight", layer.self_attn.in_proj_weight), ("bias", layer.self_attn.in_proj_bias)):
                yield [f"model.layers.{i}.attention.{name}.{part}" for name in ("query", "key", "value")], tensor


def make(folder, causal, texts):
    folder.mkdir(parents=True, exist_ok=True)
    model = Reference(causal, texts).train()
    ids = torch.randint(1, ITEMS + 1, (4, PLACES))
    open_ = torch.ones_like(ids)
    open_[1, 4:], open_[3, 1:] = 0, 0
    ids[open_ == 0] = 0
    labels = torch.randint(1, ITEMS + 1, ids.shape)
    labels[open_ == 0] = -100
    if not causal:
        for row, place in ((0, 2), (0, 6), (1, 3), (3, 0)):
            ids[row, place] = ITEMS + 1
        labels[ids != ITEMS + 1] = -100
    logits = model(ids, open_)
    loss = F.cross_entropy(logits[labels > 0], labels[labels > 0] - 1)
    loss.backward()
    tensors = {name: tensor.detach().clone() for name, tensor in model.named().items()}
    grads = {name: tensor.grad.clone() for name, tensor in model.named().items()}
    for names, tensor in model.joint():
        tensors |= dict(zip(names, (part.clone() for part in tensor.detach().chunk(3))))
        grads |= dict(zip(names, (part.clone() for part in tensor.grad.chunk(3))))
    if texts:
        tensors["model.item_features.weight"] = model.features.clone()
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    kind = "SASRec" if causal else "BERT4Rec"
    config = dict(
        architectures=[f"{kind}ForNextItem"], model_type=kind.lower(), num_items=ITEMS, hidden_size=D, num_hidden_layers=LAYERS,
        num_attention_heads=HEADS, intermediate_size=INNER, hidden_act="gelu", hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0, max_position_embeddings=PLACES, initializer_range=0.02, layer_norm_eps=1e-12,
    )
    if texts:
        config["item_features"] = WIDTH
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    case = {"input.input_ids": ids, "input.attention_mask": open_, "input.labels": labels, "loss": loss.detach()}
    # Behind padding nothing is asked.
    case["logits"] = logits.detach()[open_ == 1]
    case |= {f"grad.{name}": grad for name, grad in grads.items()}
    save_file({name: tensor.contiguous() for name, tensor in case.items()}, folder / "case.safetensors")
    print(folder, loss.item())


def make_encoder(folder):
    """A text encoder that learns with the model: gradients of both, and scores of all items by what it says then."""
    folder.mkdir(parents=True, exist_ok=True)
    model = Reference(True, True).train()
    sizes = dict(hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=14, vocab_size=23)
    bert_config = BertConfig(
        **sizes, max_position_embeddings=9, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, initializer_range=0.3
    )
    bert = BertModel(bert_config, add_pooling_layer=False).train()
    model.adaptor = nn.Linear(8, D)
    lengths = torch.randint(1, 7, (ITEMS + 1,))
    tokens = torch.randint(1, 23, (ITEMS + 1, 6))
    texts = torch.arange(6) < lengths[:, None]
    tokens[~texts] = 0
    has_text = torch.ones(ITEMS + 1)
    has_text[:2] = 0  # Padding, and an item without a text.

    def said(items):
        hidden = bert(input_ids=tokens[items], attention_mask=texts[items].long()).last_hidden_state
        open_ = texts[items].float().unsqueeze(-1)
        return (hidden * open_).sum(1) / open_.sum(1) * has_text[items, None]

    def score(ids, open_, table, numbers):
        x = model.norm(table[torch.searchsorted(numbers, ids.clamp(min=1))] + model.places)
        ahead = torch.triu(torch.ones(PLACES, PLACES, dtype=torch.bool), 1)
        return model.layers(x, mask=ahead, src_key_padding_mask=open_ == 0) @ table.T

    ids = torch.randint(1, 10, (3, PLACES))
    open_ = torch.ones_like(ids)
    ids[0, 0] = 1
    ids[1, 5:], open_[1, 5:] = 0, 0
    labels = torch.randint(1, 12, ids.shape)
    labels[open_ == 0] = -100
    numbers = torch.cat([ids.flatten(), labels.flatten()]).unique()
    numbers = numbers[numbers > 0]
    logits = score(ids, open_, model.adaptor(said(numbers)), numbers)
    loss = F.cross_entropy(logits[labels > 0], torch.searchsorted(numbers, labels[labels > 0]))
    loss.backward()
    every = torch.arange(1, ITEMS + 1)
    with torch.no_grad():
        features = said(every)
        all_logits = score(ids, open_, model.adaptor(features), every)
    named = {name: tensor for name, tensor in model.named().items()}
    named |= {f"model.backbone.bert.{name}": tensor for name, tensor in bert.named_parameters()}
    tensors = {name: tensor.detach().clone() for name, tensor in named.items()}
    grads = {name: tensor.grad.clone() for name, tensor in named.items()}
    for names, tensor in model.joint():
        tensors |= dict(zip(names, (part.clone() for part in tensor.detach().chunk(3))))
        grads |= dict(zip(names, (part.clone() for part in tensor.grad.chunk(3))))
    # What was kept before is something else.
    tensors["model.item_features.weight"] = torch.randn(ITEMS + 1, 8)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    config = dict(
        architectures=["SASRecForNextItem"], model_type="sasrec", num_items=ITEMS, item_features=8, hidden_size=D,
        num_hidden_layers=LAYERS, num_attention_heads=HEADS, intermediate_size=INNER, hidden_act="gelu", hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0, max_position_embeddings=PLACES, initializer_range=0.02, layer_norm_eps=1e-12,
        backbone_config=bert_config.to_diff_dict(),
    )
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    case = {"input.input_ids": ids, "input.attention_mask": open_, "labels": labels, "loss": loss.detach()}
    case |= {"logits": logits.detach()[open_ == 1], "all.logits": all_logits[open_ == 1], "all.features": features}
    for group, items in (("input", numbers), ("all", every)):
        case |= {
            f"{group}.item_numbers": items,
            f"{group}.item_input_ids": tokens[items],
            f"{group}.item_attention_mask": texts[items].long(),
            f"{group}.item_has_text": has_text[items].long(),
        }
    case |= {f"grad.{name}": grad for name, grad in grads.items()}
    save_file({name: tensor.contiguous() for name, tensor in case.items()}, folder / "case.safetensors")
    print(folder, loss.item())


def main():
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FIXTURES / "recommendation"
    torch.manual_seed(11)
    make(folder / "sasrec", True, False)
    make(folder / "bert4rec", False, False)
    make(folder / "sasrec-texts", True, True)
    scores = torch.randn(9, 25)
    seen = [sorted(set(torch.randint(1, 26, (6,)).tolist())) for _ in range(9)]
    right = [next(i for i in torch.randperm(25).add(1).tolist() if i not in seen[row]) for row in range(9)]
    left = scores.clone()
    for row, items in enumerate(seen):
        left[row, torch.tensor(items) - 1] = -torch.inf
    order = torch.sort(left, dim=1, descending=True, stable=True).indices
    ranks = [(order[row] == right[row] - 1).nonzero().item() + 1 for row in range(9)]
    metrics = {"mrr": sum(1 / rank for rank in ranks) / 9}
    for most in (5, 10, 20):
        within = [rank for rank in ranks if rank <= most]
        metrics[f"hit_rate_at_{most}"] = len(within) / 9
        metrics[f"mrr_at_{most}"] = sum(1 / rank for rank in within) / 9
        metrics[f"ndcg_at_{most}"] = sum(1 / torch.tensor(rank + 1.0).log2().item() for rank in within) / 9
    shown = {item + 1 for row in order[:, :10].tolist() for item in row}
    metrics["coverage"] = len(shown) / 25
    data = {"scores": scores.tolist(), "seen": seen, "right": right, "ranks": ranks, "metrics": metrics}
    (folder / "metrics.json").write_text(json.dumps(data) + "\n")
    torch.manual_seed(12)
    make_encoder(folder / "sasrec-encoder")


if __name__ == "__main__":
    main()
