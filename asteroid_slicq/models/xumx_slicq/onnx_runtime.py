"""An exported model: ONNX Runtime makes the masks, PyTorch does the rest, without weights."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from asteroid_slicq.models.xumx_slicq.networks import LOOKAHEAD_SLICES
from asteroid_slicq.models.xumx_slicq.onnx_export import ARGS_KEY, require
from asteroid_slicq.transform import SliCQT
from asteroid_slicq.wiener import filter_masked, wiener_on_stft

_PAST_SLICES = 3  # before a slice that its masks depend on


class OnnxSeparator(nn.Module):
    """What :class:`asteroid_slicq.XUMXSliCQ` is, for evaluation, from an exported file.

    Args:
        path: a file that ``asteroid-slicq export`` wrote.
        n_threads: of ONNX Runtime; None is as many as PyTorch has.

    Attributes:
        sources: names of the sources.
        n_channels: audio channels of the mix.
        sample_rate: in Hz.

    Shape:
        - mix: ``(batch, channel, time)`` or ``(channel, time)``, on the CPU
        - output: ``(batch, source, channel, time)``, without ``batch`` where the mix had none

    Raises:
        ImportError: without the package ``onnxruntime``.
        ValueError: when the file holds no model that was exported.
        OSError: when it cannot be read.
    """

    def __init__(self, path: str | os.PathLike[str], n_threads: int | None = None) -> None:
        super().__init__()
        require("onnxruntime")
        with open(path, "rb") as file:
            self._source = file.read(), n_threads or torch.get_num_threads()
        try:
            self.session = _open_session(*self._source)
            args = json.loads(self.session.get_modelmeta().custom_metadata_map[ARGS_KEY])
        except Exception as error:  # each kind of broken file has its own
            raise ValueError(
                f"path must be a file that `asteroid-slicq export` wrote, got {os.fspath(path)}"
            ) from error
        self._args: dict[str, Any] = args
        self.sources: list[str] = args["sources"]
        self.n_channels: int = args["n_channels"]
        self.sample_rate: float = args["sample_rate"]
        self.transform = SliCQT(**{**args["transform"], "sample_rate": self.sample_rate})
        self._outputs = [f"masks_{i}" for i in range(len(self.transform.frame.blocks))]

    def __getstate__(self) -> dict[str, Any]:
        """All but the session, which no copy can share."""
        return {key: value for key, value in self.__dict__.items() if key != "session"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Open a session anew."""
        super().__setstate__(state)
        self.session = _open_session(*self._source)

    @property
    def segment_step_samples(self) -> int:
        """Distance of the slices, see :class:`asteroid_slicq.XUMXSliCQ`."""
        return self.transform.frame.slice_hop

    def get_model_args(self) -> dict[str, Any]:
        """Arguments of the model that was exported."""
        return dict(self._args)

    @torch.no_grad()
    def masks(self, magnitudes: Sequence[Tensor]) -> list[Tensor]:
        """What the networks make of magnitudes.

        Shape:
            - magnitudes: ``(batch, channel, freq, slice, time)``, one tensor a block
            - output: ``(batch, source, channel, freq, slice, time)`` each, in single precision
        """
        inputs = {f"block_{i}": block.float().numpy() for i, block in enumerate(magnitudes)}
        return [torch.from_numpy(masks) for masks in self.session.run(self._outputs, inputs)]

    @torch.no_grad()
    def forward(self, mix: Tensor) -> Tensor:
        """Separate a mix, see the class."""
        if mix.ndim == 2:
            return self(mix.unsqueeze(0))[0]
        if mix.ndim != 3 or mix.shape[1] != self.n_channels:
            raise ValueError(
                f"mix must be (batch, {self.n_channels} channels, time), got {tuple(mix.shape)}"
            )
        coefficients = self.transform(mix)
        masks = self.masks([block.abs() for block in coefficients])
        wiener, iterations = self._args["wiener"], self._args["wiener_iterations"]
        estimates = [
            filter_masked(mask, x, iterations if wiener == "slicqt" else 0)
            for mask, x in zip(masks, coefficients, strict=True)
        ]
        waveforms = self.transform.inverse(estimates, length=mix.shape[-1])
        return wiener_on_stft(waveforms, mix, iterations) if wiener == "stft" else waveforms

    def network_stream(self) -> WindowStream:
        """Masks of magnitudes that come slice by slice."""
        return WindowStream(self)


def _open_session(data: bytes, n_threads: int) -> Any:
    runtime = require("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = n_threads
    options.log_severity_level = 4  # what fails raises
    return runtime.InferenceSession(data, options, ["CPUExecutionProvider"])


class WindowStream:
    """Masks of magnitudes that come slice by slice, by running all that a slice depends on.

    That is the three slices before it and the two behind it; what ``push`` takes and returns is
    told by :class:`asteroid_slicq.models.xumx_slicq.network_stream.NetworkStream`.
    """

    def __init__(self, model: OnnxSeparator) -> None:
        self._model = model
        self._known: list[Tensor] | None = None
        self._n_done = 0  # of those known, that have been returned

    def push(self, magnitudes: Sequence[Tensor], last: bool = False) -> list[Tensor]:
        """Masks that are final by now: all but those of the last two slices, or all at the end."""
        known = list(magnitudes)
        if self._known is not None:
            pairs = zip(self._known, known, strict=True)
            known = [torch.cat(pair, dim=-2) for pair in pairs]
        n_known = known[0].shape[-2]
        n_ready = n_known if last else max(self._n_done, n_known - LOOKAHEAD_SLICES)
        if n_ready == self._n_done:  # nothing is final, so a slice stands for all
            masks = [m[..., :0, :] for m in self._model.masks([b[..., :1, :] for b in known])]
        else:
            masks = [block[..., self._n_done : n_ready, :] for block in self._model.masks(known)]
        start = max(0, n_ready - _PAST_SLICES)
        self._known = [block[..., start:, :].clone() for block in known]
        self._n_done = n_ready - start
        return masks
