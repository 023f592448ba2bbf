#!/usr/bin/env python3
"""The usual stack on speech recognition: Hugging Face Trainer, one JSON line of figures at the end.

    peer_speech_recognition.py --model DIR --train train.csv --eval test.csv [--mode default|tuned] [--method full|lora]

Of a model with a decoder (Whisper) as the library's example `run_speech_recognition_seq2seq.py`, of one that writes frame by frame (Wav2Vec2)
as `run_speech_recognition_ctc.py`, with the vocabulary of the model and its convolutions over samples as they are. The CSV needs the columns
`file_name`, a path relative to it, and `transcription`; it may be a folder that holds it as metadata.csv. Whisper learns texts as it writes
them, a space before each. `wer` is jiwer's over --eval of texts after the library's BasicTextNormalizer; Whisper writes the
likeliest tokens. Sounds are decoded once, what the model takes is made of them batch by batch. See peer_common.py for the modes.
Needs torch, transformers, accelerate, scipy, soundfile, jiwer, and peft for --method lora. bench_tasks.py runs it against Retune.
"""

import peer_common

import csv
import math
import tempfile
import time
from pathlib import Path

IGNORED = -100


def read_rows(path):
    """Paths with transcripts."""
    path = Path(path) / "metadata.csv" if Path(path).is_dir() else Path(path)
    with open(path, newline="", encoding="utf-8-sig") as file:
        rows = [(path.parent / row["file_name"], row["transcription"]) for row in csv.DictReader(file)]
    if not rows:
        raise SystemExit(f"{path}: holds no rows")
    return rows


def read_sound(path, rate):
    import soundfile
    from scipy.signal import resample_poly

    samples, own = soundfile.read(path, dtype="float32", always_2d=True)
    samples, common = samples.mean(axis=1), math.gcd(own, rate)
    return samples if own == rate else resample_poly(samples, rate // common, own // common).astype("float32")


def padded_labels(rows):
    import torch

    longest = max(len(row["labels"]) for row in rows)
    return torch.tensor([row["labels"] + [IGNORED] * (longest - len(row["labels"])) for row in rows])


class Writer:
    """Whisper: features of 30 seconds, tokens."""

    model_class, head = "AutoModelForSpeechSeq2Seq", None

    def __init__(self, extractor, folder):
        from transformers import AutoTokenizer

        self.extractor, self.tokenizer = extractor, AutoTokenizer.from_pretrained(folder)

    def read(self, samples):
        return samples

    def prepare(self, model):
        self.start = model.config.decoder_start_token_id
        # Its class says that these sinusoids are not learnt, which is lost where a checkpoint is read.
        model.get_encoder().embed_positions.requires_grad_(False)

    def labels(self, text):
        ids = self.tokenizer(" " + text).input_ids
        # The model itself puts it before the labels.
        return ids[1:] if ids[0] == self.start else ids

    def collate(self, rows):
        import torch

        with torch.autocast("cpu", enabled=False):  # it hands its features to NumPy, which has no bf16
            batch = dict(self.extractor([row["input_values"] for row in rows], sampling_rate=self.extractor.sampling_rate, return_tensors="pt"))
        return batch | {"labels": padded_labels(rows)}

    def write(self, model, batch):
        return self.tokenizer.batch_decode(model.generate(batch["input_features"], num_beams=1, do_sample=False), skip_special_tokens=True)


class Speller:
    """Models that write a character or nothing for each frame."""

    model_class, head = "AutoModelForCTC", ["lm_head"]

    def __init__(self, extractor, folder):
        from transformers import Wav2Vec2CTCTokenizer

        self.extractor, self.tokenizer = extractor, Wav2Vec2CTCTokenizer.from_pretrained(folder)

    def read(self, samples):
        # One by one, as the example does: of a batch the extractor would normalise what fills it, too.
        return self.extractor(samples, sampling_rate=self.extractor.sampling_rate)["input_values"][0]

    def prepare(self, model):
        model.config.ctc_loss_reduction = "mean"
        model.freeze_feature_encoder()

    def labels(self, text):
        return self.tokenizer(text).input_ids

    def collate(self, rows):
        batch = dict(self.extractor.pad([{"input_values": row["input_values"]} for row in rows], padding=True, return_tensors="pt"))
        return batch | {"labels": padded_labels(rows)}

    def write(self, model, batch):
        logits = model(**{key: value for key, value in batch.items() if key != "labels"}).logits
        return self.tokenizer.batch_decode(logits.argmax(-1))


def main():
    arguments = peer_common.parser(__doc__, max_length=None, batch=8, lr=1e-4).parse_args()
    peer_common.set_up(arguments)
    import jiwer
    import transformers
    from transformers.models.whisper.english_normalizer import BasicTextNormalizer

    train_rows, eval_rows = read_rows(arguments.train), read_rows(arguments.eval)
    extractor = transformers.AutoFeatureExtractor.from_pretrained(arguments.model)
    writes = transformers.AutoConfig.from_pretrained(arguments.model).is_encoder_decoder
    way = (Writer if writes else Speller)(extractor, arguments.model)
    model = getattr(transformers, way.model_class).from_pretrained(arguments.model, dtype="float32")
    way.prepare(model)

    decoding = time.perf_counter()

    def decode(rows):
        sounds = [way.read(read_sound(path, extractor.sampling_rate)) for path, _ in rows]
        return [{"input_values": samples, "labels": way.labels(text)} for samples, (_, text) in zip(sounds, rows)]

    train_data, eval_data = decode(train_rows), decode(eval_rows)
    decoded = time.perf_counter()

    def evaluate():
        trainer.model.eval()
        written = [""] * len(eval_rows)
        with peer_common.inference(arguments):
            for places, batch in peer_common.evaluation_batches(arguments, eval_data, way.collate, lambda row: len(row["input_values"])):
                for place, text in zip(places, way.write(trainer.model, batch)):
                    written[place] = text
        normal = BasicTextNormalizer()
        return {"wer": round(jiwer.wer([normal(text).strip() for _, text in eval_rows], [normal(text).strip() for text in written]), 5)}

    with tempfile.TemporaryDirectory() as output:
        trainer = transformers.Trainer(
            model=peer_common.adapt(arguments, model, way.head),
            # Whisper's inputs are all as long.
            args=peer_common.trainer_settings(arguments, output, grouped=not writes, remove_unused_columns=False),
            train_dataset=train_data,
            data_collator=way.collate,
            # Rows are as long as what it says that the model takes.
            processing_class=extractor,
        )
        figures = peer_common.run(arguments, trainer, len(train_data), evaluate)
    peer_common.print_figures(arguments, trainer, {"decode_seconds": round(decoded - decoding, 3)} | figures)


if __name__ == "__main__":
    main()
