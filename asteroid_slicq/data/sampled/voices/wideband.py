"""Lines in Japanese by Open JTalk, whose voice was recorded at 48 kHz and is heard up to 20 kHz."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile

from asteroid_slicq.data.sampled.voices.speech import Audio, Rng, Speaker

_DICTIONARY = Path("/var/lib/mecab/dic/open-jtalk/naist-jdic")
#: All-pass constants: the formants of the voice as it is, of a shorter and of a longer tract.
_TRACTS = {"mei": 0.55, "mei_short": 0.51, "mei_long": 0.59}
#: Made-up lines are four to six of these.
_WORDS = (
    "ひかりの まちで きみを まって あめが やんだら うみへ いこう とおい そらの ほしを かぞえて "
    "ゆめの なかで うたう こえが かぜに のって どこまでも つづく みちを あるいて ねむれない よるに "
    "なまえを よんで わらって ないて もういちど はるの はなが さいて さよなら また あえる ひまで"
)


def wideband_speakers(folder: Path) -> Iterator[Speaker]:
    """A woman, and the same with two other tracts; none without Open JTalk and its dictionary.

    Args:
        folder: of the file ``mei_normal.htsvoice``.
    """
    program, voice = shutil.which("open_jtalk"), folder / "mei_normal.htsvoice"
    if program is None or not voice.is_file() or not _DICTIONARY.is_dir():
        return
    for name, tract in _TRACTS.items():
        command = [program, "-x", str(_DICTIONARY), "-m", str(voice), "-a", f"{tract}"]

        def say(rng: Rng, command: list[str] = command) -> tuple[Audio, int]:
            words = rng.choice(_WORDS.split(), int(rng.integers(4, 7)))
            speed = f"{rng.uniform(0.75, 1.0):.2f}"
            with TemporaryDirectory() as scratch:
                file = Path(scratch) / "line.wav"
                subprocess.run(
                    [*command, "-r", speed, "-ow", str(file)],
                    input="".join(words).encode(),
                    capture_output=True,
                    check=True,
                )
                samples, rate = soundfile.read(file, dtype="float64")
            return np.asarray(samples, np.float64), rate

        yield Speaker(name, "mei", False, say)
