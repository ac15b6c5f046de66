"""Many songs separated: which ones, what of them is done already, and by how many workers."""

from asteroid_slicq.jobs.inputs import Job, collect_jobs

__all__ = ["Job", "collect_jobs"]
