"""Facts about exported band-split networks: their masks are those of PyTorch, for any shape."""

import json

import pytest
import torch

from asteroid_slicq import BandSplit
from asteroid_slicq.models.bandsplit import export_onnx
from asteroid_slicq.models.bandsplit.onnx_export import ARGS_KEY
from tests.helpers import noise
from tests.models.bandsplit.helpers import tiny

onnxruntime = pytest.importorskip("onnxruntime")
KINDS = {
    "attention": {},
    "near": {"attention_reach_s": 0.03},  # two network steps
    "lstm": {"time_mixer": "lstm", "band_mixer": "lstm", "causal": True},
    "magnitudes": {"complex_input": False, "complex_masks": False, "transform": "stft"},
}


@pytest.mark.parametrize(
    "kind",
    [
        "attention",
        pytest.param("near", marks=pytest.mark.slow),
        pytest.param("lstm", marks=pytest.mark.slow),
        pytest.param("magnitudes", marks=pytest.mark.slow),
    ],
)
def test_masks_are_those_of_the_model(kind, tmp_path):
    model = tiny(**KINDS[kind])
    model.set_input_statistics([noise(2, 2, 3000)])
    export_onnx(model, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    arguments = json.loads(session.get_modelmeta().custom_metadata_map[ARGS_KEY])
    assert BandSplit(**arguments).get_model_args() == model.get_model_args()
    sizes = list(zip(model.bands.bins_per_block, model.bands.rates, strict=True))
    for batch, n_steps in ((1, 1), (2, 5), (3, 12)):
        blocks = [noise(batch, 2, n, n_steps * rate, 2, seed=n) for n, rate in sizes]
        feed = {f"block_{i}": block.numpy() for i, block in enumerate(blocks)}
        with torch.no_grad():
            expected = model.network(blocks)
        for mask, wanted in zip(session.run(None, feed), expected, strict=True):
            torch.testing.assert_close(torch.from_numpy(mask), wanted, atol=1e-5, rtol=0)


def test_what_cannot_be_exported_is_named():
    with pytest.raises(TypeError, match="model must be a BandSplit, got Identity"):
        export_onnx(torch.nn.Identity(), "model.onnx")
