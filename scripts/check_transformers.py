#!/usr/bin/env python3
"""Checks that what Retune saved loads in Hugging Face transformers or PEFT, and means the same there.

    check_transformers.py RUN_OR_MODEL_DIR [--retune PATH] [--base DIR] [--texts FILE] [--tolerance 1e-4]

RUN_OR_MODEL_DIR is a run's folder (its model/ is taken), a model folder, or an adapter folder. Checked are:
  1. config.json: the architecture is known, id2label and label2id agree, the number of labels fits the head;
  2. loading: no missing, unexpected or mismatched tensor;
  3. the tokenizer: transformers builds the same ids as tokenizer.json alone, and as the base model's, where --base
     or the adapter names one;
  4. with --retune: `retune forward` gives the same logits on the same inputs, in float32.
Exits with 1 and one line per mismatch. Needs torch, transformers, safetensors, tokenizers, and peft for adapters.
"""

import argparse
import inspect
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

TEXTS = [
    "The food was great, and the service even better!",
    "TERRIBLE. I will never go back.",
    "Crème brûlée à la façon d'Élise: naïve.",
    "这部电影很好看 and 東京",
    "loved it 😀👍🏽 :-)",
    "",
    "It's $3.99 (50% off) -- e-mail: a_b@c.org ...",
    "a rather long sentence, " * 40,
]


class Problems:
    """Every mismatch is collected, so that one run shows them all."""

    def __init__(self):
        self.found = []

    def expect(self, holds, message):
        if not holds:
            self.found.append(message)
        return bool(holds)


def find_model(path):
    """The folder that holds the config: the path itself, or `model/` in a run's folder."""
    for folder in (path, path / "model"):
        if (folder / "adapter_config.json").exists() or (folder / "config.json").exists():
            return folder
    raise SystemExit(f"{path}: neither it nor its model/ holds config.json or adapter_config.json; give a run or a model folder")


def find_base(folder, given):
    """The adapter's base model: what --base says, or its recorded path, from the adapter's folder or from here."""
    name = json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"]
    candidates = [given] if given else [folder / name, Path(name)]
    for candidate in candidates:
        if (candidate / "config.json").exists():
            return candidate
    raise SystemExit(f"{folder}/adapter_config.json: base model {name!r} is not a folder here; name it with --base")


def check_config(config_file, problems):
    """Returns the architecture's class name."""
    config = json.loads(config_file.read_text())
    architectures = config.get("architectures") or []
    problems.expect(len(architectures) == 1, f"{config_file}: architectures is {architectures}, one is expected")
    id2label, label2id = config.get("id2label"), config.get("label2id")
    if problems.expect(isinstance(id2label, dict) and isinstance(label2id, dict), f"{config_file}: id2label or label2id is missing"):
        problems.expect(
            sorted(id2label, key=int) == [str(i) for i in range(len(id2label))], f"{config_file}: id2label's keys are not 0..{len(id2label) - 1}")
        inverse = {label: int(index) for index, label in id2label.items()}
        problems.expect(inverse == label2id, f"{config_file}: label2id {label2id} is not the inverse of id2label {id2label}")
        problems.expect(config.get("num_labels", len(id2label)) == len(id2label), f"{config_file}: num_labels is not the number of labels")
    return architectures[0] if architectures else ""


def load_full(folder, problems):
    """The model as transformers loads it, with what it says about the tensors."""
    import transformers

    architecture = check_config(folder / "config.json", problems)
    auto = next(
        (auto for ending, auto in {
            "ForSequenceClassification": "AutoModelForSequenceClassification",
            "ForTokenClassification": "AutoModelForTokenClassification",
            "ForQuestionAnswering": "AutoModelForQuestionAnswering",
            "ForImageClassification": "AutoModelForImageClassification",
            "ForImageClassificationWithTeacher": "DeiTForImageClassificationWithTeacher",
        }.items() if architecture.endswith(ending)),
        None,
    )
    if auto is None:
        raise SystemExit(f"{folder}/config.json: architecture {architecture!r} is none that this check knows")
    # A tensor of another shape is then in the report, with the others, and not an error of its own.
    model, report = getattr(transformers, auto).from_pretrained(
        folder, output_loading_info=True, ignore_mismatched_sizes=True, attn_implementation="eager", dtype="float32")
    problems.expect(
        type(model).__name__ == architecture, f"{folder}: {auto} made a {type(model).__name__} where config.json says {architecture}")
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        keys = sorted(map(str, report.get(kind) or []))
        problems.expect(not keys, f"{folder}/model.safetensors: {kind.replace('_', ' ')}: {', '.join(keys)}")
    return model


def load_adapter(folder, base, problems):
    """The base model under a new head, then the adapter with its head over it."""
    import peft
    import transformers
    from safetensors import safe_open

    config = peft.PeftConfig.from_pretrained(folder)
    problems.expect(config.task_type == "SEQ_CLS", f"{folder}/adapter_config.json: task_type is {config.task_type}, SEQ_CLS is checked")
    with safe_open(folder / "adapter_model.safetensors", "pt") as file:
        keys = set(file.keys())
        heads = [key for key in keys if key.endswith(("classifier.weight", "classifier.out_proj.weight", "score.weight"))]
        labels = file.get_tensor(heads[0]).shape[0] if heads else 0
    if not problems.expect(heads, f"{folder}/adapter_model.safetensors: holds no classification head"):
        return None
    names = {}
    if (folder / "config.json").exists():
        check_config(folder / "config.json", problems)
        names = {"id2label": json.loads((folder / "config.json").read_text())["id2label"]}
        problems.expect(len(names["id2label"]) == labels, f"{folder}: config.json names {len(names['id2label'])} labels, the head has {labels}")
    model = transformers.AutoModelForSequenceClassification.from_pretrained(
        base, num_labels=labels, attn_implementation="eager", dtype="float32")
    model = peft.PeftModel.from_pretrained(model, folder)
    expected = set(peft.get_peft_model_state_dict(model))
    problems.expect(keys == expected, f"{folder}/adapter_model.safetensors: missing {sorted(expected - keys)}, unexpected {sorted(keys - expected)}")
    return model


def check_tokenizer(folder, base, texts, problems):
    """Ids from transformers, from tokenizer.json alone, and from the base model's tokenizer."""
    from tokenizers import Tokenizer
    from transformers import AutoTokenizer

    if not problems.expect((folder / "tokenizer.json").exists(), f"{folder}: tokenizer.json is missing"):
        return None
    tokenizer = AutoTokenizer.from_pretrained(folder)
    raw = Tokenizer.from_file(str(folder / "tokenizer.json"))
    raw.no_truncation()
    raw.no_padding()
    original = AutoTokenizer.from_pretrained(base) if base and (base / "tokenizer.json").exists() else None
    pairs = [(text, None) for text in texts] + list(zip(texts, texts[1:]))
    for text, pair in pairs:
        call = dict(text=[text], text_pair=None if pair is None else [pair])
        ids = tokenizer(**call)["input_ids"][0]
        shown = repr(text[:40]) + ("" if pair is None else f" with {pair[:40]!r}")
        alone = raw.encode(text, pair).ids
        problems.expect(ids == alone, f"{folder}: {shown}: transformers gives {ids[:20]}, tokenizer.json alone {alone[:20]}")
        if original is not None:
            before = original(**call)["input_ids"][0]
            problems.expect(ids == before, f"{folder}: {shown}: the ids are {ids[:20]}, the base model's {before[:20]}")
    return tokenizer


def make_inputs(model, tokenizer, texts):
    """Padded texts, or seeded noise for an image model."""
    import torch

    config = model.config
    if hasattr(config, "image_size"):
        size = config.image_size
        height, width = (size, size) if isinstance(size, int) else size
        noise = torch.randn(4, config.num_channels, height, width, generator=torch.Generator().manual_seed(0))
        return {"pixel_values": noise}
    if tokenizer is None:
        return None
    limit = min(tokenizer.model_max_length, config.max_position_embeddings - (2 if config.pad_token_id == 1 else 0))
    inputs = dict(tokenizer(texts, padding="longest", truncation=True, max_length=limit, return_tensors="pt"))
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    return {name: value for name, value in inputs.items() if name in inspect.signature(base.forward).parameters}


def check_forward(retune, folder, model, inputs, tolerance, problems):
    """Runs `retune forward` on the same inputs; returns the largest difference of the logits."""
    import torch
    from safetensors.torch import load_file, save_file

    with torch.no_grad():
        outputs = model.eval()(**inputs)
    with tempfile.TemporaryDirectory() as temporary:
        given, made = Path(temporary) / "in.safetensors", Path(temporary) / "out.safetensors"
        save_file({name: value.contiguous() for name, value in inputs.items()}, given)
        command = [str(retune), "forward", "--model", str(folder), "--inputs", str(given), "--outputs", str(made)]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode != 0:
            problems.expect(False, f"retune forward ended with {result.returncode}: {result.stderr.strip()}")
            return None
        found = load_file(made)
    worst = 0.0
    names = [name for name in ("logits", "start_logits", "end_logits") if outputs.get(name) is not None]
    for name in names:
        expected = outputs[name]
        if not problems.expect(name in found, f"retune forward: wrote {sorted(found)}, no {name}"):
            continue
        if not problems.expect(found[name].shape == expected.shape, f"{name}: shape {tuple(found[name].shape)}, transformers {tuple(expected.shape)}"):
            continue
        difference = (found[name].float() - expected).abs().max().item()
        worst = max(worst, difference)
        # Not `difference > tolerance`: a NaN must fail.
        problems.expect(difference <= tolerance, f"{name}: differs from transformers by {difference:.2e}, at most {tolerance:.0e} is allowed")
    return worst


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path, metavar="RUN_OR_MODEL_DIR")
    parser.add_argument("--retune", type=Path, help="the retune program; without it, only loading and tokenizing are checked")
    parser.add_argument("--base", type=Path, help="the model it was fine-tuned from: its tokenizer must agree, adapters load on it")
    parser.add_argument("--texts", type=Path, help="UTF-8 file with one text a line, instead of the built-in ones")
    parser.add_argument("--tolerance", type=float, default=1e-4)
    arguments = parser.parse_args()

    import transformers

    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    problems = Problems()
    folder = find_model(arguments.path)
    texts = arguments.texts.read_text(encoding="utf-8").splitlines() if arguments.texts else TEXTS
    base = arguments.base
    if (folder / "adapter_config.json").exists():
        base = find_base(folder, arguments.base)
        model = load_adapter(folder, base, problems)
    else:
        model = load_full(folder, problems)
    tokenizer = None
    if model is not None and not hasattr(model.config, "image_size"):
        # An adapter may leave the tokenizer with its base; a model may not.
        own = (folder / "tokenizer.json").exists() or not (folder / "adapter_config.json").exists()
        tokenizer = check_tokenizer(folder if own else base, base, texts, problems)
    worst, ran = None, False
    if arguments.retune and model is not None:
        inputs = make_inputs(model, tokenizer, texts)
        if problems.expect(inputs is not None, f"{folder}: without a tokenizer there is nothing to run"):
            worst, ran = check_forward(arguments.retune, folder, model, inputs, arguments.tolerance, problems), True
    for message in problems.found:
        print(f"mismatch: {message}", file=sys.stderr)
    if problems.found:
        raise SystemExit(1)
    print(f"{folder}: agrees with transformers {transformers.__version__}" + (f", logits within {worst:.1e}" if ran else ", logits not compared"))


if __name__ == "__main__":
    main()
