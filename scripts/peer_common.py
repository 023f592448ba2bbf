"""What the peers share: flags, how Hugging Face's Trainer is set up, LoRA, batches of an evaluation, the JSON line of figures.

`default` is what the library's own examples do: fp32, shuffled batches. `tuned` is everything a careful user can switch on: bf16
autocast, batches of similar length, the fast fp32 matrix products, fused AdamW. Tokenizing happens once before training, and so does
the decoding of images and sounds.
"""

import time

STARTED = time.perf_counter()

import argparse
import contextlib
import inspect
import json
import os
import resource

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")


RENAMED = {"query": "q_proj", "key": "k_proj", "value": "v_proj"}


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
    if max_length:
        it.add_argument("--max-length", type=int, default=max_length)
    it.add_argument("--warmup", type=float, default=0, help="share of the steps, below 1, or number of them")
    it.add_argument("--mode", choices=["default", "tuned"], default="default")
    it.add_argument("--precision", choices=["auto", "fp32", "bf16", "fp16"], default="auto", help="auto: bf16 when tuned, else fp32")
    it.add_argument("--method", choices=["full", "lora", "head"], default="full")
    it.add_argument("--lora-targets", default="query,value")
    it.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    it.add_argument("--seed", type=int, default=42)
    return it


def set_up(arguments, library=True):
    """Imports the library, or PyTorch alone, switches its fast products on when tuned; resolves the precision."""
    import torch

    if library:
        from transformers import set_seed
    else:
        set_seed = torch.manual_seed
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


def adapt(arguments, model, head=None):
    """Freezes the body, or puts LoRA into it; the head's layers, whose names `head` gives, are trained in either case."""
    if arguments.method == "head":
        backbone = model.base_model_prefix + "."
        for name, parameter in model.named_parameters():
            parameter.requires_grad = not name.startswith(backbone)
    elif arguments.method == "lora":
        from peft import LoraConfig, get_peft_model

        # The library has other names for some families since version 5.
        names = {name.rpartition(".")[2] for name, _ in model.named_modules()}
        targets = [name if name in names else RENAMED.get(name, name) for name in arguments.lora_targets.split(",")]
        # No task type: the class that PEFT has for QUESTION_ANS does not hand token_type_ids on to the model (0.21.2).
        model = get_peft_model(
            model, LoraConfig(r=8, lora_alpha=16, lora_dropout=0.0, target_modules=targets, modules_to_save=head))
    return model


def trainer_settings(arguments, output, grouped=True, kind="TrainingArguments", **more):
    """`grouped`: whether rows differ in length; `kind`: a class, or the name of one of the library's."""
    import transformers

    if isinstance(kind, str):
        kind = getattr(transformers, kind)
    settings = dict(
        output_dir=output,
        num_train_epochs=arguments.epochs,
        per_device_train_batch_size=arguments.batch,
        per_device_eval_batch_size=arguments.eval_batch,
        learning_rate=arguments.lr,
        lr_scheduler_type="linear",
        warmup_steps=arguments.warmup,
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
    if arguments.mode == "tuned" and grouped:
        # The option's name before and since transformers 5.
        if "group_by_length" in inspect.signature(transformers.TrainingArguments.__init__).parameters:
            settings["group_by_length"] = True
        else:
            settings["train_sampling_strategy"] = "group_by_length"
    return kind(**settings, **more)


def encode_in_rows(encoded, count):
    """A batch of the tokenizer's as one dictionary a row."""
    return [{key: values[i] for key, values in encoded.items()} for i in range(count)]


def run(arguments, trainer, examples, evaluate):
    """Trains, evaluates, and gives the figures; `evaluate()` gives the metrics, `examples` is the number trained on in an epoch."""
    return timed(arguments, lambda: trainer.train().training_loss, examples, evaluate)


def timed(arguments, train, examples, evaluate):
    """The same without a Trainer; `train()` gives the mean loss."""
    started = time.perf_counter()
    loss = train()
    trained = time.perf_counter()
    metrics = evaluate()
    evaluated = time.perf_counter()
    return {
        "train_seconds": round(trained - started, 3),
        "eval_seconds": round(evaluated - trained, 3),
        "total_seconds": round(evaluated - STARTED, 3),
        "samples_per_second": round(examples * arguments.epochs / (trained - started), 2),
        "train_loss": round(loss, 5),
        **metrics,
    }


class Pictures:
    """Pictures as a processor scales them, decoded once when tuned, else each time. `more(place)` is what else a row has.

    Kept are bytes: `values` of rows rescales and normalises them, when a batch is made.
    """

    def __init__(self, arguments, processor, paths, more):
        self.processor, self.paths, self.more = processor, paths, more
        self.kept = [self.row(place) for place in range(len(paths))] if arguments.mode == "tuned" else None

    def row(self, place):
        from PIL import Image

        with Image.open(self.paths[place]) as image:
            scaled = self.processor(image.convert("RGB"), do_rescale=False, do_normalize=False, return_tensors="np")
        return {"pixels": scaled["pixel_values"][0].astype("uint8")} | self.more(place)

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, place):
        return self.kept[place] if self.kept else self.row(place)

    def values(self, rows):
        import numpy
        import torch

        mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in (self.processor.image_mean, self.processor.image_std))
        return (torch.from_numpy(numpy.stack([row["pixels"] for row in rows])).float() * self.processor.rescale_factor - mean) / std


def autocast(arguments):
    """The precision of the training."""
    import torch

    kind = getattr(torch, {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}[arguments.precision])
    return contextlib.nullcontext() if kind == torch.float32 else torch.autocast(arguments.device, kind)


def inference(arguments):
    """Without gradients, in the precision of the training."""
    import torch

    stack = contextlib.ExitStack()
    stack.enter_context(torch.inference_mode())
    stack.enter_context(autocast(arguments))
    return stack


def evaluation_batches(arguments, rows, collate, length=lambda row: 0):
    """Places and model inputs of each batch, rows of similar length together, the longest first."""
    order = sorted(range(len(rows)), key=lambda place: -length(rows[place]))
    for start in range(0, len(order), arguments.eval_batch):
        places = order[start : start + arguments.eval_batch]
        batch = collate([rows[place] for place in places])
        yield places, {key: value.to(arguments.device) if hasattr(value, "to") else value for key, value in batch.items()}


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


def print_figures(arguments, trainer, figures, peer="Hugging Face Trainer", **versions):
    """The line of a Trainer."""
    import transformers

    print_line(arguments, peer, trainer.model, trainer.state.global_step, figures, transformers=transformers.__version__, **versions)


def print_line(arguments, peer, model, steps, figures, **versions):
    """The one line that others read."""
    import torch

    cuda = arguments.device == "cuda"
    line = {
        "peer": peer,
        **{key: getattr(arguments, key) for key in ("mode", "precision", "method", "device", "seed")},
        "steps": steps,
        "import_seconds": round(arguments.import_seconds, 3),
        **figures,
        "trainable_parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "peak_device_bytes": torch.cuda.max_memory_allocated() if cuda else None,
        "threads": torch.get_num_threads(),
        "device_name": torch.cuda.get_device_name() if cuda else None,
        "versions": {"torch": torch.__version__, **versions},
    }
    print(json.dumps(line))
