#!/usr/bin/env python3
"""The usual stack on semantic segmentation: Hugging Face Trainer, one JSON line of figures at the end.

    peer_semantic_segmentation.py --model DIR --train train --eval test [--mode default|tuned] [--method full|lora|head]

A folder holds `images/` and `masks/` of equal stems, whose values are the places of classes in `classes.json` beside it or above; those
called void, ignore or unlabeled count in nothing, as 255 does. Images are scaled whole by the model's own processor, without
augmentation. `mean_iou` and `pixel_accuracy` are those of all pixels of --eval at their original size, the mean runs over the classes that occur
as truth or as prediction. `default` decodes a picture each time it is needed, `tuned` once. See peer_common.py for the modes.
Needs torch, transformers, accelerate, Pillow, and peft for --method lora. bench_tasks.py runs it against Retune.
"""

import peer_common

import json
import tempfile
import time
from pathlib import Path

VOID = 255
WITHOUT_CLASS = ("void", "ignore", "unlabeled")


def read_pairs(folder):
    """Paths of images with those of their masks."""
    folder = Path(folder)
    masks = {path.stem: path for path in (folder / "masks").iterdir()}
    pairs = [(path, masks[path.stem]) for path in sorted((folder / "images").iterdir())]
    if not pairs:
        raise SystemExit(f"{folder}: holds no images")
    return pairs


def read_classes(folder):
    """Names of the classes that count, and what each value of a mask becomes."""
    import numpy

    file = next(path for path in (Path(folder) / "classes.json", Path(folder).parent / "classes.json") if path.is_file())
    names = json.loads(file.read_text(encoding="utf-8"))
    kept = [value for value, name in enumerate(names) if name not in WITHOUT_CLASS]
    table = numpy.full(256, VOID, dtype=numpy.uint8)
    table[kept] = range(len(kept))
    return [names[value] for value in kept], table


def read_mask(path, table):
    import numpy
    from PIL import Image

    with Image.open(path) as mask:
        return table[numpy.asarray(mask)]


def scores(matrix):
    """Of the counts of pixels, by truth and prediction."""
    right, union = matrix.diagonal(), matrix.sum(0) + matrix.sum(1) - matrix.diagonal()
    there = union > 0
    return {"mean_iou": round(float((right[there] / union[there]).mean()), 5), "pixel_accuracy": round(float(right.sum() / matrix.sum()), 5)}


def main():
    arguments = peer_common.parser(__doc__, max_length=None, batch=8, lr=5e-4).parse_args()
    peer_common.set_up(arguments)
    import numpy
    import torch
    from PIL import Image
    from transformers import AutoImageProcessor, AutoModelForSemanticSegmentation, Trainer

    names, table = read_classes(arguments.train)
    train_pairs, eval_pairs = read_pairs(arguments.train), read_pairs(arguments.eval)
    processor = AutoImageProcessor.from_pretrained(arguments.model, backend="pil")
    size = (processor.size["height"], processor.size["width"])

    def labels_of(mask):
        return numpy.asarray(Image.fromarray(mask).resize((size[1], size[0]), Image.Resampling.NEAREST))

    decoding = time.perf_counter()
    train_data = peer_common.Pictures(arguments, processor, [image for image, _ in train_pairs], lambda i: {"labels": labels_of(read_mask(train_pairs[i][1], table))})
    eval_data = peer_common.Pictures(arguments, processor, [image for image, _ in eval_pairs], lambda i: {"place": i})
    decoded = time.perf_counter()
    model = AutoModelForSemanticSegmentation.from_pretrained(
        arguments.model, dtype="float32", ignore_mismatched_sizes=True, semantic_loss_ignore_index=VOID, **peer_common.label_fields(names))

    def collate(rows):
        batch = {"pixel_values": train_data.values(rows)}
        if "labels" in rows[0]:
            batch["labels"] = torch.tensor(numpy.stack([row["labels"] for row in rows])).long()
        return batch

    def evaluate():
        trainer.model.eval()
        matrix = numpy.zeros((len(names), len(names)), dtype=numpy.int64)
        with peer_common.inference(arguments):
            for places, batch in peer_common.evaluation_batches(arguments, eval_data, collate):
                for place, logits in zip(places, trainer.model(**batch).logits.float().cpu()):
                    truth = read_mask(eval_pairs[place][1], table)
                    best = torch.nn.functional.interpolate(logits[None], truth.shape, mode="bilinear", align_corners=False)[0].argmax(0).numpy()
                    counts = truth != VOID
                    matrix += numpy.bincount(truth[counts].astype(int) * len(names) + best[counts], minlength=matrix.size).reshape(matrix.shape)
        return scores(matrix)

    with tempfile.TemporaryDirectory() as output:
        trainer = Trainer(
            model=peer_common.adapt(arguments, model, ["decode_head"]),
            args=peer_common.trainer_settings(arguments, output, grouped=False, remove_unused_columns=False),
            train_dataset=train_data,
            data_collator=collate,
        )
        figures = peer_common.run(arguments, trainer, len(train_data), evaluate)
    peer_common.print_figures(arguments, trainer, {"decode_seconds": round(decoded - decoding, 3)} | figures)


if __name__ == "__main__":
    main()
