#!/usr/bin/env python3
"""What Retune reaches on token classification and question answering, beside Hugging Face's Trainer with the same settings.

    bench_tasks.py --model DIR --data NAME=FOLDER [--data NAME=FOLDER ...] [--method full --method lora] [--pairs 3] [--peer-python PYTHON]

A FOLDER holds train, validation and test, as `.conll` (token classification) or as SQuAD's `.json` (question answering). Each pair
trains both programs on train with one seed, in turn, alternating who comes first, and scores the weights of the last step on
test; Retune also scores validation. Without --peer-python only Retune runs. Speed is examples (sentences, questions) a second
of training by each program's own clock, memory the peak of the process as the kernel counts it, ratios are taken within a pair.
Writes NAME-METHOD-MODE.json and .md into benches/results/, then tasks.md: one table of all such results that are there, so that
data sets can be measured one by one. Settings of each task are in TASKS; --epochs, --batch, --lr override them.
Needs nothing beyond Python's own library; the peer's packages are those of --peer-python (see peer_common.py). Exits with 1 when a
run fails, with 2 for unusable arguments.
"""

import argparse
import json
import shlex
import shutil
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench_side_by_side import HERE, RunFailed, machine_facts, mebibytes, median, name_of, run_child, warnings_of

KIND = "task"  # of result files that tasks.md is made of
SPLITS = ("train", "validation", "test")


def count_sentences(path):
    count, inside = 0, False
    with open(path, encoding="utf-8") as file:
        for line in file:
            word = bool(line.strip()) and not line.startswith("-DOCSTART-")
            count += word and not inside
            inside = word
    return count


def count_questions(path):
    return sum(len(paragraph["qas"]) for article in json.loads(path.read_text(encoding="utf-8"))["data"] for paragraph in article["paragraphs"])


@dataclass
class Task:
    """How a task is measured: the ending of its files, what both programs get, which metrics are shown (the first is compared)."""

    name: str
    ending: str
    count: callable
    epochs: int
    batch: int
    rates: dict[str, float]
    max_length: int
    more: list[str]  # further flags, the same for both
    metrics: list[str]

    @property
    def peer(self):
        return HERE / f"peer_{self.name.replace('-', '_')}.py"


TASKS = [
    Task("token-classification", ".conll", count_sentences, 4, 32, {"full": 1e-4, "lora": 1e-3}, 128, [], ["f1", "precision", "recall"]),
    Task("question-answering", ".json", count_questions, 3, 16, {"full": 1e-4, "lora": 1e-3}, 384, ["--doc-stride", "128"], ["f1", "exact_match"]),
]


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, type=Path, help="folder of the pretrained model")
    parser.add_argument("--data", required=True, action="append", metavar="NAME=FOLDER")
    parser.add_argument("--method", action="append", choices=["full", "lora"], help="may be given twice; both when not given")
    parser.add_argument("--mode", choices=["default", "tuned"], default="tuned", help="how the peer is set up")
    parser.add_argument("--precision", choices=["auto", "fp32", "bf16"], default="auto", help="of both; auto: bf16 when tuned, else fp32")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1, help="of the first pair; each further pair adds one")
    parser.add_argument("--epochs", type=int, help="in place of the task's own")
    parser.add_argument("--batch", type=int, help="in place of the task's own")
    parser.add_argument("--lr", type=float, help="in place of the task's own")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--retune", type=Path, default=HERE.parent / "target" / "release" / "retune")
    parser.add_argument("--retune-args", default="", help="further arguments for retune finetune, in one string; the report names them")
    parser.add_argument("--peer-python", type=Path, help="a Python that has torch and transformers")
    parser.add_argument("--results", type=Path, default=HERE.parent / "benches" / "results")
    arguments = parser.parse_args()
    if arguments.precision == "auto":
        arguments.precision = "bf16" if arguments.mode == "tuned" else "fp32"
    if not (arguments.model / "config.json").is_file():
        parser.error(f"{arguments.model}: holds no config.json; give the folder of a pretrained model")
    for program in (arguments.retune, arguments.peer_python):
        if program is not None and shutil.which(program) is None:
            parser.error(f"{program}: no such program; build Retune with `cargo build --release`, or name it with --retune")
    if min(arguments.pairs, arguments.epochs or 1, arguments.batch or 1) < 1:
        parser.error("--pairs, --epochs and --batch must be at least 1")
    arguments.sets = []
    for given in arguments.data:
        name, _, folder = given.partition("=")
        task = next((task for task in TASKS if all((Path(folder) / f"{split}{task.ending}").is_file() for split in SPLITS)), None)
        if not name or task is None:
            parser.error(f"--data {given}: NAME=FOLDER is expected, with train, validation and test as {' or '.join(task.ending for task in TASKS)}")
        arguments.sets.append((name, task, {split: Path(folder) / f"{split}{task.ending}" for split in SPLITS}))
    return arguments


@dataclass
class Work:
    """What both programs are asked to do."""

    name: str
    task: Task
    files: dict[str, Path]
    counts: dict[str, int]
    method: str
    epochs: int
    batch: int
    lr: float


def run_peer(arguments, work, seed, folder):
    command = [
        arguments.peer_python, work.task.peer, "--model", arguments.model, "--train", work.files["train"], "--eval", work.files["test"],
        "--epochs", work.epochs, "--batch", work.batch, "--lr", work.lr, "--max-length", work.task.max_length, *work.task.more,
        "--mode", arguments.mode, "--precision", arguments.precision, "--method", work.method, "--device", arguments.device, "--seed", seed,
    ]
    seconds, peak, text = run_child(command, folder / f"peer-{seed}.log")
    lines = [line for line in text.splitlines() if line.startswith('{"peer"')]
    if not lines:
        raise RunFailed(f"the peer printed no figures:\n{text[-2000:]}")
    figures = json.loads(lines[-1])
    return {
        "seed": seed,
        "test": {key: figures[key] for key in work.task.metrics},
        "samples_per_second": figures["samples_per_second"],
        "train_seconds": figures["train_seconds"],
        "evaluations_per_second": work.counts["test"] / figures["eval_seconds"],
        "process_seconds": seconds,
        "peak_rss_bytes": peak,
        "peak_device_bytes": figures["peak_device_bytes"],
        "trainable_parameters": figures["trainable_parameters"],
        # A step count is compared where an example is one row; windows of one question may be cut otherwise.
        "steps": figures["steps"] if work.task.name == "token-classification" else None,
        "details": figures,
    }


def run_retune(arguments, work, seed, folder):
    output = folder / f"retune-{seed}"
    command = [
        arguments.retune, "finetune", "--task", work.task.name, "--model", arguments.model, *(f"--{split}={work.files[split]}" for split in SPLITS),
        "--output", output, "--epochs", work.epochs, "--batch-size", work.batch, "--learning-rate", work.lr, "--schedule", "linear", "--warmup", 0,
        "--weight-decay", 0.01, "--clip", 1.0, "--max-length", work.task.max_length, *work.task.more, "--precision", arguments.precision,
        "--device", arguments.device, "--method", work.method, "--seed", seed,
        # As the peer: the weights of the last step. More steps than any run has, so that none before it is evaluated.
        "--evaluate-every", 10**9,
    ]
    if work.method == "lora":
        command += ["--lora-rank", 8, "--lora-alpha", 16, "--lora-dropout", 0, "--lora-targets", "query,value"]
    command += shlex.split(arguments.retune_args)
    seconds, peak, _ = run_child(command, folder / f"retune-{seed}.log")
    try:
        metrics = json.loads((output / "metrics.json").read_text())
        evaluations = [line for line in map(json.loads, (output / "log.jsonl").read_text().splitlines()) if "evaluation" in line]
        train = metrics["train"]
        figures = {
            "seed": seed,
            "test": {key: metrics["test"][key] for key in work.task.metrics},
            "intervals": metrics["intervals"]["test"],
            "baselines": {name: {key: of[key] for key in work.task.metrics if key in of} for name, of in metrics["baselines"].items()},
            "samples_per_second": work.counts["train"] * work.epochs / train["seconds"],
            "train_seconds": train["seconds"],
            "evaluations_per_second": evaluations[-1]["examples"] / evaluations[-1]["seconds"],
            "process_seconds": seconds,
            "peak_rss_bytes": peak,
            "peak_device_bytes": train.get("peak_device_memory_bytes"),
            "trainable_parameters": train["trainable_parameters"],
            "steps": train["steps"] if work.task.name == "token-classification" else None,
            "model_flops_per_second": train.get("model_flops_per_second"),
            "peak_flops_per_second": train.get("peak_flops_per_second"),
            "details": metrics,
        }
    except FileNotFoundError as error:
        raise RunFailed(f"retune left no {Path(error.filename).name}") from error
    except (IndexError, KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise RunFailed(f"metrics.json or log.jsonl: {error!r}; expected figures of training, of one evaluation and of the test split") from error
    shutil.rmtree(output)
    return figures


def mean_metrics(runs, keys):
    return {key: statistics.fmean(run["test"][key] for run in runs) for key in keys}


def summarise(pairs, task):
    """Means of the metrics over seeds; medians of the rest, ratios within pairs; a ratio above one is in Retune's favour."""
    retune = [pair["retune"] for pair in pairs]
    shares = [run["model_flops_per_second"] / run["peak_flops_per_second"] for run in retune if run["model_flops_per_second"] and run["peak_flops_per_second"]]
    keys = ("samples_per_second", "evaluations_per_second", "train_seconds", "process_seconds", "peak_rss_bytes", "peak_device_bytes")
    summary = {
        "metrics": task.metrics,
        "retune": mean_metrics(retune, task.metrics) | {key: median(retune, key) for key in keys},
        "share_of_ceiling": statistics.median(shares) if shares else None,
    }
    if "peer" not in pairs[0]:
        return summary
    peer = [pair["peer"] for pair in pairs]
    ratios = {
        key: [pair["retune"][key] / pair["peer"][key] for pair in pairs] for key in ("samples_per_second", "evaluations_per_second")
    } | {key: [pair["peer"][key] / pair["retune"][key] for pair in pairs] for key in ("process_seconds", "peak_rss_bytes")}
    return summary | {
        "peer": mean_metrics(peer, task.metrics) | {key: median(peer, key) for key in keys},
        "ratios": ratios,
        "median_ratio": {key: statistics.median(values) for key, values in ratios.items()},
    }


def points(value):
    return "–" if value is None else f"{100 * value:.1f}"


def with_interval(run, key):
    low, high = run["intervals"].get(key) or (None, None)
    return points(run["test"][key]) + ("" if low is None else f" ({points(low)}–{points(high)})")


def best_baseline(pairs, key):
    """Name and value of the strongest baseline; the first pair's, because they depend on no seed unless they are trained."""
    found = [(of[key], name) for name, of in pairs[0]["retune"]["baselines"].items() if key in of]
    return f"{points(max(found)[0])} ({max(found)[1]})" if found else "–"


def render(report):
    settings, summary, machine, pairs = report["settings"], report["summary"], report["machine"], report["pairs"]
    keys, beside = summary["metrics"], "peer" in summary
    against = f" against Hugging Face Trainer ({settings['mode']})" if beside else ""
    rows = ", ".join(f"{split} {count}" for split, count in settings["rows"].items())
    lines = [
        f"# {report['name']}",
        "",
        f"Retune{against}: {settings['task']}, {settings['model']}, {settings['set']} ({rows}), "
        f"{settings['epochs']} epochs, batch {settings['batch']}, learning rate {settings['lr']:g}, at most {settings['max_length']} tokens, "
        f"{settings['precision']}, {settings['method']}, {settings['device']}; {len(pairs)} {'pairs, alternating' if beside else 'runs'}.",
        "",
        "| | Retune | Hugging Face | ratio |",
        "|---|---|---|---|",
    ]

    def row(title, key, show, factor=None):
        peer = show(summary["peer"][key]) if beside else "–"
        lines.append(f"| {title} | {show(summary['retune'][key])} | {peer} | {'' if factor is None else f'{factor:.2f}×'} |")

    ratio = summary.get("median_ratio", {})
    for key in keys:
        row(f"{key}, mean", key, points)
    row("training, examples/s", "samples_per_second", lambda v: f"{v:.1f}", ratio.get("samples_per_second"))
    row("evaluation, examples/s", "evaluations_per_second", lambda v: f"{v:.1f}", ratio.get("evaluations_per_second"))
    row("training, s", "train_seconds", lambda v: f"{v:.1f}")
    row("whole process, s", "process_seconds", lambda v: f"{v:.1f}", ratio.get("process_seconds"))
    row("peak memory, MiB", "peak_rss_bytes", mebibytes, ratio.get("peak_rss_bytes"))
    if settings["device"] == "cuda":
        row("peak device memory, MiB", "peak_device_bytes", mebibytes)
    lines += ["", "Metrics are percentages on test. A ratio above one is in Retune's favour; it is the median of the ratios within pairs. Retune's process also scores the validation split."]
    if summary["share_of_ceiling"] is not None:
        lines.append(f"Retune's arithmetic: {100 * summary['share_of_ceiling']:.0f} % of the machine's matrix-product ceiling for this precision.")
    lines.append(f"Baseline that trains no model: {keys[0]} {best_baseline(pairs, keys[0])}.")
    lines += [f"**Unequal work:** {warning}." for warning in report["warnings"]]
    lines += ["", "| seed | first | " + " | ".join(f"Retune {key} (95 % interval) | HF {key}" for key in keys) + " | Retune /s | HF /s | Retune MiB | HF MiB |",
              "|---" * (6 + 2 * len(keys)) + "|"]
    for pair in pairs:
        a, b = pair["retune"], pair.get("peer")
        cells = [str(a["seed"]), pair["first"]]
        for key in keys:
            cells += [with_interval(a, key), points(b["test"][key]) if b else "–"]
        cells += [f"{a['samples_per_second']:.1f}", f"{b['samples_per_second']:.1f}" if b else "–", mebibytes(a["peak_rss_bytes"]), mebibytes(b["peak_rss_bytes"]) if b else "–"]
        lines.append(f"| {' | '.join(cells)} |")
    versions = ", ".join(f"{name} {version}" for name, version in pairs[0]["peer"]["details"]["versions"].items()) if beside else ""
    generation = f" (family {machine['cpu_family']}, model {machine['model']})" if "cpu_family" in machine and "model" in machine else ""
    memory = f", {machine['memory_bytes'] / 2**30:.0f} GiB" if "memory_bytes" in machine else ""
    lines += ["", f"Machine: {machine['cpu']}{generation}, {machine['cores']} cores{memory}; {machine['system']}; {machine['retune']}{'; ' if versions else ''}{versions}."]
    if settings["retune_args"]:
        lines.append(f"Further arguments of retune: `{settings['retune_args']}`.")
    return "\n".join(lines) + "\n"


def render_all(reports):
    """One table of all results: a line for each data set and method."""
    lines = [
        "# tasks",
        "",
        "Test splits; the metric is the mean over seeds, the interval (95 %) that of the first seed. Speed and memory beside Hugging Face's Trainer, median of pairs.",
        "",
        "| data | method | metric | Retune | Trainer | baseline | training, examples/s | ratio | memory |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for report in reports:
        settings, summary, first = report["settings"], report["summary"], report["pairs"][0]["retune"]
        ratio = summary.get("median_ratio")
        for place, key in enumerate(summary["metrics"]):
            if place and key in ("precision", "recall"):
                continue
            interval = first["intervals"].get(key)
            what = "questions" if settings["task"] == "question-answering" else "sentences"
            cells = [
                f"{settings['set']} ({settings['rows']['train']:,} {what})", f"`{settings['method']}`", key,
                points(summary["retune"][key]) + (f" ({points(interval[0])}–{points(interval[1])})" if interval else ""),
                points(summary["peer"][key]) if ratio else "–", best_baseline(report["pairs"], key),
            ]
            if place:
                cells += ["", "", ""]
            else:
                speed = f"{summary['retune']['samples_per_second']:.0f}"
                cells += [f"{speed} against {summary['peer']['samples_per_second']:.0f}", f"{ratio['samples_per_second']:.2f}×", f"{1 / ratio['peak_rss_bytes']:.2f}×"] if ratio else [speed, "–", "–"]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def write(path, text):
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def measure(arguments, work, machine):
    sides = {"retune": run_retune, "peer": run_peer} if arguments.peer_python else {"retune": run_retune}
    pairs = []
    with tempfile.TemporaryDirectory(prefix="tasks-") as temporary:
        for number in range(arguments.pairs):
            # Whoever runs second finds warm file caches and a warm processor, so the order swaps.
            order = list(sides) if number % 2 == 0 else list(reversed(sides))
            pair = {"first": order[0]}
            for side in order:
                pair[side] = run = sides[side](arguments, work, arguments.seed + number, Path(temporary))
                shown = ", ".join(f"{key} {points(value)}" for key, value in run["test"].items())
                print(f"{work.name} {work.method} {number + 1}/{arguments.pairs} {side}: {shown}, {run['samples_per_second']:.1f} examples/s, {mebibytes(run['peak_rss_bytes'])} MiB", file=sys.stderr, flush=True)
            pairs.append(pair)
    # Names alone: where the files lie is no fact about the run.
    settings = {
        "set": work.name, "task": work.task.name, "model": name_of(arguments.model.resolve()), "rows": work.counts, "method": work.method, "epochs": work.epochs,
        "batch": work.batch, "lr": work.lr, "max_length": work.task.max_length,
        **{key: getattr(arguments, key) for key in ("mode", "precision", "device", "seed", "retune_args")},
    }
    return {
        "kind": KIND, "name": f"{work.name}-{work.method}-{arguments.mode}", "settings": settings, "machine": machine, "summary": summarise(pairs, work.task),
        "warnings": warnings_of(pairs) if arguments.peer_python else [], "pairs": pairs,
    }


def main():
    arguments = parse_arguments()
    machine = machine_facts(arguments)
    arguments.results.mkdir(parents=True, exist_ok=True)
    for name, task, files in arguments.sets:
        counts = {split: task.count(path) for split, path in files.items()}
        for method in arguments.method or ["full", "lora"]:
            work = Work(name, task, files, counts, method, arguments.epochs or task.epochs, arguments.batch or task.batch, arguments.lr or task.rates[method])
            try:
                report = measure(arguments, work, machine)
            except RunFailed as error:
                print(f"{name}, {method}: {error}", file=sys.stderr)
                raise SystemExit(1)
            text = render(report)
            write(arguments.results / f"{report['name']}.json", json.dumps(report, indent=2, ensure_ascii=False) + "\n")
            write(arguments.results / f"{report['name']}.md", text)
            print(text)
    reports = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(arguments.results.glob("*.json"))]
    text = render_all([report for report in reports if isinstance(report, dict) and report.get("kind") == KIND])
    write(arguments.results / "tasks.md", text)
    print(text)


if __name__ == "__main__":
    main()
