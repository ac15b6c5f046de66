"""Facts about exported band-split networks: their masks are those of PyTorch, for any shape."""

import copy
import json
import pickle

import pytest
import soundfile
import torch

from asteroid_slicq import BandSplit
from asteroid_slicq.cli import main
from asteroid_slicq.models.bandsplit import BandSplitStream, OnnxBandSplit, export_onnx
from asteroid_slicq.models.bandsplit.onnx_export import ARGS_KEY
from tests.helpers import noise, with_slow
from tests.models.bandsplit.helpers import RATE, tiny

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
    model.scale_input([noise(2, 2, 3000)])
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


@pytest.mark.parametrize("consistent", with_slow([False, True], False))
def test_sources_are_those_of_pytorch(consistent, tmp_path):
    """Also of a copy, and of one that went to another process."""
    model = tiny(mixture_consistency=consistent)
    export_onnx(model, tmp_path / "model.onnx")
    runtime = OnnxBandSplit(tmp_path / "model.onnx").eval()
    mix = noise(2, 2, 3001)
    with torch.no_grad():
        expected = model(mix)
    for each in (runtime, copy.deepcopy(runtime), pickle.loads(pickle.dumps(runtime))):
        torch.testing.assert_close(each(mix), expected, atol=1e-5, rtol=0)
    assert runtime.separate(mix[0].numpy()).shape == (4, 2, 3001)


def test_what_no_runtime_can_is_named(tmp_path):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    with pytest.raises(ValueError, match="must be a file that `asteroid-slicq export` wrote"):
        OnnxBandSplit(broken)
    export_onnx(tiny(**KINDS["lstm"]), tmp_path / "model.onnx")
    runtime = OnnxBandSplit(tmp_path / "model.onnx").eval()
    calls = [
        lambda: BandSplitStream(runtime),
        lambda: runtime.serialize(),
        lambda: runtime.scale_input([noise(1, 2, 5000)]),
        lambda: export_onnx(runtime, tmp_path / "again.onnx"),
    ]
    for call in calls:
        with pytest.raises(TypeError, match="model must have its network in PyTorch, got _Network"):
            call()
    assert not (tmp_path / "again.onnx").exists()


@pytest.mark.slow
def test_the_command_line_exports_and_separates(tmp_path, capsys):
    model = tiny(sources=["a", "b"])
    torch.save(model.serialize(), tmp_path / "model.pth")
    soundfile.write(tmp_path / "song.wav", noise(2, 3 * RATE).T.numpy(), RATE, subtype="FLOAT")
    file = tmp_path / "model.onnx"
    assert main(["export", str(tmp_path / "model.pth"), "-o", str(file)]) == 0
    stems = {}
    for path in (tmp_path / "model.pth", file):
        out = tmp_path / path.suffix[1:]
        command = ["separate", str(tmp_path / "song.wav"), "--model", str(path), "-o", str(out)]
        assert main(command) == 0
        stems[path.suffix] = [soundfile.read(out / "song" / f"{s}.wav")[0] for s in ("a", "b")]
    for ours, theirs in zip(*stems.values(), strict=True):
        assert abs(ours - theirs).max() < 1e-3


def test_what_cannot_be_exported_is_named():
    with pytest.raises(TypeError, match="model must be a BandSplit, got Identity"):
        export_onnx(torch.nn.Identity(), "model.onnx")
