"""Signal-to-distortion ratios of estimated sources.

The SDR of the source-separation campaigns (BSSEval v4, Stöter, Liutkus, Ito, "The 2018 signal
separation evaluation campaign") is computed in windows of one second, of which the median is taken,
then the median over tracks. Its distortion filters shape SIR, ISR and SAR only: the SDR itself is
plain, so :func:`frame_sdr` has the very numbers of ``museval`` in a thousandth of the time.
"""

import importlib.util
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

Scores = NDArray[np.float64]


def frame_sdr(
    references: ArrayLike,
    estimates: ArrayLike,
    sample_rate: float,
    frame_s: float = 1.0,
) -> Scores:
    """SDR of each source in frames that follow one another, as ``museval`` computes it.

    A frame in which any reference or any estimate is silent is NaN for all sources, by the rule of
    ``museval``; so is a frame without any error, where the ratio is infinite. What is left
    of the signal after the last whole frame is ignored; a signal shorter than a frame is one frame.

    Shape:
        - references, estimates: ``(source, channel, time)``
        - output: ``(source, frame)``, in dB

    Raises:
        ValueError: if the shapes differ or are wrong, samples are not finite, or a frame has none.
    """
    references, estimates = _pair(references, estimates)
    length = round(frame_s * sample_rate)
    if length < 1:
        raise ValueError(
            f"frame_s must be at least one sample, got {frame_s} s at {sample_rate} Hz"
        )
    length = min(length, references.shape[-1])
    signal, noise = _windows(references, length), _windows(references - estimates, length)
    signal_energy, noise_energy = _energy(signal), _energy(noise)
    silent = _silent(signal) | _silent(_windows(estimates, length))
    undefined = silent.any(0) | (noise_energy == 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        sdr = 10 * np.log10(signal_energy / noise_energy)
    return np.where(undefined, np.nan, sdr)


def track_sdr(
    references: ArrayLike,
    estimates: ArrayLike,
    sample_rate: float,
    frame_s: float = 1.0,
) -> Scores:
    """Median of :func:`frame_sdr` over the windows of a track that are not NaN.

    Shape:
        - references, estimates: ``(source, channel, time)``
        - output: ``(source,)``, in dB; NaN where no frame counts
    """
    return nan_median(frame_sdr(references, estimates, sample_rate, frame_s), axis=-1)


def utterance_sdr(references: ArrayLike, estimates: ArrayLike, epsilon: float = 1e-7) -> Scores:
    """Whole-track SDR ("uSDR"), the measure of the Music Demixing Challenge 2021.

    ``10 log10((sum s^2 + epsilon) / (sum (s - s_hat)^2 + epsilon))``, over samples and channels.

    Args:
        references: the true sources.
        estimates: the estimated ones, of the same shape.
        epsilon: keeps the ratio finite at silence.

    Shape:
        - references, estimates: ``(source, channel, time)``
        - output: ``(source,)``, in dB

    Raises:
        ValueError: if the shapes differ or are wrong, or samples are not finite.
    """
    references, estimates = _pair(references, estimates)
    signal = np.square(references).sum((-2, -1))
    noise = np.square(references - estimates).sum((-2, -1))
    return 10 * np.log10((signal + epsilon) / (noise + epsilon))


def bsseval_v4(
    references: ArrayLike,
    estimates: ArrayLike,
    sample_rate: float,
    frame_s: float = 1.0,
    filter_length: int = 512,
) -> dict[str, Scores]:
    """SDR, ISR, SIR and SAR of ``museval``, which has to be installed.

    Only its module of metrics is loaded: the package as a whole also asks for an ``ffmpeg`` binary.
    No reference may be silent throughout. The length of the distortion filters, in samples, changes
    all but the SDR. Shapes and errors are those of :func:`frame_sdr`.
    """
    references, estimates = _pair(references, estimates)
    length = round(frame_s * sample_rate)
    values = _museval_metrics().bss_eval(
        references.swapaxes(-1, -2),
        estimates.swapaxes(-1, -2),
        window=length,
        hop=length,
        filters_len=filter_length,
    )
    return dict(zip(("SDR", "ISR", "SIR", "SAR"), map(_infinite_to_nan, values[:4]), strict=True))


def nan_median(values: ArrayLike, axis: int | None = None) -> Scores:
    """Median of the values that are not NaN; NaN, without a warning, where there is none."""
    values = np.asarray(values, dtype=np.float64)
    empty = np.isnan(values).all(axis=axis)
    filled = np.where(np.expand_dims(empty, axis) if axis is not None else empty, 0.0, values)
    return np.where(empty, np.nan, np.nanmedian(filled, axis=axis))


def summarise_tracks(
    tracks: Iterable[Mapping[str, float]],
    sources: Sequence[str],
    average: Callable[[Sequence[float]], Any] = nan_median,
) -> dict[str, float]:
    """Average over tracks for each source, and the mean of these as ``"mean"``.

    Args:
        tracks: a score for each source, for each track.
        sources: names of the sources.
        average: of the tracks; the campaigns take the median.
    """
    tracks = list(tracks)
    averages = {s: float(average([track[s] for track in tracks])) for s in sources}
    return {**averages, "mean": float(np.mean(list(averages.values())))}


def _pair(references: ArrayLike, estimates: ArrayLike) -> tuple[Scores, Scores]:
    references, estimates = _array(references), _array(estimates)
    if references.ndim != 3 or references.size == 0:
        raise ValueError(
            f"references must be (source, channel, time) and not empty, got {references.shape}"
        )
    if references.shape != estimates.shape:
        raise ValueError(
            f"estimates must have the shape of the references, {references.shape}, "
            f"got {estimates.shape}"
        )
    for name, waveforms in (("references", references), ("estimates", estimates)):
        # Scores of them would be NaN, as those of silence are.
        for index in np.flatnonzero(~np.isfinite(waveforms).all((1, 2)))[:1]:
            raise ValueError(f"{name} must be finite, number {index} holds NaN or infinite samples")
    return references, estimates


def _array(values: ArrayLike) -> Scores:
    if isinstance(values, Tensor):  # on any device, with a gradient, negated lazily
        values = values.detach().to("cpu", torch.float64).resolve_neg().numpy()
    return np.asarray(values, dtype=np.float64)


def _windows(x: Scores, length: int) -> Scores:
    """Cut ``(source, channel, time)`` into ``(source, channel, window, time)``."""
    n_windows = x.shape[-1] // length
    return x[..., : n_windows * length].reshape(*x.shape[:-1], n_windows, length)


def _energy(windows: Scores) -> Scores:
    return np.square(windows).sum((1, 3))


def _silent(windows: Scores) -> NDArray[np.bool_]:
    # Like museval, of the sum of the channels.
    return (windows.sum(1) == 0).all(-1)


def _infinite_to_nan(values: ArrayLike) -> Scores:
    values = np.asarray(values, dtype=np.float64)
    return np.where(np.isinf(values), np.nan, values)


@cache
def _museval_metrics() -> ModuleType:
    package = importlib.util.find_spec("museval")
    if package is None or not package.submodule_search_locations:
        raise ModuleNotFoundError("museval is not installed: pip install museval", name="museval")
    file = f"{package.submodule_search_locations[0]}/metrics.py"
    spec = importlib.util.spec_from_file_location("_museval_metrics", file)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"museval has no {file}", name="museval")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(np.linalg, "linalg"):
        # museval catches singular matrices by a name that NumPy 2.4 has no more.
        linalg = SimpleNamespace(**{**vars(np.linalg), "linalg": np.linalg})
        vars(module)["np"] = SimpleNamespace(**{**vars(np), "linalg": linalg})
    return module
