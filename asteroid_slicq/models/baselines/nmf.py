"""Supervised NMF: a dictionary of spectra for each source, and masks of what each explains.

Sources: Lee, Seung, "Algorithms for non-negative matrix factorization" (NIPS 2000), for the
Kullback-Leibler divergence of magnitudes; Févotte, Bertin, Durrieu, "Nonnegative matrix
factorization with the Itakura-Saito divergence" (Neural Computation 2009), of powers; Smaragdis,
Raj, Shashanka, "Supervised and semi-supervised separation of sounds from single-channel mixtures"
(ICA 2007), for dictionaries that are found beforehand.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from asteroid_slicq import registration
from asteroid_slicq.models.baselines.spectral import SpectralModel
from asteroid_slicq.transform import check_choice, check_integer
from asteroid_slicq.vocabulary import STEMS

_TOLD_EVERY = 10  # updates
_FLOOR = 1e-7  # of a spectrogram, relative to its mean: Itakura-Saito knows no silence
_LEAST = 1e-10  # of what multiplicative updates divide by, whose square single precision holds


class NMF(SpectralModel):
    """Separation by non-negative matrix factorisation, on an STFT or the matrix of a sliCQT.

    Each source has a dictionary of spectra, which :meth:`fit` finds on stems by multiplicative
    updates. The spectrogram of a mix is explained by all dictionaries together, each channel for
    itself, and the mask of a source is its share of what they explain: sources sum to the mix.

    Args:
        sources: names of the sources, in the order of the output.
        sample_rate: in Hz.
        transform: ``stft`` or ``slicqt``.
        transform_arguments: ``n_fft`` and ``hop`` of the STFT, where they differ from 93 ms and a
            quarter of it; or of :class:`asteroid_slicq.SliCQT`, where they differ from its defaults
            with Hann windows of at least 32 DFT bins.
        steps_per_s: columns that are factorised per second, at most.
        divergence: ``itakura-saito`` of powers, or ``kullback-leibler`` of magnitudes.
        n_components: spectra of each source.
        n_iterations: updates of the activations of a mix.

    Attributes:
        dictionaries: the spectra, ``(source, freq, component)``, each of which sums to one; random
            before they are found.

    Shape:
        - mix: ``(batch, channel, time)``, any number of channels; ``(channel, time)`` and
          ``(time,)`` too
        - output: ``(batch, source, channel, time)``, without the axes that the mix had not

    Raises:
        TypeError: when an argument is of a wrong type.
        ValueError: when one lies outside its range.

    Example:
        >>> stems = torch.randn(1, 2, 1, 44100)
        >>> model = NMF(["tone", "noise"], n_components=4)
        >>> history = model.fit([stems], n_iterations=11)
        >>> bool(history["tone"][-1] < history["tone"][0])
        True
        >>> model(stems.sum(1)).shape
        torch.Size([1, 2, 1, 44100])
    """

    def __init__(
        self,
        sources: Sequence[str] = STEMS,
        sample_rate: float = 44100,
        transform: str = "stft",
        transform_arguments: Mapping[str, Any] | None = None,
        steps_per_s: float = 43.0,
        divergence: str = "itakura-saito",
        n_components: int = 32,
        n_iterations: int = 50,
    ) -> None:
        check_choice("divergence", divergence, ("itakura-saito", "kullback-leibler"))
        exponent = 2.0 if divergence == "itakura-saito" else 1.0
        super().__init__(
            sources, None, sample_rate, transform, transform_arguments, steps_per_s, exponent
        )
        self.divergence = divergence
        self.n_components = check_integer("n_components", n_components, 1)
        self.n_iterations = check_integer("n_iterations", n_iterations, 1)
        shape = (len(self.sources), self.n_bins, n_components)
        # No gradient finds them, but they count as parameters.
        self.dictionaries = nn.Parameter(_normalised(0.5 + torch.rand(shape)), requires_grad=False)
        self._args |= {
            "divergence": divergence,
            "n_components": n_components,
            "n_iterations": n_iterations,
        }

    @torch.no_grad()
    def fit(
        self,
        stems: Iterable[Tensor],
        n_iterations: int = 100,
        max_columns: int = 4000,
        max_s: float = float("inf"),
    ) -> dict[str, list[float]]:
        """Find the dictionaries on stems.

        Args:
            stems: batches of the sources; no more of them are taken than there is place for.
            n_iterations: updates of the spectra and their activations.
            max_columns: of the spectrogram of a source, all channels together; silent ones do not
                count.
            max_s: time after which no further update is begun, in seconds.

        Returns:
            The divergence per coefficient after the first and then every tenth update, by source.

        Shape:
            - stems: ``(batch, source, channel, time)``

        Raises:
            ValueError: when there are none, or a source is silent in all of them.
        """
        n_iterations = check_integer("n_iterations", n_iterations, 1)
        n_left = [check_integer("max_columns", max_columns, 1)] * len(self.sources)
        columns: list[list[Tensor]] = [[] for _ in self.sources]
        for batch in stems:
            if batch.ndim != 4 or batch.shape[1] != len(self.sources):
                raise ValueError(
                    f"stems must be (batch, {len(self.sources)} sources, channel, time), got "
                    f"{tuple(batch.shape)}"
                )
            for j, stem in enumerate(batch.unbind(1)):
                found = self._columns(stem)[:, : n_left[j]]
                columns[j].append(found)
                n_left[j] -= found.shape[1]
            if not any(n_left):
                break
        history, began = {}, time.monotonic()
        for j, name in enumerate(self.sources):
            spectrogram = torch.cat(columns[j], 1) if columns[j] else torch.zeros(self.n_bins, 0)
            if not spectrogram.shape[1]:
                raise ValueError(f"stems must hold sounds of {name}, which is silent in all")
            until = began + max_s * (j + 1) / len(self.sources)
            history[name] = self._find(j, spectrogram, n_iterations, until)
        return history

    def _columns(self, stem: Tensor) -> Tensor:
        """Columns of a stem that are not silent, ``(batch, channel, time)`` → ``(freq, n)``."""
        seen = self.seen(self.analyse(stem)[0]).movedim(2, 0).flatten(1)
        level = seen.sum(0)
        return seen[:, level > 1e-6 * level.amax().clamp(min=1e-30)]

    def _find(self, j: int, v: Tensor, n_iterations: int, until: float) -> list[float]:
        v = _relative(v)
        w = self.dictionaries[j].to(v)
        h = v.sum(0).expand(self.n_components, -1) / self.n_components
        # Activations that start alike would keep columns of the dictionary alike in what they see.
        generator = torch.Generator().manual_seed(j)
        h = h * (0.5 + torch.rand(h.shape, generator=generator).to(h))
        values: list[float] = []
        n_done = 0
        while n_done < n_iterations and not (n_done and time.monotonic() > until):
            h = self._updated(h, w, v)
            w = self._updated(w.mT, h.mT, v.mT).mT
            h = h * w.sum(0)[:, None]
            w = _normalised(w)
            n_done += 1
            if n_done % _TOLD_EVERY == 1:
                values.append(float(self.divergence_of(v, w @ h)))
        self.dictionaries[j] = w
        return values

    def masks(self, seen: Tensor) -> Tensor:
        """Shares of what the dictionaries explain, see the base class."""
        with torch.autocast(seen.device.type, enabled=False):
            return (
                self._shares(_relative(seen.flatten(0, 1)))
                .unflatten(0, seen.shape[:2])
                .transpose(1, 2)
            )

    def _shares(self, v: Tensor) -> Tensor:
        """``(batch, freq, step)`` → ``(batch, source, freq, step)``."""
        n_all = len(self.sources) * self.n_components
        w = self.dictionaries.to(v).transpose(0, 1).flatten(1)
        h = v.sum(-2, keepdim=True).expand(-1, n_all, -1) / n_all
        for _ in range(self.n_iterations):
            h = self._updated(h, w, v)
        parts = self.dictionaries.to(v) @ h.unflatten(1, (len(self.sources), -1))
        return parts / parts.sum(1, keepdim=True)

    def _updated(self, h: Tensor, w: Tensor, v: Tensor) -> Tensor:
        """Activations after one multiplicative update; of a transposed problem, the spectra."""
        explained = (w @ h).clamp(min=_LEAST)
        if self.divergence == "itakura-saito":
            return h * (w.mT @ (v / explained.square())) / (w.mT @ explained.reciprocal())
        return h * (w.mT @ (v / explained)) / w.sum(-2).unsqueeze(-1).clamp(min=_LEAST)

    def divergence_of(self, v: Tensor, explained: Tensor) -> Tensor:
        """Mean divergence of what is explained from a spectrogram.

        Shape:
            - v, explained: alike, positive; output: a scalar
        """
        ratio = v / explained
        if self.divergence == "itakura-saito":
            return (ratio - ratio.log() - 1).mean()
        return (v * ratio.log() - v + explained).mean()


def _relative(v: Tensor) -> Tensor:
    """A spectrogram ``(…, freq, step)`` relative to its mean, without zeros."""
    return v / v.mean((-2, -1), keepdim=True).clamp(min=torch.finfo(v.dtype).tiny) + _FLOOR


def _normalised(w: Tensor) -> Tensor:
    """Spectra that sum to one, ``(…, freq, component)``."""
    return w / w.sum(-2, keepdim=True).clamp(min=_LEAST)


registration.register_model(NMF)
