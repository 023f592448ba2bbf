"""fixtures/parity/<family>-image-classification: tiny random image classifiers, same format as the text ones."""

from pathlib import Path

import torch
import transformers

from fixtures_common import fresh_folder, forward_and_gradients, generator, randomise, save_model, save_tensors, write_versions

LABELS = {0: "cat", 1: "dog", 2: "horse"}
NAMES = dict(id2label=dict(LABELS), label2id={v: k for k, v in LABELS.items()})
PLAIN = dict(
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=64,
    image_size=32,
    patch_size=8,
    hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
    **NAMES,
)
BEIT = dict(PLAIN, drop_path_rate=0.0, layer_scale_init_value=0.1)
DINOV2 = {k: v for k, v in PLAIN.items() if k != "intermediate_size"} | dict(mlp_ratio=2, drop_path_rate=0.0)
SWIN = dict(
    embed_dim=24, depths=[2, 2], num_heads=[2, 4], window_size=4, mlp_ratio=2.0, image_size=32, patch_size=4, drop_path_rate=0.0, **NAMES
)
CONVNEXT = dict(hidden_sizes=[8, 12, 16, 24], depths=[2, 2, 2, 2], image_size=64, patch_size=4, drop_path_rate=0.0, **NAMES)

# folder: (class, config values, {case file: (image height and width, interpolate_pos_encoding)})
CASES = {
    "vit-image-classification": (
        "ViTForImageClassification", PLAIN, {"case": ((32, 32), None), "case_interpolated": ((48, 40), True)}),
    "deit-image-classification": (
        "DeiTForImageClassification", PLAIN, {"case": ((32, 32), None), "case_interpolated": ((48, 40), True)}),
    "deit-with-teacher": (
        "DeiTForImageClassificationWithTeacher", PLAIN, {"case": ((32, 32), None), "case_interpolated": ((48, 40), True)}),
    "beit-relative-position": (
        "BeitForImageClassification", BEIT | dict(use_relative_position_bias=True), {"case": ((32, 32), None)}),
    "beit-shared-relative-position": (
        "BeitForImageClassification", BEIT | dict(use_shared_relative_position_bias=True), {"case": ((32, 32), None)}),
    "beit-absolute-position-cls": (
        "BeitForImageClassification", BEIT | dict(use_absolute_position_embeddings=True, use_mean_pooling=False), {"case": ((32, 32), None)}),
    "dinov2-image-classification": (
        "Dinov2ForImageClassification", DINOV2, {"case": ((32, 32), None), "case_interpolated": ((48, 40), None)}),
    # 38 x 42 is no multiple of the patch, its 10 x 11 patches no multiple of the window, and 11 is odd at the merge.
    "swin-image-classification": (
        "SwinForImageClassification", SWIN, {"case": ((32, 32), None), "case_uneven_size": ((38, 42), None)}),
    "convnext-image-classification": (
        "ConvNextForImageClassification", CONVNEXT, {"case": ((64, 64), None), "case_other_size": ((48, 72), None)}),
}


def mean_of_heads_loss(outputs, inputs):
    """DeiT with a teacher token defines no loss: cross-entropy of the mean of its two heads' logits."""
    return torch.nn.functional.cross_entropy(outputs.logits, inputs["labels"])


def depends_on_size(name):
    """Whether this gradient passes through code that depends on the image size; the first case covers the others."""
    return any(part in name for part in ("embeddings", "relative_position_bias_table", "downsampl"))


def make(root):
    root = Path(root)
    for name, (class_name, values, cases) in CASES.items():
        folder = fresh_folder(root / "parity" / name)
        random = generator(name)
        model_class = getattr(transformers, class_name)
        config = model_class.config_class(**values)
        config._attn_implementation = "eager"
        model = model_class(config)
        randomise(model, random)
        names = save_model(model, folder)
        for file, ((height, width), interpolate) in cases.items():
            inputs = {
                "pixel_values": torch.randn(2, 3, height, width, generator=random),
                "labels": torch.tensor([2, 0]),
            }
            if interpolate:
                inputs["interpolate_pos_encoding"] = True
            loss_of = mean_of_heads_loss if "WithTeacher" in class_name else None
            tensors = forward_and_gradients(model, inputs, names, loss_of)
            if file != "case":
                tensors = {k: v for k, v in tensors.items() if not k.startswith("grad.") or depends_on_size(k)}
            save_tensors(folder / f"{file}.safetensors", tensors)
    write_versions(root / "parity")
