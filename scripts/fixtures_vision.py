"""fixtures/parity/<family>-image-classification: tiny random image classifiers, same format as the text ones."""

import contextlib
import copy
import itertools
from pathlib import Path
from unittest import mock

import torch
import transformers
from safetensors.torch import load_file
from transformers.models.vit_mae.modeling_vit_mae import build_2d_sinusoidal_position_embedding

from fixtures_common import fresh_folder, forward_and_gradients, generator, randomise, save_model, saved_names, save_tensors, write_versions

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
SWINV2 = SWIN | dict(embed_dim=8, num_heads=[2, 4], window_size=4, depths=[2, 1], pretrained_window_sizes=[0, 6])
CONVNEXTV2 = CONVNEXT | dict(hidden_sizes=[3, 4, 6], depths=[1, 2, 1], num_stages=3, image_size=32)

SEGFORMER = dict(
    num_encoder_blocks=3, depths=[1, 2, 1], sr_ratios=[3, 2, 1], hidden_sizes=[4, 6, 8], patch_sizes=[7, 3, 3], strides=[4, 2, 2],
    num_attention_heads=[1, 2, 4], mlp_ratios=[3, 2, 1], decoder_hidden_size=10, classifier_dropout_prob=0.0, drop_path_rate=0.0, **NAMES,
)

MOBILEVIT = dict(
    hidden_sizes=[4, 6, 4], neck_hidden_sizes=[2, 2, 3, 2, 3, 4, 5], num_attention_heads=2, mlp_ratio=1.5, expand_ratio=1.5, aspp_out_channels=3,
    atrous_rates=[1, 2, 3], output_stride=8, hidden_dropout_prob=0.0, classifier_dropout_prob=0.0, aspp_dropout_prob=0.0, **NAMES)

# All widths are as small as they may be.
MOBILEVITV2 = dict(
    width_multiplier=0.05, base_attn_unit_dims=[100, 160, 160], n_attn_blocks=[1, 2, 1], ffn_multiplier=2, expand_ratio=1.0, aspp_out_channels=3,
    atrous_rates=[1, 2, 3], output_stride=8, classifier_dropout_prob=0.0, aspp_dropout_prob=0.0, **NAMES)

# Widths that tell the parts of a decoder apart; norms over two values alone would be all rounding.
BEIT_MAPS = PLAIN | dict(
    hidden_size=4, num_hidden_layers=4, num_attention_heads=2, intermediate_size=5, image_size=24, patch_size=4, drop_path_rate=0.0,
    out_indices=[1, 2, 3, 4], pool_scales=[2, 3], auxiliary_channels=3)
UPERNET = dict(hidden_size=5, pool_scales=[2, 3], auxiliary_channels=4, **NAMES)
SWIN_MAPS = dict(
    model_type="swin", embed_dim=4, depths=[1, 2, 1], num_heads=[1, 2, 2], window_size=3, mlp_ratio=2.0, image_size=16, patch_size=2,
    drop_path_rate=0.0, out_features=["stage1", "stage2", "stage3"])
CONVNEXT_MAPS = dict(
    model_type="convnext", hidden_sizes=[3, 4, 5, 6], depths=[1, 1, 1, 1], num_stages=4, patch_size=2, drop_path_rate=0.0,
    out_features=["stage2", "stage4"])

YOLOS = PLAIN | dict(
    hidden_size=16, intermediate_size=24, num_attention_heads=2, num_hidden_layers=3, image_size=[12, 20], patch_size=4,
    num_detection_tokens=5)

RESNET = dict(embedding_size=4, hidden_sizes=[8, 12], depths=[1, 2], **NAMES)
BACKBONE = dict(model_type="resnet", embedding_size=3, hidden_sizes=[4, 8], depths=[1, 2], out_features=["stage2"])
DETR = dict(
    d_model=8, encoder_layers=1, decoder_layers=2, encoder_attention_heads=2, decoder_attention_heads=4, encoder_ffn_dim=10,
    decoder_ffn_dim=12, num_queries=5, dropout=0.0, use_timm_backbone=False, **NAMES)

DEFORMABLE_DETR = DETR | dict(
    backbone_config=BACKBONE | dict(out_features=["stage1", "stage2"]), d_model=32, encoder_ffn_dim=3, decoder_ffn_dim=4, num_feature_levels=3, encoder_n_points=2, decoder_n_points=1,
    auxiliary_loss=True, with_box_refine=True, focal_alpha=0.25)
RT_BACKBONE = dict(
    model_type="rt_detr_resnet", embedding_size=4, hidden_sizes=[4, 6, 8], depths=[1, 1, 1], layer_type="basic", out_features=["stage2", "stage3"])
RT_DETR = dict(
    encoder_hidden_dim=4, encoder_in_channels=[6, 8], feat_strides=[8, 16], encoder_ffn_dim=5, encoder_attention_heads=2, encode_proj_layers=[1],
    hidden_expansion=0.5, d_model=8, num_queries=5, decoder_in_channels=[4, 4], num_feature_levels=3, decoder_ffn_dim=6, decoder_n_points=2,
    decoder_layers=2, decoder_attention_heads=2, num_denoising=5, initializer_range=0.3, backbone_config=RT_BACKBONE, **NAMES)
# Bottlenecks, a first map that is halved, no losses of earlier layers, and none of the usual numbers.
RT_DETR_V2 = RT_DETR | dict(
    backbone_config=RT_BACKBONE | dict(
        layer_type="bottleneck", embedding_size=6, hidden_sizes=[8, 12], depths=[2, 1], downsample_in_first_stage=True, out_features=["stage1", "stage2"]),
    encoder_in_channels=[8, 12], feat_strides=[8, 16], num_feature_levels=2, decoder_n_levels=2, decoder_method="discrete", decoder_offset_scale=0.7,
    auxiliary_loss=False, num_denoising=0, freeze_backbone_batch_norms=False, normalize_before=True, encode_proj_layers=[0, 1], encoder_layers=2,
    hidden_expansion=1.0, weight_loss_vfl=1.5, weight_loss_bbox=3.0, weight_loss_giou=1.2, matcher_class_cost=1.0, matcher_alpha=0.4, matcher_gamma=1.5,
    focal_loss_alpha=0.6, focal_loss_gamma=1.5, layer_norm_eps=1e-4, batch_norm_eps=1e-3)

MAE = dict(
    {k: v for k, v in PLAIN.items() if k not in NAMES},
    decoder_hidden_size=24,
    decoder_num_hidden_layers=2,
    decoder_num_attention_heads=3,
    decoder_intermediate_size=40,
    mask_ratio=0.6,  # 6.4 of 16 patches would be kept: rounded down
)

# folder: (class, config values, {case file: (image height and width, interpolate_pos_encoding)})
CASES = {
    "vit-image-classification": (
        "ViTForImageClassification", PLAIN, {"case": ((32, 32), None), "case_interpolated": ((48, 40), True)}),
    "deit-image-classification": (
        "DeiTForImageClassification", PLAIN, {"case": ((32, 32), None), "case_interpolated": ((48, 40), True)}),
    "deit-with-teacher": (
        "DeiTForImageClassificationWithTeacher", PLAIN, {"case": ((32, 32), None), "case_interpolated": ((48, 40), True)}),
    "beit-relative-position": (
        "BeitForImageClassification", BEIT | dict(use_relative_position_bias=True),
        {"case": ((32, 32), None), "case_interpolated": ((48, 40), None)}),
    "beit-shared-relative-position": (
        "BeitForImageClassification", BEIT | dict(use_shared_relative_position_bias=True), {"case": ((32, 32), None)}),
    "beit-absolute-position-cls": (
        "BeitForImageClassification", BEIT | dict(use_absolute_position_embeddings=True, use_mean_pooling=False),
        {"case": ((32, 32), None), "case_interpolated": ((48, 40), None)}),
    "beit-mask-token-without-layer-scale": (
        "BeitForImageClassification", BEIT | dict(use_mask_token=True, layer_scale_init_value=0.0), {"case": ((32, 32), None)}),
    "dinov2-image-classification": (
        "Dinov2ForImageClassification", DINOV2, {"case": ((32, 32), None), "case_interpolated": ((48, 40), None)}),
    "dinov2-swiglu": (
        "Dinov2ForImageClassification", DINOV2 | dict(use_swiglu_ffn=True, qkv_bias=False), {"case": ((32, 32), None)}),
    # 38 x 42 is no multiple of the patch, its 10 x 11 patches no multiple of the window, and 11 is odd at the merge.
    "swin-image-classification": (
        "SwinForImageClassification", SWIN, {"case": ((32, 32), None), "case_uneven_size": ((38, 42), None)}),
    "swin-absolute-positions": (
        "SwinForImageClassification", SWIN | dict(use_absolute_embeddings=True), {"case": ((32, 32), None), "case_interpolated": ((48, 40), True)}),
    "convnext-image-classification": (
        "ConvNextForImageClassification", CONVNEXT, {"case": ((64, 64), None), "case_other_size": ((48, 72), None)}),
    # 38 x 42 is padded as with Swin; biases of the second stage were learnt for larger windows.
    "swinv2-image-classification": (
        "Swinv2ForImageClassification", SWINV2, {"case": ((32, 32), None), "case_uneven_size": ((38, 42), None)}),
    "convnextv2-image-classification": (
        "ConvNextV2ForImageClassification", CONVNEXTV2, {"case": ((32, 32), None), "case_other_size": ((24, 37), None)}),
    "dinov2-with-registers": (
        "Dinov2WithRegistersForImageClassification", DINOV2 | dict(num_register_tokens=3, hidden_size=12, num_attention_heads=2, num_hidden_layers=2),
        {"case": ((32, 32), None), "case_interpolated": ((48, 40), None), "case_coarser": ((24, 16), None)}),
    # 29 and 38 leave odd maps, and places that no reduction takes.
    "segformer-image-classification": (
        "SegformerForImageClassification", SEGFORMER, {"case": ((32, 32), None), "case_other_size": ((29, 38), None)}),
    "segformer-semantic-segmentation": (
        "SegformerForSemanticSegmentation", SEGFORMER, {"case": ((32, 32), None), "case_other_size": ((29, 38), None)}),
    "segformer-one-label": (
        "SegformerForSemanticSegmentation", {k: v for k, v in SEGFORMER.items() if k not in NAMES} | dict(num_labels=1),
        {"case": ((36, 44), None)}),
    # 5 x 7 patches: half of a side is no whole number.
    "beit-semantic-segmentation": (
        "BeitForSemanticSegmentation", BEIT_MAPS | dict(use_shared_relative_position_bias=True, auxiliary_concat_input=True),
        {"case": ((24, 24), None), "case_other_size": ((20, 28), None)}),
    "data2vec-vision-image-classification": (
        "Data2VecVisionForImageClassification", {k: v for k, v in BEIT_MAPS.items() if "out" not in k} | dict(use_shared_relative_position_bias=True),
        {"case": ((24, 24), None)}),
    "data2vec-vision-semantic-segmentation": (
        "Data2VecVisionForSemanticSegmentation", BEIT_MAPS | dict(use_absolute_position_embeddings=True, auxiliary_loss_weight=0.7, auxiliary_num_convs=2, out_indices=[1, 3, 4, 5]),
        {"case": ((24, 24), None)}),
    # At 13 x 18 the last map, 2 x 3, is smaller than a window.
    "upernet-swin": (
        "UperNetForSemanticSegmentation", UPERNET | dict(backbone_config=SWIN_MAPS), {"case": ((20, 20), None), "case_other_size": ((13, 18), None)}),
    "upernet-convnextv2": (
        "UperNetForSemanticSegmentation", UPERNET | dict(backbone_config=CONVNEXT_MAPS | dict(model_type="convnextv2", hidden_sizes=[3, 4, 5], depths=[1, 1, 1], num_stages=3, out_features=["stage1", "stage3"]), use_auxiliary_head=False, pool_scales=[3]),
        {"case": ((30, 22), None)}),
    "upernet-convnext": (
        "UperNetForSemanticSegmentation", UPERNET | dict(backbone_config=CONVNEXT_MAPS, use_auxiliary_head=False, pool_scales=[3]),
        {"case": ((33, 38), None)}),
    "yolos-object-detection": (
        "YolosForObjectDetection", YOLOS, {"case": ((12, 20), None), "case_other_size": ((23, 18), None)}),
    "yolos-without-middle-positions": (
        "YolosForObjectDetection", YOLOS | dict(use_mid_position_embeddings=False, num_hidden_layers=2, eos_coefficient=0.3, class_cost=2),
        {"case": ((12, 20), None)}),
    "resnet-image-classification": (
        "ResNetForImageClassification", RESNET, {"case": ((32, 32), None), "case_other_size": ((37, 42), None)}),
    "resnet-basic": (
        "ResNetForImageClassification", RESNET | dict(layer_type="basic", downsample_in_first_stage=True), {"case": ((32, 40), None)}),
    # The second image of the mask is smaller than the first.
    "detr-object-detection": (
        "DetrForObjectDetection", DETR | dict(backbone_config=BACKBONE), {"case": ((24, 31), None), "case_other_size": ((33, 22), None)}),
    "detr-auxiliary-loss": (
        "DetrForObjectDetection", DETR | dict(backbone_config=BACKBONE, auxiliary_loss=True, decoder_layers=3, eos_coefficient=0.2),
        {"case": ((24, 31), None)}),
    "conditional-detr": (
        "ConditionalDetrForObjectDetection",
        DETR | dict(backbone_config=BACKBONE, auxiliary_loss=True, focal_alpha=0.3, class_cost=3, dropout=0.0), {"case": ((24, 31), None)}),
    "deformable-detr": (
        "DeformableDetrForObjectDetection", DEFORMABLE_DETR, {"case": ((17, 22), None)}),
    "deformable-detr-two-stage": (
        "DeformableDetrForObjectDetection",
        DEFORMABLE_DETR | dict(two_stage=True, two_stage_num_proposals=4, focal_alpha=0.4, num_feature_levels=2, decoder_layers=1),
        {"case": ((17, 22), None)}),
    # 29 fills its maps as 32 would.
    "rt-detr": ("RTDetrForObjectDetection", RT_DETR, {"case": ((29, 16), None)}),
    "rt-detr-v2-discrete": ("RTDetrV2ForObjectDetection", RT_DETR_V2, {"case": ((16, 32), None)}),
    "vit-mae": ("ViTMAEForPreTraining", MAE, {"case": ((32, 32), None)}),
    "vit-mae-normalised-pixels": ("ViTMAEForPreTraining", MAE | dict(norm_pix_loss=True), {"case": ((32, 32), None)}),
}


def mean_of_heads_loss(outputs, inputs):
    """DeiT with a teacher token defines no loss: cross-entropy of the mean of its two heads' logits."""
    return torch.nn.functional.cross_entropy(outputs.logits, inputs["labels"])


def objects(random, of_second):
    """Objects of two images: three, and as many as said."""
    def some(classes):
        count = len(classes)
        centre, size = 0.3 + 0.4 * torch.rand(count, 2, generator=random), 0.1 + 0.4 * torch.rand(count, 2, generator=random)
        return {"class_labels": torch.tensor(classes, dtype=torch.int64), "boxes": torch.cat([centre, size], dim=1)}
    return [some([2, 0, 2]), some([1, 0][:of_second])]


def padded(labels):
    """The same as two tensors: -100 and zeros where an image has fewer objects."""
    most = max(len(image["class_labels"]) for image in labels)
    classes, boxes = torch.full((len(labels), most), -100), torch.zeros(len(labels), most, 4)
    for number, image in enumerate(labels):
        classes[number, : len(image["class_labels"])] = image["class_labels"]
        boxes[number, : len(image["boxes"])] = image["boxes"]
    return {"input.class_labels": classes, "input.boxes": boxes}


def terms(class_name, config, losses):
    """Class, distance and overlap of the last layer, weighed."""
    if class_name.startswith("RTDetr"):
        return {"class": losses["loss_vfl"], "distance": losses["loss_bbox"], "overlap": losses["loss_giou"]}
    weighed = {"distance": losses["loss_bbox"] * config.bbox_loss_coefficient, "overlap": losses["loss_giou"] * config.giou_loss_coefficient}
    return {"class": losses["loss_ce"]} | weighed


@contextlib.contextmanager
def drawn(draws):
    """Lets RT-DETR draw these numbers in [0, 1) where it noises objects: classes that change, to which, signs, moves."""
    of_shape = {0: draws[..., 0], 1: draws[..., 1], 2: draws[..., 2:6], 3: draws[..., 6:]}
    count = itertools.cycle(range(4))

    def rand_like(like, **kwargs):
        return of_shape[next(count)]

    def randint_like(like, low, high, dtype=None):
        values = (of_shape[next(count)] * (high - low)).floor().clamp(max=high - low - 1) + low
        return values if dtype is None else values.to(dtype)

    with mock.patch.object(torch, "rand_like", rand_like), mock.patch.object(torch, "randint_like", randint_like):
        yield


def statistics(model, random):
    """Running statistics that are no zeros and ones, and frozen norms that do something."""
    for name, buffer in model.named_buffers():
        if name.endswith(("running_mean", "bias")):
            buffer.copy_(0.3 * torch.randn(buffer.shape, generator=random))
        if name.endswith(("running_var", "weight")):
            buffer.copy_(0.5 + torch.rand(buffer.shape, generator=random))


HALVED = ("DeformableDetr", "RTDetr")

# Seeds of those whose norms over few places are mostly rounding with most of them.
STEADY = {
    "rt-detr": "rt-detr-2", "rt-detr-v2-discrete": "rt-detr-v2-discrete-2", "mobilevit": "mobilevit-a", "mobilevitv2": "mobilevitv2-b"}


@torch.no_grad()
def halve(model):
    """Makes all values such as half the bits hold."""
    for value in itertools.chain(model.parameters(), model.buffers()):
        if value.is_floating_point():
            value.copy_(value.half().float())


def store_halves(file):
    """The same values in half the bytes, which loading widens."""
    tensors = {name: value.half() if torch.equal(value.half().to(value.dtype), value) and value.is_floating_point() else value for name, value in load_file(file).items()}
    save_tensors(file, tensors)


def segmentation(model, height, width, random):
    """Labels of another size than the logits, one image of which has none, and running statistics that are no zeros and ones."""
    labels = torch.randint(0, max(model.config.num_labels, 2), (2, height, width), generator=random)
    labels[0, : height // 3] = 255
    for name, buffer in model.named_buffers():
        if name.endswith("running_mean"):
            buffer.copy_(0.3 * torch.randn(buffer.shape, generator=random))
        if name.endswith("running_var"):
            buffer.copy_(0.5 + torch.rand(buffer.shape, generator=random))
    return labels


def saved_buffers(model, folder):
    """The names of running statistics in the saved file; those of a norm change alike."""
    ends = ("running_mean", "running_var", "num_batches_tracked")
    buffers = [name for name, _ in model.named_buffers() if name.endswith(ends)]
    names = saved_names([(name, model.get_buffer(name)) for name in buffers if not name.endswith(ends[2])], folder / "model.safetensors")
    norm = lambda name: name.rpartition(".")[0]
    return {name: names.get(name) or norm(names[norm(name) + "." + ends[0]]) + "." + ends[2] for name in buffers}


def vit_mae_start(folder):
    """What transformers computes when a classifier starts from an autoencoder's encoder, and its fixed positions."""
    # By its function: some versions leave the positions of a model without a checkpoint at zero.
    positions = build_2d_sinusoidal_position_embedding(4, 4, MAE["hidden_size"], cls_token=True)
    # The published weights have the halves for row and column the other way round.
    positions = positions.roll(MAE["hidden_size"] // 2, dims=-1).unsqueeze(0)
    save_tensors(folder / "positions.safetensors", {"position_embeddings": positions})
    model = transformers.ViTForImageClassification.from_pretrained(folder, attn_implementation="eager").eval()
    pixels = torch.randn(2, 3, 32, 32, generator=generator("vit-mae-start"))
    with torch.no_grad():
        hidden = model.base_model(pixels).last_hidden_state
    save_tensors(folder / "case_as_classifier.safetensors", {"input.pixel_values": pixels, "output.last_hidden_state": hidden})


def mobilevit(root, name, prefix, values):
    """One checkpoint with both heads: the segmenter's case has all gradients, the classifier's those of what it has by itself."""
    folder = fresh_folder(root / "parity" / name)
    random = generator(STEADY.get(name, name))
    parts = [getattr(transformers, f"{prefix}For{kind}")(getattr(transformers, f"{prefix}Config")(**values)) for kind in ("ImageClassification", "SemanticSegmentation")]
    classifier, segmenter = parts
    for model in parts:
        randomise(model, random)
        statistics(model, random)
        halve(model)
    segmenter.save_pretrained(folder)
    save_tensors(folder / "model.safetensors", classifier.state_dict() | segmenter.state_dict())
    store_halves(folder / "model.safetensors")
    # Maps of 3 x 3 places are filled up to whole patches; three images, as norms of means over two would be all rounding, which others of these seeds come near.
    pixels = torch.randn(3, 3, 18, 22, generator=random)
    for file, model, labels in [
        ("case", segmenter, torch.randint(0, 3, (3, 9, 11), generator=random)), ("case_as_classifier", classifier, torch.tensor([2, 0, 1]))]:
        if model is segmenter:
            labels[0, :3] = 255
        model.load_state_dict(classifier.state_dict() | segmenter.state_dict(), strict=False)
        names = {name: name for name, _ in model.named_parameters()}
        trained = copy.deepcopy(model)
        tensors = forward_and_gradients(trained, {"pixel_values": pixels if model is segmenter else pixels[..., :14], "labels": labels}, names, same_in_training=False)
        tensors |= {f"after.{name}": buffer for name, buffer in trained.named_buffers() if any(part in name for part in ("stem", "exp", "aspp.convs"))}
        own = [name for name, _ in model.named_parameters() if model is segmenter or ".encoder." not in name]
        save_tensors(folder / f"{file}.safetensors", {k: v for k, v in tensors.items() if not k.startswith("grad.") or k[5:] in own})


def timm_resnet(root):
    """timm's ResNet of both kinds of layers, narrow but for its stem, with holes in place of halved maps."""
    import timm

    folder = fresh_folder(root / "parity/timm-resnet")
    random = generator("timm-resnet")
    kinds = {"bottleneck": timm.models.resnet.Bottleneck, "basic": timm.models.resnet.BasicBlock}
    pixels = torch.randn(1, 3, 70, 45, generator=random).half().float()
    stored, case = {}, {"pixels": pixels.half()}
    for kind, block in kinds.items():
        model = timm.models.resnet.ResNet(block, [1, 1, 2, 2], channels=(2, 2, 3, 4), num_classes=0).eval()
        randomise(model, random)
        statistics(model, random)
        halve(model)
        stored |= {f"{kind}.{name}": value for name, value in model.state_dict().items() if not name.endswith("num_batches_tracked")}
        for stride in (8, 16, 32):
            strided = timm.models.resnet.ResNet(block, [1, 1, 2, 2], channels=(2, 2, 3, 4), num_classes=0, output_stride=stride).eval()
            strided.load_state_dict(model.state_dict())
            with torch.no_grad():
                case[f"{kind}.{stride}"] = strided.forward_features(pixels)
    save_tensors(folder / "model.safetensors", {name: value.half() for name, value in stored.items()})
    save_tensors(folder / "case.safetensors", case)


def depends_on_size(name):
    """Whether this gradient passes through code that depends on the image size; the first case covers the others."""
    return any(part in name for part in ("embeddings", "tokens", "relative_position_bias_table", "downsampl", ".sr."))


def make(root):
    root = Path(root)
    for name, (class_name, values, cases) in CASES.items():
        folder = fresh_folder(root / "parity" / name)
        random = generator(STEADY.get(name, name))
        model_class = getattr(transformers, class_name)
        config = model_class.config_class(**values)
        if isinstance(values.get("backbone_config"), dict) and "UperNet" in class_name:
            config.backbone_config._attn_implementation = "eager"
        config._attn_implementation = "eager"
        model = model_class(config)
        randomise(model, random)
        dense = "Segmentation" in class_name
        normed = "ResNet" in class_name
        if normed or "Detr" in class_name:
            statistics(model, random)
        if class_name.startswith(HALVED):
            halve(model)
        labels_of = {file: segmentation(model, *size, random) for file, (size, _) in cases.items()} if dense else {}
        names = save_model(model, folder)
        buffers = saved_buffers(model, folder)
        if class_name.startswith(HALVED):
            store_halves(folder / "model.safetensors")
        for file, ((height, width), interpolate) in cases.items():
            inputs = {"pixel_values": torch.randn(2, 3, height, width, generator=random)}
            if class_name == "ViTMAEForPreTraining":
                inputs["noise"] = torch.rand(2, (height // 8) * (width // 8), generator=random)
            elif "ObjectDetection" in class_name:
                inputs["labels"] = objects(random, 2 if "other" in file else 0)
                if "Detr" in class_name and "RT" not in class_name:
                    inputs["pixel_mask"] = torch.ones(2, height, width, dtype=torch.int64)
                    inputs["pixel_mask"][1, height - 7 :] = 0
                    inputs["pixel_mask"][1, :, width - 9 :] = 0
            elif "Segmentation" in class_name:
                inputs["labels"] = labels_of[file]
            else:
                inputs["labels"] = torch.tensor([2, 0])
            if interpolate:
                inputs["interpolate_pos_encoding"] = True
            loss_of = mean_of_heads_loss if "WithTeacher" in class_name else None
            # A copy for each case: Swin's layers keep the window that an earlier, smaller image made them choose.
            trained = copy.deepcopy(model)
            base = "UperNet" not in class_name  # which has no base model
            refined = class_name.startswith("RTDetr")  # whose norms and noised objects training changes
            noised = getattr(config, "num_denoising", 0)
            most = max(len(image["class_labels"]) for image in inputs.get("labels", [])) if noised else 0
            draws = torch.rand(2, 2 * most * (noised // most), 10, generator=random) if noised else None
            with drawn(draws) if noised else contextlib.nullcontext():
                tensors = forward_and_gradients(trained, inputs, names, loss_of, same_in_training=not (dense or normed or refined), base=base)
            if "ObjectDetection" in class_name:
                tensors |= padded(inputs["labels"])
                with torch.no_grad():
                    losses = model.eval()(**inputs).loss_dict
                tensors |= {f"term.{key}": value for key, value in terms(class_name, config, losses).items()}
            if noised:
                tensors["input.denoising_draws"] = draws
            if dense or normed:  # What one pass of training makes of the running statistics.
                tensors |= {f"after.{buffers[name]}": buffer for name, buffer in trained.named_buffers() if name in buffers}
            if class_name.startswith("Deformable"):  # which has 32 channels at least
                tensors = {k: v[:1] if k.startswith("grad.") and v.numel() > 256 else v for k, v in tensors.items()}
            if file != "case":
                tensors = {k: v for k, v in tensors.items() if not k.startswith("grad.") or depends_on_size(k)}
            save_tensors(folder / f"{file}.safetensors", tensors)
    vit_mae_start(root / "parity/vit-mae")
    mobilevit(root, "mobilevit", "MobileViT", MOBILEVIT)
    mobilevit(root, "mobilevitv2", "MobileViTV2", MOBILEVITV2)
    timm_resnet(root)
    write_versions(root / "parity")
