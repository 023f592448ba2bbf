#!/usr/bin/env python3
"""Side-by-side runs of Retune and Hugging Face Trainer on the same work; the order alternates within and between pairs.

    bench_side_by_side.py --model DIR --train train.csv --eval test.csv [--pairs 3] [--mode default|tuned] ...

Both get the same model folder, data, epochs, batch size, learning rate, schedule, maximal length, seed and device. Both train on
all of --train and evaluate once, after the last step, on --eval. Measured are samples per second of training (each
program's own figure), seconds of the whole process, and peak memory as the kernel counts it for the child process.
Ratios are taken within a pair, because figures of one machine drift; the report gives their median.
Writes a Markdown table and a JSON file into benches/results/. Needs nothing beyond Python's own library; the peer's packages
are those of --peer-python. Exits with 1 when a run fails, with 2 for unusable arguments.
"""

import argparse
import csv
import json
import math
import os
import platform
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, type=Path, help="folder of the pretrained model")
    parser.add_argument("--train", required=True, type=Path)
    parser.add_argument("--eval", required=True, type=Path)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--eval-batch", type=int, default=32)
    parser.add_argument("--lr", type=float, default=5e-5)
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--mode", choices=["default", "tuned"], default="default", help="how the peer is set up")
    parser.add_argument("--precision", choices=["auto", "fp32", "bf16", "fp16"], default="auto", help="of both; auto: bf16 when tuned, else fp32")
    parser.add_argument("--peer-precision", choices=["auto", "fp32", "bf16", "fp16"], default="auto", help="of the peer alone; auto: as --precision")
    parser.add_argument("--method", choices=["full", "lora", "head"], default="full")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--seed", type=int, default=42, help="of the first pair; each further pair adds one")
    parser.add_argument("--retune", type=Path, default=HERE.parent / "target" / "release" / "retune")
    parser.add_argument("--retune-args", default="", help="further arguments for retune finetune, in one string; the report names them")
    parser.add_argument("--peer-python", type=Path, default=Path(sys.executable), help="a Python that has torch and transformers")
    parser.add_argument("--results", type=Path, default=HERE.parent / "benches" / "results")
    parser.add_argument("--name", help="of the result files; made from the settings when not given")
    arguments = parser.parse_args()
    if arguments.precision == "auto":
        arguments.precision = "bf16" if arguments.mode == "tuned" else "fp32"
    if arguments.peer_precision == "auto":
        arguments.peer_precision = arguments.precision
    for path in (arguments.train, arguments.eval):
        if not path.is_file():
            parser.error(f"{path}: no such file")
    if not (arguments.model / "config.json").is_file():
        parser.error(f"{arguments.model}: holds no config.json; give the folder of a pretrained model")
    if shutil.which(arguments.retune) is None:
        parser.error(f"{arguments.retune}: no such program; build it with `cargo build --release`, or name it with --retune")
    if shutil.which(arguments.peer_python) is None:
        parser.error(f"{arguments.peer_python}: no such program; name a Python that has torch and transformers with --peer-python")
    if min(arguments.pairs, arguments.epochs, arguments.batch, arguments.eval_batch, arguments.max_length) < 1:
        parser.error("--pairs, --epochs, --batch, --eval-batch and --max-length must be at least 1")
    return arguments


def name_of(folder):
    """A folder's own name; the one above it where the folder is just called `model`."""
    return folder.parent.name if folder.name == "model" else folder.name


def count_rows(path):
    with open(path, newline="", encoding="utf-8-sig") as file:
        return sum(1 for _ in csv.DictReader(file))


class RunFailed(Exception):
    """A child ended with another status than 0, or left no figures."""


def run_child(command, log):
    """Seconds, peak resident bytes and standard output of one child.

    The peak is the kernel's for the child and what the child waited for. This driver stays small, because a child counts
    its parent's size until it has started its own program.
    """
    with open(log, "w+b") as errors, tempfile.TemporaryFile() as output:
        started = time.perf_counter()
        child = subprocess.Popen(list(map(str, command)), stdout=output, stderr=errors, stdin=subprocess.DEVNULL)
        try:
            _, status, usage = os.wait4(child.pid, 0)
        except BaseException:
            child.kill()
            raise
        seconds = time.perf_counter() - started
        child.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read().decode(errors="replace")
        if child.returncode != 0:
            errors.seek(0)
            tail = errors.read().decode(errors="replace")[-2000:]
            raise RunFailed(f"{shlex.join(map(str, command))} ended with {child.returncode}:\n{tail}")
    unit = 1 if sys.platform == "darwin" else 1024
    return seconds, usage.ru_maxrss * unit, text


def run_peer(arguments, seed, work):
    command = [
        arguments.peer_python, HERE / "peer_text_classification.py", "--model", arguments.model, "--train", arguments.train, "--eval", arguments.eval,
        "--epochs", arguments.epochs, "--batch", arguments.batch, "--eval-batch", arguments.eval_batch, "--lr", arguments.lr, "--max-length", arguments.max_length,
        "--mode", arguments.mode, "--precision", arguments.peer_precision, "--method", arguments.method, "--device", arguments.device, "--seed", seed,
    ]
    seconds, peak, text = run_child(command, work / f"peer-{seed}.log")
    lines = [line for line in text.splitlines() if line.startswith('{"peer"')]
    if not lines:
        raise RunFailed(f"the peer printed no figures:\n{text[-2000:]}")
    figures = json.loads(lines[-1])
    return {
        "seed": seed,
        "process_seconds": seconds,
        "train_seconds": figures["train_seconds"],
        "samples_per_second": figures["samples_per_second"],
        "accuracy": figures["accuracy"],
        "evaluations_per_second": count_rows(arguments.eval) / figures["eval_seconds"],
        "peak_rss_bytes": peak,
        "peak_device_bytes": figures["peak_device_bytes"],
        "trainable_parameters": figures["trainable_parameters"],
        "steps": figures["steps"],
        "details": figures,
    }


def run_retune(arguments, seed, work):
    output = work / f"retune-{seed}"
    steps = math.ceil(count_rows(arguments.train) / arguments.batch) * arguments.epochs
    command = [
        arguments.retune, "finetune", "--task", "text-classification", "--model", arguments.model, "--train", arguments.train,
        "--validation", arguments.eval, "--output", output, "--epochs", arguments.epochs, "--batch-size", arguments.batch,
        "--learning-rate", arguments.lr, "--schedule", "linear", "--warmup", 0, "--weight-decay", 0.01, "--clip", 1.0,
        "--max-length", arguments.max_length, "--precision", arguments.precision, "--device", arguments.device, "--method", arguments.method,
        # As the peer: one evaluation, after the last step.
        "--seed", seed, "--evaluate-every", steps, "--evaluation-batch-size", arguments.eval_batch,
    ]
    if arguments.method == "lora":
        command += ["--lora-rank", 8, "--lora-alpha", 16, "--lora-dropout", 0, "--lora-targets", "query,value"]
    command += shlex.split(arguments.retune_args)
    seconds, peak, _ = run_child(command, work / f"retune-{seed}.log")
    metrics_file = output / "metrics.json"
    try:
        metrics = json.loads(metrics_file.read_text())
        log = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
        evaluation = [line for line in log if "evaluation" in line][-1]
        train, validation = metrics["train"], metrics["validation"]
        figures = {
            "seed": seed,
            "process_seconds": seconds,
            "train_seconds": train["seconds"],
            "samples_per_second": train["samples_per_second"],
            "accuracy": validation["accuracy"],
            "evaluations_per_second": evaluation["examples"] / evaluation["seconds"],
            "peak_rss_bytes": peak,
            "peak_device_bytes": train.get("peak_device_memory_bytes"),
            "trainable_parameters": train.get("trainable_parameters"),
            "steps": train.get("steps"),
            "model_flops_per_second": train.get("model_flops_per_second"),
            "peak_flops_per_second": train.get("peak_flops_per_second"),
            "details": metrics,
        }
    except FileNotFoundError as error:
        raise RunFailed(f"retune left no {metrics_file.name}") from error
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise RunFailed(f"metrics.json or log.jsonl: {error!r}; expected figures of training and of one evaluation") from error
    shutil.rmtree(output)
    return figures


def machine_facts(arguments):
    facts = {"system": f"{platform.system()} {platform.release()}", "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()}
    cpu = platform.processor()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = (part.strip() for part in line.partition(":"))
            if not key:
                break
            cpu = value if key == "model name" else cpu
            # Processors of one name differ by generation, and so do the figures.
            if key in ("cpu family", "model"):
                facts[key.replace(" ", "_")] = int(value)
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemTotal"):
                facts["memory_bytes"] = int(line.split()[1]) * 1024
    except OSError:
        pass
    facts["cpu"] = cpu or "unknown"
    facts["python"] = platform.python_version()
    version = subprocess.run([str(arguments.retune), "--version"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    facts["retune"] = version.stdout.strip() if version.returncode == 0 else "unknown"
    return facts


def median(runs, key):
    values = [run[key] for run in runs if run.get(key) is not None]
    return statistics.median(values) if values else None


def summarise(pairs):
    ratios = {
        "samples_per_second": [p["retune"]["samples_per_second"] / p["peer"]["samples_per_second"] for p in pairs],
        "evaluations_per_second": [p["retune"]["evaluations_per_second"] / p["peer"]["evaluations_per_second"] for p in pairs],
        "process_seconds": [p["peer"]["process_seconds"] / p["retune"]["process_seconds"] for p in pairs],
        "peak_rss_bytes": [p["peer"]["peak_rss_bytes"] / p["retune"]["peak_rss_bytes"] for p in pairs],
    }
    retune, peer = [p["retune"] for p in pairs], [p["peer"] for p in pairs]
    shares = [r["model_flops_per_second"] / r["peak_flops_per_second"] for r in retune if r["model_flops_per_second"] and r["peak_flops_per_second"]]
    keys = ["samples_per_second", "evaluations_per_second", "train_seconds", "process_seconds", "accuracy", "peak_rss_bytes", "peak_device_bytes"]
    return {
        "median_ratio": {key: statistics.median(values) for key, values in ratios.items()},
        "ratios": ratios,
        "retune": {key: median(retune, key) for key in keys},
        "peer": {key: median(peer, key) for key in keys},
        "model_flops_per_second": median(retune, "model_flops_per_second"),
        "share_of_ceiling": statistics.median(shares) if shares else None,
    }


def warnings_of(pairs):
    """What would make the comparison unfair."""
    found = []
    for key, what in (("trainable_parameters", "trains"), ("steps", "took")):
        values = {side: sorted({p[side][key] for p in pairs if p[side][key] is not None}) for side in ("retune", "peer")}
        if values["retune"] and values["retune"] != values["peer"]:
            found.append(f"retune {what} {values['retune']} {key.replace('_', ' ')}, the peer {values['peer']}")
    return found


def mebibytes(value):
    return "–" if value is None else f"{value / 2**20:,.0f}"


def render(report):
    settings, summary, machine = report["settings"], report["summary"], report["machine"]
    ratio = summary["median_ratio"]
    precision, of_peer = settings["precision"], settings["peer_precision"]
    if precision != of_peer:
        precision = f"{precision} (the peer: {of_peer})"
    lines = [
        f"# {report['name']}",
        "",
        f"Retune against Hugging Face Trainer ({settings['mode']}): {settings['model']}, {settings['train']} ({settings['train_rows']} rows), "
        f"{settings['epochs']} epoch(s), batch {settings['batch']} (evaluation {settings['eval_batch']}), learning rate {settings['lr']}, at most {settings['max_length']} tokens, "
        f"{precision}, {settings['method']}, {settings['device']}; {settings['pairs']} pair(s), alternating.",
        "",
        "| median | Retune | Hugging Face | ratio |",
        "|---|---|---|---|",
    ]

    def row(title, key, show, factor=None):
        lines.append(f"| {title} | {show(summary['retune'][key])} | {show(summary['peer'][key])} | {'' if factor is None else f'{factor:.2f}×'} |")

    row("training, samples/s", "samples_per_second", lambda v: f"{v:.1f}", ratio["samples_per_second"])
    row("training, s", "train_seconds", lambda v: f"{v:.2f}")
    row("evaluation, samples/s", "evaluations_per_second", lambda v: f"{v:.1f}", ratio["evaluations_per_second"])
    row("whole process, s", "process_seconds", lambda v: f"{v:.2f}", ratio["process_seconds"])
    row("accuracy", "accuracy", lambda v: f"{v:.4f}")
    row("peak memory, MiB", "peak_rss_bytes", mebibytes, ratio["peak_rss_bytes"])
    if settings["device"] == "cuda":
        row("peak device memory, MiB", "peak_device_bytes", mebibytes)
    lines += ["", "A ratio above one is in Retune's favour; it is the median of the ratios within pairs."]
    if summary["model_flops_per_second"] is not None:
        share = summary["share_of_ceiling"]
        lines.append(
            f"Retune's model FLOP/s: {summary['model_flops_per_second'] / 1e9:.1f} G"
            + ("." if share is None else f", {100 * share:.1f} % of the machine's matrix-product ceiling for this precision."))
    lines += [f"**Unequal work:** {warning}." for warning in report["warnings"]]
    lines += [
        "",
        "| pair | seed | first | Retune samples/s | HF samples/s | ratio | Retune s | HF s | Retune accuracy | HF accuracy | Retune MiB | HF MiB |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for number, (pair, factor) in enumerate(zip(report["pairs"], summary["ratios"]["samples_per_second"]), 1):
        a, b = pair["retune"], pair["peer"]
        lines.append(
            f"| {number} | {a['seed']} | {pair['first']} | {a['samples_per_second']:.1f} | {b['samples_per_second']:.1f} | {factor:.2f}× "
            f"| {a['process_seconds']:.2f} | {b['process_seconds']:.2f} | {a['accuracy']:.4f} | {b['accuracy']:.4f} "
            f"| {mebibytes(a['peak_rss_bytes'])} | {mebibytes(b['peak_rss_bytes'])} |")
    peer = report["pairs"][0]["peer"]["details"]
    device = f", {peer['device_name']}" if peer["device_name"] else ""
    generation = f" (family {machine['cpu_family']}, model {machine['model']})" if "cpu_family" in machine and "model" in machine else ""
    memory = f", {machine['memory_bytes'] / 2**30:.0f} GiB" if "memory_bytes" in machine else ""
    versions = ", ".join(f"{name} {version}" for name, version in peer["versions"].items())
    lines += ["", f"Machine: {machine['cpu']}{generation}, {machine['cores']} cores{memory}{device}; {machine['system']}; {machine['retune']}; Python {machine['python']}, {versions}."]
    if settings["retune_args"]:
        lines.append(f"Further arguments of retune: `{settings['retune_args']}`.")
    return "\n".join(lines) + "\n"


def main():
    arguments = parse_arguments()
    # Names alone: where the files lie is no fact about the run.
    settings = {
        "model": name_of(arguments.model.resolve()),
        "train": arguments.train.name,
        "eval": arguments.eval.name,
        "train_rows": count_rows(arguments.train),
        "eval_rows": count_rows(arguments.eval),
        **{k: getattr(arguments, k) for k in ("epochs", "batch", "eval_batch", "lr", "max_length", "pairs", "mode", "precision", "peer_precision", "method", "device", "seed", "retune_args")},
    }
    name = arguments.name or "-".join(["text-classification", settings["mode"], settings["precision"], settings["method"], settings["device"]])
    runners = {"retune": run_retune, "peer": run_peer}
    pairs = []
    with tempfile.TemporaryDirectory(prefix="side-by-side-") as temporary:
        for number in range(arguments.pairs):
            # Whoever runs second finds warm file caches and a warm processor, so the order swaps.
            order = ["retune", "peer"] if number % 2 == 0 else ["peer", "retune"]
            pair = {"first": order[0]}
            for side in order:
                try:
                    pair[side] = runners[side](arguments, arguments.seed + number, Path(temporary))
                except RunFailed as error:
                    print(f"pair {number + 1}, {side}: {error}", file=sys.stderr)
                    raise SystemExit(1)
                run = pair[side]
                print(
                    f"pair {number + 1}/{arguments.pairs} {side}: {run['samples_per_second']:.1f} samples/s, {run['process_seconds']:.1f} s, "
                    f"accuracy {run['accuracy']:.4f}, {mebibytes(run['peak_rss_bytes'])} MiB", file=sys.stderr, flush=True)
            pairs.append(pair)
    report = {
        "name": name,
        "settings": settings,
        "machine": machine_facts(arguments),
        "summary": summarise(pairs),
        "warnings": warnings_of(pairs),
        "pairs": pairs,
    }
    arguments.results.mkdir(parents=True, exist_ok=True)
    text = render(report)
    for suffix, content in ((".json", json.dumps(report, indent=2, ensure_ascii=False) + "\n"), (".md", text)):
        target = arguments.results / (name + suffix)
        partial = target.with_name(target.name + ".partial")
        partial.write_text(content, encoding="utf-8")
        partial.replace(target)
    print(text)


if __name__ == "__main__":
    main()
