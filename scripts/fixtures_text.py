"""fixtures/parity/<family>-<head>: tiny random text encoders with inputs, outputs, losses and gradients."""

import json
import shutil
from pathlib import Path

import torch
import transformers

from fixtures_common import fresh_folder, forward_and_gradients, generator, randomise, save_model, save_tensors, write_versions

TOKENIZER_FILES = ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt", "vocab.json", "merges.txt"]
LABELS = {0: "negative", 1: "neutral", 2: "positive"}
TAGS = {0: "O", 1: "B-PER", 2: "I-PER", 3: "B-LOC", 4: "I-LOC"}
LENGTHS = [12, 9, 5, 3]  # of the rows; what is left of 12 is padding
IGNORED = -100  # as a label: this token is in no loss


def bert_like(**changes):
    """Sizes shared by all; dropouts are zero so that train mode is deterministic."""
    config = dict(
        vocab_size=120,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        classifier_dropout=0.0,
        id2label=dict(LABELS),
        label2id={v: k for k, v in LABELS.items()},
    )
    config.update(changes)
    return config


def distilbert(**changes):
    config = dict(
        vocab_size=120,
        dim=32,
        n_layers=2,
        n_heads=4,
        hidden_dim=64,
        max_position_embeddings=64,
        dropout=0.0,
        attention_dropout=0.0,
        seq_classif_dropout=0.0,
        qa_dropout=0.0,
        id2label=dict(LABELS),
        label2id={v: k for k, v in LABELS.items()},
    )
    config.update(changes)
    return config


ROBERTA_IDS = dict(type_vocab_size=1, pad_token_id=1, bos_token_id=0, eos_token_id=2, layer_norm_eps=1e-5)

# folder: (class prefix, config values, what else)
CASES = {
    "bert-sequence-classification": ("Bert", bert_like(vocab_size=300), dict(tokenizer="tiny-tokenizer")),
    "roberta-sequence-classification": ("Roberta", bert_like(vocab_size=360, **ROBERTA_IDS), dict(tokenizer="tiny-tokenizer-bpe")),
    "xlm-roberta-sequence-classification": ("XLMRoberta", bert_like(**ROBERTA_IDS), {}),
    "distilbert-sequence-classification": ("DistilBert", distilbert(), {}),
    # Embeddings narrower than the layers, as in electra-small: a projection stands between them.
    "electra-sequence-classification": ("Electra", bert_like(embedding_size=16), {}),
    "electra-without-projection": ("Electra", bert_like(embedding_size=32, num_hidden_layers=1), {}),
    "bert-multi-label": ("Bert", bert_like(num_hidden_layers=1, problem_type="multi_label_classification"), {}),
    "bert-regression": ("Bert", bert_like(num_hidden_layers=1, id2label={0: "LABEL_0"}, label2id={"LABEL_0": 0}, problem_type="regression"), {}),
    "bert-gelu-new": ("Bert", bert_like(num_hidden_layers=1, hidden_act="gelu_new"), {}),
    # Small embeddings, so that an epsilon of 1e-5 changes the first norm by some percent.
    "bert-relu": ("Bert", bert_like(num_hidden_layers=1, hidden_act="relu", layer_norm_eps=1e-5), dict(embedding_std=0.01)),
}


def names_of(labels):
    return dict(id2label=dict(labels), label2id={v: k for k, v in labels.items()})


# The heads that read every token: smaller, because only the head is new in them.
SMALL = dict(vocab_size=48, hidden_size=24, num_attention_heads=3, intermediate_size=40, max_position_embeddings=20)
SMALL_DISTILBERT = dict(vocab_size=48, dim=24, n_heads=3, hidden_dim=40, max_position_embeddings=20)
SMALL_FAMILIES = {
    "bert": ("Bert", bert_like(**SMALL)),
    "roberta": ("Roberta", bert_like(**SMALL, **ROBERTA_IDS)),
    "xlm-roberta": ("XLMRoberta", bert_like(**SMALL, **ROBERTA_IDS)),
    "distilbert": ("DistilBert", distilbert(**SMALL_DISTILBERT)),
    "electra": ("Electra", bert_like(**SMALL, embedding_size=16)),
    # Three runs of one group, then two of the other, each of two layers.
    "albert": ("Albert", bert_like(**SMALL | dict(num_hidden_layers=5, hidden_size=18, intermediate_size=22), embedding_size=16, num_hidden_groups=2, inner_group_num=2,
                                   classifier_dropout_prob=0.0)),
    "mpnet": ("MPNet", bert_like(**SMALL, pad_token_id=1, bos_token_id=0, eos_token_id=2, layer_norm_eps=1e-5)),
}


def modernbert(**changes):
    """Local attention to two places on either side, so that most pairs of tokens are too far apart."""
    config = dict(
        vocab_size=48, hidden_size=24, num_attention_heads=3, intermediate_size=20, num_hidden_layers=3, max_position_embeddings=20, pad_token_id=0,
        bos_token_id=2, eos_token_id=3, cls_token_id=2, sep_token_id=3, local_attention=4, global_attn_every_n_layers=2, global_rope_theta=5000.0,
        local_rope_theta=100.0,
    )
    return config | names_of(LABELS) | changes


def deberta(**changes):
    config = dict(
        relative_attention=True, pos_att_type=["p2c", "c2p"], position_biased_input=False, position_buckets=6, max_relative_positions=-1,
        norm_rel_ebd="layer_norm", share_att_key=True, type_vocab_size=0, pooler_dropout=0.0, cls_dropout=0.0,
    )
    return bert_like(**SMALL) | config | changes


# Every bias that there can be.
BIASED = dict(norm_bias=True, attention_bias=True, mlp_bias=True, classifier_bias=True, classifier_pooling="mean", num_hidden_layers=2, classifier_activation="silu",
              hidden_activation="gelu_pytorch_tanh")
# As in the second version's large models: a convolution, projections of positions of their own, embeddings that are projected.
SECOND = dict(share_att_key=False, norm_rel_ebd="none", conv_kernel_size=3, conv_groups=2, conv_act="gelu", position_biased_input=True, type_vocab_size=2, embedding_size=16,
              position_buckets=-1, pooler_hidden_act="tanh", intermediate_size=30)
SMALL_FAMILIES["modernbert"] = ("ModernBert", modernbert())
SMALL_FAMILIES["deberta-v2"] = ("DebertaV2", deberta())
CASES["modernbert-mean-pooling"] = ("ModernBert", modernbert(**BIASED), {})
CASES["deberta-v2-convolution"] = ("DebertaV2", deberta(**SECOND), {})
CASES["deberta-v2-content-to-position"] = ("DebertaV2", deberta(pos_att_type=["c2p"], num_hidden_layers=1, conv_kernel_size=5), {})
for family in ("albert", "mpnet", "modernbert", "deberta-v2"):
    CASES[f"{family}-sequence-classification"] = (*SMALL_FAMILIES[family], {})
CASES["albert-one-group"] = ("Albert", bert_like(**SMALL | dict(num_hidden_layers=3), embedding_size=24, classifier_dropout_prob=0.0), {})
for family, (prefix, values) in SMALL_FAMILIES.items():
    CASES[f"{family}-token-classification"] = (prefix, values | names_of(TAGS), dict(head="TokenClassification"))
    CASES[f"{family}-question-answering"] = (prefix, values | names_of({0: "LABEL_0", 1: "LABEL_1"}), dict(head="QuestionAnswering"))


WORDS = dict(head="MaskedLM")
CASES |= {f"{family}-masked-lm": (prefix, values, WORDS) for family, (prefix, values) in SMALL_FAMILIES.items()}
ONE, ONE_DISTILBERT = SMALL | dict(num_hidden_layers=1), SMALL_DISTILBERT | dict(n_layers=1)
CASES |= {
    "camembert-masked-lm": ("Camembert", bert_like(**ONE, **ROBERTA_IDS), WORDS),
    # Scores of words by a matrix of their own; the activation is not that of RoBERTa's head.
    "bert-masked-lm-untied": ("Bert", bert_like(**ONE, tie_word_embeddings=False, hidden_act="relu"), WORDS),
    "distilbert-masked-lm-untied": ("DistilBert", distilbert(**ONE_DISTILBERT, tie_word_embeddings=False), WORDS),
    "modernbert-masked-lm-without-bias": ("ModernBert", modernbert(decoder_bias=False, num_hidden_layers=1, tie_word_embeddings=False), WORDS),
    "deberta-v2-masked-lm-own-head": ("DebertaV2", deberta(legacy=False, num_hidden_layers=1), WORDS),
    "deberta-v2-masked-lm-convolution": ("DebertaV2", deberta(**SECOND, num_hidden_layers=1), WORDS),
    "roberta-masked-lm-relu": ("Roberta", bert_like(**ONE, **ROBERTA_IDS, hidden_act="relu"), WORDS),
}


def model_takes_types(prefix, values):
    return prefix in ("Bert", "Electra", "Albert") or (prefix == "DebertaV2" and values["type_vocab_size"] > 0)


def text_inputs(random, config, token_types):
    pad = config.pad_token_id or 0
    first, last = (config.bos_token_id, config.eos_token_id) if pad == 1 else (2, 3)
    rows, width = len(LENGTHS), max(LENGTHS)
    ids = torch.randint(5, config.vocab_size, (rows, width), generator=random)
    mask = torch.zeros(rows, width, dtype=torch.int64)
    types = torch.zeros(rows, width, dtype=torch.int64)
    for row, length in enumerate(LENGTHS):
        mask[row, :length] = 1
        ids[row, length:] = pad
        ids[row, 0], ids[row, length - 1] = first, last
        types[row, length // 2 : length] = 1
    inputs = {"input_ids": ids, "attention_mask": mask}
    if token_types:
        inputs["token_type_ids"] = types
    return inputs


def text_labels(random, config):
    rows = len(LENGTHS)
    if config.problem_type == "multi_label_classification":
        return torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 0.0]])
    if config.problem_type == "regression":
        return torch.randn(rows, generator=random)
    return torch.arange(rows) % config.num_labels


def token_labels(random, config, mask):
    """A tag for most tokens; none for padding, for the first and last token, and for every third, as if it continued a word."""
    rows, width = mask.shape
    labels = torch.randint(0, config.num_labels, (rows, width), generator=random)
    labels[mask == 0] = IGNORED
    labels[:, 0] = IGNORED
    labels[:, 3::3] = IGNORED
    labels[torch.arange(rows), mask.sum(1) - 1] = IGNORED
    return labels


def masked_words(random, inputs):
    """Words at a third of the places, some rows with more of them than others; all else is in no loss."""
    ids, mask = inputs["input_ids"], inputs["attention_mask"]
    labels = torch.randint(0, int(ids.max()) + 1, ids.shape, generator=random)
    labels[torch.rand(ids.shape, generator=random) < 0.6] = IGNORED
    labels[mask == 0] = IGNORED
    labels[0, 1] = ids[0, 1]
    return {"labels": labels}


def answer_positions(random, mask):
    """An answer in each row; the second row's lies outside the window, and so counts in no loss."""
    rows, width = mask.shape
    start = torch.tensor([int(torch.randint(0, n, (1,), generator=random)) for n in mask.sum(1).tolist()])
    end = torch.minimum(start + torch.randint(0, 3, (rows,), generator=random), mask.sum(1) - 1)
    start[1], end[1] = width, width + 4
    return {"start_positions": start, "end_positions": end}


def targets_of(head, random, config, inputs):
    if head == "TokenClassification":
        return {"labels": token_labels(random, config, inputs["attention_mask"])}
    if head == "MaskedLM":
        return masked_words(random, inputs)
    if head == "QuestionAnswering":
        return answer_positions(random, inputs["attention_mask"])
    return {"labels": text_labels(random, config)}


def build(config_class, class_name, config_values, embedding_std, random):
    config = getattr(transformers, config_class)(**config_values)
    config._attn_implementation = "eager"
    model = getattr(transformers, class_name)(config)
    randomise(model, random, embedding_std=embedding_std)
    return model


def copy_tokenizer(root, name, folder):
    for file in TOKENIZER_FILES:
        if (root / name / file).exists():
            shutil.copyfile(root / name / file, folder / file)


def make_case(root, name, prefix, config_values, extra):
    folder = fresh_folder(root / "parity" / name)
    random = generator(name)
    head = extra.get("head", "SequenceClassification")
    model = build(f"{prefix}Config", f"{prefix}For{head}", config_values, extra.get("embedding_std", 0.5), random)
    names = save_model(model, folder)
    inputs = text_inputs(random, model.config, token_types=model_takes_types(prefix, config_values))
    inputs |= targets_of(head, random, model.config, inputs)
    save_tensors(folder / "case.safetensors", forward_and_gradients(model, inputs, names))
    if "tokenizer" in extra:
        copy_tokenizer(root, extra["tokenizer"], folder)


def make_base_only(root, name, class_name, values, tokenizer):
    """A bare encoder: tensor names have no `bert.` before them, as in most sentence encoders."""
    folder = fresh_folder(root / "parity" / name)
    random = generator(name)
    values = dict(values)
    del values["id2label"], values["label2id"]
    model = build(class_name.replace("Model", "Config"), class_name, values, 0.5, random)
    save_model(model, folder)
    if tokenizer:
        copy_tokenizer(root, tokenizer, folder)
    inputs = text_inputs(random, model.config, token_types=class_name == "BertModel")
    model.eval()
    with torch.no_grad():
        outputs = model(**inputs)
        without_types = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"])
    case = {f"input.{k}": v for k, v in inputs.items()}
    case["output.last_hidden_state"] = outputs.last_hidden_state
    case["output.pooler_output"] = outputs.pooler_output
    case["output.last_hidden_state_without_token_type_ids"] = without_types.last_hidden_state
    save_tensors(folder / "case.safetensors", case)


def make_defaults(root):
    """What a configuration class assumes when config.json says nothing."""
    classes = ["Bert", "Roberta", "XLMRoberta", "Camembert", "DistilBert", "Electra", "Albert", "MPNet", "ModernBert", "DebertaV2"]
    configs = [getattr(transformers, f"{name}Config")() for name in classes]
    defaults = {config.model_type: config.to_dict() for config in configs}
    text = json.dumps(defaults, indent=2, sort_keys=True)
    (root / "configs" / "text_defaults.json").write_text(text + "\n")


def make(root):
    root = Path(root)
    for name, (prefix, values, extra) in CASES.items():
        make_case(root, name, prefix, values, extra)
    make_base_only(root, "bert-base-only", "BertModel", bert_like(vocab_size=300), "tiny-tokenizer")
    # Its pooler is read by no head.
    make_base_only(root, "roberta-base-only", "RobertaModel", bert_like(num_hidden_layers=1, **ROBERTA_IDS), None)
    make_defaults(root)
    write_versions(root / "parity")
