"""Methods of models that load and share them: what :class:`registration.Shareable` calls."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from asteroid.models import BaseModel

from asteroid_slicq.files import given_path
from asteroid_slicq.hub.card_facts import CardFacts
from asteroid_slicq.hub.loading import find_model, read_model_file


def read(
    spec: str | os.PathLike[str],
    revision: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    token: str | bool | None = None,
) -> dict[str, Any]:
    """Serialised model from a file, a folder or the Hub, by way of the Hub's own cache."""
    options = {"revision": revision, "cache_dir": cache_dir, "token": token}
    return read_model_file(*find_model(spec, **options))


def save(model: BaseModel, folder: str | os.PathLike[str]) -> None:
    """Write a model's files into a folder, over those that are there."""
    from asteroid_slicq.hub.publishing import write_repository

    write_repository(model, given_path(folder, "folder"), None, overwrite=True)


def push(
    model: BaseModel,
    repo_id: str,
    private: bool,
    token: str | None,
    about: dict[str, Any],
) -> str:
    """Write a model into a repository of the Hub; a card that is there stays.

    A new one has the fields ``about`` of :class:`CardFacts`, too.
    """
    from asteroid_slicq.hub.publishing import check_access, upload, write_repository

    check_access(repo_id, token)
    facts = CardFacts(repo_id, **about)
    with TemporaryDirectory(prefix="asteroid-slicq-") as temporary:
        folder = Path(temporary) / "repository"
        write_repository(model, folder, facts)
        return upload(folder, repo_id, private, token=token, keep_card=True)
