"""Models as rows of a list: presets, what ships with the package, and folders."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from asteroid_slicq.catalogue.headers import Header, HeaderError, read_header

_PACKAGE = Path(__file__).resolve().parents[1]
_FILES = (".pth", ".pt", ".bin", ".ckpt", ".safetensors")
_TRAINED_ON = re.compile(r"^Trained on (.+?)\.$", re.MULTILINE)


@dataclass(frozen=True)
class Entry:
    """A model, or what is wrong with its file.

    Attributes:
        name: what ``asteroid-slicq separate --model`` takes.
        where: ``preset``, ``ships``, ``hub``, ``asteroid`` or ``folder``.
        path: of its file; a preset has none.
        model: its class.
        n_parameters: numbers in its weights.
        n_bytes: size of its file.
        sources: names of its sources.
        sources_on_demand: names of further ones, which it gives where ``--stems`` names them.
        sample_rate: in Hz.
        causal: whether it runs on a stream.
        latency_s: of such a stream, in seconds.
        trained_on: what it was trained on, as its card says.
        license: of the weights, as its card says.
        seconds_per_second: seconds of work for a second of audio, on two processors.
        problem: why it cannot be read.
    """

    name: str
    where: str
    path: str | None = None
    model: str | None = None
    n_parameters: int | None = None
    n_bytes: int | None = None
    sources: tuple[str, ...] = ()
    sources_on_demand: tuple[str, ...] = ()
    sample_rate: float | None = None
    causal: bool | None = None
    latency_s: float | None = None
    trained_on: str | None = None
    license: str | None = None
    seconds_per_second: float | None = None
    problem: str | None = None

    def plain(self) -> dict[str, Any]:
        """The entry as JSON holds it."""
        return asdict(self)


@dataclass(frozen=True)
class _Preset:
    """Facts that take PyTorch to find; a test holds them against the models."""

    model: str
    n_parameters: int
    latency_s: float | None = None
    speed: float | None = None
    sources: tuple[str, ...] = field(default=("bass", "vocals", "other", "drums"))


_STEMS = ("vocals", "drums", "bass", "other")
PRESETS = {
    "v2": _Preset("XUMXSliCQ", 15_010_446, speed=0.035),
    "v2-realtime": _Preset("XUMXSliCQ", 15_010_446, 0.768, 0.026),
    "v2-lstm": _Preset("XUMXSliCQ", 976_218, speed=0.532),
    "v1": _Preset("XUMXSliCQ", 6_671_856, speed=0.125),
    "v1-lstm": _Preset("XUMXSliCQ", 964_466, speed=0.183),
    "large": _Preset("XUMXSliCQ", 10_747_198, speed=0.052),
    "medium": _Preset("XUMXSliCQ", 4_860_926, speed=0.056),
    "small": _Preset("XUMXSliCQ", 1_708_094, speed=0.027),
    "bandsplit": _Preset("BandSplit", 3_474_000, speed=0.332, sources=_STEMS),
    "bandsplit-small": _Preset("BandSplit", 1_063_248, speed=0.107, sources=_STEMS),
    "bandsplit-large": _Preset("BandSplit", 11_699_280, sources=_STEMS),
    "bandsplit-realtime": _Preset("BandSplit", 2_228_688, 0.563, 0.167, sources=_STEMS),
}
"""Presets; speeds are those of ``docs/benchmarks.md``, by ``benchmarks/separator.py``."""

SHIPPED = ("default", "models/xumx_slicq/weights/free_stems.pth")
SHIPPED_TRAINED_ON, SHIPPED_LICENSE = "free sounds and voices (recipes/free_stems)", "mit"

HPSS = Entry(
    "hpss",
    "ships",
    model="HPSS",
    n_parameters=0,
    n_bytes=0,
    sources=("harmonic", "percussive"),
    sources_on_demand=("vocals",),
    sample_rate=44100.0,
    causal=False,
    trained_on="nothing: it has no weights",
    license="mit",
)
"""Harmonic/percussive separation, which a test holds against the model."""


def presets() -> list[Entry]:
    """Configurations without trained weights, to train or to convert weights for."""
    return [
        Entry(
            name,
            "preset",
            model=preset.model,
            n_parameters=preset.n_parameters,
            sources=preset.sources,
            sample_rate=44100.0,
            causal=preset.latency_s is not None,
            latency_s=preset.latency_s,
            seconds_per_second=preset.speed,
        )
        for name, preset in PRESETS.items()
    ]


def shipped() -> list[Entry]:
    """The models that ship with the package."""
    name, file = SHIPPED
    entry = of_file(name, "ships", _PACKAGE / file)
    facts = {"trained_on": SHIPPED_TRAINED_ON, "license": SHIPPED_LICENSE}
    trained = [replace(entry, **facts, seconds_per_second=PRESETS["large"].speed)] if entry else []
    return [*trained, HPSS]


def in_folder(folder: Path) -> list[Entry]:
    """The models in a folder and below: files, and folders as they are published.

    What is whole but no model of Asteroid's is left out.
    """
    entries = []
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in _FILES and p.is_file()):
        published = path.name in ("pytorch_model.bin", "model.safetensors")
        if path.name == "pytorch_model.bin" and path.with_name("model.safetensors").is_file():
            continue  # the same once more
        name = str(path.parent if published else path)
        entry = of_file(name, "folder", path, path.with_name("config.json"))
        entries += [] if entry is None else [entry]
    return entries


def of_file(name: str, where: str, path: Path, config: Path | None = None) -> Entry | None:
    """The entry of a file; ``None`` for one that is whole, but no model of Asteroid's."""
    entry = Entry(name, where, str(path))
    try:
        entry = replace(entry, n_bytes=path.stat().st_size)
        header = read_header(path, config if config and config.is_file() else None)
    except HeaderError as error:
        return replace(entry, problem=str(error))
    except OSError as error:
        return replace(entry, problem=f"cannot be read ({error.strerror or error})")
    if header is None:
        return None
    causal = header.model_args.get("causal")
    card = {**read_card(path.with_name("README.md")), **header.about}
    return replace(
        entry,
        model=header.model_name,
        n_parameters=header.n_parameters,
        sources=header.sources,
        sample_rate=header.sample_rate,
        causal=causal if isinstance(causal, bool) else None,
        latency_s=_latency_s(header),
        trained_on=card.get("trained_on"),
        license=card.get("license"),
    )


def read_card(path: Path) -> dict[str, str]:
    """What a card says of the training and the licence; nothing where there is no card to read."""
    try:
        text = path.read_text(encoding="utf-8")
        _, header, body = text.split("---\n", 2) if text.startswith("---\n") else ("", "", text)
        facts = yaml.safe_load(header) or {}
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    if not isinstance(facts, dict):
        return {}
    title = _TRAINED_ON.search(body)
    data = facts.get("datasets")
    trained_on = title[1] if title else ", ".join(map(str, data)) if isinstance(data, list) else ""
    stated = {"trained_on": trained_on.replace("`", ""), "license": facts.get("license")}
    return {key: value for key, value in stated.items() if isinstance(value, str) and value}


def _latency_s(header: Header) -> float | None:
    """That of the preset with the same number of parameters, where its frame is the default."""
    if not header.model_args.get("causal"):
        return None
    return next(
        (
            preset.latency_s
            for preset in PRESETS.values()
            if preset.latency_s
            and (preset.model, preset.n_parameters) == (header.model_name, header.n_parameters)
        ),
        None,
    )
