#!/usr/bin/env python3
"""The usual stack on a text classification task: Hugging Face Trainer, one JSON line of figures at the end.

    peer_text_classification.py --model DIR --train train.csv --eval test.csv [--mode default|tuned] [--method full|lora|head]

`default` is what the library's own example does: fp32, shuffled batches padded to their longest row. `tuned` is everything a
careful user can switch on: bf16 autocast, batches of similar length, the fast fp32 matrix products, fused AdamW.
Tokenizing happens once before training in both. The CSV needs the columns `text` and `label`.
Needs torch, transformers, accelerate, and peft for --method lora. bench_side_by_side.py runs it against Retune.
"""

import time

STARTED = time.perf_counter()

import argparse
import csv
import inspect
import json
import os
import resource
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="folder of the pretrained model")
    parser.add_argument("--train", required=True)
    parser.add_argument("--eval", required=True)
    parser.add_argument("--epochs", type=float, default=1)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--eval-batch", type=int, default=32)
    parser.add_argument("--lr", type=float, default=5e-5)
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--mode", choices=["default", "tuned"], default="default")
    parser.add_argument("--precision", choices=["auto", "fp32", "bf16", "fp16"], default="auto", help="auto: bf16 when tuned, else fp32")
    parser.add_argument("--method", choices=["full", "lora", "head"], default="full")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--seed", type=int, default=42)
    return parser.parse_args()


def read_rows(path):
    with open(path, newline="", encoding="utf-8-sig") as file:
        rows = [(row["text"], row["label"]) for row in csv.DictReader(file)]
    if not rows:
        raise SystemExit(f"{path}: holds no rows")
    return rows


def prepare_model(arguments, labels):
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(
        arguments.model, num_labels=len(labels), id2label=dict(enumerate(labels)), label2id={name: i for i, name in enumerate(labels)}, dtype="float32")
    if arguments.method == "head":
        backbone = model.base_model_prefix + "."
        for name, parameter in model.named_parameters():
            parameter.requires_grad = not name.startswith(backbone)
    elif arguments.method == "lora":
        from peft import LoraConfig, get_peft_model

        model = get_peft_model(
            model, LoraConfig(task_type="SEQ_CLS", r=8, lora_alpha=16, lora_dropout=0.0, target_modules=["query", "value"]))
    return model


def trainer_settings(arguments, precision, output):
    from transformers import TrainingArguments

    settings = dict(
        output_dir=output,
        num_train_epochs=arguments.epochs,
        per_device_train_batch_size=arguments.batch,
        per_device_eval_batch_size=arguments.eval_batch,
        learning_rate=arguments.lr,
        lr_scheduler_type="linear",
        warmup_steps=0,
        weight_decay=0.01,
        max_grad_norm=1.0,
        save_strategy="no",
        eval_strategy="no",
        logging_steps=50,
        report_to=[],
        seed=arguments.seed,
        bf16=precision == "bf16",
        fp16=precision == "fp16",
        use_cpu=arguments.device == "cpu",
        disable_tqdm=True,
    )
    if arguments.mode == "tuned":
        settings["optim"] = "adamw_torch_fused"
        # The option's name before and since transformers 5.
        if "group_by_length" in inspect.signature(TrainingArguments.__init__).parameters:
            settings["group_by_length"] = True
        else:
            settings["train_sampling_strategy"] = "group_by_length"
    return TrainingArguments(**settings)


def main():
    arguments = parse_arguments()
    import torch
    import transformers
    from transformers import AutoTokenizer, DataCollatorWithPadding, Trainer, set_seed

    imported = time.perf_counter()
    precision = arguments.precision
    if precision == "auto":
        precision = "bf16" if arguments.mode == "tuned" else "fp32"
    if arguments.mode == "tuned":
        torch.set_float32_matmul_precision("medium" if arguments.device == "cpu" else "high")
        # It plans anew for each length of a batch.
        torch.backends.cuda.enable_cudnn_sdp(False)
    set_seed(arguments.seed)
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
        return [{**{key: values[i] for key, values in encoded.items()}, "labels": index[label]} for i, (_, label) in enumerate(rows)]

    train_data, eval_data = encode(train_rows), encode(eval_rows)
    tokenized = time.perf_counter()
    model = prepare_model(arguments, labels)
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    with tempfile.TemporaryDirectory() as output:
        trainer = Trainer(
            model=model,
            args=trainer_settings(arguments, precision, output),
            train_dataset=train_data,
            eval_dataset=eval_data,
            data_collator=DataCollatorWithPadding(tokenizer),
            compute_metrics=lambda p: {"accuracy": float((p.predictions.argmax(-1) == p.label_ids).mean())},
        )
        training = time.perf_counter()
        result = trainer.train()
        trained = time.perf_counter()
        metrics = trainer.evaluate()
        evaluated = time.perf_counter()
    figures = {
        "peer": "Hugging Face Trainer",
        "mode": arguments.mode,
        "precision": precision,
        "method": arguments.method,
        "device": arguments.device,
        "seed": arguments.seed,
        "steps": trainer.state.global_step,
        "import_seconds": round(imported - STARTED, 3),
        "tokenize_seconds": round(tokenized - tokenizing, 3),
        "train_seconds": round(trained - training, 3),
        "eval_seconds": round(evaluated - trained, 3),
        "total_seconds": round(evaluated - STARTED, 3),
        "samples_per_second": round(len(train_data) * arguments.epochs / (trained - training), 2),
        "train_loss": round(result.training_loss, 5),
        "accuracy": round(metrics["eval_accuracy"], 5),
        "trainable_parameters": trainable,
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "peak_device_bytes": torch.cuda.max_memory_allocated() if arguments.device == "cuda" else None,
        "threads": torch.get_num_threads(),
        "device_name": torch.cuda.get_device_name() if arguments.device == "cuda" else None,
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
