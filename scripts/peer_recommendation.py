#!/usr/bin/env python3
"""SASRec (Kang and McAuley 2018) of PyTorch's own layers, from random weights: one JSON line of figures at the end.

    peer_recommendation.py --model DIR --train train.csv --validation validation.csv --eval test.csv [--mode default|tuned]

Of DIR only config.json is read, which says the sizes, such as those of Retune's `--config sasrec:tiny`; layers are BERT's, as RecBole has
them. Files name a `user_id`, an `item_id` and a `timestamp` in seconds. Histories are cut from their end into stretches of --history-length
items that each ask for the next one; the loss is softmax over all items of the three files. Each interaction of --eval is asked for
by all of the user's before it, in any file: `ndcg_at_10`, `hit_rate_at_10` and `mrr` are of its rank among all items but those in that
history. Examples are interactions. The loop is written out, with the settings that the other peers give the Trainer: AdamW without
decay of biases and norms, a linear schedule, clipping. See peer_common.py for the modes. Needs torch. bench_tasks.py runs it against Retune.
"""

import peer_common

import csv
import json
import math
from pathlib import Path


def read_events(paths):
    """What each user met, oldest first, as (time, file, line, item); how many items there are. Items are numbers from 1."""
    timelines, items = {}, {}
    for number, path in enumerate(paths):
        with open(path, newline="", encoding="utf-8-sig") as file:
            events = dict.fromkeys((row["user_id"], row["item_id"], float(row["timestamp"])) for row in csv.DictReader(file))
        for line, (user, item, time) in enumerate(events):
            timelines.setdefault(user, []).append((time, number, line, items.setdefault(item, len(items) + 1)))
    for met in timelines.values():
        met.sort()
    return list(timelines.values()), len(items)


def stretches(items, longest):
    """Parts of a history whose first item is the last of the part before, because it is not asked for."""
    end = len(items)
    while end >= 2:
        start = max(0, end - longest - 1)
        yield items[start:end]
        end = start + 1 if start else 0


def build(arguments, items):
    import torch
    import torch.nn.functional as F
    from torch import nn

    config = json.loads((Path(arguments.model) / "config.json").read_text())
    width, heads, inner, epsilon = (config[key] for key in ("hidden_size", "num_attention_heads", "intermediate_size", "layer_norm_eps"))

    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.joint, self.output = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.inner = nn.Sequential(nn.Linear(width, inner), nn.GELU(), nn.Linear(inner, width))
            self.norms = nn.ModuleList(nn.LayerNorm(width, epsilon) for _ in range(2))
            self.dropout = nn.Dropout(arguments.dropout)

        def forward(self, x):
            query, key, value = self.joint(x).view(*x.shape[:2], 3, heads, -1).permute(2, 0, 3, 1, 4)
            # Padding is behind what is asked for, which never looks there.
            seen = F.scaled_dot_product_attention(query, key, value, dropout_p=arguments.dropout if self.training else 0.0, is_causal=True)
            x = self.norms[0](x + self.dropout(self.output(seen.transpose(1, 2).reshape(x.shape))))
            return self.norms[1](x + self.dropout(self.inner(x)))

    class SASRec(nn.Module):
        def __init__(self):
            super().__init__()
            self.items = nn.Embedding(items + 1, width, padding_idx=0)
            self.places = nn.Embedding(arguments.history_length, width)
            self.norm, self.dropout = nn.LayerNorm(width, epsilon), nn.Dropout(arguments.dropout)
            self.layers = nn.Sequential(*(Layer() for _ in range(config["num_hidden_layers"])))
            for module in self.modules():
                if isinstance(module, (nn.Linear, nn.Embedding)):
                    nn.init.normal_(module.weight, std=config["initializer_range"])
                if isinstance(module, nn.Linear):
                    nn.init.zeros_(module.bias)

        def forward(self, histories):
            return self.layers(self.dropout(self.norm(self.items(histories) + self.places.weight[: histories.shape[1]])))

        def score(self, states):
            return states @ self.items.weight[1:].T

    return SASRec().to(arguments.device)


def pad(histories):
    import torch

    return torch.nn.utils.rnn.pad_sequence([torch.tensor(history) for history in histories], batch_first=True)


def train(arguments, model, rows, steps):
    """The mean loss of the steps."""
    import torch
    import torch.nn.functional as F

    warmup = math.ceil(arguments.warmup * steps) if arguments.warmup < 1 else int(arguments.warmup)
    plain = [p for p in model.parameters() if p.dim() == 1]  # biases and norms
    groups = [{"params": [p for p in model.parameters() if p.dim() > 1]}, {"params": plain, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=arguments.lr, weight_decay=0.01, fused=arguments.mode == "tuned")
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: step / warmup if step < warmup else (steps - step) / max(1, steps - warmup))
    lengths = torch.tensor([len(row) for row in rows])
    rows = pad(rows).to(arguments.device)
    total, step = torch.zeros((), device=arguments.device), 0
    model.train()
    while step < steps:
        order = torch.randperm(len(rows))
        if arguments.mode == "tuned":
            order = order[lengths[order].argsort(stable=True)]
        batches = order.split(arguments.batch)
        for number in torch.randperm(len(batches))[: steps - step].tolist():
            batch = rows[batches[number], : lengths[batches[number]].max()]
            labels = batch[:, 1:]
            with peer_common.autocast(arguments):
                states = model(batch[:, :-1])[labels > 0]
                loss = F.cross_entropy(model.score(states), labels[labels > 0] - 1)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total += loss.detach()
            step += 1
    return total.item() / steps


def ranks(arguments, model, asked):
    """Of what came next in each of `asked`, a history with the next item; of equal scores the smaller number stands first."""
    import torch

    model.eval()
    found = []

    def collate(rows):
        return {"histories": pad([history[-arguments.history_length :] for history, _ in rows])}

    for places, batch in peer_common.evaluation_batches(arguments, asked, collate, lambda row: len(row[0])):
        with peer_common.inference(arguments):
            states = model(**batch)
            last = batch["histories"].gt(0).sum(1) - 1
            # In fp32: fewer digits make scores equal.
            with torch.autocast(arguments.device, enabled=False):
                scores = model.score(states[torch.arange(len(places)), last].float())
            right = torch.tensor([asked[place][1] - 1 for place in places], device=scores.device).unsqueeze(1)
            own = scores.gather(1, right)
            for row, place in zip(scores, places):
                row[torch.tensor(asked[place][0], device=scores.device) - 1] = -math.inf
            before = (scores > own) | (scores == own) & (torch.arange(scores.shape[1], device=scores.device) < right)
            # It may be in the history, too.
            found += (1 + before.scatter(1, right, False).sum(1)).tolist()
    return found


def scores(ranks):
    within = [rank for rank in ranks if rank <= 10]
    return {
        "ndcg_at_10": round(sum(1 / math.log2(rank + 1) for rank in within) / len(ranks), 5),
        "hit_rate_at_10": round(len(within) / len(ranks), 5),
        "mrr": round(sum(1 / rank for rank in ranks) / len(ranks), 5),
    }


def main():
    parser = peer_common.parser(__doc__, max_length=None, batch=64, lr=1e-3)
    parser.add_argument("--validation", required=True)
    parser.add_argument("--history-length", type=int, default=50)
    parser.add_argument("--dropout", type=float, default=0.2)
    arguments = parser.parse_args()
    peer_common.set_up(arguments, library=False)

    timelines, items = read_events([arguments.train, arguments.validation, arguments.eval])
    learnt = [[item for _, file, _, item in met if file == 0] for met in timelines]
    rows = [row for met in learnt for row in stretches(met, arguments.history_length)]
    asked = [([item for *_, item in met[:place]], met[place][3]) for met in timelines for place in range(1, len(met)) if met[place][1] == 2]
    model = build(arguments, items)
    steps = math.ceil(math.ceil(len(rows) / arguments.batch) * arguments.epochs)
    figures = peer_common.timed(
        arguments, lambda: train(arguments, model, rows, steps), sum(map(len, learnt)), lambda: scores(ranks(arguments, model, asked))
    )
    peer_common.print_line(arguments, "PyTorch", model, steps, figures)


if __name__ == "__main__":
    main()
