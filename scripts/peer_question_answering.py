#!/usr/bin/env python3
"""The usual stack on extractive question answering: Hugging Face Trainer, one JSON line of figures at the end.

    peer_question_answering.py --model DIR --train train.json --eval test.json [--mode default|tuned] [--method full|lora|head]

As the library's example `run_qa.py`: contexts are cut into windows of --max-length tokens that overlap by --doc-stride, an answer
outside a window is at its first token; a prediction is the best of the 20 × 20 best pairs of start and end over all windows of a
question, at most --max-answer-length tokens long. Exact match and F1 are the official script's, over the whole of --eval. Files are
SQuAD's JSON, version 1 or 2; where questions without an answer occur, no answer is predicted where it scores higher.
`default` pads to --max-length, as the example does; `tuned` pads to the longest of a batch. `samples_per_second` counts questions.
Sensible for MiniLM: batch 16 or 32, 3 epochs, learning rate 1e-4 (`lora`: 1e-3). See peer_common.py for the modes.
Needs torch, transformers, accelerate, and peft for --method lora. bench_tasks.py runs it against Retune.
"""

import peer_common

import collections
import json
import re
import string
import tempfile
import time

CANDIDATES = 20


def read_questions(path):
    """Dictionaries with `question`, `context` and `answers`, a list of (text, start)."""
    with open(path, encoding="utf-8") as file:
        articles = json.load(file)["data"]
    rows = [
        {"question": qa["question"].lstrip(), "context": paragraph["context"], "answers": [(a["text"], a["answer_start"]) for a in qa.get("answers", [])]}
        for article in articles for paragraph in article["paragraphs"] for qa in paragraph["qas"]
    ]
    if not rows:
        raise SystemExit(f"{path}: holds no questions")
    return rows


# ---- the official script's scores ----


def normalise(text):
    text = "".join(character for character in text.lower() if character not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def f1(predicted, gold):
    predicted, gold = normalise(predicted).split(), normalise(gold).split()
    if not predicted or not gold:
        return float(predicted == gold)
    common = sum((collections.Counter(predicted) & collections.Counter(gold)).values())
    if common == 0:
        return 0.0
    precision, recall = common / len(predicted), common / len(gold)
    return 2 * precision * recall / (precision + recall)


def scores(predictions, rows):
    # Version 2 drops golds that are nothing after normalising; without any left, nothing is right.
    golds = [[text for text, _ in row["answers"] if normalise(text)] or [""] for row in rows]
    exact = [max(float(normalise(predicted) == normalise(gold)) for gold in of) for predicted, of in zip(predictions, golds)]
    overlap = [max(f1(predicted, gold) for gold in of) for predicted, of in zip(predictions, golds)]
    return {"exact_match": round(sum(exact) / len(rows), 5), "f1": round(sum(overlap) / len(rows), 5), "questions": len(rows)}


# ---- windows and answers ----


def windows_of(tokenizer, rows, arguments):
    """Model inputs of all windows, and for each its question and where its tokens lie in the context (None outside)."""
    encoded = tokenizer(
        [row["question"] for row in rows], [row["context"] for row in rows], truncation="only_second", max_length=arguments.max_length,
        stride=arguments.doc_stride, return_overflowing_tokens=True, return_offsets_mapping=True,
        padding="max_length" if arguments.mode == "default" else False)
    question, offsets = encoded.pop("overflow_to_sample_mapping"), encoded.pop("offset_mapping")
    places = [[pair if part == 1 else None for pair, part in zip(offsets[i], encoded.sequence_ids(i))] for i in range(len(question))]
    return peer_common.encode_in_rows(encoded, len(question)), question, places


def answer_tokens(places, answers):
    """First and last token of the first answer; the first token of the window where it does not lie inside."""
    inside = [i for i, place in enumerate(places) if place is not None]
    if not answers or not inside:
        return 0, 0
    text, start = answers[0]
    end = start + len(text)
    if places[inside[0]][0] > start or places[inside[-1]][1] < end:
        return 0, 0
    return max(i for i in inside if places[i][0] <= start), min(i for i in inside if places[i][1] >= end)


def best_answers(rows, question, places, start_logits, end_logits, arguments, without):
    """The text of the best answer to each question; empty where no answer scores higher, if `without` answers is allowed."""
    best, null = [(float("-inf"), "")] * len(rows), [float("inf")] * len(rows)
    for of, where, starts, ends in zip(question, places, start_logits, end_logits):
        null[of] = min(null[of], float(starts[0] + ends[0]))
        count = len(where)
        first = [i for i in starts[:count].argsort()[::-1][:CANDIDATES] if where[i] is not None]
        last = [i for i in ends[:count].argsort()[::-1][:CANDIDATES] if where[i] is not None]
        for i in first:
            for j in last:
                if i <= j < i + arguments.max_answer_length and starts[i] + ends[j] > best[of][0]:
                    best[of] = (float(starts[i] + ends[j]), rows[of]["context"][where[i][0] : where[j][1]])
    return ["" if without and nothing > score else text for (score, text), nothing in zip(best, null)]


def main():
    parser = peer_common.parser(__doc__, max_length=384, batch=16, lr=1e-4)
    parser.add_argument("--doc-stride", type=int, default=128)
    parser.add_argument("--max-answer-length", type=int, default=30)
    arguments = parser.parse_args()
    peer_common.set_up(arguments)
    from transformers import AutoModelForQuestionAnswering, AutoTokenizer, DataCollatorWithPadding, Trainer

    train_rows, eval_rows = read_questions(arguments.train), read_questions(arguments.eval)
    without = any(not row["answers"] for row in train_rows + eval_rows)

    tokenizing = time.perf_counter()
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    train_data, train_question, train_places = windows_of(tokenizer, train_rows, arguments)
    for row, of, places in zip(train_data, train_question, train_places):
        row["start_positions"], row["end_positions"] = answer_tokens(places, train_rows[of]["answers"])
    del train_question, train_places
    eval_data, eval_question, eval_places = windows_of(tokenizer, eval_rows, arguments)
    tokenized = time.perf_counter()
    model = AutoModelForQuestionAnswering.from_pretrained(arguments.model, dtype="float32")

    def evaluate():
        start_logits, end_logits = peer_common.predict_in_order(trainer, eval_data)
        return scores(best_answers(eval_rows, eval_question, eval_places, start_logits, end_logits, arguments, without), eval_rows)

    with tempfile.TemporaryDirectory() as output:
        trainer = Trainer(
            model=peer_common.adapt(arguments, model, ["qa_outputs"]),
            args=peer_common.trainer_settings(arguments, output),
            train_dataset=train_data,
            data_collator=DataCollatorWithPadding(tokenizer),
        )
        figures = peer_common.run(arguments, trainer, len(train_rows), evaluate)
    windows = {"windows": len(train_data), "tokenize_seconds": round(tokenized - tokenizing, 3)}
    peer_common.print_figures(arguments, trainer, windows | figures)


if __name__ == "__main__":
    main()
