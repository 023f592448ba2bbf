#!/usr/bin/env python3
"""How cost grows with the number of training rows: time to the first step, cost per example, and memory.

    bench_growth.py --model DIR [--rows 10000,100000,1000000] [--steps 60] [--retune target/release/retune]

Makes labelled synthetic texts of 4 to 40 common words (a pure function of the row number), trains a fixed number of steps on
each size, and measures per size: seconds until the first step is logged when nothing is cached and again when the tokens
are, examples per second of the steps, and the peak resident memory that the kernel counts for the child. Tokenization is
also timed on one thread. Writes a Markdown table and a JSON file into benches/results/. Needs nothing beyond Python's own
library. Exits with 1 when a run fails.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
WORDS = (
    "the a of and to in is was that it with for as on but at by this film phone battery service food plot actor story price "
    "screen sound place staff quality scene camera music ending great good bad poor awful lovely slow fast boring funny weak "
    "strong cheap broken bright dull warm cold fresh stale never always often really quite rather too very not i we they "
    "she he you my our their was were had have will would could worked failed arrived waited returned bought loved hated "
    "enjoyed recommend expected unfortunately beautifully character dialogue headset charger waitress restaurant director"
).split()


def write_rows(path, rows):
    """Rows whose words, length and label depend on nothing but their number (a 64-bit mix per word)."""
    mask = (1 << 64) - 1

    def mix(value):
        value = (value + 0x9E3779B97F4A7C15) & mask
        value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & mask
        value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & mask
        return value ^ (value >> 31)

    with open(path, "w", encoding="utf-8") as file:
        file.write("text,label\n")
        for row in range(rows):
            state = mix(row)
            count, label = 4 + state % 37, state >> 40 & 1
            words = []
            for _ in range(count):
                state = mix(state)
                words.append(WORDS[state % len(WORDS)])
            words[0] = ("great", "awful")[label]
            file.write(f"{' '.join(words)},{('positive', 'negative')[label]}\n")


def run(arguments, data, output, threads_of_tokenization=None):
    """Figures of one run; the first line of its log marks the end of its first step."""
    shutil.rmtree(output, ignore_errors=True)
    command = [
        arguments.retune, "finetune", "--model", arguments.model, "--train", data / "train.csv", "--validation", data / "validation.csv",
        "--output", output, "--steps", arguments.steps, "--evaluate-every", arguments.steps, "--batch-size", arguments.batch,
        "--learning-rate", 5e-5, "--device", "cpu", "--precision", arguments.precision,
    ]
    environment = dict(os.environ)
    if threads_of_tokenization:
        environment["RAYON_NUM_THREADS"] = str(threads_of_tokenization)
    started = time.perf_counter()
    with tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=errors, stdin=subprocess.DEVNULL, env=environment)
        log, first = output / "log.jsonl", None
        while first is None:
            if log.exists() and log.stat().st_size > 0:
                first = time.perf_counter() - started
            elif child.poll() is not None:
                break
            else:
                time.sleep(0.002)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            errors.seek(0)
            sys.exit(f"retune ended with {child.returncode}:\n{errors.read().decode(errors='replace')[-2000:]}")
    metrics = json.loads((output / "metrics.json").read_text())
    return {
        "first_step_seconds": first,
        "samples_per_second": metrics["train"]["samples_per_second"],
        "tokens_per_second": metrics["train"]["tokens_per_second"],
        "peak_rss_bytes": usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        "process_seconds": time.perf_counter() - started,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, type=Path)
    parser.add_argument("--rows", default="10000,100000,1000000")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--retune", type=Path, default=HERE.parent / "target" / "release" / "retune")
    parser.add_argument("--results", type=Path, default=HERE.parent / "benches" / "results")
    arguments = parser.parse_args()
    rows, figures = [int(n) for n in arguments.rows.split(",")], []
    with tempfile.TemporaryDirectory(prefix="growth-") as temporary:
        # A cache of its own: what is cold here is cold.
        os.environ["RETUNE_CACHE"] = str(Path(temporary) / "cache")
        for count in rows:
            data = Path(temporary) / f"rows-{count}"
            data.mkdir()
            write_rows(data / "train.csv", count)
            write_rows(data / "validation.csv", 500)
            output = data / "run"
            one = run(arguments, data, output, 1)
            shutil.rmtree(os.environ["RETUNE_CACHE"], ignore_errors=True)
            cold, warm = run(arguments, data, output), run(arguments, data, output)
            megabytes = (data / "train.csv").stat().st_size / 1e6
            figures.append({"rows": count, "megabytes": megabytes, "one_thread": one, "cold": cold, "warm": warm})
            print(f"{count} rows: first step {cold['first_step_seconds']:.2f} s, cached {warm['first_step_seconds']:.2f} s", file=sys.stderr, flush=True)
            shutil.rmtree(data)
    machine = {"cores": os.cpu_count(), "system": f"{platform.system()} {platform.release()}"}
    lines = [
        "# growth",
        "",
        f"{arguments.steps} steps of batch {arguments.batch} on synthetic rows, {arguments.model.resolve().name}, {machine['cores']} cores: "
        "what grows with the number of rows, and what does not.",
        "",
        "| rows | MB of text | first step, s | with one thread | tokens cached | examples/s of the steps | peak memory, MiB |",
        "|---|---|---|---|---|---|---|",
    ]
    for it in figures:
        lines.append(
            f"| {it['rows']:,} | {it['megabytes']:.1f} | {it['cold']['first_step_seconds']:.2f} | {it['one_thread']['first_step_seconds']:.2f} "
            f"| {it['warm']['first_step_seconds']:.2f} | {it['cold']['samples_per_second']:.0f} | {it['cold']['peak_rss_bytes'] / 2**20:,.0f} |")
    text = "\n".join(lines) + "\n"
    arguments.results.mkdir(parents=True, exist_ok=True)
    report = {"settings": {"rows": rows, "steps": arguments.steps, "batch": arguments.batch, "precision": arguments.precision}, "machine": machine, "figures": figures}
    for suffix, content in ((".json", json.dumps(report, indent=2) + "\n"), (".md", text)):
        target = arguments.results / ("growth" + suffix)
        partial = target.with_name(target.name + ".partial")
        partial.write_text(content, encoding="utf-8")
        partial.replace(target)
    print(text)


if __name__ == "__main__":
    main()
