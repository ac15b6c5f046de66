"""A service that separates songs: asteroid-slicq inside a program of yours.

One model is shared by the threads that separate; the queue is bounded, uploads are limited in
size, time and length, and files are removed with their job, after an hour, and at the end.

    pip install fastapi uvicorn
    python examples/server.py                             # /docs of it lists the calls
    curl -T song.mp3 -X POST http://127.0.0.1:8000/jobs   # {"id": "Zr0…", "state": "waiting", …}
    curl http://127.0.0.1:8000/jobs/Zr0…                  # {"state": "running", "progress": 0.4, …}
    curl -O http://127.0.0.1:8000/jobs/Zr0…/stems.zip

Run one process: another would know nothing of the jobs of this one.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import secrets
import shutil
import tempfile
import threading
import time
import zipfile
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import torch
import uvicorn
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import FileResponse
from starlette.requests import ClientDisconnect

import asteroid_slicq
from asteroid_slicq.audio import AudioError, AudioReader


@dataclass(frozen=True)
class Limits:
    """What one client, and all of them, may use."""

    threads: int = 1
    unfinished: int = 8
    kept: int = 32
    kept_s: float = 3600.0
    upload_bytes: int = 200 * 2**20
    upload_s: float = 300.0
    song_s: float = 1200.0


@dataclass
class Job:
    """A song on its way; a thread writes to it, the requests read it."""

    id: str
    folder: Path
    state: str = "uploading"  # → waiting → running → done or failed
    progress: float = 0.0
    error: str | None = None
    stems: dict[str, Path] = field(default_factory=dict)
    ended_s: float = 0.0
    removed: threading.Event = field(default_factory=threading.Event)

    @property
    def ended(self) -> bool:
        """Whether nothing will happen to it any more."""
        return self.state in ("done", "failed")

    def report(self) -> dict[str, Any]:
        """What a client may know."""
        report = {"id": self.id, "state": self.state, "progress": round(self.progress, 3)}
        return report | {"error": self.error, "stems": list(self.stems)}


class RemovedError(Exception):
    """The job is no longer wanted."""


class Jobs:
    """The songs that are on their way, and the threads that separate them."""

    def __init__(self, model: torch.nn.Module, limits: Limits):
        self.model, self.limits = model, limits
        self.root = Path(tempfile.mkdtemp(prefix="asteroid-slicq-"))
        self.threads = ThreadPoolExecutor(limits.threads)
        self.jobs: dict[str, Job] = {}

    def add(self) -> Job | None:
        """Make a job, or none where too many are unfinished."""
        self.sweep()
        if sum(not job.ended for job in self.jobs.values()) >= self.limits.unfinished:
            return None
        job = Job(secrets.token_urlsafe(16), Path(tempfile.mkdtemp(dir=self.root)))
        self.jobs[job.id] = job
        return job

    def start(self, job: Job) -> None:
        """Let a job whose song is there wait for a thread."""
        job.state = "waiting"
        self.threads.submit(self._run, job)

    def remove(self, job: Job) -> None:
        """Forget a job and its files; a thread that works on it stops after its segment."""
        self.jobs.pop(job.id, None)
        job.removed.set()
        shutil.rmtree(job.folder, ignore_errors=True)

    def sweep(self) -> None:
        """Remove the jobs that ended long ago, and the oldest where there are too many."""
        ended = sorted((j for j in self.jobs.values() if j.ended), key=lambda job: job.ended_s)
        for i, job in enumerate(reversed(ended)):
            if i >= self.limits.kept or time.monotonic() - job.ended_s > self.limits.kept_s:
                self.remove(job)

    def close(self) -> None:
        """Stop the threads after their segments, and remove all files."""
        for job in list(self.jobs.values()):
            self.remove(job)
        self.threads.shutdown(cancel_futures=True)
        shutil.rmtree(self.root, ignore_errors=True)

    def _run(self, job: Job) -> None:
        song = job.folder / "song"

        def progress(done_s: float, total_s: float) -> None:
            if job.removed.is_set():
                raise RemovedError
            if max(done_s, total_s) > self.limits.song_s:
                raise AudioError(f"the song is longer than {self.limits.song_s:g} s")
            job.progress = done_s / max(done_s, total_s, 1e-9)

        try:
            job.state = "running"
            progress(0.0, 0.0)
            stems = self.model.separate(
                song, job.folder, track="stems", audio_format="flac", progress=progress
            )
            with zipfile.ZipFile(job.folder / "stems.zip", "w") as archive:
                for path in stems.values():
                    archive.write(path, path.name)
            song.unlink()
            job.stems, job.progress, job.state = stems, 1.0, "done"
        except RemovedError:
            job.state = "failed"
        except AudioError as error:
            job.error, job.state = _for_clients(error, song), "failed"
        except Exception:
            job.error, job.state = "it went wrong", "failed"
            if not job.removed.is_set():
                logging.exception("job %s", job.id)
        finally:
            job.ended_s = time.monotonic()
            if job.removed.is_set() or job.state == "failed":
                shutil.rmtree(job.folder, ignore_errors=True)


def _for_clients(error: AudioError, song: Path) -> str:
    """The message, without a path of this machine."""
    return str(error).replace(str(song), "the song")


def create_app(model: torch.nn.Module | None = None, limits: Limits | None = None) -> FastAPI:
    """Make the application; without a model, with the one that ships."""
    limits = limits or Limits()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        jobs = Jobs(model or asteroid_slicq.load_default_model(), limits)
        app.state.jobs = jobs

        async def sweep() -> None:
            while True:
                await asyncio.sleep(min(60.0, limits.kept_s))
                jobs.sweep()

        sweeping = asyncio.create_task(sweep())
        yield
        sweeping.cancel()
        await anyio.to_thread.run_sync(jobs.close)

    app = FastAPI(title="Songs in, stems out", lifespan=lifespan)

    def find(job_id: str) -> Job:
        job = app.state.jobs.jobs.get(job_id)  # a path is never made from what a client sends
        if job is None:
            raise HTTPException(404, "there is no such job, or its time is over")
        return job

    def find_done(job_id: str) -> Job:
        job = find(job_id)
        if job.state != "done":
            raise HTTPException(409, f"the job is {job.state}")
        return job

    @app.post("/jobs", status_code=202)
    async def add_job(request: Request) -> dict[str, Any]:
        """Take a song, the body of the request."""
        jobs: Jobs = app.state.jobs
        if request.headers.get("content-type", "").startswith("multipart/"):
            raise HTTPException(415, "the body must be the file itself, as `curl -T FILE` sends it")
        job = jobs.add()
        if job is None:
            raise HTTPException(503, "too many songs are waiting", {"Retry-After": "30"})
        try:
            with anyio.fail_after(limits.upload_s):
                await receive(request, job.folder / "song", limits.upload_bytes)
            await anyio.to_thread.run_sync(check, job.folder / "song", limits.song_s)
        except AudioError as error:
            raise HTTPException(422, _for_clients(error, job.folder / "song")) from error
        except TimeoutError as error:
            raise HTTPException(408, f"not sent within {limits.upload_s:g} s") from error
        except ClientDisconnect as error:
            raise HTTPException(400, "sent in part") from error
        else:
            jobs.start(job)
            return job.report()
        finally:
            if job.state == "uploading":
                jobs.remove(job)

    @app.get("/jobs/{job_id}")
    async def get_job(job_id: str) -> dict[str, Any]:
        """Tell how far a job is."""
        return find(job_id).report()

    @app.get("/jobs/{job_id}/stems.zip")
    async def get_zip(job_id: str) -> FileResponse:
        """Send all stems of a job."""
        return FileResponse(find_done(job_id).folder / "stems.zip", filename="stems.zip")

    @app.get("/jobs/{job_id}/stems/{name}")
    async def get_stem(job_id: str, name: str) -> FileResponse:
        """Send a stem of a job."""
        path = find_done(job_id).stems.get(name)
        if path is None:
            raise HTTPException(404, "there is no such stem")
        return FileResponse(path, filename=path.name)

    @app.delete("/jobs/{job_id}", status_code=204)
    async def remove_job(job_id: str) -> None:
        """Forget a job and its files, whatever its state."""
        app.state.jobs.remove(find(job_id))

    return app


async def receive(request: Request, path: Path, limit: int) -> None:
    """Write the body of a request to a file, as long as it is not too large."""
    if int(request.headers.get("content-length", 0)) > limit:
        raise HTTPException(413, f"more than {limit} bytes")
    n_bytes = 0
    with path.open("wb") as file:
        async for chunk in request.stream():
            n_bytes += len(chunk)
            if n_bytes > limit:
                raise HTTPException(413, f"more than {limit} bytes")
            file.write(chunk)


def check(path: Path, longest_s: float) -> None:
    """Refuse at once what is no song, or says that it is too long."""
    with AudioReader(path) as reader:
        if (reader.n_expected or 0) > longest_s * reader.sample_rate:
            raise AudioError(f"the song is longer than {longest_s:g} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--threads", type=int, default=1, help="songs at the same time")
    parser.add_argument("--model", help="a file, folder or Hub id (default: the one that ships)")
    args = parser.parse_args()
    torch.set_num_threads(max(1, torch.get_num_threads() // args.threads))
    model = asteroid_slicq.load_model(args.model) if args.model else None
    app = create_app(model, Limits(threads=args.threads))
    with suppress(KeyboardInterrupt):
        uvicorn.run(app, host=args.host, port=args.port, timeout_graceful_shutdown=30)


if __name__ == "__main__":
    main()
