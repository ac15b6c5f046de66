"""Facts for a model card that the files of the model do not hold."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from asteroid_slicq.vocabulary import SUMS_OF_STEMS


class Dataset(NamedTuple):
    """A data set to train or evaluate on.

    Attributes:
        id: as the Hub spells it; ``None`` where the Hub has none.
        title: for people.
        license: of the weights that come of it, unless their owner says otherwise.
        is_academic: whether it was published for non-commercial use alone.
    """

    id: str | None
    title: str
    license: str | None = None
    is_academic: bool = False


# The strictest licence among MUSDB18's tracks is CC BY-NC-SA 4.0.
_MUSDB = {"license": "cc-by-nc-sa-4.0", "is_academic": True}
_MUSDB18_HQ = Dataset("musdb18-hq", "MUSDB18-HQ", **_MUSDB)
DATASETS = {
    "musdb18-hq": _MUSDB18_HQ,
    "musdb18hq": _MUSDB18_HQ,
    "musdb18": Dataset("musdb18", "MUSDB18", **_MUSDB),
    "procedural": Dataset(None, "procedural stems (`asteroid-slicq synth`)", "mit"),
    "free-stems": Dataset(
        None,
        "songs composed by `asteroid-slicq synth`, played by synthesisers and from recordings and "
        "voices under MIT, CC0, BSD-like, CC-BY and Apache licences, which "
        "`asteroid-slicq sounds list` names",
        "mit",
    ),
}
"""Those with a short name; any other is named by its title."""


class Architecture(NamedTuple):
    """Facts about a model that its name alone tells.

    Attributes:
        text: what it does, in sentences.
        papers: where that comes from, in Markdown.
        channelwise: whether it takes any number of channels and separates each for itself.
    """

    text: str
    papers: tuple[str, ...]
    channelwise: bool = False


ARCHITECTURES = {
    "XUMXSliCQ": Architecture(
        "A small network on every block of a sliCQ transform makes a mask for each source.",
        (
            'Hanssian, "Music demixing with the sliCQ transform", '
            "[arXiv:2112.05509](https://arxiv.org/abs/2112.05509)",
        ),
    ),
    "BandSplit": Architecture(
        "The overlap-added sliCQ transform, or the STFT, is split into bands; layers along time "
        "and along bands let them hear each other, and heads make a mask for each source and band.",
        (
            'Luo, Yu, "Music source separation with band-split RNN", '
            "[arXiv:2209.15174](https://arxiv.org/abs/2209.15174), for the split into bands",
            'Lu, Wang, Kong, Hung, "Music source separation with band-split RoPE transformer", '
            "[arXiv:2309.02612](https://arxiv.org/abs/2309.02612), for attention",
        ),
    ),
    "PerTarget": Architecture(
        "Each source has a network and a transform of its own: sliCQ transforms whose scales, bins "
        "and slices differ.",
        (
            'Hanssian, "Music demixing with the sliCQ transform", '
            "[arXiv:2112.05509](https://arxiv.org/abs/2112.05509)",
        ),
    ),
    "NMF": Architecture(
        "The spectrogram of a mix is explained by dictionaries of spectra, one for each source, "
        "whose mask is its share of what they explain.",
        (
            'Févotte, Bertin, Durrieu, "Nonnegative matrix factorization with the Itakura-Saito '
            'divergence" (Neural Computation 2009)',
            'Lee, Seung, "Algorithms for non-negative matrix factorization" (NIPS 2000)',
        ),
        channelwise=True,
    ),
    "UNet": Architecture(
        "A convolutional network with skip connections for each source masks the magnitudes of the "
        "mix, of an STFT or of the matrix of a sliCQ transform.",
        (
            'Jansson, Humphrey, Montecchio, Bittner, Kumar, Weyde, "Singing voice separation with '
            'deep U-Net convolutional networks" (ISMIR 2017)',
        ),
    ),
    "WaveUNet": Architecture(
        "Convolutions over the waveform, which is decimated and interpolated again.",
        (
            'Stoller, Ewert, Dixon, "Wave-U-Net: a multi-scale neural network for end-to-end audio '
            'source separation", [arXiv:1806.03185](https://arxiv.org/abs/1806.03185)',
        ),
    ),
    "MiXiN": Architecture(
        "A convolutional denoising autoencoder for each source estimates its magnitudes from those "
        "of the mix, on the matrix of a nonstationary Gabor transform (NSGT).",
        (
            'Grais, Plumbley, "Single channel audio source separation using convolutional '
            'denoising autoencoders", [arXiv:1703.08019](https://arxiv.org/abs/1703.08019), '
            "for the networks",
            'FitzGerald, "Harmonic/percussive separation using median filtering" (DAFx 2010), '
            "for the soft masks",
            'Hanssian, "MiXiN, music extraction with nonstationary Gabor transforms" '
            "(2021, software), for the whole",
        ),
        channelwise=True,
    ),
}
"""Those of this package, by their names."""


@dataclass(frozen=True)
class CardFacts:
    """Facts about a model that its files do not hold.

    Attributes:
        repo_id: ``user/name`` on the Hub.
        trained_on: a key of :data:`DATASETS`, or a title; ``None``: not stated.
        evaluated_on: the same, of the scores; ``None``: that of the training.
        license: an identifier of the Hub's list; ``None``: what the data set asks for, if anything.
        language: an ISO code; ``None`` for music without.
        training_settings: by section, see :func:`read_training_settings`.
    """

    repo_id: str
    trained_on: str | None = None
    evaluated_on: str | None = None
    license: str | None = None
    language: str | None = None
    training_settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def training_data(self) -> Dataset | None:
        """Data that it was trained on."""
        return find_dataset(self.trained_on)

    @property
    def evaluation_data(self) -> Dataset | None:
        """Data that it was evaluated on."""
        return find_dataset(self.evaluated_on) or self.training_data

    @property
    def stated_license(self) -> str | None:
        """The licence of the weights."""
        data = self.training_data
        return self.license or (data.license if data else None)


def find_dataset(name: str | None) -> Dataset | None:
    """The data set of that short name, or one with that title."""
    return None if name is None else DATASETS.get(name.lower(), Dataset(None, name))


def sums_of_stems(sources: Sequence[str] | None) -> str:
    """Describe, in words, sources that are sums of stems of MUSDB18; empty where there are none.

    >>> sums_of_stems(["harmonic", "percussive", "vocals"])
    'harmonic is bass + other, percussive is drums'
    """
    names = [name for name in sources or () if name in SUMS_OF_STEMS]
    return ", ".join(f"{name} is {' + '.join(SUMS_OF_STEMS[name])}" for name in names)


def read_evaluation(path: Path) -> dict[str, Any]:
    """Read what the recipe's ``eval.py`` wrote: ``scores[kind][measure][source or "mean"]``.

    The kind ``model`` is that of the model; others, such as an oracle, are there to compare with.

    Raises:
        ValueError: it holds anything else.
        OSError: it cannot be read.
    """
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: is no JSON ({error})") from error
    scores = report.get("scores") if isinstance(report, dict) else None
    if not isinstance(scores, dict) or not isinstance(scores.get("model"), dict):
        raise ValueError(f'{path}: must hold scores["model"], as eval.py of the recipe writes it')
    for kind, measures in scores.items():
        for values in measures.values() if isinstance(measures, dict) else [None]:
            if not isinstance(values, dict) or not all(map(_is_score, values.values())):
                raise ValueError(f'{path}: scores["{kind}"] must hold numbers by measure, source')
    return report


def read_training_settings(path: Path) -> dict[str, Any]:
    """Read the ``conf.yml`` of a run, without what tells about its machine and folders.

    Raises:
        ValueError: it holds no sections.
        OSError: it cannot be read.
    """
    try:
        conf = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (ValueError, yaml.YAMLError) as error:
        raise ValueError(f"{path}: is no YAML") from error
    if not isinstance(conf, dict) or not all(isinstance(part, dict) for part in conf.values()):
        raise ValueError(f"{path}: must hold sections of settings, as train.py of the recipe does")
    return {
        section: {key: value for key, value in part.items() if not _is_private(key, value)}
        for section, part in conf.items()
        if section not in ("main_args", "run")
    }


def _is_score(value: Any) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return value is None or (is_number and math.isfinite(value))


def _is_private(key: str, value: Any) -> bool:
    is_path = isinstance(value, str) and ("/" in value or "\\" in value)
    return is_path or key.endswith(("_dir", "_path"))
