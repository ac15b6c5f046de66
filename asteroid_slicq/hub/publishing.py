"""Repository of a model on the Hugging Face Hub: its files, its upload, and what can fail."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from asteroid.models import BaseModel
from huggingface_hub import CommitOperationAdd, HfApi, ModelCard, constants, get_token
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled
from huggingface_hub.utils import validate_repo_id

from asteroid_slicq import registration
from asteroid_slicq.files import hidden_folder, replace_all
from asteroid_slicq.hub.card import make_card
from asteroid_slicq.hub.card_facts import CardFacts
from asteroid_slicq.hub.loading import (
    CONFIG_FILE,
    PICKLE_FILE,
    SAFETENSORS_FILE,
    ModelFileError,
    load_model,
    not_finite,
)
from asteroid_slicq.separation import fingerprint

CARD_FILE = "README.md"
EVALUATION_FILE = "evaluation.json"
FILES = (PICKLE_FILE, SAFETENSORS_FILE, CONFIG_FILE, CARD_FILE, EVALUATION_FILE)


class PublishError(ValueError):
    """Failure to publish a model; the message is one sentence for people."""


def describe(model: BaseModel) -> dict[str, Any]:
    """The ``config.json`` of a model: how it is built again, what it takes and what it gives."""
    conf = registration.plain_serialization(model.serialize())
    config = {
        "library_name": "asteroid",
        "model_name": conf["model_name"],
        "model_args": conf["model_args"],
        "sample_rate": model.sample_rate,
        "n_channels": model.in_channels,
        "sources": list(getattr(model, "sources", [])) or None,
        "n_parameters": sum(p.numel() for p in model.parameters()),
        "software_versions": conf["infos"]["software_versions"],
    }
    for key, value in conf["model_args"].items():
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise PublishError(f"{key} of the model must be what JSON holds: {error}") from error
    return config


def _stated(facts: CardFacts | None) -> dict[str, str]:
    """What a list of models shows of a card, for those who have no card at hand."""
    if facts is None:
        return {}
    data = facts.training_data
    stated = {"trained_on": data and data.title, "license": facts.stated_license}
    return {key: value for key, value in stated.items() if value}


def check_repo_id(repo_id: str) -> None:
    """Refuse, by a `PublishError`, a name that no repository of the Hub can have."""
    try:
        validate_repo_id(repo_id)
        is_valid = repo_id.count("/") == 1
    except HFValidationError:
        is_valid = False
    if not is_valid:
        raise PublishError(
            f"repository {repo_id}: must be user/name, each of letters, digits, '-', '_' and '.', "
            "without '--' and '..', and neither begin nor end with '-' or '.'"
        )


def write_repository(
    model: BaseModel,
    folder: Path,
    facts: CardFacts | None,
    evaluation: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> list[str]:
    """Write the files of a repository, all or none, and make sure that they load.

    The folder is made if it is not there. Without facts there is no card.

    Returns:
        The names of the files.

    Raises:
        PublishError: such files are there already, weights of the model are not finite, the scores
            are of another model, or the model does not come back from its files.
        OSError: it cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise PublishError(f"{folder}: is a file")
    there = [name for name in FILES if (folder / name).exists()]
    if there and not overwrite:
        raise PublishError(
            f"{folder}: holds {', '.join(there)}; replacing must be asked for (--overwrite, "
            "overwrite=True)"
        )
    if name := not_finite(model):
        raise PublishError(
            f"the weights {name} of the model hold NaN or infinity: its training failed"
        )
    config = {**describe(model), **_stated(facts)}
    scored = evaluation.get("model") if evaluation else None
    if scored is not None and scored != fingerprint(model):
        raise PublishError("the scores are of other weights, or of another mode of the model")
    card = None if facts is None else make_card(config, facts, evaluation)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # On the same disk; a folder that is there may be the only one that can be written to.
    beside = folder if folder.is_dir() else folder.parent
    with hidden_folder(beside / "publish") as partial:
        _write_weights(model, partial)
        _write_json(partial / CONFIG_FILE, config)
        if card is not None:
            (partial / CARD_FILE).write_text(str(card), encoding="utf-8")
        if evaluation is not None:
            _write_json(partial / EVALUATION_FILE, evaluation)
        _check_weights(model, partial)
        folder.mkdir(exist_ok=True)
        names = [name for name in FILES if (partial / name).is_file()]
        replace_all({partial / name: folder / name for name in names})
    return names


def check_access(repo_id: str, token: str | None = None) -> str:
    """Ask the Hub who the user is, before any work; by the token given or the one logged in.

    Returns:
        The name of the user.

    Raises:
        PublishError: no token, one that is not accepted, or no network.
    """
    check_repo_id(repo_id)
    with _explained(repo_id):
        if token is None and get_token() is None:
            raise PublishError(
                "no token of the Hugging Face Hub: log in with `hf auth login`, or set HF_TOKEN"
            )
        return HfApi(token=token).whoami()["name"]


def upload(
    folder: Path,
    repo_id: str,
    private: bool = False,
    *,
    token: str | None = None,
    keep_card: bool = False,
) -> str:
    """Create the repository where it is not there, and fill it in one commit.

    Args:
        folder: what :func:`write_repository` wrote.
        repo_id: ``user/name``.
        private: refuse to publish where everybody could read it.
        token: of the Hub; ``None`` for the one that is logged in.
        keep_card: leave a card that is there as it is.

    Returns:
        The address of the repository.

    Raises:
        PublishError: no rights, no network, or whatever else the Hub answers.
    """
    check_repo_id(repo_id)
    api = HfApi(token=token)
    names = [name for name in FILES if (folder / name).is_file()]
    with _explained(repo_id):
        _validate(ModelCard((folder / CARD_FILE).read_text(encoding="utf-8")), repo_id)
        url = api.create_repo(repo_id, private=private, exist_ok=True)
        if private and not api.model_info(repo_id).private:
            raise PublishError(f"repository {repo_id}: is there already, and public")
        if keep_card and api.file_exists(repo_id, CARD_FILE):
            names.remove(CARD_FILE)
        api.create_commit(
            repo_id,
            [CommitOperationAdd(name, folder / name) for name in names],
            commit_message="Publish a model with asteroid-slicq",
        )
    return str(url)


def _validate(card: ModelCard, repo_id: str) -> None:
    """Let the Hub read the header, before anything is there to be taken back."""
    try:
        card.validate()
    except HfHubHTTPError:
        raise
    except ValueError as error:
        raise PublishError(
            f"repository {repo_id}: the Hub refuses the card ({_line(error)})"
        ) from error


def _write_weights(model: BaseModel, folder: Path) -> None:
    from safetensors.torch import save

    conf = registration.plain_serialization(model.serialize())
    state = {name: tensor.detach().cpu() for name, tensor in conf["state_dict"].items()}
    torch.save({**conf, "state_dict": state}, folder / PICKLE_FILE)
    # The format has no tensors that share memory or have gaps.
    whole = {name: tensor.contiguous().clone() for name, tensor in state.items()}
    (folder / SAFETENSORS_FILE).write_bytes(save(whole, metadata={"format": "pt"}))


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def _check_weights(model: BaseModel, folder: Path) -> None:
    state = model.get_state_dict()
    sources = {PICKLE_FILE: folder / PICKLE_FILE, SAFETENSORS_FILE: folder}
    for name, source in sources.items():
        try:
            loaded = load_model(source)
        except ModelFileError as error:
            raise PublishError(
                f"the model does not come back from {name}: {error.reason}"
            ) from error
        other = loaded.get_state_dict()
        same = type(loaded) is type(model) and state.keys() == other.keys()
        if not (same and all(torch.equal(state[key].cpu(), other[key]) for key in state)):
            raise PublishError(f"the model that comes back from {name} is another one")


@contextmanager
def _explained(repo_id: str) -> Iterator[None]:
    """Turn whatever the client raises into one sentence."""
    try:
        yield
    except PublishError:
        raise
    except Exception as error:  # clients over the versions raise almost anything
        raise PublishError(f"repository {repo_id}: {_why(error)}") from error


def _why(error: BaseException) -> str:
    chain = [error]
    while chain[-1].__cause__ is not None:
        chain.append(chain[-1].__cause__)
    for each in chain:
        if isinstance(each, OfflineModeIsEnabled):
            return "HF_HUB_OFFLINE is set, so the Hub is not asked"
        if isinstance(each, HfHubHTTPError) and each.response is not None:
            return _why_refused(each)
    if any(_is_network(each) for each in chain):
        return f"the Hub cannot be reached at {constants.ENDPOINT} ({_line(chain[-1])})"
    return f"the Hub does not take it ({_line(error)})"


def _why_refused(error: HfHubHTTPError) -> str:
    status = error.response.status_code
    if status == 401:
        return "the Hub does not accept the token; log in again with `hf auth login`"
    if status == 403:
        return "the token has no right to write there"
    if status == 404:
        return "is not there, or the token may not see it"
    said = f"{status}: {' '.join((error.server_message or _line(error)).split())}"
    return f"the Hub fails ({said})" if status >= 500 else f"the Hub refuses it ({said})"


def _is_network(error: BaseException) -> bool:
    """Errors of the clients that the versions of ``huggingface_hub`` use, and of sockets."""
    if isinstance(error, (ConnectionError, TimeoutError)):
        return True
    return any(
        base.__module__.split(".")[0] in ("httpx", "httpx2", "requests")
        and base.__name__ in ("RequestError", "RequestException")
        for base in type(error).__mro__
    )


def _line(error: BaseException) -> str:
    """Message of an error, as one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2]) or type(error).__name__
