"""fixtures/parity/<family>-<head>: tiny random decoders with inputs, outputs, losses, gradients and searches."""

import json
from pathlib import Path

import torch
import transformers

from fixtures_common import forward_and_gradients, fresh_folder, generator, randomise, save_model, save_tensors, write_versions
from fixtures_text import copy_tokenizer

LABELS = {0: "negative", 1: "neutral", 2: "positive"}
IGNORED = -100
LENGTHS = [9, 6, 4, 9]  # of the rows
PADS_LEFT = [False, True, False, True]


def llama_like(**changes):
    """Three heads of six, one of keys; no two sizes equal by accident."""
    config = dict(vocab_size=29, hidden_size=18, intermediate_size=22, num_hidden_layers=2, num_attention_heads=3,
                  num_key_value_heads=1, max_position_embeddings=32, pad_token_id=1, bos_token_id=2, eos_token_id=3)
    config.update(changes)
    return config


def rope(kind, **fields):
    return dict(rope_parameters=dict(rope_type=kind, rope_theta=500.0, **fields))


GPT2 = dict(vocab_size=29, n_positions=32, n_embd=18, n_layer=2, n_head=3, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
            pad_token_id=1, bos_token_id=2, eos_token_id=3)
GEMMA = llama_like(head_dim=8)
# Three layers: two that slide by angles of their own, one that sees everything.
GEMMA3 = GEMMA | dict(num_hidden_layers=3, sliding_window=3, query_pre_attn_scalar=5, layer_types=["sliding_attention", "full_attention", "sliding_attention"],
                      rope_parameters=dict(full_attention=dict(rope_type="linear", factor=2.0, rope_theta=500.0), sliding_attention=dict(rope_type="default", rope_theta=30.0)))
NEOX = {k: v for k, v in llama_like(hidden_size=24, hidden_dropout=0.0, max_position_embeddings=32).items() if k != "num_key_value_heads"}
SEQUENCES = dict(id2label=dict(LABELS), label2id={v: k for k, v in LABELS.items()})
SMALL = dict(num_hidden_layers=1)

CONFIGS = {"Gemma3": "Gemma3TextConfig"}

# folder: (class prefix, head, config values)
CASES = {
    "llama-causal-lm": ("Llama", "CausalLM", llama_like(attention_bias=True)),
    "llama-tied": ("Llama", "CausalLM", llama_like(tie_word_embeddings=True, num_key_value_heads=3, mlp_bias=True, head_dim=4)),
    "llama-sequence-classification": ("Llama", "SequenceClassification", llama_like(**SEQUENCES, **SMALL)),
    "llama-linear": ("Llama", "CausalLM", llama_like(**SMALL, **rope("linear", factor=2.5))),
    # Nine tokens are more than the eight of pretraining.
    "llama-dynamic": ("Llama", "CausalLM", llama_like(**SMALL, **rope("dynamic", factor=2.0)) | dict(max_position_embeddings=8)),
    "llama-yarn": ("Llama", "CausalLM", llama_like(**SMALL, **rope("yarn", factor=4.0, original_max_position_embeddings=8, beta_fast=2.0))),
    "llama-llama3": ("Llama", "CausalLM", llama_like(**SMALL, **rope(
        "llama3", factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=64))),
    "mistral-causal-lm": ("Mistral", "CausalLM", llama_like(sliding_window=3)),
    "qwen2-causal-lm": ("Qwen2", "CausalLM", llama_like(use_sliding_window=True, sliding_window=4, max_window_layers=1)),
    "qwen3-causal-lm": ("Qwen3", "CausalLM", llama_like(head_dim=8, tie_word_embeddings=True)),
    "gemma-causal-lm": ("Gemma", "CausalLM", GEMMA),
    "gemma2-causal-lm": ("Gemma2", "CausalLM", GEMMA | dict(sliding_window=3, query_pre_attn_scalar=5, final_logit_softcapping=3.0, attn_logit_softcapping=2.0)),
    "gemma3-causal-lm": ("Gemma3", "CausalLM", GEMMA3),
    "gemma3-sequence-classification": ("Gemma3Text", "SequenceClassification", GEMMA3 | SEQUENCES),
    "phi3-causal-lm": ("Phi3", "CausalLM", llama_like(sliding_window=5)),
    # Long texts, by their own divisors.
    "phi3-longrope": ("Phi3", "CausalLM", llama_like(**SMALL, original_max_position_embeddings=8, **rope(
        "longrope", short_factor=[1.0, 1.1, 1.3], long_factor=[1.5, 2.0, 4.0]))),
    "gpt-neox-causal-lm": ("GPTNeoX", "CausalLM", NEOX | rope("default", partial_rotary_factor=0.5)),
    "gpt-neox-in-sequence": ("GPTNeoX", "CausalLM", NEOX | SMALL | dict(use_parallel_residual=False, attention_bias=False)),
    "gpt2-causal-lm": ("GPT2", "LMHeadModel", GPT2 | dict(n_inner=30)),
    "gpt2-untied": ("GPT2", "LMHeadModel", GPT2 | dict(n_layer=2, tie_word_embeddings=False, scale_attn_by_inverse_layer_idx=True)),
    "gpt2-sequence-classification": ("GPT2", "SequenceClassification", GPT2 | SEQUENCES | dict(n_layer=1)),
    # Heads for texts by the two kinds of classes, and the decoder by its two names.
    "llama-token-classification": ("Llama", "TokenClassification", llama_like(**SEQUENCES, **SMALL, classifier_dropout=0.0)),
    "gpt2-token-classification": ("GPT2", "TokenClassification", GPT2 | SEQUENCES | dict(n_layer=1, hidden_dropout=0.0)),
    "llama-question-answering": ("Llama", "QuestionAnswering", llama_like(**SMALL)),
    "mistral-question-answering": ("Mistral", "QuestionAnswering", llama_like(**SMALL, sliding_window=3)),
}


def decoder_inputs(random, config):
    """Rows of several lengths, padding on either side."""
    rows, width = len(LENGTHS), max(LENGTHS)
    ids = torch.full((rows, width), config.pad_token_id)
    mask = torch.zeros(rows, width, dtype=torch.int64)
    for row, (length, left) in enumerate(zip(LENGTHS, PADS_LEFT)):
        first = width - length if left else 0
        ids[row, first : first + length] = torch.randint(4, config.vocab_size, (length,), generator=random)
        mask[row, first : first + length] = 1
    return {"input_ids": ids, "attention_mask": mask}


def targets_of(random, head, config, inputs):
    if head == "SequenceClassification":
        return {"labels": torch.arange(len(LENGTHS)) % config.num_labels}
    if head == "QuestionAnswering":
        # The last answer lies outside of its window.
        return {"start_positions": torch.tensor([2, 5, 0, 9]), "end_positions": torch.tensor([4, 8, 3, 9])}
    classes = config.num_labels if head == "TokenClassification" else config.vocab_size
    labels = torch.randint(0, classes, inputs["input_ids"].shape, generator=random)
    labels[inputs["attention_mask"] == 0] = IGNORED
    labels[:, 2::4] = IGNORED
    return {"labels": labels}


def build(prefix, head, values, random):
    config = getattr(transformers, CONFIGS.get(prefix, f"{prefix}Config"))(**values)
    config._attn_implementation = "eager"
    name = f"{prefix}LMHeadModel" if head == "LMHeadModel" else f"{prefix}For{head}"
    model = getattr(transformers, name)(config)
    randomise(model, random, weight_std=0.25)
    return model


def make_case(root, name, prefix, head, values):
    folder = fresh_folder(root / "parity" / name)
    random = generator(name)
    model = build(prefix, head, values, random)
    names = save_model(model, folder)
    inputs = decoder_inputs(random, model.config)
    inputs |= targets_of(random, head, model.config, inputs)
    case = forward_and_gradients(model, inputs, names)
    if head in ("CausalLM", "LMHeadModel"):
        # Several documents in one row, told by their positions alone.
        packed = {"input_ids": inputs["input_ids"][[0, 3]], "position_ids": torch.tensor([[0, 1, 2, 3, 0, 1, 2, 3, 4], [0, 0, 1, 2, 3, 4, 5, 6, 0]])}
        model.eval()
        with torch.no_grad():
            case |= {f"packed.{k}": v for k, v in packed.items()}
            case["packed.logits"] = model(**packed, use_cache=False).logits
    save_tensors(folder / "case.safetensors", case)


# Settings of searches; every model that is searched has all of them.
SEARCHES = [
    dict(max_new_tokens=12),
    dict(max_new_tokens=9, min_new_tokens=4, repetition_penalty=1.7, no_repeat_ngram_size=2),
    dict(max_new_tokens=8, suppress_tokens=[5, 6, 7, 8], begin_suppress_tokens=[9, 10, 11, 12, 13], forced_eos_token_id=3),
    dict(max_new_tokens=10, num_beams=3),
    dict(max_new_tokens=10, num_beams=4, early_stopping=True, length_penalty=2.0, no_repeat_ngram_size=2),
    dict(max_new_tokens=11, num_beams=2, early_stopping="never", length_penalty=0.5, min_length=12),
    dict(max_new_tokens=11, num_beams=3, early_stopping="never", length_penalty=-1.0, repetition_penalty=1.3),
    # Many ends: texts finish at once.
    dict(max_new_tokens=12, eos_token_id=[3, 4, 7, 12, 15, 20, 23]),
    dict(max_new_tokens=12, num_beams=3, eos_token_id=[3, 4, 7, 12, 15, 20, 23], length_penalty=0.0),
    # Lengths that count the prompt; a number of new tokens wins.
    dict(max_length=11, forced_eos_token_id=3),
    dict(max_length=12, num_beams=3, early_stopping="never", length_penalty=0.7, forced_eos_token_id=3),
    dict(max_length=7, max_new_tokens=5),
]
SEARCHED = ["llama-causal-lm", "llama-dynamic", "mistral-causal-lm", "gemma2-causal-lm", "gemma3-causal-lm", "gpt2-causal-lm",
            "phi3-longrope"]


def until_end(tokens, ends):
    """New tokens of one text, with its end and without the padding behind it."""
    for place, token in enumerate(tokens):
        if token in ends:
            return tokens[: place + 1]
    return tokens


def make_searches(root, name):
    """What `generate` continues each prompt with when it is alone: in a batch some rules count the padding on the left."""
    folder = root / "parity" / name
    prefix, head, _ = CASES[name]
    model_name = f"{prefix}LMHeadModel" if head == "LMHeadModel" else f"{prefix}For{head}"
    model = getattr(transformers, model_name).from_pretrained(folder, attn_implementation="eager").eval()
    random = generator(f"{name} searched")
    lengths = [6, 3, 1, 5]
    ids = torch.full((len(lengths), max(lengths)), model.config.pad_token_id)
    mask = torch.zeros_like(ids)
    for row, length in enumerate(lengths):
        ids[row, -length:] = torch.randint(4, model.config.vocab_size, (length,), generator=random)
        mask[row, -length:] = 1
    searches = []
    for settings in SEARCHES:
        settings = dict(eos_token_id=3) | settings
        given = transformers.GenerationConfig(**settings, pad_token_id=model.config.pad_token_id, do_sample=False)
        prompts = [row[real.bool()][None] for row, real in zip(ids, mask)]
        with torch.no_grad():
            found = [model.generate(input_ids=prompt, generation_config=given)[0, prompt.shape[1] :].tolist() for prompt in prompts]
        ends = settings["eos_token_id"] if isinstance(settings["eos_token_id"], list) else [settings["eos_token_id"]]
        continued = [until_end(row, ends) for row in found]
        searches.append({"settings": settings, "continued": continued})
    lines = ",\n".join(json.dumps(search) for search in searches)
    text = f'{{"input_ids": {ids.tolist()}, "attention_mask": {mask.tolist()}, "searches": [\n{lines}\n]}}\n'
    (folder / "searches.json").write_text(text)


def make_with_tokenizer(root):
    """A model that reads and writes text: larger only in its vocabulary."""
    folder = fresh_folder(root / "parity" / "llama-with-tokenizer")
    random = generator("llama-with-tokenizer")
    ids = dict(vocab_size=360, pad_token_id=1, bos_token_id=0, eos_token_id=2, max_position_embeddings=64)
    save_model(build("Llama", "CausalLM", llama_like(tie_word_embeddings=True) | ids, random), folder)
    copy_tokenizer(root, "tiny-tokenizer-bpe", folder)


def make_defaults(root):
    """What a configuration class assumes when config.json says nothing."""
    classes = ["Llama", "Mistral", "Qwen2", "Qwen3", "Gemma", "Gemma2", "Gemma3Text", "Phi3", "GPTNeoX", "GPT2"]
    configs = [getattr(transformers, f"{name}Config")() for name in classes]
    text = json.dumps({config.model_type: config.to_dict() for config in configs}, indent=2, sort_keys=True)
    (root / "configs" / "decoder_defaults.json").write_text(text + "\n")


def make(root):
    root = Path(root)
    make_defaults(root)
    make_with_tokenizer(root)
    for name, (prefix, head, values) in CASES.items():
        make_case(root, name, prefix, head, values)
    for name in SEARCHED:
        make_searches(root, name)
    write_versions(root / "parity")
