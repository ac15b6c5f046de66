"""The command line ``asteroid-slicq``."""

from asteroid_slicq.cli.program import main

__all__ = ["main"]
