"""Constant-Q transforms for neural audio separation: a plugin for Asteroid.

Importing the package registers its models and its filterbank with Asteroid, so that
``asteroid.models.BaseModel.from_pretrained`` and ``asteroid_filterbanks.make_enc_dec`` find them.
"""

from asteroid_slicq import registration

registration.heal()

from asteroid_slicq import losses, wiener  # noqa: E402
from asteroid_slicq.filterbank import SliCQTFB  # noqa: E402
from asteroid_slicq.hub import load_model  # noqa: E402
from asteroid_slicq.models.mixin import MiXiN  # noqa: E402
from asteroid_slicq.models.xumx_slicq import (  # noqa: E402
    Estimate,
    SeparatorStream,
    XUMXSliCQ,
    load_default_model,
)
from asteroid_slicq.transform import (  # noqa: E402
    NSGT,
    Frame,
    FrameConfig,
    SliCQT,
    SliCQTInverseStream,
    SliCQTStream,
    design_frame,
)

__version__ = "0.1.0"

__all__ = [
    "NSGT",
    "Estimate",
    "Frame",
    "FrameConfig",
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
