"""Models with the Hub's usual methods."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from asteroid import models

from asteroid_slicq.registration.checkpoints import plain_serialization
from asteroid_slicq.registration.eight_bits import from_eight_bits

if TYPE_CHECKING:
    from typing_extensions import Self


class Hub(Protocol):
    """The room ``hub`` as models call it: it stands above them, so it makes itself known here."""

    def read(self, spec: Any, revision: Any, cache_dir: Any, token: Any) -> dict[str, Any]:
        """Serialised model from a file, a folder or the Hub."""
        ...

    def save(self, model: models.BaseModel, folder: Any) -> None:
        """Write a model's files into a folder."""
        ...

    def push(
        self, model: models.BaseModel, repo_id: str, private: Any, token: Any, about: dict[str, Any]
    ) -> str:
        """Write a model into a repository of the Hub; its address."""
        ...


_hub: list[Hub] = []


def register_hub(hub: Hub) -> None:
    """Let models load and share themselves by the room ``hub``."""
    _hub[:] = [hub]


class Shareable(models.BaseModel):
    """A model with the Hub's usual methods: ``from_pretrained``, ``save_pretrained``, and so on."""

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_conf_or_path: Any,
        *args: Any,
        revision: str | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        token: str | bool | None = None,
        **kwargs: Any,
    ) -> Self:
        """A model of this class from the Hub, a folder or a file, ready to separate.

        Weights come from ``model.safetensors`` where it is there, else from ``pytorch_model.bin``;
        nothing that is read runs as code. ``BaseModel.from_pretrained`` stays Asteroid's.

        Args:
            pretrained_model_conf_or_path: an id of the Hub (``user/name`` or
                ``user/name@revision``), a folder, a file, or what ``serialize`` returned.
            *args: of the class.
            revision: branch, tag or commit on the Hub.
            cache_dir: of files of the Hub; ``None`` for the usual one, under ``HF_HOME``.
            token: of the Hub; ``None`` for the one that is logged in.
            **kwargs: arguments of the class that replace the model's.

        Raises:
            ValueError: what was found holds no model of this class, or more than a model.
            OSError: it cannot be read or downloaded; of the Hub, an error of ``huggingface_hub``.
        """
        if isinstance(pretrained_model_conf_or_path, Mapping):
            return super().from_pretrained(pretrained_model_conf_or_path, *args, **kwargs)
        conf = _hub[0].read(pretrained_model_conf_or_path, revision, cache_dir, token)
        name = conf["model_name"]
        if name not in {each.__name__ for each in (cls, *_subclasses(cls))}:
            raise ValueError(
                f"{pretrained_model_conf_or_path} holds a {name}, not a {cls.__name__}; "
                "asteroid_slicq.load_model takes any model"
            )
        return super().from_pretrained(conf, *args, **kwargs).eval()

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Take weights in 8 bits, too, also as a part of another module.

        PyTorch calls it with a copy of the state dict, from which parts of the model load next.
        """
        try:
            whole = from_eight_bits(state_dict)
        except ValueError as error:
            error_msgs.append(f"{error}.")
        else:
            for name in state_dict.keys() - whole.keys():
                del state_dict[name]
            state_dict.update(whole)
        super()._load_from_state_dict(
            state_dict,
            prefix,
            local_metadata,
            strict,
            missing_keys,
            unexpected_keys,
            error_msgs,
        )

    def serialize(self) -> dict[str, Any]:
        """The model as a dictionary of plain types and tensors, for ``torch.save``."""
        return plain_serialization(super().serialize())

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write ``model.safetensors``, ``config.json`` and ``pytorch_model.bin`` into a folder.

        Files of these names are replaced; the folder is made if it is not there.

        Raises:
            ValueError: weights are not finite, or the model does not come back from its files.
            OSError: it cannot be written.
        """
        _hub[0].save(self, folder)

    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool = False,
        token: str | None = None,
        trained_on: str | None = None,
        license: str | None = None,
    ) -> str:
        """Write the model into a repository of the Hub, which is made if it is not there.

        It gets a card where it has none. ``asteroid-slicq publish`` writes scores and settings of
        the training into the card, too.

        Args:
            repo_id: ``user/name``.
            private: refuse to publish where everybody could read it.
            token: of the Hub; ``None`` for the one that is logged in.
            trained_on: what it was trained on, for the card: ``musdb18-hq``, or a title.
            license: of the weights, an identifier of the Hub.

        Returns:
            The address of the repository.

        Raises:
            ValueError: no rights, no network, or what else keeps it from being published.
        """
        about = {"trained_on": trained_on, "license": license}
        return _hub[0].push(self, repo_id, private, token, about)


def _subclasses(cls: type) -> Iterator[type]:
    for each in cls.__subclasses__():
        yield each
        yield from _subclasses(each)
