#!/usr/bin/env python3
"""fixtures/metrics/transcripts.json and spoken.json: what jiwer and transformers say of sentences.

    fixtures_transcripts.py [ROOT]        needs jiwer, transformers
"""

import json
import random
import sys
from pathlib import Path

import jiwer
from transformers.models.whisper.english_normalizer import BasicTextNormalizer

WORDS = ["a", "the", "cat", "cats", "sat", "on", "mat", "yes", "no", "über", "naïve", "it's"]
TEXTS = [
    "Hello, World!",
    "  two   spaces\tand a tab ",
    "[noise] he said (quietly) <unk> yes",
    "It's a naïve café — “quoted” … 50% of $3.50",
    "ﬁne ½ Ⅷ ２０",
    "Zażółć gęślą jaźń; ÀÉÎ",
    "a-b_c/d",
    "e\u0301 combining",
    "नमस्ते दुनिया",
    "",
]


def changed(draw, words):
    said = []
    for word in words:
        kind = draw.random()
        if kind < 0.15:
            said.append(draw.choice(WORDS))
        elif kind < 0.25:
            continue
        else:
            said.append(word)
        if draw.random() < 0.12:
            said.append(draw.choice(WORDS))
    return said


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent / "fixtures")
    draw = random.Random(20240613)
    cases = []
    for _ in range(40):
        references = [[draw.choice(WORDS) for _ in range(draw.randint(1, 14))] for _ in range(draw.randint(1, 5))]
        hypotheses = [changed(draw, words) for words in references]
        case = {"references": [" ".join(r) for r in references], "hypotheses": ["  ".join(h) for h in hypotheses]}
        words = jiwer.process_words(case["references"], [" ".join(h) for h in hypotheses])
        counts = {key: getattr(words, key) for key in ("hits", "substitutions", "deletions", "insertions")}
        cer = jiwer.cer(case["references"], [" ".join(h) for h in hypotheses])
        cases.append(case | counts | {"wer": words.wer, "cer": cer})
    write = lambda name, value: (root / "metrics" / name).write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    write("transcripts.json", {"jiwer": __import__("importlib.metadata").metadata.version("jiwer"), "cases": cases})
    basic = BasicTextNormalizer()
    write("spoken.json", {"basic": [[text, " ".join(basic(text).split())] for text in TEXTS]})


if __name__ == "__main__":
    main()
