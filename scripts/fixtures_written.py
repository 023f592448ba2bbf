#!/usr/bin/env python3
"""fixtures/metrics/written.json: what sacreBLEU and rouge_score say of texts beside their references.

    fixtures_written.py [ROOT]        needs sacrebleu, rouge_score
"""

import json
import random
import sys
from importlib.metadata import version
from pathlib import Path

from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import BLEU, CHRF

TOKENIZERS = ["13a", "intl", "zh", "char", "none"]
WORDS = ["a", "the", "man", "men", "rides", "riding", "red", "bicycle", ",", ".", "3.5", "(home)", "naïve", "it's", "straße"]
ODD = [
    "",
    " ",
    "Hello, World! It's 3,000.50 $ -- (really) 5-6.",
    "&quot;Tom &amp; Jerry&quot; &lt;tag&gt; <skipped> end-\nof line\nhere",
    "我喜欢红色的自行车, 3.5元 (abc)。",
    "«Привет», — сказал он… 10 % №5",
    "emoji 🙂🚲 and e\u0301 combining",
    "tab\tand\x1cseparator\u00a0no-break",
    "A.B.C. 1.2.3 a,b 1,2 -3 4- a-b",
    "日本語のテスト",
    "€5 + ½ = ✓ 2600 ☀ a₂ ‐ x",
]


def changed(draw, words):
    said = []
    for word in words:
        kind = draw.random()
        if kind < 0.15:
            said.append(draw.choice(WORDS))
        elif kind > 0.25:
            said.append(word)
        if draw.random() < 0.1:
            said.append(draw.choice(WORDS))
    return said


def case(references, written):
    most = max(map(len, references))
    columns = [[own[i] if i < len(own) else None for own in references] for i in range(most)]
    bleu = {}
    for name in TOKENIZERS:
        metric = BLEU(tokenize=name, force=True)
        score = metric.corpus_score(written, columns)
        single = BLEU(tokenize=name, force=True, effective_order=True)
        each = [single.sentence_score(text, own).score for text, own in zip(written, references)]
        bleu[name] = [score.score, score.precisions, score.bp, score.sys_len, score.ref_len, str(metric.get_signature()), each]
    chrf = CHRF()
    rouge = RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=False)
    scores = [rouge.score_multi(own, text) for text, own in zip(written, references)]
    exact = [any(text.strip() == one.strip() for one in own) for text, own in zip(written, references)]
    return {
        "references": references,
        "written": written,
        "bleu": bleu,
        "chrf": chrf.corpus_score(written, columns).score,
        "chrf_of_texts": [CHRF().sentence_score(text, own).score for text, own in zip(written, references)],
        "rouge": {key: sum(s[key].fmeasure for s in scores) / len(scores) for key in ("rouge1", "rouge2", "rougeL")},
        "exact_match": sum(exact) / len(exact),
    }


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent / "fixtures")
    draw = random.Random(20250301)
    cases = []
    for number in range(18):
        references, written = [], []
        for _ in range(draw.randint(1, 6)):
            words = [draw.choice(WORDS) for _ in range(draw.randint(1, 12))]
            own = [" ".join(changed(draw, words)) for _ in range(1 if number < 6 else 3 if number < 12 else draw.randint(1, 3))]
            references.append(own)
            written.append(" ".join(changed(draw, words)))
        cases.append(case(references, written))
    for text in ODD:
        other = " ".join(text.split()[:-1])
        cases.append(case([[text], [text, "a man"]], [text, other]))
    cases.append(case([["A full match ."]], ["no such words at all"]))
    cases.append(case([["short"]], ["short"]))
    cases.append(case([["Summaries are\ncut here. " * 3]], ["summaries CUT, are cut here"]))
    found = {"sacrebleu": version("sacrebleu"), "rouge_score": version("rouge_score"), "cases": cases}
    text = json.dumps(found, ensure_ascii=False, separators=(",", ":")).replace('{"references"', '\n{"references"')
    (root / "metrics" / "written.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
