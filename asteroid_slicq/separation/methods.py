"""Separation as models offer it: the method ``separate``, of Asteroid's meaning, for any input."""

from __future__ import annotations

import inspect
import os
from typing import Any

import torch
from torch import nn

from asteroid_slicq.audio import AudioReader, ExistsError
from asteroid_slicq.separation.separator import Separator
from asteroid_slicq.vocabulary import DEFAULT_SEGMENT_S


def separate(
    model: nn.Module,
    wav: Any,
    output_dir: str | os.PathLike[str] | None = None,
    force_overwrite: bool = False,
    resample: bool = True,
    *,
    sample_rate: float | None = None,
    segment_s: float = DEFAULT_SEGMENT_S,
    overlap_s: float | None = None,
    device: str | torch.device | None = None,
    shifts: int = 1,
    two_passes: bool = True,
    cuda_graphs: bool = True,
    **kwargs: Any,
) -> Any:
    """Separate what Asteroid's ``separate`` accepts: an array, a tensor or the path of a file.

    Differences from Asteroid's: stereo stays stereo, arrays are not rescaled, long inputs run in
    segments, and a file ``song.wav`` becomes ``song/vocals.wav``, ``song/drums.wav`` … beside it.
    A second run on the same file raises ``AudioError``, so that no stem that somebody edited is
    lost; ``force_overwrite=True`` replaces the stems.

    Args:
        model: see `Separator`.
        wav: floating-point samples, time last, or a path.
        output_dir: for a path: where the folder of the stems goes; ``None`` for beside the file.
        force_overwrite: for a path: replace stems that exist.
        resample: serve other sample rates than the model's, by resampling there and back.
        sample_rate: of an array or tensor in Hz; ``None`` for the model's.
        segment_s: see `Separator`.
        overlap_s: see `Separator`.
        device: see `Separator`.
        shifts: see `Separator`.
        two_passes: see `Separator`.
        cuda_graphs: see `Separator`.
        **kwargs: ``stems``, ``two_stems``, ``residual``, ``remix`` and ``progress`` of
            `Separator.separate_waveform`; for a path, the other ones of `Separator.separate_file`.

    Returns:
        Sources, of the type and device of ``wav`` (shapes: `Separator.separate_waveform`); for a
        path, the path of each stem by name.

    Raises:
        TypeError: ``wav`` is of another type, or an argument is not known or is for the other kind
            of ``wav``.
        ValueError: an argument out of range, or another rate with ``resample=False``.
        AudioError: a file cannot be read or written, or a stem exists; a `ValueError`.
    """
    separator = Separator(model, segment_s, overlap_s, device, shifts, two_passes, cuda_graphs)
    is_path = isinstance(wav, (str, os.PathLike))
    _check_options(is_path, output_dir, force_overwrite, sample_rate, kwargs)
    if is_path and not resample:
        with AudioReader(wav) as reader:
            sample_rate = reader.sample_rate
    if not resample and sample_rate is not None and sample_rate != separator.sample_rate:
        raise ValueError(
            f"sample_rate is {sample_rate} Hz, the model's is {separator.sample_rate:g} Hz; pass "
            "resample=True to resample"
        )
    if is_path:
        try:
            return separator.separate_file(wav, output_dir, overwrite=force_overwrite, **kwargs)
        except ExistsError as error:
            raise error.with_option("force_overwrite=True") from None
    return separator.separate_waveform(wav, sample_rate, **kwargs)


class Separable(nn.Module):
    """A model with the methods of Asteroid's that separate, for songs in stereo of any length."""

    def separate(self, wav: Any, *args: Any, **kwargs: Any) -> Any:
        """Separate an array, a tensor or a file; see :func:`asteroid_slicq.separation.separate`."""
        return separate(self, wav, *args, **kwargs)

    def file_separate(self, filename: str, *args: Any, **kwargs: Any) -> Any:
        """Separate a file; Asteroid's own takes no song in stereo."""
        return self.separate(filename, *args, **kwargs)


_OPTIONS, _ARRAY_OPTIONS = (
    tuple(
        name
        for name, parameter in inspect.signature(method).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and name != "overwrite"
    )
    for method in (Separator.separate_file, Separator.separate_waveform)
)
"""Those that `separate` passes on: for files, and those of them that are for arrays, too."""


def _check_options(
    is_path: bool,
    output_dir: str | os.PathLike[str] | None,
    force_overwrite: bool,
    sample_rate: float | None,
    options: dict[str, Any],
) -> None:
    """Refuse arguments that nobody knows, and those that would be ignored, by a ``TypeError``."""
    unknown = [name for name in options if name not in _OPTIONS]
    if unknown:
        raise TypeError(
            f"separate() got an unexpected argument, {unknown[0]!r}; it also takes "
            f"{', '.join(_ARRAY_OPTIONS)} and, for the path of a file, "
            f"{', '.join(name for name in _OPTIONS if name not in _ARRAY_OPTIONS)}"
        )
    if is_path:
        given, kind = ["sample_rate"] * (sample_rate is not None), "an array or a tensor"
    else:
        given, kind = [name for name in options if name not in _ARRAY_OPTIONS], "the path of a file"
        given += ["output_dir"] * (output_dir is not None)
        given += ["force_overwrite"] * bool(force_overwrite)
    if given:
        raise TypeError(f"{given[0]} applies only when wav is {kind}")
