"""Segment-wise separation of long audio, with resampling.

A song is a stream: buffers are read, resampled to the model's rate, cut into overlapping segments,
separated, cross-faded, resampled back and handed on, while the next segment is read and the last
one written. What is held in memory is about two segments of mix and sources, whatever the song's
length.
"""

from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import nn

from asteroid_slicq.audio import (
    AudioError,
    AudioReader,
    AudioWarning,
    Tags,
    read_tags,
    track_name,
)
from asteroid_slicq.files import given_path
from asteroid_slicq.separation.axes import Waveform, from_batch, to_batch
from asteroid_slicq.separation.file_output import FileOutput
from asteroid_slicq.separation.level import model_level, song_gain
from asteroid_slicq.separation.passes import SongPasses
from asteroid_slicq.separation.samples import as_array, check_rate
from asteroid_slicq.separation.selection import select
from asteroid_slicq.separation.song import Progress, Song, after_first, in_first
from asteroid_slicq.vocabulary import DEFAULT_SEGMENT_S, DEFAULT_TEMPLATE

_SAFE_OVERLAP_S = 1.0


class Separator:
    """Separation of waveforms and files of any length with a model of short ones.

    Other sample rates than the model's are resampled, and the sources back; they have the rate,
    the channels and the length of the input. How channels are served: `SegmentModel`.

    Args:
        model: as `SegmentModel` asks for.
        segment_s: length of a segment in seconds, but for what makes segments start on a step of
            the model; longer ones need more memory.
        overlap_s: seconds shared by neighbouring segments, at most half a segment; ``None`` for
            2 s, or a quarter of a segment where that is shorter.
        device: where the model runs; ``None`` for where it is. The model itself is not moved.
        shifts: how often each segment is separated, every time a little later, for the mean of
            the estimates: a little better, and as much slower.
        two_passes: whether a model that measures something over all that it hears, such as the
            covariances of Wiener-EM, measures the whole song first; else each segment alone, which
            takes three quarters of the time. `stream` is for one pass, unless it is told.
        cuda_graphs: whether segments on a GPU are recorded as a CUDA graph and replayed, where
            that works: as fast as the GPU computes, however many kernels there are. It needs the
            memory of a segment once more.

    Raises:
        ValueError: lengths or shifts out of range, or a model without a sample rate.
    """

    def __init__(
        self,
        model: nn.Module,
        segment_s: float = DEFAULT_SEGMENT_S,
        overlap_s: float | None = None,
        device: str | torch.device | None = None,
        shifts: int = 1,
        two_passes: bool = True,
        cuda_graphs: bool = True,
    ):
        self._passes = SongPasses(
            model, segment_s, overlap_s, device, shifts, two_passes, cuda_graphs
        )
        self.sample_rate = self._passes.sample_rate

    @property
    def edge_warning(self) -> str | None:
        """A sentence where segments share so little that their edges may be heard, else ``None``.

        That is less than the model says that it looks around a sample, by ``reach_s``, or than a
        second for one that looks further.
        """
        return self._passes.edge_warning

    @property
    def sources(self) -> list[str]:
        """Names of the model's sources, in its order."""
        return self._passes.model.sources

    @property
    def device(self) -> torch.device | None:
        """Where the model runs; ``None`` for where it is."""
        return self._passes.model.device

    def on_device(self, device: str | torch.device | None) -> Separator:
        """The same, whose model runs on another device.

        Raises:
            ValueError: the device is not there.
        """
        other = copy.copy(self)
        other._passes = self._passes.on_device(device)
        return other

    def separate_waveform(
        self,
        waveform: Waveform,
        sample_rate: float | None = None,
        *,
        stems: Sequence[str] | None = None,
        two_stems: str | None = None,
        residual: bool | str = False,
        remix: Mapping[str, float] | None = None,
        progress: Progress | None = None,
    ) -> Waveform:
        """Separate a waveform that is in memory.

        Args:
            waveform: floating-point samples, not all of which need to fit the device.
            sample_rate: of the waveform in Hz; ``None`` for the model's.
            stems: which sources to return, in this order; ``None`` for all.
            two_stems: a source; it and the rest of the mix are returned.
            residual: ``True`` adds what the stems leave of the mix to ``other`` if it is one of
                them, else as a last stem; a name: to the stem of that name, or as a last one.
            remix: gains of stems; their sum is returned.
            progress: called with the seconds done and the seconds in all.

        Returns:
            The sources, as array or tensor of the same type and device as the waveform. Those of
            ``two_stems`` and ``residual`` sum to the mix, by rounding of float32.

        Shape:
            ``(time,)`` → ``(source, time)``; ``(channel, time)`` → ``(source, channel, time)``;
            ``(batch, channel, time)`` → ``(batch, source, channel, time)``. With ``remix``: that of
            the waveform.

        Raises:
            TypeError: not an array or tensor of floating-point samples.
            ValueError: no samples, NaN or infinite ones, a number of channels or axes, or a rate
                that cannot be served; stems that there are not, or arguments that contradict one
                another.
        """
        chosen = select(self.sources, stems, two_stems, residual, remix)
        mix = as_array(waveform)
        rate = check_rate(self.sample_rate if sample_rate is None else sample_rate)
        n_axes, mix = mix.ndim, to_batch(mix)
        if error := self._passes.model.channel_error(mix.shape[1]):
            raise ValueError(f"waveform {error}")
        batch, n_channels, n_samples = mix.shape
        estimates = np.empty((batch, len(chosen.names), n_channels, n_samples), np.float32)
        step = max(1, round(rate))
        buffers = [mix[..., start : start + step] for start in range(0, n_samples, step)]
        n_done, total_s = 0, n_samples / rate

        def keep(read: np.ndarray, sources: np.ndarray) -> None:
            nonlocal n_done
            stop = n_done + read.shape[-1]
            estimates[..., n_done:stop] = chosen(read, sources)
            n_done = stop

        tell = progress or _ignore
        tell(0.0, total_s)
        song = self.measure(buffers, rate, in_first(tell, total_s), self.gain(buffers))
        tell = tell if song.statistics is None else after_first(tell)
        self._passes.separate(buffers, rate, song, keep, lambda done_s: tell(done_s, total_s))
        made = from_batch(estimates, n_axes)
        if remix is not None:
            made = made[:, 0] if n_axes == 3 else made[0]
        if isinstance(waveform, torch.Tensor):
            return torch.from_numpy(made).to(waveform.device, waveform.dtype)
        return made.astype(waveform.dtype, copy=False)

    def separate_file(
        self,
        path: str | os.PathLike[str],
        output_dir: str | os.PathLike[str] | None = None,
        *,
        track: str | None = None,
        stems: Sequence[str] | None = None,
        two_stems: str | None = None,
        residual: bool | str = False,
        remix: Mapping[str, float] | None = None,
        audio_format: str = "wav",
        bit_depth: str | None = None,
        bitrate: int | None = None,
        clip: str | None = None,
        template: str = DEFAULT_TEMPLATE,
        downmix: bool = False,
        overwrite: bool = False,
        progress: Progress | None = None,
    ) -> dict[str, Path]:
        """Separate a file into ``<output_dir>/<track>/<source>.<audio_format>``, as a stream.

        Tags and cover art are carried over, with the stem's name added to the title; WAV files have
        no cover.

        Args:
            path: the mix, in a format that `AudioReader` reads.
            output_dir: ``None`` for the folder of the mix.
            track: name of the folder of the stems; ``None`` for the file's name without its suffix.
            stems: see `FileOutput`, as for all up to ``downmix``.
            two_stems: a source that is written with the rest of the mix.
            residual: where what the stems leave of the mix goes to.
            remix: gains of stems for one file that holds their sum.
            audio_format: of the files.
            bit_depth: of WAV and FLAC.
            bitrate: of lossy formats, in bits a second.
            clip: what happens where a sample would exceed full scale.
            template: of the names of the files.
            downmix: mix more than two channels to stereo by the coefficients of ITU-R BS.775.
            overwrite: replace stems that exist, where it would be refused to.
            progress: called with the seconds done and the seconds in all (0 if the file does not
                say).

        Returns:
            The path of each stem.

        Raises:
            AudioError: the mix cannot be read, or the stems cannot be written; nothing is left.
            ValueError: an argument out of range, or some that contradict one another.
        """
        output = FileOutput(
            *(stems, two_stems, residual, remix, audio_format, bit_depth, bitrate),
            *(clip, template, downmix),
        )
        chosen = output.selection(self.sources)
        with AudioReader(path, output.downmix) as reader:
            rate = reader.sample_rate
            if error := self._passes.model.channel_error(reader.n_channels):
                raise AudioError(f"{path}: {error} (--downmix, downmix=True: by ITU-R BS.775)")
            name = track or track_name(path)
            tags = read_tags(reader.path)
            targets = self.targets(path, output_dir, name, output, tags)
            writer = output.writer(reader, targets, chosen, name, tags, overwrite)
            rest = chosen.gains is None and chosen.rest is not None
            total_s = (reader.n_expected or 0) / rate
            tell = progress or _ignore

            def write(mix: np.ndarray, sources: np.ndarray) -> None:
                writer.write(chosen(mix, sources)[0], mix[0] if rest else None)

            with writer:
                tell(0.0, total_s)
                buffers = (buffer[None] for buffer in reader.buffers(rate))
                song = self._measure_file(path, output.downmix, in_first(tell, total_s))
                tell = tell if song.statistics is None else after_first(tell)
                self._passes.separate(
                    buffers, rate, song, write, lambda done_s: tell(done_s, total_s)
                )
        return writer.paths

    def targets(
        self,
        path: str | os.PathLike[str],
        output_dir: str | os.PathLike[str] | None,
        track: str | None,
        output: FileOutput,
        tags: Tags | None = None,
    ) -> dict[str, Path]:
        """The files that `separate_file` would write.

        Args:
            path: see `separate_file`.
            output_dir: see `separate_file`.
            track: see `separate_file`.
            output: its other arguments.
            tags: of the file; ``None`` reads them where its template has some.

        Raises:
            ValueError: see `FileOutput.selection`.
        """
        folder = Path(path).parent
        if output_dir is not None:
            folder = given_path(output_dir, "output_dir")
        names = output.selection(self.sources).names
        return output.paths(Path(path), folder, track or track_name(path), names, tags)

    def _measure_file(
        self, path: str | os.PathLike[str], downmix: bool, tell: Callable[[float], None]
    ) -> Song:
        """What there is to know of a file, whose warnings come when it is separated."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AudioWarning)
            with _read(path, downmix) as (buffers, _):
                gain = self.gain(buffers)
            with _read(path, downmix) as (buffers, rate):
                return self.measure(buffers, rate, tell, gain)

    def gain(self, buffers: Iterable[np.ndarray]) -> np.ndarray | None:
        """What brings a song to the level that the model wants, its ``input_level_db``.

        That is the root mean square of all samples and channels, in dB relative to full scale.

        Args:
            buffers: the song, see `stream`; they are not read where the model wants no level.

        Returns:
            A gain for each item of the batch, ``(batch, 1, 1)``; ``None`` where songs are to be
            separated as they are.
        """
        level_db = model_level(self._passes.model.model)
        return None if level_db is None else song_gain(buffers, level_db)

    def measure(
        self,
        buffers: Iterable[np.ndarray],
        sample_rate: float,
        tell: Callable[[float], None] = lambda done_s: None,
        gain: np.ndarray | None = None,
    ) -> Song:
        """Measure what the model wants to know of a whole song, for `stream`.

        Args:
            buffers: the mix, see `stream`; read in a thread of their own.
            sample_rate: in Hz.
            tell: called with the seconds done.
            gain: of the song, which `gain` found.

        Returns:
            The gain, and statistics, of which there are none where the model wants to know nothing
            or a single segment is all of the song.
        """
        return self._passes.measure(buffers, sample_rate, gain, tell)

    def stream(
        self, buffers: Iterable[np.ndarray], sample_rate: float, song: Song | None = None
    ) -> Iterator[np.ndarray]:
        """Separate a stream, with the model in evaluation mode.

        Args:
            buffers: the mix. Shape of each: ``(batch, channel, time)``.
            sample_rate: in Hz.
            song: what `measure` found in the same stream.

        Yields:
            The sources, in all of the mix's length. Shape: ``(batch, source, channel, time)``.
        """
        return self._passes.stream(buffers, sample_rate, song or Song())


@contextmanager
def _read(
    path: str | os.PathLike[str], downmix: bool
) -> Iterator[tuple[Iterator[np.ndarray], float]]:
    """The buffers of a file, for a model, and its sample rate."""
    with AudioReader(path, downmix) as reader:
        rate = reader.sample_rate
        yield (buffer[None] for buffer in reader.buffers(rate)), rate


def _ignore(done_s: float, total_s: float) -> None:
    """No report of progress."""
