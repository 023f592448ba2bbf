"""fixtures/images: small image files of every kind, and what Pillow and Hugging Face's processors make of them.

    files/                    the images
    decoded.safetensors       each file as [H, W, 3] uint8 (`grey/FILE`: [H, W, 1])
    resized.safetensors       `FILTER/HEIGHTxWIDTH` [H, W, 3] uint8: Pillow's resize of files/rgb.png
    processors/NAME/          preprocessor_config.json and expected.safetensors: `FILE` -> pixel_values [C, H, W]

Needs numpy, Pillow, safetensors, torch and transformers (its Pillow backend; torchvision is not used).
"""

import json
import struct
import zlib
from pathlib import Path

import numpy
import PIL
import torch
from PIL import Image, ImageOps

from fixtures_common import SEED, fresh_folder, save_tensors, write_json

FILTERS = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3, "box": 4, "hamming": 5}
SIZES = [(16, 16), (41, 60), (23, 50), (5, 31), (46, 62)]
IMAGENET = dict(image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225])
HALF = dict(image_mean=[0.5, 0.5, 0.5], image_std=[0.5, 0.5, 0.5])
SQUARE = dict(do_resize=True, size={"height": 24, "width": 24}, do_normalize=True, **HALF)

# name: (class, configuration, channels)
PROCESSORS = {
    f"vit-{name}": ("ViTImageProcessor", SQUARE | dict(image_processor_type="ViTImageProcessor", resample=number), 3)
    for name, number in FILTERS.items()
} | {
    "vit-feature-extractor": (
        "ViTImageProcessor",
        dict(feature_extractor_type="ViTFeatureExtractor", do_normalize=True, do_resize=True, resample=2, size=24, **HALF), 3),
    "vit-not-square": (
        "ViTImageProcessor", SQUARE | dict(image_processor_type="ViTImageProcessorFast", size={"height": 20, "width": 28}, resample=3), 3),
    "vit-grey": (
        "ViTImageProcessor", SQUARE | dict(image_processor_type="ViTImageProcessor", resample=2, image_mean=[0.5], image_std=[0.25]), 1),
    "vit-not-rescaled": (
        "ViTImageProcessor",
        SQUARE | dict(image_processor_type="ViTImageProcessor", do_rescale=False, image_mean=[127.5] * 3, image_std=[64.0] * 3), 3),
    "vit-not-normalised": (
        "ViTImageProcessor",
        SQUARE | dict(image_processor_type="ViTImageProcessor", do_normalize=False, rescale_factor=0.00784313725490196), 3),
    "deit": (
        "DeiTImageProcessor",
        dict(image_processor_type="DeiTImageProcessor", do_resize=True, size={"height": 28, "width": 28}, do_center_crop=True,
             crop_size={"height": 24, "width": 24}, resample=3, **IMAGENET), 3),
    "beit": (
        "BeitImageProcessor",
        dict(image_processor_type="BeitImageProcessor", do_resize=True, size={"height": 24, "width": 24}, do_center_crop=False,
             crop_size={"height": 24, "width": 24}, do_reduce_labels=False, resample=2, **HALF), 3),
    "bit": (
        "BitImageProcessor",
        dict(image_processor_type="BitImageProcessor", crop_size={"height": 24, "width": 24}, do_center_crop=True, do_convert_rgb=True,
             do_normalize=True, do_rescale=True, do_resize=True, resample=3, rescale_factor=0.00392156862745098,
             size={"shortest_edge": 27}, **IMAGENET), 3),
    "bit-padded": (
        "BitImageProcessor",
        dict(image_processor_type="BitImageProcessor", crop_size={"height": 25, "width": 24}, resample=3, size={"shortest_edge": 18}, **IMAGENET), 3),
    "bit-limited": (
        "BitImageProcessor",
        dict(image_processor_type="BitImageProcessor", do_center_crop=False, resample=2, size={"shortest_edge": 20, "longest_edge": 26}, **IMAGENET), 3),
    "convnext": (
        "ConvNextImageProcessor",
        dict(image_processor_type="ConvNextImageProcessor", crop_pct=0.875, do_resize=True, resample=3, size={"shortest_edge": 24}, **IMAGENET), 3),
    "convnext-feature-extractor": (
        "ConvNextImageProcessor",
        dict(feature_extractor_type="ConvNextFeatureExtractor", crop_pct=0.95, do_resize=True, resample=3, size=22, **IMAGENET), 3),
    "convnext-384": (
        "ConvNextImageProcessor",
        dict(image_processor_type="ConvNextImageProcessor", do_resize=True, resample=3, size={"shortest_edge": 384}, **IMAGENET), 3),
    # Silent about mean and deviation; the older name of the key about masks.
    "segformer": ("SegformerImageProcessor", dict(image_processor_type="SegformerImageProcessor", size={"height": 26, "width": 20}, do_reduce_labels=False), 3),
    "segformer-feature-extractor": (
        "SegformerImageProcessor", dict(feature_extractor_type="SegformerFeatureExtractor", reduce_labels=True, do_resize=True, resample=2, size=22), 3),
    # Blue first; the second image is smaller than what is cut out.
    "mobilevit": (
        "MobileViTImageProcessor",
        dict(image_processor_type="MobileViTImageProcessor", size={"shortest_edge": 27}, crop_size={"height": 24, "width": 30}, resample=2), 3),
    "mobilevit-feature-extractor": (
        "MobileViTImageProcessor",
        dict(feature_extractor_type="MobileViTFeatureExtractor", size=26, crop_size=25, do_center_crop=True, do_flip_channel_order=False, resample=2), 3),
    # Silent about normalisation, which its class does without.
    "rt-detr": ("RTDetrImageProcessor", dict(image_processor_type="RTDetrImageProcessor", size={"height": 26, "width": 20}, **IMAGENET), 3),
}
PROCESSED = ["rgb.png", "tall.png", "subsampled.jpg", "half.jpg", "progressive.jpg"]
# Of a large result every so many rows and columns are kept.
THINNED = {"convnext-384": 48}


def picture(width, height, random):
    """Smooth colours with an edge and some noise, so that filters differ."""
    y, x = numpy.mgrid[0:height, 0:width]
    planes = [x * 255 / (width - 1), y * 255 / (height - 1), 127 + 120 * numpy.sin(x / 3) * numpy.cos(y / 4)]
    image = numpy.stack(planes, axis=-1) + random.normal(0, 12, (height, width, 3))
    image[height // 4 : height // 2, width // 3 : width // 2] = [250, 20, 130]
    return image.clip(0, 255).astype(numpy.uint8)


def png16(path, samples):
    """A PNG with 16 bits a channel, which Pillow cannot write for colours."""
    height, width, channels = samples.shape

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    color = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    header = struct.pack(">IIBBBBB", width, height, 16, color, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b""))


def write_files(folder, random):
    """Writes the images; returns what 16-bit grey files must become, as Pillow clips them."""
    rgb = Image.fromarray(picture(31, 23, random))
    rgb.save(folder / "rgb.png")
    Image.fromarray(picture(17, 40, random)).save(folder / "tall.png")
    grey = rgb.convert("L")
    grey.save(folder / "grey.png")
    grey.convert("1").save(folder / "one_bit.png")
    alpha = Image.fromarray(random.integers(0, 256, (23, 31), dtype=numpy.uint8))
    Image.merge("RGBA", [*rgb.split(), alpha]).save(folder / "alpha.png")
    Image.merge("LA", [grey, alpha]).save(folder / "grey_alpha.png")
    palette = rgb.quantize(16)
    palette.save(folder / "palette.png")
    palette.save(folder / "palette_alpha.png", transparency=3)
    palette.save(folder / "palette.bmp")
    palette.save(folder / "palette.gif")
    palette.save(folder / "transparent.gif", transparency=5)
    palette.save(folder / "animated.gif", save_all=True, append_images=[palette.transpose(Image.Transpose.ROTATE_180)], duration=50)
    rgb.save(folder / "rgb.bmp")
    rgb.save(folder / "lossless.webp", lossless=True)
    rgb.save(folder / "lossy.webp", quality=90)
    Image.merge("RGBA", [*rgb.split(), alpha]).save(folder / "alpha.webp", lossless=True, exact=True)
    rgb.save(folder / "lzw.tif", compression="tiff_lzw")
    rgb.save(folder / "deflate.tiff", compression="tiff_adobe_deflate")
    oriented = Image.Exif()
    oriented[0x0112] = 8
    rgb.save(folder / "orientation_8.tif", exif=oriented)

    large = Image.fromarray(picture(48, 40, random))
    large.save(folder / "full.jpg", quality=95, subsampling=0)
    large.save(folder / "subsampled.jpg", quality=90, subsampling=2)
    large.save(folder / "half.jpg", quality=90, subsampling=1)
    large.save(folder / "progressive.jpg", quality=90, progressive=True)
    large.convert("L").save(folder / "grey.jpg", quality=90)
    large.convert("CMYK").save(folder / "cmyk.jpg", quality=95)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        large.crop((0, 0, 24, 16)).save(folder / f"orientation_{orientation}.jpg", quality=95, subsampling=0, exif=exif)
    exif = Image.Exif()
    exif[0x0112] = 6
    rgb.save(folder / "orientation_6.png", exif=exif)
    rgb.save(folder / "orientation_6.webp", lossless=True, exif=exif)

    deep = random.integers(0, 65536, (23, 31), dtype=numpy.uint16)
    Image.fromarray(deep).save(folder / "grey16.png")
    Image.fromarray(deep).save(folder / "grey16.tif")
    png16(folder / "rgb16.png", random.integers(0, 65536, (23, 31, 3), dtype=numpy.uint16))
    png16(folder / "rgba16.png", random.integers(0, 65536, (23, 31, 4), dtype=numpy.uint16))
    twelve = deep >> 4
    Image.fromarray(twelve).save(folder / "grey12.png")
    shallow = ((deep.astype(numpy.uint32) + 128) // 257).astype(numpy.uint8)
    dark = ((twelve.astype(numpy.uint32) + 128) // 257).astype(numpy.uint8)
    return {"grey16.png": shallow, "grey16.tif": shallow, "grey12.png": dark}


def decode(path, mode):
    return numpy.array(ImageOps.exif_transpose(Image.open(path)).convert(mode))


def processor(class_name, folder):
    import transformers

    return getattr(transformers, f"{class_name}Pil").from_pretrained(folder)


def make_masks(root):
    """What masks become beside their images: `mask` [H, W, 1] and `labels` [h, w, 1], where 0 is no class and 255 says so."""
    random = numpy.random.default_rng(SEED + 1)
    mask = random.integers(0, 6, (23, 31), dtype=numpy.uint8)
    mask[:3] = 255
    process = processor("SegformerImageProcessor", root / "processors/segformer-feature-extractor")
    labels = process(Image.open(root / "files/rgb.png"), segmentation_maps=Image.fromarray(mask), do_reduce_labels=True, return_tensors="pt")["labels"][0]
    tensors = {"mask": torch.from_numpy(mask[:, :, None]), "labels": labels[:, :, None].to(torch.uint8)}
    save_tensors(root / "masks.safetensors", tensors)


def make(root):
    import transformers

    root = fresh_folder(Path(root) / "images")
    random = numpy.random.default_rng(SEED)
    (root / "files").mkdir()
    deep = write_files(root / "files", random)
    decoded = {}
    for path in sorted((root / "files").iterdir()):
        expected = deep.get(path.name)
        rgb = decode(path, "RGB") if expected is None else numpy.repeat(expected[:, :, None], 3, axis=2)
        decoded[path.name] = torch.from_numpy(rgb)
    for name in ["rgb.png", "alpha.png", "grey.png"]:
        decoded[f"grey/{name}"] = torch.from_numpy(decode(root / "files" / name, "L")[:, :, None])
    decoded["grey/grey16.png"] = torch.from_numpy(deep["grey16.png"][:, :, None])
    save_tensors(root / "decoded.safetensors", decoded)

    source = Image.open(root / "files/rgb.png")
    resized = {
        f"{name}/{height}x{width}": torch.from_numpy(numpy.array(source.resize((width, height), resample=number)))
        for name, number in FILTERS.items()
        for height, width in SIZES
    }
    save_tensors(root / "resized.safetensors", resized)

    for name, (class_name, config, channels) in PROCESSORS.items():
        folder = root / "processors" / name
        folder.mkdir(parents=True)
        (folder / "preprocessor_config.json").write_text(json.dumps(config, indent=2) + "\n")
        process = processor(class_name, folder)
        outputs = {}
        for file in PROCESSED:
            image = ImageOps.exif_transpose(Image.open(root / "files" / file)).convert("RGB" if channels == 3 else "L")
            values = process(image, return_tensors="pt")["pixel_values"][0]
            thin = THINNED.get(name, 1)
            outputs[file] = values[:, ::thin, ::thin]
        save_tensors(folder / "expected.safetensors", outputs)
    make_masks(root)
    versions = {"seed": SEED, "numpy": numpy.__version__, "pillow": PIL.__version__, "transformers": transformers.__version__}
    write_json(root / "versions.json", versions)
