"""Constant-Q transforms for neural audio separation: a plugin for Asteroid.

Importing the package registers its models and its filterbank with Asteroid, so that
``asteroid.models.BaseModel.from_pretrained`` and ``asteroid_filterbanks.make_enc_dec`` find them.
"""

import os
import sys
from typing import TYPE_CHECKING

__version__ = "0.1.0"

__all__ = [
    "NSGT",
    "BandSplit",
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
    "separate_files",
    "wiener",
]


def _is_command_line() -> bool:
    """Tell whether this process runs ``asteroid-slicq`` or ``python -m asteroid_slicq``.

    Such a process runs no code but that of the package, whose commands import the rooms that they
    need: its ``--help`` does not wait for PyTorch. A process that is not recognised loads all.
    """
    program = sys.argv[0] if sys.argv else ""
    if program == "-m":  # Python is on its way to __main__
        words = sys.orig_argv
        return words[words.index("-m") + 1 :][:1] == ["asteroid_slicq"]
    name = os.path.join(os.path.basename(os.path.dirname(program)), os.path.basename(program))
    if name == os.path.join("asteroid_slicq", "__main__.py"):  # in a process that this one starts
        return True
    return os.path.basename(program) in ("asteroid-slicq", "asteroid-slicq.exe")


if TYPE_CHECKING or not _is_command_line():
    from asteroid_slicq import losses, wiener
    from asteroid_slicq.filterbank import SliCQTFB
    from asteroid_slicq.hub import load_model
    from asteroid_slicq.jobs import separate_files
    from asteroid_slicq.models.bandsplit import BandSplit
    from asteroid_slicq.models.mixin import MiXiN
    from asteroid_slicq.models.xumx_slicq import (
        Estimate,
        SeparatorStream,
        XUMXSliCQ,
        load_default_model,
    )
    from asteroid_slicq.transform import (
        NSGT,
        Frame,
        FrameConfig,
        SliCQT,
        SliCQTInverseStream,
        SliCQTStream,
        design_frame,
    )
else:
    import signal

    # While it starts there is nothing to clean up, and no import survives an exception anywhere.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, lambda *_: os._exit(130))
