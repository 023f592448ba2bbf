#!/usr/bin/env python3
"""The usual stack on causal language modelling: Hugging Face Trainer, one JSON line of figures at the end.

    peer_causal_lm.py --model DIR --train train.txt --eval test.txt [--mode default|tuned] [--method full|lora]

As the library's example `run_clm.py`: each line that is not empty is a document, ends with the tokenizer's end of a text, and all are
joined and cut into blocks of --block-size tokens, of which the last may be short. As with TRL's packing, documents in a block do not
see each other: their positions start anew, from which the library makes its masks, and their first tokens are not to be guessed.
`perplexity` is that of a token of --eval. `samples_per_second` counts words. See peer_common.py for the modes.
Needs torch, transformers, accelerate, and peft for --method lora. bench_tasks.py runs it against Retune.
"""

import peer_common

import math
import tempfile
import time

IGNORED = -100


def read_documents(path):
    with open(path, encoding="utf-8-sig") as file:
        documents = [line.rstrip("\r\n") for line in file]
    documents = [document for document in documents if document.strip()]
    if not documents:
        raise SystemExit(f"{path}: holds no text")
    return documents


def blocks_of(tokenizer, documents, arguments):
    begin, end = [], [tokenizer.eos_token_id]
    if arguments.begin_token not in ("auto", "none"):
        begin = [tokenizer.convert_tokens_to_ids(arguments.begin_token)]
    rows = tokenizer(documents, add_special_tokens=arguments.begin_token == "auto", return_attention_mask=False)["input_ids"]
    ids, positions = [], []
    for row in rows:
        row = begin + row + (end if row[-1:] != end else [])
        ids += row
        positions += range(len(row))
    blocks = []
    for start in range(0, len(ids), arguments.block_size):
        inside = slice(start, start + arguments.block_size)
        first = positions[start]
        block = {"input_ids": ids[inside], "position_ids": [], "labels": []}
        for token, position in zip(ids[inside], positions[inside]):
            # A document that began in the block before goes on as if it began here.
            first = 0 if position == 0 else first
            block["position_ids"].append(position - first)
            block["labels"].append(token if position > first else IGNORED)
        blocks.append(block)
    return blocks


def collate(rows):
    """All blocks are of one length but the last of a file; what fills it stands behind it, where nothing sees it. No `attention_mask`: it would hide what the positions say."""
    import torch

    longest = max(len(row["input_ids"]) for row in rows)
    fills = {"input_ids": 0, "position_ids": 0, "labels": IGNORED}
    return {key: torch.tensor([row[key] + [fill] * (longest - len(row[key])) for row in rows]) for key, fill in fills.items()}


def main():
    parser = peer_common.parser(__doc__, max_length=None, batch=4, lr=5e-5)
    parser.add_argument("--block-size", type=int, default=256)
    parser.add_argument("--begin-token", default="auto", help="token before each document: auto (the tokenizer's own), none, or its spelling")
    arguments = parser.parse_args()
    peer_common.set_up(arguments)
    from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer

    train_rows, eval_rows = read_documents(arguments.train), read_documents(arguments.eval)
    tokenizing = time.perf_counter()
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    train_data, eval_data = blocks_of(tokenizer, train_rows, arguments), blocks_of(tokenizer, eval_rows, arguments)
    tokenized = time.perf_counter()
    model = AutoModelForCausalLM.from_pretrained(arguments.model, dtype="float32")
    # With a cache the library does not look at the positions.
    model.config.use_cache = False

    def evaluate():
        trainer.model.eval()
        loss = count = 0
        with peer_common.inference(arguments):
            for _, batch in peer_common.evaluation_batches(arguments, eval_data, collate, lambda row: len(row["input_ids"])):
                tokens = int((batch["labels"][:, 1:] != IGNORED).sum())
                loss += float(trainer.model(**batch).loss) * tokens
                count += tokens
        return {"perplexity": round(math.exp(loss / count), 5), "eval_tokens": count}

    with tempfile.TemporaryDirectory() as output:
        trainer = Trainer(
            model=peer_common.adapt(arguments, model),
            args=peer_common.trainer_settings(arguments, output, grouped=False),
            train_dataset=train_data,
            data_collator=collate,
        )
        figures = peer_common.run(arguments, trainer, sum(len(row.split()) for row in train_rows), evaluate)
    peer_common.print_figures(arguments, trainer, {"blocks": len(train_data), "tokenize_seconds": round(tokenized - tokenizing, 3)} | figures)


if __name__ == "__main__":
    main()
