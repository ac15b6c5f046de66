"""Facts about `separate --stream`: samples in and out, as they come, and how it refuses."""

import io
import os
import select
import subprocess
import sys

import numpy as np
import pytest
import torch

from asteroid_slicq import XUMXSliCQ
from asteroid_slicq.cli import main
from asteroid_slicq.cli.messages import CommandError
from asteroid_slicq.cli.stream import PCMSeparator
from asteroid_slicq.models.xumx_slicq import SeparatorStream
from tests.helpers import noise
from tests.models.bandsplit import helpers as bandsplit_helpers

TINY = {
    "sample_rate": 8000,
    "transform": {"n_bins": 14, "f_min_hz": 300.0},
    "hidden_channels": (2, 2),
}


def small_model(**options):
    torch.manual_seed(0)
    return XUMXSliCQ.from_preset("v2-realtime", **{**TINY, **options}).eval()


@pytest.fixture(scope="module")
def model():
    return small_model()


@pytest.fixture(scope="module")
def path(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "realtime.pth"
    torch.save(model.serialize(), path)
    return str(path)


def start(*options):
    command = [sys.executable, "-m", "asteroid_slicq", "separate", "--stream", *options]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def interleaved(waveform, dtype="<f4"):
    return np.ascontiguousarray(waveform.numpy().T).astype(dtype).tobytes()


def offline(model, mix):
    with torch.no_grad():
        return model(mix)


def through(pcm, data, n_bytes):
    read = io.BytesIO(data).read
    return b"".join(pcm.stream(lambda: read(n_bytes)))


@pytest.mark.slow
def test_process_separates_as_it_comes(model, path):
    """The first samples are out while the input is still open, and nothing is lost at its end."""
    mix = 0.1 * noise(2, 20_000)
    data, wanted = interleaved(mix), offline(model, mix)[[1, 3]]
    with start("-m", path, "--stems", "vocals,drums", "--threads", "1") as process:
        process.stdin.write(data[:64_003])  # no whole frame
        process.stdin.flush()
        assert select.select([process.stdout], [], [], 600)[0], process.stderr.read()
        first = os.read(process.stdout.fileno(), 4)
        out, err = process.communicate(data[64_003:], timeout=600)
    assert process.returncode == 0
    found = np.frombuffer(first + out, "<f4").reshape(-1, 4).T
    np.testing.assert_allclose(found, wanted.flatten(0, 1).numpy(), atol=1e-5)
    latency_ms = SeparatorStream(model).latency_s * 1000
    assert err.decode() == (
        "asteroid-slicq: f32le, 8000 Hz, 2 in, 4 out: vocals 1, vocals 2, drums 1, drums 2; "
        f"{latency_ms:.0f} ms behind\n"
    )


def test_nobody_listens_any_more(monkeypatch, tmp_path, path, capsys):
    (tmp_path / "in").write_bytes(bytes(2**16))
    ours, theirs = os.pipe()
    os.close(ours)
    with open(tmp_path / "in") as stdin, os.fdopen(theirs, "w") as stdout:
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.setattr(sys, "stdout", stdout)
        assert main(["separate", "--stream", "-m", path, "-q"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("n_bytes", [7, 4096, 10**6])
def test_bytes_may_be_cut_anywhere(model, n_bytes):
    mix = noise(2, 1500)
    pcm = PCMSeparator(SeparatorStream(model), 2, "<f4")
    found = np.frombuffer(through(pcm, interleaved(mix), n_bytes), "<f4").reshape(-1, 8).T
    np.testing.assert_allclose(found, offline(model, mix).flatten(0, 1).numpy(), atol=1e-5)
    assert pcm.n_odd_bytes == 0


def test_integers_are_scaled_and_clipped(model):
    mix = 0.7 * noise(2, 1500).clamp(-1, 1)
    data = interleaved((mix * 2**15).round(), "<i2")
    found = np.frombuffer(through(PCMSeparator(SeparatorStream(model), 2, "<i2"), data, 999), "<i2")
    wanted = offline(model, (mix * 2**15).round() / 2**15).flatten(0, 1).T * 2**15
    np.testing.assert_allclose(found.reshape(-1, 8), wanted.clamp(-(2**15), 2**15 - 1), atol=0.6)
    loud = np.full((1500, 2), 32767, "<i2")
    with torch.no_grad():
        model.blocks[0].decode_outer.bias += 20  # lets all of DC through
    try:
        pcm = PCMSeparator(SeparatorStream(model), 2, "<i2")
    finally:
        with torch.no_grad():
            model.blocks[0].decode_outer.bias -= 20
    found = np.frombuffer(through(pcm, loud.tobytes(), 999), "<i2")
    assert found.max() == 32767
    assert found.min() > -20_000  # nothing wraps round


def test_mono_is_duplicated_and_averaged_again(model):
    mix = noise(1, 1500)
    data = through(PCMSeparator(SeparatorStream(model), 1, "<f4"), interleaved(mix), 4096)
    wanted = offline(model, mix.expand(2, -1)).mean(1)
    np.testing.assert_allclose(np.frombuffer(data, "<f4").reshape(-1, 4).T, wanted, atol=1e-5)


def test_a_mono_model_takes_each_channel():
    model, mix = small_model(n_channels=1), noise(3, 1500)
    data = through(PCMSeparator(SeparatorStream(model), 3, "<f4"), interleaved(mix), 4096)
    wanted = torch.stack([offline(model, channel[None])[:, 0] for channel in mix], dim=1)
    found = np.frombuffer(data, "<f4").reshape(-1, 12).T
    np.testing.assert_allclose(found, wanted.flatten(0, 1), atol=1e-5)


@pytest.mark.parametrize("data", [b"", b"abc"])
def test_nothing_in_nothing_out(model, data):
    pcm = PCMSeparator(SeparatorStream(model), 2, "<f4")
    assert through(pcm, data, 100) == b""
    assert pcm.n_odd_bytes == len(data)


def test_channels_that_the_model_has_not(model):
    with pytest.raises(CommandError, match=r"standard input has 3 channels, .* stereo or mono"):
        PCMSeparator(SeparatorStream(model), 3, "<f4")


@pytest.fixture
def standard_streams(monkeypatch, tmp_path):
    """Files in the place of standard input and output; what to write and how to read it."""
    source, sink = tmp_path / "in", tmp_path / "out"

    def run(data, *argv):
        source.write_bytes(data)
        with source.open() as stdin, sink.open("w") as stdout:
            monkeypatch.setattr(sys, "stdin", stdin)
            monkeypatch.setattr(sys, "stdout", stdout)
            code = main(["separate", *argv])
        return code, sink.read_bytes()

    return run


def test_a_frame_that_is_cut_off_is_told(standard_streams, path, capsys):
    data = interleaved(noise(2, 500), "<i2")
    code, out = standard_streams(
        data + b"x", "--stream", "-m", path, "--sample-format", "s16le", "-q"
    )
    assert (code, len(out)) == (0, 4 * len(data))
    words = "asteroid-slicq: warning: the last 1 bytes are no whole frame, left out\n"
    assert capsys.readouterr().err == words


def test_band_split_models_run_on_a_stream(standard_streams, tmp_path):
    model = bandsplit_helpers.tiny(causal=True, time_mixer="lstm")
    torch.save(model.serialize(), tmp_path / "model.pth")
    mix = 0.1 * noise(2, 3000)
    command = ["--stream", "-m", str(tmp_path / "model.pth"), "--stems", "bass", "-q"]
    code, out = standard_streams(interleaved(mix), *command)
    assert code == 0
    stems = torch.from_numpy(np.frombuffer(out, "<f4").reshape(-1, 2).T.copy())
    torch.testing.assert_close(stems, offline(model, mix)[2], atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--stream"], "--stream needs --model, a causal one"),
        (["--stream", "-m", "v2-realtime"], "this preset has no trained weights"),
        (["--stream", "-m", "default"], "model default: cannot run on a stream: model must be"),
        (["--stream", "-m", "PATH", "--stems", "voice"], "different names out of bass, vocals"),
        (["--stream", "-m", "PATH", "--channels", "3"], "standard input has 3 channels"),
        (["--stream", "-m", "PATH", "--device", "nowhere"], "device nowhere: not available"),
    ],
)
def test_refusals_are_one_sentence(standard_streams, path, capsys, argv, words):
    code, out = standard_streams(b"", *(path if word == "PATH" else word for word in argv))
    assert (code, out) == (2, b"")
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--stream", "a.wav"], "argument --stream: reads standard input, so no INPUT, got a.wav"),
        (["--stream", "-o", "out"], "argument --output: is for files, not for --stream"),
        (["--stream", "--bit-depth", "16"], "argument --bit-depth: is for files"),
        (["--stream", "--overwrite"], "argument --overwrite: is for files"),
        (["--stream", "--channels", "0"], "must be a whole number from 1 on"),
        (["--stream", "--sample-format", "u8"], "invalid choice: 'u8'"),
        (["a.wav", "--sample-format", "s16le"], "argument --sample-format: is for --stream alone"),
        (["a.wav", "--channels", "1"], "argument --channels: is for --stream alone"),
    ],
)
def test_usage_errors(argv, words, capsys):
    assert main(["separate", *argv]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_silenced_and_told(standard_streams, model, path, capsys, value):
    mix = noise(2, 3000)
    damaged, silenced = mix.clone(), mix.clone()
    damaged[0, 1000:1003] = value
    silenced[0, 1000:1003] = 0
    code, out = standard_streams(interleaved(damaged), "--stream", "-m", path, "-q")
    assert code == 2
    found = np.frombuffer(out, "<f4").reshape(-1, 8).T
    np.testing.assert_allclose(found, offline(model, silenced).flatten(0, 1).numpy(), atol=1e-5)
    first, last = capsys.readouterr().err.splitlines()
    assert first.endswith(
        "warning: standard input holds NaN or infinite samples; they are silenced"
    )
    assert "standard input: 3 samples were NaN or infinite" in last


@pytest.mark.parametrize("dtype", ["<f4", "<i2"])
def test_a_model_that_makes_nan_ends_the_stream(dtype):
    model = small_model()
    with torch.no_grad():
        model.blocks[0].decode_outer.bias.fill_(float("nan"))
    data = interleaved(noise(2, 1500), dtype)
    with pytest.raises(CommandError, match="the model made NaN or infinite samples"):
        through(PCMSeparator(SeparatorStream(model), 2, dtype), data, 4096)


def test_without_standard_error_the_output_holds_samples_alone(
    standard_streams, model, path, monkeypatch
):
    mix = noise(2, 1500)
    monkeypatch.setattr(sys, "stderr", None)
    code, out = standard_streams(interleaved(mix) + b"x", "--stream", "-m", path)
    assert code == 0
    found = np.frombuffer(out, "<f4").reshape(-1, 8).T
    np.testing.assert_allclose(found, offline(model, mix).flatten(0, 1).numpy(), atol=1e-5)


@pytest.mark.parametrize("name", ["stdin", "stdout"])
def test_a_closed_stream_is_told(monkeypatch, path, capsys, name):
    monkeypatch.setattr(sys, name, None)
    assert main(["separate", "--stream", "-m", path]) == 2
    assert "one of them is closed" in capsys.readouterr().err


def test_a_terminal_is_no_stream(monkeypatch, path, capsys):
    ours, theirs = os.openpty()
    with os.fdopen(theirs, "w") as terminal, os.fdopen(ours):
        monkeypatch.setattr(sys, "stdin", terminal)
        monkeypatch.setattr(sys, "stdout", terminal)
        assert main(["separate", "--stream", "-m", path]) == 2
    assert "standard input is a terminal" in capsys.readouterr().err
