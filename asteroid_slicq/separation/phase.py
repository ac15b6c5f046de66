"""A model whose sources get other phases than its own: those of the mix, or of Griffin-Lim."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

from torch import Tensor, nn

from asteroid_slicq.separation.axes import from_batch, mix_to_batch
from asteroid_slicq.separation.level import model_level
from asteroid_slicq.transform import (
    InvertibleTransform,
    check_choice,
    check_integer,
    griffin_lim,
    phase_factors,
    resynthesise,
)
from asteroid_slicq.vocabulary import DEFAULT_PHASE_ITERATIONS, PHASES

_MOMENTUM = {"griffin-lim": 0.0, "fast-griffin-lim": 0.99, "misi": 0.99}


class MaskedCoefficients(NamedTuple):
    """Coefficients of a model's sources before whatever refines them, and those of the mix.

    A model that has such returns them from its method ``masked_coefficients(mix)``, of a mix
    ``(batch, channel, time)``.

    Shape:
        - sources: ``(batch, source, channel, freq, ...)`` each, complex, one tensor a block
        - mix: ``(batch, channel, freq, ...)`` each

    Attributes:
        sources: coefficients of the sources.
        mix: those of the mix.
        transform: whose coefficients they are.
    """

    sources: Sequence[Tensor]
    mix: Sequence[Tensor]
    transform: InvertibleTransform


class PhaseModel(nn.Module):
    """A model of which only the magnitudes are kept, with phases found by a method.

    The magnitudes are those under the model's masks, before Wiener-EM. By ``mix`` they get the
    phase of the mix. The others begin with the phase that the model gives, which is that of the mix
    unless its masks are complex, and go on by :func:`asteroid_slicq.transform.griffin_lim`:
    ``griffin-lim``, ``fast-griffin-lim`` (momentum 0.99), or ``misi``, the fast one by which the
    sources sum to the mix.

    Args:
        model: as :class:`asteroid_slicq.separation.Separator` takes it, of masks for coefficients:
            :class:`asteroid_slicq.XUMXSliCQ`, :class:`asteroid_slicq.BandSplit`,
            :class:`asteroid_slicq.MiXiN`, or one with the method ``masked_coefficients``, which
            returns :class:`MaskedCoefficients`.
        method: one of the above.
        iterations: of Griffin-Lim.

    Shape:
        - mix: ``(batch, channel, time)``
        - output: ``(batch, source, channel, time)``

    Raises:
        TypeError: for a model of waveforms.
        ValueError: for an unknown method or a negative number of iterations.
    """

    def __init__(
        self, model: nn.Module, method: str = "mix", iterations: int = DEFAULT_PHASE_ITERATIONS
    ) -> None:
        super().__init__()
        check_choice("method", method, PHASES)
        if not hasattr(model, "masked_coefficients"):
            raise TypeError(
                "model must mask the coefficients of one transform, as XUMXSliCQ, BandSplit and "
                f"MiXiN do; {type(model).__name__} gives waveforms alone"
            )
        self.model, self.method = model, method
        self.iterations = 0 if method == "mix" else check_integer("iterations", iterations, 0)

    @property
    def sources(self) -> list[str]:
        """Names of the model's sources."""
        return list(self.model.sources)  # pyright: ignore

    @property
    def sample_rate(self) -> float:
        """Of the model, in Hz."""
        return float(self.model.sample_rate)  # pyright: ignore

    @property
    def n_channels(self) -> int:
        """Of the model."""
        return int(self.model.n_channels)  # pyright: ignore

    @property
    def segment_step_samples(self) -> int:
        """Of the model: segments of a song start on a multiple of it."""
        return int(getattr(self.model, "segment_step_samples", 1))

    @property
    def reach_s(self) -> float:
        """How far around a sample is looked, in seconds; infinite where phases are searched."""
        return float("inf") if self.iterations else getattr(self.model, "reach_s", 0.0)

    @property
    def input_level_db(self) -> float | None:
        """The level that the model wants songs at."""
        return model_level(self.model)

    def fixed_weights(self) -> AbstractContextManager[None]:
        """A context in which the weights of the model do not change; it may run faster."""
        return getattr(self.model, "fixed_weights", nullcontext)()

    def forward(self, mix: Tensor) -> Tensor:
        """Separate a mix, see the class for the shapes."""
        batch = mix_to_batch(mix, self.n_channels if self.n_channels > 1 else None)
        sources, of_mix, transform = self.model.masked_coefficients(batch)  # pyright: ignore
        if self.method == "mix":
            pairs = zip(sources, of_mix, strict=True)
            turned = [y.abs() * phase_factors(x).unsqueeze(1) for y, x in pairs]
            waveforms = resynthesise(transform, turned, batch.shape[-1])
        else:
            waveforms = griffin_lim(
                [y.abs() for y in sources],
                transform,
                batch.shape[-1],
                phase=sources,
                iterations=self.iterations,
                momentum=_MOMENTUM[self.method],
                mix=batch if self.method == "misi" else None,
            )
        return from_batch(waveforms, mix.ndim)
