"""Exact conversion between layouts, see :func:`asteroid_slicq.transform.convert`."""

from asteroid_slicq.transform import convert

__all__ = ["convert"]
