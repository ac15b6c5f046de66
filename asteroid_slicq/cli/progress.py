"""Progress of a run over songs, and its summary, for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tqdm import tqdm

from asteroid_slicq.audio import AudioError, AudioReader
from asteroid_slicq.cli.messages import one_line, say
from asteroid_slicq.jobs import Job, Outcome

_FORMAT = (
    "{desc}: {percentage:3.0f}% |{bar}| {n:.0f} of {total:.0f} s [{elapsed}, {remaining} left]"
)


class SongBar:
    """A progress bar in seconds of audio, on terminals only, over all songs.

    Args:
        jobs: the songs.
        quiet: show none.
        n_jobs: of how many side by side.
    """

    def __init__(self, jobs: Sequence[Job], quiet: bool, n_jobs: int = 1) -> None:
        self._bar = tqdm(
            desc=jobs[0].track,
            unit="s",
            leave=False,
            disable=True if quiet else None,
            bar_format=_FORMAT,
            total=1,
        )
        self._jobs, self._n_jobs = jobs, n_jobs
        self._n_done = 0
        self._total_s = dict.fromkeys(jobs, 0.0)
        self._done_s = dict.fromkeys(jobs, 0.0)
        if len(jobs) > 1 and not self._bar.disable:
            self._total_s = {job: _duration_s(job) for job in jobs}
            self._show(jobs[0])

    def advance(self, job: Job, done_s: float, total_s: float) -> None:
        """Show how far a song is."""
        if self._bar.disable:
            return
        self._total_s[job] = max(total_s, done_s, self._total_s[job] if len(self._jobs) > 1 else 0)
        self._done_s[job] = done_s
        self._show(job)

    def finish(self, outcome: Outcome) -> None:
        """Count a song as done; one that was kept or failed takes no time."""
        if self._bar.disable or len(self._jobs) == 1:
            return
        job = outcome.job
        self._n_done += 1
        if outcome.status != "done":
            self._total_s[job] = self._done_s[job] = 0.0
        self._done_s[job] = self._total_s[job]
        self._show(job)

    def __enter__(self) -> SongBar:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def _show(self, job: Job) -> None:
        if len(self._jobs) > 1:
            now = min(self._n_done + 1, len(self._jobs))
            name = f", {job.track}" if self._n_jobs == 1 else ""
            self._bar.set_description_str(f"{now} of {len(self._jobs)}{name}", refresh=False)
        self._bar.total = max(sum(self._total_s.values()), 1e-9)
        self._bar.update(sum(self._done_s.values()) - self._bar.n)


@contextmanager
def aside() -> Iterator[None]:
    """Print lines above a bar, not into it."""
    with tqdm.external_write_mode():
        yield


def tell_summary(outcomes: Sequence[Outcome], problems: Sequence[str]) -> None:
    """Print how many songs were separated, kept, done again, and which failed, and why."""
    n = Counter(outcome.status for outcome in outcomes)
    again = Counter(o.reason for o in outcomes if o.status == "done" and o.reason)
    unknown = sum(o.status == "kept" and bool(o.reason) for o in outcomes)
    parts = [f"{n['done']} separated"]
    if again:
        parts[0] += f" ({', '.join(f'{k} again: {why}' for why, k in sorted(again.items()))})"
    if n["kept"]:
        parts.append(f"{n['kept']} done already")
    if unknown:
        parts[-1] += f" ({unknown} of them by a run of which nothing is known)"
    failed = [o.reason for o in outcomes if o.status == "failed"] + list(problems)
    if failed:
        parts.append(f"{len(failed)} failed")
    total = len(outcomes) + len(problems)
    say(f"{total} songs: {', '.join(parts)}")
    for reason in failed:
        say(one_line(f"  {reason}"))


def _duration_s(job: Job) -> float:
    """Length of a song in seconds, 0 where it is not known."""
    if isinstance(job.path, str):
        return 0.0
    try:
        with AudioReader(job.path) as reader:
            return (reader.n_expected or 0) / reader.sample_rate
    except (AudioError, OSError):
        return 0.0
