"""What the peers share: flags, how Hugging Face's Trainer is set up, LoRA, the JSON line of figures.

`default` is what the library's own examples do: fp32, shuffled batches. `tuned` is everything a careful user can switch on: bf16
autocast, batches of similar length, the fast fp32 matrix products, fused AdamW. Tokenizing happens once before training.
"""

import time

STARTED = time.perf_counter()

import argparse
import inspect
import json
import os
import resource

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")


def parser(description, max_length, batch=32, lr=5e-5):
    """The flags of every peer."""
    it = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    it.add_argument("--model", required=True, help="folder of the pretrained model")
    it.add_argument("--train", required=True)
    it.add_argument("--eval", required=True)
    it.add_argument("--epochs", type=float, default=1)
    it.add_argument("--batch", type=int, default=batch)
    it.add_argument("--eval-batch", type=int, default=32)
    it.add_argument("--lr", type=float, default=lr)
    it.add_argument("--max-length", type=int, default=max_length)
    it.add_argument("--mode", choices=["default", "tuned"], default="default")
    it.add_argument("--precision", choices=["auto", "fp32", "bf16", "fp16"], default="auto", help="auto: bf16 when tuned, else fp32")
    it.add_argument("--method", choices=["full", "lora", "head"], default="full")
    it.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    it.add_argument("--seed", type=int, default=42)
    return it


def set_up(arguments):
    """Imports the library, switches its fast products on when tuned; resolves the precision."""
    import torch
    from transformers import set_seed

    arguments.import_seconds = time.perf_counter() - STARTED
    if arguments.precision == "auto":
        arguments.precision = "bf16" if arguments.mode == "tuned" else "fp32"
    if arguments.mode == "tuned":
        torch.set_float32_matmul_precision("medium" if arguments.device == "cpu" else "high")
        # It plans anew for each length of a batch.
        torch.backends.cuda.enable_cudnn_sdp(False)
    set_seed(arguments.seed)


def label_fields(labels):
    return dict(num_labels=len(labels), id2label=dict(enumerate(labels)), label2id={name: i for i, name in enumerate(labels)})


def adapt(arguments, model, head):
    """Freezes the body, or puts LoRA into it; the head's layers, whose names `head` gives, are trained in either case."""
    if arguments.method == "head":
        backbone = model.base_model_prefix + "."
        for name, parameter in model.named_parameters():
            parameter.requires_grad = not name.startswith(backbone)
    elif arguments.method == "lora":
        from peft import LoraConfig, get_peft_model

        # No task type: the class that PEFT has for QUESTION_ANS does not hand token_type_ids on to the model (0.21.2).
        model = get_peft_model(
            model, LoraConfig(r=8, lora_alpha=16, lora_dropout=0.0, target_modules=["query", "value"], modules_to_save=head))
    return model


def trainer_settings(arguments, output):
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
        bf16=arguments.precision == "bf16",
        fp16=arguments.precision == "fp16",
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


def encode_in_rows(encoded, count):
    """A batch of the tokenizer's as one dictionary a row."""
    return [{key: values[i] for key, values in encoded.items()} for i in range(count)]


def run(arguments, trainer, examples, evaluate):
    """Trains, evaluates, and gives the figures; `evaluate()` gives the metrics, `examples` is the number trained on in an epoch."""
    started = time.perf_counter()
    result = trainer.train()
    trained = time.perf_counter()
    metrics = evaluate()
    evaluated = time.perf_counter()
    return {
        "train_seconds": round(trained - started, 3),
        "eval_seconds": round(evaluated - trained, 3),
        "total_seconds": round(evaluated - STARTED, 3),
        "samples_per_second": round(examples * arguments.epochs / (trained - started), 2),
        "train_loss": round(result.training_loss, 5),
        **metrics,
    }


def predict_in_order(trainer, rows):
    """What the model gives for each row, in the order of `rows`, with batches of similar length as the tuned Trainer has them.

    With `group_by_length` the Trainer shuffles what it evaluates too, and gives predictions in that order: rows are sorted here instead.
    """
    import numpy

    tuned = trainer.args.train_sampling_strategy if hasattr(trainer.args, "train_sampling_strategy") else trainer.args.group_by_length
    order = range(len(rows))
    if tuned in (True, "group_by_length"):
        order = sorted(order, key=lambda row: -len(rows[row]["input_ids"]))
        if tuned is True:
            trainer.args.group_by_length = False
        else:
            trainer.args.train_sampling_strategy = "random"
    predictions = trainer.predict([rows[row] for row in order]).predictions
    back = numpy.argsort(numpy.array(order))
    return tuple(of[back] for of in predictions) if isinstance(predictions, tuple) else predictions[back]


def print_figures(arguments, trainer, figures):
    """The one line that others read."""
    import torch
    import transformers

    cuda = arguments.device == "cuda"
    line = {
        "peer": "Hugging Face Trainer",
        **{key: getattr(arguments, key) for key in ("mode", "precision", "method", "device", "seed")},
        "steps": trainer.state.global_step,
        "import_seconds": round(arguments.import_seconds, 3),
        **figures,
        "trainable_parameters": sum(p.numel() for p in trainer.model.parameters() if p.requires_grad),
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "peak_device_bytes": torch.cuda.max_memory_allocated() if cuda else None,
        "threads": torch.get_num_threads(),
        "device_name": torch.cuda.get_device_name() if cuda else None,
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
    }
    print(json.dumps(line))
