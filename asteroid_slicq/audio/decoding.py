"""Compressed audio, and the sound of videos, decoded by FFmpeg (PyAV)."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np

from asteroid_slicq.audio.content import Content, links
from asteroid_slicq.audio.errors import AudioError
from asteroid_slicq.audio.ogg import BrokenOggError
from asteroid_slicq.audio.truncation import missing_end

# Of FFmpeg's formats, those of music; among the others are lists that name other files.
_BARE = "mp3,aac,ac3,eac3,dts"
_SOUND = "wav,aiff,w64,au,wv,tta,ape,avi"  # with one stream, of a length that they announce
_TIMED = ("matroska", "asf")  # where FFmpeg passes over damage, and the clock tells
FORMATS = f"{_BARE},{_SOUND},ogg,flac,mov,matroska,asf"
_LOSSLESS = re.compile(r"pcm_|alac|flac|wavpack|ape|tta")
_MAX_REST_BYTES = 4096  # at the ends of bare frames: a part of one more, or some tag
_MAX_REST_SAMPLES = 4096  # at the end of an MP4: what fills the last frames
_SLACK_FRAMES = 4  # of an MP3: editors do not always count again
_SLACK_S = 0.1
_SLACK_ALL_S = 0.3  # of the longest stream


class DecodedSource:
    """Samples of a file that FFmpeg decodes.

    Arguments and attributes are those of `AudioReader`. What such files announce is not exact, so
    ``n_samples`` is ``None``.

    Attributes:
        channels: FFmpeg's names of the channels, such as ``"FL"``; ``"NONE"`` where not known.

    Raises:
        LookupError: FFmpeg finds no sound in it.
        AudioError: the file is truncated or holds no samples.
    """

    n_samples = None

    def __init__(self, path: Path, stream: int | None = None):
        self._path = path
        self._wanted = stream
        self._file = path.open("rb")
        self._container: Any = None
        self.sample_rate = self._n_read = 0
        self.n_expected: int | None = None
        try:
            try:
                self._links, self._is_bare = links(self._file)
            except BrokenOggError as error:
                raise AudioError(f"{path}: {error}; {_advice(path)}") from error
            self._open(self._links[0])
            if missing := missing_end(self._file):
                raise AudioError(f"{path}: is truncated: {missing}")
            self._blocks = self._decode()
            first = next(self._blocks, None)
            if first is None:
                raise AudioError(f"{path}: holds no samples, or is damaged or truncated")
            self._first = first
        except BaseException:
            self.close()
            raise

    def _open(self, content: Content) -> None:
        options = {"format_whitelist": FORMATS}
        try:
            self._container = av.open(content, "r", options=options, metadata_errors="replace")
        except av.error.FFmpegError as error:
            if missing := missing_end(self._file):
                raise AudioError(f"{self._path}: is truncated: {missing}") from error
            raise LookupError(str(error)) from error
        except OSError as error:
            raise AudioError(f"{self._path}: cannot be read ({error.strerror})") from error
        streams = self._container.streams.audio
        if not streams:
            raise LookupError("no stream of audio")
        self._stream = self._choose(streams)
        if self._stream.codec_context is None:
            raise AudioError(f"{self._path}: its sound is coded in a way that cannot be decoded")

    def _choose(self, streams: Any) -> Any:
        if self._wanted is None:
            return next((s for s in streams if _is_default(s)), streams[0])
        if self._wanted >= len(streams):
            raise AudioError(
                f"{self._path}: has {len(streams)} stream(s) of sound, none of number "
                f"{self._wanted}"
            )
        return streams[self._wanted]

    def read(self, n_samples: int) -> Iterator[np.ndarray]:
        """Read to the end, that many samples at a time. Shape of each: ``(channel, time)``."""
        held, n_held = [self._first], self._first.shape[1]
        for block in self._blocks:
            held.append(block)
            n_held += block.shape[1]
            if n_held >= n_samples + _MAX_REST_SAMPLES:
                joined = np.concatenate(held, axis=1)
                whole = (n_held - _MAX_REST_SAMPLES) // n_samples * n_samples
                yield from np.split(joined[:, :whole], whole // n_samples, axis=1)
                held, n_held = [joined[:, whole:]], n_held - whole
        rest = np.concatenate(held, axis=1)[:, : n_held - self._n_filling()]
        for start in range(0, rest.shape[1], n_samples):
            yield rest[:, start : start + n_samples]

    def _n_filling(self) -> int:
        """Samples at the end of an MP4 that fill its last frame only."""
        if not self._container.format.name.startswith("mov") or self._end is None:
            return 0
        n_beyond = self._n_read - round(self._end * self._stream.time_base * self.sample_rate)
        return n_beyond if 0 < n_beyond <= _MAX_REST_SAMPLES else 0

    def _decode(self) -> Iterator[np.ndarray]:
        """Samples as they come."""
        try:
            for index, content in enumerate(self._links):
                if index:
                    self._container.close()
                    self._open(content)
                yield from self._decode_link()
        except (av.error.FFmpegError, LookupError) as error:
            raise self._damaged() from error
        except OSError as error:
            raise AudioError(f"{self._path}: cannot be read ({error.strerror})") from error

    def _decode_link(self) -> Iterator[np.ndarray]:
        """Samples as they come.

        In bare frames, what cannot be decoded at either end is no sound, or is cut.
        """
        n_packets = n_lost_bytes = 0
        self._end: int | None = None  # of the last packet, in units of the stream
        self._next_s: float | None = None  # when the next frame begins
        self._next_byte: int | None = None  # where the next packet begins, in bare AAC
        for packet in self._packets():
            if packet.pts is not None and packet.duration:
                self._end = packet.pts + packet.duration
            try:
                blocks = self._decode_packet(packet)
            except av.error.FFmpegError:
                n_lost_bytes += len(bytes(packet).strip(b"\0")) + 1
                if not self._is_bare or n_lost_bytes > _MAX_REST_BYTES:
                    raise
                continue
            if blocks and n_lost_bytes and self._n_read:
                raise self._damaged()
            n_packets += packet.size > 0
            for block in blocks:
                n_lost_bytes = 0
                self._n_read += block.shape[1]
                if block.size:
                    yield block
        self._refuse_truncated(n_packets)

    def _packets(self) -> Iterator[av.Packet]:
        """The packets of the stream.

        Where Matroska is damaged, FFmpeg may end early; but a video may go on after its sound.
        """
        last_s = 0.0
        for packet in self._container.demux():
            if packet.pts is not None and packet.time_base:
                last_s = max(
                    last_s, float((packet.pts + (packet.duration or 0)) * packet.time_base)
                )
            if packet.stream_index == self._stream.index:
                yield packet
        if self._container.format.name.startswith("matroska"):
            missing_s = (self._container.duration or 0) / av.time_base - last_s
            if missing_s > _SLACK_ALL_S:
                raise self._damaged()

    def _decode_packet(self, packet: av.Packet) -> list[np.ndarray]:
        kind = self._container.format.name
        if kind == "mp3" and self._n_read and packet.size and memoryview(packet)[0] != 0xFF:
            raise av.error.InvalidDataError(0, "something before the frame")
        if kind == "aac" and packet.size and packet.pos is not None:
            if self._next_byte not in (None, packet.pos):
                raise self._damaged()
            self._next_byte = packet.pos + packet.size
        blocks = []
        for frame in packet.decode():
            self._refuse_gap(frame)
            blocks.append(self._to_float(frame))
        return blocks

    def _refuse_gap(self, frame: av.AudioFrame) -> None:
        """Refuse a frame that begins later than the one before ends: what was there is lost."""
        if self._container.format.name.startswith(_TIMED) and frame.time is not None:
            if self._next_s is not None and frame.time - self._next_s > _SLACK_S:
                raise self._damaged()
            self._next_s = frame.time + frame.samples / frame.sample_rate

    def _to_float(self, frame: av.AudioFrame) -> np.ndarray:
        """Samples of a frame in −1 … 1. Shape: ``(channel, time)``."""
        rate, n_channels = frame.sample_rate, len(frame.layout.channels)
        if not self.sample_rate:
            self.sample_rate, self.n_channels = rate, n_channels
            self.channels = [channel.name for channel in frame.layout.channels]
            self.bit_depth = _bit_depth(self._stream.codec_context.name, frame.format.name)
            length_s = _duration_s(self._container, self._stream)
            self.n_expected = round(length_s * rate * len(self._links)) if length_s else None
        if (rate, n_channels) != (self.sample_rate, self.n_channels):
            raise AudioError(
                f"{self._path}: changes from {self.sample_rate} Hz and {self.n_channels} "
                f"channel(s) to {rate} Hz and {n_channels} after "
                f"{self._n_read / self.sample_rate:.2f} s; {_advice(self._path)}"
            )
        samples = frame.to_ndarray()
        if not frame.format.is_planar:
            samples = samples.reshape(-1, n_channels).T
        if samples.dtype == np.uint8:
            return (samples.astype(np.float32) - 128) / 128
        if samples.dtype.kind == "i":
            return samples.astype(np.float32) / np.float32(2 ** (8 * samples.itemsize - 1))
        return samples.astype(np.float32, copy=False)

    def _refuse_truncated(self, n_packets: int) -> None:
        if self._container.format.name == "mp3":
            self._links[0].seek(0)
            wanted = _counted_frames(self._links[0].read(256)) - _SLACK_FRAMES
            if n_packets < wanted:
                raise AudioError(
                    f"{self._path}: is truncated: it announces {wanted + _SLACK_FRAMES} frames, "
                    f"{n_packets} are there"
                )
        if self._container.format.name in _SOUND.split(",") and self.n_expected is not None:
            missing_s = (self.n_expected - self._n_read) / self.sample_rate
            if missing_s > _SLACK_S:
                raise AudioError(f"{self._path}: is truncated: {missing_s:.2f} s are missing")

    def _damaged(self) -> AudioError:
        when = f" after {self._n_read / self.sample_rate:.2f} s" if self._n_read else ""
        return AudioError(
            f"{self._path}: cannot be decoded{when}: the file is damaged or truncated, or changes "
            f"its format there; {_advice(self._path)}"
        )

    def close(self) -> None:
        """Close the file; closing twice is fine."""
        if self._container is not None:
            self._container.close()
        self._file.close()


def _advice(path: Path) -> str:
    names = (str(path), str(path.with_name(f"{path.stem}-mended.flac")))
    names = (f"./{name}" if name.startswith("-") else name for name in names)
    return f"`{shlex.join(['ffmpeg', '-i', *names])}` keeps what can be decoded"


def _duration_s(container: Any, stream: Any) -> float:
    """Seconds that a file announces, or that FFmpeg estimates; 0 for neither."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / av.time_base


def _is_default(stream: Any) -> bool:
    flags = getattr(stream, "disposition", 0)
    return bool(getattr(flags, "value", flags) & 1)  # of an enumeration, before PyAV 18


def _bit_depth(codec: str, sample_format: str) -> str:
    """Bit depth that holds all of it."""
    if not _LOSSLESS.match(codec) or sample_format.startswith(("u8", "s16")):
        return "16"
    is_wide = codec.startswith("pcm_s32") or not sample_format.startswith("s32")
    return "32f" if is_wide else "24"


def _counted_frames(first_frame: bytes) -> int:
    """Frames that the first one of an MP3 file announces, 0 if it announces none."""
    if found := re.search(rb"(?:Xing|Info)...[\1\3\5\7\t\v\r\17](....)", first_frame, re.DOTALL):
        return int.from_bytes(found[1], "big")
    if found := re.search(rb"VBRI.{10}(....)", first_frame, re.DOTALL):
        return int.from_bytes(found[1], "big")
    return 0
