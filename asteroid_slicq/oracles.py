"""Oracle separation, see :func:`asteroid_slicq.evaluation.oracle`."""

from asteroid_slicq.evaluation import oracle

__all__ = ["oracle"]
