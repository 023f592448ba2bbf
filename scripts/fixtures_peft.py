"""fixtures/peft: adapters as PEFT saves them, on fixtures/parity/bert-base-only, with outputs and gradients."""

import json
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import BertForSequenceClassification

from fixtures_common import fresh_folder, generator, named_gradients, save_tensors, saved_names, write_json, write_versions
from fixtures_text import LABELS, text_inputs, text_labels

BASE = "parity/bert-base-only"
RELATIVE_BASE = "../../parity/bert-base-only"  # from the adapter's folder
COMMON = dict(task_type="SEQ_CLS", r=4, lora_alpha=8, lora_dropout=0.0, target_modules=["query", "value"])
ADAPTERS = {
    "bert-lora": COMMON,
    # Scaled by alpha / sqrt(r) where plain LoRA has alpha / r.
    "bert-rslora": COMMON | dict(use_rslora=True),
    "bert-dora": COMMON | dict(use_dora=True),
}


def load_base(root):
    """The bare encoder below a new head; the head's values are overwritten by `randomise_trainable` or the adapter's."""
    return BertForSequenceClassification.from_pretrained(
        root / BASE, attn_implementation="eager", id2label=dict(LABELS), label2id={v: k for k, v in LABELS.items()}, classifier_dropout=0.0)


@torch.no_grad()
def randomise_trainable(model, random):
    """lora_B starts at zero, where an adapter that is never applied would go unnoticed."""
    for name, parameter in sorted(model.named_parameters()):
        if parameter.requires_grad and "magnitude" not in name:
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=random))
    for name, parameter in sorted(model.named_parameters()):
        if "magnitude" in name:
            parameter.copy_(parameter * (1.0 + 0.2 * torch.randn(parameter.shape, generator=random)))


def tidy_config(path):
    """PEFT writes its sets in the order of Python's hashes; sorted, the file is the same on every run."""
    config = json.loads(path.read_text())
    config["target_modules"] = sorted(config["target_modules"])
    config["base_model_name_or_path"] = RELATIVE_BASE
    write_json(path, config)


def make_adapter(root, name, settings):
    folder = fresh_folder(root / "peft" / name)
    random = generator(name)
    base = load_base(root)
    model = get_peft_model(base, LoraConfig(**settings))
    randomise_trainable(model, random)
    model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    (folder / "adapter_model.safetensors").chmod(0o644)
    tidy_config(folder / "adapter_config.json")
    trainable = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    names = saved_names(trainable, folder / "adapter_model.safetensors")
    inputs = text_inputs(random, base.config, token_types=True)
    inputs["labels"] = text_labels(random, base.config)
    case = {f"input.{k}": v for k, v in inputs.items()}
    model.eval()
    with torch.no_grad():
        outputs = model(**inputs)
        case["output.logits"], case["loss"] = outputs.logits, outputs.loss
        with model.disable_adapter():
            plain = model(**inputs).logits
    if torch.allclose(plain, outputs.logits, atol=1e-2):
        raise ValueError(f"{name}: the adapter changes nothing")
    model.train()
    model.zero_grad(set_to_none=True)
    loss = model(**inputs).loss
    loss.backward()
    case["train.loss"] = loss.detach()
    case.update(named_gradients(trainable, names))
    save_tensors(folder / "case.safetensors", case)
    reloaded = PeftModel.from_pretrained(load_base(root), folder).eval()
    with torch.no_grad():
        if not torch.allclose(reloaded(**inputs).logits, outputs.logits, atol=1e-6):
            raise ValueError(f"{name}: what was saved does not give the same logits")
        merged = reloaded.merge_and_unload()(**inputs).logits
    if not torch.allclose(merged, outputs.logits, atol=1e-4):
        raise ValueError(f"{name}: merging changes the logits")


def make(root):
    root = Path(root)
    for name, settings in ADAPTERS.items():
        make_adapter(root, name, settings)
    write_versions(root / "peft")
