"""fixtures/tiny-tokenizer and fixtures/tiny-tokenizer-bpe: small real tokenizers and what they make of awkward texts."""

import csv
import json
from collections import Counter
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from fixtures_common import fresh_folder, write_json, write_versions

WORDPIECE_SIZE = 300
ALPHABET = 60  # characters kept; the others become [UNK]
BPE_SIZE = 360  # 256 bytes, 5 special tokens, and the merges
MAX_LENGTH = 64

# name, text, pair, max_length (None: no truncation)
CASES = [
    ("plain", "The food was great, and the service even better!", None, None),
    ("upper case", "TERRIBLE. I Will NEVER go back.", None, None),
    ("accents", "Crème brûlée à la façon d'Élise: naïve, señor Müller, Ångström.", None, None),
    ("decomposed accents", "Cre\u0300me bru\u0302le\u0301e", None, None),
    ("cjk", "这部电影很好看 and 東京 is 서울", None, None),
    ("emoji", "loved it 😀👍🏽 👨‍👩‍👧 :-)", None, None),
    ("right to left", "שלום עולם مرحبا", None, None),
    ("empty", "", None, None),
    ("only spaces", "  \t \n ", None, None),
    ("odd spaces", "a\u00a0b\u2003c\u200bd\r\ne\tf", None, None),
    ("control characters", "be\u0000fore\u0007 after\ufffd end", None, None),
    ("special token text", "[CLS] is not <s> a [MASK] word</s> [SEP]", None, None),
    ("digits and punctuation", "It's $3.99 (50% off) -- e-mail: a_b@c.org #1 ... \"ok\"", None, None),
    ("long word", "a" * 120 + " b", None, None),
    ("pair", "Is the phone any good?", "The battery dies after an hour.", None),
    ("empty pair", "Only the first text says anything.", "", None),
    ("empty first of a pair", "", "Only the second text says anything.", None),
    ("truncated at 16", "This is a rather long sentence which cannot possibly fit into sixteen pieces of such a small vocabulary.", None, 16),
    ("truncated just fitting", "Great!", None, 16),
    ("pair, first longer, 16", "This first text is by far the longer one of the two and loses its tail.", "Short one.", 16),
    ("pair, second longer, 16", "Short one.", "This second text is by far the longer one of the two and loses its tail.", 16),
    ("pair, both long, 16", "Both of these texts are longer than they may be.", "Both of them have to lose a part of their tail.", 16),
    ("pair, both long, 15", "Both of these texts are longer than they may be.", "Both of them have to lose a part of their tail.", 15),
    ("truncated at 3", "Nothing but one piece remains of this.", None, 3),
    ("truncated emoji", "😀😀😀😀😀😀😀😀😀😀😀😀", None, 16),
]
# name, text, pair, words, max_length, stride, side that is truncated
LONG = "I bought this phone for my mother in München; she is 84, and she loves it 😀 more than any other. Would buy again!"
WINDOWS = [
    ("text", LONG, None, None, 16, 4, "right"),
    ("text, no overlap", LONG, None, None, 12, 0, "right"),
    ("text, left", LONG, None, None, 16, 5, "left"),
    ("text that fits", "Great!", None, None, 16, 4, "right"),
    ("question and context", "Who loves it?", LONG, None, 24, 6, "right"),
    ("question and context, left", "Who loves it?", LONG, None, 24, 6, "left"),
    ("accents and odd spaces", "Crème  brûlée\u00a0à la\tfaçon d'Élise: naïve, 这部电影 señor Müller 👍🏽 Ångström.", None, None, 14, 3, "right"),
    ("words", None, None, ["Angela", "Merkel", "visited", "Saint-Denis", "in", "2012", ",", "naïve", "👍🏽", "U.S.", "!"], 16, 4, "right"),
    ("words that fit", None, None, ["New", "York", "City"], 30, 4, "right"),
]
BATCH = ["Great phone.", "The worst film that I have ever seen, and I have seen many.", "", "Überraschend gut"]


def sentences(root):
    with open(root / "sentiment" / "train.csv", newline="", encoding="utf-8") as file:
        return [row["text"] for row in csv.DictReader(file)]


def describe_cases(tokenizer, raw):
    """Cases as the transformers fast tokenizer answers; `raw` is the tokenizer.json alone and must agree."""
    described = []
    for name, text, pair, max_length in CASES:
        # Lists, as data sets are tokenized: for a single text the library takes the pair "" for no pair at all.
        encoded = tokenizer(
            [text],
            None if pair is None else [pair],
            truncation="longest_first" if max_length else False,
            max_length=max_length,
            return_token_type_ids=True,
            return_attention_mask=True,
        )
        encoded = {key: rows[0] for key, rows in encoded.items()}
        if max_length:
            raw.enable_truncation(max_length, strategy="longest_first")
        else:
            raw.no_truncation()
        alone = raw.encode(text, pair)
        if alone.ids != encoded["input_ids"]:
            raise ValueError(f"{name}: tokenizer.json gives {alone.ids}, transformers {encoded['input_ids']}")
        described.append(
            {
                "name": name,
                "text": text,
                "pair": pair,
                "max_length": max_length,
                "truncation": "longest_first" if max_length else None,
                "input_ids": encoded["input_ids"],
                "token_type_ids": encoded["token_type_ids"],
                "attention_mask": encoded["attention_mask"],
                "tokens": tokenizer.convert_ids_to_tokens(encoded["input_ids"]),
            }
        )
    padded = tokenizer(BATCH, padding="longest", return_token_type_ids=True)
    batch = {"texts": BATCH, "padding": "longest", **{k: padded[k] for k in ("input_ids", "token_type_ids", "attention_mask")}}
    return {"cases": described, "batch": batch, "model_input_names": list(tokenizer.model_input_names)}


def describe_windows(tokenizer, with_prefix_space):
    """Overlapping rows with offsets in characters; words go through the tokenizer that puts a space before each."""
    described = []
    for name, text, pair, words, max_length, stride, side in WINDOWS:
        chosen = with_prefix_space if words else tokenizer
        chosen.truncation_side = side
        encoded = chosen(
            [words or text],
            None if pair is None else [pair],
            is_split_into_words=words is not None,
            truncation="only_second" if pair else "only_first",
            max_length=max_length,
            stride=stride,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
            return_token_type_ids=True,
        )
        rows = [
            {
                "input_ids": encoded["input_ids"][row],
                "token_type_ids": encoded["token_type_ids"][row],
                "offsets": encoded["offset_mapping"][row],
                "sequence_ids": encoded.sequence_ids(row),
                "word_ids": encoded.word_ids(row),
            }
            for row in range(len(encoded["input_ids"]))
        ]
        case = {"name": name, "text": text, "pair": pair, "words": words, "max_length": max_length, "stride": stride}
        described.append({**case, "side": side, "rows": rows})
    return described


def write_windows(folder):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    with_prefix_space = AutoTokenizer.from_pretrained(folder, add_prefix_space=True)
    windows = describe_windows(tokenizer, with_prefix_space)
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in windows)
    (folder / "windows.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def finish(folder, tokenizer_config, special_tokens):
    from transformers import AutoTokenizer

    write_json(folder / "tokenizer_config.json", tokenizer_config)
    write_json(folder / "special_tokens_map.json", special_tokens)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    raw = Tokenizer.from_file(str(folder / "tokenizer.json"))
    write_json(folder / "cases.json", describe_cases(tokenizer, raw))
    write_windows(folder)
    write_versions(folder)


def train_wordpiece(counts, special, size):
    """Pieces by merging the most frequent neighbours, ties by spelling.

    The tokenizers library's WordPiece trainer does the same, but numbers the pieces in the order of a hash map,
    which differs from run to run.
    """
    characters = Counter()
    for word, count in counts.items():
        for character in word:
            characters[character] += count
    kept = sorted(sorted(characters), key=lambda c: -characters[c])[:ALPHABET]
    words = {
        tuple(c if i == 0 else "##" + c for i, c in enumerate(word)): count
        for word, count in sorted(counts.items())
        if all(c in kept for c in word)
    }
    pieces = special + sorted(kept) + sorted({piece for word in words for piece in word if piece.startswith("##")})
    while len(pieces) < size:
        pairs = Counter()
        for word, count in words.items():
            for pair in zip(word, word[1:]):
                pairs[pair] += count
        left, right = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merged = left + right.removeprefix("##")
        pieces.append(merged)
        renewed = {}
        for word, count in words.items():
            result = []
            for piece in word:
                if result and piece == right and result[-1] == left:
                    result[-1] = merged
                else:
                    result.append(piece)
            renewed[tuple(result)] = count
        words = renewed
    return pieces


def make_wordpiece(root):
    folder = fresh_folder(root / "tiny-tokenizer")
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    counts = Counter()
    for sentence in sentences(root):
        normal = tokenizer.normalizer.normalize_str(sentence)
        counts.update(word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(normal))
    pieces = train_wordpiece(counts, special, WORDPIECE_SIZE)
    tokenizer.model = models.WordPiece({piece: index for index, piece in enumerate(pieces)}, unk_token="[UNK]", max_input_chars_per_word=100)
    tokenizer.add_special_tokens(special)
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    cls, sep = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0", pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1", special_tokens=[("[CLS]", cls), ("[SEP]", sep)]
    )
    tokenizer.save(str(folder / "tokenizer.json"), pretty=True)
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece, _ in vocabulary), encoding="utf-8")
    names = {"unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]", "cls_token": "[CLS]", "mask_token": "[MASK]"}
    config = {
        "clean_up_tokenization_spaces": True,
        "do_lower_case": True,
        "model_max_length": MAX_LENGTH,
        "strip_accents": None,
        "tokenize_chinese_chars": True,
        "tokenizer_class": "BertTokenizer",
        **names,
    }
    finish(folder, config, names)


def make_bpe(root):
    folder = fresh_folder(root / "tiny-tokenizer-bpe")
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=BPE_SIZE, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(sentences(root), trainer)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=False)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=True)
    model = json.loads(tokenizer.to_str())["model"]
    write_json(folder / "vocab.json", dict(sorted(model["vocab"].items(), key=lambda item: item[1])))
    merges = [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{m}\n" for m in merges), encoding="utf-8")
    names = {
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "sep_token": "</s>",
        "pad_token": "<pad>",
        "cls_token": "<s>",
        "mask_token": "<mask>",
    }
    config = {"add_prefix_space": False, "model_max_length": MAX_LENGTH - 2, "tokenizer_class": "RobertaTokenizer", "trim_offsets": True, **names}
    # Published RoBERTa tokenizers let <mask> swallow the space before it.
    mask = {"content": "<mask>", "lstrip": True, "normalized": False, "rstrip": False, "single_word": False}
    for added in (config, names):
        added["mask_token"] = {"__type": "AddedToken", **mask} if added is config else mask
    finish(folder, config, names)


def make(root):
    make_wordpiece(Path(root))
    make_bpe(Path(root))
