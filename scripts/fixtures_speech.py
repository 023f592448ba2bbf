"""fixtures/parity/<family>-…: tiny random models of speech and sound, same format as the text ones."""

import json
import types
from pathlib import Path

import tokenizers
import torch
import transformers
from safetensors.torch import load_file
from transformers.generation.logits_process import WhisperTimeStampLogitsProcessor

from fixtures_common import fresh_folder, forward_and_gradients, generator, randomise, save_model, save_tensors, write_json, write_versions

LABELS = {0: "no", 1: "yes", 2: "maybe"}
NAMES = dict(id2label=dict(LABELS), label2id={v: k for k, v in LABELS.items()})
# Three convolutions: a frame for every 12 samples, of 31.
PLAIN = dict(
    vocab_size=9,
    hidden_size=24,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=40,
    hidden_dropout=0.0,
    activation_dropout=0.0,
    attention_dropout=0.0,
    feat_proj_dropout=0.0,
    final_dropout=0.0,
    layerdrop=0.0,
    conv_dim=[8, 12, 10],
    conv_kernel=[7, 3, 4],
    conv_stride=[3, 2, 2],
    num_conv_pos_embeddings=6,
    num_conv_pos_embedding_groups=3,
    mask_time_prob=0.0,
    mask_feature_prob=0.0,
    pad_token_id=0,
)
STABLE = dict(do_stable_layer_norm=True, feat_extract_norm="layer", conv_bias=True, num_conv_pos_embeddings=5)
CLASSES = dict(classifier_proj_size=16, **NAMES)
MEAN = dict(ctc_loss_reduction="mean")
BUCKETS = dict(num_buckets=12, max_bucket_distance=20)
AST = dict(
    hidden_size=24,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=40,
    hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
    patch_size=4,
    frequency_stride=3,
    time_stride=2,
    max_length=18,
    num_mel_bins=10,
    **NAMES,
)

CONFORMER = dict(
    vocab_size=9,
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=20,
    feature_projection_input_dim=12,
    hidden_dropout=0.0,
    activation_dropout=0.0,
    attention_dropout=0.0,
    feat_proj_dropout=0.0,
    final_dropout=0.0,
    conformer_conv_dropout=0.0,
    layerdrop=0.0,
    mask_time_prob=0.0,
    conv_depthwise_kernel_size=5,
    left_max_position_embeddings=4,
    right_max_position_embeddings=2,
)
SHORTENED = dict(add_adapter=True, num_adapter_layers=2, adapter_kernel_size=3, adapter_stride=2, adapter_act="gelu")

WHISPER = dict(
    vocab_size=41,
    num_mel_bins=5,
    d_model=12,
    encoder_layers=2,
    decoder_layers=3,
    encoder_attention_heads=2,
    decoder_attention_heads=3,
    encoder_ffn_dim=20,
    decoder_ffn_dim=22,
    max_source_positions=9,
    max_target_positions=22,
    pad_token_id=2,
    bos_token_id=2,
    eos_token_id=2,
    decoder_start_token_id=3,
)

MOONSHINE = dict(
    vocab_size=41,
    hidden_size=8,
    intermediate_size=10,
    encoder_num_hidden_layers=1,
    decoder_num_hidden_layers=2,
    encoder_num_attention_heads=2,
    decoder_num_attention_heads=2,
    max_position_embeddings=22,
    pad_token_id=2,
    decoder_start_token_id=3,
    rope_parameters=dict(rope_type="default", rope_theta=100.0, partial_rotary_factor=0.6),
)

# folder: (class, config values)
CASES = {
    "wav2vec2-speech-recognition": ("Wav2Vec2ForCTC", PLAIN),
    "wav2vec2-stable-layer-norm": ("Wav2Vec2ForCTC", PLAIN | STABLE | MEAN | dict(hidden_act="relu", mask_time_prob=0.1)),
    "wav2vec2-audio-classification": ("Wav2Vec2ForSequenceClassification", PLAIN | CLASSES),
    "wav2vec2-weighted-layers": ("Wav2Vec2ForSequenceClassification", PLAIN | STABLE | CLASSES | dict(use_weighted_layer_sum=True)),
    "wav2vec2-language-adapters": (
        "Wav2Vec2ForCTC", PLAIN | STABLE | MEAN | dict(adapter_attn_dim=6, hidden_size=12, num_attention_heads=2, intermediate_size=14)),
    "hubert-speech-recognition": ("HubertForCTC", PLAIN | MEAN | dict(feat_proj_layer_norm=False, ctc_zero_infinity=True)),
    "hubert-audio-classification": ("HubertForSequenceClassification", PLAIN | STABLE | CLASSES),
    "wavlm-speech-recognition": ("WavLMForCTC", PLAIN | BUCKETS),
    "wav2vec2-shortened": (
        "Wav2Vec2ForCTC",
        PLAIN | STABLE | MEAN | dict(add_adapter=True, num_adapter_layers=2, adapter_kernel_size=3, adapter_stride=2, output_hidden_size=10,
                                     hidden_size=12, num_attention_heads=2, intermediate_size=14, num_hidden_layers=1)),
    "wavlm-shortened": (
        "WavLMForCTC",
        PLAIN | BUCKETS | dict(add_adapter=True, num_adapter_layers=1, adapter_kernel_size=4, adapter_stride=3, output_hidden_size=12,
                               hidden_size=12, num_attention_heads=2, intermediate_size=14, num_hidden_layers=1)),
    "wavlm-audio-classification": (
        "WavLMForSequenceClassification", PLAIN | STABLE | BUCKETS | CLASSES | dict(use_weighted_layer_sum=True)),
    "wav2vec2-bert-speech-recognition": ("Wav2Vec2BertForCTC", CONFORMER | MEAN | dict(mask_time_prob=0.1)),
    "wav2vec2-bert-shortened": (
        "Wav2Vec2BertForCTC",
        CONFORMER | SHORTENED | dict(position_embeddings_type="relative", num_hidden_layers=1, hidden_size=12, intermediate_size=14,
                                     output_hidden_size=10, use_intermediate_ffn_before_adapter=True, hidden_act="gelu"),
    ),
    "wav2vec2-bert-audio-classification": (
        "Wav2Vec2BertForSequenceClassification",
        CONFORMER | CLASSES | dict(position_embeddings_type="rotary", rotary_embedding_base=100, use_weighted_layer_sum=True),
    ),
    "ast-audio-classification": ("ASTForAudioClassification", AST),
    "whisper-speech-recognition": ("WhisperForConditionalGeneration", WHISPER),
    "whisper-untied": (
        "WhisperForConditionalGeneration",
        WHISPER | dict(tie_word_embeddings=False, activation_function="relu", encoder_layers=1, decoder_layers=2),
    ),
    "whisper-audio-classification": ("WhisperForAudioClassification", WHISPER | CLASSES | dict(use_weighted_layer_sum=True)),
    "moonshine-speech-recognition": ("MoonshineForConditionalGeneration", MOONSHINE),
    "moonshine-untied": (
        "MoonshineForConditionalGeneration",
        MOONSHINE | dict(tie_word_embeddings=False, attention_bias=True, decoder_hidden_act="gelu", encoder_hidden_act="relu",
                         rope_parameters=dict(rope_type="default", rope_theta=10000.0, partial_rotary_factor=1.0),
                         pad_head_dim_to_multiple_of=8, decoder_num_hidden_layers=1),
    ),
}


# Beginnings of classes that write by a decoder.
WRITE = ("Whisper", "Moonshine")


def sounds(random, lengths):
    """Random samples, zeros behind their ends, and the mask that says so."""
    longest = max(lengths)
    mask = torch.tensor([[1] * n + [0] * (longest - n) for n in lengths])
    return torch.randn(len(lengths), longest, generator=random) * mask, mask


def transcripts(class_name):
    """Of unequal lengths; the third repeats a token, which needs a blank between."""
    return torch.tensor([[3, 1, 8, -100], [5, 5, -100, -100], [2, 7, 7, 4]])


def cases(class_name, values, random):
    """Inputs by the name of their file."""
    if class_name == "WhisperForAudioClassification":
        features = torch.randn(3, values["num_mel_bins"], 2 * values["max_source_positions"], generator=random)
        return {"case": {"input_features": features, "labels": torch.tensor([2, 0, 1])}}
    if class_name.startswith(WRITE):
        if class_name.startswith("Moonshine"):
            samples, mask = sounds(random, [2000, 900, 2400])
            features = {"input_values": samples, "attention_mask": mask.to(torch.uint8)}
        else:
            features = {"input_features": torch.randn(3, values["num_mel_bins"], 2 * values["max_source_positions"], generator=random)}
        labels = torch.randint(4, values["vocab_size"], (3, 6), generator=random)
        labels[0, 4:] = labels[2, 5:] = -100
        ids = torch.cat([torch.full((3, 1), values["decoder_start_token_id"]), labels[:, :-1].clamp(min=values["pad_token_id"])], 1)
        found = {"case": features | {"decoder_input_ids": ids, "labels": labels}}
        if "attention_mask" in features:
            found["case_without_mask"] = {"input_values": samples[:, :2000], "decoder_input_ids": ids, "labels": labels}
        return found
    if class_name.startswith("AST"):
        spectrogram = torch.randn(2, values["max_length"], values["num_mel_bins"], generator=random)
        return {"case": {"input_values": spectrogram, "labels": torch.tensor([2, 0])}}
    if class_name.startswith("Wav2Vec2Bert"):
        lengths = [31, 9, 27]
        features = torch.randn(3, max(lengths), values["feature_projection_input_dim"], generator=random)
        mask = torch.tensor([[1] * n + [0] * (max(lengths) - n) for n in lengths])
        labels = transcripts(class_name) if class_name.endswith("ForCTC") else torch.tensor([2, 0, 1])
        if values.get("add_adapter"):
            labels = labels[:, :2]
        whole = {"input_features": features, "attention_mask": mask, "labels": labels}
        if values.get("mask_time_prob"):
            return {"case": whole | {"mask_time_indices": torch.rand(3, max(lengths), generator=random) < 0.3}}
        return {"case": whole, "case_without_mask": {"input_features": features, "labels": labels}}
    ctc = class_name.endswith("ForCTC")
    labels = transcripts(class_name) if ctc else torch.tensor([2, 0, 1])
    if values.get("add_adapter"):
        # The second row has two frames.
        labels = torch.tensor([[3, 1], [5, -100], [2, 7]])
    # The second ends one sample before another frame; the third has all of them.
    samples, mask = sounds(random, [163, 114, 187])
    whole = {"input_values": samples, "attention_mask": mask, "labels": labels}
    if values.get("mask_time_prob"):
        frames = 14
        whole["mask_time_indices"] = torch.rand(3, frames, generator=random) < 0.3
    found = {"case": whole}
    if class_name.startswith("Wav2Vec2") and not values["mask_time_prob"] and "adapter_attn_dim" not in values:
        found["case_without_mask"] = {"input_values": samples, "labels": labels}
    if values.get("ctc_zero_infinity"):
        # Two frames cannot hold two equal tokens: that loss is infinite, and does not count.
        short, mask = sounds(random, [163, 43, 187])
        found["case_infeasible"] = {"input_values": short, "attention_mask": mask, "labels": labels}
    return found


# Over 4 to 7, which are never written, and 8, which does not come first; a search ends at 2.
SUPPRESSED = dict(suppress_tokens=[4, 5, 6, 7], begin_suppress_tokens=[8, 2], eos_token_id=2, pad_token_id=2, decoder_start_token_id=3)
SEARCHES = [
    dict(max_new_tokens=9, repetition_penalty=2.0),
    dict(max_new_tokens=9),
    dict(max_new_tokens=11, num_beams=3, repetition_penalty=1.6),
    dict(max_new_tokens=12, num_beams=4, length_penalty=0.5, early_stopping=True, no_repeat_ngram_size=1),
    dict(max_new_tokens=7, num_beams=2, no_repeat_ngram_size=2),
]

# Tokens from 30 on are times.
TIMED = [
    dict(max_new_tokens=12, no_timestamps_token_id=29, max_initial_timestamp_index=3, repetition_penalty=1.5),
    dict(max_new_tokens=12, no_timestamps_token_id=29),
    dict(max_new_tokens=10, no_timestamps_token_id=29, num_beams=3),
]


def make_searches(root, name):
    """What `generate` writes of the sounds of the case, behind prompts of two tokens."""
    folder = root / "parity" / name
    model_class = getattr(transformers, CASES[name][0])
    model = model_class.from_pretrained(folder, attn_implementation="eager").eval()
    tensors = load_file(folder / "case.safetensors")
    features = tensors.get("input.input_features", tensors.get("input.input_values"))
    heard = {"attention_mask": tensors["input.attention_mask"]} if "input.attention_mask" in tensors else {}
    prompts = torch.tensor([[3, 9] if name.startswith("whisper") else [3]] * len(features))
    searches = []
    for settings in SEARCHES + (TIMED if name.startswith("whisper") else []):
        settings = SUPPRESSED | settings
        given = transformers.GenerationConfig(**settings, do_sample=False)
        rules = [WhisperTimeStampLogitsProcessor(given, begin_index=prompts.shape[1])] if "no_timestamps_token_id" in settings else []
        with torch.no_grad():
            # Whisper's own method cuts sounds and texts first.
            found = transformers.GenerationMixin.generate(model, features, generation_config=given, decoder_input_ids=prompts, logits_processor=rules, **heard)
        rows = [row[: row.index(2) + 1] if 2 in row else row for row in found[:, prompts.shape[1] :].tolist()]
        searches.append({"settings": settings, "written": rows})
    lines = ",\n".join(json.dumps(search) for search in searches)
    (folder / "searches.json").write_text(f'{{"prompts": {prompts.tolist()}, "searches": [\n{lines}\n]}}\n')


class KwtLayer(torch.nn.Module):
    """A post-norm layer."""

    def __init__(self, hidden, heads, intermediate, epsilon):
        super().__init__()
        self.heads = heads
        self.attn = torch.nn.ModuleDict({name: torch.nn.Linear(hidden, hidden, bias=name == "out") for name in ("q", "k", "v", "out")})
        self.mlp = torch.nn.ModuleDict({"fc1": torch.nn.Linear(hidden, intermediate), "fc2": torch.nn.Linear(intermediate, hidden)})
        self.ln1, self.ln2 = torch.nn.LayerNorm(hidden, epsilon), torch.nn.LayerNorm(hidden, epsilon)

    def forward(self, x):
        query, key, value = (self.attn[name](x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for name in "qkv")
        scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
        x = self.ln1(x + self.attn["out"]((scores.softmax(-1) @ value).transpose(1, 2).flatten(2)))
        return self.ln2(x + self.mlp["fc2"](torch.nn.functional.gelu(self.mlp["fc1"](x), approximate="tanh")))


class KwtEncoder(torch.nn.Module):
    def __init__(self, config):
        super().__init__()
        hidden = config["hidden_size"]
        self.proj = torch.nn.Linear(config["num_mfcc"], hidden)
        self.class_emb = torch.nn.Parameter(torch.zeros(hidden))
        self.pos_emb = torch.nn.Parameter(torch.zeros(config["max_length"] + 1, hidden))
        sizes = (hidden, config["num_attention_heads"], config["intermediate_size"], config["layer_norm_eps"])
        self.blocks = torch.nn.ModuleList(KwtLayer(*sizes) for _ in range(config["num_hidden_layers"]))

    def forward(self, input_values):
        x = self.proj(input_values)
        x = torch.cat([self.class_emb.expand(len(x), 1, -1), x], 1) + self.pos_emb
        for block in self.blocks:
            x = block(x)
        return types.SimpleNamespace(last_hidden_state=x)


class Kwt(torch.nn.Module):
    """The keyword transformer (Berg, O'Connor and Cruz 2021), which transformers does not have."""

    def __init__(self, config):
        super().__init__()
        self.kwt = self.base_model = KwtEncoder(config)
        self.head = torch.nn.Linear(config["hidden_size"], len(config["id2label"]))

    def named_parameters(self, *_, **__):
        return [(name, it) for name, it in super().named_parameters() if not name.startswith("base_model.")]

    def forward(self, input_values, labels=None):
        logits = self.head(self.kwt(input_values).last_hidden_state[:, 0])
        return types.SimpleNamespace(logits=logits, loss=None if labels is None else torch.nn.functional.cross_entropy(logits, labels))


def make_kwt(root):
    """A tiny model of the family, written as `scripts/convert_kwt.py` writes the published one."""
    folder, name = root / "parity" / "kwt-audio-classification", "kwt-audio-classification"
    config = dict(
        architectures=["KWTForAudioClassification"], model_type="kwt", hidden_size=12, num_hidden_layers=3, num_attention_heads=2,
        intermediate_size=20, hidden_act="gelu_pytorch_tanh", layer_norm_eps=1e-5, max_length=9, num_mfcc=7, hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0, **NAMES)
    random = generator(name)
    fresh_folder(folder)
    model = Kwt(config)
    randomise(model, random)
    write_json(folder / "config.json", config)
    save_tensors(folder / "model.safetensors", dict(model.named_parameters()))
    names = {name: name for name, _ in model.named_parameters()}
    inputs = {"input_values": torch.randn(3, 9, 7, generator=random), "labels": torch.tensor([2, 0, 1])}
    save_tensors(folder / "case.safetensors", forward_and_gradients(model, inputs, names))


def make_language(root):
    """Another language of a model that has adapters: its file, its vocabulary, and what the model makes of sounds with them."""
    folder = root / "parity" / "wav2vec2-language-adapters"
    specials = ["<pad>", "<s>", "</s>", "<unk>", "|"]
    vocabulary = {language: {piece: i for i, piece in enumerate(specials + letters)} for language, letters in (("eng", list("abcd")), ("deu", list("\u00e4b")))}
    (folder / "vocab.json").write_text(json.dumps(vocabulary) + "\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "Wav2Vec2CTCTokenizer", "target_lang": "eng"}) + "\n")
    random = generator("deu")
    model = transformers.Wav2Vec2ForCTC.from_pretrained(folder, attn_implementation="eager")
    size = len(vocabulary["deu"])
    shape = lambda name, it: [size, *it.shape[1:]] if name.startswith("lm_head") else list(it.shape)
    own = {name: torch.randn(shape(name, it), generator=random) * 0.3 for name, it in model._get_adapters().items()}
    save_tensors(folder / "adapter.deu.safetensors", own)
    model = transformers.Wav2Vec2ForCTC.from_pretrained(folder, attn_implementation="eager", target_lang="deu", ignore_mismatched_sizes=True)
    assert all(torch.equal(it, own[name]) for name, it in model._get_adapters().items())
    samples, mask = sounds(random, [163, 114, 187])
    inputs = {"input_values": samples, "attention_mask": mask, "labels": torch.tensor([[3, 1, 5], [6, 6, -100], [2, 4, 4]])}
    tensors = forward_and_gradients(model, inputs, {name: name for name, _ in model.named_parameters()})
    tensors = {k: v for k, v in tensors.items() if not k.startswith("grad.") or k.removeprefix("grad.") in own}
    save_tensors(folder / "case_deu.safetensors", tensors)


def make_with_tokenizer(root):
    """A model of sounds of a second that reads and writes text, of English alone."""
    folder = fresh_folder(root / "parity" / "whisper-with-tokenizer")
    specials = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|translate|>", "<|transcribe|>", "<|notimestamps|>", "<|0.00|>"]
    letters = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: i for i, letter in enumerate(letters)}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    tokenizer.add_special_tokens(specials)
    end, start, no_times = (tokenizer.token_to_id(specials[i]) for i in (0, 1, 5))
    named = {key: specials[0] for key in ("bos_token", "eos_token", "unk_token", "pad_token")}
    transformers.WhisperTokenizerFast(tokenizer_object=tokenizer, **named).save_pretrained(folder)
    transformers.WhisperFeatureExtractor(feature_size=8, chunk_length=1).save_pretrained(folder)
    ids = dict(vocab_size=len(letters) + len(specials), pad_token_id=end, bos_token_id=end, eos_token_id=end)
    sizes = dict(num_mel_bins=8, max_source_positions=50, max_target_positions=40, d_model=24, encoder_layers=1, decoder_layers=1)
    values = WHISPER | ids | sizes | dict(decoder_start_token_id=start, encoder_attention_heads=2, decoder_attention_heads=2)
    model = transformers.WhisperForConditionalGeneration(transformers.WhisperConfig(**values))
    randomise(model, generator("whisper-with-tokenizer"), weight_std=0.1)
    model.generation_config = transformers.GenerationConfig(
        decoder_start_token_id=start, eos_token_id=end, pad_token_id=end, no_timestamps_token_id=no_times,
        is_multilingual=False, max_length=40, return_timestamps=False)
    save_model(model, folder)


def make_defaults(root):
    """What the configuration classes assume."""
    configs = [getattr(transformers, f"{name}Config")() for name in ("Wav2Vec2", "Hubert", "WavLM", "AST", "Whisper", "Wav2Vec2Bert", "Moonshine")]
    text = json.dumps({config.model_type: config.to_dict() for config in configs}, indent=2, sort_keys=True)
    (root / "configs" / "speech_defaults.json").write_text(text + "\n")


def make(root):
    root = Path(root)
    for name, (class_name, values) in CASES.items():
        folder = fresh_folder(root / "parity" / name)
        random = generator(name)
        model_class = getattr(transformers, class_name)
        config = model_class.config_class(**values)
        config._attn_implementation = "eager"
        model = model_class(config)
        # Small weights would leave a decoder at the token that it reads.
        randomise(model, random, **(dict(weight_std=0.4) if class_name.startswith(WRITE) and class_name.endswith("Generation") else {}))
        names = save_model(model, folder)
        for file, inputs in cases(class_name, values, random).items():
            tensors = forward_and_gradients(model, inputs, names)
            if file != "case":
                tensors = {k: v for k, v in tensors.items() if not k.startswith("grad.") or "feature_extractor" in k or "self_attn.linear_k" in k}
            save_tensors(folder / f"{file}.safetensors", tensors)
    make_kwt(root)
    make_language(root)
    make_searches(root, "whisper-untied")
    make_searches(root, "moonshine-untied")
    make_with_tokenizer(root)
    make_defaults(root)
    write_versions(root / "parity")
