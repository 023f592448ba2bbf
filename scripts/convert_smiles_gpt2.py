#!/usr/bin/env python3
"""Makes the tokenizer of ChemTSv3's SMILES GPT-2 one that cuts SMILES by itself.

    convert_smiles_gpt2.py SOURCE OUT

SOURCE is a folder of github.com/molecule-generator-collection/ChemTSv3, model/smiles/drugs_zinc/gpt2_*: its tokenizer.json holds whole words
and no rule that cuts a SMILES into them, as its authors cut before. OUT gets the same files, a rule (the longest entry of the vocabulary first)
and the name of the unknown word that the vocabulary has. Needs nothing beyond Python's own library.
"""

import json
import re
import shutil
import sys
from pathlib import Path


def main():
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    source, out = map(Path, sys.argv[1:])
    out.mkdir(parents=True)
    for name in ("config.json", "generation_config.json", "model.safetensors", "special_tokens_map.json", "tokenizer_config.json"):
        shutil.copy(source / name, out / name)
    tokenizer = json.loads((source / "tokenizer.json").read_text(encoding="utf-8"))
    special = {token["content"] for token in tokenizer["added_tokens"]} | {"<UNKNOWN>"}
    words = sorted((word for word in tokenizer["model"]["vocab"] if word not in special), key=lambda word: (-len(word), word))
    pattern = "|".join(map(re.escape, words)) + "|."
    tokenizer["pre_tokenizer"] = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    tokenizer["model"]["unk_token"] = "<UNKNOWN>"
    tokenizer["decoder"] = {"type": "Fuse"}
    (out / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
