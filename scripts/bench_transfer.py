#!/usr/bin/env python3
"""What pretraining is worth on images: a pretrained small ViT against random weights with the same budget.

    bench_transfer.py --name NAME --pretrained DIR --scratch DIR --train T --validation V --test T [--labelled N] [--epochs E]
    bench_transfer.py --name NAME --pretrain-config DIR --train ... (pretrains first: a masked autoencoder on all of --train)

Both arms get the same labelled images (the first N of each class, where --labelled is given), steps, batch size and
augmentation. Each arm's learning rate is the one of --learning-rates whose --judge-by is best on --validation with seed 1; the
test split is then scored for seeds 1 to --seeds. Writes a Markdown table and a JSON file into benches/results/: accuracy and
AUROC of each run, and the difference of the arms' means in --judge-by over the same test images, with an interval from
resampling those images 2,000 times. Needs nothing beyond Python's own library.
"""

import argparse
import csv
import json
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
from bisect import bisect_left, bisect_right
from pathlib import Path

HERE = Path(__file__).resolve().parent


def retune(arguments, *words):
    done = subprocess.run([str(arguments.retune), *map(str, words)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode != 0:
        sys.exit(f"retune {' '.join(map(str, words))} ended with {done.returncode}:\n{done.stderr.decode(errors='replace')[-2000:]}")


def few_labels(folder, count, out):
    """A table of the first `count` images of each class folder."""
    with open(out, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "label"])
        for group in sorted(path for path in folder.iterdir() if path.is_dir()):
            for image in sorted(group.iterdir())[:count]:
                writer.writerow([image.resolve(), group.name])
    return out


def finetune(arguments, train, model, scratch, rate, seed, output):
    shutil.rmtree(output, ignore_errors=True)
    words = [
        "finetune", "--task", "image-classification", "--model", model, "--train", train, "--validation", arguments.validation,
        "--test", arguments.test, "--output", output, "--epochs", arguments.epochs, "--batch-size", arguments.batch, "--learning-rate", rate,
        "--schedule", "cosine", "--warmup", 0.1, "--weight-decay", 0.05, "--augmentation", arguments.augmentation, "--seed", seed, "--device", "cpu",
    ]
    retune(arguments, *words, *(["--from-scratch"] if scratch else ["--layer-decay", arguments.layer_decay]))
    metrics = json.loads((output / "metrics.json").read_text())
    lines = [json.loads(line) for line in (output / "predictions.jsonl").read_text().splitlines()]
    positive = sorted(lines[0]["scores"])[-1]
    return {
        "learning_rate": rate, "seed": seed, "validation": metrics["validation"][arguments.judge_by], "accuracy": metrics["test"]["accuracy"],
        "interval": metrics["intervals"]["test"]["accuracy"], "auroc": metrics["test"].get("auroc"),
        "right": [line["prediction"] == line["label"] for line in lines],
        "scores": [(line["scores"][positive], line["label"] == positive) for line in lines],
    }


def accuracy(run, chosen):
    return statistics.fmean(run["right"][i] for i in chosen)


def auroc(run, chosen):
    """Share of (positive, negative) pairs in the right order; ties count half."""
    positives, negatives = [], []
    for i in chosen:
        score, positive = run["scores"][i]
        (positives if positive else negatives).append(score)
    negatives.sort()
    below = sum(bisect_left(negatives, score) + bisect_right(negatives, score) for score in positives)
    return below / (2 * len(positives) * len(negatives))


def difference(first, second, measure):
    """The difference of the arms' means, and its 95 % interval over resampled images."""

    def gap(chosen):
        return statistics.fmean(measure(run, chosen) for run in first) - statistics.fmean(measure(run, chosen) for run in second)

    everything = range(len(first[0]["right"]))
    draw = random.Random(0)
    gaps = sorted(gap(draw.choices(everything, k=len(everything))) for _ in range(2000))
    return gap(everything), gaps[49], gaps[1949]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", required=True)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--pretrained", type=Path)
    source.add_argument("--pretrain-config", type=Path)
    parser.add_argument("--scratch", type=Path, help="whose configuration the random weights get; the pretrained model's when not given")
    parser.add_argument("--pretrain-epochs", type=int, default=40)
    parser.add_argument("--pretrain-rate", type=float, default=1e-3)
    for split in ("train", "validation", "test"):
        parser.add_argument(f"--{split}", required=True, type=Path)
    parser.add_argument("--labelled", type=int, default=0, help="per class; 0 = all")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--augmentation", default="light")
    parser.add_argument("--layer-decay", type=float, default=1.0, help="of the pretrained arm: random weights have no lower layers to keep")
    parser.add_argument("--learning-rates", default="1e-4,3e-4,1e-3")
    parser.add_argument("--judge-by", choices=["accuracy", "auroc"], default="accuracy", help="auroc: for two classes")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--retune", type=Path, default=HERE.parent / "target" / "release" / "retune")
    parser.add_argument("--results", type=Path, default=HERE.parent / "benches" / "results")
    arguments = parser.parse_args()
    rates = arguments.learning_rates.split(",")
    with tempfile.TemporaryDirectory(prefix="transfer-") as temporary:
        work = Path(temporary)
        pretrained = arguments.pretrained
        if arguments.pretrain_config:
            pretrained = work / "pretrained"
            retune(
                arguments, "finetune", "--task", "masked-image-modeling", "--model", arguments.pretrain_config, "--from-scratch", "--train", arguments.train,
                "--output", pretrained, "--epochs", arguments.pretrain_epochs, "--batch-size", 128, "--learning-rate", arguments.pretrain_rate,
                "--schedule", "cosine", "--warmup", 0.1, "--weight-decay", 0.05, "--augmentation", "light", "--device", "cpu")
            pretrained = pretrained / "model"
            print("pretrained", file=sys.stderr, flush=True)
        train = few_labels(arguments.train, arguments.labelled, work / "train.csv") if arguments.labelled else arguments.train
        arms = {}
        for arm, model, scratch in (("pretrained", pretrained, False), ("random weights", arguments.scratch or pretrained, True)):
            tried = [finetune(arguments, train, model, scratch, rate, 1, work / "run") for rate in rates]
            best = max(tried, key=lambda run: run["validation"])
            arms[arm] = [best] + [finetune(arguments, train, model, scratch, best["learning_rate"], seed, work / "run") for seed in range(2, arguments.seeds + 1)]
            print(arm, best["learning_rate"], [run[arguments.judge_by] for run in arms[arm]], file=sys.stderr, flush=True)
    gap, low, high = difference(arms["pretrained"], arms["random weights"], {"accuracy": accuracy, "auroc": auroc}[arguments.judge_by])
    lines = [
        f"# transfer-{arguments.name}",
        "",
        f"{'All' if not arguments.labelled else arguments.labelled} labelled images{' per class' if arguments.labelled else ''}, {arguments.epochs} epochs, batch {arguments.batch}, "
        f"augmentation {arguments.augmentation}; learning rate of each arm chosen on validation by {arguments.judge_by} from {', '.join(rates)}"
        + (f"; layer decay {arguments.layer_decay:g} where pretrained" if arguments.layer_decay != 1 else "")
        + (f"; pretraining: masked autoencoder, {arguments.pretrain_epochs} epochs over the training images without labels." if arguments.pretrain_config else "."),
        "",
        f"| start | learning rate | test accuracy, seeds 1–{arguments.seeds} (95 % interval of each) | mean | AUROC of each | mean |",
        "|---|---|---|---|---|---|",
    ]
    for arm, runs in arms.items():
        shown = ", ".join(f"{run['accuracy']:.3f} ({run['interval'][0]:.3f}–{run['interval'][1]:.3f})" for run in runs)
        each = [run["auroc"] for run in runs]
        judged = f"{', '.join(f'{value:.3f}' for value in each)} | {statistics.fmean(each):.3f}" if None not in each else "– | –"
        lines.append(f"| {arm} | {runs[0]['learning_rate']} | {shown} | {statistics.fmean(run['accuracy'] for run in runs):.3f} | {judged} |")
    shown = [f"{100 * value:+.1f}" if arguments.judge_by == "accuracy" else f"{value:+.3f}" for value in (gap, low, high)]
    lines += [
        "",
        f"Pretrained minus random, {'points of accuracy' if arguments.judge_by == 'accuracy' else 'AUROC'}: {shown[0]} "
        f"(95 % interval {shown[1]} to {shown[2]}) on {len(arms['pretrained'][0]['right'])} test images.",
    ]
    for runs in arms.values():
        for run in runs:
            del run["right"], run["scores"]
    arguments.results.mkdir(parents=True, exist_ok=True)
    settings = {key: getattr(arguments, key) for key in ("labelled", "epochs", "batch", "augmentation", "learning_rates", "pretrain_epochs", "pretrain_rate", "layer_decay", "judge_by", "seeds")}
    (arguments.results / f"transfer-{arguments.name}.json").write_text(json.dumps({"settings": settings, "arms": arms, "difference": [gap, low, high]}, indent=2) + "\n")
    text = "\n".join(lines) + "\n"
    (arguments.results / f"transfer-{arguments.name}.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
