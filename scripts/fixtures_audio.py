"""fixtures/audio: sounds in several formats as libsndfile reads them, resampled by torchaudio's formula, and the features that
transformers' extractors make of them. Numbers are 32-bit floats, little-endian."""

import math
from pathlib import Path

import numpy
import soundfile
import transformers
from scipy.special import i0

from fixtures_common import fresh_folder, write_json

RATE = 16_000


def save(path, values):
    Path(path).write_bytes(numpy.asarray(values, dtype="<f4").tobytes())


def resample(samples, old, new, zeros=64, rolloff=0.9475937167399596, beta=14.769656459379492):
    """torchaudio.functional.resample with `sinc_interp_kaiser`, in double precision."""
    divisor = math.gcd(old, new)
    old, new = old // divisor, new // divisor
    base = min(old, new) * rolloff
    width = math.ceil(zeros * old / base)
    index = numpy.arange(-width, width + old, dtype=numpy.float64)[None, :] / old
    t = numpy.arange(0, -new, -1, dtype=numpy.float64)[:, None] / new + index
    t = numpy.clip(t * base, -zeros, zeros)
    window = i0(beta * numpy.sqrt(1 - (t / zeros) ** 2)) / i0(beta)
    kernels = numpy.sinc(t) * window * base / old
    padded = numpy.pad(samples.astype(numpy.float64), (width, width + old))
    steps = (len(padded) - kernels.shape[1]) // old + 1
    pieces = numpy.stack([padded[i * old : i * old + kernels.shape[1]] for i in range(steps)])
    return (pieces @ kernels.T).reshape(-1)[: math.ceil(new * len(samples) / old)]


def tone():
    """A quarter of a second with a beginning, an end, and several frequencies."""
    at = numpy.arange(RATE // 4) / RATE
    envelope = numpy.sin(numpy.pi * at / at[-1]) ** 2
    return (envelope * (0.4 * numpy.sin(2 * numpy.pi * 440 * at) + 0.2 * numpy.sin(2 * numpy.pi * 1300 * at * (1 + at)))).astype("f4")


def cepstra(samples, length, coefficients=40, piece=480, hop=160, size=512, bins=80, low=20.0, high=7600.0, floor=1e-12):
    """What KWT's published graph computes of `length` samples (Berg et al. 2021, as google-research's kws_streaming has it): a periodic
    Hann window, magnitudes, triangles on HTK's mel scale, logarithms, an orthogonal cosine transform of type 2."""
    sound = numpy.zeros(length)
    sound[: min(length, len(samples))] = samples[:length]
    starts = range(0, length - piece + 1, hop)
    window = 0.5 - 0.5 * numpy.cos(2 * numpy.pi * numpy.arange(piece) / piece)
    magnitudes = numpy.abs(numpy.fft.rfft(numpy.stack([sound[i : i + piece] * window for i in starts]), size))
    mel = lambda hertz: 1127.0 * numpy.log(1 + hertz / 700.0)
    places, corners = mel(numpy.arange(size // 2 + 1) * RATE / size), numpy.linspace(mel(low), mel(high), bins + 2)
    left, middle, right = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    filters = numpy.maximum(0, numpy.minimum((places - left) / (middle - left), (right - places) / (right - middle)))
    logs = numpy.log(numpy.maximum(magnitudes @ filters.T, floor))
    cosines = numpy.cos(numpy.pi * numpy.arange(coefficients)[:, None] * (2 * numpy.arange(bins) + 1) / (2 * bins)) * numpy.sqrt(2 / bins)
    return logs @ cosines.T


def make(root):
    folder = fresh_folder(Path(root) / "audio")
    for name, kind, subtype in [("tone.flac", "FLAC", "PCM_16"), ("tone.ogg", "OGG", "VORBIS"), ("tone.mp3", "MP3", None)]:
        soundfile.write(folder / name, tone(), RATE, format=kind, subtype=subtype)
        save(folder / f"{name}.f32", soundfile.read(folder / name, dtype="float32")[0])
    random = numpy.random.default_rng(20240613)
    noise = (random.standard_normal(4000) * 0.1 + 0.05 * numpy.sin(numpy.arange(4000) / 7) + 0.02).astype("f4")
    save(folder / "noise.f32", noise)
    for old, new in [(8000, 16_000), (44_100, 16_000), (48_000, 16_000), (11_025, 16_000), (22_050, 8000)]:
        save(folder / f"noise_{old}_{new}.f32", resample(noise, old, new))
    extractor = transformers.Wav2Vec2FeatureExtractor()
    save(folder / "noise_normalised.f32", extractor(noise, sampling_rate=RATE).input_values[0])
    long = numpy.tile(noise, 20)
    for name, extractor in [
        ("whisper", transformers.WhisperFeatureExtractor(chunk_length=1)),
        ("seamless", transformers.SeamlessM4TFeatureExtractor(num_mel_bins=16, feature_size=16, padding_value=1.0)),
        ("ast", transformers.ASTFeatureExtractor(num_mel_bins=16, max_length=40, mean=-6.5, std=3.25)),
    ]:
        extractor.save_pretrained(folder)
        (folder / "preprocessor_config.json").rename(folder / f"{name}_preprocessor_config.json")
        key, features = {"whisper": ("input_features", "log_mel"), "ast": ("input_values", "filter_bank"),
                         "seamless": ("input_features", "stacked")}[name]
        for ending, samples in [("", noise), ("_long", long)]:
            save(folder / f"noise_{features}{ending}.f32", extractor(samples, sampling_rate=RATE)[key][0])
    extractor = transformers.SeamlessM4TFeatureExtractor(num_mel_bins=16, feature_size=16, padding_value=1.0)
    both = extractor([noise, long[:6500]], sampling_rate=RATE)
    save(folder / "noise_stacked_both.f32", both["input_features"])
    write_json(folder / "noise_stacked_mask.json", numpy.asarray(both["attention_mask"]).tolist())
    write_json(folder / "kwt_preprocessor_config.json", {"feature_extractor_type": "KwtFeatureExtractor", "n_samples": 6400})
    for ending, samples in [("", noise), ("_long", long)]:
        save(folder / f"noise_cepstra{ending}.f32", cepstra(samples, 6400))
    versions = {m.__name__: m.__version__ for m in (numpy, soundfile, transformers)}
    write_json(folder / "versions.json", versions | {"libsndfile": soundfile.__libsndfile_version__})
