"""Facts about ONNX: the same masks and stems as PyTorch, for every length, without its weights."""

import copy
import json
import pickle
import sys

import numpy as np
import pytest
import soundfile as sf
import torch

from asteroid_slicq import XUMXSliCQ
from asteroid_slicq.cli import main
from asteroid_slicq.models.xumx_slicq import SeparatorStream
from asteroid_slicq.separation.segment_model import in_evaluation_mode
from tests.helpers import noise, with_slow
from tests.models.xumx_slicq.helpers import SMALL, WIDE, causal_model, offline, streamed

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from asteroid_slicq.models.xumx_slicq import OnnxSeparator  # noqa: E402
from asteroid_slicq.models.xumx_slicq.onnx_export import ARGS_KEY, export_onnx, to_onnx  # noqa: E402
from asteroid_slicq.separation import Separator, fingerprint  # noqa: E402

MODELS = {
    "realtime": {},
    "offline": {"causal": False, "transform": WIDE},
    "mono, two sources": {"n_channels": 1, "sources": ["a", "b"]},
    "bandwidth": {"bandwidth_hz": 2000.0},
    "wiener": {"causal": False, "wiener_iterations": 1},
    "wiener on the stft": {"causal": False, "wiener_iterations": 1, "wiener": "stft"},
}


def exported(model, tmp_path):
    path = tmp_path / "model.onnx"
    export_onnx(model, path)
    return OnnxSeparator(path)


@pytest.mark.parametrize("name", with_slow(MODELS, "mono, two sources", "wiener"))
def test_masks_and_sources_are_those_of_pytorch(name, tmp_path):
    model = causal_model(**MODELS[name])
    runtime = exported(model, tmp_path)
    for n_slices, batch in [(1, 1), (2, 1), (3, 2), (4, 1), (25, 1)]:
        magnitudes = [
            noise(batch, model.n_channels, n, n_slices, m).abs()
            for n, m in model.transform.frame.blocks
        ]
        for network, x, masks in zip(
            model.blocks, magnitudes, runtime.masks(magnitudes), strict=True
        ):
            with torch.no_grad():
                torch.testing.assert_close(masks, network(x), atol=1e-4, rtol=0)
    mix = 0.1 * noise(2, model.n_channels, 3001)
    torch.testing.assert_close(runtime(mix), offline(model, mix), atol=1e-4, rtol=0)


def test_an_export_is_known_by_its_weights_in_other_processes_too(tmp_path):
    model = causal_model()
    runtime = exported(model, tmp_path)
    before = fingerprint(runtime)
    assert fingerprint(exported(model, tmp_path)) == before
    there = pickle.loads(pickle.dumps(Separator(runtime)))
    mix = 0.1 * noise(2, 3001)
    torch.testing.assert_close(
        there.separate_waveform(mix), Separator(runtime).separate_waveform(mix), atol=0, rtol=0
    )
    with torch.no_grad():
        next(model.blocks.parameters()).add_(0.1)
    assert fingerprint(exported(model, tmp_path)) != before


def test_the_file_says_what_it_is(tmp_path):
    model = causal_model()
    proto = to_onnx(model)
    onnx.checker.check_model(proto, full_check=True)
    n_blocks = len(model.blocks)
    assert [value.name for value in proto.graph.input] == [f"block_{i}" for i in range(n_blocks)]
    assert [value.name for value in proto.graph.output] == [f"masks_{i}" for i in range(n_blocks)]
    (entry,) = proto.metadata_props
    assert entry.key == ARGS_KEY
    again = XUMXSliCQ(**json.loads(entry.value))
    assert again.get_model_args() == model.get_model_args()
    runtime = exported(model, tmp_path)
    assert (runtime.sources, runtime.n_channels) == (model.sources, model.n_channels)
    assert runtime.segment_step_samples == model.segment_step_samples
    assert runtime.get_model_args() == model.get_model_args()


def test_copies_run_and_a_batch_may_be_missing(tmp_path):
    runtime = exported(causal_model(), tmp_path)
    mix = 0.1 * noise(2, 3001)
    expected = runtime(mix[None])[0]
    for again in (runtime, copy.deepcopy(runtime), pickle.loads(pickle.dumps(runtime))):
        torch.testing.assert_close(again(mix), expected, atol=0, rtol=0)
    assert in_evaluation_mode(runtime.train()).blocks is runtime.blocks  # one session for all


def test_what_needs_the_weights_is_refused(tmp_path):
    runtime = exported(causal_model(), tmp_path)
    n_bins = runtime.transform.frame.n_bins
    for call in (
        runtime.serialize,
        lambda: to_onnx(runtime),
        lambda: runtime.network_input(runtime.transform(noise(1, 2, 3001))),
        lambda: runtime.set_input_statistics(torch.zeros(n_bins), torch.ones(n_bins)),
    ):
        with pytest.raises(TypeError, match="networks in PyTorch, got OnnxMasks"):
            call()


def test_no_gradient_runs_through_it(tmp_path):
    mix = noise(1, 2, 3001).requires_grad_()
    assert not exported(causal_model(), tmp_path)(mix).requires_grad


def test_a_stream_runs_on_it(tmp_path):
    model = causal_model()
    runtime, mix = exported(model, tmp_path), noise(2, 6000)
    for how in ("odd", "random", "whole"):
        out = streamed(SeparatorStream(runtime), mix, how)
        torch.testing.assert_close(out, offline(model, mix), atol=1e-4, rtol=0)


def test_a_model_in_training_is_exported_as_for_evaluation(tmp_path):
    model = causal_model()
    mix = noise(1, 2, 2000)
    wanted = offline(model, mix)
    runtime = exported(model.train(), tmp_path)
    torch.testing.assert_close(runtime(mix), wanted, atol=1e-4, rtol=0)


def test_models_that_cannot_be_exported():
    with pytest.raises(ValueError, match="must have the network v2 to be exported, got v1"):
        to_onnx(causal_model(causal=False, network="v1"))
    with pytest.raises(TypeError, match="must be an XUMXSliCQ, got Linear"):
        to_onnx(torch.nn.Linear(1, 1))


def test_a_model_that_is_not_finite_is_not_exported(tmp_path, capsys, monkeypatch):
    model = causal_model()
    file, out = tmp_path / "model.pth", tmp_path / "model.onnx"
    with torch.no_grad():
        next(model.parameters()).fill_(torch.nan)
    torch.save(model.serialize(), file)
    assert main(["export", str(file), "-o", str(out)]) == 2
    assert "hold NaN or infinity" in capsys.readouterr().err
    # and were the masks alone NaN
    monkeypatch.setattr("asteroid_slicq.cli.export.not_finite", lambda model: None)
    assert main(["export", str(file), "-o", str(out)]) == 2
    assert "differs from PyTorch by nan" in capsys.readouterr().err
    assert not out.exists()


def test_a_scale_given_by_its_bins_is_exported(tmp_path):
    scale = (np.linspace(300.0, 3000.0, 20), np.full(20, 8.0))
    model = causal_model(transform={"scale": lambda: scale})
    mix = 0.1 * noise(2, 3000)
    runtime = exported(model, tmp_path)
    torch.testing.assert_close(runtime(mix), offline(model, mix), atol=1e-4, rtol=0)


def test_files_and_mixes_that_cannot_be(tmp_path):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    with pytest.raises(ValueError, match="must be a file that `asteroid-slicq export` wrote"):
        OnnxSeparator(broken)
    proto = to_onnx(causal_model())
    del proto.metadata_props[:]
    broken.write_bytes(proto.SerializeToString())
    with pytest.raises(ValueError, match="must be a file that `asteroid-slicq export` wrote"):
        OnnxSeparator(broken)
    with pytest.raises(ValueError, match=r"\(batch, 2 channels, time\), got \(3, 10\)"):
        exported(causal_model(), tmp_path)(torch.zeros(3, 10))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(causal_model().serialize(), "realtime.pth")
    mix = 0.1 * noise(2, 9001)
    sf.write("song.wav", mix.T.numpy(), 8000, subtype="FLOAT")
    return tmp_path


def run(*argv):
    return main([str(word) for word in argv])


def test_commands_export_and_separate(folder, capsys):
    assert run("export", "realtime.pth", "-o", "realtime.onnx") == 0
    out, err = capsys.readouterr()
    assert out.startswith("realtime.pth -> realtime.onnx: ")
    assert "masks differ from PyTorch's by at most" in out
    assert err == ""
    for options in (["--runtime", "onnx"], []):
        argv = ["separate", "song.wav", "-o", "onnx", "-m", "realtime.onnx", "-q", "--overwrite"]
        assert run(*argv, *options) == 0
    assert run("separate", "song.wav", "-o", "torch", "-m", "realtime.pth", "-q") == 0
    for name in causal_model().sources:
        found, _ = sf.read(folder / "onnx" / "song" / f"{name}.wav")
        wanted, _ = sf.read(folder / "torch" / "song" / f"{name}.wav")
        np.testing.assert_allclose(found, wanted, atol=1e-4)
    assert run("export", "realtime.pth", "-o", "realtime.onnx") == 2
    assert "exists; replacing must be asked for" in capsys.readouterr().err
    assert run("export", "realtime.pth", "-o", "realtime.onnx", "--overwrite", "-q") == 0
    assert capsys.readouterr() == ("", "")
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["onnx", "realtime.onnx", "realtime.pth", "song.wav", "torch"]


def test_a_stream_by_its_command(folder, monkeypatch, capsys):
    model, mix = causal_model(), noise(2, 6000)
    export_onnx(model, "realtime.onnx")
    (folder / "in").write_bytes(mix.T.contiguous().numpy().tobytes())
    with open("in") as stdin, open("out", "w") as stdout:
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.setattr(sys, "stdout", stdout)
        assert run("separate", "--stream", "--runtime", "onnx", "-m", "realtime.onnx", "-q") == 0
    assert capsys.readouterr().err == ""
    found = np.fromfile("out", np.float32).reshape(-1, 8).T
    np.testing.assert_allclose(found, offline(model, mix).flatten(0, 1), atol=1e-4)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["export", "no.pth", "-o", "a.onnx"], "model no.pth: no such file"),
        (["export", "realtime.pth", "-o", "none/a.onnx"], "there is no folder none"),
        (["export", "realtime.pth", "-o", "a"], "a: the name must end in .onnx"),
        (["export", "realtime.pth", "-o", "b.onnx"], "b.onnx: exists"),
        (["export", "realtime.pth", "-o", "f.onnx"], "a folder has that name"),
        (["separate", "song.wav", "--runtime", "onnx"], "needs --model FILE.onnx"),
        (["separate", "song.wav", "-m", "a.onnx"], "model a.onnx: no such file"),
        (["separate", "song.wav", "-m", "a.onnx", "--runtime", "torch"], "needs --runtime onnx"),
        (["separate", "song.wav", "-m", "a.onnx", "-d", "cuda"], "runs on the CPU alone"),
        (["separate", "song.wav", "-m", "b.onnx"], "is no file that `asteroid-slicq export` wrote"),
    ],
)
def test_refusals_are_one_sentence(folder, capsys, argv, words):
    (folder / "b.onnx").write_bytes(b"no model")
    (folder / "f.onnx").mkdir()
    assert run(*argv) == 2
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1
    assert not (folder / "a.onnx").exists()


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_packages_that_are_not_there(folder, monkeypatch, capsys, package):
    export_onnx(causal_model(), "there.onnx")
    monkeypatch.setitem(sys.modules, package, None)
    words = f"asteroid-slicq: ONNX needs {package}: pip install 'asteroid-slicq[onnx]'\n"
    assert run("export", "realtime.pth", "-o", "a.onnx") == 2
    assert capsys.readouterr().err == words
    assert not (folder / "a.onnx").exists()
    if package == "onnxruntime":
        assert run("separate", "song.wav", "-m", "there.onnx") == 2
        assert capsys.readouterr().err == words


def test_an_export_is_small():
    """Weights once, in single precision, and little else."""
    model = causal_model(hidden_channels=(20, 20), transform={**SMALL, "n_bins": 14})
    n_bytes = 4 * sum(parameter.numel() for parameter in model.parameters())
    assert len(to_onnx(model).SerializeToString()) < n_bytes + 8000 * len(model.blocks)
