#!/usr/bin/env python3
"""What Retune reaches on real data, task by task: the list is benches/results.toml.

    bench_results.py --data ROOT [--model NAME=DIR ...] [--only NAME ...] [--seeds 1]

ROOT holds the data sets by the folders that the list names; `--model minilm=DIR` gives a folder to each `{minilm}` in the list.
Experiments whose data or models are not given are left out, and said. Each runs `retune finetune` with the arguments of the list
and a seed, and keeps what metrics.json says of the test split: the shown metrics with their 95 % intervals, the baselines of the
same run, then seconds of the whole process and its peak memory. With several seeds the metric is the mean, the interval the first's.
Writes NAME.json into benches/results/, then results.md: one table of all such files that are there, in the list's order.
Needs nothing beyond Python's own library. Exits with 1 when a run fails, with 2 for unusable arguments.
"""

import argparse
import csv
import json
import statistics
import sys
import tempfile
import tomllib
from pathlib import Path

from bench_side_by_side import HERE, RunFailed, machine_facts, run_child
from bench_tasks import write

KIND = "result"  # of result files that results.md is made of
LIST = HERE.parent / "benches" / "results.toml"


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path, metavar="ROOT")
    parser.add_argument("--model", action="append", default=[], metavar="NAME=DIR")
    parser.add_argument("--only", action="append", metavar="NAME")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--retune", type=Path, default=HERE.parent / "target" / "release" / "retune")
    parser.add_argument("--retune-args", default="", help="further arguments of every run, in one string; the results name them")
    parser.add_argument("--note", default="", help="what a reader of the seconds should know, such as that other programs ran too")
    parser.add_argument("--results", type=Path, default=HERE.parent / "benches" / "results")
    arguments = parser.parse_args()
    arguments.experiments = tomllib.loads(LIST.read_text(encoding="utf-8"))["experiment"]
    known = {experiment["name"] for experiment in arguments.experiments}
    if unknown := set(arguments.only or []) - known:
        parser.error(f"--only {', '.join(sorted(unknown))}: not in {LIST.name}, which has {', '.join(sorted(known))}")
    arguments.models = {}
    for given in arguments.model:
        name, _, folder = given.partition("=")
        if not Path(folder).is_dir():
            parser.error(f"--model {given}: NAME=DIR is expected")
        arguments.models[name] = Path(folder).resolve()
    return arguments


def joined(folder, names, out):
    """The rows of several tables of one header, in the order of the files."""
    header, rows = None, []
    for name in names:
        with open(folder / name, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            if (here := next(reader)) != (header := header or here):
                raise RunFailed(f"{folder / name}: its columns are {here}, those of {names[0]} {header}")
            rows += list(reader)
    with open(out, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return out


def run(arguments, experiment, seed, folder):
    data = arguments.data / experiment["data"]
    places = {name: str(path) for name, path in arguments.models.items()} | {"data": str(data)}
    for name, files in experiment.get("join", {}).items():
        places[name] = str(joined(data, files, folder / f"{name}.csv"))
    output = folder / f"run-{seed}"
    command = [arguments.retune, "finetune", *(word.format_map(places) for word in experiment["arguments"]), *arguments.retune_args.split(), "--seed", seed, "--output", output]
    seconds, peak, _ = run_child(command, folder / f"{seed}.log")
    metrics = json.loads((output / "metrics.json").read_text(encoding="utf-8"))
    keys = experiment["metrics"]
    return {
        "seed": seed,
        "test": {key: metrics["test"][key] for key in keys},
        "intervals": {key: metrics["intervals"]["test"].get(key) for key in keys},
        "baselines": {name: {key: of[key] for key in keys if key in of} for name, of in metrics["baselines"].items()},
        "steps": metrics["train"]["steps"],
        "trainable_parameters": metrics["train"]["trainable_parameters"],
        "train_seconds": metrics["train"]["seconds"],
        "process_seconds": seconds,
        "peak_rss_bytes": peak,
    }


def figure(value):
    return "–" if value is None else f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def render(reports):
    lines = [
        "# results",
        "",
        "Test splits, one run of `scripts/bench_results.py` each; intervals (95 %) from resampling, baselines from the same run, seconds and memory of the whole",
        "process with its baselines. *Known* is what the data's source or its README says of simple methods.",
        "",
        "| what | metric | model (95 % interval) | baselines of the run | known | steps | s | MiB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for report in reports:
        runs = report["runs"]
        for place, key in enumerate(report["metrics"]):
            low, high = runs[0]["intervals"][key] or (None, None)
            value = figure(statistics.fmean(run["test"][key] for run in runs)) + ("" if low is None else f" ({figure(low)}–{figure(high)})")
            baselines = "; ".join(f"{name} {figure(of[key])}" for name, of in runs[0]["baselines"].items() if key in of) or "–"
            end = ["", "", "", ""]
            if place == 0:
                middle = [statistics.median(run[of] for run in runs) for of in ("steps", "process_seconds", "peak_rss_bytes")]
                end = [report.get("known") or "–", f"{middle[0]:,.0f}", f"{middle[1]:,.0f}", f"{middle[2] / 2**20:,.0f}"]
            lines.append(f"| {report['what'] if place == 0 else ''} | {key} | {value} | {baselines} | {' | '.join(end)} |")
    notes = {}
    for report in reports:
        if said := "; ".join(filter(None, [report["note"], report["retune_args"] and f"`{report['retune_args']}`"])):
            notes.setdefault(said, []).append(report["name"])
    lines += [""] + [f"{', '.join(names)}: {said}." for said, names in notes.items()]
    if reports:
        machine = reports[-1]["machine"]
        lines += ["", f"Machine of the last line: {machine['cpu']}, {machine['cores']} cores; {machine['system']}; {machine['retune']}. Arguments of each line: `benches/results.toml`."]
    return "\n".join(lines) + "\n"


def missing(arguments, experiment):
    names = {word[1:-1] for word in experiment["arguments"] if word.startswith("{") and word.endswith("}")}
    lacking = sorted(names - {"data"} - set(experiment.get("join", {})) - set(arguments.models))
    if lacking:
        return f"give --model {lacking[0]}=DIR"
    return None if (arguments.data / experiment["data"]).exists() else f"{experiment['data']} is not in the data"


def main():
    arguments = parse_arguments()
    machine = machine_facts(arguments)
    arguments.results.mkdir(parents=True, exist_ok=True)
    for experiment in arguments.experiments:
        name = experiment["name"]
        if arguments.only and name not in arguments.only:
            continue
        if reason := missing(arguments, experiment):
            print(f"{name}: left out; {reason}", file=sys.stderr)
            continue
        with tempfile.TemporaryDirectory(prefix="results-") as folder:
            try:
                runs = [run(arguments, experiment, seed, Path(folder)) for seed in range(1, arguments.seeds + 1)]
            except (RunFailed, KeyError, OSError) as error:
                print(f"{name}: {error}", file=sys.stderr)
                raise SystemExit(1)
        report = {"kind": KIND, **{key: experiment.get(key) for key in ("name", "what", "metrics", "known", "arguments")}, "retune_args": arguments.retune_args, "note": arguments.note, "machine": machine, "runs": runs}
        write(arguments.results / f"{name}.json", json.dumps(report, indent=2, ensure_ascii=False) + "\n")
        print(f"{name}: {runs[0]['test']} beside {runs[0]['baselines']}, {runs[0]['process_seconds']:.0f} s", file=sys.stderr, flush=True)
    found = {report["name"]: report for path in arguments.results.glob("*.json") if isinstance(report := json.loads(path.read_text(encoding="utf-8")), dict) and report.get("kind") == KIND}
    text = render([found[experiment["name"]] for experiment in arguments.experiments if experiment["name"] in found])
    write(arguments.results / "results.md", text)
    print(text)


if __name__ == "__main__":
    main()
