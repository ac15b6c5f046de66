"""Many songs separated: which ones, what of them is done already, and by how many workers."""

from asteroid_slicq.jobs.crew import CrewError
from asteroid_slicq.jobs.files import separate_files
from asteroid_slicq.jobs.inputs import Job, collect_jobs
from asteroid_slicq.jobs.manifest import MANIFEST, Manifest
from asteroid_slicq.jobs.ray_crew import cluster
from asteroid_slicq.jobs.remote import is_address
from asteroid_slicq.jobs.running import separate_jobs
from asteroid_slicq.jobs.work import Outcome, Work, refuse_collisions, refuse_replaced_songs

__all__ = [
    "MANIFEST",
    "CrewError",
    "Job",
    "Manifest",
    "Outcome",
    "Work",
    "cluster",
    "collect_jobs",
    "is_address",
    "refuse_collisions",
    "refuse_replaced_songs",
    "separate_files",
    "separate_jobs",
]
