#!/usr/bin/env python3
"""fixtures/opus: a second of speech as Opus in its modes, and every 97th sample that libopus decodes of it, the mean of its channels, as
32-bit floats, little-endian.

    fixtures_opus.py SPEECH [ROOT]        needs numpy, soundfile; SPEECH is 1998-15444-0001 of LibriSpeech's test-other

Only the serial numbers of the streams are others each time: libsndfile draws them.
"""

import json
import sys
from pathlib import Path

import numpy
import soundfile

RATE, STEP = 48_000, 97
# The lower, the more bits: SILK alone for one channel, and for two a hybrid of SILK and CELT that becomes CELT alone.
LEVELS = {"silk": 0.98, "hybrid": 0.93}


def main(speech, root="."):
    folder = Path(root) / "fixtures" / "opus"
    folder.mkdir(parents=True, exist_ok=True)
    samples, rate = soundfile.read(speech, dtype="float32")
    assert rate == 16_000, rate
    # Opus files are decoded at the rate that they name: the three times as many samples have the same spectrum.
    second = numpy.fft.rfft(samples[rate : 2 * rate])
    mono = numpy.fft.irfft(numpy.pad(second, (0, RATE // 2 + 1 - len(second))), RATE) * 3
    sounds = {"silk": mono, "hybrid": numpy.stack([mono, numpy.roll(mono, 7000) / 2], axis=1)}
    for name, sound in sounds.items():
        path = folder / f"{name}.opus"
        soundfile.write(path, sound.astype("f4"), RATE, format="OGG", subtype="OPUS", compression_level=LEVELS[name])
        decoded = soundfile.read(path, dtype="float32", always_2d=True)[0].mean(axis=1)
        assert len(decoded) == RATE, len(decoded)
        (folder / f"{name}.f32").write_bytes(decoded[::STEP].astype("<f4").tobytes())
    versions = {module.__name__: module.__version__ for module in (numpy, soundfile)}
    versions |= {"libsndfile": soundfile.__libsndfile_version__, "libopus": "1.4, within libsndfile"}
    versions |= {"speech": "LibriSpeech 1998-15444-0001 (V. Panayotov et al. 2015), from 1 s to 2 s; CC BY 4.0"}
    (folder / "versions.json").write_text(json.dumps(versions, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
