"""Constant-Q transforms for neural audio separation: a plugin for Asteroid.

Importing the package registers its models and its filterbank with Asteroid, so that
``asteroid.models.BaseModel.from_pretrained`` and ``asteroid_filterbanks.make_enc_dec`` find them.
"""

from asteroid_slicq import host

host.heal()

from asteroid_slicq import losses, wiener  # noqa: E402
from asteroid_slicq.filterbank import SliCQTFB  # noqa: E402
from asteroid_slicq.frame import Frame, design_frame  # noqa: E402
from asteroid_slicq.mixin import MiXiN  # noqa: E402
from asteroid_slicq.nsgt import NSGT  # noqa: E402
from asteroid_slicq.pretrained import load_model  # noqa: E402
from asteroid_slicq.stream_separator import SeparatorStream  # noqa: E402
from asteroid_slicq.streaming import SliCQTInverseStream, SliCQTStream  # noqa: E402
from asteroid_slicq.transform import SliCQT  # noqa: E402
from asteroid_slicq.xumx import Estimate, XUMXSliCQ, load_default_model  # noqa: E402

__version__ = "0.1.0"

__all__ = [
    "NSGT",
    "Estimate",
    "Frame",
    "MiXiN",
    "SeparatorStream",
    "SliCQT",
    "SliCQTFB",
    "SliCQTInverseStream",
    "SliCQTStream",
    "XUMXSliCQ",
    "design_frame",
    "load_default_model",
    "load_model",
    "losses",
    "wiener",
]
