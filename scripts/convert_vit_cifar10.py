#!/usr/bin/env python3
"""Turns the small ViT of MightyDeb's CIFAR-10 experiments into a Hugging Face folder.

    convert_vit_cifar10.py SOURCE OUT [--check]

SOURCE holds its `config.json` and `model.safetensors` (a state dict of conv patch embedding, class token, learned
positions, pre-norm blocks around torch's MultiheadAttention, final norm, linear head). OUT gets `config.json`,
`preprocessor_config.json` and `model.safetensors` of a ViTForImageClassification that computes the same.
`--check` compares both on random images; it needs transformers. The rest needs torch and safetensors.
"""

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

BLOCK = {
    "norm1": "layernorm_before",
    "attn.out_proj": "attention.output.dense",
    "norm2": "layernorm_after",
    "mlp.0": "intermediate.dense",
    "mlp.3": "output.dense",
}
TOP = {
    "cls_token": "vit.embeddings.cls_token",
    "pos_embed": "vit.embeddings.position_embeddings",
    "patch_embed.proj.weight": "vit.embeddings.patch_embeddings.projection.weight",
    "patch_embed.proj.bias": "vit.embeddings.patch_embeddings.projection.bias",
    "norm.weight": "vit.layernorm.weight",
    "norm.bias": "vit.layernorm.bias",
    "head.weight": "classifier.weight",
    "head.bias": "classifier.bias",
}


def convert_tensors(source, depth):
    """The state dict under Hugging Face's names; every tensor must find its place."""
    left = dict(source)
    tensors = {name: left.pop(old) for old, name in TOP.items()}
    for block in range(depth):
        old, new = f"blocks.{block}.", f"vit.encoder.layer.{block}."
        for part in ("weight", "bias"):
            for ours, theirs in BLOCK.items():
                tensors[f"{new}{theirs}.{part}"] = left.pop(f"{old}{ours}.{part}")
            joined = left.pop(f"{old}attn.in_proj_{part}")
            for name, piece in zip(("query", "key", "value"), joined.chunk(3), strict=True):
                tensors[f"{new}attention.attention.{name}.{part}"] = piece
    if left:
        raise ValueError(f"no place for {sorted(left)}")
    return {name: tensor.float().contiguous().clone() for name, tensor in tensors.items()}


def configs(settings):
    if settings["pooling"] != "cls" or settings["activation"] != "gelu (erf)":
        raise ValueError("only pooling by the class token and GELU through erf are known")
    labels = settings["labels"]
    side = settings["image_size"]
    config = {
        "architectures": ["ViTForImageClassification"],
        "attention_probs_dropout_prob": 0.0,
        "dtype": "float32",
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0,
        "hidden_size": settings["embed_dim"],
        "id2label": {str(i): label for i, label in enumerate(labels)},
        "image_size": side,
        "initializer_range": 0.02,
        "intermediate_size": settings["mlp_dim"],
        "label2id": {label: i for i, label in enumerate(labels)},
        "layer_norm_eps": settings["layer_norm_eps"],
        "model_type": "vit",
        "num_attention_heads": settings["heads"],
        "num_channels": settings["channels"],
        "num_hidden_layers": settings["depth"],
        "patch_size": settings["patch_size"],
        "problem_type": "single_label_classification",
        "qkv_bias": True,
    }
    processor = {
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": settings["mean"],
        "image_processor_type": "ViTImageProcessor",
        "image_std": settings["std"],
        "resample": 2,
        "rescale_factor": 1 / 255,
        "size": {"height": side, "width": side},
    }
    return config, processor


def original(tensors, settings, pixels):
    """The original computation, from its description: torch's own modules with the original tensors."""
    width, epsilon = settings["embed_dim"], settings["layer_norm_eps"]
    functional = torch.nn.functional

    def norm(x, name):
        return functional.layer_norm(x, [width], tensors[f"{name}.weight"], tensors[f"{name}.bias"], epsilon)

    def linear(x, name):
        return functional.linear(x, tensors[f"{name}.weight"], tensors[f"{name}.bias"])

    patches = functional.conv2d(
        pixels, tensors["patch_embed.proj.weight"], tensors["patch_embed.proj.bias"], stride=settings["patch_size"])
    patches = patches.flatten(2).transpose(1, 2)
    x = torch.cat([tensors["cls_token"].expand(len(pixels), -1, -1), patches], dim=1) + tensors["pos_embed"]
    for block in range(settings["depth"]):
        name = f"blocks.{block}"
        attention = torch.nn.MultiheadAttention(width, settings["heads"], batch_first=True).eval()
        prefix = f"{name}.attn."
        attention.load_state_dict({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})
        y = norm(x, f"{name}.norm1")
        x = x + attention(y, y, y, need_weights=False)[0]
        y = functional.gelu(linear(norm(x, f"{name}.norm2"), f"{name}.mlp.0"))
        x = x + linear(y, f"{name}.mlp.3")
    return linear(norm(x, "norm")[:, 0], "head")


@torch.no_grad()
def check(source, settings, folder):
    from transformers import ViTForImageClassification

    side = settings["image_size"]
    pixels = torch.randn(8, settings["channels"], side, side, generator=torch.Generator().manual_seed(0))
    converted = ViTForImageClassification.from_pretrained(folder).eval()(pixels).logits
    worst = (converted - original(source, settings, pixels)).abs().max().item()
    print(f"largest difference of the logits: {worst:.1e}")
    if not worst < 1e-4:
        raise SystemExit("the converted model computes something else")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--check", action="store_true", help="compare with the original computation")
    arguments = parser.parse_args()
    settings = json.loads((arguments.source / "config.json").read_text(encoding="utf-8"))
    source = load_file(arguments.source / "model.safetensors")
    arguments.out.mkdir(parents=True, exist_ok=True)
    config, processor = configs(settings)
    for name, value in (("config.json", config), ("preprocessor_config.json", processor)):
        (arguments.out / name).write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    save_file(convert_tensors(source, settings["depth"]), arguments.out / "model.safetensors", metadata={"format": "pt"})
    if arguments.check:
        check(source, settings, arguments.out)


if __name__ == "__main__":
    main()
