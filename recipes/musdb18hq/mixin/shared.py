"""Puts what the recipes of this data set share on the path: the modules of xumx-sliCQ's.

It comes last there, so that this recipe's own ``train``, ``eval`` and ``system`` are found first.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "xumx_slicq"))
import quiet  # noqa: F401
