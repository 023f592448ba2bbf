#!/usr/bin/env python3
"""Texts written by a model with an encoder and a decoder: the library's `generate`, one JSON object a line.

    peer_generation.py --model DIR --input rows.csv --output out.jsonl [--column source] [--beams 4] [--max-new-tokens 64] [--batch 32]

Rows of similar length share a batch, the longest first. Nothing is drawn. fp32. Needs torch and transformers. bench_generation.py
runs it against `retune predict`.
"""

import argparse
import csv
import json
import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--input", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--column", default="source")
    parser.add_argument("--beams", type=int, default=4)
    parser.add_argument("--max-new-tokens", type=int, default=64)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--threads", type=int, default=0, help="0: as the library has it")
    arguments = parser.parse_args()
    import torch
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    with open(arguments.input, newline="", encoding="utf-8-sig") as file:
        texts = [row[arguments.column] for row in csv.DictReader(file)]
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    model = AutoModelForSeq2SeqLM.from_pretrained(arguments.model, dtype="float32").to(arguments.device).eval()
    rows = tokenizer(texts)["input_ids"]
    order = sorted(range(len(rows)), key=lambda row: -len(rows[row]))
    written = [""] * len(rows)
    with torch.inference_mode():
        for start in range(0, len(order), arguments.batch):
            places = order[start : start + arguments.batch]
            batch = tokenizer.pad({"input_ids": [rows[place] for place in places]}, return_tensors="pt").to(arguments.device)
            # Of both limits the shorter would count.
            ids = model.generate(**batch, num_beams=arguments.beams, do_sample=False, max_length=None, max_new_tokens=arguments.max_new_tokens)
            for place, text in zip(places, tokenizer.batch_decode(ids, skip_special_tokens=True)):
                written[place] = text
    with open(arguments.output, "w", encoding="utf-8") as file:
        file.writelines(json.dumps({"prediction": text}, ensure_ascii=False) + "\n" for text in written)


if __name__ == "__main__":
    main()
