#!/usr/bin/env python3
"""fixtures/metrics/transcripts.json and spoken.json: what jiwer and transformers say of sentences.

    fixtures_transcripts.py [ROOT]        needs jiwer, transformers
"""

import json
import random
import sys
from pathlib import Path

import jiwer
from transformers.models.whisper.english_normalizer import BasicTextNormalizer, EnglishTextNormalizer

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
SPELLINGS = {"colour": "color", "organise": "organize", "theatre": "theater"}
ENGLISH = TEXTS + [
    "Mr. O'Neill won't colour St. Mary's theatre; he'd been there, hmm, and I'm gonna organise it",
    "It cost $20 million, or 3.5 million euros and 7 cents: twenty dollars and seven cents",
    "one hundred and twenty-three, two thousand and one, one oh one, double seven triple zero",
    "the twenty first of may nineteen eighty four, the 1960s, the 3rd, the 274 th and two thirds",
    "minus five degrees, plus one, negative nothing, positive feedback",
    "fifty per cent, fifty percent, per day, 10 per hour, percent",
    "two and a half, a cake and a half, three million and a half",
    "point five, three point one four, point taken, 192.168.0.1, version 2.0 and 007",
    "1,234,567.89 and 5,5 a1b2c3 x86 4x4 .5 5. $.99 $0.07 £3 and ¢5",
    "sixes and sevens, hundreds, thousandth, twenty-fifths, fiftieth, eleventh, eleven hundred",
    "Ångström, straße, Œuvre, þing, Łódź; naïve",
    "that's how she'll say they've, let's, y'all, ma'am, can't, ain't, wouldn't've",
    "zero, zero hundred, o five, oh dear, one one two, twenty twenty one",
    "1" * 45 + " and one decillion",
    "one and the other one, the ones, 1s",
]
NUMBERS = (
    "one two five nine ten twelve nineteen twenty fifty hundred thousand million zero oh and point double triple minus dollars cents "
    "per cent percent first third seventh twentieth hundreds 7 30 105 2.5 $4 the of"
).split()


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
    english = ENGLISH + [" ".join(draw.choice(NUMBERS) for _ in range(draw.randint(2, 7))) for _ in range(300)]
    said = lambda normalizer, texts: [[text, " ".join(normalizer(text).split())] for text in texts]
    write(
        "spoken.json",
        {
            "basic": said(basic, TEXTS),
            "spellings": SPELLINGS,
            "english": said(EnglishTextNormalizer(SPELLINGS), english),
            "english_without_spellings": said(EnglishTextNormalizer({}), ENGLISH),
        },
    )


if __name__ == "__main__":
    main()
