#!/usr/bin/env python3
"""Texts written by `retune predict` and by transformers' `generate`: the same model, rows, beams and batches, fp32.

    bench_generation.py --model DIR --input rows.csv --column en --peer-python PYTHON [--name NAME] [--rows 200] [--beams 4] [--pairs 3]

In each pair, in turn, alternating who comes first, either program writes for the first row alone, and then for all: the difference of
the two is what writing takes, without the start of the process. Memory is the peak of the whole process as the kernel counts it, ratios are
taken within a pair. The texts must be equal, row by row: those that are not are listed, and the exit status is 1.
Writes NAME.json and .md into benches/results/. Needs nothing beyond Python's own library; the peer's packages are those of
--peer-python. Exits with 1 when a run fails too, with 2 for unusable arguments.
"""

import argparse
import csv
import json
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from bench_side_by_side import HERE, RunFailed, machine_facts, mebibytes, median, name_of, run_child
from bench_tasks import write

KIND = "generation"
MOST_SHOWN = 5  # differing rows


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, type=Path, help="folder of a model with an encoder and a decoder")
    parser.add_argument("--input", required=True, type=Path, help="CSV")
    parser.add_argument("--column", default="source", help="of the texts that are read")
    parser.add_argument("--task", default="translation", choices=["translation", "text-to-text"])
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--beams", type=int, default=4)
    parser.add_argument("--max-new-tokens", type=int, default=64)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--threads", type=int, default=0, help="0: as many as each program has by itself")
    parser.add_argument("--name", help="of the result files; made from the model's when not given")
    parser.add_argument("--retune", type=Path, default=HERE.parent / "target" / "release" / "retune")
    parser.add_argument("--peer-python", required=True, type=Path, help="a Python that has torch and transformers")
    parser.add_argument("--results", type=Path, default=HERE.parent / "benches" / "results")
    arguments = parser.parse_args()
    if not (arguments.model / "config.json").is_file():
        parser.error(f"{arguments.model}: holds no config.json; give the folder of a pretrained model")
    for program in (arguments.retune, arguments.peer_python):
        if shutil.which(program) is None:
            parser.error(f"{program}: no such program; build Retune with `cargo build --release`, or name it with --retune")
    with open(arguments.input, newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        if arguments.column not in (reader.fieldnames or []):
            parser.error(f"{arguments.input}: has no column `{arguments.column}`; it has {', '.join(reader.fieldnames or [])}")
        arguments.texts = [row[arguments.column] for row in reader][: arguments.rows]
    if min(len(arguments.texts) - 1, arguments.beams, arguments.max_new_tokens, arguments.batch, arguments.pairs) < 1:
        parser.error("two rows are needed at least, and --beams, --max-new-tokens, --batch and --pairs must be at least 1")
    return arguments


def command_of(side, arguments, table, output):
    same = ["--model", arguments.model, "--input", table, "--output", output, "--beams", arguments.beams, "--max-new-tokens", arguments.max_new_tokens, "--device", arguments.device, "--threads", arguments.threads]
    if side == "retune":
        return [arguments.retune, "predict", "--task", arguments.task, *same, "--batch-size", arguments.batch, "--precision", "fp32", "--source-column", "source"]
    return [arguments.peer_python, HERE / "peer_generation.py", *same, "--batch", arguments.batch]


def run(side, arguments, tables, folder):
    """Figures of a program, and the texts that it wrote."""
    seconds, peak = {}, 0
    for what, table in tables.items():
        output = folder / f"{side}.jsonl"
        seconds[what], peak, _ = run_child(command_of(side, arguments, table, output), folder / f"{side}.log")
        texts = [json.loads(line)["prediction"] for line in output.read_text(encoding="utf-8").splitlines()]
    if len(texts) != len(arguments.texts):
        raise RunFailed(f"{side} answered {len(texts)} of {len(arguments.texts)} rows")
    writing = seconds["all"] - seconds["first"]
    if writing <= 0:
        raise RunFailed(f"{side} took no longer for all rows than for the first; give more (--rows)")
    figures = {"texts_per_second": (len(texts) - 1) / writing, "start_seconds": seconds["first"], "process_seconds": seconds["all"], "peak_rss_bytes": peak}
    return figures, texts


def render(report):
    settings, summary, machine = report["settings"], report["summary"], report["machine"]
    ratio = summary["median_ratio"]
    lines = [
        f"# {report['name']}",
        "",
        f"`retune predict` against transformers' `generate`: {settings['model']}, {settings['rows']} texts, {settings['beams']} beams, at most {settings['max_new_tokens']} new tokens, "
        f"batch {settings['batch']}, fp32, {settings['device']}; {len(report['pairs'])} pairs, alternating.",
        "",
        "| | Retune | Hugging Face | ratio |",
        "|---|---|---|---|",
    ]
    for title, key, show in (
        ("texts/s, without the start", "texts_per_second", lambda v: f"{v:.2f}"),
        ("the first text, s", "start_seconds", lambda v: f"{v:.1f}"),
        ("whole process, s", "process_seconds", lambda v: f"{v:.1f}"),
        ("peak memory, MiB", "peak_rss_bytes", mebibytes),
    ):
        lines.append(f"| {title} | {show(summary['retune'][key])} | {show(summary['peer'][key])} | {ratio[key]:.2f}× |")
    differing = report["differing"]
    lines += ["", "A ratio above one is in Retune's favour; it is the median of the ratios within pairs.", ""]
    lines.append(f"**{len(differing)} of {settings['rows']} texts differ.**" if differing else "All texts are equal.")
    lines += [f"- `{one['retune']}` | `{one['peer']}`" for one in differing[:MOST_SHOWN]]
    lines += ["", f"Machine: {machine['cpu']}, {machine['cores']} cores; {machine['system']}; {machine['retune']}."]
    return "\n".join(lines) + "\n"


def measure(arguments):
    pairs, texts = [], {}
    with tempfile.TemporaryDirectory(prefix="generation-") as temporary:
        folder = Path(temporary)
        tables = {"first": folder / "first.csv", "all": folder / "all.csv"}
        for what, table in tables.items():
            with open(table, "w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows([["source"], *([text] for text in arguments.texts[: 1 if what == "first" else None])])
        for number in range(arguments.pairs):
            order = ["retune", "peer"] if number % 2 == 0 else ["peer", "retune"]
            pair = {"first": order[0]}
            for side in order:
                pair[side], texts[side] = run(side, arguments, tables, folder)
                print(f"{number + 1}/{arguments.pairs} {side}: {pair[side]['texts_per_second']:.2f} texts/s, {mebibytes(pair[side]['peak_rss_bytes'])} MiB", file=sys.stderr, flush=True)
            pairs.append(pair)
    keys = ("texts_per_second", "start_seconds", "process_seconds", "peak_rss_bytes")
    more = ("texts_per_second",)  # is better
    ratios = {key: [p["retune"][key] / p["peer"][key] if key in more else p["peer"][key] / p["retune"][key] for p in pairs] for key in keys}
    differing = [{"row": row, "retune": a, "peer": b} for row, (a, b) in enumerate(zip(texts["retune"], texts["peer"])) if a != b]
    return {
        "kind": KIND,
        "name": arguments.name or f"generation-{name_of(arguments.model.resolve())}",
        "settings": {"model": name_of(arguments.model.resolve()), "rows": len(arguments.texts), **{key: getattr(arguments, key) for key in ("task", "beams", "max_new_tokens", "batch", "device", "threads")}},
        "machine": machine_facts(arguments),
        "summary": {
            **{side: {key: median([pair[side] for pair in pairs], key) for key in keys} for side in ("retune", "peer")},
            "ratios": ratios,
            "median_ratio": {key: statistics.median(values) for key, values in ratios.items()},
        },
        "differing": differing,
        "pairs": pairs,
    }


def main():
    arguments = parse_arguments()
    arguments.results.mkdir(parents=True, exist_ok=True)
    try:
        report = measure(arguments)
    except RunFailed as error:
        print(error, file=sys.stderr)
        raise SystemExit(1)
    text = render(report)
    write(arguments.results / f"{report['name']}.json", json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    write(arguments.results / f"{report['name']}.md", text)
    print(text)
    raise SystemExit(1 if report["differing"] else 0)


if __name__ == "__main__":
    main()
