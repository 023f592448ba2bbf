#!/usr/bin/env python3
"""fixtures/sentencepiece: tiny SentencePiece models, what the library makes of odd texts, and tokenizers of transformers that are
nothing but such models, with their ids.

    fixtures_sentencepiece.py [ROOT]        needs sentencepiece, transformers
"""

import json
import random
import shutil
import sys
import tempfile
import warnings
from importlib.metadata import version
from pathlib import Path

import sentencepiece
from transformers import AutoTokenizer
from transformers.models.m2m_100.tokenization_m2m_100 import FAIRSEQ_LANGUAGE_CODES
from transformers.utils import logging

logging.set_verbosity_error()
warnings.simplefilter("ignore")

WORDS = (
    "a the man woman child dog rides walks plays with on in at street red blue bicycle ball guitar two young people are is "
    "standing near water ein eine der die das Mann Frau Kind Hund fährt geht spielt mit auf Straße rotes Fahrrad große Gitarre"
).split()
SCRIPTS = [
    "Привет, мир! Как дела?", "你好，世界。今天天气很好。", "こんにちは世界", "مرحبا بالعالم", "नमस्ते दुनिया", "안녕하세요 세계",
    "Ünïcödé naïve café", "Γειά σου Κόσμε", "שלום עולם", "สวัสดีชาวโลก", "12 + 34 = 46 (56 %)", "x <y> & \"z\" 'w' {v} [u]",
]
RULES = [
    ("ﬁ", "fi"), ("…", "..."), ("\t", " "), ("\n", " "), ("\u00a0", " "), ("\u3000", " "), ("e\u0301", "é"), ("E\u0301", "É"),
    ("ｆ", "f"), ("ｆｆ", "ff!"), ("\u200b", ""), ("①", "1"), ("½", " 1/2"),
] + [(chr(0xFF21 + i), chr(65 + i)) for i in range(26)]
TEXTS = SCRIPTS + [
    "", " ", "   ", "a", " a", "a ", "  a  man   rides ", "\ta\nman\r\nrides\t", "Hello, World!", "ﬁne ﬁ ﬁﬁ", "café cafe\u0301 CAFE\u0301",
    "ｆｆ ｆ ＡＢＣ ①②", "ｆｆｆ", "wait… what½ of ½", "zero\u200bwidth \u200b", "no\u00a0break\u3000space", "🙂 🚲🚲 👨‍👩‍👧‍👦 e🙂e", "a\u0301\u0323\u0308 z̸̢̛",
    "▁ ▁a a▁b", "<unk> <s> </s> <pad> <mask>", "x</s>y", "<sep>bicycle bicycles<sep>", "the bicycle & the dog &", " & ", "rides&walks",
    "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichen" * 3, "a" * 90, "ab" * 50, "你" * 30, "A man rides a red bicycle near the water.",
    "ein Mann fährt ein rotes Fahrrad auf der Straße", ">>deu<< a man", "__de__ a man", "de_DE a man", "\u202eright to left\u202c", "\ufeffbom", "\x00nul\x01",
    "tab\tin\tthe middle", "1234567890 3.14 1,000", "İstanbul ıI ß ẞ", "ﷺ ㎏ Ⅷ", "\U0001d573\U0001d58a", "ends with space\u3000", "``quoted'' \"x\"", "<extra_id_0> a <extra_id_3>",
    "[CLS] a [MASK] [SEP] man", "<0x41> <0x0A>", "eeee éééé e\u0301e\u0301", "don't  stop -- me", "  \u00a0 x",
]


def corpus():
    draw = random.Random(20250401)
    lines = [" ".join(draw.choice(WORDS) for _ in range(draw.randint(3, 12))).capitalize() + draw.choice([".", "!", " ."]) for _ in range(1500)]
    return lines + SCRIPTS * 12


def train(folder, name, size, kind, **more):
    rules = folder / "rules.tsv"
    rules.write_text("".join("\t".join(" ".join(f"{ord(c):X}" for c in part) for part in rule) + "\n" for rule in RULES), encoding="utf-8")
    more = {"normalization_rule_tsv": str(rules)} | more
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus()), model_prefix=str(folder / name), vocab_size=size, model_type=kind, character_coverage=0.98,
        hard_vocab_limit=False, minloglevel=2, num_threads=1, **more,
    )
    (folder / f"{name}.vocab").unlink()
    return folder / f"{name}.model"


MODELS = {
    "unigram": (150, "unigram", {}),
    "defined": (150, "unigram", {"user_defined_symbols": ["<sep>", "bicycle", "▁&▁"]}),
    "bpe": (220, "bpe", {"user_defined_symbols": ["<sep>"]}),
    "bytes": (450, "bpe", {"byte_fallback": True, "normalization_rule_name": "identity", "normalization_rule_tsv": "", "split_digits": True,
                           "allow_whitespace_only_pieces": True, "remove_extra_whitespaces": False}),
}

SPECIAL = {
    "t5": {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1},
    "albert": {"pad_id": 0, "unk_id": 1, "bos_id": -1, "eos_id": -1, "control_symbols": ["[CLS]", "[SEP]", "[MASK]"]},
    "deberta": {"pad_id": 0, "bos_id": 1, "eos_id": 2, "unk_id": 3, "pad_piece": "[PAD]", "bos_piece": "[CLS]", "eos_piece": "[SEP]", "unk_piece": "[UNK]"},
}
# Folder, class, type of the model, model, its file, configuration.
TOKENIZERS = [
    ("t5", "T5Tokenizer", "t5", "t5", "spiece.model", {"extra_ids": 7}),
    ("mbart", "MBartTokenizer", "mbart", "unigram", "sentencepiece.bpe.model", {"src_lang": "en_XX", "tgt_lang": "de_DE"}),
    ("mbart50", "MBart50Tokenizer", "mbart", "unigram", "sentencepiece.bpe.model", {"src_lang": "en_XX", "tgt_lang": "sl_SI"}),
    ("xlm-roberta", "XLMRobertaTokenizer", "xlm-roberta", "defined", "sentencepiece.bpe.model", {}),
    ("albert", "AlbertTokenizer", "albert", "albert", "spiece.model", {"do_lower_case": True}),
    ("albert-accents", "AlbertTokenizer", "albert", "albert", "spiece.model", {"do_lower_case": False, "keep_accents": True}),
    ("deberta-v2", "DebertaV2Tokenizer", "deberta-v2", "deberta", "spm.model", {}),
    ("deberta-v2-punctuation", "DebertaV2Tokenizer", "deberta-v2", "deberta", "spm.model", {"split_by_punct": True, "do_lower_case": True}),
    ("llama", "LlamaTokenizer", "llama", "bytes", "tokenizer.model", {"add_bos_token": True}),
    ("llama-legacy", "LlamaTokenizer", "llama", "bytes", "tokenizer.model", {"legacy": True, "add_eos_token": True}),
    ("m2m100", "M2M100Tokenizer", "m2m_100", "bpe", "sentencepiece.bpe.model", {"src_lang": "en", "tgt_lang": "de", "additional_special_tokens": [f"__{code}__" for code in FAIRSEQ_LANGUAGE_CODES["m2m100"]]}),
    ("marian", "MarianTokenizer", "marian", "unigram", "source.spm", {"source_lang": "en", "target_lang": "de"}),
    ("plain", "PreTrainedTokenizerFast", "llama", "bytes", "tokenizer.model", {}),
]


def tokenizer(folder, models, name, kind, model_type, model, file, configuration):
    """Writes a tokenizer's files, and what transformers makes of the texts."""
    own = folder / name
    own.mkdir(parents=True)
    shutil.copy(models / f"{model}.model", own / file)
    processor = sentencepiece.SentencePieceProcessor(model_file=str(own / file))
    pieces = [processor.id_to_piece(i) for i in range(processor.get_piece_size())]
    if kind == "M2M100Tokenizer":
        vocabulary = ["<s>", "<pad>", "</s>", "<unk>"] + [piece for piece in reversed(pieces) if piece not in ("<unk>", "<s>", "</s>")]
    elif kind == "MarianTokenizer":
        shutil.copy(models / "defined.model", own / "target.spm")
        other = sentencepiece.SentencePieceProcessor(model_file=str(own / "target.spm"))
        both = sorted({other.id_to_piece(i) for i in range(other.get_piece_size())} | set(pieces) - {"<s>", "</s>", "<unk>"})
        # Some pieces have no number, as in vocabularies that were counted.
        vocabulary = ["</s>", "<unk>", ">>deu<<", ">>por<<"] + [piece for i, piece in enumerate(both) if i % 11 != 5 and piece not in ("</s>", "<unk>")] + ["<pad>"]
    else:
        vocabulary = None
    if vocabulary:
        (own / "vocab.json").write_text(json.dumps({piece: i for i, piece in enumerate(vocabulary)}, ensure_ascii=False))
    (own / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": kind} | configuration) + "\n")
    (own / "config.json").write_text(json.dumps({"model_type": model_type}) + "\n")
    with tempfile.TemporaryDirectory() as copy:
        copied = shutil.copytree(own, Path(copy) / name)
        found = AutoTokenizer.from_pretrained(copied)
        ids = [found(text)["input_ids"] for text in TEXTS]
        said = {"ids": ids, "decoded": [found.decode(row, skip_special_tokens=True) for row in ids]}
        if "tgt_lang" in configuration or kind == "MarianTokenizer":
            said["target_ids"] = [found(text_target=text)["input_ids"] for text in TEXTS]
        if kind in ("T5Tokenizer", "XLMRobertaTokenizer", "AlbertTokenizer", "DebertaV2Tokenizer"):
            pair = found(TEXTS[0], TEXTS[4])
            said["pair"] = [pair["input_ids"], pair.get("token_type_ids", [])]
    text = json.dumps(said, ensure_ascii=False, separators=(",", ":"))
    (own / "ids.json").write_text(text.replace("]],", "]],\n").replace('"],', '"],\n') + "\n", encoding="utf-8")


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent / "fixtures")
    folder = root / "sentencepiece"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    pieces = {}
    for name, (size, kind, more) in MODELS.items():
        model = sentencepiece.SentencePieceProcessor(model_file=str(train(folder, name, size, kind, **more)))
        pieces[name] = [model.encode(text, out_type=str) for text in TEXTS]
    with tempfile.TemporaryDirectory() as made:
        made = Path(made)
        for name in MODELS:
            shutil.copy(folder / f"{name}.model", made)
        for name, more in SPECIAL.items():
            train(made, name, 150, "unigram", **more)
        for one in TOKENIZERS:
            tokenizer(folder / "tokenizers", made, *one)
    (folder / "rules.tsv").unlink()
    (folder / "pieces.json").write_text(json.dumps({"texts": TEXTS, "pieces": pieces}, ensure_ascii=False, separators=(",", ":")).replace("]],", "]],\n") + "\n", encoding="utf-8")
    (folder / "versions.json").write_text(json.dumps({name: version(name) for name in ("sentencepiece", "transformers", "tokenizers")}) + "\n")


if __name__ == "__main__":
    main()
