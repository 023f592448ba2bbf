#!/usr/bin/env python3
"""Makes the fixtures that the tests compare against, from Hugging Face's own code.

    make_fixtures.py [PART ...] [--root fixtures]

Parts: tokenizers, text, decoders, seq2seq, chat, vision, speech, images, audio, curves, peft; all of them when none is named. Deterministic for the versions
recorded in the versions.json beside each group. Needs torch, transformers, tokenizers, peft, safetensors, Pillow.
`tokenizers` reads ROOT/sentiment/train.csv; `text`, `curves` and `peft` need `tokenizers` and `text` made first.
"""

import argparse
import importlib
import os
import sys
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("RAYON_NUM_THREADS", "1")

PARTS = ["tokenizers", "text", "decoders", "seq2seq", "chat", "vision", "speech", "images", "audio", "curves", "peft"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent / "fixtures")
    arguments = parser.parse_args()
    unknown = [part for part in arguments.parts if part not in PARTS]
    if unknown:
        parser.error(f"unknown part {unknown[0]}; choose from {', '.join(PARTS)}")

    import torch
    import transformers

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    for part in [p for p in PARTS if p in arguments.parts or not arguments.parts]:
        importlib.import_module(f"fixtures_{part}").make(arguments.root)
        print(f"{part}: done")


if __name__ == "__main__":
    main()
