#!/usr/bin/env python3
"""The usual stack on translation: Hugging Face Seq2SeqTrainer, one JSON line of figures at the end.

    peer_translation.py --model DIR --train train.csv --eval test.csv --source-column en --target-column de [--mode default|tuned]

As the library's example `run_translation.py`: both texts are cut to --max-length tokens, batches are padded to their longest row, there
is no label smoothing. --eval is translated by a search with --beams; `bleu` is sacreBLEU's (words of 13a, with case) of all of it, from 0
to 100. `eval_seconds` are those of writing. See peer_common.py for the modes.
Needs torch, transformers, accelerate, sacrebleu, and peft for --method lora. bench_tasks.py runs it against Retune.
"""

import peer_common

import csv
import tempfile
import time


def read_pairs(path, source, target):
    with open(path, newline="", encoding="utf-8-sig") as file:
        rows = [(row[source], row[target]) for row in csv.DictReader(file)]
    if not rows:
        raise SystemExit(f"{path}: holds no rows")
    return rows


def main():
    parser = peer_common.parser(__doc__, max_length=128, lr=1e-3)
    parser.add_argument("--source-column", default="source")
    parser.add_argument("--target-column", default="target")
    parser.add_argument("--target-length", type=int, default=128)
    parser.add_argument("--beams", type=int, default=4)
    parser.add_argument("--max-new-tokens", type=int, default=128)
    arguments = parser.parse_args()
    peer_common.set_up(arguments)
    import sacrebleu
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, DataCollatorForSeq2Seq, Seq2SeqTrainer

    train_rows, eval_rows = (read_pairs(path, arguments.source_column, arguments.target_column) for path in (arguments.train, arguments.eval))
    tokenizing = time.perf_counter()
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)

    def encode(rows):
        encoded = tokenizer([source for source, _ in rows], truncation=True, max_length=arguments.max_length)
        labels = tokenizer(text_target=[target for _, target in rows], truncation=True, max_length=arguments.target_length)
        return [row | {"labels": ids} for row, ids in zip(peer_common.encode_in_rows(encoded, len(rows)), labels["input_ids"])]

    train_data, eval_data = encode(train_rows), encode(eval_rows)
    tokenized = time.perf_counter()
    model = AutoModelForSeq2SeqLM.from_pretrained(arguments.model, dtype="float32")
    for module in model.modules():
        # Their classes say that these are not learnt, which is lost where a checkpoint is read.
        if "Sinusoidal" in type(module).__name__:
            module.requires_grad_(False)
    collate = DataCollatorForSeq2Seq(tokenizer, model=model)

    def evaluate():
        trainer.model.eval()
        written = [""] * len(eval_rows)
        with peer_common.inference(arguments):
            for places, batch in peer_common.evaluation_batches(arguments, eval_data, collate, lambda row: len(row["input_ids"])):
                inputs = {key: batch[key] for key in ("input_ids", "attention_mask")}
                # Of both limits the shorter would count.
                ids = trainer.model.generate(**inputs, num_beams=arguments.beams, do_sample=False, max_length=None, max_new_tokens=arguments.max_new_tokens)
                for place, text in zip(places, tokenizer.batch_decode(ids, skip_special_tokens=True)):
                    written[place] = text
        return {"bleu": round(sacrebleu.corpus_bleu(written, [[target for _, target in eval_rows]]).score, 5)}

    with tempfile.TemporaryDirectory() as output:
        trainer = Seq2SeqTrainer(
            model=peer_common.adapt(arguments, model),
            args=peer_common.trainer_settings(arguments, output, kind="Seq2SeqTrainingArguments"),
            train_dataset=train_data,
            data_collator=collate,
        )
        figures = peer_common.run(arguments, trainer, len(train_rows), evaluate)
    peer_common.print_figures(arguments, trainer, {"tokenize_seconds": round(tokenized - tokenizing, 3)} | figures)


if __name__ == "__main__":
    main()
