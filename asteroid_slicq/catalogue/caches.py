"""Models in the caches of the Hugging Face Hub and of Asteroid."""

from __future__ import annotations

import os
from pathlib import Path

from asteroid_slicq.catalogue.entries import Entry, of_file


def hub_cache() -> Path:
    """Folder of the Hub's cache, by the variables that ``huggingface_hub`` reads."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if os.environ.get(name):
            return Path(os.environ[name]).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("HF_HOME") or os.path.join(cache, "huggingface")
    return Path(home).expanduser() / "hub"


def asteroid_cache() -> Path:
    """Folder of Asteroid's cache, where its downloads lie, those of the Hub too."""
    folder = os.environ.get("ASTEROID_CACHE") or "~/.cache/torch/asteroid"
    return Path(folder).expanduser()


def in_hub_cache(folder: Path, where: str = "hub") -> list[Entry]:
    """The models of Asteroid's among the repositories in a cache of the Hub, one a revision.

    The newest that was downloaded of a branch goes by the repository's name, others by
    ``name@commit``. Repositories of other libraries are left out.
    """
    entries = []
    for repository in sorted(folder.glob("models--*")):
        name = repository.name.removeprefix("models--").replace("--", "/", 1)
        current = _main_revision(repository)
        for snapshot in sorted((repository / "snapshots").glob("*")):
            title = name if snapshot.name == current else f"{name}@{snapshot.name}"
            entry = _of_snapshot(title, where, snapshot)
            entries += [] if entry is None else [entry]
    return entries


def in_asteroid_cache(folder: Path) -> list[Entry]:
    """The models in Asteroid's cache: files by their address, and a cache of the Hub."""
    entries = in_hub_cache(folder, "asteroid")
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        parts = path.relative_to(folder).parts
        if parts[0].startswith(("models--", ".")) or not path.is_file():
            continue
        if path.suffix.lower() in (".json", ".lock", ".txt", ".md"):
            continue
        entry = of_file(str(path), "asteroid", path)
        entries += [] if entry is None else [entry]
    return entries


def _main_revision(repository: Path) -> str | None:
    try:
        return (repository / "refs" / "main").read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return None


def _of_snapshot(name: str, where: str, snapshot: Path) -> Entry | None:
    config = snapshot / "config.json"
    weights, pickled = snapshot / "model.safetensors", snapshot / "pytorch_model.bin"
    if weights.exists() and config.exists():
        entry = of_file(name, where, weights, config)
        if entry is not None:
            return entry
    if not os.path.lexists(pickled):
        return None
    entry = of_file(name, where, pickled)
    is_foreign = config.exists()  # ours have a .safetensors beside it, Asteroid's no config.json
    return None if entry is not None and entry.problem and is_foreign else entry
