"""fixtures/parity/<family>-…: tiny random models of speech and sound, same format as the text ones."""

import json
from pathlib import Path

import torch
import transformers

from fixtures_common import fresh_folder, forward_and_gradients, generator, randomise, save_model, save_tensors, write_versions

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

# folder: (class, config values)
CASES = {
    "wav2vec2-speech-recognition": ("Wav2Vec2ForCTC", PLAIN),
    "wav2vec2-stable-layer-norm": ("Wav2Vec2ForCTC", PLAIN | STABLE | MEAN | dict(hidden_act="relu", mask_time_prob=0.1)),
    "wav2vec2-audio-classification": ("Wav2Vec2ForSequenceClassification", PLAIN | CLASSES),
    "wav2vec2-weighted-layers": ("Wav2Vec2ForSequenceClassification", PLAIN | STABLE | CLASSES | dict(use_weighted_layer_sum=True)),
    "hubert-speech-recognition": ("HubertForCTC", PLAIN | MEAN | dict(feat_proj_layer_norm=False, ctc_zero_infinity=True)),
    "hubert-audio-classification": ("HubertForSequenceClassification", PLAIN | STABLE | CLASSES),
    "wavlm-speech-recognition": ("WavLMForCTC", PLAIN | BUCKETS),
    "wavlm-audio-classification": (
        "WavLMForSequenceClassification", PLAIN | STABLE | BUCKETS | CLASSES | dict(use_weighted_layer_sum=True)),
    "ast-audio-classification": ("ASTForAudioClassification", AST),
}


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
    if class_name.startswith("AST"):
        spectrogram = torch.randn(2, values["max_length"], values["num_mel_bins"], generator=random)
        return {"case": {"input_values": spectrogram, "labels": torch.tensor([2, 0])}}
    ctc = class_name.endswith("ForCTC")
    labels = transcripts(class_name) if ctc else torch.tensor([2, 0, 1])
    # The second ends one sample before another frame; the third has all of them.
    samples, mask = sounds(random, [163, 114, 187])
    whole = {"input_values": samples, "attention_mask": mask, "labels": labels}
    if values["mask_time_prob"]:
        frames = 14
        whole["mask_time_indices"] = torch.rand(3, frames, generator=random) < 0.3
    found = {"case": whole}
    if class_name.startswith("Wav2Vec2") and not values["mask_time_prob"]:
        found["case_without_mask"] = {"input_values": samples, "labels": labels}
    if values.get("ctc_zero_infinity"):
        # Two frames cannot hold two equal tokens: that loss is infinite, and does not count.
        short, mask = sounds(random, [163, 43, 187])
        found["case_infeasible"] = {"input_values": short, "attention_mask": mask, "labels": labels}
    return found


def make_defaults(root):
    """What the configuration classes assume."""
    configs = [getattr(transformers, f"{name}Config")() for name in ("Wav2Vec2", "Hubert", "WavLM", "AST")]
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
        randomise(model, random)
        names = save_model(model, folder)
        for file, inputs in cases(class_name, values, random).items():
            tensors = forward_and_gradients(model, inputs, names)
            if file != "case":
                tensors = {k: v for k, v in tensors.items() if not k.startswith("grad.") or "feature_extractor" in k}
            save_tensors(folder / f"{file}.safetensors", tensors)
    make_defaults(root)
    write_versions(root / "parity")
