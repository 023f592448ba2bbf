#!/usr/bin/env python3
"""What Retune reaches on tasks beyond text classification, beside Hugging Face's Trainer (instructions: TRL; recommendation: PyTorch) with the same settings.

    bench_tasks.py --model DIR --data NAME=FOLDER [--data NAME=FOLDER ...] [--method full --method lora] [--pairs 3] [--peer-python PYTHON]

A FOLDER holds train, validation and test: TASKS says in which form each task has them, and which it is, unless --task does. Each pair
trains both programs on train with one seed, in turn, alternating who comes first, and scores the weights of the last step on
test; Retune also scores validation. Without --peer-python only Retune runs. Speed is examples (sentences, questions, words of running
text, …) a second of training by each program's own clock, memory the peak of the process as the kernel counts it, ratios are taken
within a pair.
Writes NAME-METHOD-MODE.json and .md into benches/results/, then tasks.md: one table of all such results that are there, so that
data sets can be measured one by one. Settings of each task are in TASKS; --epochs, --batch, --lr, --set override them.
Needs nothing beyond Python's own library; the peer's packages are those of --peer-python (see peer_common.py). Exits with 1 when a
run fails, with 2 for unusable arguments.
"""

import argparse
import csv
import json
import shlex
import shutil
import statistics
import sys
import tempfile
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from bench_side_by_side import HERE, RunFailed, machine_facts, mebibytes, median, name_of, run_child, warnings_of

KIND = "task"  # of result files that tasks.md is made of
SPLITS = ("train", "validation", "test")


# ---- how files are found and counted ----


def files_of(*endings, columns=()):
    """Finds train, validation and test with one of these endings; of tables those that have a column of each group."""

    def find(folder):
        for ending in endings:
            files = {split: folder / f"{split}{ending}" for split in SPLITS}
            if all(path.is_file() for path in files.values()):
                return files if all(any(name in header(files["train"]) for name in group) for group in columns) else None
        return None

    return find


def folders_of(*parts):
    """Finds folders train, validation and test that each hold one of these."""

    def find(folder):
        files = {split: folder / split for split in SPLITS}
        return files if all(any((path / part).exists() for part in parts) for path in files.values()) else None

    return find


def first_of(*ways):
    return lambda folder: next((files for way in ways if (files := way(folder))), None)


def header(path):
    with open(path, newline="", encoding="utf-8-sig") as file:
        return next(csv.reader(file), [])


def find_pairs(folder):
    """Tables of two columns, or of `source` and `target`."""
    files = files_of(".csv")(folder)
    columns = header(files["train"]) if files else []
    return files if len(columns) == 2 and not {"label", "transcription"} & set(columns) or {"source", "target"} <= set(columns) else None


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


def count_words(path):
    return len(path.read_text(encoding="utf-8-sig").split())


def count_lines(path):
    with open(path, encoding="utf-8") as file:
        return sum(1 for _ in file)


def count_rows(path):
    with open(path / "metadata.csv" if path.is_dir() else path, newline="", encoding="utf-8-sig") as file:
        return sum(1 for _ in csv.DictReader(file))


def count_images(path):
    folder = path / "images" if (path / "images").is_dir() else path
    return sum(1 for file in folder.iterdir() if file.suffix.lower() in (".jpg", ".jpeg", ".png"))


def columns_of_pairs(files):
    columns = header(files["train"])
    source, target = ("source", "target") if "source" in columns else columns[:2]
    return {"source-column": source, "target-column": target}


# ---- the tasks ----


@dataclass
class Task:
    """How a task is measured: how its files are found and counted, what both programs get, which metrics are shown (the first is compared)."""

    name: str
    unit: str  # what is counted
    find: callable
    count: callable
    epochs: int
    batch: int
    rates: dict[str, float]
    flags: dict[str, object]  # further ones, the same for both
    metrics: list[str]
    of_files: callable = lambda files: {}  # flags that the files say
    peer_of_files: callable = lambda files: {}  # those of the peer alone
    retune: dict[str, object] = field(default_factory=dict)  # flags of Retune alone
    warmup: float = 0
    lora_targets: str = "query,value"
    same_steps: bool = True  # whether an example is as many rows in both programs
    retune_task: str = ""  # as Retune calls it, where that is another name

    @property
    def peer(self):
        return HERE / f"peer_{self.name.replace('-', '_')}.py"


TASKS = [
    Task(
        "token-classification", "sentences", files_of(".conll"), count_sentences, 4, 32, {"full": 1e-4, "lora": 1e-3},
        {"max-length": 128}, ["f1", "precision", "recall"],
    ),
    # Windows of one question may be cut otherwise.
    Task(
        "question-answering", "questions", files_of(".json"), count_questions, 3, 16, {"full": 1e-4, "lora": 1e-3},
        {"max-length": 384, "doc-stride": 128}, ["f1", "exact_match"], same_steps=False,
    ),
    Task(
        "causal-lm", "words", files_of(".txt"), count_words, 1, 4, {"full": 5e-5, "lora": 5e-4},
        {"block-size": 256}, ["perplexity"], warmup=0.06, lora_targets="q_proj,v_proj",
    ),
    Task(
        "instructions", "answers", files_of(".jsonl"), count_lines, 1, 8, {"full": 5e-5, "lora": 5e-4}, {"block-size": 256}, ["perplexity"], retune={"answered-rows": 0}, warmup=0.06, lora_targets="q_proj,v_proj", retune_task="causal-lm",
    ),
    Task(
        "translation", "pairs", find_pairs, count_rows, 10, 32, {"full": 1e-3, "lora": 3e-3},
        {"max-length": 128, "target-length": 128, "beams": 4, "max-new-tokens": 64}, ["bleu"], of_files=columns_of_pairs, warmup=0.06, lora_targets="q_proj,v_proj",
    ),
    Task(
        "semantic-segmentation", "images", folders_of("masks"), count_images, 5, 8, {"full": 5e-4, "lora": 1e-3},
        {}, ["mean_iou", "pixel_accuracy"], retune={"augmentation": "none"}, warmup=0.06,
    ),
    Task(
        "object-detection", "images", folders_of("annotations.coco.json", "_annotations.coco.json"), count_images, 5, 8, {"full": 1e-4, "lora": 1e-3},
        {}, ["map", "map_50", "map_75"], retune={"augmentation": "none"}, warmup=0.06,
    ),
    Task(
        "speech-recognition", "recordings",
        first_of(folders_of("metadata.csv"), files_of(".csv", columns=[("file_name",), ("transcription",)])),
        count_rows, 2, 8, {"full": 1e-5, "lora": 1e-3}, {}, ["wer"], retune={"normalization": "basic"}, warmup=0.06, lora_targets="q_proj,v_proj",
    ),
    # Of the model its configuration alone: both start from random weights, and rows are stretches of histories.
    Task(
        "recommendation", "interactions", files_of(".csv", columns=[("user_id",), ("item_id",), ("timestamp",)]), count_rows, 20, 64, {"full": 1e-3},
        {"history-length": 50, "dropout": 0.2}, ["ndcg_at_10", "hit_rate_at_10", "mrr"], peer_of_files=lambda files: {"validation": files["validation"]},
        retune={"from-scratch": "true"}, warmup=0.06,
    ),
]
LESS_IS_BETTER = ("perplexity", "wer")
NO_SHARES = ("perplexity", "bleu")  # the others are shown as percentages


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, type=Path, help="folder of the pretrained model")
    parser.add_argument("--data", required=True, action="append", metavar="NAME=FOLDER")
    parser.add_argument("--task", choices=[task.name for task in TASKS], help="of all --data; else each folder tells it")
    parser.add_argument("--method", action="append", choices=["full", "lora"], help="may be given twice; all that the task has when not given")
    parser.add_argument("--mode", choices=["default", "tuned"], default="tuned", help="how the peer is set up")
    parser.add_argument("--precision", choices=["auto", "fp32", "bf16"], default="auto", help="of both; auto: bf16 when tuned, else fp32")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1, help="of the first pair; each further pair adds one")
    parser.add_argument("--epochs", type=int, help="in place of the task's own")
    parser.add_argument("--batch", type=int, help="in place of the task's own")
    parser.add_argument("--lr", type=float, help="in place of the task's own")
    parser.add_argument("--set", action="append", default=[], metavar="FLAG=VALUE", help="a flag of both programs, in place of the task's own")
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
    if not all("=" in given for given in arguments.set):
        parser.error("--set: FLAG=VALUE is expected, such as block-size=128")
    arguments.flags = dict(given.split("=", 1) for given in arguments.set)
    arguments.sets = []
    for given in arguments.data:
        name, _, folder = given.partition("=")
        fitting = [(task, files) for task in TASKS if arguments.task in (None, task.name) and (files := task.find(Path(folder)))]
        if not name or not fitting:
            parser.error(f"--data {given}: NAME=FOLDER is expected, with train, validation and test of {arguments.task or 'one of the tasks'}; see TASKS for their files")
        if len(fitting) > 1:
            parser.error(f"--data {given}: may be of {' or '.join(task.name for task, _ in fitting)}; say which with --task")
        if missing := set(arguments.method or ()) - set(fitting[0][0].rates):
            parser.error(f"--method {missing.pop()}: {fitting[0][0].name} starts from random weights, which learn as a whole")
        arguments.sets.append((name, *fitting[0]))
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
    flags: dict[str, object]


def as_words(flags):
    return [f"--{name}={value}" for name, value in flags.items()]


def run_peer(arguments, work, seed, folder):
    command = [
        arguments.peer_python, work.task.peer, "--model", arguments.model, "--train", work.files["train"], "--eval", work.files["test"],
        "--epochs", work.epochs, "--batch", work.batch, "--lr", work.lr, "--warmup", work.task.warmup, *as_words(work.flags), "--lora-targets", work.task.lora_targets,
        *as_words(work.task.peer_of_files(work.files)), "--mode", arguments.mode, "--precision", arguments.precision, "--method", work.method, "--device", arguments.device, "--seed", seed,
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
        "steps": figures["steps"] if work.task.same_steps else None,
        "details": figures,
    }


def run_retune(arguments, work, seed, folder):
    output = folder / f"retune-{seed}"
    command = [
        arguments.retune, "finetune", "--task", work.task.retune_task or work.task.name, "--model", arguments.model, *(f"--{split}={work.files[split]}" for split in SPLITS),
        "--output", output, "--epochs", work.epochs, "--batch-size", work.batch, "--learning-rate", work.lr, "--schedule", "linear", "--warmup", work.task.warmup,
        "--weight-decay", 0.01, "--clip", 1.0, *as_words(work.flags), *as_words(work.task.retune), "--precision", arguments.precision,
        "--device", arguments.device, "--method", work.method, "--seed", seed,
        # As the peer: the weights of the last step. More steps than any run has, so that none before it is evaluated.
        "--evaluate-every", 10**9,
    ]
    if work.method == "lora":
        command += ["--lora-rank", 8, "--lora-alpha", 16, "--lora-dropout", 0, "--lora-targets", work.task.lora_targets]
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
            "evaluations_per_second": work.counts["validation"] / evaluations[-1]["seconds"],
            "process_seconds": seconds,
            "peak_rss_bytes": peak,
            "peak_device_bytes": train.get("peak_device_memory_bytes"),
            "trainable_parameters": train["trainable_parameters"],
            "steps": train["steps"] if work.task.same_steps else None,
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


def points(key, value):
    return "–" if value is None else f"{value:.2f}" if key in NO_SHARES else f"{100 * value:.1f}"


def rate(value):
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"


def with_interval(run, key):
    low, high = run["intervals"].get(key) or (None, None)
    return points(key, run["test"][key]) + ("" if low is None else f" ({points(key, low)}–{points(key, high)})")


def best_baseline(pairs, key):
    """Name and value of the strongest baseline; the first pair's, because they depend on no seed unless they are trained."""
    found = [(of[key], name) for name, of in pairs[0]["retune"]["baselines"].items() if key in of]
    if not found:
        return "–"
    value, name = (min if key in LESS_IS_BETTER else max)(found)
    return f"{points(key, value)} ({name})"


def render(report):
    settings, summary, machine, pairs = report["settings"], report["summary"], report["machine"], report["pairs"]
    keys, beside = summary["metrics"], "peer" in summary
    who = pairs[0]["peer"]["details"]["peer"] if beside else "peer"
    against = f" against {who} ({settings['mode']})" if beside else ""
    rows = ", ".join(f"{split} {count}" for split, count in settings["rows"].items())
    at_most = f"at most {settings['max_length']} tokens, " if settings["max_length"] else ""
    lines = [
        f"# {report['name']}",
        "",
        f"Retune{against}: {settings['task']}, {settings['model']}, {settings['set']} ({rows}), "
        f"{settings['epochs']} epochs, batch {settings['batch']}, learning rate {settings['lr']:g}, {at_most}"
        f"{settings['precision']}, {settings['method']}, {settings['device']}; {len(pairs)} {'pairs, alternating' if beside else 'runs'}.",
        "",
        f"| | Retune | {who} | ratio |",
        "|---|---|---|---|",
    ]

    def row(title, key, show, factor=None):
        peer = show(summary["peer"][key]) if beside else "–"
        lines.append(f"| {title} | {show(summary['retune'][key])} | {peer} | {'' if factor is None else f'{factor:.2f}×'} |")

    ratio = summary.get("median_ratio", {})
    for key in keys:
        row(f"{key}, mean", key, partial(points, key))
    row("training, examples/s", "samples_per_second", lambda v: f"{v:.1f}", ratio.get("samples_per_second"))
    row("evaluation, examples/s", "evaluations_per_second", lambda v: f"{v:.1f}", ratio.get("evaluations_per_second"))
    row("training, s", "train_seconds", lambda v: f"{v:.1f}")
    row("whole process, s", "process_seconds", lambda v: f"{v:.1f}", ratio.get("process_seconds"))
    row("peak memory, MiB", "peak_rss_bytes", mebibytes, ratio.get("peak_rss_bytes"))
    if settings["device"] == "cuda":
        row("peak device memory, MiB", "peak_device_bytes", mebibytes)
    lines += ["", "Metrics are those of test, in percent where they are shares. A ratio above one is in Retune's favour; it is the median of the ratios within pairs. Retune's process also scores the validation split."]
    if summary["share_of_ceiling"] is not None:
        lines.append(f"Retune's arithmetic: {100 * summary['share_of_ceiling']:.0f} % of the machine's matrix-product ceiling for this precision.")
    lines.append(f"Baseline that trains no model: {keys[0]} {best_baseline(pairs, keys[0])}.")
    lines += [f"**Unequal work:** {warning}." for warning in report["warnings"]]
    lines += ["", "| seed | first | " + " | ".join(f"Retune {key} (95 % interval) | peer {key}" for key in keys) + " | Retune /s | peer /s | Retune MiB | peer MiB |",
              "|---" * (6 + 2 * len(keys)) + "|"]
    for pair in pairs:
        a, b = pair["retune"], pair.get("peer")
        cells = [str(a["seed"]), pair["first"]]
        for key in keys:
            cells += [with_interval(a, key), points(key, b["test"][key]) if b else "–"]
        cells += [f"{a['samples_per_second']:.1f}", f"{b['samples_per_second']:.1f}" if b else "–", mebibytes(a["peak_rss_bytes"]), mebibytes(b["peak_rss_bytes"]) if b else "–"]
        lines.append(f"| {' | '.join(cells)} |")
    versions = ", ".join(f"{name} {version}" for name, version in pairs[0]["peer"]["details"]["versions"].items()) if beside else ""
    generation = f" (family {machine['cpu_family']}, model {machine['model']})" if "cpu_family" in machine and "model" in machine else ""
    memory = f", {machine['memory_bytes'] / 2**30:.0f} GiB" if "memory_bytes" in machine else ""
    lines += ["", f"Machine: {machine['cpu']}{generation}, {machine['cores']} cores{memory}; {machine['system']}; {machine['retune']}{'; ' if versions else ''}{versions}."]
    if settings.get("flags"):
        lines.append(f"Flags of both: `{shlex.join(map(str, as_words(settings['flags'])))}`.")
    if settings["retune_args"]:
        lines.append(f"Further arguments of retune: `{settings['retune_args']}`.")
    return "\n".join(lines) + "\n"


def processor(machine):
    """Its name, and its kind in short: family/model."""
    kind = f" {machine['cpu_family']}/{machine['model']}" if "cpu_family" in machine and "model" in machine else ""
    return machine["cpu"].replace("(R)", "").removesuffix(" Processor") + kind


def render_all(reports):
    """One table of all results: a line for each data set and method."""
    lines = [
        "# tasks",
        "",
        "Test splits; the metric is the mean over seeds, the interval (95 %) that of the first seed. Speed and memory beside a peer (Hugging Face's Trainer; TRL for instructions, PyTorch for recommendation), median of pairs.",
        "",
        "| data | method | metric | Retune | peer | baseline | training, examples/s | ratio | memory | on |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for report in reports:
        settings, summary, first = report["settings"], report["summary"], report["pairs"][0]["retune"]
        ratio = summary.get("median_ratio")
        for place, key in enumerate(summary["metrics"]):
            if place and key in ("precision", "recall"):
                continue
            interval = first["intervals"].get(key)
            what = next(task.unit for task in TASKS if task.name == settings["task"])
            cells = [
                f"{settings['set']} ({settings['rows']['train']:,} {what})", f"`{settings['method']}`", key,
                points(key, summary["retune"][key]) + (f" ({points(key, interval[0])}–{points(key, interval[1])})" if interval else ""),
                points(key, summary["peer"][key]) if ratio else "–", best_baseline(report["pairs"], key),
            ]
            if place:
                cells += ["", "", "", ""]
            else:
                speed = rate(summary["retune"]["samples_per_second"])
                cells += [f"{speed} against {rate(summary['peer']['samples_per_second'])}", f"{ratio['samples_per_second']:.2f}×", f"{1 / ratio['peak_rss_bytes']:.2f}×"] if ratio else [speed, "–", "–"]
                cells.append(f"{settings['precision']}, {processor(report['machine'])}")
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
                shown = ", ".join(f"{key} {points(key, value)}" for key, value in run["test"].items())
                print(f"{work.name} {work.method} {number + 1}/{arguments.pairs} {side}: {shown}, {run['samples_per_second']:.1f} examples/s, {mebibytes(run['peak_rss_bytes'])} MiB", file=sys.stderr, flush=True)
            pairs.append(pair)
    # Names alone: where the files lie is no fact about the run.
    settings = {
        "set": work.name, "task": work.task.name, "model": name_of(arguments.model.resolve()), "rows": work.counts, "method": work.method, "epochs": work.epochs,
        "batch": work.batch, "lr": work.lr, "max_length": work.flags.get("max-length") or work.flags.get("block-size"), "flags": work.flags,
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
        flags = task.flags | task.of_files(files) | arguments.flags
        for method in arguments.method or task.rates:
            work = Work(name, task, files, counts, method, arguments.epochs or task.epochs, arguments.batch or task.batch, arguments.lr or task.rates[method], flags)
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
