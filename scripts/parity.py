#!/usr/bin/env python3
"""Random configurations of every family and head: `retune forward` against transformers, on the same weights and inputs.

    parity.py [--count 24] [--seed 0] [--family F ...] [--head H ...] [--retune PATH] [--tolerance 1e-5] [--keep DIR]

Each case draws a configuration (odd sizes, head counts, activations, positions, label counts …), fills a model of transformers
with random weights, saves it, and draws inputs (padding right, left or scattered, no mask, no token types, other image
sizes …) with targets, of which some count in no loss. Both sides compute in float32. Compared are all outputs of the head and
`loss`; hidden states too, where Retune gives them. A difference is the largest absolute one, relative to the largest
magnitude where that is above one. Cases go round the pairs of family and head in turn; a case depends on nothing but seed, pair and number,
so the command that is printed beside a miss repeats it. The column `rounding` says how far transformers in float32 is from
itself in float64: a miss of the same size is rounding, not an error.

A new family is a line in FAMILIES and a function that draws its configuration; a new head is a line in HEADS and a function
that draws its targets. Exits with 1 where a case misses or a run fails, with 2 for unusable arguments.
Needs torch, transformers and safetensors.
"""

import argparse
import os
import random
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
import transformers
from safetensors.torch import load_file, save_file

from fixtures_common import TARGETS, randomise

HERE = Path(__file__).resolve().parent
IGNORED = -100  # as a label: counts in no loss
OUTPUTS = ("logits", "pred_boxes", "start_logits", "end_logits", "mask")  # must be there, where transformers has them, besides `loss`
FURTHER = ("cls_logits", "distillation_logits", "encoder_last_hidden_state")  # compared where Retune gives them, as hidden states are
ACTIVATIONS = ["gelu", "gelu", "gelu_new", "relu", "silu", "gelu_pytorch_tanh", "quick_gelu", "mish", "hardswish"]


@dataclass
class Inputs:
    """Named inputs of both sides, and what only transformers must be told."""

    named: dict[str, torch.Tensor]
    call: dict = field(default_factory=dict)


@dataclass
class Family:
    """One line of FAMILIES."""

    prefix: str  # of the classes: `<prefix>Config`, `<prefix>For…`
    medium: str  # "text" or "image": which heads it takes
    config: Callable[[random.Random], dict]
    token_types: bool = False
    classes: dict[str, list[str]] = field(default_factory=dict)  # endings that replace the head's own
    segments: bool = False  # whether it has a head for each pixel
    lacks: tuple[str, ...] = ()  # heads of its medium that transformers has no class for


@dataclass
class Head:
    """One line of HEADS."""

    task: str  # of `retune forward`
    ending: str  # of the class
    medium: str
    config: Callable[[random.Random], dict]
    targets: Callable  # (random, transformers' configuration, Inputs) -> named targets


# ---- configurations of text families ----


def heads_and_width(draw, largest=5):
    """Number of heads and a width that they divide, rarely a power of two."""
    heads = draw.randint(1, largest)
    return heads, heads * draw.randint(2, 17)


def bert(draw):
    heads, width = heads_and_width(draw)
    return dict(
        vocab_size=draw.randint(20, 150),
        hidden_size=width,
        num_hidden_layers=draw.randint(1, 4),
        num_attention_heads=heads,
        intermediate_size=draw.randint(5, 90),
        hidden_act=draw.choice(ACTIVATIONS),
        max_position_embeddings=draw.randint(40, 80),
        type_vocab_size=draw.randint(1, 3),
        layer_norm_eps=draw.choice([1e-12, 1e-5, 1e-7, 1e-3]),
        pad_token_id=draw.choice([0, 0, 1, 3]),
    )


def roberta(draw):
    # Positions begin behind the padding token's.
    return bert(draw) | dict(bos_token_id=0, eos_token_id=2, pad_token_id=draw.choice([1, 1, 1, 0, 3]), type_vocab_size=1)


def electra(draw):
    values = bert(draw)
    return values | dict(embedding_size=draw.choice([values["hidden_size"], draw.randint(3, 40)]))


def distilbert(draw):
    heads, width = heads_and_width(draw)
    return dict(
        vocab_size=draw.randint(20, 150),
        dim=width,
        n_layers=draw.randint(1, 4),
        n_heads=heads,
        hidden_dim=draw.randint(5, 90),
        activation=draw.choice(ACTIVATIONS),
        max_position_embeddings=draw.randint(40, 80),
        sinusoidal_pos_embds=draw.random() < 0.2,
        pad_token_id=draw.choice([0, 0, 1]),
    )


def albert(draw):
    groups = draw.randint(1, 3)
    return bert(draw) | dict(
        embedding_size=draw.randint(3, 40),
        num_hidden_layers=draw.randint(groups, 6),
        num_hidden_groups=groups,
        inner_group_num=draw.choice([1, 1, 2, 3]),
    )


def mpnet(draw):
    values = bert(draw) | dict(pad_token_id=1, bos_token_id=0, eos_token_id=2, relative_attention_num_buckets=draw.choice([32, 32, 40]))
    del values["type_vocab_size"]
    return values


def modernbert(draw):
    heads, layers = draw.randint(1, 5), draw.randint(1, 4)
    values = dict(
        vocab_size=draw.randint(20, 150),
        hidden_size=heads * 2 * draw.randint(1, 8),
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=draw.randint(5, 90),
        hidden_activation=draw.choice(ACTIVATIONS),
        classifier_activation=draw.choice(ACTIVATIONS),
        max_position_embeddings=draw.randint(40, 80),
        pad_token_id=draw.choice([0, 0, 1, 3]),
        bos_token_id=2, eos_token_id=3, cls_token_id=2, sep_token_id=3,
        norm_eps=draw.choice([1e-5, 1e-7, 1e-3]),
        local_attention=draw.randint(1, 40),
        classifier_pooling=draw.choice(["cls", "mean"]),
        global_rope_theta=draw.choice([160000.0, 500.0]),
        local_rope_theta=draw.choice([10000.0, 20.0]),
    )
    for flag in ("norm_bias", "attention_bias", "mlp_bias", "classifier_bias", "decoder_bias"):
        values[flag] = draw.random() < 0.5
    if draw.random() < 0.3:
        return values | dict(layer_types=[draw.choice(["full_attention", "sliding_attention"]) for _ in range(layers)])
    return values | dict(global_attn_every_n_layers=draw.randint(1, 4))


def deberta_v2(draw):
    values = bert(draw) | dict(
        type_vocab_size=draw.choice([0, 0, 2]),
        relative_attention=draw.random() < 0.85,
        pos_att_type=draw.choice([["p2c", "c2p"], "c2p|p2c", ["c2p"], ["p2c"], None]),
        position_biased_input=draw.random() < 0.4,
        position_buckets=draw.choice([-1, 4, 7, 16]),
        max_relative_positions=draw.choice([-1, 24, 60]),
        norm_rel_ebd=draw.choice(["layer_norm", "layer_norm", "none"]),
        share_att_key=draw.random() < 0.6,
        legacy=draw.random() < 0.6,
        pooler_hidden_act=draw.choice(["gelu", "tanh"]),
    )
    if draw.random() < 0.3:
        values |= dict(conv_kernel_size=draw.choice([1, 3, 5]), conv_act=draw.choice(["tanh", "gelu"]))
    if values["legacy"] and draw.random() < 0.3:
        values |= dict(embedding_size=draw.randint(3, 40))
    return values


# ---- configurations of decoders ----


def rope(draw, size):
    """Rotary parameters of any kind, for heads of this size."""
    base = draw.choice([100.0, 10000.0, 500000.0])
    kind = draw.choice(["default", "default", "linear", "dynamic", "yarn", "llama3"])
    fields = {
        "default": {},
        "linear": dict(factor=draw.choice([2.0, 3.5])),
        "dynamic": dict(factor=draw.choice([2.0, 4.0])),
        "yarn": dict(factor=draw.choice([2.0, 8.0]), original_max_position_embeddings=draw.choice([8, 16, 64]),
                     beta_fast=draw.choice([32.0, 4.0]), beta_slow=1.0),
        "llama3": dict(factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=draw.choice([16, 64])),
    }[kind]
    if kind == "dynamic" and size <= 2:
        kind, fields = "default", {}
    return dict(rope_parameters=dict(rope_type=kind, rope_theta=base, **fields))


def llama(draw, own_size=True):
    heads = draw.randint(1, 5)
    size = 2 * draw.randint(1, 6)
    groups = draw.choice([n for n in range(1, heads + 1) if heads % n == 0])
    values = dict(
        vocab_size=draw.randint(20, 150),
        hidden_size=heads * size,
        num_hidden_layers=draw.randint(1, 4),
        num_attention_heads=heads,
        num_key_value_heads=groups,
        intermediate_size=draw.randint(5, 60),
        hidden_act=draw.choice(["silu", "gelu", "gelu_pytorch_tanh"]),
        max_position_embeddings=draw.choice([16, 40, 80]),
        rms_norm_eps=draw.choice([1e-6, 1e-5, 1e-3]),
        tie_word_embeddings=draw.random() < 0.5,
        pad_token_id=draw.choice([0, 1, 3]),
    )
    if own_size and draw.random() < 0.5:
        size = values["head_dim"] = 2 * draw.randint(1, 9)
    return values | rope(draw, size)


def plain_llama(draw):
    return llama(draw) | dict(attention_bias=draw.random() < 0.5, mlp_bias=draw.random() < 0.5)


def mistral(draw):
    return llama(draw) | dict(sliding_window=draw.choice([None, 1, 3, 9]))


def qwen(draw):
    values = llama(draw, own_size=False)
    return values | dict(use_sliding_window=draw.random() < 0.5, sliding_window=draw.randint(1, 9),
                         max_window_layers=draw.randint(0, values["num_hidden_layers"]))


def qwen3(draw):
    return qwen(draw) | dict(head_dim=2 * draw.randint(1, 9), attention_bias=draw.random() < 0.5, rope_parameters=dict(rope_type="default", rope_theta=1e4))


def gemma(draw):
    values = llama(draw)
    values.setdefault("head_dim", values["hidden_size"] // values["num_attention_heads"])
    return values


def gemma2(draw):
    values = gemma(draw)
    values["hidden_activation"] = values.pop("hidden_act")
    return values | dict(sliding_window=draw.choice([1, 4, 20]), query_pre_attn_scalar=draw.randint(2, 30),
                         final_logit_softcapping=draw.choice([None, 2.0, 30.0]), attn_logit_softcapping=draw.choice([None, 1.5, 50.0]))


def gemma3(draw):
    values = gemma2(draw)
    kinds = [draw.choice(["sliding_attention", "full_attention"]) for _ in range(values["num_hidden_layers"])]
    scaled = dict(rope_type="linear", factor=draw.uniform(1, 8)) if draw.random() < 0.5 else dict(rope_type="default")
    return values | dict(layer_types=kinds, rope_parameters=dict(
        full_attention=scaled | dict(rope_theta=1e4), sliding_attention=dict(rope_type="default", rope_theta=draw.choice([50.0, 1e4]))))


def phi3(draw):
    values = llama(draw, own_size=False)
    size = values["hidden_size"] // values["num_attention_heads"]
    parameters = dict(rope_type="default", rope_theta=1e4)
    if draw.random() < 0.5:
        divisors = lambda: [draw.uniform(1, 4) for _ in range(size // 2)]
        parameters = dict(rope_type="longrope", rope_theta=1e4, short_factor=divisors(), long_factor=divisors())
    return values | dict(sliding_window=draw.choice([None, 5]), original_max_position_embeddings=draw.choice([8, 32]), rope_parameters=parameters)


def gpt_neox(draw):
    heads, size = draw.randint(1, 5), 4 * draw.randint(1, 4)
    share = draw.choice([0.25, 0.5, 1.0])
    return dict(
        vocab_size=draw.randint(20, 150), hidden_size=heads * size, num_hidden_layers=draw.randint(1, 4), num_attention_heads=heads,
        intermediate_size=draw.randint(5, 60), hidden_act=draw.choice(ACTIVATIONS), max_position_embeddings=draw.choice([40, 80]),
        layer_norm_eps=draw.choice([1e-5, 1e-3]), use_parallel_residual=draw.random() < 0.5, attention_bias=draw.random() < 0.7,
        tie_word_embeddings=draw.random() < 0.3, pad_token_id=draw.choice([0, 1]),
        rope_parameters=dict(rope_type="default", rope_theta=1e4, partial_rotary_factor=share),
    )


def gpt2(draw):
    heads, width = heads_and_width(draw)
    return dict(
        vocab_size=draw.randint(20, 150), n_positions=draw.randint(40, 80), n_embd=width, n_layer=draw.randint(1, 4), n_head=heads,
        n_inner=draw.choice([None, draw.randint(5, 60)]), activation_function=draw.choice(ACTIVATIONS), layer_norm_epsilon=draw.choice([1e-5, 1e-3]),
        scale_attn_weights=draw.random() < 0.8, scale_attn_by_inverse_layer_idx=draw.random() < 0.3,
        tie_word_embeddings=draw.random() < 0.7, pad_token_id=draw.choice([0, 1]), bos_token_id=2, eos_token_id=3,
    )


# ---- configurations of image families ----


def image_size(draw, patch, largest=6):
    return patch * draw.randint(2, largest)


def vit(draw):
    heads, width = heads_and_width(draw)
    patch = draw.choice([3, 4, 5, 8])
    return dict(
        hidden_size=width,
        num_hidden_layers=draw.randint(1, 4),
        num_attention_heads=heads,
        intermediate_size=draw.randint(5, 90),
        hidden_act=draw.choice(ACTIVATIONS),
        image_size=image_size(draw, patch),
        patch_size=patch,
        num_channels=draw.choice([3, 3, 1, 4]),
        qkv_bias=draw.random() < 0.7,
        layer_norm_eps=draw.choice([1e-12, 1e-6, 1e-3]),
    )


def beit(draw):
    values = vit(draw)
    del values["qkv_bias"]
    positions = draw.choice(["use_relative_position_bias", "use_shared_relative_position_bias", "use_absolute_position_embeddings", None])
    return values | ({positions: True} if positions else {}) | dict(
        use_mean_pooling=draw.random() < 0.6,
        use_mask_token=draw.random() < 0.3,
        layer_scale_init_value=draw.choice([0.1, 0.0]),
    )


def dinov2(draw):
    values = vit(draw)
    del values["intermediate_size"]
    return values | dict(mlp_ratio=draw.randint(1, 4), use_swiglu_ffn=draw.random() < 0.4, use_mask_token=draw.random() < 0.5)


def dinov2_with_registers(draw):
    values = dinov2(draw)
    del values["use_mask_token"]
    return values | dict(num_register_tokens=draw.randint(1, 5))


def swin(draw):
    stages = draw.randint(1, 3)
    heads = [draw.randint(1, 3) for _ in range(stages)]
    patch, smallest = draw.choice([2, 4]), draw.randint(2, 5)
    return dict(
        embed_dim=6 * draw.randint(1, 4),  # a multiple of every stage's heads
        depths=[draw.randint(1, 3) for _ in heads],
        num_heads=heads,
        window_size=draw.randint(2, smallest),  # transformers fails where a map is smaller than the window
        mlp_ratio=draw.choice([1.0, 2.0, 2.5]),
        hidden_act=draw.choice(ACTIVATIONS),
        image_size=patch * 2 ** (stages - 1) * smallest,
        patch_size=patch,
        num_channels=draw.choice([3, 3, 1]),
        qkv_bias=draw.random() < 0.7,
        use_absolute_embeddings=draw.random() < 0.3,
    )


def convnext(draw):
    stages = draw.randint(1, 4)
    patch = draw.choice([2, 4])
    return dict(
        hidden_sizes=[draw.randint(3, 30) for _ in range(stages)],
        depths=[draw.randint(1, 3) for _ in range(stages)],
        hidden_act=draw.choice(ACTIVATIONS),
        num_stages=stages,
        image_size=patch * 2 ** (stages - 1) * draw.randint(1, 3),
        patch_size=patch,
        num_channels=draw.choice([3, 3, 1]),
        layer_scale_init_value=draw.choice([1e-6, 0.0]),
    )


def swinv2(draw):
    values = swin(draw)
    learnt = [draw.choice([0, 0, 2, 3, 6]) for _ in values["depths"]]
    return values | dict(use_absolute_embeddings=False, pretrained_window_sizes=learnt)


def convnextv2(draw):
    return {field: value for field, value in convnext(draw).items() if field != "layer_scale_init_value"}


def vit_mae(draw):
    heads, width = heads_and_width(draw)
    # Its fixed sine-cosine positions need a multiple of four, on both sides.
    return vit(draw) | dict(
        hidden_size=4 * width,
        decoder_hidden_size=4 * draw.randint(1, 3) * 2,
        decoder_num_attention_heads=draw.choice([1, 2, 4]),
        decoder_num_hidden_layers=draw.randint(1, 3),
        decoder_intermediate_size=draw.randint(5, 60),
        num_attention_heads=heads,
        mask_ratio=draw.choice([0.5, 0.6, 0.75]),
        norm_pix_loss=draw.random() < 0.5,
    )


def segformer(draw):
    stages = draw.randint(2, 4)
    heads = [draw.randint(1, 3) for _ in range(stages)]
    return dict(
        num_encoder_blocks=stages,
        depths=[draw.randint(1, 2) for _ in heads],
        sr_ratios=[draw.choice([4, 3, 2, 1]) if stage < stages - 1 else 1 for stage in range(stages)],
        hidden_sizes=[count * draw.randint(2, 9) for count in heads],
        patch_sizes=[draw.choice([7, 5, 4]), *(draw.choice([3, 3, 2]) for _ in heads[1:])],
        strides=[draw.choice([4, 3, 2]), *(draw.choice([2, 2, 1]) for _ in heads[1:])],
        num_attention_heads=heads,
        mlp_ratios=[draw.randint(1, 4) for _ in heads],
        hidden_act=draw.choice(ACTIVATIONS),
        num_channels=draw.choice([3, 3, 1]),
        decoder_hidden_size=draw.randint(3, 40),
        semantic_loss_ignore_index=draw.choice([255, 255, 0, 1]),
    )


def mobilevit(draw):
    heads = draw.randint(1, 4)
    return dict(
        hidden_sizes=[heads * draw.randint(1, 6) for _ in range(3)],
        neck_hidden_sizes=[draw.randint(2, 14) for _ in range(7)],
        num_attention_heads=heads,
        patch_size=draw.choice([2, 2, 3]),
        mlp_ratio=draw.choice([1.5, 2.0, 3.0]),
        expand_ratio=draw.choice([1.0, 2.0, 2.5, 4.0]),
        hidden_act=draw.choice(ACTIVATIONS),
        conv_kernel_size=draw.choice([3, 3, 5]),
        output_stride=draw.choice([32, 16, 8]),
        qkv_bias=draw.random() < 0.7,
        num_channels=draw.choice([3, 3, 1]),
        aspp_out_channels=draw.randint(2, 12),
        atrous_rates=[draw.randint(1, 7) for _ in range(3)],
        semantic_loss_ignore_index=draw.choice([255, 255, 0, 1]),
    )


def mobilevitv2(draw):
    values = mobilevit(draw)
    kept = ("patch_size", "expand_ratio", "hidden_act", "conv_kernel_size", "output_stride", "num_channels", "aspp_out_channels", "atrous_rates", "semantic_loss_ignore_index")
    return {field: values[field] for field in kept} | dict(
        width_multiplier=draw.choice([0.05, 0.1, 0.2]),
        ffn_multiplier=draw.choice([2, 3]),
        base_attn_unit_dims=[draw.randint(60, 300) for _ in range(3)],
        n_attn_blocks=[draw.randint(1, 3) for _ in range(3)],
    )


def decoder_of_maps(draw, widths):
    """Fields of a decoder over maps, its auxiliary head among them."""
    return dict(
        pool_scales=[draw.randint(1, 4) for _ in range(draw.randint(1, 3))],
        use_auxiliary_head=len(widths) > 2 and draw.random() < 0.7,
        auxiliary_loss_weight=draw.choice([0.4, 1.5]),
        auxiliary_channels=draw.randint(2, 9),
        auxiliary_num_convs=draw.randint(1, 3),
        auxiliary_concat_input=draw.random() < 0.5,
    )


def beit_maps(draw, own_size=False):
    values = beit(draw) | dict(num_hidden_layers=(layers := draw.randint(4, 7)))
    # A Data2Vec segmenter may read the last hidden state; BEiT's configuration has no number for it.
    numbers = draw.sample(range(1, layers + 1 + own_size), 4)
    return values | decoder_of_maps(draw, [values["hidden_size"]] * 4) | dict(out_indices=sorted(numbers))


def data2vec_maps(draw):
    return beit_maps(draw, own_size=True)


def upernet(draw):
    kind, part = draw.choice([("swin", swin), ("swin", swin), ("convnext", convnext), ("convnextv2", convnextv2), ("resnet", resnet)])
    part = part(draw)
    count = len(part["depths"])
    read = sorted(draw.sample(range(1, count + 1), draw.randint(1, count)))
    part |= dict(model_type=kind, out_features=[f"stage{number}" for number in read])
    return dict(backbone_config=part, hidden_size=draw.randint(2, 12), loss_ignore_index=draw.choice([255, 255, 0])) | decoder_of_maps(draw, read)


def yolos(draw):
    values = vit(draw)
    patch = values["patch_size"]
    return values | dict(
        image_size=[image_size(draw, patch), image_size(draw, patch)],
        num_detection_tokens=draw.randint(1, 12),
        use_mid_position_embeddings=draw.random() < 0.6,
        **matching(draw),
    )


def resnet(draw):
    stages = draw.randint(1, 4)
    return dict(
        num_channels=draw.choice([3, 3, 1]),
        embedding_size=draw.randint(2, 12),
        hidden_sizes=[4 * draw.randint(1, 6) for _ in range(stages)],
        depths=[draw.randint(1, 3) for _ in range(stages)],
        layer_type=draw.choice(["bottleneck", "basic"]),
        downsample_in_first_stage=draw.random() < 0.3,
        downsample_in_bottleneck=draw.random() < 0.3,
    )


def detr(draw):
    heads = draw.randint(1, 4)
    backbone = resnet(draw)
    return dict(
        backbone_config=backbone | dict(model_type="resnet", out_features=[f"stage{len(backbone['depths'])}"]),
        use_timm_backbone=False,
        num_channels=backbone["num_channels"],
        d_model=4 * heads * draw.randint(1, 4),
        encoder_layers=draw.randint(1, 3),
        decoder_layers=draw.randint(1, 3),
        encoder_attention_heads=heads,
        decoder_attention_heads=heads,
        encoder_ffn_dim=draw.randint(5, 60),
        decoder_ffn_dim=draw.randint(5, 60),
        activation_function=draw.choice(["relu", "gelu"]),
        num_queries=draw.randint(1, 12),
        auxiliary_loss=draw.random() < 0.3,
        **matching(draw),
    )


def conditional_detr(draw):
    values = {name: value for name, value in detr(draw).items() if name != "eos_coefficient"}
    return values | dict(focal_alpha=draw.choice([0.25, 0.6]))


def deformable_detr(draw):
    values = {name: value for name, value in detr(draw).items() if name != "eos_coefficient"}
    stages = len(values["backbone_config"]["depths"])
    maps = draw.randint(1, stages)
    values["backbone_config"]["out_features"] = [f"stage{stage}" for stage in range(stages - maps + 1, stages + 1)]
    refines = draw.random() < 0.6
    heads = draw.choice([1, 2, 4])
    return values | dict(
        d_model=32 * draw.randint(1, 2),  # of which there are 32 groups
        decoder_layers=draw.randint(2, 3),  # transformers cannot tie the heads of one
        encoder_attention_heads=heads,
        decoder_attention_heads=draw.choice([1, 2, 4]),
        num_feature_levels=maps + draw.choice([0, 1, 2]),
        encoder_n_points=draw.randint(1, 4),
        decoder_n_points=draw.randint(1, 4),
        with_box_refine=refines,
        two_stage=refines and draw.random() < 0.5,
        two_stage_num_proposals=draw.randint(1, 4),
        focal_alpha=draw.choice([0.25, 0.6]),
    )


def rt_resnet(draw):
    """Convolutions with a deep stem; a first stage of two convolutions that widens must halve, or its shortcut would not fit."""
    stages, basic, halves = draw.randint(2, 4), draw.random() < 0.5, draw.random() < 0.3
    widths = [4 * draw.randint(1, 6) for _ in range(stages)]
    first = draw.randint(2, 4)
    return dict(
        model_type="rt_detr_resnet",
        num_channels=draw.choice([3, 3, 1]),
        embedding_size=widths[0] if basic and not halves else 2 * draw.randint(1, 6),
        hidden_sizes=widths,
        depths=[draw.randint(1, 3) for _ in range(stages)],
        layer_type="basic" if basic else "bottleneck",
        downsample_in_first_stage=halves,
        downsample_in_bottleneck=draw.random() < 0.3,
        hidden_act=draw.choice(["relu", "gelu"]),
        out_features=[f"stage{stage}" for stage in range(min(first, stages), stages + 1)] if draw.random() < 0.8 else [f"stage{stages - 1}"],
    )


def rt_detr(draw):
    backbone = rt_resnet(draw)
    maps = len(backbone["out_features"])
    encoder_heads, heads = draw.randint(1, 4), draw.randint(1, 4)
    encoded, hidden = 4 * encoder_heads * draw.randint(1, 3), heads * draw.randint(2, 12)
    levels = maps + draw.choice([0, 0, 1])
    if draw.random() < 0.2:
        hidden, heads, levels = encoded, encoder_heads, maps + 2
    # 8 pixels for a place of the second stage.
    strides = [(4 if backbone["downsample_in_first_stage"] else 2) * 2 ** int(name[5:]) for name in backbone["out_features"]]
    return dict(
        backbone_config=backbone,
        encoder_hidden_dim=encoded,
        encoder_in_channels=[backbone["hidden_sizes"][int(name[5:]) - 1] for name in backbone["out_features"]],
        feat_strides=strides,
        encoder_layers=draw.choice([0, 1, 1, 2]),
        encoder_ffn_dim=draw.randint(5, 60),
        encoder_attention_heads=encoder_heads,
        encode_proj_layers=sorted(draw.sample(range(maps), draw.randint(0, maps))),
        positional_encoding_temperature=draw.choice([10000, 20]),
        encoder_activation_function=draw.choice(["gelu", "relu", "silu"]),
        activation_function=draw.choice(["silu", "relu", "gelu"]),
        eval_size=draw.choice([None, None, 64]),
        normalize_before=draw.random() < 0.3,
        hidden_expansion=draw.choice([1.0, 0.5, 0.75]),
        d_model=hidden,
        num_queries=draw.randint(1, 4),
        decoder_in_channels=[encoded] * maps,
        decoder_ffn_dim=draw.randint(5, 60),
        num_feature_levels=levels,
        decoder_n_points=draw.randint(1, 4),
        decoder_layers=draw.randint(1, 3),
        decoder_attention_heads=heads,
        decoder_activation_function=draw.choice(["relu", "gelu", "silu"]),
        num_denoising=draw.choice([0, 3, 100]),
        with_box_refine=draw.random() < 0.7,
        freeze_backbone_batch_norms=draw.random() < 0.7,
        anchor_image_size=draw.choice([None, None, [64, 128]]) if levels == maps else None,
        auxiliary_loss=draw.random() < 0.7,
        use_focal_loss=draw.random() < 0.8,
        layer_norm_eps=draw.choice([1e-5, 1e-3]),
        batch_norm_eps=draw.choice([1e-5, 1e-3]),
        matcher_class_cost=draw.choice([2.0, 1.0]), matcher_bbox_cost=draw.choice([5.0, 1.0]), matcher_giou_cost=draw.choice([2.0, 4.0]),
        matcher_alpha=draw.choice([0.25, 0.5]), matcher_gamma=draw.choice([2.0, 1.5]),
        focal_loss_alpha=draw.choice([0.75, 0.4]), focal_loss_gamma=draw.choice([2.0, 1.0]),
        weight_loss_vfl=draw.choice([1.0, 2.0]), weight_loss_bbox=draw.choice([5.0, 2.0]), weight_loss_giou=draw.choice([2.0, 1.0]),
        initializer_range=0.2,
    )


def rt_detr_v2(draw):
    values = rt_detr(draw)
    return values | dict(
        decoder_layers=draw.randint(2, 3),  # transformers cannot tie the heads of one
        decoder_n_levels=values["num_feature_levels"],
        decoder_offset_scale=draw.choice([0.5, 0.8]),
        decoder_method=draw.choice(["default", "default", "discrete"]),
    )


def matching(draw):
    """How objects are matched, and how the terms of the loss are weighed."""
    return dict(
        class_cost=draw.choice([1, 2]), bbox_cost=draw.choice([5, 1]), giou_cost=draw.choice([2, 4]),
        bbox_loss_coefficient=draw.choice([5, 2]), giou_loss_coefficient=draw.choice([2, 1]), eos_coefficient=draw.choice([0.1, 0.4]),
    )


# ---- configurations of families of speech and sound ----


def wav2vec2(draw):
    heads, width = heads_and_width(draw)
    layers = draw.randint(1, 4)
    groups = draw.choice([n for n in range(1, width + 1) if width % n == 0])
    return dict(
        vocab_size=draw.randint(4, 40),
        hidden_size=width,
        num_hidden_layers=draw.randint(1, 3),
        num_attention_heads=heads,
        intermediate_size=draw.randint(5, 90),
        hidden_act=draw.choice(ACTIVATIONS),
        feat_extract_activation=draw.choice(["gelu", "gelu", "relu"]),
        feat_extract_norm=draw.choice(["group", "layer"]),
        do_stable_layer_norm=draw.random() < 0.5,
        conv_dim=[draw.randint(3, 20) for _ in range(layers)],
        conv_kernel=[draw.randint(2, 7) for _ in range(layers)],
        conv_stride=[draw.randint(1, 3) for _ in range(layers)],
        conv_bias=draw.random() < 0.5,
        num_conv_pos_embeddings=draw.randint(2, 9),
        num_conv_pos_embedding_groups=groups,
        layer_norm_eps=draw.choice([1e-5, 1e-7, 1e-3]),
        use_weighted_layer_sum=draw.random() < 0.4,
        classifier_proj_size=draw.randint(3, 40),
        ctc_loss_reduction=draw.choice(["sum", "mean"]),
        ctc_zero_infinity=True,  # some texts are too long for their frames
        **(dict(adapter_attn_dim=draw.randint(1, 9)) if draw.random() < 0.3 else {}),
        mask_time_prob=draw.choice([0.0, 0.05]),
        pad_token_id=draw.choice([0, 0, 2]),
    )


def hubert(draw):
    return wav2vec2(draw) | dict(feat_proj_layer_norm=draw.random() < 0.6)


def wavlm(draw):
    return wav2vec2(draw) | dict(num_buckets=4 * draw.randint(1, 10), max_bucket_distance=draw.randint(20, 90))


def wav2vec2_bert(draw):
    heads, width = heads_and_width(draw)
    size = draw.choice([n for n in range(1, 9)]) * 2
    width = heads * size
    adapter = draw.random() < 0.5
    kernel = draw.choice([(3, 2), (2, 2), (3, 3), (5, 4)])
    return dict(
        vocab_size=draw.randint(4, 40),
        hidden_size=width,
        num_hidden_layers=draw.randint(1, 3),
        num_attention_heads=heads,
        intermediate_size=draw.randint(5, 90),
        feature_projection_input_dim=draw.randint(2, 30),
        hidden_act=draw.choice(ACTIVATIONS),
        layer_norm_eps=draw.choice([1e-5, 1e-7, 1e-3]),
        position_embeddings_type=draw.choice(["relative", "relative_key", "rotary", None]),
        rotary_embedding_base=draw.choice([10000, 100]),
        left_max_position_embeddings=draw.randint(0, 20),
        right_max_position_embeddings=draw.randint(0, 9),
        max_source_positions=draw.choice([3, 5000]),
        conv_depthwise_kernel_size=draw.choice([1, 3, 7, 31]),
        add_adapter=adapter,
        num_adapter_layers=draw.randint(1, 2),
        adapter_kernel_size=kernel[0],
        adapter_stride=kernel[1],
        adapter_act=draw.choice(ACTIVATIONS),
        output_hidden_size=draw.choice([None, heads * draw.randint(1, 9)]) if adapter else None,
        use_intermediate_ffn_before_adapter=adapter and draw.random() < 0.5,
        use_weighted_layer_sum=draw.random() < 0.4,
        classifier_proj_size=draw.randint(3, 40),
        ctc_loss_reduction=draw.choice(["sum", "mean"]),
        ctc_zero_infinity=True,
        mask_time_prob=draw.choice([0.0, 0.05]),
        pad_token_id=draw.choice([0, 0, 2]),
    )


def ast(draw):
    heads, width = heads_and_width(draw)
    patch = draw.randint(2, 5)
    return dict(
        hidden_size=width,
        num_hidden_layers=draw.randint(1, 3),
        num_attention_heads=heads,
        intermediate_size=draw.randint(5, 90),
        hidden_act=draw.choice(ACTIVATIONS),
        patch_size=patch,
        frequency_stride=draw.randint(1, 5),
        time_stride=draw.randint(1, 5),
        max_length=patch + draw.randint(0, 30),
        num_mel_bins=patch + draw.randint(0, 12),
        qkv_bias=draw.random() < 0.7,
    )


# ---- configurations of encoder–decoders ----


def bart(draw, starts=True, own=None):
    """Stacks of unlike depth, heads and widths over one hidden size."""
    heads, width = heads_and_width(draw)
    divisors = [n for n in range(1, width + 1) if width % n == 0 and n <= 6]
    vocabulary = draw.randint(20, 60)
    padding = draw.randrange(vocabulary)
    start = draw.randrange(vocabulary)
    return dict(
        vocab_size=vocabulary,
        d_model=width,
        encoder_layers=draw.randint(1, 3),
        decoder_layers=draw.randint(1, 3),
        encoder_attention_heads=heads,
        decoder_attention_heads=draw.choice(divisors),
        encoder_ffn_dim=draw.randint(5, 50),
        decoder_ffn_dim=draw.randint(5, 50),
        activation_function=draw.choice(ACTIVATIONS),
        max_position_embeddings=draw.randint(20, 40),
        scale_embedding=draw.random() < 0.5,
        tie_word_embeddings=draw.random() < 0.8,
        pad_token_id=padding,
        decoder_start_token_id=start if starts else None,
        encoder_layerdrop=0.0,
        decoder_layerdrop=0.0,
    ) | (own or {})


def mbart(draw):
    return bart(draw, starts=False)


def marian(draw):
    config = bart(draw)
    if draw.random() < 0.4:
        rows = draw.randint(20, 60)
        config |= dict(share_encoder_decoder_embeddings=False, decoder_vocab_size=rows)
        smallest = min(rows, config["vocab_size"])
        config |= dict(pad_token_id=draw.randrange(smallest), decoder_start_token_id=draw.randrange(smallest))
    return config


def m2m_100(draw):
    config = bart(draw)
    # Its class puts a row of zeros for the padding token into a table of so many positions.
    while config["d_model"] < 4 or config["pad_token_id"] >= config["max_position_embeddings"]:
        config = bart(draw)
    return config


def t5(draw):
    buckets = draw.randint(4, 32)
    return dict(
        vocab_size=draw.randint(20, 60),
        d_model=draw.randint(3, 40),
        d_kv=draw.randint(1, 9),
        d_ff=draw.randint(5, 50),
        num_layers=draw.randint(1, 3),
        num_decoder_layers=draw.choice([None, 1, 2, 3]),
        num_heads=draw.randint(1, 5),
        relative_attention_num_buckets=buckets,
        relative_attention_max_distance=buckets + draw.randint(1, 40),
        feed_forward_proj=draw.choice(["relu", "gated-gelu", "gated-silu", "gelu", "gated-relu"]),
        tie_word_embeddings=draw.random() < 0.5,
        pad_token_id=0,
        decoder_start_token_id=draw.randrange(20),
    )


def whisper(draw):
    (encoder, width) = heads_and_width(draw)
    width += width % 2 * encoder
    rows = draw.randint(12, 90)
    return dict(
        vocab_size=rows,
        num_mel_bins=draw.randint(2, 20),
        d_model=width,
        encoder_layers=draw.randint(1, 3),
        decoder_layers=draw.randint(1, 3),
        encoder_attention_heads=encoder,
        decoder_attention_heads=draw.choice([n for n in range(1, width + 1) if width % n == 0]),
        encoder_ffn_dim=draw.randint(5, 90),
        decoder_ffn_dim=draw.randint(5, 90),
        activation_function=draw.choice(ACTIVATIONS),
        scale_embedding=draw.random() < 0.3,
        max_source_positions=draw.randint(2, 40),
        max_target_positions=draw.randint(12, 40),
        apply_spec_augment=draw.random() < 0.3,
        use_weighted_layer_sum=draw.random() < 0.5,
        classifier_proj_size=draw.randint(3, 30),
        tie_word_embeddings=draw.random() < 0.8,
        pad_token_id=(pad := draw.randrange(rows)),
        bos_token_id=pad,
        eos_token_id=pad,
        decoder_start_token_id=draw.randrange(rows),
    )


def moonshine(draw):
    heads, width = heads_and_width(draw)
    size = draw.randint(2, 12)
    rows = draw.randint(12, 90)
    return dict(
        vocab_size=rows,
        hidden_size=heads * size,
        intermediate_size=draw.randint(5, 60),
        encoder_num_hidden_layers=draw.randint(1, 3),
        decoder_num_hidden_layers=draw.randint(1, 3),
        encoder_num_attention_heads=heads,
        decoder_num_attention_heads=heads,
        encoder_hidden_act=draw.choice(ACTIVATIONS),
        decoder_hidden_act=draw.choice(ACTIVATIONS),
        attention_bias=draw.random() < 0.5,
        pad_head_dim_to_multiple_of=draw.choice([None, 8]),
        rope_parameters=dict(rope_type="default", rope_theta=draw.choice([100.0, 10000.0]), partial_rotary_factor=2 * draw.randint(1, size // 2) / size),
        tie_word_embeddings=draw.random() < 0.7,
        pad_token_id=draw.choice([2, draw.randrange(rows)]),
        decoder_start_token_id=draw.randrange(rows),
    )


FAMILIES = {
    "bert": Family("Bert", "text", bert, token_types=True),
    "roberta": Family("Roberta", "text", roberta),
    "xlm-roberta": Family("XLMRoberta", "text", roberta),
    "camembert": Family("Camembert", "text", roberta),
    "distilbert": Family("DistilBert", "text", distilbert),
    "electra": Family("Electra", "text", electra, token_types=True),
    "albert": Family("Albert", "text", albert, token_types=True),
    "mpnet": Family("MPNet", "text", mpnet),
    "modernbert": Family("ModernBert", "text", modernbert),
    "deberta-v2": Family("DebertaV2", "text", deberta_v2, token_types=True),
    "llama": Family("Llama", "decoder", plain_llama),
    "mistral": Family("Mistral", "decoder", mistral),
    "qwen2": Family("Qwen2", "decoder", qwen),
    "qwen3": Family("Qwen3", "decoder", qwen3),
    "gemma": Family("Gemma", "decoder", gemma, lacks=("decoder-answers",)),
    "gemma2": Family("Gemma2", "decoder", gemma2, lacks=("decoder-answers",)),
    "phi3": Family("Phi3", "decoder", phi3, lacks=("decoder-answers",)),
    "gpt_neox": Family("GPTNeoX", "decoder", gpt_neox),
    "gpt2": Family("GPT2", "decoder", gpt2, classes={"ForCausalLM": ["LMHeadModel"]}),
    "bart": Family("Bart", "sequence to sequence", bart),
    "mbart": Family("MBart", "sequence to sequence", mbart),
    "marian": Family("Marian", "sequence to sequence", marian, classes={"ForConditionalGeneration": ["MTModel"]}),
    "m2m_100": Family("M2M100", "sequence to sequence", m2m_100),
    "t5": Family("T5", "sequence to sequence", t5),
    "mt5": Family("MT5", "sequence to sequence", t5),
    "bart reader": Family("Bart", "read by both", bart, lacks=("read-tags",)),
    "mbart reader": Family("MBart", "read by both", mbart, lacks=("read-tags",)),
    "t5 reader": Family("T5", "read by both", t5),
    "mt5 reader": Family("MT5", "read by both", t5),
    "vit": Family("ViT", "image", vit),
    "deit": Family("DeiT", "image", vit, classes={"ForImageClassification": ["ForImageClassification", "ForImageClassificationWithTeacher"]}),
    "beit": Family("Beit", "image", beit),
    "data2vec-vision": Family("Data2VecVision", "image", beit),
    "beit-maps": Family("Beit", "maps", beit_maps),
    "data2vec-vision-maps": Family("Data2VecVision", "maps", data2vec_maps),
    "upernet": Family("UperNet", "maps", upernet),
    "dinov2": Family("Dinov2", "image", dinov2),
    "swin": Family("Swin", "image", swin),
    "convnext": Family("ConvNext", "image", convnext),
    "swinv2": Family("Swinv2", "image", swinv2),
    "convnextv2": Family("ConvNextV2", "image", convnextv2),
    "dinov2_with_registers": Family("Dinov2WithRegisters", "image", dinov2_with_registers),
    "vit_mae": Family("ViTMAE", "masked image", vit_mae),
    "segformer": Family("Segformer", "image", segformer, segments=True),
    "mobilevit": Family("MobileViT", "image", mobilevit, segments=True),
    "mobilevitv2": Family("MobileViTV2", "image", mobilevitv2, segments=True),
    "resnet": Family("ResNet", "image", resnet),
    "yolos": Family("Yolos", "detector", yolos),
    "detr": Family("Detr", "detector", detr),
    "conditional_detr": Family("ConditionalDetr", "detector", conditional_detr),
    "deformable_detr": Family("DeformableDetr", "detector", deformable_detr),
    "rt_detr": Family("RTDetr", "detector", rt_detr),
    "rt_detr_v2": Family("RTDetrV2", "detector", rt_detr_v2),
    "wav2vec2": Family("Wav2Vec2", "speech", wav2vec2),
    "hubert": Family("Hubert", "speech", hubert),
    "wavlm": Family("WavLM", "speech", wavlm),
    "wav2vec2-bert": Family("Wav2Vec2Bert", "filter-bank frames", wav2vec2_bert),
    "audio-spectrogram-transformer": Family("AST", "spectrogram", ast),
    "whisper": Family("Whisper", "log-mel", whisper),
    "whisper encoder": Family("Whisper", "log-mel alone", whisper),
    "moonshine": Family("Moonshine", "written sound", moonshine),
}


# ---- inputs ----


def tensor_generator(draw):
    return torch.Generator().manual_seed(draw.getrandbits(62))


def text_inputs(draw, family, config):
    rows, width = draw.randint(1, 6), draw.randint(2, 33)
    padding = draw.choice(["right", "right", "left", "scattered", "none"])
    pad = config.pad_token_id
    noise = tensor_generator(draw)
    ids = torch.randint(0, config.vocab_size, (rows, width), generator=noise)
    ids[ids == pad] = (pad + 1) % config.vocab_size
    mask = torch.ones(rows, width, dtype=torch.int64)
    if padding == "scattered":
        mask = (torch.rand(rows, width, generator=noise) < 0.7).long()
        mask[:, draw.randrange(width)] = 1
    elif padding != "none":
        for row in range(rows):
            length = width if row == 0 else draw.randint(1, width)
            mask[row] = torch.arange(width) < length if padding == "right" else torch.arange(width) >= width - length
    ids[mask == 0] = pad
    named = {"input_ids": ids}
    # Without a mask both sides attend to everything.
    if padding != "none" or draw.random() < 0.5:
        named["attention_mask"] = mask
    if family.token_types and config.type_vocab_size > 0 and draw.random() < 0.6:
        named["token_type_ids"] = torch.randint(0, config.type_vocab_size, (rows, width), generator=noise)
    return Inputs(named)


def decoder_inputs(draw, family, config):
    """No longer than there are positions, unless angles stretch."""
    inputs = text_inputs(draw, family, config)
    stretched = (getattr(config, "rope_parameters", None) or {}).get("rope_type") == "dynamic"
    longest = inputs.named["input_ids"].shape[1] if stretched else config.max_position_embeddings
    named = {name: value[:, :longest].contiguous() for name, value in inputs.named.items()}
    if "attention_mask" in named:
        named["attention_mask"][:, -1] |= (named["attention_mask"].sum(1) == 0).long()
    return Inputs(named)


def sequence_to_sequence_inputs(draw, family, config):
    """A source, and what the decoder reads: labels, moved on by one, or an input of its own with padding on either side."""
    noise = tensor_generator(draw)
    rows, width, written = draw.randint(1, 4), draw.randint(1, 16), draw.randint(1, 12)
    named = {"input_ids": torch.randint(0, config.vocab_size, (rows, width), generator=noise)}
    if draw.random() < 0.8:
        named["attention_mask"] = padded(draw, rows, width)
    vocabulary = getattr(config, "decoder_vocab_size", None) or config.vocab_size
    if draw.random() < 0.5:
        named["decoder_input_ids"] = torch.randint(0, vocabulary, (rows, written), generator=noise)
        if draw.random() < 0.5:
            named["decoder_attention_mask"] = padded(draw, rows, written)
    return Inputs(named)


def read_inputs(draw, family, config):
    """A text for both stacks, every row of which ends as often as the others; padding where a tokenizer puts it."""
    noise = tensor_generator(draw)
    rows, width, ends = draw.randint(1, 4), draw.randint(3, 16), draw.randint(1, 3)
    others = [token for token in range(config.vocab_size) if token not in (config.eos_token_id, config.pad_token_id)]
    ids = torch.tensor(others)[torch.randint(0, len(others), (rows, width), generator=noise)]
    mask = torch.zeros_like(ids)
    for row in range(rows):
        length = draw.randint(3, width)
        mask[row, :length] = 1
        ids[row, length:] = config.pad_token_id
        ids[row, draw.sample(range(length - 1), ends - 1) + [length - 1]] = config.eos_token_id
    return Inputs({"input_ids": ids} | ({"attention_mask": mask} if draw.random() < 0.8 else {}))


def padded(draw, rows, width):
    mask = torch.ones(rows, width, dtype=torch.int64)
    for row in range(rows):
        length = draw.randint(1, width)
        if draw.random() < 0.5:
            mask[row, length:] = 0
        else:
            mask[row, : width - length] = 0
    return mask


def pixels(draw, config, height, width):
    channels = getattr(config, "num_channels", None) or config.backbone_config.num_channels
    return torch.randn(draw.randint(1, 3), channels, height, width, generator=tensor_generator(draw))


def image_inputs(draw, family, config):
    """The size of the configuration, or another one that the family takes."""
    if family.prefix == "MobileViTV2":  # of any size of which the last map has a whole patch
        least = (config.patch_size - 1) * 32 + 1
        return Inputs({"pixel_values": pixels(draw, config, draw.randint(least, least + 40), draw.randint(least, least + 40))})
    if family.prefix in ("ResNet", "MobileViT"):
        return Inputs({"pixel_values": pixels(draw, config, draw.randint(20, 70), draw.randint(20, 70))})
    if family.prefix == "Segformer":  # of any size from one on of which every stage has something left
        return Inputs({"pixel_values": pixels(draw, config, draw.randint(66, 99), draw.randint(66, 99))})
    size, patch = config.image_size, config.patch_size
    if draw.random() < 0.6:
        return Inputs({"pixel_values": pixels(draw, config, size, size)})
    if family.prefix in ("ConvNext", "ConvNextV2"):
        least = patch * 2 ** (len(config.depths) - 1)
        return Inputs({"pixel_values": pixels(draw, config, least + draw.randint(0, 13), least + draw.randint(0, 13))})
    if family.prefix in ("Swin", "Swinv2"):
        least = config.window_size * patch * 2 ** (len(config.depths) - 1)
        if config.use_absolute_embeddings:
            sizes = [least + patch * draw.randint(0, 5) for _ in range(2)]
        else:  # a multiple neither of the patch nor of the window
            sizes = [least + draw.randint(0, 21) for _ in range(2)]
        return Inputs({"pixel_values": pixels(draw, config, *sizes)}, {"interpolate_pos_encoding": True})
    height, width = (patch * draw.randint(2, 7) for _ in range(2))
    # The others interpolate without being asked.
    call = {"interpolate_pos_encoding": True} if family.prefix in ("ViT", "DeiT") else {}
    return Inputs({"pixel_values": pixels(draw, config, height, width)}, call)


def map_inputs(draw, family, config):
    """Of any size from one on that leaves something of every map."""
    if family.prefix == "UperNet":
        size = (draw.randint(40, 90) for _ in range(2))
        if config.backbone_config.model_type == "swin" and config.backbone_config.use_absolute_embeddings:
            size = [config.backbone_config.image_size] * 2
        return Inputs({"pixel_values": pixels(draw, config.backbone_config, *size)})
    if family.prefix == "Data2VecVision":  # takes its own size alone
        return Inputs({"pixel_values": pixels(draw, config, config.image_size, config.image_size)})
    return Inputs({"pixel_values": pixels(draw, config, *(config.patch_size * draw.randint(2, 7) for _ in range(2)))})


def detector_inputs(draw, family, config):
    """Of any size; a detector that takes a mask of pixels gets images of unequal sizes."""
    if family.prefix.startswith("RTDetr"):
        # Each map is half of the one before: multiples of the coarsest, or somewhat less.
        finest, coarsest = config.feat_strides[0], config.feat_strides[-1]
        height, width = config.anchor_image_size or (coarsest * draw.randint(2, 3) - draw.randint(0, finest - 1) for _ in range(2))
        return Inputs({"pixel_values": pixels(draw, config, height, width)})
    least = getattr(config, "patch_size", 40)
    height, width = (least + draw.randint(0, 40) for _ in range(2))
    named = {"pixel_values": pixels(draw, config, height, width)}
    if family.prefix != "Yolos" and draw.random() < 0.7:
        mask = torch.zeros(named["pixel_values"].shape[0], height, width, dtype=torch.int64)
        for row in mask:
            row[: draw.randint(height // 2, height), : draw.randint(width // 2, width)] = 1
        named |= {"pixel_values": named["pixel_values"] * mask.unsqueeze(1), "pixel_mask": mask}
    return Inputs(named)


def masked_image_inputs(draw, family, config):
    size = config.image_size
    values = pixels(draw, config, size, size)
    return Inputs({"pixel_values": values, "noise": torch.rand(values.shape[0], (size // config.patch_size) ** 2, generator=tensor_generator(draw))})


def speech_inputs(draw, family, config):
    """Sounds of unequal lengths, with a mask or without."""
    least = 1
    for kernel, stride in reversed(list(zip(config.conv_kernel, config.conv_stride))):
        least = (least - 1) * stride + kernel
    lengths = [least + draw.randint(0, 300) for _ in range(draw.randint(1, 4))]
    longest, noise = max(lengths), tensor_generator(draw)
    mask = torch.tensor([[1] * n + [0] * (longest - n) for n in lengths])
    named = {"input_values": torch.randn(len(lengths), longest, generator=noise) * mask}
    if draw.random() < 0.7:
        named["attention_mask"] = mask
    return Inputs(named)


def frame_inputs(draw, family, config):
    """Frames of unequal numbers, with a mask or without."""
    least = config.adapter_kernel_size * config.adapter_stride if config.add_adapter else 1
    lengths = [least + draw.randint(0, 60) for _ in range(draw.randint(1, 4))]
    longest = max(lengths) + draw.choice([0, 0, 1])
    mask = torch.tensor([[1] * n + [0] * (longest - n) for n in lengths])
    named = {"input_features": torch.randn(len(lengths), longest, config.feature_projection_input_dim, generator=tensor_generator(draw))}
    if draw.random() < 0.7:
        named["attention_mask"] = mask
    return Inputs(named)


def spectrogram_inputs(draw, family, config):
    shape = (draw.randint(1, 4), config.max_length, config.num_mel_bins)
    return Inputs({"input_values": torch.randn(*shape, generator=tensor_generator(draw))})


def log_mel_inputs(draw, family, config):
    """A spectrogram of the model's size, and texts of unequal lengths."""
    rows, noise = draw.randint(1, 4), tensor_generator(draw)
    features = torch.randn(rows, config.num_mel_bins, 2 * config.max_source_positions, generator=noise)
    ids = torch.randint(0, config.vocab_size, (rows, draw.randint(1, 10)), generator=noise)
    return Inputs({"input_features": features, "decoder_input_ids": ids})


def written_sound_inputs(draw, family, config):
    """Sounds of unequal lengths with a mask or without, and texts."""
    lengths = [895 + draw.randint(0, 4000) for _ in range(draw.randint(1, 4))]
    longest, noise = max(lengths), tensor_generator(draw)
    mask = torch.tensor([[1] * n + [0] * (longest - n) for n in lengths])
    named = {"input_values": torch.randn(len(lengths), longest, generator=noise) * mask}
    named["decoder_input_ids"] = torch.randint(0, config.vocab_size, (len(lengths), draw.randint(1, 10)), generator=noise)
    if draw.random() < 0.7:
        named["attention_mask"] = mask
    return Inputs(named)


INPUTS = {
    "text": text_inputs,
    "decoder": decoder_inputs,
    "sequence to sequence": sequence_to_sequence_inputs,
    "read by both": read_inputs,
    "image": image_inputs,
    "maps": map_inputs,
    "detector": detector_inputs,
    "masked image": masked_image_inputs,
    "speech": speech_inputs,
    "filter-bank frames": frame_inputs,
    "spectrogram": spectrogram_inputs,
    "log-mel": log_mel_inputs,
    "log-mel alone": lambda draw, family, config: Inputs({"input_features": log_mel_inputs(draw, family, config).named["input_features"]}),
    "written sound": written_sound_inputs,
}


# ---- heads ----


def classes(count):
    return dict(id2label={i: f"class {i}" for i in range(count)}, label2id={f"class {i}": i for i in range(count)})


# Where a text ends is told by a token that pads nothing.
READ = dict(pad_token_id=0, eos_token_id=1)
# Classifiers of frames have no layers that make fewer of them.
WHOLE = dict(add_adapter=False, use_intermediate_ffn_before_adapter=False)


def several_classes(draw):
    return classes(draw.randint(2, 9))


def problem(draw):
    """One label, several, or numbers; where config.json does not say which, one output is a number and several are classes."""
    kind = draw.choice(["single_label_classification"] * 3 + ["multi_label_classification", "regression", None])
    count = draw.randint(1, 3) if kind in ("regression", None) else draw.randint(2, 9)
    return classes(count) | dict(problem_type=kind)


def rows_of(inputs):
    return next(iter(inputs.named.values())).shape[0]


def class_targets(draw, config, inputs):
    rows, count, noise = rows_of(inputs), config.num_labels, tensor_generator(draw)
    if config.problem_type == "multi_label_classification":
        return {"labels": torch.randint(0, 2, (rows, count), generator=noise).float()}
    if config.problem_type == "regression" or (config.problem_type is None and count == 1):
        return {"labels": torch.randn(*((rows,) if count == 1 else (rows, count)), generator=noise)}
    return {"labels": torch.randint(0, count, (rows,), generator=noise)}


def tag_targets(draw, config, inputs):
    ids, noise = inputs.named["input_ids"], tensor_generator(draw)
    labels = torch.randint(0, config.num_labels, ids.shape, generator=noise)
    labels[torch.rand(ids.shape, generator=noise) < 0.4] = IGNORED
    labels[0, 0] = 0  # at least one counts: a mean over none is not a number
    return {"labels": labels}


def next_token_targets(draw, config, inputs):
    ids, noise = inputs.named["input_ids"], tensor_generator(draw)
    labels = torch.randint(0, config.vocab_size, ids.shape, generator=noise)
    labels[torch.rand(ids.shape, generator=noise) < 0.4] = IGNORED
    labels[0, -1] = 0  # at least one counts
    return {"labels": labels}


def written_targets(draw, config, inputs):
    """What is written, of the length that the decoder reads where that is given."""
    rows, noise = rows_of(inputs), tensor_generator(draw)
    given = inputs.named.get("decoder_input_ids")
    width = draw.randint(1, 12) if given is None else given.shape[1]
    vocabulary = getattr(config, "decoder_vocab_size", None) or config.vocab_size
    labels = torch.randint(0, vocabulary, (rows, width), generator=noise)
    for row in range(1, rows):
        labels[row, draw.randint(1, width) :] = IGNORED
    # The start of mBART is the last token that is no padding; one row of nothing else has none.
    labels[labels == config.pad_token_id] = (config.pad_token_id + 1) % vocabulary
    return {"labels": labels}


def span_targets(draw, config, inputs):
    """Start and end of each answer; some lie outside the window and count in no loss, both or the end alone."""
    rows, width = inputs.named["input_ids"].shape
    start = [draw.randrange(width) for _ in range(rows)]
    end = [draw.randint(first, width - 1) for first in start]
    for row in range(1, rows):
        outside = draw.random()
        if outside < 0.3:
            end[row] = width + draw.randrange(3)
        if outside < 0.2:
            start[row] = width
    return {"start_positions": torch.tensor(start), "end_positions": torch.tensor(end)}


def untied_or_tied(draw):
    return dict(tie_word_embeddings=draw.random() < 0.8)


def word_targets(draw, config, inputs):
    ids, noise = inputs.named["input_ids"], tensor_generator(draw)
    labels = torch.randint(0, config.vocab_size, ids.shape, generator=noise)
    labels[torch.rand(ids.shape, generator=noise) < 0.7] = IGNORED
    labels[0, 0] = 0
    return {"labels": labels}


def pixel_targets(draw, config, inputs):
    """A class for each pixel, some of which count in no loss; of the size of the images or another one."""
    rows, _, height, width = inputs.named["pixel_values"].shape
    if draw.random() < 0.3 and not hasattr(config, "loss_ignore_index"):  # whose class wants labels of the images' size
        height, width = draw.randint(20, 90), draw.randint(20, 90)
    noise = tensor_generator(draw)
    labels = torch.randint(0, max(config.num_labels, 2), (rows, height, width), generator=noise)
    ignored = config.loss_ignore_index if hasattr(config, "loss_ignore_index") else config.semantic_loss_ignore_index
    labels[torch.rand(labels.shape, generator=noise) < draw.choice([0, 0.3])] = ignored
    return {"labels": labels}


def object_targets(draw, config, inputs):
    """Classes and boxes of up to seven objects in an image, filled up to one number; some images have none."""
    noise = tensor_generator(draw)
    counts = [draw.choice([0, 1, 2, 3, 7]) for _ in range(rows_of(inputs))]
    most = max(counts + [1])
    centre, size = 0.2 + 0.6 * torch.rand(len(counts), most, 2, generator=noise), 0.02 + 0.5 * torch.rand(len(counts), most, 2, generator=noise)
    labels = torch.randint(0, config.num_labels, (len(counts), most), generator=noise)
    for row, count in zip(labels, counts):
        row[count:] = IGNORED
    return {"class_labels": labels, "boxes": torch.cat([centre, size], dim=2)}


def listed_objects(targets):
    """The same as transformers takes it: a dictionary for each image."""
    pairs = zip(targets["class_labels"], targets["boxes"])
    return [{"class_labels": labels[labels != IGNORED], "boxes": boxes[labels != IGNORED]} for labels, boxes in pairs]


def transcript_targets(draw, config, inputs):
    """Texts of unequal lengths, also empty ones."""
    rows, width = rows_of(inputs), draw.randint(1, 8)
    labels = torch.randint(0, config.vocab_size, (rows, width), generator=tensor_generator(draw))
    for row in range(rows):
        labels[row, draw.randint(0, width) :] = IGNORED
    return {"labels": labels}


def heard_targets(draw, config, inputs):
    ids, noise = inputs.named["decoder_input_ids"], tensor_generator(draw)
    labels = torch.randint(0, config.vocab_size, ids.shape, generator=noise)
    labels[torch.rand(ids.shape, generator=noise) < 0.3] = IGNORED
    labels[0, 0] = 0
    return {"labels": labels}


def pooling(draw):
    """Fields of Retune's: modules that follow a base model in sentence-transformers."""
    return dict(sentence_pooling=draw.choice(["mean", "cls", "max"]), sentence_normalize=draw.random() < 0.5)


def pooled(config, hidden, mask):
    """A vector for each text, as sentence-transformers' Pooling and Normalize have it."""
    mask = torch.ones_like(hidden[..., :1]) if mask is None else mask.unsqueeze(-1).to(hidden.dtype)
    if config.sentence_pooling == "cls":
        vectors = hidden[:, 0]
    elif config.sentence_pooling == "max":
        vectors = hidden.masked_fill(mask == 0, -1e9).max(1).values
    else:
        vectors = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
    return torch.nn.functional.normalize(vectors, p=2, dim=1) if config.sentence_normalize else vectors


def no_targets(draw, config, inputs):
    return {}


HEADS = {
    "sequence-classification": Head("text-classification", "ForSequenceClassification", "text", problem, class_targets),
    "token-classification": Head("token-classification", "ForTokenClassification", "text", several_classes, tag_targets),
    "question-answering": Head("question-answering", "ForQuestionAnswering", "text", lambda draw: {}, span_targets),
    "masked-lm": Head("masked-lm", "ForMaskedLM", "text", untied_or_tied, word_targets),
    "sentence-embeddings": Head("sentence-similarity", "Model", "text", pooling, no_targets),
    "causal-lm": Head("causal-lm", "ForCausalLM", "decoder", lambda draw: {}, next_token_targets),
    "sequence-to-sequence": Head("text-to-text", "ForConditionalGeneration", "sequence to sequence", lambda draw: {}, written_targets),
    "decoder-classification": Head("text-classification", "ForSequenceClassification", "decoder", problem, class_targets),
    "decoder-tags": Head("token-classification", "ForTokenClassification", "decoder", several_classes, tag_targets),
    "decoder-answers": Head("question-answering", "ForQuestionAnswering", "decoder", lambda draw: {}, span_targets),
    "read-classification": Head("text-classification", "ForSequenceClassification", "read by both", lambda draw: problem(draw) | READ, class_targets),
    "read-tags": Head("token-classification", "ForTokenClassification", "read by both", several_classes, tag_targets),
    "read-answers": Head("question-answering", "ForQuestionAnswering", "read by both", lambda draw: READ, span_targets),
    "image-classification": Head("image-classification", "ForImageClassification", "image", problem, class_targets),
    "semantic-segmentation": Head(
        "semantic-segmentation", "ForSemanticSegmentation", "image", lambda draw: classes(draw.randint(1, 9)), pixel_targets
    ),
    "segmentation-of-maps": Head("semantic-segmentation", "ForSemanticSegmentation", "maps", lambda draw: classes(draw.randint(2, 9)), pixel_targets),
    "object-detection": Head("object-detection", "ForObjectDetection", "detector", lambda draw: classes(draw.randint(1, 9)), object_targets),
    "speech-recognition": Head("speech-recognition", "ForCTC", "speech", lambda draw: {}, transcript_targets),
    "written-speech": Head("speech-recognition", "ForConditionalGeneration", "log-mel", lambda draw: {}, heard_targets),
    "frame-recognition": Head("speech-recognition", "ForCTC", "filter-bank frames", lambda draw: {}, transcript_targets),
    "frame-classification": Head(
        "audio-classification", "ForSequenceClassification", "filter-bank frames", lambda draw: several_classes(draw) | WHOLE, class_targets
    ),
    "written-samples": Head("speech-recognition", "ForConditionalGeneration", "written sound", lambda draw: {}, heard_targets),
    "spectrogram-classes": Head("audio-classification", "ForAudioClassification", "log-mel alone", several_classes, class_targets),
    "sound-classification": Head("audio-classification", "ForSequenceClassification", "speech", several_classes, class_targets),
    "spectrogram-classification": Head("audio-classification", "ForAudioClassification", "spectrogram", several_classes, class_targets),
    # Its loss needs no targets; Retune gives one only for targets.
    "masked-image-modeling": Head("masked-image-modeling", "ForPreTraining", "masked image", lambda draw: {}, no_targets),
}


# ---- one case ----


def make_model(draw, family, head):
    ending = draw.choice(family.classes.get(head.ending, [head.ending]))
    model_class = getattr(transformers, family.prefix + ending)
    config = model_class.config_class(**(family.config(draw) | head.config(draw)))
    config._attn_implementation = "eager"
    model = model_class(config).eval()
    # Sinusoids of Marian: no file holds them, so nothing else can stand there.
    fixed = [(parameter, parameter.detach().clone()) for parameter in model.parameters() if not parameter.requires_grad]
    randomise(model, tensor_generator(draw))
    with torch.no_grad():
        for parameter, value in fixed:
            parameter.copy_(value)
    return model


@torch.no_grad()
def expected_outputs(model, inputs, targets):
    """transformers' outputs by name, those that must be there and those that may; in the model's own precision."""
    dtype = next(model.parameters()).dtype
    named = {name: value.to(dtype) if value.is_floating_point() else value for name, value in (inputs.named | targets).items()}
    if "class_labels" in targets:
        named["labels"] = listed_objects({name: named.pop(name) for name in ("class_labels", "boxes")})
    takes_targets = targets and "WithTeacher" not in type(model).__name__  # that class is for use alone
    result = model(**(named if takes_targets else {k: v for k, v in named.items() if k not in TARGETS}), **inputs.call)
    outputs = {name: getattr(result, name) for name in OUTPUTS if getattr(result, name, None) is not None}
    if takes_targets:
        outputs["loss"] = result.loss
    if hasattr(model.config, "sentence_pooling"):
        outputs["sentence_embedding"] = pooled(model.config, result.last_hidden_state, named.get("attention_mask"))
    further = {name: getattr(result, name) for name in FURTHER if getattr(result, name, None) is not None}
    if model.config.is_encoder_decoder:
        return outputs, further
    if model.base_model is model:  # a class without one
        return outputs, further
    base = model.base_model(**{k: v for k, v in named.items() if k not in TARGETS}, **inputs.call)
    further = {name: getattr(result, name) for name in FURTHER if getattr(result, name, None) is not None}
    return outputs, further | {"last_hidden_state": base.last_hidden_state}


def difference(a, b):
    """Largest absolute difference, relative to the largest magnitude where that is above one; infinite for other shapes."""
    if a.numel() != b.numel() or (a.dim() > 1 and a.shape != b.shape):
        return float("inf")
    a, b = a.double().flatten(), b.double().flatten()
    worst = ((a - b).abs().max() / max(1.0, float(b.abs().max()))).item()
    return worst if worst == worst else float("inf")


def run_retune(arguments, task, folder):
    command = [arguments.retune, "forward", "--model", folder / "model", "--task", task, "--inputs", folder / "inputs.safetensors",
               "--outputs", folder / "outputs.safetensors", "--precision", "fp32", "--device", arguments.device]
    done = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    if done.returncode != 0:
        return None, f"exit {done.returncode}: {' '.join(done.stderr.split())[-400:]}"
    return load_file(folder / "outputs.safetensors"), None


def run_case(arguments, family_name, head_name, number, folder):
    """The worst difference, that of rounding, and what was wrong; nothing wrong is an empty list."""
    draw = random.Random(f"{arguments.seed}/{family_name}/{head_name}/{number}")
    family, head = FAMILIES[family_name], HEADS[head_name]
    model = make_model(draw, family, head)
    model.save_pretrained(folder / "model")
    inputs = INPUTS[head.medium](draw, family, model.config)
    targets = {} if arguments.no_targets else head.targets(draw, model.config, inputs)
    save_file({k: v.contiguous() for k, v in (inputs.named | targets).items()}, str(folder / "inputs.safetensors"))
    try:
        expected, further = expected_outputs(model, inputs, targets)
        # Losses of sets are computed in fp32 alone.
        exact, _ = expected_outputs(model.double(), inputs, {} if "class_labels" in targets else targets)
    except Exception as error:  # of whatever kind: the other cases are still worth a run
        return None, None, [f"transformers itself fails: {error}"]
    rounding = max(difference(expected[name], exact[name]) for name in exact)
    given, failure = run_retune(arguments, head.task, folder)
    if failure:
        return None, rounding, [failure]
    wrong, worst = [], 0.0
    for name, value in (expected | {k: v for k, v in further.items() if k in given}).items():
        if name not in given:
            wrong.append(f"no {name}")
            continue
        found = difference(given[name], value)
        worst = max(worst, found)
        if found > arguments.tolerance:
            shape = "" if found < float("inf") else f" ({list(given[name].shape)}, transformers {list(value.shape)}, or not a number)"
            wrong.append(f"{name} {found:.1e}{shape}")
    return worst, rounding, wrong


def describe(folder):
    """The drawn inputs in a few words."""
    return ", ".join(f"{name} {'×'.join(map(str, value.shape))}" for name, value in sorted(load_file(folder / "inputs.safetensors").items()))


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=24, help="cases, over all pairs in turn")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first case of each pair")
    parser.add_argument("--family", action="append", choices=FAMILIES, help="may be given several times; all when not given")
    parser.add_argument("--head", action="append", choices=HEADS, help="may be given several times; all when not given")
    parser.add_argument("--no-targets", action="store_true", help="compare no loss")
    parser.add_argument("--retune", type=Path, default=HERE.parent / "target" / "release" / "retune")
    parser.add_argument("--device", default="cpu", help="of retune forward")
    parser.add_argument("--tolerance", type=float, default=1e-5)
    parser.add_argument("--keep", type=Path, help="folder for the models and inputs of cases that miss")
    arguments = parser.parse_args()
    if shutil.which(arguments.retune) is None:
        parser.error(f"{arguments.retune}: no such program; build it with `cargo build --release`, or name it with --retune")
    if arguments.count < 1 or arguments.first < 0:
        parser.error("--count must be at least 1 and --first at least 0")
    arguments.pairs = [(f, h) for f in FAMILIES for h in HEADS if FAMILIES[f].medium == HEADS[h].medium]
    arguments.pairs = [(f, h) for f, h in arguments.pairs if FAMILIES[f].segments or h != "semantic-segmentation"]
    arguments.pairs = [(f, h) for f, h in arguments.pairs if h not in FAMILIES[f].lacks]
    arguments.pairs = [(f, h) for f, h in arguments.pairs if f in (arguments.family or [f]) and h in (arguments.head or [h])]
    if not arguments.pairs:
        parser.error("no family that was named takes a head that was named")
    return arguments


def main():
    arguments = parse_arguments()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    print(f"{'family':<12} {'head':<24} {'case':>4} {'difference':>10} {'rounding':>9}  inputs")
    misses = []
    for i in range(arguments.count):
        family, head = arguments.pairs[i % len(arguments.pairs)]
        number = arguments.first + i // len(arguments.pairs)
        with tempfile.TemporaryDirectory(prefix="parity-") as temporary:
            folder = Path(temporary)
            worst, rounding, wrong = run_case(arguments, family, head, number, folder)
            shown = ["–" if value is None else f"{value:.1e}" for value in (worst, rounding)]
            print(f"{family:<12} {head:<24} {number:>4} {shown[0]:>10} {shown[1]:>9}  {describe(folder)}", flush=True)
            if not wrong:
                continue
            again = ["parity.py", "--seed", arguments.seed, "--family", family, "--head", head, "--first", number, "--count", 1]
            misses.append((family, head, number))
            print(f"  MISS: {'; '.join(wrong)}\n  again: {shlex.join(map(str, again))}", flush=True)
            if arguments.keep:
                kept = arguments.keep / f"{family}-{head}-{arguments.seed}-{number}"
                shutil.copytree(folder, kept, dirs_exist_ok=True)
    print(f"{arguments.count - len(misses)} of {arguments.count} cases agree to {arguments.tolerance:g}")
    return 1 if misses else 0


if __name__ == "__main__":
    sys.exit(main())
