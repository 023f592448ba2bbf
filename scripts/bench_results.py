#!/usr/bin/env python3
"""What Retune reaches on real data, task by task: the list is benches/results.toml.

    bench_results.py --data ROOT [--model NAME=DIR ...] [--only NAME ...] [--seeds 1]

ROOT holds the data sets by the folders that the list names; `--model minilm=DIR` gives a folder to each `{minilm}` in the list.
Experiments whose data or models are not given are left out, and said. Each runs `retune finetune` with the arguments of the list
and a seed: first those of its stages, whose models are places for what follows (`{denoised}`), then its own; `untouched` are the arguments of
`retune evaluate` with the model as it came. It keeps what metrics.json says of the test split: the shown metrics with their 95 % intervals, the baselines of the
same run, then seconds of the whole process and its peak memory. With several seeds the metric is the mean, the interval the first's.
Writes NAME.json into benches/results/, then results.md: one table of all such files that are there, in the list's order.
Needs nothing beyond Python's own library. Exits with 1 when a run fails, with 2 for unusable arguments.
"""

import argparse
import collections
import csv
import itertools
import json
import random
import statistics
import sys
import tempfile
import tomllib
from pathlib import Path

from bench_side_by_side import HERE, RunFailed, machine_facts, run_child
from bench_tasks import write

KIND = "result"  # of result files that results.md is made of
COCO = "annotations.coco.json"
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


def made(folder, table, out):
    """A table of rows of one or several files (lines of text are one column, `text`): `files`, of which those are left that have one of the values of `where` and the text of `holds`
    in a column; then a seeded sample of `rows` (`per` value of a column); `paths` is a column of files, made absolute, and `texts` the columns
    that come under each other as `text`."""
    header, rows = None, []
    for name in table["files"]:
        with open(folder / name, newline="", encoding="utf-8-sig") as file:
            reader = ([line] for line in itertools.chain(["text"], file.read().splitlines())) if name.endswith(".txt") else csv.reader(file)
            if (here := next(reader)) != (header := header or here):
                raise RunFailed(f"{folder / name}: its columns are {here}, those of {table['files'][0]} {header}")
            rows += list(reader)
    for column, values in table.get("where", {}).items():
        rows = [row for row in rows if row[header.index(column)] in values]
    for column, text in table.get("holds", {}).items():
        rows = [row for row in rows if text in row[header.index(column)]]
    if count := table.get("rows"):
        random.Random(table.get("seed", 1)).shuffle(rows)
        taken, of = [], collections.Counter()
        for row in rows:
            group = row[header.index(table["per"])] if "per" in table else None
            if of[group] < count:
                of[group] += 1
                taken.append(row)
        rows = taken
    if column := table.get("paths"):
        for row in rows:
            row[header.index(column)] = str(folder / row[header.index(column)])
    if columns := table.get("texts"):
        header, rows = ["text"], [[row[header.index(column)]] for column in columns for row in rows]
    with open(out, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return out


def linked(folder, part, out):
    """A folder with a seeded sample of `rows` images of the folder `of`: with their masks and the names of its classes, or with their objects, where
    a file of COCO's says what they are."""
    whole = folder / part["of"]
    names = sorted(path.stem for path in (whole / "images").iterdir())
    random.Random(part.get("seed", 1)).shuffle(names)
    chosen = set(names[: part["rows"]])
    objects = whole / COCO
    for kind in ("images",) if objects.exists() else ("images", "masks"):
        (out / kind).mkdir(parents=True)
        for path in (whole / kind).iterdir():
            if path.stem in chosen:
                (out / kind / path.name).symlink_to(path.resolve())
    if not objects.exists():
        (out / "classes.json").symlink_to((folder / "classes.json").resolve())
        return out
    said = json.loads(objects.read_text(encoding="utf-8"))
    said["images"] = [image for image in said["images"] if Path(image["file_name"]).stem in chosen]
    ids = {image["id"] for image in said["images"]}
    said["annotations"] = [annotation for annotation in said["annotations"] if annotation["image_id"] in ids]
    write(out / COCO, json.dumps(said) + "\n")
    return out


def run(arguments, experiment, seed, folder):
    data = arguments.data / experiment["data"]
    places = {name: str(path) for name, path in arguments.models.items()} | {"data": str(data), "root": str(arguments.data)}
    for name, table in experiment.get("tables", {}).items():
        places[name] = str(made(data, table, folder / f"{name}.csv"))
    for name, fields in experiment.get("configurations", {}).items():
        places[name] = str(folder / name)
        (folder / name).mkdir()
        write(folder / name / "config.json", json.dumps(fields, indent=2) + "\n")
    for name, part in experiment.get("folders", {}).items():
        places[name] = str(linked(data, part, folder / name))

    def finetune(words, output):
        command = [arguments.retune, "finetune", *(word.format_map(places) for word in words), *arguments.retune_args.split(), "--seed", seed, "--output", output]
        return run_child(command, folder / f"{output.name}.log")

    stages = {}
    for name, words in experiment.get("stages", {}).items():
        stages[name] = finetune(words, folder / f"{name}-{seed}")[0]
        places[name] = str(folder / f"{name}-{seed}" / "model")
    output = folder / f"run-{seed}"
    seconds, peak, _ = finetune(experiment["arguments"], output)
    metrics = json.loads((output / "metrics.json").read_text(encoding="utf-8"))
    keys = experiment["metrics"]
    baselines = {name: {key: of[key] for key in keys if key in of} for name, of in metrics["baselines"].items()}
    if words := experiment.get("untouched"):
        report = folder / f"untouched-{seed}.json"
        threads = arguments.retune_args.split() if arguments.retune_args.startswith("--threads") else []
        run_child([arguments.retune, "evaluate", *(word.format_map(places) for word in words), *threads, "--output", report], folder / f"untouched-{seed}.log")
        of = json.loads(report.read_text(encoding="utf-8"))
        baselines["the model as it came"] = {key: of["metrics"][key] for key in keys}
    return {
        "seed": seed,
        "test": {key: metrics["test"][key] for key in keys},
        "intervals": {key: metrics["intervals"]["test"].get(key) for key in keys},
        "baselines": baselines,
        "steps": metrics["train"]["steps"],
        "trainable_parameters": metrics["train"]["trainable_parameters"],
        "train_seconds": metrics["train"]["seconds"],
        "stage_seconds": stages,
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
    stages = experiment.get("stages", {})
    words = itertools.chain(experiment["arguments"], *stages.values())
    names = {word[1:-1] for word in words if word.startswith("{") and word.endswith("}")}
    made = {name for kind in ("tables", "folders", "configurations", "stages") for name in experiment.get(kind, {})}
    lacking = sorted(names - {"data", "root"} - made - set(arguments.models))
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
        report = {"kind": KIND, **{key: experiment.get(key) for key in ("name", "what", "metrics", "known", "tables", "folders", "configurations", "stages", "arguments", "untouched")}, "retune_args": arguments.retune_args, "note": arguments.note, "machine": machine, "runs": runs}
        write(arguments.results / f"{name}.json", json.dumps(report, indent=2, ensure_ascii=False) + "\n")
        print(f"{name}: {runs[0]['test']} beside {runs[0]['baselines']}, {runs[0]['process_seconds']:.0f} s", file=sys.stderr, flush=True)
    found = {report["name"]: report for path in arguments.results.glob("*.json") if isinstance(report := json.loads(path.read_text(encoding="utf-8")), dict) and report.get("kind") == KIND}
    text = render([found[experiment["name"]] for experiment in arguments.experiments if experiment["name"] in found])
    write(arguments.results / "results.md", text)
    print(text)


if __name__ == "__main__":
    main()
