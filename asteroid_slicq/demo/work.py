"""Work on a song, from the file to its stems, told step by step."""

from __future__ import annotations

import queue
import threading
import traceback
from collections.abc import Iterator
from typing import Any

import numpy as np

from asteroid_slicq.audio import AudioError, AudioReader, StemFormat, StemWriter
from asteroid_slicq.demo.settings import DemoSettings
from asteroid_slicq.demo.songs import Song, SongError, Songs
from asteroid_slicq.demo.sound import CHUNK_S, IMAGE_SHAPE
from asteroid_slicq.separation import Separator
from asteroid_slicq.vocabulary import STEMS

State = dict[str, Any]

_SILENCE = 10 ** (-100 / 20)
_JOIN_S = 10.0


class _StoppedError(Exception):
    """The end of a work for which nobody waits."""


class Workshop:
    """The models of a page, and the work with them.

    Args:
        settings: of the page.
        songs: it holds.
    """

    def __init__(self, settings: DemoSettings, songs: Songs):
        self._settings = settings
        self._songs = songs
        self._models = {
            name: load().to(settings.device).eval() for name, load in settings.models.items()
        }

    def separate(self, ticket: str, model: str) -> Iterator[State]:
        """Separate a song, in a thread of its own.

        Args:
            ticket: of the song.
            model: one of the settings.

        Yields:
            What to show: ``stage`` is ``"reading"``, ``"separating"`` (with ``done_s`` and
            ``total_s``), and in the end ``"done"`` or ``"failed"``, with a sentence ``error``.
        """
        try:
            song = self._songs.find(ticket)
            if model not in self._models:
                raise SongError("This page has no such model.")
            if song.tracks or song.is_busy:
                raise SongError("This song has been separated already.")
        except SongError as error:
            yield {"ticket": ticket, "stage": "failed", "error": str(error)}
            return
        states: queue.Queue[State] = queue.Queue()
        thread = threading.Thread(
            target=self._run, args=(song, model, states), name="separation", daemon=True
        )
        with self._songs.working_on(song):
            thread.start()
            try:
                while (state := _latest(states))["stage"] not in ("done", "failed"):
                    yield {"ticket": ticket, **state}
            finally:  # here too, where the page has been closed meanwhile
                if thread.is_alive():
                    song.is_stopped = state["stage"] not in ("done", "failed")
                    thread.join(_JOIN_S)
            yield {"ticket": ticket, **state}

    def _run(self, song: Song, model: str, states: queue.Queue[State]) -> None:
        try:
            states.put(self._work(song, model, states))
        except _StoppedError:
            states.put({"stage": "failed", "error": "Stopped."})
        except (SongError, AudioError) as error:
            states.put({"stage": "failed", "error": _sentence(error, song)})
        except Exception as error:
            traceback.print_exc()
            reason = next(iter(str(error).splitlines()), "") or type(error).__name__
            states.put({"stage": "failed", "error": f"The separation failed: {reason}"})
        finally:
            if song.is_stopped:  # nobody waits any more: what was written meanwhile goes, too
                self._songs.remove(song)

    def _work(self, song: Song, name: str, states: queue.Queue[State]) -> State:
        def progress(done_s: float, total_s: float) -> None:
            if song.is_stopped:
                raise _StoppedError
            states.put({"stage": "separating", "done_s": done_s, "total_s": total_s})

        states.put({"stage": "reading", "done_s": 0.0, "total_s": 0.0})
        rate, n_channels, n_samples, bit_depth = self._read(song)
        progress(0.0, n_samples / rate)
        settings = self._settings
        separator = Separator(self._models[name], settings.segment_s, None, settings.device)
        order = {stem: i for i, stem in enumerate(STEMS)}
        stems = sorted(separator.sources, key=lambda stem: order.get(stem, len(order)))
        mix = song.folder / "mix.wav"
        paths = separator.separate_file(
            mix, song.folder, track="stems", stems=stems, bit_depth=bit_depth, progress=progress
        )
        song.upload.unlink(missing_ok=True)
        song.tracks = {"mix": mix} | paths
        return {
            "stage": "done",
            "title": song.title,
            "sample_rate": rate,
            "n_channels": n_channels,
            "n_samples": n_samples,
            "chunk_samples": round(CHUNK_S * rate),
            "tracks": list(song.tracks),
            "image": IMAGE_SHAPE,
            "bit_depth": bit_depth,
        }

    def _read(self, song: Song) -> tuple[int, int, int, str]:
        """Decode a file into ``mix.wav``, and refuse what cannot be separated.

        Returns:
            Sample rate, channels, samples in each, and the bit depth of the file.
        """
        limit = self._settings.max_minutes
        with AudioReader(song.upload, downmix=True) as reader:
            rate, n_channels = reader.sample_rate, reader.n_channels
            _check_length(song, reader.n_expected, rate, limit)
            mix = {"mix": song.folder / "mix.wav"}
            writer = StemWriter(mix, rate, n_channels, StemFormat("wav", "32f"))
            peak, n_samples = 0.0, 0
            with writer:
                for buffer in reader.buffers(rate):
                    if song.is_stopped:
                        raise _StoppedError
                    peak = max(peak, float(np.abs(buffer).max()))
                    n_samples += buffer.shape[1]
                    _check_length(song, n_samples, rate, limit)
                    writer.write(buffer[None])
        if peak <= _SILENCE:
            raise SongError(f"{song.file_name} is silent, so there is nothing to separate.")
        return rate, n_channels, n_samples, reader.bit_depth


def _check_length(song: Song, n_samples: int | None, rate: int, max_minutes: float) -> None:
    if n_samples is not None and n_samples > max_minutes * 60 * rate:
        raise SongError(
            f"{song.file_name} is longer than {max_minutes:g} minutes, which is what this page "
            "takes."
        )


def _sentence(error: Exception, song: Song) -> str:
    """An error as the page shows it: with the name that people know, and no path of ours."""
    text = str(error)
    for path in (song.upload, song.folder / "mix.wav"):
        text = text.replace(f"{path}:", song.file_name).replace(str(path), song.file_name)
    text = text.replace(str(song.folder), song.title).partition(" (--")[0]
    return text if text.endswith(".") else f"{text}."


def _latest(states: queue.Queue[State]) -> State:
    """The last of the states that wait, once there is one."""
    state = states.get()
    while state["stage"] not in ("done", "failed"):
        try:
            state = states.get(timeout=0.1)
        except queue.Empty:
            break
    return state
