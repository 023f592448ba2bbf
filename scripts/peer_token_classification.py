#!/usr/bin/env python3
"""The usual stack on a token classification task: Hugging Face Trainer, one JSON line of figures at the end.

    peer_token_classification.py --model DIR --train train.conll --eval test.conll [--mode default|tuned] [--method full|lora|head]

As the library's example `run_ner.py`: words are given to the tokenizer one by one, the first token of a word has its tag, the
others none; sentences longer than --max-length are cut. Precision, recall and F1 are seqeval's over all entities of
--eval: a word that was cut off counts as predicted `O`. `f1` is strict (mode `strict`, scheme IOB2), `f1_conlleval` what the example
prints. Files are CoNLL: a word and, in the last column, its IOB2 tag; blank lines between sentences; `-DOCSTART-` lines are skipped.
Sensible for MiniLM: batch 32, 3 to 5 epochs, learning rate 1e-4 (`lora`: 1e-3). See peer_common.py for the modes.
Needs torch, transformers, accelerate, seqeval, and peft for --method lora. bench_tasks.py runs it against Retune.
"""

import peer_common

import tempfile
import time

IGNORED = -100


def read_sentences(path):
    """Lists of (word, tag)."""
    sentences, sentence = [], []
    with open(path, encoding="utf-8") as file:
        for line in file:
            fields = line.rstrip("\r\n").split("\t") if "\t" in line else line.split()
            if not any(fields) or fields[0] == "-DOCSTART-":
                sentences += [sentence] if sentence else []
                sentence = []
            else:
                sentence.append((fields[0], fields[-1]))
    sentences += [sentence] if sentence else []
    if not sentences:
        raise SystemExit(f"{path}: holds no sentences")
    return sentences


def align(word_ids, tags):
    """The tag's index at the first token of each word, `IGNORED` elsewhere."""
    return [IGNORED if word is None or word == before else tags[word] for word, before in zip(word_ids, [None, *word_ids])]


def scores(gold, predicted):
    from seqeval.metrics import classification_report, f1_score
    from seqeval.scheme import IOB2

    report = classification_report(gold, predicted, mode="strict", scheme=IOB2, output_dict=True, zero_division=0)
    total = report["micro avg"]
    averages = ("micro avg", "macro avg", "weighted avg")
    return {
        "precision": round(float(total["precision"]), 5),
        "recall": round(float(total["recall"]), 5),
        "f1": round(float(total["f1-score"]), 5),
        "f1_conlleval": round(float(f1_score(gold, predicted, zero_division=0)), 5),
        "f1_by_type": {name: round(float(values["f1-score"]), 5) for name, values in report.items() if name not in averages},
        "entities": int(total["support"]),
    }


def main():
    arguments = peer_common.parser(__doc__, max_length=128, lr=1e-4).parse_args()
    peer_common.set_up(arguments)
    from transformers import AutoConfig, AutoModelForTokenClassification, AutoTokenizer, DataCollatorForTokenClassification, Trainer

    train_rows, eval_rows = read_sentences(arguments.train), read_sentences(arguments.eval)
    labels = sorted({tag for sentence in train_rows for _, tag in sentence})
    index = {label: i for i, label in enumerate(labels)}

    tokenizing = time.perf_counter()
    # Byte-level tokenizers tell the beginning of a word by the space before it.
    byte_level = AutoConfig.from_pretrained(arguments.model).model_type in ("roberta", "gpt2", "bloom", "deberta")
    tokenizer = AutoTokenizer.from_pretrained(arguments.model, **({"add_prefix_space": True} if byte_level else {}))

    def encode(rows):
        encoded = tokenizer([[word for word, _ in row] for row in rows], is_split_into_words=True, truncation=True, max_length=arguments.max_length)
        words = [encoded.word_ids(i) for i in range(len(rows))]
        return peer_common.encode_in_rows(encoded, len(rows)), words

    train_data, train_words = encode(train_rows)
    for row, words, sentence in zip(train_data, train_words, train_rows):
        row["labels"] = align(words, [index[tag] for _, tag in sentence])
    eval_data, eval_words = encode(eval_rows)
    tokenized = time.perf_counter()
    model = AutoModelForTokenClassification.from_pretrained(arguments.model, dtype="float32", **peer_common.label_fields(labels))

    def evaluate():
        best = peer_common.predict_in_order(trainer, eval_data).argmax(-1)
        predicted = []
        for sentence, words, row in zip(eval_rows, eval_words, best):
            tags = ["O"] * len(sentence)
            for place in reversed(range(len(words))):  # the first token of a word is written last
                if words[place] is not None:
                    tags[words[place]] = labels[row[place]]
            predicted.append(tags)
        return scores([[tag for _, tag in sentence] for sentence in eval_rows], predicted)

    with tempfile.TemporaryDirectory() as output:
        trainer = Trainer(
            model=peer_common.adapt(arguments, model, ["classifier"]),
            args=peer_common.trainer_settings(arguments, output),
            train_dataset=train_data,
            data_collator=DataCollatorForTokenClassification(tokenizer),
        )
        figures = peer_common.run(arguments, trainer, len(train_data), evaluate)
    peer_common.print_figures(arguments, trainer, {"tokenize_seconds": round(tokenized - tokenizing, 3)} | figures)


if __name__ == "__main__":
    main()
