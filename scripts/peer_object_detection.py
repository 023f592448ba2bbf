#!/usr/bin/env python3
"""The usual stack on object detection: Hugging Face Trainer, one JSON line of figures at the end.

    peer_object_detection.py --model DIR --train train --eval test [--mode default|tuned] [--method full|lora|head]

A folder holds `annotations.coco.json` (or `_annotations.coco.json`) and its pictures, which may lie in `images/`. Images are scaled whole by the
model's own processor, which must have one size for all, without augmentation. `map`, `map_50` and `map_75` are pycocotools' over
--eval: the best class of each query, boxes in pixels of the original and not beyond its edges. `default` decodes a picture
each time it is needed, `tuned` once. See peer_common.py for the modes.
Needs torch, transformers, accelerate, scipy, pycocotools, Pillow, and peft for --method lora. bench_tasks.py runs it against Retune.
"""

import peer_common

import contextlib
import io
import json
import tempfile
import time
from pathlib import Path

FILES = ("annotations.coco.json", "_annotations.coco.json")


def read_folder(folder):
    """The annotations, and the path of each image."""
    folder = Path(folder)
    file = next((folder / name for name in FILES if (folder / name).is_file()), None)
    if file is None:
        raise SystemExit(f"{folder}: holds no {FILES[0]}")
    found = json.loads(file.read_text(encoding="utf-8"))
    paths = [next(path for path in (folder / image["file_name"], folder / "images" / image["file_name"]) if path.is_file()) for image in found["images"]]
    return found, paths


def objects_of(found, index):
    """Of each image what a model learns: classes, and middles with sides as shares of the image."""
    import torch

    objects = {image["id"]: [] for image in found["images"]}
    for one in found["annotations"]:
        if not one.get("iscrowd"):
            objects[one["image_id"]].append(one)

    def learnt(image):
        classes = [index[one["category_id"]] for one in objects[image["id"]]]
        boxes = torch.tensor([one["bbox"] for one in objects[image["id"]]], dtype=torch.float32).reshape(-1, 4)
        middles = torch.cat([boxes[:, :2] + boxes[:, 2:] / 2, boxes[:, 2:]], dim=1)
        sides = torch.tensor([image["width"], image["height"]] * 2)
        return {"class_labels": torch.tensor(classes, dtype=torch.int64), "boxes": middles / sides}

    return [learnt(image) for image in found["images"]]


def scores(truth, answers):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = truth | {"annotations": [{"area": one["bbox"][2] * one["bbox"][3], "iscrowd": 0} | one for one in truth["annotations"]]}
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(answers), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return {key: round(float(value), 5) for key, value in zip(("map", "map_50", "map_75"), evaluation.stats)}


def main():
    arguments = peer_common.parser(__doc__, max_length=None, batch=8, lr=1e-4).parse_args()
    peer_common.set_up(arguments)
    import torch
    from transformers import AutoImageProcessor, AutoModelForObjectDetection, Trainer

    (train_found, train_paths), (eval_found, eval_paths) = read_folder(arguments.train), read_folder(arguments.eval)
    categories = sorted(train_found["categories"], key=lambda it: it["id"])
    index = {category["id"]: place for place, category in enumerate(categories)}
    processor = AutoImageProcessor.from_pretrained(arguments.model, backend="pil")
    if "height" not in processor.size:
        raise SystemExit(f"{arguments.model}: its processor has no size for all images")

    decoding = time.perf_counter()
    objects = objects_of(train_found, index)
    train_data = peer_common.Pictures(arguments, processor, train_paths, lambda i: {"labels": objects[i]})
    eval_data = peer_common.Pictures(arguments, processor, eval_paths, lambda i: {"place": i})
    decoded = time.perf_counter()
    model = AutoModelForObjectDetection.from_pretrained(
        arguments.model, dtype="float32", ignore_mismatched_sizes=True, **peer_common.label_fields([category["name"] for category in categories]))

    def collate(rows):
        batch = {"pixel_values": train_data.values(rows)}
        if "labels" in rows[0]:
            batch["labels"] = [row["labels"] for row in rows]
        return batch

    def evaluate():
        trainer.model.eval()
        answers = []
        with peer_common.inference(arguments):
            for places, batch in peer_common.evaluation_batches(arguments, eval_data, collate):
                images = [eval_found["images"][place] for place in places]
                sizes = torch.tensor([(image["height"], image["width"]) for image in images])
                found = processor.post_process_object_detection(trainer.model(**batch), threshold=0.0, target_sizes=sizes)
                for image, of in zip(images, found):
                    limits = torch.tensor([image["width"], image["height"]] * 2, dtype=torch.float32)
                    corners = torch.minimum(of["boxes"].float().cpu().clamp(min=0), limits)
                    for score, label, (left, top, right, bottom) in zip(of["scores"].tolist(), of["labels"].tolist(), corners.tolist()):
                        if right > left and bottom > top:
                            answers.append({"image_id": image["id"], "category_id": categories[label]["id"], "bbox": [left, top, right - left, bottom - top], "score": score})
        return scores(eval_found, answers)

    with tempfile.TemporaryDirectory() as output:
        trainer = Trainer(
            model=peer_common.adapt(arguments, model, ["class_labels_classifier", "bbox_predictor"]),
            args=peer_common.trainer_settings(arguments, output, grouped=False, remove_unused_columns=False),
            train_dataset=train_data,
            data_collator=collate,
        )
        figures = peer_common.run(arguments, trainer, len(train_data), evaluate)
    peer_common.print_figures(arguments, trainer, {"decode_seconds": round(decoded - decoding, 3)} | figures)


if __name__ == "__main__":
    main()
