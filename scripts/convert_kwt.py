"""The published weights of the keyword transformer as a model folder that Retune reads.

    PYTHON scripts/convert_kwt.py WEIGHTS MODEL

WEIGHTS is a folder with `model.safetensors` and `config.json` as extracted from a graph of github.com/ARM-software/keyword-transformer
(Berg, O'Connor and Cruz 2021): `proj`, `class_emb`, `pos_emb`, `blocks.N.…`, `head`, matrices [out, in], and the constants of its front
end below `frontend`. MODEL gets config.json, model.safetensors and preprocessor_config.json. The constants are not written: that they are
what the formulas of the front end give is checked here.
"""

import argparse
import json
from pathlib import Path

import numpy
from safetensors.numpy import load_file, save_file

# Hertz between which the filters lie, and samples of a transform, which the constants are checked against.
LOW, HIGH, TRANSFORM, RATE = 20.0, 7600.0, 512, 16_000
# How far constants may be from their formulas.
NEAR = 1e-4


def front_end(values):
    """The constants by their formulas: a periodic Hann window, a Fourier transform of a padded piece, triangles on HTK's mel scale, and an
    orthogonal cosine transform of type 2."""
    piece, bins, coefficients = values["frame_len"], values["mel_bins"], values["n_mfcc"]
    sample = numpy.arange(piece)
    mel = lambda hertz: 1127.0 * numpy.log(1 + hertz / 700.0)
    places = mel(numpy.arange(TRANSFORM // 2 + 1) * RATE / TRANSFORM)
    corners = numpy.linspace(mel(LOW), mel(HIGH), bins + 2)
    left, middle, right = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    angles = 2 * numpy.pi * numpy.arange(TRANSFORM // 2 + 1)[:, None] * sample / TRANSFORM
    cosines = numpy.cos(numpy.pi * numpy.arange(coefficients)[:, None] * (2 * numpy.arange(bins) + 1) / (2 * bins))
    return {
        "window": 0.5 - 0.5 * numpy.cos(2 * numpy.pi * sample / piece),
        "rdft_real": numpy.cos(angles),
        "rdft_imag": numpy.abs(numpy.sin(angles)),  # of either sign: magnitudes are the same
        "mel": numpy.maximum(0, numpy.minimum((places - left) / (middle - left), (right - places) / (right - middle))),
        "dct": cosines * numpy.sqrt(2 / bins),
    }


def check(tensors, values):
    for name, formula in front_end(values).items():
        found = tensors[f"frontend.{name}"]
        found = numpy.abs(found) if name == "rdft_imag" else found
        # Frequencies that no filter reads are left out.
        rest = formula[:, found.shape[1] :] if name == "mel" else numpy.zeros(1)
        expected = formula[tuple(slice(0, size) for size in found.shape)]
        worst = max(float(numpy.abs(found - expected).max()), float(numpy.abs(rest).max(initial=0.0)))
        print(f"frontend.{name}: {worst:.1e} from its formula")
        if found.shape != expected.shape or worst > NEAR:
            raise SystemExit(f"frontend.{name} is not what its formula gives; this front end is not known")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("model", type=Path)
    arguments = parser.parse_args()
    values = json.loads((arguments.weights / "config.json").read_text())
    tensors = load_file(arguments.weights / "model.safetensors")
    check(tensors, values)
    labels = dict(enumerate(values["labels"]))
    config = {
        "architectures": ["KWTForAudioClassification"],
        "model_type": "kwt",
        "hidden_size": values["d_model"],
        "num_hidden_layers": values["layers"],
        "num_attention_heads": values["heads"],
        "intermediate_size": values["mlp_dim"],
        "hidden_act": "gelu_pytorch_tanh",
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "initializer_range": 0.02,
        "layer_norm_eps": values["layer_norm_eps"],
        "max_length": values["frames"],
        "num_mfcc": values["n_mfcc"],
        "id2label": labels,
        "label2id": {label: number for number, label in labels.items()},
        "problem_type": "single_label_classification",
    }
    processor = {
        "feature_extractor_type": "KwtFeatureExtractor",
        "sampling_rate": RATE,
        "n_samples": (values["frames"] - 1) * values["frame_step"] + values["frame_len"],
        "win_length": values["frame_len"],
        "hop_length": values["frame_step"],
        "n_fft": TRANSFORM,
        "num_mel_bins": values["mel_bins"],
        "min_frequency": LOW,
        "max_frequency": HIGH,
        "mel_floor": values["log_floor"],
        "feature_size": values["n_mfcc"],
    }
    if processor["n_samples"] <= RATE < processor["n_samples"] + values["frame_step"]:
        processor["n_samples"] = RATE
    arguments.model.mkdir(parents=True, exist_ok=True)
    for name, content in (("config.json", config), ("preprocessor_config.json", processor)):
        (arguments.model / name).write_text(json.dumps(content, indent=2) + "\n")
    learnt = {name: it for name, it in tensors.items() if not name.startswith("frontend.")}
    named = {name if name.startswith("head.") else f"kwt.{name}": it for name, it in learnt.items()}
    save_file(named, arguments.model / "model.safetensors", metadata={"format": "pt"})
    (arguments.model / "model.safetensors").chmod(0o644)
    print(f"{arguments.model}: {sum(it.size for it in named.values()):,} parameters, {len(labels)} labels")


if __name__ == "__main__":
    main()
