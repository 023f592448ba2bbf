"""fixtures/peft: adapters as PEFT saves them, on fixtures/parity/{bert,roberta}-base-only, with outputs and gradients."""

import json
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
import transformers

import fixtures_decoders
import fixtures_seq2seq
from fixtures_common import OUTPUTS, fresh_folder, generator, named_gradients, save_tensors, saved_names, write_json, write_versions
from fixtures_text import LABELS, TAGS, names_of, targets_of, text_inputs

COMMON = dict(task_type="SEQ_CLS", r=4, lora_alpha=8, lora_dropout=0.0, target_modules=["query", "value"])
# PEFT's task type: the head of the class that it goes with, and fields of its configuration.
HEADS = {
    "SEQ_CLS": ("SequenceClassification", names_of(LABELS) | dict(classifier_dropout=0.0)),
    "TOKEN_CLS": ("TokenClassification", names_of(TAGS) | dict(classifier_dropout=0.0)),
    "QUESTION_ANS": ("QuestionAnswering", {}),
    "CAUSAL_LM": ("CausalLM", {}),
    "SEQ_2_SEQ_LM": ("ConditionalGeneration", {}),
}
DECODER = dict(task_type="CAUSAL_LM", r=3, lora_alpha=6, lora_dropout=0.0)
BOTH = DECODER | dict(task_type="SEQ_2_SEQ_LM")
# folder: (class prefix, base below fixtures/parity, configuration of the adapter)
ADAPTERS = {
    "bert-lora": ("Bert", "bert-base-only", COMMON),
    # Scaled by alpha / sqrt(r) where plain LoRA has alpha / r.
    "bert-rslora": ("Bert", "bert-base-only", COMMON | dict(use_rslora=True)),
    "bert-dora": ("Bert", "bert-base-only", COMMON | dict(use_dora=True)),
    "bert-lora-token-classification": ("Bert", "bert-base-only", COMMON | dict(task_type="TOKEN_CLS")),
    "bert-lora-question-answering": ("Bert", "bert-base-only", COMMON | dict(task_type="QUESTION_ANS")),
    # Targets that the head's layers match too. PEFT trains the head as a whole and puts no adapter into it, but lists
    # the head's layers where `all-linear` was asked for.
    "roberta-lora-all-linear": ("Roberta", "roberta-base-only", COMMON | dict(target_modules="all-linear")),
    # Weights stored [in, out]; without targets PEFT takes its own for the family.
    "gpt2-lora": ("GPT2", "gpt2-causal-lm", DECODER | dict(fan_in_fan_out=True)),
    "llama-lora-all-linear": ("Llama", "llama-causal-lm", DECODER | dict(target_modules="all-linear", use_rslora=True)),
    # Scores over the vocabulary, by a weight of their own and by the token table.
    "llama-lora-lm-head": ("Llama", "llama-causal-lm", DECODER | dict(target_modules=["q_proj", "lm_head"])),
    "t5-lora-lm-head": ("T5", "t5", BOTH | dict(target_modules=["q", "lm_head"])),
    "llama-lora-whole": ("Llama", "llama-causal-lm", DECODER | dict(target_modules=["q_proj"], modules_to_save=["lm_head", "embed_tokens"])),
    "bart-lora": ("Bart", "bart", BOTH),
    "t5-lora": ("T5", "t5", BOTH),
    "t5-lora-all-linear": ("T5", "t5-gated", BOTH | dict(target_modules="all-linear")),
    "marian-lora-all-linear": ("Marian", "marian", BOTH | dict(target_modules="all-linear", lora_alpha=1)),
    "roberta-lora-dense": ("Roberta", "roberta-base-only", COMMON | dict(target_modules=["dense"])),
}


def load_base(root, prefix, base, task_type):
    """The bare encoder below a new head; the head's values are overwritten by `randomise_trainable` or the adapter's."""
    head, fields = HEADS[task_type]
    names = {("GPT2", "CausalLM"): "GPT2LMHeadModel", ("Marian", "ConditionalGeneration"): "MarianMTModel"}
    name = names.get((prefix, head), f"{prefix}For{head}")
    return getattr(transformers, name).from_pretrained(root / "parity" / base, attn_implementation="eager", **fields)


@torch.no_grad()
def randomise_trainable(model, random):
    """lora_B starts at zero, where an adapter that is never applied would go unnoticed."""
    for name, parameter in sorted(model.named_parameters()):
        if parameter.requires_grad and "magnitude" not in name:
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=random))
    for name, parameter in sorted(model.named_parameters()):
        if "magnitude" in name:
            parameter.copy_(parameter * (1.0 + 0.2 * torch.randn(parameter.shape, generator=random)))


def tidy_config(path, base):
    """PEFT writes its sets in the order of Python's hashes; sorted, the file is the same on every run."""
    config = json.loads(path.read_text())
    config["target_modules"] = sorted(config["target_modules"])
    config["base_model_name_or_path"] = f"../../parity/{base}"  # from the adapter's folder
    write_json(path, config)


def make_adapter(root, name, prefix, base_name, settings):
    folder = fresh_folder(root / "peft" / name)
    random = generator(name)
    base = load_base(root, prefix, base_name, settings["task_type"])
    model = get_peft_model(base, LoraConfig(**settings))
    randomise_trainable(model, random)
    model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    (folder / "adapter_model.safetensors").chmod(0o644)
    tidy_config(folder / "adapter_config.json", base_name)
    trainable = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    names = saved_names(trainable, folder / "adapter_model.safetensors")
    if settings["task_type"] == "CAUSAL_LM":
        inputs = fixtures_decoders.decoder_inputs(random, base.config)
        inputs |= fixtures_decoders.targets_of(random, "CausalLM", base.config, inputs)
    elif settings["task_type"] == "SEQ_2_SEQ_LM":
        inputs = fixtures_seq2seq.inputs_of(random, base.config)
    else:
        inputs = text_inputs(random, base.config, token_types=prefix == "Bert")
        inputs |= targets_of(HEADS[settings["task_type"]][0], random, base.config, inputs)
    case = {f"input.{k}": v for k, v in inputs.items()}
    # The adapted model itself: PEFT's class for QUESTION_ANS does not hand token_type_ids on to it (0.21.2).
    adapted = model.base_model
    model.eval()
    with torch.no_grad():
        outputs = adapted(**inputs)
        expected = {name: getattr(outputs, name) for name in OUTPUTS if getattr(outputs, name, None) is not None}
        case |= {f"output.{name}": value for name, value in expected.items()} | {"loss": outputs.loss}
        with model.disable_adapter():
            plain = adapted(**inputs)

    def differs(other, tolerance):
        return not all(torch.allclose(getattr(other, name), value, atol=tolerance) for name, value in expected.items())

    if not differs(plain, 1e-2):
        raise ValueError(f"{name}: the adapter changes nothing")
    model.train()
    model.zero_grad(set_to_none=True)
    loss = adapted(**inputs).loss
    loss.backward()
    case["train.loss"] = loss.detach()
    case.update(named_gradients(trainable, names))
    save_tensors(folder / "case.safetensors", case)
    reloaded = PeftModel.from_pretrained(load_base(root, prefix, base_name, settings["task_type"]), folder).eval()
    with torch.no_grad():
        if differs(reloaded.base_model(**inputs), 1e-6):
            raise ValueError(f"{name}: what was saved does not give the same outputs")
        if base.config.tie_word_embeddings and "lm_head" in (settings.get("target_modules") or []):
            return  # PEFT would merge it into the token table, too, which is another model
        merged = reloaded.merge_and_unload()(**inputs)
    if differs(merged, 1e-4):
        raise ValueError(f"{name}: merging changes the outputs")


def make(root):
    root = Path(root)
    for name, adapter in ADAPTERS.items():
        make_adapter(root, name, *adapter)
    write_versions(root / "peft")
