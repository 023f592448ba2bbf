"""fixtures/parity/<family>-…: tiny random encoder–decoders with inputs, outputs, losses, gradients and searches."""

import json
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file

from fixtures_common import forward_and_gradients, fresh_folder, generator, randomise, save_model, save_tensors, write_versions
from fixtures_decoders import until_end

IGNORED = -100
SOURCES = [9, 6, 4, 8]  # tokens of the rows
TARGETS = [5, 7, 1, 4]
PADS_LEFT = [False, True, False, False]  # of the sources


def bart_like(**changes):
    """Three heads of six; no two sizes equal by accident."""
    config = dict(vocab_size=31, d_model=18, encoder_layers=2, decoder_layers=1, encoder_attention_heads=3,
                  decoder_attention_heads=2, encoder_ffn_dim=22, decoder_ffn_dim=26, max_position_embeddings=24,
                  dropout=0.0, attention_dropout=0.0, activation_dropout=0.0, encoder_layerdrop=0.0, decoder_layerdrop=0.0,
                  pad_token_id=1, bos_token_id=0, eos_token_id=2, decoder_start_token_id=2, forced_eos_token_id=None)
    config.update(changes)
    return config


def t5_like(**changes):
    """Three heads of five, which together are no hidden size."""
    config = dict(vocab_size=31, d_model=16, d_kv=5, d_ff=22, num_layers=2, num_decoder_layers=1, num_heads=3,
                  relative_attention_num_buckets=8, relative_attention_max_distance=9, dropout_rate=0.0,
                  pad_token_id=0, eos_token_id=1, decoder_start_token_id=0)
    config.update(changes)
    return config


# folder: (class, config class, config values)
CASES = {
    "bart": ("BartForConditionalGeneration", "BartConfig", bart_like(scale_embedding=True)),
    "bart-untied": ("BartForConditionalGeneration", "BartConfig", bart_like(tie_word_embeddings=False, activation_function="relu")),
    "mbart": ("MBartForConditionalGeneration", "MBartConfig", bart_like(decoder_start_token_id=None)),
    "marian": ("MarianMTModel", "MarianConfig", bart_like(
        activation_function="swish", scale_embedding=True, pad_token_id=30, decoder_start_token_id=30, eos_token_id=0, bos_token_id=None)),
    "marian-two-vocabularies": ("MarianMTModel", "MarianConfig", bart_like(
        d_model=15, decoder_attention_heads=5, share_encoder_decoder_embeddings=False, decoder_vocab_size=27, pad_token_id=26,
        decoder_start_token_id=26, eos_token_id=0, bos_token_id=None)),
    "m2m-100": ("M2M100ForConditionalGeneration", "M2M100Config", bart_like()),
    "t5": ("T5ForConditionalGeneration", "T5Config", t5_like()),
    "t5-gated": ("T5ForConditionalGeneration", "T5Config", t5_like(feed_forward_proj="gated-gelu", tie_word_embeddings=False)),
    "mt5": ("MT5ForConditionalGeneration", "MT5Config", t5_like(feed_forward_proj="gated-silu", num_decoder_layers=None)),
}
# folder: (class, config class, config values); heads over the text that is read.
LABELS = {0: "negative", 1: "neutral", 2: "positive"}
NAMED = dict(id2label=LABELS, label2id={v: k for k, v in LABELS.items()}, classifier_dropout=0.0)
SMALL = dict(encoder_layers=1, decoder_layers=1)
READERS = {
    "bart-sequence-classification": ("BartForSequenceClassification", "BartConfig", bart_like(**NAMED, **SMALL)),
    "mbart-sequence-classification": ("MBartForSequenceClassification", "MBartConfig", bart_like(**NAMED, **SMALL, decoder_start_token_id=None)),
    "bart-question-answering": ("BartForQuestionAnswering", "BartConfig", bart_like(**SMALL)),
    "t5-sequence-classification": ("T5ForSequenceClassification", "T5Config", t5_like(**NAMED, num_layers=1)),
    "t5-token-classification": ("T5ForTokenClassification", "T5Config", t5_like(**NAMED)),
    "t5-question-answering": ("T5ForQuestionAnswering", "T5Config", t5_like(num_layers=1, feed_forward_proj="gated-gelu")),
}
# Those whose score weights are others than the table of the tokens, whatever config.json says.
APART = ["t5-gated"]


def rows(random, lengths, low, vocabulary, padding, pads_left):
    ids = torch.full((len(lengths), max(lengths)), padding)
    mask = torch.zeros_like(ids)
    for row, (length, left) in enumerate(zip(lengths, pads_left)):
        first = max(lengths) - length if left else 0
        ids[row, first : first + length] = torch.randint(low, vocabulary, (length,), generator=random)
        mask[row, first : first + length] = 1
    return ids, mask


def inputs_of(random, config):
    vocabulary = min(config.vocab_size, getattr(config, "decoder_vocab_size", None) or config.vocab_size) - 1
    ids, mask = rows(random, SOURCES, 3, vocabulary, config.pad_token_id, PADS_LEFT)
    labels, seen = rows(random, TARGETS, 3, vocabulary, config.pad_token_id, [False] * len(TARGETS))
    labels[seen == 0] = IGNORED
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def build(class_name, config_class, values, random):
    config = getattr(transformers, config_class)(**values)
    config._attn_implementation = "eager"
    model = getattr(transformers, class_name)(config)
    randomise(model, random, weight_std=0.25)
    with torch.no_grad():
        if getattr(model, "final_logits_bias", None) is not None:
            model.final_logits_bias.copy_(torch.randn(model.final_logits_bias.shape, generator=random))
        # Fixed positions are no parameters of a kind that may be random.
        for module in model.modules():
            if type(module).__name__ == "MarianSinusoidalPositionalEmbedding":
                module.weight.copy_(module.create_weight())
    return model


def separate(model, random):
    """Score weights of their own, as the files of T5's later versions hold them."""
    weight = 0.25 * torch.randn(model.lm_head.weight.shape, generator=random)
    model.lm_head.weight = torch.nn.Parameter(weight)


def make_case(root, name, class_name, config_class, values):
    folder = fresh_folder(root / "parity" / name)
    random = generator(name)
    model = build(class_name, config_class, values, random)
    if name in APART:
        separate(model, random)
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    for module in model.modules():
        if type(module).__name__ == "MarianSinusoidalPositionalEmbedding":
            module.weight.requires_grad_(False)
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    model.save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)
    names = {n: n for n, _ in named}
    stored = load_file(folder / "model.safetensors")
    assert all(n in stored for n in names), sorted(set(names) - set(stored))
    inputs = inputs_of(random, model.config)
    # What the model itself makes of labels.
    model.eval()
    case = forward_and_gradients(model, inputs, names, base=False)
    with torch.no_grad():
        outputs = model(**inputs, output_hidden_states=True)
        case["output.encoder_last_hidden_state"] = outputs.encoder_last_hidden_state
        case["output.last_hidden_state"] = outputs.decoder_hidden_states[-1] if "t5" in name else decoder_states(model, inputs)
        # A decoder that is given its input, with padding before and behind it.
        given, seen = rows(random, [4, 6, 3, 5], 3, 20, model.config.pad_token_id, [False, False, True, True])
        call = {"input_ids": inputs["input_ids"], "attention_mask": inputs["attention_mask"],
                "decoder_input_ids": given, "decoder_attention_mask": seen}
        case |= {f"given.{k}": v for k, v in call.items()}
        case["given.logits"] = model(**call).logits
    save_tensors(folder / "case.safetensors", case)


def make_reader(root, name, class_name, config_class, values):
    """Rows that end as their tokenizer would end them; the first has two such tokens as the others, one of which is in its middle."""
    folder = fresh_folder(root / "parity" / name)
    random = generator(name)
    model = build(class_name, config_class, values, random)
    names = save_model(model, folder)
    ids, mask = rows(random, SOURCES, 3, model.config.vocab_size - 1, model.config.pad_token_id, [False] * len(SOURCES))
    for row, length in enumerate(SOURCES):
        ids[row, [length // 2, length - 1]] = model.config.eos_token_id
    inputs = {"input_ids": ids, "attention_mask": mask}
    if "QuestionAnswering" in class_name:
        inputs |= {"start_positions": torch.tensor([2, 4, 0, 9]), "end_positions": torch.tensor([4, 5, 3, 9])}
    elif "Sequence" in class_name:
        inputs |= {"labels": torch.arange(len(SOURCES)) % model.config.num_labels}
    else:
        labels = torch.randint(0, model.config.num_labels, ids.shape, generator=random)
        inputs |= {"labels": torch.where(mask == 1, labels, IGNORED)}
    case = forward_and_gradients(model, inputs, names, base=False)
    save_tensors(folder / "case.safetensors", case)


def decoder_states(model, inputs):
    base = {k: v for k, v in inputs.items() if k != "labels"}
    shifted = model.prepare_decoder_input_ids_from_labels(inputs["labels"]) if hasattr(model, "prepare_decoder_input_ids_from_labels") else None
    if shifted is None:
        from transformers.models.m2m_100.modeling_m2m_100 import shift_tokens_right
        shifted = shift_tokens_right(inputs["labels"], model.config.pad_token_id, model.config.decoder_start_token_id)
    return model.model(**base, decoder_input_ids=shifted).last_hidden_state


# Settings of searches; every model that is searched has all of them.
SEARCHES = [
    dict(max_new_tokens=12),
    dict(max_length=8, forced_bos_token_id=7, forced_eos_token_id=2),
    dict(max_new_tokens=9, min_new_tokens=4, repetition_penalty=1.7, no_repeat_ngram_size=2),
    dict(max_new_tokens=9, suppress_tokens=[5, 6, 7, 8], begin_suppress_tokens=[9, 10, 11, 12, 13]),
    dict(max_new_tokens=9, bad_words_ids=[[5], [6, 7], [8, 9, 10], [11], [12]]),
    dict(max_new_tokens=10, num_beams=3),
    dict(max_length=12, num_beams=3, bad_words_ids=[[5], [6], [9, 7], [7, 7]], renormalize_logits=True),
    dict(max_new_tokens=10, num_beams=4, early_stopping=True, length_penalty=2.0, no_repeat_ngram_size=2, forced_bos_token_id=9),
    dict(max_new_tokens=11, num_beams=2, early_stopping="never", length_penalty=0.5, min_length=8),
    dict(max_new_tokens=11, num_beams=3, early_stopping="never", length_penalty=-1.0, repetition_penalty=1.3),
    # Many ends: texts finish at once.
    dict(max_new_tokens=12, eos_token_id=[2, 4, 7, 12, 15, 20, 23]),
    dict(max_new_tokens=12, num_beams=3, eos_token_id=[2, 4, 7, 12, 15, 20, 23], length_penalty=0.0),
]
SEARCHED = ["bart", "mbart", "marian", "m2m-100", "t5", "mt5"]


def make_searches(root, name):
    """What `generate` writes about sources of several lengths."""
    folder = root / "parity" / name
    class_name, _, _ = CASES[name]
    model = getattr(transformers, class_name).from_pretrained(folder, attn_implementation="eager").eval()
    random = generator(f"{name} searched")
    ids, mask = rows(random, [6, 3, 1, 5], 3, 25, model.config.pad_token_id, [False] * 4)
    start = model.config.decoder_start_token_id
    start = 2 if start is None else start
    searches = []
    for settings in SEARCHES:
        settings = dict(eos_token_id=2, decoder_start_token_id=start) | settings
        given = transformers.GenerationConfig(**settings, pad_token_id=model.config.pad_token_id, do_sample=False)
        with torch.no_grad():
            found = model.generate(input_ids=ids, attention_mask=mask, generation_config=given)
        ends = settings["eos_token_id"] if isinstance(settings["eos_token_id"], list) else [settings["eos_token_id"]]
        written = [until_end(row, ends) for row in found[:, 1:].tolist()]
        searches.append({"settings": settings, "written": written})
    lines = ",\n".join(json.dumps(search) for search in searches)
    text = f'{{"input_ids": {ids.tolist()}, "attention_mask": {mask.tolist()}, "searches": [\n{lines}\n]}}\n'
    (folder / "searches.json").write_text(text)


def make_defaults(root):
    """What a configuration class assumes when config.json says nothing."""
    classes = ["Bart", "MBart", "Marian", "M2M100", "T5", "MT5"]
    configs = [getattr(transformers, f"{name}Config")() for name in classes]
    text = json.dumps({config.model_type: config.to_dict() for config in configs}, indent=2, sort_keys=True)
    (root / "configs" / "sequence_to_sequence_defaults.json").write_text(text + "\n")


def make(root):
    root = Path(root)
    make_defaults(root)
    for name, (class_name, config_class, values) in CASES.items():
        make_case(root, name, class_name, config_class, values)
    for name, (class_name, config_class, values) in READERS.items():
        make_reader(root, name, class_name, config_class, values)
    for name in SEARCHED:
        make_searches(root, name)
    write_versions(root / "parity")
