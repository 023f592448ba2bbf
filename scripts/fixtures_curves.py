"""fixtures/curves: whole training runs of a tiny BERT, to be repeated step by step.

The loop is transformers' Trainer written out: its no-decay groups, torch AdamW, its schedules, `clip_grad_norm_`,
scheduler stepped after the optimizer. Everything is float32; the same run in float64 is recorded beside it, so that
a test can tell rounding from a mistake.
"""

import copy
from pathlib import Path

import torch
from transformers import BertConfig, BertForSequenceClassification, get_cosine_schedule_with_warmup, get_linear_schedule_with_warmup
from transformers.trainer_pt_utils import get_parameter_names

from fixtures_common import fresh_folder, generator, randomise, save_model, save_tensors, write_json, write_versions
from fixtures_text import bert_like

STEPS = 50
WARMUP_STEPS = 5
WIDTH = 12
LEARNING_RATE = 1e-3
WEIGHT_DECAY = 0.01
MAX_GRAD_NORM = 1.0
# As Trainer.get_decay_parameter_names has them.
NO_DECAY_PATTERNS = [r"bias", r"layernorm", r"rmsnorm", r"(?:^|\.)norm(?:$|\.)", r"_norm(?:$|\.)"]

# folder: schedule, rows of a micro-batch, micro-batches of a step, label smoothing, class weights
RUNS = {
    "bert-adamw": dict(schedule="linear", batch_size=8, accumulation=1, label_smoothing=0.0, class_weights=None),
    "bert-adamw-cosine-accumulated": dict(
        schedule="cosine", batch_size=4, accumulation=2, label_smoothing=0.1, class_weights=[1.0, 2.0, 0.5]),
}


def make_batches(random, count, rows, vocab_size):
    """`count` micro-batches of padded rows; about half of a row's tokens come from four that belong to its label."""
    labels = torch.randint(0, 3, (count, rows), generator=random)
    ids = torch.randint(5, vocab_size, (count, rows, WIDTH), generator=random)
    telling = 5 + 4 * labels.unsqueeze(-1) + torch.randint(0, 4, ids.shape, generator=random)
    ids = torch.where(torch.rand(ids.shape, generator=random) < 0.5, telling, ids)
    lengths = torch.randint(4, WIDTH + 1, (count, rows), generator=random)
    position = torch.arange(WIDTH).expand(count, rows, WIDTH)
    last = lengths.unsqueeze(-1) - 1
    mask = (position <= last).to(torch.int64)
    ids[:, :, 0] = 2
    ids = torch.where(position == last, torch.tensor(3), ids) * mask
    types = (position >= (lengths // 2).unsqueeze(-1)).to(torch.int64) * mask
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": types, "labels": labels}


def decay_names(model):
    return get_parameter_names(model, [torch.nn.LayerNorm], NO_DECAY_PATTERNS)


def train(model, batches, run):
    """Returns the curve; `model` ends up trained."""
    decayed = set(decay_names(model))
    groups = [
        {"params": [p for n, p in model.named_parameters() if n in decayed], "weight_decay": WEIGHT_DECAY},
        {"params": [p for n, p in model.named_parameters() if n not in decayed], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=(0.9, 0.999), eps=1e-8, foreach=False)
    make_schedule = {"linear": get_linear_schedule_with_warmup, "cosine": get_cosine_schedule_with_warmup}[run["schedule"]]
    schedule = make_schedule(optimizer, WARMUP_STEPS, STEPS)
    dtype = next(model.parameters()).dtype
    weights = None if run["class_weights"] is None else torch.tensor(run["class_weights"], dtype=dtype)
    curve = {"loss": [], "learning_rate": [], "grad_norm": []}
    model.train()
    for step in range(STEPS):
        window = range(step * run["accumulation"], (step + 1) * run["accumulation"])
        targets = batches["labels"][list(window)].flatten()
        normaliser = float(len(targets)) if weights is None else weights[targets].sum()
        total = 0.0
        all_logits = []
        for index in window:
            inputs = {k: v[index] for k, v in batches.items()}
            labels = inputs.pop("labels")
            logits = model(**inputs).logits
            all_logits.append(logits.detach())
            summed = torch.nn.functional.cross_entropy(
                logits, labels, weight=weights, label_smoothing=run["label_smoothing"], reduction="sum")
            (summed / normaliser).backward()
            total += (summed.detach() / normaliser).item()
        at_once = torch.nn.functional.cross_entropy(
            torch.cat(all_logits), targets, weight=weights, label_smoothing=run["label_smoothing"]).item()
        if abs(total - at_once) > 1e-5 * max(1.0, at_once):
            raise ValueError(f"step {step}: the accumulated loss {total} is not the window's mean {at_once}")
        curve["loss"].append(total)
        curve["learning_rate"].append(optimizer.param_groups[0]["lr"])
        curve["grad_norm"].append(torch.nn.utils.clip_grad_norm_(model.parameters(), MAX_GRAD_NORM).item())
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
    return curve


def make_run(root, name, run):
    folder = fresh_folder(root / "curves" / name)
    random = generator(name)
    config = BertConfig(**bert_like())
    config._attn_implementation = "eager"
    model = BertForSequenceClassification(config)
    randomise(model, random)
    names = save_model(model, folder)
    batches = make_batches(random, STEPS * run["accumulation"], run["batch_size"], config.vocab_size)
    save_tensors(folder / "batches.safetensors", batches)
    exact = copy.deepcopy(model).double()
    curve = train(model, batches, run)
    exact_curve = train(exact, batches, run)
    save_tensors(folder / "final.safetensors", {names[n]: p for n, p in model.named_parameters()})
    drift = {
        names[n]: (p.detach().double() - q.detach()).abs().max().item()
        for (n, p), (_, q) in zip(model.named_parameters(), exact.named_parameters())
    }
    decayed = set(decay_names(model))
    write_json(
        folder / "curve.json",
        {
            "settings": {
                "steps": STEPS,
                "warmup_steps": WARMUP_STEPS,
                "learning_rate": LEARNING_RATE,
                "betas": [0.9, 0.999],
                "eps": 1e-8,
                "weight_decay": WEIGHT_DECAY,
                "max_grad_norm": MAX_GRAD_NORM,
                **run,
            },
            "no_decay_parameters": sorted(names[n] for n, _ in model.named_parameters() if n not in decayed),
            **curve,
            "loss_float64": exact_curve["loss"],
            "grad_norm_float64": exact_curve["grad_norm"],
            "final_difference_from_float64": dict(sorted(drift.items(), key=lambda item: -item[1])),
        },
    )
    return curve, exact_curve, drift


def make(root):
    root = Path(root)
    for name, run in RUNS.items():
        curve, exact, drift = make_run(root, name, run)
        worst = max(abs(a - b) for a, b in zip(curve["loss"], exact["loss"]))
        largest = sorted(((v, k) for k, v in drift.items()), reverse=True)[:3]
        first, last = sum(curve["loss"][:5]) / 5, sum(curve["loss"][-5:]) / 5
        print(f"{name}: mean loss of 5 steps {first:.4f} -> {last:.4f}, float32 from float64: loss {worst:.1e}, weights {largest}")
        if last >= 0.8 * first:
            raise ValueError(f"{name}: the loss did not fall; the run would prove nothing")
    write_versions(root / "curves")
