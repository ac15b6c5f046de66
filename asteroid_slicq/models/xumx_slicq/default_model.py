"""The model that ships with the package."""

from __future__ import annotations

from importlib import resources
from typing import cast

from asteroid.models import BaseModel

from asteroid_slicq.models.xumx_slicq.model import XUMXSliCQ


def load_default_model() -> XUMXSliCQ:
    """The model that ships with the package, ready to separate.

    It was trained on nothing but sounds that anyone may use, and may be used in products (MIT).

    Its card, ``weights/README.md`` beside this file, says what it was trained on and how it scores.

    Example:
        >>> load_default_model().sources
        ['bass', 'vocals', 'other', 'drums']
    """
    file = resources.files("asteroid_slicq") / "models/xumx_slicq/weights/free_stems.pth"
    with resources.as_file(file) as path:
        return cast(XUMXSliCQ, BaseModel.from_pretrained(str(path))).eval()
