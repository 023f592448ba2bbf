#!/usr/bin/env python3
"""What pretraining is worth on images: a pretrained small ViT against random weights with the same budget.

    bench_transfer.py --name NAME --pretrained DIR --scratch DIR --train T --validation V --test T [--labelled N] [--epochs E]
    bench_transfer.py --name NAME --pretrain-config DIR --train ... (pretrains first: a masked autoencoder on all of --train)

Both arms get the same labelled images (the first N of each class, where --labelled is given), steps, batch size and
augmentation. Each arm's learning rate is the one of --learning-rates that is best on --validation with seed 1; the test split
is then scored for seeds 1 to 3. Writes a Markdown table and a JSON file into benches/results/: accuracy and AUROC with the
intervals of each run, and the difference of the arms over the same test images with an interval from resampling images
(2,000 times, the seeds' correctness averaged per image). Needs nothing beyond Python's own library.
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
    right = [line["prediction"] == line["label"] for line in map(json.loads, (output / "predictions.jsonl").read_text().splitlines())]
    return {
        "learning_rate": rate, "seed": seed, "validation": metrics["validation"]["accuracy"], "accuracy": metrics["test"]["accuracy"],
        "interval": metrics["intervals"]["test"]["accuracy"], "auroc": metrics["test"].get("auroc"), "right": right,
    }


def mean_right(runs):
    return [sum(run["right"][i] for run in runs) / len(runs) for i in range(len(runs[0]["right"]))]


def difference(first, second):
    """Mean difference per image, and its 95 % interval over resampled images."""
    gaps = [a - b for a, b in zip(mean_right(first), mean_right(second))]
    draw = random.Random(0)
    means = sorted(statistics.fmean(draw.choices(gaps, k=len(gaps))) for _ in range(2000))
    return statistics.fmean(gaps), means[49], means[1949]


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
            arms[arm] = [best] + [finetune(arguments, train, model, scratch, best["learning_rate"], seed, work / "run") for seed in (2, 3)]
            print(arm, best["learning_rate"], [run["accuracy"] for run in arms[arm]], file=sys.stderr, flush=True)
    gap, low, high = difference(arms["pretrained"], arms["random weights"])
    lines = [
        f"# transfer-{arguments.name}",
        "",
        f"{'All' if not arguments.labelled else arguments.labelled} labelled images{' per class' if arguments.labelled else ''}, {arguments.epochs} epochs, batch {arguments.batch}, "
        f"augmentation {arguments.augmentation}; learning rate of each arm chosen on validation from {', '.join(rates)}"
        + (f"; layer decay {arguments.layer_decay:g} where pretrained" if arguments.layer_decay != 1 else "")
        + (f"; pretraining: masked autoencoder, {arguments.pretrain_epochs} epochs over the training images without labels." if arguments.pretrain_config else "."),
        "",
        "| start | learning rate | test accuracy, seeds 1–3 (95 % interval of each) | mean | AUROC, mean |",
        "|---|---|---|---|---|",
    ]
    for arm, runs in arms.items():
        shown = ", ".join(f"{run['accuracy']:.3f} ({run['interval'][0]:.3f}–{run['interval'][1]:.3f})" for run in runs)
        auroc = statistics.fmean(run["auroc"] for run in runs) if all(run["auroc"] is not None for run in runs) else None
        lines.append(f"| {arm} | {runs[0]['learning_rate']} | {shown} | {statistics.fmean(run['accuracy'] for run in runs):.3f} | {'–' if auroc is None else f'{auroc:.3f}'} |")
    lines += ["", f"Pretrained minus random: {100 * gap:+.1f} points (95 % interval {100 * low:+.1f} to {100 * high:+.1f}) on {len(arms['pretrained'][0]['right'])} test images."]
    for runs in arms.values():
        for run in runs:
            del run["right"]
    arguments.results.mkdir(parents=True, exist_ok=True)
    settings = {key: getattr(arguments, key) for key in ("labelled", "epochs", "batch", "augmentation", "learning_rates", "pretrain_epochs", "pretrain_rate", "layer_decay")}
    (arguments.results / f"transfer-{arguments.name}.json").write_text(json.dumps({"settings": settings, "arms": arms, "difference": [gap, low, high]}, indent=2) + "\n")
    text = "\n".join(lines) + "\n"
    (arguments.results / f"transfer-{arguments.name}.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
