#!/usr/bin/env python3
"""The usual stack on a text classification task: Hugging Face Trainer, one JSON line of figures at the end.

    peer_text_classification.py --model DIR --train train.csv --eval test.csv [--mode default|tuned] [--method full|lora|head]

Batches are padded to their longest row. The CSV needs the columns `text` and `label`. See peer_common.py for the modes.
Needs torch, transformers, accelerate, and peft for --method lora. bench_side_by_side.py runs it against Retune.
"""

import peer_common

import csv
import tempfile
import time


def read_rows(path):
    with open(path, newline="", encoding="utf-8-sig") as file:
        rows = [(row["text"], row["label"]) for row in csv.DictReader(file)]
    if not rows:
        raise SystemExit(f"{path}: holds no rows")
    return rows


def main():
    arguments = peer_common.parser(__doc__, max_length=128).parse_args()
    peer_common.set_up(arguments)
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, DataCollatorWithPadding, Trainer

    train_rows, eval_rows = read_rows(arguments.train), read_rows(arguments.eval)
    labels = sorted({label for _, label in train_rows})
    index = {label: i for i, label in enumerate(labels)}
    unknown = sorted({label for _, label in eval_rows} - set(labels))
    if unknown:
        raise SystemExit(f"{arguments.eval}: label {unknown[0]!r} does not occur in {arguments.train}")

    tokenizing = time.perf_counter()
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)

    def encode(rows):
        encoded = tokenizer([text for text, _ in rows], truncation=True, max_length=arguments.max_length)
        return [row | {"labels": index[label]} for row, (_, label) in zip(peer_common.encode_in_rows(encoded, len(rows)), rows)]

    train_data, eval_data = encode(train_rows), encode(eval_rows)
    tokenized = time.perf_counter()
    model = AutoModelForSequenceClassification.from_pretrained(arguments.model, dtype="float32", **peer_common.label_fields(labels))
    with tempfile.TemporaryDirectory() as output:
        trainer = Trainer(
            model=peer_common.adapt(arguments, model, ["classifier"]),
            args=peer_common.trainer_settings(arguments, output),
            train_dataset=train_data,
            eval_dataset=eval_data,
            data_collator=DataCollatorWithPadding(tokenizer),
            compute_metrics=lambda p: {"accuracy": float((p.predictions.argmax(-1) == p.label_ids).mean())},
        )
        figures = peer_common.run(
            arguments, trainer, len(train_data), lambda: {"accuracy": round(trainer.evaluate()["eval_accuracy"], 5)})
    peer_common.print_figures(arguments, trainer, {"tokenize_seconds": round(tokenized - tokenizing, 3)} | figures)


if __name__ == "__main__":
    main()
