#!/usr/bin/env python3
"""The usual stack on instruction tuning: TRL's SFTTrainer, one JSON line of figures at the end.

    peer_instructions.py --model DIR --train train.jsonl --eval test.jsonl [--mode default|tuned] [--method full|lora]

Rows are `prompt` and `completion`, lists of messages, which the model's chat template writes; only
what the assistant says is learnt (`completion_only_loss`). A row is a sequence of its own, of at most --block-size tokens: nothing
is packed, as the library packs only where flash attention is there. `perplexity` is that of a learnt token of --eval.
`samples_per_second` counts rows. See peer_common.py for the modes.
Needs torch, transformers, accelerate, datasets and trl, and peft for --method lora. bench_tasks.py runs it against Retune.
"""

import peer_common

import json
import math
import tempfile

IGNORED = -100


def read_turns(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def main():
    parser = peer_common.parser(__doc__, max_length=None, batch=8, lr=5e-5)
    parser.add_argument("--block-size", type=int, default=256, help="tokens of a row at most")
    arguments = parser.parse_args()
    peer_common.set_up(arguments)
    import trl
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    model = AutoModelForCausalLM.from_pretrained(arguments.model, dtype="float32")
    train_data, eval_data = (Dataset.from_list(read_turns(path)) for path in (arguments.train, arguments.eval))

    def evaluate():
        trainer.model.eval()
        loss = count = 0
        rows = list(trainer.eval_dataset)
        with peer_common.inference(arguments):
            for _, batch in peer_common.evaluation_batches(arguments, rows, trainer.data_collator, lambda row: len(row["input_ids"])):
                tokens = int((batch["labels"][:, 1:] != IGNORED).sum())
                loss += float(trainer.model(**batch).loss) * tokens
                count += tokens
        return {"perplexity": round(math.exp(loss / count), 5), "eval_tokens": count}

    with tempfile.TemporaryDirectory() as output:
        settings = peer_common.trainer_settings(
            arguments, output, kind=trl.SFTConfig, max_length=arguments.block_size, completion_only_loss=True, packing=False, gradient_checkpointing=False, use_cache=False,
        )
        trainer = trl.SFTTrainer(
            model=peer_common.adapt(arguments, model), args=settings, train_dataset=train_data, eval_dataset=eval_data, processing_class=tokenizer,
        )
        figures = peer_common.run(arguments, trainer, len(train_data), evaluate)
    peer_common.print_figures(arguments, trainer, figures, peer="TRL", trl=trl.__version__)


if __name__ == "__main__":
    main()
