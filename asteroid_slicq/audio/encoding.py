"""FLAC and lossy formats, encoded by FFmpeg (PyAV) with tags and cover art.

Their containers note how much an encoder adds before and after the sound, so that players and
`AudioReader` give back as many samples as went in, each at its place.
"""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction
from typing import Any, BinaryIO

import av
import av.error
import numpy as np

from asteroid_slicq.audio.levels import as_integers
from asteroid_slicq.audio.mp3_padding import note_padding
from asteroid_slicq.audio.resampling import Resampler
from asteroid_slicq.audio.stem_format import StemFormat
from asteroid_slicq.audio.stem_mark import STEM_MARK
from asteroid_slicq.audio.tags import Cover, Tags

_CODECS = {
    "flac": ("flac", "flac"),
    "mp3": ("mp3", "libmp3lame"),
    "m4a": ("mp4", "aac"),
    "opus": ("opus", "libopus"),
}  # container and codec
# Without noise in place of sound, which does not cancel when stems are summed.
_AAC_OPTIONS = {"aac_coder": "fast", "aac_pns": "0", "aac_is": "0"}
# Twice as fast as by default, and nearer to the sound, where bits are many.
_MP3_OPTIONS = {"compression_level": "7"}
_MANY_BITS = 128_000  # a second, in each channel
_LAYOUTS = ("mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1")
_PIXELS = {"mjpeg": "yuvj420p", "png": "rgb24"}  # what an encoder needs that encodes nothing
_ATTACHED_PICTURE = 1 << 10


class EncodedFile:
    """A file that is encoded as a stream.

    Args:
        file: where it goes, empty, open for reading, too; it is sought in.
        stem_format: other than WAV.
        sample_rate: of the samples in Hz; they are resampled where the format lacks it.
        n_channels: number of channels.
        tags: of the stem.

    Raises:
        ValueError, av.error.FFmpegError: the format does not hold the channels or the rate.
    """

    def __init__(
        self,
        file: BinaryIO,
        stem_format: StemFormat,
        sample_rate: int,
        n_channels: int,
        tags: Tags,
    ):
        container, codec = _CODECS[stem_format.name]
        rate = stem_format.sample_rate(sample_rate)
        if n_channels > len(_LAYOUTS):
            raise ValueError(f"{n_channels} channels")
        self._rate, self._rate_in, self._layout = rate, sample_rate, _LAYOUTS[n_channels - 1]
        self._resampler = None if rate == sample_rate else Resampler(sample_rate, rate)
        self._bits, self._is_mp3, self._file = stem_format.bits, stem_format.name == "mp3", file
        self._n_in = self._n_out = 0
        options = {"brand": "M4A ", "movie_timescale": str(rate)} if container == "mp4" else {}
        self._container: Any = av.open(file, "w", format=container, options=options)
        try:
            self._stream = self._container.add_stream(codec, rate=rate, layout=self._layout)
            if self._bits:
                self._format = "s16" if self._bits == 16 else "s32"
                self._stream.format = self._format
            else:
                self._format = "fltp"
                bitrate = stem_format.bitrate_for(rate, n_channels)
                self._stream.bit_rate = bitrate
                if stem_format.name == "m4a":
                    self._stream.options |= _AAC_OPTIONS
                elif stem_format.name == "mp3" and bitrate >= _MANY_BITS * n_channels:
                    self._stream.options |= _MP3_OPTIONS
            self._start(stem_format.name, tags)
        except BaseException:
            self.discard()
            raise

    def _start(self, name: str, tags: Tags) -> None:
        texts, cover = dict(tags.texts), tags.cover
        # M4A has a place for one of them, and FFmpeg puts its own name into ``encoder``.
        texts["encoding_tool" if name == "m4a" else "encoded_by"] = STEM_MARK
        if cover is not None and name == "opus":
            texts["METADATA_BLOCK_PICTURE"] = cover.as_flac_block()
            cover = None
        self._container.metadata.update(texts)
        picture = None if cover is None else self._add_picture(cover)
        self._container.start_encoding()
        if picture is not None:
            self._container.mux(picture)

    def _add_picture(self, cover: Cover) -> av.Packet:
        """Add a stream of one packet, which is as it was."""
        stream = self._container.add_stream(
            cover.codec, rate=1, width=cover.width, height=cover.height
        )
        stream.pix_fmt = _PIXELS[cover.codec]
        stream.disposition = _ATTACHED_PICTURE
        stream.metadata["comment"] = "Cover (front)"
        packet = av.Packet(cover.data)
        packet.stream = stream
        packet.pts = packet.dts = 0
        packet.time_base = Fraction(1, 90000)
        packet.is_keyframe = True
        return packet

    def write(self, samples: np.ndarray) -> None:
        """Encode samples in −1 … 1. Shape: ``(channel, time)``."""
        self._n_in += samples.shape[1]
        if self._resampler is not None:
            samples = self._resampler.push(samples)
        self._encode(samples)

    def _encode(self, samples: np.ndarray) -> None:
        if not samples.shape[1]:
            return
        if self._bits:
            samples = as_integers(samples, self._bits).T.reshape(1, -1)
        samples = np.ascontiguousarray(samples)
        frame = av.AudioFrame.from_ndarray(samples, self._format, self._layout)
        frame.sample_rate, frame.time_base = self._rate, Fraction(1, self._rate)
        frame.pts = self._n_out
        self._n_out += frame.samples
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Write what is left."""
        if self._resampler is not None:
            rest = self._resampler.flush()
            if rest is not None:
                n_all = round(self._n_in * self._rate / self._rate_in)
                self._encode(rest[:, : n_all - self._n_out])
        self._container.mux(self._stream.encode(None))
        self._container.close()
        if self._is_mp3:
            note_padding(self._file, self._n_out)

    def discard(self) -> None:
        """Let go of the encoder; what it would still write does not matter."""
        with suppress(av.error.FFmpegError, OSError, ValueError):  # reported already
            self._container.close()
