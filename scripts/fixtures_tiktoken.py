#!/usr/bin/env python3
"""fixtures/tiktoken: a small file of ranks as Llama 3 and Qwen 1 have them, and what transformers and tiktoken make of odd texts.

    fixtures_tiktoken.py [ROOT]        needs tiktoken, regex, transformers
"""

import base64
import json
import shutil
import sys
import unicodedata
import warnings
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import regex
import tiktoken
from transformers import AutoTokenizer
from transformers.utils import logging

logging.set_verbosity_error()
warnings.simplefilter("ignore")

CORPUS = (
    "a man rides a red bicycle near the water. der Mann fährt ein rotes Fahrrad 123 1234 56! don't we'll I'M\n\n  two  spaces\n"
    "def f(x):\n    return x + 1\n Привет мир 你好世界 naïve café cafe\u0301 🙂🚲 " * 3
)
QWEN = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
TEXTS = [
    "", " ", "   ", "a", " a", "a ", "  a  man   rides ", "\ta\nman\r\nrides\t", "Hello, World!", "DON'T we'LL i'm 'S", "1234567890 3.14 1,000 ١٢٣٤",
    "Привет, мир! Как дела?", "你好，世界。", "こんにちは世界", "مرحبا بالعالم", "नमस्ते दुनिया", "안녕하세요", "café cafe\u0301 CAFE\u0301", "ﬁ ① ½ Å",
    "🙂 🚲🚲 👨‍👩‍👧‍👦 e🙂e", "a\u0301\u0323\u0308 z̸̢̛", "no\u00a0break\u3000space \u2028 \u200b", "\x00nul\x01", "\ufeffbom", "def f(x):\n\n\n    return  x\n \n",
    "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichen" * 3, "a" * 90, "ab" * 50, "你" * 30, "  \u00a0 x", "<|begin_of_text|>a<|eot_id|>  b",
    "a   <|eot_id|> <|eot_id|>", "<|endoftext|><|im_start|>user\na man<|im_end|>", "<|extra_0|><|reserved_token_9|>", "!!!???\n\n...", "x_y __init__ a-b--c",
]


def trained(text, size):
    """Ranks of pieces: the most frequent pair is joined, over and over."""
    words = Counter(word.encode() for word in regex.findall(QWEN, text))
    parts = {word: [bytes([byte]) for byte in word] for word in words}
    ranks = {bytes([byte]): byte for byte in range(256)}
    while len(ranks) < size:
        pairs = Counter()
        for word, count in words.items():
            for pair in zip(parts[word], parts[word][1:]):
                pairs[pair] += count
        if not pairs:
            break
        (left, right), _ = max(pairs.items(), key=lambda item: (item[1], item[0]))
        ranks.setdefault(left + right, len(ranks))
        for part in parts.values():
            place = 0
            while place < len(part) - 1:
                if (part[place], part[place + 1]) == (left, right):
                    part[place : place + 2] = [left + right]
                else:
                    place += 1
    return ranks


def write(folder, file, ranks, config):
    folder.mkdir(parents=True)
    lines = (base64.b64encode(piece) + f" {rank}\n".encode() for piece, rank in ranks.items())
    (folder / file).write_bytes(b"".join(lines))
    (folder / "tokenizer_config.json").write_text(json.dumps(config) + "\n")


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent / "fixtures") / "tiktoken"
    shutil.rmtree(root, ignore_errors=True)
    ranks = trained(CORPUS, 400)
    first = len(ranks)
    token = {"special": True, "normalized": False, "lstrip": False, "rstrip": False, "single_word": False}
    named = {first: "<|begin_of_text|>", first + 1: "<|end_of_text|>", first + 4: "<|eot_id|>"}
    llama = {
        "bos_token": "<|begin_of_text|>", "eos_token": "<|end_of_text|>", "tokenizer_class": "PreTrainedTokenizerFast",
        "added_tokens_decoder": {str(number): token | {"content": content} for number, content in named.items()},
    }
    llama["added_tokens_decoder"][str(first + 4)] |= {"special": False, "lstrip": True}
    said = {"texts": TEXTS}
    for name, more in {"llama": {"additional_special_tokens": ["<|more|>"]}, "llama-begin": {"add_bos_token": True, "add_eos_token": True}}.items():
        write(root / name, "tokenizer.model", ranks, llama | more)
        # The class of the saved tokenizer follows from the type of the model.
        (root / name / "config.json").write_text('{"model_type": "llama"}\n')
        found = AutoTokenizer.from_pretrained(root / name)
        ids = [found(text)["input_ids"] for text in TEXTS]
        said[name] = {"size": len(found), "ids": ids, "decoded": [found.decode(row, skip_special_tokens=True) for row in ids]}
    own = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"] + [f"<|extra_{number}|>" for number in range(205)]
    write(root / "qwen", "qwen.tiktoken", ranks, {"auto_map": {"AutoTokenizer": ["tokenization_qwen.QWenTokenizer", None]}, "tokenizer_class": "QWenTokenizer"})
    special = {content: first + place for place, content in enumerate(own)}
    encoding = tiktoken.Encoding("qwen", pat_str=QWEN, mergeable_ranks=ranks, special_tokens=special)
    ids = [encoding.encode(unicodedata.normalize("NFC", text), allowed_special="all", disallowed_special=()) for text in TEXTS]
    decoded = [encoding.decode([number for number in row if number < first]) for row in ids]
    said["qwen"] = {"size": encoding.n_vocab, "ids": ids, "decoded": decoded}
    text = json.dumps(said, ensure_ascii=False, separators=(",", ":"))
    (root / "ids.json").write_text(text.replace("]],", "]],\n").replace("],[", "],\n[") + "\n", encoding="utf-8")
    (root / "versions.json").write_text(json.dumps({name: version(name) for name in ("tiktoken", "transformers", "tokenizers")}) + "\n")


if __name__ == "__main__":
    main()
